"""`grades.csv`: a row a student, with everything that a spreadsheet needs."""

from collections.abc import Sequence

from hvae_keras.course.marks import StudentMarks
from hvae_keras.course.outputs.text import csv_text, number
from hvae_keras.course.places import exercise_order


def lessons_of(classroom: Sequence[StudentMarks]) -> list[str]:
    """The slugs of all lessons that anybody has a mark for, in order."""
    return sorted({mark.report.lesson for student in classroom for mark in student.marks if mark.report.lesson})


def exercises_of(classroom: Sequence[StudentMarks]) -> list[str]:
    """The ids of all exercises that anybody has a verdict on, in order."""
    ids = {v.exercise for student in classroom for mark in student.marks for v in mark.report.verdicts}
    return sorted(ids, key=exercise_order)


def grades_csv(classroom: Sequence[StudentMarks]) -> str:
    """The table: student, name; of each exercise points and status; of each lesson points after lateness, days
    late and penalty; points, of and percent in all; problems and notes.

    An exercise that a student has no verdict on is "missing" and gives no points.
    """
    ids, lessons = exercises_of(classroom), lessons_of(classroom)
    columns = ["student", "name"]
    columns += [f"{kind} {key}" for key in ids for kind in ("points", "status")]
    columns += [f"{kind} {slug}" for slug in lessons for kind in ("points", "days late", "penalty")]
    columns += ["points", "of", "percent", "problem", "notes"]
    return csv_text(columns, [_row(student, ids) for student in classroom])


def _row(student: StudentMarks, ids: Sequence[str]) -> dict[str, str]:
    row = {"student": student.student.key, "name": student.student.name}
    for key in ids:
        row |= {f"points {key}": "0", f"status {key}": "missing"}
    for mark in student.marks:
        for verdict in mark.report.verdicts:
            row[f"points {verdict.exercise}"] = number(verdict.points)
            row[f"status {verdict.exercise}"] = verdict.status
        if mark.report.lesson:
            row[f"points {mark.report.lesson}"] = number(mark.points)
            row[f"days late {mark.report.lesson}"] = number(mark.days_late)
            row[f"penalty {mark.report.lesson}"] = number(mark.penalty)
    row |= {"points": number(student.points), "of": number(student.of), "percent": number(student.percent)}
    row["problem"] = "; ".join(mark.report.problem for mark in student.marks if mark.report.problem)
    row["notes"] = "; ".join(_notes(student))
    return row


def _notes(student: StudentMarks) -> list[str]:
    notes = []
    for mark in student.marks:
        notes += mark.notes
        notes += [f"the same file as {', '.join(mark.same_as)}"] if mark.same_as else []
        if not mark.report.problem:  # else every exercise repeats the problem
            notes += [f"{verdict.exercise}: {note}" for verdict in mark.report.verdicts for note in verdict.notes]
    return notes
