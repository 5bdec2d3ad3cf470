"""Models, one file a family."""

from hvae_keras.models.adversarial import GAN, ConditionalGAN, TranslationGAN
from hvae_keras.models.autoencoder import Autoencoder
from hvae_keras.models.hierarchical import HierarchicalVAE
from hvae_keras.models.hierarchical_recurrent import HierarchicalRecurrentModel
from hvae_keras.models.inference import BottomUp, Inference, Ladder, Level, TopDown
from hvae_keras.models.linear_gaussian import LinearGaussian
from hvae_keras.models.linear_gaussian_chain import LinearGaussianChain
from hvae_keras.models.multilevel_gan import MultiLevelGAN
from hvae_keras.models.recurrent import RecurrentModel
from hvae_keras.models.recurrent_vae import HierarchicalRecurrentVAE
from hvae_keras.models.sequence import SequenceModel
from hvae_keras.models.vae import VAE
from hvae_keras.models.variational import Draw

__all__ = [
    "GAN",
    "VAE",
    "Autoencoder",
    "BottomUp",
    "ConditionalGAN",
    "Draw",
    "HierarchicalRecurrentModel",
    "HierarchicalRecurrentVAE",
    "HierarchicalVAE",
    "Inference",
    "Ladder",
    "Level",
    "LinearGaussian",
    "LinearGaussianChain",
    "MultiLevelGAN",
    "RecurrentModel",
    "SequenceModel",
    "TopDown",
    "TranslationGAN",
]
