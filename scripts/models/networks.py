"""The two small networks: training with jax, and the same graph in ONNX (opset 17, IR 8: any engine reads it)."""

import jax
import jax.numpy as jnp
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET, IR = 17, 8


# --- digits: three 3x3 convolutions, one dense layer -------------------------------------------------------------


def digits_init(seed: int):
    r = np.random.default_rng(seed)

    def layer(*shape):
        fan_in = np.prod(shape[:-1])
        return jnp.array(r.normal(0, np.sqrt(2 / fan_in), shape), jnp.float32), jnp.zeros(shape[-1], jnp.float32)

    return [layer(3, 3, 1, 24), layer(3, 3, 24, 32), layer(3, 3, 32, 64), layer(1024, 10)]


def digits_logits(weights, x, keep=None):
    """x: [n, 8, 8]; `keep` is the dropout mask of the dense layer's input."""
    x = x[..., None]
    for i, (w, b) in enumerate(weights[:3]):
        x = jax.nn.relu(jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")) + b)
        if i == 1:
            x = x.reshape(-1, 4, 2, 4, 2, 32).max((2, 4))
    x = x.reshape(-1, 1024)
    if keep is not None:
        x = x * keep
    w, b = weights[3]
    return x @ w + b


def digits_onnx(weights) -> onnx.ModelProto:
    (w1, b1), (w2, b2), (w3, b3), (w4, b4) = [(np.asarray(w), np.asarray(b)) for w, b in weights]
    conv = lambda w: np.ascontiguousarray(w.transpose(3, 2, 0, 1))  # HWIO to OIHW
    dense = np.ascontiguousarray(w4.reshape(4, 4, 64, 10).transpose(2, 0, 1, 3).reshape(1024, 10))  # HWC to CHW rows
    pads = dict(kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    nodes = [
        helper.make_node("Conv", ["image", "w1", "b1"], ["c1"], "conv1", **pads),
        helper.make_node("Relu", ["c1"], ["r1"], "relu1"),
        helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"], "conv2", **pads),
        helper.make_node("Relu", ["c2"], ["r2"], "relu2"),
        helper.make_node("MaxPool", ["r2"], ["p2"], "pool2", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["p2", "w3", "b3"], ["c3"], "conv3", **pads),
        helper.make_node("Relu", ["c3"], ["r3"], "relu3"),
        helper.make_node("Flatten", ["r3"], ["flat"], "flatten"),
        helper.make_node("Gemm", ["flat", "w4", "b4"], ["logits"], "dense"),
        helper.make_node("Softmax", ["logits"], ["probabilities"], "softmax", axis=1),
    ]
    tensors = dict(w1=conv(w1), b1=b1, w2=conv(w2), b2=b2, w3=conv(w3), b3=b3, w4=dense, b4=b4)
    return model("digits", nodes, ("image", [1, 8, 8]), ("probabilities", [10]), tensors)


# --- mlp: 64 -> 64 -> 8 -------------------------------------------------------------------------------------------


def mlp_init(seed: int):
    r = np.random.default_rng(seed)
    return [
        (jnp.array(r.normal(0, np.sqrt(2 / n), (n, m)), jnp.float32), jnp.zeros(m, jnp.float32))
        for n, m in ((64, 64), (64, 8))
    ]


def mlp_logits(weights, x, keep=None):
    (w1, b1), (w2, b2) = weights
    return jax.nn.relu(x.reshape(-1, 64) @ w1 + b1) @ w2 + b2


def mlp_onnx(weights) -> onnx.ModelProto:
    (w1, b1), (w2, b2) = [(np.asarray(w), np.asarray(b)) for w, b in weights]
    nodes = [
        helper.make_node("Gemm", ["input", "w1", "b1"], ["h"], "dense1"),
        helper.make_node("Relu", ["h"], ["r"], "relu1"),
        helper.make_node("Gemm", ["r", "w2", "b2"], ["output"], "dense2"),
    ]
    return model("mlp", nodes, ("input", [64]), ("output", [8]), dict(w1=w1, b1=b1, w2=w2, b2=b2))


# --- both ----------------------------------------------------------------------------------------------------------


def model(name, nodes, source, target, tensors) -> onnx.ModelProto:
    value = lambda t: helper.make_tensor_value_info(t[0], TensorProto.FLOAT, ["batch", *t[1]])
    constants = [numpy_helper.from_array(v, k) for k, v in tensors.items()]
    graph = helper.make_graph(nodes, name, [value(source)], [value(target)], constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR, producer_name="subten")
    onnx.checker.check_model(made, full_check=True)
    return made


def train(logits, weights, x, y, seed, epochs, batch=256, rate=2e-3, keep=1.0, augment=None, log=print):
    """Adam with a cosine schedule; returns the moving average of the weights, which generalises better."""
    r = np.random.default_rng(seed)
    steps = epochs * (len(x) // batch)

    def loss(w, bx, by, mask):
        log_p = jax.nn.log_softmax(logits(w, bx, mask))
        target = jax.nn.one_hot(by, log_p.shape[1]) * 0.95 + 0.05 / log_p.shape[1]
        return -(target * log_p).sum(1).mean()

    @jax.jit
    def step(w, m, v, mean, bx, by, mask, i):
        value, g = jax.value_and_grad(loss)(w, bx, by, mask)
        lr = rate * 0.5 * (1 + jnp.cos(jnp.pi * i / steps)) * jnp.minimum(1, (i + 1) / 200)
        m = jax.tree.map(lambda a, b: 0.9 * a + 0.1 * b, m, g)
        v = jax.tree.map(lambda a, b: 0.999 * a + 0.001 * b * b, v, g)
        scale = jnp.sqrt(1 - 0.999 ** (i + 1)) / (1 - 0.9 ** (i + 1))
        w = jax.tree.map(lambda a, b, c: a * (1 - lr * 1e-2) - lr * scale * b / (jnp.sqrt(c) + 1e-8), w, m, v)
        mean = jax.tree.map(lambda a, b: a + (b - a) * jnp.maximum(1 / (i + 1), 2e-3), mean, w)
        return w, m, v, mean, value

    zeros = jax.tree.map(jnp.zeros_like, weights)
    w, m, v, mean, i = weights, zeros, zeros, weights, 0
    for epoch in range(epochs):
        order, total = r.permutation(len(x)), 0.0
        for start in range(0, len(x) - batch + 1, batch):
            rows = order[start : start + batch]
            bx = augment(x[rows], r) if augment else x[rows]
            mask = (r.random((batch, 1024), np.float32) < keep).astype(np.float32) / keep if keep < 1 else None
            w, m, v, mean, value = step(w, m, v, mean, bx, y[rows], mask, jnp.float32(i))
            i, total = i + 1, total + float(value)
        if log and (epoch % max(1, epochs // 10) == 0 or epoch == epochs - 1):
            log(f"  epoch {epoch + 1}/{epochs}: loss {total / (len(x) // batch):.4f}")
    return mean
