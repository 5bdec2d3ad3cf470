"""`faces`: generated 32×32 drawings of faces, whose factors form a hierarchy that is known exactly.

Level 2, drawn first and independently: pose, head and skin. Level 1, drawn given the pose: eyes, nose and mouth.
The pose moves every feature over the head, and it decides how probable each of their values is.
"""

from collections.abc import Mapping

import numpy as np

from hvae_keras.data.dataset import Dataset, Split

SIZE = 32
SUBPIXELS = 8  # a share of a pixel is counted in SUBPIXELS² points
IMAGES = {"train": 4800, "validation": 800, "test": 800}

POSES = ("left", "half left", "front", "half right", "right")
TURNS = (-40, -20, 0, 20, 40)  # degrees, one a pose
HEADS = ("round", "long", "square", "pointed")
SKINS = (6 / 16, 8 / 16, 11 / 16, 14 / 16)  # grey level of the head
NOSE_SHADOW = 3 / 8  # grey level of the nose over that of the skin
EYES = ("round", "narrow", "closed", "dot")
NOSES = ("small", "medium", "large")
MOUTHS = ("smile", "straight", "frown", "open")
FACTORS = {"pose": POSES, "head": HEADS, "skin": SKINS, "eyes": EYES, "nose": NOSES, "mouth": MOUTHS}
LEVELS = {"pose": 2, "head": 2, "skin": 2, "eyes": 1, "nose": 1, "mouth": 1}

# p(value | pose) in twentieths, a row a pose. Pose, head and skin are uniform.
TWENTIETHS = {
    "eyes": ((17, 1, 1, 1), (9, 9, 1, 1), (1, 9, 9, 1), (1, 1, 9, 9), (1, 1, 1, 17)),
    "nose": ((1, 3, 16), (3, 14, 3), (16, 3, 1), (3, 14, 3), (1, 3, 16)),
    "mouth": ((1, 1, 17, 1), (1, 9, 9, 1), (9, 9, 1, 1), (9, 1, 1, 9), (1, 1, 1, 17)),
}

# Which remainders belong to each split; see `sample`.
PARTS = {"train": (0, 1), "validation": (2,), "test": (3,)}


def load_faces() -> Dataset:
    """Return 6,400 drawings of faces: every split is a draw of its own from p(top) p(bottom | pose).

    No two splits share a combination of factors, so no image of one is in another (see `sample`).
    """
    rng = np.random.RandomState(1)  # not default_rng: NumPy promises that this stream never changes
    splits = {}
    for part, size in IMAGES.items():
        factors = sample(size, PARTS[part], rng)
        splits[part] = Split(draw(factors), factors)
    values = {name: np.array(value) for name, value in FACTORS.items()}
    return Dataset("faces", **splits, factor_values=values, levels=LEVELS)


def given_pose(factor: str) -> np.ndarray:
    """Return the stated p(factor | pose), `[5, k]`: a row a pose, a column a value. For every factor but the pose.

    Raises ValueError for the pose, and for a factor that is not there.
    """
    if factor not in FACTORS or factor == "pose":
        raise ValueError(f"factor is one of {', '.join(list(FACTORS)[1:])}; got {factor!r}")
    if factor in TWENTIETHS:
        return np.array(TWENTIETHS[factor]) / 20
    return np.full((len(POSES), len(FACTORS[factor])), 1 / len(FACTORS[factor]))


def information_with_pose(factor: str) -> float:
    """Return the exact mutual information I(pose; factor) in nats: the mean KL(p(factor | pose) ‖ p(factor)).

    It is 0 for head and skin, and the entropy log 5 for the pose itself.
    """
    if factor == "pose":
        return float(np.log(len(POSES)))
    table = given_pose(factor)
    return float((table * np.log(table / table.mean(axis=0))).sum(axis=1).mean())


def sample(n: int, remainders: tuple[int, ...], rng: np.random.RandomState) -> dict[str, np.ndarray]:
    """Draw n combinations of class indices, each int64 `[n]`, that belong to the split of these `remainders`.

    The remainder of head + skin + `offsets` modulo 4 decides the split. That keeps splits apart and changes no
    stated probability: pose, eyes, nose, mouth and head are drawn freely, and then the skin that gives the wanted
    remainder. It is as often each of the four, whatever any other factor is.
    """
    pose = rng.randint(len(POSES), size=n)
    factors = {"pose": pose, "head": rng.randint(len(HEADS), size=n)}
    for name in TWENTIETHS:
        # The value whose cumulated probability is the first above a uniform number.
        factors[name] = (rng.randint(20, size=n)[:, None] >= np.cumsum(TWENTIETHS[name], axis=1)[pose]).sum(axis=1)
    remainder = np.array(remainders)[rng.randint(len(remainders), size=n)]
    offset = offsets()[pose, factors["eyes"], factors["nose"], factors["mouth"]]
    factors["skin"] = (remainder - factors["head"] - offset) % len(SKINS)
    return {name: factors[name].astype("int64") for name in FACTORS}


def offsets() -> np.ndarray:
    """Return 0, 1, 2 or 3 for each pose, eyes, nose and mouth, `[5, 4, 3, 4]`: each with probability 1/4.

    The most probable combination goes first, each to the number that has the least probability so far. In this way
    head and skin are independent in every split, not only in the whole set.
    """
    weight = np.einsum("pe,pn,pm->penm", *(np.array(table) for table in TWENTIETHS.values()))
    offset, total = np.zeros(weight.size, int), np.zeros(4, int)
    for place in np.argsort(-weight.ravel(), kind="stable"):
        offset[place] = total.argmin()
        total[offset[place]] += weight.ravel()[place]
    return offset.reshape(weight.shape)


