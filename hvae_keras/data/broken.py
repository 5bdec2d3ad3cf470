"""Sets whose structure is destroyed and whose parts stay real: what a measure of structure tells from real data.

Each function takes real examples and returns as many of the same shape. Only whole parts are moved: a half, a
phrase, a row of pixels. So what is said of such parts alone, any histogram of them included, is as in real data.
"""

import numpy as np

from hvae_keras.music import cut


def exchange_halves(x: np.ndarray, seed: int, by: np.ndarray | None = None) -> np.ndarray:
    """Return pictures `[n, height, ...]`, the lower half of each that of another one; each is used once.

    Args:
        x: Pictures.
        seed: Fixes which halves come together.
        by: Class indices, `[n]`, or several, `[n, k]`: only pictures of equal ones exchange. With head and skin of
            `faces` a seam is seen in a nose at most.

    Raises:
        ValueError: if a group that exchanges has fewer than two pictures.
    """
    upper, lower = sources(len(x), 2, seed, by)
    half = x.shape[1] // 2
    return np.concatenate([x[upper, :half], x[lower, half:]], axis=1)


def shuffle_phrases(x: np.ndarray, length: int, seed: int, by: np.ndarray | None = None) -> np.ndarray:
    """Return tunes `[n, steps]`, each made of phrases of different tunes; each phrase is used once, in its place.

    Args:
        x: Tunes, of phrases of `length` steps.
        length: Steps of a phrase.
        seed: Fixes which phrases come together.
        by: Class indices, `[n]`, or several, `[n, k]`: only tunes of equal ones exchange. With tonic and mode of
            `melodies` every tune keeps to one key.

    Raises:
        ValueError: if `length` does not divide the steps, or a group that exchanges has fewer tunes than each has
            phrases.
    """
    phrases = cut(x, length)
    chosen = sources(len(x), phrases.shape[1], seed, by)
    return np.stack([phrases[index, k] for k, index in enumerate(chosen)], axis=1).reshape(x.shape)


def swap_top_and_bottom(x: np.ndarray) -> np.ndarray:
    """Return pictures `[n, height, ...]`, the rows below the middle moved above it: skies under grounds."""
    return np.roll(x, x.shape[1] // 2, axis=1)


def sources(n: int, parts: int, seed: int, by: np.ndarray | None = None) -> np.ndarray:
    """Return which example each part of each new one is from, int `[parts, n]`: different ones in each column.

    Every row is a permutation, the first leaves all in place. Those that may exchange, of equal `by`, stand in a
    circle in random order: the k-th part of each comes from the one k places on.
    """
    rng = np.random.RandomState(seed)  # not default_rng: NumPy promises that this stream never changes
    by = np.zeros(n) if by is None else np.asarray(by)
    if by.shape[:1] != (n,):
        raise ValueError(f"by has shape {by.shape}, expected ({n},) or ({n}, k)")
    values, group = np.unique(by, axis=0, return_inverse=True)
    chosen = np.empty((parts, n), int)
    for index, value in enumerate(values):
        circle = rng.permutation(np.flatnonzero(group.ravel() == index))
        if len(circle) < parts:
            raise ValueError(f"at least {parts} examples exchange; got {len(circle)} where by is {value.tolist()}")
        chosen[:, circle] = [np.roll(circle, -k) for k in range(parts)]
    return chosen
