"""Reading an ONNX file so that it can be quantised, and writing the result so that older engines read it."""

import os
from collections import Counter

import onnx
import onnxruntime as ort
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, version_converter
from onnx.external_data_helper import load_external_data_for_model, uses_external_data
from onnxruntime.quantization.shape_inference import quant_pre_process

from .protocol import ToolError

# DequantizeLinear has an axis, which scales per channel need, since this one.
OLDEST_OPSET = 13
# Protobuf's limit is 2 GiB; what the quantiser adds must fit too.
MOST_BYTES = 1_900_000_000
QUANTISED_OPS = {
    "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger", "DynamicQuantizeMatMul",
    "MatMulIntegerToFloat", "QGemm", "MatMulNBits",
}  # fmt: skip


def read_model(path):
    """The model with all its tensors, checked so far as can be without running it; nodes are named."""
    try:
        model = onnx.load(path, load_external_data=False)
    except (DecodeError, ValueError) as error:
        raise ToolError("MODEL_INVALID", f"{path} is no ONNX file, or one that is cut off: {first_line(error)}") from error
    if not model.graph.node:
        raise ToolError("MODEL_INVALID", f"{path} holds no graph of operators")
    _load_external(model, path)
    refuse_quantised(model)
    _name_nodes(model.graph)
    return model


def _load_external(model, path):
    if not any(uses_external_data(tensor) for tensor in model.graph.initializer):
        return
    try:
        load_external_data_for_model(model, os.path.dirname(os.path.abspath(path)))
    except Exception as error:  # what onnx raises depends on what is wrong with the file
        message = f"{path} keeps its tensors in another file, which cannot be read: {first_line(error)}"
        raise ToolError("MODEL_INVALID", message, "Put the file of the tensors beside the model.") from error


def refuse_quantised(model):
    ops = Counter(node.op_type for node in model.graph.node if _is_quantised(node.op_type))
    if ops:
        listed = ", ".join(f"{count} {op}" for op, count in ops.most_common(3))
        raise ToolError(
            "NOT_SUPPORTED",
            f"the model is quantised already: it has {listed}",
            "Quantise the FP32 model that it was made of.",
        )
    float16 = TensorProto.FLOAT16
    if any(tensor.data_type == float16 for tensor in model.graph.initializer):
        raise ToolError(
            "NOT_SUPPORTED", "the model has FP16 weights already", "Quantise the FP32 model that it was made of."
        )


def _is_quantised(op):
    return op in QUANTISED_OPS or op.startswith("QLinear")


def _name_nodes(graph):
    """Every node gets a name of its own, so that the user can name it: `Conv_3` is the fourth node, a convolution."""
    taken = Counter(node.name for node in graph.node)
    for index, node in enumerate(graph.node):
        if node.name and taken[node.name] == 1:
            continue
        taken[node.name] -= 1
        name = node.name or f"{node.op_type}_{index}"
        while taken[name]:
            name += "_"
        node.name = name
        taken[name] += 1


def opset_of(model):
    return next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), 0)


def raise_opset(model, events):
    """The model in an opset that has scales per channel. (model, opset before)"""
    before = opset_of(model)
    if before >= OLDEST_OPSET:
        return model, before
    try:
        raised = version_converter.convert_version(model, OLDEST_OPSET)
    except Exception as error:  # onnx raises a RuntimeError of C++ for an operator that it cannot convert
        raise ToolError(
            "NOT_SUPPORTED",
            f"the model is of opset {before}, INT8 needs {OLDEST_OPSET}, and it cannot be converted: {first_line(error)}",
            f"Export the model again with opset {OLDEST_OPSET} or newer.",
        ) from error
    _name_nodes(raised.graph)
    events.note(f"the model was converted from opset {before} to {OLDEST_OPSET}")
    return raised, before


def save(model, path, ir_before):
    """Writes a model that says no more of itself than is so: newer IR versions and unused domains shut engines out."""
    used = {node.domain if node.domain != "ai.onnx" else "" for node in _all_nodes(model.graph)} | {""}
    kept = [each for each in model.opset_import if (each.domain if each.domain != "ai.onnx" else "") in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    try:
        model.ir_version = max(ir_before, helper.find_min_ir_version_for(list(model.opset_import), ignore_unknown=True))
    except (ValueError, TypeError):
        model.ir_version = max(ir_before, 10)
    _refuse_too_large(model)
    onnx.save(model, path)


def _all_nodes(graph):
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                yield from _all_nodes(inner)


def _refuse_too_large(model):
    try:
        bytes_ = model.ByteSize()
    except Exception:  # protobuf raises several kinds of errors above its limit
        bytes_ = MOST_BYTES + 1
    if bytes_ > MOST_BYTES:
        raise ToolError("NOT_SUPPORTED", "the model has more than 1.9 GB of tensors, more than one ONNX file holds")


def session(model, level="all", threads=0):
    """A session of a path or a model. MODEL_INVALID with ONNX Runtime's own words."""
    options = ort.SessionOptions()
    levels = ort.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if level == "all" else levels.ORT_DISABLE_ALL
    options.intra_op_num_threads = threads
    options.enable_cpu_mem_arena = False  # else it keeps what its largest batch took
    options.log_severity_level = 4
    given = model if isinstance(model, (str, os.PathLike)) else model.SerializeToString()
    try:
        return ort.InferenceSession(given, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has a class for each of its codes, in no public module
        raise ToolError("MODEL_INVALID", f"ONNX Runtime cannot load the model: {first_line(error)}") from error


def prepare(model, folder, ir_before, events):
    """Shapes are inferred, constants computed, batch normalisations folded into convolutions. Path of the result."""
    named, prepared = os.path.join(folder, "named.onnx"), os.path.join(folder, "prepared.onnx")
    save(model, named, ir_before)
    session(named)
    domains = {node.domain for node in model.graph.node}
    # Symbolic inference knows what few models need and stumbles over some; the optimiser may bring operators of its own.
    for skip in ({}, {"skip_symbolic_shape": True}, {"skip_symbolic_shape": True, "skip_optimization": True}):
        try:
            quant_pre_process(named, prepared, auto_merge=True, **skip)
            made = onnx.load(prepared)
        except Exception as error:  # noqa: BLE001: of three ways one is enough
            failure = error
            continue
        if {node.domain for node in made.graph.node} <= domains | {"", "ai.onnx"}:
            _name_nodes(made.graph)
            save(made, prepared, ir_before)
            return prepared
        failure = None
    raise ToolError("MODEL_INVALID", f"shapes of the model cannot be inferred: {first_line(failure)}") from failure


def first_line(error):
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:400] if lines else type(error).__name__
