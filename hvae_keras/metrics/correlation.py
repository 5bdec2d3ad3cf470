"""Total correlation: KL(q(z) ‖ prod_j q(z_j)), how far the units of a code are from independent, in nats.

q(z) = E_x[q(z|x)] is the aggregated posterior. The ELBO of a β-VAE holds this term (Chen, Li, Grosse &
Duvenaud 2018, Isolating sources of disentanglement in variational autoencoders, equation 2).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

ESTIMATORS = ("mixture", "leave one out", "weighted", "stratified")
ENTRIES = 1_000_000  # densities held at a time: 8 MB, which a cache may hold


class TotalCorrelation(NamedTuple):
    """An estimate in nats, and its standard error over the draws of z. The error does not hold the bias."""

    value: float
    error: float


def total_correlation(
    mean: np.ndarray,
    log_var: np.ndarray,
    estimator: str = "mixture",
    draws: int = 1000,
    batch_size: int = 64,
    seed: int = 0,
) -> TotalCorrelation:
    """Total correlation of the aggregated posterior of normal q(z|x_1) .. q(z|x_n): mean of log-ratios at drawn z.

    Each z is drawn from the q(z|x) of one x. What is put in for q(z) and q(z_j) at that z decides the bias:

    - "mixture": the mean of all n posteriors. No bias for the mixture of these n. For the distribution that the x
      came from it is mostly too high, because the posterior that z was drawn from is in the mixture: it is
      (d - 1) log n nats if no two posteriors overlap in any unit, whatever the truth.
    - "leave one out": the mean of the n - 1 others. Mostly too low: the error of a logarithm (Jensen) is larger
      for the joint density than for its margins. Where this and "mixture" agree, n is large enough.
    - "weighted": minibatch-weighted sampling, 1 / (n M) times the sum over a batch of M that holds the x of z
      (Chen et al. 2018, equation 3). Needs no pass over the data, so it is used in training. Each logarithm is
      too low, by about log M (no overlap with other posteriors) to log n (all alike). So the result is too high,
      by about (d - 1) log M to d log n - log M: a number to lower, not one to report.
    - "stratified": as above, but the posterior of z's own x has weight 1 / n, and the others of the batch share
      the rest. Each density is then without bias for that of the mixture; the logarithms are too low where the
      batch misses posteriors that overlap, mostly the joint one. (A form of the stratified sampling in the paper's
      appendix.)

    The work grows with draws * n * d (draws * batch_size * d in batches).

    Args:
        mean: Means of q(z|x), `[n, d]`.
        log_var: Their log-variances, `[n, d]`.
        estimator: One of the four above.
        draws: How many z, at least 2; rounded up to full batches for the two estimators that use batches.
        batch_size: M, from 2 to n. Only "weighted" and "stratified" use it.
        seed: Seed of the draws.

    Returns:
        Value and standard error in nats.

    Raises:
        ValueError: if the shapes are not one `[n, d]` with n >= 2 and d >= 1, a value is NaN or infinite, the
            estimator is unknown, or `draws` or `batch_size` is out of range.
    """
    mean, log_var = checked_codes("mean", mean), checked_codes("log_var", log_var)
    if mean.shape != log_var.shape:
        raise ValueError(f"mean and log_var have one shape [n, d]; got {mean.shape} and {log_var.shape}.")
    if estimator not in ESTIMATORS:
        raise ValueError(f"estimator is one of {', '.join(map(repr, ESTIMATORS))}; got {estimator!r}.")
    if draws < 2:
        raise ValueError(f"draws is at least 2; got {draws!r}.")
    batches = estimator in ("weighted", "stratified")
    if batches and not 2 <= batch_size <= len(mean):
        raise ValueError(f"batch_size is from 2 to n = {len(mean)}; got {batch_size!r}.")
    rng = np.random.default_rng(seed)
    chunks = _batches(len(mean), draws, batch_size, rng) if batches else _chunks(*mean.shape, draws, rng)
    ratios = []
    for own, components in chunks:
        z = mean[own] + np.exp(0.5 * log_var[own]) * rng.standard_normal((len(own), mean.shape[1]))
        log_weights = _log_weights(estimator, len(mean), own, components)
        ratios.append(_log_ratio(z, mean[components], log_var[components], log_weights))
    ratios = np.concatenate(ratios)
    return TotalCorrelation(float(ratios.mean()), float(ratios.std(ddof=1) / np.sqrt(len(ratios))))


def gaussian_total_correlation(codes: np.ndarray) -> float:
    """Total correlation of the normal with the covariance of the codes: -1/2 log det of their correlation matrix.

    It sees linear dependence only: it is that of the codes if they are jointly normal, and 0 for uncorrelated
    codes however dependent. For d independent normal codes of n points it is about d (d - 1) / (4 n), not 0.

    Args:
        codes: `[n, d]`, such as the means of q(z|x). Constant codes depend on nothing and are left out.

    Returns:
        Nats, at least 0; infinite if one code is a linear function of others.

    Raises:
        ValueError: if codes is not `[n, d]` or not finite, or n <= d: such codes are always linearly dependent.
    """
    codes = checked_codes("codes", codes)
    codes = codes[:, ~constant(codes)]
    n, d = codes.shape
    if d < 2:
        return 0.0
    if n <= d:
        raise ValueError(f"codes holds {n} points of {d} codes that vary; more points than codes are expected.")
    correlation = np.corrcoef(codes, rowvar=False)
    if np.linalg.matrix_rank(correlation, hermitian=True) < d:
        return float("inf")
    return float(max(0.0, -0.5 * np.linalg.slogdet(correlation)[1]))


def checked_codes(name: str, codes: np.ndarray) -> np.ndarray:
    """The array `[n, d]` in float64; a ValueError if it has another rank, fewer than 2 points, no code or NaN."""
    codes = np.asarray(codes, "float64")
    if codes.ndim != 2 or len(codes) < 2 or codes.shape[1] < 1:
        raise ValueError(f"{name} is [n, d] with n at least 2 and d at least 1; got shape {codes.shape}.")
    if not np.isfinite(codes).all():
        raise ValueError(f"{name} has NaN or infinite values in {(~np.isfinite(codes)).any(axis=1).sum()} rows.")
    return codes


def constant(codes: np.ndarray) -> np.ndarray:
    """Whether each code is constant, up to the rounding of float32, whatever its scale: `[d]` of bool."""
    return np.ptp(codes, axis=0) <= 1e-6 * np.abs(codes).max(axis=0)


def _chunks(n: int, d: int, draws: int, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Which x the z come from, chunk by chunk, and all x as components. No x is used twice before all are once."""
    own = np.resize(rng.permutation(n), draws)
    rows = max(1, ENTRIES // (n * d))
    for at in range(0, draws, rows):
        yield own[at : at + rows], np.arange(n)


def _batches(n: int, draws: int, size: int, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches drawn as in training: one z for each x of the batch, and the batch as components."""
    for _ in range(-(-draws // size)):
        batch = rng.choice(n, size, replace=False)
        yield batch, batch


def _log_weights(estimator: str, n: int, own: np.ndarray, components: np.ndarray) -> np.ndarray:
    """log of the weight of each component at each z, `[z, components]`."""
    same = own[:, None] == components
    others = len(components) - 1
    if estimator == "mixture":
        return np.full(same.shape, -np.log(n))
    if estimator == "leave one out":
        return np.where(same, -np.inf, -np.log(others))
    if estimator == "weighted":
        return np.full(same.shape, -np.log(n * len(components)))
    return np.where(same, -np.log(n), np.log((n - 1) / (n * others)))


def _log_ratio(z: np.ndarray, mean: np.ndarray, log_var: np.ndarray, log_weights: np.ndarray) -> np.ndarray:
    """log q(z) - sum_j log q(z_j) at each z `[m, d]`, for components `[c, d]`: `[m]`."""
    squares = (z[:, None] - mean) ** 2 * np.exp(-log_var)
    densities = -0.5 * (squares + log_var + np.log(2 * np.pi))
    joint = _log_sum_exp(densities.sum(axis=2) + log_weights)
    margins = _log_sum_exp(densities + log_weights[..., None])
    return joint - margins.sum(axis=1)


def _log_sum_exp(values: np.ndarray) -> np.ndarray:
    """Over axis 1; SciPy's, which also minds signs and infinite sums, takes twice as long."""
    top = values.max(axis=1, keepdims=True)
    return np.log(np.exp(values - top).sum(axis=1)) + top.squeeze(1)
