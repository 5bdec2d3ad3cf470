"""Checks of lesson 03. Expected values come from definitions, quadrature, SciPy and finite differences."""

import functools
import math

import numpy as np
from scipy.optimize import minimize
from scipy.stats import entropy, multivariate_normal, norm

from hvae_keras.backend import ops
from hvae_keras.course import Exercise, assert_close

# 3.1 ----------------------------------------------------------------------------------------------------

beta_loss = Exercise(
    "3.1",
    "beta_loss",
    stars=1,
    points=2,
    minutes=5,
    hints=(
        "Two prices: what the decoder could not explain, and β times what the code costs. What is a rate made of?",
        "loss = (1/batch) Σ_x [ −log p(x|z) + β Σ_j KL_j ]: the units are summed, the examples averaged.",
        "Sum kl_units over its last axis, weigh, subtract the log-likelihood, and take one mean at the end.",
    ),
)


@beta_loss.check(points=1)
def test_prices_rate_and_distortion(beta_loss):
    """Two examples of two units: distortions 10 and 20, rates 3 and 5, so 15 + 3 · 4."""
    assert_close(beta_loss(np.array([-10.0, -20.0]), np.array([[1.0, 2.0], [5.0, 0.0]]), 3.0), 27.0)


@beta_loss.check(points=1)
def test_agrees_with_the_definition_term_by_term(beta_loss, rng):
    """One example and one unit after the other, in plain Python, for a β below and one above 1."""
    log_likelihood, kl = -rng.uniform(5, 50, size=6), rng.uniform(0, 3, size=(6, 4))
    for beta in (0.25, 8.0):
        expected = (
            math.fsum(beta * math.fsum(units) - ll for ll, units in zip(log_likelihood, kl, strict=True)) / 6
        )
        assert_close(beta_loss(log_likelihood, kl, beta), expected)


@beta_loss.misconception("β weighs the code, not the pixels: it belongs to the KL.")
def beta_on_the_likelihood(log_likelihood, kl_units, beta):
    return ops.mean(ops.sum(kl_units, axis=-1) - beta * log_likelihood)


@beta_loss.misconception("Both terms are weighed. Then β changes the scale of the loss and nothing else.")
def beta_on_both(log_likelihood, kl_units, beta):
    return beta * ops.mean(ops.sum(kl_units, axis=-1) - log_likelihood)


@beta_loss.misconception("You averaged over the units: that divides β by their number. The rate is their sum.")
def mean_over_units(log_likelihood, kl_units, beta):
    return ops.mean(beta * ops.mean(kl_units, axis=-1) - log_likelihood)


@beta_loss.misconception("The KL is summed over the whole batch: every example pays for all codes.")
def kl_of_the_batch(log_likelihood, kl_units, beta):
    return ops.mean(beta * ops.sum(kl_units) - log_likelihood)


@beta_loss.misconception("Both terms are summed over the batch. Nats per example: the last step is a mean.")
def summed_over_the_batch(log_likelihood, kl_units, beta):
    return ops.sum(beta * ops.sum(kl_units, axis=-1) - log_likelihood)


@beta_loss.misconception("The log-likelihood has the wrong sign: the distortion is minus log p(x|z).")
def likelihood_added(log_likelihood, kl_units, beta):
    return ops.mean(beta * ops.sum(kl_units, axis=-1) + log_likelihood)


@beta_loss.misconception("That is what is maximised. A loss falls when the model gets better: turn the sign.")
def the_bound(log_likelihood, kl_units, beta):
    return ops.mean(log_likelihood - beta * ops.sum(kl_units, axis=-1))


@beta_loss.misconception("That is the negative ELBO: where is β?")
def beta_forgotten(log_likelihood, kl_units, beta):
    return ops.mean(ops.sum(kl_units, axis=-1) - log_likelihood)


@beta_loss.misconception("That is one loss an example. Average them over the batch.")
def not_averaged(log_likelihood, kl_units, beta):
    return beta * ops.sum(kl_units, axis=-1) - log_likelihood


# 3.2 ----------------------------------------------------------------------------------------------------

capacity_loss = Exercise(
    "3.2",
    "capacity_loss",
    stars=2,
    points=2,
    minutes=5,
    hints=(
        "The price is on the distance from a target, and the target is for the mean rate, not for each image.",
        "loss = D + γ |R − C|, with D and R averaged over the batch first.",
        "Make two scalars, the mean distortion and the mean rate. Only then take the absolute value.",
    ),
)


