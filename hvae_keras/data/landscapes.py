"""`landscapes`: generated 32×32 scenes in colour, whose factors form a hierarchy that is known exactly.

Level 2, drawn first: the time of day, the horizon, mountains and clouds. Level 1, drawn given the mountains:
trees, rocks, water and the grain of the grass, all on the ground. A sketch of 16×16 pixels shows level 2 alone.
What every scene of this world obeys can be asked of any picture, whoever drew it: see `landscape_rules`.
"""

from collections.abc import Mapping
from functools import cache

import numpy as np

from hvae_keras.data.dataset import Dataset, Split

SIZE = 32
SUBPIXELS = 4  # a share of a pixel is counted in SUBPIXELS² points
BATCH = 250  # pictures painted at once: few enough to stay in a processor's cache
PICTURES = {"train": 8000, "validation": 2000, "test": 2000}

TIMES = ("dawn", "day", "dusk", "night")
HORIZONS = (13, 14, 15, 16, 17, 18)  # the first row of the ground
MOUNTAINS = ("none", "one peak", "two peaks", "range")
CLOUDS = (0, 1, 2, 3)
TREES = (0, 1, 2, 4)
TREE_KINDS = ("round", "fir")
ROCKS = (0, 1, 3)
WATERS = ("none", "pond", "lake")
GRAINS = ("none", "fine", "coarse")
PLACES = tuple(range(8))
FACTORS = {
    "time": TIMES,
    "horizon": HORIZONS,
    "mountains": MOUNTAINS,
    "mountain place": PLACES,
    "clouds": CLOUDS,
    "cloud place": PLACES,
    "trees": TREES,
    "tree kind": TREE_KINDS,
    "tree place": PLACES,
    "rocks": ROCKS,
    "rock place": PLACES,
    "water": WATERS,
    "water place": PLACES,
    "grain": GRAINS,
}
TOP = ("time", "horizon", "mountains", "mountain place", "clouds", "cloud place")
LEVELS = {name: 2 if name in TOP else 1 for name in FACTORS}

# p(value | mountains) in twentieths, a row for each of MOUNTAINS. Every other factor is uniform.
TWENTIETHS = {
    "tree kind": ((17, 3), (12, 8), (7, 13), (2, 18)),
    "rocks": ((15, 4, 1), (8, 8, 4), (4, 9, 7), (1, 5, 14)),
    "water": ((4, 13, 3), (6, 8, 6), (5, 5, 10), (3, 2, 15)),
}

# Which remainders belong to each split; see `sample`.
PARTS = {"train": (0, 1), "validation": (2,), "test": (3,)}

KINDS = ("sky", "light", "cloud", "mountain", "ground", "water", "tree", "rock")
# Colour: its kind, and what it is at dawn, day, dusk and night.
COLOURS = {
    "sky, top": ("sky", "#7d8fd0", "#3f8fe0", "#4a3d86", "#0d1440"),
    "sky, low": ("sky", "#fbc9c4", "#bfe3f7", "#f58a4b", "#2f4390"),
    "light": ("light", "#ffec70", "#fff04a", "#ffe04a", "#fbf8dc"),
    "cloud": ("cloud", "#fdf2f4", "#ffffff", "#d9628a", "#6b6b90"),
    "mountain": ("mountain", "#8a6fa0", "#6a7896", "#5b2f55", "#4a2954"),
    "snow": ("mountain", "#f0a088", "#f2e2d0", "#e8c0d8", "#a89ecc"),
    "ground, far": ("ground", "#a9c48a", "#9fd06a", "#a8843c", "#2e6b57"),
    "ground, near": ("ground", "#7fae74", "#6fb54a", "#80602c", "#225544"),
    "water": ("water", "#4db0c2", "#1f6a9c", "#6a74b8", "#337aa3"),
    "round crown": ("tree", "#3f7d5c", "#2f7d32", "#4d4a1c", "#0a301a"),
    "fir crown": ("tree", "#2f6658", "#1f5f3c", "#3a3a20", "#0a281e"),
    "trunk": ("tree", "#5a4a44", "#6a4526", "#3d2416", "#241808"),
    "rock": ("rock", "#7a6a62", "#9a7f66", "#96948c", "#706657"),
}

# Where the light stands: column, and share of the way from the top of the picture to the horizon.
LIGHTS = {"dawn": (6.5, 0.58), "day": (15.5, 0.27), "dusk": (25.5, 0.58), "night": (21.5, 0.27)}
LIGHT_RADIUS = 2.3

