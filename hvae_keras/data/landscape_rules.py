"""What every scene of `landscapes` obeys, asked of pictures without their factors.

A picture is read first: the time of day, and the kind of thing at each pixel, by the nearest colour. Each rule
looks at that. So the rules can be asked of a generated picture, whoever drew it.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from hvae_keras.data.landscapes import (
    COLOURS,
    KINDS,
    LIGHT_RADIUS,
    LIGHTS,
    SIZE,
    TIMES,
    light_row,
    rgb,
)
from hvae_keras.data.rules import Rule, RuleBook, checked_pictures

CLIP = 0.05  # the most that a pixel can cost: one that no time explains says nothing about the time
READ_AT_ONCE = 10  # pictures parsed at once: few enough to stay in a processor's cache
# What lies before what, and how far down the sky (or the ground): their mixtures, at edges, are shades too.
EDGES = (
    ("light", "sky", 0.3),
    ("light", "sky", 0.6),
    ("cloud", "sky", 0.3),
    ("mountain", "sky", 0.6),
    ("mountain", "sky", 0.9),
    ("snow", "sky", 0.6),
    ("snow", "mountain", 0),
    ("snow", "light", 0),
    ("snow", "cloud", 0),
    ("mountain", "light", 0),
    ("cloud", "light", 0),
    ("round crown", "ground", 0.5),
    ("fir crown", "ground", 0.5),
    ("round crown", "water", 0),
    ("fir crown", "water", 0),
    ("water", "ground", 0.5),
    ("rock", "ground", 0.5),
    ("rock", "water", 0),
)


@dataclass(frozen=True)
class Parsed:
    """Pictures as they were read.

    x: the pictures, float32 `[n, 32, 32, 3]`.
    time: index of the time of day, int64 `[n]`; labels: indices into KINDS, int64 `[n, 32, 32]`.
    horizon: the row that best parts sky from ground, int64 `[n]`.
    cost: how badly each time explains each pixel, `[n, 4, 32, 32]`.
    """

    x: np.ndarray
    time: np.ndarray
    labels: np.ndarray
    horizon: np.ndarray
    cost: np.ndarray

    def kind(self, *names: str) -> np.ndarray:
        """Return which pixels are of these kinds, bool `[n, 32, 32]`."""
        return np.isin(self.labels, [KINDS.index(name) for name in names])

    def below(self) -> np.ndarray:
        """Return which rows are below the horizon, bool `[n, 32, 1]`."""
        return (np.arange(SIZE) >= self.horizon[:, None])[..., None]


def parse(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the time of day, `[n]`, and the kind of each pixel, `[n, 32, 32]`, both int64, of `[n, 32, 32, 3]`.

    The time is the one whose colours explain the picture best; the kind, that of the nearest of its colours. Both
    are indices, into TIMES and KINDS.
    """
    parsed = read(x)
    return parsed.time, parsed.labels


def rules_kept(x: np.ndarray) -> dict[str, np.ndarray]:
    """Return, for each of RULES, which of the pictures `[n, 32, 32, 3]` keep it: name -> bool `[n]`."""
    return RULES.kept(x)


def read(x: np.ndarray) -> Parsed:
    """Parse pictures `[n, 32, 32, 3]`; see `parse`. Raises ValueError for another shape, NaN and infinity."""
    x = checked_pictures(x, (SIZE, SIZE, 3))
    cost = np.empty((len(x), len(TIMES), SIZE, SIZE), "float32")
    labels = np.empty((len(x), SIZE, SIZE), "int64")
    for start in range(0, len(x), READ_AT_ONCE):
        part = slice(start, start + READ_AT_ONCE)
        cost[part], labels[part] = explain(x[part])
    return Parsed(x, cost.sum(axis=(2, 3)).argmin(axis=1), labels, best_horizon(labels), cost)


