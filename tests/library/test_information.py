"""Information and ELBO surgery on the exact chain, by enumeration, and where nothing is shared."""

import numpy as np
import pytest
from scipy.stats import norm
from small_models import make_vae

from hvae_keras import layers, metrics
from hvae_keras.backend import keras
from hvae_keras.metrics.information import _bracket
from hvae_keras.models import BottomUp, HierarchicalVAE, Ladder, LinearGaussianChain, TopDown


def tree_chain():
    return LinearGaussianChain.tree(8, (4, 2, 1), (0.5, 0.7, 0.8))


def parallel_chain():
    return LinearGaussianChain.tree(6, (2, 2, 2), (0.5, 0.7, 0.8))


def exact_model(make, inference, n=400, seed=1):
    chain = make()
    return chain, chain.as_hierarchical_vae(inference()), np.float32(chain.sample(n, seed)[0])


EXACT = [(tree_chain, TopDown), (tree_chain, Ladder), (parallel_chain, TopDown), (parallel_chain, BottomUp)]

# I_q(x; z_i)


@pytest.mark.parametrize(("make", "inference"), EXACT)
def test_the_information_of_the_chain_lies_between_the_estimates(make, inference):
    chain, model, x = exact_model(make, inference)
    found = metrics.information_with_data(model, x)
    for level, (lower, upper, error) in enumerate(found, 1):
        truth = chain.mutual_information(0, level)
        assert lower - 3 * error < truth < upper + 3 * error
        assert lower < upper and 0 < error < 0.2
        assert upper - lower < 0.3 + 0.3 * truth


@pytest.mark.parametrize("level", [1, 2, 3])
def test_the_biases_have_the_stated_signs(level):
    """Over 500 sets of 6 examples, with 2 contexts, so that both biases are far larger than their noise."""
    chain, contexts = parallel_chain(), 2
    found = []
    for seed in range(500):
        rng = np.random.default_rng(10_000 + seed)  # Other noise than that of x.
        x, given = np.tile(chain.sample(6, seed)[0], (contexts, 1)), {}
        for i in range(3, level - 1, -1):
            mean, covariance = chain.conditional(i, {0: x, **given})
            scale = np.sqrt(np.diag(covariance)) * np.ones_like(mean)
            z = mean + scale * rng.normal(size=mean.shape)
            given = {i: z}
        found.append(_bracket(*(part.reshape(contexts, 6, -1) for part in (mean, scale, z))))
    truth = chain.mutual_information(0, level)
    for bias in (truth - np.array([f.lower for f in found]), np.array([f.upper for f in found]) - truth):
        assert bias.mean() > 4 * bias.std() / np.sqrt(500)


def test_more_examples_bring_the_estimates_together():
    _, model, x = exact_model(parallel_chain, TopDown, n=800)
    gaps = []
    for n in (25, 800):
        lower, upper, _ = metrics.information_with_data(model, x[:n])[0]
        gaps.append(upper - lower)
    assert gaps[1] < gaps[0] / 3


def test_no_more_information_than_the_examples_can_show():
    """Ten times the data's spread: I(x; z_1) is far above log 30, which the lower estimate can not exceed."""
    chain = LinearGaussianChain([10 * np.eye(4), np.eye(4)], [np.zeros(4), np.zeros(4)], (0.2, 0.7))
    model, x = chain.as_hierarchical_vae(Ladder()), np.float32(chain.sample(30, 0)[0])
    assert chain.mutual_information(0, 1) > 12
    lower, upper, _ = metrics.information_with_data(model, x, contexts=8)[0]
    assert lower <= np.log(30 * 8 / 7) < chain.mutual_information(0, 1) < upper


def test_where_the_posterior_is_one_normal_the_estimates_are_those_of_the_definition():
    """log q(z|x_n) less the log of the mean over all examples or all others; contexts change nothing."""
    rng = np.random.default_rng(0)
    mean, scale = rng.normal(size=(12, 2)), rng.uniform(0.2, 0.6, size=(12, 2))
    z = mean + scale * rng.normal(size=(12, 2))
    each = np.exp(norm.logpdf(z[:, None], mean, scale).sum(-1))
    own = np.diag(each)
    lower = np.log(own / each.mean(1)).mean()
    upper = np.log(own / ((each.sum(1) - own) / 11)).mean()
    for contexts in (2, 7):
        found = _bracket(*(np.tile(part, (contexts, 1, 1)) for part in (mean, scale, z)))
        np.testing.assert_allclose(found[:2], (lower, upper), rtol=1e-9)


