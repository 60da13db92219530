"""Draws the weights of resnet50.py's files, which it wrote without them: needs NumPy alone.

    python scripts/models/resnet50_weights.py FOLDER
"""

import json
import sys
from pathlib import Path

import numpy as np


def draw(folder: Path) -> dict[str, np.ndarray]:
    plan = json.loads((folder / "weights.json").read_text())
    r = np.random.default_rng(plan["seed"])
    return {
        name: (r.normal(0, deviation, shape) if deviation > 0 else np.zeros(shape)).astype(np.float32)
        for name, shape, deviation in plan["tensors"]
    }


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    weights = draw(folder)
    for name, kind in (("resnet50", np.float32), ("resnet50_fp16", np.float16)):
        with open(folder / name / "1" / "weights.bin", "wb") as file:
            for tensor in weights.values():
                file.write(tensor.astype(kind).tobytes())
