"""Schedules, the callbacks that apply them, and the penalties they act on."""

import numpy as np
import pytest
from small_models import count_traces, make_autoencoder, make_vae

from hvae_keras import layers, models, schedules
from hvae_keras.backend import BACKEND, keras, ops
from hvae_keras.callbacks import BetaSchedule, CapacitySchedule, SamplingSchedule

FIT = {"verbose": 0, "batch_size": 32}


def array(tensor):
    return ops.convert_to_numpy(tensor)


def values(schedule, epochs, level=1):
    return [schedule(epoch, level) for epoch in epochs]


# Schedules


def test_warm_up_is_a_line_from_start_to_end_and_stays_there():
    np.testing.assert_allclose(values(schedules.linear(4), range(7)), [0, 0.25, 0.5, 0.75, 1, 1, 1])
    np.testing.assert_allclose(values(schedules.linear(2, 25.0, 5.0), range(4)), [25, 15, 5, 5])
    assert values(schedules.linear(0), range(2)) == [1, 1]
    assert schedules.linear(4)(1, level=1) == schedules.linear(4)(1, level=5)


@pytest.mark.parametrize("first", ["bottom", "top"])
def test_staggered_levels_follow_each_other(first):
    """The level that is k-th in the order does what the first one did 3k epochs before."""
    schedule = schedules.staggered(4, 3, start=0.1, end=0.9, first=first, levels=3)
    order = [1, 2, 3] if first == "bottom" else [3, 2, 1]
    assert values(schedule, range(20), order[0]) == values(schedules.linear(4, 0.1, 0.9), range(20))
    for before, after in zip(order, order[1:], strict=False):
        assert values(schedule, range(3, 20), after) == values(schedule, range(17), before)
        assert values(schedule, range(3), after) == [0.1] * 3


def test_a_cycle_rises_in_its_first_part_and_comes_again():
    np.testing.assert_allclose(
        values(schedules.cyclical(8, 0.5), range(10)), [0, 0.25, 0.5, 0.75, 1, 1, 1, 1, 0, 0.25]
    )
    rise = values(schedules.cyclical(5, 1.0), range(11))
    np.testing.assert_allclose(rise, [0, 0.2, 0.4, 0.6, 0.8] * 2 + [0])
    assert values(schedules.cyclical(5, 0.0), range(6)) == [1] * 6


def test_each_level_can_have_its_own():
    schedule = schedules.per_level((0.5, schedules.linear(2), schedules.constant(3.0)))
    assert [schedule(1, level) for level in (1, 2, 3)] == [0.5, 0.5, 3]
    assert [schedule(9, level) for level in (1, 2, 3)] == [0.5, 1, 3]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: schedules.linear(-1), "epochs is a number of epochs, at least 0; got -1"),
        (lambda: schedules.staggered(2, -1), "delay is a number of epochs, at least 0; got -1"),
        (lambda: schedules.staggered(2, 1, first="middle"), "'bottom' or 'top'; got 'middle'"),
        (lambda: schedules.staggered(2, 1, first="top"), "levels, how many there are"),
        (lambda: schedules.staggered(2, 1, first="top", levels=2)(0, 3), "for 2 levels; .* level 3"),
        (lambda: schedules.cyclical(0), "period is a number of epochs, at least 1; got 0"),
        (lambda: schedules.cyclical(2, 1.5), "0 to 1; got 1.5"),
        (lambda: schedules.per_level((1.0, 2.0))(0, 3), "has 2 levels; .* level 3"),
    ],
)
def test_what_is_no_schedule_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# Callbacks


def test_beta_follows_its_schedule_without_a_trace(images):
    """beta as the loss shows it, as the history records it, and as the schedule says, are one."""
    vae = make_vae()
    counts = count_traces(vae)
    history = vae.fit(images, epochs=4, callbacks=[BetaSchedule(schedules.linear(2, end=3.0))], **FIT).history
    assert history["beta"] == [0, 1.5, 3, 3]
    applied = (np.array(history["loss"]) + history["log_likelihood"]) / history["kl"]
    np.testing.assert_allclose(applied, history["beta"], atol=1e-3)
    assert counts["train"] == 1


