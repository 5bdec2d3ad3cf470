"""What tunes are made of: their forms, keys and chords, pitches and durations."""

import numpy as np

from hvae_keras.metrics import music
from hvae_keras.report.blocks import Content, LeftOutError, Mean, mean, percent, share, with_error
from hvae_keras.report.subject import Subject
from hvae_keras.report.tunes import forms, phrase_length

TITLE = "Form, key and harmony"
QUESTION = (
    "Do the tunes of the model repeat their phrases, keep to a key and to chords, and use pitches and "
    "durations, as real tunes do? The second column is what real tunes give: that is to be reached, and not "
    "1."
)
LIMITS = (
    "The key and the chords are the best that can be found for each tune, so that even random notes score "
    "above 0. Histograms of the whole set are right if the notes are, in whatever order."
)

FORMS = 8  # that the table shows


def make(subject: Subject) -> Content:
    """Means and shares of the model's tunes beside those of real ones."""
    content = Content()
    if not subject.holds_tunes:
        raise LeftOutError("These data are no tunes.")
    both = {"model": subject.samples, "real": subject.test.x}
    means = {whose: _means(x, subject.data.name) for whose, x in both.items()}
    rows = [[name, *(with_error(means[whose][name]) for whose in both)] for name in means["model"]]
    caption = f"Means over {subject.n:,} tunes, ± half the 95 % interval."
    content.tabulate(caption, ["share of a tune", "model", "real"], rows)
    content.values |= {"n": subject.n, "means": means}
    if phrase_length(subject.test.x) is not None:
        _forms(content, both)
    _histograms(content, {**both, "other real": subject.other.x})
    return content


def _means(x: np.ndarray, data: str) -> dict[str, Mean]:
    tonic, mode = music.key(x)
    found = {"steps in the scale of the best key": mean(music.in_key(x, tonic, mode))}
    if data == "melodies":  # chords are looked for in phrases as long as its own
        found["strong notes in the best chords"] = mean(music.best_harmony(x, tonic, mode))
    return found


def _forms(content: Content, both: dict[str, np.ndarray]) -> None:
    """How frequent the most frequent forms are."""
    found = {whose: np.array(forms(x)) for whose, x in both.items()}
    names = {name for of in found.values() for name in of.tolist()}
    shares = {name: {whose: share(of == name) for whose, of in found.items()} for name in sorted(names)}
    frequent = sorted(shares, key=lambda name: -max(of.share for of in shares[name].values()))[:FORMS]
    rows = [[name, *(percent(of) for of in shares[name].values())] for name in frequent]
    content.tabulate(
        "The most frequent forms, with 95 % intervals.", ["form", "model, % of tunes", "real, % of tunes"], rows
    )
    content.values["forms"] = shares


def _histograms(content: Content, sets: dict[str, np.ndarray]) -> None:
    """What the histograms of the model share with those of real tunes, and what two real sets share."""
    measures = {"pitch classes": music.pitch_class_histogram, "durations": music.duration_histogram}
    found = {name: {whose: measure(x) for whose, x in sets.items()} for name, measure in measures.items()}
    shared = {
        name: {whose: music.overlap(of[whose], of["real"]) for whose in sets if whose != "real"}
        for name, of in found.items()
    }
    rows = [[name, *(f"{value:.3f}" for value in of.values())] for name, of in shared.items()]
    content.tabulate(
        "What two histograms share: 1 if they are the same. No interval is estimated; the last column shows "
        "how far two sets of real tunes of this size differ.",
        ["histogram of", "model and real", "other real and real"],
        rows,
    )
    content.values |= {"histograms": found, "overlap": shared}
