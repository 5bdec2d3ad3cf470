"""Scores by level: codes that are pixels, dead levels, and the informations of the exact chain."""

import numpy as np
import pytest
from own_pixels import LEVELS, own_pixels
from small_models import make_vae
from test_changes import written_gan
from test_recurrent_vae import make as make_recurrent

from hvae_keras import metrics
from hvae_keras.metrics.hierarchy import some_examples
from hvae_keras.models import BottomUp, LinearGaussianChain

N = 600


@pytest.fixture
def factors(rng):
    """Four independent factors of three values, and the pixels that show them."""
    index = rng.integers(3, size=(N, 4))
    return dict(zip(LEVELS, index.T, strict=True))


def shown(factors, rng):
    return np.float32(np.stack(list(factors.values()), axis=1) - 1 + 0.05 * rng.normal(size=(N, 4)))


# Disentanglement


def test_the_scores_are_those_of_the_codes_of_each_level(factors, rng):
    """The codes of the two levels are known: two pixels each."""
    x = shown(factors, rng)
    found = metrics.disentanglement_by_level(own_pixels(), x, factors, bins=10, seed=4)
    assert [scores.level for scores in found] == [1, 2]
    for scores, codes in zip(found, (x[:, :2], x[:, 2:]), strict=True):
        assert scores.by_data_level == {}
        np.testing.assert_allclose(scores.mig.matrix, metrics.mig(codes, factors, bins=10).matrix)
        np.testing.assert_allclose(scores.sap.matrix, metrics.sap(codes, factors, seed=4).matrix, atol=1e-6)
        np.testing.assert_allclose(scores.dci.matrix, metrics.dci(codes, factors, seed=4).matrix, atol=1e-3)


def test_each_level_stands_for_its_own_factors(factors, rng):
    found = metrics.disentanglement_by_level(own_pixels(), shown(factors, rng), factors, LEVELS)
    for scores, other in zip(found, (2, 1), strict=True):
        own = scores.by_data_level[scores.level]
        assert list(own) == ["mig", "sap", "completeness", "informativeness"]
        assert all(own[score] > 0.9 for score in ("mig", "completeness", "informativeness"))
        # Balanced accuracy is 1 of the right code and 1/3 of any other.
        assert abs(own["sap"] - 2 / 3) < 0.1
        assert all(abs(scores.by_data_level[other][score]) < 0.1 for score in ("mig", "sap"))
        assert scores.by_data_level[other]["informativeness"] < 0.5
        gaps = [scores.mig.gaps[name] for name, level in LEVELS.items() if level == other]
        np.testing.assert_allclose(scores.by_data_level[other]["mig"], np.mean(gaps))


def test_a_dead_level_scores_nothing_and_a_constant_factor_is_left_out(factors, rng):
    x = shown(factors, rng)
    factors |= {"pose": np.zeros(N, int), "head": np.ones(N, int)}
    alive, dead = metrics.disentanglement_by_level(own_pixels(dead=(2,)), x, factors, LEVELS)
    assert dead.mig.score == dead.sap.score == dead.dci.disentanglement == dead.dci.completeness == 0
    assert alive.mig.score > 0.9
    assert np.isnan(list(alive.by_data_level[2].values())).all()


def test_of_one_code_the_second_best_counts_as_nothing(images):
    model, pattern = make_vae(latent=1), (images.mean(axis=(1, 2, 3)) > images.mean()).astype(int)
    (scores,) = metrics.disentanglement_by_level(model, images, {"light": pattern}, {"light": 3})
    assert scores.mig.matrix.shape == (1, 1) and scores.dci.completeness == 1
    assert scores.by_data_level[3]["mig"] == scores.mig.score


def test_some_examples_keep_their_factors():
    x, factors = some_examples(np.arange(50.0), {"a": np.arange(50)}, 20, seed=1)
    np.testing.assert_array_equal(x, factors["a"])
    assert len(set(x)) == 20 and list(x) != list(range(20))
    assert len(some_examples(np.arange(50), {"a": np.arange(50)}, 50, seed=1)[0]) == 50


def test_means_by_level_of_the_data():
    values = np.array([[1.0, 2.0, 6.0], [np.nan, 3.0, np.nan]])
    found = metrics.mean_by_data_level(values, ["a", "b", "c"], {"c": 1, "a": 5, "b": 1, "d": 2})
    assert list(found) == [1, 5]
    np.testing.assert_array_equal(found[1], [4, 3])
    np.testing.assert_array_equal(found[5], [1, np.nan])
    assert metrics.mean_by_data_level([3.0, 5.0], ["a", "b"], {"a": 1, "b": 1}) == {1: 4.0}


