"""Submissions as they arrive: flat files, a folder a student, the zip of a learning platform.

Nothing is graded here, and nothing of a submission is run.
"""

import csv
import io
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
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


class NotASubmission(ValueError):
    """A file that cannot hold a submission; the message names it and says what can."""


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
    nothing to grade (a zip without a notebook, say), and is empty otherwise. `notes` are lines that the student
    and the instructor should read beside the marks.

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

    A lesson's source (`02_vae.py`) may stand for its notebook.

    A student is a flat file (`alice.ipynb`, `alice_02_vae.ipynb`), a folder, or a name in the pattern of Moodle,
    Canvas or Gradescope; zips that students handed in are opened. Notebooks from zips are unpacked into `into`. A
    student without a notebook has one arrival, with a `problem`. Loose tables, settings and README files beside
    the submissions are the instructor's.

    Raises FileNotFoundError where there is nothing, NotASubmission where `path` is a file of another kind,
    DamagedZip where it is a zip that cannot be opened; the last two are ValueErrors.
    """
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path}")
    slugs = _slugs()
    if not path.is_dir() and path.suffix.lower() != ".zip":
        return [_of_one_file(path, slugs)]
    items = contents(path, into)
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


def _of_one_file(path: Path, slugs: Sequence[str]) -> Arrival:
    """A notebook, or a lesson's source, handed in by itself."""
    if not (NOTEBOOK.search(path.name) or (path.suffix == ".py" and path.stem in slugs)):
        raise NotASubmission(f"{printable(path.name)} is no notebook, folder or zip")
    student = Student(safe_name(_who(_stem(path.name), slugs)))
    return Arrival(student, printable(path.name), path, file_date(path))


def read_roster(path: Path) -> list[Student]:
    """The class list: a CSV with a column `student` (the key) and, if you like, `name`, `canvas_id`, `moodle_id`.

    Two tables of platforms (in English) will do as they are. Of the gradebook that Canvas exports, the key is
    `SIS Login ID`, or `ID` where there is none. Of a grading worksheet from Moodle, it is the key that the
    submissions of that assignment have: the name and the participant's number. Capital letters in the names of
    the columns do not count.

    Raises RosterError for what is not such a table, FileNotFoundError.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no roster {path}")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RosterError(f"{path.name} is not UTF-8 text; save it as CSV UTF-8") from None
    dialect = csv.excel() if ";" not in text.partition("\n")[0] else _Semicolons()
    table = csv.DictReader(io.StringIO(text, newline=""), dialect=dialect, strict=True)
    try:
        columns = [name.strip() for name in table.fieldnames or []]
        table.fieldnames = [folded(name) for name in columns]
        if not {"student", "identifier"} & set(table.fieldnames):
            raise RosterError(f"{path.name} has no column student; it has {', '.join(columns) or 'none'}")
        rows = [(table.line_num, _cells(row)) for row in table]
    except csv.Error as error:
        raise RosterError(f"{path.name}, line {table.line_num}: {error}") from None
    return _listed(path.name, rows)


def on_roster(arrivals: Sequence[Arrival], roster: Sequence[Student]) -> list[Arrival]:
    """The arrivals with their students as the roster lists them.

    They are found by the platform's number, by the key, or by the name: where nobody else in the class or on the
    roster has that name, nobody was found as that student already, and no number speaks against it.

    Names and numbers that the roster does not have are taken from what came. Who is not on the roster stays as
    they came. In order of the students' keys.
    """
    came = sorted({arrival.student for arrival in arrivals}, key=lambda student: student.key)
    found = _by_number_or_key(came, roster)
    found |= _by_name(came, roster, found)
    whole = {student.key: student for student in roster}
    for one, student in found.items():
        known = whole[student.key]
        whole[student.key] = Student(
            known.key,
            known.name or one.name,
            known.canvas_id or one.canvas_id,
            known.moodle_id or one.moodle_id,
        )
    as_listed = {one: whole[student.key] for one, student in found.items()}
    placed = [replace(arrival, student=as_listed.get(arrival.student, arrival.student)) for arrival in arrivals]
    return sorted(placed, key=lambda arrival: (folded(arrival.student.key), arrival.student.key, arrival.file))


def _by_number_or_key(came: Sequence[Student], roster: Sequence[Student]) -> dict[Student, Student]:
    """Who of those who came is who on the roster, by the platform's number, else by the key."""

    def marks(student: Student) -> list[tuple[str, str]]:
        named = ("canvas", student.canvas_id), ("moodle", student.moodle_id), ("key", folded(student.key))
        return [mark for mark in named if mark[1]]

    listed = {mark: student for student in roster for mark in marks(student)}
    found = {one: next((listed[mark] for mark in marks(one) if mark in listed), None) for one in came}
    return {one: student for one, student in found.items() if student}


def _by_name(
    came: Sequence[Student], roster: Sequence[Student], found: dict[Student, Student]
) -> dict[Student, Student]:
    """Who of those not found yet is who on the roster by their name, where it cannot mean anybody else."""
    in_class, on_list, taken = _namesakes(came), _namesakes(roster), set(found.values())
    named = {}
    for one in came:
        meant = {student for name in _spellings(one) for student in on_list[name]}
        if one in found or len(meant) != 1:
            continue
        (student,) = meant
        claimed = {other for name in _spellings(student) for other in in_class[name]}
        numbers = (one.canvas_id, student.canvas_id), (one.moodle_id, student.moodle_id)
        apart = any(first and second and first != second for first, second in numbers)
        if claimed == {one} and student not in taken and not apart:
            named[one] = student
    return named


