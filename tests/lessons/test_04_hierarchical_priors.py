"""Checks of lesson 04. Expected values come from SciPy, exact chains and enumeration, never from the solutions."""

import numpy as np
from scipy.special import logsumexp
from scipy.stats import entropy, multivariate_normal, norm
from sklearn.metrics import mutual_info_score

from hvae_keras.backend import keras, ops
from hvae_keras.course import Exercise, assert_close
from hvae_keras.models import LinearGaussianChain

# 4.1 ----------------------------------------------------------------------------------------------------

sample_family = Exercise(
    "4.1",
    "sample_family",
    stars=1,
    points=2,
    minutes=5,
    hints=(
        "Parents first. Each child is drawn around the place its own parent points to.",
        "z_2 is its noise, for its prior is N(0, I). z_1 = W z_2 + b + s ε, with noise ε of its own.",
        "One expression of three summands. The parents are rows of a batch, so the matrix stands to the right of "
        "them, and transposed; the two vectors fit every row as they are.",
    ),
)


@sample_family.check(points=1)
def test_draws_each_child_around_its_own_parent(sample_family):
    """Two parents, one unit each; two units of z_1. By hand."""
    z_1 = sample_family([[1.0], [-2.0]], [[1.0, 0.0], [0.0, -1.0]], [[3.0], [1.0]], [10.0, 20.0], [0.5, 2.0])
    assert_close(z_1, [[13.5, 21.0], [4.0, 16.0]])


@sample_family.check(points=1)
def test_has_the_mean_and_covariance_of_the_marginal(sample_family, rng):
    """20,000 draws against W Wᵀ + s² I; standard errors are below 0.05."""
    weight, bias, scale = np.array([[1.0, 0.5], [-1.0, 1.0]]), np.array([1.0, -1.0]), np.array([0.5, 1.5])
    z_1 = np.asarray(sample_family(*rng.normal(size=(2, 20_000, 2)), weight, bias, scale), np.float64)
    assert z_1.shape == (20_000, 2), f"z_1 has shape (batch, units of z_1), here (20000, 2); got {z_1.shape}"
    assert_close(z_1.mean(axis=0), bias, rtol=0, atol=0.1, what="mean of z_1")
    assert_close(np.cov(z_1.T), weight @ weight.T + np.diag(scale**2), rtol=0, atol=0.25, what="covariance of z_1")


@sample_family.misconception("That is the mean of p(z_1 | z_2), not a draw from it: add noise of scale s.")
def child_without_noise(noise_2, noise_1, weight, bias, scale):
    return noise_2 @ np.transpose(weight) + bias


@sample_family.misconception("Your children have forgotten their parents: where is W z_2?")
def parent_forgotten(noise_2, noise_1, weight, bias, scale):
    return bias + scale * noise_1


@sample_family.misconception("All children got the parent of the first one. Every example has its own.")
def one_parent_for_all(noise_2, noise_1, weight, bias, scale):
    return noise_2[:1] @ np.transpose(weight) + bias + scale * noise_1


@sample_family.misconception("You scaled the parent's part too. Only the child's own noise has the scale s.")
def everything_scaled(noise_2, noise_1, weight, bias, scale):
    return bias + scale * (noise_2 @ np.transpose(weight) + noise_1)


@sample_family.misconception("s is a scale, not a variance: the noise is multiplied by s itself.")
def scale_taken_for_variance(noise_2, noise_1, weight, bias, scale):
    return noise_2 @ np.transpose(weight) + bias + np.sqrt(scale) * noise_1


@sample_family.misconception("You squared s. It is a scale already: the variance of its noise is s².")
def scale_squared(noise_2, noise_1, weight, bias, scale):
    return noise_2 @ np.transpose(weight) + bias + np.square(scale) * noise_1


@sample_family.misconception("The bias b is missing: where a child stands when its parent is 0.")
def bias_forgotten(noise_2, noise_1, weight, bias, scale):
    return noise_2 @ np.transpose(weight) + scale * noise_1


@sample_family.misconception("The child's own noise came in at scale one: where is s?")
def scale_forgotten(noise_2, noise_1, weight, bias, scale):
    return noise_2 @ np.transpose(weight) + bias + noise_1


# 4.2 ----------------------------------------------------------------------------------------------------

elbo_of_three = Exercise(
    "4.2",
    "elbo_of_three",
    stars=3,
    points=4,
    minutes=15,
    hints=(
        "The ELBO is the mean of log p(x, z_1, z_2, z_3) − log q(z_1, z_2, z_3 | x). One draw: no mean to take.",
        "Both are products of conditionals: p from the top down, q from the bottom up. Their logarithms are sums. "
        "How many factors has each of them, and what is each factor given?",
        "Seven log-densities of scalars. Put x, z_1, z_2, z_3 side by side: four with p look to the right "
        "(the last at 0), three with q look to the left. A helper for one log-density keeps it short.",
    ),
)


