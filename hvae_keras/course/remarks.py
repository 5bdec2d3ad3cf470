"""What an instructor should know about a grading as a whole, and would not look for."""

from collections.abc import Sequence
from difflib import get_close_matches

from hvae_keras.course.arrivals import Arrival, Student
from hvae_keras.course.marks import StudentMarks
from hvae_keras.course.settings import Late


def remarks(
    students: Sequence[StudentMarks], arrivals: Sequence[Arrival], roster: Sequence[Student], late: Late
) -> list[str]:
    """One sentence for each thing that may not be as it was meant."""
    return [
        *_strangers(arrivals, roster),
        *_others(students),
        *_undated(arrivals, late),
        *_extensions(students, late),
        *_rare(students),
    ]


def _strangers(arrivals: Sequence[Arrival], roster: Sequence[Student]) -> list[str]:
    known = {student.key for student in roster}
    strangers = sorted({arrival.student.key for arrival in arrivals} - known) if roster else []
    return [f"Not on the roster, and marked all the same: {', '.join(strangers)}."] if strangers else []


def _others(students: Sequence[StudentMarks]) -> list[str]:
    """Notebooks that say they are of another lesson than they were graded as."""
    found: dict[tuple[str, str], list[str]] = {}
    for marks in students:
        for mark in marks.marks:
            if mark.report.other_lesson:
                pair = mark.report.other_lesson, mark.report.lesson
                found.setdefault(pair, []).append(marks.student.key)
    return [f"Of {one}, but graded as {other}: {', '.join(keys)}." for (one, other), keys in sorted(found.items())]


def _undated(arrivals: Sequence[Arrival], late: Late) -> list[str]:
    undated = sum(arrival.submitted is None and not arrival.late for arrival in arrivals)
    if late.due is None or not undated:
        return []
    return [f"Of {undated} of {len(arrivals)} files it is not known when they came: they are not counted as late."]


def _extensions(students: Sequence[StudentMarks], late: Late) -> list[str]:
    keys = [marks.student.key for marks in students]
    found = []
    for name in late.extensions:
        if name not in keys:
            close = get_close_matches(name, keys, n=1)
            found.append(
                f"late.extensions: no student {name!r}" + (f"; did you mean {close[0]}?" if close else ".")
            )
    return found


def _rare(students: Sequence[StudentMarks]) -> list[str]:
    """Lessons that fewer than half of a class handed in, where there are others: some may be a mistake."""
    handed_in: dict[str, int] = {}
    for marks in students:
        for mark in marks.marks:
            if mark.report.lesson:
                handed_in[mark.report.lesson] = handed_in.get(mark.report.lesson, 0) + bool(mark.file)
    return [
        f"{slug}: {count} of {len(students)} handed it in, and it is missing for the others. "
        "--lesson names the one that counts."
        for slug, count in sorted(handed_in.items())
        if len(handed_in) > 1 and count < len(students) / 2
    ]
