"""What `digits` learns from and is judged by. Every function is deterministic by its seed."""

import numpy as np
from PIL import Image, ImageFilter
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import strokes
from picture import KERNELS, MARGIN, THRESHOLD, fit_ink

SPLIT_SEED = 4
TRAIN_SEED = 1
STROKES_TEST_SEED = 1_000_003

Rng = np.random.Generator


def split():
    """scikit-learn's digits as (train images, train labels, held-out images, held-out labels), 0..16."""
    digits = load_digits()
    train, held, train_labels, held_labels = train_test_split(
        digits.images.astype(np.uint8), digits.target, test_size=0.2, stratify=digits.target, random_state=SPLIT_SEED
    )
    return train, train_labels.astype(np.int32), held, held_labels.astype(np.int32)


def enlarge(image: np.ndarray, side: int, kernel=Image.Resampling.BICUBIC) -> np.ndarray:
    """An 8x8 of 0..16 as a uint8 picture of side x side, as someone would make a PNG of it."""
    return np.asarray(Image.fromarray((image * (255 / 16)).round().astype(np.uint8)).resize((side, side), kernel))


def _preprocess(picture: np.ndarray, r: Rng) -> np.ndarray:
    """fit_ink around its stated parameters, now and then with dark ink on bright ground."""
    if r.random() < 0.1:
        picture = 255 - picture
    kernel = KERNELS[r.integers(len(KERNELS))]
    return fit_ink(picture, kernel, MARGIN + r.uniform(-0.05, 0.06), THRESHOLD + r.uniform(-0.2, 0.2))


UPSCALE = [Image.Resampling.NEAREST, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS]


def _upscaled(image: np.ndarray, r: Rng) -> np.ndarray:
    """A digit that went through a PNG of some size, undistorted otherwise."""
    return _preprocess(enlarge(image, int(r.choice([8, 16, 28, 64, 112])), UPSCALE[r.integers(4)]), r)


def _distorted(image: np.ndarray, r: Rng) -> np.ndarray:
    """Turned, slanted, scaled, shifted, thinner or thicker; read directly or through the preprocess."""
    side = 64
    picture = Image.fromarray(np.pad(enlarge(image, side, UPSCALE[r.integers(4)]), side // 4))
    turn, shear = np.radians(r.normal(0, 7)), r.normal(0, 0.1)
    stretch = np.exp(r.normal(0, 0.08, 2))
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ [[1, shear], [0, 1]] / stretch
    centre = np.full(2, picture.width / 2)
    shift = centre - matrix @ centre + r.normal(0, 2.5, 2)
    picture = picture.transform(
        picture.size, Image.Transform.AFFINE, (*matrix[0], shift[0], *matrix[1], shift[1]), Image.Resampling.BILINEAR
    )
    pen = r.random()
    if pen < 0.15:
        picture = picture.filter(ImageFilter.MaxFilter(int(r.choice([3, 5]))))
    elif pen < 0.3:
        picture = picture.filter(ImageFilter.MinFilter(int(r.choice([3, 5]))))
    elif pen < 0.45:
        picture = picture.filter(ImageFilter.GaussianBlur(r.uniform(1, 4)))
    pixels = np.asarray(picture)
    if r.random() < 0.35:
        return _preprocess(pixels, r)
    middle = pixels[side // 4 : side // 4 + side, side // 4 : side // 4 + side]
    return np.asarray(Image.fromarray(middle).resize((8, 8), Image.Resampling.BOX), np.float32) / 255


def training(images: np.ndarray, labels: np.ndarray, distorted=24, upscaled=8, plain=8, drawings=30_000):
    """(float32 [n, 8, 8] in 0..1, labels). Numbers are copies of each image; a drawing is seen in two crops."""
    r = np.random.default_rng(TRAIN_SEED)
    x, y = [], []
    for image, label in zip(images, labels):
        rows = [_distorted(image, r) for _ in range(distorted)] + [_upscaled(image, r) for _ in range(upscaled)]
        x += rows + [image / np.float32(16)] * plain
        y += [label] * (len(rows) + plain)
    for i in range(drawings):
        digit = i % 10
        picture = (strokes.typed if i % 12 == 0 else strokes.draw)(digit, r)
        x += [_preprocess(picture, r), _preprocess(picture, r)]
        y += [digit] * 2
    return np.stack(x).astype(np.float32), np.array(y, np.int32)


def drawn_test(count=2000):
    """Pictures of a pen of 18 to 24 px on the 280 px canvas, from a seed of their own."""
    r = np.random.default_rng(STROKES_TEST_SEED)
    labels = np.arange(count) % 10
    return np.stack([strokes.draw(d, r, pen=(18, 24)) for d in labels]), labels


def contrast(x: np.ndarray, r: Rng) -> np.ndarray:
    """Per batch: fainter or stronger ink, another gamma, a little noise."""
    shape = (len(x), 1, 1)
    x = x ** np.exp(r.normal(0, 0.2, shape)) * r.uniform(0.65, 1.1, shape) + r.normal(0, 0.02, x.shape)
    return np.clip(x, 0, 1).astype(np.float32)
