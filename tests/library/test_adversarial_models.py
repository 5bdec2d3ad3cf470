"""GAN, ConditionalGAN and TranslationGAN: each move by hand, what is generated, and their manners under Keras."""

import subprocess
import sys

import numpy as np
import pytest
from small_models import array, same, weights

from hvae_keras import models
from hvae_keras.backend import BACKEND, keras, ops
from hvae_keras.layers import SpectralNormalization
from hvae_keras.models.adversarial import nearest_distance, ranked_rightly

LOGS = {"discriminator_loss", "generator_loss", "accuracy", "diversity"}
FIT = {"batch_size": 16, "verbose": 0}
trains = pytest.mark.skipif(BACKEND != "tensorflow", reason="adversarial models train on TensorFlow")


def network(inputs, outputs, hidden=(8,), activation=None, name=None):
    """Dense layers from one vector, or two beside each other."""
    entries = [keras.Input((size,)) for size in inputs]
    h = keras.layers.Concatenate()(entries) if len(entries) > 1 else entries[0]
    for units in hidden:
        h = keras.layers.Dense(units, "leaky_relu")(h)
    out = keras.layers.Dense(outputs, activation)(h)
    return keras.Model(entries if len(entries) > 1 else entries[0], out, name=name)


# Sizes: z 2, examples 3; the second input 4 labels, or sketches of 2 numbers.
KINDS = {
    "GAN": (models.GAN, ()),
    "ConditionalGAN": (models.ConditionalGAN, (4,)),
    "TranslationGAN": (models.TranslationGAN, (2,)),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def make(kind="GAN", optimizers=None, seed=0, hidden=(8,), eager=False, **arguments):
    keras.utils.set_random_seed(seed)
    model_class, second = KINDS[kind]
    model = model_class(network((2, *second), 3, hidden), network((3, *second), 1, hidden), **arguments)
    optimizers = optimizers or (keras.optimizers.Adam(1e-2), keras.optimizers.Adam(2e-2))
    model.compile(*optimizers, run_eagerly=eager)
    return model


def sgd(generator, discriminator):
    return keras.optimizers.SGD(generator), keras.optimizers.SGD(discriminator)


@pytest.fixture
def x():
    """Examples [n, 3] of four kinds, one to each label."""
    rng = np.random.default_rng(1)
    return np.float32(rng.normal(size=(40, 3)) * 0.3 + labels(40)[:, None])


def labels(n=40):
    return np.arange(n) % 4


def given(kind, n=40):
    """What a model of the kind is told beside x."""
    sketches = np.random.default_rng(2).normal(size=(n, 2)).astype("float32")
    return {"GAN": None, "ConditionalGAN": labels(n), "TranslationGAN": sketches}[kind]


def generate(model, n=5, **arguments):
    """Examples from a model of any kind."""
    if isinstance(model, models.GAN):
        return model.generate(n, **arguments)
    if isinstance(model, models.ConditionalGAN):
        return model.generate(n, labels(n), **arguments)
    return model.translate(given("TranslationGAN", n), **arguments)


# What is reported


def test_nearest_distance_is_that_of_every_pair(rng):
    for x in (rng.normal(size=(9, 4)), 100 + rng.random((6, 3, 3, 2)), np.ones((5, 2)), rng.normal(size=(2, 1))):
        flat = x.reshape(len(x), -1)
        nearest = [min(np.linalg.norm(a - b) for j, b in enumerate(flat) if i != j) for i, a in enumerate(flat)]
        np.testing.assert_allclose(array(nearest_distance(np.float32(x))), np.mean(nearest), rtol=1e-3, atol=1e-3)


def test_nearest_distance_of_a_batch_of_one_is_finite_and_not_0():
    assert 0 < array(nearest_distance(np.ones((1, 3), "float32"))) < np.inf


def test_ranked_rightly_counts_every_pair_and_half_of_the_draws(rng):
    real, fake = rng.integers(0, 4, size=(7, 1)), rng.integers(0, 4, size=(7, 1))
    share = np.mean([(r > f) + 0.5 * (r == f) for r in real[:, 0] for f in fake[:, 0]])
    assert 0 < share < 1 and (real == fake.T).any()
    np.testing.assert_allclose(array(ranked_rightly(np.float32(real), np.float32(fake))), share, rtol=1e-6)
    assert array(ranked_rightly(np.float32([3, 4]), np.float32([1, 2]))) == 1
    assert array(ranked_rightly(np.float32([0, 0]), np.float32([0, 0]))) == 0.5


@trains
def test_the_logs_are_those_of_the_averaged_generator_on_the_held_out_batch(x, monkeypatch):
    """Written again in NumPy, for one batch and the same z."""
    model = make()
    model.fit(x, epochs=2, **FIT)
    z = np.random.default_rng(3).normal(size=(40, 2)).astype("float32")
    before = weights(model)
    monkeypatch.setattr(model, "draw", lambda n, *rest: ops.convert_to_tensor(z))
    logs = model.evaluate(x, batch_size=40, verbose=0, return_dict=True)
    fake = array(model.average.network(z))
    assert np.abs(fake - array(model.generator(z))).max() > 1e-4
    real_score, fake_score = (np.float64(array(model.discriminator(part)))[:, 0] for part in (x, fake))
    apart = [
        np.mean([np.sort(np.linalg.norm(part - row, axis=1))[1] for row in np.float64(part)]) for part in (fake, x)
    ]
    expected = {
        "discriminator_loss": np.mean(np.log1p(np.exp(-real_score)) + np.log1p(np.exp(fake_score))),
        "generator_loss": np.mean(np.log1p(np.exp(-fake_score))),
        "accuracy": np.mean(real_score[:, None] > fake_score),
        "diversity": apart[0] / apart[1],
    }
    assert set(logs) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(logs[name], value, rtol=1e-3, err_msg=name)
    assert same(weights(model), before), "evaluation moves nothing"


@trains
@pytest.mark.parametrize("kind", ["GAN", "TranslationGAN"])
def test_history_holds_the_terms_with_and_without_validation_and_no_loss(kind, x):
    model, y = make(kind), given(kind)
    held_out = x[:20] if y is None else (x[:20], y[:20])
    history = model.fit(x, y, validation_data=held_out, epochs=2, **FIT).history
    assert set(history) == LOGS | {f"val_{name}" for name in LOGS}
    assert all(len(values) == 2 and np.isfinite(values).all() for values in history.values())
    assert set(model.fit(x, y, **FIT).history) == LOGS


# A step


def by_differences(value, at, step=1e-6):
    """Gradient of a function of a vector, in float64."""
    return np.array([(value(at + bump) - value(at - bump)) / (2 * step) for bump in step * np.eye(len(at))])


def cross_entropy(real, fake):
    return np.logaddexp(0, -real) + np.logaddexp(0, fake)


LOSSES = {
    "minimax": (cross_entropy, lambda fake: -np.logaddexp(0, fake)),
    "non-saturating": (cross_entropy, lambda fake: np.logaddexp(0, -fake)),
    "hinge": (lambda r, f: np.clip(1 - r, 0, None) + np.clip(1 + f, 0, None), lambda fake: -fake),
    "wasserstein": (lambda r, f: f - r, lambda fake: -fake),
}


@trains
@pytest.mark.parametrize("r1", [0.0, 0.7])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_step_is_a_move_of_the_discriminator_and_then_one_of_the_generator(loss, r1, rng, monkeypatch):
    """On the pair x = a z + b and D = w x + c: each follows its own loss down, with z of its own."""
    pair = [keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]) for _ in range(2)]
    model = models.GAN(*pair, loss=loss, r1=r1)
    model.compile(*sgd(0.3, 0.2), run_eagerly=True)
    a_b, w_c = np.array([0.8, -0.2]), np.array([0.5, 0.1])
    for part, (slope, shift) in zip(pair, (a_b, w_c), strict=True):
        part.set_weights([np.full((1, 1), slope), np.full(1, shift)])
    x = np.float32(rng.normal(size=(12, 1)) + 1)
    zs = np.float32(rng.normal(size=(2, 12, 1)))
    draws = iter(zs)
    monkeypatch.setattr(model, "draw", lambda n, *rest: ops.convert_to_tensor(next(draws)))
    model.fit(x, batch_size=12, shuffle=False, verbose=0)

    of_discriminator, of_generator = LOSSES[loss]
    first, second = np.float64(zs)
    fake = a_b[0] * first + a_b[1]
    w_c = w_c - 0.2 * by_differences(
        lambda p: np.mean(of_discriminator(p[0] * x + p[1], p[0] * fake + p[1])) + r1 * 0.5 * p[0] ** 2, w_c
    )
    a_b = a_b - 0.3 * by_differences(
        lambda p: np.mean(of_generator(w_c[0] * (p[0] * second + p[1]) + w_c[1])), a_b
    )
    for part, expected in zip(pair, (a_b, w_c), strict=True):
        np.testing.assert_allclose([v.item() for v in part.get_weights()], expected, rtol=1e-4, atol=1e-5)


