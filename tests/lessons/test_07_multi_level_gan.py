"""Checks of lesson 07. Expected values come from NumPy's decompositions, searches, finite differences, loops."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit as sigmoid

from hvae_keras.course import Exercise, assert_close


def _two(result, names):
    """The two parts of an answer, or a sentence about what came instead."""
    pair = isinstance(result, (tuple, list)) or (isinstance(result, np.ndarray) and result.ndim > 0)
    assert pair and len(result) == 2, f"two values are asked for, {names}"
    return result


def _softplus(a):
    return np.logaddexp(0, a)


# 7.1 ----------------------------------------------------------------------------------------------------

losses = Exercise(
    "7.1",
    "losses",
    stars=1,
    points=4,
    minutes=8,
    hints=(
        "Who wants what? The discriminator wants high scores for real examples and low ones for generated. The "
        "generator wants high scores for what it has made, whatever the name of the loss.",
        "softplus(a) = log(1 + e^a) is −log σ(−a). The hinge is max(0, 1 − s) for real, max(0, 1 + s) for "
        "generated scores, and it is the discriminator's alone.",
        "One `if` a kind, two lines each, and a mean for each group of scores: there may be more of one "
        "than of the other. `np.logaddexp(0, a)` is a softplus that bears any a.",
    ),
)


@losses.check(points=1)
def test_has_the_values_that_paper_and_pencil_give(losses):
    """Real scores of log 3, odds of 3 to 1, and generated ones of 0, where the discriminator guesses."""
    odds = np.log(3)
    expected = {
        "non-saturating": (np.log(4 / 3) + np.log(2), np.log(2)),
        "hinge": (1, 0),
        "wasserstein": (-odds, 0),
    }
    for kind, values in expected.items():
        got = _two(losses(kind, np.full(3, odds), np.zeros(4)), "the discriminator's loss and the generator's")
        assert_close(got[0], values[0], what=f"{kind}, discriminator")
        assert_close(got[1], values[1], what=f"{kind}, generator")


@losses.check(points=1)
def test_averages_over_each_batch(losses, rng):
    """Five real and three generated scores, added up one by one in float64."""
    real, fake = rng.uniform(0.2, 2.5, size=5), rng.uniform(-2.5, 2.5, size=3)
    real[:2], fake[:2] = (2.0, 0.3), (-2.0, 0.3)  # on both sides of either hinge
    probability = [1 / (1 + np.exp(-s)) for s in real], [1 / (1 + np.exp(-s)) for s in fake]
    expected = {
        "non-saturating": (
            -sum(np.log(p) for p in probability[0]) / 5 - sum(np.log(1 - p) for p in probability[1]) / 3,
            -sum(np.log(p) for p in probability[1]) / 3,
        ),
        "hinge": (
            sum(max(0.0, 1 - s) for s in real) / 5 + sum(max(0.0, 1 + s) for s in fake) / 3,
            -sum(fake) / 3,
        ),
        "wasserstein": (sum(fake) / 3 - sum(real) / 5, -sum(fake) / 3),
    }
    for kind, values in expected.items():
        got = _two(losses(kind, real, fake), "the discriminator's loss and the generator's")
        assert_close(got[0], values[0], rtol=1e-3, what=f"{kind}, discriminator")
        assert_close(got[1], values[1], rtol=1e-3, what=f"{kind}, generator")


@losses.check(points=1)
def test_leaves_nothing_to_win_beyond_the_hinge(losses):
    """Real scores above 1 and generated ones below -1 cost the discriminator nothing; the generator pays on."""
    got = _two(losses("hinge", [1.5, 4.0], [-3.0, -2.0]), "the discriminator's loss and the generator's")
    assert_close(got[0], 0.0, what="hinge, discriminator")
    assert_close(got[1], 2.5, what="hinge, generator")


@losses.check(points=1)
def test_bears_scores_of_a_hundred(losses):
    """A discriminator that is sure, and right or wrong: 0 or 100 nats an example, and nothing infinite."""
    right = _two(losses("non-saturating", [100.0], [-100.0]), "the discriminator's loss and the generator's")
    assert_close(right[0], 0.0, what="discriminator, sure and right")
    assert_close(right[1], 100.0, what="generator, found out")
    wrong = _two(losses("non-saturating", [-100.0], [100.0]), "the discriminator's loss and the generator's")
    assert_close(wrong[0], 200.0, what="discriminator, sure and wrong")
    assert_close(wrong[1], 0.0, what="generator, taken for real")


def _losses(kind, real, fake):
    if kind == "non-saturating":
        return _softplus(-real).mean() + _softplus(fake).mean(), _softplus(-fake).mean()
    if kind == "hinge":
        return np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean(), -fake.mean()
    return fake.mean() - real.mean(), -fake.mean()


@losses.misconception(
    "The exponential overflows, or the logarithm gets a zero: use `np.logaddexp(0, a)` for log(1 + e^a)."
)
def logarithm_of_zero(kind, real, fake):
    if kind != "non-saturating":
        return _losses(kind, real, fake)
    with np.errstate(all="ignore"):
        p, q = (1 / (1 + np.exp(-np.asarray(s, "float32"))) for s in (real, fake))
        return -np.log(p).mean() - np.log(1 - q).mean(), -np.log(q).mean()


@losses.misconception("You clipped the probability. It bounds the loss, and where it binds no gradient is left.")
def probability_clipped(kind, real, fake):
    if kind != "non-saturating":
        return _losses(kind, real, fake)
    p, q = (np.clip(sigmoid(np.asarray(s, "float64")), 1e-7, 1 - 1e-7) for s in (real, fake))
    return -np.log(p).mean() - np.log(1 - q).mean(), -np.log(q).mean()


@losses.misconception(
    "That is the minimax loss of the generator, log(1 − p). Non-saturating is −log p: it pulls hardest where the "
    "discriminator is sure."
)
def minimax_for_non_saturating(kind, real, fake):
    d, g = _losses(kind, real, fake)
    return d, -_softplus(fake).mean() if kind == "non-saturating" else g


@losses.misconception("You swapped real and generated: a discriminator wants high scores for the real ones.")
def players_swapped(kind, real, fake):
    if kind == "non-saturating":
        return _softplus(real).mean() + _softplus(-fake).mean(), _softplus(fake).mean()
    if kind == "hinge":
        return np.maximum(0, 1 + real).mean() + np.maximum(0, 1 - fake).mean(), fake.mean()
    return real.mean() - fake.mean(), fake.mean()


@losses.misconception("Your generator works for the discriminator: it lowers the scores of its own examples.")
def generator_lowers_its_scores(kind, real, fake):
    d, _ = _losses(kind, real, fake)
    return d, _softplus(fake).mean() if kind == "non-saturating" else fake.mean()


@losses.misconception(
    "The hinge is the discriminator's. The generator's loss has none: it is minus the mean score."
)
def generator_with_a_hinge(kind, real, fake):
    d, g = _losses(kind, real, fake)
    return d, np.maximum(0, 1 - fake).mean() if kind == "hinge" else g


@losses.misconception("Where is the hinge? Scores beyond 1, or below −1, on their right side cost nothing.")
def hinge_forgotten(kind, real, fake):
    d, g = _losses(kind, real, fake)
    return (1 - real).mean() + (1 + fake).mean() if kind == "hinge" else d, g


@losses.misconception("You took the hinge of the mean score. Each example has its own; the mean comes after.")
def hinge_of_the_mean(kind, real, fake):
    d, g = _losses(kind, real, fake)
    return max(0, 1 - real.mean()) + max(0, 1 + fake.mean()) if kind == "hinge" else d, g


@losses.misconception("Your hinge bends at 0. It bends at a margin of 1: max(0, 1 − s) and max(0, 1 + s).")
def hinge_without_margin(kind, real, fake):
    d, g = _losses(kind, real, fake)
    return np.maximum(0, -real).mean() + np.maximum(0, fake).mean() if kind == "hinge" else d, g


@losses.misconception("You halved the discriminator's loss. Here its two means are added, as the game states it.")
def discriminator_halved(kind, real, fake):
    d, g = _losses(kind, real, fake)
    return d / 2, g


@losses.misconception("Your Wasserstein loss has its sign turned: the discriminator minimises fake − real.")
def wasserstein_maximised(kind, real, fake):
    d, g = _losses(kind, real, fake)
    return -d if kind == "wasserstein" else d, g


@losses.misconception("Those are sums. A loss is a mean over its batch.")
def sums_for_means(kind, real, fake):
    if kind == "non-saturating":
        return _softplus(-real).sum() + _softplus(fake).sum(), _softplus(-fake).sum()
    if kind == "hinge":
        return np.maximum(0, 1 - real).sum() + np.maximum(0, 1 + fake).sum(), -fake.sum()
    return fake.sum() - real.sum(), -fake.sum()


@losses.misconception("You return the generator's loss first. The order is discriminator, generator.")
def generator_first(kind, real, fake):
    return _losses(kind, real, fake)[::-1]


@losses.misconception("You took all scores as one batch. Each group has a mean of its own.")
def one_mean_over_both(kind, real, fake):
    n = len(real) + len(fake)
    _, g = _losses(kind, real, fake)
    if kind == "non-saturating":
        return (_softplus(-real).sum() + _softplus(fake).sum()) / n, g
    if kind == "hinge":
        return (np.maximum(0, 1 - real).sum() + np.maximum(0, 1 + fake).sum()) / n, g
    return (fake.sum() - real.sum()) / n, g


# 7.2 ----------------------------------------------------------------------------------------------------

best_discriminator = Exercise(
    "7.2",
    "best_discriminator",
    stars=2,
    points=4,
    minutes=10,
    hints=(
        "The discriminator may choose its answer at each point by itself. So look at one point, and at what an "
        "answer costs there.",
        "At one point the loss is −π p log d − (1 − π) q log(1 − d). Where is its derivative in d zero? It is "
        "also Bayes' rule.",
        "Two lines: d from p, q and the share; then minus the sum, over the points, of both terms, each weighted "
        "by how often it comes.",
    ),
)


def _tables(rng, n):
    """Two distributions over n values, no value of either rare, none where they agree."""
    p = rng.uniform(0.5, 1.5, size=n)
    q = p * np.exp(rng.choice([-1, 1], size=n) * rng.uniform(0.5, 1.5, size=n))
    return p / p.sum(), q / q.sum()


@best_discriminator.check(points=1)
def test_weighs_two_values_as_on_paper(best_discriminator):
    """p = (3/4, 1/4), q = (1/4, 3/4), one in four real: a coin, and 1 of 10."""
    d, loss = _two(best_discriminator([0.75, 0.25], [0.25, 0.75], 0.25), "d and the loss")
    assert_close(d, [1 / 2, 1 / 10], what="d")
    cost = 6 / 16 * np.log(2) + 1 / 16 * np.log(10) + 9 / 16 * np.log(10 / 9)
    assert_close(loss, cost, what="loss")


@best_discriminator.check(points=2)
def test_nobody_can_do_better_by_search(best_discriminator, rng):
    """The loss at each value minimised by a search over d, at random tables and shares."""
    p, q = _tables(rng, 6)
    share = float(rng.choice([0.2, 0.3, 0.7, 0.8]))
    found = [
        minimize_scalar(
            lambda d, a=a, b=b: -share * a * np.log(d) - (1 - share) * b * np.log(1 - d),
            bounds=(1e-6, 1 - 1e-6),
            method="bounded",
            options={"xatol": 1e-9},
        )
        for a, b in zip(p, q, strict=True)
    ]
    d, loss = _two(best_discriminator(p, q, share), "d and the loss")
    assert_close(d, [one.x for one in found], rtol=1e-3, what="d")
    assert_close(loss, sum(one.fun for one in found), rtol=1e-3, what="loss")


@best_discriminator.check(points=1)
def test_is_the_log_odds_of_two_gaussians(best_discriminator):
    """Normals a distance of 2 apart, cut in fine steps: log d / (1 - d) is a line of slope 2; sure far out."""
    x = np.linspace(-6, 6, 241)
    p, q = (np.exp(-0.5 * (x - m) ** 2) for m in (1.0, -1.0))
    d, _ = _two(best_discriminator(p / p.sum(), q / q.sum(), 0.5), "d and the loss")
    assert_close(d, sigmoid(2 * x), rtol=1e-3, atol=1e-5, what="d")


def _best(p, q, share):
    real, generated = share * p, (1 - share) * q
    d = real / (real + generated)
    return d, -(real @ np.log(d) + generated @ np.log1p(-d))


@best_discriminator.misconception(
    "You left out the share: if most of a batch is real, so is most of what you see."
)
def share_ignored(p, q, share):
    d = p / (p + q)
    return d, -np.sum(share * p * np.log(d) + (1 - share) * q * np.log(1 - d))


@best_discriminator.misconception("The share is missing in both, d and the loss.")
def share_ignored_twice(p, q, share):
    d = p / (p + q)
    return d, -np.sum(p * np.log(d) + q * np.log(1 - d))


@best_discriminator.misconception("You gave the share to the wrong side: it is the share of real examples.")
def share_of_generated(p, q, share):
    return _best(p, q, 1 - share)


@best_discriminator.misconception("Your d is the probability of generated. Asked is p(real|x).")
def probability_of_generated(p, q, share):
    d, loss = _best(p, q, share)
    return 1 - d, loss


@best_discriminator.misconception(
    "That is the ratio of the densities, the odds. The probability is odds / (1 + odds)."
)
def odds_for_probability(p, q, share):
    return share * p / ((1 - share) * q), _best(p, q, share)[1]


@best_discriminator.misconception("That is the score, the log-odds. Here d is the probability, its sigmoid.")
def score_for_probability(p, q, share):
    return np.log(share * p) - np.log((1 - share) * q), _best(p, q, share)[1]


@best_discriminator.misconception("Your loss has its sign turned: a cross-entropy is minus an expected logarithm.")
def value_for_loss(p, q, share):
    d, loss = _best(p, q, share)
    return d, -loss


@best_discriminator.misconception("Your loss counts real examples only. The generated ones have a term as well.")
def real_term_only(p, q, share):
    d, _ = _best(p, q, share)
    return d, -np.sum(share * p * np.log(d))


@best_discriminator.misconception(
    "Both terms of your loss count fully. Here they are weighted by how often each kind comes in a batch."
)
def loss_not_weighted(p, q, share):
    d, _ = _best(p, q, share)
    return d, -np.sum(p * np.log(d) + q * np.log(1 - d))


@best_discriminator.misconception("Your loss is a mean over the values. p and q are weights already: add up.")
def mean_over_values(p, q, share):
    d, loss = _best(p, q, share)
    return d, loss / len(p)


@best_discriminator.misconception("You forgot to weight by p and q: values that never come cost nothing.")
def values_not_weighted(p, q, share):
    d, _ = _best(p, q, share)
    return d, -np.mean(share * np.log(d) + (1 - share) * np.log(1 - d))


# 7.3 ----------------------------------------------------------------------------------------------------

spectral_norm = Exercise(
    "7.3",
    "spectral_norm",
    stars=2,
    points=4,
    minutes=8,
    hints=(
        "A vector that goes through W and back again, over and over, turns towards the direction that W stretches "
        "most. Only its direction matters, so set its length back to 1 each time.",
        "v = W u / |W u|, then u = Wᵀ v / |Wᵀ v|; after the last step σ = vᵀ W u.",
        "Reshape first: the last axis of the kernel are its outputs, all others together its inputs. A loop over "
        "`steps`, two lines in it.",
    ),
)


def _unit(a):
    return a / np.linalg.norm(a)


@spectral_norm.check(points=1)
def test_makes_one_step_as_on_paper(spectral_norm):
    """W = diag(3, 2) and u = (1, 2): v = (3, 4)/5, u = (9, 8)/√145 and σ = √145/5, below 3."""
    sigma, normalised = _two(spectral_norm(np.diag([3.0, 2.0]), np.array([1.0, 2.0]), 1), "sigma and the kernel")
    assert_close(sigma, np.sqrt(145) / 5, what="sigma")
    assert_close(normalised, np.diag([3.0, 2.0]) / (np.sqrt(145) / 5), what="normalised kernel")


@spectral_norm.check(points=1)
def test_finds_the_largest_singular_value(spectral_norm, rng):
    """A kernel of 7 inputs and 4 outputs after 60 steps, against NumPy's decomposition."""
    kernel = _kernel(rng, 7, 4)
    sigma, normalised = _two(spectral_norm(kernel, rng.uniform(0.5, 2.0, size=4), 60), "sigma and the kernel")
    assert_close(sigma, np.linalg.svd(kernel, compute_uv=False)[0], rtol=1e-3, what="sigma")
    assert_close(
        np.linalg.svd(np.asarray(normalised, "float64"), compute_uv=False)[0],
        1.0,
        rtol=1e-3,
        what="largest singular value of the normalised kernel",
    )


