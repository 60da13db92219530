"""From a picture of any size to the 8x8 that `digits` takes: the same steps as the HTTP server's.

The server does this with libvips, whose kernels differ a little from Pillow's, so training draws the
resampling kernel, the threshold and the margin at random around the values stated here.
"""

import numpy as np
from PIL import Image

# The same numbers as `subten.preprocess` in models/digits/config.pbtxt; make.py checks that they agree.
SIZE = 8
MARGIN = 0.05  # of the longer side of the ink's bounding box, added on each side of the square
THRESHOLD = 0.25  # of the brightest pixel; what is fainter does not count as ink when the box is sought

KERNELS = [
    Image.Resampling.BOX,
    Image.Resampling.BILINEAR,
    Image.Resampling.HAMMING,
    Image.Resampling.BICUBIC,
    Image.Resampling.LANCZOS,
]


def white_on_black(gray: np.ndarray) -> np.ndarray:
    """Inverts a picture whose border is bright: digits rarely touch it, so the border is background."""
    border = np.concatenate([gray[0], gray[-1], gray[1:-1, 0], gray[1:-1, -1]])
    return 255 - gray if border.mean() > 127.5 else gray


def fit_ink(
    gray: np.ndarray,
    kernel: Image.Resampling = Image.Resampling.LANCZOS,
    margin: float = MARGIN,
    threshold: float = THRESHOLD,
) -> np.ndarray:
    """uint8 [h, w] to float32 [8, 8] in 0..1: cut out the ink, centre it in a square, shrink."""
    gray = white_on_black(gray)
    ink = gray >= max(1.0, threshold * float(gray.max()))
    if ink.any():
        rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
        gray = gray[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = gray.shape
    side = max(1, round(max(height, width) * (1 + 2 * margin)))
    square = np.zeros((side, side), np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = gray
    small = Image.fromarray(square).resize((SIZE, SIZE), kernel)
    return np.asarray(small, np.float32) / 255
