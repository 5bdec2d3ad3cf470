"""MultiLevelGAN: levels that learn from their own discriminator only, trained alone and together."""

import numpy as np
import pytest
from small_models import array, same, weights

from hvae_keras import models
from hvae_keras.backend import BACKEND, keras, ops
from hvae_keras.layers import image_discriminator, image_generator, image_refiner

TERMS = ("discriminator_loss", "generator_loss", "accuracy", "diversity")
FIT = {"batch_size": 8, "shuffle": False, "verbose": 0}
trains = pytest.mark.skipif(BACKEND != "tensorflow", reason="adversarial models train on TensorFlow")
two_and_three = pytest.mark.parametrize("levels", [2, 3])


def shape(level, levels):
    """Of the examples of a level: 2 numbers at the top, twice as many a level."""
    return (2 * 2 ** (levels - level),)


def dense(inputs, outputs, activation=None):
    """One hidden layer from one vector, or from two beside each other."""
    entries = [keras.Input((size,)) for size in inputs]
    h = keras.layers.Concatenate()(entries) if len(entries) > 1 else entries[0]
    h = keras.layers.Dense(6, "leaky_relu")(h)
    return keras.Model(entries if len(entries) > 1 else entries[0], keras.layers.Dense(outputs, activation)(h))


def make_pair(level, levels, classes=0):
    """The players of a level; z of level i has i + 1 numbers."""
    (size,) = shape(level, levels)
    told = shape(level + 1, levels) if level < levels else (classes,) if classes else ()
    kind = models.TranslationGAN if level < levels else models.ConditionalGAN if classes else models.GAN
    return kind(dense((level + 1, *told), size, "sigmoid"), dense((size, *told), 1))


def make(levels=2, classes=0, share=0.5, seed=0, compiled=True, rates=None):
    """Every level with Adam, or with plain gradient descent at `rates` (level -> rate of both players)."""
    keras.utils.set_random_seed(seed)
    model = models.MultiLevelGAN([make_pair(i, levels, classes) for i in range(1, levels + 1)], share)
    if compiled:
        optimizers = None
        if rates:
            optimizers = [tuple(keras.optimizers.SGD(rates[i]) for _ in range(2)) for i in range(1, levels + 1)]
        model.compile(optimizers, run_eagerly=bool(rates))
    return model


def pictures(levels=2, n=24):
    """[x_1, ..., x_L], each level the means of two numbers of the one below."""
    x = [np.random.default_rng(0).random((n, *shape(1, levels))).astype("float32")]
    for _ in range(1, levels):
        x.append(x[-1].reshape(n, -1, 2).mean(-1))
    return x


def scrambled(model, seed=0):
    """Random weights everywhere, also in the averaged networks, as after an update."""
    rng = np.random.default_rng(seed)
    for pair in model.pairs:
        for part in (pair.generator, pair.discriminator, pair.average.network):
            for variable in part.variables:
                variable.assign(np.float32(rng.normal(size=variable.shape)))
        pair.average.mass.assign(1.0)
    return model


def noise(model, n, seed=0):
    rng = np.random.default_rng(seed)
    return {i: np.float32(rng.normal(size=(n, *s))) for i, s in enumerate(model.latent_shapes, 1)}


# The whole path


@trains
@pytest.mark.parametrize(("levels", "classes"), [(2, 3), (3, 0)])
def test_of_images_trained_together_it_draws_every_level_and_reports_each(levels, classes):
    """The convolutional networks, from sketches of 2×2 pixels; each level doubles the sides."""
    keras.utils.set_random_seed(0)
    shapes = [(2 * 2**i, 2 * 2**i, 1) for i in range(levels)][::-1]
    below = [
        models.TranslationGAN(
            image_refiner(2, small, large, (2, 3, 3)), image_discriminator(large, (3,), small), loss="hinge"
        )
        for large, small in zip(shapes[:-1], shapes[1:], strict=True)
    ]
    top = image_generator(2, shapes[-1], (3,), classes), image_discriminator(shapes[-1], (3,), classes=classes)
    model = models.MultiLevelGAN([*below, (models.ConditionalGAN if classes else models.GAN)(*top, r1=0.1)])
    model.compile()
    rng = np.random.default_rng(0)
    x = [rng.random((16, *of_level)).astype("float32") for of_level in shapes]
    y = np.arange(16) % 3 if classes else None
    history = model.fit(x, y, validation_data=(x, y) if classes else x, epochs=2, **FIT).history
    logs = {f"{term}_{level}" for term in TERMS for level in range(1, levels + 1)}
    assert set(history) == logs | {f"val_{name}" for name in logs}
    assert all(np.isfinite(values).all() for values in history.values())
    for level, of_level in enumerate(shapes, 1):
        made = model.generate(5, level=level, labels=np.arange(5) % 3 if classes else None)
        assert made.shape == (5, *of_level)
        assert made.min() >= 0 and made.max() <= 1
    assert set(model.evaluate(x, y, verbose=0, return_dict=True)) == logs


