"""What is measured on a trained model."""

from hvae_keras.metrics.bounds import elbo, importance_weighted_bound

__all__ = ["elbo", "importance_weighted_bound"]
