"""Tables that learning platforms import: Canvas's gradebook, and Moodle's worksheet or gradebook."""

import html
from collections.abc import Sequence

from hvae_keras.course.marks import Mark, StudentMarks
from hvae_keras.course.outputs.lateness import penalty_in_short, zone_of
from hvae_keras.course.outputs.problems import problem_told
from hvae_keras.course.outputs.tables import lessons_of
from hvae_keras.course.outputs.text import csv_text, moment, number
from hvae_keras.course.settings import Late

CANVAS_COLUMNS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
WORKSHEET_COLUMNS = (
    "Identifier",
    "Full name",
    "Email address",
    "Status",
    "Grade",
    "Maximum Grade",
    "Grade can be changed",
    "Last modified (submission)",
    "Last modified (grade)",
    "Feedback comments",
)


def canvas_csv(classroom: Sequence[StudentMarks]) -> str:
    """A table for Canvas, Grades → Import: a column a lesson, and a second row with the points possible.

    Canvas looks a student up by `ID`, where the submission came in Canvas's shape, else by `SIS Login ID`, for
    which the student's key is taken: let the roster's keys be the login names. A column is an assignment: Canvas
    asks which one, unless its header is the assignment's title. A lesson that a student has no mark for stays
    empty, and leaves Canvas's grade as it is.
    """
    lessons = lessons_of(classroom)
    possible = {"Student": "    Points Possible"}
    for slug in lessons:
        possible[slug] = number(max(mark.of for _, mark in _marks_for(classroom, slug)))
    return csv_text([*CANVAS_COLUMNS, *lessons], [possible, *(_canvas_row(student) for student in classroom)])


def _canvas_row(student: StudentMarks) -> dict[str, str]:
    who = student.student
    # Canvas takes every row whose first cell holds these words for the maximal points, a student's name too.
    name = (who.name or who.key).replace("Points Possible", "Points possible")
    row = {"Student": name, "ID": who.canvas_id, "SIS Login ID": "" if who.canvas_id else who.key}
    return row | {mark.report.lesson: number(mark.points) for mark in student.marks if mark.report.lesson}


def moodle_csv(classroom: Sequence[StudentMarks], late: Late) -> str:
    """A table for Moodle, in one of two shapes.

    Where the submissions came in the zip of one assignment, so that Moodle's participant numbers are known, it is
    the assignment's grading worksheet: View all submissions → Upload grading worksheet. Students whose number is
    not known handed nothing in there, and are left out: a guessed number may be somebody else's. The grade has no
    date, so that Moodle keeps a grade it already has unless "allow updating records" is ticked. The headers are
    those of a Moodle in English: it wants them in its user's language. Dates are in the zone of `late.due`.

    Otherwise it is a table for the gradebook, Grades → Import → CSV file: a column a lesson, and the student's key
    as `Username` (and as `Email address`, if it is one), to be mapped there.
    """
    lessons = lessons_of(classroom)
    if len(lessons) == 1 and any(student.student.moodle_id for student in classroom):
        known = [(who, mark) for who, mark in _marks_for(classroom, lessons[0]) if who.student.moodle_id]
        return csv_text(WORKSHEET_COLUMNS, [_worksheet_row(student, mark, late) for student, mark in known])
    columns = ["Username", "Full name", "Email address"]
    columns += [column for slug in lessons for column in (slug, f"{slug} feedback")]
    return csv_text(columns, [_gradebook_row(student) for student in classroom])


def _worksheet_row(student: StudentMarks, mark: Mark, late: Late) -> dict[str, str]:
    return {
        "Identifier": f"Participant {student.student.moodle_id}",
        "Full name": student.student.name,
        "Status": "Submitted for grading" if mark.file else "No submission",
        "Grade": number(mark.points),
        "Maximum Grade": number(mark.of),
        "Grade can be changed": "Yes",
        "Last modified (submission)": moment(mark.submitted, zone_of(late)) if mark.submitted else "",
        "Feedback comments": _comment(mark),
    }


def _gradebook_row(student: StudentMarks) -> dict[str, str]:
    key = student.student.key
    row = {"Username": key, "Full name": student.student.name, "Email address": key if "@" in key else ""}
    for mark in student.marks:
        if mark.report.lesson:
            row |= {mark.report.lesson: number(mark.points), f"{mark.report.lesson} feedback": _comment(mark)}
    return row


def _comment(mark: Mark) -> str:
    """A line for the student. Moodle shows it as HTML, so what others wrote is escaped."""
    if problem := problem_told(mark):
        return html.escape(problem)
    parts = [
        f"{v.exercise} {v.name}: {v.status}, {number(v.points)} of {number(v.of)}" for v in mark.report.verdicts
    ]
    parts += [penalty_in_short(mark)] if mark.days_late else []
    return html.escape("; ".join(parts))


def _marks_for(classroom: Sequence[StudentMarks], slug: str) -> list[tuple[StudentMarks, Mark]]:
    return [(student, mark) for student in classroom for mark in student.marks if mark.report.lesson == slug]
