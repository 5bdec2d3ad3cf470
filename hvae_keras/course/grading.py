"""Grading submissions: each one's functions run in a process of its own, the verdicts are made here."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from hvae_keras.course.exercises import Exercise, exercises_in, load_checks
from hvae_keras.course.judge import Verdict, judge
from hvae_keras.course.places import NoSuchLesson, checks_file, find_lesson, lessons
from hvae_keras.course.settings import Settings
from hvae_keras.course.submission import Submission, Unreadable, read_submission
from hvae_keras.course.worker import Start, Worker, start_program

DEFAULTS = Settings()
FAULT = "not the student's fault, please report it: "


@dataclass(frozen=True)
class Report:
    """The marks of one submission. `problem` says what is wrong with the file as a whole, if anything.

    `other_lesson` is the lesson that the notebook says it is, where that is not the one it was graded as.
    """

    submission: str
    lesson: str
    points: float
    of: float
    seconds: float
    verdicts: tuple[Verdict, ...]
    problem: str = ""
    other_lesson: str = ""

    @property
    def grader_failed(self) -> bool:
        """Whether an exercise has no honest verdict, for a fault of the checks or of the grader."""
        return any(note.startswith(FAULT) for verdict in self.verdicts for note in verdict.notes)

    def as_dict(self) -> dict:
        """The report as JSON data."""
        return {
            "submission": self.submission,
            "lesson": self.lesson,
            "points": self.points,
            "of": self.of,
            "seconds": round(self.seconds, 2),
            "problem": self.problem,
            "other_lesson": self.other_lesson,
            "exercises": [verdict.as_dict() for verdict in self.verdicts],
        }

    @classmethod
    def from_dict(cls, data: dict) -> "Report":
        """The report that `as_dict` wrote. Raises KeyError or TypeError for anything else."""
        values = {name: value for name, value in data.items() if name != "exercises"}
        return cls(**values, verdicts=tuple(Verdict.from_dict(item) for item in data["exercises"]))


def grade(
    path: Path,
    root: Path,
    lesson: str | None = None,
    settings: Settings = DEFAULTS,
    start: Start = start_program,
    judged: Callable[[Verdict], None] = lambda verdict: None,
) -> Report:
    """Grade one submission, each exercise in a process of its own, so that none can change another's fate.

    `lesson` says which one it is; otherwise the notebook's own metadata does, or the number that begins its
    name. `start` starts the processes. `judged` is told each verdict as it comes. Never raises for what a
    submission contains.
    """
    began = time.monotonic()
    try:
        submission = read_submission(path)
        slug = lesson_of(submission, root, lesson)
    except (Unreadable, NoSuchLesson) as problem:
        return unreadable(path, root, lesson, settings, str(problem), time.monotonic() - began)
    verdicts = []
    for exercise in counted_exercises(root, slug, settings):
        verdict = _judged(exercise, submission, settings, start)
        judged(verdict)
        verdicts.append(worth(verdict, settings))
    report = _report(path, slug, tuple(verdicts), time.monotonic() - began)
    other = submission.lesson if submission.lesson != slug and submission.lesson in lessons(root) else ""
    return replace(report, other_lesson=other)


def counted_exercises(root: Path, slug: str, settings: Settings) -> list[Exercise]:
    """The exercises of a lesson that count."""
    exercises = exercises_in(load_checks(checks_file(root, slug)))
    return [exercise for exercise in exercises if exercise.id not in settings.leave_out]


def worth(verdict: Verdict, settings: Settings) -> Verdict:
    """The verdict with the points that the instructor gives for the exercise, in place of the lesson's own."""
    factor = settings.points.get(verdict.exercise, verdict.of) / verdict.of if verdict.of else 1.0
    if factor == 1.0:
        return verdict
    checks = tuple(replace(check, points=check.points * factor, of=check.of * factor) for check in verdict.checks)
    return replace(verdict, points=verdict.points * factor, of=verdict.of * factor, checks=checks)


def unreadable(
    path: Path,
    root: Path,
    lesson: str | None,
    settings: Settings,
    problem: str,
    seconds: float = 0.0,
    status: str = "missing",
) -> Report:
    """The report on what cannot be graded: every exercise `status`, where the lesson is known."""
    try:
        slug = lesson_of(Submission(path, None, []), root, lesson)
    except NoSuchLesson:
        return _report(path, "", (), seconds, problem)
    verdicts = tuple(
        worth(Verdict(exercise.id, exercise.name, status, 0.0, exercise.points, 0.0, (), (problem,)), settings)
        for exercise in counted_exercises(root, slug, settings)
    )
    return _report(path, slug, verdicts, seconds, problem)


def _judged(exercise: Exercise, submission: Submission, settings: Settings, start: Start) -> Verdict:
    """The verdict on one exercise. A fault of the checks or of ours costs one exercise, never a class."""
    notes = notes_on(submission, exercise)
    try:
        left = settings.seconds
        for _ in range(2):
            with Worker(submission, start, int(settings.memory * 2**30)) as worker:
                verdict = judge(exercise, worker, settings.seed, left, notes)
            left -= verdict.seconds
            # A crash may be the machine's. Whoever crashes twice does so by themselves.
            if not worker.crashed or left < settings.seconds / 2:
                break
        return verdict
    except Exception as error:
        fault = f"{FAULT}the grader failed with {type(error).__name__}: {error}"
        return Verdict(exercise.id, exercise.name, "error", 0.0, exercise.points, 0.0, (), (*notes, fault))


def lesson_of(submission: Submission, root: Path, lesson: str | None = None) -> str:
    """The slug of the lesson a submission answers. Raises NoSuchLesson where nothing says.

    That is `lesson`, or what the notebook says of itself, or a lesson named in the file's name, or the number
    that begins the file's name.
    """
    if lesson is not None:
        return find_lesson(root, lesson)
    name = submission.path.stem
    named = [slug for slug in lessons(root) if slug in name]
    number = re.match(r"\D*(\d+)", name)
    for key in (submission.lesson, *named, number and number[1]):
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


def _report(path: Path, slug: str, verdicts: tuple[Verdict, ...], seconds: float, problem: str = "") -> Report:
    points, of = sum(v.points for v in verdicts), sum(v.of for v in verdicts)
    return Report(path.name, slug, points, of, seconds, verdicts, problem)