@spectral_norm.check(points=1)
def test_treats_a_convolution_as_inputs_by_outputs(spectral_norm, rng):
    """A kernel of 3x3, 2 channels in, 5 out: a matrix of 18 by 5. The result has the kernel's shape."""
    matrix = _kernel(rng, 18, 5)
    kernel = matrix.reshape(3, 3, 2, 5)
    sigma, normalised = _two(spectral_norm(kernel, rng.uniform(0.5, 2.0, size=5), 60), "sigma and the kernel")
    expected = np.linalg.svd(matrix, compute_uv=False)[0]
    assert_close(sigma, expected, rtol=1e-3, what="sigma")
    assert_close(normalised, kernel / expected, rtol=1e-3, atol=1e-4, what="normalised kernel")


@spectral_norm.check(points=1)
def test_comes_from_below_as_the_steps_grow(spectral_norm, rng):
    """Estimates after 1, 2, 4 and 8 steps: each no smaller than the last, and none above the singular value."""
    kernel, u = _kernel(rng, 6, 6), rng.uniform(0.5, 2.0, size=6)
    exact = np.linalg.svd(kernel, compute_uv=False)[0]
    found = [float(_two(spectral_norm(kernel, u, steps), "sigma and the kernel")[0]) for steps in (1, 2, 4, 8)]
    assert_close(found, _by_powers(kernel, u, (1, 2, 4, 8)), rtol=2e-3, what="sigma after 1, 2, 4 and 8 steps")
    assert max(found) <= exact * (1 + 1e-4), f"no estimate can exceed {exact:.4f}; yours are {found}"


