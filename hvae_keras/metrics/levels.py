"""What each level of a model holds, by its KL: units in use, levels that died, what each level draws."""

import numpy as np

from hvae_keras.backend import ops
from hvae_keras.distributions import Tensor, split_seed
from hvae_keras.metrics.draws import over_draws
from hvae_keras.models.inference import BottomUp
from hvae_keras.models.variational import VariationalModel


def kl_by_level(
    model: VariationalModel, x: np.ndarray, samples: int = 1, seed: int = 0, batch_size: int = 256
) -> np.ndarray:
    """The terms of the ELBO: the KL of each level for each x in nats, `[n, L]`, summed over the level's units.

    A level's KL depends on the draws of the others, and is averaged over `samples` of them. Under `BottomUp`
    the term of a level below the top is no divergence and may be negative; the sum over levels is one.

    Args:
        model: Any model of the VAE family; a `VAE` has one level.
        x: `[n, *shape]`.
        samples: Draws of the posterior for each x.
        seed: Seed of the draws.
        batch_size: Examples at a time.

    Raises:
        ValueError: if a count is below 1, or x has another shape than the model's or no example.
        FloatingPointError: if a KL is NaN or infinite.
    """

    def measure(x: Tensor, encoded: list, seed: Tensor) -> list[Tensor]:
        return [ops.stack([level.kl for level in model.explain(encoded, seed)[0]], axis=-1)]

    return over_draws(model, x, measure, samples, seed, batch_size)[0].mean(axis=0)


def kl_by_unit(
    model: VariationalModel, x: np.ndarray, samples: int = 1, seed: int = 0, batch_size: int = 256
) -> list[np.ndarray]:
    """Mean over x of the KL of each unit in nats: for each level an array of the shape of one z.

    Arguments, errors and the remark on `BottomUp` as for `kl_by_level`.
    """

    def measure(x: Tensor, encoded: list, seed: Tensor) -> list[Tensor]:
        return [level.kl_units for level in model.explain(encoded, seed)[0]]

    return [units.mean(axis=(0, 1)) for units in over_draws(model, x, measure, samples, seed, batch_size)]


def active_units(
    model: VariationalModel,
    x: np.ndarray,
    threshold: float = 0.01,
    samples: int = 1,
    seed: int = 0,
    batch_size: int = 256,
) -> np.ndarray:
    """How many units of each level have a mean KL above `threshold` nats: `[L]` (Sønderby et al. 2016).

    Where z is a map, each of its positions and channels counts as a unit. Other arguments as for `kl_by_level`.
    """
    units = kl_by_unit(model, x, samples, seed, batch_size)
    return np.array([(level > threshold).sum() for level in units])


def variance_by_unit(
    model: VariationalModel, x: np.ndarray, samples: int = 10, seed: int = 0, batch_size: int = 256
) -> list[np.ndarray]:
    """Variance over x of the posterior mean E_q[z|x] of each unit: for each level an array like one z.

    In a hierarchy the mean of a level depends on the draws of others. It is averaged over `samples` of them,
    and the variance that their noise leaves in the average is taken off, so that the estimate has no bias
    but may fall a little below 0. Other arguments as for `kl_by_level`.
    """

    def measure(x: Tensor, encoded: list, seed: Tensor) -> list[Tensor]:
        return [level.posterior.mean() for level in model.explain(encoded, seed)[0]]

    samples = max(samples, 2)  # With one draw its noise cannot be told from what x does.
    means = over_draws(model, x, measure, samples, seed, batch_size)
    noise = [mean.var(axis=0, ddof=1).mean(axis=0) / samples for mean in means]
    return [mean.mean(axis=0).var(axis=0) - extra for mean, extra in zip(means, noise, strict=True)]


