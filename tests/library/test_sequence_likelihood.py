"""Likelihoods of a step: densities against SciPy, draws against their probabilities, padding, refusals."""

import numpy as np
import pytest
from scipy.special import log_expit, log_softmax, softmax
from scipy.stats import chisquare
from sequences_by_hand import array, every_frame_sequence

from hvae_keras import layers
from hvae_keras.backend import keras, ops

TOKENS = np.array([[0, 2, 1, -1], [3, -1, -1, -1], [-1, -1, -1, -1]], "int32")
FRAMES = np.array([[[1, 0], [1, 1], [-1, -1]], [[0, 0], [-1, -1], [0, 1]]], "float32")


def test_a_token_has_its_log_softmax_and_padding_nothing(rng):
    logits = rng.normal(size=(5, 3, 4, 4)).astype("float32")
    likelihood = layers.Categorical(4)
    expected = np.zeros((5, 3, 4))
    for sequence, step in zip(*np.nonzero(TOKENS >= 0), strict=True):
        logs = log_softmax(np.float64(logits[:, sequence, step]), axis=-1)
        expected[:, sequence, step] = logs[:, TOKENS[sequence, step]]
    found = array(likelihood.step_log_prob(logits, TOKENS))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert (found[:, TOKENS < 0] == 0).all()
    np.testing.assert_allclose(array(likelihood.log_prob(logits, TOKENS)), expected.sum(-1), rtol=1e-5, atol=1e-6)


