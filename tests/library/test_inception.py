"""Features of Inception, with random weights: what the network sees, its name, and what is said offline."""

import hashlib
import re
import time

import numpy as np
import pytest
from PIL import Image

from hvae_keras.backend import keras
from hvae_keras.metrics import InceptionFeatures, inception


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    return keras.applications.InceptionV3(weights=None)


@pytest.fixture(scope="module")
def weights(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("inception") / "random.weights.h5"
    network.save_weights(path)
    return path


@pytest.fixture(scope="module")
def extractor(weights):
    return InceptionFeatures(weights)


@pytest.fixture
def tiny(monkeypatch):
    """Make a network of two layers in place of Inception, which is slow to build."""

    def make(weights=None):
        pixels = keras.Input((299, 299, 3))
        pooled = keras.layers.GlobalAveragePooling2D(name="avg_pool")(pixels)
        return keras.Model(pixels, keras.layers.Dense(1000, "softmax", name="predictions")(pooled))

    monkeypatch.setattr(keras.applications, "InceptionV3", make)
    return make


def pictures(n, side=299, channels=3, seed=0):
    """Smooth ones, so that their features differ."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((n, 5, 5, channels)).astype("float32")
    return np.clip(keras.ops.convert_to_numpy(keras.ops.image.resize(coarse, (side, side), "bicubic")), 0, 1)


def test_a_picture_of_299_pixels_is_seen_as_keras_says(network, extractor):
    x = pictures(3)
    wanted = network(keras.applications.inception_v3.preprocess_input(255 * x))
    found = extractor.probabilities(x)
    np.testing.assert_allclose(found, keras.ops.convert_to_numpy(wanted), rtol=1e-4)
    assert found.shape == (3, 1000) and found.dtype == np.float64
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


def test_features_are_what_the_last_layer_reads(network, extractor):
    x = pictures(2)
    features = extractor.features(x)
    assert features.shape == (2, 2048) and features.dtype == np.float32
    logits = features @ network.layers[-1].get_weights()[0] + network.layers[-1].get_weights()[1]
    wanted = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(extractor.probabilities(x, "ImageNet"), wanted, rtol=1e-4)


def test_large_pictures_are_smoothed_before_they_are_made_smaller(extractor):
    """As Pillow does it; a fine pattern becomes grey, and does not turn into a coarse one."""
    fine = np.indices((640, 640)).sum(axis=0) % 2 * np.float32(0.8)
    fine[:300] = 0.1
    small = np.asarray(Image.fromarray(fine).resize((299, 299), Image.Resampling.BILINEAR))
    large, expected = (extractor.features(picture[None, ..., None]) for picture in (fine, small))
    near = np.abs(large - expected).max()
    aliased = np.abs(extractor.features(fine[None, ::2, ::2, None][:, :299, :299]) - expected).max()
    assert near < 0.02 * aliased


def test_small_and_grey_pictures(extractor):
    for value in (0.0, 0.5):
        small, large = (np.full((1, side, side, 1), value, "float32") for side in (8, 299))
        np.testing.assert_allclose(extractor.features(small), extractor.features(large), rtol=1e-4, atol=1e-5)
    grey = pictures(2, side=20, channels=1)
    np.testing.assert_array_equal(extractor.features(grey), extractor.features(grey.repeat(3, axis=-1)))
    assert not np.allclose(*extractor.features(grey), rtol=1e-3)


def test_it_is_called_inception_only_with_the_weights_that_keras_distributes(tiny, tmp_path, monkeypatch):
    path = tmp_path / "own.weights.h5"
    tiny().save_weights(path)
    assert InceptionFeatures(path).name == "Inception, weights own.weights.h5"
    monkeypatch.setattr(inception, "MD5", hashlib.md5(path.read_bytes()).hexdigest())
    assert InceptionFeatures(str(path)).name == "Inception"


def test_offline_one_line_says_at_once_which_file_to_put_where(monkeypatch):
    """Nobody listens at port 9 of this machine; the name is not in anybody's cache."""
    monkeypatch.setattr(inception, "FILE", "not_there.h5")
    monkeypatch.setattr(inception, "URL", "http://127.0.0.1:9/not_there.h5")
    start = time.perf_counter()
    with pytest.raises(
        RuntimeError, match="cannot be downloaded .* put not_there.h5 into .*/models, or give"
    ) as e:
        InceptionFeatures()
    assert "\n" not in str(e.value) and time.perf_counter() - start < 10


def test_files_that_are_not_its_weights(tiny, tmp_path):
    with pytest.raises(RuntimeError, match=f"^there is no file {re.escape(str(tmp_path / 'a.h5'))}, which should"):
        InceptionFeatures(tmp_path / "a.h5")
    (tmp_path / "b.h5").write_text("no weights")
    small = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    small.save_weights(tmp_path / "c.weights.h5")
    for name in ("b.h5", "c.weights.h5"):
        with pytest.raises(
            RuntimeError, match=rf"{name} does not hold the weights of Inception \(.*get incep"
        ) as e:
            InceptionFeatures(tmp_path / name)
        assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((8, 8, 3)), r"x has shape \(8, 8, 3\), expected \[n, height, width, 1 or 3\]"),
        (np.zeros((2, 8, 8, 2)), r"x has shape \(2, 8, 8, 2\)"),
        (np.zeros((0, 8, 8, 3)), "with n at least 1"),
        (np.full((1, 8, 8, 3), 255, "uint8"), "x goes from 255 to 255; pictures are between 0 and 1"),
        (np.full((1, 8, 8, 3), np.nan), "x holds NaN or infinity"),
    ],
)
def test_errors_about_pictures(extractor, x, message):
    for ask in (extractor.features, extractor.probabilities):
        with pytest.raises(ValueError, match=message):
            ask(x)


def test_it_tells_one_factor(extractor):
    assert extractor.classes == {"ImageNet": 1000}
    with pytest.raises(ValueError, match="factor is 'ImageNet'; got 'digit'"):
        extractor.probabilities(pictures(1, side=8), "digit")
