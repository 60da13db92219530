"""Prints what an ONNX file says of its quantisation, as JSON."""

import json
import sys
from collections import Counter

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

model = onnx.load(sys.argv[1])
held = {tensor.name: tensor for tensor in model.graph.initializer}
zeros, weights = [], []
for node in model.graph.node:
    if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
        continue
    zero = held[node.input[2]]
    entry = {
        "type": TensorProto.DataType.Name(zero.data_type),
        "zero": bool(np.all(numpy_helper.to_array(zero) == 0)),
        "scales": int(np.prod(held[node.input[1]].dims)),
    }
    zeros.append(entry)
    if node.input[0] in held and held[node.input[0]].data_type in (TensorProto.INT8, TensorProto.FLOAT):
        values = numpy_helper.to_array(held[node.input[0]])
        weights.append({**entry, "largest": float(np.abs(values.astype(np.float32)).max()), "float": values.dtype.kind == "f"})
print(
    json.dumps(
        {
            "ops": Counter(node.op_type for node in model.graph.node),
            "activations": sorted({each["type"] for each in zeros} - {"INT32"}),
            "zeroPointsAreZero": all(each["zero"] for each in zeros),
            "weights": weights,
            "weightTypes": sorted({TensorProto.DataType.Name(tensor.data_type) for tensor in held.values()}),
            "inputs": [TensorProto.DataType.Name(each.type.tensor_type.elem_type) for each in model.graph.input],
            "domains": sorted({node.domain for node in model.graph.node}),
            "opset": next(each.version for each in model.opset_import if each.domain in ("", "ai.onnx")),
            "ir": model.ir_version,
        }
    )
)
