"""Keras layers and small networks the models are made of."""

from hvae_keras.layers.likelihood import Bernoulli, Likelihood, Normal
from hvae_keras.layers.mlp import mlp_decoder, mlp_encoder

__all__ = ["Bernoulli", "Likelihood", "Normal", "mlp_decoder", "mlp_encoder"]
