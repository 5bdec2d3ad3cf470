"""Checks of lesson 02. Expected values come from closed forms, quadrature and SciPy, never from the solutions."""

import numpy as np
from scipy.special import logsumexp
from scipy.stats import norm

from hvae_keras.backend import ops
from hvae_keras.course import Exercise, assert_close


def kl_by_quadrature(mean, log_var, other_mean=0.0, other_var=1.0):
    """KL(N(mean, exp(log_var)) ‖ N(other_mean, other_var)) by Gauss-Hermite quadrature, elementwise, nats."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    scale = np.exp(0.5 * np.asarray(log_var, np.float64))
    z = np.asarray(mean, np.float64)[..., None] + scale[..., None] * nodes
    log_q = norm.logpdf(z, np.asarray(mean)[..., None], scale[..., None])
    log_p = norm.logpdf(z, np.asarray(other_mean)[..., None], np.sqrt(other_var)[..., None])
    return (log_q - log_p) @ weights / weights.sum()


def log_bernoulli(x, logits):
    """log p(x) of independent Bernoullis by the definition, in float64, summed over all but the batch."""
    p = 1 / (1 + np.exp(-np.asarray(logits, np.float64)))
    values = np.where(np.asarray(x) == 1, np.log(p), np.log1p(-p))
    return values.reshape(len(values), -1).sum(axis=1)


# 2.1 ----------------------------------------------------------------------------------------------------

reparameterise = Exercise(
    "2.1",
    "reparameterise",
    stars=1,
    points=2,
    minutes=5,
    hints=(
        "Noise of scale one has to be stretched, then moved.",
        "z = μ + σ ε. You are given log σ², so what is σ?",
        "One line: mean + (something of log_var) * noise. The something has a factor of one half.",
    ),
)


@reparameterise.check(points=1)
def test_stretches_and_moves_the_noise(reparameterise):
    """σ = 2 and 1/2: far enough from 1 that σ, σ² and log σ² differ."""
    z = reparameterise([[3.0, -1.0]], np.log([[4.0, 0.25]]), [[1.0, -2.0]])
    assert_close(z, [[5.0, -2.0]])


@reparameterise.check(points=1)
def test_gradient_reaches_mean_and_log_var(reparameterise, rng):
    """TensorFlow's gradient of the function, against the derivatives of z = μ + σ ε on paper."""
    mean, log_var, noise = rng.normal(size=(3, 4, 2)).astype(np.float32)
    in_mean = reparameterise.gradient_in(0, mean, log_var, noise)
    in_log_var = reparameterise.gradient_in(1, mean, log_var, noise)
    for name, gradient in (("mean", in_mean), ("log_var", in_log_var)):
        assert gradient is not None, f"no gradient reaches {name}: compute with ops from there to z"
    assert_close(in_mean, np.ones((4, 2)), what="gradient in mean")
    assert_close(in_log_var, 0.5 * np.exp(0.5 * log_var) * noise, rtol=1e-3, what="gradient in log_var")


@reparameterise.misconception("You stretched the noise by the variance. The scale is σ = exp(log_var / 2).")
def variance_for_scale(mean, log_var, noise):
    return mean + ops.exp(log_var) * noise


@reparameterise.misconception("Half of the variance is not the scale: the ½ belongs inside the exponential.")
def half_outside(mean, log_var, noise):
    return mean + 0.5 * ops.exp(log_var) * noise


@reparameterise.misconception(
    "NumPy computes the right number and no gradient: training would never move σ. Use ops."
)
def numpy_in_between(mean, log_var, noise):
    return np.asarray(mean) + np.exp(0.5 * np.asarray(log_var)) * np.asarray(noise)


@reparameterise.misconception("The noise came through unstretched: where is σ?")
def scale_forgotten(mean, log_var, noise):
    return mean + noise


@reparameterise.misconception("log_var is a logarithm. It can be negative, a scale cannot.")
def log_variance_for_scale(mean, log_var, noise):
    return mean + log_var * noise


@reparameterise.misconception("The noise is stretched but not moved: add the mean.")
def mean_forgotten(mean, log_var, noise):
    return ops.exp(0.5 * log_var) * noise


