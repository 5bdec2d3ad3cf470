"""Redundancy: what two levels both tell of a factor, and what only the two together tell."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from hvae_keras import latents
from hvae_keras.metrics.hierarchy import some_examples
from hvae_keras.metrics.information import information_with_factor
from hvae_keras.models.variational import VariationalModel

ROUNDING = 1e-6  # how far from 1 the probabilities of a table may sum


class Redundancy(NamedTuple):
    """Informations about one factor in nats.

    first, second: Of each of the two variables alone.
    together: Of the two side by side.
    """

    first: float
    second: float
    together: float

    @property
    def shared(self) -> float:
        """first + second - together, the co-information: above 0 told twice, below 0 only by both together."""
        return self.first + self.second - self.together


def co_information(joint: np.ndarray) -> float:
    """Co-information I(a; v) + I(b; v) - I((a, b); v) of a table, exact, in nats (McGill 1954).

    It is symmetric in the three variables. It is positive where a and b tell the same of v (v itself in two
    copies: H(v)), and negative where only both together tell (v = a XOR b of two coins: -log 2). It may be 0
    because the two parts cancel.

    Args:
        joint: p(a, b, v), `[a, b, v]`.

    Raises:
        ValueError: if `joint` has not three axes, an entry is negative or NaN, or the entries do not sum to 1.
    """
    joint = np.asarray(joint, "float64")
    if joint.ndim != 3:
        raise ValueError(f"joint is p(a, b, v), three axes; got shape {joint.shape}.")
    if not (joint >= 0).all():
        raise ValueError("joint holds a negative probability or NaN.")
    if abs(joint.sum() - 1) > ROUNDING:
        raise ValueError(f"the probabilities of joint sum to {joint.sum():.6g}, expected 1.")

    def entropy(*summed: int) -> float:
        p = joint.sum(axis=summed)
        return float(-(p[p > 0] * np.log(p[p > 0])).sum())

    singles, pairs = entropy(1, 2) + entropy(0, 2) + entropy(0, 1), entropy(2) + entropy(1) + entropy(0)
    return singles - pairs + entropy()


def redundancy(
    first: np.ndarray,
    second: np.ndarray,
    factor: np.ndarray,
    classifier: Any = None,
    folds: int = 5,
    seed: int = 0,
) -> Redundancy:
    """I(first; v), I(second; v) and I((first, second); v) of a factor v, and by `shared` what both tell.

    Each is `information_with_factor`, with the same classifier, folds and seed. Each errs low by what its
    classifier has not learnt, so the error of `shared` has no sure sign: what is missed of both together looks
    shared, and what is missed of one alone looks as if it took both. A few hundredths of a nat are no result.

    Args:
        first, second: `[n, ...]`, such as draws of two levels, flattened here.
        factor: `[n]`, integers or strings.
        classifier, folds, seed: As in `information_with_factor`.

    Raises:
        ValueError: if lengths differ, a z is NaN or infinite, or a value of the factor occurs less than `folds`
            times.
    """
    first, second = _flat(first, "first"), _flat(second, "second")
    if len(first) != len(second):
        raise ValueError(f"second holds {len(second)} examples; first has {len(first)}.")
    both = np.concatenate([first, second], axis=1)
    told = [information_with_factor(z, factor, classifier, folds, seed) for z in (first, second, both)]
    return Redundancy(*told)


def redundancy_by_level(
    model: VariationalModel,
    x: np.ndarray,
    factors: Mapping[str, np.ndarray],
    classifier: Any = None,
    examples: int = 2000,
    seed: int = 0,
    batch_size: int = 256,
) -> dict[tuple[int, int], dict[str, Redundancy]]:
    """`redundancy` of every pair of levels about every factor, from one draw of the posterior for each x.

    Args:
        model: Any model of the VAE family.
        x: `[n, *shape]`.
        factors: Name -> class indices `[n]`; each value occurs at least 5 times.
        classifier: As in `information_with_factor`. The default takes seconds for each factor and each of the
            L + L (L - 1) / 2 inputs, and longer where z is a map of many numbers.
        examples: How many of x to use, drawn at random if there are more.
        seed: Seed of that choice, of the draws, the folds and the classifier.
        batch_size: Examples at a time.

    Returns:
        (i, j) with i below j -> factor -> informations of z_i, z_j and both; empty for a model of one level.

    Raises:
        ValueError: if a factor has another length than x, the model has no posterior, or as `redundancy`.
        FloatingPointError: if a z is NaN or infinite.
    """
    x, factors = some_examples(x, factors, examples, seed)
    z = [_flat(part, "z") for part in latents.infer_latents(model, x, seed=seed, batch_size=batch_size)]
    pairs = list(combinations(range(1, len(z) + 1), 2))

    def told(*levels: int) -> dict[str, float]:
        beside = np.concatenate([z[level - 1] for level in levels], axis=1)
        return {
            name: information_with_factor(beside, factor, classifier, seed=seed)
            for name, factor in factors.items()
        }

    alone = {level: told(level) for level in range(1, len(z) + 1) if pairs}
    both = {pair: told(*pair) for pair in pairs}
    return {
        (i, j): {name: Redundancy(alone[i][name], alone[j][name], both[i, j][name]) for name in factors}
        for i, j in pairs
    }


def _flat(z: np.ndarray, name: str) -> np.ndarray:
    """`[n, ...]` as float64 `[n, d]`, if it is finite."""
    z = np.asarray(z, "float64")
    if z.ndim < 1 or not len(z):
        raise ValueError(f"{name} is [n, ...], a row an example; got shape {z.shape}.")
    z = z.reshape(len(z), -1)
    finite = np.isfinite(z).all(axis=1)
    if not finite.all():
        raise ValueError(f"{name} is NaN or infinite in row {np.argmin(finite)}.")
    return z
