"""One look for every figure of the course, and the one way to show it."""

import functools
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

# Okabe and Ito (2008), Color Universal Design: told apart with every common kind of colour blindness.
# Yellow is left out: it cannot be read on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")  # never colour alone

STYLE = {
    "axes.prop_cycle": matplotlib.cycler(color=COLORS),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.7,
    "font.size": 11,
    "axes.titlesize": 11,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "image.cmap": "gray",
    "image.interpolation": "nearest",
}

DPI = 100  # 700 pixels across a notebook page; a figure is 10 to 60 kB


class Shown(NamedTuple):
    """A figure with the two texts that belong to it."""

    figure: Figure
    caption: str
    alt: str


_kept: ContextVar[list[Shown] | None] = ContextVar("kept", default=None)


@contextmanager
def kept() -> Iterator[list[Shown]]:
    """Give a list that takes every figure of the block, in place of showing it, also inside IPython."""
    figures: list[Shown] = []
    token = _kept.set(figures)
    try:
        yield figures
    finally:
        _kept.reset(token)


def styled(draw: Callable) -> Callable:
    """Decorate a function that draws: artists read these settings while they are made. Nothing else changes."""

    @functools.wraps(draw)
    def drawn(*args: object, **kwargs: object) -> object:
        with matplotlib.rc_context(STYLE):
            return draw(*args, **kwargs)

    return drawn


def figure(
    columns: int = 1, width: float = 7.0, height: float = 3.6, **kwargs: object
) -> tuple[Figure, list[Axes]]:
    """Return a figure of `columns` axes side by side (inches). No pyplot: nothing pops up, nothing is kept."""
    made = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    return made, list(made.subplots(1, columns, squeeze=False, **kwargs)[0])


def plain_log_ticks(axis: Axis) -> None:
    """Give a logarithmic axis ticks at 1, 2, 5, 10, ... written as plain numbers."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())


def show(figure: Figure, caption: str, alt: str) -> Figure | None:
    """Display a figure as a PNG with alternative text, and its caption under it.

    caption: what to see, in a sentence (Markdown). alt: what is drawn, for those who cannot see it.
    Outside IPython nothing is displayed and the figure is returned. Inside, None is returned: as the last value
    of a cell the figure would be drawn a second time. In a block of `kept` the figure is kept and returned.
    """
    if not caption.strip() or not alt.strip():
        raise ValueError("a figure needs a caption and an alternative text, got an empty one")
    if (figures := _kept.get()) is not None:
        figures.append(Shown(figure, " ".join(caption.split()), " ".join(alt.split())))
        return figure
    if "IPython" not in sys.modules or sys.modules["IPython"].get_ipython() is None:
        return figure
    from IPython.display import Image, display

    display(Image(data=png(figure), format="png", alt=" ".join(alt.split())))
    text = " ".join(caption.split())
    display({"text/markdown": f"*{text}*", "text/plain": text}, raw=True)
    return None


def png(figure: Figure) -> bytes:
    """The figure as a PNG file; figures that look the same give the same bytes."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI, bbox_inches="tight", pad_inches=0.05)
    return file.getvalue()
