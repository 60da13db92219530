"""The network of models/vision: depthwise-separable convolutions with batch norm, in jax for training, in ONNX to run.

Arrays are [n, height, width, channels] here and NCHW in ONNX. Batch norm is folded into the convolutions at export.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE = 96
STEM = 24
# Channels and stride of each block (3x3 depthwise, then 1x1): 24x24, 24x24, 12x12 three times, 6x6 twice.
BLOCKS = [(64, 2), (64, 1), (256, 2), (256, 1), (256, 1), (512, 2), (512, 1)]
EPSILON = 1e-3
OPSET, IR = 17, 8


# --- layers --------------------------------------------------------------------------------------------------------------


def taps(x, stride):
    """The nine inputs of each output of a 3x3 convolution with a border of zeros."""
    n, h, w, c = x.shape
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    for i in range(3):
        for j in range(3):
            yield jax.lax.slice(x, (0, i, j, 0), (n, i + h - stride + 1, j + w - stride + 1, c), (1, stride, stride, 1))


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def depthwise(x, kernel, stride):
    """kernel: [9, channels]. A sum of nine products: XLA's grouped convolution is many times slower on a CPU."""
    return sum(tap * kernel[k] for k, tap in enumerate(taps(x, stride)))


def depthwise_forward(x, kernel, stride):
    return depthwise(x, kernel, stride), (x, kernel)


def gradient_of_kernel(x, g, stride):
    """Row by row into sums that stay in cache: XLA's own reduction over n, height and width takes six times as long."""
    n, h, w, c = x.shape
    high, wide = g.shape[1:3]
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))).reshape(n * (h + 2), w + 2, c)
    g = g.reshape(n * high, wide, c)

    def add_row(sums, i):
        begin = i // high * (h + 2) + i % high * stride
        three = jax.lax.dynamic_slice(x, (begin, 0, 0), (3, w + 2, c))
        row = jax.lax.dynamic_slice(g, (i, 0, 0), (1, wide, c))[0]
        added = (
            jax.lax.slice(three[a], (b, 0), (b + (wide - 1) * stride + 1, c), (stride, 1)) * row
            for a in range(3)
            for b in range(3)
        )
        return tuple(s + a for s, a in zip(sums, added)), None

    sums, _ = jax.lax.scan(add_row, (jnp.zeros((wide, c)),) * 9, jnp.arange(n * high))
    return jnp.stack([s.sum(0) for s in sums])


def depthwise_backward(stride, kept, g):
    x, kernel = kept
    to_kernel = gradient_of_kernel(x, g, stride)
    if stride == 2:
        g = jax.lax.pad(g, 0.0, ((0, 0, 0), (0, 1, 1), (0, 1, 1), (0, 0, 0)))
    return sum(tap * kernel[8 - k] for k, tap in enumerate(taps(g, 1))), to_kernel


depthwise.defvjp(depthwise_forward, depthwise_backward)


def stem(x, kernel):
    """kernel: [27, STEM]; stride 2."""
    return jnp.concatenate(list(taps(x, 2)), -1) @ kernel


def mixed(x, weights):
    """A 1x1 convolution as one product of matrices: a fifth faster than letting XLA contract four dimensions."""
    return (x.reshape(-1, x.shape[-1]) @ weights).reshape(*x.shape[:3], -1)


# --- the whole -----------------------------------------------------------------------------------------------------------


def init(seed: int, classes: int):
    r = np.random.default_rng(seed)
    normal = lambda shape, fan_in: jnp.array(r.normal(0, np.sqrt(2 / fan_in), shape), jnp.float32)
    norm = lambda channels: (jnp.ones(channels), jnp.zeros(channels))
    blocks, before = [], STEM
    for channels, _ in BLOCKS:
        blocks.append((normal((9, before), 9), norm(before), normal((before, channels), before), norm(channels)))
        before = channels
    return {
        "stem": (normal((27, STEM), 27), norm(STEM)),
        "blocks": blocks,
        "dense": (normal((before, classes), before * 4), jnp.zeros(classes)),
    }


