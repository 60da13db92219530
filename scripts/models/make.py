"""Trains the models of models/ and writes the test data made with them. `--check` only measures what is there."""

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

import engine_zoo
import networks
import picture
import samples

ROOT = Path(__file__).resolve().parents[2]
MODELS, DATA = ROOT / "models", ROOT / "test" / "data"


class Rows(CalibrationDataReader):
    """Calibration data for the quantiser: one batch of 64 at a time."""

    def __init__(self, name: str, rows: np.ndarray, batch: int = 64):
        self._batches = iter([{name: rows[i : i + batch]} for i in range(0, len(rows), batch)])

    def get_next(self):
        return next(self._batches, None)


def quantize(source: Path, target: Path, rows: Rows) -> None:
    """Static QDQ, U8 activations, S8 weights per channel.

    The weights use seven of their eight bits (reduce_range): AVX2 without VNNI adds two U8xS8 products in 16 bits and
    would saturate, so that the same model would answer differently on different CPUs.
    Softmax stays float.
    """
    quantize_static(
        source,
        target,
        rows,
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=True,
        op_types_to_quantize=["Conv", "Relu", "MaxPool", "Flatten", "Gemm", "Add", "GlobalAveragePool"],
    )
    made = onnx.load(target)
    made.ir_version, made.producer_name = networks.IR, "subten"
    onnx.save(made, target)


def session(name: str) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    path = MODELS / name / "1" / "model.onnx"
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def train_all(train, labels) -> None:
    for name in ("digits", "digits_int8", "digits_triton", "mlp"):
        (MODELS / name / "1").mkdir(parents=True, exist_ok=True)
    target = lambda name: MODELS / name / "1" / "model.onnx"

    print("digits: making samples (a minute)")
    x, y = samples.training(train, labels)
    print(f"digits: training on {len(x)} samples (a minute)")
    weights = networks.train(
        networks.digits_logits, networks.digits_init(0), x, y, seed=0, epochs=8, keep=0.7, augment=samples.contrast
    )
    onnx.save(networks.digits_onnx(weights), target("digits"))
    shutil.copyfile(target("digits"), target("digits_triton"))

    calibration = x[np.random.default_rng(0).permutation(len(x))[:1024], None]
    quantize(target("digits"), target("digits_int8"), Rows("image", calibration))

    few = labels < 8
    rows = train[few].reshape(-1, 64) / np.float32(16)
    print(f"mlp: training on {len(rows)} samples")
    weights = networks.train(
        networks.mlp_logits, networks.mlp_init(0), rows, labels[few], seed=0, epochs=60, batch=64
    )
    onnx.save(networks.mlp_onnx(weights), target("mlp"))


def accuracy(session, input_name, x, y) -> float:
    (out,) = session.run(None, {input_name: x})
    return float((out.argmax(1) == y).mean())


def measure(held, labels) -> None:
    plain = (held / np.float32(16)).astype(np.float32)[:, None]
    fit = lambda pictures, *a: np.stack([picture.fit_ink(p, *a) for p in pictures])[:, None]
    pictures, digits_drawn = samples.drawn_test()
    cases = {f"held-out digits ({len(held)})": (plain, labels)}
    for kernel in samples.UPSCALE:
        enlarged = [samples.enlarge(i, 280, kernel) for i in held]
        cases[f"held-out as 280x280 pictures, {kernel.name.lower()}"] = (fit(enlarged), labels)
    cases["held-out as 8x8 pictures"] = (fit([samples.enlarge(i, 8) for i in held]), labels)
    for kernel in picture.KERNELS:
        cases[f"drawn strokes ({len(pictures)}), {kernel.name.lower()}"] = (fit(pictures, kernel), digits_drawn)
    pair = session("digits"), session("digits_int8")
    print(f"{'':48}  digits  digits_int8")
    for title, (x, y) in cases.items():
        print(f"{title:48}  " + "  ".join(f"{accuracy(s, 'image', x, y):.4f}" for s in pair))
    few = labels < 8
    right = accuracy(session("mlp"), "input", plain[few].reshape(-1, 64), labels[few])
    print(f"{f'mlp, held-out digits 0 to 7 ({few.sum()})':48}  {right:.4f}")


def write_test_data(held, labels) -> None:
    DATA.mkdir(parents=True, exist_ok=True)
    header = {
        "source": "scikit-learn load_digits (UCI optdigits, test part), the fifth held out of training",
        "seed": samples.SPLIT_SEED,
        "scale": "0..16, row by row; the models take value / 16",
    }
    rows = [json.dumps(row, separators=(",", ":")) for row in held.reshape(len(held), 64).tolist()]
    text = json.dumps(header, indent=1)[:-2] + f',\n "labels": {json.dumps(labels.tolist(), separators=(",", ":"))}'
    text += ',\n "images": [\n  ' + ",\n  ".join(rows) + "\n ]\n}\n"
    (DATA / "digits-heldout.json").write_text(text)

    cases = {}
    for name, shape in (("digits", (8, 1, 8, 8)), ("digits_int8", (8, 1, 8, 8)), ("mlp", (8, 64))):
        run = session(name)
        x = (held[:8] / np.float32(16)).astype(np.float32).reshape(shape)
        (out,) = run.run(None, {run.get_inputs()[0].name: x})
        cases[name] = {"inputs": [tensor(run.get_inputs()[0].name, x)], "outputs": [tensor(run.get_outputs()[0].name, out)]}
    reference = {"onnxruntime": ort.__version__, "models": cases}
    (DATA / "reference.json").write_text(json.dumps(reference, separators=(",", ":")) + "\n")


def tensor(name: str, value: np.ndarray) -> dict:
    return {"name": name, "datatype": "FP32", "shape": list(value.shape), "data": value.ravel().tolist()}


def check_configs() -> None:
    """The preprocess that training assumed is the one the configs promise."""
    for name in ("digits", "digits_int8", "digits_triton"):
        text = (MODELS / name / "config.pbtxt").read_text()
        literal = re.search(r'"subten\.preprocess"\s*value:\s*{\s*string_value:\s*("(?:[^"\\]|\\.)*")', text).group(1)
        spec = json.loads(json.loads(literal))
        assert (spec["margin"], spec["threshold"]) == (picture.MARGIN, picture.THRESHOLD), name
        assert spec["height"] == spec["width"] == picture.SIZE, name


def main() -> None:
    train, train_labels, held, held_labels = samples.split()
    check_configs()
    if "--check" not in sys.argv:
        train_all(train, train_labels)
        write_test_data(held, held_labels)
        engine_zoo.main()
    measure(held, held_labels)


if __name__ == "__main__":
    main()