@reparameterise.misconception("All entries got the same noise. Every example and every dimension has its own.")
def one_noise_for_all(mean, log_var, noise):
    return mean + ops.exp(0.5 * log_var) * noise[:1, :1]


@reparameterise.misconception("All rows got the noise of the first one. Every example has a draw of its own.")
def one_noise_for_the_batch(mean, log_var, noise):
    return mean + ops.exp(0.5 * log_var) * noise[:1]


# 2.2 ----------------------------------------------------------------------------------------------------

kl_to_standard_normal = Exercise(
    "2.2",
    "kl_to_standard_normal",
    stars=2,
    points=3,
    minutes=10,
    hints=(
        "The dimensions of z are independent under q and under p, so their divergences add up.",
        "For one dimension: KL = ½ (σ² + μ² − 1 − log σ²). Check it: it is 0 at μ = 0, σ = 1.",
        "Build the array of shape (batch, latent) from exp(log_var), the square of mean and log_var; "
        "then one sum over the last axis.",
    ),
)


@kl_to_standard_normal.check(points=1)
def test_is_zero_for_the_prior_itself(kl_to_standard_normal):
    """Two examples, three dimensions: also the shape is tested."""
    assert_close(kl_to_standard_normal(np.zeros((2, 3)), np.zeros((2, 3))), [0.0, 0.0])


@kl_to_standard_normal.check(points=2)
def test_agrees_with_the_integral(kl_to_standard_normal, rng):
    """Gauss-Hermite quadrature of E_q[log q − log p], exact for normals up to rounding."""
    mean = rng.normal(size=(4, 3)) + 1.5
    log_var = rng.uniform(-3, 1.5, size=(4, 3))
    assert_close(kl_to_standard_normal(mean, log_var), kl_by_quadrature(mean, log_var).sum(axis=1), rtol=1e-3)


@kl_to_standard_normal.misconception(
    "You left the dimensions apart. The KL of a vector is their sum: one an example."
)
def not_summed(mean, log_var):
    return 0.5 * (ops.exp(log_var) + ops.square(mean) - 1 - log_var)


@kl_to_standard_normal.misconception("At μ = 0 and σ = 1 this is not zero: the − 1 is missing.")
def one_forgotten(mean, log_var):
    return 0.5 * ops.sum(ops.exp(log_var) + ops.square(mean) - log_var, axis=-1)


@kl_to_standard_normal.misconception(
    "You took log_var for log σ. It is log σ²: exp(log_var) is the variance already."
)
def log_scale_for_log_var_in_kl(mean, log_var):
    return 0.5 * ops.sum(ops.exp(2 * log_var) + ops.square(mean) - 1 - 2 * log_var, axis=-1)


@kl_to_standard_normal.misconception("The mean is missing: E[z²] is σ² + μ², not σ².")
def mean_forgotten_in_kl(mean, log_var):
    return 0.5 * ops.sum(ops.exp(log_var) - 1 - log_var, axis=-1)


@kl_to_standard_normal.misconception("You averaged over the dimensions of z. The KL of a vector is their sum.")
def mean_over_dimensions(mean, log_var):
    return 0.5 * ops.mean(ops.exp(log_var) + ops.square(mean) - 1 - log_var, axis=-1)


@kl_to_standard_normal.misconception("That is KL(p‖q). Which of the two do the samples come from? Put q first.")
def reversed_kl(mean, log_var):
    return 0.5 * ops.sum((1 + ops.square(mean)) * ops.exp(-log_var) - 1 + log_var, axis=-1)


@kl_to_standard_normal.misconception("You used σ where σ² belongs: exp(log_var) is already the variance.")
def scale_for_variance(mean, log_var):
    return 0.5 * ops.sum(ops.exp(0.5 * log_var) + ops.square(mean) - 1 - log_var, axis=-1)


@kl_to_standard_normal.misconception("The factor ½ is missing: it comes from the logarithm of the normal density.")
def half_forgotten(mean, log_var):
    return ops.sum(ops.exp(log_var) + ops.square(mean) - 1 - log_var, axis=-1)


@kl_to_standard_normal.misconception("The sign is turned round. A divergence is never negative.")
def negative_kl(mean, log_var):
    return -0.5 * ops.sum(ops.exp(log_var) + ops.square(mean) - 1 - log_var, axis=-1)


