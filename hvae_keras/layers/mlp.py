"""Multilayer perceptrons between data of any shape and codes."""

import math
from collections.abc import Sequence

from hvae_keras.backend import keras


def mlp_encoder(
    input_shape: Sequence[int], hidden: Sequence[int], outputs: int, activation: str = "relu"
) -> keras.Model:
    """Dense layers from data `[batch, *input_shape]` to `[batch, outputs]`.

    Args:
        input_shape: Shape of one example, such as `(28, 28, 1)`.
        hidden: Units of each hidden layer, first to last; `()` for a linear map.
        outputs: Size of the output: the latent dimension for `Autoencoder`, twice that for `VAE`.
        activation: Of the hidden layers; the output is linear.
    """
    x = keras.Input(tuple(input_shape), name="x")
    h = keras.layers.Flatten()(x)
    for units in hidden:
        h = keras.layers.Dense(units, activation=activation)(h)
    return keras.Model(x, keras.layers.Dense(outputs)(h), name="encoder")


def mlp_decoder(
    latent: int, hidden: Sequence[int], output_shape: Sequence[int], activation: str = "relu"
) -> keras.Model:
    """Dense layers from codes `[batch, latent]` to the parameters of p(x|z), `[batch, *output_shape]`.

    Args:
        latent: Latent dimension.
        hidden: Units of each hidden layer, first to last; `()` for a linear map.
        output_shape: Shape of one example, such as `(28, 28, 1)`.
        activation: Of the hidden layers; the output is linear.
    """
    z = keras.Input((latent,), name="z")
    h = z
    for units in hidden:
        h = keras.layers.Dense(units, activation=activation)(h)
    h = keras.layers.Dense(math.prod(output_shape))(h)
    return keras.Model(z, keras.layers.Reshape(tuple(output_shape))(h), name="decoder")