def _distance_by_cases(rate, capacity):
    return rate - capacity if rate > capacity else capacity - rate


@capacity_loss.check(points=1)
def test_a_rate_above_and_one_below_the_capacity_both_cost(capacity_loss):
    """The rates are 4 and 8, their mean 6: at C = 1 it is 5 too high, at C = 7 it is 1 too low."""
    log_likelihood, kl_units = np.array([-12.0, -20.0]), np.array([[1.0, 3.0], [6.0, 2.0]])
    assert_close(capacity_loss(log_likelihood, kl_units, 10.0, 1.0), 16.0 + 50.0, what="with C = 1")
    assert_close(capacity_loss(log_likelihood, kl_units, 10.0, 7.0), 16.0 + 10.0, what="with C = 7")


@capacity_loss.check(points=1)
def test_images_may_differ_as_long_as_their_mean_is_on_target(capacity_loss, rng):
    """Rates on both sides of C, whose mean is C exactly: the distortion is all that is left."""
    kl_units = rng.uniform(0, 3, size=(6, 4))
    rates, log_likelihood = kl_units.sum(axis=1), -rng.uniform(5, 50, size=6)
    mean_rate, distortion = math.fsum(rates) / 6, -math.fsum(log_likelihood) / 6
    assert_close(capacity_loss(log_likelihood, kl_units, 30.0, mean_rate), distortion, atol=1e-3)
    for capacity in (0.0, mean_rate - 0.3, mean_rate + 2.0):
        expected = distortion + 30.0 * _distance_by_cases(mean_rate, capacity)
        assert_close(
            capacity_loss(log_likelihood, kl_units, 30.0, capacity), expected, what=f"with C = {capacity:.3g}"
        )


@capacity_loss.misconception(
    "You took the distance of every example. Then each image must cost C nats; the target is for their mean."
)
def distance_of_each_example(log_likelihood, kl_units, gamma, capacity):
    return ops.mean(gamma * ops.abs(ops.sum(kl_units, axis=-1) - capacity) - log_likelihood)


@capacity_loss.misconception("You took the distance of every unit. The capacity is for all units together.")
def distance_of_each_unit(log_likelihood, kl_units, gamma, capacity):
    units = ops.mean(kl_units, axis=0)
    return gamma * ops.sum(ops.abs(units - capacity)) - ops.mean(log_likelihood)


@capacity_loss.misconception(
    "Without the absolute value the capacity is a constant: its gradient is zero, and you have a β-VAE with β = γ."
)
def no_absolute_value(log_likelihood, kl_units, gamma, capacity):
    return gamma * (ops.mean(ops.sum(kl_units, axis=-1)) - capacity) - ops.mean(log_likelihood)


@capacity_loss.misconception(
    "A rate below C costs nothing in your loss. That is a floor, as in free bits; here the rate is held at C."
)
def only_above(log_likelihood, kl_units, gamma, capacity):
    excess = ops.mean(ops.sum(kl_units, axis=-1)) - capacity
    return gamma * ops.maximum(excess, 0.0) - ops.mean(log_likelihood)


@capacity_loss.misconception("You squared the distance. The objective has its absolute value.")
def squared_distance(log_likelihood, kl_units, gamma, capacity):
    return gamma * ops.square(ops.mean(ops.sum(kl_units, axis=-1)) - capacity) - ops.mean(log_likelihood)


@capacity_loss.misconception("You averaged over the units. The rate is their sum.")
def rate_averaged_over_units(log_likelihood, kl_units, gamma, capacity):
    return gamma * ops.abs(ops.mean(kl_units) - capacity) - ops.mean(log_likelihood)


@capacity_loss.misconception("The log-likelihood has the wrong sign: the distortion is minus log p(x|z).")
def capacity_with_likelihood_added(log_likelihood, kl_units, gamma, capacity):
    return gamma * ops.abs(ops.mean(ops.sum(kl_units, axis=-1)) - capacity) + ops.mean(log_likelihood)


@capacity_loss.misconception("γ weighs the distance from C only, not the distortion.")
def gamma_on_both(log_likelihood, kl_units, gamma, capacity):
    return gamma * (ops.abs(ops.mean(ops.sum(kl_units, axis=-1)) - capacity) - ops.mean(log_likelihood))


