"""Features of pictures, on 8×8 images of two factors."""

import math

import numpy as np
import pytest

from hvae_keras.backend import keras
from hvae_keras.course import weights
from hvae_keras.metrics import FactorFeatures, frechet_distance

SHAPE, CLASSES = (8, 8, 1), {"bright side": 2, "row": 3}


def draw(n, seed=0):
    """Grey noise, a bright left or right half, and a dark row at one of three heights."""
    rng = np.random.default_rng(seed)
    factors = {name: rng.integers(count, size=n) for name, count in CLASSES.items()}
    x = rng.uniform(0.2, 0.4, size=(n, *SHAPE)).astype("float32")
    for picture, side, row in zip(x, *factors.values(), strict=True):
        picture[:, 4 * side : 4 * side + 4] += 0.4
        picture[1 + 2 * row] = 0
    return x, factors


def make(units=6, channels=(4, 8, 8), seed=0, **arguments):
    keras.utils.set_random_seed(seed)
    return FactorFeatures(SHAPE, CLASSES, units, channels, **arguments)


@pytest.fixture(scope="module")
def data():
    return draw(400)


@pytest.fixture(scope="module")
def trained(data):
    model = make()
    model.curves = model.train(*data, epochs=8, validation=draw(100, seed=1), rate=1e-2, batch_size=20)
    return model


# Training


def test_it_learns_both_factors(trained):
    x, factors = draw(300, seed=2)
    found = trained.accuracy(x, factors)
    assert list(found) == ["bright side", "row"] and min(found.values()) > 0.95
    predicted = trained.predict_factors(x)
    assert all(index.shape == (300,) and index.dtype == np.int64 for index in predicted.values())
    assert found["row"] == np.mean(predicted["row"] == factors["row"])


def test_curves_start_at_chance_and_fall(trained):
    curves = trained.curves
    assert set(curves) == {"loss", "val_loss"} and all(len(values) == 8 for values in curves.values())
    assert curves["loss"][-1] < 0.3 < curves["loss"][0] and curves["val_loss"][-1] < 0.3


def test_the_loss_is_the_sum_of_cross_entropies_of_what_is_known():
    logits = np.float32([[0, np.log(3), 0, 0, np.log(2)], [1, 1, 5, 5, 5]])
    model = make()
    nats = [math.log(4 / 3) + math.log(4 / 2), math.log(2) + math.log(3)]
    both = model.compute_loss(y=np.int32([[1, 2], [0, 0]]), y_pred=keras.ops.convert_to_tensor(logits))
    assert float(both) == pytest.approx(np.mean(nats), rel=1e-5)
    some = model.compute_loss(y=np.int32([[1, -1], [-1, -1]]), y_pred=keras.ops.convert_to_tensor(logits))
    assert float(some) == pytest.approx(math.log(4 / 3) / 2, rel=1e-5)


def test_what_is_not_shown_is_not_learned_and_not_counted(data):
    x, factors = data
    hidden = {**factors, "row": np.full(len(x), -1)}
    model = make()
    before = keras.ops.convert_to_numpy(model.heads.kernel).copy()
    model.train(x, hidden, epochs=1)
    change = np.abs(keras.ops.convert_to_numpy(model.heads.kernel) - before)
    assert change[:, 2:].max() == 0 and change[:, :2].min() > 0
    found = model.accuracy(x, hidden)
    assert math.isnan(found["row"]) and not math.isnan(found["bright side"])
    some = {**factors, "row": np.where(np.arange(len(x)) < 100, factors["row"], -1)}
    first = {name: index[:100] for name, index in factors.items()}
    assert model.accuracy(x, some)["row"] == model.accuracy(x[:100], first)["row"]


def test_a_seed_gives_the_same_model_which_can_be_trained_further(data):
    """Also if there are factors that the model does not know."""
    x, factors = data[0][:100], {name: index[:100] for name, index in data[1].items()}
    model, again = make(seed=3), make(seed=3)
    for copy, given in [(model, factors), (again, {"other": "labels", **factors})]:
        keras.utils.set_random_seed(3)
        first = copy.train(x, given, epochs=2, rate=1e-2)["loss"]
    np.testing.assert_allclose(model.features(x), again.features(x), rtol=1e-4, atol=1e-4)
    assert model.train(x, factors, epochs=1)["loss"][0] < first[0]
    np.testing.assert_allclose(model.features(x).std(axis=0), 1, rtol=1e-4)  # measured anew


# Features


def test_features_have_mean_0_and_variance_1_over_the_training_pictures(trained, data):
    found = trained.features(data[0])
    assert found.shape == (400, 6) and found.dtype == np.float32
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(found.std(axis=0), 1, rtol=1e-4)


def test_other_pictures_are_measured_by_the_training_pictures(trained, data):
    mean, deviation = trained.standardise.get_weights()
    x = np.concatenate([data[0][:5], np.ones((3, *SHAPE), "float32")])
    raw = trained.trunk.predict(x, verbose=0)
    np.testing.assert_allclose(trained.features(x), (raw - mean) / deviation, rtol=1e-4, atol=1e-5)
    assert not trained.standardise.trainable_weights


def test_batches_do_not_matter(trained, data):
    x = np.concatenate([data[0], data[0]])  # 800, more than one batch
    np.testing.assert_allclose(trained.features(x)[400:405], trained.features(x[:5]), rtol=1e-4, atol=1e-5)
    assert trained.features(x[:1]).shape == (1, 6)


