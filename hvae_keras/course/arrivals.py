"""Submissions as they arrive: flat files, a folder a student, the zip of a learning platform.

Nothing is graded here, and nothing of a submission is run.
"""

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PurePosixPath

from hvae_keras.course.places import NoSuchLesson, course_root, lessons
from hvae_keras.course.unpacking import NOTEBOOK, Item, contents, file_date, folded, printable, safe_name

# Moodle: "Ada Lovelace_12345_assignsubmission_file/x.ipynb", or "..._file_x.ipynb" without folders. The number is
# the student's in this one assignment. A group without a number is the one of all who are in no group.
MOODLE = re.compile(r"(?P<name>[^_]+)(_(?P<id>\d+))?_assignsubmission_(?P<kind>[a-z]+)(_(?P<file>.*))?", re.DOTALL)
# Canvas: "lovelaceada_LATE_12345_67890_x-1.ipynb": the student's number, the file's number, the name it had. Text
# and links handed in have no file's number. Graded anonymously: "LATE_anon_aB3dE_67890_x.ipynb".
CANVAS = re.compile(
    r"((?P<late_too>LATE_)?(?P<anonymous>anon_[A-Za-z0-9]+)|(?P<name>\w+?)_(?P<late>LATE_)?(?P<id>\d+))"
    r"_(\d{3,}_(?P<file>.+)|(text|link)\.html)",
    re.DOTALL,
)
GRADESCOPE = re.compile(r"submission_\d+")
AROUND_ALL = re.compile(r"submitted|submissions?|assignment_\d+_export", re.IGNORECASE)
OF_THE_INSTRUCTOR = re.compile(r"readme.*|.*\.(csv|toml|ya?ml|xlsx)", re.IGNORECASE | re.DOTALL)
COPY = r"[ _-]*(\(\d+\)|copy[ _-]?\d*|\d+)"


class RosterError(ValueError):
    """A roster that cannot be read; the message names the file and the line."""


@dataclass(frozen=True)
class Student:
    """Who handed something in. `key` names their files and rows, and is unique in a class.

    `name` is for people to read. `canvas_id` and `moodle_id` are the numbers under which the platform knows
    them, where the submission came in its shape; otherwise empty.
    """

    key: str
    name: str = ""
    canvas_id: str = ""
    moodle_id: str = ""


@dataclass(frozen=True)
class Arrival:
    """One file that a student handed in.

    `path` is where its bytes lie, `file` its name as it came (within the folder or the zip). `submitted` is
    when, where that is known; `late` is the platform's own mark. `problem` says in one line why there is
    nothing to grade (a zip without a notebook, say), and is empty otherwise.

    Moodle and Canvas date the files in their zips by the download, so `submitted` is not known there.
    """

    student: Student
    file: str
    path: Path
    submitted: datetime | None = None
    late: bool = False
    problem: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Owner:
    """Whose an item is, as its name says; the platform's mark of lateness; whether the item's date counts."""

    student: Student
    late: bool = False
    dated: bool = True
    online_text: bool = False


def collect(path: Path, into: Path) -> list[Arrival]:
    """Everything handed in at `path`: a notebook, a folder or a zip. In order of the students' keys.

    A student is a flat file (`alice.ipynb`, `alice_02_vae.ipynb`), a folder, or a name in the pattern of Moodle,
    Canvas or Gradescope; zips that students handed in are opened. Notebooks from zips are unpacked into `into`. A
    student without a notebook has one arrival, with a `problem`. Loose tables, settings and README files beside
    the submissions are the instructor's.

    Raises FileNotFoundError where there is nothing, DamagedZip (a ValueError) where `path` is a zip that cannot
    be opened.
    """
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path}")
    if path.is_file() and path.suffix.lower() != ".zip":
        student = Student(safe_name(_who(_stem(path.name), _slugs())))
        return [Arrival(student, printable(path.name), path, file_date(path))]
    items = contents(path, into)
    slugs = _slugs()
    level = _student_level(items, slugs)
    places: dict[str, list[tuple[Item, _Owner]]] = defaultdict(list)
    canvas = _canvas_names(items, level)
    for item in items:
        if len(item.parts) > level and not _instructors(item, level):
            owner = _owner(item, level, slugs, canvas)
            places[owner.student.key].append((item, owner))
    arrivals = []
    for raw, key in _unique(places).items():
        arrivals += _arrivals(key, places[raw], level)
    if not arrivals:
        raise FileNotFoundError(f"{path} holds no submissions: no notebooks (*.ipynb), zips or students' folders")
    return arrivals


