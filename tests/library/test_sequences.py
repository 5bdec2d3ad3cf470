"""Models of sequences: densities against NumPy and against 1, the walk, prompts, padding, scheduled sampling."""

import warnings

import numpy as np
import pytest
from scipy.special import log_softmax
from sequences_by_hand import (
    CELLS,
    array,
    every_frame_sequence,
    every_sequence,
    flat_logits,
    hierarchical_logits,
    p_value_of_draws,
    randomise,
    step_log_prob,
)
from small_models import count_traces

from hvae_keras import layers, metrics, models, schedules
from hvae_keras.backend import BACKEND, keras, ops
from hvae_keras.callbacks import SamplingSchedule
from hvae_keras.models.sequence import write

FIT = {"verbose": 0, "batch_size": 8}


def make_flat(cell="LSTM", steps=4, likelihood=None, seed=0, scale=0.5, **arguments):
    likelihood = likelihood or layers.Categorical(3)
    return finish(models.RecurrentModel(CELLS[cell](5), likelihood, **arguments), steps, seed, scale)


def make_hierarchy(cell="LSTM", steps=4, likelihood=None, seed=0, scale=0.5, **arguments):
    encoder, conductor, writer = (CELLS[cell](units) for units in (4, 5, 6))
    arguments = {"phrase_length": 2, "plan": 3, **arguments}
    likelihood = likelihood or layers.Categorical(3)
    model = models.HierarchicalRecurrentModel(encoder, conductor, writer, likelihood, **arguments)
    return finish(model, steps, seed, scale)


def finish(model, steps, seed, scale):
    keras.utils.set_random_seed(seed)
    event = () if isinstance(model.likelihood, layers.Categorical) else (model.likelihood.keys,)
    model.build((None, steps, *event))
    randomise(model, seed, scale)
    model.compile(keras.optimizers.Adam(1e-2), run_eagerly=True)  # A trace takes longer than a few steps.
    return model


def make_metric(**arguments):
    return make_flat(meter=3, **arguments)


MAKE = {"flat": make_flat, "flat, meter": make_metric, "hierarchical": make_hierarchy}
LOGITS = {"flat": flat_logits, "flat, meter": flat_logits, "hierarchical": hierarchical_logits}
every_kind = pytest.mark.parametrize("kind", MAKE)
both_kinds = pytest.mark.parametrize("kind", ["flat", "hierarchical"])  # where a trace takes its time
every_cell = pytest.mark.parametrize("cell", CELLS)


def logits_of(model, x, **arguments):
    return array(model(x, **arguments)["parameters"])


def random_tokens(rng, n=6, steps=4, tokens=3):
    return rng.integers(tokens, size=(n, steps)).astype("int32")


def with_padding(rng, n=9, steps=6):
    """Sequences with padding anywhere, as in phrases cut to one length; the last one holds nothing else."""
    x = random_tokens(rng, n, steps)
    x[rng.random(x.shape) < 0.3] = -1
    x[-1] = -1
    return x


# Densities


