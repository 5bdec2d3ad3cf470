"""What a section of a report is made of: sentences, tables, figures, and numbers as people read them."""

import base64
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, NamedTuple

import numpy as np

from hvae_keras.plots.style import kept, png

WIDTH_95 = 1.96  # standard errors on each side of an interval that holds the truth in 95 of 100 cases


class LeftOutError(Exception):
    """A section does not apply to this model or these data; the message says why, in one sentence."""


class Missing(NamedTuple):
    """Stands for a number that is not there: `null` in JSON, with its reason beside it."""

    reason: str


@dataclass(frozen=True)
class Text:
    """A paragraph; a warning is set apart."""

    text: str
    warning: bool = False
    kind: str = "text"


@dataclass(frozen=True)
class Table:
    """A table of strings. The header has the units; the first cell of a row is its name."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    kind: str = "table"


@dataclass(frozen=True)
class Picture:
    """A figure as a PNG, with what to see and what is drawn."""

    data: bytes
    caption: str
    alt: str
    kind: str = "picture"

    @property
    def source(self) -> str:
        """The picture inside its own address."""
        return "data:image/png;base64," + base64.b64encode(self.data).decode("ascii")


@dataclass
class Content:
    """What a section found: blocks for the page, and the same numbers for the JSON."""

    blocks: list[Text | Table | Picture] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)

    def say(self, text: str) -> None:
        """Add a paragraph."""
        self.blocks.append(Text(text))

    def warn(self, text: str) -> None:
        """Add a warning, to the page and to the values."""
        self.blocks.append(Text(text, warning=True))
        self.values.setdefault("warnings", []).append(text)

    def tabulate(self, caption: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Add a table."""
        self.blocks.append(Table(caption, header, rows))

    def draw(self, plot: Callable, *args: Any, **kwargs: Any) -> None:
        """Add what a function of `hvae_keras.plots` draws, with its caption and alternative text."""
        with kept() as figures:
            plot(*args, **kwargs)
        self.blocks += [Picture(png(shown.figure), shown.caption, shown.alt) for shown in figures]


class Mean(NamedTuple):
    """The mean of `n` values, and its standard error; NaN for one value."""

    mean: float
    standard_error: float
    n: int


def mean(values: np.ndarray) -> Mean:
    """The mean over examples `[n]`."""
    values = np.asarray(values, "float64")
    error = float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan
    return Mean(float(values.mean()), error, len(values))


class Share(NamedTuple):
    """A share of `n` examples, and the ends of its 95 % interval (Wilson 1927), which holds for 0 and 1 too."""

    share: float
    low: float
    high: float
    n: int


def share(kept: np.ndarray) -> Share:
    """The share of the examples, bool `[n]`, that are true."""
    kept = np.asarray(kept, bool)
    return share_of(float(kept.mean()), len(kept))


def share_of(p: float, n: int) -> Share:
    """A share that is known as a number."""
    squared = WIDTH_95**2 / n
    middle, half = p + squared / 2, WIDTH_95 * math.sqrt(p * (1 - p) / n + squared / (4 * n))
    low, high = (middle - half) / (1 + squared), (middle + half) / (1 + squared)
    return Share(p, min(low, p), max(high, p), n)


# Numbers for readers


def number(value: float, digits: int = 3) -> str:
    """Write so many significant digits, no exponent for sizes people read, a true minus; a dash if not finite."""
    if isinstance(value, Missing) or not math.isfinite(value):
        return "–"
    if value == 0 or 1e-4 <= abs(value) < 1e6:
        decimals = 0 if value == 0 else max(0, digits - 1 - math.floor(math.log10(abs(value))))
        return _minus(f"{value:,.{decimals}f}")
    return _minus(f"{value:.{digits - 1}e}")


def with_error(estimate: Mean) -> str:
    """Write a mean and half the width of its 95 % interval, both to the digit that the width allows."""
    half = WIDTH_95 * estimate.standard_error
    if not math.isfinite(half):
        return number(estimate.mean)
    decimals = 2 if half == 0 else min(6, max(0, 1 - math.floor(math.log10(half))))
    return _minus(f"{estimate.mean:,.{decimals}f} ± {half:,.{decimals}f}")


def with_interval(value: float, low: float, high: float) -> str:
    """Write a value and its interval, all to the digit that the interval's width allows."""
    if not all(map(math.isfinite, (value, low, high))):
        return number(value)
    width = high - low
    decimals = 3 if width <= 0 else min(6, max(0, 1 - math.floor(math.log10(width))))
    return _minus(f"{value:,.{decimals}f} ({low:,.{decimals}f} to {high:,.{decimals}f})")


def percent(found: Share) -> str:
    """Write a share and its interval in percent."""
    if not math.isfinite(found.share):
        return "–"
    return f"{100 * found.share:.1f} ({100 * found.low:.1f} to {100 * found.high:.1f})"


def _minus(text: str) -> str:
    return text.replace("-", "−")


# Values for programs


def plain(value: Any, place: str = "") -> tuple[Any, dict[str, str]]:
    """What strict JSON can hold, and for each number that had to become null: its place -> the reason."""
    reasons: dict[str, str] = {}
    return _plain(value, place, reasons), reasons


def _plain(value: Any, place: str, reasons: dict[str, str]) -> Any:
    if isinstance(value, Missing):
        reasons[place] = value.reason
        return None
    if is_dataclass(value):
        value = {part.name: getattr(value, part.name) for part in fields(value)}
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {str(key): _plain(part, inner, reasons) for key, part, inner in _parts(value.items(), place)}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(part, inner, reasons) for _, part, inner in _parts(enumerate(value), place)]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        reasons[place] = "not a number" if math.isnan(value) else "infinite"
        return None
    return value


def _parts(items: Any, place: str) -> Iterator[tuple[Any, Any, str]]:
    for key, part in items:
        yield key, part, f"{place}.{key}" if place else str(key)