def _kernel(rng, inputs, outputs):
    """A matrix with singular values 3, 1.8, 1.1, ... in random directions."""
    left, right = (np.linalg.qr(rng.normal(size=(size, outputs)))[0] for size in (inputs, outputs))
    return left @ np.diag(3 * 0.6 ** np.arange(outputs)) @ right.T


def _by_powers(kernel, u, steps):
    """|W (WᵀW)^k u| over |(WᵀW)^k u| after k steps, from powers of the matrix and not step by step."""
    square = kernel.T @ kernel
    after = [np.linalg.matrix_power(square, k) @ u for k in steps]
    before = [np.linalg.matrix_power(square, k - 1) @ u for k in steps]
    return [
        _unit(kernel @ b) @ kernel @ _unit(a) for a, b in zip(after, before, strict=True)
    ]  # v of step k is W u of step k - 1


def _powers(kernel, u, steps):
    matrix = kernel.reshape(-1, kernel.shape[-1])
    for _ in range(steps):
        v = _unit(matrix @ u)
        u = _unit(matrix.T @ v)
    return v @ matrix @ u


@spectral_norm.misconception("That is the Frobenius norm, the root of the sum of all squares. It is larger.")
def frobenius_norm(kernel, u, steps):
    sigma = np.sqrt((kernel**2).sum())
    return sigma, kernel / sigma


@spectral_norm.misconception(
    "The answer is exact, and not what was asked: in training one step of power iteration must do, not a "
    "decomposition."
)
def decomposed(kernel, u, steps):
    sigma = np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]), compute_uv=False)[0]
    return sigma, kernel / sigma


@spectral_norm.misconception("You did not set the vectors back to length 1: σ grows like a power of itself.")
def never_normalised(kernel, u, steps):
    matrix = kernel.reshape(-1, kernel.shape[-1])
    with np.errstate(all="ignore"):
        for _ in range(steps):
            v = matrix @ u
            u = matrix.T @ v
        sigma = v @ matrix @ u
        return sigma, kernel / sigma


@spectral_norm.misconception("That is σ², the eigenvalue of WᵀW. Take vᵀWu, or the root.")
def eigenvalue_for_singular_value(kernel, u, steps):
    sigma = _powers(kernel, u, steps) ** 2
    return sigma, kernel / sigma


@spectral_norm.misconception("You divided the kernel by σ². It has to be divided by σ.")
def divided_twice(kernel, u, steps):
    sigma = _powers(kernel, u, steps)
    return sigma, kernel / sigma**2


@spectral_norm.misconception("You divided by the root of σ. A kernel over its largest singular value has norm 1.")
def divided_by_the_root(kernel, u, steps):
    sigma = _powers(kernel, u, steps)
    return sigma, kernel / np.sqrt(sigma)


@spectral_norm.misconception("You always make one step. `steps` says how many.")
def one_step_only(kernel, u, steps):
    sigma = _powers(kernel, u, 1)
    return sigma, kernel / sigma


@spectral_norm.misconception("One step too many: count how often u changes.")
def one_step_too_many(kernel, u, steps):
    sigma = _powers(kernel, u, steps + 1)
    return sigma, kernel / sigma