def test_mixtures_are_those_of_the_definition():
    """Loops over contexts and examples, for normals that differ in every context."""
    rng = np.random.default_rng(1)
    mean, scale = rng.normal(size=(3, 5, 2)), rng.uniform(0.2, 0.6, size=(3, 5, 2))
    z = mean + scale * rng.normal(size=(3, 5, 2))
    lower, upper = [], []
    for n in range(5):
        each = np.exp(norm.logpdf(z[0, n], mean, scale).sum(-1))  # [contexts, examples]
        others = np.delete(each, n, axis=1)
        lower.append(np.log(each[1:, n].mean() / each.mean()))
        upper.append(np.log(each[:, n].mean() / others.mean()))
    np.testing.assert_allclose(_bracket(mean, scale, z)[:2], (np.mean(lower), np.mean(upper)), rtol=1e-9)


def test_a_level_that_ignores_x_has_no_information():
    _, model, x = exact_model(parallel_chain, TopDown)
    for head in model.inference.heads:
        head.set_weights([np.zeros(weight.shape) for weight in head.weights])
    for lower, upper, _ in metrics.information_with_data(model, x):
        assert abs(lower) < 1e-6 and abs(upper) < 1e-6


def test_a_flat_model_has_one_information(vae, images):
    found = metrics.information_with_data(vae, images, contexts=2)
    assert len(found) == 1 and found[0].lower <= np.log(96)


# I_p(z_i; z_j)


@pytest.mark.parametrize("pair", [(1, 2), (2, 3), (3, 1)])
def test_information_between_levels_lies_between_the_estimates(pair):
    chain, model, _ = exact_model(tree_chain, TopDown, n=1)
    lower, upper, error = metrics.information_between_levels(model, *pair, contexts=64)
    truth = chain.mutual_information(*pair)
    assert lower - 3 * error < truth < upper + 3 * error
    assert upper - lower < 0.3


def test_levels_that_share_nothing_have_no_information():
    chain = LinearGaussianChain([np.eye(3), np.zeros((3, 2))], [np.zeros(3), np.zeros(3)], (0.5, 0.7))
    lower, upper, _ = metrics.information_between_levels(chain.as_hierarchical_vae(), 1, 2, n=100)
    assert abs(lower) < 1e-5 and abs(upper) < 1e-5


def test_with_skip_connections_the_levels_above_are_held():
    """Without them z_1 would see another z_3 in every context, and would seem to know less of z_2."""
    keras.utils.set_random_seed(0)
    model = HierarchicalVAE((2, 2, 2), layers.DenseNetworks(((), (), ())), skip=True)
    model.build((None, 4))
    lower, upper, _ = metrics.information_between_levels(model, 1, 2, n=200, contexts=3)
    again = metrics.information_between_levels(model, 1, 2, n=200, contexts=6)
    # Given all the levels above, the prior of z_1 is one normal, so contexts change nothing.
    assert lower < upper and (lower, upper) == again[:2]


# Surgery


def enumerated_surgery(chain, x):
    """One unit a level: sums over a grid of (z_1, z_2) for the mixture of the posteriors of these x."""
    grid = np.linspace(-6, 6, 601)
    step, (z1, z2) = grid[1] - grid[0], np.meshgrid(grid, grid, indexing="ij")
    given = {2: grid[:, None]}
    top, below = [], []
    for value in x:
        mean, variance = chain.conditional(2, {0: value[None]})
        top.append(norm.pdf(grid, mean.item(), variance.item() ** 0.5))
        mean, variance = chain.conditional(1, {0: np.tile(value, (601, 1)), **given})
        below.append(norm.pdf(z1, mean.T, variance.item() ** 0.5))
    top, below = np.array(top), np.array(below)  # [n, z_2] and [n, z_1, z_2]
    joint = top[:, None] * below
    q2, q12 = top.mean(0), joint.mean(0)
    prior1 = norm.pdf(z1, chain.weights[1].item() * z2 + chain.biases[1].item(), chain.scales[1])
    tiny = 1e-300

    def mean_log(density, upper, lower):
        return (density * (np.log(upper + tiny) - np.log(lower + tiny))).sum() * step**density.ndim

    information = [
        np.mean([mean_log(j, b, q12 / (q2 + tiny)) for j, b in zip(joint, below, strict=True)]),
        np.mean([mean_log(t, t, q2) for t in top]),
    ]
    mismatch = [mean_log(q12, q12 / (q2 + tiny), prior1), mean_log(q2, q2, norm.pdf(grid))]
    return np.array(information), np.array(mismatch)