@two_and_three
def test_pictures_come_from_the_top_down(levels):
    """With every z held: each level by hand, the averaged generator on what the level above made."""
    model = scrambled(make(levels))
    z = noise(model, 4)
    x = array(model.top.average.network(z[levels]))
    for level in range(levels, 0, -1):
        if level < levels:
            x = array(model.level(level).average.network([z[level], x]))
        np.testing.assert_allclose(model.generate(4, z, level=level), x, rtol=1e-4, atol=1e-5)


@two_and_three
def test_a_level_held_the_levels_below_redrawn_keeps_the_sketch(levels):
    model = scrambled(make(levels))
    held = {levels: noise(model, 4)[levels]}
    sketch = model.generate(4, held, level=levels)
    np.testing.assert_array_equal(model.generate(4, held, level=levels), sketch)
    first, second = model.generate(4, held), model.generate(4, held)
    assert np.abs(first - second).max() > 1e-3, "other details"
    # And the picture is one of that sketch: the level below, asked by itself, makes it.
    z = noise(model, 4, seed=1) | held
    x = sketch
    for level in range(levels - 1, 0, -1):
        x = model.level(level).translate(x, {1: z[level]})
    np.testing.assert_array_equal(model.generate(4, z), x)


@two_and_three
def test_from_the_same_seed_a_level_is_what_the_level_below_was_given(levels):
    """Without any z held: the draws of the levels above do not hang on where one stops."""
    made = {}
    for level in range(1, levels + 1):
        model = scrambled(make(levels))
        made[level] = model.generate(4, level=level)
    model = scrambled(make(levels))
    z = {level: array(model.level(level).draw(4)) for level in range(1, levels + 1)}
    for level in range(1, levels):
        expected = model.level(level).translate(made[level + 1], {1: z[level]})
        np.testing.assert_allclose(made[level], expected, rtol=1e-5, atol=1e-6)


def test_temperature_is_a_factor_on_what_is_drawn_and_not_on_what_is_held():
    model = scrambled(make())
    z = noise(model, 4)
    np.testing.assert_array_equal(model.generate(4, z, temperature=0), model.generate(4, z))
    zero = {level: np.zeros_like(part) for level, part in z.items()}
    np.testing.assert_allclose(model.generate(4, temperature=0), model.generate(4, zero), atol=1e-6)
    assert np.abs(model.generate(4, {2: z[2]}, temperature=0) - model.generate(4, zero)).max() > 1e-4


def test_labels_reach_the_picture():
    model = scrambled(make(classes=3))
    z = noise(model, 1)
    x = [model.generate(1, z, labels=label) for label in range(3)]
    assert min(np.abs(x[i] - x[j]).max() for i in range(3) for j in range(i)) > 1e-3


# Who learns from whom


@trains
@two_and_three
def test_a_level_trained_alone_leaves_the_others_as_they_are(levels):
    model, x = make(levels, compiled=False), pictures(levels)
    for level in range(1, levels + 1):
        pair = model.level(level)
        pair.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1), run_eagerly=True)
        before = [weights(other) for other in model.pairs]
        pair.fit(x[level - 1], None if level == levels else x[level], **FIT)
        assert [same(weights(one), old) for one, old in zip(model.pairs, before, strict=True)] == [
            i != level for i in range(1, levels + 1)
        ]


@trains
@two_and_three
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_together_a_level_moves_as_it_does_alone_on_the_same_draws(levels, share, monkeypatch):
    """Three steps, with z by the number of its draw: the weights are those of the levels trained alone.

    Below the top that is so at a share of 0, where a level is given the sketches of the data. The top never
    depends on what the levels below do.
    """

    def fixed(model):
        """z of a level always from one sequence; two draws a step: those for the level below come from another."""
        for i, pair in enumerate(model.pairs, 1):
            monkeypatch.setattr(pair, "draw", lambda n, *rest, i=i: zs[i][:n])
        return model

    rng, rates = np.random.default_rng(4), dict.fromkeys(range(1, levels + 1), 0.1)
    zs = {i: ops.convert_to_tensor(np.float32(rng.normal(size=(8, i + 1)))) for i in range(1, levels + 1)}
    x = pictures(levels)
    together, alone = fixed(make(levels, share=share, rates=rates)), fixed(make(levels, share=share, rates=rates))
    assert same(weights(together), weights(alone))
    together.fit(x, **FIT)
    for level in range(1, levels + 1):
        alone.level(level).fit(x[level - 1], None if level == levels else x[level], **FIT)
        equal = [
            np.allclose(one, other, rtol=1e-4, atol=1e-5)
            for part in ("generator", "discriminator")
            for one, other in zip(
                *(weights(getattr(model.level(level), part)) for model in (together, alone)), strict=True
            )
        ]
        assert all(equal) == (share == 0 or level == levels)