@trains
@every_kind
@pytest.mark.parametrize("mover", ["generator", "discriminator"])
def test_a_move_changes_its_own_network_only(kind, mover, x):
    """With a rate of zero for the other one: no weight of it moves, every one of the mover's does."""
    model = make(
        kind, sgd(*((0.1, 0.0) if mover == "generator" else (0.0, 0.1))), loss="wasserstein", r1=0.1, eager=True
    )
    before = {name: weights(getattr(model, name)) for name in ("generator", "discriminator")}
    model.fit(x, given(kind), **FIT)
    for name, old in before.items():
        new = weights(getattr(model, name))
        assert not same(new, old) if name == mover else same(new, old)


@trains
def test_a_move_trains_its_own_network_only_with_momentum_and_spectral_normalisation(x):
    """Steps of Adam in both players, weights read before and after every update by either optimizer."""
    inputs, z = keras.Input((3,)), keras.Input((2,))
    score = SpectralNormalization(keras.layers.Dense(1))(inputs)
    model = models.GAN(keras.Model(z, keras.layers.Dense(3)(z)), keras.Model(inputs, score))
    players = {"generator": model.generator, "discriminator": model.discriminator}
    optimizers = {name: keras.optimizers.Adam(0.1) for name in players}
    model.compile(*optimizers.values(), run_eagerly=True)
    moves = []

    def trained():
        return {name: [array(v).copy() for v in player.trainable_variables] for name, player in players.items()}

    def watched(name, apply):
        def step(gradients, variables):
            before = trained()
            apply(gradients, variables)
            after = trained()
            moves.append((name, {player for player in players if not same(before[player], after[player])}))

        return step

    for name, optimizer in optimizers.items():
        optimizer.apply = watched(name, optimizer.apply)
    model.fit(x, batch_size=10, verbose=0)
    assert moves == 4 * [("discriminator", {"discriminator"}), ("generator", {"generator"})]


