"""`results.json` as Gradescope's autograders write it."""

from collections.abc import Iterator
from typing import Any

from hvae_keras.course.judge import CheckResult, Verdict
from hvae_keras.course.marks import StudentMarks
from hvae_keras.course.outputs.lateness import penalty_in_short
from hvae_keras.course.outputs.problems import problem_told
from hvae_keras.course.outputs.statuses import checks_of, explanation
from hvae_keras.course.outputs.text import clean, shortened

OUTPUT_LENGTH = 20_000


def gradescope_results(student: StudentMarks) -> dict[str, Any]:
    """One student's marks in Gradescope's format: a test a check, and the score that counts.

    `score` is what remains after lateness, so it can be less than the tests' sum. Everything is visible to the
    student except what the grader printed. Nothing about other students is in it.
    """
    verdicts = [verdict for mark in student.marks for verdict in mark.report.verdicts]
    seconds = sum(mark.report.seconds for mark in student.marks)
    return {
        "score": round(student.points, 4),
        "execution_time": round(seconds, 2),
        "output": "\n".join(_remarks(student)),
        "output_format": "text",
        "test_output_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "extra_data": {"of": round(student.of, 4), "percent": round(student.percent, 2)},
        "tests": [_test(*numbered) for verdict in verdicts for numbered in _numbered(verdict)],
    }


def _numbered(verdict: Verdict) -> Iterator[tuple[Verdict, int, CheckResult]]:
    return ((verdict, index, check) for index, check in enumerate(checks_of(verdict), 1))


def _test(verdict: Verdict, index: int, check: CheckResult) -> dict[str, Any]:
    lines = explanation(check)
    # Notes belong to the exercise, and are told once.
    lines += [f"Note: {note}" for note in verdict.notes] if index == 1 and verdict.checks else []
    status = [] if check.status == "passed" else [f"{check.status}."]
    return {
        "name": clean(f"{verdict.name}: {check.title}"),
        "number": f"{verdict.exercise}.{index}",
        "score": round(check.points, 4),
        "max_score": round(check.of, 4),
        "status": "passed" if check.status == "passed" else "failed",
        "output": shortened(clean("\n".join(status + lines)), OUTPUT_LENGTH),
        "output_format": "text",
        "visibility": "visible",
        "tags": [verdict.exercise, check.status],
        "extra_data": {"misconception": check.misconception},
    }


def _remarks(student: StudentMarks) -> list[str]:
    remarks = []
    for mark in student.marks:
        for text in (problem_told(mark), penalty_in_short(mark), *mark.notes):
            remarks += [shortened(clean(text), OUTPUT_LENGTH)] if text else []
    return remarks
