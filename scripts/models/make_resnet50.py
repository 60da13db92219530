"""ResNet-50 with random weights (seeded), FP32 and INT8, for speed: it answers nonsense at the usual cost.

    python scripts/models/make_resnet50.py [folder]        (default .cache/models, which git ignores)

Writes resnet50/ and resnet50_int8/ in repository layout. Batch normalisation is folded into the convolutions, as
every engine does when it loads a trained one.
"""

import sys
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from make import Rows, quantize
from networks import IR, OPSET

SEED = 50
STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))  # width, blocks, stride of the first


class Net:
    """Collects nodes and weights; the values flow through `add`, which names the output."""

    def __init__(self, seed: int):
        self.r, self.nodes, self.tensors = np.random.default_rng(seed), [], []

    def add(self, kind: str, inputs: list[str], **attributes) -> str:
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def weight(self, name: str, value: np.ndarray) -> str:
        self.tensors.append(numpy_helper.from_array(value.astype(np.float32), name))
        return name

    def conv(self, x: str, cin: int, cout: int, size: int, stride=1, gain=2.0, relu=True) -> str:
        n = len(self.nodes)
        w = self.r.normal(0, np.sqrt(gain / (cin * size * size)), (cout, cin, size, size))
        weights = [self.weight(f"w{n}", w), self.weight(f"b{n}", self.r.normal(0, 0.01, cout))]
        edge = size // 2
        y = self.add("Conv", [x, *weights], kernel_shape=[size] * 2, strides=[stride] * 2, pads=[edge] * 4)
        return self.add("Relu", [y]) if relu else y


def resnet50() -> onnx.ModelProto:
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
    dense = [net.weight("w_out", net.r.normal(0, 0.02, (2048, 1000))), net.weight("b_out", np.zeros(1000))]
    net.nodes.append(helper.make_node("Gemm", [x, *dense], ["logits"], "dense"))
    value = lambda name, dims: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *dims])
    graph = helper.make_graph(
        net.nodes, "resnet50", [value("image", [3, 224, 224])], [value("logits", [1000])], net.tensors
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR, producer_name="subten")
    onnx.checker.check_model(made)
    return made


CONFIG = """# ResNet-50 with random weights, for speed only (scripts/models/make_resnet50.py).
name: "{name}"
backend: "onnxruntime"
max_batch_size: 16
input [
  {{ name: "image" data_type: TYPE_FP32 dims: [ 3, 224, 224 ] }}
]
output [
  {{ name: "logits" data_type: TYPE_FP32 dims: [ 1000 ] }}
]
dynamic_batching {{ }}
"""


def check(path: Path, x: np.ndarray, threads: int, runs: int = 9) -> np.ndarray:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (out,) = session.run(None, {"image": x})
    assert out.shape == (len(x), 1000) and np.isfinite(out).all()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        session.run(None, {"image": x})
        times.append((time.perf_counter() - start) * 1e3)
    print(f"  batch {len(x)}, {threads} thread(s): median {np.median(times):.1f} ms, least {min(times):.1f} ms")
    return out


def main() -> None:
    root = Path(__file__).resolve().parents[2]
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else root / ".cache" / "models"
    paths = {name: folder / name / "1" / "model.onnx" for name in ("resnet50", "resnet50_int8")}
    for name, path in paths.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        (folder / name / "config.pbtxt").write_text(CONFIG.format(name=name))
    onnx.save(resnet50(), paths["resnet50"])
    # Noise with the mean and deviation of a normalised photograph.
    x = np.random.default_rng(SEED + 1).normal(0, 1, (4, 3, 224, 224)).astype(np.float32)
    quantize(paths["resnet50"], paths["resnet50_int8"], Rows("image", x, batch=1))
    outputs = []
    for name, path in paths.items():
        print(f"{name}: {path.stat().st_size / 1e6:.1f} MB, ONNX Runtime {ort.__version__}")
        check(path, x[:1], 2)
        outputs.append(check(path, x[:1], 1))
    print(f"correlation of INT8 with FP32 logits: {np.corrcoef(outputs[0].ravel(), outputs[1].ravel())[0, 1]:.4f}")


if __name__ == "__main__":
    main()