# Clouds: column at place 0, share of the way from the top to the horizon, half width and half height.
CLOUD_SHAPES = ((4, 0.24, 5.2, 1.7), (15, 0.42, 4.0, 1.3), (24, 0.15, 3.6, 1.2))

# Peaks: column at place 0, height, half width.
PEAKS = {
    "none": (),
    "one peak": ((4, 8.5, 10.0),),
    "two peaks": ((4, 8.5, 8.0), (14, 6.0, 7.0)),
    "range": ((2, 5.5, 7.0), (9, 4.0, 6.0), (16, 6.0, 7.0), (22, 4.6, 6.0), (28, 3.6, 6.0)),
}

# Water: half width in pixels, and half height as a share of the ground.
WATER_SHAPES = {"pond": (5.0, 0.13), "lake": (11.0, 0.19)}
# One a place: column, and depth: 0 at the horizon, 1 at the lower edge of the picture.
WATER_PLACES = tuple((column, depth) for depth in (0.36, 0.58) for column in (6.5, 13.5, 20.0, 25.5))

# Where trees and rocks may stand: column and depth of their foot. The first eight are the places.
TREE_SPOTS = (
    (4.0, 0.92), (12.0, 0.40), (28.0, 0.93), (7.0, 0.64), (21.5, 0.38), (11.5, 0.95), (25.5, 0.66), (20.0, 0.94),
    (3.0, 0.38), (16.5, 0.66), (29.0, 0.40),
)  # fmt: skip
ROCK_SPOTS = (
    (7.5, 0.97), (16.0, 0.44), (25.0, 0.96), (4.0, 0.72), (21.0, 0.72), (12.0, 0.76), (26.0, 0.46), (15.5, 0.98),
    (7.5, 0.46), (28.0, 0.74),
)  # fmt: skip
TREE_HEIGHT = 0.68  # over the distance of its foot from the horizon: below 1, so a tree never reaches the horizon
ROCK_WIDTH, ROCK_HEIGHT = 0.27, 0.24  # half the width, and the height, over the same distance
SPOTS = {"tree": TREE_SPOTS, "rock": ROCK_SPOTS}
FOOT = {"tree": 0.1, "rock": ROCK_WIDTH}  # half the width of what touches the ground, over the same distance

GRAIN = 0.04  # the most that grain adds to a colour of the ground, or takes from it


def load_landscapes() -> Dataset:
    """Return 12,000 scenes, each with its sketch: every split is a draw of its own from p(top) p(bottom | top).

    No two splits share a scene of level 2, so no picture of one is in another (see `sample`).
    """
    rng = np.random.RandomState(5)  # not default_rng: NumPy promises that this stream never changes
    splits = {}
    for part, size in PICTURES.items():
        factors = sample(size, rng, PARTS[part])
        splits[part] = Split(draw(factors, rng), factors, sketch(factors))
    values = {name: np.array(value) for name, value in FACTORS.items()}
    return Dataset("landscapes", **splits, factor_values=values, levels=LEVELS)


def given_mountains(factor: str) -> np.ndarray:
    """Return the stated p(factor | mountains), `[4, k]`: a row for each of MOUNTAINS, a column a value.

    Raises ValueError for the mountains, and for a factor that is not there.
    """
    if factor not in FACTORS or factor == "mountains":
        known = ", ".join(name for name in FACTORS if name != "mountains")
        raise ValueError(f"factor is one of {known}; got {factor!r}")
    if factor in TWENTIETHS:
        return np.array(TWENTIETHS[factor]) / 20
    return np.full((len(MOUNTAINS), len(FACTORS[factor])), 1 / len(FACTORS[factor]))


def information_with_mountains(factor: str) -> float:
    """Return the exact mutual information I(mountains; factor) in nats.

    It is the mean KL(p(factor | mountains) ‖ p(factor)): 0 for the uniform factors, and the entropy log 4 for the
    mountains themselves.
    """
    if factor == "mountains":
        return float(np.log(len(MOUNTAINS)))
    table = given_mountains(factor)
    return float((table * np.log(table / table.mean(axis=0))).sum(axis=1).mean())


