"""Several judges at work: submissions are handed out, reports come back, and a judge that dies is replaced."""

import ast
import contextlib
import json
import multiprocessing
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path

from hvae_keras.course.exercises import slow_imports
from hvae_keras.course.failures import GraderFault
from hvae_keras.course.grading import FAULT, Report
from hvae_keras.course.judge import Verdict
from hvae_keras.course.judging import Confined, Task, judge_submissions
from hvae_keras.course.places import checks_file, lessons, student_notebook
from hvae_keras.course.statements import parse_cell

ATTEMPTS = 2
START_SECONDS = 300.0
SILENT_SECONDS = 120.0


class GraderFailed(RuntimeError):
    """Judges end by themselves even where there is nothing of a student's to run: the fault is ours."""


@dataclass
class _Job:
    index: int
    task: Task
    attempts: int = 0


@dataclass
class _Judge:
    connection: Connection
    end: Callable[[], object]
    ready: bool = False
    job: _Job | None = None
    deadline: float = field(default_factory=lambda: time.monotonic() + START_SECONDS)


class Pool:
    """`jobs` judges. `confined` names the parts of the sandbox in force, once the first judge has spoken."""

    def __init__(self, root: Path, jobs: int):
        self.confined: tuple[str, ...] | None = None
        self._nursery = None
        if sys.platform == "linux":
            from hvae_keras.course.nursery import Nursery

            self._nursery = Nursery.start(imports_of(root))
        self._judges = [self._new_judge() for _ in range(jobs)]
        self._deaths_at_start = 0

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *exception: object) -> None:
        for judge in self._judges:
            _dismiss(judge)
        if self._nursery is not None:
            self._nursery.close()

    def grade(
        self, tasks: Sequence[Task], judged: Callable[[Task, Verdict], None] = lambda task, verdict: None
    ) -> Iterator[tuple[int, Report]]:
        """The number of each task and its report, as they are finished; `judged` is told every verdict.

        A task whose judge died or fell silent is tried once more, then reported as the grader's own failure.
        Raises GraderFailed where not even that can be reported.
        """
        waiting = deque(_Job(index, task) for index, task in enumerate(tasks))
        left = len(tasks)
        while left:
            self._hand_out(waiting)
            for judge, message in self._heard():
                match message:
                    case Confined(parts):
                        judge.ready, self.confined, self._deaths_at_start = True, parts, 0
                    case Verdict():
                        judge.deadline = time.monotonic() + _patience(judge.job.task)
                        judged(judge.job.task, message)
                    case Report():
                        job, judge.job = judge.job, None
                        left -= 1
                        yield job.index, message
                    case None:
                        self._replace(judge, waiting)

    def _hand_out(self, waiting: deque[_Job]) -> None:
        for judge in self._judges:
            if judge.ready and judge.job is None and waiting:
                judge.job = waiting.popleft()
                judge.deadline = time.monotonic() + _patience(judge.job.task)
                with contextlib.suppress(OSError):  # it has died: its line will say so
                    judge.connection.send(judge.job.task)

    def _heard(self) -> list[tuple[_Judge, object]]:
        """What judges said; None for one whose line is closed, or who has been silent for too long."""
        by_line = {judge.connection: judge for judge in self._judges}
        heard = []
        for line in wait(list(by_line), timeout=1.0):
            try:
                heard.append((by_line[line], line.recv()))
            except (EOFError, OSError):
                heard.append((by_line[line], None))
        now, spoke = time.monotonic(), {id(judge) for judge, _ in heard}
        for judge in self._judges:
            if (judge.job or not judge.ready) and now > judge.deadline and id(judge) not in spoke:
                heard.append((judge, None))
        return heard

    def _replace(self, judge: _Judge, waiting: deque[_Job]) -> None:
        """A new judge for one that is gone; what it was at is tried again, or given up."""
        _dismiss(judge)
        job = judge.job
        if job is None:
            self._deaths_at_start += not judge.ready
        else:
            job.attempts += 1
            if job.attempts == ATTEMPTS:
                fault = f"{FAULT}the grader's process ended {ATTEMPTS} times"
                job.task = replace(job.task, problem=fault, status="error")
            waiting.appendleft(job)
        if self._deaths_at_start > ATTEMPTS or (job and job.attempts > ATTEMPTS):
            raise GraderFailed("the grader's processes end as soon as they start: run `hvae doctor`")
        self._judges[self._judges.index(judge)] = self._new_judge()

    def _new_judge(self) -> _Judge:
        ours, theirs = multiprocessing.Pipe()
        with theirs:
            if self._nursery is not None:
                try:
                    pid = self._nursery.judge(theirs)
                except (ConnectionError, GraderFault) as error:
                    raise GraderFailed(f"no process can be started: {error}") from None
                return _Judge(ours, lambda: self._nursery.end(pid))
            process = multiprocessing.get_context("spawn").Process(target=judge_submissions, args=(theirs,))
            process.start()
            return _Judge(ours, process.kill)


def imports_of(root: Path) -> list[str]:
    """The modules that the course's lessons and checks import: what answers are likely to need.

    Of `from a import b` both `a` and `a.b` are named, as `b` may be a module.
    """
    sources = [checks_file(root, slug).read_text(encoding="utf-8") for slug in lessons(root)]
    for slug in lessons(root):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            cells = json.loads(student_notebook(root, slug).read_text(encoding="utf-8"))["cells"]
            sources += ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    found: dict[str, None] = dict.fromkeys(slow_imports(sources))
    for source in sources:
        for statement in parse_cell(0, source).statements:
            if isinstance(statement, ast.Import):
                found |= dict.fromkeys(item.name for item in statement.names)
            elif isinstance(statement, ast.ImportFrom) and not statement.level:
                found[statement.module] = None
                found |= dict.fromkeys(f"{statement.module}.{item.name}" for item in statement.names)
    return [name for name in found if not name.startswith("hvae_keras.course")]


def _dismiss(judge: _Judge) -> None:
    judge.connection.close()
    with contextlib.suppress(OSError):
        judge.end()


def _patience(task: Task) -> float:
    """Seconds that a judge may be silent: an exercise's own limit, and time to look for the likely cause."""
    return SILENT_SECONDS + 10 * task.settings.seconds
