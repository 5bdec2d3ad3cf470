"""Figures of tunes: piano rolls, what repeats in them, and what a recurrent network remembers and repeats."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from hvae_keras.music import ABSENT, HIGHEST, LOWEST, REST, sounding
from hvae_keras.plots.style import COLORS, DPI, MARKERS, figure, show, styled

PITCH_CLASSES = ("C", "D♭", "D", "E♭", "E", "F", "G♭", "G", "A♭", "A", "B♭", "B")
ONSET = 0.45  # steps of a note that are drawn dark
THICK = 1.4  # semitones: notes of one tune never sound together, so they cannot cover each other
NOTE_COLORS = tuple(tuple(0.25 + 0.75 * part for part in to_rgb(color)) for color in COLORS)  # by letter, from A
NAMED = (0, 7)  # C and G are written at the axis: enough to read the others by


@styled
def piano_roll(
    tunes: Mapping[str, np.ndarray] | np.ndarray,
    caption: str,
    length: int = 16,
    letters: Sequence[str] | None = None,
    alt: str = "",
) -> Figure | None:
    """Show tunes, a panel each: a bar for each note, as long as it sounds, with a dark start.

    Args:
        tunes: Tokens of `hvae_keras.music`, `[k, steps]`, or title -> `[steps]`. Padding is grey.
        caption: What to see.
        length: Steps of a phrase; a line is drawn before each phrase.
        letters: The form of each tune, such as "AABA" (`hvae_keras.metrics.music.form`): its letters stand above
            the phrases and colour them. A phrase of padding alone has none.
        alt: Alternative text, in place of the one made from the numbers.

    Raises:
        ValueError: if tokens are wrong, or `letters` is not one string a tune and one letter a phrase.
    """
    titled = tunes if isinstance(tunes, Mapping) else {f"tune {i}": tune for i, tune in enumerate(tunes, 1)}
    if not titled:
        raise ValueError("tunes holds at least one tune; got none")
    pitches = {title: sounding(tune) for title, tune in titled.items()}
    for title, row in pitches.items():
        if row.ndim != 1:
            raise ValueError(f"tunes is [k, steps], or title -> [steps]; got shape {row.shape} for {title!r}")
    forms = _forms(letters, pitches, length)
    heard = np.concatenate(list(pitches.values()))
    heard = heard[heard >= LOWEST] if (heard >= LOWEST).any() else np.array([LOWEST, HIGHEST])
    ticks = _pitch_ticks(heard.min(), heard.max())
    margin = max(1.2, 6 - np.ptp(heard) / 2)  # semitones; the axis spans an octave at least
    made, panels = _stacked(len(titled))
    told = []
    for axes, (title, tune), row, form in zip(panels, titled.items(), pitches.values(), forms, strict=True):
        notes = _draw_notes(axes, np.asarray(tune), row, form, length)
        _draw_phrases(axes, row, form, length)
        axes.set_title(title, loc="left", pad=14 if form else 6)
        axes.set(xlim=(0, len(row)), ylim=(heard.min() - margin, heard.max() + margin))
        axes.set_yticks(ticks, [_name(pitch) for pitch in ticks])
        told.append(f"{title}: {_told(notes)}" + (f", form {form.replace(' ', '')}" if form else ""))
    return show(made, caption, alt or f"Piano rolls, pitch against time in steps. {'; '.join(told)}.")


def _forms(letters: Sequence[str] | None, pitches: Mapping[str, np.ndarray], length: int) -> list[str]:
    """One string a tune, with a space for a phrase of padding alone; empty without letters."""
    if length < 1:
        raise ValueError(f"length is a number of steps, at least 1; got {length}")
    if letters is None:
        return [""] * len(pitches)
    forms = [str(form) for form in letters]
    there = [
        [bool((row[start : start + length] > ABSENT).any()) for start in range(0, len(row), length)]
        for row in pitches.values()
    ]
    phrases = [sum(slots) for slots in there]
    if isinstance(letters, str) or [len(form) for form in forms] != phrases:
        raise ValueError(
            f"letters is one string a tune with one letter a phrase, {phrases} letters here; got {letters!r}"
        )
    named = [iter(form) for form in forms]
    return [
        "".join(next(form) if slot else " " for slot in slots) for form, slots in zip(named, there, strict=True)
    ]


def _stacked(panels: int) -> tuple[Figure, list[Axes]]:
    """Up to three tunes one above the other, so that the same step lies above itself; more in two columns."""
    columns = 1 if panels <= 3 else 2
    rows = -(-panels // columns)
    made = Figure(figsize=(8.0 if columns == 1 else 9.0, 0.5 + 1.75 * rows), dpi=DPI, layout="constrained")
    grid = made.subplots(rows, columns, squeeze=False, sharey=True)
    for axes in grid.flat[panels:]:
        axes.remove()
    used = list(grid.flat[:panels])
    for i, axes in enumerate(used):
        if i + columns >= panels:
            axes.set_xlabel("step (eighth notes)")
        if i % columns == 0:
            axes.set_ylabel("pitch")
    return made, used


def _draw_notes(axes: Axes, tune: np.ndarray, row: np.ndarray, form: str, length: int) -> np.ndarray:
    """Draw one tune; return the pitches `[notes]` that it starts."""
    steps = len(row)
    starts = np.flatnonzero((tune > REST) | (np.diff(row, prepend=-9) != 0))
    durations = np.diff(starts, append=steps)
    struck = tune[starts] > REST
    for start, duration, pitch, new in zip(starts, durations, row[starts], struck, strict=True):
        if pitch < LOWEST:
            continue
        letter = _letter(form, start // length)
        dark = tuple(0.35 * part for part in to_rgb(COLORS[letter]))
        corner = start, pitch - THICK / 2
        look = {"facecolor": NOTE_COLORS[letter], "edgecolor": COLORS[letter], "linewidth": 0.6}
        axes.add_patch(Rectangle(corner, duration, THICK, **look))
        if new:
            axes.add_patch(Rectangle(corner, ONSET, THICK, facecolor=dark, linewidth=0))
    return row[starts[struck]]


def _letter(form: str, phrase: int) -> int:
    """The number of a phrase's letter, from A = 0, which chooses its colour; 0 without letters."""
    return (ord(form[phrase].upper()) - ord("A")) % len(COLORS) if form else 0


