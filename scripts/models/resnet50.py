"""The topology of ResNet-50 with random weights (seeded), batch normalisation folded into the convolutions.

    python scripts/models/resnet50.py FOLDER

Writes FOLDER/{resnet50,resnet50_fp16}/1/model.onnx without their weights, and FOLDER/weights.json, from which
resnet50_weights.py draws the same weights anywhere: random numbers do not compress, a list of draws is nothing.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SEED = 50
IR, OPSET = 8, 17
STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))  # width, blocks, stride of the first
WEIGHTS = "weights.bin"


class Net:
    """Collects nodes and weights; the values flow through `add`, which names the output."""

    def __init__(self, seed: int):
        self.r, self.nodes, self.tensors = np.random.default_rng(seed), [], []
        # name, shape and deviation of each tensor in the order of the draws; 0: not drawn, all zeros.
        self.draws: list[tuple[str, list[int], float]] = []

    def add(self, kind: str, inputs: list[str], **attributes) -> str:
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def weight(self, name: str, shape: tuple[int, ...], deviation: float) -> str:
        value = self.r.normal(0, deviation, shape) if deviation > 0 else np.zeros(shape)
        self.tensors.append(numpy_helper.from_array(value.astype(np.float32), name))
        self.draws.append((name, list(shape), float(deviation)))
        return name

    def conv(self, x: str, cin: int, cout: int, size: int, stride=1, gain=2.0, relu=True) -> str:
        n = len(self.nodes)
        weights = [
            self.weight(f"w{n}", (cout, cin, size, size), np.sqrt(gain / (cin * size * size))),
            self.weight(f"b{n}", (cout,), 0.01),
        ]
        edge = size // 2
        y = self.add("Conv", [x, *weights], kernel_shape=[size] * 2, strides=[stride] * 2, pads=[edge] * 4)
        return self.add("Relu", [y]) if relu else y


def network() -> tuple[Net, str]:
    net = Net(SEED)
    x = net.conv("image", 3, 64, 7, 2)
    x = net.add("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    cin = 64
    for width, blocks, first in STAGES:
        for block in range(blocks):
            stride, cout = (first if block == 0 else 1), 4 * width
            y = net.conv(x, cin, width, 1)
            y = net.conv(y, width, width, 3, stride)
            # A branch much quieter than the trunk: without normalisation the sums would grow with the depth.
            y = net.conv(y, width, cout, 1, gain=0.2, relu=False)
            short = net.conv(x, cin, cout, 1, stride, gain=1.0, relu=False) if block == 0 else x
            x = net.add("Relu", [net.add("Add", [y, short])])
            cin = cout
    x = net.add("Flatten", [net.add("GlobalAveragePool", [x])])
    dense = [net.weight("w_out", (2048, 1000), 0.02), net.weight("b_out", (1000,), 0)]
    net.nodes.append(helper.make_node("Gemm", [x, *dense], ["logits"], "dense"))
    return net, "logits"


def model_of(nodes: list, tensors: list) -> onnx.ModelProto:
    value = lambda name, dims: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *dims])
    graph = helper.make_graph(nodes, "resnet50", [value("image", [3, 224, 224])], [value("logits", [1000])], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR, producer_name="subten")


def resnet50() -> onnx.ModelProto:
    net, _ = network()
    made = model_of(net.nodes, net.tensors)
    onnx.checker.check_model(made)
    return made


def in_half(net: Net) -> onnx.ModelProto:
    """The same net in FP16 between two casts: it takes and gives FP32."""
    rename = {"image": "image_half", "logits": "logits_half"}
    nodes = [helper.make_node("Cast", ["image"], ["image_half"], "to_half", to=TensorProto.FLOAT16)]
    for node in net.nodes:
        other = onnx.NodeProto()
        other.CopyFrom(node)
        for names in (other.input, other.output):
            names[:] = [rename.get(name, name) for name in names]
        nodes.append(other)
    nodes.append(helper.make_node("Cast", ["logits_half"], ["logits"], "from_half", to=TensorProto.FLOAT))
    halves = [numpy_helper.from_array(numpy_helper.to_array(t).astype(np.float16), t.name) for t in net.tensors]
    return model_of(nodes, halves)


def without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Its tensors lie one after the other in WEIGHTS, beside the file."""
    offset = 0
    for tensor in model.graph.initializer:
        length = len(tensor.raw_data)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", WEIGHTS), ("offset", offset), ("length", length)):
            tensor.external_data.add(key=key, value=str(value))
        offset += length
    return model


CONFIG = """# ResNet-50 with random weights, for speed only (scripts/models/make_resnet50.py).
name: "{name}"
backend: "onnxruntime"
max_batch_size: {batch}
input [
  {{ name: "image" data_type: TYPE_FP32 dims: [ 3, 224, 224 ] }}
]
output [
  {{ name: "logits" data_type: TYPE_FP32 dims: [ 1000 ] }}
]
dynamic_batching {{ }}
"""


def main() -> None:
    folder = Path(sys.argv[1])
    net, _ = network()
    for name, model in (("resnet50", model_of(net.nodes, net.tensors)), ("resnet50_fp16", in_half(net))):
        (folder / name / "1").mkdir(parents=True, exist_ok=True)
        (folder / name / "config.pbtxt").write_text(CONFIG.format(name=name, batch=64))
        (folder / name / "1" / "model.onnx").write_bytes(without_weights(model).SerializeToString())
    (folder / "weights.json").write_text(json.dumps({"seed": SEED, "tensors": net.draws}))


if __name__ == "__main__":
    main()