def test_training_that_goes_on_goes_on_in_the_schedule(vae, images):
    history = vae.fit(images, initial_epoch=3, epochs=5, callbacks=BetaSchedule(schedules.linear(10)), **FIT)
    np.testing.assert_allclose(history.history["beta"], [0.3, 0.4])


def test_every_level_has_its_own_beta():
    """A stand-in with three levels: what is set and what is logged, level by level."""

    class Three(keras.Model):
        def __init__(self):
            super().__init__()
            self.beta = self.add_weight(shape=(3,), trainable=False)

    callback = BetaSchedule(lambda epoch, level: epoch + 0.1 * level)
    callback.set_model(Three())
    logs = {}
    callback.on_epoch_begin(2)
    callback.on_epoch_end(2, logs)
    np.testing.assert_allclose(array(callback.model.beta), [2.1, 2.2, 2.3])
    assert logs == {"beta_1": 2.1, "beta_2": 2.2, "beta_3": 2.3}


def test_the_capacity_follows_its_schedule_without_a_trace(images):
    """One batch an epoch, so that the mean over the batch is the logged KL."""
    vae = make_vae(penalty=layers.Capacity(), beta=10.0)
    counts = count_traces(vae)
    schedule = CapacitySchedule(schedules.linear(2, end=4.0))
    history = vae.fit(images, epochs=3, batch_size=96, verbose=0, callbacks=[schedule]).history
    assert history["capacity"] == [0, 2, 4]
    distance = np.abs(np.array(history["kl"]) - history["capacity"])
    np.testing.assert_allclose(history["penalty"], distance, rtol=1e-4)
    np.testing.assert_allclose(history["loss"], 10 * distance - history["log_likelihood"], rtol=1e-4)
    assert counts["train"] == 1


def make_sequence_model():
    keras.utils.set_random_seed(0)
    model = models.RecurrentModel(keras.layers.GRUCell(2), layers.Categorical(3))
    model.compile(run_eagerly=True)
    return model


@pytest.mark.parametrize("rate", [1.0, 0, np.float32(0.25)])
def test_a_share_of_own_inputs_is_0_to_1(rate):
    model = make_sequence_model()
    history = model.fit(
        np.zeros((2, 3), int), callbacks=[SamplingSchedule(schedules.constant(rate))], **FIT
    ).history
    assert history["sampling_rate"] == [rate] == [array(model.sampling_rate.value)[0]]


@pytest.mark.parametrize(
    ("rate", "message"),
    [
        (1.01, r"schedule\(epoch=0, level=1\) gives a share, 0 to 1; got 1.01"),
        (-0.1, "gives sampling_rate, a finite number of at least 0; got -0.1"),
        (float("nan"), "gives sampling_rate, .* got nan"),
        ("0.5", "gives sampling_rate, .* got '0.5'"),
    ],
)
def test_what_is_no_share_is_refused(rate, message):
    with pytest.raises(ValueError, match=message):
        make_sequence_model().fit(
            np.zeros((2, 3), int), callbacks=[SamplingSchedule(lambda epoch, level: rate)], **FIT
        )


@pytest.mark.parametrize("value", ["1.0", None, -0.1, float("nan"), float("inf")])
def test_a_schedule_gives_finite_numbers_of_at_least_0(value, vae, images):
    with pytest.raises(ValueError, match=r"schedule\(epoch=1, level=1\) gives beta, .* at least 0; got"):
        vae.fit(images, epochs=2, callbacks=[BetaSchedule(lambda epoch, level: value if epoch else 1)], **FIT)


@pytest.mark.parametrize(
    ("make", "callback", "message"),
    [
        (make_autoencoder, BetaSchedule, "sets model.beta; autoencoder.* has no such weight"),
        (make_vae, SamplingSchedule, "sets model.sampling_rate; vae.* has no such weight"),
        (make_vae, CapacitySchedule, r"penalty=hvae_keras.layers.Capacity\(\); the penalty of .* is None"),
        (
            lambda: make_vae(penalty=layers.FreeBits(0.1)),
            CapacitySchedule,
            r"penalty=hvae_keras.layers.Capacity\(\); .* <FreeBits",
        ),
    ],
)
def test_a_model_without_the_weight_is_refused(make, callback, message, images):
    with pytest.raises(ValueError, match=message):
        make().fit(images, callbacks=[callback(schedules.constant(1.0))], **FIT)