@spectral_norm.misconception(
    "That is |W u| with the new u, the length of the next v. Asked is vᵀWu: v is from before u."
)
def length_of_the_next(kernel, u, steps):
    matrix = kernel.reshape(-1, kernel.shape[-1])
    for _ in range(steps):
        u = _unit(matrix.T @ _unit(matrix @ u))
    sigma = np.linalg.norm(matrix @ u)
    return sigma, kernel / sigma


@spectral_norm.misconception("Your σ is a step old: it uses the u from before the last step.")
def old_direction(kernel, u, steps):
    matrix = kernel.reshape(-1, kernel.shape[-1])
    for _ in range(steps):
        old = _unit(u)
        v = _unit(matrix @ u)
        u = _unit(matrix.T @ v)
    sigma = v @ matrix @ old
    return sigma, kernel / sigma


@spectral_norm.misconception("Your σ is a step old, and uses a u that was not of length 1.")
def old_direction_as_it_came(kernel, u, steps):
    matrix = kernel.reshape(-1, kernel.shape[-1])
    for _ in range(steps):
        old, v = u, _unit(matrix @ u)
        u = _unit(matrix.T @ v)
    sigma = v @ matrix @ old
    return sigma, kernel / sigma


@spectral_norm.misconception(
    "Your reshape mixes inputs and outputs: `reshape(-1, outputs)` keeps the last axis as it is."
)
def outputs_first_in_the_reshape(kernel, u, steps):
    sigma = _powers(kernel.reshape(kernel.shape[-1], -1).T, u, steps)
    return sigma, kernel / sigma


@spectral_norm.misconception("Return the kernel in the shape it came in, not as a matrix.")
def kernel_left_flat(kernel, u, steps):
    sigma = _powers(kernel, u, steps)
    return sigma, kernel.reshape(-1, kernel.shape[-1]) / sigma


@spectral_norm.misconception("You return the kernel as it came. The layer is to use W / σ.")
def kernel_not_divided(kernel, u, steps):
    return _powers(kernel, u, steps), kernel


# 7.4 ----------------------------------------------------------------------------------------------------

r1_penalty = Exercise(
    "7.4",
    "r1_penalty",
    stars=2,
    points=4,
    minutes=8,
    hints=(
        "How much does the score of an example change if one of its numbers changes? Follow the change forwards, "
        "through both layers.",
        "D(x) = tanh(x W + b) v. A change of x_i by δ changes unit k before its tanh by δ W_ik, and after it by "
        "(1 − h_k²) δ W_ik. So ∂D/∂x_i = Σ_k W_ik (1 − h_k²) v_k.",
        "Three lines: h; the slope of the score at each example, a row of `inputs` numbers; half the sum of its "
        "squares along the last axis.",
    ),
)


def _network(rng, inputs=3, units=4):
    """W, b and v of a small discriminator; no unit is saturated, no weight small."""
    sign = rng.choice([-1, 1], size=(inputs, units))
    return (
        sign * rng.uniform(0.4, 0.9, size=(inputs, units)),
        rng.uniform(0.3, 0.6, units),
        rng.uniform(1.2, 2, units),
    )


def _score(x, kernel, bias, v):
    return np.tanh(x @ kernel + bias) @ v


@r1_penalty.check(points=2)
def test_agrees_with_finite_differences(r1_penalty, rng):
    """Each number of each example moved by a little in both directions, in float64."""
    x, network = rng.uniform(-0.8, 0.8, size=(5, 3)), _network(rng)
    slopes = np.empty_like(x)
    for i in range(3):
        step = 1e-5 * np.eye(3)[i]
        slopes[:, i] = (_score(x + step, *network) - _score(x - step, *network)) / 2e-5
    assert_close(r1_penalty(x, *network), 0.5 * (slopes**2).sum(axis=1), rtol=1e-3, what="penalty of each example")


@r1_penalty.check(points=1)
def test_is_half_the_squared_norm_of_a_linear_score(r1_penalty):
    """Where the tanh is nearly straight, the score is linear: W v = (0.3, -0.4), and the penalty 1/8."""
    kernel = np.array([[1e-3, 2e-3], [-2e-3, 0.0]])
    v = np.array([200.0, 50.0])  # W v = (0.3, -0.4)
    assert_close(
        r1_penalty(np.array([[1.0, -2.0], [0.5, 0.5]]), kernel, np.zeros(2), v), [0.125, 0.125], rtol=1e-3
    )


@r1_penalty.check(points=1)
def test_vanishes_where_the_score_is_flat(r1_penalty):
    """Units at ±20 are saturated: no example there can change its score."""
    kernel, v = np.array([[4.0, -4.0], [4.0, 4.0]]), np.array([3.0, 2.0])
    got = r1_penalty(np.array([[5.0, 0.0], [0.0, 0.0]]), kernel, np.array([0.0, 0.0]), v)
    slope = kernel @ v  # at 0, where tanh has slope 1
    assert_close(got, [0.0, 0.5 * slope @ slope], what="penalty of each example")


def _slopes(x, kernel, bias, v):
    h = np.tanh(x @ kernel + bias)
    return ((1 - h**2) * v) @ kernel.T


@r1_penalty.misconception("Half of it: the penalty is ½ times the squared gradient.")
def half_forgotten(x, kernel, bias, v):
    return (_slopes(x, kernel, bias, v) ** 2).sum(axis=1)


@r1_penalty.misconception("That is half the length of the gradient. The penalty takes its square.")
def length_for_square(x, kernel, bias, v):
    return 0.5 * np.sqrt((_slopes(x, kernel, bias, v) ** 2).sum(axis=1))


@r1_penalty.misconception("You left out the slope of the tanh, 1 − h².")
def slope_of_tanh_forgotten(x, kernel, bias, v):
    return np.full(len(x), 0.5 * ((kernel @ v) ** 2).sum())


@r1_penalty.misconception("The slope of the tanh is 1 − h², with h after the tanh. You used what goes into it.")
def slope_before_the_tanh(x, kernel, bias, v):
    a = x @ kernel + bias
    return 0.5 * ((((1 - a**2) * v) @ kernel.T) ** 2).sum(axis=1)


@r1_penalty.misconception("The slope of the tanh is 1 − h². Yours is 1 − h.")
def square_in_the_slope_forgotten(x, kernel, bias, v):
    h = np.tanh(x @ kernel + bias)
    return 0.5 * ((((1 - h) * v) @ kernel.T) ** 2).sum(axis=1)


@r1_penalty.misconception("That is the slope of a sigmoid, h (1 − h). The units have a tanh.")
def slope_of_a_sigmoid(x, kernel, bias, v):
    h = np.tanh(x @ kernel + bias)
    return 0.5 * (((h * (1 - h) * v) @ kernel.T) ** 2).sum(axis=1)


@r1_penalty.misconception("The bias is missing: each unit is somewhere else on its tanh then.")
def bias_forgotten(x, kernel, bias, v):
    return 0.5 * (_slopes(x, kernel, 0 * bias, v) ** 2).sum(axis=1)


@r1_penalty.misconception("That is the gradient in the units. Asked is that in x: the first layer lies between.")
def gradient_in_the_units(x, kernel, bias, v):
    h = np.tanh(x @ kernel + bias)
    return 0.5 * (((1 - h**2) * v) ** 2).sum(axis=1)


