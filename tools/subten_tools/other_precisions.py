"""Dynamic INT8 and FP16: both need no calibration."""

import copy
import os
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers.float16 import convert_float_to_float16

from .protocol import ToolError
from .settings import DYNAMIC_OPS


def quantise_dynamic(prepared, folder, settings, exclude):
    """Weights in INT8; the range of each activation is measured while the model runs."""
    model = onnx.load(prepared)
    constants = {tensor.name for tensor in model.graph.initializer}
    gains = [
        node.name
        for node in model.graph.node
        if node.op_type in DYNAMIC_OPS
        and node.name not in exclude
        and (node.op_type not in ("MatMul", "Gemm") or node.input[1] in constants)
    ]
    if not gains:
        raise ToolError(
            "NOT_SUPPORTED",
            "dynamic INT8 has nothing to gain here: the model has no product (MatMul, Gemm) with constant weights",
            "Use --precision int8, which quantises convolutions too.",
        )
    out = os.path.join(folder, "dynamic.onnx")
    quantize_dynamic(
        Path(prepared),
        Path(out),
        op_types_to_quantize=DYNAMIC_OPS,
        per_channel=settings.per_channel,
        reduce_range=settings.reduce_range,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=list(exclude),
        extra_options={"MatMulConstBOnly": True},
    )
    return onnx.load(out), gains


def to_float16(prepared, exclude):
    """FP16 inside, inputs and outputs as they were."""
    model = onnx.load(prepared)
    nodes = [node.name for node in model.graph.node if node.name not in exclude]
    made = convert_float_to_float16(copy.deepcopy(model), keep_io_types=True, node_block_list=list(exclude))
    return made, nodes
