"""The distributions of the models: the only module that imports TensorFlow Probability.

`tfd` and `tfb` are its distributions and bijectors for the backend Keras runs on. Densities are computed
in float32 at least, whatever the precision of the networks.
"""

from collections.abc import Sequence
from typing import Any

from hvae_keras.backend import BACKEND, keras, ops, quiet_import

with quiet_import():
    if BACKEND == "jax":
        import jax

        # TFP 0.25 reads a table that JAX 0.7 took out of its public namespace.
        if not hasattr(jax.interpreters.xla, "pytype_aval_mappings"):
            from jax._src import core

            jax.interpreters.xla.pytype_aval_mappings = core.pytype_aval_mappings
        from tensorflow_probability.substrates import jax as tfp
    else:
        import tensorflow_probability as tfp
    # TFP loads a part when it is first named, and its JAX side loads TensorFlow then.
    tfd, tfb = tfp.distributions, tfp.bijectors

Tensor = Any
Distribution = Any
Seed = keras.random.SeedGenerator | int  # or a seed tensor, the state of a generator


def _precise(tensor: Tensor) -> Tensor:
    """The tensor in float32, or as it is in float64: half precision is too coarse for a density."""
    tensor = ops.convert_to_tensor(tensor)
    return tensor if ops.dtype(tensor) == "float64" else ops.cast(tensor, "float32")


def normal(mean: Tensor, scale: Tensor, event_dims: int = 1) -> Distribution:
    """Normal with independent components.

    Args:
        mean: `[..., *event]`.
        scale: Standard deviation, positive; broadcast against `mean`.
        event_dims: How many of the last dimensions make one event; the log-density sums over them.
    """
    mean = _precise(mean)
    return tfd.Independent(tfd.Normal(mean, ops.cast(scale, mean.dtype)), event_dims)


def diagonal_normal(parameters: Tensor, event_dims: int = 1) -> Distribution:
    """Normal with diagonal covariance from a head's output.

    Args:
        parameters: `[..., 2 * latent]`, the mean and the log-variance side by side, mean first.
        event_dims: How many of the last dimensions make one event: 3 where z is `[height, width, channels]`.

    Returns:
        A distribution with event shape `[latent]`, or `[..., latent]` with `event_dims` above 1.

    Raises:
        ValueError: if the last dimension is not even.
    """
    if parameters.shape[-1] is None or parameters.shape[-1] % 2:
        raise ValueError(
            "parameters holds a mean and a log-variance side by side, so its last dimension is even; "
            f"got shape {tuple(parameters.shape)}."
        )
    mean, log_var = ops.split(_precise(parameters), 2, axis=-1)
    return normal(mean, ops.exp(0.5 * log_var), event_dims)


def standard_normal(shape: Sequence[int], event_dims: int = 1) -> Distribution:
    """N(0, I) whose event is the last `event_dims` of `shape`, such as `[latent]` or `[batch, latent]`."""
    return normal(ops.zeros(shape), 1.0, event_dims)


def bernoulli(logits: Tensor, event_dims: int | None = None) -> Distribution:
    """Independent Bernoullis, stable for any logit.

    Args:
        logits: `[batch, *event]`: log p/(1-p).
        event_dims: How many of the last dimensions make one event; by default all but the first.
    """
    event_dims = len(logits.shape) - 1 if event_dims is None else event_dims
    return tfd.Independent(tfd.Bernoulli(logits=_precise(logits)), event_dims)


def categorical(logits: Tensor) -> Distribution:
    """One of `classes` outcomes, 0 to classes - 1, from logits `[..., classes]`."""
    return tfd.Categorical(logits=_precise(logits))


def draw_discrete(distribution: Distribution, seed: Seed) -> Tensor:
    """A draw that no gradient passes through, of the distribution's shape; `seed` as `sample` takes it."""
    return ops.stop_gradient(distribution.sample(seed=stateless_seed(seed)))