# 3.3 ----------------------------------------------------------------------------------------------------

mutual_information_gap = Exercise(
    "3.3",
    "mutual_information_gap",
    stars=2,
    points=3,
    minutes=5,
    hints=(
        "Ask every factor: by how much is your best unit ahead of your second best?",
        "MIG = mean over factors k of (I_(1)k − I_(2)k) / H_k, with I_(1)k ≥ I_(2)k ≥ … along the units.",
        "np.sort along axis 0 puts the largest last. Two rows of the result, one division, one mean.",
    ),
)


@mutual_information_gap.check(points=2)
def test_agrees_with_ranking_each_factor_by_hand(mutual_information_gap, rng):
    """Five units, three factors; plain Python sorts each column."""
    entropies = np.log([3.0, 8.0, 40.0])
    information = rng.uniform(0, 1, size=(5, 3)) * entropies
    gaps = []
    for k in range(3):
        best, second, *_ = sorted((row[k] for row in information.tolist()), reverse=True)
        gaps.append((best - second) / entropies[k])
    assert_close(mutual_information_gap(information, entropies), math.fsum(gaps) / 3)


@mutual_information_gap.check(points=1)
def test_is_one_for_one_unit_a_factor_and_zero_for_two(mutual_information_gap):
    """Three units, two factors of 8 and 3 values. Then the first unit is copied over the last one."""
    entropies = np.log([8.0, 3.0])
    information = np.array([[entropies[0], 0.0], [0.0, entropies[1]], [0.0, 0.0]])
    assert_close(mutual_information_gap(information, entropies), 1.0, what="one unit a factor")
    information[2] = information[0]
    assert_close(mutual_information_gap(information, entropies), 0.5, what="two equal units for the first factor")


@mutual_information_gap.misconception(
    "You ranked the factors of each unit. The gap is between the units of each factor: along the first axis."
)
def gap_along_the_factors(information, entropies):
    ordered = np.sort(information, axis=1)
    return np.mean((ordered[:, -1] - ordered[:, -2]) / np.max(entropies))


@mutual_information_gap.misconception("Nothing is subtracted: a factor known to many units gets full marks.")
def second_forgotten(information, entropies):
    return np.mean(np.max(information, axis=0) / entropies)


@mutual_information_gap.misconception("The gap is to the second best unit, not to the worst.")
def gap_to_the_worst(information, entropies):
    return np.mean((np.max(information, axis=0) - np.min(information, axis=0)) / entropies)


@mutual_information_gap.misconception("The gap is to the second best unit, not to the mean of the others.")
def gap_to_the_mean(information, entropies):
    best = np.max(information, axis=0)
    others = (np.sum(information, axis=0) - best) / (len(information) - 1)
    return np.mean((best - others) / entropies)


@mutual_information_gap.misconception(
    "You divided by the best information. A unit that knows next to nothing then looks perfect: divide by H."
)
def divided_by_the_best(information, entropies):
    ordered = np.sort(information, axis=0)
    return np.mean((ordered[-1] - ordered[-2]) / np.maximum(ordered[-1], 1e-12))


@mutual_information_gap.misconception("Each factor has an entropy of its own. Divide first, then take the mean.")
def divided_after_the_mean(information, entropies):
    ordered = np.sort(information, axis=0)
    return np.mean(ordered[-1] - ordered[-2]) / np.mean(entropies)


@mutual_information_gap.misconception("Nats are left: divide each gap by the entropy of its factor.")
def not_divided(information, entropies):
    ordered = np.sort(information, axis=0)
    return np.mean(ordered[-1] - ordered[-2])


@mutual_information_gap.misconception("np.sort puts the smallest first. You compared the two worst units.")
def the_two_worst(information, entropies):
    ordered = np.sort(information, axis=0)
    return np.mean((ordered[1] - ordered[0]) / entropies)


@mutual_information_gap.misconception(
    "np.sort without axis=0 ranks along the last axis, the factors. Your two rows are then the last two units."
)
def sorted_along_the_last_axis(information, entropies):
    ordered = np.sort(information)
    return np.mean((ordered[-1] - ordered[-2]) / entropies)


@mutual_information_gap.misconception(
    "Rows 0 and 1 of an ascending sort are the two smallest. Best and second best are the last two."
)
def the_two_smallest(information, entropies):
    ordered = np.sort(information, axis=0)
    return np.mean((ordered[0] - ordered[1]) / entropies)