@trains
@two_and_three
def test_no_gradient_of_a_level_reaches_another_one(levels):
    """A level with rates of zero stays to the bit while the others, given what it draws, move."""
    x = pictures(levels)
    for resting in range(1, levels + 1):
        rates = {i: 0.0 if i == resting else 0.3 for i in range(1, levels + 1)}
        model = make(levels, share=1.0, rates=rates)
        before = [(weights(pair.generator), weights(pair.discriminator)) for pair in model.pairs]
        model.fit([part[:8] for part in x], **FIT)
        for level, (pair, old) in enumerate(zip(model.pairs, before, strict=True), 1):
            for new, was in zip((weights(pair.generator), weights(pair.discriminator)), old, strict=True):
                assert same(new, was) == (level == resting)


@trains
def test_the_top_learns_the_same_whatever_the_levels_below_do():
    """The same seeds, level 1 at another rate: the top ends with the same weights, to the bit."""
    found = []
    for rate in (0.0, 0.5):
        model = make(3, share=1.0, rates={1: rate, 2: rate, 3: 0.1})
        model.fit(pictures(3), **FIT)
        found.append((weights(model.level(3)), weights(model.level(1).generator)))
    assert same(found[0][0], found[1][0]) and not same(found[0][1], found[1][1])


# The share of drawn sketches


@trains
@pytest.mark.parametrize(("share", "drawn"), [(0.0, 0), (0.25, 2), (0.5, 4), (1.0, 8)])
def test_that_share_of_a_batch_is_drawn_by_the_level_above(share, drawn, monkeypatch):
    """What level 1 is given: real pairs of the data, and for its own pictures that many sketches of level 2."""
    model, x = make(share=share, rates={1: 0.0, 2: 0.0}), [part[:8] for part in pictures()]
    given, original = [], model.level(1).play

    def play(real, real_condition, fake_condition):
        given.append([array(part) for part in (real, real_condition, fake_condition)])
        return original(real, real_condition, fake_condition)

    monkeypatch.setattr(model.level(1), "play", play)
    model.fit(x, **FIT)
    ((real, real_condition, fake_condition),) = given
    np.testing.assert_array_equal(real, x[0])
    np.testing.assert_array_equal(real_condition, x[1])
    from_data = np.array([np.array_equal(one, other) for one, other in zip(fake_condition, x[1], strict=True)])
    assert (~from_data).sum() == drawn


@trains
def test_what_is_given_from_above_is_what_the_averaged_generator_makes(monkeypatch):
    model, x = make(3, share=1.0, rates={1: 0.0, 2: 0.0, 3: 0.0}), [part[:8] for part in pictures(3)]
    z, given = noise(model, 8), {}
    for i, pair in enumerate(model.pairs, 1):
        monkeypatch.setattr(pair, "draw", lambda n, *rest, i=i: ops.convert_to_tensor(z[i]))

        def play(real, real_condition, fake_condition, i=i, original=pair.play):
            given[i] = fake_condition
            return original(real, real_condition, fake_condition)

        monkeypatch.setattr(pair, "play", play)
    model.fit(x, **FIT)
    assert given[3] is None
    for level in (2, 1):
        expected = model.generate(8, z, level=level + 1)
        np.testing.assert_allclose(array(given[level]), expected, rtol=1e-4, atol=1e-5)


# Manners


@trains
@two_and_three
def test_saved_and_loaded_it_goes_on_as_if_nothing_had_been(levels, tmp_path):
    model, x = make(levels, share=0.25), pictures(levels)
    model.fit(x, **FIT)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded, models.MultiLevelGAN) and loaded.generated_share == 0.25
    assert [type(pair) for pair in loaded.pairs] == [type(pair) for pair in model.pairs]
    np.testing.assert_array_equal(model.generate(4), loaded.generate(4))
    histories = []
    for one in (model, loaded):
        keras.utils.set_random_seed(5)
        histories.append(one.fit(x, batch_size=8, verbose=0).history)
    assert histories[0] == histories[1]
    assert same(weights(model), weights(loaded))
    assert len(model.optimized()) == len(loaded.optimized()) == 2 * levels
    for (one, _), (other, _) in zip(model.optimized(), loaded.optimized(), strict=True):
        assert same([array(v) for v in one.variables], [array(v) for v in other.variables])


