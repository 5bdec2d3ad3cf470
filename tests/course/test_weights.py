"""Shipped weights: kept up to float16, the same model each time, and refused where they do not fit."""

import itertools
import subprocess
import sys

import numpy as np
import pytest

from hvae_keras import layers, models
from hvae_keras.backend import keras
from hvae_keras.course.places import NoSuchLesson
from hvae_keras.course.weights import learned, load_weights, save_weights


def network(units=5, seed=0, cell=keras.layers.LSTMCell, built=True):
    """A recurrent network with batch normalisation and dropout: trained, not trained, and seeds."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.layers.RNN(cell(units), return_sequences=True),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(3, bias_initializer="random_normal"),
        ]
    )
    if built:
        model.build((None, 4, 2))
    return model


def vae(seed=0, hidden=(8,), **arguments):
    keras.utils.set_random_seed(seed)
    model = models.VAE(
        layers.mlp_encoder((6,), hidden, 4),
        layers.mlp_decoder(2, hidden, (6,)),
        **arguments,
    )
    model.build((None, 6))
    return model


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course folder without weights; the current folder is its `lessons/`, as a notebook's is."""
    for folder in ("lessons", "tests/lessons"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "lessons")
    monkeypatch.delenv("HVAE_COURSE", raising=False)
    return tmp_path


@pytest.fixture
def weights(course):
    return course / "lessons" / "weights"


def test_values_come_back_up_to_float16_rounding(weights):
    """Half precision has 11 bits: a relative error of at most 2^-11, or 2^-25 below its smallest normal number."""
    before, after = network(seed=1), network(seed=2)
    rng = np.random.default_rng(0)
    before.set_weights([rng.normal(size=value.shape) for value in before.get_weights()])
    assert save_weights(before, weights / "06_net.npz") == weights / "06_net.npz"
    assert load_weights(after, "06_net") is None
    for exact, rounded in zip(before.get_weights(), after.get_weights(), strict=True):
        assert rounded.dtype == np.float32 and rounded.size
        assert (np.abs(rounded - exact) <= np.maximum(np.abs(exact) * 2**-11, 2**-25)).all()


def test_two_models_from_one_file_are_the_same_to_the_last_bit(weights):
    save_weights(vae(seed=1), weights / "vae.npz")
    x = (np.random.default_rng(0).random((7, 6)) < 0.5).astype("float32")
    bounds = []
    for seed in (2, 3):
        model = vae(seed)
        model.seed_generator.state.assign([0, 0])
        load_weights(model, "vae")
        bounds.append([np.asarray(term) for term in model.bound(x)])
    for first, second in zip(*bounds, strict=True):
        np.testing.assert_array_equal(first, second)
    assert np.ptp(bounds[0][0]) > 0


def test_what_is_not_learned_stays_as_it_is(weights):
    """Beta and the place of the random numbers belong to a run, and so does a metric."""
    save_weights(vae(seed=1, beta=4.0), weights / "vae.npz")
    model = vae(seed=2, beta=0.25)
    model.compile("adam")
    model.fit(np.ones((8, 6), "float32"), verbose=0)
    seed = np.asarray(model.seed_generator.state.value)
    loss = float(model.trackers["elbo"].result())
    load_weights(model, "vae")
    assert float(model.beta[0]) == 0.25
    np.testing.assert_array_equal(np.asarray(model.seed_generator.state.value), seed)
    assert float(model.trackers["elbo"].result()) == loss
    assert len(learned(model)) == len(model.trainable_variables) == 8


def test_moving_means_are_saved_and_seeds_of_dropout_are_not(weights):
    names = [name.partition(" ")[2] for name in learned(network())]
    assert names == [
        *(f"lstm_cell/{weight}" for weight in ("kernel", "recurrent_kernel", "bias")),
        *(f"batch_normalization/{weight}" for weight in ("gamma", "beta", "moving_mean", "moving_variance")),
        *(f"dense/{weight}" for weight in ("kernel", "bias")),
    ]


def test_names_do_not_count_the_layers_made_before():
    assert list(learned(network(seed=1))) == list(learned(network(seed=2)))