def sample(distribution: Distribution, seed: Seed, sample_shape: Sequence[int] = ()) -> Tensor:
    """A draw that gradients pass through (the reparameterisation trick; Kingma & Welling 2014, section 2.4).

    Args:
        distribution: One whose draws are differentiable in its parameters, such as a normal.
        seed: A `keras.random.SeedGenerator`, for new noise at every call, or an int or a seed tensor
            (the state of a generator), for the same noise at every call.
        sample_shape: Shape put in front of the batch shape.

    Returns:
        `[*sample_shape, *batch, *event]`.

    Raises:
        ValueError: if no gradient would reach the parameters.
    """
    if distribution.reparameterization_type != tfd.FULLY_REPARAMETERIZED:
        raise ValueError(f"draws of {distribution.name} are not a differentiable function of its parameters.")
    return distribution.sample(tuple(sample_shape), seed=stateless_seed(seed))


def cooled_sample(
    distribution: Distribution, seed: Seed, temperature: float = 1.0, sample_shape: Sequence[int] = ()
) -> Tensor:
    """A draw as if the scale had been multiplied by `temperature`; 0 gives the mean. Otherwise as `sample`."""
    z = sample(distribution, seed, sample_shape)
    if temperature == 1.0:
        return z
    return distribution.mean() + temperature * (z - distribution.mean())


def split_seed(seed: Seed, n: int) -> list[Seed]:
    """`n` seeds of independent draws; a generator stands for all of them, as each draw moves it on."""
    if isinstance(seed, keras.random.SeedGenerator):
        return [seed] * n
    parts = tfp.random.split_seed(stateless_seed(seed), n=n)
    if BACKEND == "jax":
        parts = jax.random.key_data(parts)
    return ops.unstack(parts, n)


def stateless_seed(seed: Seed) -> Tensor:
    """The tensor `[2]` that stands for this draw of a seed generator, for an int, or for itself."""
    if isinstance(seed, keras.random.SeedGenerator):
        seed = seed.next()
    elif isinstance(seed, int):
        seed = ops.convert_to_tensor([seed % 2**31, 0])
    # JAX keys are unsigned; TensorFlow's stateless operations take signed seeds.
    return ops.cast(seed, "uint32" if BACKEND == "jax" else "int32")


def kl(q: Distribution, p: Distribution, samples: int = 1, seed: Seed = 0) -> Tensor:
    """KL(q‖p) in nats: the closed form where TFP has one, else the mean of log q - log p over draws from q.

    Args:
        q: The posterior.
        p: The prior, same event shape.
        samples: Draws of the Monte-Carlo estimate; not used by a closed form.
        seed: Seed of those draws.

    Returns:
        The batch shape of `q` and `p`. A Monte-Carlo estimate may be negative; its expectation may not.

    Raises:
        ValueError: if the event shapes differ.
    """
    if q.event_shape != p.event_shape:
        raise ValueError(f"q and p must have one event shape; got {q.event_shape} and {p.event_shape}.")
    try:
        return tfd.kl_divergence(q, p)
    except NotImplementedError:
        z = sample(q, seed, (samples,))
        return ops.mean(q.log_prob(z) - p.log_prob(z), axis=0)


def kl_units(q: Distribution, p: Distribution) -> Tensor:
    """KL(q‖p) of each dimension of two distributions with independent components, in nats.

    Returns:
        `[*batch, *event]`; its sum over the event is `kl(q, p)`.

    Raises:
        ValueError: if the components are not independent, or the event shapes differ.
    """
    for name, distribution in (("q", q), ("p", p)):
        if not isinstance(distribution, tfd.Independent):
            raise ValueError(f"{name} must have independent components; got {distribution.name}.")
    if q.event_shape != p.event_shape:
        raise ValueError(f"q and p must have one event shape; got {q.event_shape} and {p.event_shape}.")
    return tfd.kl_divergence(q.distribution, p.distribution)


def log_prob_units(distribution: Distribution, z: Tensor) -> Tensor:
    """Log-density of each dimension of z in nats, `[*batch, *event]`, for independent components.

    Raises:
        ValueError: if the components are not independent.
    """
    if not isinstance(distribution, tfd.Independent):
        raise ValueError(f"distribution must have independent components; got {distribution.name}.")
    return distribution.distribution.log_prob(z)
