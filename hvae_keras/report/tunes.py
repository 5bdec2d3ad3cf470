"""What sections need to know of tunes and of other sequences."""

import numpy as np

from hvae_keras.data import chorales, melodies
from hvae_keras.metrics import music


def phrase_length(x: np.ndarray) -> int | None:
    """Steps of a phrase in rows of tokens `[n, steps]`, of `melodies` and `chorales`; None for others."""
    known = {
        melodies.PHRASES * melodies.STEPS: melodies.STEPS,
        chorales.PHRASES * chorales.STEPS: chorales.STEPS,
    }
    return known.get(x.shape[1])


def forms(x: np.ndarray) -> list[str] | None:
    """The form of each tune `[n, steps]`, a letter for each phrase that is there; None without known phrases."""
    length = phrase_length(x)
    return None if length is None else [str(form) for form in music.form(x, length)]


def as_pictures(x: np.ndarray) -> np.ndarray:
    """Pictures as they are; frames of keys `[n, steps, keys]` as pictures, low keys below, white is sounding."""
    if x.ndim == 4:
        return x
    return np.clip(np.swapaxes(x, 1, 2)[:, ::-1, :, None], 0, 1)