@mutual_information_gap.misconception("That is second best less best: turn the difference, a gap is not negative.")
def gap_turned(information, entropies):
    ordered = np.sort(information, axis=0)
    return np.mean((ordered[-2] - ordered[-1]) / entropies)


@mutual_information_gap.misconception("That is one gap a factor. The score is their mean.")
def gaps_not_averaged(information, entropies):
    ordered = np.sort(information, axis=0)
    return (ordered[-1] - ordered[-2]) / entropies


# 3.4 ----------------------------------------------------------------------------------------------------

disentanglement = Exercise(
    "3.4",
    "disentanglement",
    stars=2,
    points=3,
    minutes=10,
    hints=(
        "Ask every unit: is all of your importance for one factor? An entropy says how far it is spread.",
        "P_ik = r_ik / Σ_k r_ik, u_i = 1 + Σ_k P_ik log P_ik / log(factors), and the score is "
        "Σ_i u_i Σ_k r_ik / Σ_ik r_ik. The rule 0 log 0 = 0 needs care.",
        "Row sums with keepdims, a division, an entropy a row, and a mean weighted by the row sums. "
        "np.where or a small constant inside the logarithm takes care of zeros.",
    ),
)


@disentanglement.check(points=1)
def test_is_one_for_units_of_one_factor_and_zero_for_units_of_all(disentanglement):
    """Two units may share a factor: that is a matter of completeness. Zeros must not become NaN."""
    one_each = np.array([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.5], [0.0, 3.0, 0.0]])
    assert_close(disentanglement(one_each), 1.0, atol=1e-4, what="each unit for one factor")
    assert_close(disentanglement(np.ones((4, 3))), 0.0, atol=1e-4, what="each unit for all factors alike")


@disentanglement.check(points=1)
def test_agrees_with_entropies_from_scipy(disentanglement, rng):
    """More units than factors, so that rows and columns cannot be exchanged."""
    importance = rng.gamma(0.6, size=(6, 4)) + 1e-3
    by_unit = [1 - entropy(row / row.sum(), base=4) for row in importance]
    expected = np.average(by_unit, weights=importance.sum(axis=1))
    assert_close(disentanglement(importance), expected, rtol=1e-3, atol=1e-4)


@disentanglement.check(points=1)
def test_a_unit_without_importance_counts_nothing(disentanglement):
    """Unit 3 of 3 is dead. The others: (3, 1) has u = 1 − H₂(1/4), weight 4; (0, 2) has u = 1, weight 2."""
    first = 1 - entropy([0.75, 0.25], base=2)
    importance = np.array([[3.0, 1.0], [0.0, 2.0], [0.0, 0.0]])
    assert_close(disentanglement(importance), (4 * first + 2 * 1.0) / 6, rtol=1e-3, atol=1e-4)


def _entropies(importance, axis, base):
    total = np.sum(importance, axis=axis, keepdims=True)
    p = importance / np.where(total > 0, total, 1)
    return -np.sum(p * np.log(np.where(p > 0, p, 1)), axis=axis) / np.log(base)


@disentanglement.misconception(
    "That is completeness: how far each factor is spread over units. Here every unit is asked, row by row."
)
def completeness(importance):
    spread = _entropies(importance, axis=0, base=len(importance))
    return np.average(1 - spread, weights=np.sum(importance, axis=0))


@disentanglement.misconception("A plain mean: a unit that matters to nothing counts as much as the best one.")
def plain_mean(importance):
    return np.mean(1 - _entropies(importance, axis=1, base=importance.shape[1]))


@disentanglement.misconception(
    "The entropy is in nats. With k factors it reaches log k: divide by that, or 0 is out of reach."
)
def entropy_in_nats(importance):
    return np.average(1 - _entropies(importance, axis=1, base=np.e), weights=np.sum(importance, axis=1))


@disentanglement.misconception("The base of a unit's entropy is the number of factors, not of units.")
def base_of_units(importance):
    spread = _entropies(importance, axis=1, base=len(importance))
    return np.average(1 - spread, weights=np.sum(importance, axis=1))


@disentanglement.misconception(
    "0 · log 0 is NaN in NumPy. As a limit it is 0: a factor without a share adds nothing."
)
def zeros_become_nan(importance):
    with np.errstate(all="ignore"):
        p = importance / np.sum(importance, axis=1, keepdims=True)
        spread = -np.sum(p * np.log(p), axis=1) / np.log(importance.shape[1])
        return np.sum((1 - spread) * np.sum(importance, axis=1)) / np.sum(importance)


