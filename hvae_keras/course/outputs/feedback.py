"""What one student gets: `feedback.html` to read, and `grade.json` with all that is known, for the instructor."""

from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from hvae_keras.course.catalogue import entry_of
from hvae_keras.course.judge import Verdict
from hvae_keras.course.marks import Mark, StudentMarks
from hvae_keras.course.outputs.lateness import penalty_explained, zone_of
from hvae_keras.course.outputs.pages import page
from hvae_keras.course.outputs.problems import problem_told
from hvae_keras.course.outputs.solutions import solutions_in
from hvae_keras.course.outputs.text import LINE_LENGTH, abridged, moment, number, shortened
from hvae_keras.course.places import source_file
from hvae_keras.course.settings import Settings


@dataclass
class Lessons:
    """What the pages say of the lessons beside the marks: titles and solutions, each read once a class."""

    root: Path
    titles: dict[str, str] = field(default_factory=dict)
    solutions: dict[str, dict[str, str]] = field(default_factory=dict)

    def title(self, slug: str) -> str:
        """`02 Variational autoencoder`; the slug where the student's notebook is not there to tell."""
        if slug not in self.titles:
            entry = entry_of(self.root, slug)
            self.titles[slug] = f"{slug[:2]} {entry.title}" if entry.exercises else slug
        return self.titles[slug]

    def solution(self, slug: str, exercise: str) -> str:
        """The reference solution; empty where the lesson's source, or the exercise in it, is not there."""
        if slug not in self.solutions:
            file = source_file(self.root, slug)
            self.solutions[slug] = solutions_in(file.read_text(encoding="utf-8")) if file.is_file() else {}
        return self.solutions[slug].get(exercise, "")


def feedback_html(student: StudentMarks, settings: Settings, lessons: Lessons, now: datetime) -> str:
    """The page for a student. Solutions are on it as far as `settings.reveal` allows them at the time `now`.

    Nothing about other students is on it, not even that somebody handed in the same file.
    """
    shown = [_lesson(student, mark, settings, lessons, now) for mark in student.marks]
    return page(
        "feedback.html",
        name=shortened(student.student.name or student.student.key, LINE_LENGTH),
        student=student,
        percent=number(round(student.percent, 1)),
        lessons=shown,
        weighted=len({lesson["weight"] for lesson in shown}) > 1,
    )


def _lesson(
    student: StudentMarks, mark: Mark, settings: Settings, lessons: Lessons, now: datetime
) -> dict[str, Any]:
    slug = mark.report.lesson
    return {
        "anchor": f"lesson-{slug}",
        "title": lessons.title(slug) if slug else "Lesson unknown",
        "mark": mark,
        "file": shortened(mark.file, LINE_LENGTH),
        "submitted": moment(mark.submitted, zone_of(settings.late)) if mark.submitted else "",
        "percent": number(round(100 * mark.points / mark.of, 1)) if mark.of else "–",
        "weight": student.weights.get(slug, 1.0),
        "problem": shortened(problem_told(mark), LINE_LENGTH),
        "lateness": penalty_explained(mark, settings.late, student.student.key),
        "notes": abridged(mark.notes),
        "exercises": [_exercise(verdict, mark, settings, lessons, now) for verdict in mark.report.verdicts],
    }


def _exercise(verdict: Verdict, mark: Mark, settings: Settings, lessons: Lessons, now: datetime) -> dict[str, Any]:
    solution = lessons.solution(mark.report.lesson, verdict.exercise)
    condition = settings.reveal.condition(verdict.passed, mark.tries, now)
    return {
        "anchor": f"exercise-{verdict.exercise.replace('.', '-')}",
        "verdict": verdict,
        # A file that cannot be graded says so once, not once an exercise: only a solution is worth a section.
        "told": bool(solution and not condition) or not problem_told(mark),
        "notes": [] if mark.report.problem else abridged(verdict.notes),
        "checks": _checks(verdict),
        "solution": "" if condition else solution,
        "condition": condition if solution else "",
    }


def _checks(verdict: Verdict) -> list[dict[str, Any]]:
    """The checks with their lines; lines that are those of the check before are not said again."""
    before = [(), *(check.lines for check in verdict.checks)]
    return [
        {"result": check, "again": bool(check.lines) and check.lines == lines, "lines": abridged(check.lines)}
        for check, lines in zip(verdict.checks, before, strict=False)
    ]


def grade_data(student: StudentMarks) -> dict[str, Any]:
    """All that is known of a student's marks, as JSON data. It names students who handed in the same file."""
    return {
        "student": asdict(student.student),
        "points": student.points,
        "of": student.of,
        "percent": student.percent,
        "lessons": [_mark_data(mark, student.weights.get(mark.report.lesson, 1.0)) for mark in student.marks],
    }


def _mark_data(mark: Mark, weight: float) -> dict[str, Any]:
    return {
        "lesson": mark.report.lesson,
        "file": mark.file,
        "submitted": mark.submitted.isoformat() if mark.submitted else None,
        "days_late": mark.days_late,
        "penalty": mark.penalty,
        "points": mark.points,
        "of": mark.of,
        "weight": weight,
        "tries": mark.tries,
        "notes": list(mark.notes),
        "same_as": list(mark.same_as),
        "report": mark.report.as_dict(),
    }