def sample(
    n: int, rng: np.random.RandomState, remainders: tuple[int, ...] = (0, 1, 2, 3)
) -> dict[str, np.ndarray]:
    """Draw n combinations of class indices, each int64 `[n]`, that belong to the split of these `remainders`.

    The remainder of time + `offset` modulo 4 decides the split. That keeps splits apart: all other factors are
    drawn freely, and then the time that gives the wanted remainder. It is as often each of the four, whatever any
    other factor is, and level 1 given level 2 is drawn the same in every split.
    """
    factors = {name: rng.randint(len(values), size=n) for name, values in FACTORS.items() if name != "time"}
    for name, table in TWENTIETHS.items():
        # The value whose cumulated probability is the first above a uniform number.
        cumulated = np.cumsum(table, axis=1)[factors["mountains"]]
        factors[name] = (rng.randint(20, size=n)[:, None] >= cumulated).sum(axis=1)
    remainder = np.array(remainders)[rng.randint(len(remainders), size=n)]
    factors["time"] = (remainder - offset(factors)) % len(TIMES)
    return {name: factors[name].astype("int64") for name in FACTORS}


def offset(factors: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return a number `[n]` that follows from level 2 without the time, as far as it can be seen.

    Modulo 4 it is as often each of the four, whatever any one of the factors is. For that, mountains and place
    together make a part that is uniform from 0 to 3, clouds and place another. A place counts only where there
    is something in it: two scenes that look the same have the same number.
    """
    parts = []
    for name in ("mountain", "cloud"):
        kind, place = factors[f"{name}s"], factors[f"{name} place"]
        parts.append(np.where(kind > 0, 1 + (kind + place) % 3, 0))
    return sum(parts) + 2 * (factors["horizon"] % 2)


def draw(factors: Mapping[str, np.ndarray], rng: np.random.RandomState) -> np.ndarray:
    """Draw pictures float32 `[n, 32, 32, 3]` from class indices `[n]` of all factors; rng draws the grain.

    Colours are multiples of 1/255, as on a screen.
    """
    x = paint(factors, rgb(), grain(factors["grain"], rng))
    return np.rint(x * 255) / np.float32(255)


def sketch(factors: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return sketches float32 `[n, 16, 16, 3]`: the scene of level 2, on plain ground, each pixel the mean of 2×2.

    Reads the six factors of level 2 only.
    """
    x = np.rint(paint({name: factors[name] for name in TOP}, rgb()) * 255)
    return sum(x[:, i::2, j::2] for i, j in np.ndindex(2, 2)) / np.float32(4 * 255)


def rgb() -> np.ndarray:
    """Return COLOURS as red, green and blue between 0 and 1, float32 `[4 times, colours, 3]`."""
    levels = [[list(bytes.fromhex(code[1:])) for code in row[1:]] for row in COLOURS.values()]
    return (np.array(levels, "float32") / 255).swapaxes(0, 1)


def grain(index: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """Draw grain float32 `[n, 32, 32]` in ±GRAIN from class indices `[n]`: none, fine, or coarse on 2×2 blocks."""
    noise = (rng.randint(-100, 101, size=(len(index), SIZE, SIZE)) * (GRAIN / 100)).astype("float32")
    coarse = noise[:, ::2, ::2].repeat(2, axis=1).repeat(2, axis=2)
    kind = index[:, None, None]
    return np.where(kind == 1, noise, np.where(kind == 2, coarse, np.float32(0)))


def paint(factors: Mapping[str, np.ndarray], palette: np.ndarray, noise: np.ndarray | None = None) -> np.ndarray:
    """Paint scenes float32 `[n, 32, 32, channels]` with a palette `[4 times, colours, channels]`.

    Where the factors of level 1 are left out, level 2 stands alone. `noise`, `[n, 32, 32]`, is added to the
    ground. With red, green and blue for colours this is a picture; with ones and zeros, how much of a pixel each
    kind has.
    """
    n = len(factors["time"])
    x = np.empty((n, SIZE, SIZE, palette.shape[-1]), "float32")
    for start in range(0, n, BATCH):
        part = slice(start, start + BATCH)
        these = {name: index[part] for name, index in factors.items()}
        canvas = np.empty((len(these["time"]), palette.shape[-1], SIZE, SIZE), "float32")
        paint_top(canvas, these, palette)
        if noise is not None:
            canvas += (noise[part] * on_ground()[these["horizon"]])[:, None]
        if "water" in these:
            paint_water(canvas, these, palette)
            paint_things(canvas, these, palette)
        x[part] = canvas.transpose(0, 2, 3, 1)
    return x


def paint_top(x: np.ndarray, factors: Mapping[str, np.ndarray], palette: np.ndarray) -> None:
    """Paint level 2 over x, `[n, channels, 32, 32]`: sky, light, clouds, mountains and the ground."""
    time, horizon = factors["time"], factors["horizon"]
    colour = dict(zip(COLOURS, palette[time].swapaxes(0, 1), strict=True))
    x[...] = backdrops(palette)[time, horizon][..., None]
    cover(x, lights()[time, horizon], colour["light"])
    cover(x, clouds()[factors["clouds"], factors["cloud place"], horizon], colour["cloud"])
    for name, shares_of in zip(("mountain", "snow"), mountains(), strict=True):
        cover(x, shares_of[factors["mountains"], factors["mountain place"], horizon], colour[name])


def paint_water(x: np.ndarray, factors: Mapping[str, np.ndarray], palette: np.ndarray) -> None:
    """Paint the water and the light that it reflects over x, `[n, channels, 32, 32]`."""
    index = factors["water"], factors["water place"], factors["horizon"]
    colour = dict(zip(COLOURS, palette[factors["time"]].swapaxes(0, 1), strict=True))
    cover(x, waters()[index], colour["water"])
    cover(x, reflections()[(factors["time"], *index)], colour["light"])


def paint_things(x: np.ndarray, factors: Mapping[str, np.ndarray], palette: np.ndarray) -> None:
    """Paint trees and rocks over x, `[n, channels, 32, 32]`, the farthest first."""
    time, horizon = factors["time"], factors["horizon"]
    names = list(COLOURS)
    stands = {"tree": standing("tree", factors), "rock": standing("rock", factors)}
    for thing, spot in far_to_near():
        here = np.flatnonzero(stands[thing][:, spot])
        if thing == "rock":
            cover(x, rocks()[spot][horizon[here]], palette[time[here], names.index("rock")], here)
            continue
        kind = factors["tree kind"][here]
        trunk, crown = trees()[:, spot, kind, horizon[here]]
        crowns = np.array([names.index(f"{name} crown") for name in TREE_KINDS])
        cover(x, trunk, palette[time[here], names.index("trunk")], here)
        cover(x, crown, palette[time[here], crowns[kind]], here)


def cover(x: np.ndarray, share: np.ndarray, colour: np.ndarray, which: np.ndarray | slice = slice(None)) -> None:
    """Lay a colour `[n, channels]` over x `[n, channels, 32, 32]`: over the `share`, `[n, 32, 32]`, of each pixel.

    With `which`, over these pictures of x only; share and colour are then theirs. Only the rows and columns that
    any of the shares touch are worked on.
    """
    touched = share.any(axis=0)
    if not touched.any():
        return
    rows, columns = (span(touched.any(axis=axis)) for axis in (1, 0))
    under, share = x[which, :, rows, columns], share[:, None, rows, columns]
    x[which, :, rows, columns] = under + share * (colour[..., None, None] - under)


def span(touched: np.ndarray) -> slice:
    """Return the slice from the first to the last true element of `[k]`."""
    places = np.flatnonzero(touched)
    return slice(places[0], places[-1] + 1)


# Points of the picture, mid-subpixel, in pixels from its left and from its upper edge.
RIGHT = ((np.arange(SIZE * SUBPIXELS) + 0.5) / SUBPIXELS)[None, :]
DOWN = RIGHT.T


def shares(points: np.ndarray) -> np.ndarray:
    """Return the mean over the points of each pixel: `[..., 128, 128]` to float32 `[..., 32, 32]`."""
    points = points.astype("float32")
    rows = sum(points[..., k::SUBPIXELS, :] for k in range(SUBPIXELS))  # much faster than a mean over short axes
    return sum(rows[..., k::SUBPIXELS] for k in range(SUBPIXELS)) / np.float32(SUBPIXELS**2)


def across(column: float) -> np.ndarray:
    """Return how far points lie right of a column, `[1, 128]`, in a picture whose sides meet: from -16 to 16."""
    return (RIGHT - column + SIZE / 2) % SIZE - SIZE / 2


@cache
def on_ground() -> np.ndarray:
    """Return which rows are ground, bool `[6 horizons, 32, 1]`."""
    return (np.arange(SIZE) >= np.array(HORIZONS)[:, None])[..., None]


def backdrops(palette: np.ndarray) -> np.ndarray:
    """Return sky and plain ground, two gradients, float32 `[4 times, 6 horizons, channels, 32 rows]`."""
    colour = dict(zip(COLOURS, palette.swapaxes(0, 1)[:, :, None, None], strict=True))
    middle, horizon = np.arange(SIZE)[:, None] + 0.5, np.array(HORIZONS)[:, None, None]
    below = np.clip(middle / horizon, 0, 1)
    sky = colour["sky, top"] * (1 - below) + colour["sky, low"] * below
    near = np.clip((middle - horizon) / (SIZE - horizon), 0, 1)
    ground = colour["ground, far"] * (1 - near) + colour["ground, near"] * near
    return np.where(on_ground(), ground, sky).swapaxes(-1, -2).astype("float32")


@cache
def lights() -> np.ndarray:
    """Return the shares of sun or moon, `[4 times, 6 horizons, 32, 32]`."""
    discs = [
        [(RIGHT - column) ** 2 + (DOWN - light_row(part, horizon)) ** 2 < LIGHT_RADIUS**2 for horizon in HORIZONS]
        for column, part in LIGHTS.values()
    ]
    return shares(np.array(discs))


def light_row(part: float, horizon: int) -> float:
    """Return where the middle of the light is, in pixels from the upper edge: always the middle of a pixel."""
    return np.floor(part * horizon) + 0.5


@cache
def clouds() -> np.ndarray:
    """Return the shares of clouds, `[4 numbers, 8 places, 6 horizons, 32, 32]`: soft at the edge."""
    drawn = np.zeros((len(CLOUDS), len(PLACES), len(HORIZONS), SIZE, SIZE), "float32")
    for place, (h, horizon) in ((p, row) for p in PLACES for row in enumerate(HORIZONS)):
        thickness = np.zeros((SIZE, SIZE), "float32")
        for number, (column, part, width, height) in enumerate(CLOUD_SHAPES, start=1):
            u, v = across(column + 4 * place) / width, (DOWN - part * horizon) / height
            thickness = np.maximum(thickness, shares(np.clip(2 * (1 - u**2 - v**2), 0, 1)))
            drawn[number, place, h] = thickness
    return drawn


@cache
def mountains() -> np.ndarray:
    """Return the shares of mountains and of the snow on them, `[2, 4 kinds, 8 places, 6 horizons, 32, 32]`."""
    drawn = np.zeros((2, len(MOUNTAINS), len(PLACES), len(HORIZONS), SIZE, SIZE), "float32")
    for (k, peaks), place in ((a, b) for a in enumerate(PEAKS.values()) for b in PLACES):
        ridge, snowline = np.zeros(RIGHT.shape), 5.0 + 0.7 * np.abs(across(4 * place) % 3 - 1.5)
        for column, height, width in peaks:
            ridge = np.maximum(ridge, height * (1 - np.abs(across(column + 4 * place)) / width))
        for h, horizon in enumerate(HORIZONS):
            up = horizon - DOWN
            inside = (up > 0) & (up < ridge)
            drawn[:, k, place, h] = shares(np.array([inside, inside & (up > snowline)]))
    return drawn


@cache
def waters() -> np.ndarray:
    """Return the shares of water, `[3 kinds, 8 places, 6 horizons, 32, 32]`."""
    drawn = np.zeros((len(WATERS), len(PLACES), len(HORIZONS), SIZE, SIZE), "float32")
    for k, h in np.ndindex(len(WATERS), len(HORIZONS)):
        depth = (DOWN - HORIZONS[h]) / (SIZE - HORIZONS[h])
        for place in PLACES:
            drawn[k, place, h] = shares(from_shore(k, place, RIGHT, depth) < 1)
    return drawn


def from_shore(kind: int, place: int, column: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Return how far points are from the middle of the water: 1 on the shore, infinite where there is no water."""
    if WATERS[kind] == "none":
        return np.full(np.broadcast(column, depth).shape, np.inf)
    width, height = WATER_SHAPES[WATERS[kind]]
    middle, middle_depth = WATER_PLACES[place]
    return np.sqrt(((column - middle) / width) ** 2 + ((depth - middle_depth) / height) ** 2)


@cache
def reflections() -> np.ndarray:
    """Return where water shows the light, zeros and ones, `[4 times, 3 kinds, 8 places, 6 horizons, 32, 32]`.

    It lies under the light, three pixels wide and one in turn, on pixels that are water and have it on both sides.
    """
    full = waters() == 1
    inside = full[..., 1:-1] & full[..., :-2] & full[..., 2:]
    inside = np.pad(inside, [(0, 0)] * 4 + [(1, 1)])
    reach = np.where(np.arange(SIZE) % 2, 0.5, 1.5)[:, None]
    drawn = [inside & (np.abs(np.arange(SIZE) + 0.5 - column) < reach) for column, _ in LIGHTS.values()]
    return np.array(drawn, "float32")


@cache
def trees() -> np.ndarray:
    """Return the shares of trunks and of crowns, `[2, spots, 2 kinds, 6 horizons, 32, 32]`."""
    drawn = np.zeros((2, len(TREE_SPOTS), len(TREE_KINDS), len(HORIZONS), SIZE, SIZE), "float32")
    for s, k, h in np.ndindex(drawn.shape[1:4]):
        column, depth = TREE_SPOTS[s]
        below = depth * (SIZE - HORIZONS[h])
        height = TREE_HEIGHT * below
        u, up = (RIGHT - column) / height, (HORIZONS[h] + below - DOWN) / height
        drawn[:, s, k, h] = shares(np.array(tree(TREE_KINDS[k], u, up)))
    return drawn


def tree(kind: str, u: np.ndarray, up: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the points of a trunk and of a crown; u is 0 in the trunk's middle, up is 0 at its foot, 1 on top."""
    if kind == "round":
        return (np.abs(u) < 0.07) & (up > 0) & (up < 0.6), (u / 0.31) ** 2 + ((up - 0.64) / 0.36) ** 2 < 1
    tier = np.where(up > 0.55, 1 - up, 0.95 - up)  # two triangles, the upper one on the lower one's cut top
    crown = (up > 0.18) & (up < 1) & (np.abs(u) < np.where(up > 0.55, 0.52, 0.42) * tier)
    return (np.abs(u) < 0.06) & (up > 0) & (up < 0.3), crown


@cache
def rocks() -> np.ndarray:
    """Return the shares of rocks, `[spots, 6 horizons, 32, 32]`."""
    drawn = np.zeros((len(ROCK_SPOTS), len(HORIZONS), SIZE, SIZE), "float32")
    for s, h in np.ndindex(drawn.shape[:2]):
        column, depth = ROCK_SPOTS[s]
        below = depth * (SIZE - HORIZONS[h])
        u, up = (RIGHT - column) / (ROCK_WIDTH * below), (HORIZONS[h] + below - DOWN) / (ROCK_HEIGHT * below)
        drawn[s, h] = shares((up > 0) & (np.abs(u) * u**2 + up**2 < 1))
    return drawn


def far_to_near() -> list[tuple[str, int]]:
    """Return every spot, as ("tree" or "rock", index), the one nearest the horizon first."""
    spots = [(thing, s) for thing, where in SPOTS.items() for s in range(len(where))]
    return sorted(spots, key=lambda spot: SPOTS[spot[0]][spot[1]][1])


def standing(thing: str, factors: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return which spots have a tree (or a rock) on them, bool `[n, spots]`.

    Place k means the k-th spot and, for further trees, the spots nearest to it. Where a spot is under water, the
    next one is taken: nothing stands in water.
    """
    number = np.array(FACTORS[thing + "s"])[factors[thing + "s"]]
    order = nearest(thing)[factors[thing + " place"]]
    dry = np.take_along_axis(dry_spots(thing)[factors["water"], factors["water place"]], order, axis=1)
    chosen = dry & (dry.cumsum(axis=1) <= number[:, None])
    result = np.zeros_like(chosen)
    np.put_along_axis(result, order, chosen, axis=1)
    return result


@cache
def nearest(thing: str) -> np.ndarray:
    """Return, for each place, the spots by their distance from its own, int `[8 places, spots]`."""
    spots = np.array(SPOTS[thing]) * (1, SIZE / 2)  # a depth of 1 is about half a picture
    distance = ((spots[: len(PLACES), None] - spots) ** 2).sum(axis=-1)
    return distance.argsort(axis=1, kind="stable")


@cache
def dry_spots(thing: str) -> np.ndarray:
    """Return which spots are dry over all the width of a foot, bool `[3 kinds of water, 8 places, spots]`."""
    column, depth = np.array(SPOTS[thing]).T
    reach = FOOT[thing] * depth * (SIZE - HORIZONS[0])  # half the width, on the ground where it is the most
    distance = np.zeros((len(WATERS), len(PLACES), len(column)))
    for kind, place in np.ndindex(distance.shape[:2]):
        nearest_point = np.clip(WATER_PLACES[place][0], column - reach, column + reach)
        distance[kind, place] = from_shore(kind, place, nearest_point, depth)
    return distance > 1.15
