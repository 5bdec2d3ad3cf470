"""Small data and models that several test files use."""

import numpy as np
import pytest

from hvae_keras import layers, models
from hvae_keras.backend import keras

SHAPE = (4, 4, 1)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def images():
    """96 binary images with structure: each is one of two patterns with a few pixels flipped."""
    rng = np.random.default_rng(1)
    patterns = rng.random((2, *SHAPE)) < 0.5
    flips = rng.random((96, *SHAPE)) < 0.1
    return (patterns[rng.integers(2, size=96)] ^ flips).astype("float32")


def make_vae(hidden=(16,), latent=2, shape=SHAPE, seed=0, **arguments):
    keras.utils.set_random_seed(seed)
    encoder = layers.mlp_encoder(shape, hidden, 2 * latent)
    decoder = layers.mlp_decoder(latent, hidden, shape)
    vae = models.VAE(encoder, decoder, **arguments)
    vae.compile(keras.optimizers.Adam(1e-2))
    return vae


def make_autoencoder(hidden=(16,), latent=2, shape=SHAPE, seed=0):
    keras.utils.set_random_seed(seed)
    encoder = layers.mlp_encoder(shape, hidden, latent)
    model = models.Autoencoder(encoder, layers.mlp_decoder(latent, hidden, shape))
    model.compile(keras.optimizers.Adam(1e-2))
    return model


@pytest.fixture
def vae():
    return make_vae()


@pytest.fixture
def autoencoder():
    return make_autoencoder()


@pytest.fixture
def exact():
    """A linear-Gaussian model whose posterior is diagonal: the columns of its weights are orthogonal."""
    rng = np.random.default_rng(2)
    columns = np.linalg.qr(rng.normal(size=(6, 3)))[0] * [2.0, 1.0, 0.5]
    return models.LinearGaussian(columns, rng.normal(size=6), 0.4)


@pytest.fixture
def slanted():
    """A linear-Gaussian model whose posterior is not diagonal."""
    rng = np.random.default_rng(3)
    return models.LinearGaussian(rng.normal(size=(5, 3)), rng.normal(size=5), 0.7)


def count_traces(model):
    """Count how often the training step and the evaluation step of a model are traced."""
    counts = {"train": 0, "test": 0}
    original = model.compute_loss

    def counting(*args, training=True, **kwargs):
        counts["train" if training else "test"] += 1
        return original(*args, training=training, **kwargs)

    model.compute_loss = counting
    return counts


@pytest.fixture
def shell():
    """An IPython shell of its own, as a notebook's kernel has."""
    from IPython.core.interactiveshell import InteractiveShell

    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()
