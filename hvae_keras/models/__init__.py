"""Models, one file a family."""

from hvae_keras.models.autoencoder import Autoencoder
from hvae_keras.models.linear_gaussian import LinearGaussian
from hvae_keras.models.vae import VAE
from hvae_keras.models.variational import Level

__all__ = ["VAE", "Autoencoder", "Level", "LinearGaussian"]
