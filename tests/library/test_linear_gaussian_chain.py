"""The exact chain against SciPy, against Bayes's theorem, against enumeration, and as a HierarchicalVAE."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from hvae_keras.backend import ops
from hvae_keras.metrics import elbo, importance_weighted_bound
from hvae_keras.models import BottomUp, Ladder, LinearGaussianChain, TopDown


def slanted_chain():
    """Three levels whose conditionals have no diagonal covariance."""
    rng = np.random.default_rng(4)
    shapes = [(5, 4), (4, 3), (3, 2)]
    weights, biases = [rng.normal(size=shape) for shape in shapes], [rng.normal(size=rows) for rows, _ in shapes]
    return LinearGaussianChain(weights, biases, (0.6, 0.8, 0.7))


def tree_chain():
    return LinearGaussianChain.tree(8, (4, 2, 1), (0.5, 0.7, 0.8))


@pytest.fixture(params=[slanted_chain, tree_chain])
def chain(request):
    return request.param()


def log_joint(chain, levels):
    """log p(x, z_1, ..., z_L), one factor after the other."""
    total = norm.logpdf(levels[-1]).sum(-1)
    for i, (weight, bias, scale) in enumerate(zip(chain.weights, chain.biases, chain.scales, strict=True)):
        total = total + norm.logpdf(levels[i], levels[i + 1] @ weight.T + bias, scale).sum(-1)
    return total


def log_conditional(chain, level, given, values):
    mean, covariance = chain.conditional(level, given)
    return multivariate_normal(np.zeros(len(covariance)), covariance).logpdf(values - mean)


def assert_mean(values, expected):
    """The mean of draws is what is expected, within 4 standard errors."""
    error = values.std(axis=0) / np.sqrt(len(values))
    assert (np.abs(values.mean(axis=0) - expected) < 4 * error).all()


def test_log_prob_is_that_of_the_marginal_normal():
    chain = slanted_chain()
    (w1, w2, w3), (s0, s1, s2) = chain.weights, chain.scales
    covariance = w3 @ w3.T + s2**2 * np.eye(3)
    covariance = w2 @ covariance @ w2.T + s1**2 * np.eye(4)
    covariance = w1 @ covariance @ w1.T + s0**2 * np.eye(5)
    mean = w1 @ (w2 @ chain.biases[2] + chain.biases[1]) + chain.biases[0]
    x = chain.sample(20, seed=0)[0]
    np.testing.assert_allclose(chain.log_prob(x), multivariate_normal(mean, covariance).logpdf(x), rtol=1e-10)


def test_draws_have_the_moments_of_the_joint(chain):
    draws = np.concatenate(chain.sample(100_000, seed=1), axis=1)
    mean, covariance = chain.joint()
    assert_mean(draws, mean)
    centred = draws - mean
    assert_mean(centred[:, :, None] * centred[:, None, :], covariance)


def test_both_factorisations_of_the_posterior_obey_bayes(chain, rng):
    """log p(z|x) = log p(x, z) - log p(x) at any z, top-down and bottom-up (one posterior, two orders)."""
    levels = [rng.normal(size=(6, d)) for d in chain.units]
    truth = log_joint(chain, levels) - chain.log_prob(levels[0])
    x, top = levels[0], chain.levels
    down = log_conditional(chain, top, {0: x}, levels[top])
    down += sum(log_conditional(chain, i, {i + 1: levels[i + 1], 0: x}, levels[i]) for i in range(1, top))
    up = sum(log_conditional(chain, i, {i - 1: levels[i - 1]}, levels[i]) for i in range(1, top + 1))
    np.testing.assert_allclose(down, truth, rtol=1e-9)
    np.testing.assert_allclose(up, truth, rtol=1e-9)


def test_conditional_on_the_level_above_is_the_step_of_the_chain(chain, rng):
    for i in range(chain.levels):
        z = rng.normal(size=(3, chain.units[i + 1]))
        mean, covariance = chain.conditional(i, {i + 1: z})
        np.testing.assert_allclose(mean, z @ chain.weights[i].T + chain.biases[i])
        np.testing.assert_allclose(covariance, chain.scales[i] ** 2 * np.eye(chain.units[i]), atol=1e-12)


def test_given_nothing_the_top_is_the_standard_normal(chain):
    mean, covariance = chain.conditional(chain.levels, {})
    np.testing.assert_array_equal(mean, np.zeros((1, chain.units[-1])))
    np.testing.assert_allclose(covariance, np.eye(chain.units[-1]), atol=1e-12)


def test_terms_of_both_orders_agree_with_enumeration():
    """One unit a level: sums over a fine grid of (z_1, z_2) need no algebra of normals."""
    chain = LinearGaussianChain([[[1.3]], [[0.8]]], [[0.2], [-0.1]], (0.5, 0.6))
    grid = np.linspace(-7, 7, 701)
    z1, z2 = np.meshgrid(grid, grid, indexing="ij")
    log_prior = norm.logpdf(z2) + norm.logpdf(z1, 0.8 * z2 - 0.1, 0.6)
    x = np.array([[0.0], [1.5], [-3.0]])
    expected = np.empty((2, 3, 2))
    for n, value in enumerate(x[:, 0]):
        posterior = np.exp(log_prior + norm.logpdf(value, 1.3 * z1 + 0.2, 0.5))
        posterior /= posterior.sum()
        log_1_given_2 = np.log(posterior / posterior.sum(0)) - np.log(grid[1] - grid[0])
        log_2 = np.log(posterior.sum(0)) - np.log(grid[1] - grid[0])
        log_1 = np.log(posterior.sum(1, keepdims=True)) - np.log(grid[1] - grid[0])
        log_2_given_1 = np.log(posterior / posterior.sum(1, keepdims=True)) - np.log(grid[1] - grid[0])
        down = [log_1_given_2 - norm.logpdf(z1, 0.8 * z2 - 0.1, 0.6), log_2 - norm.logpdf(z2)]
        up = [log_1 - norm.logpdf(z1, 0.8 * z2 - 0.1, 0.6), log_2_given_1 - norm.logpdf(z2)]
        expected[:, n] = [[(posterior * term).sum() for term in terms] for terms in (down, up)]
    np.testing.assert_allclose(chain.kl_by_level(x), expected[0], atol=1e-6)
    np.testing.assert_allclose(chain.bottom_up_terms(x), expected[1], atol=1e-6)


def test_mean_terms_are_means_over_p_of_x(chain):
    x = chain.sample(50_000, seed=2)[0]
    assert_mean(chain.kl_by_level(x), chain.mean_kl_by_level())
    assert_mean(chain.bottom_up_terms(x), chain.mean_bottom_up_terms())


def test_both_orders_share_their_sum_and_on_average_it_is_the_information_about_x(chain):
    x = chain.sample(5, seed=3)[0]
    np.testing.assert_allclose(chain.kl_by_level(x).sum(-1), chain.bottom_up_terms(x).sum(-1))
    total = chain.mutual_information(0, 1)
    np.testing.assert_allclose(chain.mean_kl_by_level().sum(), total)
    np.testing.assert_allclose(chain.mean_bottom_up_terms().sum(), total)


def test_mean_terms_are_differences_of_informations(chain):
    """Determinants of the joint normal know nothing of divergences."""
    _, covariance = chain.joint()
    edges = np.cumsum((0, *chain.units))

    def entropy(*levels):
        rows = np.concatenate([np.arange(edges[i], edges[i + 1]) for i in levels])
        return multivariate_normal(cov=covariance[np.ix_(rows, rows)]).entropy()

    def information(i, j):
        return 0.0 if j > chain.levels else entropy(i) + entropy(j) - entropy(i, j)

    for i in range(1, chain.levels + 1):
        np.testing.assert_allclose(chain.mutual_information(0, i), information(0, i))
        down = information(0, i) - information(0, i + 1)
        up = information(i - 1, i) - information(i, i + 1)
        np.testing.assert_allclose(chain.mean_kl_by_level()[i - 1], down)
        np.testing.assert_allclose(chain.mean_bottom_up_terms()[i - 1], up)


def test_a_bottom_up_term_can_be_negative_and_a_kl_cannot():
    """Noisy data and tight upper levels: z_1 says less of x than of z_2."""
    chain = LinearGaussianChain.tree(8, (4, 2, 1), (3.0, 0.2, 0.2))
    assert chain.mean_bottom_up_terms()[0] < -2
    assert chain.mean_bottom_up_terms()[-1] > 0
    x = chain.sample(100, seed=0)[0]
    assert (chain.bottom_up_terms(x)[:, 0] < 0).all()
    assert (chain.kl_by_level(x) > 0).all() and (chain.mean_kl_by_level() > 0).all()


def test_information_of_two_scalars_is_that_of_their_correlation():
    chain = LinearGaussianChain([[[1.0]], [[1.0]]], [[0.0], [0.0]], (1.0, 1.0))
    # x = z_2 + two noises of variance 1: its correlation with z_2 is 1/sqrt(3), that with z_1 sqrt(2/3).
    np.testing.assert_allclose(chain.mutual_information(0, 2), -0.5 * np.log(1 - 1 / 3))
    np.testing.assert_allclose(chain.mutual_information(1, 0), -0.5 * np.log(1 - 2 / 3))


def test_information_about_x_falls_with_the_level(chain):
    """The data-processing inequality for x - z_1 - z_2 - z_3."""
    found = [chain.mutual_information(0, i) for i in range(1, chain.levels + 1)]
    assert found == sorted(found, reverse=True) and found[-1] > 0


def off_diagonal(chain, level, given):
    _, covariance = chain.conditional(level, {i: np.zeros((1, chain.units[i])) for i in given})
    return np.abs(covariance - np.diag(np.diag(covariance))).max()


def test_a_tree_has_diagonal_top_down_posteriors_only():
    chain = tree_chain()
    assert max(off_diagonal(chain, i, given) for i, given in [(1, (0, 2)), (2, (0, 3)), (3, (0,))]) < 1e-12
    assert off_diagonal(chain, 1, (0,)) > 0.01  # Siblings share a parent that is not given.


def test_a_tree_without_siblings_has_both():
    chain = LinearGaussianChain.tree(6, (2, 2, 2), (0.5, 0.7, 0.8))
    orders = [(1, (0, 2)), (2, (0, 3)), (3, (0,)), (1, (0,)), (2, (1,)), (3, (2,))]
    assert max(off_diagonal(chain, i, given) for i, given in orders) < 1e-12


# As a HierarchicalVAE


def parallel_chain():
    """No unit shares its parent: every conditional is diagonal, bottom-up too."""
    return LinearGaussianChain.tree(6, (2, 2, 2), (0.5, 0.7, 0.8))


EXACT = [
    (tree_chain, TopDown),
    (tree_chain, Ladder),
    (parallel_chain, TopDown),
    (parallel_chain, Ladder),
    (parallel_chain, BottomUp),
    (parallel_chain, lambda: BottomUp(skip=True)),
]


@pytest.mark.parametrize(("make", "inference"), EXACT)
def test_with_the_exact_posterior_every_weight_is_p_of_x(make, inference):
    chain = make()
    model, x = chain.as_hierarchical_vae(inference()), np.float32(chain.sample(8, seed=0)[0])
    log_weights = ops.convert_to_numpy(model.log_weights(x, model.encode(x), 50, seed=1))
    np.testing.assert_allclose(log_weights, np.tile(chain.log_prob(x), (50, 1)), atol=1e-4)


@pytest.mark.parametrize("inference", [TopDown, Ladder])
def test_posteriors_are_the_true_conditionals_of_the_z_drawn(inference):
    chain = tree_chain()
    x = chain.sample(5, seed=1)[0]
    levels = chain.as_hierarchical_vae(inference()).infer(np.float32(x))
    z = [x, *(np.float64(ops.convert_to_numpy(level.z)) for level in levels)]
    for i, level in enumerate(levels, 1):
        given = {0: x} if i == 3 else {0: x, i + 1: z[i + 1]}
        mean, covariance = chain.conditional(i, given)
        np.testing.assert_allclose(ops.convert_to_numpy(level.posterior.mean()), mean, atol=1e-5)
        variance = ops.convert_to_numpy(level.posterior.variance())
        np.testing.assert_allclose(variance, np.tile(np.diag(covariance), (5, 1)), rtol=1e-5)


@pytest.mark.parametrize(("inference", "terms"), [(TopDown, "kl_by_level"), (BottomUp, "bottom_up_terms")])
def test_terms_of_the_model_have_the_means_of_the_closed_form(inference, terms):
    chain = parallel_chain()
    x = chain.sample(3, seed=2)[0]
    levels = chain.as_hierarchical_vae(inference()).infer(np.repeat(np.float32(x), 4000, axis=0))
    found = np.stack([ops.convert_to_numpy(level.kl) for level in levels], axis=-1).reshape(3, 4000, 3)
    # Float32 sums of exact terms differ in the last place where the draws change nothing, as at the top.
    error = 4 * found.std(axis=1) / np.sqrt(4000) + 1e-4
    assert (np.abs(found.mean(axis=1) - getattr(chain, terms)(x)) < error).all()


@pytest.mark.parametrize("inference", [TopDown, Ladder, BottomUp])
def test_with_the_exact_posterior_bound_is_log_p_on_average(inference):
    """Its KL are in closed form where they can be, so single draws scatter; 20,000 of them do not."""
    chain = parallel_chain()
    x = chain.sample(3, seed=5)[0]
    repeated = np.repeat(np.float32(x), 20_000, axis=0)
    log_likelihood, kl = chain.as_hierarchical_vae(inference()).bound(repeated)
    found = ops.convert_to_numpy(log_likelihood - ops.sum(kl, axis=-1)).reshape(3, -1)
    error = 4 * found.std(axis=1) / np.sqrt(20_000) + 1e-4
    assert (np.abs(found.mean(axis=1) - chain.log_prob(x)) < error).all() and (error < 0.05).all()


@pytest.mark.parametrize("inference", [TopDown, Ladder, BottomUp])
def test_where_covariances_are_not_diagonal_the_elbo_falls_short(inference):
    chain = slanted_chain()
    x = np.float32(chain.sample(200, seed=3)[0])
    gap = chain.log_prob(x) - elbo(chain.as_hierarchical_vae(inference()), x, samples=100)
    assert gap.mean() > 0.1 and gap.mean() > 4 * gap.std() / np.sqrt(200)


def test_the_generator_is_the_chain():
    chain = slanted_chain()
    draws, parameters = chain.as_hierarchical_vae().ancestral(20_000, seed=0)
    z = np.concatenate([ops.convert_to_numpy(draw.z) for draw in draws], axis=1)
    mean, covariance = chain.joint()
    assert_mean(z, mean[chain.units[0] :])
    centred = z - mean[chain.units[0] :]
    assert_mean(centred[:, :, None] * centred[:, None, :], covariance[chain.units[0] :, chain.units[0] :])
    expected = z[:, : chain.units[1]] @ chain.weights[0].T + chain.biases[0]
    np.testing.assert_allclose(ops.convert_to_numpy(parameters), expected, atol=1e-4)


@pytest.mark.parametrize("inference", [TopDown, Ladder, BottomUp])
def test_shift_and_stretch_make_the_posterior_wrong_and_samples_mend_it(inference):
    chain = parallel_chain()
    x = np.float32(chain.sample(500, seed=4)[0])
    wrong = chain.as_hierarchical_vae(inference(), shift=0.3, stretch=1.3)
    gaps = [(chain.log_prob(x) - importance_weighted_bound(wrong, x, k)).mean() for k in (1, 10, 100)]
    assert gaps[0] > gaps[1] + 0.1 > gaps[2] + 0.12 and gaps[2] > -0.05


def test_a_unit_that_data_say_nothing_of_keeps_its_prior():
    """The third unit of z_1 reaches no x: the ladder's merge has nothing to add."""
    chain = LinearGaussianChain([[[1.0, 0, 0], [0, 1, 0]], np.eye(3)], [np.zeros(2), np.zeros(3)], (0.5, 0.7))
    x = np.float32(chain.sample(4, seed=0)[0])
    kl = ops.convert_to_numpy(chain.as_hierarchical_vae(Ladder()).infer(x)[0].kl_units)
    np.testing.assert_allclose(kl[:, 2], 0, atol=1e-6)
    assert (kl[:, :2] > 0.01).all()


