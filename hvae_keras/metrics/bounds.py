"""Bounds on log p(x), estimated with as many draws as asked for."""

import time
from typing import Any

import numpy as np

from hvae_keras.backend import compiled, has_gpu, ops
from hvae_keras.metrics.draws import at_least_one, checked, fresh_seed
from hvae_keras.models.variational import VariationalModel


def importance_weighted_bound(
    model: VariationalModel,
    x: np.ndarray,
    samples: int = 5000,
    chunk: int = 50,
    batch_size: int = 100,
    seed: int = 0,
    progress: bool = False,
) -> np.ndarray:
    """L_k of each x in nats, from one set of k draws: the log of the mean of k importance weights.

    Its expectation is a lower bound on log p(x) and does not decrease with k; it tends to log p(x) if the
    weights are bounded (Burda, Grosse & Salakhutdinov 2016, equation 8 and theorem 1), or if q covers the
    posterior and the ELBO is finite. The encoder runs once for each x. The weights
    stay logarithms, and are added up chunk by chunk, so memory does not grow with k.

    Args:
        model: A model with `encode` and `log_weights`.
        x: `[n, *shape]`.
        samples: k.
        chunk: Draws for each x at a time; it changes speed, memory and the noise, not what is estimated.
        batch_size: Examples at a time.
        seed: Seed of the draws.
        progress: Whether to print, now and then, how far it is.

    Returns:
        `[n]`, float64.

    Raises:
        ValueError: if `samples`, `chunk` or `batch_size` is below 1, or x has another shape than the model's.
        FloatingPointError: if a weight is NaN.
    """
    return _bounds(model, x, samples, chunk, batch_size, seed, progress)[1]


def elbo(
    model: VariationalModel,
    x: np.ndarray,
    samples: int = 1,
    chunk: int = 50,
    batch_size: int = 100,
    seed: int = 0,
    progress: bool = False,
) -> np.ndarray:
    """The ELBO of each x in nats, as the mean of `samples` log weights; arguments and errors as above.

    The same draws as `importance_weighted_bound` with the same arguments, so their difference is not noise.
    `model.bound` estimates the same number with the KL terms in closed form. That is less noisy far from the
    posterior, and noisier near it, where the noise of log p(x|z) and that of the KL cancel in a log weight.
    """
    return _bounds(model, x, samples, chunk, batch_size, seed, progress)[0]


def _bounds(
    model: VariationalModel, x: np.ndarray, samples: int, chunk: int, batch_size: int, seed: int, progress: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the log weights, and log of the mean weight, of each x."""
    at_least_one(samples=samples, chunk=chunk, batch_size=batch_size)
    x = checked(model, x)
    # Traced afresh here, because a compiled function may hold on to the weights it was traced with.
    reduced = {size: _reduced(model, size) for size in {min(chunk, samples), samples % chunk} - {0}}
    noise = np.random.default_rng(seed)
    start, found = time.perf_counter(), []
    for at in range(0, len(x), batch_size):
        found.append(_batch_bounds(model, x[at : at + batch_size], samples, chunk, reduced, noise))
        if progress:
            done, seconds = min(at + batch_size, len(x)), time.perf_counter() - start
            print(f"\r{done} of {len(x)}, {seconds:.0f} s", end="", flush=True)
    if progress:
        print()
    means, logs = np.concatenate(found, axis=1)
    if not np.isfinite(means).all():
        raise FloatingPointError(f"log weights of example {np.argmin(np.isfinite(means))} are NaN or infinite.")
    return means, logs


def _batch_bounds(
    model: VariationalModel, x: np.ndarray, samples: int, chunk: int, reduced: dict, noise: np.random.Generator
) -> np.ndarray:
    """Both bounds of one batch, `[2, batch]`: one encoder pass, then chunk after chunk of draws."""
    x = ops.cast(x, "float32")
    encoded = model.encode(x)
    total, log_total = np.zeros(len(x)), np.full(len(x), -np.inf)
    for at in range(0, samples, chunk):
        sums, log_sums = reduced[min(chunk, samples - at)](x, encoded, fresh_seed(noise))
        total += ops.convert_to_numpy(sums)
        with np.errstate(invalid="ignore"):  # NaN is reported once, for all batches.
            log_total = np.logaddexp(log_total, ops.convert_to_numpy(log_sums))
    return np.stack([total / samples, log_total - np.log(samples)])


def _reduced(model: VariationalModel, samples: int) -> Any:
    """Compiled: x, encoded, seed -> sum of the log weights and log of the sum of the weights, `[batch]`."""

    def reduce(x: Any, encoded: Any, seed: Any) -> tuple:
        log_weights = model.log_weights(x, encoded, samples, seed)
        return ops.sum(log_weights, axis=0), ops.logsumexp(log_weights, axis=0)

    return compiled(reduce, xla=has_gpu())
