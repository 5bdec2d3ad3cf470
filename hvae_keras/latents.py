"""Walks through the latent space of a model: the pictures that show what a level or a unit holds."""

import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from hvae_keras.backend import compiled, has_gpu, ops
from hvae_keras.distributions import Tensor
from hvae_keras.metrics.draws import at_least_one, checked, checked_level, fresh_seed, over_draws
from hvae_keras.models.base import BaseModel, held_latents
from hvae_keras.models.variational import VariationalModel

Latents = dict[int, np.ndarray]
Moments = tuple[np.ndarray, np.ndarray]
Prior = Callable[[int, Latents, int], Moments]
Move = Callable[[np.ndarray, np.ndarray], np.ndarray]
Generate = Callable[[int, Latents], np.ndarray]
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
        ValueError: if the model has no posterior, or x has another shape than the model's or no example.
        FloatingPointError: if a z is NaN or infinite.
    """
    check_infers(model)

    def measure(x: Tensor, encoded: list, seed: Tensor) -> list[Tensor]:
        return [level.z for level in model.explain(encoded, seed, temperature)[0]]

    return [z[0] for z in over_draws(model, x, measure, 1, seed, batch_size)]


def draw_latents(
    model: BaseModel,
    n: int,
    latents: Mapping[int, np.ndarray] | None = None,
    temperature: float = 1.0,
    seed: int = 0,
    batch_size: int = 256,
) -> list[np.ndarray]:
    """One z of each level for each of n examples, drawn from the top down: from z_1 to z_L, each `[n, *event]`.

    Args:
        model: Any model of the VAE family, or a `MultiLevelGAN`, where every z is drawn from N(0, I).
        n: How many.
        latents: `{level: z}`, z of shape `[n, *event]`: these are held, the others drawn.
        temperature: Factor on the scale of every prior drawn from.
        seed: Seed of the draws. With one seed a level gets the same noise whatever is held.
        batch_size: Examples at a time; it changes the noise.

    Raises:
        ValueError: if a count is below 1, or `latents` names a level that is not there or holds another number or
            shape of z.
    """
    at_least_one(n=n, batch_size=batch_size)
    held = held_latents(n, latents, model.latent_shapes)
    held = {level: ops.convert_to_numpy(z) for level, z in held.items()}
    noise = np.random.default_rng(seed)
    if not isinstance(model, VariationalModel):
        drawn = [np.float32(temperature * noise.standard_normal((n, *shape))) for shape in model.latent_shapes]
        return [held.get(level, z) for level, z in enumerate(drawn, 1)]

    def draw(size: int, held: Latents, seed: Tensor) -> list[Tensor]:
        return [draw.z for draw in model.ancestral(size, held, temperature, seed)[0]]

    # Compiled, because then nothing below the latents is computed: a decoder may cost far more than they do.
    sizes = {min(batch_size, n - at) for at in range(0, n, batch_size)}
    draws = {size: compiled(functools.partial(draw, size), xla=has_gpu()) for size in sizes}
    found = []
    for at in range(0, n, batch_size):
        some = {level: z[at : at + batch_size] for level, z in held.items()}
        found.append([ops.convert_to_numpy(z) for z in draws[min(batch_size, n - at)](some, fresh_seed(noise))])
    return [np.concatenate(parts) for parts in zip(*found, strict=True)]


def replace_each_level(
    model: BaseModel,
    z: Sequence[np.ndarray],
    others: Sequence[np.ndarray],
    below: str = "noise",
    batch_size: int = 256,
) -> list[list[np.ndarray]]:
    """What the latents are when one level alone is replaced: L times z of all levels, from z_1 to z_L.

    In entry i - 1 z_i is that of `others`, the levels above it are those of `z`, and those below follow a rule.

    Args:
        model: Any model of the VAE family, or a `MultiLevelGAN`, where no z depends on another and the rules
            "noise" and "value" are the same.
        z: From z_1 to z_L, each `[n, *event]`, as `infer_latents` or `draw_latents` gives them.
        others: Likewise, what the levels are replaced by.
        below: What the levels below do, as in `traverse`.
        batch_size: Examples at a time.

    Raises:
        ValueError: if `z` or `others` is not a finite z of each level, they differ in n, or `below` is no rule.
    """
    z, others = _checked_two(model, z, others)
    _check_rule(below)
    at_least_one(batch_size=batch_size)
    prior, found = _prior_of_many(model), []
    for level in range(1, len(z) + 1):
        batches = []
        for at in range(0, len(z[0]), batch_size):
            start = {i: part[at : at + batch_size] for i, part in enumerate(z, 1)}
            new = others[level - 1][at : at + batch_size]
            batches.append(_follow(prior, start, len(new), {level: lambda mean, scale, new=new: new}, below))
        found.append([np.concatenate([batch[i] for batch in batches]) for i in range(1, len(z) + 1)])
    return found


def carry_noise(
    model: BaseModel, z: Sequence[np.ndarray], others: Sequence[np.ndarray], batch_size: int = 256
) -> list[np.ndarray]:
    """For each level, z_i that has the noise of `others` beside the levels above of `z`: from z_1 to z_L.

    The noise is the distance from the mean of the level's prior, in scales: what the level adds to those above it.
    At the top, and where no z depends on another, the result is that of `others`. Arguments and errors as for
    `replace_each_level`.
    """
    z, others = _checked_two(model, z, others)
    at_least_one(batch_size=batch_size)
    prior, found = _prior_of_many(model), []
    for level in range(1, len(z) + 1):
        batches = []
        for at in range(0, len(z[0]), batch_size):
            some = slice(at, at + batch_size)
            here, there = ({i: a[some] for i, a in enumerate(b, 1) if i > level} for b in (z, others))
            other = others[level - 1][some]
            (mean, scale), (mean_before, scale_before) = (
                prior(level, above, len(other)) for above in (here, there)
            )
            batches.append(mean + scale * (other - mean_before) / scale_before)
        found.append(np.concatenate(batches))
    return found


def decode(
    model: BaseModel, z: Sequence[np.ndarray], generate: Generate | None = None, batch_size: int = 256
) -> np.ndarray:
    """What a model makes of a z of each level: `[n, *shape]`.

    Args:
        model: Any model of the VAE family, or a `MultiLevelGAN`.
        z: From z_1 to z_L, each `[n, *event]`.
        generate: What makes examples of n and `{level: z}`, `model.generate` by default. A model of sequences adds
            noise in every step, unless this is `functools.partial(model.generate, top_k=1)`.
        batch_size: Examples at a time. A model of sequences compiles for each batch, so it wants large ones.

    Raises:
        ValueError: if `z` is not a finite z of each level.
        FloatingPointError: if an example is NaN or infinite.
    """
    z, made = checked_latents(model, z), []
    at_least_one(batch_size=batch_size)
    for at in range(0, len(z[0]), batch_size):
        some = {level: part[at : at + batch_size] for level, part in enumerate(z, 1)}
        made.append(np.asarray((generate or model.generate)(len(some[1]), some)))
    made = np.concatenate(made)
    finite = np.isfinite(made).reshape(len(made), -1).all(axis=1)
    if not finite.all():
        raise FloatingPointError(f"what the model makes of example {np.argmin(finite)} is NaN or infinite.")
    return made


def check_infers(model: BaseModel) -> None:
    """Raise ValueError if the model has no posterior."""
    if not isinstance(model, VariationalModel):
        raise ValueError(f"a {type(model).__name__} infers no latents from x; `draw_latents` draws some.")


def checked_latents(model: BaseModel, z: Sequence[np.ndarray], name: str = "z") -> list[np.ndarray]:
    """The z of each level in float32, if there is one for each, as many examples of each, and all is finite."""
    if not isinstance(z, Sequence) or len(z) != len(model.latent_shapes):
        got = f"{len(z)} arrays" if isinstance(z, Sequence) else type(z).__name__
        raise ValueError(f"{name} is a list of z_1 to z_{len(model.latent_shapes)}; got {got}.")
    z = [np.asarray(part, "float32") for part in z]
    n = len(z[0]) if z[0].ndim else 0
    for level, (part, shape) in enumerate(zip(z, model.latent_shapes, strict=True), 1):
        if part.shape != (n, *shape) or not n:
            expected = ", ".join(["n", *map(str, shape)])
            raise ValueError(f"{name} holds z_{level} of shape {part.shape}; expected [{expected}], n as of z_1.")
        finite = np.isfinite(part).reshape(n, -1).all(axis=1)
        if not finite.all():
            raise ValueError(f"{name} holds NaN or infinity in z_{level} of example {np.argmin(finite)}.")
    return z


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


def _checked_two(
    model: BaseModel, z: Sequence[np.ndarray], others: Sequence[np.ndarray]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Both as `checked_latents`, if they hold as many examples."""
    z, others = checked_latents(model, z), checked_latents(model, others, "others")
    if len(z[0]) != len(others[0]):
        raise ValueError(f"others holds {len(others[0])} examples; z has {len(z[0])}.")
    return z, others


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
    """Means of p(x|z) for the latents of `_follow`."""
    _check_rule(below)
    return model.generate(n, _follow(functools.partial(_prior, model), z, n, moved, below))


