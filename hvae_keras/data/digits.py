"""`digits`: 1,797 scanned 8×8 digits that come with scikit-learn."""

import numpy as np

from hvae_keras.data.dataset import Dataset, Split


def load_digits() -> Dataset:
    """Return the digits, grey levels 0..16 divided by 16, split 70/15/15 within every class.

    Source: Alpaydin and Kaynak (1998), Optical Recognition of Handwritten Digits, UCI (its test part).
    """
    from sklearn.datasets import load_digits as read  # here, because scikit-learn takes a second to import

    images, digit = read(return_X_y=True)
    everything = Split((images.reshape(-1, 8, 8, 1) / 16).astype("float32"), {"digit": digit.astype("int64")})
    train, validation, test = (everything.where(part) for part in stratified(digit))
    return Dataset("digits", train, validation, test, factor_values={"digit": np.arange(10)})


def stratified(labels: np.ndarray, held_out: float = 0.15) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return indices of train, validation, test; the last two take a fraction `held_out` of every class."""
    # RandomState, not default_rng: NumPy promises that its stream never changes.
    rng = np.random.RandomState(0)
    parts = ([], [], [])
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        size = round(held_out * len(members))
        for part, chosen in zip(
            parts, (members[2 * size :], members[:size], members[size : 2 * size]), strict=True
        ):
            part.append(chosen)
    return tuple(rng.permutation(np.concatenate(part)) for part in parts)
