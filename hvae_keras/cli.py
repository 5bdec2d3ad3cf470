"""The `hvae` command. Each command imports what it needs, so that `--help` and `list` answer at once."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

app = typer.Typer(
    help="The course on hierarchical generative models: lessons, exercises, grading.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
console = Console()
COLOURS = {
    "passed": "green",
    "wrong": "red",
    "error": "red",
    "timed out": "red",
    "missing": "yellow",
    "not attempted": "dim",
}

LessonArgument = Annotated[str, typer.Argument(help="A lesson: 2, 02 or 02_vae.", show_default=False)]


def main() -> None:
    """Run the command line; a mistake of the user's ends in one line, not a traceback."""
    from hvae_keras.course.places import NoSuchLesson

    try:
        app()
    except (NoSuchLesson, FileNotFoundError) as error:
        Console(stderr=True).print(f"hvae: {error}", style="red", highlight=False, markup=False)
        raise SystemExit(2) from None


@app.command("list")
def list_lessons(
    lesson: Annotated[str | None, typer.Argument(help="Show this lesson's exercises.", show_default=False)] = None,
) -> None:
    """Lessons, minutes, points, and my progress."""
    from hvae_keras.course.catalogue import entry_of, read_catalogue
    from hvae_keras.course.places import course_root, find_lesson
    from hvae_keras.course.progress import load_progress

    root = course_root()
    if lesson is None:
        table = Table("Lesson", "Title", "Minutes", "Exercises", "Points", "Mine", box=None, pad_edge=False)
        for entry in read_catalogue(root):
            mine = [load_progress(root, exercise.id) for exercise in entry.exercises]
            done, points = sum(record.passed for record in mine), sum(record.points for record in mine)
            table.add_row(
                entry.slug,
                entry.title,
                str(entry.minutes),
                f"{done} of {len(mine)}",
                f"{entry.points:g}",
                f"{points:g}",
            )
    else:
        table = Table("Exercise", "Function", "Minutes", "Points", "Mine", "Status", box=None, pad_edge=False)
        for exercise in entry_of(root, find_lesson(root, lesson)).exercises:
            record = load_progress(root, exercise.id)
            status = f"[{COLOURS[record.status]}]{record.status}"
            table.add_row(
                exercise.id,
                exercise.name,
                str(exercise.minutes),
                f"{exercise.points:g}",
                f"{record.points:g}",
                status,
            )
    console.print(table)


@app.command()
def grade(
    path: Annotated[Path, typer.Argument(help="A notebook, or a folder of them.", show_default=False)],
    lesson: Annotated[
        str | None, typer.Option(help="Which lesson it is, where the notebook does not say.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write everything to this JSON file.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write a row a submission to this CSV file.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the checks' random inputs.")] = 0,
    limit: Annotated[float, typer.Option(help="Seconds an exercise may take.")] = 20.0,
) -> None:
    """Grade a notebook, or every notebook in a folder."""
    from hvae_keras.course import grading
    from hvae_keras.course.places import course_root

    root = course_root()
    paths = grading.find_submissions(path)
    reports = []
    with _progress() as bar:
        task = bar.add_task("grading", total=len(paths))
        for item in paths:
            bar.update(task, description=item.name)
            reports.append(grading.grade(item, root, lesson, seed, limit))
            bar.advance(task)
    _print_one(reports[0]) if len(reports) == 1 else _print_many(reports)
    if json:
        grading.write_json(json, reports)
    if csv:
        grading.write_csv(csv, reports)


@app.command()
def build(
    lesson: Annotated[str | None, typer.Argument(help="Only this lesson.", show_default=False)] = None,
    execute: Annotated[bool, typer.Option(help="Run the solution notebooks whose source changed.")] = True,
    force: Annotated[bool, typer.Option(help="Run them even if their source did not change.")] = False,
) -> None:
    """Make the notebooks from the lessons' sources (for authors)."""
    from nbclient.exceptions import CellExecutionError

    from hvae_keras.course.build import build as build_lesson
    from hvae_keras.course.places import course_root, find_lesson, lessons
    from hvae_keras.course.source import SourceError

    root = course_root()
    for slug in [find_lesson(root, lesson)] if lesson else lessons(root):
        try:
            with _progress() as bar:
                task = bar.add_task(slug, total=None)

                def moved(done: int, total: int, bar: Progress = bar, task: int = task) -> None:
                    bar.update(task, completed=done, total=total)

                built = build_lesson(root, slug, execute, force, moved)
        except (SourceError, CellExecutionError) as error:
            console.print(f"{slug}:", Text.from_ansi(str(error)), soft_wrap=True)
            raise typer.Exit(1) from None
        ran = "not run: its code did not change" if built.seconds is None else f"run in {built.seconds:.0f} s"
        console.print(f"{slug}: student notebook {'written' if built.student_changed else 'unchanged'}, {ran}")