def test_any_real_dtype_is_taken(trained, data):
    x = np.rint(data[0][:4])
    np.testing.assert_array_equal(trained.features(x.astype("int64")), trained.features(x))
    np.testing.assert_array_equal(trained.features(x.astype("float64")), trained.features(x))


def test_the_distance_on_them_orders_what_it_should(trained, data):
    real, other = trained.features(data[0]), trained.features(draw(400, seed=5)[0])
    x, factors = draw(400, seed=6)
    one_side = trained.features(x[factors["bright side"] == 0])
    noise = trained.features(np.random.default_rng(0).random((400, *SHAPE)))
    floor, half, far = (frechet_distance(real, found) for found in (other, one_side, noise))
    assert floor < 0.2 < half and 5 * floor < min(half, far)


# Saving


def test_shipped_weights_carry_the_standardisation(trained, data, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "course_root", lambda: tmp_path)
    weights.save_weights(trained, tmp_path / "lessons" / "weights" / "00_features.npz")
    first, second = make(seed=7), make(seed=8)
    for model in (first, second):
        weights.load_weights(model, "00_features")
    x, factors = draw(100, seed=2)
    np.testing.assert_array_equal(first.features(x), second.features(x))
    np.testing.assert_allclose(first.features(x), trained.features(x), atol=0.03)  # float16
    assert first.accuracy(x, factors) == pytest.approx(trained.accuracy(x, factors), abs=0.02)


def test_a_saved_model_is_the_same_model(trained, data, tmp_path):
    trained.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras", compile=False)
    assert loaded.get_config() == trained.get_config() and loaded.classes == CLASSES
    np.testing.assert_allclose(loaded.features(data[0]), trained.features(data[0]), rtol=1e-5, atol=1e-6)


# Errors


def test_nothing_is_measured_before_training(data):
    x, factors = data
    model = make()
    for ask in (lambda: model.features(x), lambda: model.predict_factors(x), lambda: model.accuracy(x, factors)):
        with pytest.raises(RuntimeError, match="these features are not trained: call train"):
            ask()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": (8, 8)}, "shape is height, width and channels"),
        ({"shape": (8, 0, 1)}, "shape is height, width and channels"),
        ({"shape": (8, 6, 1)}, "the sides of shape .* divide by 4"),
        ({"classes": {}}, "classes names no factor"),
        ({"classes": {"row": 1}}, r"classes\['row'\] is at least 2; got 1"),
        ({"units": 0}, "units is at least 1"),
        ({"channels": ()}, "channels is one or more numbers"),
        ({"channels": (4, 0)}, "channels is one or more numbers"),
    ],
)
def test_errors_of_the_constructor(change, message):
    with pytest.raises(ValueError, match=message):
        FactorFeatures(**{"shape": SHAPE, "classes": CLASSES, "channels": (4, 4, 4), **change})


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((4, 8, 8)), r"x has shape \(4, 8, 8\), expected \[n, 8, 8, 1\]"),
        (np.zeros(SHAPE), r"x has shape \(8, 8, 1\), expected \[n, 8, 8, 1\]"),
        (np.zeros((4, 8, 8, 3)), r"x has shape \(4, 8, 8, 3\), expected"),
        (np.zeros((0, *SHAPE)), "with n at least 1"),
        (np.full((4, *SHAPE), np.nan), "x holds NaN or infinity"),
        (np.full((4, *SHAPE), 255, "uint8"), "x goes from 255 to 255; pictures are between 0 and 1"),
        (np.full((4, *SHAPE), -0.5), "x goes from -0.5 to -0.5; pictures are between 0 and 1"),
        (np.full((4, *SHAPE), "a"), "x has dtype <U1, expected real numbers"),
    ],
)
def test_errors_about_pictures(trained, x, message):
    for ask in (trained.features, trained.predict_factors, lambda x: trained.train(x, {}, epochs=1)):
        with pytest.raises(ValueError, match=message):
            ask(x)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (None, r"factors lacks 'row'; there are: bright side"),
        ([0, 1, 2], r"factors\['row'\] is int64 \(3,\), expected a class index for each of 4 pictures"),
        ([0.0, 1.0, 2.0, 0.0], r"factors\['row'\] is float64 \(4,\)"),
        ([0, 1, 2, 3], r"factors\['row'\] holds 3, expected 0 to 2, or -1 where it is not shown"),
        ([0, 1, -2, 2], r"factors\['row'\] holds -2, expected 0 to 2"),
    ],
)
def test_errors_about_factors(trained, row, message):
    factors = {"bright side": np.zeros(4, int)} | ({} if row is None else {"row": np.array(row)})
    for ask in (trained.accuracy, trained.train):
        with pytest.raises(ValueError, match=message):
            ask(np.zeros((4, *SHAPE)), factors)


def test_errors_of_training(data):
    x, factors = data
    model = make()
    with pytest.raises(ValueError, match="epochs is at least 1; got 0"):
        model.train(x, factors, epochs=0)
    with pytest.raises(ValueError, match="batch_size is at least 1; got 0"):
        model.train(x, factors, batch_size=0)
    with pytest.raises(ValueError, match=r"validation\[0\] has shape"):
        model.train(x, factors, validation=(x[0], factors))
    with pytest.raises(ValueError, match=r"validation\[1\] lacks 'row'"):
        model.train(x, factors, validation=(x, {"bright side": factors["bright side"]}))
