"""The mutation audit: how many of the wrong answers made by rule do the checks refuse?"""

import tomllib
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hvae_keras.course.answering import run_slice
from hvae_keras.course.exercises import Exercise, exercises_in, load_checks
from hvae_keras.course.failures import StudentFailure
from hvae_keras.course.judge import run_check
from hvae_keras.course.mutants import Mutant, mutants_of
from hvae_keras.course.places import checks_file, exercise_order, source_file, write_whole
from hvae_keras.course.session import Session
from hvae_keras.course.source import solution_of
from hvae_keras.course.statements import parse_cell
from hvae_keras.course.submission import Submission, read_submission

LIMIT_SECONDS = 5.0
BEGIN, END = "<!-- begin of the audit's tables -->", "<!-- end of the audit's tables -->"


class AuditError(ValueError):
    """The list of equivalent mutants does not fit the solutions; the message names the entry."""


@dataclass(frozen=True)
class Finding:
    """What became of a mutant: its status, `passed` or that of the check that refused it, by its title.

    `equivalent` is the reason why it is a right answer, empty for a wrong one.
    """

    mutant: Mutant
    status: str
    refused_by: str = ""
    equivalent: str = ""

    @property
    def refused(self) -> bool:
        """Whether a check did not pass it."""
        return self.status != "passed"

    @property
    def survived(self) -> bool:
        """Whether a wrong answer was taken for a right one."""
        return not self.refused and not self.equivalent


def audit(
    root: Path,
    slug: str,
    seeds: Sequence[int] = (0,),
    moved: Callable[[int, int], None] = lambda done, total: None,
) -> list[Finding]:
    """Put every mutant of a lesson's solutions to its checks; `moved` is told how many are done, of how many.

    A mutant counts as refused where it is refused under every seed. Raises AuditError for entries in the list
    of equivalent mutants that name no mutant, or one that the checks refuse.
    """
    exercises = exercises_in(load_checks(checks_file(root, slug)))
    solutions = read_submission(source_file(root, slug))
    work = list(_with_mutants(root, slug, exercises))
    reasons = reasons_of(root, [mutant for _, mutant in work])
    findings = []
    # What wrong answers do to numbers and shapes is no news.
    with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
        for done, (exercise, mutant) in enumerate(work, 1):
            status, refused_by = judged(exercise, solutions, mutant, seeds)
            findings.append(Finding(mutant, status, refused_by, reasons.get(mutant.id, "")))
            moved(done, len(work))
    for finding in findings:
        if finding.equivalent and finding.refused:
            raise AuditError(f"{finding.mutant.id} is listed as equivalent, and refused: {finding.refused_by}")
    return findings


def mutants(root: Path, slug: str) -> list[Mutant]:
    """All mutants of a lesson's solutions, in order."""
    exercises = exercises_in(load_checks(checks_file(root, slug)))
    return [mutant for _, mutant in _with_mutants(root, slug, exercises)]


def _with_mutants(root: Path, slug: str, exercises: Sequence[Exercise]) -> Iterator[tuple[Exercise, Mutant]]:
    text = source_file(root, slug).read_text(encoding="utf-8")
    for exercise in exercises:
        for mutant in mutants_of(exercise, solution_of(text, exercise.id)):
            yield exercise, mutant


def reasons_of(root: Path, known: Sequence[Mutant]) -> dict[str, str]:
    """Why mutants are right answers, by id, from the list kept by hand (empty where there is none).

    Raises AuditError for an entry on an exercise of these mutants that names none of them, or another change.
    """
    path = root / "tests" / "course" / "equivalent_mutants.toml"
    entries = tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    by_id = {mutant.id: mutant for mutant in known}
    reasons = {}
    for exercise in entries.keys() & {mutant.exercise for mutant in known}:
        for entry in entries[exercise]:
            name = f"{exercise} {entry['mutant']}"
            if name not in by_id or by_id[name].difference != entry["change"]:
                came = by_id[name].difference if name in by_id else "no such mutant"
                raise AuditError(f"{path.name}: {name} should be {entry['change']}, got {came}")
            reasons[name] = entry["reason"]
    return reasons


def judged(
    exercise: Exercise, solutions: Submission, mutant: Mutant, seeds: Sequence[int] = (0,)
) -> tuple[str, str]:
    """Status and title of the first check that refuses a mutant; `passed` where it passes all under any seed."""
    try:
        session = _session(exercise, solutions, mutant)
    except StudentFailure as failure:
        return failure.status, "it cannot be run at all"
    first = None
    for seed in seeds:
        results = (run_check(exercise, c, session, seed, LIMIT_SECONDS, find_cause=False) for c in exercise.checks)
        refused = next((result for result in results if result.status != "passed"), None)
        if refused is None:
            return "passed", ""
        first = first or refused
    return first.status, first.title


def _session(exercise: Exercise, solutions: Submission, mutant: Mutant) -> Session:
    """A session with the mutant in the solution's place, and all else that it needs."""
    number = solutions.definitions(exercise.name)[-1]
    needed = {cell for cell, _, _ in solutions.slice(exercise.name)}
    cells = [cell for cell in solutions.cells if cell.number in needed and cell.number != number]
    changed = replace(solutions, cells=sorted([*cells, parse_cell(number, mutant.source)], key=lambda c: c.number))
    return Session({exercise.name: run_slice(exercise.name, changed.slice(exercise.name))})


def share_refused(findings: Sequence[Finding]) -> float:
    """Of the wrong answers, the share that was refused; 1 where there are none."""
    wrong = [finding for finding in findings if not finding.equivalent]
    return sum(not finding.survived for finding in wrong) / len(wrong) if wrong else 1.0


def rows(findings: Sequence[Finding]) -> list[tuple[str, int, int, int, float]]:
    """A row an exercise: its id, how many mutants, equivalent ones, refused ones, and the share refused."""
    ids = sorted({finding.mutant.exercise for finding in findings}, key=exercise_order)
    groups = [(key, [finding for finding in findings if finding.mutant.exercise == key]) for key in ids]
    return [_row(key, group) for key, group in [*groups, ("all", list(findings))]]


def _row(key: str, group: Sequence[Finding]) -> tuple[str, int, int, int, float]:
    equivalent = sum(bool(finding.equivalent) for finding in group)
    refused = sum(finding.refused for finding in group)
    return key, len(group), equivalent, refused, share_refused(group)


def tables(findings: Sequence[Finding]) -> str:
    """The rows and the wrong answers that were not refused, as Markdown."""
    lines = ["| exercise | mutants | equivalent | refused | share |", "|---|---|---|---|---|"]
    for key, count, equivalent, refused, share in rows(findings):
        lines.append(f"| {key} | {count} | {equivalent} | {refused} | {share:.1%} |")
    by_value = sum(finding.status == "wrong" for finding in findings)
    by_error = sum(finding.refused for finding in findings) - by_value
    left = [finding.mutant for finding in findings if finding.survived]
    lines += ["", f"Refused for a wrong value: {by_value}; for an error, or no answer in time: {by_error}."]
    lines += ["", f"Wrong answers that passed every check: {len(left) or 'none'}.", ""]
    lines += [f"- {mutant.id}: `{mutant.difference}`" for mutant in left]
    return "\n".join(lines).strip() + "\n"


def write_tables(path: Path, findings: Sequence[Finding]) -> None:
    """Write the tables to a Markdown file; in one that has their place marked, what is around them stays."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if BEGIN not in text or END not in text:
        text = f"{BEGIN}\n{END}\n"
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    write_whole(path, f"{before}{BEGIN}\n\n{tables(findings)}\n{END}{after}")
