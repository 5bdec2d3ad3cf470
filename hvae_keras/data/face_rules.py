"""What every drawing of `faces` obeys, asked of pictures without their factors.

A picture is read first, by the drawings of `faces` themselves: the grey of the skin, the head that fits best, and
then eyes, mouth and nose: the drawing of each, in any pose and a few rows higher or lower, that explains most of
what differs from a bare head. Each is read alone, so nothing makes them agree; the rules ask whether they do. So
the rules can be asked of a generated picture, whoever drew it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from hvae_keras.data import faces
from hvae_keras.data.faces import HEADS, NOSE_SHADOW, PLACES, SIZE, SKINS, TURNS
from hvae_keras.data.rules import Rule, RuleBook, checked_pictures

# Parts of a face: the factor that says what each is, and by how many rows it may lie too low.
PARTS = {
    "left eye": ("eyes", range(-4, 5)),
    "right eye": ("eyes", range(-4, 5)),
    "mouth": ("mouth", range(-8, 4)),
    "nose": ("nose", range(-3, 9)),
}
# What has one pose, in the order of reading, the most visible first: what was read is taken away, so that a faint
# nose is not sought in a mouth. Eyes are read in pairs: a left one of one pose is like a right one of another.
TURNING = (("left eye", "right eye"), ("mouth",), ("nose",))

WHOLE = 0.1  # squared error of a head, over its own square, from which on it is no head
TONE = 1 / 16  # by how much grey levels of one skin may differ: half the least difference of two SKINS
MOST = 0.5  # share of each quarter of a head that has the grey of the skin
FAINTEST = 0.3  # a part is there if this share of its contrast is; a quarter of a head, of the lightest one's grey
GAP = 2  # pixels by which, at least, a nose ends below the middle of an eye, and above the middle of a mouth
DOUBT = 0.1  # what a part may lose by the choice for all, of what it would lose by its worst


@dataclass(frozen=True)
class Part:
    """One part of each face as it was read.

    gain: by how much each of its drawings, as faint as it is, lowers the squared error of what was read before,
    `[n, 5 poses, kinds, rows]`; all 0 where the best is fainter than FAINTEST: there is no such part.
    pose, kind: class indices of the best, the drawing that gains most, int64 `[n]`; row: how many pixels too low.
    contrast: how strong the best is, `[n]`: 1 as in `faces`.
    """

    gain: np.ndarray
    pose: np.ndarray
    kind: np.ndarray
    row: np.ndarray
    contrast: np.ndarray


@dataclass(frozen=True)
class Parsed:
    """Pictures as they were read.

    x: the pictures, float32 `[n, 32, 32]`.
    skin: grey level of the head, `[n]`; head: index into HEADS, int64 `[n]`.
    parts: each of PARTS as it was read; both eyes have the same pose.
    bare: the pictures without these parts, `[n, 32, 32]`.
    """

    x: np.ndarray
    skin: np.ndarray
    head: np.ndarray
    parts: Mapping[str, Part]
    bare: np.ndarray

    def turning(self) -> np.ndarray:
        """Return what each pose gains for each of TURNING, `[n, 3, 5]`."""
        gain = [sum(self.parts[name].gain.max(axis=(2, 3)) for name in names) for names in TURNING]
        return np.stack(gain, axis=1)

    def eyes(self) -> np.ndarray:
        """Return what each eye gains in the pose of both, `[n, 2, kinds, rows]`."""
        n, both = np.arange(len(self.x)), [self.parts[name] for name in TURNING[0]]
        return np.stack([eye.gain[n, eye.pose] for eye in both], axis=1)


def read(x: np.ndarray) -> Parsed:
    """Read pictures `[n, 32, 32, 1]`. Raises ValueError for another shape, NaN and infinity."""
    x = checked_pictures(x, (SIZE, SIZE, 1))[..., 0]
    inside = (heads() == 1).all(axis=0)  # where every head is
    skin = np.maximum(np.median(x[:, inside], axis=1), 0)
    # The head with the least |x - skin head|², without |x|², which no choice changes.
    along = x.reshape(-1, SIZE**2) @ heads().reshape(-1, SIZE**2).T
    head = (skin[:, None] * (heads() ** 2).sum(axis=(1, 2)) - 2 * along).argmin(axis=1)
    drawn = skin[:, None, None] * heads()[head]
    parts = {}
    for names in TURNING:
        for name, (part, picture) in read_parts(x - drawn, names, head, skin).items():
            parts[name], drawn = part, drawn + picture
    return Parsed(x, skin, head, parts, x - drawn + skin[:, None, None] * heads()[head])


def read_parts(left: np.ndarray, names: tuple[str, ...], head: np.ndarray, skin: np.ndarray) -> dict:
    """Read parts of one pose from what is left of pictures `[n, 32, 32]`: name -> (Part, how it is drawn)."""
    tried = {name: gains(left, name, head, skin) for name in names}
    pose = sum(gain.max(axis=(2, 3)) for gain, _ in tried.values()).argmax(axis=1)
    n, found = np.arange(len(left)), {}
    for name, (gain, contrast) in tried.items():
        kinds, rows = gain.shape[2:]
        kind, row = np.divmod(gain[n, pose].reshape(-1, kinds * rows).argmax(axis=1), rows)
        light, covered = (layer[head, pose, kind, row] for layer in drawings()[name])
        strength = contrast[n, pose, kind, row][:, None, None]
        there = (strength >= FAINTEST)[..., None]
        part = Part(gain * there, pose, kind, np.array(PARTS[name][1])[row], strength[:, 0, 0])
        found[name] = part, strength * (light - skin[:, None, None] * covered)
    return found


def gains(left: np.ndarray, name: str, head: np.ndarray, skin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what each drawing of a part gains, and its contrast, both `[n, 5 poses, kinds, rows]`.

    A drawing d of contrast c gains |left|² - |left - c d|² = 2 c <d, left> - c² |d|²; c is the best from 0 to 1.
    Never drawn in all skins: d = light - skin · covered, so the products of light and covered are enough.
    """
    light, covered = (layer.reshape(len(HEADS), -1, SIZE**2) for layer in drawings()[name])
    along, square = np.empty((2, len(left), light.shape[1]), "float32")
    for h in range(len(HEADS)):
        which = head == h
        s, pixels = skin[which][:, None], left[which].reshape(-1, SIZE**2)
        along[which] = pixels @ light[h].T - s * (pixels @ covered[h].T)
        light_light, light_covered, covered_covered = products(name)[:, h]
        square[which] = light_light - 2 * s * light_covered + s**2 * covered_covered
    contrast = np.clip(along / np.maximum(square, 1e-6), 0, 1)
    shape = (-1, *drawings()[name][0].shape[1:4])
    return (contrast * (2 * along - contrast * square)).reshape(shape), contrast.reshape(shape)