@trains
@pytest.mark.parametrize(
    ("kind", "other"), [("ConditionalGAN", (labels() + 1) % 4), ("TranslationGAN", np.ones((40, 2)))]
)
def test_both_players_see_what_they_are_told(kind, other, x):
    """Another condition, all else alike: another step of each player."""
    found = []
    for y in (given(kind), np.asarray(other, given(kind).dtype)):
        model = make(kind, sgd(0.1, 0.1), eager=True)
        model.fit(x, y, batch_size=40, shuffle=False, verbose=0)
        found.append((weights(model.generator), weights(model.discriminator)))
    assert not same(found[0][0], found[1][0]) and not same(found[0][1], found[1][1])


@trains
def test_the_running_mean_follows_the_generator(x, monkeypatch):
    """Two steps: the mean of the weights after each, the first with half the weight."""
    model = make(averaging=0.5, eager=True)
    model.fit(x, batch_size=40, verbose=0)
    first = weights(model.generator)
    model.fit(x, batch_size=40, verbose=0)
    for mean, one, two in zip(weights(model.average.network), first, weights(model.generator), strict=True):
        np.testing.assert_allclose(mean, (one + 2 * two) / 3, rtol=1e-4, atol=1e-6)


@trains
def test_a_normal_is_learned():
    rng = np.random.default_rng(0)
    data = np.float32(rng.normal(2.0, 0.5, size=(1024, 1)))
    keras.utils.set_random_seed(0)
    model = models.GAN(network((1,), 1, (16,)), network((1,), 1, (16, 16)), r1=0.1)
    model.compile(*(keras.optimizers.Adam(rate, beta_1=0.0) for rate in (4e-3, 8e-3)))
    model.fit(data, batch_size=128, epochs=40, verbose=0)
    found = model.generate(4000)
    assert abs(found.mean() - 2) < 0.15 and 0.35 < found.std() < 0.65