@disentanglement.misconception("That is the entropy itself, large for a mixed unit. The score is one minus it.")
def entropy_for_score(importance):
    spread = _entropies(importance, axis=1, base=importance.shape[1])
    return np.average(spread, weights=np.sum(importance, axis=1))


@disentanglement.misconception("That is one number a unit. Average them, weighted by how much each unit matters.")
def one_number_a_unit(importance):
    return 1 - _entropies(importance, axis=1, base=importance.shape[1])


# 3.5 ----------------------------------------------------------------------------------------------------

total_correlation_of_normal = Exercise(
    "3.5",
    "total_correlation_of_normal",
    stars=2,
    points=3,
    minutes=5,
    hints=(
        "What would the units need on their own, less what they need together? Entropies of normals.",
        "A normal has the entropy ½ log det(2πe Σ). In the difference all constants cancel.",
        "Logarithms of the diagonal, summed, less the log-determinant; np.linalg.slogdet returns a sign first.",
    ),
)


@total_correlation_of_normal.check(points=1)
def test_two_units_of_known_correlation(total_correlation_of_normal):
    """Correlation 0.8 with scales 1 and 10: −½ log(1 − 0.64), whatever the scales. And 0 for independent units."""
    assert_close(
        total_correlation_of_normal(np.array([[1.0, 8.0], [8.0, 100.0]])), 0.5108256, what="at correlation 0.8"
    )
    assert_close(total_correlation_of_normal(np.diag([1.0, 100.0, 0.25])), 0.0, what="for independent units")


@total_correlation_of_normal.check(points=2)
def test_is_the_mean_log_ratio_of_joint_to_marginals(total_correlation_of_normal, rng):
    """KL(q(z) ‖ Π q(z_j)) with SciPy's densities, on eight points whose mean is exact for quadratic functions."""
    root = rng.normal(size=(4, 4)) + 2 * np.eye(4)
    covariance = root @ root.T
    points = 2.0 * np.hstack([np.linalg.cholesky(covariance), -np.linalg.cholesky(covariance)]).T
    joint = multivariate_normal(np.zeros(4), covariance).logpdf(points)
    marginals = norm.logpdf(points, 0, np.sqrt(np.diag(covariance))).sum(axis=1)
    assert_close(total_correlation_of_normal(covariance), np.mean(joint - marginals), rtol=1e-3)


def _logs(covariance):
    return np.sum(np.log(np.diag(covariance))), np.linalg.slogdet(covariance)[1]


@total_correlation_of_normal.misconception(
    "The ½ is missing: the entropy of a normal has it in front of the log-determinant."
)
def tc_without_half(covariance):
    diagonal, determinant = _logs(covariance)
    return diagonal - determinant


@total_correlation_of_normal.misconception(
    "The sign is turned. A KL is never negative: independent units need more, not less."
)
def tc_negative(covariance):
    diagonal, determinant = _logs(covariance)
    return 0.5 * (determinant - diagonal)


@total_correlation_of_normal.misconception(
    "The variances of the units are missing: you get an entropy, which depends on the scale of the units."
)
def entropy_alone(covariance):
    return -0.5 * _logs(covariance)[1]


@total_correlation_of_normal.misconception(
    "That is a log-determinant alone: no ½, no sign, and nothing about what each unit needs on its own."
)
def log_determinant_alone(covariance):
    return _logs(covariance)[1]


@total_correlation_of_normal.misconception(
    "That is the entropy of z, or a part of it. Subtract it from the entropies of the units."
)
def half_log_determinant(covariance):
    return 0.5 * _logs(covariance)[1]


@total_correlation_of_normal.misconception(
    "That is the entropy of z with all its constants. The entropies of the units come first, and cancel them."
)
def entropy_with_constants(covariance):
    return 0.5 * (len(covariance) * np.log(2 * np.pi * np.e) + _logs(covariance)[1])


@total_correlation_of_normal.misconception(
    "You summed the variances. Each unit's entropy has the logarithm of its variance: sum the logarithms."
)
def sum_of_variances(covariance):
    return 0.5 * (np.trace(covariance) - _logs(covariance)[1])


