"""`sprites`: 6,144 generated 32×32 images, one for every combination of five known factors."""

import numpy as np

from hvae_keras.data.dataset import Dataset, Split

SIZE = 32
SHAPES = ("square", "ellipse", "heart")
SCALES = (0.55, 0.7, 0.85, 1.0)
# A square looks the same after 90 degrees: the range stops before, so that no two images are equal.
ROTATIONS = tuple(11.25 * step for step in range(8))
POSITIONS = tuple(range(9, 24, 2))  # centre of the sprite, in pixels from the left or the top edge
RADIUS = 8  # of the largest ellipse, in pixels; the other shapes reach about as far
REACH = 10  # half the side of the area that is drawn, in pixels
SUBPIXELS = 8  # grey level = share of SUBPIXELS² points inside the shape


def load_sprites() -> Dataset:
    """Return white shapes on black, the full grid of shape × scale × rotation × x × y.

    Every pair of factors is exactly independent in the whole set and in each split (see `parts`). The idea is
    that of dSprites (Matthey, Higgins, Hassabis, Lerchner, 2017); the images are ours.
    """
    values = {
        "shape": np.array(SHAPES),
        "scale": np.array(SCALES),
        "rotation": np.array(ROTATIONS),
        "x": np.array(POSITIONS),
        "y": np.array(POSITIONS),
    }
    grid = np.indices([len(value) for value in values.values()]).reshape(len(values), -1)
    factors = dict(zip(values, grid, strict=True))
    splits = [Split(draw(index), index) for index in parts(factors)]
    return Dataset("sprites", *splits, factor_values=values)


def parts(factors: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """Split class indices into train (3/4), validation (1/8) and test (1/8), each in a fixed random order.

    A sum of the indices modulo 8 decides. Rotation, x and y have 8 values each, and a pair of factors leaves
    at least one of the three free, which takes every remainder once: all pairs of values are equally
    frequent in each part.
    """
    rng = np.random.RandomState(0)
    key = (factors["shape"] + 2 * factors["scale"] + factors["rotation"] + factors["x"] + factors["y"]) % 8
    chosen = [(key != 0) & (key != 4), key == 0, key == 4]
    order = [rng.permutation(np.flatnonzero(part)) for part in chosen]
    return [{name: index[part].astype("int64") for name, index in factors.items()} for part in order]


def draw(factors: dict[str, np.ndarray]) -> np.ndarray:
    """Draw images float32 `[n, 32, 32, 1]` from class indices.

    Positions are whole pixels, so each shape, scale and rotation is drawn once, in the middle of a canvas
    twice as wide as an image, and images are windows of that canvas.
    """
    stamps = np.stack(
        [[[stamp(shape, scale, rotation) for rotation in ROTATIONS] for scale in SCALES] for shape in SHAPES]
    )
    windows = np.lib.stride_tricks.sliding_window_view(stamps, (SIZE, SIZE), axis=(3, 4))
    positions = np.array(POSITIONS)
    row, column = SIZE - positions[factors["y"]], SIZE - positions[factors["x"]]
    images = windows[factors["shape"], factors["scale"], factors["rotation"], row, column]
    return images[..., None].astype("float32")


def stamp(shape: str, scale: float, rotation: float) -> np.ndarray:
    """Draw one sprite, rotated `rotation` degrees anticlockwise, in the middle of a `[64, 64]` canvas."""
    # A pixel covers [p, p + 1) measured from the centre of the canvas; points lie mid-subpixel.
    points = (np.arange(-REACH * SUBPIXELS, REACH * SUBPIXELS) + 0.5) / SUBPIXELS
    right, up = points[None, :], -points[:, None]
    angle = np.deg2rad(rotation)
    u = (np.cos(angle) * right + np.sin(angle) * up) / (RADIUS * scale)
    v = (np.cos(angle) * up - np.sin(angle) * right) / (RADIUS * scale)
    if shape == "square":
        inside = np.maximum(np.abs(u), np.abs(v)) < 0.71
    elif shape == "ellipse":
        inside = u**2 + (v / 0.6) ** 2 < 1
    else:  # a heart: the level curve (a² + b² - 1)³ = a² b³
        a, b = u / 0.7, v / 0.7
        inside = (a**2 + b**2 - 1) ** 3 < a**2 * b**3
    grey = inside.reshape(2 * REACH, SUBPIXELS, 2 * REACH, SUBPIXELS).mean(axis=(1, 3))
    return np.pad(grey, SIZE - REACH)