@cache
def products(name: str) -> np.ndarray:
    """Return <light, light>, <light, covered> and <covered, covered> of all drawings, `[3, 4 heads, drawings]`."""
    light, covered = (layer.reshape(len(HEADS), -1, SIZE**2) for layer in drawings()[name])
    return np.stack([(light**2).sum(axis=2), (light * covered).sum(axis=2), (covered**2).sum(axis=2)])


@cache
def heads() -> np.ndarray:
    """Return the shares of every head, float32 `[4 heads, 32, 32]`."""
    return np.array([faces.shares(faces.inside_head(head)) for head in HEADS], "float32")


@cache
def drawings() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return all drawings of each part: light and covered, float32 `[4 heads, 5 poses, kinds, rows, 32, 32]`.

    A part changes a head by light - skin · covered. No part reaches an edge of the picture, at any row.
    """
    covered, light = faces.features()
    light["nose"], covered["nose"] = 0 * light["nose"], covered["nose"] - NOSE_SHADOW * light["nose"]
    is_left = left_of_cut()[:, :, None, None, :]
    drawn = {}
    for part, (factor, rows) in PARTS.items():
        here = {"left eye": is_left, "right eye": ~is_left}.get(part, True)
        layers = (
            np.stack([np.roll(layer[factor] * here, row, axis=-2) for row in rows], axis=3)
            for layer in (light, covered)
        )
        drawn[part] = tuple(layer.astype("float32") for layer in layers)
    return drawn


def left_of_cut() -> np.ndarray:
    """Return which columns are of the left eye, bool `[4 heads, 5 poses, 32]`: up to where both reach equally far.

    Where a head is turned, this is not the middle between them: the near eye is wider.
    """
    (left, reach, down), (right, _, _) = PLACES["eyes"]
    angles = np.deg2rad(np.add.outer((left, right), TURNS))
    width = np.cos(angles)
    middle = reach * np.array([[faces.half_width(head, down)] for head in HEADS]) * np.sin(angles)[:, None]
    cut = (middle[0] * width[1] + middle[1] * width[0]) / width.sum(axis=0)
    return np.arange(SIZE) + 0.5 - SIZE / 2 < cut[..., None]


def agree(gain: np.ndarray) -> np.ndarray:
    """Return where one choice is right for several parts, bool `[n]`, by what each gains, `[n, parts, choices]`.

    It is where none loses more to its own best choice than DOUBT of what it would lose by its worst. A part to
    which all choices are the same has no say; where no part has, there is nothing to agree on.
    """
    best, worst = gain.max(axis=2, keepdims=True), gain.min(axis=2, keepdims=True)
    right = best - gain <= DOUBT * (best - worst)
    return right.all(axis=1).any(axis=1) & (best > worst).any(axis=(1, 2))


def quarters(pixels: np.ndarray) -> np.ndarray:
    """Return the sums over the quarters of pictures, `[..., 32, 32]` to `[..., 4]`."""
    half = SIZE // 2
    sums = pixels.reshape(*pixels.shape[:-2], 2, half, 2, half).sum(axis=(-3, -1))
    return sums.reshape(*sums.shape[:-2], 4)


def one_head(parsed: Parsed) -> np.ndarray:
    """Return where there is a head in every quarter of the picture, the same in all.

    Each quarter of each head may have its own grey, the best: this says nothing about the skin.
    """
    n, square = np.arange(len(parsed.x)), quarters(heads() ** 2)
    along = np.stack([quarters(parsed.bare * head) for head in heads()], axis=1)  # [n, heads, quarters]
    gain = np.maximum(along, 0) ** 2 / square
    explained = gain[n, parsed.head].sum(axis=1)
    fits = (parsed.bare**2).sum(axis=(1, 2)) - explained < WHOLE * explained
    grey = quarters(parsed.x * heads()[parsed.head]) / square[parsed.head]
    return agree(gain.swapaxes(1, 2)) & fits & (grey.min(axis=1) > FAINTEST * grey.max(axis=1))


def one_skin(parsed: Parsed) -> np.ndarray:
    """Return where most of each quarter of the head has the same grey."""
    inside = heads()[parsed.head] == 1
    near = np.abs(parsed.bare - parsed.skin[:, None, None]) <= TONE
    known = (parsed.skin >= min(SKINS) - TONE) & (parsed.skin <= max(SKINS) + TONE)
    return known & (quarters(near & inside) >= MOST * quarters(inside)).all(axis=1)


def features_follow_pose(parsed: Parsed) -> np.ndarray:
    """Return where one pose explains eyes, mouth and nose, or two of them if the third is not there."""
    gain = parsed.turning()
    return agree(gain) & ((gain.max(axis=2) > 0).sum(axis=1) >= 2)


def eyes_level(parsed: Parsed) -> np.ndarray:
    """Return where there are two eyes, at the same height."""
    gain = parsed.eyes().max(axis=2)
    return agree(gain) & (gain.max(axis=2) > 0).all(axis=1)


def eyes_alike(parsed: Parsed) -> np.ndarray:
    """Return where one kind explains both eyes, or the one that is there."""
    return agree(parsed.eyes().max(axis=3))


def features_in_order(parsed: Parsed) -> np.ndarray:
    """Return where there are a nose and a mouth, the nose below the eyes, the mouth below the nose."""
    middle = {name: parsed.parts[name].row + PLACES[factor][0][-1] for name, (factor, _) in PARTS.items()}
    eyes = np.maximum(middle["left eye"], middle["right eye"])
    there = (parsed.turning()[:, 1:].max(axis=2) > 0).all(axis=1)
    return there & (middle["nose"] - eyes >= GAP) & (middle["mouth"] - middle["nose"] >= GAP)


RULES = RuleBook(
    read,
    {
        "one head": Rule(2, one_head, "There is one head: all quarters of the picture show the same, whole."),
        "one skin": Rule(2, one_skin, "All quarters of the head have the same grey."),
        "features follow the pose": Rule(
            2, features_follow_pose, "Eyes, nose and mouth are turned with the head, by the same angle."
        ),
        "eyes level": Rule(1, eyes_level, "There are two eyes, at the same height."),
        "eyes alike": Rule(1, eyes_alike, "Both eyes are of the same kind."),
        "features in order": Rule(
            1, features_in_order, "There are a nose, below the eyes, and a mouth, below the nose."
        ),
    },
)
