"""Quantises models/vision, measures each variant on the held-out pictures and writes their configs.

python scripts/vision/variants.py [--try]     needs the rows of `node scripts/vision/data.mjs --rows`

`vision` is .cache/vision/vision.onnx, as train.py left it, where there is one. `--try` only prints what each way of
calibrating gives (entropy takes minutes).
"""

import hashlib
import json
import logging
import math
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

import network
from train import CACHE, ROOT, rows, scaled

MODELS = ROOT / "models"
HELD_OUT = "2,000 held-out pictures of npm run vision:data, of another seed than the training pictures"
# Softmax stays float: a table of 256 probabilities would round small ones to nothing and costs no time.
OPERATORS = ["Conv", "Relu", "GlobalAveragePool", "Flatten", "Gemm"]

METHODS = {
    "minmax": (CalibrationMethod.MinMax, {}),
    "entropy": (CalibrationMethod.Entropy, {}),
    "percentile": (CalibrationMethod.Percentile, {"CalibPercentile": 99.999}),
    "percentile 99.99": (CalibrationMethod.Percentile, {"CalibPercentile": 99.99}),
}

# The first two layers stay float in the careful variant. Their 3 and 24 channels do not fill the integer instructions, so
# they are slower in INT8, and they see the picture before anything has been averaged.
EXCLUDED = ["stem", "stem.relu", "block1.depthwise", "block1.depthwise.relu"]

# What each variant is made with. The second is the shortest recipe there is: what the quantiser does when it is told
# nothing, on the first pictures at hand.
RECIPES = {
    "vision_int8": {"method": "percentile", "perChannel": True, "rows": 512, "excluded": EXCLUDED},
    "vision_int8_minmax": {"method": "minmax", "perChannel": False, "rows": 16, "excluded": []},
}


class Rows(CalibrationDataReader):
    """Calibration pictures, 32 at a time."""

    def __init__(self, pixels):
        self._batches = iter([{"image": scaled(pixels[i : i + 32])} for i in range(0, len(pixels), 32)])

    def get_next(self):
        return next(self._batches, None)


def quantize(source: Path, target: Path, pixels, method: str, per_channel: bool, excluded=()) -> None:
    """Static QDQ, U8 activations, S8 weights.

    The weights use seven of their eight bits (reduce_range): CPUs without VNNI add two U8xS8 products in 16 bits and
    would saturate, so that the same model would answer differently on different CPUs.
    """
    calibrate, options = METHODS[method]
    quantize_static(
        source,
        target,
        Rows(pixels),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=per_channel,
        reduce_range=True,
        calibrate_method=calibrate,
        op_types_to_quantize=OPERATORS,
        nodes_to_exclude=list(excluded),
        extra_options=options,
    )
    made = onnx.load(target)
    made.ir_version, made.producer_name = network.IR, "subten"
    onnx.save(made, target)


# --- measuring -----------------------------------------------------------------------------------------------------------