@r1_penalty.misconception("You added up all slopes before you squared. Square each, then add.")
def sum_before_square(x, kernel, bias, v):
    return 0.5 * _slopes(x, kernel, bias, v).sum(axis=1) ** 2


@r1_penalty.misconception("That is the mean over the batch. A number for each example is asked.")
def mean_of_the_batch(x, kernel, bias, v):
    return 0.5 * (_slopes(x, kernel, bias, v) ** 2).sum(axis=1).mean()


@r1_penalty.misconception("You took the mean over the numbers of an example. The squared gradient is their sum.")
def mean_for_sum(x, kernel, bias, v):
    return 0.5 * (_slopes(x, kernel, bias, v) ** 2).mean(axis=1)


@r1_penalty.misconception("You squared each way through a unit by itself. They add up to one slope first.")
def units_apart(x, kernel, bias, v):
    h = np.tanh(x @ kernel + bias)
    return 0.5 * (((1 - h**2) * v) ** 2 @ kernel.T**2).sum(axis=1)


@r1_penalty.misconception("That punishes large scores, ½ D². R1 punishes steep ones: the gradient in x.")
def score_for_slope(x, kernel, bias, v):
    return 0.5 * _score(x, kernel, bias, v) ** 2


# 7.5 ----------------------------------------------------------------------------------------------------

conditioned = Exercise(
    "7.5",
    "conditioned",
    stars=1,
    points=3,
    minutes=6,
    hints=(
        "A label is a name, not an amount: 8 is not twice 4. How can a network be told a name in numbers?",
        "A vector of zeros with a one at the label. Beside z it is a few more numbers; beside a picture it is a "
        "few more channels, each the same at all pixels.",
        "Rows of an identity matrix, with the rows of label −1 set to zero; `np.concatenate` along the last axis, "
        "and `np.broadcast_to` for the channels.",
    ),
)


@conditioned.check(points=1)
def test_puts_one_vector_beside_z(conditioned):
    """Three labels of four, one of them unknown, written out by hand."""
    z, x = np.array([[0.5, -1.0], [2.0, 3.0], [-4.0, 1.5]]), np.zeros((3, 2, 2, 1))
    got, _ = _two(conditioned(z, x, np.array([2, -1, 0]), 4), "the generator's input and the discriminator's")
    expected = [[0.5, -1.0, 0, 0, 1, 0], [2.0, 3.0, 0, 0, 0, 0], [-4.0, 1.5, 1, 0, 0, 0]]
    assert_close(got, expected, what="the generator's input")


@conditioned.check(points=2)
def test_tells_every_pixel_and_every_class(conditioned, rng):
    """Pictures of 3x5 in two channels, seven classes; the last class never comes in this batch. By loops."""
    labels = rng.permutation([0, 1, 2, 3, 4, 5, -1, -1])
    z, x = rng.uniform(0.5, 2, size=(8, 3)), rng.uniform(0.1, 0.9, size=(8, 3, 5, 2))
    expected_z, expected_x = np.zeros((8, 10)), np.zeros((8, 3, 5, 9))
    for n, label in enumerate(labels):
        expected_z[n, :3], expected_x[n, ..., :2] = z[n], x[n]
        if label >= 0:
            expected_z[n, 3 + label] = 1
            expected_x[n, :, :, 2 + label] = 1
    got_z, got_x = _two(conditioned(z, x, labels, 7), "the generator's input and the discriminator's")
    assert_close(got_z, expected_z, what="the generator's input")
    assert_close(got_x, expected_x, what="the discriminator's input")


def _vectors(labels, classes):
    return np.eye(classes, dtype="float32")[labels] * (labels >= 0)[:, None]


def _joined(z, x, c, last=False):
    maps = np.broadcast_to(c[:, None, None, :], (*x.shape[:3], c.shape[1]))
    parts = ((c, z), (maps, x)) if last else ((z, c), (x, maps))
    return tuple(np.concatenate(pair, axis=-1) for pair in parts)


@conditioned.misconception(
    "Label −1 means that there is none, and you gave it the last class: index −1 is the last row in Python."
)
def unknown_is_the_last_class(z, x, labels, classes):
    return _joined(z, x, np.eye(classes, dtype="float32")[labels])


@conditioned.misconception("You turned label −1 into class 0. It means that there is no label: all zeros.")
def unknown_is_class_zero(z, x, labels, classes):
    return _joined(z, x, np.eye(classes, dtype="float32")[np.maximum(labels, 0)])


@conditioned.misconception("The label came in as one number. A network would read 8 as twice 4: use a vector.")
def label_as_an_amount(z, x, labels, classes):
    return _joined(z, x, labels[:, None].astype("float32"))


@conditioned.misconception(
    "Without a label you told it every class a little, 1 / classes. Nothing means zeros here."
)
def unknown_is_uniform(z, x, labels, classes):
    return _joined(z, x, np.where(labels[:, None] >= 0, _vectors(labels, classes), np.float32(1 / classes)))


@conditioned.misconception(
    "Your vectors are as long as the largest label of the batch asks for. Their length is `classes`, always."
)
def classes_of_the_batch(z, x, labels, classes):
    return _joined(z, x, _vectors(labels, int(labels.max()) + 1))


@conditioned.misconception("You put the label first. It comes after z, and after the picture's own channels.")
def label_first(z, x, labels, classes):
    return _joined(z, x, _vectors(labels, classes), last=True)


@conditioned.misconception("The label comes before z in your generator's input. It comes after it.")
def label_before_z(z, x, labels, classes):
    c = _vectors(labels, classes)
    return np.concatenate([c, z], axis=-1), _joined(z, x, c)[1]


@conditioned.misconception("Your discriminator is told at one pixel only. Every pixel needs the label's channels.")
def told_at_one_pixel(z, x, labels, classes):
    first, second = _joined(z, x, _vectors(labels, classes))
    second[:, 1:, :, x.shape[-1] :] = 0
    second[:, :, 1:, x.shape[-1] :] = 0
    return first, second


@conditioned.misconception("You added the label to z. That mixes the two: put it beside z.")
def added_to_z(z, x, labels, classes):
    c, out = _vectors(labels, classes), z.copy()
    size = min(z.shape[1], classes)
    out[:, :size] += c[:, :size]
    return out, _joined(z, x, c)[1]


@conditioned.misconception("Your discriminator is not told the label. It could not object to a wrong one.")
def discriminator_not_told(z, x, labels, classes):
    return _joined(z, x, _vectors(labels, classes))[0], x


@conditioned.misconception("You return the discriminator's input first. The order is generator, discriminator.")
def discriminator_first(z, x, labels, classes):
    return _joined(z, x, _vectors(labels, classes))[::-1]


# 7.6 ----------------------------------------------------------------------------------------------------

generate = Exercise(
    "7.6",
    "generate",
    stars=2,
    points=4,
    minutes=8,
    hints=(
        "Walk down from the top. At each level there is a question: is its z given, or is it drawn?",
        "z = what is held, or temperature times noise. Then the sketch is sigmoid(z_2 W_2), and the picture "
        "sigmoid(z_1 W_1 + sketch W_s).",
        "Two lines decide on the z's, with `is None`; two lines make sketch and picture. Return both.",
    ),
)


