"""What is measured on a trained model."""

from hvae_keras.metrics.bounds import elbo, importance_weighted_bound
from hvae_keras.metrics.correlation import gaussian_total_correlation, total_correlation
from hvae_keras.metrics.disentanglement import dci, mig, sap
from hvae_keras.metrics.features import FactorFeatures
from hvae_keras.metrics.fidelity import frechet_distance
from hvae_keras.metrics.information import (
    Information,
    Surgery,
    elbo_surgery,
    information_between_levels,
    information_with_data,
    information_with_factor,
)
from hvae_keras.metrics.levels import (
    active_units,
    active_units_by_variance,
    collapsed_levels,
    kl_by_level,
    kl_by_unit,
    reconstruction_by_level,
    variance_by_unit,
)
from hvae_keras.metrics.sequences import gradient_norms, nats_per_step

__all__ = [
    "FactorFeatures",
    "Information",
    "Surgery",
    "active_units",
    "active_units_by_variance",
    "collapsed_levels",
    "dci",
    "elbo",
    "elbo_surgery",
    "frechet_distance",
    "gaussian_total_correlation",
    "importance_weighted_bound",
    "gradient_norms",
    "information_between_levels",
    "information_with_data",
    "information_with_factor",
    "kl_by_level",
    "kl_by_unit",
    "mig",
    "nats_per_step",
    "reconstruction_by_level",
    "sap",
    "total_correlation",
    "variance_by_unit",
]