@total_correlation_of_normal.misconception(
    "That is the logarithm of a sum of variances. Entropies add up: the logarithm comes first, then the sum."
)
def log_of_the_summed_variances(covariance):
    return 0.5 * (np.log(np.trace(covariance)) - _logs(covariance)[1])


@total_correlation_of_normal.misconception("That is the KL to N(0, I). Here every unit keeps its own variance.")
def kl_to_the_prior(covariance):
    return 0.5 * (np.trace(covariance) - len(covariance) - _logs(covariance)[1])


@total_correlation_of_normal.misconception("The diagonal holds variances already: no square, and no square root.")
def variances_squared(covariance):
    diagonal, determinant = _logs(covariance)
    return 0.5 * (2 * diagonal - determinant)


@total_correlation_of_normal.misconception("slogdet returns the sign first, then the log-determinant.")
def sign_for_determinant(covariance):
    return 0.5 * (_logs(covariance)[0] - np.linalg.slogdet(covariance)[0])


@total_correlation_of_normal.misconception("That is in bits, by a logarithm of base 2. We count in nats.")
def in_bits(covariance):
    diagonal, determinant = _logs(covariance)
    return 0.5 * (diagonal - determinant) / np.log(2)


@total_correlation_of_normal.misconception(
    "Pairwise terms do not add up to the total correlation: three units can share one thing."
)
def sum_of_pairs(covariance):
    scale = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(scale, scale)
    pairs = np.triu_indices(len(covariance), 1)
    return -0.5 * np.sum(np.log(1 - correlation[pairs] ** 2))


# 3.6 ----------------------------------------------------------------------------------------------------

best_posterior = Exercise(
    "3.6",
    "best_posterior",
    stars=3,
    points=4,
    minutes=15,
    hints=(
        "Divide the objective by β. What is left is a negative ELBO again, of a model you know: which one?",
        "After the division β stands at one place only, as a power of one factor of the model. "
        "What does a power do to a normal density: which of its two parameters moves, and by how much?",
        "Lesson 02's posterior of a linear-Gaussian model, with another noise variance: a precision, its inverse, "
        "and the mean that is the inverse times something linear in x. Stack mean and variance.",
    ),
)


NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(20)


def _objective(parameters, x, weight, scale, beta):
    """β KL(N(μ, exp(log_var)) ‖ N(0, 1)) − E log N(x; w z, s²), by Gauss-Hermite quadrature."""
    mean, q_scale = parameters[0], np.exp(0.5 * parameters[1])
    z = mean + q_scale * NODES
    values = beta * (norm.logpdf(z, mean, q_scale) - norm.logpdf(z)) - norm.logpdf(x, weight * z, scale)
    return values @ WEIGHTS / WEIGHTS.sum()


@functools.cache  # the search takes longer than all the rest, and every replay of a wrong answer asks again
def _lowest(x, weight, scale, beta):
    """μ and log σ² of the normal with the lowest loss, found by SciPy."""
    return minimize(_objective, [0.0, 0.0], (x, weight, scale, beta), tol=1e-9).x


@best_posterior.check(points=2)
def test_no_other_normal_has_a_lower_loss(best_posterior, rng):
    """The loss by quadrature, minimised by SciPy, for each of four examples."""
    x, weight = rng.normal(size=4) * 2 + 1, rng.uniform(0.5, 2, size=4)
    scale, beta = rng.uniform(0.5, 1.5, size=4), np.array([0.3, 2.0, 4.0, 10.0])
    mean, log_var = np.transpose([_lowest(*one) for one in zip(x, weight, scale, beta, strict=True)])
    expected = np.stack([mean, np.exp(log_var)])
    assert_close(best_posterior(x, weight, scale, beta), expected, rtol=2e-3, atol=2e-3)


@best_posterior.check(points=1)
def test_is_the_true_posterior_at_beta_1(best_posterior):
    """w = 2, s = 1/2, x = 3, by Bayes' rule on a fine grid."""
    z = np.linspace(-10, 10, 20_001)
    density = np.exp(norm.logpdf(z) + norm.logpdf(3.0, 2.0 * z, 0.5))
    density /= density.sum()
    mean = z @ density
    expected = [[mean], [(z - mean) ** 2 @ density]]
    assert_close(best_posterior([3.0], [2.0], [0.5], [1.0]), expected, rtol=1e-3)


