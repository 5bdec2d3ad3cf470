"""Checks of lesson 05. Expected values come from quadrature, float64 and matrix inverses."""

import numpy as np
from scipy.stats import norm

from hvae_keras.backend import ops
from hvae_keras.course import Exercise, assert_close


def product_by_quadrature(mean, variance, other_mean, other_variance):
    """Mean and variance of the normal proportional to the product of two normal densities, on a fine grid."""
    parts = [np.asarray(part, np.float64) for part in (mean, variance, other_mean, other_variance)]
    mean, variance, other_mean, other_variance = parts
    nearest = np.sqrt(np.minimum(variance, other_variance))
    low, high = np.minimum(mean, other_mean) - 12 * nearest, np.maximum(mean, other_mean) + 12 * nearest
    grid = low + (high - low) * np.linspace(0, 1, 20_001).reshape(-1, *(1,) * mean.ndim)
    log_density = norm.logpdf(grid, mean, np.sqrt(variance)) + norm.logpdf(
        grid, other_mean, np.sqrt(other_variance)
    )
    weights = np.exp(log_density - log_density.max(axis=0))
    weights /= weights.sum(axis=0)
    centre = (weights * grid).sum(axis=0)
    return centre, (weights * (grid - centre) ** 2).sum(axis=0)


def kl_by_quadrature(mean, log_var, other_mean=0.0, other_log_var=0.0):
    """KL(N(mean, exp(log_var)) ‖ N(other_mean, exp(other_log_var))) by Gauss-Hermite quadrature, elementwise."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    mean, log_var, other_mean, other_log_var = np.broadcast_arrays(mean, log_var, other_mean, other_log_var)
    scale, other_scale = (
        np.exp(0.5 * np.asarray(part, np.float64))[..., None] for part in (log_var, other_log_var)
    )
    z = np.asarray(mean, np.float64)[..., None] + scale * nodes
    log_q = norm.logpdf(z, np.asarray(mean)[..., None], scale)
    log_p = norm.logpdf(z, np.asarray(other_mean)[..., None], other_scale)
    return (log_q - log_p) @ weights / weights.sum()


def _two(result, names):
    """The two parts of an answer, or a sentence about what came instead."""
    assert isinstance(result, (tuple, list)) and len(result) == 2, f"two values are asked for, {names}"
    return result


def _kl(mean, log_var, other_mean, other_log_var):
    """The closed form, elementwise, from which the wrong answers below are made."""
    ratio = ops.exp(log_var - other_log_var)
    squares = ops.square(mean - other_mean) * ops.exp(-other_log_var)
    return 0.5 * (ratio + squares - 1 - log_var + other_log_var)


def _merge(mean, log_var, prior_mean, prior_log_var):
    weight = ops.sigmoid(prior_log_var - log_var)
    return prior_mean + weight * (mean - prior_mean), -ops.logaddexp(-log_var, -prior_log_var)


# 5.1 ----------------------------------------------------------------------------------------------------

two_witnesses = Exercise(
    "5.1",
    "two_witnesses",
    stars=1,
    points=2,
    minutes=5,
    hints=(
        "A witness counts as much as it is sure. How sure it is, is one over its variance.",
        "τ = 1/v. The precisions add: τ = τ_1 + τ_2. The mean is the average weighted by τ_1 and τ_2.",
        "Two precisions, their sum; then the weighted mean, divided by the sum, beside one over the sum.",
    ),
)


@two_witnesses.check(points=1)
def test_two_equal_witnesses_meet_in_the_middle(two_witnesses):
    """Equal variances: the mean lies halfway, and the variance is half of one witness's."""
    mean, variance = _two(two_witnesses([1.0, -2.0], [2.0, 0.5], [3.0, 4.0], [2.0, 0.5]), "mean and variance")
    assert_close(mean, [2.0, 1.0], what="mean")
    assert_close(variance, [1.0, 0.25], what="variance")


@two_witnesses.check(points=1)
def test_agrees_with_the_product_of_the_densities(two_witnesses, rng):
    """The two densities multiplied on a grid, and the moments of what comes of it."""
    means, variances = rng.normal(size=(2, 6)) * 2, np.stack([rng.uniform(0.2, 0.8, 6), rng.uniform(1.5, 4, 6)])
    mean, variance = _two(two_witnesses(means[0], variances[0], means[1], variances[1]), "mean and variance")
    expected_mean, expected_variance = product_by_quadrature(means[0], variances[0], means[1], variances[1])
    assert_close(mean, expected_mean, rtol=1e-3, atol=1e-3, what="mean")
    assert_close(variance, expected_variance, rtol=1e-3, what="variance")


@two_witnesses.misconception("You added the variances. Two witnesses are surer than one: the precisions add.")
def variances_added(mean, variance, other_mean, other_variance):
    total = 1 / variance + 1 / other_variance
    return (mean / variance + other_mean / other_variance) / total, variance + other_variance


@two_witnesses.misconception(
    "You averaged the means evenly. A witness with a small variance knows better, and counts for more."
)
def even_average(mean, variance, other_mean, other_variance):
    return 0.5 * (mean + other_mean), 1 / (1 / variance + 1 / other_variance)


@two_witnesses.misconception(
    "The weights are swapped: the witness with the larger variance counts more in your mean."
)
def weights_swapped(mean, variance, other_mean, other_variance):
    total = variance + other_variance
    return (variance * mean + other_variance * other_mean) / total, variance * other_variance / total