def _chain(rng):
    """Slopes and scales of p: any will do."""
    return rng.uniform(0.5, 1.5, size=3) * rng.choice([-1, 1], size=3), rng.uniform(0.5, 1.5, size=3)


def _covariance(w, s):
    """Covariance of (x, z_1, z_2, z_3), from the map of independent noise to them."""
    root = np.zeros((4, 4))
    root[3, 3] = 1
    for i in (2, 1, 0):
        root[i] = w[i] * root[i + 1]
        root[i, i] += s[i]
    return root @ root.T


def _by_definition(x, z, w, s, v, t):
    """log p(x, z) from the joint normal, log q(z|x) as the normal of a chain that starts at x."""
    values = np.column_stack([x, z])
    log_p = multivariate_normal(np.zeros(4), _covariance(w, s)).logpdf(values)
    log_q = sum(norm.logpdf(values[:, i + 1], v[i] * values[:, i], t[i]) for i in range(3))
    return log_p - log_q


@elbo_of_three.check(points=2)
def test_is_log_p_minus_log_q_at_the_draw(elbo_of_three, rng):
    """log p(x, z) as one normal of four dimensions, by SciPy."""
    w, s = _chain(rng)
    v, t = rng.uniform(0.3, 0.9, size=3), rng.uniform(0.6, 1.4, size=3)
    x, z = rng.normal(size=5) * 2, rng.normal(size=(5, 3)) + 0.7
    assert_close(elbo_of_three(x, z, w, s, v, t), _by_definition(x, z, w, s, v, t), rtol=1e-3, atol=1e-3)


@elbo_of_three.check(points=2)
def test_is_log_evidence_whatever_the_draw_if_q_is_exact(elbo_of_three, rng):
    """The true q(z_1|x), q(z_2|z_1), q(z_3|z_2) by regression in the joint normal; z is any number."""
    w, s = _chain(rng)
    c = _covariance(w, s)
    v = np.array([c[i + 1, i] / c[i, i] for i in range(3)])
    t = np.sqrt([c[i + 1, i + 1] - c[i + 1, i] ** 2 / c[i, i] for i in range(3)])
    x, z = rng.normal(size=5) * 2, rng.normal(size=(5, 3)) * 2
    assert_close(elbo_of_three(x, z, w, s, v, t), norm.logpdf(x, 0, np.sqrt(c[0, 0])), rtol=1e-3, atol=2e-3)


def _log_normal(value, mean, scale):
    return -0.5 * ((value - mean) / scale) ** 2 - np.log(scale) - 0.5 * np.log(2 * np.pi)


def _terms(x, z, w, s, v, t):
    """The seven log-densities: of p for x, z_1, z_2, z_3; of q for z_1, z_2, z_3."""
    row = [x, z[:, 0], z[:, 1], z[:, 2]]
    p = [_log_normal(row[i], w[i] * row[i + 1], s[i]) for i in range(3)] + [_log_normal(row[3], 0, 1)]
    return p, [_log_normal(row[i + 1], v[i] * row[i], t[i]) for i in range(3)]


@elbo_of_three.misconception(
    "Only z_3 has the prior N(0, 1). The prior of z_1 and of z_2 is what the level above says of it."
)
def standard_normal_everywhere(x, z, w, s, v, t):
    p, q = _terms(x, z, w, s, v, t)
    return p[0] + sum(_log_normal(z[:, i], 0, 1) for i in range(3)) - sum(q)


@elbo_of_three.misconception(
    "You let x speak to every level. Bottom-up, q(z_2) looks at z_1 and q(z_3) at z_2; only q(z_1) sees x."
)
def every_level_from_x(x, z, w, s, v, t):
    p, _ = _terms(x, z, w, s, v, t)
    return sum(p) - sum(_log_normal(z[:, i], v[i] * x, t[i]) for i in range(3))


@elbo_of_three.misconception("The top has a prior too: log p(z_3) with N(0, 1) is missing.")
def top_prior_forgotten(x, z, w, s, v, t):
    p, q = _terms(x, z, w, s, v, t)
    return sum(p[:3]) - sum(q)


@elbo_of_three.misconception("The likelihood is missing: log p(x | z_1). What is left is minus the KL alone.")
def likelihood_forgotten(x, z, w, s, v, t):
    p, q = _terms(x, z, w, s, v, t)
    return sum(p[1:]) - sum(q)


@elbo_of_three.misconception("Only z_1 is paid for. All three levels are drawn, so all three of q are subtracted.")
def one_kl_only(x, z, w, s, v, t):
    p, q = _terms(x, z, w, s, v, t)
    return sum(p) - q[0]


@elbo_of_three.misconception("The densities of q are subtracted, not added.")
def q_added(x, z, w, s, v, t):
    p, q = _terms(x, z, w, s, v, t)
    return sum(p) + sum(q)


@elbo_of_three.misconception("That is the loss. The bound is its negative.")
def the_loss(x, z, w, s, v, t):
    p, q = _terms(x, z, w, s, v, t)
    return sum(q) - sum(p)


