"""What an instructor decides: read from `course.toml` in the course's folder, or from another file."""

import ast
import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path

from hvae_keras.course.places import NoSuchLesson, checks_file, find_lesson, lessons

SECONDS_A_DAY = 24 * 60 * 60
POLICIES = ("never", "passed", "tries", "date")


class SettingsError(ValueError):
    """A settings file that cannot be followed; the message names the file and the key in one line."""


@dataclass(frozen=True)
class Reveal:
    """When a solution is shown: `when` is "never", "passed", "tries" or "date".

    "tries" means after a pass or after `tries` tries; "date" means from `date` on. A pass alone is enough
    under "passed" and "tries".
    """

    when: str = "tries"
    tries: int = 3
    date: datetime | None = None

    def allows(self, passed: bool, tries: int, now: datetime) -> bool:
        """Whether a solution is shown at `now` to a student who has passed, or has tried `tries` times."""
        if self.when == "date":
            return self.date is not None and _aware(now) >= _aware(self.date)
        if self.when == "tries":
            return passed or tries >= self.tries
        return passed and self.when == "passed"

    def condition(self, passed: bool, tries: int, now: datetime) -> str:
        """One sentence on when the solution is shown; empty where it is shown now."""
        if self.allows(passed, tries, now):
            return ""
        if self.when == "date" and self.date is not None:
            return f"The solution is shown from {_aware(self.date):%Y-%m-%d %H:%M %Z} on."
        if self.when == "tries":
            left = self.tries - tries
            return f"The solution is shown after a pass, or after {left} more {'try' if left == 1 else 'tries'}."
        return "The solution is shown after a pass." if self.when == "passed" else "Solutions are not shown."


@dataclass(frozen=True)
class Late:
    """What lateness costs: `penalty` (a share of the points won) a day begun after `due`, at most `most`.

    `extensions` maps a student's key to a later due date. Without `due`, nothing is late.
    """

    due: datetime | None = None
    penalty: float = 0.0
    most: float = 1.0
    extensions: Mapping[str, datetime] = field(default_factory=dict)

    def days(self, student_key: str, submitted: datetime | None) -> int:
        """Days of 24 hours begun after the student's due date; 0 where it is not known when the work came.

        What came within the due second is in time.
        """
        if self.due is None or submitted is None:
            return 0
        due = self.extensions.get(student_key, self.due)
        # Seconds since the epoch: a change to or from daylight-saving time must not move the due date.
        seconds = math.floor(_aware(submitted).timestamp()) - math.floor(_aware(due).timestamp())
        return max(0, math.ceil(seconds / SECONDS_A_DAY))

    def share(self, days: int) -> float:
        """The share of the points won, from 0 to 1, that `days` days cost."""
        return min(self.most, self.penalty * days)


@dataclass(frozen=True)
class Settings:
    """Everything an instructor can decide.

    `seed` changes the checks' random inputs; `seconds` an exercise may take, `memory` (GiB) its process may
    use. `leave_out` names exercises that do not count. `points` maps exercise ids to points in place of the
    lesson's own; `weights` maps lessons, as the file names them, to their weight in the total (1 where not named).
    """

    seed: int = 0
    seconds: float = 20.0
    memory: float = 2.0
    leave_out: frozenset[str] = frozenset()
    points: Mapping[str, float] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    late: Late = Late()
    reveal: Reveal = Reveal()

    def lesson_weights(self, root: Path) -> dict[str, float]:
        """The weights by the lessons' slugs: `2` and `02` mean `02_vae`.

        Raises SettingsError for a lesson that the course does not have, or that is named twice.
        """
        resolved: dict[str, float] = {}
        for key, weight in self.weights.items():
            try:
                slug = find_lesson(root, key if "." not in key else "")
            except NoSuchLesson:
                known = lessons(root)
                raise SettingsError(f"weights: there is no lesson {key!r}{_suggestion(key, known)}") from None
            if slug in resolved:
                raise SettingsError(f"weights: lesson {slug} is named twice")
            resolved[slug] = weight
        return resolved


def course_settings(root: Path) -> Settings:
    """The settings in the course's own `course.toml`; the defaults where there is none. Raises SettingsError."""
    path = root / "course.toml"
    return read_settings(path, root) if path.is_file() else Settings()


def read_settings(path: Path, root: Path | None = None) -> Settings:
    """Read a settings file; with `root`, its exercises and lessons must exist in that course.

    Raises SettingsError, in one line with the file and the key, and FileNotFoundError.
    """
    try:
        document = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
        settings = _settings_of(document)
        if root is not None:
            require_known(settings, root)
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no settings file {path}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path.name}: is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path.name}: is not TOML: {error}") from None
    except SettingsError as error:
        raise SettingsError(f"{path.name}: {error}") from None
    return settings