@every_kind
@every_cell
def test_every_step_is_that_of_the_equations(kind, cell, rng):
    model, x = MAKE[kind](cell=cell, steps=6), with_padding(rng)
    expected = LOGITS[kind](model, x)
    np.testing.assert_allclose(logits_of(model, x), expected, rtol=1e-4, atol=1e-5)
    by_step = step_log_prob(model, expected, x)
    np.testing.assert_allclose(array(model.step_log_prob(x)), by_step, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(array(model.log_prob(x)), by_step.sum(-1), rtol=1e-4, atol=1e-5)


@every_kind
def test_frames_are_those_of_the_equations(kind, rng):
    model = MAKE[kind](likelihood=layers.BernoulliFrames(3))
    x = (rng.random((7, 4, 3)) < 0.5).astype("float32")
    x[1, 3] = x[2, :2] = x[3] = -1
    expected = LOGITS[kind](model, x)
    np.testing.assert_allclose(logits_of(model, x), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        array(model.log_prob(x)), step_log_prob(model, expected, x).sum(-1), rtol=1e-4, atol=1e-5
    )


@every_kind
@every_cell
def test_the_probabilities_of_all_sequences_sum_to_1(kind, cell):
    """So that no step is told of itself or of what follows: that would give the truth too much."""
    model = MAKE[kind](cell=cell, steps=4, scale=1.5)
    np.testing.assert_allclose(np.exp(array(model.log_prob(every_sequence(3, 4)))).sum(), 1, rtol=1e-5)


@every_kind
def test_the_probabilities_of_all_sequences_of_frames_sum_to_1(kind):
    model = MAKE[kind](likelihood=layers.BernoulliFrames(2), scale=1.5)
    np.testing.assert_allclose(np.exp(array(model.log_prob(every_frame_sequence(2, 4)))).sum(), 1, rtol=1e-5)


@pytest.mark.parametrize("phrase_length", [1, 3, 6])
def test_phrases_of_any_length_sum_to_1(phrase_length):
    model = make_hierarchy(steps=6, phrase_length=phrase_length, likelihood=layers.Categorical(2), scale=1.5)
    np.testing.assert_allclose(np.exp(array(model.log_prob(every_sequence(2, 6)))).sum(), 1, rtol=1e-5)


@every_kind
def test_a_step_changes_what_follows_it_and_nothing_before(kind, rng):
    model, x = MAKE[kind](steps=6), random_tokens(rng, steps=6)
    logits, by_step = logits_of(model, x), array(model.step_log_prob(x))
    for t in range(6):
        other = x.copy()
        other[:, t] = (x[:, t] + 1) % 3
        changed, by_step_changed = logits_of(model, other), array(model.step_log_prob(other))
        np.testing.assert_allclose(changed[:, : t + 1], logits[:, : t + 1], rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(by_step_changed[:, :t], by_step[:, :t], rtol=1e-6, atol=1e-7)
        assert (np.abs(changed[:, t + 1 :] - logits[:, t + 1 :]).max(-1) > 1e-6).all()


def test_between_phrases_go_the_plan_and_the_last_step_and_nothing_else(rng):
    model, x = make_hierarchy(steps=6), random_tokens(rng, steps=6)
    other = x.copy()
    other[:, 0] = (x[:, 0] + 1) % 3  # Not the last step of its phrase.
    assert np.abs(logits_of(model, other) - logits_of(model, x))[:, 2:].max() > 1e-4
    model.plan.kernel.assign(np.zeros(model.plan.kernel.shape))
    np.testing.assert_allclose(logits_of(model, other)[:, 2:], logits_of(model, x)[:, 2:], rtol=1e-6, atol=1e-7)
    other[:, 1] = (x[:, 1] + 1) % 3  # The last one: what it tells the next phrase ends with that phrase.
    assert (np.abs(logits_of(model, other) - logits_of(model, x))[:, 2:4].max(-1) > 1e-5).all()
    np.testing.assert_allclose(logits_of(model, other)[:, 4:], logits_of(model, x)[:, 4:], rtol=1e-6, atol=1e-7)


def test_a_meter_tells_the_place_in_the_bar():
    """A cell without memory that reads padding only: what it says repeats with the bar."""
    model = make_flat("Elman", steps=7, meter=3)
    model.cell.recurrent_kernel.assign(np.zeros((5, 5)))
    logits = logits_of(model, np.full((1, 7), -1))[0]
    np.testing.assert_allclose(logits[3:], logits[:-3], rtol=1e-6)
    assert len(np.unique(logits.round(5), axis=0)) == 3


def test_several_cells_are_one(rng):
    """A stack: it sums to 1, walks as it was taught, and two layers are not one."""
    stack = keras.layers.StackedRNNCells([keras.layers.GRUCell(4), keras.layers.LSTMCell(3)])
    model = finish(models.RecurrentModel(stack, layers.Categorical(3)), 4, 0, 0.5)
    np.testing.assert_allclose(np.exp(array(model.log_prob(every_sequence(3, 4)))).sum(), 1, rtol=1e-5)
    drawn, along = walked(model, 4)
    np.testing.assert_allclose(along, logits_of(model, drawn), rtol=1e-5, atol=1e-6)


# Drawing


def walked(model, steps, n=8, seed=1):
    """Sequences drawn, and the parameters along the walk."""
    seed = ops.cast([seed, 0], keras.random.SeedGenerator(0).state.dtype)
    return map(array, write(model.advance, model.start(n), model.likelihood, steps, seed))


@every_kind
@every_cell
def test_the_walk_says_what_the_true_steps_would(kind, cell):
    """Also for more steps, and more phrases, than the model was built for."""
    model = MAKE[kind](cell=cell, steps=4)
    drawn, along = walked(model, 10)
    np.testing.assert_allclose(along, logits_of(model, drawn), rtol=1e-4, atol=1e-5)


@every_kind
def test_frames_walk_as_they_were_taught(kind):
    model = MAKE[kind](likelihood=layers.BernoulliFrames(3))
    drawn, along = walked(model, 6)
    assert drawn.shape == (8, 6, 3) and set(np.unique(drawn)) == {0, 1}
    np.testing.assert_allclose(along, logits_of(model, drawn), rtol=1e-4, atol=1e-5)
    assert model.generate(5).shape == (5, 4, 3)


@every_kind
@pytest.mark.parametrize(("temperature", "top_k"), [(1.0, None), (0.6, 2)])
def test_sequences_come_as_often_as_their_probability_says(kind, temperature, top_k):
    model, x = MAKE[kind](scale=1.0), every_sequence(3, 4)
    logits = np.float64(LOGITS[kind](model, x)) / temperature
    if top_k:
        logits[logits < np.sort(logits, axis=-1)[..., -top_k, None]] = -np.inf
    logs = np.take_along_axis(log_softmax(logits, axis=-1), x[..., None], axis=-1)[..., 0].sum(-1)
    drawn = model.generate(4000, temperature=temperature, top_k=top_k, seed=3)
    assert drawn.shape == (4000, 4) and drawn.dtype == "int32"
    assert p_value_of_draws(drawn, x, np.exp(logs)) > 1e-3
    # The test has the power to tell: the same draws do not come from the other temperature.
    assert p_value_of_draws(drawn, x, np.exp(logs) ** 2) < 1e-6


@every_kind
def test_a_prompt_is_kept_and_the_rest_follows_from_it(kind):
    model, x = MAKE[kind](scale=1.0), every_sequence(3, 4)
    begins = (x[:, :3] == [2, 0, 1]).all(1)
    logs = step_log_prob(model, LOGITS[kind](model, x), x)[begins, 3:].sum(-1)
    drawn = model.generate(3000, prompt=np.array([2, 0, 1]), seed=5)
    assert (drawn[:, :3] == [2, 0, 1]).all()
    assert p_value_of_draws(drawn, x[begins], np.exp(logs)) > 1e-3


@every_kind
def test_every_sequence_may_have_its_own_prompt(kind, rng):
    model, prompt = MAKE[kind](), random_tokens(rng, n=5, steps=3)
    np.testing.assert_array_equal(model.generate(5, steps=7, prompt=prompt)[:, :3], prompt)
    whole = random_tokens(rng, n=5)
    np.testing.assert_array_equal(model.generate(5, prompt=whole), whole)
    assert model.generate(5, prompt=np.zeros((0,), int)).shape == (5, 4)


@every_kind
def test_frames_of_a_prompt_are_kept(kind):
    model = MAKE[kind](likelihood=layers.BernoulliFrames(2))
    prompt = np.array([[1, 0], [0, 1]])
    np.testing.assert_array_equal(
        model.generate(3, prompt=prompt)[:, :2], np.tile(prompt, (3, 1, 1)).astype("float32")
    )


@every_kind
def test_top_1_takes_the_most_probable_step_every_time(kind):
    model = MAKE[kind](scale=1.0)
    chain = np.full((1, 6), -1, "int32")
    for t in range(6):
        chain[0, t] = LOGITS[kind](model, np.maximum(chain, 0))[0, t].argmax()
    for seed in (0, 1):
        np.testing.assert_array_equal(model.generate(4, steps=6, top_k=1, seed=seed), np.repeat(chain, 4, axis=0))


@every_kind
def test_one_seed_is_one_set_of_draws(kind):
    model = MAKE[kind](steps=8)
    first, again, other = (model.generate(20, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    own = model.generate(20)
    assert (own != model.generate(20)).any()  # The model's own generator goes on.
    np.testing.assert_array_equal(own, MAKE[kind](steps=8).generate(20))
    assert len(np.unique(first, axis=0)) > 10


# Padding


@every_kind
@pytest.mark.parametrize("length", [2, 4])
def test_padding_at_the_end_adds_and_takes_nothing(kind, length, rng):
    model, x = MAKE[kind](steps=6), random_tokens(rng, steps=6)
    padded = x.copy()
    padded[:, length:] = -1
    np.testing.assert_allclose(array(model.log_prob(padded)), array(model.log_prob(x[:, :length])), rtol=1e-5)
    assert (array(model.step_log_prob(padded))[:, length:] == 0).all()


@every_kind
def test_a_step_after_which_a_phrase_ends_is_as_likely(kind, rng):
    """Padding from inside of a phrase on."""
    model, x = MAKE[kind](steps=6), random_tokens(rng, steps=6)
    padded = x.copy()
    padded[:, 3:] = -1
    expected = array(model.step_log_prob(x))[:, :3].sum(-1)
    np.testing.assert_allclose(array(model.log_prob(padded)), expected, rtol=1e-5)


def gradients(model, x):
    """Of the sum of log p(x), for every weight, as training sees it."""
    weights = model.trainable_variables
    if BACKEND == "jax":
        import jax

        others = [variable.value for variable in model.non_trainable_variables]

        def total(values):
            return ops.sum(model.stateless_call(values, others, x, training=True)[0]["step_log_prob"])

        return [array(part) for part in jax.grad(total)([variable.value for variable in weights])]
    import tensorflow as tf

    with tf.GradientTape() as tape:
        total = ops.sum(model(x, training=True)["step_log_prob"])
    return [array(part) for part in tape.gradient(total, weights)]


@every_kind
def test_gradients_ignore_padding(kind, rng):
    """Two whole phrases and a padded one against the two alone; and sequences of padding only beside them."""
    x = random_tokens(rng, n=8, steps=6)
    x[:, 4:] = -1
    alone = gradients(MAKE[kind](), x[:, :4])
    for padded in (x, np.concatenate([x, np.full((8, 6), -1, "int32")])):
        for one, two in zip(alone, gradients(MAKE[kind](steps=6), padded), strict=True):
            np.testing.assert_allclose(two, one, atol=2e-3 * np.abs(one).max())
    assert all(np.abs(one).max() > 1e-5 for one in alone)


@every_kind
def test_padding_from_end_to_end_is_certain_and_teaches_nothing(kind):
    model, x = MAKE[kind](), np.full((4, 4), -1, "int32")
    assert (array(model.log_prob(x)) == 0).all()
    assert all((part == 0).all() for part in gradients(model, x))


@both_kinds
def test_a_batch_of_padding_leaves_the_weights_and_the_logs_finite(kind):
    model = MAKE[kind]()
    before = model.get_weights()
    history = model.fit(np.full((4, 4), -1, "int32"), **FIT).history
    assert history == {"loss": [0], "nats_per_step": [0]}
    assert all((one == two).all() for one, two in zip(before[:-2], model.get_weights()[:-2], strict=True))


# Scheduled sampling


def sharp(kind, **arguments):
    """A model whose draw is its most probable token, whatever the noise."""
    model = MAKE[kind](**arguments)
    head = model.writer.head if kind == "hierarchical" else model.head
    for weight in (head.kernel, head.bias):
        weight.assign(1e4 * array(weight))
    return model


@every_kind
def test_at_rate_0_the_inputs_are_the_true_steps(kind, rng):
    model, x = MAKE[kind](steps=6), with_padding(rng)
    np.testing.assert_array_equal(logits_of(model, x, training=True), logits_of(model, x))


@every_kind
def test_at_rate_1_every_input_is_the_models_own_and_padding_stays(kind, rng):
    """The model is so sharp that its draws are known; they stand in the places of x that hold a step."""
    model, x = sharp(kind, steps=6), with_padding(rng)
    own = np.where(x < 0, -1, logits_of(model, x).argmax(-1)).astype("int32")
    assert (own != x).any(axis=1).mean() > 0.5
    model.sampling_rate.assign([1.0])
    np.testing.assert_allclose(logits_of(model, x, training=True), logits_of(model, own), rtol=1e-4, atol=1e-2)
    assert np.abs(logits_of(model, own) - logits_of(model, x)).max() > 1
    # Outside of training the rate plays no part.
    np.testing.assert_array_equal(logits_of(model, x), logits_of(sharp(kind, steps=6), x))


def test_at_rate_0_3_three_inputs_in_ten_are_the_models_own(rng):
    """An Elman cell without memory, so that each step shows which of two inputs it read."""
    model = make_flat("Elman", steps=50)
    model.cell.recurrent_kernel.assign(np.zeros((5, 5)))
    model.head.bias.assign([0.0, 0.0, 50.0])  # It always draws 2, and x holds none.
    x = random_tokens(rng, n=100, steps=50, tokens=2)
    x[:, 40:] = -1
    truth, own = (logits_of(model, tokens) for tokens in (x, np.where(x < 0, -1, 2)))
    model.sampling_rate.assign([0.3])
    found = logits_of(model, x, training=True)
    is_true, is_own = (np.abs(found - other).max(-1) < 1e-4 for other in (truth, own))
    assert (is_true | is_own).all()
    assert is_true[:, 0].all() and is_true[:, 41:].all()
    replaced = ~is_true[:, 1:41]
    error = np.sqrt(0.3 * 0.7 / replaced.size)
    assert abs(replaced.mean() - 0.3) < 4 * error
    assert np.ptp(replaced.mean(1)) > 0.1 and np.ptp(replaced.mean(0)) > 0.05  # Step by step, not all at once.


@both_kinds
def test_the_rate_changes_without_a_trace(kind, rng):
    model, x = MAKE[kind](), random_tokens(rng, n=16)
    model.compile(keras.optimizers.Adam(1e-2))
    counts = count_traces(model)
    schedule = SamplingSchedule(schedules.linear(2, end=0.5))
    history = model.fit(x, epochs=4, callbacks=[schedule], validation_data=x, **FIT).history
    assert history["sampling_rate"] == [0, 0.25, 0.5, 0.5]
    assert counts == {"train": 1, "test": 1}
    assert array(model.sampling_rate) == 0.5
    model.reinitialise(0)
    assert array(model.sampling_rate) == 0


@every_kind
def test_the_loss_is_that_of_the_true_steps_whatever_was_read(kind, rng):
    """Inputs are replaced, targets are not: with the rate at 1 the loss is -log p of x under those logits."""
    model, x = sharp(kind), random_tokens(rng, n=8)
    model.sampling_rate.assign([1.0])
    outputs = model(x, training=True)
    expected = step_log_prob(model, np.float64(array(outputs["parameters"])), x)
    np.testing.assert_allclose(array(outputs["step_log_prob"]), expected, rtol=1e-4, atol=1e-2)


# Logs and metrics


@both_kinds
def test_nats_per_step_counts_steps_and_not_sequences(kind, rng):
    """Sequences of unequal lengths, in batches of unequal sizes; a rate of 0, so that nothing is learned."""
    model = MAKE[kind](steps=6)
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    x = random_tokens(rng, n=21, steps=6)
    for sequence, length in zip(x, rng.integers(0, 7, size=21), strict=True):
        sequence[length:] = -1
    by_step = step_log_prob(model, LOGITS[kind](model, x), x)
    expected, steps = -by_step.sum() / (x >= 0).sum(), (x >= 0).sum(1)
    other = (-by_step.sum(1)[steps > 0] / steps[steps > 0]).mean()
    assert abs(other / expected - 1) > 1e-3
    for batch_size in (21, 8, 1):
        np.testing.assert_allclose(metrics.nats_per_step(model, x, batch_size), expected, rtol=1e-5)
    logs = model.fit(x, validation_data=x, **FIT).history
    assert set(logs) == {"loss", "nats_per_step", "val_loss", "val_nats_per_step"}
    for name in ("nats_per_step", "val_nats_per_step"):
        np.testing.assert_allclose(logs[name][0], expected, rtol=1e-5)
    np.testing.assert_allclose(logs["loss"][0], -by_step.sum(1).mean(), rtol=1e-5)


def test_a_frame_is_one_step_however_many_keys_it_has(rng):
    model = make_flat(likelihood=layers.BernoulliFrames(3))
    x = (rng.random((5, 4, 3)) < 0.5).astype("float32")
    x[0, 1:] = -1
    expected = -step_log_prob(model, flat_logits(model, x), x).sum() / 17
    np.testing.assert_allclose(metrics.nats_per_step(model, x), expected, rtol=1e-5)


@both_kinds
def test_training_finds_what_there_is_to_find(kind, rng):
    """A token and then its copies: log 3 nats for the first, nothing for the others."""
    keras.utils.set_random_seed(0)
    x = np.repeat(random_tokens(rng, n=64, steps=1), 4, axis=1)
    model = MAKE[kind](scale=0.3, dropout=0.1)
    model.compile(keras.optimizers.Adam(0.03))
    counts = count_traces(model)
    loss = model.fit(x, epochs=30, batch_size=16, verbose=0).history["loss"]
    assert loss[0] > 3 and counts["train"] == 1
    nats = -array(model.step_log_prob(x)).mean(0)
    assert abs(nats[0] - np.log(3)) < 0.1 and nats[1:].max() < 0.15
    drawn = model.generate(300, seed=0)
    assert (drawn == drawn[:, :1]).all(1).mean() > 0.85


@every_kind
def test_dropout_is_for_training_alone(kind, rng):
    model, x = MAKE[kind](dropout=0.5), random_tokens(rng)
    np.testing.assert_array_equal(logits_of(model, x), logits_of(model, x))
    assert np.abs(logits_of(model, x, training=True) - logits_of(model, x)).max() > 1e-3


# Manners under Keras


@pytest.mark.parametrize(("kind", "cell"), list(zip(MAKE, CELLS, strict=True)))
def test_saved_and_loaded_it_is_the_same_model(kind, cell, rng, tmp_path):
    model, x = MAKE[kind](cell=cell, dropout=0.2), random_tokens(rng, n=16)
    model.fit(x, epochs=2, callbacks=[SamplingSchedule(schedules.constant(0.25))], **FIT)
    model.save(tmp_path / "model.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)  # Keras's own, of NumPy 2
        loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model) and array(loaded.sampling_rate) == 0.25
    np.testing.assert_array_equal(array(loaded.log_prob(x)), array(model.log_prob(x)))
    for mine, its in zip(model.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_array_equal(array(its.value), array(mine.value))
    np.testing.assert_array_equal(loaded.generate(5, seed=1), model.generate(5, seed=1))
    np.testing.assert_array_equal(
        array(loaded.seed_generator.state.value), array(model.seed_generator.state.value)
    )


@both_kinds
def test_reinitialised_with_a_seed_the_same_weights_follow(kind):
    model, found = MAKE[kind](), []
    for seed in (1, 2, 1):
        model.reinitialise(seed)
        found.append(model.get_weights())
    for one, _, again in zip(*found, strict=True):
        np.testing.assert_array_equal(one, again)
    assert sum((one != other).any() for one, other, _ in zip(*found, strict=True)) >= 3


@every_kind
def test_its_config_makes_it_again(kind):
    model = MAKE[kind](dropout=0.25)
    again = type(model).from_config(model.get_config())
    again.build((None, 4))
    for name in ("meter", "phrase_length", "plan", "dropout"):
        mine, its = model.get_config().get(name), again.get_config().get(name)
        assert mine == its
    assert [w.shape for w in again.trainable_variables] == [w.shape for w in model.trainable_variables]


@both_kinds
def test_nan_is_named(kind, rng):
    model = MAKE[kind]()
    bias = (getattr(model, "head", None) or model.writer.head).bias
    bias.assign(np.full(bias.shape, np.nan))
    with pytest.raises(FloatingPointError, match="log_likelihood"):
        model.fit(random_tokens(rng), **FIT)


@pytest.mark.parametrize(("kind", "cell"), [("flat", "GRU"), ("hierarchical", "LSTM")])
def test_half_precision_trains_and_draws(kind, cell, rng):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model, x = MAKE[kind](cell=cell), random_tokens(rng)
        assert ops.dtype(model.step_log_prob(x)) == "float32"
        model.fit(x, callbacks=[SamplingSchedule(schedules.constant(0.5))], **FIT)
        assert model.generate(3, steps=6).shape == (3, 6)
    finally:
        keras.config.set_dtype_policy("float32")


# Refusals


def cells(n=1):
    return [keras.layers.GRUCell(3) for _ in range(n)]


TOKENS = layers.Categorical(3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: models.RecurrentModel(keras.layers.Dense(3), TOKENS), "cell is a cell such as .*; got <Dense"),
        (lambda: models.RecurrentModel(*cells(), layers.Bernoulli()), "likelihood is one of sequences, such as"),
        (lambda: models.RecurrentModel(*cells(), TOKENS, meter=0), "meter is how many steps a bar has.*; got 0"),
        (lambda: models.RecurrentModel(*cells(), TOKENS, meter=1.5), "got 1.5"),
        (lambda: models.RecurrentModel(*cells(), TOKENS, dropout=2.0), "2.0"),
        (lambda: models.HierarchicalRecurrentModel(3, *cells(2), TOKENS, 2), "encoder is a cell .*; got 3"),
        (
            lambda: models.HierarchicalRecurrentModel(*cells(), None, *cells(), TOKENS, 2),
            "conductor is a cell .*; got None",
        ),
        (
            lambda: models.HierarchicalRecurrentModel(*cells(2), "LSTM", TOKENS, 2),
            "writer is a cell .*; got 'LSTM'",
        ),
        (lambda: models.HierarchicalRecurrentModel(*cells(3), 34, 2), "likelihood is one of sequences.*; got 34"),
        (lambda: models.HierarchicalRecurrentModel(*cells(3), TOKENS, 0), "phrase_length is how many .*; got 0"),
        (lambda: models.HierarchicalRecurrentModel(*cells(3), TOKENS, 2.0), "got 2.0"),
        (
            lambda: models.HierarchicalRecurrentModel(*cells(3), TOKENS, 4).build((None, 6)),
            "phrases of 4 steps, so its length is a multiple of that; got 6",
        ),
    ],
)
def test_arguments_that_do_not_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "n is a whole number of at least 1; got 0"),
        ({"n": 2.5}, "n is a whole number of at least 1; got 2.5"),
        ({"steps": 0}, "steps is a whole number of at least 1; got 0"),
        ({"top_k": 0}, "top_k is a whole number of at least 1; got 0"),
        ({"temperature": 0.0}, "temperature is above 0; got 0.0. For the most probable step .* top_k=1"),
        ({"temperature": float("nan")}, "temperature is above 0; got nan"),
        ({"prompt": np.zeros(5, int)}, r"sequences of shape \(2, 4\), .*; got shape \(1, 5\)"),
        ({"prompt": np.zeros((3, 2), int)}, r"got shape \(3, 2\)"),
        ({"prompt": np.zeros((2, 2, 2), int)}, r"got shape \(2, 2, 2\)"),
        ({"prompt": np.array([0, -1])}, "prompt holds steps and no padding"),
        ({"prompt": np.array([0, 3])}, "tokens 0 to 2"),
    ],
)
def test_what_cannot_be_drawn_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_flat().generate(**{"n": 2, **arguments})


