"""Small models that several test files make, and how they look at weights."""

import numpy as np

from hvae_keras import layers, models
from hvae_keras.backend import keras, ops

SHAPE = (4, 4, 1)


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


def count_traces(model):
    """Count how often the training step and the evaluation step of a model are traced."""
    counts = {"train": 0, "test": 0}
    original = model.compute_loss

    def counting(*args, training=True, **kwargs):
        counts["train" if training else "test"] += 1
        return original(*args, training=training, **kwargs)

    model.compute_loss = counting
    return counts


def array(tensor):
    return ops.convert_to_numpy(tensor)


def weights(part):
    return [array(variable).copy() for variable in part.variables]


def same(first, second):
    return all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))
