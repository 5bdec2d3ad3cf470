"""Mutual information of latent variables with the data, with each other and with known factors.

All in nats. None of the estimators is exact, and each docstring says which way it errs.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from hvae_keras.backend import compiled, has_gpu, keras, ops
from hvae_keras.distributions import Distribution, Tensor
from hvae_keras.metrics.draws import at_least_one, checked, checked_level, fresh_seed, over_draws
from hvae_keras.models.inference import BottomUp
from hvae_keras.models.variational import VariationalModel


class Information(NamedTuple):
    """A mutual information between two estimates, one that errs low in expectation and one that errs high."""

    lower: float
    upper: float
    error: float  # standard error, the larger of the two


def information_with_data(
    model: VariationalModel, x: np.ndarray, contexts: int = 16, seed: int = 0, batch_size: int = 256
) -> list[Information]:
    """I_q(x; z_i) of each level, from z_1 to z_L, under q(z|x) and the distribution that x was drawn from.

    I = E[log q(z_i|x) - log q(z_i)]. Both densities are mixtures of normals: q(z_i|x) over the other levels
    that the posterior of z_i is given ("contexts", drawn from q), and q(z_i) over all x and their contexts.
    With n examples and m contexts of each, two estimates bracket I:

    - `lower` leaves the context that drew z_i out of log q(z_i|x) (by Jensen's inequality the log of an
      average over fresh draws errs low) and keeps everything in log q(z_i) (a mixture that holds z_i's own
      component errs high, by its KL from the true density). It can not exceed log(n m / (m - 1)), or
      log n where q(z_i|x) is one normal: to see an information of 7 nats takes over 1,100 examples.
    - `upper` keeps the own context in log q(z_i|x) and leaves all of x's out of log q(z_i).

    The bracket is wide where the contexts of one x give normals that hardly overlap, as below the top of a
    trained `Ladder`: `lower` may then be far below 0, and `elbo_surgery` tells more.

    So E[lower] <= I <= E[upper]. Both tend to I as n and m grow. Where q(z_i|x) is one normal, as at the top
    of `TopDown` and `Ladder`, at z_1 of `BottomUp` and in a `VAE`, these are the bounds of Poole et al.
    (2019, section 2.2) with a known conditional, and contexts play no part.

    For a level that the model draws part by part (`model.sequential_levels`, such as the phrases of a
    `HierarchicalRecurrentVAE`) neither holds, because one context's normal is that of its own parts; there all
    three numbers are NaN.

    Args:
        model: Any model of the VAE family.
        x: `[n, *shape]`, independent examples, at least 2.
        contexts: m, at least 2.
        seed: Seed of the draws.
        batch_size: Examples at a time.

    Raises:
        ValueError: if there are too few examples or contexts, or x has another shape than the model's.
        FloatingPointError: if a posterior is NaN or infinite.
    """

    def measure(x: Tensor, encoded: list, seed: Tensor) -> list[Tensor]:
        levels = model.explain(encoded, seed)[0]
        return [part for level in levels for part in _mean_scale_draw(level.posterior, level.z)]

    _check_pool(len(x), contexts)
    found = over_draws(model, x, measure, contexts, seed, batch_size)
    unknown = Information(np.nan, np.nan, np.nan)
    return [
        unknown if at // 3 + 1 in model.sequential_levels else _bracket(*found[at : at + 3])
        for at in range(0, len(found), 3)
    ]


def information_between_levels(
    model: VariationalModel, first: int, second: int, n: int = 500, contexts: int = 16, seed: int = 0
) -> Information:
    """I_p(z_i; z_j) under the generative model, bracketed as by `information_with_data`.

    z_j, the upper of the two, takes the place of x: `n` draws of it from the top down, and from each
    `contexts` walks down to z_i, whose prior is the normal that the mixtures are made of. For neighbours
    p(z_i|z_j) is one normal. In a model with `skip=True`, z_i sees all the levels above it, and what is
    estimated is I_p(z_i; z_j, ..., z_L); otherwise the two are the same.

    Args:
        model: A model with at least two levels.
        first, second: The levels, in any order.
        n: Draws of z_j, at least 2. `lower` can not exceed about log n.
        contexts: Walks down from each, at least 2.
        seed: Seed of the draws.

    Raises:
        ValueError: if the levels are not two levels of the model, the lower is drawn part by part
            (`model.sequential_levels`), or there are too few draws or contexts.
    """
    low, high = sorted((checked_level(model, first, "first"), checked_level(model, second, "second")))
    if low == high:
        raise ValueError(f"first and second are two levels; got {first} twice.")
    if low in model.sequential_levels:
        raise ValueError(
            f"level {low} is drawn part by part, so its density given level {high} is no mixture of normals."
        )
    _check_pool(n, contexts)
    noise = np.random.default_rng(seed)
    draws = model.ancestral(n, seed=fresh_seed(noise))[0]
    held = {level: draws[level - 1].z for level in range(high, model.levels + 1)}
    # Under a compiled function the walks are one graph, run `contexts` times.
    walk = compiled(lambda seed: _mean_scale_draw(*model.ancestral(n, held, seed=seed)[0][low - 1]), xla=has_gpu())
    walks = [[ops.convert_to_numpy(part) for part in walk(fresh_seed(noise))] for _ in range(contexts)]
    return _bracket(*(np.stack(parts) for parts in zip(*walks, strict=True)))


class Surgery(NamedTuple):
    """The KL of each level in two parts, each `[L]` in nats, or `[1]` for all levels together."""

    kl: np.ndarray
    information: np.ndarray
    mismatch: np.ndarray


def elbo_surgery(
    model: VariationalModel,
    x: np.ndarray,
    by_level: bool = True,
    samples: int = 1,
    seed: int = 0,
    batch_size: int = 1024,
) -> Surgery:
    """The KL term of the ELBO as information about x plus mismatch of the prior, level by level.

    E KL(q(z_i|z_{>i}, x) ‖ p(z_i|z_{>i})) = I_q(x; z_i | z_{>i}) + E KL(q(z_i|z_{>i}) ‖ p(z_i|z_{>i})),
    where q(z) is the mean of q(z|x) over the n examples given: for one level this is Hoffman & Johnson
    (2016). The densities q(z_i, ..., z_L|x) of a top-down posterior are known, so
    log q(z_i|z_{>i}) = log mean_n q(z_i, ..., z_L|x_n) - log mean_n q(z_{i+1}, ..., z_L|x_n) is exact, and
    only the expectations are averages over `samples` draws for each x.

    For the n examples themselves the estimates have no bias, and the informations sum to at most log n. For
    the distribution that they were drawn from, each level's information errs low and its mismatch high, by
    the same amount: the expected KL(q(z_i|z_{>i}) of the n examples ‖ q(z_i|z_{>i}) of all). The cost is
    samples · n² passes through the levels.

    Args:
        model: Any model of the VAE family.
        x: `[n, *shape]`; a few hundred examples.
        by_level: False for the sum over levels, the one thing that is known under `BottomUp`.
        samples: Draws of the posterior for each x.
        seed: Seed of the draws.
        batch_size: Pairs of an example and a draw at a time.

    Raises:
        ValueError: if levels are asked for under `BottomUp`, a count is below 1, or x has another shape than
            the model's or no example.
        FloatingPointError: if a log-density is NaN or infinite.
    """
    if by_level and model.levels > 1 and isinstance(getattr(model, "inference", None), BottomUp):
        raise ValueError(
            "by_level needs q(z_i|z_{>i}, x), which a BottomUp posterior q(z_1|x) q(z_2|z_1)... does not give: "
            "ask for the sum over levels, by_level=False."
        )

    def measure(x: Tensor, encoded: list, seed: Tensor) -> list[Tensor]:
        levels = model.explain(encoded, seed)[0]
        priors = [level.prior.log_prob(level.z) for level in levels]
        posteriors = [level.posterior.log_prob(level.z) for level in levels]
        return [ops.stack(priors, axis=-1), ops.stack(posteriors, axis=-1), *(level.z for level in levels)]

    prior, posterior, *z = (_flat(part) for part in over_draws(model, x, measure, samples, seed, batch_size))
    marginal = _log_aggregate(model, x, z, batch_size)  # log q(z_i, ..., z_L)
    if not by_level:
        prior, posterior = (part.sum(-1, keepdims=True) for part in (prior, posterior))
        marginal = marginal[:, :1]
    conditional = marginal - np.concatenate([marginal[:, 1:], np.zeros((len(marginal), 1))], axis=1)
    means = [
        (a - b).mean(axis=0, dtype="float64")
        for a, b in ((posterior, prior), (posterior, conditional), (conditional, prior))
    ]
    return Surgery(*means)


def information_with_factor(
    z: np.ndarray, factor: np.ndarray, classifier: Any = None, folds: int = 5, seed: int = 0
) -> float:
    """A lower bound on I(z; factor) for a factor with a few values, by a classifier on held-out data.

    H(factor) - E[-log c(factor|z)] <= I, with equality where the classifier c knows the posterior of the
    factor (Barber & Agakov 2003). Each c is fitted without the points that it predicts, but for one number, a
    power that sharpens or blunts all probabilities (Guo et al. 2017); it flatters by about 1 / (2 n) nats.
    So the estimate errs low: by what the classifier has not learnt, and by the entropy of the observed
    shares, which is about (values - 1) / (2 n) too small. For independent z it is 0 or a little above.

    Args:
        z: `[n, ...]`, such as draws of one level, flattened here. Draws tell what the level passes on. The
            means of the posterior are a function of x and may tell more.
        factor: `[n]`, integers or strings; each value occurs at least `folds` times.
        classifier: scikit-learn classifier with `predict_proba`; by default 100 extremely randomised trees,
            which need no scaling and are not disturbed by units that hold nothing.
        folds: Parts of the data, each predicted by a classifier trained on the others.
        seed: Seed of the folds and of the default classifier.

    Raises:
        ValueError: if z and factor differ in length, or a value occurs less than `folds` times.
    """
    z, factor = np.asarray(z, "float64"), np.asarray(factor)
    if factor.ndim != 1 or len(z) != len(factor):
        raise ValueError(f"factor is [n], one value for each z; got shapes {factor.shape} and {z.shape}.")
    values, index, counts = np.unique(factor, return_inverse=True, return_counts=True)
    if counts.min() < folds:
        rare = values[counts.argmin()].item()
        raise ValueError(
            f"each value of factor occurs at least folds={folds} times; {rare!r} occurs {counts.min()}."
        )
    if len(values) == 1:
        return 0.0
    if classifier is None:
        classifier = ExtraTreesClassifier(100, min_samples_leaf=3, max_features=None, random_state=seed)
    splits = StratifiedKFold(folds, shuffle=True, random_state=seed)
    z = z.reshape(len(z), -1)
    predicted = cross_val_predict(clone(classifier), z, index, cv=splits, method="predict_proba")
    shares = counts / len(factor)
    # A classifier that gives a value no chance must not be punished with infinity for one surprise.
    evidence = np.log((0.99 * predicted + 0.01 * shares) / shares)

    def gained(power: float) -> float:
        logs = power * evidence + np.log(shares)
        chosen = logs[np.arange(len(index)), index] - logsumexp(logs, axis=1)
        return float((chosen - np.log(shares[index])).mean())

    power = minimize_scalar(lambda power: -gained(power), bounds=(0, 10), method="bounded").x
    return max(0.0, gained(power))


# Mixtures


def _check_pool(n: int, contexts: int) -> None:
    for name, value in (("n", n), ("contexts", contexts)):
        if value < 2:
            raise ValueError(f"{name} is at least 2, as one is left out; got {value!r}.")


def _mean_scale_draw(normal: Distribution, z: Tensor) -> list[Tensor]:
    """Three tensors in the shape of z."""
    return [ops.broadcast_to(normal.mean(), z.shape), ops.broadcast_to(normal.stddev(), z.shape), z]


def _bracket(mean: np.ndarray, scale: np.ndarray, z: np.ndarray) -> Information:
    """Both estimates from `[contexts, n, *event]`: the normal of each context, and a draw from it.

    One draw for each example is used, that from its context 0.
    """
    mean, scale, z = (part.reshape(*part.shape[:2], -1) for part in (mean, scale, z))
    if np.abs(mean - mean[:1]).max() < 1e-5 * scale.min() and np.abs(scale / scale[:1] - 1).max() < 1e-5:
        mean, scale = mean[:1], scale[:1]  # One normal for each example, whatever the context.
    contexts, n = mean.shape[:2]
    own, others = np.empty((contexts, n)), np.empty((contexts, n))
    for context in range(contexts):
        for at in range(0, n, 1000):
            queries = np.arange(at, min(at + 1000, n))
            logs = _log_normal(z[0, queries], mean[context], scale[context])
            own[context, queries] = logs[queries - at, queries]
            logs[queries - at, queries] = -np.inf
            others[context, queries] = logsumexp(logs, axis=1)
    fresh = own[1:] if contexts > 1 else own
    everything = logsumexp(np.concatenate([own, others]), axis=0) - np.log(contexts * n)
    lower = logsumexp(fresh, axis=0) - np.log(len(fresh)) - everything
    upper = logsumexp(own, axis=0) - logsumexp(others, axis=0) + np.log(n - 1)
    error = max(lower.std(), upper.std()) / np.sqrt(n)
    return Information(float(lower.mean()), float(upper.mean()), float(error))


def _log_normal(z: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Log-density of every z `[queries, d]` under every normal `[n, d]`: `[queries, n]`, by two products."""
    z, mean, scale = (np.asarray(part, "float64") for part in (z, mean, scale))
    centre, precision = mean.mean(axis=0), scale**-2
    z, mean = z - centre, mean - centre
    squares = z**2 @ precision.T - 2 * z @ (mean * precision).T + (mean**2 * precision).sum(-1)
    return -0.5 * (squares + np.log(2 * np.pi * scale**2).sum(-1))