@trains
def test_levels_trained_alone_are_saved_with_the_whole(tmp_path):
    model, x = make(classes=3), pictures()
    model.level(2).fit(x[1], np.arange(24) % 3, **FIT)
    model.level(1).fit(x[0], x[1], **FIT)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert same(weights(model), weights(loaded))
    np.testing.assert_array_equal(model.generate(4, labels=2), loaded.generate(4, labels=2))


@trains
def test_reinitialised_with_a_seed_the_same_run_follows_without_a_trace():
    model, x = make(), pictures()
    original, traces, runs = model.moves, [], []

    def counting(*args):
        traces.append(1)
        return original(*args)

    model.moves = counting
    for seed in (1, 2, 1):
        model.reinitialise(seed)
        assert not any(pair.trained for pair in model.pairs)
        runs.append((model.fit(x, **FIT).history, weights(model)))
    assert runs[0][0] == runs[2][0] != runs[1][0]
    assert same(runs[0][1], runs[2][1]) and not same(runs[0][1], runs[1][1])
    assert len(traces) == 1


@trains
@pytest.mark.parametrize("classes", [0, 3])
def test_a_dataset_trains_like_arrays(classes):
    import tensorflow as tf

    x, y = pictures(), np.arange(24) % 3
    parts = (tuple(x), y) if classes else (tuple(x),)
    dataset = tf.data.Dataset.from_tensor_slices(parts).batch(8)
    expected = make(classes=classes).fit(x, y if classes else None, **FIT).history
    found = make(classes=classes).fit(dataset, verbose=0).history
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4, err_msg=name)


def test_a_level_is_a_model_with_z_of_its_own():
    model = make(3)
    assert [model.level(i) for i in (1, 2, 3)] == model.pairs and model.top is model.pairs[2]
    assert model.latent_shapes == [(2,), (3,), (4,)] and model.levels == 3
    assert model.data_shape == shape(1, 3)
    assert len({id(v) for _, moved in model.optimized() for v in moved}) == len(model.trainable_variables)


def test_levels_keep_the_optimizers_they_were_compiled_with():
    model = make(compiled=False)
    model.level(1).compile(keras.optimizers.SGD(0.125), keras.optimizers.SGD(0.25))
    model.compile()
    rates = [float(optimizer.learning_rate) for optimizer, _ in model.optimized()]
    assert rates[:2] == [0.125, 0.25] and rates[2] == pytest.approx(2e-4)
    model.compile([(keras.optimizers.SGD(i), keras.optimizers.SGD(2 * i)) for i in (1.0, 2.0)])
    assert [float(optimizer.learning_rate) for optimizer, _ in model.optimized()] == [1, 2, 2, 4]


# Refusals


def test_a_level_that_is_not_trained_is_named():
    model = make(3)
    for level, pair in ((3, model.top), (2, model.level(2))):
        with pytest.raises(
            RuntimeError, match=rf"level {level} has not been trained: call fit, or level\({level}\)"
        ):
            model.generate(2)
        pair.average.update(pair.generator)
    assert model.generate(2, level=2).shape == (2, 4), "level 1 is not needed for that"
    with pytest.raises(RuntimeError, match="level 1 has not been trained"):
        model.generate(2)


@pytest.mark.parametrize(
    ("classes", "call", "message"),
    [
        (0, lambda m: m.level(0), "level is 1 to 2; got 0"),
        (0, lambda m: m.level(3), "level is 1 to 2; got 3"),
        (0, lambda m: m.generate(2, level=3), "level is 1 to 2; got 3"),
        (0, lambda m: m.generate(2, {3: np.zeros((2, 2))}), "latents holds level 3; the levels are 1 to 2"),
        (0, lambda m: m.generate(3, {1: np.zeros((2, 2))}), r"latents\[1\] holds 2 draws; n is 3"),
        (0, lambda m: m.generate(2, {2: np.zeros((2, 2))}), r"latents\[2\] holds z of shape \(2,\); .* \(3,\)"),
        (0, lambda m: m.generate(2, labels=[0, 1]), "labels were given, but the top level .* not told anything"),
        (3, lambda m: m.generate(2), "labels are missing"),
        (3, lambda m: m.generate(2, labels=3), r"labels\[0\] is 3; the labels are 0 to 2"),
        (3, lambda m: m.generate(2, labels=[0, 1, 2]), "labels holds 2 labels"),
        (0, lambda m: m.compile([("adam", "adam")]), "a pair for each of 2 levels; got 1"),
        (0, lambda m: m.compile([[keras.optimizers.SGD()] * 2] * 2), "make one for each"),
    ],
)
def test_what_cannot_be_asked_is_refused(classes, call, message):
    with pytest.raises(ValueError, match=message):
        call(scrambled(make(classes=classes)))


