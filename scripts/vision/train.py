"""Trains models/vision on the pictures of `node scripts/vision/data.mjs --train`. Says how long an epoch took.

python scripts/vision/train.py --epochs 6 --small 5 [--minutes 20] [--from .cache/vision/weights.pkl] [--rate 3e-3]

After each epoch the weights are kept in .cache/vision/weights.pkl and the network in .cache/vision/vision.onnx, whose
accuracy on the calibration pictures is printed; the held-out ones are not looked at before `variants.py`.
"""

import argparse
import json
import math
import pickle
import time
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime as ort

import network

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "vision"
SMOOTHING = 0.05
FORGET = 0.998  # of the moving average of the weights, which generalises better than the last ones


def rows(name):
    """(pixels [count, 3, 96, 96] uint8, as a map of the file; labels [count])."""
    about = json.loads((CACHE / f"{name}.json").read_text())
    pixels = np.memmap(CACHE / f"{name}.u8", np.uint8, "r", shape=(about["count"], *about["shape"]))
    return pixels, np.arange(about["count"]) % len(about["labels"]), about["labels"]


def scaled(pixels):
    """What subten.preprocess in the config says: (pixel / 255 - 0.5) / 0.5."""
    return pixels.astype(np.float32) / np.float32(127.5) - np.float32(1)


def varied(pixels, r):
    """Shifted by up to 5 pixels, brighter or darker, a square of up to 24 pixels painted over: [n, 96, 96, 3]."""
    n, _, side, _ = pixels.shape
    edge = 5
    out = np.empty((n, side, side, 3), np.float32)
    for i, picture in enumerate(pixels):
        padded = np.pad(picture, ((0, 0), (edge, edge), (edge, edge)), "edge")
        top, left = r.integers(0, 2 * edge + 1, 2)
        out[i] = padded[:, top : top + side, left : left + side].transpose(1, 2, 0)
        if r.random() < 0.3:
            (y, x), (h, w) = r.integers(10, 80, 2), r.integers(4, 25, 2)
            out[i, y : y + h, x : x + w] = r.integers(0, 256, 3)
    gain = r.uniform(0.75, 1.25, (n, 1, 1, 1)) * r.uniform(0.93, 1.07, (n, 1, 1, 3))
    out = out * gain.astype(np.float32) + r.uniform(-14, 14, (n, 1, 1, 1)).astype(np.float32)
    return np.clip(out, 0, 255) / np.float32(127.5) - np.float32(1)


def two_thirds(x):
    """[n, 96, 96, 3] as [n, 64, 64, 3], by area: most of the learning needs less than half the time on small pictures."""
    for axis in (1, 2):
        a, b, c = (jax.lax.slice_in_dim(x, i, None, 3, axis) for i in range(3))
        x = jnp.stack([(2 * a + b) / 3, (b + 2 * c) / 3], axis + 1).reshape(*x.shape[:axis], -1, *x.shape[axis + 1 :])
    return x


def loss(weights, x, y):
    scores, _ = network.logits(weights, x)
    log_p = jax.nn.log_softmax(scores)
    classes = log_p.shape[1]
    target = jax.nn.one_hot(y, classes) * (1 - SMOOTHING) + SMOOTHING / classes
    return -(target * log_p).sum(1).mean()


def stepper(decay=0.02):
    """Adam with decoupled weight decay; `i` counts from 0."""

    @partial(jax.jit, static_argnums=5)
    def step(state, x, y, i, lr, small):
        w, m, v, mean = state
        x = two_thirds(x) if small else x
        value, g = jax.value_and_grad(loss)(w, x, y)
        m = jax.tree.map(lambda a, b: 0.9 * a + 0.1 * b, m, g)
        v = jax.tree.map(lambda a, b: 0.999 * a + 0.001 * b * b, v, g)
        scale = jnp.sqrt(1 - 0.999 ** (i + 1)) / (1 - 0.9 ** (i + 1))
        shrink = lambda a: 1 - lr * decay * (a.ndim > 1)
        w = jax.tree.map(lambda a, b, c: a * shrink(a) - lr * scale * b / (jnp.sqrt(c) + 1e-8), w, m, v)
        mean = jax.tree.map(lambda a, b: a + (b - a) * jnp.maximum(1 / (i + 1), 1 - FORGET), mean, w)
        return (w, m, v, mean), value

    return step