@elbo_of_three.misconception("s and t are scales. You took them for variances.")
def scales_taken_for_variances(x, z, w, s, v, t):
    p, q = _terms(x, z, w, np.sqrt(s), v, np.sqrt(t))
    return sum(p) - sum(q)


@elbo_of_three.misconception(
    "The squares are there, the logarithms of the scales are not: a log-density has − log s beside the square."
)
def squares_only(x, z, w, s, v, t):
    p, q = _terms(x, z, w, s, v, t)
    return sum(p) - sum(q) + np.sum(np.log(s)) - np.sum(np.log(t))


def _kl(mean, scale, prior_mean, prior_scale):
    return np.log(prior_scale / scale) + (scale**2 + (mean - prior_mean) ** 2) / (2 * prior_scale**2) - 0.5


@elbo_of_three.misconception(
    "At the top you took the closed form of the KL. It has the right mean over z_3; here the draw is asked for."
)
def closed_form_at_the_top(x, z, w, s, v, t):
    p, q = _terms(x, z, w, s, v, t)
    return sum(p[:3]) - sum(q[:2]) - _kl(v[2] * z[:, 1], t[2], 0, 1)


def _closed_below(z, w, s, v, t, x):
    """Closed forms for levels 1 and 2, as if z_i were independent of the z_{i+1} drawn from it."""
    return _kl(v[0] * x, t[0], w[1] * z[:, 1], s[1]) + _kl(v[1] * z[:, 0], t[1], w[2] * z[:, 2], s[2])


@elbo_of_three.misconception(
    "Below the top you took closed forms of a KL. The z_{i+1} in the prior came from z_i: they average wrongly."
)
def closed_forms_below_the_top(x, z, w, s, v, t):
    p, q = _terms(x, z, w, s, v, t)
    return p[0] + p[3] - q[2] - _closed_below(z, w, s, v, t, x)


@elbo_of_three.misconception(
    "Closed forms of the KL at every level: only the top's would do on average, and here no mean is asked for."
)
def closed_forms_everywhere(x, z, w, s, v, t):
    p, _ = _terms(x, z, w, s, v, t)
    return p[0] - _closed_below(z, w, s, v, t, x) - _kl(v[2] * z[:, 1], t[2], 0, 1)


@elbo_of_three.misconception(
    "The constants −½ log 2π are missing. They do not cancel: there are four densities of p and three of q."
)
def constants_dropped(x, z, w, s, v, t):
    p, q = _terms(x, z, w, s, v, t)
    return sum(p) - sum(q) + 0.5 * np.log(2 * np.pi)


@elbo_of_three.misconception("Your likelihood looks at z_3. In this family tree x has one parent, z_1.")
def x_from_the_top(x, z, w, s, v, t):
    p, q = _terms(x, z, w, s, v, t)
    return _log_normal(x, w[0] * z[:, 2], s[0]) + sum(p[1:]) - sum(q)


@elbo_of_three.misconception("You averaged over the batch. Each x has a bound of its own.")
def one_number_for_all(x, z, w, s, v, t):
    p, q = _terms(x, z, w, s, v, t)
    return np.mean(sum(p) - sum(q))


# 4.3 ----------------------------------------------------------------------------------------------------

mean_terms = Exercise(
    "4.3",
    "mean_terms",
    stars=3,
    points=3,
    minutes=10,
    hints=(
        "Add and subtract log p(z_i) inside the mean. What are the two halves called?",
        "The term of level i is I(z_i; z_{i−1}) − I(z_i; z_{i+1}). For jointly normal scalars I = −½ log(1 − ρ²).",
        "Three informations from the three correlations; then each less the next one. What is next to the last?",
    ),
)


def _unit_chain(correlation):
    """A chain of scalars of variance 1 with these correlations between neighbours: the library's exact one."""
    weights = [np.array([[r]]) for r in correlation]
    return LinearGaussianChain(weights, [np.zeros(1)] * 3, [np.sqrt(1 - r**2) for r in correlation])


@mean_terms.check(points=1)
def test_agrees_with_the_exact_chain(mean_terms, rng):
    """The library integrates log q − log p over the joint normal; it knows nothing of informations."""
    correlation = rng.uniform(0.3, 0.95, size=3)
    assert_close(mean_terms(correlation), _unit_chain(correlation).mean_bottom_up_terms(), rtol=1e-3, atol=1e-4)


@mean_terms.check(points=1)
def test_may_be_negative_below_the_top(mean_terms):
    """x says little of z_1, and z_1 nearly all of z_2."""
    correlation = np.array([0.4, 0.95, 0.6])
    terms = _unit_chain(correlation).mean_bottom_up_terms()
    assert terms[0] < 0 < terms[2]
    assert_close(mean_terms(correlation), terms, rtol=1e-3, atol=1e-4)


