"""How far generated examples are from real ones, both given as features.

What a distance sees, and in which unit, is decided by the features (see `hvae_keras.metrics.features`), so values
on different features, or by another number of examples, cannot be compared.
"""

import numpy as np


def frechet_distance(real: np.ndarray, generated: np.ndarray) -> float:
    """Fréchet distance of the normals with the means and covariances of two sets of features.

    ‖μ_r - μ_g‖² + tr(Σ_r + Σ_g - 2 (Σ_r Σ_g)^½), Dowson & Landau (1982), the squared 2-Wasserstein distance of
    the two normals; "FID" where the features are Inception's (Heusel et al. 2017, GANs trained by a two
    time-scale update rule). Covariances are the unbiased ones, divisor n - 1, and may be singular.

    It errs high, and more so the fewer the examples: between two draws from one normal of covariance I it is
    about d (d + 1) / 4 · (1/n + 1/m) + d (1/n + 1/m). Compare with two sets of real examples of the same size.
    Two distributions of equal means and covariances have the distance 0, however different they are.

    Args:
        real: `[n, d]`, n at least 2.
        generated: `[m, d]`, m at least 2.

    Returns:
        The distance in squared units of the features, float64 arithmetic; 0 for equal means and covariances.

    Raises:
        ValueError: if an argument has not two axes, fewer than 2 rows, no column or another d, or holds NaN,
            infinity or something that is no real number.
    """
    real, generated = _checked(real, "real"), _checked(generated, "generated")
    if real.shape[1] != generated.shape[1]:
        raise ValueError(f"generated has {generated.shape[1]} features, expected {real.shape[1]}, as real has.")
    gap = real.mean(axis=0) - generated.mean(axis=0)
    root, other = _root(real), _root(generated)
    # With Σ_r = A'A and Σ_g = B'B the eigenvalues of Σ_r^½ Σ_g Σ_r^½ are the squared singular values of AB'.
    # Found so they are never negative or complex, and their roots are exact where the covariances are singular.
    shared = np.linalg.svd(root @ other.T, compute_uv=False).sum()
    return max(0.0, float(gap @ gap + (root**2).sum() + (other**2).sum() - 2 * shared))


def _root(features: np.ndarray) -> np.ndarray:
    """An upper triangular A, `[min(n, d), d]`, with A'A the covariance of the features, which is never formed."""
    return np.linalg.qr(features - features.mean(axis=0), mode="r") / np.sqrt(len(features) - 1)


def _checked(features: np.ndarray, name: str) -> np.ndarray:
    """The features in float64, if they are `[n, d]` with at least 2 rows, all finite."""
    features = np.asarray(features)
    if features.ndim != 2 or features.shape[1] < 1:
        raise ValueError(f"{name} has shape {features.shape}, expected [n, d], a row of d features an example.")
    if len(features) < 2:
        raise ValueError(f"{name} has {len(features)} examples; a covariance takes at least 2.")
    if features.dtype.kind not in "biuf":
        raise ValueError(f"{name} has dtype {features.dtype}, expected real numbers.")
    features = features.astype("float64")
    finite = np.isfinite(features).all(axis=1)
    if not finite.all():
        raise ValueError(f"{name} is NaN or infinite in row {np.argmin(finite)}.")
    return features