def _settings_of(document: dict) -> Settings:
    tables = ("grading", "points", "weights", "late", "reveal")
    _refuse_unknown("", document, tables)
    for name in document:
        if not isinstance(document[name], dict):
            raise SettingsError(f"{name} must be a table, [{name}], got {_shown(document[name])}")
    grading = _table(
        "grading",
        document.get("grading", {}),
        {"seed": _whole_number, "seconds": _above_zero, "memory": _above_zero, "leave_out": _exercise_list},
    )
    late = _table(
        "late",
        document.get("late", {}),
        {"due": _moment, "penalty": _share, "most": _share, "extensions": _students},
    )
    extended = late.get("extensions", {})
    late["extensions"] = _table("late.extensions", extended, dict.fromkeys(extended, _moment))
    reveal = _table("reveal", document.get("reveal", {}), {"when": _policy, "tries": _count, "date": _moment})
    settings = Settings(
        **grading,
        points=_numbers("points", document.get("points", {})),
        weights=_numbers("weights", document.get("weights", {})),
        late=Late(**late),
        reveal=Reveal(**reveal),
    )
    _require_dates(settings)
    return settings


def _table(name: str, table: dict, readers: Mapping[str, Callable[[object], object]]) -> dict[str, object]:
    """The values of a table, each as its reader understands it."""
    _refuse_unknown(f"{name}.", table, readers)
    return {key: _read(f"{name}.{key}", value, readers[key]) for key, value in table.items()}


def _numbers(name: str, table: dict) -> dict[str, float]:
    for key, value in table.items():
        if isinstance(value, dict):  # in TOML, 2.3 = 5 means {"2": {"3": 5}}
            inner = next(iter(value), "3")
            raise SettingsError(f'{name}.{key} must be a number; put the name in quotes: "{key}.{inner}" = 5')
    return {key: _read(f'{name}."{key}"', value, _not_negative) for key, value in table.items()}


def _read(name: str, value: object, reader: Callable[[object], object]) -> object:
    try:
        return reader(value)
    except SettingsError as error:
        raise SettingsError(f"{name} must be {error}, got {_shown(value)}") from None


def _refuse_unknown(prefix: str, table: Mapping, known: Mapping | tuple) -> None:
    for key in table:
        if key not in known:
            raise SettingsError(f"{prefix}{key} is unknown{_suggestion(key, list(known))}")


def _require_dates(settings: Settings) -> None:
    if settings.reveal.when == "date" and settings.reveal.date is None:
        raise SettingsError('reveal.date is missing: reveal.when is "date"')
    late = settings.late
    if late.due is None and late.extensions:
        raise SettingsError("late.due is missing: without it, nothing is late")
    for student, date in late.extensions.items():
        if late.due is not None and date < late.due:
            raise SettingsError(f'late.extensions."{student}" is before late.due')


def require_known(settings: Settings, root: Path) -> None:
    """Refuse exercises and lessons that the course does not have. Raises SettingsError."""
    settings.lesson_weights(root)
    named = [("grading.leave_out", key) for key in sorted(settings.leave_out)]
    named += [("points", key) for key in settings.points]
    if not named:
        return
    known = _exercise_ids(root)
    for place, key in named:
        if key not in known:
            raise SettingsError(f"{place}: there is no exercise {key!r}{_suggestion(key, known)}")


def _exercise_ids(root: Path) -> list[str]:
    """The ids of all exercises. The checks are read, not imported: that would take TensorFlow's seconds."""
    return [
        node.args[0].value
        for slug in lessons(root)
        for node in ast.walk(ast.parse(checks_file(root, slug).read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Exercise"
        if node.args and isinstance(node.args[0], ast.Constant)
    ]


def _suggestion(key: str, known: list[str]) -> str:
    close = get_close_matches(key, known, n=1)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; there are: {', '.join(known)}" if known else ""


def _shown(value: object) -> str:
    text = " ".join(repr(value).split()) if not isinstance(value, datetime) else value.isoformat()
    return text if len(text) <= 60 else text[:57] + "..."


def _number(value: object, allowed: Callable[[float], bool], expected: str) -> float:
    # bool is an int to Python, and TOML has nan and inf: neither is a number of points.
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not abs(value) < 1e12 or not allowed(value):
        raise SettingsError(expected)
    return value


def _not_negative(value: object) -> float:
    return float(_number(value, lambda number: number >= 0, "a number, 0 or more"))


def _above_zero(value: object) -> float:
    return float(_number(value, lambda number: number > 0, "a number above 0"))


def _share(value: object) -> float:
    return float(_number(value, lambda number: 0 <= number <= 1, "a share from 0 to 1"))


def _whole_number(value: object) -> int:
    return int(_number(value, lambda number: isinstance(number, int) and number >= 0, "a whole number, 0 or more"))


def _count(value: object) -> int:
    return int(_number(value, lambda number: isinstance(number, int) and number >= 1, "a whole number, 1 or more"))


def _policy(value: object) -> str:
    if value not in POLICIES:
        raise SettingsError("one of " + ", ".join(f'"{policy}"' for policy in POLICIES))
    return str(value)


def _exercise_list(value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise SettingsError('a list of exercises in quotes, such as ["2.7"]')
    return frozenset(value)


def _moment(value: object) -> datetime:
    expected = "a date and time without quotes, such as 2026-10-01T23:59:00+02:00"
    if not isinstance(value, datetime):
        raise SettingsError(expected)
    try:
        return _aware(value)
    except (ValueError, OverflowError, OSError):  # the year 1, before any time zone
        raise SettingsError(expected) from None


def _students(value: object) -> dict:
    if not isinstance(value, dict):
        raise SettingsError("a table of students and their due dates")
    return value


def _aware(moment: datetime) -> datetime:
    """A moment without a time zone is in local time."""
    return moment if moment.tzinfo is not None else moment.astimezone()