@mean_terms.check(points=1)
def test_sums_to_what_x_and_z_1_share(mean_terms, rng):
    """The sum is the mean KL(q(z|x) ‖ p(z)) of an exact posterior, which is I(x; z) = I(x; z_1)."""
    correlation = rng.uniform(0.3, 0.95, size=3)
    total = float(np.sum(np.asarray(mean_terms(correlation), np.float64)))
    assert_close(
        total, _unit_chain(correlation).mutual_information(0, 1), rtol=1e-3, atol=1e-4, what="sum of terms"
    )


def _information(correlation):
    return -0.5 * np.log(1 - np.asarray(correlation, np.float64) ** 2)


@mean_terms.misconception(
    "These are a top-down posterior's terms, I(x; z_i) − I(x; z_{i+1}). Bottom-up, q(z_i) is given z_{i−1}, not x."
)
def top_down_terms(correlation):
    information = _information(np.cumprod(correlation))
    return information - np.append(information[1:], 0)


@mean_terms.misconception("That is I(x; z_i), what x says of each level. The term compares z_i's two neighbours.")
def information_with_x(correlation):
    return _information(np.cumprod(correlation))


@mean_terms.misconception(
    "That is log q against the marginal p(z_i). The prior is p(z_i | z_{i+1}): subtract what it knows already."
)
def against_the_marginal(correlation):
    return _information(correlation)


@mean_terms.misconception(
    "You made negative terms zero. A divergence is never negative; this is not a divergence."
)
def clipped_at_zero(correlation):
    information = _information(correlation)
    return np.maximum(information - np.append(information[1:], 0), 0)


@mean_terms.misconception(
    "The sign is turned: log q comes first, and q knows of the level below; and −½ log(1 − ρ²) is positive."
)
def sign_turned(correlation):
    information = _information(correlation)
    return np.append(information[1:], 0) - information


@mean_terms.misconception("The factor ½ is missing: I = −½ log(1 − ρ²).")
def half_forgotten(correlation):
    information = 2 * _information(correlation)
    return information - np.append(information[1:], 0)


@mean_terms.misconception(
    "The two informations are added here. What the prior knows already is not paid again: subtract."
)
def informations_added(correlation):
    information = _information(correlation)
    return information + np.append(information[1:], 0)


@mean_terms.misconception("ρ goes in squared: I = −½ log(1 − ρ²).")
def square_forgotten(correlation):
    information = -0.5 * np.log(1 - np.asarray(correlation, np.float64))
    return information - np.append(information[1:], 0)


@mean_terms.misconception("These are bits. Nats come with the natural logarithm.")
def in_bits(correlation):
    information = _information(correlation) / np.log(2)
    return information - np.append(information[1:], 0)


@mean_terms.misconception("The top pays against N(0, 1), which knows nothing: its term is all of I(z_3; z_2).")
def top_left_out(correlation):
    information = _information(correlation)
    return np.append(information[:2] - information[1:], 0)


# 4.4 ----------------------------------------------------------------------------------------------------

known_of_factor = Exercise(
    "4.4",
    "known_of_factor",
    stars=2,
    points=2,
    minutes=5,
    hints=(
        "How unsure were you of the factor before seeing z, and how unsure are you after?",
        "H(factor) − cross-entropy: −Σ_k f_k log f_k, with f_k the share of class k, plus mean log c(label|z).",
        "Pick the probability of each row's own label, take logs, average. Count the labels for the shares.",
    ),
)


@known_of_factor.check(points=1)
def test_is_the_information_of_the_table_if_the_classifier_knows_it(known_of_factor, rng):
    """A z of four values: the probabilities are the table's own, and scikit-learn knows its information."""
    table = rng.integers(1, 9, size=(4, 3)) + np.array([0, 4, 9])
    z, label = (np.repeat(index.ravel(), table.ravel()) for index in np.indices(table.shape))
    probability = (table / table.sum(axis=1, keepdims=True))[z]
    assert_close(known_of_factor(probability, label), mutual_info_score(z, label), rtol=1e-3, atol=1e-4)


@known_of_factor.check(points=1)
def test_is_zero_for_the_shares_and_negative_for_anything_else_said_at_every_z(known_of_factor):
    """Shares ¾ and ¼. Another guess, the same at every z, loses its KL from the shares: here by SciPy."""
    label = np.array([0, 0, 0, 1])
    guess = np.array([0.4, 0.6])
    loss = entropy([0.75, 0.25], guess)
    assert_close(known_of_factor(np.tile(guess, (4, 1)), label), -loss, what="for 0.4 and 0.6 at every z")
    assert_close(known_of_factor(np.tile([0.75, 0.25], (4, 1)), label), 0.0, what="for the shares themselves")
    assert_close(
        known_of_factor(np.tile([0.25, 0.75], (4, 1)), label), -0.5 * np.log(3), what="for the shares exchanged"
    )


def _log_own(probability, label):
    return np.log(np.asarray(probability, np.float64))[np.arange(len(label)), label]


def _entropy(label):
    share = np.bincount(label) / len(label)
    return -np.sum(share * np.log(share))


