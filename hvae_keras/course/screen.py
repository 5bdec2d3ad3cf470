"""What `hvae grade` shows on the screen."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hvae_keras.course.classroom import Classroom
from hvae_keras.course.judge import SYMBOLS
from hvae_keras.course.marks import Mark
from hvae_keras.course.sandbox import PARTS

COLOURS = {
    "passed": "green",
    "wrong": "red",
    "error": "red",
    "timed out": "red",
    "out of memory": "red",
    "missing": "yellow",
    "not attempted": "dim",
}


def show_notebook(console: Console, classroom: Classroom) -> None:
    """Every verdict of a single notebook."""
    for mark in classroom.students[0].marks:
        report = mark.report
        if report.problem:
            _say(console, f"{report.submission}: {report.problem}", "red")
        for verdict in report.verdicts:
            _say(console, str(verdict), COLOURS[verdict.status])
        _say(console, f"{report.submission}: {mark.points:g} of {mark.of:g} points")
    _say_what_is_weaker(console, classroom)


def show_class(console: Console, classroom: Classroom) -> None:
    """A table a lesson, and below what an instructor should know."""
    marks = [(one.student.key, mark) for one in classroom.students for mark in one.marks]
    slugs = sorted({mark.report.lesson for _, mark in marks})
    for slug in slugs:
        console.print(_table(slug, [(key, mark) for key, mark in marks if mark.report.lesson == slug]))
    _say(console, "  ".join(f"{symbol} {status}" for status, symbol in SYMBOLS.items()), "dim")
    for key, mark in marks:
        if mark.report.problem:
            _say(console, f"{key}: {mark.report.problem}", "red")
    for remark in classroom.remarks:
        _say(console, remark, "yellow")
    if classroom.known:
        _say(console, f"{classroom.known} known from before, {classroom.graded} graded now", "dim")
    _say_what_is_weaker(console, classroom)


def _table(slug: str, group: list[tuple[str, Mark]]) -> Table:
    table = Table(slug or "(lesson unknown)", box=None, pad_edge=False)
    for name in (*(verdict.exercise for verdict in group[0][1].report.verdicts), "Points"):
        table.add_column(name, no_wrap=True)
    for key, mark in group:
        cells = (f"[{COLOURS[v.status]}]{SYMBOLS[v.status]} {v.points:g}" for v in mark.report.verdicts)
        late = f"  late, −{mark.penalty:g}" if mark.penalty else ""
        table.add_row(escape(key), *cells, f"{mark.points:g}/{mark.of:g}{late}")
    return table


def _say_what_is_weaker(console: Console, classroom: Classroom) -> None:
    for part in PARTS if classroom.confined is not None else ():
        if part not in classroom.confined:
            _say(console, f"Not enforced on this system: {PARTS[part]}.", "yellow")


def _say(console: Console, text: str, style: str = "") -> None:
    """A line as it is: student's text is no markup, and a pipe gets it unbroken."""
    console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)
