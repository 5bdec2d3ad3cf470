"""Keras layers and small networks the models are made of."""

from hvae_keras.layers.averaged import AveragedNetwork
from hvae_keras.layers.images import image_discriminator, image_generator, image_refiner
from hvae_keras.layers.ladder import precision_weighted_merge
from hvae_keras.layers.likelihood import Bernoulli, Likelihood, Normal
from hvae_keras.layers.mlp import mlp_decoder, mlp_encoder
from hvae_keras.layers.networks import ConvolutionalNetworks, DenseNetworks, Networks
from hvae_keras.layers.penalties import Capacity, FreeBits, Penalty
from hvae_keras.layers.sequence_likelihood import BernoulliFrames, Categorical, SequenceLikelihood
from hvae_keras.layers.spectral import SpectralNormalization, power_iteration

__all__ = [
    "AveragedNetwork",
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
    "SpectralNormalization",
    "image_discriminator",
    "image_generator",
    "image_refiner",
    "mlp_decoder",
    "mlp_encoder",
    "power_iteration",
    "precision_weighted_merge",
]
