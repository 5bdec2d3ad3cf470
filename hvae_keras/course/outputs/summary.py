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
from hvae_keras.course.outputs.rules import rules_in_short, settings_data, warnings_on
from hvae_keras.course.outputs.statuses import STATUSES, UNTOUCHED
from hvae_keras.course.outputs.tables import exercises_of, lessons_of
from hvae_keras.course.outputs.text import folder_name, in_points, plural, shortened
from hvae_keras.course.settings import Settings

BINS = 10
TEACH_AGAIN_BELOW = 2 / 3  # passed, of those who tried
NOT_TRIED_FROM = 1 / 2  # of those whose notebook was graded
TEACH_AGAIN, SLOWEST = 5, 10  # rows
NAME_LENGTH = 60
# In the order of the statuses; told apart with every common kind of colour blindness.
FILLS = ("#009E73", "#D55E00", "#CC79A7", "#E69F00", "#56B4E9", "#bdbdbd", "#e6e6e6")


def summary_data(classroom: Sequence[StudentMarks], settings: Settings) -> dict[str, Any]:
    """The summary as JSON data, with the rules in `settings`; students by their keys.

    An exercise's rates and counts are over those whose notebook for its lesson could be read. `teach_again` has
    those that many failed who tried them, the worst first; `not_tried` those that half or more left alone. A
    misconception counts once a student. Percentages are over all students. Seconds are those a submission took to
    grade.
    """
    percents = [student.percent for student in classroom]
    misconceptions = _misconceptions(classroom)
    exercises = [_exercise(classroom, key, misconceptions) for key in exercises_of(classroom)]
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
        "teach_again": _teach_again(exercises),
        "not_tried": [
            item["exercise"]
            for item in exercises
            if item["graded"] and item["graded"] - item["tried"] >= NOT_TRIED_FROM * item["graded"]
        ],
        "exercises": exercises,
        "misconceptions": misconceptions,
        "identical_files": _identical_files(classroom),
        "problems": list(_problems(classroom)),
        "slowest": _slowest(classroom),
        "settings": settings_data(settings),
        "warnings": warnings_on(settings),
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
    # A file that could not be read says nothing about the exercise.
    graded = [verdict for mark, verdict in found if mark.file and not mark.report.problem]
    counts = Counter(verdict.status for verdict in graded)
    likely = [item for item in misconceptions if item["exercise"] == key]
    return {
        "exercise": key,
        "name": found[0][1].name,
        "lesson": found[0][0].report.lesson,
        "graded": len(graded),
        "tried": len(graded) - sum(counts[status] for status in UNTOUCHED),
        "pass_rate": round(counts["passed"] / len(graded), 4) if graded else None,
        "mean_share": round(fmean(v.points / v.of if v.of else 0.0 for v in graded), 4) if graded else None,
        "statuses": {status: counts[status] for status in STATUSES},
        "likely_cause": likely[0]["id"] if likely else None,
    }


def _teach_again(exercises: Sequence[dict[str, Any]]) -> list[str]:
    """The exercises that the largest share failed of those who tried; of equal ones, that most students failed."""
    tried = [(item, item["statuses"]["passed"] / item["tried"]) for item in exercises if item["tried"]]
    weak = [(item, share) for item, share in tried if share < TEACH_AGAIN_BELOW]
    weak.sort(key=lambda found: (found[1], -found[0]["tried"]))
    return [item["exercise"] for item, _ in weak[:TEACH_AGAIN]]


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


def summary_html(classroom: Sequence[StudentMarks], data: dict[str, Any], settings: Settings) -> str:
    """The summary as a page, with links to every student's; `data` is from `summary_data`."""
    several = len(data["lessons"]) > 1
    sentences = {item["id"]: item for item in data["misconceptions"]}
    exercises = {item["exercise"]: item for item in data["exercises"]}
    who = [student.student for student in classroom]
    return page(
        "summary.html",
        data=data,
        rules=rules_in_short(settings),
        bars=_bars(data["distribution"]),
        parts={key: _parts(item["statuses"]) for key, item in exercises.items()},
        teach_again=[exercises[key] for key in data["teach_again"]],
        not_tried=[exercises[key] for key in data["not_tried"]],
        causes={key: sentences.get(item["likely_cause"]) for key, item in exercises.items()},
        statuses=STATUSES,
        colours=dict(zip(STATUSES, FILLS, strict=True)),
        names={student.key: shortened(student.name or student.key, NAME_LENGTH) for student in who},
        links={student.key: quote(f"students/{folder_name(student.key)}/feedback.html") for student in who},
        classroom=classroom,
        # A column for the only lesson would repeat the total.
        lessons=data["lessons"] if several else [],
        late={item.student.key: text for item in classroom if (text := _late(item, several))},
        points={item.student.key: {mark.report.lesson: mark for mark in item.marks} for item in classroom},
    )


def _late(student: StudentMarks, several: bool) -> str:
    """`2 days, −6`: how late, and the points it cost; of each late lesson, where there are `several`."""
    late = []
    for mark in student.marks:
        if mark.days_late:
            which = f"{mark.report.lesson or 'lesson unknown'}: " if several else ""
            cost = f", −{in_points(mark.penalty)}" if mark.penalty else ""
            late.append(f"{which}{plural(mark.days_late, 'day')}{cost}")
    return "; ".join(late)


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
