"""Writes the .npz files beside it, as NumPy writes them: what test/unit/data reads, beside files made by hand.

    python3 test/data/npz/make.py
"""

from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
KINDS = ["bool", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"]


def main() -> None:
    # Each type with its least and its largest value, where it has these.
    every = {}
    for kind in KINDS:
        dtype = np.dtype(kind)
        limits = [False, True] if kind == "bool" else None
        if limits is None:
            info = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(dtype)
            limits = [info.min, info.max]
        every[kind] = np.array([limits[0], 1, limits[1]], dtype)
    every["scalar"] = np.array(2.5, "f4")
    every["empty"] = np.zeros((0, 3), "f4")
    every["cube"] = np.arange(24, dtype="f4").reshape(2, 3, 4)
    np.savez(HERE / "stored.npz", **every)
    np.savez_compressed(HERE / "deflated.npz", **every)

    np.savez_compressed(HERE / "fortran.npz", x=np.asfortranarray(np.arange(6, dtype="f4").reshape(2, 3)))
    np.savez_compressed(HERE / "big_endian.npz", x=np.arange(3, dtype=">f4"))
    np.savez_compressed(HERE / "objects.npz", x=np.array([{}, None], dtype=object))
    np.savez_compressed(HERE / "strings.npz", x=np.array(["a", "bc"]))
    np.savez_compressed(HERE / "records.npz", x=np.zeros(2, dtype=[("a", "f4"), ("b", "i4")]))


if __name__ == "__main__":
    main()
