"""What the model draws by itself, and what stays when upper levels are held."""

import numpy as np

from hvae_keras import plots
from hvae_keras.latents import draw_latents
from hvae_keras.models import TranslationGAN
from hvae_keras.report.blocks import Content
from hvae_keras.report.subject import Subject, seeded
from hvae_keras.report.tunes import as_pictures, forms, phrase_length

TITLE = "What the model draws"
QUESTION = (
    "Could what the model makes be real, and is it as varied as what is real? Compare the rows of the model "
    "with those that are real, which it was not trained on."
)
LIMITS = (
    "A few samples can convict a model but not acquit it: they do not show what it never draws, nor whether it "
    "learned its training data by heart. Nothing here was picked: these are the first draws."
)
COLUMNS, ROWS = 12, 4
HELD = 10  # draws that share their upper levels
TUNES = 3  # of each kind


def make(subject: Subject) -> Content:
    """Samples beside real examples; for a hierarchy, the upper levels held and the rest drawn again."""
    content = Content()
    samples = subject.samples
    content.values["temperature"] = 1.0
    if isinstance(subject.model, TranslationGAN):
        content.say("Every picture was made from the sketch of a test picture, those of the first row.")
    if subject.told is not None:
        content.say(f"The model is told a label: it was given the values of {subject.label} of the test data.")
        content.values["labels"] = subject.label
    if subject.holds_tunes:
        _tunes(content, "real", subject.test.x[:TUNES])
        _tunes(content, "model", samples[:TUNES])
    else:
        _grid(content, subject, samples)
    if subject.levels > 1:
        _held(content, subject)
    return content


def _grid(content: Content, subject: Subject, samples: np.ndarray) -> None:
    """A row of real examples over rows of draws."""
    columns, inches = (COLUMNS, 0.62) if subject.holds_pictures else (COLUMNS // 3, 1.8)
    real, drawn = as_pictures(subject.test.x[:columns]), as_pictures(samples[: columns * ROWS])
    rows = [real, *(drawn[at : at + columns] for at in range(0, len(drawn), columns))]
    caption = f"The first {len(real)} of the test data, and {len(drawn)} draws from the model."
    labels = ["real", *["model"] * (len(rows) - 1)]
    content.draw(plots.image_grid, rows, caption, row_labels=labels, size=inches)


def _tunes(content: Content, whose: str, tunes: np.ndarray) -> None:
    of = "of the test data" if whose == "real" else "that the model drew"
    caption = f"The first {len(tunes)} tunes {of}. Letters say which phrases return."
    titled = {f"{whose} {i}": tune for i, tune in enumerate(tunes, 1)}
    _roll(content, titled, caption)


def _roll(content: Content, titled: dict[str, np.ndarray], caption: str) -> None:
    tunes = np.stack(list(titled.values()))
    length = phrase_length(tunes)
    content.draw(plots.piano_roll, titled, caption, length=length or tunes.shape[1], letters=forms(tunes))


def _held(content: Content, subject: Subject) -> None:
    """Examples that share their upper levels: for each level above the first, it and those above it are held."""
    top, columns = subject.levels, TUNES if subject.holds_tunes else HELD
    rows = 1 if subject.holds_tunes else 4 if top == 2 else 2
    subject.step("holding upper levels")
    z, blocks = draw_latents(subject.model, rows, seed=subject.seed), {}
    for k in range(top, 1, -1):
        held = {level: np.repeat(z[level - 1], columns, axis=0) for level in range(k, top + 1)}
        with seeded(subject.model, subject.seed):
            made = subject.as_data(subject.generate(rows * columns, held))
        label = f"z{k} held" if k == top else f"z{k} to z{top} held"
        blocks[label] = made.reshape(rows, columns, *made.shape[1:])
    if subject.holds_tunes:
        for label, block in blocks.items():
            titled = {f"{label}, draw {i}": tune for i, tune in enumerate(block[0], 1)}
            _roll(content, titled, f"{label}: {columns} tunes that share it, and nothing else.")
        return
    content.draw(
        plots.traversals,
        {label: np.stack([as_pictures(row) for row in block]) for label, block in blocks.items()},
        "In each row the upper levels are one draw, and those below are drawn anew in every column. What a row "
        "has in common is what the upper levels decide; if they decide nothing, a row is as mixed as other draws.",
        alt=f"Rows of {columns} draws that share their upper levels: {', '.join(blocks)}.",
    )
