"""How far generated examples are from real ones, both given as features.

What a distance sees, and in which unit, is decided by the features (see `hvae_keras.metrics.features`), so values
on different features, or by another number of examples, cannot be compared.
"""

import numpy as np
from threadpoolctl import threadpool_limits

BLOCK = 2**20  # pairs held at a time: 8 MB
# Products of small matrices: where other programs work too, several threads wait many times as long as one.
one_thread = threadpool_limits.wrap(limits=1, user_api="blas")


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
    real, generated = checked_pair(real, generated)
    gap = real.mean(axis=0) - generated.mean(axis=0)
    root, other = _root(real), _root(generated)
    # With Σ_r = A'A and Σ_g = B'B the eigenvalues of Σ_r^½ Σ_g Σ_r^½ are the squared singular values of AB'.
    # Found so they are never negative or complex, and their roots are exact where the covariances are singular.
    shared = np.linalg.svd(root @ other.T, compute_uv=False).sum()
    return max(0.0, float(gap @ gap + (root**2).sum() + (other**2).sum() - 2 * shared))


@one_thread
def kernel_distance(real: np.ndarray, generated: np.ndarray) -> float:
    """Squared maximum mean discrepancy of two sets of features, kernel (x·y / d + 1)³, without bias.

    The mean of the kernel over the pairs of two real examples, plus that of two generated ones, less twice that of
    one of each; no example is paired with itself (Gretton et al. 2012, A kernel two-sample test, lemma 6). "KID"
    where the features are Inception's (Bińkowski et al. 2018, Demystifying MMD GANs, section 4). All pairs are
    taken, not the mean over random subsets that is often reported.

    Its expectation does not depend on the number of examples, and is 0 for two sets from one distribution. So an
    estimate may be negative, and near 0 about half of them are. Only moments up to the third count.

    Args:
        real: `[n, d]`, n at least 2.
        generated: `[m, d]`, m at least 2.

    Returns:
        The distance, without a unit, float64 arithmetic. It changes if the features are moved or scaled.

    Raises:
        ValueError: as for `frechet_distance`.
    """
    real, generated = checked_pair(real, generated)
    return _within(real) + _within(generated) - 2 * _kernel_sum(real, generated) / (len(real) * len(generated))


def _within(x: np.ndarray) -> float:
    """The mean of the kernel over the pairs of two different rows, each pair looked at once."""
    alone = (((x * x).sum(axis=1) / x.shape[1] + 1) ** 3).sum()
    rows, twice = BLOCK // len(x) + 1, 0.0
    for at in range(0, len(x), rows):
        block, later = x[at : at + rows], x[at + rows :]
        twice += _kernel_sum(block, block) + 2 * _kernel_sum(block, later)
    return float(twice - alone) / (len(x) * (len(x) - 1))


def _kernel_sum(x: np.ndarray, y: np.ndarray) -> float:
    """The sum of the kernel over all pairs of a row of x and a row of y, block by block."""
    rows, total, scaled = BLOCK // (len(y) + 1) + 1, 0.0, y.T / x.shape[1]
    for at in range(0, len(x), rows):
        kernel = x[at : at + rows] @ scaled
        kernel += 1
        total += float(np.vdot(kernel * kernel, kernel))
    return total


def _root(features: np.ndarray) -> np.ndarray:
    """An upper triangular A, `[min(n, d), d]`, with A'A the covariance of the features, which is never formed."""
    return np.linalg.qr(features - features.mean(axis=0), mode="r") / np.sqrt(len(features) - 1)


def checked_pair(real: np.ndarray, generated: np.ndarray, fewest: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Both sets in float64, if they are `[n, d]` and `[m, d]` with at least `fewest` rows, all finite."""
    real, generated = _checked(real, "real", fewest), _checked(generated, "generated", fewest)
    if real.shape[1] != generated.shape[1]:
        raise ValueError(f"generated has {generated.shape[1]} features, expected {real.shape[1]}, as real has.")
    return real, generated


def _checked(features: np.ndarray, name: str, fewest: int) -> np.ndarray:
    features = np.asarray(features)
    if features.ndim != 2 or features.shape[1] < 1:
        raise ValueError(f"{name} has shape {features.shape}, expected [n, d], a row of d features an example.")
    if len(features) < fewest:
        raise ValueError(f"{name} has {len(features)} examples, expected at least {fewest}.")
    if features.dtype.kind not in "biuf":
        raise ValueError(f"{name} has dtype {features.dtype}, expected real numbers.")
    features = features.astype("float64")
    finite = np.isfinite(features).all(axis=1)
    if not finite.all():
        raise ValueError(f"{name} is NaN or infinite in row {np.argmin(finite)}.")
    return features