def _draw_phrases(axes: Axes, row: np.ndarray, form: str, length: int) -> None:
    """Draw the borders of phrases, their letters, what is padding, and ticks in time."""
    steps = len(row)
    for phrase, start in enumerate(range(0, steps, length)):
        if start:
            axes.axvline(start, color="black", linewidth=1.2)
        if form:
            middle, look = (start + min(start + length, steps)) / 2, {"ha": "center", "va": "bottom"}
            look |= {"color": COLORS[_letter(form, phrase)], "weight": "bold"}
            axes.text(middle, 1.0, form[phrase], transform=axes.get_xaxis_transform(), **look)
    absent = np.flatnonzero(np.diff(row == ABSENT, prepend=False, append=False))
    for start, end in absent.reshape(-1, 2):
        axes.axvspan(start, end, color="#DDDDDD", linewidth=0)
    tick = 8
    while steps / tick > 9:
        tick *= 2
    axes.set_xticks(range(0, steps + 1, tick))


def _name(pitch: int) -> str:
    """Such as C4, the middle C, for MIDI number 60."""
    return f"{PITCH_CLASSES[pitch % 12]}{pitch // 12 - 1}"


def _pitch_ticks(lowest: int, highest: int) -> list[int]:
    """Each C and G between two pitches; the two themselves where that is fewer than two."""
    named = [pitch for pitch in range(lowest, highest + 1) if pitch % 12 in NAMED]
    return named if len(named) > 1 else sorted({lowest, highest})


def _told(notes: np.ndarray) -> str:
    """How many notes, and between which pitches."""
    if not len(notes):
        return "no notes"
    return f"{len(notes)} notes, {_name(notes.min())} to {_name(notes.max())}"