@two_witnesses.misconception("1/v_1 + 1/v_2 is the precision of the product. Its variance is one over that.")
def precision_returned(mean, variance, other_mean, other_variance):
    total = 1 / variance + 1 / other_variance
    return (mean / variance + other_mean / other_variance) / total, total


@two_witnesses.misconception("You averaged the precisions. They add: the second witness makes you surer.")
def precisions_averaged(mean, variance, other_mean, other_variance):
    total = 1 / variance + 1 / other_variance
    return (mean / variance + other_mean / other_variance) / total, 2 / total


@two_witnesses.misconception("You weighed by 1/σ. The exponent of a normal holds 1/σ²: weigh by the precision.")
def weighed_by_scale(mean, variance, other_mean, other_variance):
    weight, other = variance**-0.5, other_variance**-0.5
    return (weight * mean + other * other_mean) / (weight + other), 1 / (1 / variance + 1 / other_variance)


@two_witnesses.misconception("The weighted means are not divided by the sum of the weights.")
def not_divided(mean, variance, other_mean, other_variance):
    return mean / variance + other_mean / other_variance, 1 / (1 / variance + 1 / other_variance)


@two_witnesses.misconception("You squared the variances. They are variances already: the precision is 1/v.")
def variances_taken_for_scales(mean, variance, other_mean, other_variance):
    weight, other = variance**-2, other_variance**-2
    return (weight * mean + other * other_mean) / (weight + other), 1 / (weight + other)


@two_witnesses.misconception("Your second array is the scale. The variance is asked: do not take the root.")
def scale_returned(mean, variance, other_mean, other_variance):
    total = 1 / variance + 1 / other_variance
    return (mean / variance + other_mean / other_variance) / total, total**-0.5


# 5.2 ----------------------------------------------------------------------------------------------------

merge = Exercise(
    "5.2",
    "merge",
    stars=2,
    points=3,
    minutes=10,
    hints=(
        "Never compute a precision. Its logarithm is −log_var, and what you return is a logarithm too.",
        "log τ_q = log(e^a + e^b) with a = −log_var and b = −prior_log_var; its share is e^a / (e^a + e^b), "
        "a function of a − b alone.",
        "Two functions of `ops` do the work; nothing else touches a logarithm. Try your signs on an estimate "
        "that knows nothing (a huge log_var): the prior must come out.",
    ),
)


@merge.check(points=1)
def test_agrees_with_the_product_of_two_normals(merge, rng):
    """At log-variances where nothing overflows: the densities multiplied on a grid."""
    mean, prior_mean = rng.normal(size=(2, 3, 2)) * 2
    log_var, prior_log_var = rng.uniform(-2, -0.5, size=(3, 2)), rng.uniform(0.5, 2, size=(3, 2))
    got, got_log_var = _two(merge(mean, log_var, prior_mean, prior_log_var), "mean and log_var")
    expected, variance = product_by_quadrature(mean, np.exp(log_var), prior_mean, np.exp(prior_log_var))
    assert_close(got, expected, rtol=1e-3, atol=1e-3, what="mean")
    assert_close(got_log_var, np.log(variance), rtol=1e-3, atol=1e-3, what="log_var")


@merge.check(points=2)
def test_is_exact_at_log_variances_of_plus_and_minus_200(merge):
    """e^200 is infinite in float32 and a plain number in float64, where the expected values are computed."""
    log_var = np.array([200.0, -200.0, 0.0, 0.0, 200.0, -200.0, 200.0])
    prior_log_var = np.array([0.0, 0.0, 200.0, -200.0, 200.0, -200.0, -200.0])
    mean, prior_mean = np.linspace(1.0, 4.0, 7), np.linspace(-3.0, 0.5, 7)
    tau, prior_tau = np.exp(-log_var), np.exp(-prior_log_var)
    expected = (mean * tau + prior_mean * prior_tau) / (tau + prior_tau)
    got, got_log_var = _two(merge(mean, log_var, prior_mean, prior_log_var), "mean and log_var")
    assert_close(got, expected, what="mean")
    assert_close(got_log_var, -np.log(tau + prior_tau), what="log_var")


@merge.misconception("e^200 is infinite in float32: the precisions overflow. Stay with their logarithms.")
def through_the_precisions(mean, log_var, prior_mean, prior_log_var):
    tau, prior_tau = ops.exp(-log_var), ops.exp(-prior_log_var)
    return (mean * tau + prior_mean * prior_tau) / (tau + prior_tau), -ops.log(tau + prior_tau)


@merge.misconception("Clipping the log-variances keeps the numbers finite and makes them wrong beyond the clip.")
def clipped(mean, log_var, prior_mean, prior_log_var):
    tau, prior_tau = ops.exp(ops.clip(-log_var, -30, 30)), ops.exp(ops.clip(-prior_log_var, -30, 30))
    return (mean * tau + prior_mean * prior_tau) / (tau + prior_tau), -ops.log(tau + prior_tau)


@merge.misconception("You took log_var for log σ. The log-precision is −log_var, without a factor of 2.")
def log_scale_for_log_var(mean, log_var, prior_mean, prior_log_var):
    merged, merged_log_var = _merge(mean, 2 * log_var, prior_mean, 2 * prior_log_var)
    return merged, 0.5 * merged_log_var


