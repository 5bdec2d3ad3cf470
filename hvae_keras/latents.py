"""Walks through the latent space of a model: the pictures that show what a level or a unit holds."""

from collections.abc import Callable, Sequence

import numpy as np

from hvae_keras.backend import ops
from hvae_keras.distributions import Tensor
from hvae_keras.metrics.draws import checked, checked_level, over_draws
from hvae_keras.models.variational import VariationalModel

Latents = dict[int, np.ndarray]
Move = Callable[[np.ndarray, np.ndarray], np.ndarray]
RULES = ("mean", "noise", "value")


def infer_latents(
    model: VariationalModel, x: np.ndarray, temperature: float = 1.0, seed: int = 0, batch_size: int = 256
) -> list[np.ndarray]:
    """One z of each level for each x, from z_1 to z_L, each `[n, *event]`.

    Args:
        model: Any model of the VAE family.
        x: `[n, *shape]`.
        temperature: Factor on the posterior's scale: 1 for draws, 0 for means (of each level given the means
            of the levels that its posterior is given).
        seed: Seed of the draws.
        batch_size: Examples at a time.

    Raises:
        ValueError: if x has another shape than the model's or no example.
        FloatingPointError: if a z is NaN or infinite.
    """

    def measure(x: Tensor, encoded: list, seed: Tensor) -> list[Tensor]:
        return [level.z for level in model.explain(encoded, seed, temperature)[0]]

    return [z[0] for z in over_draws(model, x, measure, 1, seed, batch_size)]