def test_a_frame_has_the_log_probability_of_its_keys_together(rng):
    logits = rng.normal(size=(5, 2, 3, 2)).astype("float32")
    likelihood = layers.BernoulliFrames(2)
    signs = np.where(FRAMES == 1, 1, -1)
    expected = log_expit(signs * np.float64(logits)).sum(-1) * (FRAMES[..., 0] >= 0)
    np.testing.assert_allclose(array(likelihood.step_log_prob(logits, FRAMES)), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(array(likelihood.log_prob(logits, FRAMES)), expected.sum(-1), rtol=1e-5, atol=1e-6)


def test_the_probabilities_of_all_frames_sum_to_1(rng):
    frames = every_frame_sequence(3, 1)
    logits = np.broadcast_to(rng.normal(size=3).astype("float32"), frames.shape)
    total = np.exp(array(layers.BernoulliFrames(3).log_prob(logits, frames))).sum()
    np.testing.assert_allclose(total, 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("likelihood", "x", "step"),
    [(layers.Categorical(3), [[0, 1, 2]], [1]), (layers.BernoulliFrames(1), [[[0], [1], [1]]], [[1]])],
)
def test_extreme_logits_give_finite_numbers(likelihood, x, step):
    logits = np.float32([[[-1e4] * likelihood.size, [1e4] + [0] * (likelihood.size - 1), [0] * likelihood.size]])
    assert np.isfinite(array(likelihood.log_prob(logits, np.array(x)))).all()
    assert np.isfinite(array(likelihood(logits))).all()
    assert np.shape(array(likelihood.draw(logits[0, :1], 0))) == np.shape(step)


def test_inputs_and_mask_by_hand():
    one_hot = array(layers.Categorical(4).as_input(TOKENS))
    np.testing.assert_array_equal(one_hot[0], [[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]])
    np.testing.assert_array_equal(array(layers.Categorical(4).mask(TOKENS)).sum(1), [3, 1, 0])
    np.testing.assert_array_equal(array(layers.BernoulliFrames(2).as_input(FRAMES)), FRAMES * (FRAMES > 0))
    np.testing.assert_array_equal(array(layers.BernoulliFrames(2).mask(FRAMES)), [[1, 1, 0], [1, 0, 1]])


@pytest.mark.parametrize("dtype", ["int8", "int64", "float32"])
def test_tokens_may_come_in_any_type_that_holds_them(dtype, rng):
    """`float32` is what the metrics make of every batch."""
    likelihood, logits = layers.Categorical(4), rng.normal(size=(3, 4, 4)).astype("float32")
    for method in (likelihood.as_input, likelihood.mask, lambda x: likelihood.log_prob(logits, x)):
        np.testing.assert_array_equal(array(method(TOKENS.astype(dtype))), array(method(TOKENS)))


def test_calling_it_gives_the_probabilities(rng):
    logits = rng.normal(size=(2, 3, 4)).astype("float32")
    np.testing.assert_allclose(array(layers.Categorical(4)(logits)), softmax(logits, -1), rtol=1e-5)
    np.testing.assert_allclose(array(layers.BernoulliFrames(4)(logits)), 1 / (1 + np.exp(-logits)), rtol=1e-5)


LOGITS = np.float32([0.3, -1.0, 1.2, 0.0, -0.4])


@pytest.mark.parametrize("temperature", [1.0, 0.5, 3.0])
@pytest.mark.parametrize("top_k", [None, 5, 9, 3])
def test_tokens_are_drawn_with_their_probabilities(temperature, top_k):
    kept = np.argsort(-LOGITS)[: top_k or 5]
    expected = np.zeros(5)
    expected[kept] = softmax(np.float64(LOGITS[kept]) / temperature)
    drawn = array(layers.Categorical(5).draw(np.tile(LOGITS, (20_000, 1)), 3, temperature, top_k))
    counts = np.bincount(drawn, minlength=5)
    assert drawn.dtype == "int32" and (counts[expected == 0] == 0).all()
    assert chisquare(counts[expected > 0], 20_000 * expected[expected > 0]).pvalue > 1e-3


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_keys_are_drawn_with_their_probabilities(temperature):
    drawn = array(layers.BernoulliFrames(5).draw(np.tile(LOGITS, (20_000, 1)), 3, temperature))
    p = 1 / (1 + np.exp(-LOGITS / temperature))
    assert set(np.unique(drawn)) == {0, 1}
    assert (np.abs(drawn.mean(0) - p) < 4 * np.sqrt(p * (1 - p) / 20_000)).all()
    assert (np.abs(np.corrcoef(drawn.T)[np.triu_indices(5, 1)]) < 4 / np.sqrt(20_000)).all()


def test_a_low_temperature_and_top_1_leave_the_most_probable():
    rows = np.tile(LOGITS, (100, 1))
    for arguments in ({"temperature": 1e-6}, {"top_k": 1}, {"top_k": 1, "temperature": 100.0}):
        assert (array(layers.Categorical(5).draw(rows, 0, **arguments)) == 2).all()
    frames = array(layers.BernoulliFrames(5).draw(rows + 0.1, 0, 1e-6))
    np.testing.assert_array_equal(frames, np.tile([1, 0, 1, 1, 0], (100, 1)))


@pytest.mark.parametrize("top_k", [1, 2, 3])
def test_of_equal_tokens_no_more_than_k_are_drawn(top_k):
    rows = np.tile(np.array([1.0, 3.0, 3.0, 3.0, 3.0], "float32"), (500, 1))
    assert len(np.unique(array(layers.Categorical(5).draw(rows, 0, top_k=top_k)))) == top_k


def test_what_top_k_leaves_out_stays_out_at_any_temperature():
    rows = np.tile(np.array([-9.0, -7.0, -8.0], "float32"), (500, 1))
    assert (array(layers.Categorical(3).draw(rows, 0, temperature=1e-9, top_k=1)) == 1).all()


@pytest.mark.parametrize("likelihood", [layers.Categorical(5), layers.BernoulliFrames(5)])
def test_one_seed_is_one_draw(likelihood):
    rows = np.tile(LOGITS, (50, 1))
    first, again, other = (array(likelihood.draw(rows, seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize(
    ("likelihood", "x"), [(layers.Categorical(4), TOKENS), (layers.BernoulliFrames(2), FRAMES)]
)
def test_half_precision_logits_have_a_density_in_float32(likelihood, x, rng):
    logits = ops.cast(rng.normal(size=(*x.shape[:2], likelihood.size)), "bfloat16")
    found = likelihood.step_log_prob(logits, x)
    assert ops.dtype(found) == "float32"
    np.testing.assert_array_equal(array(found), array(likelihood.step_log_prob(ops.cast(logits, "float32"), x)))


@pytest.mark.parametrize(
    ("likelihood", "name"), [(layers.Categorical(7), "classes"), (layers.BernoulliFrames(7), "keys")]
)
def test_it_is_what_it_was_made_of(likelihood, name):
    found = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(likelihood))
    assert type(found) is type(likelihood) and getattr(found, name) == found.size == 7


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: layers.Categorical(1), "classes is how many tokens there are, at least 2; got 1"),
        (lambda: layers.Categorical(2.0), "got 2.0"),
        (lambda: layers.BernoulliFrames(0), "keys is how many keys a frame has, at least 1; got 0"),
        (lambda: layers.BernoulliFrames("88"), "got '88'"),
        (lambda: layers.BernoulliFrames(2).draw(np.zeros((1, 2)), 0, top_k=1), "top_k chooses among tokens"),
        (lambda: layers.Categorical(4).check(0, 4), "tokens 0 to 3, and -1 for padding; got values from 0 to 4"),
        (lambda: layers.Categorical(4).check(-2, 3), "got values from -2 to 3"),
        (
            lambda: layers.BernoulliFrames(4).check(0, 2),
            "holds 0 and 1, and -1 for padding; got values from 0 to 2",
        ),
        (lambda: layers.BernoulliFrames(4).check(-3, 1), "got values from -3 to 1"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_what_fits_passes():
    layers.Categorical(4).check(-1, 3)
    layers.BernoulliFrames(4).check(-1, 1)