@trains
def test_labels_are_learned():
    """Examples around -2, 0 and 2: those of a label are made where that label's are."""
    rng, y = np.random.default_rng(0), np.arange(768) % 3
    data = np.float32(2.0 * y[:, None] - 2 + 0.2 * rng.normal(size=(768, 1)))
    keras.utils.set_random_seed(0)
    model = models.ConditionalGAN(network((1, 3), 1, (16,)), network((1, 3), 1, (16, 16)), r1=0.1)
    model.compile(*(keras.optimizers.Adam(rate, beta_1=0.0) for rate in (4e-3, 8e-3)))
    model.fit(data, y, batch_size=128, epochs=50, verbose=0)
    for label in range(3):
        assert abs(model.generate(500, label).mean() - (2 * label - 2)) < 0.4


# What is generated


@every_kind
def test_held_latents_are_what_is_decoded_by_the_averaged_generator(kind, rng):
    model = make(kind)
    for variable in model.average.network.variables:
        variable.assign(np.float32(rng.normal(size=variable.shape)))
    z, told = np.float32(rng.normal(size=(600, 2))), given(kind, 600)
    second = [np.eye(4, dtype="float32")[told]] if kind == "ConditionalGAN" else [told] if told is not None else []
    expected = array(model.average.network([z, *second] if second else z))
    np.testing.assert_allclose(
        generate(model, 600, latents={1: z}, temperature=0.1), expected, rtol=1e-4, atol=1e-5
    )


@every_kind
def test_every_draw_is_another_one_and_temperature_scales_it(kind):
    """At 0 every z is the middle, so what a model makes depends on what it is told alone."""
    model = make(kind)
    first, second = generate(model), generate(model)
    assert first.shape == (5, 3) and np.abs(first - second).min() > 0
    np.testing.assert_array_equal(generate(model, temperature=0), generate(model, temperature=0))
    # With a linear generator the variance of the examples is that of z.
    linear = make(hidden=())
    wide, narrow = linear.generate(4000), linear.generate(4000, temperature=0.5)
    np.testing.assert_allclose(narrow.std(0) / wide.std(0), 0.5, rtol=0.1)


def test_one_label_stands_for_all_of_them(rng):
    model, z = make("ConditionalGAN"), {1: np.float32(rng.normal(size=(3, 2)))}
    np.testing.assert_array_equal(model.generate(3, 2, z), model.generate(3, [2, 2, 2], z))
    assert np.abs(model.generate(3, 1, z) - model.generate(3, 2, z)).max() > 1e-3
    assert model.classes == 4


def test_sketches_and_z_both_matter(rng):
    model, z = make("TranslationGAN"), np.float32(rng.normal(size=(2, 2)))
    sketches = np.float32(rng.normal(size=(2, 2)))
    x = model.translate(sketches, {1: z})
    assert np.abs(model.translate(sketches, {1: z[::-1]}) - x).max() > 1e-4
    assert np.abs(model.translate(sketches[::-1], {1: z}) - x).max() > 1e-4


@every_kind
def test_none_can_be_asked_for(kind):
    assert generate(make(kind), 0).shape == (0, 3)


# Manners


def count_moves(model):
    """Count how often the step is traced."""
    counts, original = [], model.moves

    def counting(*args):
        counts.append(1)
        return original(*args)

    model.moves = counting
    return counts


@trains
@pytest.mark.parametrize("kind", ["GAN", "ConditionalGAN"])
def test_reinitialised_with_a_seed_the_same_run_follows_without_a_trace(kind, x):
    model, y = make(kind, r1=0.1), given(kind)
    counts, runs = count_moves(model), []
    for seed in (1, 2, 1):
        model.reinitialise(seed)
        assert not model.trained
        assert all(int(optimizer.iterations) == 0 for optimizer, _ in model.optimized())
        start = weights(model.generator)
        runs.append((start, model.fit(x, y, epochs=2, **FIT).history["generator_loss"], weights(model)))
        assert model.trained
    assert same(runs[0][0], runs[2][0]) and not same(runs[0][0], runs[1][0])
    assert runs[0][1] == runs[2][1] != runs[1][1]
    assert same(runs[0][2], runs[2][2])
    assert len(counts) == 1


