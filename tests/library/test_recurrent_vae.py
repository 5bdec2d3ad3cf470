"""HierarchicalRecurrentVAE: each term against NumPy, p(x) by quadrature, held levels, and its manners."""

import warnings

import numpy as np
import pytest
from scipy.stats import norm
from sequences_by_hand import (
    CELLS,
    array,
    conduct,
    decoded_logits,
    every_sequence,
    p_value_of_draws,
    phrase_posterior,
    randomise,
    step_log_prob,
    tune_posterior,
)
from small_models import count_traces

from hvae_keras import latents, layers, metrics, models, schedules
from hvae_keras.backend import keras, ops
from hvae_keras.callbacks import BetaSchedule

FIT = {"verbose": 0, "batch_size": 16}
every_cell = pytest.mark.parametrize("cell", CELLS)


def make(
    cell="GRU", units=(2, 3), steps=6, tokens=3, scale=0.5, seed=0, likelihood=None, phrase_length=2, **arguments
):
    """A small model whose every weight is random, biases and heads too."""
    keras.utils.set_random_seed(seed)
    cells = [CELLS[cell](size) for size in (4, 5, 6, 4)]
    likelihood = likelihood or layers.Categorical(tokens)
    model = models.HierarchicalRecurrentVAE(units, *cells, likelihood, phrase_length, **arguments)
    event = () if isinstance(likelihood, layers.Categorical) else (likelihood.keys,)
    model.build((None, steps, *event))
    if scale:
        randomise(model, seed, scale)
    model.compile(keras.optimizers.Adam(1e-2), run_eagerly=True)  # A trace takes longer than a few steps.
    return model


def make_tiny(**arguments):
    """Two phrases of two binary steps, one unit a level: 16 sequences, and p(x) is a sum over a grid of z.

    The posteriors are wide, so that the importance weights have a variance that 4,000 draws show.
    """
    model = make(units=(1, 1), steps=4, tokens=2, scale=0.35, **arguments)
    for head in (model.tune_posterior, model.phrase_posterior):
        head.kernel.assign(0.3 * array(head.kernel.value))
        head.bias.assign([0.1, 0.8])
    return model


@pytest.fixture
def x(rng):
    """12 sequences of 3 phrases, padded at the ends of phrases; one is padding from end to end."""
    x = rng.integers(3, size=(12, 6)).astype("int32")
    x[:4, 1] = x[3:7, 5] = -1
    x[7, 2:] = x[8] = -1
    return x


# Terms


