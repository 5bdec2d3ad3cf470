"""A judge: a process that grades one submission after another and reports to the one who hands them out."""

from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from hvae_keras.course import grading
from hvae_keras.course.settings import Settings
from hvae_keras.course.submission import Submission
from hvae_keras.course.worker import Start, Worker, start_program


@dataclass(frozen=True)
class Task:
    """One submission to grade; see grading.grade. Where `problem` is given there is nothing to run.

    Every exercise then has the status `status`.
    """

    path: Path
    root: Path
    lesson: str | None
    settings: Settings
    problem: str = ""
    status: str = "missing"


@dataclass(frozen=True)
class Confined:
    """What a judge says first: the parts of the sandbox that its workers are in."""

    parts: tuple[str, ...]


def judge_submissions(connection: Connection, start: Start = start_program) -> None:
    """Grade each task that comes, telling each exercise's verdict as it is made, until the line is closed."""
    with Worker(Submission(Path(), None, []), start) as worker:
        worker.start()
        connection.send(Confined(worker.confined))
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        connection.send(_graded(task, start, connection.send))


def _graded(task: Task, start: Start, judged: Callable) -> grading.Report:
    if task.problem:
        return grading.unreadable(
            task.path, task.root, task.lesson, task.settings, task.problem, status=task.status
        )
    return grading.grade(task.path, task.root, task.lesson, task.settings, start, judged)