def _check_rule(below: str) -> None:
    if below not in RULES:
        raise ValueError(f"below is one of {', '.join(RULES)}; got {below!r}.")


def _follow(prior: Prior, z: Latents, n: int, moved: dict[int, Move], below: str) -> Latents:
    """Latents where the levels in `moved` follow their function and the others start from `z`.

    Args:
        prior: From a level, z of the levels above it and how many to mean and scale of the level's prior.
        z: `{level: [1 or n, *event]}`, every level.
        n: How many.
        moved: `{level: function}`, from mean and scale of the level's prior to z, all `[n, *event]`.
        below: What the other levels below one of these do.
    """
    held = {}
    for level in sorted(z, reverse=True):
        if level > max(moved) or level not in moved and below == "value":
            held[level] = np.broadcast_to(z[level], (n, *z[level].shape[1:]))
            continue
        mean, scale = prior(level, held, n)
        if level in moved:
            held[level] = moved[level](mean, scale)
        elif below == "mean":
            held[level] = mean
        else:
            above = {i: z[i] for i in z if i > level}
            mean_before, scale_before = prior(level, above, len(z[level]))
            held[level] = mean + scale * (z[level] - mean_before) / scale_before
    return held


def _prior(model: VariationalModel, level: int, above: Latents, n: int) -> Moments:
    """Mean and scale of p(z_level | the levels above), each `[n, *event]`."""
    return _broadcast(model, level, n, _moments(model, level, n, above))


def _prior_of_many(model: BaseModel) -> Prior:
    """`_prior` of the model, compiled once for each level and n; nothing below the level is computed."""
    if not isinstance(model, VariationalModel):
        return functools.partial(_normal, model)
    functions = {}

    def prior(level: int, above: Latents, n: int) -> Moments:
        if (level, n) not in functions:
            functions[level, n] = compiled(functools.partial(_moments, model, level, n), xla=has_gpu())
        return _broadcast(model, level, n, functions[level, n](above))

    return prior


def _moments(model: VariationalModel, level: int, n: int, above: Latents) -> list[Tensor]:
    prior = model.ancestral(n, above, temperature=0.0, seed=0)[0][level - 1].prior
    return [prior.mean(), prior.stddev()]


def _normal(model: BaseModel, level: int, above: Latents, n: int) -> Moments:
    """The prior of a level that depends on no other, N(0, I)."""
    return _broadcast(model, level, n, [np.float32(0), np.float32(1)])


def _broadcast(model: BaseModel, level: int, n: int, moments: Sequence[Tensor]) -> Moments:
    shape = (n, *model.latent_shapes[level - 1])
    return tuple(np.broadcast_to(ops.convert_to_numpy(part), shape) for part in moments)
