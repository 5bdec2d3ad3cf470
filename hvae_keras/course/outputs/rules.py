"""Which of the instructor's rules a class was graded by, and which of them do not go together."""

from datetime import datetime
from typing import Any

from hvae_keras.course.outputs.lateness import zone_of
from hvae_keras.course.outputs.text import moment, number, plural
from hvae_keras.course.settings import Late, Reveal, Settings


def settings_data(settings: Settings) -> dict[str, Any]:
    """The rules as JSON data: `seconds` an exercise, `memory` in GiB, shares from 0 to 1, dates in ISO 8601."""
    late, reveal = settings.late, settings.reveal
    return {
        "seed": settings.seed,
        "seconds": settings.seconds,
        "memory": settings.memory,
        "leave_out": _left_out(settings),
        "points": dict(settings.points),
        "weights": dict(settings.weights),
        "late": {
            "due": late.due.isoformat() if late.due else None,
            "penalty": late.penalty,
            "most": late.most,
            "extensions": {key: date.isoformat() for key, date in late.extensions.items()},
        },
        "reveal": {
            "when": reveal.when,
            "tries": reveal.tries,
            "date": reveal.date.isoformat() if reveal.date else None,
        },
    }


def rules_in_short(settings: Settings) -> str:
    """What the instructor decided otherwise than the lessons do, in one line: `seed 3; 4.7 left out`."""
    usual = Settings()
    rules = [f"seed {settings.seed}"] if settings.seed != usual.seed else []
    if settings.seconds != usual.seconds:
        rules.append(f"{plural(settings.seconds, 'second')} an exercise")
    if settings.memory != usual.memory:
        rules.append(f"{number(settings.memory)} GiB of memory")
    rules += _lateness(settings.late)
    rules += [f"{', '.join(_left_out(settings))} left out"] if settings.leave_out else []
    rules += [f"{key} gives {plural(points, 'point')}" for key, points in settings.points.items()]
    rules += [f"lesson {key} weighs {number(weight)}" for key, weight in settings.weights.items()]
    if settings.reveal != usual.reveal:
        rules.append(_solutions(settings.reveal, settings.late))
    return "; ".join(rules) or "the lesson's own"


def warnings_on(settings: Settings) -> list[str]:
    """What an instructor may not have meant, a sentence each."""
    late, reveal = settings.late, settings.reveal
    if late.due is None or reveal.when != "date" or reveal.date is None:
        return []
    # Seconds since the epoch: one date may have a time zone and another one not.
    last = max([late.due, *late.extensions.values()], key=datetime.timestamp)
    if reveal.date.timestamp() >= last.timestamp():
        return []
    shown, due = moment(reveal.date, zone_of(late)), moment(last, zone_of(late))
    return [f"Solutions are shown from {shown} on, while work is due as late as {due}."]


def _left_out(settings: Settings) -> list[str]:
    # An option may name what is no exercise at all: nothing to fail for once the class is graded.
    return sorted(settings.leave_out, key=lambda key: [part.zfill(4) for part in key.split(".")])


def _lateness(late: Late) -> list[str]:
    if late.due is None:
        return []
    cost = f"{number(100 * late.penalty)} % a day" if late.penalty else "no points off for lateness"
    capped = f", at most {number(100 * late.most)} %" if late.penalty and late.most < 1 else ""
    rules = [f"due {moment(late.due, zone_of(late))}, {cost}{capped}"]
    return rules + ([f"more time for {plural(len(late.extensions), 'student')}"] if late.extensions else [])


def _solutions(reveal: Reveal, late: Late) -> str:
    if reveal.when == "date" and reveal.date is not None:
        return f"solutions from {moment(reveal.date, zone_of(late))} on"
    if reveal.when == "tries":
        return f"solutions after a pass or {reveal.tries} {'try' if reveal.tries == 1 else 'tries'}"
    return "solutions after a pass" if reveal.when == "passed" else "solutions never shown"
