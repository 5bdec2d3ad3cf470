"""The autoencoder: a code, and a reconstruction from it."""

from typing import Any

import numpy as np

from hvae_keras.backend import keras, ops
from hvae_keras.distributions import Tensor
from hvae_keras.models.base import BaseModel, build_pair, serialized


@keras.saving.register_keras_serializable(package="hvae_keras")
class Autoencoder(BaseModel):
    """Encoder and decoder trained to give x back (Hinton & Salakhutdinov 2006).

    The loss is the squared error summed over the dimensions of x and averaged over the batch, so a larger
    image has a larger loss. With linear encoder and decoder the codes span the principal subspace
    (Baldi & Hornik 1989).

    Args:
        encoder: Keras model from x `[batch, *shape]` to codes `[batch, latent]`.
        decoder: Keras model from codes to reconstructions `[batch, *shape]`.
    """

    def __init__(self, encoder: keras.Model, decoder: keras.Model, **kwargs):
        super().__init__(**kwargs)
        self.encoder, self.decoder = encoder, decoder
        self._track(logged=(), watched=("squared_error",))
        if encoder.built:
            self.build(encoder.input_shape)

    def build(self, input_shape: tuple) -> None:
        """Make the variables for x of shape `[None, *shape]`."""
        build_pair(self, input_shape, codes=1)

    def call(self, x: Tensor, training: bool | None = None) -> Tensor:
        """Reconstructions of x, same shape."""
        return self.decoder(self.encoder(ops.cast(x, "float32"), training=training), training=training)

    def objective(self, x: Tensor, outputs: Any) -> tuple[Tensor, dict, dict]:
        """Squared error of each example."""
        error = squared_error(x, outputs)
        return error, {}, {"squared_error": error}

    def encode(self, x: Tensor) -> Tensor:
        """Codes `[batch, latent]`."""
        return self.encoder(ops.cast(x, "float32"))

    def decode(self, codes: Tensor) -> Tensor:
        """Reconstructions from codes `[batch, latent]`: `[batch, *shape]`."""
        return self.decoder(ops.cast(codes, "float32"))

    def reconstruction_error(self, x: np.ndarray, batch_size: int = 256) -> np.ndarray:
        """Squared error of each example, summed over its dimensions: `[n]`."""
        batches = (x[start : start + batch_size] for start in range(0, len(x), batch_size))
        errors = [ops.convert_to_numpy(squared_error(batch, self(batch))) for batch in batches]
        return np.concatenate(errors) if errors else np.zeros(0, "float32")

    def get_config(self) -> dict:
        """Arguments that make the model again."""
        return {**super().get_config(), **serialized(encoder=self.encoder, decoder=self.decoder)}


def squared_error(x: Tensor, reconstruction: Tensor) -> Tensor:
    """Squared error summed over all dimensions but the first: `[batch]`."""
    difference = ops.cast(x, "float32") - ops.cast(reconstruction, "float32")
    return ops.sum(ops.square(difference), axis=tuple(range(1, len(difference.shape))))