@kl_to_standard_normal.misconception("The batch axis is gone. Each example has a KL of its own.")
def summed_over_batch(mean, log_var):
    return 0.5 * ops.sum(ops.exp(log_var) + ops.square(mean) - 1 - log_var)


# 2.3 ----------------------------------------------------------------------------------------------------

bernoulli_log_likelihood = Exercise(
    "2.3",
    "bernoulli_log_likelihood",
    stars=2,
    points=3,
    minutes=10,
    hints=(
        "Never form the probability. Write log p(x) for one pixel directly in terms of the logit.",
        "With p = sigmoid(l): log p = −softplus(−l) and log(1 − p) = −softplus(l). "
        "Subtract them: what multiplies x?",
        "One term is x times the logit, the other is a softplus. Sum over every axis but the first.",
    ),
)


@bernoulli_log_likelihood.check(points=1)
def test_agrees_with_the_definition(bernoulli_log_likelihood, rng):
    """Images of 3×5 pixels, so that rows, columns and batch cannot be mistaken for each other."""
    logits = rng.normal(size=(4, 3, 5, 1)) * 2
    x = (rng.random(logits.shape) < 0.4).astype(np.float32)
    assert_close(bernoulli_log_likelihood(x, logits), log_bernoulli(x, logits))


@bernoulli_log_likelihood.check(points=1)
def test_is_exact_at_logits_of_plus_and_minus_1000(bernoulli_log_likelihood):
    """In float32 the sigmoid of 1000 is exactly 1: its logarithm knows nothing of the logit any more."""
    x = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    logits = np.array([[1000.0, -1000.0], [-1000.0, -1000.0], [-1000.0, -1000.0]])
    assert_close(bernoulli_log_likelihood(x, logits), [0.0, -1000.0, -2000.0])


@bernoulli_log_likelihood.check(points=1)
def test_doubles_when_every_pixel_is_there_twice(bernoulli_log_likelihood, rng):
    """Twice the pixels: log-likelihoods of independent pixels add."""
    logits = rng.normal(size=(3, 4))
    x = (rng.random((3, 4)) < 0.5).astype(np.float32)
    once = np.asarray(bernoulli_log_likelihood(x, logits), np.float64)
    assert_close(
        bernoulli_log_likelihood(np.repeat(x, 2, axis=1), np.repeat(logits, 2, axis=1)), 2 * once, rtol=1e-3
    )


@bernoulli_log_likelihood.misconception(
    "Forming the probability first loses the logit: the sigmoid of ±1000 rounds to 0 or 1, and 0 · log 0 is NaN."
)
def through_the_probability(x, logits):
    p = ops.sigmoid(logits)
    values = x * ops.log(p) + (1 - x) * ops.log(1 - p)
    return ops.sum(values, axis=tuple(range(1, np.ndim(x))))


@bernoulli_log_likelihood.misconception(
    "Clipping the probability hides the infinity and keeps a wrong number: a white pixel at −1000 costs 1000 nats."
)
def clipped(x, logits):
    p = ops.clip(ops.sigmoid(logits), 1e-7, 1 - 1e-7)
    values = x * ops.log(p) + (1 - x) * ops.log(1 - p)
    return ops.sum(values, axis=tuple(range(1, np.ndim(x))))


@bernoulli_log_likelihood.misconception("exp of 1000 is infinite. ops.softplus computes log(1 + exp) without it.")
def softplus_by_hand(x, logits):
    values = x * logits - ops.log(1 + ops.exp(logits))
    return ops.sum(values, axis=tuple(range(1, np.ndim(x))))


@bernoulli_log_likelihood.misconception("Only the last axis is summed. Sum over every axis but the first.")
def last_axis_only(x, logits):
    return ops.sum(x * logits - ops.softplus(logits), axis=-1)


@bernoulli_log_likelihood.misconception("You averaged over the pixels. The pixels are independent: log p adds up.")
def mean_over_pixels(x, logits):
    return ops.mean(x * logits - ops.softplus(logits), axis=tuple(range(1, np.ndim(x))))


@bernoulli_log_likelihood.misconception("That is the cross-entropy, minus the log-likelihood: turn the sign.")
def cross_entropy(x, logits):
    return ops.sum(ops.softplus(logits) - x * logits, axis=tuple(range(1, np.ndim(x))))