def explain(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what each time costs at each pixel, `[n, 4, 32, 32]`, and the kinds by the cheapest, `[n, 32, 32]`.

    The cost is the squared distance of the pixel to the nearest of that time's shades, but CLIP at most.
    """
    colours, kinds = shades()
    points = x.reshape(-1, 3).T
    # |x - c|² without |x|², which no choice of c changes: [4 times, shades, points]. Written out, because a matrix
    # product over three numbers is slow where its threads have to share processors.
    distance = (colours**2).sum(axis=-1, keepdims=True)
    for channel, values in enumerate(points):
        distance = distance - (2 * colours[..., channel, None]) * values
    least = distance.min(axis=1) + (points**2).sum(axis=0)
    cost = np.minimum(least, CLIP).reshape(len(TIMES), -1, SIZE, SIZE).swapaxes(0, 1)
    time = cost.sum(axis=(2, 3)).argmin(axis=1)
    distance = distance.reshape(len(TIMES), len(kinds), -1, SIZE, SIZE)[time, :, np.arange(len(x))]
    return cost, kinds[distance.argmin(axis=1)]


@cache
def shades() -> tuple[np.ndarray, np.ndarray]:
    """Return all colours that pictures have and their kinds, float32 `[4 times, shades, 3]` and int64 `[shades]`.

    Besides COLOURS: steps of the two gradients, and mixtures at edges, of the kind that has more of them.
    """
    kind = {name: row[0] for name, row in COLOURS.items()} | {"sky": "sky", "ground": "ground"}
    found = [(kind[name], shade(name)) for name in COLOURS]
    found += [("sky", shade("sky", down)) for down in np.arange(1, 8) / 8]
    found += [("ground", shade("ground", 0.5))]
    for front, back, down in EDGES:
        for part, name in ((0.35, back), (0.65, front)):
            found.append((kind[name], part * shade(front) + (1 - part) * shade(back, down)))
    kinds, colours = zip(*found, strict=True)
    return np.stack(colours, axis=1).astype("float32"), np.array([KINDS.index(kind) for kind in kinds])


def shade(name: str, down: float = 0) -> np.ndarray:
    """Return a colour at each time of day, `[4, 3]`; "sky" and "ground" are gradients, down from 0 to 1."""
    colour = dict(zip(COLOURS, rgb().swapaxes(0, 1), strict=True))
    if name in colour:
        return colour[name]
    first, last = (colour[one] for one in COLOURS if one.startswith(name + ","))
    return (1 - down) * first + down * last


def best_horizon(labels: np.ndarray) -> np.ndarray:
    """Return the row from which on most is of the ground, above which most is of the sky, int64 `[n]`."""
    up = np.isin(labels, [KINDS.index(name) for name in ("sky", "cloud", "mountain")]).sum(axis=2)
    down = np.isin(labels, [KINDS.index(name) for name in ("ground", "water", "tree", "rock")]).sum(axis=2)
    right = np.cumsum(up - down, axis=1)  # pixels that a horizon below row k gets right, but for a constant
    return right.argmax(axis=1) + 1


def solid(mask: np.ndarray, least: int = 3) -> np.ndarray:
    """Return the pixels of a mask `[n, 32, 32]` with at least so many of it among the nine around and in them."""
    padded = np.pad(mask, [(0, 0), (1, 1), (1, 1)]).astype("int8")
    around = sum(padded[:, i : i + SIZE, j : j + SIZE] for i, j in np.ndindex(3, 3))
    return mask & (around >= least)


def few(mask: np.ndarray, most: int = 2) -> np.ndarray:
    """Return where at most a few pixels of a mask `[n, 32, 32]` are true, bool `[n]`."""
    return mask.sum(axis=(1, 2)) <= most


def sky_above_ground(parsed: Parsed) -> np.ndarray:
    """Return where, in each column, nothing of the sky lies below a mountain or the ground."""
    firm = solid(parsed.kind("ground", "mountain"), 5)
    sky = solid(parsed.kind("sky", "cloud"))
    return few(sky & np.logical_or.accumulate(firm, axis=1)) & sky.any(axis=(1, 2)) & firm.any(axis=(1, 2))


def one_horizon(parsed: Parsed) -> np.ndarray:
    """Return where the ground begins at the same row in every column, or one row beside it."""
    ground = solid(parsed.kind("ground"))
    first = np.where(ground.any(axis=1), ground.argmax(axis=1), -SIZE)
    return (np.abs(first - parsed.horizon[:, None]) <= 1).all(axis=1)


def one_time(parsed: Parsed) -> np.ndarray:
    """Return where both halves, the sky and the ground, each have the time of the whole."""
    right = np.broadcast_to(np.arange(SIZE) >= SIZE // 2, (1, SIZE, SIZE))
    below = np.broadcast_to(parsed.below(), parsed.labels.shape)
    kept = np.ones(len(parsed.time), bool)
    for region in (right, ~right, below, ~below):
        kept &= (parsed.cost * region[:, None]).sum(axis=(2, 3)).argmin(axis=1) == parsed.time
    return kept


def one_light(parsed: Parsed) -> np.ndarray:
    """Return where the light is where the time has it, or hidden there, and nowhere else in the sky."""
    column, part = np.array(list(LIGHTS.values()))[parsed.time].T[..., None, None]
    row = light_row(part, parsed.horizon[:, None, None])
    middle = np.arange(SIZE) + 0.5
    away = np.hypot(middle - column, middle[:, None] - row)
    stray = parsed.kind("light") & ~parsed.below() & (away > LIGHT_RADIUS + 1.2)
    missing = ~parsed.kind("light", "cloud", "mountain") & (away < 1.5)  # of nine pixels in its middle
    return few(stray) & few(missing, 4)


def trees_below_horizon(parsed: Parsed) -> np.ndarray:
    """Return where no tree and no rock is above the horizon."""
    return few(solid(parsed.kind("tree", "rock")) & ~parsed.below())


def reflections_in_water(parsed: Parsed) -> np.ndarray:
    """Return where light below the horizon is in water, and below the light.

    What ends a row of light on the left, and on the right, is water or stands before it: a tree or a rock.
    """
    column = np.array([place for place, _ in LIGHTS.values()])[parsed.time][:, None, None]
    light = parsed.kind("light") & parsed.below()
    astray = np.abs(np.arange(SIZE) + 0.5 - column) > 2.5
    wet = parsed.kind("water", "tree", "rock")
    wet[..., 1:-1] |= wet[..., :-2] | wet[..., 2:]  # the very edge of a tree, before light, may look like anything
    dry_left, dry_right = ~last_other(wet, light), ~last_other(wet[..., ::-1], light[..., ::-1])[..., ::-1]
    return few(light & (astray | dry_left | dry_right))


def last_other(mask: np.ndarray, skipped: np.ndarray) -> np.ndarray:
    """Return the mask `[n, 32, 32]` at the last pixel left of each that is not skipped; true if there is none."""
    place = np.maximum.accumulate(np.where(skipped, -1, np.arange(SIZE)), axis=-1)
    return np.take_along_axis(mask, np.maximum(place, 0), axis=-1) | (place < 0)


def water_on_ground(parsed: Parsed) -> np.ndarray:
    """Return where water touches neither the horizon nor the lower edge of the picture."""
    rows = np.arange(SIZE)[None, :, None]
    outside = (rows <= parsed.horizon[:, None, None]) | (rows == SIZE - 1)
    return few(solid(parsed.kind("water")) & outside)


RULES = RuleBook(
    read,
    {
        "sky above ground": Rule(2, sky_above_ground, "In no column does sky lie below a mountain or the ground."),
        "one horizon": Rule(2, one_horizon, "The ground begins at the same row in every column."),
        "one time of day": Rule(
            2, one_time, "Left, right, sky and ground have the colours of the same time of day."
        ),
        "one light": Rule(2, one_light, "There is one sun or moon, and it is where its time of day has it."),
        "trees below the horizon": Rule(1, trees_below_horizon, "No tree and no rock is above the horizon."),
        "reflections in water only": Rule(
            1, reflections_in_water, "Light on the ground is in water, below the sun or the moon."
        ),
        "water lies on the ground": Rule(
            1, water_on_ground, "Water has ground around it and does not touch the horizon."
        ),
    },
)