def test_frozen_weights_keep_their_place(weights):
    save_weights(network(seed=1), weights / "net.npz")
    frozen, free = network(seed=2), network(seed=3)
    frozen.layers[0].trainable = False
    for model in (frozen, free):
        load_weights(model, "net")
    for a, b in zip(frozen.get_weights(), free.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_file_is_half_precision_and_the_same_each_time(weights):
    model = network()
    first = save_weights(model, weights / "a.npz").read_bytes()
    assert save_weights(model, weights / "b.npz").read_bytes() == first
    with np.load(weights / "a.npz") as archive:
        assert {archive[name].dtype for name in archive.files} == {np.dtype("float16")}
        assert [archive[name].shape for name in archive.files] == [v.shape for v in model.get_weights()]


def test_a_write_that_fails_leaves_what_was_there(weights, monkeypatch):
    path = save_weights(network(seed=1), weights / "net.npz")
    before = path.read_bytes()

    def full_disk(file, **arrays):
        file.write(b"half of it")
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez_compressed", full_disk)
    with pytest.raises(OSError, match="no space"):
        save_weights(network(seed=2), path)
    assert path.read_bytes() == before and list(weights.iterdir()) == [path]


@pytest.mark.parametrize("value, says", [(1e6, "holds 1e[+]06"), (np.nan, "holds nan"), (-np.inf, "holds -inf")])
def test_a_weight_that_half_precision_cannot_hold_is_refused(weights, value, says):
    model = network()
    model.layers[-1].bias.assign([0.0, value, 0.0])
    with pytest.raises(ValueError, match=f"dense/bias {says}.* up to 65504"):
        save_weights(model, weights / "net.npz")
    assert not weights.exists()


@pytest.mark.parametrize("do", [lambda m, p: save_weights(m, p), lambda m, p: load_weights(m, p.stem)])
def test_a_model_without_weights_says_so(do, weights):
    save_weights(network(), weights / "net.npz")
    with pytest.raises(ValueError, match=r"no weights yet: call build\(\(None, \*shape\)\)"):
        do(network(built=False), weights / "net.npz")
    with pytest.raises(ValueError, match="no weights to save or load"):
        do(keras.Sequential([keras.Input((2,)), keras.layers.Flatten()]), weights / "net.npz")


def test_another_ending_is_refused(weights):
    with pytest.raises(ValueError, match="ends in .npz.*got net.h5"):
        save_weights(network(), weights / "net.h5")


def test_a_missing_file_is_named_with_those_there_are(course, weights):
    with pytest.raises(FileNotFoundError, match="no weights '06_flat_0' in lessons/weights; there are: none"):
        load_weights(network(), "06_flat_0")
    for name in ("06_flat_1", "06_deep_0"):
        save_weights(network(), weights / f"{name}.npz")
    with pytest.raises(FileNotFoundError, match="there are: 06_deep_0, 06_flat_1"):
        load_weights(network(), "../weights/06_flat_1")


def test_outside_a_course_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("HVAE_COURSE", str(tmp_path))
    with pytest.raises(NoSuchLesson, match="holds no course"):
        load_weights(network(), "net")


@pytest.mark.parametrize(
    "other, says",
    [
        (
            lambda: network(units=6),
            r"'net'.*model's weight 000 lstm_cell/kernel has shape \(2, 24\), the file holds 000 lstm_cell/kernel "
            r"of shape \(2, 20\)",
        ),
        (lambda: network(cell=keras.layers.GRUCell), r"000 gru_cell/kernel has shape \(2, 15\)"),
        (lambda: keras.Sequential(network().layers[:1]), "the model has 3 weights, the file holds 9"),
        (lambda: keras.Sequential([network(), keras.layers.Dense(2)]), "the model has 11 weights"),
    ],
)
def test_another_architecture_is_named_and_nothing_is_set(other, says, weights):
    save_weights(network(), weights / "net.npz")
    model = other()
    model.build((None, 4, 2))
    before = model.get_weights()
    with pytest.raises(ValueError, match=says):
        load_weights(model, "net")
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_any_damage_is_told_or_harmless(weights):
    """Each byte changed in turn, and the file cut at several places: told, or the values are the true ones."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, bias_initializer="random_normal")])
    path = save_weights(model, weights / "net.npz")
    load_weights(model, "net")
    whole, values = path.read_bytes(), model.get_weights()
    flipped = (whole[:i] + bytes([whole[i] ^ 0x2D]) + whole[i + 1 :] for i in range(len(whole)))
    told = 0
    for content in itertools.chain([b"", b"not a zip", whole[:-1], whole[: len(whole) // 2]], flipped):
        path.write_bytes(content)
        try:
            load_weights(model, "net")
        except ValueError as error:
            assert "damaged" in str(error) and "copy it again" in str(error) or "architecture" in str(error)
            told += 1
        for a, b in zip(values, model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    assert told > len(whole) / 2


def test_a_file_of_other_numbers_is_told(weights):
    model = network()
    weights.mkdir()
    for wrong in ("float32", "int64"):
        np.savez(weights / "net.npz", **{k: np.zeros(v.shape, wrong) for k, v in learned(model).items()})
        with pytest.raises(ValueError, match="not made of finite float16 numbers"):
            load_weights(model, "net")


def test_importing_it_is_light():
    code = "import sys, hvae_keras.course.weights; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"tensorflow", "keras"} & set(found.stdout.split())


def test_of_a_game_only_what_it_draws_with_is_kept(weights):
    """The file brings the drawn examples back, and no player with it."""

    def game(seed):
        keras.utils.set_random_seed(seed)
        gan = models.GAN(layers.mlp_decoder(2, (4,), (3,)), layers.mlp_encoder((3,), (4,), 1))
        gan.average.update(gan.generator)
        return gan

    before, after = game(1), game(2)
    untouched = after.generator.get_weights() + after.discriminator.get_weights()
    save_weights(before, weights / "game.npz")
    load_weights(after, "game")
    z = np.random.default_rng(0).normal(size=(5, 2))
    np.testing.assert_allclose(after.generate(5, {1: z}), before.generate(5, {1: z}), atol=1e-2)
    for now, then in zip(
        after.generator.get_weights() + after.discriminator.get_weights(), untouched, strict=True
    ):
        np.testing.assert_array_equal(now, then)