@merge.misconception("The share is turned round: the surer of the two counts for less in your mean.")
def share_turned(mean, log_var, prior_mean, prior_log_var):
    return _merge(prior_mean, log_var, mean, prior_log_var)


@merge.misconception("That is the log-precision. The log-variance is its negative.")
def log_precision_returned(mean, log_var, prior_mean, prior_log_var):
    merged, merged_log_var = _merge(mean, log_var, prior_mean, prior_log_var)
    return merged, -merged_log_var


@merge.misconception(
    "You added the variances. Precisions add: the signs belong inside logaddexp and in front of it."
)
def log_variances_added(mean, log_var, prior_mean, prior_log_var):
    return _merge(mean, log_var, prior_mean, prior_log_var)[0], ops.logaddexp(log_var, prior_log_var)


@merge.misconception("The prior's mean counts in full there. Its share is one minus the estimate's.")
def prior_in_full(mean, log_var, prior_mean, prior_log_var):
    _, merged_log_var = _merge(mean, log_var, prior_mean, prior_log_var)
    return prior_mean + ops.sigmoid(prior_log_var - log_var) * mean, merged_log_var


@merge.misconception("You averaged the log-variances. The precisions add, and then comes the logarithm.")
def log_variances_averaged(mean, log_var, prior_mean, prior_log_var):
    return _merge(mean, log_var, prior_mean, prior_log_var)[0], 0.5 * (log_var + prior_log_var)


# 5.3 ----------------------------------------------------------------------------------------------------

top_down_step = Exercise(
    "5.3",
    "top_down_step",
    stars=2,
    points=4,
    minutes=10,
    hints=(
        "Three normals meet here: the prior from above, x's estimate, and their merge. Which one is q?",
        "p = N(z_above W + b, ·), q = merge(estimate, p), z = μ_q + σ_q ε, and the cost is KL(q ‖ p), a sum.",
        "First the prior's mean. Then the library's merge, with the estimate first. Then z, with a factor of one "
        "half in the exponent; last the KL of two normals, with a sum over the last axis.",
    ),
)


def _step_inputs(rng, estimate_log_var=None):
    """z_above of 3 units, z of 2, a batch of 5; all distinct sizes, so that axes cannot be mistaken."""
    z_above, weight, bias = rng.normal(size=(5, 3)), rng.normal(size=(3, 2)), rng.normal(size=2)
    prior_log_var, estimate_mean = rng.uniform(0.4, 1.0, size=2), rng.normal(size=(5, 2)) + 2
    if estimate_log_var is None:
        estimate_log_var = rng.uniform(-1.5, -0.5, size=(5, 2))
    return z_above, weight, bias, prior_log_var, estimate_mean, estimate_log_var, rng.normal(size=(5, 2))


@top_down_step.check(points=1)
def test_an_estimate_that_knows_nothing_leaves_the_prior(top_down_step, rng):
    """With a log-variance of 60 the estimate says nothing: z is a draw of the prior and costs nothing."""
    inputs = _step_inputs(rng, np.full((5, 2), 60.0))
    z_above, weight, bias, prior_log_var, _, _, noise = inputs
    z, kl = _two(top_down_step(*inputs), "z and kl")
    assert_close(z, z_above @ weight + bias + np.exp(0.5 * prior_log_var) * noise, rtol=1e-3, atol=1e-4, what="z")
    assert_close(kl, np.zeros(5), atol=1e-4, what="kl")


@top_down_step.check(points=3)
def test_draws_from_the_merge_and_pays_to_the_prior(top_down_step, rng):
    """The merge by multiplying densities on a grid, the KL by quadrature."""
    inputs = _step_inputs(rng)
    z_above, weight, bias, prior_log_var, estimate_mean, estimate_log_var, noise = inputs
    prior_mean, prior_log_var = z_above @ weight + bias, np.broadcast_to(prior_log_var, (5, 2))
    mean, variance = product_by_quadrature(
        estimate_mean, np.exp(estimate_log_var), prior_mean, np.exp(prior_log_var)
    )
    z, kl = _two(top_down_step(*inputs), "z and kl")
    assert_close(z, mean + np.sqrt(variance) * noise, rtol=1e-3, atol=2e-3, what="z")
    expected = kl_by_quadrature(mean, np.log(variance), prior_mean, prior_log_var).sum(axis=1)
    assert_close(kl, expected, rtol=2e-3, atol=2e-3, what="kl")


def _step(z_above, weight, bias, prior_log_var, estimate_mean, estimate_log_var, noise):
    """Prior, estimate and merge, each mean and log-variance `(batch, units)`, and the right z."""
    prior = z_above @ weight + bias, ops.broadcast_to(prior_log_var, np.shape(estimate_mean))
    estimate = estimate_mean, estimate_log_var
    q = _merge(*estimate, *prior)
    return prior, estimate, q, q[0] + ops.exp(0.5 * q[1]) * noise


@top_down_step.misconception(
    "You drew z from x's estimate alone. The posterior is the estimate merged with the prior."
)
def not_merged(z_above, weight, bias, prior_log_var, estimate_mean, estimate_log_var, noise):
    prior, estimate, _, _ = _step(
        z_above, weight, bias, prior_log_var, estimate_mean, estimate_log_var, noise
    )  # the first misconception lends the verdict the arguments' names
    z = estimate[0] + ops.exp(0.5 * estimate[1]) * noise
    return z, ops.sum(_kl(*estimate, *prior), axis=-1)