def draw(factors: Mapping[str, np.ndarray]) -> np.ndarray:
    """Draw images float32 `[n, 32, 32, 1]` from class indices `[n]` of all six factors.

    A feature depends on head and pose besides itself, so each of those drawings is made once. Features do not
    overlap: an image is the head in its grey level, with what the features change added.
    """
    head, pose, skin = factors["head"], factors["pose"], np.array(SKINS)[factors["skin"]][:, None, None]
    heads = np.stack([shares(inside_head(name)) for name in HEADS])
    covered, light = features()
    x = skin * heads[head]
    for name in TWENTIETHS:
        index = head, pose, factors[name]
        # The nose is a shadow of the skin; the whites of eyes are as light on every skin.
        lightness = NOSE_SHADOW * skin if name == "nose" else 1.0
        x = x + lightness * light[name][index] - skin * covered[name][index]
    return x[..., None].astype("float32")


def features() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return what each feature covers and how much of it is light: two of name -> `[head, pose, value, 32, 32]`.

    Both are shares of a pixel. A feature sits on a head that turns about its vertical axis: it moves with the
    sine of its angle and narrows with the cosine. A nose stands out of the head, so it moves further.
    """
    shapes = {"eyes": eye, "nose": nose, "mouth": mouth}
    drawn = {name: np.zeros((2, len(HEADS), len(POSES), len(FACTORS[name]), SIZE, SIZE)) for name in shapes}
    for h, head in enumerate(HEADS):
        inside = inside_head(head)
        for (p, turn), (name, places) in ((a, b) for a in enumerate(TURNS) for b in PLACES.items()):
            for angle, reach, down in places:
                angle = np.deg2rad(angle + turn)
                middle = reach * half_width(head, down) * np.sin(angle)
                u, v = (RIGHT - middle) / np.cos(angle), DOWN - down
                for k, value in enumerate(FACTORS[name]):
                    for layer, mask in enumerate(shapes[name](value, u, v)):
                        drawn[name][layer, h, p, k] += shares(mask & inside)
    return {name: both[0] for name, both in drawn.items()}, {name: both[1] for name, both in drawn.items()}


# Points of the picture, mid-subpixel, in pixels from its middle.
RIGHT = ((np.arange(SIZE * SUBPIXELS) + 0.5) / SUBPIXELS - SIZE / 2)[None, :]
DOWN = RIGHT.T

# Where features sit: angle to the side in degrees, radius over the head's half width, pixels below the middle.
PLACES = {"eyes": ((-26, 0.9, -4.5), (26, 0.9, -4.5)), "nose": ((0, 1.1, 4.0),), "mouth": ((0, 0.85, 8.5),)}


def half_width(head: str, down: np.ndarray | float) -> np.ndarray:
    """Return half the width of a head, in pixels, `down` pixels below the middle of the picture; 0 outside."""
    across, up, below = {"round": (12.5, 13.5, 13.5), "long": (9.5, 15, 15), "square": (11.5, 13, 13)}.get(
        head, (13, 11, 15)
    )
    if head == "pointed":  # an arc above the eyes, and from there straight lines to the chin
        t = np.clip((down + 3) / np.where(np.asarray(down) < -3, up - 3, below + 3), -1, 1)
        return across * np.where(t < 0, np.sqrt(1 - t**2), 1 - t)
    t = np.clip(np.abs(down) / up, 0, 1)
    power = 6 if head == "square" else 2
    return across * (1 - t**power) ** (1 / power)


def inside_head(head: str) -> np.ndarray:
    """Return which points of the picture lie in a head: bool `[256, 256]`."""
    return np.abs(RIGHT) < half_width(head, DOWN)


def eye(value: str, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the points that an eye covers, and those of them that are white; u, v are pixels from its middle."""
    pupil = u**2 + v**2 < 1.3**2
    if value == "round":
        white = u**2 + v**2 < 3.3**2
    elif value == "narrow":
        white = (u / 3.6) ** 2 + (v / 1.4) ** 2 < 1
    else:  # no white: a lid, or a dark disc
        white = np.zeros(pupil.shape, bool)
        pupil = (np.abs(u) < 3) & (np.abs(v) < 0.7) if value == "closed" else u**2 + v**2 < 1.7**2
    return white | pupil, white & ~pupil


def nose(value: str, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the points in a nose's shadow, twice; v is 0 at its lower end."""
    height, width = {"small": (2.6, 1.5), "medium": (4.4, 2.6), "large": (6.2, 3.7)}[value]
    up = -v / height  # 0 at the tip, 1 at the root
    shadow = (up > 0) & (up < 1) & (np.abs(u) < width * (1 - up))
    return shadow, shadow


def mouth(value: str, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the points that a mouth covers, and none that are light."""
    bend = {"smile": -0.16, "straight": 0.0, "frown": 0.16}
    if value == "open":
        covered = (u / 2.6) ** 2 + (v / 2.6) ** 2 < 1
    else:
        covered = (np.abs(u) < 4.5) & (np.abs(v - bend[value] * (u**2 - 8)) < 0.75)
    return covered, np.zeros(covered.shape, bool)


def shares(mask: np.ndarray) -> np.ndarray:
    """Return the share of each pixel's points that are true: `[256, 256]` to `[32, 32]`."""
    return mask.reshape(SIZE, SUBPIXELS, SIZE, SUBPIXELS).mean(axis=(1, 3))
