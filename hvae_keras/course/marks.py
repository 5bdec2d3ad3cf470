"""Marks: what was found in a submission, after the instructor's rules about points, lateness and weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from hvae_keras.course.arrivals import Student
from hvae_keras.course.grading import Report


@dataclass(frozen=True)
class Mark:
    """One lesson of one student. `penalty` is the points taken off for `days_late` days begun after the due date.

    `tries` counts the different files the student has handed in for this lesson, over all gradings into the same
    folder; `notes` is what both student and instructor should know (handed in twice, say); `same_as`, for the
    instructor only, names the students who handed in the very same file. `file` is empty where nothing came.
    """

    report: Report
    file: str
    submitted: datetime | None = None
    days_late: int = 0
    penalty: float = 0.0
    tries: int = 1
    notes: tuple[str, ...] = ()
    same_as: tuple[str, ...] = ()

    @property
    def points(self) -> float:
        """The points that count."""
        return self.report.points - self.penalty

    @property
    def of(self) -> float:
        """The points there were to win."""
        return self.report.of


@dataclass(frozen=True)
class StudentMarks:
    """All of a student's lessons, in order, and what they come to; `weights` are those of Settings."""

    student: Student
    marks: tuple[Mark, ...]
    weights: Mapping[str, float] = field(default_factory=dict)

    @property
    def points(self) -> float:
        """The points that count, over all lessons, not weighted."""
        return sum(mark.points for mark in self.marks)

    @property
    def of(self) -> float:
        """The points there were to win."""
        return sum(mark.of for mark in self.marks)

    @property
    def percent(self) -> float:
        """The total in percent: the mean of the lessons' shares, by the lessons' weights."""
        weights = [self.weights.get(mark.report.lesson, 1.0) for mark in self.marks if mark.of]
        shares = [mark.points / mark.of for mark in self.marks if mark.of]
        if not sum(weights):
            return 0.0
        return 100 * sum(w * s for w, s in zip(weights, shares, strict=True)) / sum(weights)


def ranked(classroom: Sequence[StudentMarks]) -> list[StudentMarks]:
    """The students in order of their keys, as every table has them."""
    return sorted(classroom, key=lambda marks: marks.student.key.casefold())