@best_posterior.check(points=1)
def test_is_nearly_the_prior_at_a_huge_beta(best_posterior):
    """β of a million, as an example whose x is far out: mean 0, variance 1."""
    assert_close(best_posterior([5.0], [2.0], [0.5], [1e6]), [[0.0], [1.0]], atol=1e-3)


def _stacked(precision, information):
    return np.stack([information / precision, 1 / precision])


def _arrays(*values):
    return [np.asarray(value, "float64") for value in values]


@best_posterior.misconception("That is the true posterior, for any β. At β = 4 it costs more than it has to.")
def beta_ignored(x, weight, scale, beta):
    x, w, s, _ = _arrays(x, weight, scale, beta)
    return _stacked(1 + w**2 / s**2, w * x / s**2)


@best_posterior.misconception(
    "A larger β must bring q nearer to the prior. You raised the likelihood to the power β; it is 1/β."
)
def power_beta(x, weight, scale, beta):
    x, w, s, b = _arrays(x, weight, scale, beta)
    return _stacked(1 + b * w**2 / s**2, b * w * x / s**2)


@best_posterior.misconception(
    "Your mean is right, your variance is that of p(z)^β p(x|z). β weighs log q in the KL too: divide all by β."
)
def entropy_not_weighed(x, weight, scale, beta):
    x, w, s, b = _arrays(x, weight, scale, beta)
    return _stacked(b + w**2 / s**2, w * x / s**2)


@best_posterior.misconception("β weighs the noise variance, s² → β s². You multiplied the scale by β.")
def scale_times_beta(x, weight, scale, beta):
    x, w, s, b = _arrays(x, weight, scale, beta)
    return _stacked(1 + w**2 / (b * s) ** 2, w * x / (b * s) ** 2)


@best_posterior.misconception("s is a scale: the noise has variance s². The square is missing.")
def noise_not_squared(x, weight, scale, beta):
    x, w, s, b = _arrays(x, weight, scale, beta)
    return _stacked(1 + w**2 / (b * s), w * x / (b * s))


@best_posterior.misconception("The variance knows of β, the mean does not. Both come from the same parabola.")
def mean_without_beta(x, weight, scale, beta):
    x, w, s, b = _arrays(x, weight, scale, beta)
    variance = 1 / (1 + w**2 / (b * s**2))
    return np.stack([w * x / s**2 / (1 + w**2 / s**2), variance])


@best_posterior.misconception(
    "You widened the whole posterior, prior and likelihood. β tempers the likelihood alone, so the mean moves."
)
def whole_posterior_tempered(x, weight, scale, beta):
    x, w, s, b = _arrays(x, weight, scale, beta)
    mean, variance = _stacked(1 + w**2 / s**2, w * x / s**2)
    return np.stack([mean, b * variance])


@best_posterior.misconception(
    "β is forgotten in the mean: it is the variance times w x over the noise variance, which has its β."
)
def beta_forgotten_in_the_mean(x, weight, scale, beta):
    x, w, s, b = _arrays(x, weight, scale, beta)
    variance = 1 / (1 + w**2 / (b * s**2))
    return np.stack([variance * w * x / s**2, variance])


@best_posterior.misconception("The second row is a variance. You returned its root.")
def scale_returned(x, weight, scale, beta):
    x, w, s, b = _arrays(x, weight, scale, beta)
    mean, variance = _stacked(1 + w**2 / (b * s**2), w * x / (b * s**2))
    return np.stack([mean, np.sqrt(variance)])


@best_posterior.misconception("The second row is a variance. You returned the precision, one over it.")
def precision_returned(x, weight, scale, beta):
    x, w, s, b = _arrays(x, weight, scale, beta)
    precision = 1 + w**2 / (b * s**2)
    return np.stack([w * x / (b * s**2) / precision, precision])


@best_posterior.misconception("The prior is missing: its precision of 1 is added to w²/(β s²).")
def prior_missing(x, weight, scale, beta):
    x, w, s, b = _arrays(x, weight, scale, beta)
    return _stacked(w**2 / (b * s**2), w * x / (b * s**2))


# 3.7 ----------------------------------------------------------------------------------------------------

effective_beta = Exercise(
    "3.7",
    "effective_beta",
    stars=3,
    points=3,
    minutes=10,
    hints=(
        "A loss times a constant has the same minimum. Scale theirs until its first term is −log p(x|z).",
        "With n numbers and scale s: −log p(x|z) = Σ(x − x̂)²/(2 s²) + constant, and the mean is Σ(x − x̂)²/n.",
        "One line. The factor that turns the mean into −log p(x|z) is the factor that kld_weight gets.",
    ),
)


