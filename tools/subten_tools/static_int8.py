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
    return quantizer.model.model


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
