"""Grading a class: each submission once, in parallel, and never again what is already known.

What is found goes to a ledger as it is found. Killed at any moment and started again, the same command goes on
where it stopped and comes to the same marks.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hvae_keras.course.arrivals import Arrival, Student, on_roster
from hvae_keras.course.grading import Report
from hvae_keras.course.judge import Verdict
from hvae_keras.course.judging import Task
from hvae_keras.course.ledger import Ledger, digest_of
from hvae_keras.course.marks import Mark, StudentMarks, ranked
from hvae_keras.course.pool import Pool
from hvae_keras.course.remarks import remarks
from hvae_keras.course.settings import Late, Settings

MOST_FILES = 40  # of one student: more than lessons, and than anyone has hands for

# Told, as a grading goes on: how many submissions are done, of how many, and what has just been found.
Moved = Callable[[int, int, str], None]


def ignore(done: int, total: int, what: str) -> None:
    """For those who do not want to be told."""


@dataclass(frozen=True)
class Classroom:
    """A graded class. `known` of the submissions had their marks in the ledger already; `graded` are new.

    `confined` names the parts of the sandbox in force (see sandbox.PARTS); None where nothing had to be run.
    `remarks` are sentences for the instructor; see remarks.remarks.
    """

    students: tuple[StudentMarks, ...]
    known: int
    graded: int
    confined: tuple[str, ...] | None
    remarks: tuple[str, ...] = ()


def grade_class(
    arrivals: Sequence[Arrival],
    out: Path,
    root: Path,
    settings: Settings,
    lesson: str | None = None,
    roster: Sequence[Student] = (),
    jobs: int | None = None,
    moved: Moved = ignore,
) -> Classroom:
    """Grade what arrived, keeping what is found in the folder `out`, with `jobs` judges (by default one a core).

    `lesson` says which one it is, where the notebooks do not. A student of the `roster` who handed in nothing has
    every exercise missing, and so has one who did not hand in a lesson that others did. Raises GraderFailed.
    """
    ledger = Ledger(out / "ledger", root)
    arrivals = _not_too_many(on_roster(arrivals, roster))
    tasks = [Task(arrival.path, root, lesson, settings, arrival.problem) for arrival in arrivals]
    with _Grader(ledger, root, jobs or os.cpu_count() or 1, moved) as grader:
        known = sum(ledger.read(ledger.key(task)) is not None for task in tasks)
        reports = grader.reports(tasks)
        expected = sorted({report.lesson for report in reports if report.lesson} or {lesson} - {None})
        if len(expected) == 1:  # then what says of no lesson to be is of this one
            tasks = [
                task if report.lesson else replace(task, lesson=expected[0])
                for task, report in zip(tasks, reports, strict=True)
            ]
            reports = grader.reports(tasks)
        blank = [Task(Path(slug), root, slug, settings, "not handed in") for slug in expected]
        missing = {report.lesson: report for report in grader.reports(blank)}
    # What came may tell more of a student than the roster does.
    known_as = {one.key: one for one in roster} | {arrival.student.key: arrival.student for arrival in arrivals}
    by_student: dict[Student, list[tuple[Arrival, Report]]] = {student: [] for student in known_as.values()}
    for arrival, report in zip(arrivals, reports, strict=True):
        by_student[known_as[arrival.student.key]].append((arrival, report))
    copies, weights = _copies(arrivals, reports), settings.lesson_weights(root)
    students = [
        StudentMarks(student, tuple(_marks(student, handed_in, missing, settings, ledger, copies)), weights)
        for student, handed_in in by_student.items()
    ]
    told = remarks(students, arrivals, roster, settings.late)
    return Classroom(tuple(ranked(students)), known, len(tasks) - known, grader.confined, tuple(told))


class _Grader:
    """Reports from the ledger, or from judges, who are only called when there is something new."""

    def __init__(self, ledger: Ledger, root: Path, jobs: int, moved: Moved):
        self.ledger, self.root, self.jobs, self.moved = ledger, root, jobs, moved
        self.confined: tuple[str, ...] | None = None
        self._pool: Pool | None = None

    def __enter__(self) -> "_Grader":
        return self

    def __exit__(self, *exception: object) -> None:
        if self._pool is not None:
            self._pool.__exit__(*exception)

    def reports(self, tasks: Sequence[Task]) -> list[Report]:
        """The report on each task. What is found is in the ledger before it is told.

        What the grader failed at, for want of room or processes perhaps, is tried once more when the rest is done.
        """
        keys = [self.ledger.key(task) for task in tasks]
        found = {key: report for key in keys if (report := self.ledger.read(key)) is not None}
        new = {key: task for key, task in zip(keys, tasks, strict=True) if key not in found}
        self.moved(sum(key in found for key in keys), len(tasks), "")
        self._find(new, found, keys)
        self._find({key: new[key] for key in new if found[key].grader_failed}, found, keys)
        return [found[key] for key in keys]

    def _find(self, new: dict[str, Task], found: dict[str, Report], keys: list[str]) -> None:
        """Have the tasks graded, and add what is found to `found` and to the ledger."""
        if new and self._pool is None:
            self._pool = Pool(self.root, min(self.jobs, len(new)))
        names = list(new)

        def judged(task: Task, verdict: Verdict) -> None:
            self.moved(sum(key in found for key in keys), len(keys), f"{task.path.name} {verdict.exercise}")

        for index, report in self._pool.grade(list(new.values()), judged) if new else ():
            if not report.grader_failed:  # another time may be better
                self.ledger.write(names[index], report)
            found[names[index]] = report
            self.confined = self._pool.confined
            self.moved(sum(key in found for key in keys), len(keys), report.submission)


def _not_too_many(arrivals: Sequence[Arrival]) -> list[Arrival]:
    """What each student handed in, at most the last `MOST_FILES` files: one must not hold up a class."""
    by_student: dict[Student, list[Arrival]] = defaultdict(list)
    for arrival in arrivals:
        by_student[arrival.student].append(arrival)
    for student, files in by_student.items():
        if len(files) > MOST_FILES:
            files.sort(key=_when)
            rest = f"handed in {len(files)} files, of which the last {MOST_FILES} are graded"
            by_student[student] = [replace(file, notes=(*file.notes, rest)) for file in files[-MOST_FILES:]]
    return [arrival for files in by_student.values() for arrival in files]


def _marks(
    student: Student,
    handed_in: list[tuple[Arrival, Report]],
    missing: dict[str, Report],
    settings: Settings,
    ledger: Ledger,
    copies: dict[str, set[str]],
) -> list[Mark]:
    """A mark for each lesson of the class; for what names no lesson, one more mark that says so."""
    by_lesson: dict[str, list[tuple[Arrival, Report]]] = {slug: [] for slug in missing}
    for arrival, report in handed_in:
        by_lesson.setdefault(report.lesson, []).append((arrival, report))
    marks = []
    for slug, found in by_lesson.items():
        if not found:
            marks.append(Mark(missing[slug], ""))
            continue
        arrival, report = max(found, key=_latest)
        days = _days_late(arrival, settings.late)
        content = digest_of(arrival.path)
        marks.append(
            Mark(
                report=report,
                file=arrival.file,
                submitted=arrival.submitted,
                days_late=days,
                penalty=report.points * settings.late.share(days),
                tries=ledger.tries(student.key, slug, content),
                notes=_notes(arrival, found, days),
                same_as=tuple(sorted(copies.get(content, set()) - {student.key})),
            )
        )
    return marks


def _latest(one: tuple[Arrival, Report]) -> tuple:
    """What is graded counts before what is not, then what came last, then the last name."""
    arrival, report = one
    return not report.problem, *_when(arrival)


def _when(arrival: Arrival) -> tuple[float, str]:
    return arrival.submitted.timestamp() if arrival.submitted else 0.0, arrival.file


def _days_late(arrival: Arrival, late: Late) -> int:
    """Days late; one where only the platform's mark says so, unless the student had more time."""
    if arrival.submitted is None and arrival.late and arrival.student.key not in late.extensions:
        return 1
    return late.days(arrival.student.key, arrival.submitted)


def _notes(arrival: Arrival, found: list[tuple[Arrival, Report]], days: int) -> tuple[str, ...]:
    """What the student and the instructor should know. Students read these: nothing of others is in them."""
    notes = list(arrival.notes)
    if len(found) > 1:
        others = ", ".join(sorted(other.file for other, _ in found if other is not arrival))
        notes.append(f"handed in {len(found)} times: {arrival.file} came last and counts, not {others}")
    if arrival.late:
        counted = f", counted as {days} day{'' if days == 1 else 's'}" if arrival.submitted is None else ""
        notes.append(f"marked late by the platform{counted}")
    return tuple(notes)


def _copies(arrivals: Sequence[Arrival], reports: Sequence[Report]) -> dict[str, set[str]]:
    """Contents that more than one student handed in, with their keys. Notebooks without an answer do not count."""
    owners: dict[str, set[str]] = defaultdict(set)
    for arrival, report in zip(arrivals, reports, strict=True):
        if arrival.path.is_file() and any(v.status not in ("not attempted", "missing") for v in report.verdicts):
            owners[digest_of(arrival.path)].add(arrival.student.key)
    return {content: students for content, students in owners.items() if len(students) > 1}