def _namesakes(students: Iterable[Student]) -> dict[str, set[Student]]:
    """Who goes by each spelling of a name."""
    names: dict[str, set[Student]] = defaultdict(set)
    for student in students:
        for name in _spellings(student):
            names[name].add(student)
    return names


def _spellings(student: Student) -> set[str]:
    """The name in one word, begun at each of its words: for `Ada Lovelace`, `Lovelace, Ada` and `lovelaceada`."""
    words = [word for word in re.split(r"[\s_.,'’-]+", folded(student.name or student.key)) if word]
    return {"".join(words[start:] + words[:start]) for start in range(len(words))}


class _Semicolons(csv.excel):
    delimiter = ";"  # what spreadsheets write where the comma is the decimal point


def _cells(row: dict[str, str | list[str] | None]) -> dict[str, str]:
    """A row's cells that have a column, without the spaces around them."""
    return {name: (value or "").strip() for name, value in row.items() if name is not None}


def _shape(rows: Sequence[dict[str, str]]) -> tuple[str, Callable[[dict[str, str]], Student]]:
    """Whose table it is: the column that says who a row is, and how to read a row."""
    columns = set(rows[0]) if rows else set()
    if "student" not in columns:
        return "Identifier", _of_moodle
    of_canvas = columns & {"sis user id", "sis login id"} or any(_is_maximum(row) for row in rows)
    return ("ID", _of_canvas) if of_canvas and "id" in columns else ("student", _of_ours)


def _of_ours(row: dict[str, str]) -> Student:
    return Student(row["student"], *(row.get(name, "") for name in ("name", "canvas_id", "moodle_id")))


def _of_canvas(row: dict[str, str]) -> Student:
    """A student; nobody for the rows of the maximal points and of Canvas's own test student."""
    if _is_maximum(row) or row["student"] == "Student, Test":
        return Student("")
    return Student(row.get("sis login id") or row["id"], row["student"], canvas_id=row["id"])


def _is_maximum(row: dict[str, str]) -> bool:
    """Whether this is the row of Canvas's gradebook that holds the maximal points, by the rule of Canvas."""
    return "Points Possible" in row["student"]


def _of_moodle(row: dict[str, str]) -> Student:
    """A student. Graded blind, the worksheet has no names, and the files in the zip begin with `Participant`."""
    found = re.fullmatch(r"\D*(\d+)", row["identifier"], re.ASCII)
    number = found[1] if found else ""
    name = row.get("full name", "").replace("_", " ")  # as in the names of the files
    return Student(f"{name or 'Participant'}_{number}" if number else "", name, moodle_id=number)


def _listed(file: str, rows: Sequence[tuple[int, dict[str, str]]]) -> list[Student]:
    """The rows of a roster, each with its line, as students, each there once."""
    column, read = _shape([row for _, row in rows])
    students, seen = [], set()
    for line, row in rows:
        student = read(row)
        if student == Student("") and not row.get("identifier"):
            continue
        if not student.key:
            value = row[folded(column)]
            told = f"holds {value!r}, not the number of a participant" if value else "is empty"
            raise RosterError(f"{file}, line {line}: the column {column} {told}")
        student = replace(student, key=safe_name(student.key))
        names = {
            ("student", folded(student.key)),
            ("canvas_id", student.canvas_id),
            ("moodle_id", student.moodle_id),
        }
        for name, value in sorted(names):
            if (name, value) in seen:
                raise RosterError(f"{file}, line {line}: {name} {value!r} is there twice")
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
        return len(flat) > 1 and not _all_lessons(flat, slugs)
    folders = {item.parts[level + 1].removesuffix(".zip") for item in below if item.is_notebook}
    lessons_within = _all_lessons(folders, slugs) or any(_is_lesson(name, slugs) for name in folders)
    return len(folders) > 1 and not lessons_within


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


def _all_lessons(names: Iterable[str], slugs: Sequence[str]) -> bool:
    """Whether all names are a lesson's name or number: one number says little, and `07` may be a student."""
    numbers = "|".join(str(int(slug[:2])) for slug in slugs)
    number = re.compile(rf"0*({numbers})([ _-]*(\(\d+\)|copy[ _-]?\d*)|[ _-]+\d+)?", re.IGNORECASE)
    return all(_is_lesson(name, slugs) or (numbers and number.fullmatch(name)) for name in names)


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
    if not shown and not any(owner.online_text for _, owner in place):
        return [_arrival(key, item, owner, level, "the folder is empty")]
    return [_arrival(key, item, owner, level, f"handed in {shown or 'text online'}, no notebook")]


def _arrival(key: str, item: Item, owner: _Owner, level: int, problem: str) -> Arrival:
    # The date of the outermost file that is the student's alone. Dates within their own zip are theirs to choose.
    dates = [date for names, date in item.dates if names > level] if owner.dated else []
    student = replace(owner.student, key=key)
    file = printable("/".join(item.parts))
    return Arrival(student, file, item.path, dates[0] if dates else None, owner.late, problem)