def with_nan(x):
    bad = np.array(x)
    bad[7, 0] = np.nan
    return bad


@trains
@pytest.mark.parametrize(
    ("classes", "call", "message"),
    [
        (0, lambda m, x, y: m.fit(x[0]), "x is a list of 2 arrays, .* got ndarray"),
        (0, lambda m, x, y: m.fit(x[:1]), "x is a list of 2 arrays, .* got 1 arrays"),
        (0, lambda m, x, y: m.fit([*x, x[1]]), "x is a list of 2 arrays, .* got 3 arrays"),
        (0, lambda m, x, y: m.fit([x[0], x[1][:9]]), r"x holds \[24, 9\] pictures of its levels"),
        (
            0,
            lambda m, x, y: m.fit(x[::-1]),
            r"x\[0\] has examples of shape \(2,\); the model takes \(4,\)",
        ),
        (0, lambda m, x, y: m.fit([x[0], with_nan(x[1])]), r"x\[1\] holds NaN .* first in example 7"),
        (0, lambda m, x, y: m.fit(x, y), "y was given, but this model is not told anything"),
        (0, lambda m, x, y: m.fit(x, validation_data=x[0]), "validation_data is a list of 2 arrays"),
        (0, lambda m, x, y: m.fit(x, validation_data=(x, y)), r"validation_data\[1\] was given"),
        (0, lambda m, x, y: m.evaluate(x[:1]), "x is a list of 2 arrays"),
        (3, lambda m, x, y: m.fit(x), "x came alone, but this model is told what to make"),
        (3, lambda m, x, y: m.fit(x, y + 1), r"y\[2\] is 3; the labels are 0 to 2"),
        (3, lambda m, x, y: m.fit(x, y[:9]), r"y holds 24 labels.* got int64 of shape \(9,\)"),
        (3, lambda m, x, y: m.fit(x, y, validation_data=x), "validation_data came alone"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(classes, call, message):
    with pytest.raises(ValueError, match=message):
        call(make(classes=classes), pictures(), np.arange(24) % 3)


@trains
@pytest.mark.parametrize("classes", [0, 3])
def test_a_dataset_that_yields_something_else_is_refused(classes):
    """(x_1, x_2) would be taken for x and y."""
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices(tuple(pictures())).batch(8)
    yields = r"\(\(x_1, x_2\), labels\)" if classes else r"\(\(x_1, x_2\),\)"
    with pytest.raises(ValueError, match=f"x is a dataset that yields {yields}"):
        make(classes=classes).fit(dataset, verbose=0)


@pytest.mark.parametrize(
    ("make_model", "message"),
    [
        (lambda: models.MultiLevelGAN([]), "on top a GAN or a ConditionalGAN; got none"),
        (lambda: models.MultiLevelGAN([make_pair(1, 2)]), "on top a GAN or a ConditionalGAN; got TranslationGAN"),
        (lambda: models.MultiLevelGAN([make_pair(2, 2), make_pair(1, 2)]), "got GAN, TranslationGAN"),
        (
            lambda: models.MultiLevelGAN([make_pair(1, 3), make_pair(3, 3)]),
            r"level 1 refines pictures of shape \(4,\); level 2 makes \(2,\)",
        ),
        (lambda: make(share=1.5), "generated_share is between 0 and 1; got 1.5"),
        (lambda: make(share=-0.1), "generated_share is between 0 and 1; got -0.1"),
    ],
)
def test_levels_that_do_not_fit_on_one_another_are_refused(make_model, message):
    with pytest.raises(ValueError, match=message):
        make_model()


@trains
def test_fit_before_compile_is_refused():
    with pytest.raises(ValueError, match="compile"):
        make(compiled=False).fit(pictures())


if BACKEND == "jax":

    def test_training_on_jax_is_refused():
        with pytest.raises(RuntimeError, match="on TensorFlow; KERAS_BACKEND is 'jax'"):
            make().fit(pictures(), **FIT)