@bernoulli_log_likelihood.misconception(
    "The sign of the logit is turned: that is the likelihood of the negative image."
)
def negative_image(x, logits):
    return ops.sum(-x * logits - ops.softplus(-logits), axis=tuple(range(1, np.ndim(x))))


# 2.4 ----------------------------------------------------------------------------------------------------

elbo = Exercise(
    "2.4",
    "elbo",
    stars=2,
    points=3,
    minutes=5,
    hints=(
        "What the decoder explains, less what the code costs.",
        "ELBO = log p(x|z) − KL(q(z|x)‖p(z)): one distribution for x, two for z. Both terms come back summed.",
        "Build the three distributions; then one `.log_prob`, one `kl` with the posterior first, one minus sign.",
    ),
)


@elbo.check(points=2)
def test_is_log_likelihood_minus_kl_for_each_example(elbo, rng):
    """Bernoulli by its definition, the KL by quadrature."""
    logits = rng.normal(size=(5, 3, 2, 1))
    x = (rng.random(logits.shape) < 0.5).astype(np.float32)
    mean, log_var = rng.normal(size=(5, 4)) + 1, rng.uniform(-2, 1, size=(5, 4))
    expected = log_bernoulli(x, logits) - kl_by_quadrature(mean, log_var).sum(axis=1)
    assert_close(elbo(x, logits, mean, log_var), expected, rtol=1e-3)


@elbo.check(points=1)
def test_a_latent_that_says_nothing_costs_nothing(elbo, rng):
    """Append a latent dimension whose posterior is the prior: not a nat may change."""
    logits = rng.normal(size=(4, 6))
    x = (rng.random((4, 6)) < 0.5).astype(np.float32)
    mean, log_var = rng.normal(size=(4, 2)) + 2, rng.uniform(-2, 0, size=(4, 2))
    idle = np.zeros((4, 1))
    expected = log_bernoulli(x, logits) - kl_by_quadrature(mean, log_var).sum(axis=1)
    assert_close(elbo(x, logits, np.hstack([mean, idle]), np.hstack([log_var, idle])), expected, rtol=1e-3)


def _parts(x, logits, mean, log_var):
    log_p = x * logits - ops.softplus(logits)
    kl = 0.5 * (ops.exp(log_var) + ops.square(mean) - 1 - log_var)
    return log_p, kl, tuple(range(1, np.ndim(x)))


@elbo.misconception("You added the KL. It is what the code costs: subtract it.")
def kl_added(x, logits, mean, log_var):
    log_p, kl, axes = _parts(x, logits, mean, log_var)
    return ops.sum(log_p, axis=axes) + ops.sum(kl, axis=-1)


@elbo.misconception("That is KL(p‖q). The posterior comes first: kl(posterior, prior).")
def kl_the_other_way(x, logits, mean, log_var):
    log_p, _, axes = _parts(x, logits, mean, log_var)
    kl = 0.5 * ops.sum((1 + ops.square(mean)) * ops.exp(-log_var) - 1 + log_var, axis=-1)
    return ops.sum(log_p, axis=axes) - kl


@elbo.misconception("The code is free in your bound: subtract the KL.")
def kl_left_out(x, logits, mean, log_var):
    log_p, _, axes = _parts(x, logits, mean, log_var)
    return ops.sum(log_p, axis=axes)


@elbo.misconception("Bernoulli takes logits as they are. You passed probabilities on.")
def probabilities_for_logits(x, logits, mean, log_var):
    log_p, kl, axes = _parts(x, ops.sigmoid(logits), mean, log_var)
    return ops.sum(log_p, axis=axes) - ops.sum(kl, axis=-1)


@elbo.misconception("The KL is summed over the whole batch. Every example pays for its own code only.")
def kl_of_the_batch(x, logits, mean, log_var):
    log_p, kl, axes = _parts(x, logits, mean, log_var)
    return ops.sum(log_p, axis=axes) - ops.sum(kl)


@elbo.misconception("A mean over the pixels hides a β: it makes the KL weigh as many times more as x has pixels.")
def hidden_beta(x, logits, mean, log_var):
    log_p, kl, axes = _parts(x, logits, mean, log_var)
    return ops.mean(log_p, axis=axes) - ops.sum(kl, axis=-1)