@known_of_factor.misconception(
    "log k is the entropy of k equal classes. These are not equal: take the shares you see."
)
def classes_taken_as_equal(probability, label):
    return np.log(np.shape(probability)[1]) + np.mean(_log_own(probability, label))


@known_of_factor.misconception(
    "That is minus the cross-entropy. Add what there was to know: the entropy of the labels."
)
def entropy_forgotten(probability, label):
    return np.mean(_log_own(probability, label))


@known_of_factor.misconception(
    "That is the share of right guesses. It is not in nats, and forgets how sure they were."
)
def accuracy(probability, label):
    return np.mean(np.argmax(probability, axis=1) == label)


@known_of_factor.misconception("These are bits. Nats come with the natural logarithm.")
def in_bits_too(probability, label):
    return (_entropy(label) + np.mean(_log_own(probability, label))) / np.log(2)


@known_of_factor.misconception("You averaged the probabilities, then took the logarithm. Average the logarithms.")
def log_of_the_mean(probability, label):
    own = np.asarray(probability, np.float64)[np.arange(len(label)), label]
    return _entropy(label) + np.log(np.mean(own))


@known_of_factor.misconception(
    "That is the entropy of the classifier's own answers: it believes itself. Ask what it gave to the true label."
)
def believes_itself(probability, label):
    p = np.asarray(probability, np.float64)
    return _entropy(label) + np.mean(np.sum(p * np.log(p), axis=1))


@known_of_factor.misconception(
    "H is the entropy of what the classifier says on average. Take the shares of the true labels."
)
def entropy_of_the_mean_prediction(probability, label):
    mean = np.mean(np.asarray(probability, np.float64), axis=0)
    return -np.sum(mean * np.log(mean)) + np.mean(_log_own(probability, label))


@known_of_factor.misconception(
    "You made a negative bound zero. An information is never negative; a bound from a bad classifier may be."
)
def bound_clipped_at_zero(probability, label):
    return max(0.0, _entropy(label) + np.mean(_log_own(probability, label)))


@known_of_factor.misconception("The cross-entropy is taken away, not added: knowing z leaves less to know.")
def cross_entropy_added(probability, label):
    return _entropy(label) - np.mean(_log_own(probability, label))


# 4.5 ----------------------------------------------------------------------------------------------------

schedule_beta = Exercise(
    "4.5",
    "schedule_beta",
    stars=1,
    points=2,
    minutes=5,
    hints=(
        "A ramp between two plateaus. Higher levels start later and climb just as fast.",
        "Level i starts at epoch delay · (i − 1). From there β grows by 1/warm_up an epoch, from 0 to 1.",
        "Epochs since this level's start, over warm_up; then keep it between 0 and 1.",
    ),
)


@schedule_beta.check(points=1)
def test_climbs_from_0_to_1_at_level_1(schedule_beta):
    """By hand: a warm-up of four epochs."""
    values = [schedule_beta(epoch, 1, 4, 3) for epoch in (0, 1, 2, 3, 4, 9)]
    assert_close(values, [0, 0.25, 0.5, 0.75, 1, 1], what="β of level 1 at epochs 0, 1, 2, 3, 4, 9:")


@schedule_beta.check(points=1)
def test_starts_later_with_every_level(schedule_beta):
    """By hand: level 3 waits four epochs, then climbs as fast as level 1, in eight."""
    values = [schedule_beta(epoch, 3, 8, 2) for epoch in (0, 3, 4, 6, 8, 10, 12, 20)]
    assert_close(
        values, [0, 0, 0, 0.25, 0.5, 0.75, 1, 1], what="β of level 3 at epochs 0, 3, 4, 6, 8, 10, 12, 20:"
    )


@schedule_beta.misconception(
    "β goes on growing after the warm-up. It ends at 1: only there is the loss the negative ELBO."
)
def grows_for_ever(epoch, level, warm_up, delay):
    return max(0.0, (epoch - delay * (level - 1)) / warm_up)


@schedule_beta.misconception("Before its start a level's β is negative here: that would reward a large KL.")
def negative_before_the_start(epoch, level, warm_up, delay):
    return min(1.0, (epoch - delay * (level - 1)) / warm_up)


@schedule_beta.misconception("Levels are counted from 1: level 1 starts at epoch 0, without a delay.")
def levels_from_zero(epoch, level, warm_up, delay):
    return min(1.0, max(0.0, (epoch - delay * level) / warm_up))


@schedule_beta.misconception("The delay moves the start of the ramp. You made the ramp longer.")
def longer_ramp(epoch, level, warm_up, delay):
    return min(1.0, epoch / (warm_up + delay * (level - 1)))


@schedule_beta.misconception(
    "The delay is in epochs: take it off the epoch before you divide by warm_up. Yours is counted in warm-ups."
)
def delay_outside_the_fraction(epoch, level, warm_up, delay):
    return min(1.0, max(0.0, epoch / warm_up - delay * (level - 1)))


