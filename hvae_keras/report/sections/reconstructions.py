"""What of an example comes back from some of its levels."""

import numpy as np

from hvae_keras import metrics, plots
from hvae_keras.models import Autoencoder
from hvae_keras.report.blocks import Content, mean, with_error
from hvae_keras.report.subject import Subject, seeded
from hvae_keras.report.tunes import as_pictures, phrase_length

TITLE = "What comes back, level by level"
QUESTION = (
    "If only the levels from k to the top are inferred from a test example and those below are drawn from "
    "their prior, what of the example returns? What appears from one line to the next is what the level "
    "between them holds."
)
LIMITS = (
    "A faithful copy is no proof of a good model: one that copies everything may still draw nonsense. And an "
    "error summed over pixels counts a shift by one pixel more than a missing eye."
)
EXAMPLES = 500
SHOWN, TUNES, FRAMES = 10, 2, 4  # pictures, tunes and other sequences in figures


def make(subject: Subject) -> Content:
    """Figure and table of reconstructions from the levels k to L."""
    content = Content()
    if isinstance(subject.model, Autoencoder):
        return _autoencoder(content, subject)
    model = subject.need_posterior()
    n = min(subject.n, EXAMPLES)
    x, made = subject.test.x[:n], {}
    for k in range(1, model.levels + 1):
        with seeded(model, subject.seed):
            made[k] = np.asarray(model.reconstruct(x, from_level=k))
    if subject.holds_tunes:
        _rolls(content, x, made)
    elif subject.holds_pictures:
        caption = "Test pictures, and what is left of them. Levels that are not named are drawn from their prior."
        content.draw(plots.reconstructions_by_level, x[:SHOWN], {k: y[:SHOWN] for k, y in made.items()}, caption)
    else:
        rows = [as_pictures(part[:FRAMES]) for part in (x, *made.values())]
        labels = ["x", *(_inferred(k, len(made)) for k in made)]
        caption = "Test sequences, and what is left of them. Levels that are not named are drawn from their prior."
        content.draw(plots.image_grid, rows, caption, row_labels=labels, size=1.6)
    arguments = {"samples": 1, "seed": subject.seed}
    log_likelihood = metrics.reconstruction_by_level(model, x, **arguments)
    content.values |= {"n": n, "arguments": arguments}
    _table(content, subject, x, made, log_likelihood)
    return content


def _table(
    content: Content, subject: Subject, x: np.ndarray, made: dict[int, np.ndarray], log_likelihood: np.ndarray
) -> None:
    """A line for each lowest level that is inferred, and one for none; column k - 1 of the last is for level k."""
    name, header = "squared_error", "squared error, summed over an example"
    if subject.holds_tunes:
        name, header = "share_of_steps_equal", "share of steps that are the same"
    top, rows, values = len(made), [], []
    for k in range(1, top + 2):
        found = {"from_level": k if k <= top else None, "log_likelihood": mean(log_likelihood[:, k - 1])}
        if k <= top:
            there = (x >= 0).reshape(len(x), -1)  # padding is -1
            equal = (made[k] == x).reshape(len(x), -1)
            error = ((made[k] - x) ** 2).reshape(len(x), -1)
            of_tunes = (equal & there).sum(axis=1) / np.maximum(there.sum(axis=1), 1)
            found[name] = mean(of_tunes if subject.holds_tunes else (error * there).sum(axis=1))
        second = with_error(found[name]) if k <= top else "–"
        rows.append([_inferred(k, top), with_error(found["log_likelihood"]), second])
        values.append(found)
    content.tabulate(
        f"Means over {len(x):,} test examples, ± half the 95 % interval. The first line is the reconstruction "
        "term of the ELBO.",
        ["inferred", "log p(x|z), nats per example", header],
        rows,
    )
    content.values["by_level"] = values


def _inferred(k: int, top: int) -> str:
    if k > top:
        return "nothing"
    return f"z{k} to z{top}" if k < top else f"z{k}"


def _rolls(content: Content, x: np.ndarray, made: dict[int, np.ndarray]) -> None:
    length, top = phrase_length(x) or x.shape[1], len(made)
    for i in range(min(TUNES, len(x))):
        titled = {f"test tune {i + 1}": x[i]} | {f"from {_inferred(k, top)}": y[i] for k, y in made.items()}
        caption = "A test tune, and tunes drawn from what some of its levels say. No step of it was given."
        content.draw(plots.piano_roll, titled, caption, length=length)


def _autoencoder(content: Content, subject: Subject) -> Content:
    n = min(subject.n, EXAMPLES)
    x = subject.test.x[:n]
    made = np.asarray(subject.model(x))
    if subject.holds_pictures:
        content.draw(
            plots.image_grid,
            [x[:SHOWN], made[:SHOWN]],
            "Test pictures, and what the decoder makes of their codes.",
            row_labels=["x", "from its code"],
        )
    error = mean(subject.model.reconstruction_error(x))
    caption = f"Mean over {n:,} test examples, ± half the 95 % interval."
    content.tabulate(
        caption, ["", "squared error, summed over an example"], [["from the code", with_error(error)]]
    )
    content.values |= {"n": n, "squared_error": error}
    return content
