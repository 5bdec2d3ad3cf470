"""The `hvae` command. Each command imports what it needs, so that `--help` and `list` answer at once."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

app = typer.Typer(
    help="The course on hierarchical generative models: lessons, exercises, grading.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
package_app = typer.Typer(
    help="What a grading platform needs to grade one lesson (for instructors).", no_args_is_help=True
)
app.add_typer(package_app, name="package")
console = Console()
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
    from hvae_keras.course.screen import COLOURS

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
    path: Annotated[
        Path, typer.Argument(help="A notebook, a folder of submissions, or a platform's zip.", show_default=False)
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for marks and feedback; by default grades/, and nothing for one notebook."),
    ] = None,
    lesson: Annotated[
        str | None, typer.Option(help="Which lesson it is, where the notebook does not say.")
    ] = None,
    roster: Annotated[Path | None, typer.Option(help="The class: a CSV with a column `student`.")] = None,
    settings: Annotated[
        Path | None, typer.Option(help="Points, lateness, seed ...: a file like course.toml.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the checks' random inputs.")] = None,
    limit: Annotated[float | None, typer.Option(min=0.1, help="Seconds an exercise may take.")] = None,
    leave_out: Annotated[
        list[str] | None, typer.Option(help="An exercise that does not count; may be repeated.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Submissions graded at once; by default one a core.")
    ] = None,
) -> None:
    """Grade a notebook or a class. Stopped at any moment, the same command goes on where it was."""
    import tempfile
    from dataclasses import replace

    from hvae_keras.course.arrivals import collect, read_roster
    from hvae_keras.course.classroom import grade_class
    from hvae_keras.course.outputs import write_outputs
    from hvae_keras.course.places import course_root, find_lesson
    from hvae_keras.course.pool import GraderFailed
    from hvae_keras.course.screen import show_class, show_notebook
    from hvae_keras.course.settings import course_settings, read_settings, require_known

    root = course_root()
    single = path.is_file() and path.suffix.lower() != ".zip"
    keep = out if out or single else Path("grades")
    with tempfile.TemporaryDirectory(prefix="hvae-grade-") as scratch, _grading_progress() as bar:
        folder = keep or Path(scratch)
        task = bar.add_task("starting", total=None)

        def moved(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total, description=f"{what:40.40}")

        try:
            chosen = read_settings(settings, root) if settings else course_settings(root)
            flags = {"seed": seed, "seconds": limit, "leave_out": leave_out and frozenset(leave_out)}
            chosen = replace(chosen, **{name: value for name, value in flags.items() if value is not None})
            require_known(chosen, root)
            classroom = grade_class(
                collect(path, folder / "submissions"),
                folder,
                root,
                chosen,
                lesson and find_lesson(root, lesson),
                read_roster(roster) if roster else (),
                jobs,
                moved,
            )
            if keep:
                write_outputs(keep, classroom.students, chosen, root)
        except (GraderFailed, OSError, ValueError) as error:
            bar.stop()
            _fail(error)
        except KeyboardInterrupt:
            bar.stop()
            graded = int(bar.tasks[task].completed)
            kept = f"{graded} graded and kept: the same command goes on from here." if keep and graded else ""
            console.print(f"Stopped. {kept}")
            raise typer.Exit(130) from None
    (show_notebook if single else show_class)(console, classroom)
    if keep:
        console.print(f"{keep}/: summary.html, grades.csv, students/ and more", highlight=False, soft_wrap=True)


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
def audit(
    lesson: Annotated[str | None, typer.Argument(help="Only this lesson.", show_default=False)] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Under how many seeds a wrong answer must be refused.")] = 1,
    out: Annotated[
        Path | None, typer.Option(help="Write the tables to this Markdown file.", show_default=False)
    ] = None,
) -> None:
    """Put wrong answers made by rule to the checks: how many are refused? (for authors)."""
    from hvae_keras.course import audit as mutation
    from hvae_keras.course.places import course_root, find_lesson, lessons

    root = course_root()
    findings = []
    with _progress() as bar:
        for slug in [find_lesson(root, lesson)] if lesson else lessons(root):
            task = bar.add_task(slug, total=None)

            def moved(done: int, total: int, bar: Progress = bar, task: int = task) -> None:
                bar.update(task, completed=done, total=total)

            try:
                findings += mutation.audit(root, slug, range(seeds), moved)
            except mutation.AuditError as error:
                _fail(error)
    table = Table("Exercise", "Mutants", "Equivalent", "Refused", "Share", box=None, pad_edge=False)
    for key, *counts, share in mutation.rows(findings):
        table.add_row(key, *map(str, counts), f"{share:.1%}")
    console.print(table)
    for mutant in (finding.mutant for finding in findings if finding.survived):
        text = f"{mutant.id}:  {mutant.difference}"
        console.print(text, style="red", highlight=False, markup=False, soft_wrap=True)
    if out:
        mutation.write_tables(out, findings)


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


@app.command()
def bundle(
    out: Annotated[Path, typer.Option(help="The zip.")] = Path("hvae_course.zip"),
    settings: Annotated[
        Path | None, typer.Option(help="Points, reveal ...: a file like course.toml, in its place.")
    ] = None,
) -> None:
    """Write the zip that students get: lessons, library, data and checks, no solutions (for instructors)."""
    from hvae_keras.course.bundle import CannotPack, write_bundle
    from hvae_keras.course.places import course_root

    try:
        names = write_bundle(course_root(), out, settings)
    except CannotPack as error:
        _fail(error)
    console.print(f"{out}: {len(names)} files, {out.stat().st_size / 1e6:.1f} MB", highlight=False, soft_wrap=True)


@package_app.command()
def gradescope(
    lesson: LessonArgument,
    out: Annotated[Path | None, typer.Option(help="The zip; by default gradescope_LESSON.zip.")] = None,
    settings: Annotated[
        Path | None, typer.Option(help="Points, reveal ...: a file like course.toml, in its place.")
    ] = None,
) -> None:
    """Write the autograder zip of a lesson."""
    from hvae_keras.course.bundle import CannotPack
    from hvae_keras.course.package import write_gradescope
    from hvae_keras.course.places import course_root, find_lesson

    root = course_root()
    slug = find_lesson(root, lesson)
    out = Path(f"gradescope_{slug}.zip") if out is None else out
    try:
        write_gradescope(root, slug, out, settings)
    except CannotPack as error:
        _fail(error)
    console.print(f"{out}: upload it under Configure Autograder, Ubuntu 22.04.", highlight=False, soft_wrap=True)
    console.print("In the assignment's settings give it 2 CPUs, 3 GB and 20 minutes.", highlight=False)


@package_app.command()
def github(
    lesson: LessonArgument,
    out: Annotated[Path | None, typer.Option(help="The folder; by default github_LESSON.")] = None,
    settings: Annotated[
        Path | None, typer.Option(help="Points, reveal ...: a file like course.toml, in its place.")
    ] = None,
) -> None:
    """Write a template repository: a lesson, and the workflow that grades every push."""
    from hvae_keras.course.bundle import CannotPack
    from hvae_keras.course.package import write_github
    from hvae_keras.course.places import course_root, find_lesson

    root = course_root()
    slug = find_lesson(root, lesson)
    out = Path(f"github_{slug}") if out is None else out
    try:
        write_github(root, slug, out, settings)
    except (CannotPack, FileExistsError) as error:
        _fail(error)
    console.print(f"{out}: push it as a template repository.", highlight=False, soft_wrap=True)
    console.print("Students can change its checks: for marks that count, run `hvae grade` on what you collect.")


def _fail(error: Exception) -> None:
    """End with one line, as `main` does."""
    Console(stderr=True).print(f"hvae: {error}", style="red", highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(2) from None


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


def _grading_progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)