@every_cell
def test_every_term_is_that_of_the_equations(cell, x):
    model = make(cell)
    (one, two), parameters = model.explain(model.encode(x), 3)
    z_1, z_2 = np.float64(array(one.z)), np.float64(array(two.z))
    assert z_1.shape == (12, 3, 2) and z_2.shape == (12, 3)
    _, prior_mean, prior_scale, told, states = conduct(model, z_2, z_1)
    q_1, q_2 = phrase_posterior(model, x, states), tune_posterior(model, x)
    close = {"rtol": 1e-4, "atol": 1e-5}
    np.testing.assert_allclose(array(parameters), decoded_logits(model, x, told), **close)
    for level, (mean, scale), (p_mean, p_scale) in ((one, q_1, (prior_mean, prior_scale)), (two, q_2, (0, 1))):
        np.testing.assert_allclose(array(level.posterior.mean()), mean, **close)
        np.testing.assert_allclose(array(level.posterior.stddev()), scale, **close)
        ratio = (scale / p_scale) ** 2
        units = 0.5 * (ratio + ((mean - p_mean) / p_scale) ** 2 - 1 - np.log(ratio))
        np.testing.assert_allclose(array(level.kl_units), units, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(array(level.kl), units.reshape(12, -1).sum(1), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(array(one.prior.mean()), prior_mean, **close)


@every_cell
def test_log_weights_are_the_ratio_of_the_densities(cell, x):
    """For 4 draws of each x: log p(x|z) + log p(z_1, z_2) - log q(z_1, z_2|x), by SciPy."""
    model = make(cell)
    encoded = model.encode(x)
    found = array(model.log_weights(x, encoded, samples=4, seed=3))
    (one, two), _ = model.explain([ops.tile(part, (4, *[1] * (len(part.shape) - 1))) for part in encoded], 3)
    z_1, z_2, x_4 = np.float64(array(one.z)), np.float64(array(two.z)), np.tile(x, (4, 1))
    _, prior_mean, prior_scale, told, states = conduct(model, z_2, z_1)
    expected = step_log_prob(model, decoded_logits(model, x_4, told), x_4).sum(1)
    expected += norm.logpdf(z_1, prior_mean, prior_scale).sum((1, 2)) + norm.logpdf(z_2).sum(1)
    expected -= norm.logpdf(z_1, *phrase_posterior(model, x_4, states)).sum((1, 2))
    expected -= norm.logpdf(z_2, *tune_posterior(model, x_4)).sum(1)
    np.testing.assert_allclose(found, expected.reshape(4, 12), rtol=1e-3, atol=1e-3)


def test_log_weights_have_the_mean_of_the_bound(x):
    """KL in closed form or as a difference of log-densities: 3,000 draws of each, within 4.5 standard errors."""
    model, x = make(), x[:4]
    by_draws = array(model.log_weights(x, model.encode(x), samples=1000, seed=0))
    log_likelihood, kl = map(array, model.bound(np.repeat(x, 3000, axis=0)))
    closed = (log_likelihood - kl.sum(-1)).reshape(4, 3000).T
    error = np.sqrt((by_draws.var(0) + closed.var(0)) / 3000)
    assert (np.abs(by_draws.mean(0) - closed.mean(0)) < 4.5 * error).all()


def grid(model, nodes=20):
    """Gauss-Hermite nodes for z_2 and the noise of z_1 in two phrases, and what the writer is told there."""
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    z_2, *noise = (part.ravel() for part in np.meshgrid(points, points, points))
    weights = np.prod(np.meshgrid(weights, weights, weights), axis=0).ravel() / np.sqrt(2 * np.pi) ** 3
    z_1, _, _, told, _ = conduct(model, z_2[:, None], noise=np.stack(noise, axis=1)[..., None])
    return z_1, z_2[:, None], weights, told


def probabilities(model, nodes=20):
    """p(x) of all 16 sequences of a tiny model, integrated over z: exact to many digits, as p(x|z) is smooth."""
    _, _, weights, told = grid(model, nodes)
    x = every_sequence(2, 4)
    given_z = [
        np.exp(step_log_prob(model, decoded_logits(model, each, told), each).sum(1))
        for each in (np.tile(one, (len(told), 1)) for one in x)
    ]
    return x, np.array(given_z) @ weights


def test_given_z_the_probabilities_of_all_sequences_sum_to_1():
    """So that no step is told of itself or of what follows by another way than z."""
    model, x = make(steps=4, tokens=3, scale=1.5), every_sequence(3, 4)
    rng = np.random.default_rng(0)
    for _ in range(3):
        z = {1: rng.normal(size=(1, 2, 2)), 2: rng.normal(size=(1, 3))}
        z = {level: np.repeat(np.float32(value), 81, axis=0) for level, value in z.items()}
        np.testing.assert_allclose(np.exp(array(model.log_likelihood(x, z, 0))).sum(), 1, rtol=1e-5)


@every_cell
def test_importance_weights_have_the_mean_p_of_x(cell):
    """Whatever q is, E p(x, z) / q(z|x) = p(x), here by quadrature: 4,000 draws, within 4.5 standard errors."""
    model = make_tiny(cell=cell)
    x, p = probabilities(model)
    np.testing.assert_allclose(p.sum(), 1, rtol=1e-6)
    np.testing.assert_allclose(p, probabilities(model, 14)[1], rtol=1e-3)
    weights = np.exp(np.float64(array(model.log_weights(x, model.encode(x), samples=4000, seed=1))))
    error = weights.std(0) / np.sqrt(4000)
    assert (np.abs(weights.mean(0) - p) < 4.5 * error).all() and (error < 0.1 * p).all()


def test_the_bounds_close_in_on_log_p_of_x():
    model = make_tiny()
    x, p = probabilities(model)
    one, many = (metrics.importance_weighted_bound(model, x, samples=k, chunk=1000) for k in (30, 8000))
    elbo = metrics.elbo(model, x, samples=8000, chunk=1000)
    assert (elbo < np.log(p)).all() and (elbo < many).all()
    np.testing.assert_allclose(many, np.log(p), atol=0.06)
    assert np.abs(many - np.log(p)).mean() < np.abs(one - np.log(p)).mean() < np.abs(elbo - np.log(p)).mean()


# Drawing


@every_cell
def test_sequences_come_as_often_as_the_integral_says(cell):
    model = make_tiny(cell=cell)
    x, p = probabilities(model)
    drawn = model.generate(4000)
    assert drawn.shape == (4000, 4) and drawn.dtype == "int32"
    assert p_value_of_draws(drawn, x, p) > 1e-3
    assert p_value_of_draws(drawn, x, p**2) < 1e-6


def held_at(rng, n, steps=6, units=(2, 3)):
    return {
        1: np.float32(rng.normal(size=(n, steps // 2, units[0]))),
        2: np.float32(rng.normal(size=(n, units[1]))),
    }


def test_given_z_sequences_come_as_often_as_the_equations_say(rng):
    model, x = make_tiny(), every_sequence(2, 4)
    z = {level: value[:1] for level, value in held_at(rng, 1, 4, (1, 1)).items()}
    told = np.repeat(conduct(model, z[2], z[1])[3], 16, axis=0)
    logits = decoded_logits(model, x, told)
    held = {level: np.repeat(value, 4000, axis=0) for level, value in z.items()}
    for temperature in (1.0, 0.5):
        p = np.exp(step_log_prob(model, logits / temperature, x).sum(1))
        assert p_value_of_draws(model.generate(4000, held, step_temperature=temperature), x, p) > 1e-3


def test_with_top_1_and_z_held_nothing_is_left_to_chance(rng):
    model = make(scale=1.0)
    z = held_at(rng, 5)
    found = model.generate(5, z, top_k=1)
    np.testing.assert_array_equal(model.generate(5, z, top_k=1), found)
    logits = decoded_logits(model, found, conduct(model, z[2], z[1])[3])
    np.testing.assert_array_equal(found, logits.argmax(-1))


def test_what_is_told_is_what_was_drawn(rng):
    """`ancestral`: z held stay, others have the moments of their prior, temperature 0 gives the means."""
    model = make()
    z = held_at(rng, 3)
    (one, two), parameters = model.ancestral(3, z)
    np.testing.assert_array_equal(array(one.z), z[1])
    np.testing.assert_array_equal(array(two.z), z[2])
    assert parameters.shape == (3, 6, 3)
    (one, two), _ = model.ancestral(3, temperature=0.0)
    np.testing.assert_array_equal(array(two.z), 0)
    np.testing.assert_allclose(array(one.z), array(one.prior.mean()), rtol=1e-6)
    top = np.repeat(z[2][:1], 2000, axis=0)
    (one, _), _ = model.ancestral(2000, {2: top})
    first, mean, scale = array(one.z)[:, 0], array(one.prior.mean())[0, 0], array(one.prior.stddev())[0, 0]
    # All 2,000 share the prior of the first phrase.
    assert (np.abs(first.mean(0) - mean) < 4.5 * scale / np.sqrt(2000)).all()
    assert (np.abs(first.std(0) / scale - 1) < 4.5 / np.sqrt(4000)).all()


def test_a_phrase_is_told_of_the_phrases_before_and_of_the_tune(rng):
    """Changing z_{1,p} moves the priors after p and the steps from p on; changing z_2 moves everything."""
    model, x = make(), rng.integers(3, size=(4, 6)).astype("int32")
    z = held_at(rng, 4)

    def told(z):
        levels, parameters = model.explain(model.encode(x), 0, latents=z)
        return array(levels[0].prior.mean()), array(parameters).reshape(4, 3, 2, 3)

    means, steps = told(z)
    for p in range(3):
        other = {**z, 1: np.copy(z[1])}
        other[1][:, p] += 1
        moved_means, moved_steps = told(other)
        np.testing.assert_allclose(moved_means[:, : p + 1], means[:, : p + 1], rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(moved_steps[:, :p], steps[:, :p], rtol=1e-6, atol=1e-7)
        assert (np.abs(moved_means - means)[:, p + 1 :].max(-1) > 1e-5).all()
        assert (np.abs(moved_steps - steps)[:, p:].max((-1, -2)) > 1e-5).all()
    moved_means, moved_steps = told({**z, 2: z[2] + 1})
    assert (np.abs(moved_means - means).max(-1) > 1e-5).all()
    assert (np.abs(moved_steps - steps).max((-1, -2)) > 1e-5).all()


def test_the_prior_and_the_steps_are_not_told_of_x(rng):
    """With both levels held, x moves the posteriors and the steps that follow, and no prior."""
    model = make()
    first, second = (np.full((2, 6), token, "int32") for token in (0, 1))
    z = held_at(rng, 2)
    (one, two), logits = model.explain(model.encode(first), 0, latents=z)
    (other_one, other_two), other_logits = model.explain(model.encode(second), 0, latents=z)
    np.testing.assert_array_equal(array(one.prior.mean()), array(other_one.prior.mean()))
    np.testing.assert_allclose(array(logits)[:, 0], array(other_logits)[:, 0], rtol=1e-6)
    for level, other in ((one, other_one), (two, other_two)):
        assert np.abs(array(level.posterior.mean()) - array(other.posterior.mean())).min() > 1e-6


def test_a_held_level_conditions_the_other(x, rng):
    model, z = make(), held_at(rng, 12)
    encoded = model.encode(x)
    for held in ((1,), (2,), (1, 2)):
        levels, _ = model.explain(encoded, 0, latents={level: z[level] for level in held})
        for level in held:
            np.testing.assert_array_equal(array(levels[level - 1].z), z[level])
    by_top = [model.explain(encoded, 0, latents={2: sign * z[2]})[0] for sign in (1, -1)]
    assert np.abs(array(by_top[0][0].posterior.mean()) - array(by_top[1][0].posterior.mean())).max() > 1e-3
    by_phrase = [model.explain(encoded, 0, latents={1: sign * z[1]})[0] for sign in (1, -1)]
    for name in ("mean", "stddev"):  # q(z_2|x) comes first, and is not told of z_1.
        one, two = (array(getattr(levels[1].posterior, name)()) for levels in by_phrase)
        np.testing.assert_array_equal(one, two)


def test_padding_and_padded_phrases_tell_the_posterior_nothing(rng):
    """A padded last phrase: its steps cost nothing, and what stood there is not known."""
    model = make()
    x = rng.integers(3, size=(5, 6)).astype("int32")
    x[:, 4:] = -1
    z = held_at(rng, 5)
    expected = step_log_prob(model, decoded_logits(model, x, conduct(model, z[2], z[1])[3]), x)[:, :4].sum(1)
    np.testing.assert_allclose(array(model.log_likelihood(x, z, 0)), expected, rtol=1e-4)
    nothing = np.full((3, 6), -1, "int32")
    log_likelihood, kl = model.bound(nothing)
    assert (array(log_likelihood) == 0).all() and np.isfinite(array(kl)).all()


@pytest.mark.parametrize("from_level", [1, 2])
def test_reconstruct_holds_what_was_inferred(from_level, x):
    model = make(scale=1.0)
    found = model.reconstruct(x, from_level)
    assert found.shape == (12, 6) and found.dtype == "int32" and set(np.unique(found)) <= {0, 1, 2}
    levels = model.infer(x, temperature=0.0)
    z = {i: level.z for i, level in enumerate(levels, 1) if i >= from_level}
    expected = model.generate(12, z, temperature=0.0, top_k=1)
    np.testing.assert_array_equal(model.reconstruct(x, from_level, temperature=0.0, top_k=1), expected)


def test_frames_are_drawn_and_explained(rng):
    model = make(likelihood=layers.BernoulliFrames(4))
    x = (rng.random((5, 6, 4)) < 0.5).astype("float32")
    x[0, 2:] = -1
    z = held_at(rng, 5)
    expected = step_log_prob(model, decoded_logits(model, x, conduct(model, z[2], z[1])[3]), x).sum(1)
    np.testing.assert_allclose(array(model.log_likelihood(x, z, 0)), expected, rtol=1e-4)
    for drawn in (model.generate(5), model.reconstruct(x)):
        assert drawn.shape == (5, 6, 4) and set(np.unique(drawn)) == {0, 1}


def test_a_seed_of_the_library_makes_the_draws():
    model = make()
    first, second = model.generate(20), model.generate(20)
    assert (first != second).any()
    np.testing.assert_array_equal(make().generate(20), first)
    (one, _), first = model.ancestral(4, seed=1)
    (other, _), second = model.ancestral(4, seed=1)
    np.testing.assert_array_equal(array(one.z), array(other.z))
    np.testing.assert_array_equal(array(first), array(second))


# Measures


def test_measures_of_levels(x):
    """KL by level and unit against `infer` at many draws; dead units are counted as such."""
    model = make()
    kl = metrics.kl_by_level(model, x, samples=100)
    levels = [model.infer(np.repeat(x, 100, axis=0))[i] for i in (0, 1)]
    for i, level in enumerate(levels):
        draws = array(level.kl).reshape(12, 100)
        np.testing.assert_allclose(kl[:, i], draws.mean(1), atol=6 * draws.std() / np.sqrt(100) + 1e-4)
    units = metrics.kl_by_unit(model, x, samples=100)
    assert [unit.shape for unit in units] == [(3, 2), (3,)]
    np.testing.assert_allclose([unit.sum() for unit in units], kl.mean(0), rtol=1e-4)
    for weight in (model.tune_posterior.kernel, model.tune_posterior.bias):
        weight.assign(np.zeros(weight.shape))
    np.testing.assert_array_equal(metrics.active_units(model, x), [6, 0])
    assert metrics.collapsed_levels(model, x) == [2]


def test_reconstruction_by_level_is_each_expectation():
    """Column 0 is the first term of the ELBO, column 2 is E_p(z) log p(x|z), by quadrature."""
    model = make_tiny()
    x, columns = (
        every_sequence(2, 4),
        metrics.reconstruction_by_level(make_tiny(), every_sequence(2, 4), samples=100),
    )
    assert columns.shape == (16, 3)
    log_likelihood = array(model.bound(np.repeat(x, 100, axis=0))[0]).reshape(16, 100)
    np.testing.assert_allclose(columns[:, 0], log_likelihood.mean(1), atol=6 * log_likelihood.std() / np.sqrt(100))
    _, _, weights, told = grid(model)
    for one, found in zip(x[::5], columns[::5, 2], strict=True):
        logs = step_log_prob(model, decoded_logits(model, np.tile(one, (len(told), 1)), told), one[None]).sum(1)
        mean = logs @ weights
        assert abs(found - mean) < 4.5 * np.sqrt((logs - mean) ** 2 @ weights / 100)


def test_the_kl_is_information_and_mismatch(x):
    """Both levels together: the parts sum to the KL, and 11 examples that differ tell at most log 11 nats."""
    model = make()
    found = metrics.elbo_surgery(model, x[:11], by_level=False, samples=20)
    np.testing.assert_allclose(found.kl, found.information + found.mismatch, rtol=1e-6)
    assert 0 < found.information[0] < np.log(11) and found.mismatch[0] > 0
    closed = metrics.kl_by_level(model, x[:11], samples=100).sum(1).mean()
    assert abs(found.kl[0] / closed - 1) < 0.2


def test_the_kl_of_each_level_is_information_and_mismatch(x):
    model = make()
    found = metrics.elbo_surgery(model, x[:11], samples=20)
    together = metrics.elbo_surgery(model, x[:11], by_level=False, samples=20)
    np.testing.assert_allclose(found.kl, found.information + found.mismatch, rtol=1e-5)
    np.testing.assert_allclose([part.sum() for part in found], np.ravel(together), rtol=1e-4)


def test_what_the_tune_knows_of_x_is_bracketed(rng):
    """A posterior of z_2 that does not hear x knows nothing; one that hears it clearly knows which x it was."""
    model = make(scale=1.0)
    x = every_sequence(3, 6)[::23]
    kernel = array(model.tune_posterior.kernel)
    model.tune_posterior.kernel.assign(0 * kernel)
    lower, upper, _ = metrics.information_with_data(model, x)[1]
    assert abs(lower) < 1e-4 and abs(upper) < 1e-4
    model.tune_posterior.kernel.assign(20 * kernel * ([1] * 3 + [0] * 3))
    model.tune_posterior.bias.assign([0] * 3 + [-6] * 3)
    lower, upper, _ = metrics.information_with_data(model, x)[1]
    assert 1 < lower < np.log(len(x)) + 1e-4 and lower < upper


def test_no_bracket_is_given_where_none_holds(x):
    """z_1 is drawn phrase by phrase: given z_2 alone its density is no normal, and no number stands for it."""
    model = make()
    phrase, tune = metrics.information_with_data(model, x[:6], contexts=2)
    assert np.isnan(phrase).all() and np.isfinite(tune).all()
    with pytest.raises(ValueError, match="level 1 is drawn part by part"):
        metrics.information_between_levels(model, 1, 2, n=4, contexts=2)


# Walks


def test_inferred_latents_are_those_of_the_posterior(x):
    model = make()
    z = latents.infer_latents(model, x, temperature=0.0)
    mean, _ = tune_posterior(model, x)
    np.testing.assert_allclose(z[1], mean, rtol=1e-4, atol=1e-5)
    for p in range(3):  # Each phrase at its mean given the means before.
        states = conduct(model, z[1], z[0])[4]
        np.testing.assert_allclose(z[0][:, p], phrase_posterior(model, x, states)[0][:, p], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("level", "unit", "below"), [(1, 1, "mean"), (1, (2, 0), "value"), (2, 2, "noise")])
def test_traverse_draws_a_tune_for_each_value(level, unit, below, x):
    model = make()
    for start in (x[0], {}):
        found = latents.traverse(model, start, level, unit, [-1, 0, 1], relative=True, below=below)
        assert found.shape == (3, 6) and found.dtype == "int32" and found.min() >= 0 and found.max() <= 2


def test_interpolate_goes_from_one_tune_to_the_other(x):
    """With steps so sharp that they are no matter of chance, both ends are the reconstructions."""
    model = make(scale=1.0)
    for weight in (model.writer.head.kernel, model.writer.head.bias):
        weight.assign(1e4 * array(weight))
    ends = model.reconstruct(x[:2], temperature=0.0)
    found = latents.interpolate(model, x[0], x[1], steps=4)
    assert found.shape == (4, 6)
    np.testing.assert_array_equal(found[[0, -1]], ends)


# Manners under Keras


def test_training_raises_the_elbo_and_traces_once(rng):
    """Two kinds of tunes; free bits and a warm-up of beta beside."""
    x = np.repeat(rng.integers(3, size=(64, 1)), 6, axis=1).astype("int32")
    x[:, 1] = -1
    model = make(scale=None, penalty=layers.FreeBits(0.1, per="level"))
    model.compile(keras.optimizers.Adam(0.03))
    counts = count_traces(model)
    schedule = BetaSchedule(schedules.staggered(2, 1))
    history = model.fit(x, epochs=20, callbacks=[schedule], validation_data=x, **FIT).history
    assert counts == {"train": 1, "test": 1}
    assert history["elbo"][-1] > history["elbo"][0] + 2
    assert history["beta_1"][:4] == [0, 0.5, 1, 1] and history["beta_2"][:4] == [0, 0, 0.5, 1]
    assert (np.array(history["penalty"]) > 0.2 - 1e-4).all()
    for i in (-1, 0):
        total = sum(history[f"kl_{level}"][i] for level in (1, 2))
        np.testing.assert_allclose(history["kl"][i], total, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(history["elbo"][i], history["log_likelihood"][i] - total, rtol=1e-3, atol=1e-3)
    drawn = model.generate(300)
    assert (drawn[:, 2:] == drawn[:, :1]).all(1).mean() > 0.5
    assert (model.reconstruct(x[:50])[:, 2:] == x[:50, 2:]).mean() > 0.5
    assert model.predict(x[:5], verbose=0).shape == (5, 6, 3)


def test_saved_and_loaded_it_is_the_same_model(x, tmp_path):
    model = make("LSTM", beta=[1, 2], penalty=layers.FreeBits(0.1))
    model.fit(x, **FIT)
    model.save(tmp_path / "model.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)  # Keras's own, of NumPy 2
        loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(array(loaded.beta), [1, 2])
    assert (loaded.latents, loaded.phrase_length, loaded.phrases) == ((2, 3), 2, 3)
    for mine, its in zip(model.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_array_equal(array(its.value), array(mine.value))
    for mine, its in zip(model.bound(x), loaded.bound(x), strict=True):
        np.testing.assert_array_equal(array(its), array(mine))
    np.testing.assert_array_equal(loaded.generate(5), model.generate(5))


def test_reinitialised_with_a_seed_the_same_weights_follow():
    model, found = make(), []
    for seed in (1, 2, 1):
        model.reinitialise(seed)
        found.append(model.get_weights())
    for one, _, again in zip(*found, strict=True):
        np.testing.assert_array_equal(one, again)
    assert sum((one != other).any() for one, other, _ in zip(*found, strict=True)) >= 3


def test_half_precision_keeps_every_density_in_float32(x):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = make("LSTM")
        for level in model.infer(x):
            assert ops.dtype(level.kl_units) == ops.dtype(level.z) == "float32"
        assert all(ops.dtype(part) == "float32" for part in model.bound(x))
        assert model.generate(3).shape == (3, 6)
    finally:
        keras.config.set_dtype_policy("float32")


# Refusals


def build(units=(2, 3), length=2, likelihood=None, steps=6, at=None, cell=None, **arguments):
    cells = [keras.layers.GRUCell(3) for _ in range(4)]
    if at is not None:
        cells[at] = cell
    likelihood = likelihood or layers.Categorical(3)
    models.HierarchicalRecurrentVAE(units, *cells, likelihood, length, **arguments).build((None, steps))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"units": (2,)}, r"units of z_1 and z_2, two positive integers; got \(2,\)"),
        ({"units": (2, 0)}, r"two positive integers; got \(2, 0\)"),
        ({"units": (2, 1.5)}, r"got \(2, 1.5\)"),
        ({"likelihood": layers.Bernoulli()}, "likelihood is one of sequences"),
        ({"length": 0}, "phrase_length is how many steps a phrase has, at least 1; got 0"),
        ({"length": 4}, "phrases of 4 steps, so its length is a multiple of that; got 6"),
        ({"at": 0, "cell": 3}, "encoder is a cell .*; got 3"),
        ({"at": 1, "cell": 3}, "reader is a cell .*; got 3"),
        ({"at": 2, "cell": 3}, "conductor is a cell .*; got 3"),
        ({"at": 3, "cell": 3}, "writer is a cell .*; got 3"),
        ({"beta": [1, 2, 3]}, "beta is one number or 2"),
        ({"penalty": 0.1}, "penalty is a layer"),
        ({"penalty": layers.FreeBits([1, 2, 3])}, "nats is one number or 2"),
    ],
)
def test_arguments_that_do_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        build(**arguments)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.generate(2, {3: np.zeros((2, 2))}), "latents holds level 3; the levels are 1 to 2"),
        (lambda m: m.generate(2, {2: np.zeros((5, 3))}), r"latents\[2\] holds 5 draws; n is 2"),
        (lambda m: m.generate(2, {1: np.zeros((2, 2))}), r"z of shape \(2,\); the level has \(3, 2\)"),
        (lambda m: m.generate(0), "n is a whole number of at least 1; got 0"),
        (lambda m: m.generate(2, step_temperature=0), "temperature is above 0; got 0"),
        (lambda m: m.generate(2, top_k=0), "top_k is a whole number of at least 1; got 0"),
        (lambda m: m.reconstruct(np.zeros((2, 6), int), from_level=3), "from_level is a level, 1 to 2; got 3"),
        (
            lambda m: m.fit(np.full((2, 6), 3), verbose=0),
            "tokens 0 to 2, and -1 for padding; got values from 3 to 3",
        ),
        (lambda m: m.fit(np.zeros((2, 4), int), verbose=0), r"examples of shape \(4,\); the model takes \(6,\)"),
    ],
)
def test_what_cannot_be_done_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(make())
