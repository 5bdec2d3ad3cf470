"""Text that others wrote, made fit for our files: no control characters, no formulas, no endless lines."""

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

from hvae_keras.course.places import write_whole

# What XML 1.0 forbids, lone halves of surrogate pairs among it: no UTF-8 file can hold those.
FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
# A spreadsheet takes a cell for a formula that begins so; the wide forms count where East Asian text is typed.
FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
CELL_LENGTH, LINE_LENGTH, LINES = 1000, 400, 40


def clean(text: str) -> str:
    """The text with every character that UTF-8 or XML cannot hold replaced by U+FFFD."""
    return FORBIDDEN.sub("\ufffd", text)


def shortened(text: str, length: int) -> str:
    """The text, cut to `length` characters; what is left out is counted."""
    return text if len(text) <= length else f"{text[:length]}… ({len(text) - length} characters more)"


def abridged(lines: Sequence[str]) -> list[str]:
    """Lines as a reader can bear them: at most 40, of at most 400 characters, and what is left out is counted."""
    shown = [shortened(clean(line), LINE_LENGTH) for line in lines[:LINES]]
    return shown if len(lines) <= LINES else [*shown, f"… ({len(lines) - LINES} lines more)"]


def number(value: float) -> str:
    """A number as people write it: at most four decimals, none of them idle, never an exponent."""
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def in_points(value: float) -> str:
    """Points, on a page: at most two decimals."""
    return number(round(value, 2))


def plural(count: float, word: str) -> str:
    """`1 day`, `2 days`."""
    return f"{number(count)} {word}{'' if count == 1 else 's'}"


def moment(time: datetime, zone: tzinfo | None) -> str:
    """A time to the minute, in the time zone, None for this machine's, so that two of them can be compared."""
    with suppress(OverflowError):  # the last day of the year 9999, for "never", has no morrow in the east
        time = time.astimezone(zone)
    return f"{time:%Y-%m-%d %H:%M %Z}".rstrip()


def cell(text: str) -> str:
    """Text for one cell of a table: one line, and never a formula, in whatever spreadsheet it is opened."""
    line = shortened(" ".join(clean(text).split()), CELL_LENGTH)
    return f"'{line}" if line.startswith(FORMULA) else line


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> str:
    """A table as CSV with a header. A column that a row lacks is empty; every cell is made safe by `cell`."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([cell(column) for column in columns])
    table.writerows([cell(row.get(column, "")) for column in columns] for row in rows)
    return text.getvalue()


def json_text(data: Any, indent: int | None = None) -> str:
    """Data as strict JSON; with `indent` for people to read, at ten times the cost."""
    return json.dumps(data, indent=indent, ensure_ascii=False, allow_nan=False) + "\n"


def folder_name(key: str) -> str:
    """A student's key as the name of a folder that lies where it seems to lie.

    Other characters than those that every file system takes are written as %XX. Different keys have different
    names.
    """
    return re.sub(r'[\x00-\x1f/\\:*?"<>|%\ud800-\udfff]|^\.|[. ]$', lambda match: f"%{ord(match[0]):02X}", key)


def write_clean(path: Path, text: str) -> Path:
    """Write a file whole, without characters that no reader can be asked to take; return its path."""
    write_whole(path, clean(text))
    return path