def session(file: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def answers(file: Path, pixels):
    run = session(file)
    return np.concatenate([run.run(None, {"image": scaled(pixels[i : i + 32])})[0] for i in range(0, len(pixels), 32)]).argmax(1)


def wilson(right: int, n: int, z: float = 1.959964):
    """The 95 % interval of a proportion (Wilson 1927)."""
    share, spread = right / n, z * z / n
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    return middle - half, middle + half


def latencies(files: list[Path], pixels, rounds: int = 300):
    """Medians in ms of one picture on one thread, the models taking turns."""
    runs, took = [session(file) for file in files], [[] for _ in files]
    x = {"image": scaled(pixels[:1])}
    for turn in range(rounds + 20):
        for run, into in zip(runs, took):
            begun = time.perf_counter()
            run.run(None, x)
            if turn >= 20:
                into.append(time.perf_counter() - begun)
    return [float(np.median(t)) * 1e3 for t in took]


# --- configs -------------------------------------------------------------------------------------------------------------

TEXTS = {
    "vision": "Traffic signs, 48 classes: a network of depthwise-separable convolutions trained on pictures that scripts/vision/\n"
    "# draws. Made to measure quantising and serving with, not for real roads.",
    "vision_int8": "`vision` quantised with care: static QDQ, unsigned 8-bit activations with calibrated ranges, signed 8-bit weights\n"
    "# with a scale per channel (scripts/vision/variants.py). Input and output stay FP32.",
    "vision_int8_minmax": "`vision` quantised by the shortest recipe: one scale per tensor, minimum and maximum of 16 pictures. Kept to show\n"
    "# what that costs (docs/int8.md); use vision_int8.",
}

PREPROCESS = {
    "input": "image", "channels": 3, "height": network.SIDE, "width": network.SIDE, "layout": "NCHW",
    "scale": 1 / 255, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "fit": "cover", "kernel": "lanczos3",
}  # fmt: skip


def config(name: str, classes: int, parameters: dict) -> str:
    entries = "".join(
        f"parameters: {{\n  key: {json.dumps(f'subten.{key}')}\n"
        f"  value: {{ string_value: {json.dumps(json.dumps(value, separators=(',', ':')))} }}\n}}\n"
        for key, value in parameters.items()
    )
    return f"""# {TEXTS[name]}
name: "{name}"
backend: "onnxruntime"
max_batch_size: 32
input [
  {{ name: "image" data_type: TYPE_FP32 dims: [ 3, {network.SIDE}, {network.SIDE} ] }}
]
output [
  {{ name: "probabilities" data_type: TYPE_FP32 dims: [ {classes} ] label_filename: "labels.txt" }}
]
# No queue delay: requests that arrive during a run form the next batch by themselves.
dynamic_batching {{ }}

# Written by scripts/vision/variants.py: how a picture becomes the input, what was quantised how, and how often the model
# is right on pictures that it was not trained on, with the 95 % interval.
{entries}"""


def place(name: str) -> Path:
    return MODELS / name / "1" / "model.onnx"


def main() -> None:
    logging.disable(logging.WARNING)  # the quantiser advises steps that this graph does not need
    trained = CACHE / "vision.onnx"
    place("vision").parent.mkdir(parents=True, exist_ok=True)
    if "--try" in sys.argv:
        return try_all(trained if trained.exists() else place("vision"))
    if trained.exists():
        shutil.copyfile(trained, place("vision"))
    calibration, _, labels = rows("calibration")
    held, truth, _ = rows("heldout")
    expected = None
    for name, recipe in {"vision": None, **RECIPES}.items():
        place(name).parent.mkdir(parents=True, exist_ok=True)
        parameters = {"preprocess": PREPROCESS}
        if recipe:
            pixels = calibration[: recipe["rows"]]
            quantize(place("vision"), place(name), pixels, recipe["method"], recipe["perChannel"], recipe["excluded"])
            parameters["quantization"] = {
                "from": "vision",
                "precision": "INT8",
                "method": recipe["method"].split()[0],
                "perChannel": recipe["perChannel"],
                "activations": "U8",
                "target": "cpu",
                "excluded": recipe["excluded"],
                "calibration": {"rows": len(pixels), "sha256": hashlib.sha256(pixels.tobytes()).hexdigest()},
            }
        said = answers(place(name), held)
        expected = said if expected is None else expected
        right = int((said == truth).sum())
        low, high = wilson(right, len(truth))
        parameters["accuracy"] = {
            "top1": right / len(truth), "low": round(low, 4), "high": round(high, 4), "n": len(truth), "data": HELD_OUT,
        }  # fmt: skip
        (MODELS / name / "config.pbtxt").write_text(config(name, len(labels), parameters))
        (MODELS / name / "labels.txt").write_text("\n".join(labels) + "\n")
        print(
            f"{name:20} {right / len(truth):.4f} [{low:.4f}, {high:.4f}] right, as vision {(said == expected).mean():.4f}, "
            f"{place(name).stat().st_size / 1e6:.2f} MB",
            flush=True,
        )
    took = latencies([place(name) for name in ("vision", *RECIPES)], held)
    print(f"one picture, one thread: {', '.join(f'{t:.2f} ms' for t in took)}; {took[0] / took[1]:.2f} times as fast in INT8")


def try_all(source: Path) -> None:
    """Each way of calibrating, with 16 and all rows, on the calibration pictures and on the held-out ones."""
    calibration, own, _ = rows("calibration")
    held, truth, _ = rows("heldout")
    score = lambda file: f"{(answers(file, held) == truth).mean():.4f}"
    print(f"FP32 {score(source)}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "model.onnx"
        for method in METHODS:
            for per_channel in (True, False):
                for count in (16, 512):
                    quantize(source, target, calibration[:count], method, per_channel)
                    print(f"{method:18} per {'channel' if per_channel else 'tensor':8} {count:4} rows  {score(target)}", flush=True)


if __name__ == "__main__":
    main()