def _flat(part: np.ndarray) -> np.ndarray:
    """Draws and examples in one axis."""
    return part.reshape(-1, *part.shape[2:])


def _log_aggregate(model: VariationalModel, x: np.ndarray, z: list[np.ndarray], batch_size: int) -> np.ndarray:
    """Log of the mean over x of q(z_i, ..., z_L|x) at every draw: `[draws, L]`."""
    x = checked(model, x)
    at_least_one(batch_size=batch_size)
    parts = [model.encode(ops.cast(x[at : at + batch_size], "float32")) for at in range(0, len(x), batch_size)]
    encoded = keras.tree.map_structure(lambda *tensors: ops.concatenate(tensors, axis=0), *parts)

    def densities(encoded: list, *z: Tensor) -> Tensor:
        # Every level is held, so no noise is drawn.
        levels = model.explain(encoded, 0, latents=dict(enumerate(z, 1)))[0]
        return ops.stack([level.posterior.log_prob(level.z) for level in levels], axis=-1)

    densities, found = compiled(densities, xla=has_gpu()), []
    draw, example = (index.ravel() for index in np.indices((len(z[0]), len(x))))
    for at in range(0, len(draw), batch_size):
        some = slice(at, at + batch_size)
        given = keras.tree.map_structure(
            lambda tensor, some=some: ops.take(tensor, example[some], axis=0), encoded
        )
        found.append(ops.convert_to_numpy(densities(given, *(level[draw[some]] for level in z))))
    logs = np.concatenate(found).reshape(len(z[0]), len(x), -1).astype("float64")
    from_the_top = np.cumsum(logs[..., ::-1], axis=-1)[..., ::-1]
    return logsumexp(from_the_top, axis=1) - np.log(len(x))
