"""From a session with a student's function to a verdict: run the checks, explain the failures."""

import contextlib
import time
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from hvae_keras.course.exercises import Check, Exercise, Misconception, Mismatch
from hvae_keras.course.failures import GraderFault, NotAttempted, StudentFailure
from hvae_keras.course.session import Call, Proxy, Session
from hvae_keras.course.values import show

SYMBOLS = {
    "passed": "✓",
    "wrong": "✗",
    "error": "!",
    "timed out": "⧖",
    "out of memory": "▣",
    "not attempted": "○",
    "missing": "–",
}
LIMIT_SECONDS = 20.0
LINE_LENGTH = 90
LONGEST_LINE, MOST_LINES = 280, 40
UNPRINTABLE = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True)
class CheckResult:
    """The outcome of one check: status, points, and the lines that explain a failure."""

    title: str
    status: str
    points: float
    of: float
    lines: tuple[str, ...] = ()
    misconception: str = ""
    cause: str = ""


@dataclass(frozen=True)
class Verdict:
    """The outcome of one exercise."""

    exercise: str
    name: str
    status: str
    points: float
    of: float
    seconds: float
    checks: tuple[CheckResult, ...]
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every check was passed."""
        return self.status == "passed"

    def as_dict(self) -> dict:
        """The verdict as JSON data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict) -> "Verdict":
        """The verdict that `as_dict` wrote. Raises KeyError or TypeError for anything else."""
        checks = tuple(CheckResult(**{**check, "lines": tuple(check["lines"])}) for check in data["checks"])
        return cls(**{**data, "checks": checks, "notes": tuple(data["notes"])})

    def __str__(self) -> str:
        """The few lines that a student reads."""
        head = f"{SYMBOLS[self.status]} {self.exercise} {self.name}   "
        notes = [f"  {note}" for note in self.notes]
        if self.passed:
            return "\n".join([f"{head}{self.points:g} of {self.of:g} points", *notes])
        if self.status == "not attempted":
            return "\n".join([f'{head}not attempted            hint("{self.exercise}") for a first hint', *notes])
        failed = [check for check in self.checks if check.status != "passed"]
        passed = len(self.checks) - len(failed)
        status = "" if self.status == "wrong" else f"{self.status}, "
        lines = [f"{head}{status}{passed} of {len(self.checks)} checks, {self.points:g} of {self.of:g} points"]
        if not failed:
            return "\n".join(lines + notes)
        lines += [
            f"  {failed[0].title}",
            *(f"    {line}" for line in failed[0].lines),
        ]
        if failed[0].cause:
            lines.append(f"  Likely cause: {failed[0].cause}")
        if len(failed) > 1:
            lines.append(f"  Also failed: {'; '.join(check.title for check in failed[1:])}")
        return "\n".join(lines + notes)


def judge(
    exercise: Exercise, session: Session, seed: int = 0, limit: float = LIMIT_SECONDS, notes: Sequence[str] = ()
) -> Verdict:
    """Run every check of an exercise on the session's function, `limit` seconds in all.

    `seed` decides the checks' random inputs. A check that is not passed never stops the next one, unless
    there is nothing to check: a stub, a missing function, or the time is up.
    """
    start = time.monotonic()
    results: list[CheckResult] = []
    for check in exercise.checks:
        remaining = limit - (time.monotonic() - start)
        # One likely cause is enough, and looking for it takes a replay of every misconception.
        first_failure = all(result.status == "passed" for result in results)
        result = run_check(exercise, check, session, seed, max(remaining, 0.1), find_cause=first_failure)
        results.append(result)
        if result.status in ("not attempted", "missing", "timed out"):
            break
    unreached = exercise.checks[len(results) :]
    results += [CheckResult(check.title, results[-1].status, 0.0, check.points) for check in unreached]
    status = next((result.status for result in results if result.status != "passed"), "passed")
    return Verdict(
        exercise=exercise.id,
        name=exercise.name,
        status=status,
        points=sum(result.points for result in results),
        of=exercise.points,
        seconds=time.monotonic() - start,
        checks=tuple(results),
        notes=tuple(notes),
    )


