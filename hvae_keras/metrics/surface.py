"""Features of tunes that need no training: which pitch classes sound, and how long notes last."""

import numpy as np

from hvae_keras.metrics import music

LONGEST = 16  # steps; longer notes share the last place
STILL = 1e-4  # a share that deviates less than this over the real tunes is constant, up to rounding


class SurfaceHistograms:
    """Two histograms of a tune side by side, each number in standard deviations of the real tunes.

    They know which notes there are and nothing of their order: phrases that change places leave them as they were,
    where every phrase begins with a note or a rest.

    Args:
        real: Tunes `[n, steps]` that the means and deviations are those of; ValueError for what are no tokens.
    """

    name = "histograms of the pitch classes and the durations of a tune"

    def __init__(self, real: np.ndarray):
        found = _histograms(real)
        self.mean, deviation = found.mean(axis=0), found.std(axis=0)
        self.deviation = np.where(deviation > STILL, deviation, 1.0)

    def features(self, x: np.ndarray) -> np.ndarray:
        """Tunes `[n, steps]` to float64 `[n, 28]`: 12 pitch classes, C first, and durations of 1 to 16 steps."""
        return (_histograms(x) - self.mean) / self.deviation


def _histograms(x: np.ndarray) -> np.ndarray:
    pairs = [
        (music.pitch_class_histogram(tune), music.duration_histogram(tune, LONGEST)) for tune in np.asarray(x)
    ]
    return np.array([np.concatenate(pair) for pair in pairs])
