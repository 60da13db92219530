"""Static INT8: pairs of QuantizeLinear and DequantizeLinear with ranges that were measured before."""

import copy

from onnx import TensorProto, numpy_helper
from onnxruntime.quantization import QuantType
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from .protocol import ToolError


def quantise(model, ranges, settings, exclude=(), only=()):
    """A new model; `model` is prepared, with shapes. `only`: names of the nodes to quantise, all by default."""
    quantizer = QDQQuantizer(
        copy.deepcopy(model),
        settings.per_channel,
        settings.reduce_range,
        QuantType.QInt8,
        settings.activation_type,
        copy.deepcopy(ranges),
        list(only),
        list(exclude),
        settings.op_types,
        dict(settings.options),
    )
    quantizer.quantize_model()
    made = quantizer.model.model
    if settings.target == "cpu":
        _keep_float_results(made, settings, set(exclude))
    return made


def _keep_float_results(model, settings, exclude):
    """Takes away the pair behind a product whose result no quantised node takes: the scores, most of all.

    256 levels make ties of near scores, and the CPU's kernels of products give floats at no cost.
    """
    graph = model.graph
    makers = {output: node for node in graph.node for output in node.output}
    takers = {}
    for node in graph.node:
        for name in node.input:
            takers.setdefault(name, []).append(node)
    results = {output.name for output in graph.output}
    gone = []
    for last in graph.node:
        first = makers.get(last.input[0]) if last.op_type == "DequantizeLinear" else None
        product = makers.get(first.input[0]) if first is not None and first.op_type == "QuantizeLinear" else None
        if product is None or product.op_type not in ("Gemm", "MatMul") or len(takers[first.input[0]]) > 1:
            continue
        after = takers.get(last.output[0], [])
        if any(node.op_type in settings.op_types and node.name not in exclude for node in after):
            continue
        if len(takers[first.output[0]]) > 1 or any(node.op_type == "QuantizeLinear" for node in after):
            continue
        if last.output[0] in results:
            product.output[0] = last.output[0]
        else:
            for node in after:
                node.input[:] = [first.input[0] if name == last.output[0] else name for name in node.input]
        gone += [first, last]
    for node in gone:
        graph.node.remove(node)
    used = {name for node in graph.node for name in node.input}
    for tensor in [each for each in graph.initializer if each.name not in used and each.name.endswith(UNUSED)]:
        graph.initializer.remove(tensor)


# Of scales and zero points, as the quantiser names them.
UNUSED = ("_scale", "_zero_point")


def quantised_nodes(quantised, settings):
    """Nodes of the kinds to quantise of which an operand comes out of a DequantizeLinear, by name."""
    makers = {output: node for node in quantised.graph.node for output in node.output}
    found = {}
    for node in quantised.graph.node:
        if node.op_type not in settings.op_types or node.name in settings.exclude:
            continue
        if any(name in makers and makers[name].op_type == "DequantizeLinear" for name in node.input):
            found[node.name] = node
    return found


def check_symmetric(quantised):
    """TensorRT refuses a zero point that is not 0, and other types than S8; the quantiser is held to it here."""
    constants = {tensor.name: tensor for tensor in quantised.graph.initializer}
    for node in quantised.graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear") or len(node.input) < 3:
            continue
        zero = constants[node.input[2]]
        if zero.data_type != TensorProto.INT8 or numpy_helper.to_array(zero).any():
            raise ToolError("ENGINE_FAILED", f'the quantiser gave "{node.name}" a zero point that TensorRT does not take')
