"""Surface histograms of tunes: counted by hand, standardised over real tunes, blind to the order of phrases."""

import numpy as np
import pytest

from hvae_keras import metrics, music
from hvae_keras.data import melodies


@pytest.fixture(scope="module")
def tunes():
    return melodies.sample(60, np.random.RandomState(0))[0]


def test_a_tune_of_two_notes_is_counted_as_on_paper(tunes):
    """C for three steps and G for one, then silence: 3/4 and 1/4 of what sounds; one note of 3, one of 1."""
    tune = music.tokens([music.Note(0, 3, 60), music.Note(3, 1, 67)], 64)
    seen = metrics.SurfaceHistograms(tunes)
    shares = seen.features(tune[None])[0] * seen.deviation + seen.mean
    expected = np.zeros(28)
    expected[[0, 7]] = 3 / 4, 1 / 4
    expected[[12, 14]] = 1 / 2
    np.testing.assert_allclose(shares, expected, atol=1e-12)


def test_real_tunes_have_mean_0_and_deviation_1_or_are_constant(tunes):
    found = metrics.SurfaceHistograms(tunes).features(tunes)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-12)
    deviation = found.std(axis=0)
    assert np.all((abs(deviation - 1) < 1e-9) | (deviation < 1e-4))
    assert (deviation > 0.5).sum() >= 15


def test_phrases_that_change_places_change_nothing(tunes):
    seen = metrics.SurfaceHistograms(tunes)
    turned = tunes.reshape(-1, 4, 16)[:, ::-1].reshape(tunes.shape)
    assert (turned != tunes).any(axis=1).mean() > 0.5
    np.testing.assert_allclose(seen.features(turned), seen.features(tunes), atol=1e-12)


def test_what_is_no_tune_is_refused(tunes):
    with pytest.raises(ValueError, match="token"):
        metrics.SurfaceHistograms(tunes).features(np.full((2, 64), 999))