@pytest.mark.parametrize("inference", [TopDown, Ladder])
def test_surgery_of_a_few_examples_agrees_with_enumeration(inference):
    """The stated lack of bias: x that are not at all from the model, so the prior's mismatch is large."""
    chain = LinearGaussianChain([[[1.3]], [[0.8]]], [[0.2], [-0.1]], (0.5, 0.6))
    x = np.array([[0.0], [1.5], [2.0]])
    model = chain.as_hierarchical_vae(inference())
    found = metrics.elbo_surgery(model, np.float32(x), samples=2000, batch_size=6000)
    information, mismatch = enumerated_surgery(chain, x)
    # 6,000 draws, whose log-ratios have a standard deviation of about 1 nat: 4 standard errors.
    np.testing.assert_allclose(found.information, information, atol=0.05)
    np.testing.assert_allclose(found.mismatch, mismatch, atol=0.08)
    assert (mismatch > 0.2).all()


@pytest.mark.parametrize("inference", [TopDown, Ladder])
def test_surgery_of_many_examples_is_that_of_the_chain(inference):
    """The exact posterior has no mismatch, so a level's KL is I(x; z_i | z_{i+1}); 400 examples see less of it."""
    chain, model, x = exact_model(tree_chain, inference)
    kl, information, mismatch = metrics.elbo_surgery(model, x)
    np.testing.assert_allclose(information + mismatch, kl)
    truth = chain.mean_kl_by_level()
    np.testing.assert_allclose(kl, truth, atol=0.3)
    assert (mismatch > 0).all() and (mismatch < [0.4, 0.1, 0.05]).all()
    assert (information < truth + 0.1).all() and information.sum() < np.log(400)


def test_surgery_errs_to_the_stated_side():
    """Over 16 sets of 10 examples: information low, mismatch high, at every level, by one amount."""
    chain, model, x = exact_model(parallel_chain, TopDown, n=160)
    # A seed for each set: noise that all sets share would look like a bias.
    sets = [metrics.elbo_surgery(model, x[at : at + 10], samples=20, seed=at) for at in range(0, 160, 10)]
    low = chain.mean_kl_by_level() - np.array([found.information for found in sets])
    high = np.array([found.mismatch for found in sets])
    for bias in (low, high):
        assert (bias.mean(0) > 3 * bias.std(0) / np.sqrt(16)).all()
    difference = low - high  # How far the mean KL of these examples is from that of all.
    assert (np.abs(difference.mean(0)) < 4.5 * difference.std(0) / np.sqrt(16)).all()


@pytest.mark.parametrize("inference", [TopDown, BottomUp])
def test_the_sum_over_levels_is_known_for_every_order(inference):
    chain, model, x = exact_model(parallel_chain, inference, n=300)
    kl, information, mismatch = metrics.elbo_surgery(model, x, by_level=False)
    assert kl.shape == information.shape == mismatch.shape == (1,)
    np.testing.assert_allclose(information + mismatch, kl)
    np.testing.assert_allclose(kl, chain.mutual_information(0, 1), atol=0.4)
    assert 0 < mismatch[0] < 0.2


def test_the_sum_over_levels_is_the_sum_of_the_levels():
    _, model, x = exact_model(parallel_chain, Ladder, n=60)
    levels, total = (metrics.elbo_surgery(model, x, by_level=by_level) for by_level in (True, False))
    for each, summed in zip(levels, total, strict=True):
        np.testing.assert_allclose(each.sum(), summed[0], rtol=1e-4)


def test_batches_of_pairs_do_not_matter():
    _, model, x = exact_model(parallel_chain, Ladder, n=30)
    whole, parts = (metrics.elbo_surgery(model, x, batch_size=size) for size in (1000, 37))
    for name in ("information", "mismatch"):
        # Draws come in batches of examples too: other noise, the same estimate.
        np.testing.assert_allclose(getattr(whole, name), getattr(parts, name), atol=1.0)
    assert whole.information.shape == parts.information.shape == (3,)