@trains
@every_kind
def test_saved_and_loaded_it_goes_on_as_if_nothing_had_been(kind, x, tmp_path):
    model, y = make(kind, loss="hinge", r1=0.3, averaging=0.9), given(kind)
    model.fit(x, y, **FIT)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model)
    assert (loaded.loss_name, loaded.r1, loaded.averaging, loaded.trained) == ("hinge", 0.3, 0.9, True)
    np.testing.assert_array_equal(generate(model), generate(loaded))
    histories = []
    for one in (model, loaded):
        keras.utils.set_random_seed(5)
        histories.append(one.fit(x, y, **FIT).history)
    assert histories[0] == histories[1]
    assert same(weights(model), weights(loaded))
    for (one, _), (other, _) in zip(model.optimized(), loaded.optimized(), strict=True):
        assert same([array(v) for v in one.variables], [array(v) for v in other.variables])


@trains
@pytest.mark.parametrize("kind", ["GAN", "ConditionalGAN"])
def test_a_dataset_trains_like_arrays(kind, x):
    import tensorflow as tf

    y = given(kind)
    dataset = tf.data.Dataset.from_tensor_slices(x if y is None else (x, y)).batch(16)
    expected = make(kind).fit(x, y, shuffle=False, **FIT).history
    found = make(kind).fit(dataset, verbose=0).history
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5)


def test_each_player_has_an_optimizer_of_its_own():
    model = make(optimizers=(None, None))
    (generator, its), (discriminator, others) = model.optimized()
    assert float(discriminator.learning_rate) == pytest.approx(2 * float(generator.learning_rate))
    assert {id(v) for v in its} == {id(v) for v in model.generator.trainable_variables}
    assert {id(v) for v in others} == {id(v) for v in model.discriminator.trainable_variables}
    one = keras.optimizers.Adam()
    with pytest.raises(ValueError, match="are one object; make one for each"):
        model.compile(one, one)


def test_the_averaged_weights_are_not_trained():
    model = make()
    assert len(model.trainable_variables) == 8, "two networks of two dense layers"


# Trouble


@trains
def test_a_term_that_is_not_finite_is_named(x):
    """Scores beyond float32: for D both losses of the cross-entropy, for G log p(real|x) is 0, and finite."""
    entry = keras.Input((3,))
    positive = keras.layers.Activation("exponential")(keras.layers.Dense(1)(entry))
    huge = keras.layers.Rescaling(1e38)(keras.layers.Rescaling(1e38)(positive))
    model = models.GAN(network((2,), 3), keras.Model(entry, huge))
    model.compile()
    with pytest.raises(
        FloatingPointError, match="epoch 1, at step 1: discriminator_loss became NaN or infinite.$"
    ):
        model.fit(x, **FIT)


@trains
def test_weights_that_are_not_finite_are_suspected_when_both_losses_go_at_once(x):
    model = make(optimizers=sgd(1e30, 1e30), eager=True)
    with pytest.raises(
        FloatingPointError, match="step 2: discriminator_loss, generator_loss .* lower learning rate"
    ):
        model.fit(x, **FIT)


@trains
def test_bad_data_that_are_not_looked_at_before_stop_training_at_their_step(x):
    import tensorflow as tf

    x[20] = np.nan
    with pytest.raises(FloatingPointError, match="epoch 1, at step 2: the data x held NaN"):
        make(eager=True).fit(tf.data.Dataset.from_tensor_slices(x).batch(16), verbose=0)


def with_nan(x):
    bad = np.array(x)
    bad[7, 0] = np.nan
    return bad


