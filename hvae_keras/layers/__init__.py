"""Keras layers and small networks the models are made of."""

from hvae_keras.layers.ladder import precision_weighted_merge
from hvae_keras.layers.likelihood import Bernoulli, Likelihood, Normal
from hvae_keras.layers.mlp import mlp_decoder, mlp_encoder
from hvae_keras.layers.networks import ConvolutionalNetworks, DenseNetworks, Networks
from hvae_keras.layers.penalties import Capacity, FreeBits, Penalty
from hvae_keras.layers.sequence_likelihood import BernoulliFrames, Categorical, SequenceLikelihood

__all__ = [
    "Bernoulli",
    "BernoulliFrames",
    "Capacity",
    "Categorical",
    "ConvolutionalNetworks",
    "DenseNetworks",
    "FreeBits",
    "Likelihood",
    "Networks",
    "Normal",
    "Penalty",
    "SequenceLikelihood",
    "mlp_decoder",
    "mlp_encoder",
    "precision_weighted_merge",
]