@elbo.misconception("A mean over the latent dimensions hides a β below 1: the KL is their sum.")
def mean_over_latents(x, logits, mean, log_var):
    log_p, kl, axes = _parts(x, logits, mean, log_var)
    return ops.sum(log_p, axis=axes) - ops.mean(kl, axis=-1)


@elbo.misconception("That is the loss, the negative ELBO. The bound itself is what was asked.")
def negative_elbo(x, logits, mean, log_var):
    log_p, kl, axes = _parts(x, logits, mean, log_var)
    return ops.sum(kl, axis=-1) - ops.sum(log_p, axis=axes)


@elbo.misconception("You averaged over the batch. One number an example was asked.")
def batch_mean(x, logits, mean, log_var):
    log_p, kl, axes = _parts(x, logits, mean, log_var)
    return ops.mean(ops.sum(log_p, axis=axes) - ops.sum(kl, axis=-1))


# 2.5 ----------------------------------------------------------------------------------------------------

importance_weighted_bound = Exercise(
    "2.5",
    "importance_weighted_bound",
    stars=2,
    points=3,
    minutes=5,
    hints=(
        "Average the weights, not their logarithms; then take the logarithm.",
        "L_k = log (1/k) Σ w_i = logsumexp(log w) − log k.",
        "`ops.logsumexp` over the samples' axis; the number of samples is the length of that axis.",
    ),
)


@importance_weighted_bound.check(points=1)
def test_equal_weights_give_that_weight(importance_weighted_bound):
    """Three samples, two examples. A perfect posterior makes all weights of an example equal."""
    assert_close(importance_weighted_bound([[-80.0, -90.0]] * 3), [-80.0, -90.0])


@importance_weighted_bound.check(points=1)
def test_averages_weights_not_logarithms(importance_weighted_bound, rng):
    """SciPy's logsumexp is the second implementation."""
    log_weights = rng.normal(size=(7, 3)) * 2 - 1
    assert_close(importance_weighted_bound(log_weights), logsumexp(log_weights, axis=0) - np.log(7))


@importance_weighted_bound.check(points=1)
def test_survives_weights_too_small_for_a_float(importance_weighted_bound, rng):
    """exp(−1000) is 0 in float32, and the logarithm of 0 is a bound that says nothing."""
    log_weights = rng.normal(size=(5, 4)) - 1000
    assert_close(importance_weighted_bound(log_weights), logsumexp(log_weights, axis=0) - np.log(5), atol=1e-3)


@importance_weighted_bound.misconception("You averaged the logarithms: that is the ELBO again, for any k.")
def mean_of_logarithms(log_weights):
    return ops.mean(log_weights, axis=0)


@importance_weighted_bound.misconception("You divided the logarithm by k, not the sum: log(S/k) = log S − log k.")
def logarithm_divided(log_weights):
    return ops.logsumexp(log_weights, axis=0) / np.shape(log_weights)[0]


@importance_weighted_bound.misconception("The sum of the weights grows with k. Their mean is wanted: − log k.")
def log_k_forgotten(log_weights):
    return ops.logsumexp(log_weights, axis=0)


@importance_weighted_bound.misconception(
    "exp of a large negative number is 0. Take out the largest weight first, as logsumexp does."
)
def exponentiated(log_weights):
    return ops.log(ops.mean(ops.exp(log_weights), axis=0))


@importance_weighted_bound.misconception("You averaged over the examples. The samples are the first axis.")
def wrong_axis(log_weights):
    return ops.logsumexp(log_weights, axis=1) - np.log(np.shape(log_weights)[1])


@importance_weighted_bound.misconception(
    "Σ w̃ log w with normalised weights w̃ is larger than L_k: take the logarithm of the mean weight instead."
)
def surrogate(log_weights):
    return ops.sum(ops.softmax(log_weights, axis=0) * log_weights, axis=0)


# 2.6 ----------------------------------------------------------------------------------------------------

elbo_gap = Exercise(
    "2.6",
    "elbo_gap",
    stars=3,
    points=4,
    minutes=15,
    hints=(
        "First find p(z|x). Collect the terms with z² and with z in −z²/2 − (x − wz)²/(2s²).",
        "A normal has −z²/(2v) + z m/v. So 1/v = 1 + w²/s² and m/v = w x/s². The gap is KL(q‖p(z|x)).",
        "Three lines: the true variance, the true mean, and the KL of two normals. With r = q's variance over the "
        "true one and d the distance of the means: half of (r − 1 − log r, plus d² over the true variance).",
    ),
)