@trains
@pytest.mark.parametrize(
    ("kind", "call", "message"),
    [
        ("GAN", lambda m, x, y: m.fit(x, labels()), "y was given, but this model is not told anything"),
        ("GAN", lambda m, x, y: m.evaluate(x, labels()), "y was given, but this model is not told"),
        ("GAN", lambda m, x, y: m.fit(x, validation_data=(x, labels())), r"validation_data\[1\] was given"),
        ("GAN", lambda m, x, y: m.fit(x, sample_weight=np.ones(40)), "sample_weight was given"),
        ("GAN", lambda m, x, y: m.fit(x[:, :2]), r"x has examples of shape \(2,\); the model takes \(3,\)"),
        ("GAN", lambda m, x, y: m.fit(with_nan(x)), "x holds NaN or infinite values, first in example 7"),
        ("GAN", lambda m, x, y: m.fit(x, validation_data=with_nan(x)), "validation_data holds NaN"),
        ("GAN", lambda m, x, y: m.fit(iter([x])), "x is an array or a tf.data.Dataset; got list_iterator"),
        ("ConditionalGAN", lambda m, x, y: m.fit(x), "x came alone, but this model is told what to make"),
        ("ConditionalGAN", lambda m, x, y: m.fit(x, y, validation_data=x), "validation_data came alone"),
        ("ConditionalGAN", lambda m, x, y: m.fit(x, y + 1), r"y\[3\] is 4; the labels are 0 to 3"),
        ("ConditionalGAN", lambda m, x, y: m.fit(x, y - 1), r"y\[0\] is -1; the labels are 0 to 3"),
        ("ConditionalGAN", lambda m, x, y: m.fit(x, y[:39]), r"40 labels.* got int64 of shape \(39,\)"),
        ("ConditionalGAN", lambda m, x, y: m.fit(x, y / 1.0), r"integers of shape \(40,\); got float64"),
        ("ConditionalGAN", lambda m, x, y: m.fit(x, np.eye(4)[y]), r"got float64 of shape \(40, 4\)"),
        (
            "ConditionalGAN",
            lambda m, x, y: m.fit(x, y, validation_data=(x, y + 1)),
            r"validation_data\[1\]\[3\] is 4",
        ),
        ("TranslationGAN", lambda m, x, y: m.fit(x), "x came alone"),
        (
            "TranslationGAN",
            lambda m, x, y: m.fit(x, y[:, :1]),
            r"y holds 40 sketches of shape \(2,\); got shape \(40, 1\)",
        ),
        ("TranslationGAN", lambda m, x, y: m.fit(x, y[:9]), r"y holds 40 sketches .* got shape \(9, 2\)"),
        ("TranslationGAN", lambda m, x, y: m.fit(x, with_nan(y)), "y holds NaN or infinite values"),
        ("TranslationGAN", lambda m, x, y: m.fit(with_nan(x), y), "x holds NaN or infinite values"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(kind, call, message, x):
    model = make(kind, eager=True)
    before = weights(model)
    with pytest.raises(ValueError, match=message):
        call(model, x, given(kind))
    assert same(weights(model), before)


@trains
@pytest.mark.parametrize(("kind", "yields"), [("GAN", "x alone"), ("TranslationGAN", r"\(x, y\)")])
def test_a_dataset_of_another_kind_is_refused(kind, yields, x):
    import tensorflow as tf

    parts = (x, labels()) if kind == "GAN" else x
    with pytest.raises(ValueError, match=f"x is a dataset that yields {yields}"):
        make(kind).fit(tf.data.Dataset.from_tensor_slices(parts).batch(16), verbose=0)


@pytest.mark.parametrize(
    ("kind", "call", "message"),
    [
        ("GAN", lambda m: m.generate(2, {2: np.zeros((2, 2))}), "level 2; the levels are 1 to 1"),
        ("GAN", lambda m: m.generate(3, {1: np.zeros((2, 2))}), "holds 2 draws; n is 3"),
        ("GAN", lambda m: m.generate(2, {1: np.zeros((2, 5))}), r"z of shape \(5,\); the level has \(2,\)"),
        ("ConditionalGAN", lambda m: m.generate(2, 4), r"labels\[0\] is 4; the labels are 0 to 3"),
        ("ConditionalGAN", lambda m: m.generate(2, [0, -1]), r"labels\[1\] is -1"),
        ("ConditionalGAN", lambda m: m.generate(2, [0, 1, 2]), r"labels holds 2 labels.* of shape \(3,\)"),
        ("ConditionalGAN", lambda m: m.generate(2, 1.0), "integers of shape .*; got float64"),
        ("ConditionalGAN", lambda m: m.generate(2, None), "integers of shape .*; got object"),
        (
            "TranslationGAN",
            lambda m: m.translate(np.zeros((3, 5))),
            r"3 sketches of shape \(2,\); got shape \(3, 5\)",
        ),
        ("TranslationGAN", lambda m: m.translate(np.full((3, 2), np.inf)), "sketches holds NaN or infinite"),
        (
            "TranslationGAN",
            lambda m: m.translate(np.zeros((3, 2)), {1: np.zeros((2, 2))}),
            "holds 2 draws; n is 3",
        ),
    ],
)
def test_what_cannot_be_made_is_refused(kind, call, message):
    with pytest.raises(ValueError, match=message):
        call(make(kind))


class Unknown(keras.Model):
    """Made of layers, but without a place where inputs come in."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(3)

    def call(self, z):
        return self.dense(z)


def unknown():
    model = Unknown()
    model(np.zeros((1, 2), "float32"))
    return model


@pytest.mark.parametrize(
    ("make_model", "message"),
    [
        (lambda: models.GAN(network((2,), 3), network((4,), 1)), r"examples of shape \(3,\), the .* takes \(4,\)"),
        (lambda: models.GAN(network((2, 4), 3), network((3,), 1)), "generator takes one input; it has 2"),
        (lambda: models.GAN(network((2,), 3), network((3, 4), 1)), "discriminator takes one input; it has 2"),
        (lambda: models.ConditionalGAN(network((2,), 3), network((3, 4), 1)), "generator takes two inputs"),
        (lambda: models.ConditionalGAN(network((2, 4), 3), network((3, 5), 1)), "the second inputs differ"),
        (lambda: models.TranslationGAN(network((2, 4), 3), network((3,), 1)), "discriminator takes two inputs"),
        (lambda: models.GAN(keras.Sequential([keras.layers.Dense(3)]), network((3,), 1)), "knows its input shape"),
        (lambda: models.GAN(unknown(), network((3,), 1)), "generator is a keras.Model that knows its input shape"),
        (lambda: models.GAN("dense", network((3,), 1)), "knows its input shape; got 'dense'"),
        (
            lambda: models.GAN(keras.Sequential([keras.Input((2, 2)), keras.layers.Flatten()]), network((4,), 1)),
            r"z of shape \[batch, latent\]",
        ),
        (lambda: make(loss="lsgan"), "loss is one of minimax, .*; got 'lsgan'"),
        (lambda: make(r1=-1), "r1 is the weight of a penalty, at least 0; got -1"),
        (lambda: make(averaging=1.0), "averag.* at least 0 and below 1; got 1.0"),
    ],
)
def test_what_does_not_fit_together_is_refused(make_model, message):
    with pytest.raises(ValueError, match=message):
        make_model()


def test_fit_before_compile_is_refused(x):
    if BACKEND != "tensorflow":
        pytest.skip("adversarial models train on TensorFlow")
    with pytest.raises(ValueError, match="compile"):
        models.GAN(network((2,), 3), network((3,), 1)).fit(x)


# On JAX

TRAINED_ELSEWHERE = """
import sys
sys.path.insert(0, sys.argv[2])
import numpy as np
from test_adversarial_models import given, make
model = make("ConditionalGAN")
x = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
model.fit(x, given("ConditionalGAN"), batch_size=16, verbose=0)
model.save(sys.argv[1] + "/model.keras")
z = np.random.default_rng(1).normal(size=(6, 2)).astype("float32")
np.save(sys.argv[1] + "/made.npy", model.generate(6, np.arange(6) % 4, {1: z}))
"""

if BACKEND == "jax":

    @every_kind
    def test_training_on_jax_is_refused(kind, x):
        model = make(kind)
        for call in (model.fit, model.evaluate):
            with pytest.raises(RuntimeError, match="on TensorFlow; KERAS_BACKEND is 'jax'"):
                call(x, given(kind))

    def test_what_tensorflow_trained_generates_on_jax(tmp_path):
        import os
        from pathlib import Path

        subprocess.run(
            [sys.executable, "-c", TRAINED_ELSEWHERE, str(tmp_path), str(Path(__file__).parent)],
            env={**os.environ, "KERAS_BACKEND": "tensorflow"},
            check=True,
        )
        model = keras.saving.load_model(tmp_path / "model.keras")
        z = np.random.default_rng(1).normal(size=(6, 2)).astype("float32")
        found = model.generate(6, np.arange(6) % 4, {1: z})
        np.testing.assert_allclose(found, np.load(tmp_path / "made.npy"), rtol=1e-4, atol=1e-5)