def active_units_by_variance(
    model: VariationalModel,
    x: np.ndarray,
    threshold: float = 0.01,
    samples: int = 10,
    seed: int = 0,
    batch_size: int = 256,
) -> np.ndarray:
    """How many units of each level have Var_x(E_q[z|x]) above `threshold`: `[L]` (Burda et al. 2016).

    In a flat model a unit whose posterior is its prior has the variance 0. In a hierarchy it need not: if
    q(z_1|z_2, x) = p(z_1|z_2), level 1 adds nothing to what z_2 knows of x and its KL is 0, but its mean
    follows z_2, which follows x. So under top-down inference this rule can over-count below the top, and
    `active_units` is the one to use.
    Arguments as for `variance_by_unit`.
    """
    units = variance_by_unit(model, x, samples, seed, batch_size)
    return np.array([(level > threshold).sum() for level in units])


def collapsed_levels(
    model: VariationalModel,
    x: np.ndarray,
    threshold: float = 0.01,
    samples: int = 1,
    seed: int = 0,
    batch_size: int = 256,
) -> list[int]:
    """The levels whose posterior is their prior, whatever x: those below `threshold` nats, from level 1 to L.

    What is compared is the mean KL of the whole level. Under `BottomUp`, where the term of a level below the
    top is no divergence and may be 0 for a level in use, it is the mean KL from q(z_i|z_{i-1}) to the normal
    with the mean and variance of z_i over all the x. That bounds I_q(z_{i-1}; z_i) from above, and is 0 only
    if the level ignores what it is given. It does not say whether the generator uses the level.

    Arguments as for `kl_by_level`.

    Returns:
        Numbers of the collapsed levels; an empty list if there is none.
    """
    nats = kl_by_level(model, x, samples, seed, batch_size).mean(axis=0)
    if isinstance(getattr(model, "inference", None), BottomUp):
        nats[:-1] = _spread_by_level(model, x, samples, seed, batch_size)[:-1]
    return [level for level, value in enumerate(nats, 1) if value < threshold]


def _spread_by_level(
    model: VariationalModel, x: np.ndarray, samples: int, seed: int, batch_size: int
) -> np.ndarray:
    """Mean KL from each posterior to the normal with the moments of their mixture: `[L]`."""

    def measure(x: Tensor, encoded: list, seed: Tensor) -> list[Tensor]:
        posteriors = [level.posterior for level in model.explain(encoded, seed)[0]]
        return [part for q in posteriors for part in (q.mean(), q.variance())]

    found = over_draws(model, x, measure, samples, seed, batch_size)
    return np.array([_spread(*pair) for pair in zip(found[::2], found[1::2], strict=True)])


def _spread(mean: np.ndarray, variance: np.ndarray) -> float:
    """Half the mean log-ratio of the mixture's variance to each one's: the other terms of the KL cancel."""
    mixture = mean.var(axis=(0, 1), dtype="float64") + variance.mean(axis=(0, 1))
    return float(0.5 * (np.log(mixture) - np.log(variance).mean(axis=(0, 1))).sum())


def reconstruction_by_level(
    model: VariationalModel, x: np.ndarray, samples: int = 1, seed: int = 0, batch_size: int = 256
) -> np.ndarray:
    """E log p(x|z) in nats when z_1 to z_i come from the prior given z_{>i} from the posterior: `[n, L + 1]`.

    Column i is for i = 0, ..., L: column 0 is the reconstruction term of the ELBO, column L knows nothing of
    x, and column i - 1 less column i is what inferring level i adds. The same noise serves every column,
    which makes the differences less noisy. None of them is a bound on log p(x). Arguments as for `kl_by_level`.
    """

    def measure(x: Tensor, encoded: list, seed: Tensor) -> list[Tensor]:
        # Noise of its own for the walks down: a bottom-up z_2 has used that of z_1.
        inference, walk = split_seed(seed, 2)
        inferred = dict(enumerate((level.z for level in model.explain(encoded, inference)[0]), 1))
        columns = []
        for i in range(model.levels + 1):
            held = {level: z for level, z in inferred.items() if level > i}
            columns.append(model.log_likelihood(x, held, walk))
        return [ops.stack(columns, axis=-1)]

    return over_draws(model, x, measure, samples, seed, batch_size)[0].mean(axis=0)