def _true_gap(x, weight, scale, mean, log_var):
    """log p(x) − ELBO, without knowing the posterior: the evidence by its closed form, the ELBO by quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    q_scale = np.exp(0.5 * log_var)
    z = mean[:, None] + q_scale[:, None] * nodes
    log_p = norm.logpdf(x[:, None], weight[:, None] * z, scale[:, None]) + norm.logpdf(z)
    bound = (log_p - norm.logpdf(z, mean[:, None], q_scale[:, None])) @ weights / weights.sum()
    return norm.logpdf(x, 0, np.sqrt(weight**2 + scale**2)) - bound


@elbo_gap.check(points=2)
def test_equals_log_evidence_minus_elbo(elbo_gap, rng):
    """log p(x) in closed form, the ELBO by Gauss-Hermite quadrature; the posterior is never used."""
    x, mean = rng.normal(size=5) * 2, rng.normal(size=5)
    weight, scale = rng.uniform(0.5, 2, size=5), rng.uniform(0.5, 1.5, size=5)
    log_var = rng.uniform(-2, 1, size=5)
    assert_close(
        elbo_gap(x, weight, scale, mean, log_var), _true_gap(x, weight, scale, mean, log_var), rtol=1e-3, atol=1e-3
    )


@elbo_gap.check(points=1)
def test_is_zero_at_the_true_posterior(elbo_gap):
    """w = 2, s = 1, x = 5: the posterior has mean 2 and variance 1/5."""
    assert_close(elbo_gap([5.0], [2.0], [1.0], [2.0], np.log([0.2])), [0.0], atol=1e-4)


@elbo_gap.check(points=1)
def test_is_the_whole_kl_to_the_prior_when_the_decoder_ignores_z(elbo_gap, rng):
    """With w = 0 the posterior is the prior."""
    mean, log_var = rng.normal(size=3) + 1, rng.uniform(-2, 0, size=3)
    gap = elbo_gap(rng.normal(size=3), np.zeros(3), np.ones(3), mean, log_var)
    assert_close(gap, kl_by_quadrature(mean, log_var), rtol=1e-3)


def _kl_normals(mean, var, other_mean, other_var):
    return 0.5 * (np.log(other_var / var) + var / other_var + (mean - other_mean) ** 2 / other_var - 1)


@elbo_gap.misconception("That is KL(p(z|x)‖q). The expectation in the ELBO is under q: q comes first.")
def gap_reversed(x, weight, scale, mean, log_var):
    var = 1 / (1 + weight**2 / scale**2)
    return _kl_normals(var * weight * x / scale**2, var, mean, np.exp(log_var))


@elbo_gap.misconception("That is the KL to the prior. The gap is the KL to the true posterior p(z|x).")
def kl_to_the_prior(x, weight, scale, mean, log_var):
    return _kl_normals(mean, np.exp(log_var), 0.0, 1.0)


@elbo_gap.misconception("The prior is missing from your posterior: its precision of 1 is added to w²/s².")
def prior_forgotten(x, weight, scale, mean, log_var):
    precision = np.maximum(weight**2 / scale**2, 1e-12)
    return _kl_normals(mean, np.exp(log_var), weight * x / scale**2 / precision, 1 / precision)


@elbo_gap.misconception("1 + w²/s² is the precision of the posterior. Its variance is one over that.")
def precision_for_variance(x, weight, scale, mean, log_var):
    precision = 1 + weight**2 / scale**2
    return _kl_normals(mean, np.exp(log_var), weight * x / scale**2 / precision, precision)


@elbo_gap.misconception("The posterior's mean is w x/s² times its variance: one factor is missing.")
def mean_not_scaled(x, weight, scale, mean, log_var):
    return _kl_normals(mean, np.exp(log_var), weight * x / scale**2, 1 / (1 + weight**2 / scale**2))


@elbo_gap.misconception("s is a scale: the noise has variance s². The square is missing.")
def scale_not_squared(x, weight, scale, mean, log_var):
    var = 1 / (1 + weight**2 / scale)
    return _kl_normals(mean, np.exp(log_var), var * weight * x / scale, var)


@elbo_gap.misconception("log_var is the logarithm of the variance; you took it for that of the scale.")
def log_scale_for_log_var(x, weight, scale, mean, log_var):
    var = 1 / (1 + weight**2 / scale**2)
    return _kl_normals(mean, np.exp(2 * log_var), var * weight * x / scale**2, var)


# 2.7 ----------------------------------------------------------------------------------------------------

mended_loss = Exercise(
    "2.7",
    "mended_loss",
    stars=3,
    points=3,
    minutes=10,
    hints=(
        "A loss per example cannot depend on how many examples share the batch. Which term does?",
        "Loss = mean over the batch of (KL of the example − log-likelihood of the example). "
        "Follow the shapes: where does the batch axis vanish?",
        "Every sum keeps the first axis. Only the last step, the mean, removes it.",
    ),
)


@mended_loss.check(points=1)
def test_does_not_depend_on_the_size_of_the_batch(mended_loss, rng):
    """The same examples twice have the same mean loss."""
    once = _batch(rng)
    twice = [np.concatenate([part, part]) for part in once]
    expected = mended_loss(*once)
    assert np.ndim(expected) == 0, (
        f"the loss is one number for the batch, not an array of shape {np.shape(expected)}"
    )
    assert_close(mended_loss(*twice), expected, rtol=1e-3, what="with every example twice")


@mended_loss.check(points=2)
def test_is_the_negative_elbo_in_nats_per_example(mended_loss, rng):
    """Bernoulli by its definition, the KL by quadrature."""
    x, logits, mean, log_var = _batch(rng)
    expected = (kl_by_quadrature(mean, log_var).sum(axis=1) - log_bernoulli(x, logits)).mean()
    assert_close(mended_loss(x, logits, mean, log_var), expected, rtol=1e-3)


def _batch(rng):
    logits = rng.normal(size=(6, 4, 3, 2))
    x = (rng.random(logits.shape) < 0.5).astype(np.float32)
    return x, logits, rng.normal(size=(6, 2)) + 1, rng.uniform(-2, 1, size=(6, 2))


@mended_loss.misconception("The bug is still there: the KL is summed over the whole batch.")
def as_it_was(x, logits, mean, log_var):
    log_p, kl, axes = _parts(x, logits, mean, log_var)
    return ops.mean(ops.sum(kl) - ops.sum(log_p, axis=axes))


@mended_loss.misconception("Now the KL is averaged over the latent dimensions too: a β of 1/latent.")
def averaged_everything(x, logits, mean, log_var):
    log_p, kl, axes = _parts(x, logits, mean, log_var)
    return ops.mean(ops.mean(kl) - ops.sum(log_p, axis=axes))


@mended_loss.misconception("Both terms are summed over the batch now. Nats per example: the last step is a mean.")
def summed_everything(x, logits, mean, log_var):
    log_p, kl, _ = _parts(x, logits, mean, log_var)
    return ops.sum(kl) - ops.sum(log_p)


@mended_loss.misconception("A mean over the pixels hides a β of its own: sum them, as before.")
def mean_over_pixels_only(x, logits, mean, log_var):
    log_p, kl, axes = _parts(x, logits, mean, log_var)
    return ops.mean(ops.sum(kl, axis=-1) - ops.mean(log_p, axis=axes))


@mended_loss.misconception("That is one loss an example. Average them over the batch.")
def not_averaged(x, logits, mean, log_var):
    log_p, kl, axes = _parts(x, logits, mean, log_var)
    return ops.sum(kl, axis=-1) - ops.sum(log_p, axis=axes)


@mended_loss.misconception("You averaged both over everything: the pixels' mean hides a large β.")
def means_all_over(x, logits, mean, log_var):
    log_p, kl, _ = _parts(x, logits, mean, log_var)
    return ops.mean(kl) - ops.mean(log_p)


@mended_loss.misconception("That is the ELBO. A loss goes down when the model gets better: turn the sign.")
def the_bound(x, logits, mean, log_var):
    log_p, kl, axes = _parts(x, logits, mean, log_var)
    return ops.mean(ops.sum(log_p, axis=axes) - ops.sum(kl, axis=-1))