@top_down_step.misconception("You drew z from the prior. Then x has no say in it: draw from the merge.")
def drawn_from_the_prior(*inputs):
    prior, _, q, _ = _step(*inputs)
    return prior[0] + ops.exp(0.5 * prior[1]) * inputs[-1], ops.sum(_kl(*q, *prior), axis=-1)


@top_down_step.misconception("The KL is that of x's estimate. What you drew from, and pay for, is the merge.")
def kl_of_the_estimate(*inputs):
    prior, estimate, _, z = _step(*inputs)
    return z, ops.sum(_kl(*estimate, *prior), axis=-1)


@top_down_step.misconception(
    "That is the KL from q to x's estimate. The model generates from the prior: compare q with that."
)
def kl_to_the_estimate(*inputs):
    _, estimate, q, z = _step(*inputs)
    return z, ops.sum(_kl(*q, *estimate), axis=-1)


@top_down_step.misconception("Only the top level has the prior N(0, I). Below it the prior comes from z_above.")
def kl_to_standard_normal(*inputs):
    _, _, q, z = _step(*inputs)
    return z, ops.sum(_kl(*q, 0.0, 0.0), axis=-1)


@top_down_step.misconception("That is KL(p‖q). The draws come from q: put q first.")
def kl_reversed(*inputs):
    prior, _, q, z = _step(*inputs)
    return z, ops.sum(_kl(*prior, *q), axis=-1)


@top_down_step.misconception("You averaged the KL over the units. The units are independent given z_above: sum.")
def kl_averaged(*inputs):
    prior, _, q, z = _step(*inputs)
    return z, ops.mean(_kl(*q, *prior), axis=-1)


@top_down_step.misconception("You stretched the noise by the variance. The scale is exp(log_var / 2).")
def stretched_by_the_variance(*inputs):
    prior, _, q, _ = _step(*inputs)
    return q[0] + ops.exp(q[1]) * inputs[-1], ops.sum(_kl(*q, *prior), axis=-1)


@top_down_step.misconception("The KL is summed over the whole batch. Every example pays for its own z.")
def kl_of_the_batch(*inputs):
    prior, _, q, z = _step(*inputs)
    return z, ops.sum(_kl(*q, *prior))


# 5.4 ----------------------------------------------------------------------------------------------------

ladder_elbo = Exercise(
    "5.4",
    "ladder_elbo",
    stars=2,
    points=3,
    minutes=5,
    hints=(
        "One log-likelihood, and one KL for each level. Only one of the two priors is standard normal.",
        "ELBO = log p(x|z_1) − KL(q(z_1|z_2, x)‖p(z_1|z_2)) − KL(q(z_2|x)‖N(0, I)).",
        "Four normals by `diagonal_normal` and `standard_normal`, two `kl`, stacked along the last axis with "
        "level 1 first; then the log-likelihood less their sum.",
    ),
)


def _ladder_batch(rng):
    """Eight images of 4×3, z_1 of 4 units, z_2 of 3: x, logits and parameters of q_1, p_1, q_2."""
    logits = rng.normal(size=(8, 4, 3, 1))
    x = (rng.random(logits.shape) < 0.5).astype(np.float32)

    def parameters(units, low, high):
        return np.concatenate([rng.normal(size=(8, units)), rng.uniform(low, high, size=(8, units))], axis=1)

    return x, logits, parameters(4, -2, -1), parameters(4, 0.3, 1.0), parameters(3, -2, -1) + 0.2


def _expected_terms(x, logits, q_1, p_1, q_2):
    """Bernoulli by its definition in float64, the divergences by quadrature."""
    p = 1 / (1 + np.exp(-logits))
    log_likelihood = np.where(x == 1, np.log(p), np.log1p(-p)).reshape(len(x), -1).sum(axis=1)
    kl_1 = kl_by_quadrature(*np.split(q_1, 2, axis=1), *np.split(p_1, 2, axis=1)).sum(axis=1)
    kl = np.stack([kl_1, kl_by_quadrature(*np.split(q_2, 2, axis=1)).sum(axis=1)], axis=1)
    return log_likelihood - kl.sum(axis=1), kl


@ladder_elbo.check(points=2)
def test_has_one_kl_for_each_level(ladder_elbo, rng):
    """The divergences by quadrature, the likelihood by its definition."""
    batch = _ladder_batch(rng)
    bound, kl = _two(ladder_elbo(*batch), "elbo and kl")
    expected, expected_kl = _expected_terms(*batch)
    assert_close(kl, expected_kl, rtol=1e-3, what="kl")
    assert_close(bound, expected, rtol=1e-3, what="elbo")


@ladder_elbo.check(points=1)
def test_a_level_whose_posterior_is_its_prior_costs_nothing(ladder_elbo, rng):
    """Level 1 follows a prior that moves with z_2: its KL is 0, however far the prior is from N(0, I)."""
    x, logits, _, p_1, q_2 = _ladder_batch(rng)
    bound, kl = _two(ladder_elbo(x, logits, p_1, p_1, q_2), "elbo and kl")
    expected, expected_kl = _expected_terms(x, logits, p_1, p_1, q_2)
    assert_close(kl, expected_kl, rtol=1e-3, atol=1e-4, what="kl")
    assert_close(bound, expected, rtol=1e-3, what="elbo")


