"""What every tune of `melodies` obeys, asked of rows of tokens without their factors.

Form and key tell of the whole tune. Chords, rhythm and contour are asked of each phrase by itself, whatever the
others are: phrases of different tunes put together keep these rules, and lose the form. Nothing is asked of how
often anything comes. How forms, keys and chords are found: see `hvae_keras.metrics.music`.
"""

from dataclasses import dataclass

import numpy as np

from hvae_keras import music
from hvae_keras.data import melodies
from hvae_keras.data.melodies import CONTOURS, FORMS, MODES, PHRASES, STEPS, TONICS
from hvae_keras.data.rules import Rule, RuleBook
from hvae_keras.metrics.music import best_harmony, form, in_key, key

ALIKE = 0.75  # share of steps on which a phrase that returns is the same: with it, all tunes have their own form
SPREAD = 5.5  # most semitones from the note farthest below its phrase's line to that farthest above: 5.4 can occur


@dataclass(frozen=True)
class Parsed:
    """Tunes as they were read.

    x: the tokens, int `[n, 64]`; phrases: the same, `[4 n, 16]`.
    form: the form of each tune, such as "ABAC", `[n]`.
    tonic, mode: class indices of the key that fits best, int `[n]`.
    """

    x: np.ndarray
    phrases: np.ndarray
    form: np.ndarray
    tonic: np.ndarray
    mode: np.ndarray


def read(x: np.ndarray) -> Parsed:
    """Read tunes, tokens `[n, 64]`. Raises ValueError for another shape and for what is no token."""
    x = music.check_tokens(x)
    if x.shape != (len(x), PHRASES * STEPS):
        raise ValueError(f"x has shape {x.shape}, expected (n, {PHRASES * STEPS})")
    return Parsed(x, x.reshape(-1, STEPS), form(x, threshold=ALIKE), *key(x))


def every(phrases: np.ndarray) -> np.ndarray:
    """Return for which tunes it is true of all phrases: bool `[4 n]` to `[n]`."""
    return phrases.reshape(-1, PHRASES).all(axis=1)


def known_form(parsed: Parsed) -> np.ndarray:
    """Return where phrases return as in one of FORMS."""
    return np.isin(parsed.form, FORMS)


def one_key(parsed: Parsed) -> np.ndarray:
    """Return where all that sounds is in the scale of the key."""
    return in_key(parsed.x, parsed.tonic, parsed.mode) == 1


def phrases_have_chords(parsed: Parsed) -> np.ndarray:
    """Return where the strong notes of each phrase are in the triads of a progression, in any key."""
    keys = np.indices((len(TONICS), len(MODES))).reshape(2, -1).T
    return every(np.any([best_harmony(parsed.phrases, *each) == 1 for each in keys], axis=0))


def phrases_have_rhythms(parsed: Parsed) -> np.ndarray:
    """Return where each phrase has one of the known rhythms."""
    known = np.select([melodies.patterns() == "-", melodies.patterns() == "."], [music.HOLD, music.REST], 2)
    shown = np.minimum(parsed.phrases, 2)  # 2 for every note
    return every((shown[:, None] == known).all(axis=2).any(axis=1))


def phrases_have_contours(parsed: Parsed) -> np.ndarray:
    """Return where the notes of each phrase lie along one of CONTOURS, at any height; 7 degrees are an octave."""
    places = np.arange(STEPS)
    lines = [np.interp(places, (0, (STEPS - 1) / 2, STEPS - 1), line) * 12 / 7 for line in CONTOURS.values()]
    starts = (parsed.phrases > music.REST)[:, None]
    above = parsed.phrases[:, None] - lines
    spread = np.where(starts, above, -np.inf).max(axis=2) - np.where(starts, above, np.inf).min(axis=2)
    return every((spread <= SPREAD).any(axis=1) & starts.any(axis=(1, 2)))


RULES = RuleBook(
    read,
    {
        "known form": Rule(2, known_form, f"Phrases return as in {', '.join(FORMS[:-1])} or {FORMS[-1]}."),
        "one key": Rule(2, one_key, "All notes are in the scale of one key."),
        "chords": Rule(1, phrases_have_chords, "The strong notes of each phrase fit one of the progressions."),
        "rhythms": Rule(1, phrases_have_rhythms, "Each phrase has one of the rhythms."),
        "contours": Rule(
            1, phrases_have_contours, "Each phrase rises, falls, or does both, over about an octave."
        ),
    },
)
