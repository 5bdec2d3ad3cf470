"""Grading submissions: each one's functions run in a process of its own, the verdicts are made here."""

import csv
import io
import json
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hvae_keras.course.exercises import Exercise, exercises_in, load_checks
from hvae_keras.course.judge import LIMIT_SECONDS, Verdict, judge
from hvae_keras.course.places import NoSuchLesson, checks_file, exercise_order, find_lesson, write_whole
from hvae_keras.course.submission import Submission, Unreadable, read_submission
from hvae_keras.course.worker import Worker


@dataclass(frozen=True)
class Report:
    """The marks of one submission. `problem` says what is wrong with the file as a whole, if anything."""

    submission: str
    lesson: str
    points: float
    of: float
    seconds: float
    verdicts: tuple[Verdict, ...]
    problem: str = ""

    def as_dict(self) -> dict:
        """The report as JSON data."""
        return {
            "submission": self.submission,
            "lesson": self.lesson,
            "points": self.points,
            "of": self.of,
            "seconds": round(self.seconds, 2),
            "problem": self.problem,
            "exercises": [verdict.as_dict() for verdict in self.verdicts],
        }


def find_submissions(path: Path) -> list[Path]:
    """The notebooks in a folder and its subfolders, in order; or the file itself. Raises FileNotFoundError."""
    if path.is_dir():
        found = sorted(item for item in path.rglob("*.ipynb") if ".ipynb_checkpoints" not in item.parts)
        if not found:
            raise FileNotFoundError(f"{path} holds no notebooks (*.ipynb)")
        return found
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path}")
    return [path]


def grade(
    path: Path, root: Path, lesson: str | None = None, seed: int = 0, limit: float = LIMIT_SECONDS
) -> Report:
    """Grade one submission: `limit` seconds an exercise, enforced from outside the submission's process.

    `lesson` says which one it is; otherwise the notebook's own metadata does, or the number that begins its
    name. Never raises for what a submission contains.
    """
    start = time.monotonic()
    try:
        submission = read_submission(path)
        slug = lesson_of(submission, root, lesson)
    except (Unreadable, NoSuchLesson) as problem:
        return _unreadable(path, root, lesson, str(problem), time.monotonic() - start)
    with Worker(submission) as worker:
        worker.launch()  # imports in its process while the checks are imported in ours
        exercises = exercises_in(load_checks(checks_file(root, slug)))
        verdicts = tuple(_judged(exercise, worker, seed, limit) for exercise in exercises)
    return _report(path, slug, verdicts, time.monotonic() - start)


def _judged(exercise: Exercise, worker: Worker, seed: int, limit: float) -> Verdict:
    """The verdict on one exercise. A fault of the checks or of ours costs one exercise, never a class."""
    notes = notes_on(worker.submission, exercise)
    try:
        return judge(exercise, worker, seed, limit, notes)
    except Exception as error:
        fault = (
            f"not the student's fault, please report it: the grader failed with {type(error).__name__}: {error}"
        )
        return Verdict(exercise.id, exercise.name, "error", 0.0, exercise.points, 0.0, (), (*notes, fault))


def lesson_of(submission: Submission, root: Path, lesson: str | None = None) -> str:
    """The slug of the lesson a submission answers. Raises NoSuchLesson where nothing says."""
    if lesson is not None:
        return find_lesson(root, lesson)
    number = re.match(r"\D*(\d+)", submission.path.stem)
    for key in (submission.lesson, number and number[1]):
        if key:
            try:
                return find_lesson(root, key)
            except NoSuchLesson:
                continue
    raise NoSuchLesson("nothing says which lesson this is: name it with --lesson")


def notes_on(submission: Submission, exercise: Exercise) -> list[str]:
    """What an instructor should know about how the function was found."""
    cells = submission.definitions(exercise.name)
    if len(cells) < 2:
        return []
    where = " and ".join(", ".join(map(str, cells)).rsplit(", ", 1))
    return [f"defined {len(cells)} times (cells {where}): the last one counts"]


def write_json(path: Path, reports: Iterable[Report]) -> None:
    """Write all that is known about each submission."""
    data = [report.as_dict() for report in reports]
    write_whole(path, json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def write_csv(path: Path, reports: Iterable[Report]) -> None:
    """Write a row a submission: points and status of each exercise, the total, the problem."""
    rows = list(reports)
    ids = sorted({verdict.exercise for report in rows for verdict in report.verdicts}, key=exercise_order)
    columns = ["submission", "lesson", "points", "of"]
    columns += [f"{kind} {exercise}" for exercise in ids for kind in ("points", "status")] + ["problem"]
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    for report in rows:
        row: dict[str, object] = {name: getattr(report, name) for name in ("submission", "lesson", "problem")}
        row |= {"points": f"{report.points:g}", "of": f"{report.of:g}"}
        for verdict in report.verdicts:
            row[f"points {verdict.exercise}"] = f"{verdict.points:g}"
            row[f"status {verdict.exercise}"] = verdict.status
        table.writerow(row)
    write_whole(path, text.getvalue())


def _report(path: Path, slug: str, verdicts: tuple[Verdict, ...], seconds: float, problem: str = "") -> Report:
    points, of = sum(v.points for v in verdicts), sum(v.of for v in verdicts)
    return Report(path.name, slug, points, of, seconds, verdicts, problem)


def _unreadable(path: Path, root: Path, lesson: str | None, problem: str, seconds: float) -> Report:
    """The report on a file that cannot be graded: every exercise missing, where the lesson is known."""
    try:
        slug = lesson_of(Submission(path, None, []), root, lesson)
    except NoSuchLesson:
        return _report(path, "", (), seconds, problem)
    exercises = exercises_in(load_checks(checks_file(root, slug)))
    verdicts = tuple(
        Verdict(exercise.id, exercise.name, "missing", 0.0, exercise.points, 0.0, (), (problem,))
        for exercise in exercises
    )
    return _report(path, slug, verdicts, seconds, problem)