def test_surgery_of_a_flat_model(vae, images):
    kl, information, mismatch = metrics.elbo_surgery(vae, images, samples=20)
    assert 0 <= information[0] <= np.log(96) and kl.shape == mismatch.shape == (1,)
    np.testing.assert_allclose(kl[0], metrics.kl_by_level(vae, images).mean(), atol=0.1)  # 1,920 draws


# I(z; factor)


def clusters(n=1500, noise_units=6, spread=0.5, seed=0):
    """Four values, each a normal in the plane, beside units that hold nothing; and the exact information."""
    rng = np.random.default_rng(seed)
    means = np.array([[0, 0], [1, 1], [2, 4], [3, 9]]) / 2

    def draw(n):
        factor = rng.integers(4, size=n)
        return factor, means[factor] + spread * rng.normal(size=(n, 2))

    factor, z = draw(100_000)
    density = norm.pdf(z[:, None], means, spread).prod(-1)
    truth = np.log(density[np.arange(100_000), factor] / density.mean(1)).mean()
    factor, z = draw(n)
    return np.concatenate([z, rng.normal(size=(n, noise_units))], axis=1), factor, truth


def test_information_with_a_factor_is_a_close_lower_bound():
    z, factor, truth = clusters()
    found = metrics.information_with_factor(z, factor)
    assert 0.85 * truth < found < truth + 0.05


def test_a_better_classifier_gives_a_tighter_bound():
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression

    z, factor, truth = clusters()
    nothing = metrics.information_with_factor(z, factor, DummyClassifier(strategy="prior"))
    linear = metrics.information_with_factor(z, factor, LogisticRegression(max_iter=1000))
    assert nothing < 1e-3 and 0.8 * truth < linear < truth + 0.05


def test_a_factor_that_z_determines_gives_its_entropy(rng):
    factor = np.repeat(["low", "middle", "high"], 200)
    z = np.repeat([0.0, 5.0, 10.0], 200)[:, None, None] + 0.1 * rng.normal(size=(600, 2, 2))
    assert abs(metrics.information_with_factor(z, factor) - np.log(3)) < 0.02


def test_independent_z_and_constant_factors_have_no_information(rng):
    z = rng.normal(size=(400, 3))
    assert metrics.information_with_factor(z, rng.integers(5, size=400)) < 0.02
    assert metrics.information_with_factor(z, np.zeros(400, int)) == 0


# Bad input


def test_bad_arguments_are_named(images, rng):
    chain, model, x = exact_model(parallel_chain, BottomUp, n=10)
    with pytest.raises(ValueError, match="by_level needs .* BottomUp .* by_level=False"):
        metrics.elbo_surgery(model, x)
    for counts in ({"contexts": 1}, {"x": x[:1]}):
        with pytest.raises(ValueError, match="is at least 2, as one is left out; got 1"):
            metrics.information_with_data(**{"model": model, "x": x, **counts})
    with pytest.raises(ValueError, match="first is a level, 1 to 3; got 0"):
        metrics.information_between_levels(model, 0, 2)
    with pytest.raises(ValueError, match="second is a level, 1 to 3; got 4"):
        metrics.information_between_levels(model, 1, 4)
    with pytest.raises(ValueError, match="first and second are two levels; got 2 twice"):
        metrics.information_between_levels(model, 2, 2)
    with pytest.raises(ValueError, match="n is at least 2"):
        metrics.information_between_levels(model, 1, 2, n=1)
    for function in (metrics.information_with_data, metrics.elbo_surgery):
        with pytest.raises(ValueError, match=r"shape \(3, 4, 1\); the model takes \(4, 4, 1\)"):
            function(make_vae(), images[:, :3])
    with pytest.raises(ValueError, match=r"got shapes \(9,\) and \(10, 2\)"):
        metrics.information_with_factor(rng.normal(size=(10, 2)), np.arange(9))
    with pytest.raises(ValueError, match="folds=5 times; 3 occurs 1"):
        metrics.information_with_factor(rng.normal(size=(31, 2)), np.array([*range(3)] * 10 + [3]))
