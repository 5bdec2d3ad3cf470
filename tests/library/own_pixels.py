"""A hierarchy whose every level writes its own pixels, so that what a level changes is known."""

import numpy as np

from hvae_keras.backend import keras
from hvae_keras.layers import DenseNetworks, Normal
from hvae_keras.models import HierarchicalVAE, TopDown

LEVELS = {"eyes": 1, "mouth": 1, "pose": 2, "head": 2}


def own_pixels(follows=0.0, scale=0.01, dead=()):
    """x is (z_1, z_2), two numbers each; z_2 ~ N(0, I), z_1 ~ N(follows · z_2, I); the posterior is x ± scale.

    A level in `dead` is inferred as N(0, scale²), whatever x.
    """
    keras.utils.set_random_seed(0)
    model = HierarchicalVAE((2, 2), DenseNetworks(((), ())), TopDown(), Normal(scale=0.1), skip=True)
    model.build((None, 4))
    eye, nothing = np.eye(2), np.zeros((2, 2))
    model.output_layer.set_weights([np.eye(4), np.zeros(4)])
    model.heads[0].set_weights([np.hstack([follows * eye, nothing]), np.zeros(4)])
    bias = np.repeat([0.0, 2 * np.log(scale)], 2)
    reads = {1: [eye, nothing, nothing], 2: [nothing, eye]}  # z_1 also sees z_2, of which it makes nothing
    for level, blocks in reads.items():
        mean = np.vstack(blocks) * (level not in dead)
        model.inference.heads[level - 1].set_weights([np.hstack([mean, np.zeros_like(mean)]), bias])
    return model


def read(x):
    """The sign of each pixel."""
    return {name: (x[:, i] > 0).astype(int) for i, name in enumerate(LEVELS)}


def examples(n, follows=0.0, seed=0):
    """x of the model."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 2))
    return np.float32(np.hstack([follows * z + rng.normal(size=(n, 2)), z]))


def sign_changes(correlation):
    """P(a and b differ in sign) of two centred normals (Sheppard 1899)."""
    return np.arccos(correlation) / np.pi


def near(share, expected, n):
    """Within 4.5 standard errors of a share of n."""
    expected = np.asarray(expected, float)
    return (np.abs(share - expected) <= 4.5 * np.sqrt(expected * (1 - expected) / n)).all()