def spread(weights, deviation: float, seed: int):
    """The same function with channels of different scale: factors exp(N(0, deviation)), cut at two deviations.

    Nothing holds the scale of a channel between a ReLU and the depthwise convolution behind it, whose norm takes it out
    again. In MobileNets that were trained for long these scales lie apart by a factor of ten and more, and with them the
    folded weights of the depthwise layers, which one scale per tensor then cannot represent (Nagel et al. 2019,
    arXiv:1906.04721). Training of minutes does not get there from scales of one, so it starts spread.
    """
    r = np.random.default_rng(seed)

    def apart(after):
        factor = jnp.array(np.exp(deviation * np.clip(r.normal(0, 1, after[0].shape), -2, 2)), jnp.float32)
        return tuple(a * factor for a in after), factor

    kernel, after = weights["stem"]
    stem_after, _ = apart(after)
    blocks = []
    for kernel_, after_, mix, after_mix in weights["blocks"]:
        after_mix, factor = apart(after_mix)
        blocks.append((kernel_, after_, mix, after_mix))
    w, b = weights["dense"]
    return {"stem": (kernel, stem_after), "blocks": blocks, "dense": (w / factor[:, None], b)}


def logits(weights, x, moments=None):
    """Returns (logits, moments of each norm's input). With `moments` those are used, else the batch's own."""
    given, seen = iter(moments or ()), []

    def norm(y, scale_shift):
        mean, var = next(given) if moments else (y.mean((0, 1, 2)), y.var((0, 1, 2)))
        seen.append((mean, var))
        scale, shift = scale_shift
        scale = scale * jax.lax.rsqrt(var + EPSILON)
        return jax.nn.relu(y * scale + (shift - mean * scale))

    kernel, after = weights["stem"]
    x = norm(stem(x, kernel), after)
    for (kernel, after, mix, after_mix), (_, stride) in zip(weights["blocks"], BLOCKS):
        x = norm(depthwise(x, kernel, stride), after)
        x = norm(mixed(x, mix), after_mix)
    w, b = weights["dense"]
    return x.mean((1, 2)) @ w + b, seen


# --- ONNX ----------------------------------------------------------------------------------------------------------------


def to_onnx(weights, moments) -> onnx.ModelProto:
    """Input `image` [n, 3, 96, 96], output `probabilities` [n, classes]."""
    weights, moments = jax.tree.map(np.asarray, (weights, moments))
    each, nodes, tensors = iter(moments), [], {}

    def convolution(name, source, kernel, after, **attributes):
        """kernel: OIHW; the norm that follows goes into it."""
        (mean, var), (scale, shift) = next(each), after
        factor = scale / np.sqrt(var + EPSILON)
        tensors[f"{name}.weight"] = np.ascontiguousarray(kernel * factor[:, None, None, None], np.float32)
        tensors[f"{name}.bias"] = (shift - mean * factor).astype(np.float32)
        inputs = [source, f"{name}.weight", f"{name}.bias"]
        nodes.append(helper.make_node("Conv", inputs, [f"{name}.sum"], name, **attributes))
        nodes.append(helper.make_node("Relu", [f"{name}.sum"], [f"{name}.out"], f"{name}.relu"))
        return f"{name}.out"

    three = lambda stride: dict(kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[stride, stride])
    kernel, after = weights["stem"]
    at = convolution("stem", "image", kernel.reshape(3, 3, 3, STEM).transpose(3, 2, 0, 1), after, **three(2))
    for i, ((kernel, after, mix, after_mix), (_, stride)) in enumerate(zip(weights["blocks"], BLOCKS), 1):
        channels = kernel.shape[1]
        spread = kernel.T.reshape(channels, 1, 3, 3)
        at = convolution(f"block{i}.depthwise", at, spread, after, group=channels, **three(stride))
        at = convolution(f"block{i}.mix", at, mix.T[:, :, None, None], after_mix, kernel_shape=[1, 1])
    tensors["dense.weight"], tensors["dense.bias"] = weights["dense"]
    nodes += [
        helper.make_node("GlobalAveragePool", [at], ["pooled"], "pool"),
        helper.make_node("Flatten", ["pooled"], ["features"], "flatten"),
        helper.make_node("Gemm", ["features", "dense.weight", "dense.bias"], ["logits"], "dense"),
        helper.make_node("Softmax", ["logits"], ["probabilities"], "softmax", axis=1),
    ]
    classes = len(tensors["dense.bias"])
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])
    graph = helper.make_graph(
        nodes,
        "vision",
        [value("image", [3, SIDE, SIDE])],
        [value("probabilities", [classes])],
        [numpy_helper.from_array(v, k) for k, v in tensors.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR, producer_name="subten")
    onnx.checker.check_model(made, full_check=True)
    return made