def test_a_schedule_is_a_function():
    with pytest.raises(ValueError, match="function of epoch and level; got 0.5"):
        BetaSchedule(0.5)


# Penalties

# Two examples of two units. Sums of the examples: 2.5 and 0.5; means of the units: 1.125 and 0.375.
KL = np.array([[2.0, 0.5], [0.25, 0.25]], "float32")

# With a floor of 1, on paper: the penalty of each example, and the gradient of their sum.
BY_HAND = {
    "unit and sample": ([2 + 1, 1 + 1], [[1, 0], [0, 0]]),
    "unit": ([1.125 + 1, 1.125 + 1], [[1, 0], [1, 0]]),
    "level": ([1.5, 1.5], [[1, 1], [1, 1]]),
    "level and sample": ([2.5, 1], [[1, 1], [0, 0]]),
}


def gradient(function, x):
    if BACKEND == "jax":
        import jax

        return np.asarray(jax.grad(function)(ops.convert_to_tensor(x)))
    import tensorflow as tf

    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    return tape.gradient(y, x).numpy()


@pytest.mark.parametrize("per", BY_HAND)
def test_free_bits_and_their_gradient_by_hand(per):
    """Means over the batch 2.5, 2.125, 1.5 and 1.75: one floor, four objectives. Gradients are 0 or 1, exactly."""
    penalty, by_hand = layers.FreeBits(1.0, per), BY_HAND[per]
    np.testing.assert_array_equal(array(penalty([KL]))[:, 0], by_hand[0])
    np.testing.assert_array_equal(gradient(lambda kl: ops.sum(penalty([kl])), KL), by_hand[1])


@pytest.mark.parametrize("per", layers.FreeBits.VARIANTS)
def test_at_or_below_the_floor_there_is_no_gradient(per):
    """Units at the floor exactly, and far below it: where maximum would let half a gradient through."""
    floor = KL[0].sum() if "level" in per else KL.max()
    kl = np.stack([KL[0], KL[0]]) if "level" in per else np.full_like(KL, floor)
    for values in (kl, 0.1 * kl, 0 * kl):
        penalty = layers.FreeBits(float(floor), per)
        assert not gradient(lambda kl, penalty=penalty: ops.sum(penalty([kl])), values).any()
    assert gradient(lambda kl: ops.sum(penalty([kl])), 1.01 * kl).all()


@pytest.mark.parametrize("per", layers.FreeBits.VARIANTS)
def test_a_floor_of_0_leaves_the_kl_as_it_is(per, rng):
    kls = [rng.random((8, 3)).astype("float32"), rng.random((8, 2, 2, 5)).astype("float32")]
    expected = np.stack([kl.reshape(8, -1).sum(1) for kl in kls], axis=1)
    np.testing.assert_allclose(array(layers.Penalty()(kls)), expected, rtol=1e-6)
    found = array(layers.FreeBits(0.0, per)(kls))
    assert found.shape == (8, 2)
    np.testing.assert_allclose(found.mean(0), expected.mean(0), rtol=1e-6)


@pytest.mark.parametrize("per", layers.FreeBits.VARIANTS)
def test_every_element_of_a_map_is_a_unit(per, rng):
    kl = rng.random((8, 2, 3, 5)).astype("float32")
    penalty = layers.FreeBits(0.5, per)
    np.testing.assert_allclose(array(penalty([kl])), array(penalty([kl.reshape(8, -1)])), rtol=1e-6)


def test_each_level_has_its_own_floor():
    found = array(layers.FreeBits((0.0, 1.0), "unit and sample")([KL, KL]))
    np.testing.assert_array_equal(found, np.stack([KL.sum(1), BY_HAND["unit and sample"][0]], axis=1))


def test_a_kl_that_is_not_a_number_is_not_hidden_by_the_floor():
    for penalty in map(lambda per: layers.FreeBits(1.0, per), layers.FreeBits.VARIANTS):
        assert np.isnan(array(penalty([np.full((2, 2), np.nan, "float32")]))).all()


