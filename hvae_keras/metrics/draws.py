"""Running a model's inference over a data set, batch by batch and draw by draw."""

from collections.abc import Callable

import numpy as np

from hvae_keras.backend import compiled, has_gpu, ops
from hvae_keras.distributions import Tensor, stateless_seed
from hvae_keras.models.variational import VariationalModel


def over_draws(
    model: VariationalModel,
    x: np.ndarray,
    measure: Callable[[Tensor, list, Tensor], list[Tensor]],
    samples: int,
    seed: int,
    batch_size: int,
) -> list[np.ndarray]:
    """What `measure` finds in each draw for each x; the deterministic part of inference runs once for each x.

    Args:
        model: Any model of the VAE family.
        x: `[n, *shape]`.
        measure: From x `[batch, *shape]`, `model.encode(x)` and a seed to tensors `[batch, ...]`.
        samples: Draws for each x.
        seed: Seed of the draws.
        batch_size: Examples at a time.

    Returns:
        One array `[samples, n, ...]` for each tensor.

    Raises:
        ValueError: if a count is below 1, or x has another shape than the model's or no example.
        FloatingPointError: if something found is NaN or infinite.
    """
    at_least_one(samples=samples, batch_size=batch_size)
    x = checked(model, x)
    noise = np.random.default_rng(seed)
    # Traced afresh here, because a compiled function may hold on to the weights it was traced with.
    measure, found = compiled(measure, xla=has_gpu()), []
    for at in range(0, len(x), batch_size):
        batch = ops.cast(x[at : at + batch_size], "float32")
        encoded = model.encode(batch)
        draws = [measure(batch, encoded, fresh_seed(noise)) for _ in range(samples)]
        found.append(
            [np.stack([ops.convert_to_numpy(part) for part in parts]) for parts in zip(*draws, strict=True)]
        )
    arrays = [np.concatenate(parts, axis=1) for parts in zip(*found, strict=True)]
    for array in arrays:
        finite = np.isfinite(array).all(axis=(0, *range(2, array.ndim)))
        if not finite.all():
            raise FloatingPointError(f"what the model gives for example {np.argmin(finite)} is NaN or infinite.")
    return arrays


def fresh_seed(noise: np.random.Generator) -> Tensor:
    """The next seed, a tensor, so that a compiled function takes it without a new trace."""
    return stateless_seed(ops.convert_to_tensor(noise.integers(2**31, size=2)))


def checked(model: VariationalModel, x: np.ndarray) -> np.ndarray:
    """x as an array, if it is data for the model."""
    x = np.asarray(x)
    if x.shape[1:] != tuple(model.data_shape):
        raise ValueError(f"x has examples of shape {x.shape[1:]}; the model takes {model.data_shape}.")
    if not len(x):
        raise ValueError("x holds no example.")
    return x


def checked_level(model: VariationalModel, level: int, name: str = "level") -> int:
    """The level, if the model has it."""
    if level not in range(1, model.levels + 1):
        raise ValueError(f"{name} is a level, 1 to {model.levels}; got {level!r}.")
    return level


def at_least_one(**counts: int) -> None:
    """Raise ValueError if a count is below 1."""
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f"{name} is at least 1; got {value!r}.")
