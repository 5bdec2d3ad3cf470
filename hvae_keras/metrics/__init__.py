"""What is measured on a trained model."""

from hvae_keras.metrics.bounds import elbo, importance_weighted_bound
from hvae_keras.metrics.changes import consistency, factors_changed, factors_kept, specificity
from hvae_keras.metrics.correlation import gaussian_total_correlation, total_correlation
from hvae_keras.metrics.disentanglement import dci, mig, sap
from hvae_keras.metrics.features import FactorFeatures
from hvae_keras.metrics.fidelity import frechet_distance, kernel_distance
from hvae_keras.metrics.hierarchy import disentanglement_by_level, information_flow, mean_by_data_level
from hvae_keras.metrics.inception import InceptionFeatures
from hvae_keras.metrics.inception_score import inception_score
from hvae_keras.metrics.information import (
    Information,
    Surgery,
    elbo_surgery,
    information_between_levels,
    information_with_data,
    information_with_factor,
)
from hvae_keras.metrics.interpolation import interpolation_by_level
from hvae_keras.metrics.levels import (
    active_units,
    active_units_by_variance,
    collapsed_levels,
    kl_by_level,
    kl_by_unit,
    reconstruction_by_level,
    variance_by_unit,
)
from hvae_keras.metrics.manifolds import DensityCoverage, PrecisionRecall, density_coverage, precision_recall
from hvae_keras.metrics.scores import Fidelity, Score
from hvae_keras.metrics.sequences import gradient_norms, nats_per_step
from hvae_keras.metrics.shared_information import Redundancy, co_information, redundancy, redundancy_by_level
from hvae_keras.metrics.surface import SurfaceHistograms

__all__ = [
    "DensityCoverage",
    "FactorFeatures",
    "Fidelity",
    "InceptionFeatures",
    "Information",
    "PrecisionRecall",
    "Redundancy",
    "Score",
    "SurfaceHistograms",
    "Surgery",
    "active_units",
    "active_units_by_variance",
    "co_information",
    "collapsed_levels",
    "consistency",
    "dci",
    "density_coverage",
    "disentanglement_by_level",
    "elbo",
    "elbo_surgery",
    "factors_changed",
    "factors_kept",
    "frechet_distance",
    "gaussian_total_correlation",
    "gradient_norms",
    "importance_weighted_bound",
    "inception_score",
    "information_between_levels",
    "information_flow",
    "information_with_data",
    "information_with_factor",
    "interpolation_by_level",
    "kernel_distance",
    "kl_by_level",
    "kl_by_unit",
    "mean_by_data_level",
    "mig",
    "nats_per_step",
    "precision_recall",
    "reconstruction_by_level",
    "redundancy",
    "redundancy_by_level",
    "sap",
    "specificity",
    "total_correlation",
    "variance_by_unit",
]