@schedule_beta.misconception(
    "Your levels all arrive at epoch warm_up. Each climbs for warm_up epochs, counted from its own start."
)
def all_arrive_together(epoch, level, warm_up, delay):
    start = delay * (level - 1)
    return min(1.0, max(0.0, (epoch - start) / max(warm_up - start, 1e-9)))


@schedule_beta.misconception("Every level starts at epoch 0 here: where is the delay?")
def no_delay(epoch, level, warm_up, delay):
    return min(1.0, epoch / warm_up)


@schedule_beta.misconception("Epochs are counted from 0, and β starts at 0: you are one epoch ahead.")
def one_epoch_ahead(epoch, level, warm_up, delay):
    return min(1.0, max(0.0, (epoch + 1 - delay * (level - 1)) / warm_up))


@schedule_beta.misconception("You jump from 0 to 1. A warm-up is a ramp.")
def a_jump(epoch, level, warm_up, delay):
    return float(epoch >= delay * (level - 1))


@schedule_beta.misconception("That is a falling ramp: a warm-up begins with β at 0 and ends at 1.")
def falling_ramp(epoch, level, warm_up, delay):
    return 1.0 - min(1.0, max(0.0, (epoch - delay * (level - 1)) / warm_up))


# 4.6 ----------------------------------------------------------------------------------------------------

free_bits = Exercise(
    "4.6",
    "free_bits",
    stars=2,
    points=3,
    minutes=5,
    hints=(
        "One image may cost a unit nothing, and another much. Which of the two means, before or after the floor, "
        "lets it?",
        "Σ_j max(λ, mean_b kl_bj), with b for the examples and j for the units.",
        "Three calls, from the inside out: a mean over axis 0, a maximum, a sum. Which `ops` do they need?",
    ),
)


@free_bits.check(points=1)
def test_floors_the_batch_mean_of_each_unit(free_bits):
    """By hand: the means over the batch are ¼, 1¼ and 0; the floor is ¾."""
    assert_close(free_bits([[0.0, 2.5, 0.0], [0.5, 0.0, 0.0]], 0.75), 2.75)


@free_bits.check(points=1)
def test_agrees_with_a_loop_over_units(free_bits, rng):
    """Unit after unit in plain Python."""
    kl = rng.gamma(0.7, size=(6, 5)).astype(np.float32)
    expected = 0.0
    for unit in range(5):
        mean = sum(float(value) for value in kl[:, unit]) / 6
        expected += mean if mean > 0.6 else 0.6
    assert_close(free_bits(kl, 0.6), expected)


@free_bits.check(points=1)
def test_gradient_is_zero_below_the_floor_and_that_of_the_mean_above(free_bits, rng):
    """Two units below the floor, two above; a batch of four."""
    kl = rng.uniform(0.5, 1, size=(4, 4)) * np.array([0.1, 3.0, 0.2, 5.0])
    gradient = free_bits.gradient_in(0, kl, 0.75)
    assert gradient is not None, "no gradient reaches kl: compute with ops"
    assert_close(gradient, np.tile([0, 0.25, 0, 0.25], (4, 1)), what="gradient in kl")


@free_bits.misconception(
    "You floored every example. Take the mean over the batch first: an easy image may cost less."
)
def per_unit_and_sample(kl, nats):
    return ops.sum(ops.mean(ops.maximum(kl, nats), axis=0))


@free_bits.misconception("You floored the level as a whole: one busy unit then pays for all the idle ones.")
def per_level(kl, nats):
    return ops.maximum(ops.sum(ops.mean(kl, axis=0)), nats)


@free_bits.misconception(
    "You floored the level of every example. The floor is for each unit's mean over the batch."
)
def per_level_and_sample(kl, nats):
    return ops.mean(ops.maximum(ops.sum(kl, axis=1), nats))


@free_bits.misconception("You took the floor off. A unit below it costs the floor, and one above it costs its KL.")
def floor_subtracted(kl, nats):
    return ops.sum(ops.relu(ops.mean(kl, axis=0) - nats))


@free_bits.misconception("That is a ceiling: what is above it costs no more. A floor is a maximum.")
def ceiling(kl, nats):
    return ops.sum(ops.minimum(ops.mean(kl, axis=0), nats))


@free_bits.misconception("You averaged over the units. The KL of a level is the sum of its units.")
def mean_over_units(kl, nats):
    return ops.mean(ops.maximum(ops.mean(kl, axis=0), nats))


@free_bits.misconception("You summed over the batch. The penalty is in nats per example: a mean.")
def sum_over_batch(kl, nats):
    return ops.sum(ops.maximum(ops.sum(kl, axis=0), nats))


@free_bits.misconception("One number for the level is wanted: sum over the units at the end.")
def units_left_apart(kl, nats):
    return ops.maximum(ops.mean(kl, axis=0), nats)


@free_bits.misconception("NumPy computes the right number and no gradient: nothing would be learnt. Use ops.")
def numpy_floor(kl, nats):
    return np.sum(np.maximum(np.mean(np.asarray(kl), axis=0), nats))