def _parts(x, logits, q_1, p_1, q_2):
    """log p of every pixel, and the KL of every unit of both levels."""
    log_p = x * logits - ops.softplus(logits)
    kl_1 = _kl(*ops.split(q_1, 2, axis=-1), *ops.split(p_1, 2, axis=-1))
    return log_p, kl_1, _kl(*ops.split(q_2, 2, axis=-1), 0.0, 0.0)


def _together(log_p, kl_1, kl_2):
    kl = ops.stack([ops.sum(kl_1, axis=-1), ops.sum(kl_2, axis=-1)], axis=-1)
    return ops.sum(log_p, axis=(1, 2, 3)) - ops.sum(kl, axis=-1), kl


@ladder_elbo.misconception("Level 1 is compared with N(0, I). Its prior is p(z_1|z_2), which comes from above.")
def standard_prior_everywhere(x, logits, q_1, p_1, q_2):
    log_p, _, kl_2 = _parts(x, logits, q_1, p_1, q_2)
    return _together(log_p, _kl(*ops.split(q_1, 2, axis=-1), 0.0, 0.0), kl_2)


@ladder_elbo.misconception("The top level is free in your bound. It pays too, to N(0, I).")
def top_for_free(x, logits, q_1, p_1, q_2):
    log_p, kl_1, kl_2 = _parts(x, logits, q_1, p_1, q_2)
    return _together(log_p, kl_1, 0.0 * kl_2)


@ladder_elbo.misconception("That is KL(p‖q) in level 1. The draws come from q: put the posterior first.")
def reversed_in_level_1(x, logits, q_1, p_1, q_2):
    log_p, _, kl_2 = _parts(x, logits, q_1, p_1, q_2)
    return _together(log_p, _kl(*ops.split(p_1, 2, axis=-1), *ops.split(q_1, 2, axis=-1)), kl_2)


@ladder_elbo.misconception("Your levels are in the order of the draws. Level 1, nearest the data, comes first.")
def top_first(x, logits, q_1, p_1, q_2):
    bound, kl = _together(*_parts(x, logits, q_1, p_1, q_2))
    return bound, ops.flip(kl, axis=-1)


@ladder_elbo.misconception("The divergences are right, and added. They are what the code costs: subtract them.")
def kl_added(x, logits, q_1, p_1, q_2):
    log_p, kl_1, kl_2 = _parts(x, logits, q_1, p_1, q_2)
    bound, kl = _together(log_p, kl_1, kl_2)
    return bound + 2 * ops.sum(kl, axis=-1), kl


@ladder_elbo.misconception("You averaged over the pixels. That hides a β as large as their number.")
def mean_over_pixels(x, logits, q_1, p_1, q_2):
    log_p, kl_1, kl_2 = _parts(x, logits, q_1, p_1, q_2)
    return _together(log_p / (log_p.shape[1] * log_p.shape[2]), kl_1, kl_2)


@ladder_elbo.misconception("A mean over the units of a level hides a β below 1. The KL of a vector is a sum.")
def mean_over_units(x, logits, q_1, p_1, q_2):
    log_p, kl_1, kl_2 = _parts(x, logits, q_1, p_1, q_2)
    return _together(log_p, kl_1 / kl_1.shape[-1], kl_2 / kl_2.shape[-1])


@ladder_elbo.misconception("You averaged over the batch. Every image has an ELBO and divergences of its own.")
def mean_over_the_batch(x, logits, q_1, p_1, q_2):
    bound, kl = _together(*_parts(x, logits, q_1, p_1, q_2))
    return ops.mean(bound), ops.mean(kl, axis=0)


# 5.5 ----------------------------------------------------------------------------------------------------

active_units = Exercise(
    "5.5",
    "active_units",
    stars=2,
    points=3,
    minutes=5,
    hints=(
        "A unit is active if, on average over the data, it costs something. Average what?",
        "KL of a unit in an example: ½ (log p_var − log q_var + (q_var + (q_mean − p_mean)²)/p_var − 1). Mean, "
        "then compare with the threshold.",
        "An array (batch, units), one mean over the first axis, one comparison, one sum. Return both.",
    ),
)


@active_units.check(points=1)
def test_units_that_only_follow_their_prior_are_not_active(active_units, rng):
    """The prior moves with the level above and the posterior goes along: it says nothing new of x.

    Where both are N(0, I) the KL is 0 exactly, and 0 is not above 0.
    """
    mean, log_var = rng.normal(size=(40, 5)), rng.uniform(-1, 1, size=(40, 5))
    kl, count = _two(active_units(mean, log_var, mean, log_var, 0.01), "kl and count")
    assert_close(kl, np.zeros(5), atol=1e-5, what="kl")
    assert_close(count, 0, what="count")
    _, count = _two(active_units(*np.zeros((4, 40, 5)), 0.0), "kl and count")
    assert_close(count, 0, what="count at the threshold")


