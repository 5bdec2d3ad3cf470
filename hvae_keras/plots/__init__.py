"""Every figure of the lessons. Each function takes arrays, draws in one style and shows with a caption.

Captions are written by the lesson. Alternative texts are written here, from the numbers drawn, unless given.
"""

from hvae_keras.plots.adversarial import game, gradient_by_score, modes, players, rule_bars
from hvae_keras.plots.curves import dots, error_by_size, roc, score_histogram, training_curves
from hvae_keras.plots.estimates import bound_and_gap, convergence, estimator_histograms
from hvae_keras.plots.evaluation import score_dots
from hvae_keras.plots.images import image_grid, latent_plane
from hvae_keras.plots.latent import heatmap, principal_angles
from hvae_keras.plots.levels import (
    factors_by_level,
    information_by_level,
    latent_map,
    level_kl,
    reconstructions_by_level,
    traversals,
    unit_kl,
)
from hvae_keras.plots.music import form_scores, gradient_norms, phrase_similarity, piano_roll, self_similarity
from hvae_keras.plots.rate_distortion import rate_distortion
from hvae_keras.plots.style import show

__all__ = [
    "bound_and_gap",
    "convergence",
    "dots",
    "error_by_size",
    "estimator_histograms",
    "factors_by_level",
    "form_scores",
    "game",
    "gradient_by_score",
    "gradient_norms",
    "heatmap",
    "image_grid",
    "information_by_level",
    "latent_map",
    "latent_plane",
    "level_kl",
    "modes",
    "phrase_similarity",
    "piano_roll",
    "players",
    "principal_angles",
    "rate_distortion",
    "reconstructions_by_level",
    "roc",
    "rule_bars",
    "score_dots",
    "score_histogram",
    "self_similarity",
    "show",
    "training_curves",
    "traversals",
    "unit_kl",
]