def _levels(rng, n=4):
    """Latents of both levels (3 and 2 numbers), as much noise, and weights to sketches of 4 and pictures of 6."""
    shapes = {"top": (3, 4), "detail": (2, 6), "sketch": (4, 6)}
    weights = {name: rng.choice([-1, 1], shape) * rng.uniform(0.5, 1.5, shape) for name, shape in shapes.items()}
    return [rng.uniform(0.5, 1.5, (n, k)) * rng.choice([-1, 1], (n, k)) for k in (3, 2, 3, 2)], weights


def _by_loops(z_2, z_1, weights):
    """Sketch and picture, one number after the other."""
    sketch, picture = np.zeros((len(z_2), 4)), np.zeros((len(z_2), 6))
    for n in range(len(z_2)):
        for j in range(4):
            sketch[n, j] = 1 / (1 + np.exp(-sum(z_2[n, i] * weights["top"][i, j] for i in range(3))))
        for j in range(6):
            total = sum(z_1[n, i] * weights["detail"][i, j] for i in range(2))
            total += sum(sketch[n, i] * weights["sketch"][i, j] for i in range(4))
            picture[n, j] = 1 / (1 + np.exp(-total))
    return sketch, picture


def _sketch_and_picture(result, expected, what):
    sketch, picture = _two(result, "sketches and pictures")
    assert_close(sketch, expected[0], rtol=1e-3, what=f"sketches, {what}")
    assert_close(picture, expected[1], rtol=1e-3, what=f"pictures, {what}")


@generate.check(points=1)
def test_draws_both_levels(generate, rng):
    """Nothing held, at temperature 0.5: sketches and pictures by loops."""
    (_, _, noise_2, noise_1), weights = _levels(rng)
    got = generate(None, None, noise_2, noise_1, 0.5, weights)
    _sketch_and_picture(got, _by_loops(0.5 * noise_2, 0.5 * noise_1, weights), "nothing held")


@generate.check(points=1)
def test_is_decided_by_what_is_held(generate, rng):
    """Both held: other noise changes nothing. At temperature 0 nothing is random."""
    (z_2, z_1, noise_2, noise_1), weights = _levels(rng)
    zeros = np.zeros_like(noise_2), np.zeros_like(noise_1)
    _sketch_and_picture(
        generate(z_2, z_1, noise_2, noise_1, 0.5, weights), _by_loops(z_2, z_1, weights), "both held"
    )
    got = generate(None, None, noise_2, noise_1, 0.0, weights)
    _sketch_and_picture(got, _by_loops(*zeros, weights), "temperature 0")


@generate.check(points=1)
def test_holds_the_sketch_and_redraws_the_detail(generate, rng):
    """z_2 given, at temperature 0.5, which is none of its business; the detail is drawn."""
    (z_2, _, noise_2, noise_1), weights = _levels(rng)
    got = generate(z_2, None, noise_2, noise_1, 0.5, weights)
    _sketch_and_picture(got, _by_loops(z_2, 0.5 * noise_1, weights), "z_2 held")


@generate.check(points=1)
def test_holds_the_detail_and_redraws_the_sketch(generate, rng):
    """z_1 given, one row of it zeros: a latent like any other."""
    (_, z_1, noise_2, noise_1), weights = _levels(rng)
    z_1[0] = 0.0
    got = generate(None, z_1, noise_2, noise_1, 0.5, weights)
    _sketch_and_picture(got, _by_loops(0.5 * noise_2, z_1, weights), "z_1 held")


def _made(z_2, z_1, weights):
    sketch = sigmoid(z_2 @ weights["top"])
    return sketch, sigmoid(z_1 @ weights["detail"] + sketch @ weights["sketch"])


def _chosen(z, noise, temperature):
    return temperature * noise if z is None else z


@generate.misconception(
    "You gave the temperature to what is held as well. A latent that is held is used as it came."
)
def held_at_a_temperature(z_2, z_1, noise_2, noise_1, temperature, weights):
    return _made(
        temperature * (noise_2 if z_2 is None else z_2), temperature * (noise_1 if z_1 is None else z_1), weights
    )


@generate.misconception("The temperature has no effect in yours: it stretches the noise of what is drawn.")
def temperature_ignored(z_2, z_1, noise_2, noise_1, temperature, weights):
    return _made(_chosen(z_2, noise_2, 1.0), _chosen(z_1, noise_1, 1.0), weights)


@generate.misconception("You stretched only the sketch's noise. The temperature is that of every level drawn.")
def temperature_of_the_top_only(z_2, z_1, noise_2, noise_1, temperature, weights):
    return _made(_chosen(z_2, noise_2, temperature), _chosen(z_1, noise_1, 1.0), weights)


@generate.misconception("You stretched only the detail's noise. The temperature is that of every level drawn.")
def temperature_of_the_bottom_only(z_2, z_1, noise_2, noise_1, temperature, weights):
    return _made(_chosen(z_2, noise_2, 1.0), _chosen(z_1, noise_1, temperature), weights)


@generate.misconception("You hold all or nothing. Each level is held or drawn for itself.")
def all_or_nothing(z_2, z_1, noise_2, noise_1, temperature, weights):
    if z_2 is None or z_1 is None:
        return _made(temperature * noise_2, temperature * noise_1, weights)
    return _made(z_2, z_1, weights)


@generate.misconception("Nothing is held in yours: both levels are drawn from the noise, whatever is given.")
def nothing_held(z_2, z_1, noise_2, noise_1, temperature, weights):
    return _made(temperature * noise_2, temperature * noise_1, weights)


@generate.misconception("A picture needs its sketch: sketch W_s is missing from yours.")
def sketch_not_passed_down(z_2, z_1, noise_2, noise_1, temperature, weights):
    z_2, z_1 = _chosen(z_2, noise_2, temperature), _chosen(z_1, noise_1, temperature)
    return _made(z_2, z_1, weights)[0], sigmoid(z_1 @ weights["detail"])


@generate.misconception("The detail has no say in your pictures: z_1 W_1 is missing.")
def detail_forgotten(z_2, z_1, noise_2, noise_1, temperature, weights):
    sketch, _ = _made(_chosen(z_2, noise_2, temperature), _chosen(z_1, noise_1, temperature), weights)
    return sketch, sigmoid(sketch @ weights["sketch"])


@generate.misconception("The level below sees the sketch, after its sigmoid. You passed on what goes into it.")
def sketch_before_its_sigmoid(z_2, z_1, noise_2, noise_1, temperature, weights):
    z_2, z_1 = _chosen(z_2, noise_2, temperature), _chosen(z_1, noise_1, temperature)
    return _made(z_2, z_1, weights)[0], sigmoid(z_1 @ weights["detail"] + z_2 @ weights["top"] @ weights["sketch"])


@generate.misconception("You return the picture first. The order is from the top down: sketch, picture.")
def picture_first(z_2, z_1, noise_2, noise_1, temperature, weights):
    made = _made(_chosen(z_2, noise_2, temperature), _chosen(z_1, noise_1, temperature), weights)
    return made[::-1]