@active_units.check(points=2)
def test_counts_units_by_their_mean_kl(active_units, rng):
    """Three units at work, two idle, one at work in a single example of forty; the KL by quadrature."""
    p_mean, p_log_var = rng.normal(size=(40, 6)), rng.uniform(0.3, 1, size=(40, 6))
    apart = np.tile([1.5, 1.0, 2.0, 0.01, 0.01, 0.0], (40, 1))
    apart[0, 5] = 0.5
    q_log_var = p_log_var - np.array([2.0, 1.0, 1.5, 0.0, 0.0, 0.0])
    q_mean = p_mean + apart * np.exp(0.5 * p_log_var) * rng.choice([-1, 1], size=(40, 6))
    expected = kl_by_quadrature(q_mean, q_log_var, p_mean, p_log_var).mean(axis=0)
    kl, count = _two(active_units(q_mean, q_log_var, p_mean, p_log_var, 0.01), "kl and count")
    assert_close(kl, expected, rtol=2e-3, atol=1e-5, what="kl")
    assert_close(count, 3, what="count")


def _counted(kl, threshold):
    return kl, ops.sum(ops.cast(kl > threshold, "int32"))


@active_units.misconception(
    "You counted by the variance of the posterior's mean. Below the top the mean moves with the prior for free."
)
def counted_by_variance(q_mean, q_log_var, p_mean, p_log_var, threshold):
    return _counted(ops.var(q_mean, axis=0), threshold)


@active_units.misconception(
    "You compared q with N(0, 1). Below the top the prior has a mean and a variance of its own."
)
def against_standard_normal(q_mean, q_log_var, p_mean, p_log_var, threshold):
    return _counted(ops.mean(_kl(q_mean, q_log_var, 0.0, 0.0), axis=0), threshold)


@active_units.misconception("The KL is summed over the data: with more images every unit becomes active.")
def summed_over_the_data(q_mean, q_log_var, p_mean, p_log_var, threshold):
    return _counted(ops.sum(_kl(q_mean, q_log_var, p_mean, p_log_var), axis=0), threshold)


@active_units.misconception("One example above the threshold does not make a unit active: take the mean over x.")
def largest_over_the_data(q_mean, q_log_var, p_mean, p_log_var, threshold):
    return _counted(ops.max(_kl(q_mean, q_log_var, p_mean, p_log_var), axis=0), threshold)


@active_units.misconception(
    "The KL is right, but you count units whose mean moves. Below the top it moves with the prior: count by KL."
)
def right_kl_counted_by_variance(q_mean, q_log_var, p_mean, p_log_var, threshold):
    kl = ops.mean(_kl(q_mean, q_log_var, p_mean, p_log_var), axis=0)
    return kl, _counted(ops.var(q_mean, axis=0), threshold)[1]


@active_units.misconception(
    "The KL is right, but you count a unit if any example is above the threshold. Its mean has to be."
)
def right_kl_counted_by_any(q_mean, q_log_var, p_mean, p_log_var, threshold):
    kl = _kl(q_mean, q_log_var, p_mean, p_log_var)
    return ops.mean(kl, axis=0), _counted(ops.max(kl, axis=0), threshold)[1]


@active_units.misconception("You averaged q and p over the data first. What tells images apart is gone then.")
def averaged_too_early(q_mean, q_log_var, p_mean, p_log_var, threshold):
    parts = (ops.mean(part, axis=0) for part in (q_mean, q_log_var, p_mean, p_log_var))
    return _counted(_kl(*parts), threshold)


@active_units.misconception("That is KL(p‖q). The draws come from q: put q first.")
def count_by_reversed_kl(q_mean, q_log_var, p_mean, p_log_var, threshold):
    return _counted(ops.mean(_kl(p_mean, p_log_var, q_mean, q_log_var), axis=0), threshold)


@active_units.misconception("You summed over the units and kept the data. One number for each unit is asked.")
def summed_over_units(q_mean, q_log_var, p_mean, p_log_var, threshold):
    return _counted(ops.sum(_kl(q_mean, q_log_var, p_mean, p_log_var), axis=1), threshold)


# 5.6 ----------------------------------------------------------------------------------------------------

posterior_precisions = Exercise(
    "5.6",
    "posterior_precisions",
    stars=3,
    points=4,
    minutes=15,
    hints=(
        "Ask for each of the three: what else than x is known, and what noise lies between this level and x?",
        "Integrate out the level that is not given: put z_1 = a z_2 + t ε into whatever holds z_1, and add the "
        "variances of what is independent. Then precisions add: the prior's, and slope² over the variance of x.",
        "Each answer has two summands. The first is one over the variance before x is seen. The second is a "
        "squared slope from that level to x, over the noise that is left in x.",
    ),
)


def _precisions_by_inverse(w, s, a, t):
    """From the joint covariance of (z_1, z_2, x), inverted numerically: [n, 3]."""
    found = []
    for w_, s_, a_, t_ in zip(w, s, a, t, strict=True):
        from_noise = np.array([[t_, a_, 0.0], [0.0, 1.0, 0.0], [w_ * t_, w_ * a_, s_]])
        joint = from_noise @ from_noise.T
        of = [np.linalg.inv(joint[np.ix_(kept, kept)])[0, 0] for kept in ([0, 1, 2], [0, 2], [1, 2])]
        found.append(of)
    return np.array(found)