def test_bad_input_is_named(images):
    model, factor = make_vae(), np.arange(96) % 2
    with pytest.raises(ValueError, match=r"factors\['a'\] has shape \(95,\); expected \(96,\), as x"):
        metrics.disentanglement_by_level(model, images, {"a": factor[1:]})
    with pytest.raises(ValueError, match="levels lacks 'a'; there are: b"):
        metrics.disentanglement_by_level(model, images, {"a": factor}, {"b": 1})
    with pytest.raises(ValueError, match="factors holds no factor that varies"):
        metrics.disentanglement_by_level(model, images, {"a": factor * 0})
    with pytest.raises(ValueError, match="fewer than 2 to train on or to test on"):
        metrics.disentanglement_by_level(model, images[:3], {"a": factor[:3]})
    with pytest.raises(ValueError, match="MultiLevelGAN infers no latents from x"):
        metrics.disentanglement_by_level(written_gan(), images, {"a": factor})
    with pytest.raises(
        ValueError, match=r"values is \[..., factors\], a column for each of \['a'\]; got shape \(2,\)"
    ):
        metrics.mean_by_data_level([1, 2], ["a"], {"a": 1})
    images[7] = np.nan
    with pytest.raises(FloatingPointError, match="example 7"):
        metrics.disentanglement_by_level(model, images, {"a": factor})


# Information flow


@pytest.fixture(scope="module")
def flow():
    """The chain, and what is found on its model."""
    chain = LinearGaussianChain.tree(6, (2, 2, 2), (0.5, 0.7, 0.8))
    x = np.float32(chain.sample(300, seed=1)[0])
    model = chain.as_hierarchical_vae(BottomUp())
    return chain, metrics.information_flow(model, x, n=400, contexts=64)


def test_every_information_of_the_chain_lies_between_its_estimates(flow):
    chain, found = flow
    assert found.lower.shape == found.upper.shape == found.error.shape == (3, 3)
    for i, j in ((1, 2), (1, 3), (2, 3)):
        truth, margin = chain.mutual_information(i, j), 3 * found.error[i - 1, j - 1]
        assert found.lower[i - 1, j - 1] - margin < truth < found.upper[i - 1, j - 1] + margin
        assert found.upper[i - 1, j - 1] - found.lower[i - 1, j - 1] < 0.3
    for level, (lower, upper, error) in enumerate(found.with_data, 1):
        assert lower - 3 * error < chain.mutual_information(0, level) < upper + 3 * error


def test_the_matrices_are_symmetric_without_a_diagonal(flow):
    _, found = flow
    for matrix in (found.lower, found.upper, found.error):
        np.testing.assert_array_equal(matrix, matrix.T)
        np.testing.assert_array_equal(np.isnan(matrix), np.eye(3, dtype=bool))


def test_along_a_chain_information_is_lost(flow):
    """What neighbours know of each other is seen to be more than what the ends do, and z_1 to know most of x."""
    _, found = flow
    assert found.upper[0, 2] < min(found.lower[0, 1], found.lower[1, 2])
    of_data = found.with_data
    assert of_data[0].lower > of_data[1].upper and of_data[1].lower > of_data[2].upper


def test_levels_that_are_drawn_part_by_part_have_no_number(rng):
    model = make_recurrent()
    found = metrics.information_flow(model, rng.integers(3, size=(8, 6)).astype("int32"), n=4, contexts=2)
    assert np.isnan(found.lower).all() and found.lower.shape == (2, 2)
    assert np.isnan(found.with_data[0].lower) and found.with_data[1].lower <= np.log(8)


def test_a_flat_model_has_one_number_and_no_pair(vae, images):
    found = metrics.information_flow(vae, images, contexts=2)
    assert np.isnan(found.upper).all() and found.upper.shape == (1, 1) and len(found.with_data) == 1


def test_wrong_input_of_the_flow_is_named(images):
    with pytest.raises(ValueError, match="MultiLevelGAN infers no latents from x"):
        metrics.information_flow(written_gan(), images)
    with pytest.raises(ValueError, match="n is at least 2, as one is left out; got 1"):
        metrics.information_flow(own_pixels(), np.zeros((5, 4)), n=1)
    with pytest.raises(ValueError, match=r"shape \(3, 4, 1\); the model takes"):
        metrics.information_flow(make_vae(), images[:, :3])