# 4.7 ----------------------------------------------------------------------------------------------------

mended_loss = Exercise(
    "4.7",
    "mended_loss",
    stars=3,
    points=4,
    minutes=15,
    hints=(
        "Each level that is drawn has a posterior and a prior of its own. Pixels and units add, examples average.",
        "−log p(x|z_1) + Σ_i [log q(z_i) − log p(z_i)], each q and p a normal with its mean and log-variance, "
        "at the z that was drawn.",
        "Three parts: the Bernoulli log-likelihood from logits, summed over pixels; the difference of two normal "
        "log-densities, summed over levels and units; a mean over the batch.",
    ),
)


def _family(rng):
    """Arrays as a bottom-up hierarchy of three levels with two units each would hand over."""
    logits = rng.normal(size=(5, 3, 4, 1)) * 2
    x = (rng.random(logits.shape) < 0.5).astype(np.float32)
    q_mean, p_mean = rng.normal(size=(2, 5, 3, 2))
    q_log_var, p_log_var = rng.uniform(-2, 0.5, size=(2, 5, 3, 2))
    z = q_mean + np.exp(0.5 * q_log_var) * rng.normal(size=q_mean.shape)
    p_mean[:, 2], p_log_var[:, 2] = 0, 0
    return x, logits, z, q_mean, q_log_var, p_mean, p_log_var


def _loss_by_definition(x, logits, z, q_mean, q_log_var, p_mean, p_log_var):
    """Loop over the batch, by SciPy."""
    losses = []
    for b in range(len(x)):
        pixels = logits[b].ravel()
        log_x = -logsumexp(np.stack([np.zeros(pixels.size), np.where(x[b].ravel() == 1, -pixels, pixels)]), axis=0)
        log_q = norm.logpdf(z[b], q_mean[b], np.exp(0.5 * q_log_var[b]))
        log_p = norm.logpdf(z[b], p_mean[b], np.exp(0.5 * p_log_var[b]))
        losses.append(log_q.sum() - log_p.sum() - log_x.sum())
    return np.mean(losses)


@mended_loss.check(points=2)
def test_is_the_negative_elbo_in_nats_per_example(mended_loss, rng):
    """Bernoulli and normals by SciPy, one example after another."""
    family = _family(rng)
    assert_close(mended_loss(*family), _loss_by_definition(*family), rtol=1e-3)


@mended_loss.check(points=1)
def test_idle_levels_cost_nothing(mended_loss, rng):
    """A fourth level whose posterior is its prior: not a nat may change."""
    x, logits, *rest = _family(rng)
    idle = rng.normal(size=(5, 1, 2))
    longer = [
        np.concatenate([part, idle if i != 2 and i != 4 else 0 * idle], axis=1) for i, part in enumerate(rest)
    ]
    assert_close(mended_loss(x, logits, *longer), _loss_by_definition(x, logits, *rest), rtol=1e-3)


@mended_loss.check(points=1)
def test_does_not_depend_on_the_size_of_the_batch(mended_loss, rng):
    """The same examples twice have the same mean loss."""
    once = _family(rng)
    twice = [np.concatenate([part, part]) for part in once]
    assert_close(mended_loss(*twice), _loss_by_definition(*once), rtol=1e-3, what="with every example twice")


def _parts(x, logits, z, q_mean, q_log_var, p_mean, p_log_var):
    """log p(x|z) of each pixel, log q - log p of each unit; constants of the two normals cancel."""
    log_x = x * logits - ops.softplus(logits)
    log_q = -0.5 * (q_log_var + ops.square(z - q_mean) * ops.exp(-q_log_var))
    log_p = -0.5 * (p_log_var + ops.square(z - p_mean) * ops.exp(-p_log_var))
    return log_x, log_q - log_p


def _closed(q_mean, q_log_var, p_mean, p_log_var):
    return 0.5 * (
        p_log_var - q_log_var + (ops.exp(q_log_var) + ops.square(q_mean - p_mean)) * ops.exp(-p_log_var) - 1
    )


def _pixels(log_x):
    return ops.sum(log_x, axis=tuple(range(1, log_x.ndim)))


@mended_loss.misconception(
    "The pixels are still averaged, as Keras's cross-entropy does: a hidden β as large as the number of pixels."
)
def pixels_averaged(x, logits, z, q_mean, q_log_var, p_mean, p_log_var):
    log_x, terms = _parts(x, logits, z, q_mean, q_log_var, p_mean, p_log_var)
    return ops.mean(ops.sum(terms, axis=(1, 2)) - ops.mean(log_x, axis=(1, 2, 3)))


@mended_loss.misconception(
    "Keras's cross-entropy has averaged over the last axis, here the pixels of a row. Sum over all of them."
)
def rows_averaged(x, logits, z, q_mean, q_log_var, p_mean, p_log_var):
    log_x, terms = _parts(x, logits, z, q_mean, q_log_var, p_mean, p_log_var)
    return ops.mean(ops.sum(terms, axis=(1, 2)) - ops.sum(ops.mean(log_x, axis=(2, 3)), axis=1))


