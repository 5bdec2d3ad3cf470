"""How much of what features see moves when one level goes from one example to another, and how evenly."""

from collections.abc import Hashable, Mapping
from typing import NamedTuple, Protocol

import numpy as np

from hvae_keras import latents
from hvae_keras.metrics.changes import Generate, another
from hvae_keras.models.base import BaseModel

WAYS = ("value", "noise")
STILL = 1e-5  # a path shorter than this, over the distance of two real examples, is rounding


class Features(Protocol):
    """What sees examples, such as a `FactorFeatures`."""

    def features(self, x: np.ndarray) -> np.ndarray:
        """Features `[n, d]`."""


class Interpolation(NamedTuple):
    """What moves when one level alone goes from one example to another.

    features: Names of the columns.
    distance: `[L, features]`, how far it moves: mean distance of the features of both ends, over that of two real
        examples.
    whole: `[features]`, the same when all levels go.
    largest_step: `[L, features]`, how evenly: the largest step over the mean step, mean over the pairs. 1 if all
        are alike, steps - 1 if all happens in one; NaN where nothing moves.
    n: How many pairs.
    """

    features: tuple[Hashable, ...]
    distance: np.ndarray
    whole: np.ndarray
    largest_step: np.ndarray
    n: int


def interpolation_by_level(
    model: BaseModel,
    start: list[np.ndarray],
    end: list[np.ndarray],
    features: Mapping[Hashable, Features],
    real: np.ndarray,
    by: str = "value",
    steps: int = 8,
    generate: Generate | None = None,
    seed: int = 0,
    batch_size: int = 256,
) -> Interpolation:
    """For each level and each kind of features, how far and how evenly the features move with the level.

    z of the level goes along a straight line from that of start. The levels above it stay at start, and those
    below keep the noise of start, as in `latents.interpolate(..., levels=level)`. With features that see the
    factors of one level of the data each, a hierarchy shows as a matrix that is large where the level of the model
    is that of the features, and small elsewhere.

    Args:
        model: Any model of the VAE family, or a `MultiLevelGAN`.
        start, end: From z_1 to z_L, each `[n, *event]`, by `infer_latents` or `draw_latents`.
        features: Name, such as a level of the data -> what sees examples by `.features(x)`, `[n, d]`.
        real: Real examples `[m, *shape]`, at least 2. The distance of random pairs of them is the unit.
        by: Where the level goes. "value": to that of end. In a model without `skip` z_1 carries all that is above
            it, so moving z_1 moves everything. "noise": to the z that has the noise of end beside the levels above
            of start (`latents.carry_noise`), so what moves is what the level adds to them. The top goes to end in
            both.
        steps: Examples on the way, both ends included; at least 2, and at least 3 to see whether it is even.
        generate: As in `latents.decode`.
        seed: Seed of the pairs of real examples.
        batch_size: Examples at a time.

    Raises:
        ValueError: if `start` or `end` is not a finite z of each level, they differ in n, there is no kind of
            features, features are not finite `[n, d]`, the real examples are fewer than 2 or all alike, `by` is
            neither, or `steps` is below 2.
        FloatingPointError: if an example is NaN or infinite.
    """
    if steps < 2:
        raise ValueError(f"steps is at least 2, one for each end; got {steps!r}.")
    if by not in WAYS:
        raise ValueError(f"by is one of {', '.join(map(repr, WAYS))}; got {by!r}.")
    if not features:
        raise ValueError("features names nothing that sees examples; give at least one.")
    start, end = latents.checked_latents(model, start, "start"), latents.checked_latents(model, end, "end")
    n = len(start[0])
    if len(end[0]) != n:
        raise ValueError(f"end holds {len(end[0])} examples; start has {n}.")
    unit = {name: _unit(name, seen, real, seed) for name, seen in features.items()}

    shares = np.linspace(0, 1, steps, dtype="float32")
    standing = [np.concatenate([z] * steps) for z in start]
    goal = end if by == "value" else latents.carry_noise(model, start, end, batch_size)
    moving = [np.concatenate([(1 - s) * a + s * b for s in shares]) for a, b in zip(start, goal, strict=True)]
    distance, largest = [], []
    for z in latents.replace_each_level(model, standing, moving, batch_size=batch_size):
        x = latents.decode(model, z, generate, batch_size)
        ways = [_seen(name, seen, x).reshape(steps, n, -1) / unit[name] for name, seen in features.items()]
        distance.append([_distance(way[0], way[-1]).mean() for way in ways])
        largest.append([_largest_step(way) for way in ways])
    ends = [latents.decode(model, z, generate, batch_size) for z in (start, end)]
    whole = [
        _distance(*(_seen(name, seen, x) for x in ends)).mean() / unit[name] for name, seen in features.items()
    ]
    return Interpolation(tuple(features), np.array(distance), np.array(whole), np.array(largest), n)


def _unit(name: Hashable, seen: Features, real: np.ndarray, seed: int) -> float:
    """Mean distance of two different real examples."""
    real = np.asarray(real)
    if len(real) < 2:
        raise ValueError(f"real holds {len(real)} examples; the distance of a pair takes at least 2.")
    found = _seen(name, seen, real)
    unit = float(_distance(found, found[another(len(real), seed)]).mean())
    if unit == 0:
        raise ValueError(f"all {len(real)} real examples are alike to the features {name!r}.")
    return unit


def _seen(name: Hashable, seen: Features, x: np.ndarray) -> np.ndarray:
    """The features of x in float64, if they are a finite row for each."""
    found = np.asarray(seen.features(x), "float64")
    if found.ndim != 2 or len(found) != len(x):
        raise ValueError(f"the features {name!r} of {len(x)} examples have shape {found.shape}; expected [n, d].")
    finite = np.isfinite(found).all(axis=1)
    if not finite.all():
        raise ValueError(f"the features {name!r} are NaN or infinite in row {np.argmin(finite)}.")
    return found


def _distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.linalg.norm(a - b, axis=-1)


def _largest_step(way: np.ndarray) -> float:
    """Mean over the pairs of the largest step over the mean step; `way` is `[steps, n, d]`, in real distances."""
    steps = _distance(way[1:], way[:-1])
    steps = steps[:, steps.sum(axis=0) > STILL]
    return float((steps.max(axis=0) / steps.mean(axis=0)).mean()) if steps.size else np.nan