def read_roster(path: Path) -> list[Student]:
    """The class list: a CSV with a column `student` (the key) and, if you like, `name`, `canvas_id`, `moodle_id`.

    Raises RosterError for what is not such a table, FileNotFoundError.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no roster {path}")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RosterError(f"{path.name}: is not UTF-8 text; save it as CSV UTF-8") from None
    dialect = csv.excel() if ";" not in text.partition("\n")[0] else _Semicolons()
    table = csv.DictReader(io.StringIO(text, newline=""), dialect=dialect, strict=True)
    try:
        columns = [name.strip() for name in table.fieldnames or []]
        if "student" not in columns:
            raise RosterError(f"{path.name}: has no column student; it has {', '.join(columns) or 'none'}")
        table.fieldnames = columns
        return _listed(path.name, table)
    except csv.Error as error:
        raise RosterError(f"{path.name}: line {table.line_num}: {error}") from None


def on_roster(arrivals: Sequence[Arrival], roster: Sequence[Student]) -> list[Arrival]:
    """The arrivals with their students as the roster lists them, found by the platform's number or by the key.

    Who is not on the roster stays as they came. In order of the students' keys.
    """
    found: dict[tuple[str, str], Student] = {}
    for student in roster:
        named = ("key", folded(student.key)), ("canvas", student.canvas_id), ("moodle", student.moodle_id)
        found |= {name: student for name in named if name[1]}
    listed = []
    for arrival in arrivals:
        came = arrival.student
        names = ("canvas", came.canvas_id), ("moodle", came.moodle_id), ("key", folded(came.key))
        student = next((found[name] for name in names if name in found), came)
        name = student.name or came.name
        both = replace(student, name=name, canvas_id=student.canvas_id or came.canvas_id)
        listed.append(replace(arrival, student=replace(both, moodle_id=student.moodle_id or came.moodle_id)))
    return sorted(listed, key=lambda arrival: (folded(arrival.student.key), arrival.student.key, arrival.file))


class _Semicolons(csv.excel):
    delimiter = ";"  # what spreadsheets write where the comma is the decimal point


def _listed(file: str, table: csv.DictReader) -> list[Student]:
    """The rows of a roster, each student once."""
    students, seen = [], set()
    for row in table:
        values = {name: (row.get(name) or "").strip() for name in ("name", "canvas_id", "moodle_id")}
        key = (row["student"] or "").strip()
        if not key and not any(values.values()):
            continue
        if not key:
            raise RosterError(f"{file}: line {table.line_num}: the column student is empty")
        student = Student(safe_name(key), **values)
        names = {
            ("student", folded(student.key)),
            ("canvas_id", student.canvas_id),
            ("moodle_id", student.moodle_id),
        }
        for column, value in sorted(names):
            if (column, value) in seen:
                raise RosterError(f"{file}: line {table.line_num}: {column} {value!r} is there twice")
        seen |= {name for name in names if name[1]}
        students.append(student)
    return students


def _slugs() -> list[str]:
    """The lessons that a file's name may speak of: those of the course around us."""
    try:
        return lessons(course_root())
    except NoSuchLesson:
        return []


def _student_level(items: Sequence[Item], slugs: Sequence[str]) -> int:
    """How many names lead to the students: 0, or more where a folder or zip lies around all of them."""
    level = 0
    while level < 3 and _is_wrapped(items, level, slugs):
        level += 1
    return level


def _is_wrapped(items: Sequence[Item], level: int, slugs: Sequence[str]) -> bool:
    """Whether what stands at this level are not students, but folders around students."""
    here = [item for item in items if len(item.parts) > level and not _instructors(item, level)]
    tops = {item.parts[level] for item in here}
    below = [item for item in here if len(item.parts) > level + 1]
    if any(_of_platform(name) for name in tops):
        return False
    loose = any(item.is_notebook for item in here if len(item.parts) == level + 1)
    children = {item.parts[level + 1] for item in below if not _instructors(item, level + 1)}
    if children and not loose and all(_of_platform(name) for name in children):
        return True
    if len(tops) != 1 or not below:
        return False
    if AROUND_ALL.fullmatch(next(iter(tops))):
        return True
    flat = {_stem(item.parts[-1]) for item in below if item.is_notebook and len(item.parts) == level + 2}
    if flat:  # several notebooks of one student are named after lessons
        return len(flat) > 1 and not all(_is_lesson(stem, slugs) for stem in flat)
    folders = {item.parts[level + 1] for item in below if item.is_notebook}
    return len(folders) > 1 and not any(_is_lesson(name.removesuffix(".zip"), slugs) for name in folders)


def _instructors(item: Item, level: int) -> bool:
    """Whether this is a loose file beside the submissions, such as a roster."""
    loose = len(item.parts) == level + 1 and not item.container
    name = item.parts[level]
    return loose and not _of_platform(name) and OF_THE_INSTRUCTOR.fullmatch(name) is not None


def _of_platform(name: str) -> bool:
    return any(pattern.fullmatch(name) for pattern in (MOODLE, CANVAS, GRADESCOPE))