@mended_loss.misconception(
    "You gave logits to something that takes probabilities. Keras's cross-entropy needs from_logits=True."
)
def logits_taken_for_probabilities(x, logits, z, q_mean, q_log_var, p_mean, p_log_var):
    _, terms = _parts(x, logits, z, q_mean, q_log_var, p_mean, p_log_var)
    log_x = -keras.losses.binary_crossentropy(x, logits)
    return ops.mean(ops.sum(terms, axis=(1, 2)) - _pixels(log_x))


@mended_loss.misconception("One KL for all levels: only one level is paid for. Each has its own term.")
def top_level_only(x, logits, z, q_mean, q_log_var, p_mean, p_log_var):
    log_x, terms = _parts(x, logits, z, q_mean, q_log_var, p_mean, p_log_var)
    return ops.mean(ops.sum(terms[:, -1], axis=-1) - _pixels(log_x))


@mended_loss.misconception("One KL for all levels: you paid for z_1 alone. Each level has its own term.")
def bottom_level_only(x, logits, z, q_mean, q_log_var, p_mean, p_log_var):
    log_x, terms = _parts(x, logits, z, q_mean, q_log_var, p_mean, p_log_var)
    return ops.mean(ops.sum(terms[:, 0], axis=-1) - _pixels(log_x))


@mended_loss.misconception(
    "Every level is held against N(0, 1) here. Only the top is: below it the prior is p_mean and p_log_var."
)
def priors_forgotten(x, logits, z, q_mean, q_log_var, p_mean, p_log_var):
    log_x, terms = _parts(x, logits, z, q_mean, q_log_var, 0 * p_mean, 0 * p_log_var)
    return ops.mean(ops.sum(terms, axis=(1, 2)) - _pixels(log_x))


@mended_loss.misconception(
    "The closed form takes z_i to be independent of the z_{i+1} in its prior, which was drawn from it. "
    "Bottom-up: log q − log p at the draw."
)
def closed_form(x, logits, z, q_mean, q_log_var, p_mean, p_log_var):
    log_x, _ = _parts(x, logits, z, q_mean, q_log_var, p_mean, p_log_var)
    return ops.mean(ops.sum(_closed(q_mean, q_log_var, p_mean, p_log_var), axis=(1, 2)) - _pixels(log_x))


@mended_loss.misconception("You averaged over levels or units. Their terms add up.")
def levels_averaged(x, logits, z, q_mean, q_log_var, p_mean, p_log_var):
    log_x, terms = _parts(x, logits, z, q_mean, q_log_var, p_mean, p_log_var)
    return ops.mean(ops.mean(terms, axis=(1, 2)) - _pixels(log_x))


@mended_loss.misconception("The terms of the levels are summed over the whole batch. Average over examples.")
def terms_of_the_batch(x, logits, z, q_mean, q_log_var, p_mean, p_log_var):
    log_x, terms = _parts(x, logits, z, q_mean, q_log_var, p_mean, p_log_var)
    return ops.sum(terms) - ops.mean(_pixels(log_x))


@mended_loss.misconception("That is the sum over the batch. A loss in nats per example is a mean.")
def batch_summed(x, logits, z, q_mean, q_log_var, p_mean, p_log_var):
    log_x, terms = _parts(x, logits, z, q_mean, q_log_var, p_mean, p_log_var)
    return ops.sum(terms) - ops.sum(log_x)


@mended_loss.misconception("That is the ELBO. A loss goes down when the model gets better: turn the sign.")
def bound_for_loss(x, logits, z, q_mean, q_log_var, p_mean, p_log_var):
    log_x, terms = _parts(x, logits, z, q_mean, q_log_var, p_mean, p_log_var)
    return ops.mean(_pixels(log_x) - ops.sum(terms, axis=(1, 2)))


@mended_loss.misconception("The levels' terms have the wrong sign: log q − log p is a cost.")
def terms_rewarded(x, logits, z, q_mean, q_log_var, p_mean, p_log_var):
    log_x, terms = _parts(x, logits, z, q_mean, q_log_var, p_mean, p_log_var)
    return -ops.mean(_pixels(log_x) + ops.sum(terms, axis=(1, 2)))


@mended_loss.misconception("log_var is log σ²; you took it for log σ.")
def log_scales(x, logits, z, q_mean, q_log_var, p_mean, p_log_var):
    log_x, terms = _parts(x, logits, z, q_mean, 2 * q_log_var, p_mean, 2 * p_log_var)
    return ops.mean(ops.sum(terms, axis=(1, 2)) - _pixels(log_x))


@mended_loss.misconception("That is one loss an example. Average them over the batch.")
def not_averaged(x, logits, z, q_mean, q_log_var, p_mean, p_log_var):
    log_x, terms = _parts(x, logits, z, q_mean, q_log_var, p_mean, p_log_var)
    return ops.sum(terms, axis=(1, 2)) - _pixels(log_x)
