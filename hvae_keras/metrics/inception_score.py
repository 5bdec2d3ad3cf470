"""The Inception Score: whether a classifier is sure of each generated example, and finds all classes."""

import numpy as np
from scipy.special import rel_entr

ROUNDING = 1e-4  # how far from 1 the probabilities of an example may add up to


def inception_score(probabilities: np.ndarray) -> float:
    """exp of the mean of KL(p(y|x) ‖ p(y)) over generated x, with p(y) the mean of p(y|x) (Salimans et al. 2016).

    Its logarithm is what one example tells of the class, in nats. It is 1 if p(y|x) is the same for all x, as for
    a single one, and at most the number of classes: if the classifier is sure and finds each class equally often.
    Real examples are not looked at, and a set of one perfect example a class has the best score.

    The whole set is taken at once. The paper takes the mean over ten parts, which are 1 each where a set is sorted
    by class. The logarithm errs low where n is small, by up to (classes - 1) / (2n), as the entropy of p(y) does.

    Args:
        probabilities: p(y|x), `[n, classes]`, each row adds up to 1 (to 1e-4; it is divided by its sum).

    Raises:
        ValueError: if it has not two axes, no row or no column, or holds NaN, a negative number or a row that does
            not add up to 1.
    """
    p = np.asarray(probabilities)
    if p.ndim != 2 or not p.size:
        raise ValueError(f"probabilities has shape {p.shape}, expected [n, classes] with n at least 1.")
    if p.dtype.kind not in "biuf":
        raise ValueError(f"probabilities has dtype {p.dtype}, expected real numbers.")
    p = p.astype("float64")
    total = p.sum(axis=1, keepdims=True)
    wrong = ~((p >= 0).all(axis=1) & (np.abs(total[:, 0] - 1) <= ROUNDING))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"probabilities is not a distribution in row {row}: its smallest is {p[row].min():g}, their sum "
            f"{total[row, 0]:g}."
        )
    p /= total
    return float(np.exp(rel_entr(p, p.mean(axis=0)).sum(axis=1).mean()))