@generate.misconception(
    "You asked whether z holds anything but zeros. Zeros are a latent like any other: ask `z is None`."
)
def zeros_taken_for_nothing(z_2, z_1, noise_2, noise_1, temperature, weights):
    def choose(z, noise):
        if z is None:
            return temperature * noise
        return np.where(z.any(axis=1, keepdims=True), z, temperature * noise)

    return _made(choose(z_2, noise_2), choose(z_1, noise_1), weights)


# 7.7 ----------------------------------------------------------------------------------------------------

inconsistency = Exercise(
    "7.7",
    "inconsistency",
    stars=2,
    points=3,
    minutes=6,
    hints=(
        "How would the picture look at the size of the sketch? Each pixel there is what a whole block of the "
        "picture has on average.",
        "The block at (r, c) holds rows r·k to r·k + k − 1, and such columns; k is the ratio of the sides. Then "
        "the root of the mean square of the differences, for each picture.",
        "One `reshape` cuts both sides in two axes each, (n, height, k, width, k, channels); a mean over the two "
        "axes of length k; then the root of a mean over all axes but the first.",
    ),
)


@inconsistency.check(points=1)
def test_compares_blocks_with_pixels(inconsistency):
    """One 2x2 sketch and a 4x4 picture, in one channel, by hand: differences 0, 0.1, 0.2 and 0.4."""
    picture = np.array([[0.0, 0.2, 0.5, 0.5], [0.4, 0.2, 0.5, 0.5], [0.9, 0.7, 0.0, 0.4], [0.7, 0.9, 0.4, 0.0]])
    sketch = np.array([[0.2, 0.6], [0.6, 0.6]])
    expected = np.sqrt((0.0**2 + 0.1**2 + 0.2**2 + 0.4**2) / 4)
    got = inconsistency(picture[None, :, :, None], sketch[None, :, :, None])
    assert_close(got, [expected], what="inconsistency")


@inconsistency.check(points=1)
def test_is_zero_for_a_picture_that_only_adds_detail(inconsistency, rng):
    """Pictures made from sketches by adding noise whose mean over each block is 0; one of them is then moved."""
    sketches = rng.uniform(0.3, 0.7, size=(3, 4, 2, 3))
    noise = rng.uniform(-0.3, 0.3, size=(3, 4, 3, 2, 3, 3))
    noise -= noise.mean(axis=(2, 4), keepdims=True)
    pictures = (sketches[:, :, None, :, None] + noise).reshape(3, 12, 6, 3)
    pictures[1] += 0.05
    assert_close(inconsistency(pictures, sketches), [0.0, 0.05, 0.0], rtol=1e-3, atol=1e-4, what="inconsistency")


@inconsistency.check(points=1)
def test_agrees_with_a_loop(inconsistency, rng):
    """Sides that differ, three times the sketch's, block by block."""
    pictures, sketches = rng.uniform(size=(4, 6, 9, 2)), rng.uniform(size=(4, 2, 3, 2))
    expected = []
    for picture, sketch in zip(pictures, sketches, strict=True):
        squares = []
        for r in range(2):
            for c in range(3):
                for channel in range(2):
                    block = picture[3 * r : 3 * r + 3, 3 * c : 3 * c + 3, channel]
                    squares.append((block.mean() - sketch[r, c, channel]) ** 2)
        expected.append(np.sqrt(np.mean(squares)))
    assert_close(inconsistency(pictures, sketches), expected, rtol=1e-3, what="inconsistency")


def _reduced(pictures, sketches):
    n, height, width, channels = sketches.shape
    k = pictures.shape[1] // height
    return pictures.reshape(n, height, k, width, k, channels).mean(axis=(2, 4))


def _rms(a, b):
    return np.sqrt(((a - b) ** 2).mean(axis=(1, 2, 3)))


@inconsistency.misconception("You took one pixel of each block. Its neighbours belong to the mean as well.")
def one_pixel_of_a_block(pictures, sketches):
    k = pictures.shape[1] // sketches.shape[1]
    return _rms(pictures[:, ::k, ::k], sketches)


@inconsistency.misconception(
    "You enlarged the sketch. Detail that averages out within a block counts then, and it should not."
)
def sketch_enlarged(pictures, sketches):
    k = pictures.shape[1] // sketches.shape[1]
    return _rms(pictures, sketches.repeat(k, axis=1).repeat(k, axis=2))


@inconsistency.misconception("That is the mean square. Take its root, so that it is in the units of a pixel.")
def root_forgotten(pictures, sketches):
    return _rms(_reduced(pictures, sketches), sketches) ** 2


@inconsistency.misconception("That is the mean absolute difference. The root of the mean square is asked.")
def absolute_for_square(pictures, sketches):
    return np.abs(_reduced(pictures, sketches) - sketches).mean(axis=(1, 2, 3))


@inconsistency.misconception(
    "That is the absolute value of the mean difference. Errors must not cancel: square first."
)
def errors_cancel(pictures, sketches):
    return np.abs((_reduced(pictures, sketches) - sketches).mean(axis=(1, 2, 3)))


@inconsistency.misconception("You averaged over all pictures together. A number for each picture is asked.")
def one_number(pictures, sketches):
    return np.sqrt(((_reduced(pictures, sketches) - sketches) ** 2).mean())


@inconsistency.misconception("You added the squares up. The mean does not grow with the size of a sketch.")
def sum_for_mean(pictures, sketches):
    return np.sqrt(((_reduced(pictures, sketches) - sketches) ** 2).sum(axis=(1, 2, 3)))


@inconsistency.misconception(
    "Your reshape mixes the picture: the rows split as (height, k), in this order, and the columns as (width, k)."
)
def blocks_interleaved(pictures, sketches):
    n, height, width, channels = sketches.shape
    k = pictures.shape[1] // height
    return _rms(pictures.reshape(n, k, height, k, width, channels).mean(axis=(1, 3)), sketches)


@inconsistency.misconception("You compared with the largest value of a block. A coarse pixel is the mean.")
def largest_of_a_block(pictures, sketches):
    n, height, width, channels = sketches.shape
    k = pictures.shape[1] // height
    return _rms(pictures.reshape(n, height, k, width, k, channels).max(axis=(2, 4)), sketches)


@inconsistency.misconception("You took 2 for the ratio of the sides. It follows from the two shapes.")
def ratio_of_two(pictures, sketches):
    n, height, width, channels = sketches.shape
    part = pictures[:, : 2 * height, : 2 * width]
    return _rms(part.reshape(n, height, 2, width, 2, channels).mean(axis=(2, 4)), sketches)


@inconsistency.misconception("You averaged over the colours first. A red cloud is not as good as a white one.")
def colours_averaged(pictures, sketches):
    return np.sqrt(((_reduced(pictures, sketches) - sketches).mean(axis=-1) ** 2).mean(axis=(1, 2)))


# 7.8 ----------------------------------------------------------------------------------------------------

mended_step = Exercise(
    "7.8",
    "mended_step",
    stars=3,
    points=4,
    minutes=10,
    hints=(
        "There are two losses and two networks. Which loss may move which network? And who moves first?",
        "The discriminator goes down its own loss, with the generator as it is. Then the generator goes down its "
        "own loss, against the discriminator as it is now.",
        "Make the gradient of d from the slopes of the first loss only, and move d. Then take new scores with the "
        "new d, and make the gradient of g from the slopes of the second loss only.",
    ),
)


