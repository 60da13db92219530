"""Writes small ONNX graphs, and data for them, into a folder: what real exporters make, and what breaks tools."""

import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

folder = sys.argv[1]
random = np.random.default_rng(0)


def weights(name, *shape):
    return numpy_helper.from_array((random.normal(size=shape) * 0.3).astype(np.float32), name)


def constant(name, values, dtype=np.float32):
    return numpy_helper.from_array(np.array(values, dtype), name)


def value(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def save(name, nodes, inputs, outputs, initializers, opset=17, ir=8):
    graph = helper.make_graph(nodes, name, inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)
    onnx.checker.check_model(model)
    onnx.save(model, os.path.join(folder, name + ".onnx"))


def network(name, opset, rows="N", ir=8, enlarge=False):
    """Convolution with a normalisation to fold, a depthwise one, a residual sum and a dense layer; most have no names."""
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w1"], ["c1"], pads=[1, 1, 1, 1]),
        node("BatchNormalization", ["c1", "one", "b", "m", "one"], ["n1"], name="norm"),
        node("Relu", ["n1"], ["r1"]),
        node("Conv", ["r1", "w2", "b2"], ["c2"], pads=[1, 1, 1, 1], group=8, name="depthwise"),
        node("Add", ["c2", "r1"], ["a"]),
        node("Relu", ["a"], ["r2"]),
        *([node("Upsample", ["r2", "twice"], ["u"], mode="nearest")] if enlarge else []),
        node("GlobalAveragePool", ["u" if enlarge else "r2"], ["g"]),
        node("Flatten", ["g"], ["f"]),
        node("Gemm", ["f", "w3", "b3"], ["y"], transB=1),
    ]
    held = [
        weights("w1", 8, 3, 3, 3), constant("one", [1] * 8), weights("b", 8), weights("m", 8), weights("w2", 8, 1, 3, 3),
        weights("b2", 8), weights("w3", 5, 8), weights("b3", 5),
        *([constant("twice", [1, 1, 2, 2])] if enlarge else []),
    ]  # fmt: skip
    save(name, nodes, [value("x", [rows, 3, 16, 16])], [value("y", [rows, 5])], held, opset, ir)


network("network", 17)
network("fixed_batch", 17, rows=4)
network("opset_9", 9, ir=4, enlarge=True)

save(
    "attention",
    [
        helper.make_node("MatMul", ["a", "wq"], ["q"], name="query"),
        helper.make_node("MatMul", ["b", "wk"], ["k"], name="key"),
        helper.make_node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["q", "kt"], ["s"], name="scores"),
        helper.make_node("Softmax", ["s"], ["p"], axis=-1, name="softmax"),
        helper.make_node("MatMul", ["p", "b"], ["o"], name="mix"),
        helper.make_node("LayerNormalization", ["o", "one"], ["y"], axis=-1, name="normalise"),
    ],
    [value("a", ["N", "L", 16]), value("b", ["N", "M", 16])],
    [value("y", ["N", "L", 16])],
    [weights("wq", 16, 16), weights("wk", 16, 16), constant("one", [1] * 16)],
)
save(
    "no_batch",
    [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")],
    [value("x", [3, 4])],
    [value("y", [3, 2])],
    [weights("w", 4, 2)],
)
save(
    "logarithm",
    [helper.make_node("Log", ["x"], ["l"]), helper.make_node("MatMul", ["l", "w"], ["y"], name="product")],
    [value("x", ["N", 4])],
    [value("y", ["N", 2])],
    [weights("w", 4, 2)],
)
save("exponential", [helper.make_node("Exp", ["x"], ["y"])], [value("x", ["N", 4])], [value("y", ["N", 4])], [])

save(
    "infinite_output",
    [helper.make_node("MatMul", ["x", "w"], ["l"], name="product"), helper.make_node("Log", ["zero"], ["i"]),
     helper.make_node("Add", ["l", "i"], ["y"], name="sum")],
    [value("x", ["N", 4])],
    [value("l", ["N", 2]), value("y", ["N", 2])],
    [weights("w", 4, 2), constant("zero", [0.0])],
)  # fmt: skip

whole = os.path.join(folder, "network.onnx")
model = onnx.load(whole)
onnx.save(model, os.path.join(folder, "external.onnx"), save_as_external_data=True, location="external.bin", size_threshold=0)
model = onnx.load(whole)
onnx.save(model, os.path.join(folder, "lost.onnx"), save_as_external_data=True, location="lost.bin", size_threshold=0)
os.remove(os.path.join(folder, "lost.bin"))
with open(whole, "rb") as file:
    content = file.read()
for name, content in (("cut", content[: len(content) // 2]), ("empty", b""), ("noise", random.bytes(500))):
    with open(os.path.join(folder, name + ".onnx"), "wb") as file:
        file.write(content)


def data(name, array):
    np.save(os.path.join(folder, name + ".npy"), array)


def normal(*shape):
    return random.normal(size=shape).astype(np.float32)


pictures = normal(20, 3, 16, 16)
data("pictures", pictures)
data("wide", normal(20, 3, 16, 17))
data("doubles", pictures.astype(np.float64))
data("none", pictures[:0])
pictures[7, 1, 2, 3] = np.nan
data("not_a_number", pictures)
data("a", normal(20, 7, 16))
data("b", normal(20, 9, 16))
data("tables", normal(20, 3, 4))
fours = np.abs(normal(20, 4))
data("fours", fours)
fours[3] = 0
data("zeros", fours)

# The digits with one channel of a convolution a hundred times as large and the next layer's weights for it as much smaller:
# the same function, and a range that leaves the other channels next to nothing.
model = onnx.load(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "models", "digits", "1", "model.onnx"))
nodes = {node.name: node for node in model.graph.node}
held = {tensor.name: tensor for tensor in model.graph.initializer}


def scale(name, at, factor):
    values = numpy_helper.to_array(held[name]).copy()
    values[at] *= factor
    held[name].CopyFrom(numpy_helper.from_array(values, name))


scale(nodes["conv2"].input[1], 0, 100)
scale(nodes["conv2"].input[2], 0, 100)
scale(nodes["conv3"].input[1], (slice(None), 0), 0.01)
onnx.save(model, os.path.join(folder, "lopsided.onnx"))
