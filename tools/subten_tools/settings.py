"""What a target wants: the kinds of operators that are quantised, the types and the options of the quantiser."""

import fnmatch
from dataclasses import dataclass, field
from difflib import get_close_matches

from onnxruntime.quantization import QuantType

from .protocol import ToolError

# Softmax, normalisations and reductions are not among them: their results hang on small differences of large numbers,
# or small values decide, and they take little of the time.
CPU_OPS = [
    "Conv", "ConvTranspose", "Gemm", "MatMul", "Add", "Mul", "Relu", "Clip", "LeakyRelu", "Sigmoid",
    "MaxPool", "AveragePool", "GlobalAveragePool", "Concat", "Split", "Slice", "Pad", "Resize",
    "Flatten", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "DepthToSpace",
]  # fmt: skip
# TensorRT fuses what stands between two pairs by itself: it wants pairs before what multiplies and pools only.
TENSORRT_OPS = ["Conv", "ConvTranspose", "Gemm", "MatMul", "AveragePool", "GlobalAveragePool"]
DYNAMIC_OPS = ["MatMul", "Gemm", "Attention", "LSTM"]


@dataclass
class Settings:
    target: str
    method: str
    percentile: float
    per_channel: bool
    reduce_range: bool
    exclude: list = field(default_factory=list)

    @property
    def op_types(self):
        return TENSORRT_OPS if self.target == "tensorrt" else CPU_OPS

    @property
    def activation_type(self):
        return QuantType.QInt8 if self.target == "tensorrt" else QuantType.QUInt8

    @property
    def options(self):
        """Of ONNX Runtime's QDQ quantiser."""
        if self.target == "cpu":
            # Pairs on what a pooling takes even where it takes a float: then the next layer need not quantise again.
            return {"ActivationSymmetric": False, "WeightSymmetric": True}
        return {
            "ActivationSymmetric": True,
            "WeightSymmetric": True,
            # TensorRT reads weights as FP32 with a pair of their own, takes the bias as FP32, and each operator has pairs
            # of its own; a pair after a convolution would keep it from being fused with what follows.
            "AddQDQPairToWeight": True,
            "QuantizeBias": False,
            "DedicatedQDQPair": True,
            "OpTypesToExcludeOutputQuantization": TENSORRT_OPS,
        }


def settings_of(request):
    target = request["target"]
    return Settings(
        target=target,
        method=request["method"],
        percentile=request["percentile"],
        per_channel=request["perChannel"],
        reduce_range=request["reduceRange"] and target == "cpu",
    )


def chosen_nodes(patterns, nodes, folded):
    """Names of the nodes that the user excludes, by name or glob.

    `folded`: names that were there before the preparation and are part of other nodes now.
    """
    names = [node.name for node in nodes]
    chosen = set()
    for pattern in patterns:
        found = {pattern} if pattern in names else set(fnmatch.filter(names, pattern))
        if not found:
            raise _unknown(pattern, names, folded)
        chosen |= found
    return sorted(chosen, key=names.index)


def _unknown(pattern, names, folded):
    if pattern in folded:
        message = f'--exclude: the node "{pattern}" is part of another one once constants and normalisations are folded'
        remedy = "Name the node that it was folded into; quantization.json lists the layers."
        return ToolError("CONFIG_INVALID", message, remedy, field="exclude")
    near = get_close_matches(pattern, names, n=3, cutoff=0.5) or names[:3]
    listed = ", ".join(f'"{name}"' for name in near)
    message = f'--exclude: the model has no node "{pattern}"; near are {listed}'
    return ToolError("CONFIG_INVALID", message, "quantization.json lists the layers by name.", field="exclude", near=near)
