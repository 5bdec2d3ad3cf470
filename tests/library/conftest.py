"""Fixtures that several test files use."""

import numpy as np
import pytest
from small_models import SHAPE, make_autoencoder, make_vae

from hvae_keras import models


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


@pytest.fixture
def shell():
    """An IPython shell of its own, as a notebook's kernel has."""
    from IPython.core.interactiveshell import InteractiveShell

    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()