@app.command()
def reset(
    lesson: LessonArgument,
    exercise: Annotated[str, typer.Argument(help="An exercise, such as 2.3.", show_default=False)],
) -> None:
    """Put one stub back into my notebook (a copy of the notebook is kept)."""
    from hvae_keras.course.places import course_root, find_lesson
    from hvae_keras.course.reset import reset as put_back

    root = course_root()
    slug = find_lesson(root, lesson)
    kept = put_back(root, slug, exercise)
    console.print(f"Exercise {exercise} of lessons/{slug}.ipynb is a stub again.", highlight=False)
    console.print(f"The notebook as it was: {kept.relative_to(root)}", highlight=False)
    console.print("If it is open in JupyterLab: File → Reload Notebook from Disk.", highlight=False)


@app.command()
def doctor() -> None:
    """Versions, devices, and a short timed training run on each device."""
    from hvae_keras.course.doctor import examine

    healthy = True
    for finding in examine():
        healthy &= finding.fine
        mark = "[green]✓[/]" if finding.fine else "[red]✗[/]"
        console.print(f"{mark} {finding.text}", highlight=False)
    if not healthy:
        raise typer.Exit(1)


@app.command()
def report(
    model: Annotated[Path, typer.Argument(help="A trained model, NAME.keras.", show_default=False)],
    data: Annotated[str, typer.Option(help="The data set, such as digits.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(help="The page, NAME.html; by default MODEL-DATA.html in this folder.")
    ] = None,
    examples: Annotated[int, typer.Option(help="Examples to look at, at most.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of all draws.")] = 0,
    pixels: Annotated[
        str | None, typer.Option(help="What the model was trained on: grey, rounded or drawn pixels.")
    ] = None,
) -> None:
    """Measure a trained model: one page with samples, scores by level and what they cannot say, and a JSON."""
    import time

    from hvae_keras.data import DataError, load
    from hvae_keras.report import ReportError, read_model
    from hvae_keras.report import report as measure

    start = time.monotonic()
    out = Path(f"{model.stem}-{data}.html") if out is None else out
    try:
        if out.suffix != ".html":
            raise ReportError(f"--out is a file NAME.html; got {out}.")
        trained, source = read_model(model)
        try:
            examined = load(data)
        except (ValueError, DataError) as error:
            raise ReportError(str(error)) from error
        with _progress() as bar:
            task = bar.add_task(model.name, total=None)

            def moved(done: int, total: int, what: str) -> None:
                bar.update(task, completed=done, total=total, description=what)

            found = measure(trained, examined, examples, seed, pixels, source, moved)
        paths = found.write(out)
    except ReportError as error:
        _fail(error)
    for section in found.failed:
        console.print(f"{section.title}: failed, {section.reason}", style="red", highlight=False, markup=False)
    written = " and ".join(str(path) for path in paths)
    console.print(f"{written}, in {time.monotonic() - start:.0f} s", highlight=False, markup=False, soft_wrap=True)
    if found.failed:
        raise typer.Exit(1)


def _fail(error: Exception) -> None:
    """End with one line, as `main` does."""
    Console(stderr=True).print(f"hvae: {error}", style="red", highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(2) from None


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


def _print_one(report: object) -> None:
    if report.problem:
        console.print(f"{report.submission}: {report.problem}", style="red", highlight=False, markup=False)
    for verdict in report.verdicts:
        console.print(str(verdict), style=COLOURS[verdict.status], highlight=False, markup=False)
    console.print(f"{report.submission}: {report.points:g} of {report.of:g} points", highlight=False)


def _print_many(reports: list) -> None:
    from hvae_keras.course.judge import SYMBOLS

    for lesson in dict.fromkeys(report.lesson for report in reports):
        group = [report for report in reports if report.lesson == lesson]
        ids = [verdict.exercise for verdict in group[0].verdicts]
        table = Table(lesson or "(lesson unknown)", box=None, pad_edge=False)
        for name in (*ids, "Points"):
            table.add_column(name, no_wrap=True)
        for report in group:
            cells = (f"[{COLOURS[v.status]}]{SYMBOLS[v.status]} {v.points:g}" for v in report.verdicts)
            table.add_row(escape(report.submission), *cells, f"{report.points:g}/{report.of:g}")
        console.print(table)
    for report in reports:
        if report.problem:
            console.print(f"{report.submission}: {report.problem}", style="red", highlight=False, markup=False)
    console.print("  ".join(f"{symbol} {status}" for status, symbol in SYMBOLS.items()), style="dim")