def test_bad_arguments_are_named():
    w, b = np.ones((3, 2)), np.ones(3)
    with pytest.raises(ValueError, match="at least one; got 0, 0 and 0"):
        LinearGaussianChain([], [], [])
    with pytest.raises(ValueError, match="got 2, 1 and 1"):
        LinearGaussianChain([w, w], [b], [1.0])
    with pytest.raises(ValueError, match=r"weights\[1\] is \[2, d_2\].* got shapes \(3, 2\) and \(3,\)"):
        LinearGaussianChain([w, w], [b, b], [1.0, 1.0])
    with pytest.raises(ValueError, match=r"scales\[0\] .* above 0 is expected, got 0"):
        LinearGaussianChain([w], [b], [0])
    with pytest.raises(ValueError, match=r"divide one another.* units=\(4, 3\)"):
        LinearGaussianChain.tree(8, (4, 3), (1.0, 1.0))
    with pytest.raises(ValueError, match=r"x is \[n, 8\]; got shape \(2, 3\)"):
        tree_chain().log_prob(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"z_2 is \[n, 2\]; got shape \(2,\)"):
        tree_chain().conditional(1, {2: np.ones(2)})
    with pytest.raises(ValueError, match=r"levels are 0 \(x\) to 3; got 4"):
        tree_chain().conditional(4, {})