def settled_moments(weights, pixels, r, batch=256, batches=8):
    """Means and variances that batch norm uses from now on, from training pictures as they are trained on."""
    run = jax.jit(lambda w, x: network.logits(w, x)[1])
    total = None
    for _ in range(batches):
        chosen = np.sort(r.choice(len(pixels), batch, replace=False))
        seen = run(weights, varied(pixels[chosen], r))
        total = seen if total is None else jax.tree.map(jnp.add, total, seen)
    return jax.tree.map(lambda a: a / batches, total)


def accuracy(model, pixels, labels):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    right = 0
    for i in range(0, len(pixels), 64):
        (p,) = session.run(None, {"image": scaled(pixels[i : i + 64])})
        right += int((p.argmax(1) == labels[i : i + 64]).sum())
    return right / len(pixels)


def main():
    wants = argparse.ArgumentParser()
    wants.add_argument("--epochs", type=int, default=12)
    wants.add_argument("--batch", type=int, default=32)
    wants.add_argument("--rate", type=float, default=3e-3)
    wants.add_argument("--small", type=int, default=0, help="so many epochs on pictures of two thirds the size first")
    wants.add_argument("--spread", type=float, default=0, help="deviation of the channels' scales at the start")
    wants.add_argument("--warm", type=int, default=200, help="steps until the full rate")
    wants.add_argument("--seed", type=int, default=0)
    wants.add_argument("--from", dest="start", type=Path, help="weights to go on from")
    wants.add_argument("--minutes", type=float, help="end by then, with the rate's fall brought forward")
    wants = wants.parse_args()

    pixels, y, names = rows("train")
    check, check_y, _ = rows("calibration")
    weights = pickle.loads(wants.start.read_bytes())["last"] if wants.start else network.init(wants.seed, len(names))
    weights = network.spread(weights, wants.spread, wants.seed)
    count = sum(a.size for a in jax.tree.leaves(weights))
    print(f"{count / 1e6:.2f} M weights, {len(pixels)} pictures, {len(names)} classes", flush=True)

    r = np.random.default_rng(wants.seed)
    a_turn = len(pixels) // wants.batch
    step = stepper()
    zeros = jax.tree.map(jnp.zeros_like, weights)
    state, i, begun = (weights, zeros, zeros, weights), 0, time.time()

    def done():
        """From 0 to 1: the share of the steps, or of the time where that is short."""
        share = i / (wants.epochs * a_turn)
        return min(1, max(share, (time.time() - begun) / 60 / wants.minutes if wants.minutes else 0))

    def rate():
        """A cosine, after a short rise."""
        return wants.rate * (0.5 * (1 + math.cos(math.pi * done())) + 0.005) * min(1, (i + 1) / wants.warm)

    for epoch in range(wants.epochs):
        order, total = r.permutation(len(pixels)), 0.0
        for k in range(a_turn):
            chosen = np.sort(order[k * wants.batch : (k + 1) * wants.batch])
            x = varied(pixels[chosen], r)
            state, value = step(state, x, y[chosen], jnp.float32(i), jnp.float32(rate()), epoch < wants.small)
            i, total = i + 1, total + float(value)
            if i % 100 == 0 or i in (1, 5, 20):
                print(f"  step {i}: loss {total / (k + 1):.3f}, {time.time() - begun:.0f} s", flush=True)
            if done() == 1:
                break
        mean = state[3]
        moments = settled_moments(mean, pixels, np.random.default_rng(1))
        kept = jax.tree.map(np.asarray, dict(mean=mean, moments=moments, last=state[0]))
        (CACHE / "weights.pkl").write_bytes(pickle.dumps(kept))
        made = network.to_onnx(mean, moments)
        onnx.save(made, CACHE / "vision.onnx")
        right = accuracy(made, check, check_y)
        print(
            f"epoch {epoch + 1}/{wants.epochs}: loss {total / (k + 1):.4f}, calibration pictures right {right:.4f}, "
            f"{time.time() - begun:.0f} s",
            flush=True,
        )
        if done() == 1:
            break


if __name__ == "__main__":
    main()