@pytest.mark.parametrize("per", layers.FreeBits.VARIANTS)
def test_the_true_kl_is_reported_beside_the_floored_one(per, images):
    """A floor above any KL: the loss counts the floor, the log the KL, and training is that of beta = 0."""
    nats, floor = (100.0, 100.0) if "level" in per else (50.0, 100.0)  # Two units.
    logs = make_vae(penalty=layers.FreeBits(nats, per)).fit(images, epochs=2, shuffle=False, **FIT).history
    expected = make_vae(beta=0.0).fit(images, epochs=2, shuffle=False, **FIT).history
    np.testing.assert_allclose(logs["penalty"], floor, rtol=1e-6)
    np.testing.assert_allclose(np.array(logs["loss"]) - floor, expected["loss"], rtol=1e-4)
    for name in ("kl", "log_likelihood", "elbo"):
        np.testing.assert_allclose(logs[name], expected[name], rtol=1e-4)
    assert 0 < logs["kl"][0] < 50


def test_the_capacity_is_a_distance_of_the_mean():
    """The mean KL of these two examples is 1.5, though neither has it."""
    penalty = layers.Capacity((1.0, 4.0))
    penalty.build_levels(2)
    np.testing.assert_array_equal(array(penalty([KL, KL])), [[0.5, 2.5], [0.5, 2.5]])
    above, below = (gradient(lambda kl, i=i: ops.sum(penalty([kl, kl])[:, i]), KL) for i in (0, 1))
    np.testing.assert_array_equal([above, below], [np.ones((2, 2)), -np.ones((2, 2))])
    assert not penalty.trainable_variables


def test_under_mixed_precision_a_penalty_stays_in_float32():
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        found = layers.FreeBits(0.001)([np.full((1, 2), 1.001, "float32")])
    finally:
        keras.mixed_precision.set_dtype_policy(before)
    assert ops.dtype(found) == "float32"
    np.testing.assert_allclose(array(found), 2.002, rtol=1e-6)


def test_a_model_with_a_penalty_is_saved_and_starts_again(images, tmp_path):
    vae = make_vae(penalty=layers.Capacity(0.5))
    vae.fit(images, callbacks=[CapacitySchedule(schedules.constant(2.0))], **FIT)
    vae.save(tmp_path / "vae.keras")
    loaded = keras.saving.load_model(tmp_path / "vae.keras")
    assert array(loaded.penalty.capacity) == 2
    runs = [model.fit(images, shuffle=False, **FIT).history for model in (vae, loaded)]
    assert runs[0] == runs[1]
    vae.reinitialise(0)
    assert array(vae.penalty.capacity) == 0.5


@pytest.mark.parametrize("per", layers.FreeBits.VARIANTS)
def test_free_bits_are_what_they_were_made_of(per):
    config = keras.saving.serialize_keras_object(layers.FreeBits((0.5, 1.0), per))
    found = keras.saving.deserialize_keras_object(config)
    assert (found.nats, found.per) == ((0.5, 1.0), per)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: layers.FreeBits(-1.0), "nats is a number of nats, .* got -1.0"),
        (lambda: layers.FreeBits(float("nan")), "got nan"),
        (lambda: layers.FreeBits(()), r"got \(\)"),
        (lambda: layers.FreeBits(1.0, "sample"), "'unit', 'level', 'level and sample'; got 'sample'"),
        (
            lambda: layers.FreeBits((1.0, 2.0)).build_levels(3),
            r"one number or 3, one a level; got 2: \[1.0, 2.0\]",
        ),
        (lambda: make_vae(penalty=layers.FreeBits((1.0, 2.0))), "one number or 1"),
        (lambda: layers.Capacity((1.0, 2.0)).build_levels(3), "one number or 3"),
        (lambda: layers.Capacity()([KL]), "call build_levels"),
        (lambda: [make_vae(penalty=penalty) for penalty in [layers.Capacity()] * 2], "a new one for each model"),
    ],
)
def test_penalties_that_do_not_fit_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
