"""What lateness cost, in sentences."""

from datetime import tzinfo

from hvae_keras.course.marks import Mark
from hvae_keras.course.outputs.text import in_points, moment, number, plural
from hvae_keras.course.settings import Late


def zone_of(late: Late) -> tzinfo | None:
    """The time zone that dates are shown in: the due date's own; None, for this machine's, where it has none."""
    return late.due.tzinfo if late.due else None


def penalty_in_short(mark: Mark) -> str:
    """`3 days late: 4.2 points off`, or nothing for what is in time."""
    if not mark.days_late:
        return ""
    off = f"{plural(round(mark.penalty, 2), 'point')} off" if mark.penalty else "no points off"
    return f"{plural(mark.days_late, 'day')} late: {off}"


def penalty_explained(mark: Mark, late: Late, key: str) -> list[str]:
    """When the work came, when it was due, and how the penalty follows; nothing for what is in time.

    `key` is the student's: it may have an extension.
    """
    if not mark.days_late:
        return []
    due = late.extensions.get(key, late.due)
    came = [f"handed in {moment(mark.submitted, zone_of(late))}"] if mark.submitted else []
    came += [f"due {moment(due, zone_of(late))}"] if due else []
    days = plural(mark.days_late, "day")
    when = f"{days} late, a day begun counted as one" + (f" ({', '.join(came)})." if came else ".")
    if not mark.penalty:
        return [when, "No points were taken off."]
    capped = f", but at most {number(100 * late.most)} %" if mark.days_late * late.penalty > late.most else ""
    share = f"{number(100 * late.share(mark.days_late))} %"
    return [
        when,
        f"A day costs {number(100 * late.penalty)} % of the points won{capped}.",
        f"For {days}, {share} of {in_points(mark.report.points)} is {in_points(mark.penalty)} off.",
        f"{in_points(mark.points)} remain.",
    ]