def _pair(rng, n=6, dims=3, latent=2):
    """Generator, discriminator, real examples off centre, and noise; scores of some size."""
    g, d = rng.uniform(0.4, 1.0, size=(latent, dims)), rng.uniform(0.4, 0.9, size=dims)
    real, z = rng.uniform(0.5, 1.5, size=(n, dims)), rng.uniform(0.3, 1.2, size=(n, latent))
    return g * rng.choice([-1, 1], g.shape), d * rng.choice([-1, 1], dims), real, z


def _slope(loss, at):
    """Gradient of a number by central differences, one entry after the other, in float64."""
    out = np.empty_like(at)
    for index in np.ndindex(at.shape):
        step = np.zeros_like(at)
        step[index] = 1e-5
        out[index] = (loss(at + step) - loss(at - step)) / 2e-5
    return out


def _discriminator_loss(g, d, real, z):
    return _softplus(-(real @ d)).mean() + _softplus(z @ g @ d).mean()


def _generator_loss(g, d, z):
    return _softplus(-(z @ g @ d)).mean()


@mended_step.check(points=2)
def test_each_player_goes_down_its_own_loss(mended_step, rng):
    """Both losses by finite differences; the generator meets the new discriminator. A large step."""
    g, d, real, z = _pair(rng)
    new_g, new_d = _two(mended_step(g, d, real, z, 0.8), "g and d")
    expected_d = d - 0.8 * _slope(lambda at: _discriminator_loss(g, at, real, z), d)
    assert_close(new_d, expected_d, rtol=1e-3, atol=1e-4, what="d")
    expected_g = g - 0.8 * _slope(lambda at: _generator_loss(at, expected_d, z), g)
    assert_close(new_g, expected_g, rtol=1e-3, atol=1e-4, what="g")


@mended_step.check(points=1)
def test_a_blind_discriminator_moves_no_generator(mended_step, rng):
    """d = 0 and as many real as generated examples alike: no one learns anything from the other."""
    g, d, _, z = _pair(rng)
    new_g, new_d = _two(mended_step(g, 0 * d, z @ g, z, 0.8), "g and d")
    assert_close(new_d, 0 * d, atol=1e-4, what="d, which cannot tell")
    assert_close(new_g, g, rtol=1e-3, atol=1e-4, what="g, which nobody criticises")


@mended_step.check(points=1)
def test_a_sure_discriminator_does_not_stop_the_generator(mended_step, rng):
    """Scores beyond 40: nothing is left for d to learn, and g is pulled with all force."""
    g, d, real, z = _pair(rng)
    d = np.abs(d)
    g, real = -np.abs(g), np.abs(real)
    d = 30 * d  # scores far from 0
    new_g, new_d = _two(mended_step(g, d, real, z, 0.01), "g and d")
    expected_d = d - 0.01 * _slope(lambda at: _discriminator_loss(g, at, real, z), d)
    expected_g = g - 0.01 * _slope(lambda at: _generator_loss(at, expected_d, z), g)
    assert_close(new_d, expected_d, rtol=1e-4, atol=1e-3, what="d")
    assert_close(new_g, expected_g, rtol=1e-3, atol=1e-4, what="g")


def _gradients(g, d, real, z):
    """Gradients: of the discriminator's loss in d and g, of the generator's in d and g."""
    fake = z @ g
    by_real, by_fake, by_own = -sigmoid(-(real @ d)), sigmoid(fake @ d), -sigmoid(-(fake @ d))
    first = by_real @ real / len(real) + by_fake @ fake / len(fake)
    return (
        first,
        z.T @ np.outer(by_fake, d) / len(z),
        by_own @ fake / len(fake),
        z.T @ np.outer(by_own, d) / len(z),
    )


@mended_step.misconception("Nothing has changed: both losses still move both networks.")
def as_it_was(g, d, real, z, rate):
    d_by_d, g_by_d, d_by_g, g_by_g = _gradients(g, d, real, z)
    return g - rate * (g_by_d + g_by_g), d - rate * (d_by_d + d_by_g)


@mended_step.misconception(
    "The generator's loss still moves the discriminator: it learns to call real what is not."
)
def generators_loss_moves_the_discriminator(g, d, real, z, rate):
    d_by_d, _, d_by_g, _ = _gradients(g, d, real, z)
    d = d - rate * (d_by_d + d_by_g)
    return g - rate * _gradients(g, d, real, z)[3], d


@mended_step.misconception(
    "The discriminator's loss still moves the generator: it is pulled towards being found out."
)
def discriminators_loss_moves_the_generator(g, d, real, z, rate):
    d_by_d, g_by_d, _, _ = _gradients(g, d, real, z)
    d = d - rate * d_by_d
    return g - rate * (g_by_d + _gradients(g, d, real, z)[3]), d


@mended_step.misconception(
    "Each loss moves its own network now. But your generator plays against the discriminator of before its move."
)
def old_discriminator(g, d, real, z, rate):
    d_by_d, _, _, g_by_g = _gradients(g, d, real, z)
    return g - rate * g_by_g, d - rate * d_by_d


@mended_step.misconception("Your generator moves first. The discriminator does: the generator answers to it.")
def generator_first_then_discriminator(g, d, real, z, rate):
    g = g - rate * _gradients(g, d, real, z)[3]
    return g, d - rate * _gradients(g, d, real, z)[0]


@mended_step.misconception(
    "You stopped the gradient in both moves: now nothing moves the generator. It may pass through the "
    "discriminator in the generator's move; only the discriminator's weights stay."
)
def generator_never_moves(g, d, real, z, rate):
    return g, d - rate * _gradients(g, d, real, z)[0]


@mended_step.misconception(
    "You stopped more than the gradient: your discriminator does not see generated examples at all."
)
def discriminator_sees_real_only(g, d, real, z, rate):
    d = d + rate * sigmoid(-(real @ d)) @ real / len(real)
    return g - rate * _gradients(g, d, real, z)[3], d


@mended_step.misconception(
    "Your generator goes down the discriminator's loss, and helps it. Its own loss is softplus(−score)."
)
def wrong_loss_for_the_generator(g, d, real, z, rate):
    d = d - rate * _gradients(g, d, real, z)[0]
    return g - rate * _gradients(g, d, real, z)[1], d


@mended_step.misconception(
    "Your generator goes up the discriminator's loss: that is minimax. Asked is the non-saturating loss."
)
def minimax_generator(g, d, real, z, rate):
    d = d - rate * _gradients(g, d, real, z)[0]
    return g + rate * _gradients(g, d, real, z)[1], d


@mended_step.misconception("The sign of your generator's move is turned: it goes up its own loss.")
def generator_uphill(g, d, real, z, rate):
    d = d - rate * _gradients(g, d, real, z)[0]
    return g + rate * _gradients(g, d, real, z)[3], d


@mended_step.misconception("You return d before g. The order is g, d.")
def discriminator_returned_first(g, d, real, z, rate):
    d = d - rate * _gradients(g, d, real, z)[0]
    return d, g - rate * _gradients(g, d, real, z)[3]


@mended_step.misconception("Both go uphill in yours: a move is minus the rate times the gradient.")
def uphill(g, d, real, z, rate):
    d = d + rate * _gradients(g, d, real, z)[0]
    return g + rate * _gradients(g, d, real, z)[3], d