def traverse(
    model: VariationalModel,
    start: np.ndarray | Latents,
    level: int,
    unit: int | tuple[int, ...],
    values: Sequence[float],
    relative: bool = False,
    below: str = "mean",
) -> np.ndarray:
    """Images along one unit of z_level: mean of p(x|z) for each value, `[len(values), *shape]`.

    The levels above, and the other units of the level, stay where they are.

    Args:
        model: Any model of the VAE family.
        start: One x, `[*shape]`, whose latents are inferred (posterior means); or `{level: z}`, each z
            `[*event]`, where a level that is missing is at the mean of its prior.
        level: The level to walk in.
        unit: Number of the unit on the last axis of z, which is the whole channel where z is a map; or a tuple,
            the place of a single entry.
        values: What z of the unit is set to.
        relative: Whether `values` count scales of the prior p(z_i|z_{>i}) from its mean, so that the same
            values are equally likely in every level. At the top this changes nothing.
        below: What the levels below do. "mean": each takes the mean of its prior given those above it, new
            for each value. "noise": each keeps its distance from that mean in scales, the detail of `start`.
            "value": each keeps its z; then only a model with `skip=True` shows a change, unless level is 1.

    Raises:
        ValueError: if the model has no such level or unit, or an argument is none of those above.
    """
    place = _place(model, checked_level(model, level), unit)
    values, z = np.asarray(values, "float32"), _complete(model, start)

    def set_unit(mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
        moved = np.repeat(z[level], len(values), axis=0)
        to = values.reshape(-1, *(1,) * (moved[place].ndim - 1))
        moved[place] = mean[place] + to * scale[place] if relative else to
        return moved

    return _walk(model, z, len(values), {level: set_unit}, below)


def interpolate(
    model: VariationalModel,
    a: np.ndarray | Latents,
    b: np.ndarray | Latents,
    steps: int = 8,
    levels: str | int | Sequence[int] = "all",
    below: str = "noise",
) -> np.ndarray:
    """Images on the way from a to b in the levels chosen: means of p(x|z), `[steps, *shape]`.

    z of a chosen level goes along the straight line from a's to b's. A great circle keeps the length of draws
    of N(0, I), but these are posterior means, which are shorter, and below the top the prior is not centred
    at 0, so that an angle seen from there means nothing. The other levels are a's.

    Args:
        model: Any model of the VAE family.
        a, b: Where to start and to end, each as `start` of `traverse`.
        steps: Images, both ends included; at least 2.
        levels: The levels that move, one or several, or "all".
        below: What the levels that do not move, but lie below one that does, keep of a: as in `traverse`.
            Here "noise" is the default: then the first image is a's reconstruction, and details of a stay
            while what lies above them changes.

    Raises:
        ValueError: if the model has no such level, `steps` is below 2, or an argument is none of those above.
    """
    if steps < 2:
        raise ValueError(f"steps is at least 2, one for each end; got {steps!r}.")
    every = isinstance(levels, str) and levels == "all"
    chosen = range(1, model.levels + 1) if every else np.atleast_1d(levels).tolist()
    if not chosen or not every and isinstance(levels, str):
        raise ValueError(f"levels is 'all', a level or a sequence of levels; got {levels!r}.")
    chosen = [checked_level(model, i, "levels") for i in chosen]
    z, end, share = _complete(model, a), _complete(model, b), np.linspace(0, 1, steps, dtype="float32")

    def along(level: int) -> np.ndarray:
        shares = share.reshape(-1, *(1,) * (z[level].ndim - 1))
        return (1 - shares) * z[level] + shares * end[level]

    return _walk(model, z, steps, {i: lambda mean, scale, i=i: along(i) for i in chosen}, below)


def _place(model: VariationalModel, level: int, unit: int | tuple[int, ...]) -> tuple:
    """Index of the unit in z `[n, *event]` of the level."""
    shape = tuple(model.latent_shapes[level - 1])
    place = (slice(None), *unit) if isinstance(unit, tuple) else (..., unit)
    try:
        whole = np.zeros((1, *shape))[place]
    except IndexError:
        whole = None
    if whole is None or isinstance(unit, tuple) and len(unit) != len(shape):
        raise ValueError(
            f"unit is a number on the last axis of z, of shape {shape}, or a place in it; got {unit!r}."
        )
    return place


def _complete(model: VariationalModel, start: np.ndarray | Latents) -> Latents:
    """z of every level for one start, each `[1, *event]`."""
    if isinstance(start, dict):
        held = {level: np.asarray(z, "float32")[None] for level, z in start.items()}
        draws = model.ancestral(1, held, temperature=0.0, seed=0)[0]
        return {level: ops.convert_to_numpy(draw.z) for level, draw in enumerate(draws, 1)}
    x = checked(model, np.asarray(start)[None])
    return dict(enumerate(infer_latents(model, x, temperature=0.0), 1))


def _walk(model: VariationalModel, z: Latents, n: int, moved: dict[int, Move], below: str) -> np.ndarray:
    """Means of p(x|z) where the levels in `moved` follow their function and the others start from `z`.

    Args:
        model: Any model of the VAE family.
        z: `{level: [1, *event]}`, every level.
        n: How many images.
        moved: `{level: function}`, from mean and scale of the level's prior to z, all `[n, *event]`.
        below: What the other levels below one of these do.
    """
    if below not in RULES:
        raise ValueError(f"below is one of {', '.join(RULES)}; got {below!r}.")
    held = {}
    for level in range(model.levels, 0, -1):
        mean, scale = _prior(model, level, held, n)
        if level in moved:
            held[level] = moved[level](mean, scale)
        elif level > max(moved) or below == "value":
            held[level] = np.repeat(z[level], n, axis=0)
        elif below == "mean":
            held[level] = mean
        else:
            mean_before, scale_before = _prior(model, level, {i: z[i] for i in z if i > level}, 1)
            held[level] = mean + scale * (z[level] - mean_before) / scale_before
    return model.generate(n, held)


def _prior(model: VariationalModel, level: int, above: Latents, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and scale of p(z_level | the levels above), each `[n, *event]`."""
    prior = model.ancestral(n, above, temperature=0.0, seed=0)[0][level - 1].prior
    shape = (n, *model.latent_shapes[level - 1])
    return tuple(np.broadcast_to(ops.convert_to_numpy(part), shape) for part in (prior.mean(), prior.stddev()))
