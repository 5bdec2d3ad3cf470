"""Which factors of an example a level decides: those that change with it, and those that survive without it.

The factors of an example are read from it by a classifier, `read`, such as `FactorFeatures.predict_factors`. All
shares are those of what `read` says, so they are no better than it is.
"""

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

import numpy as np

from hvae_keras import latents
from hvae_keras.metrics.hierarchy import levels_of, mean_where
from hvae_keras.models.base import BaseModel
from hvae_keras.models.variational import VariationalModel

Generate = Callable[[int, dict[int, np.ndarray]], np.ndarray]
Read = Callable[[np.ndarray], Mapping[str, np.ndarray]]
WAYS = ("swap", "redraw")


class FactorsKept(NamedTuple):
    """Shares of the examples that keep a factor.

    factors: Names of the columns.
    share: `[L + 1, factors]`. In row k - 1 z_k to z_L are inferred; in the last row nothing is, which is chance.
    n: How many examples.
    """

    factors: tuple[str, ...]
    share: np.ndarray
    n: int


class FactorChanges(NamedTuple):
    """Shares of the examples whose factor changes when one level alone changes.

    factors: Names of the columns.
    share: `[L, factors]`, row i - 1 for level i.
    whole: `[factors]`, the same share when all levels change.
    n: How many examples.
    """

    factors: tuple[str, ...]
    share: np.ndarray
    whole: np.ndarray
    n: int

    @property
    def relative(self) -> np.ndarray:
        """share / whole, `[L, factors]`: 1 where the level decides the factor alone, NaN where it never changes.

        A factor of two values changes in half of the swaps at most, one of many values in nearly all of them. Over
        `whole` they can be compared.
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.whole > 0, self.share / self.whole, np.nan)


def factors_kept(
    model: VariationalModel,
    x: np.ndarray,
    read: Read,
    factors: Mapping[str, np.ndarray] | None = None,
    temperature: float = 1.0,
    generate: Generate | None = None,
    seed: int = 0,
    batch_size: int = 256,
) -> FactorsKept:
    """Which factors of x survive when only the levels from k to the top are inferred and the rest is drawn.

    For k = 1, ..., L + 1: the share of the x whose factor, as read from a reconstruction from z_k to z_L, is the
    one read from x. The step from k + 1 to k is what inferring level k adds. The same draws serve all k.

    Args:
        model: Any model of the VAE family.
        x: `[n, *shape]`.
        read: From examples to factor -> class index `[n]`.
        factors: The factors to compare with, in place of those read from x; the columns are then these.
        temperature: Factor on the scale of every draw.
        generate: As in `latents.decode`.
        seed: Seed of the draws.
        batch_size: Examples at a time.

    Raises:
        ValueError: if the model has no posterior, x has another shape than the model's, or `read` gives no class
            index `[n]` of a factor.
        FloatingPointError: if a z or an example is NaN or infinite.
    """
    latents.check_infers(model)
    z = latents.infer_latents(model, x, temperature, seed, batch_size)
    n = len(z[0])
    given = (read(np.asarray(x)), n) if factors is None else (factors, n, "factors")
    truth = checked_factors(*given)
    rows = []
    for k in range(1, len(z) + 2):
        held = {level: part for level, part in enumerate(z, 1) if level >= k}
        drawn = latents.draw_latents(model, n, held, temperature, _other(seed), batch_size)
        found = checked_factors(read(latents.decode(model, drawn, generate, batch_size)), n, names=truth)
        rows.append([np.mean(found[name] == truth[name]) for name in truth])
    return FactorsKept(tuple(truth), np.array(rows), n)


def factors_changed(
    model: BaseModel,
    z: list[np.ndarray],
    read: Read,
    by: str = "swap",
    generate: Generate | None = None,
    seed: int = 0,
    batch_size: int = 256,
) -> FactorChanges:
    """Which factors change when one level alone changes, for each level.

    The levels above stay, and those below keep their noise: their distance from the mean of their prior, in scales
    (the rule "noise" of `latents.traverse`). A factor is read before and after.

    Args:
        model: Any model of the VAE family, or a `MultiLevelGAN`.
        z: From z_1 to z_L, each `[n, *event]`: those of data by `infer_latents`, of any model by `draw_latents`.
        read: From examples to factor -> class index `[n]`.
        by: How a level changes. "swap": it becomes that of another of the n examples. In a model without `skip`
            z_1 carries all that is above it, so swapping z_1 swaps everything. "redraw": it is drawn from its
            prior given the levels above, so what changes is what the level adds to them.
        generate: As in `latents.decode`. Where it adds noise of its own, changes by this noise are counted too.
        seed: Seed of the choice of others, or of the draws.
        batch_size: Examples at a time.

    Raises:
        ValueError: if `z` is not a finite z of each level and at least 2 examples, `by` is neither, or `read`
            gives no class index `[n]` of a factor, or not always the same factors.
        FloatingPointError: if an example is NaN or infinite.
    """
    if by not in WAYS:
        raise ValueError(f"by is one of {', '.join(map(repr, WAYS))}; got {by!r}.")
    z = latents.checked_latents(model, z)
    n = len(z[0])
    if n < 2:
        raise ValueError(f"z holds {n} example; to change a level takes at least 2.")

    def factors(z: list[np.ndarray], names: Collection[str] = ()) -> dict[str, np.ndarray]:
        return checked_factors(read(latents.decode(model, z, generate, batch_size)), n, names=names)

    before = factors(z)

    def changed(after: Mapping[str, np.ndarray]) -> list[float]:
        return [np.mean(after[name] != before[name]) for name in before]

    if by == "swap":
        partner = another(n, seed)
        others, whole = [part[partner] for part in z], {name: index[partner] for name, index in before.items()}
    else:
        draws = []
        for level in range(1, len(z) + 1):
            above = {j: part for j, part in enumerate(z, 1) if j > level}
            draws.append(latents.draw_latents(model, n, above, seed=_other(seed), batch_size=batch_size))
        # Above the top nothing is held: those draws are other examples altogether.
        others, whole = [drawn[i] for i, drawn in enumerate(draws)], factors(draws[-1], before)
    share = [
        changed(factors(new, before))
        for new in latents.replace_each_level(model, z, others, batch_size=batch_size)
    ]
    return FactorChanges(tuple(before), np.array(share), np.array(changed(whole)), n)


def specificity(changes: FactorChanges, levels: Mapping[str, int]) -> np.ndarray:
    """How far each level moves its own factors rather than those of other levels: `[L]`.

    The mean of `changes.relative` over the factors of level i of the data, less that over the factors of all its
    other levels. 1 if level i decides its own factors alone and touches no other, 0 if it moves all alike, below 0
    if it moves the others more. Level i of the model is compared with level i of the data; NaN where the data have
    no such level, or no other.

    Args:
        changes: By `factors_changed`.
        levels: Factor -> its level in the process that made the data, such as `Dataset.levels`.

    Raises:
        ValueError: if a factor has no level.
    """
    of_factor, level = levels_of(changes.factors, levels), np.arange(1, len(changes.share) + 1)[:, None]
    own, others = (mean_where(changes.relative, mask) for mask in (of_factor == level, of_factor != level))
    return own - others


def consistency(changes: FactorChanges, levels: Mapping[str, int]) -> np.ndarray:
    """How far what a level says can be changed without changing what was said above it: `[L]`.

    One less the mean of `changes.share` over the factors of the levels of the data above level i, by
    `factors_changed(..., by="redraw")`: 1 if a new z_i leaves them all as they were. By chance it is the mean of
    one less `changes.whole`. NaN for level L, and where the data have no level above.

    Arguments and errors as for `specificity`.
    """
    of_factor, level = levels_of(changes.factors, levels), np.arange(1, len(changes.share) + 1)[:, None]
    return 1 - mean_where(changes.share, of_factor > level)


def _other(seed: int) -> int:
    """Another seed: with the same one a level would get the noise that z was drawn with, and stay."""
    return int(np.random.default_rng(seed).integers(2**31))


def another(n: int, seed: int) -> np.ndarray:
    """For each of n examples, 2 or more, the index of another one: a random cycle through all."""
    order = np.random.default_rng(seed).permutation(n)
    partner = np.empty_like(order)
    partner[order] = np.roll(order, 1)
    return partner


def checked_factors(
    factors: Mapping[str, np.ndarray], n: int, source: str = "read", names: Collection[str] = ()
) -> dict[str, np.ndarray]:
    """The factors as arrays, if none of `names` is missing and each is a class index for each of n examples."""
    if not isinstance(factors, Mapping) or not len(factors):
        got = "no factor" if isinstance(factors, Mapping) else type(factors).__name__
        raise ValueError(f"{source} gives factor -> class index [n]; got {got}.")
    missing = [name for name in names if name not in factors]
    if missing:
        raise ValueError(f"{source} gives no {', '.join(map(repr, missing))}; it gives {', '.join(factors)}.")
    factors = {name: np.asarray(factors[name]) for name in names or factors}
    for name, index in factors.items():
        if index.shape != (n,) or index.dtype.kind not in "iub":
            raise ValueError(
                f"{source} gives {index.dtype} of shape {index.shape} for {name!r}; expected a class index for "
                f"each of {n} examples."
            )
    return factors
