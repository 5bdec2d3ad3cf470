"""Scores by level of a hierarchy: which level holds which factor, and how much levels know of one another."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from hvae_keras import latents  # as a module: it imports metrics.draws, so its names may come later
from hvae_keras.metrics.disentanglement import DciScore, GapScore, dci, mig, sap
from hvae_keras.metrics.draws import at_least_one
from hvae_keras.metrics.information import Information, information_between_levels, information_with_data
from hvae_keras.models.variational import VariationalModel


def mean_by_data_level(
    values: np.ndarray, factors: Sequence[str], levels: Mapping[str, int]
) -> dict[int, np.ndarray]:
    """Means over the factors of each level of the data: level -> `[...]`, in ascending order.

    Args:
        values: `[..., factors]`; NaN is left out, and where all is NaN the mean is NaN.
        factors: Names of the columns.
        levels: Factor -> its level in the process that made the data, such as `Dataset.levels`. Factors that are
            no column are not looked at.

    Raises:
        ValueError: if `values` has another number of columns than there are factors, or a factor has no level.
    """
    values = np.asarray(values, "float64")
    if values.ndim < 1 or values.shape[-1] != len(factors) or not len(factors):
        raise ValueError(
            f"values is [..., factors], a column for each of {list(factors)}; got shape {values.shape}."
        )
    of_column = levels_of(factors, levels)
    return {int(level): mean_where(values, of_column == level) for level in np.unique(of_column)}


def levels_of(factors: Sequence[str], levels: Mapping[str, int]) -> np.ndarray:
    """The level of each factor, `[factors]`; ValueError if one has none."""
    missing = [factor for factor in factors if factor not in levels]
    if missing:
        there = ", ".join(levels) or "none"
        raise ValueError(f"levels lacks {', '.join(map(repr, missing))}; there are: {there}.")
    return np.array([levels[factor] for factor in factors])


def mean_where(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Mean over the last axis of what is chosen and not NaN; NaN where that is nothing."""
    chosen = chosen & ~np.isnan(values)
    count = chosen.sum(axis=-1)
    total = np.where(chosen, values, 0.0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


class LevelScores(NamedTuple):
    """How the codes of one level of a model stand for the factors of the data.

    level: Which level of the model.
    mig, sap, dci: The scores against all factors, with what they are made of.
    by_data_level: Level of the data -> means over its factors: "mig" and "sap", the gaps, and "completeness" and
        "informativeness" of DCI. Empty if it was not said which level a factor has.
    """

    level: int
    mig: GapScore
    sap: GapScore
    dci: DciScore
    by_data_level: dict[int, dict[str, float]]


def disentanglement_by_level(
    model: VariationalModel,
    x: np.ndarray,
    factors: Mapping[str, np.ndarray],
    levels: Mapping[str, int] | None = None,
    examples: int = 3000,
    bins: int = 20,
    seed: int = 0,
    batch_size: int = 256,
) -> list[LevelScores]:
    """MIG, SAP and DCI of the codes of each level against all factors, from z_1 to z_L.

    The codes are posterior means (of each level given the means of the levels its posterior is given), a map
    flattened. The scores are `metrics.mig`, `sap` and `dci` with their defaults; their docstrings say what each
    means, how constant factors and constant codes count, and which way it errs.

    - A level adds to the levels above it, but its code is not free of them: below the top of a top-down posterior
      the mean of a dead level is the prior's, which follows z_{i+1} and scores as that does.
    - MIG and SAP of a level with many codes are near 0 where neighbours know the same, as they do in a map.
    - Compare levels with one another at one number of examples and bins, and over several trainings.

    Args:
        model: Any model of the VAE family.
        x: `[n, *shape]`.
        factors: Name -> class indices `[n]`.
        levels: Factor -> its level in the process that made the data, such as `Dataset.levels`.
        examples: How many of x to use, drawn at random if there are more.
        bins: Bins of a code for MIG.
        seed: Seed of that choice, and of those of SAP and DCI.
        batch_size: Examples at a time.

    Raises:
        ValueError: if a factor has another length than x or no level, the model has no posterior, x has another
            shape than the model's, or as the scores do.
        FloatingPointError: if a code is NaN or infinite.
    """
    x, factors = some_examples(x, factors, examples, seed)
    found = []
    for level, z in enumerate(latents.infer_latents(model, x, temperature=0.0, batch_size=batch_size), 1):
        codes = z.reshape(len(z), -1)
        scores = mig(codes, factors, bins), sap(codes, factors, seed=seed), dci(codes, factors, seed=seed)
        found.append(LevelScores(level, *scores, _by_data_level(*scores, levels)))
    return found


def some_examples(
    x: np.ndarray, factors: Mapping[str, np.ndarray], examples: int, seed: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """At most so many examples with their factors, drawn at random; ValueError if a factor is not `[n]`."""
    at_least_one(examples=examples)
    x, factors = np.asarray(x), {name: np.asarray(factor) for name, factor in factors.items()}
    if not factors:
        raise ValueError("factors names no factor; give at least one.")
    for name, factor in factors.items():
        if factor.shape != (len(x),):
            raise ValueError(f"factors[{name!r}] has shape {factor.shape}; expected ({len(x)},), as x.")
    if len(x) <= examples:
        return x, factors
    chosen = np.random.default_rng(seed).choice(len(x), examples, replace=False)
    return x[chosen], {name: factor[chosen] for name, factor in factors.items()}


def _by_data_level(
    mig: GapScore, sap: GapScore, dci: DciScore, levels: Mapping[str, int] | None
) -> dict[int, dict[str, float]]:
    if levels is None:
        return {}
    by_factor = {
        "mig": mig.gaps,
        "sap": sap.gaps,
        "completeness": dci.completeness_by_factor,
        "informativeness": dci.informativeness_by_factor,
    }
    means = mean_by_data_level([list(values.values()) for values in by_factor.values()], list(mig.gaps), levels)
    return {level: dict(zip(by_factor, values.tolist(), strict=True)) for level, values in means.items()}


class InformationFlow(NamedTuple):
    """Informations in nats, as brackets.

    lower, upper, error: `[L, L]`, I_p(z_i; z_j) in row i - 1 and column j - 1: two estimates that err low and
        high, and the standard error of either. Symmetric; NaN on the diagonal, and where the lower of the two
        levels is drawn part by part (`model.sequential_levels`).
    with_data: I_q(x; z_i) from z_1 to z_L.
    """

    lower: np.ndarray
    upper: np.ndarray
    error: np.ndarray
    with_data: list[Information]


def information_flow(
    model: VariationalModel, x: np.ndarray, n: int = 500, contexts: int = 16, seed: int = 0, batch_size: int = 256
) -> InformationFlow:
    """What the levels of the generative model know of one another, and what each infers of x.

    Along a chain z_3 -> z_2 -> z_1 information can only be lost: I_p(z_1; z_3) is at most I_p(z_1; z_2) and
    I_p(z_2; z_3), and I_q(x; z_i) falls as i goes up if every level is inferred from the one below (data
    processing inequality, Cover & Thomas 2006, theorem 2.8.1). In a model with `skip=True` the levels are no
    chain, and an entry is I_p(z_i; z_j, ..., z_L), i below j.

    `lower` sees at most about log n, 6.2 nats for 500 draws. Where a level follows the one above closely `upper`
    is far larger, and says no more than that there is more than `lower`.

    Args:
        model: Any model of the VAE family.
        x: `[m, *shape]`, independent examples, at least 2.
        n: Draws of the upper level for `information_between_levels`.
        contexts: As there and for `information_with_data`.
        seed: Seed of the draws.
        batch_size: Examples of x at a time.

    Raises:
        ValueError: if the model has no posterior, or as the two functions.
        FloatingPointError: if a posterior is NaN or infinite.
    """
    latents.check_infers(model)
    matrix = np.full((3, model.levels, model.levels), np.nan)
    for low in range(1, model.levels + 1):
        for high in range(low + 1, model.levels + 1):
            if low not in model.sequential_levels:
                found = information_between_levels(model, low, high, n, contexts, seed)
                matrix[:, low - 1, high - 1] = matrix[:, high - 1, low - 1] = found
    return InformationFlow(*matrix, information_with_data(model, x, contexts, seed, batch_size))
