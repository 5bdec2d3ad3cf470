"""The statuses in the order in which every table has them, and what they mean for those who only know fewer."""

from hvae_keras.course.judge import SYMBOLS, CheckResult, Verdict
from hvae_keras.course.outputs.text import abridged, clean

BROKEN = ("error", "timed out", "out of memory")
UNTOUCHED = ("not attempted", "missing")
STATUSES = tuple(SYMBOLS)


def checks_of(verdict: Verdict) -> tuple[CheckResult, ...]:
    """The checks of an exercise. Where none could be run, one that stands for them all and holds the notes."""
    if verdict.checks:
        return verdict.checks
    return (CheckResult("can be graded", verdict.status, verdict.points, verdict.of, verdict.notes),)


def explanation(check: CheckResult) -> list[str]:
    """Why a check is not passed: its lines, and the likely cause."""
    cause = [f"Likely cause: {clean(check.cause)}"] if check.cause else []
    return abridged(check.lines) + cause