@posterior_precisions.check(points=1)
def test_without_a_slope_x_says_nothing(posterior_precisions):
    """w = 0: what is left are the precisions of p(z_1|z_2), p(z_1) and p(z_2)."""
    got = posterior_precisions([0.0, 0.0], [1.0, 0.5], [2.0, 1.0], [0.5, 3.0])
    assert_close(got, [[4.0, 1 / 4.25, 1.0], [1 / 9, 0.1, 1.0]])


@posterior_precisions.check(points=3)
def test_agrees_with_the_inverse_of_the_joint_covariance(posterior_precisions, rng):
    """The joint normal of both levels and x, inverted by NumPy."""
    w, a = rng.uniform(0.6, 2, size=(2, 5)) * rng.choice([-1, 1], size=(2, 5))
    s, t = rng.uniform(0.4, 0.8, size=5), rng.uniform(0.4, 1.6, size=5)
    assert_close(posterior_precisions(w, s, a, t), _precisions_by_inverse(w, s, a, t), rtol=1e-3)


def _columns(*columns):
    return np.stack(columns, axis=-1)


@posterior_precisions.misconception("s and t are scales. Precisions are made of variances: square them.")
def scales_not_squared(w, s, a, t):
    return _columns(1 / t + w**2 / s, 1 / (a**2 + t) + w**2 / s, 1 + (a * w) ** 2 / (w**2 * t + s))


@posterior_precisions.misconception(
    "Your second answer takes z_2 as known. It is not: p(z_1) is wider than p(z_1|z_2)."
)
def second_as_the_first(w, s, a, t):
    first = 1 / t**2 + w**2 / s**2
    return _columns(first, first, 1 + (a * w) ** 2 / (w**2 * t**2 + s**2))


@posterior_precisions.misconception(
    "Your third answer sees x through z_1 as if z_1 had no noise of its own: its variance reaches x as w² t²."
)
def noise_between_forgotten(w, s, a, t):
    return _columns(1 / t**2 + w**2 / s**2, 1 / (a**2 + t**2) + w**2 / s**2, 1 + (a * w) ** 2 / s**2)


@posterior_precisions.misconception(
    "In your third answer the noise of z_1 reaches x unscaled. It passes the slope w: its share is w² t²."
)
def noise_between_not_scaled(w, s, a, t):
    return _columns(1 / t**2 + w**2 / s**2, 1 / (a**2 + t**2) + w**2 / s**2, 1 + (a * w) ** 2 / (t**2 + s**2))


@posterior_precisions.misconception(
    "Your second answer takes p(z_1) for N(0, 1). Only the top level has that: z_1 has the variance a² + t²."
)
def standard_normal_z_1(w, s, a, t):
    return _columns(1 / t**2 + w**2 / s**2, 1 + w**2 / s**2, 1 + (a * w) ** 2 / (w**2 * t**2 + s**2))


@posterior_precisions.misconception("Your third answer lacks the prior of z_2, N(0, 1): its precision is added.")
def prior_of_the_top_forgotten(w, s, a, t):
    return _columns(1 / t**2 + w**2 / s**2, 1 / (a**2 + t**2) + w**2 / s**2, (a * w) ** 2 / (w**2 * t**2 + s**2))


@posterior_precisions.misconception("Those are the variances. A precision is one over them.")
def variances_for_precisions(w, s, a, t):
    right = _columns(
        1 / t**2 + w**2 / s**2, 1 / (a**2 + t**2) + w**2 / s**2, 1 + (a * w) ** 2 / (w**2 * t**2 + s**2)
    )
    return 1 / right


@posterior_precisions.misconception("The priors are missing. What x says is added to what was known without it.")
def priors_forgotten(w, s, a, t):
    return _columns(w**2 / s**2, w**2 / s**2, (a * w) ** 2 / (w**2 * t**2 + s**2))


@posterior_precisions.misconception("z_1 = a z_2 + t ε: its variance is a² + t², as z_2 and ε are independent.")
def variance_of_z_1_without_z_2(w, s, a, t):
    return _columns(1 / t**2 + w**2 / s**2, 1 / (1 + t**2) + w**2 / s**2, 1 + (a * w) ** 2 / (w**2 * t**2 + s**2))


@posterior_precisions.misconception("The slopes are not squared: x scaled by w has the precision w²/s² about z_1.")
def slopes_not_squared(w, s, a, t):
    return _columns(1 / t**2 + w / s**2, 1 / (a**2 + t**2) + w / s**2, 1 + a * w / (w**2 * t**2 + s**2))


@posterior_precisions.misconception(
    "The columns are asked in another order: z_1 given z_2 and x, z_1 given x, z_2 given x."
)
def columns_swapped(w, s, a, t):
    return _columns(
        1 + (a * w) ** 2 / (w**2 * t**2 + s**2), 1 / (a**2 + t**2) + w**2 / s**2, 1 / t**2 + w**2 / s**2
    )


# 5.7 ----------------------------------------------------------------------------------------------------

mended_kl = Exercise(
    "5.7",
    "mended_kl",
    stars=3,
    points=4,
    minutes=10,
    hints=(
        "Put q equal to p in every level: what should come out, and what does? Then count the levels in the loop.",
        "KL(q‖p) = ½ [log(v_p/v_q) + (v_q + (μ_q − μ_p)²)/v_p − 1], for every level, the top one too, where p is "
        "whatever the model generates that level from.",
        "There are three faults: which normal stands for p, which terms the one half belongs to, and which levels "
        "the sum leaves out. The arrays have all levels in their first axis: no loop is needed.",
    ),
)