def _canvas_names(items: Iterable[Item], level: int) -> set[str]:
    """The names in Canvas's pattern: none at all where one number belongs to two names, as a date would."""
    names = {item.parts[level] for item in items if len(item.parts) > level}
    matches = [match for match in map(CANVAS.fullmatch, names) if match]
    people = {(match["id"], match["name"]) for match in matches if match["id"]}
    one_name_each = len({number for number, _ in people}) == len(people)
    lower = all(name == name.lower() for _, name in people)  # Canvas writes them so
    return {match[0] for match in matches} if one_name_each and lower else set()


def _owner(item: Item, level: int, slugs: Sequence[str], canvas: set[str]) -> _Owner:
    """Whose an item is. A student's key is raw here: not yet safe, not yet unique."""
    name = item.parts[level]
    if match := MOODLE.fullmatch(name):
        key = f"{match['name']}_{match['id']}" if match["id"] else match["name"]
        student = Student(key, printable(match["name"]), moodle_id=match["id"] or "")
        return _Owner(student, dated=False, online_text=match["kind"] != "file")
    if name in canvas and (match := CANVAS.fullmatch(name)):
        late = bool(match["late"] or match["late_too"])
        if match["anonymous"]:
            return _Owner(Student(match["anonymous"]), late, dated=False)
        student = Student(f"{match['name']}_{match['id']}", printable(match["name"]), canvas_id=match["id"])
        return _Owner(student, late, dated=False)
    is_folder = (item.container or len(item.parts) > level + 1) and not name.lower().endswith(".zip")
    return _Owner(Student(name if is_folder else _who(_stem(name), slugs)))


def _stem(name: str) -> str:
    """A file's name without its ending."""
    return NOTEBOOK.sub("", name) if NOTEBOOK.search(name) else PurePosixPath(name).stem


def _pattern(slug: str) -> str:
    """How people write a lesson's name: `02_vae`, `2-vae`, `02 VAE`."""
    number, _, words = slug.partition("_")
    return rf"0*{int(number)}[ _-]+" + r"[ _-]+".join(map(re.escape, words.split("_")))


def _who(stem: str, slugs: Iterable[str]) -> str:
    """The student in a file's name: what is left without the lesson's name, if anything is.

    A number alone is never taken for a lesson: `student_01` and `student_02` are two people.
    """
    for slug in slugs:
        lesson = _pattern(slug)
        after = re.fullmatch(rf"(?P<who>.+?)[ _.-]+{lesson}({COPY})?", stem, re.IGNORECASE | re.DOTALL)
        before = re.fullmatch(rf"{lesson}[ _.-]+(?!{COPY}$)(?P<who>.+)", stem, re.IGNORECASE | re.DOTALL)
        if after or before:
            return (after or before)["who"]
    return stem


def _is_lesson(name: str, slugs: Iterable[str]) -> bool:
    return any(re.fullmatch(rf"{_pattern(slug)}({COPY})?", name, re.IGNORECASE) for slug in slugs)


def _unique(raw: Iterable[str]) -> dict[str, str]:
    """Keys that are safe as names of files, no two of which any system takes for the same."""
    keys: dict[str, str] = {}
    taken: set[str] = set()
    for name in sorted(raw, key=lambda name: (folded(safe_name(name)), name)):
        key = safe = safe_name(name)
        count = 1
        while folded(key) in taken:
            count += 1
            key = f"{safe}-{count}"
        taken.add(folded(key))
        keys[name] = key
    return dict(sorted(keys.items(), key=lambda pair: (folded(pair[1]), pair[1])))


def _arrivals(key: str, place: Sequence[tuple[Item, _Owner]], level: int) -> list[Arrival]:
    """What one student handed in: the notebooks and what is out of reach; else one arrival that says so."""
    arrivals = []
    for item, owner in place:
        if item.is_notebook or item.problem:
            problem = f"{printable(item.parts[-1])} {item.problem}" if item.problem else ""
            arrivals.append(_arrival(key, item, owner, level, problem))
    if arrivals:
        return arrivals
    files = [(item, owner) for item, owner in place if not item.container and not owner.online_text]
    item, owner = (files or place)[0]
    names = [printable(item.parts[-1]) for item, _ in files]
    if not names:
        names = [printable(item.parts[-1]) for item, _ in place if item.parts[-1].lower().endswith(".zip")]
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    text = "text online" if any(owner.online_text for _, owner in place) else "nothing"
    return [_arrival(key, item, owner, level, f"handed in {shown or text}, no notebook")]


def _arrival(key: str, item: Item, owner: _Owner, level: int, problem: str) -> Arrival:
    # The date of the outermost file that is the student's alone. Dates within their own zip are theirs to choose.
    dates = [date for names, date in item.dates if names > level] if owner.dated else []
    student = replace(owner.student, key=key)
    file = printable("/".join(item.parts))
    return Arrival(student, file, item.path, dates[0] if dates else None, owner.late, problem)
