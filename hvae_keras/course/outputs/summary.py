"""The class at one glance: how it went, what to teach again, and which files to look at."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate
from statistics import fmean, median
from typing import Any
from urllib.parse import quote

from hvae_keras.course.judge import Verdict
from hvae_keras.course.marks import Mark, StudentMarks
from hvae_keras.course.outputs.pages import page
from hvae_keras.course.outputs.statuses import STATUSES, UNTOUCHED
from hvae_keras.course.outputs.tables import exercises_of, lessons_of
from hvae_keras.course.outputs.text import folder_name, shortened

BINS = 10
TEACH_AGAIN_BELOW = 2 / 3  # of those who handed in
TEACH_AGAIN, SLOWEST = 5, 10  # rows
NAME_LENGTH = 60
# In the order of the statuses; told apart with every common kind of colour blindness.
FILLS = ("#009E73", "#D55E00", "#CC79A7", "#E69F00", "#56B4E9", "#bdbdbd", "#e6e6e6")


def summary_data(classroom: Sequence[StudentMarks]) -> dict[str, Any]:
    """The summary as JSON data; students by their keys.

    An exercise's rates and counts are over those who handed something in for its lesson. A misconception counts
    once a student. Percentages are over all students. Seconds are those a submission took to grade.
    """
    percents = [student.percent for student in classroom]
    misconceptions = _misconceptions(classroom)
    exercises = [_exercise(classroom, key, misconceptions) for key in exercises_of(classroom)]
    weak = [item for item in exercises if item["handed_in"] and item["pass_rate"] < TEACH_AGAIN_BELOW]
    return {
        "students": len(classroom),
        "handed_in": sum(any(mark.file for mark in student.marks) for student in classroom),
        "nothing_handed_in": [
            student.student.key for student in classroom if not any(mark.file for mark in student.marks)
        ],
        "lessons": lessons_of(classroom),
        "mean_percent": round(fmean(percents), 2) if percents else None,
        "median_percent": round(median(percents), 2) if percents else None,
        "distribution": _distribution(percents),
        "teach_again": [
            item["exercise"] for item in sorted(weak, key=lambda item: item["pass_rate"])[:TEACH_AGAIN]
        ],
        "exercises": exercises,
        "misconceptions": misconceptions,
        "identical_files": _identical_files(classroom),
        "problems": list(_problems(classroom)),
        "slowest": _slowest(classroom),
    }


def _distribution(percents: Sequence[float]) -> list[dict[str, Any]]:
    """How many students have a total in each tenth; the last one holds 100 % too."""
    width = 100 // BINS
    counts = Counter(min(int(percent // width), BINS - 1) for percent in percents)
    return [{"from": i * width, "to": (i + 1) * width, "students": counts[i]} for i in range(BINS)]


def _verdicts(classroom: Sequence[StudentMarks]) -> Iterator[tuple[str, Mark, Verdict]]:
    for student in classroom:
        for mark in student.marks:
            for verdict in mark.report.verdicts:
                yield student.student.key, mark, verdict


def _exercise(classroom: Sequence[StudentMarks], key: str, misconceptions: Sequence[dict]) -> dict[str, Any]:
    found = [(mark, verdict) for _, mark, verdict in _verdicts(classroom) if verdict.exercise == key]
    handed_in = [verdict for mark, verdict in found if mark.file]
    counts = Counter(verdict.status for verdict in handed_in)
    likely = [item for item in misconceptions if item["exercise"] == key]
    return {
        "exercise": key,
        "name": found[0][1].name,
        "lesson": found[0][0].report.lesson,
        "handed_in": len(handed_in),
        "pass_rate": round(counts["passed"] / len(handed_in), 4) if handed_in else None,
        "mean_share": round(fmean(v.points / v.of if v.of else 0.0 for v in handed_in), 4) if handed_in else None,
        "statuses": {status: counts[status] for status in STATUSES},
        "likely_cause": likely[0]["id"] if likely else None,
    }


def _misconceptions(classroom: Sequence[StudentMarks]) -> list[dict[str, Any]]:
    """The recognised misconceptions, the most common ones first."""
    who: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    sentences = {}
    for key, _, verdict in _verdicts(classroom):
        for check in verdict.checks:
            if check.misconception:
                name = verdict.exercise, check.misconception
                who[name][key] = None
                sentences[name] = check.cause
    ordered = sorted(who, key=lambda name: (-len(who[name]), name))
    return [
        {
            "id": f"{exercise} {name}",
            "exercise": exercise,
            "sentence": sentences[exercise, name],
            "count": len(who[exercise, name]),
            "students": list(who[exercise, name]),
        }
        for exercise, name in ordered
    ]


def _identical_files(classroom: Sequence[StudentMarks]) -> list[dict[str, Any]]:
    groups = {
        (mark.report.lesson, tuple(sorted({student.student.key, *mark.same_as})))
        for student in classroom
        for mark in student.marks
        if mark.same_as
    }
    return [{"lesson": lesson, "students": list(students)} for lesson, students in sorted(groups)]


def _problems(classroom: Sequence[StudentMarks]) -> Iterator[dict[str, str]]:
    """Files that an instructor should look at, and why; failures of the grader itself among them."""
    for student in classroom:
        for mark in student.marks:
            where = {"student": student.student.key, "lesson": mark.report.lesson, "file": mark.file}
            texts = [mark.report.problem] if mark.report.problem and mark.file else []
            texts += mark.notes
            if not mark.report.problem:
                broken = [v for v in mark.report.verdicts if v.status not in UNTOUCHED and not v.checks]
                texts += [f"{verdict.exercise}: {note}" for verdict in broken for note in verdict.notes]
            yield from ({**where, "problem": text} for text in texts)


def _slowest(classroom: Sequence[StudentMarks]) -> list[dict[str, Any]]:
    times = [
        {"student": student.student.key, "lesson": mark.report.lesson, "seconds": round(mark.report.seconds, 2)}
        for student in classroom
        for mark in student.marks
        if mark.report.seconds
    ]
    return sorted(times, key=lambda item: -item["seconds"])[:SLOWEST]


def summary_html(classroom: Sequence[StudentMarks], data: dict[str, Any]) -> str:
    """The summary as a page, with links to every student's; `data` is from `summary_data`."""
    sentences = {item["id"]: item for item in data["misconceptions"]}
    exercises = {item["exercise"]: item for item in data["exercises"]}
    who = [student.student for student in classroom]
    return page(
        "summary.html",
        data=data,
        bars=_bars(data["distribution"]),
        parts={key: _parts(item["statuses"]) for key, item in exercises.items()},
        teach_again=[exercises[key] for key in data["teach_again"]],
        causes={key: sentences.get(item["likely_cause"]) for key, item in exercises.items()},
        statuses=STATUSES,
        colours=dict(zip(STATUSES, FILLS, strict=True)),
        names={student.key: shortened(student.name or student.key, NAME_LENGTH) for student in who},
        links={student.key: quote(f"students/{folder_name(student.key)}/feedback.html") for student in who},
        classroom=classroom,
        points={item.student.key: {mark.report.lesson: mark for mark in item.marks} for item in classroom},
    )


def _bars(distribution: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Heights of the histogram's bars, as shares of the highest one."""
    most = max(item["students"] for item in distribution) or 1
    return [{**item, "height": item["students"] / most} for item in distribution]


def _parts(statuses: dict[str, int]) -> list[dict[str, Any]]:
    """The stacked bar of an exercise: where each status begins and how wide it is, in percent of the bar."""
    shares = [100 * count / (sum(statuses.values()) or 1) for count in statuses.values()]
    begins = [0.0, *accumulate(shares)]
    return [
        {"status": status, "count": statuses[status], "x": round(x, 3), "width": round(width, 3)}
        for status, x, width in zip(statuses, begins, shares, strict=False)
        if width
    ]