def _three_levels(rng):
    """Parameters of q, x's estimate and p, all (3 levels, 4 examples, 2 units); at the top q is the estimate."""
    estimate_mean, p_mean = rng.normal(size=(2, 3, 4, 2)) + np.array([1.0, -1.0])[:, None, None, None]
    estimate_log_var, p_log_var = rng.uniform(-2, -0.7, size=(3, 4, 2)), rng.uniform(0.3, 1.0, size=(3, 4, 2))
    p_mean[-1], p_log_var[-1] = 0.0, 0.0
    tau, p_tau = np.exp(-estimate_log_var), np.exp(-p_log_var)
    q_mean, q_log_var = (estimate_mean * tau + p_mean * p_tau) / (tau + p_tau), -np.log(tau + p_tau)
    q_mean[-1], q_log_var[-1] = estimate_mean[-1], estimate_log_var[-1]
    return q_mean, q_log_var, estimate_mean, estimate_log_var, p_mean, p_log_var


@mended_kl.check(points=1)
def test_is_zero_where_the_posterior_is_the_prior(mended_kl, rng):
    """q = p in every level, while x's estimate says something else."""
    _, _, estimate_mean, estimate_log_var, p_mean, p_log_var = _three_levels(rng)
    kl = mended_kl(p_mean, p_log_var, estimate_mean, estimate_log_var, p_mean, p_log_var)
    assert_close(kl, np.zeros(4), atol=1e-4)


@mended_kl.check(points=3)
def test_is_the_sum_over_levels_of_kl_from_q_to_p(mended_kl, rng):
    """Each of the three levels by quadrature."""
    inputs = _three_levels(rng)
    expected = kl_by_quadrature(inputs[0], inputs[1], inputs[4], inputs[5]).sum(axis=(0, 2))
    assert_close(mended_kl(*inputs), expected, rtol=1e-3)


def _colleague(q, p, half=False, top=False):
    """The colleague's sum with each fault mended or not; q and p are (mean, log_var)."""
    factor = 0.5 if half else 1.0
    log_term = factor * (p[1] - q[1])
    kl = log_term + 0.5 * ((ops.exp(q[1]) + ops.square(q[0] - p[0])) * ops.exp(-p[1]) - 1)
    return ops.sum(kl if top else kl[:-1], axis=(0, 2))


@mended_kl.misconception("All three faults are still there. Try q = p: what should a divergence be then?")
def as_it_was(q_mean, q_log_var, estimate_mean, estimate_log_var, p_mean, p_log_var):
    return _colleague((q_mean, q_log_var), (estimate_mean, estimate_log_var))


@mended_kl.misconception("The KL is still taken to x's estimate. The model generates from p, so p is the prior.")
def still_to_the_estimate(q_mean, q_log_var, estimate_mean, estimate_log_var, p_mean, p_log_var):
    return _colleague((q_mean, q_log_var), (estimate_mean, estimate_log_var), half=True, top=True)


@mended_kl.misconception("The one half belongs to the logarithm as well: compare with the KL of two normals.")
def half_still_missing(q_mean, q_log_var, estimate_mean, estimate_log_var, p_mean, p_log_var):
    return _colleague((q_mean, q_log_var), (p_mean, p_log_var), top=True)


@mended_kl.misconception("The top level still pays nothing. Its prior is N(0, I), and it is in the arrays.")
def top_still_left_out(q_mean, q_log_var, estimate_mean, estimate_log_var, p_mean, p_log_var):
    return _colleague((q_mean, q_log_var), (p_mean, p_log_var), half=True)


@mended_kl.misconception(
    "The prior is mended. The logarithm still lacks its half, and the top level pays nothing."
)
def only_the_prior_mended(q_mean, q_log_var, estimate_mean, estimate_log_var, p_mean, p_log_var):
    return _colleague((q_mean, q_log_var), (p_mean, p_log_var))


@mended_kl.misconception("You compare x's estimate with the prior. What was drawn from is q, the merge.")
def estimate_to_prior(q_mean, q_log_var, estimate_mean, estimate_log_var, p_mean, p_log_var):
    return _colleague((estimate_mean, estimate_log_var), (p_mean, p_log_var), half=True, top=True)


@mended_kl.misconception("That is KL(p‖q). The draws come from q: put q first.")
def mended_but_reversed(q_mean, q_log_var, estimate_mean, estimate_log_var, p_mean, p_log_var):
    return _colleague((p_mean, p_log_var), (q_mean, q_log_var), half=True, top=True)


@mended_kl.misconception("The levels are averaged now. An ELBO has the sum of their divergences.")
def levels_averaged(q_mean, q_log_var, estimate_mean, estimate_log_var, p_mean, p_log_var):
    total = _colleague((q_mean, q_log_var), (p_mean, p_log_var), half=True, top=True)
    return total / np.shape(q_mean)[0]


@mended_kl.misconception("The batch axis is gone. Each example has a KL of its own: sum over levels and units.")
def batch_summed_too(q_mean, q_log_var, estimate_mean, estimate_log_var, p_mean, p_log_var):
    return ops.sum(_colleague((q_mean, q_log_var), (p_mean, p_log_var), half=True, top=True))