@styled
def self_similarity(
    matrices: Mapping[str, np.ndarray], caption: str, length: int = 16, alt: str = ""
) -> Figure | None:
    """Show which moments of a tune sound alike, a panel a tune: repeated phrases are lines beside the diagonal.

    matrices: title -> `[steps, steps]`, values in [0, 1]. length: steps of a phrase, whose borders are drawn.
    ValueError for another shape, another range, or length below 1.
    """
    if length < 1:
        raise ValueError(f"length is a number of steps, at least 1; got {length}")
    made, panels = _squares(matrices, _square_width(len(matrices)))
    told = []
    for axes, (title, matrix) in zip(panels, matrices.items(), strict=True):
        steps = len(matrix)
        extent = (0, steps, steps, 0)  # step 0 at the top left, each square from its step to the next
        picture = axes.imshow(matrix, vmin=0, vmax=1, cmap="cividis", extent=extent)
        borders = range(0, steps + 1, length)
        for border in range(length, steps, length):
            axes.axhline(border, color="white", linewidth=0.7)
            axes.axvline(border, color="white", linewidth=0.7)
        shown = borders[:: -(-len(borders) // 6)]
        axes.set_xticks(shown)
        axes.set_yticks(shown)
        axes.set(title=title, xlabel="step")
        axes.grid(False)
        told.append(f"{title}: {_most_alike(matrix, length)}")
    panels[0].set_ylabel("step")
    made.colorbar(picture, ax=panels, label="similarity", shrink=0.9)
    return show(made, caption, alt or f"Similarity of each step to each other. {'; '.join(told)}.")


def _most_alike(matrix: np.ndarray, length: int) -> str:
    """The two phrases with the highest mean along the diagonal of their square, and the two with the lowest."""
    starts = range(0, len(matrix), length)
    pairs = {
        (i + 1, j + 1): float(np.mean(np.diagonal(np.asarray(matrix)[a : a + length, b : b + length])))
        for j, b in enumerate(starts)
        for i, a in enumerate(starts)
        if i < j
    }
    if not pairs:
        return f"one phrase, mean {np.mean(matrix):.2f}"
    best, worst = max(pairs, key=pairs.get), min(pairs, key=pairs.get)
    text = f"phrases {best[0]} and {best[1]} are most alike, {pairs[best]:.2f}"
    return text if best == worst else f"{text}, {worst[0]} and {worst[1]} least, {pairs[worst]:.2f}"


@styled
def phrase_similarity(matrices: Mapping[str, np.ndarray], caption: str, alt: str = "") -> Figure | None:
    """Show how much the phrases of a tune sound alike, a table of numbers for each tune or mean over tunes.

    matrices: title -> `[phrases, phrases]`, values in [0, 1]. ValueError for another shape or range.
    """
    made, panels = _squares(matrices, min(2.9, _square_width(len(matrices))))
    told = []
    for axes, (title, matrix) in zip(panels, matrices.items(), strict=True):
        phrases = len(matrix)
        picture = axes.imshow(matrix, vmin=0, vmax=1, cmap="cividis")
        for (row, column), value in np.ndenumerate(np.asarray(matrix)):
            color = "white" if value < 0.6 else "black"
            size = min(10, 36 / phrases)
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=size, color=color)
        axes.set_xticks(range(phrases), range(1, phrases + 1))
        axes.set_yticks(range(phrases), range(1, phrases + 1))
        axes.tick_params(length=0)
        axes.set(title=title, xlabel="phrase")
        axes.grid(False)
        told.append(f"{title}: {_most_alike(matrix, 1)}")
    panels[0].set_ylabel("phrase")
    made.colorbar(picture, ax=panels, label="similarity", shrink=0.9)
    return show(made, caption, alt or f"Similarity of each phrase to each other. {'; '.join(told)}.")


def _square_width(panels: int) -> float:
    return min(3.4, 8.0 / max(panels, 1))


def _squares(matrices: Mapping[str, np.ndarray], side: float) -> tuple[Figure, list[Axes]]:
    """Panels side by side for square matrices of values in [0, 1]."""
    if not matrices:
        raise ValueError("matrices holds at least one matrix; got none")
    for title, matrix in matrices.items():
        matrix = np.asarray(matrix)
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
            raise ValueError(f"matrices[{title!r}] must be square, got shape {matrix.shape}")
        if not (matrix.min() >= -1e-6 and matrix.max() <= 1 + 1e-6):
            raise ValueError(
                f"matrices[{title!r}] holds values in [0, 1]; got {matrix.min():g} to {matrix.max():g}"
            )
    return figure(len(matrices), width=side * len(matrices) + 1.2, height=side + 0.5)


@styled
def gradient_norms(
    norms: Mapping[str, np.ndarray], caption: str, ylabel: str = "norm of the gradient", alt: str = ""
) -> Figure | None:
    """Show how large a gradient is against the steps it travelled back: median, and the middle 80 % of repeats.

    norms: name -> `[distances]` or `[repeats, distances]`; column d is at distance d, from 0. That is
    `metrics.gradient_norms(cell, x)[:, ::-1]`, which runs in time. Zeros, a gradient too small for its number
    format, have no place on the logarithmic axis: the line ends there. ValueError for another shape, negative
    values or NaN.
    """
    made, (axes,) = figure(height=3.6)
    ends = []
    for i, (name, values) in enumerate(norms.items()):
        values = np.atleast_2d(np.asarray(values, "float64"))
        if values.ndim != 2 or not values.size:
            raise ValueError(
                f"norms[{name!r}] must be [distances] or [repeats, distances], got shape {values.shape}"
            )
        if not (values >= 0).all() or np.isinf(values).any():
            raise ValueError(f"norms[{name!r}] holds finite norms, at least 0; got one that is not")
        low, middle, high = (
            np.where(line > 0, line, np.nan) for line in np.quantile(values, [0.1, 0.5, 0.9], axis=0)
        )
        distances = np.arange(values.shape[1])
        few = max(1, len(distances) // 8)
        look = {"color": COLORS[i % len(COLORS)], "marker": MARKERS[i % len(MARKERS)], "markersize": 5}
        axes.plot(distances, middle, label=name, markevery=(i * few // len(norms), few), **look)
        if len(values) > 1:
            axes.fill_between(distances, low, high, color=look["color"], alpha=0.2, linewidth=0)
        first, last = np.median(values, axis=0)[[0, -1]]
        ends.append(f"{name} {first:.2g} at distance 0, {last:.2g} at {len(distances) - 1}")
    axes.set(yscale="log", xlabel="distance back in time (steps)", ylabel=ylabel)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return show(made, caption, alt or f"{ylabel} against distance in steps, medians: {'; '.join(ends)}.")


@styled
def form_scores(
    scores: Mapping[str, np.ndarray],
    caption: str,
    floor: tuple[str, float] | None = None,
    ceiling: tuple[str, float] | None = None,
    ylabel: str = "share of tunes in a form",
    alt: str = "",
) -> Figure | None:
    """Show a score of several models, a dot for each seed and a bar at their mean.

    scores: name -> `[seeds]`, shares in [0, 1]. floor and ceiling: (name, share), lines to compare with, such as
    shuffled phrases and real tunes. ValueError for a value outside [0, 1].
    """
    lines = [line for line in (ceiling, floor) if line is not None]
    for name, values in (*scores.items(), *lines):
        values = np.asarray(values, "float64")
        if not values.size or not ((values >= 0) & (values <= 1)).all():
            raise ValueError(f"scores are shares, from 0 to 1; got {values.tolist()} for {name!r}")
    names = [textwrap.fill(name, 14) for name in scores]
    made, (axes,) = figure(width=min(9.5, 1.0 + 1.3 * len(scores) + 2.6 * bool(lines)), height=3.4)
    told = []
    for i, (name, values) in enumerate(scores.items()):
        values = np.ravel(values)
        look = {"color": COLORS[i % len(COLORS)], "marker": MARKERS[i % len(MARKERS)]}
        places = i + 0.12 * (np.arange(len(values)) - (len(values) - 1) / 2)
        axes.plot(places, values, linestyle="", markersize=7, **look)
        axes.hlines(values.mean(), i - 0.3, i + 0.3, color=look["color"])
        told.append(f"{name} {values.mean():.2f} ({values.min():.2f} to {values.max():.2f})")
    for dash, (name, value) in zip(("--", ":"), lines, strict=False):
        axes.axhline(value, color="#555555", linestyle=dash, linewidth=1.3, label=f"{name}: {value:.2f}")
        told.append(f"{name} {value:.2f}")
    axes.set_xticks(range(len(scores)), names)
    axes.set(xlim=(-0.6, len(scores) - 0.4), ylim=(-0.03, 1.03), ylabel=ylabel)
    if lines:
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return show(made, caption, alt or f"{ylabel}, means over seeds: {', '.join(told)}.")
