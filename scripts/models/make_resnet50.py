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

from make import Rows, quantize
from resnet50 import CONFIG, SEED, resnet50


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
        (folder / name / "config.pbtxt").write_text(CONFIG.format(name=name, batch=16))
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
