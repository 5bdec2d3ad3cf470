"""Submissions in every shape: whose each file is, that nobody is lost or merged, that no zip does harm."""

import io
import os
import random
import unicodedata
import zipfile
from datetime import datetime
from pathlib import Path

import pytest

from hvae_keras.course import unpacking
from hvae_keras.course.arrivals import (
    Arrival,
    NotASubmission,
    RosterError,
    Student,
    collect,
    on_roster,
    read_roster,
)
from hvae_keras.course.unpacking import DamagedZip, safe_name

NOON = (2026, 3, 14, 12, 0, 2)
LOCAL_NOON = datetime(*NOON).astimezone()


@pytest.fixture
def place(tiny) -> Path:
    """An empty folder for submissions, in a course whose one lesson is 01_tiny."""
    folder = tiny / "handed in"
    folder.mkdir()
    return folder


def fill(folder: Path, *names: str) -> Path:
    """Make files whose text is their name; a name that ends in a slash is an empty folder."""
    for name in names:
        path = folder / name
        if name.endswith("/"):
            path.mkdir(parents=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
    return folder


def zipped(*names: str, **contents: bytes) -> bytes:
    """A zip with files whose text is their name, and others with the bytes given."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in [*((name, name.encode()) for name in names), *contents.items()]:
            archive.writestr(zipfile.ZipInfo(name, NOON), data, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def outer(place: Path, *names: str, **contents: bytes) -> Path:
    path = place / "all.zip"
    path.write_bytes(zipped(*names, **contents))
    return path


def keys(arrivals: list[Arrival]) -> list[str]:
    return [arrival.student.key for arrival in arrivals]


def came(path: Path, tiny_into: Path | None = None) -> list[Arrival]:
    return collect(path, tiny_into or path.parent / "into")


def both_ways(place: Path, *names: str) -> list[list[Arrival]]:
    """The same files in a folder and in a zip."""
    folder, archive = place / "folder", place / "zip"
    archive.mkdir()
    return [came(fill(folder, *names)), came(outer(archive, *names))]


def test_flat_files(place):
    names = ("alice.ipynb", "bob_01_tiny.ipynb", "01_tiny_carol.ipynb", "dan-1 Tiny (2).ipynb", "01_tiny.ipynb")
    for arrivals in both_ways(place, *names):
        assert keys(arrivals) == ["01_tiny", "alice", "bob", "carol", "dan"]
        assert {arrival.file for arrival in arrivals} == set(names)
        assert all(arrival.path.read_text() == arrival.file and not arrival.problem for arrival in arrivals)


def test_a_number_is_no_lesson(place):
    names = [f"student_{number:02}.ipynb" for number in range(1, 12)] + ["01_tiny_1.ipynb", "01_tiny_2.ipynb"]
    for arrivals in both_ways(place, *names):
        assert set(keys(arrivals)) == {name.removesuffix(".ipynb") for name in names}


def test_one_file(place):
    fill(place, "alice_01_tiny.ipynb")
    (arrival,) = came(place / "alice_01_tiny.ipynb")
    assert (arrival.student.key, arrival.file, arrival.problem) == ("alice", "alice_01_tiny.ipynb", "")


def test_a_lessons_source_stands_for_its_notebook(place):
    (arrival,) = came(fill(place, "01_tiny.py") / "01_tiny.py")
    assert (arrival.student.key, arrival.problem) == ("01_tiny", "")


@pytest.mark.parametrize("name", ["roster.csv", "x.pdf", "x.py", "ipynb", "x.json", "02_tiny.py"])
def test_one_file_of_another_kind_is_refused(place, name):
    with pytest.raises(NotASubmission) as caught:
        came(fill(place, name) / name)
    assert str(caught.value) == f"{name} is no notebook, folder or zip"


def test_endings_that_browsers_add(place):
    (first, second) = came(fill(place, "alice.ipynb.txt", "bob.ipynb.json"))
    assert (first.student.key, second.student.key) == ("alice", "bob")
    assert not first.problem + second.problem


@pytest.mark.parametrize("top", ["", "submitted/", "hw1/"])
def test_a_folder_a_student_as_nbgrader_keeps_them(place, top):
    names = [f"{top}{student}/01_tiny/01_tiny.ipynb" for student in ("alice", "bob")]
    for arrivals in both_ways(place, *names, f"{top}roster.csv"):
        assert keys(arrivals) == ["alice", "bob"]
        assert [arrival.file for arrival in arrivals] == names


def test_the_only_student_so_far(place):
    for arrivals in both_ways(place, "submitted/alice/01_tiny/01_tiny.ipynb"):
        assert keys(arrivals) == ["alice"]


def test_a_folder_of_flat_files_within_is_not_one_student(place):
    for arrivals in both_ways(place, "class/alice.ipynb", "class/bob.ipynb"):
        assert keys(arrivals) == ["alice", "bob"]


def test_several_notebooks_of_one_student(place):
    for arrivals in both_ways(place, "alice/01_tiny.ipynb", "alice/old/01_tiny-Copy1.ipynb", "bob/x.ipynb"):
        assert keys(arrivals) == ["alice", "alice", "bob"]


@pytest.mark.parametrize("second", ["1 (1)", "1-Copy1", "001_2", "1 Tiny", "01_tiny (1)"])
def test_notebooks_named_by_a_lessons_number_are_of_one_student(place, second):
    for arrivals in both_ways(place, "ann/01.ipynb", f"ann/{second}.ipynb"):
        assert keys(arrivals) == ["ann", "ann"]


def test_folders_named_by_a_lessons_number_are_of_one_student(place):
    for arrivals in both_ways(place, "ann/01/x.ipynb", "ann/1 (1)/x.ipynb"):
        assert keys(arrivals) == ["ann", "ann"]


@pytest.mark.parametrize("shape", ["class/{}.ipynb", "class/{}/x.ipynb"])
def test_students_named_by_numbers_stay_students(place, shape):
    numbers = ["01", "02", "03", "10", "11"]  # the course has one lesson, so that 02 is no lesson
    for arrivals in both_ways(place, *map(shape.format, numbers)):
        assert keys(arrivals) == numbers


@pytest.mark.parametrize("end", ["_assignsubmission_file/", "_assignsubmission_file_/", "_assignsubmission_file_"])
@pytest.mark.parametrize("top", ["", "CS1-Lesson 1-99/"])
def test_moodle(place, end, top):
    names = [f"{top}Ada Lovelace_12345{end}01_tiny.ipynb", f"{top}Zoë O'Brien-Smith_678{end}part/01_tiny.ipynb"]
    if end.endswith("file_"):
        names[1] = names[1].replace("part/", "")
    text = f"{top}Ada Lovelace_12345_assignsubmission_onlinetext/onlinetext.html"
    for ada, zoe in both_ways(place, *names, text):
        assert ada.student == Student("Ada Lovelace_12345", "Ada Lovelace", moodle_id="12345")
        assert zoe.student == Student("Zoë O'Brien-Smith_678", "Zoë O'Brien-Smith", moodle_id="678")
        assert (ada.file, zoe.file) == tuple(names)
        assert ada.submitted is None  # Moodle writes when the zip was made


def test_namesakes_on_moodle_are_two_people(place):
    names = [f"Ada Lovelace_{number}_assignsubmission_file/01_tiny.ipynb" for number in (1, 2)]
    for arrivals in both_ways(place, *names):
        assert keys(arrivals) == ["Ada Lovelace_1", "Ada Lovelace_2"]


def test_several_zips_of_a_platform_in_a_folder(place):
    for number in (1, 2):
        name = f"Ada Lovelace_{number}_assignsubmission_file/01_tiny.ipynb"
        (place / f"hw{number}.zip").write_bytes(zipped(name, f"Bob_3{number}_assignsubmission_file/01_tiny.ipynb"))
    assert keys(came(place)) == ["Ada Lovelace_1", "Ada Lovelace_2", "Bob_31", "Bob_32"]


def test_text_handed_in_online_is_told(place):
    for arrivals in both_ways(place, "Ada_1_assignsubmission_onlinetext_/onlinetext.html"):
        (arrival,) = arrivals
        assert arrival.student.moodle_id == "1"
        assert arrival.problem == "handed in text online, no notebook"


def test_canvas(place):
    names = (
        "lovelaceada_LATE_12345_67890_01_tiny-1.ipynb",
        "obrienzoë_678_1001_01 tiny.ipynb",
        "obrienzoë_678_1002_figure.png",
        "noone_77_text.html",
        "late_5_1003_LATE_2.ipynb",
    )
    for late, ada, noone, zoe in both_ways(place, *names):
        assert ada.student == Student("lovelaceada_12345", "lovelaceada", canvas_id="12345")
        assert ada.late
        assert zoe.student == Student("obrienzoë_678", "obrienzoë", canvas_id="678")
        assert not zoe.late
        assert zoe.submitted is None  # Canvas writes when the zip was made
        assert (noone.student.canvas_id, noone.problem) == ("77", "handed in noone_77_text.html, no notebook")
        assert (late.student.key, late.late) == ("late_5", False)


def test_canvas_when_graded_anonymously(place):
    for first, second in both_ways(place, "LATE_anon_aB3dE_100_x.ipynb", "anon_Zy9Xw_101_x.ipynb"):
        assert (first.student, first.late) == (Student("anon_aB3dE"), True)
        assert (second.student, second.late) == (Student("anon_Zy9Xw"), False)


def test_a_date_in_a_name_is_not_canvas(place):
    for arrivals in both_ways(place, "alice_20260314_1200_x.ipynb", "bob_20260314_1201_x.ipynb"):
        assert len(set(keys(arrivals))) == 2
        assert not any(arrival.student.canvas_id for arrival in arrivals)


def test_an_unpacked_platform_folder_beside_other_things(place):
    names = [f"hw1/{name}_assignsubmission_file/x.ipynb" for name in ("Ada_1", "Bob_2")]
    assert keys(came(fill(place, *names, "notes.pdf", "empty/"))) == ["Ada_1", "Bob_2"]


def test_a_student_cannot_hand_in_for_another(place):
    names = ["alice/Bob_2_assignsubmission_file/x.ipynb", "alice/bob_2_100_x.ipynb", "bob/x.ipynb"]
    for arrivals in both_ways(place, *names):
        assert keys(arrivals) == ["alice", "alice", "bob"]
        assert not any(arrival.student.moodle_id + arrival.student.canvas_id for arrival in arrivals)


def test_gradescope(place):
    names = [f"assignment_7_export/submission_{number}/01_tiny.ipynb" for number in (123, 124)]
    for arrivals in both_ways(place, *names, "assignment_7_export/submission_metadata.yml"):
        assert keys(arrivals) == ["submission_123", "submission_124"]


def test_a_zip_that_a_student_handed_in_is_opened(place):
    (place / "bob").mkdir()
    (place / "alice.zip").write_bytes(zipped("mine/01_tiny.ipynb"))
    (place / "bob/final.ZIP").write_bytes(zipped("01_tiny.ipynb", "notes.txt"))
    alice, bob = came(place)
    assert (alice.student.key, alice.file) == ("alice", "alice.zip/mine/01_tiny.ipynb")
    assert (bob.student.key, bob.file) == ("bob", "bob/final.ZIP/01_tiny.ipynb")
    assert bob.path.read_text() == "01_tiny.ipynb"


def test_a_zip_in_the_zip_of_a_platform_is_opened_and_one_in_that_is_not(place):
    inside = zipped("x.ipynb")
    path = outer(place, **{"ada_1_100_x.zip": inside, "bob_2_101_x.zip": zipped(**{"deeper.zip": inside})})
    ada, bob = came(path)
    assert ada.path.read_text() == "x.ipynb"
    assert bob.problem == "handed in deeper.zip, no notebook"


def test_nobody_is_dropped_for_want_of_a_notebook(place):
    (place / "empty.zip").write_bytes(zipped())
    (place / "broken.zip").write_bytes(b"PK\x03\x04 not really")
    fill(place, "alice/report.pdf", "alice/a.txt", "bob/", "carol/.ipynb_checkpoints/x.ipynb", "dan.pdf")
    fill(place, "eve/1", "eve/2", "eve/3", "eve/4", "frank/x.ipynb")
    assert {arrival.student.key: arrival.problem for arrival in came(place)} == {
        "alice": "handed in a.txt, report.pdf, no notebook",
        "bob": "the folder is empty",
        "broken": "broken.zip is not a zip, or is damaged",
        "carol": "the folder is empty",
        "dan": "handed in dan.pdf, no notebook",
        "empty": "handed in empty.zip, no notebook",
        "eve": "handed in 1, 2, 3 and 1 more, no notebook",
        "frank": "",
    }


def test_a_broken_zip_beside_a_notebook_is_told_too(place):
    fill(place, "alice/01_tiny.ipynb", "alice/02.zip", "bob/x.ipynb")
    assert [arrival.problem for arrival in came(place)] == ["", "02.zip is not a zip, or is damaged", ""]


def test_what_systems_add_is_left_out(place):
    names = ["alice/x.ipynb", "alice/._x.ipynb", "alice/.x.ipynb", "__MACOSX/alice/x.ipynb"]
    for arrivals in both_ways(place, *names, "alice/.ipynb_checkpoints/x-checkpoint.ipynb", "bob/x.ipynb"):
        assert [arrival.file for arrival in arrivals] == ["alice/x.ipynb", "bob/x.ipynb"]


def test_a_roster_and_settings_beside_the_files_are_no_students(place):
    for arrivals in both_ways(place, "alice.ipynb", "roster.csv", "course.toml", "README.md", "x.yml"):
        assert keys(arrivals) == ["alice"]


def test_our_own_folder_is_no_student(place):
    fill(place, "alice.ipynb", "grades/arrived/_/old.ipynb")
    assert keys(collect(place, place / "grades" / "arrived")) == ["alice"]


GRADED = ("ledger/ab.json", "submissions/all/x.ipynb", "students/ada/grade.json", "grades.csv", "junit.xml")


@pytest.mark.parametrize("names", [(*GRADED, "summary.json"), GRADED[:1], GRADED[:2]])
def test_what_an_earlier_grading_wrote_is_no_student(place, names):
    fill(place, "alice.ipynb", "bob/x.ipynb", *(f"grades/{name}" for name in names))
    assert keys(came(place)) == ["alice", "bob"]


@pytest.mark.parametrize("names", [(*GRADED, "summary.json"), GRADED])
def test_a_grading_written_beside_the_submissions_is_no_student(place, names):
    fill(place, "alice.ipynb", "bob/x.ipynb", *names)
    assert keys(collect(place, place / "submissions")) == ["alice", "bob"]


def test_a_student_who_keeps_a_ledger_is_a_student(place):
    fill(place, "alice/ledger/x.ipynb", "alice/x.ipynb", "bob/summary.json", "bob/x.ipynb", "ledger/x.ipynb")
    assert keys(came(place)) == ["alice", "alice", "bob", "ledger"]


def test_names_that_lead_out_of_a_zip_do_not(place):
    path = outer(place, "../../up.ipynb", "/etc/abs.ipynb", "C:\\x\\drive.ipynb", "a/../../b/dots.ipynb")
    before = {item for item in place.parent.rglob("*") if "into" not in item.parts}
    arrivals = came(path)
    assert {item for item in place.parent.rglob("*") if "into" not in item.parts} == before
    assert len(arrivals) == 4
    into = (place / "into").resolve()
    assert all(arrival.path.resolve().is_relative_to(into) for arrival in arrivals)


HOSTILE = [
    "con",
    "NUL.x",
    "Com1",
    "a.",
    "a ",
    "a",
    "A",
    "=cmd()",
    "tab\there",
    "line\nbreak",
    "turn\u202eover",
    "x" * 300,
    "x" * 301,
    "é" * 150,
    "x...",
    "a:b",
    'a"b',
    "a?b",
    "straße",
    "STRASSE",
    unicodedata.normalize("NFC", "zoé"),
    unicodedata.normalize("NFD", "zoé"),
    "-rf",
    "~",
]


def test_every_name_becomes_a_key_of_its_own_that_all_systems_take(place):
    arrivals = came(outer(place, *(f"{name}/01_tiny.ipynb" for name in HOSTILE)))
    assert len(arrivals) == len(HOSTILE)
    found = keys(arrivals)
    assert len({unicodedata.normalize("NFD", key).casefold() for key in found}) == len(HOSTILE)
    for key in found:
        assert key == key.strip(" .")
        assert 0 < len(key.encode()) <= 110
        assert not set(key) & set('<>:"/\\|?*')
        assert all(unicodedata.category(letter)[0] != "C" for letter in key)
        assert key.split(".")[0].upper() not in {"CON", "NUL", "COM1"}
        assert "\n" not in key
    assert {"A", "a-2", "a-3", "a-4"} <= set(found)


def test_names_that_are_not_text(place):
    os.makedirs(os.fsencode(place) + b"/al\xff")
    fill(place, "bob/x.ipynb")
    (place / os.fsdecode(b"al\xff") / "x.ipynb").write_text("{}")
    alice, bob = came(place)
    assert (alice.student.key, alice.file) == ("al_", "al_/x.ipynb")
    assert alice.path.read_text() == "{}"


def test_safe_names_are_left_alone():
    for name in ("alice", "Ada Lovelace_12345", "zoë", "02_vae.ipynb", "李雷"):
        assert safe_name(name) == name


def test_old_zips_with_umlauts(place):
    data = zipped("Zoë/x.ipynb", "Bob/x.ipynb")
    says_utf8 = b"\x14\0\0\x08"  # version 2.0, flags
    assert data.count(says_utf8) == 2  # in the local and in the central header
    (place / "all.zip").write_bytes(data.replace(says_utf8, b"\x14\0\0\0"))
    assert keys(came(place / "all.zip")) == ["Bob", "Zoë"]


def test_links_are_not_followed(place):
    secret = fill(place.parent / "secret", "answers.ipynb")
    fill(place, "alice/", "bob/x.ipynb")
    (place / "alice" / "01_tiny.ipynb").symlink_to(secret / "answers.ipynb")
    (place / "carol").symlink_to(secret, target_is_directory=True)
    alice, bob, carol = came(place)
    assert alice.problem == "01_tiny.ipynb is a link or a device, not a file"
    assert carol.problem == "carol is a link or a device, not a file"
    assert not bob.problem


def test_links_in_zips_are_not_followed(place):
    link = zipfile.ZipInfo("alice/x.ipynb", NOON)
    link.create_system, link.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(place / "all.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("bob/x.ipynb", "{}")
    alice, bob = came(place / "all.zip")
    assert alice.problem == "x.ipynb is a link, not a file"
    assert not bob.problem


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_does_not_stop_the_class(place):
    fill(place, "alice/", "bob/x.ipynb")
    os.mkfifo(place / "alice" / "x.ipynb")
    assert [bool(arrival.problem) for arrival in came(place)] == [True, False]


def test_a_damaged_file_in_a_zip_is_one_students_problem(place):
    path = outer(place, "alice/x.ipynb", "bob/x.ipynb")
    data = bytearray(path.read_bytes())
    data[data.index(b"alice/x.ipynb") + len("alice/x.ipynb") + 3] ^= 0xFF
    path.write_bytes(data)
    alice, bob = came(path)
    assert alice.problem == "x.ipynb is damaged in its zip"
    assert not bob.problem
    assert not list((place / "into").rglob("*alice*/*"))


def test_an_encrypted_file_in_a_zip_is_one_students_problem(place):
    path = outer(place, "alice/x.ipynb", "bob/x.ipynb")
    data = bytearray(path.read_bytes())
    data[6] |= 1  # the flags of the first file, in its header
    central = data.index(b"PK\x01\x02")
    data[central + 8] |= 1
    path.write_bytes(data)
    alice, bob = came(path)
    assert alice.problem == "x.ipynb is encrypted"
    assert not bob.problem


def test_rare_packing_is_refused(place):
    with zipfile.ZipFile(place / "all.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("alice/x.ipynb", "{}")
    (alice,) = came(place / "all.zip")
    assert alice.problem == "x.ipynb is packed in a rare way: zip it again"


def test_a_damaged_outer_zip_is_an_error_of_one_line(place):
    for data in (b"", b"PK\x05\x06", b"not a zip", zipped("a.ipynb")[:-10]):
        (place / "all.zip").write_bytes(data)
        with pytest.raises(DamagedZip, match="^all.zip is not a zip, or is damaged$"):
            came(place / "all.zip")


def test_random_damage_never_crashes(place):
    names = ("alice/x.ipynb", "bob/x.ipynb")
    whole = zipped(*names, **{"carol/c.zip": zipped("y.ipynb")})
    source = random.Random(0)
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(source.randint(1, 4)):
            data[source.randrange(len(data))] = source.randrange(256)
        (place / "all.zip").write_bytes(data)
        try:
            assert came(place / "all.zip")
        except (DamagedZip, FileNotFoundError) as error:
            assert "\n" not in str(error)


def test_a_bomb_costs_only_its_owner(place, monkeypatch):
    monkeypatch.setattr(unpacking, "FILE_LIMIT", 5_000_000)
    bomb = bytes(6_000_000)
    (place / "alice.zip").write_bytes(zipped(**{"x.ipynb": bomb}))
    (place / "bob.zip").write_bytes(zipped(**{f"{n}.ipynb": bytes(2_000_000) for n in range(4)}))
    (place / "carol.zip").write_bytes(zipped("x.ipynb"))
    arrivals = came(place)
    problems = [(arrival.student.key, bool(arrival.problem)) for arrival in arrivals]
    assert problems[0] == ("alice", True)
    assert problems[-1] == ("carol", False)
    assert sum(failed for key, failed in problems if key == "bob") == 2
    written = sum(item.stat().st_size for item in (place / "into").rglob("*") if item.is_file())
    assert written < 5_000_000  # two of the four, and the honest one


def test_a_full_disk_is_nobodys_problem_but_ours(place, monkeypatch):
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    (place / "alice.zip").write_bytes(zipped("x.ipynb"))
    monkeypatch.setattr(unpacking, "written_whole", full)
    with pytest.raises(OSError, match="No space left"):
        came(place)


def test_a_folder_that_cannot_be_read_is_told(place, monkeypatch):
    listed = Path.iterdir

    def refusing(path: Path):
        if path.name == "alice":
            raise PermissionError(13, "Permission denied")
        return listed(path)

    fill(place, "alice/x.ipynb", "bob/x.ipynb")
    monkeypatch.setattr(Path, "iterdir", refusing)
    assert [arrival.problem for arrival in came(place)] == ["alice cannot be read: Permission denied", ""]


def test_what_is_unpacked_is_limited_in_all(place, monkeypatch):
    monkeypatch.setattr(unpacking, "TOTAL_LIMIT", 3_000_000)
    path = outer(place, **{f"{name}.ipynb": bytes(1_000_000) for name in "abcdef"})
    assert [bool(arrival.problem) for arrival in came(path)] == [False] * 3 + [True] * 3


def test_when_it_came(place):
    assert [arrival.submitted for arrival in came(outer(place, "alice.ipynb"))] == [LOCAL_NOON]
    loose = fill(place / "loose", "alice.ipynb") / "alice.ipynb"
    os.utime(loose, (LOCAL_NOON.timestamp(), LOCAL_NOON.timestamp() + 0.5))
    for arrivals in (came(loose), came(loose.parent)):
        assert [arrival.submitted for arrival in arrivals] == [LOCAL_NOON]
        assert arrivals[0].submitted.tzinfo is not None


def test_the_dates_in_a_students_own_zip_do_not_count(place):
    (place / "alice.zip").write_bytes(zipped("x.ipynb"))
    late = LOCAL_NOON.timestamp() + 1_000_000
    os.utime(place / "alice.zip", (late, late))
    (arrival,) = came(place)
    assert arrival.submitted.timestamp() == late


def test_no_date_is_no_date(place):
    with zipfile.ZipFile(place / "all.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo("alice.ipynb"), "{}")
        archive.writestr(zipfile.ZipInfo("bob.ipynb", (2026, 0, 0, 0, 0, 0)), "{}")
    assert [arrival.submitted for arrival in came(place / "all.zip")] == [None, None]


def test_twice_the_same(place):
    names = [f"{name}/01_tiny.ipynb" for name in HOSTILE]
    path = outer(place, *names, **{"zed/z.zip": zipped("01_tiny.ipynb")})
    first = came(path)
    texts = [arrival.path.read_bytes() for arrival in first]
    assert came(path) == first
    assert [arrival.path.read_bytes() for arrival in first] == texts
    shuffled = names.copy()
    random.Random(1).shuffle(shuffled)
    again = outer(place, *shuffled, **{"zed/z.zip": zipped("01_tiny.ipynb")})
    assert [(item.student, item.file) for item in came(again)] == [(item.student, item.file) for item in first]


def test_nobody_is_lost_and_no_two_are_merged(place):
    """Classes at random, in every shape: as many students as people, and each has their own bytes."""
    source = random.Random(2)
    names = ["Ada", "ada", "Bo", "bo ", "Cy", "Di_Va", "Ed-1", "Ed-2", "Flo 01_tiny", "José", "JOSÉ", "con", "02"]
    shapes = {
        "flat": "{name}.ipynb",
        "lesson": "{name}_01_tiny.ipynb",
        "folder": "{name}/01_tiny.ipynb",
        "nbgrader": "submitted/{name}/01_tiny/01_tiny.ipynb",
        "moodle": "{plain}_{number}_assignsubmission_file/01_tiny.ipynb",
        "canvas": "{word}_{number}_{file}_01_tiny.ipynb",
        "gradescope": "assignment_1_export/submission_{number}/01_tiny.ipynb",
    }
    for shape in shapes:
        people = source.sample(names, 9)
        files = [
            shapes[shape].format(
                name=name,
                plain=name.replace("_", " "),
                word="".join(letter for letter in name.lower() if letter.isalnum()),
                number=100 + index,
                file=5000 + index,
            )
            for index, name in enumerate(people)
        ]
        for arrivals in both_ways(place / shape, *files) if (place / shape).mkdir() is None else ():
            assert len(set(keys(arrivals))) == len(arrivals) == len(people), shape
            assert {arrival.path.read_text() for arrival in arrivals} == set(files)


def test_nothing_there(place):
    with pytest.raises(FileNotFoundError, match="there is no file or folder"):
        came(place / "nowhere")
    with pytest.raises(FileNotFoundError, match="holds no submissions"):
        came(place)
    with pytest.raises(FileNotFoundError, match="holds no submissions"):
        came(outer(place))


def roster(place: Path, text: str, encoding: str = "utf-8") -> list[Student]:
    path = place / "class.csv"
    path.write_bytes(text.encode(encoding))
    return read_roster(path)


def test_a_roster(place):
    text = "name,student,moodle_id,section\nAda L.,ada,12,A\n,bob,,B\n,,,\n"
    assert roster(place, text) == [Student("ada", "Ada L.", moodle_id="12"), Student("bob")]


def test_a_roster_from_a_spreadsheet(place):
    text = "student;canvas_id\r\nzoë;7\r\n"
    assert roster(place, text, "utf-8-sig") == [Student("zoë", canvas_id="7")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "class.csv has no column student; it has none"),
        ("key,Name\na,b", "class.csv has no column student; it has key, Name"),
        ("student\nada\nbob\nAda\n", "class.csv, line 4: student 'ada' is there twice"),
        ("student,canvas_id\nada,1\nbob,1\n", "class.csv, line 3: canvas_id '1' is there twice"),
        ("student,name\n,Ada\n", "class.csv, line 2: the column student is empty"),
        ('student\n"ada\n', "class.csv, line 1: unexpected end of data"),
        ("Student,ID,SIS User ID\nA B,,\n", "class.csv, line 2: the column ID is empty"),
        ("Identifier,Full name\n,A B\n", "class.csv, line 2: the column Identifier is empty"),
        (
            "Identifier,Full name\nParticipant 1,A\nhidden,B\n",
            "class.csv, line 3: the column Identifier holds 'hidden', not the number of a participant",
        ),
    ],
)
def test_a_roster_that_cannot_be_used(place, text, message):
    with pytest.raises(RosterError) as caught:
        roster(place, text)
    assert str(caught.value) == message


def test_a_roster_that_is_not_utf_8(place):
    with pytest.raises(RosterError, match="^class.csv is not UTF-8 text"):
        roster(place, "student\nzoë\n", "latin-1")


def test_no_roster(place):
    with pytest.raises(FileNotFoundError, match="there is no roster"):
        read_roster(place / "class.csv")


def test_students_get_their_names_from_the_roster(place):
    names = ["ada_5_100_x.ipynb", "bob_6_101_x.ipynb"]
    listed = [Student("zz-ada", "Ada L.", canvas_id="5"), Student("carol")]
    bob, ada = on_roster(came(fill(place, *names)), listed)
    assert ada.student == Student("zz-ada", "Ada L.", canvas_id="5")
    assert bob.student == Student("bob_6", "bob", canvas_id="6")
    (flat,) = on_roster(came(fill(place / "flat", "Ada.ipynb")), [Student("ada", "Ada L.", moodle_id="3")])
    assert flat.student == Student("ada", "Ada L.", moodle_id="3")


def test_capitals_in_a_rosters_columns_do_not_count(place):
    text = "Student,NAME,Canvas_ID\nada,Ada L.,12\n"
    assert roster(place, text, "utf-8-sig") == [Student("ada", "Ada L.", canvas_id="12")]


def test_canvas_exports_a_roster(place):
    text = """Student,ID,SIS User ID,SIS Login ID,Section,HW 1 (99)
    ,,,,,Manual Posting
        Points Possible,,,,,10
"Lovelace, Ada",12345,S1,ada,CS 1,9
"O'Brien, Zoë",678,S2,,CS 1,
"Student, Test",9,,c0ffee,CS 1,
"""
    listed = roster(place, text)
    ada, zoe = Student("ada", "Lovelace, Ada", canvas_id="12345"), Student("678", "O'Brien, Zoë", canvas_id="678")
    assert listed == [ada, zoe]
    zips = came(fill(place / "in", "lovelaceada_12345_100_x.ipynb", "obrienzoë_678_101_x.ipynb"))
    assert [arrival.student for arrival in on_roster(zips, listed)] == [zoe, ada]


def test_canvas_exports_a_roster_without_the_columns_that_not_all_may_see(place):
    text = 'Student,ID,Section\nPoints Possible,,\n"Lovelace, Ada",5,A\n'
    assert roster(place, text) == [Student("5", "Lovelace, Ada", canvas_id="5")]
    assert roster(place, "student,id,section\nada,5,A\n") == [Student("ada")]


def test_moodles_worksheet_is_a_roster_with_the_keys_that_the_zip_has(place):
    text = """Identifier,"Full name","Email address",Status,Grade,"Last modified (submission)"
"Participant 12345","Ada Lovelace",ada@example.org,"Submitted","","Thursday, 1 October 2026, 11:59 PM"
"Participant 678",Zoë_Smith,zoe@example.org,"No submission","",-
"""
    listed = roster(place, text, "utf-8-sig")
    names = ["Ada Lovelace_12345_assignsubmission_file/x.ipynb", "Zoë Smith_678_assignsubmission_file/x.ipynb"]
    arrivals = came(fill(place / "in", *names))
    assert [arrival.student for arrival in arrivals] == listed
    assert on_roster(arrivals, listed) == arrivals


def test_moodles_worksheet_of_a_blind_marking(place):
    listed = roster(place, "Identifier,Status\nParticipant 12,No submission\nParticipant 13,No submission\n")
    arrivals = came(fill(place / "in", *(f"Participant_{n}_assignsubmission_file/x.ipynb" for n in (12, 13))))
    assert keys(arrivals) == [student.key for student in listed] == ["Participant_12", "Participant_13"]


ON_LIST = (Student("al123", "Ada Lovelace"), Student("zs456", "Zoë Smith-Jones"))


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Ada Lovelace.ipynb", "al123"),
        ("ada_lovelace_01_tiny.ipynb", "al123"),
        ("Lovelace, Ada/x.ipynb", "al123"),
        ("Ada Lovelace_77_assignsubmission_file/x.ipynb", "al123"),
        ("lovelaceada_LATE_77_100_x.ipynb", "al123"),
        ("smithjoneszoë_78_100_x.ipynb", "zs456"),
        (unicodedata.normalize("NFD", "ZOË SMITH JONES.ipynb"), "zs456"),
        ("Ada.ipynb", "Ada"),
        ("Ada B Lovelace.ipynb", "Ada B Lovelace"),
        ("adalovelac.ipynb", "adalovelac"),
    ],
)
def test_students_are_found_by_their_name(place, name, key):
    (arrival,) = on_roster(came(fill(place, name)), ON_LIST)
    assert arrival.student.key == key
    on_list = {student.key: student.name for student in ON_LIST}
    assert arrival.student.name == on_list.get(key, "")


def of_names(place: Path, names: list[str], listed: list[Student]) -> list[str]:
    return keys(on_roster(came(fill(place, *names)), listed))


def test_a_name_that_two_have_says_nothing(place):
    one, other = Student("a1", "Ada Lovelace"), Student("a2", "ada lovelace")
    assert of_names(place / "roster", ["Ada Lovelace.ipynb"], [one, other]) == ["Ada Lovelace"]
    names = [f"Ada Lovelace_{number}_assignsubmission_file/x.ipynb" for number in (1, 2)]
    assert of_names(place / "class", names, [one]) == ["Ada Lovelace_1", "Ada Lovelace_2"]


def test_a_name_gives_nobody_the_place_of_another(place):
    by_number, by_key = Student("a1", "Ada Lovelace", moodle_id="5"), Student("ada", "Ada Lovelace")
    names = ["Ada Lovelace_6_assignsubmission_file/x.ipynb"]
    assert of_names(place / "other", names, [by_number]) == ["Ada Lovelace_6"]
    assert of_names(place / "taken", ["ada.ipynb", "Ada Lovelace.ipynb"], [by_key]) == ["ada", "Ada Lovelace"]


def test_one_student_is_the_same_in_all_their_files(place):
    """What one file tells of a student, all their arrivals know: they stay one."""
    arrivals = came(fill(place, "ada.ipynb", "zz_7_100_x.ipynb"))
    listed = [Student("ada", canvas_id="7")]
    assert {arrival.student for arrival in on_roster(arrivals, listed)} == {Student("ada", "zz", canvas_id="7")}