def test_frames_of_another_size_are_no_prompt():
    model = make_flat(likelihood=layers.BernoulliFrames(2))
    with pytest.raises(ValueError, match=r"each of shape \(2,\); got \(1, 3, 5\)"):
        model.generate(2, prompt=np.zeros((3, 5)))
    with pytest.raises(ValueError, match="top_k chooses among tokens"):
        model.generate(2, top_k=1)


@every_kind
def test_data_that_does_not_fit_is_refused(kind, rng):
    model, x = MAKE[kind](), random_tokens(rng)
    with pytest.raises(ValueError, match="tokens 0 to 2, and -1 for padding; got values from 0 to 3"):
        model.fit(np.full((4, 4), [0, 1, 2, 3]), **FIT)
    with pytest.raises(ValueError, match=r"x has examples of shape \(3,\); the model takes \(4,\)"):
        model.fit(x[:, :3], **FIT)
    with pytest.raises(ValueError, match="y was given"):
        model.fit(x, x, **FIT)


@pytest.mark.parametrize(
    ("x", "batch_size", "message"),
    [
        (np.zeros((2, 5), int), 64, r"examples of shape \(5,\); the model takes \(4,\)"),
        (np.zeros((0, 4), int), 64, "x holds no example"),
        (np.full((2, 4), -1), 64, r"x holds no step: it is padding \(-1\) from end to end"),
        (np.zeros((2, 4), int), 0, "batch_size is at least 1; got 0"),
    ],
)
def test_what_cannot_be_measured_is_refused(x, batch_size, message):
    with pytest.raises(ValueError, match=message):
        metrics.nats_per_step(make_flat(), x, batch_size)