def _published_loss(error, kl, kld_weight):
    return np.mean(error**2) + kld_weight * kl


def _price_of_a_nat(kld_weight, numbers, scale, rng):
    """By how much the loss rises with a nat of KL, over how much it rises with a nat of −log p(x|z)."""
    before, after = rng.normal(size=(2, int(numbers))) * np.array([[1.0], [2.0]])
    nats = norm.logpdf(before, 0, scale).sum() - norm.logpdf(after, 0, scale).sum()
    by_distortion = (_published_loss(after, 3.0, kld_weight) - _published_loss(before, 3.0, kld_weight)) / nats
    by_rate = _published_loss(before, 4.0, kld_weight) - _published_loss(before, 3.0, kld_weight)
    return by_rate / by_distortion


@effective_beta.check(points=2)
def test_is_what_a_nat_of_code_costs_in_nats_of_pixels(effective_beta, rng):
    """Both prices measured on the loss itself, with densities from SciPy."""
    weight, numbers, scale = (
        np.array([2.5e-4, 1e-2, 1.0]),
        np.array([3072.0, 100.0, 64.0]),
        np.array([0.5, 2.0, 0.1]),
    )
    expected = [_price_of_a_nat(*case, rng) for case in zip(weight, numbers, scale, strict=True)]
    assert_close(effective_beta(weight, numbers, scale), expected, rtol=1e-3)


@effective_beta.check(points=1)
def test_more_pixels_at_the_same_weight_make_a_larger_beta(effective_beta):
    """Four times the pixels, β four times as large; half the noise scale, too. At (1, 2, 1) it is 1."""
    got = effective_beta(np.ones(3), np.array([2.0, 8.0, 2.0]), np.array([1.0, 1.0, 0.5]))
    assert_close(got, [1.0, 4.0, 4.0])


@effective_beta.misconception(
    "That is the weight as written. The mean over the pixels has made the other term smaller."
)
def weight_as_written(kld_weight, numbers, scale):
    return np.asarray(kld_weight) * np.ones_like(numbers)


@effective_beta.misconception("The normal's own factor is missing: a squared error counts 1/(2 s²) nats.")
def only_the_pixels(kld_weight, numbers, scale):
    return np.asarray(kld_weight) * numbers


@effective_beta.misconception("The ½ of the normal's exponent is missing.")
def exponent_without_half(kld_weight, numbers, scale):
    return np.asarray(kld_weight) * numbers / np.asarray(scale) ** 2


@effective_beta.misconception("s is a scale: the exponent has its square.")
def exponent_not_squared(kld_weight, numbers, scale):
    return np.asarray(kld_weight) * numbers / (2 * np.asarray(scale))


@effective_beta.misconception("You took s = 1. With less noise a squared error is worth more nats, and β grows.")
def unit_noise(kld_weight, numbers, scale):
    return np.asarray(kld_weight) * numbers / 2


@effective_beta.misconception(
    "Upside down: more pixels in the mean make the error term smaller, so β grows with n."
)
def upside_down(kld_weight, numbers, scale):
    return np.asarray(kld_weight) * 2 * np.asarray(scale) ** 2 / numbers


@effective_beta.misconception("You multiplied by 2 s² where the loss has to be divided by it.")
def noise_upside_down(kld_weight, numbers, scale):
    return np.asarray(kld_weight) * numbers * 2 * np.asarray(scale) ** 2


@effective_beta.misconception(
    "You divided the weight by n. The loss already has its mean, so the weight has to be multiplied."
)
def weight_per_number(kld_weight, numbers, scale):
    return np.asarray(kld_weight) / numbers


@effective_beta.misconception(
    "The 2 s² is at its place, n is not: divide by n and larger pictures get a smaller β. It is the other way."
)
def divided_by_the_numbers(kld_weight, numbers, scale):
    return np.asarray(kld_weight) / numbers / (2 * np.asarray(scale) ** 2)


@effective_beta.misconception("That is 1/β: what a nat of distortion costs if the code costs 1. Turn it over.")
def the_inverse(kld_weight, numbers, scale):
    return 2 * np.asarray(scale) ** 2 / (np.asarray(kld_weight) * numbers)