def run_check(
    exercise: Exercise,
    check: Check,
    session: Session,
    seed: int = 0,
    limit: float = LIMIT_SECONDS,
    find_cause: bool = True,
) -> CheckResult:
    """Run one check on the session's function, and say why it failed if it did, with the likely cause."""
    calls: list[Call] = []
    try:
        with session.limited(limit):
            _attempt(exercise, check, session, seed, calls)
    except GraderFault:
        raise
    except StudentFailure as failure:
        lines = () if isinstance(failure, NotAttempted) else _shown(str(failure).splitlines())
        return CheckResult(check.title, failure.status, 0.0, check.points, lines)
    except Exception as error:
        lines = _shown([*_inputs(exercise, calls), *_explain(error, calls)])
        cause = _likely_cause(exercise, check, seed, calls) if find_cause else None
        return CheckResult(
            check.title,
            "wrong",
            0.0,
            check.points,
            lines,
            misconception=cause.name if cause else "",
            cause=cause.sentence if cause else "",
        )
    return CheckResult(check.title, "passed", check.points, check.points)


def _attempt(exercise: Exercise, check: Check, session: Session, seed: int, calls: list[Call]) -> None:
    arguments = {exercise.name: Proxy(exercise.name, session, calls)}
    if check.wants_rng:
        # One stream a check, so that adding a check never changes another one's inputs.
        arguments["rng"] = np.random.default_rng([seed, zlib.crc32(check.title.encode())])
    check.function(**arguments)


def _shown(lines: Sequence[str]) -> tuple[str, ...]:
    """Lines that may hold a student's text, fit to be shown, printed and kept anywhere: short, and only text."""
    cut = [line if len(line) <= LONGEST_LINE else line[:LONGEST_LINE] + " …" for line in lines[:MOST_LINES]]
    return tuple("".join(mark if mark.isprintable() else UNPRINTABLE for mark in line) for line in cut)


def _explain(error: Exception, calls: list[Call]) -> list[str]:
    """What was expected and what came."""
    if isinstance(error, Mismatch):
        return error.lines
    if isinstance(error, AssertionError) and str(error):
        return str(error).split("\nassert ")[0].splitlines()
    got = show(calls[-1].result) if calls else "nothing"
    return [f"got       {got}", f"which the check could not use ({type(error).__name__}: {error})"[:200]]


def _inputs(exercise: Exercise, calls: list[Call]) -> list[str]:
    """The inputs of the last call of the student's function, by name."""
    call = next((call for call in reversed(calls) if call.target == exercise.name), None)
    if call is None:
        return []
    names = exercise.argument_names(len(call.args))
    named = [*zip(names, call.args, strict=True), *call.kwargs.items()]
    shown = [f"{name} {show(value)}" for name, value in named]
    if len("  ".join(shown)) <= LINE_LENGTH:
        shown = ["  ".join(shown)] if shown else []
    return [("inputs    " if index == 0 else " " * 10) + text for index, text in enumerate(shown)]


def _likely_cause(exercise: Exercise, check: Check, seed: int, calls: list[Call]) -> Misconception | None:
    """The first misconception that, put through the same check, answers every call as the student's did."""
    for misconception in exercise.misconceptions:
        replay: list[Call] = []
        session = Session({exercise.name: misconception.function})
        try:
            with session.limited(LIMIT_SECONDS):
                _attempt(exercise, check, session, seed, replay)
        except Exception:
            with contextlib.suppress(Exception):  # the answers compared are the student's, and may be anything
                if len(replay) == len(calls) and all(a.agrees(b) for a, b in zip(replay, calls, strict=True)):
                    return misconception
    return None
