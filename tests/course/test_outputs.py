"""What a grading leaves behind, read back as the people and platforms read it that it is written for."""

import csv
import io
import json
import random
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from html.parser import HTMLParser
from pathlib import Path
from statistics import mean, median

import jsonschema
import pytest

from hvae_keras.course.arrivals import Student
from hvae_keras.course.grading import Report, grade
from hvae_keras.course.judge import CheckResult, Verdict
from hvae_keras.course.marks import Mark, StudentMarks
from hvae_keras.course.outputs import folder_name, gradescope_results, write_outputs
from hvae_keras.course.outputs.problems import problem_told
from hvae_keras.course.outputs.solutions import solutions_in
from hvae_keras.course.outputs.text import abridged, cell, clean, moment, number
from hvae_keras.course.settings import Late, Reveal, Settings

DUE = datetime(2026, 3, 2, 12, tzinfo=UTC)
LATE = Late(DUE, penalty=0.1, most=0.5)
HOSTILE = 'a,"b"\n<script>alert(1)</script>\x00\x1b[31m\ud800 😀 ' + "x" * 100_000
EVIL_NAMES = {
    "dan": "<script>alert(1)</script>",
    "eve": '=HYPERLINK("http://example.org","mark")',
    "fay": 'Zoë, the "first"\n\ttab 😀',
    "gus": "@SUM(1+1)*cmd|' /C calc'!A0",
    "hal": "  -2+3\x00\ud800",
    "ivy": "Points Possible",
}
PROBLEM = "the file is not JSON: <img src=x onerror=alert(1)>\x00"


def verdict(exercise: str, name: str, status: str, notes=(), worth=(1.0, 2.0)) -> Verdict:
    """An exercise of two checks, of which the first is passed where the status is wrong."""
    results = []
    for index, of in enumerate(worth):
        passed = status == "passed" or (status == "wrong" and index == 0)
        lines = () if passed or status == "not attempted" else (f"expected {index}", HOSTILE)
        results.append(
            CheckResult(f"check {index}", "passed" if passed else status, of if passed else 0.0, of, lines)
        )
    if status == "wrong":
        known = {"misconception": "unchanged", "cause": "It came back <as it was>."}
        results[1] = CheckResult(**{**vars(results[1]), **known})
    points = sum(result.points for result in results)
    return Verdict(exercise, name, status, points, sum(worth), 0.5, tuple(results), tuple(notes))


def student(key: str, verdicts=(), hours=-1.0, file="01_tiny.ipynb", problem="", **about) -> StudentMarks:
    points, of = sum(v.points for v in verdicts), sum(v.of for v in verdicts)
    report = Report(file, "01_tiny", points, of, 1.25, tuple(verdicts), problem)
    came = DUE + timedelta(hours=hours) if file else None
    days = LATE.days(key, came)
    mark = Mark(report, file, came, days, points * LATE.share(days), **about)
    return StudentMarks(Student(key, EVIL_NAMES.get(key, "")), (mark,))


def pair(first: str, second: str, **notes) -> tuple[Verdict, Verdict]:
    return verdict("1.9", "double", first, **notes), verdict("1.10", "total", second)


@pytest.fixture
def classroom() -> list[StudentMarks]:
    """Thirteen students: every status, every kind of trouble; not in order."""
    unread = [
        Verdict(e, n, "missing", 0.0, 3.0, 0.0, (), (PROBLEM,)) for e, n in (("1.9", "double"), ("1.10", "total"))
    ]
    return [
        student("mia", pair("passed", "passed")),
        student("ada", pair("passed", "wrong"), same_as=("ben",)),
        student("ben", pair("passed", "wrong"), same_as=("ada",)),
        student("cat", pair("wrong", "error")),
        student("dan", pair("wrong", "timed out"), hours=49),
        student("eve", pair("out of memory", "passed"), hours=24 * 9 + 1),
        student("fay", pair("not attempted", "missing")),
        student("gus", pair("passed", "passed", notes=("defined 2 times (cells 3 and 4): the last one counts",))),
        student("hal", unread, problem=PROBLEM, file="=1+1.ipynb"),
        student("ivy", pair("passed", "not attempted"), notes=("=handed in twice\nthe later file counts",)),
        student("jon", pair("missing", "missing"), file="", problem="nothing was handed in"),
        student("../kim", pair("passed", "wrong")),
        student("Lea", pair("passed", "passed")),
    ]


def written(tmp_path: Path, classroom, root: Path | None = None, **settings) -> Path:
    out = tmp_path / "grades"
    write_outputs(out, classroom, Settings(late=LATE, **settings), root or tmp_path)
    return out


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def rows(path: Path) -> list[dict[str, str]]:
    table = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))
    assert {len(row) for row in table} == {len(table[0])}
    assert len(set(table[0])) == len(table[0])
    return [dict(zip(table[0], row, strict=True)) for row in table[1:]]


class Page(HTMLParser):
    """A page as a browser takes it apart: text, elements that must be closed, ids, links."""

    EMPTY = {"meta", "br"}

    def __init__(self, path: Path):
        super().__init__()
        self.path, self.open, self.tags, self.ids, self.links, self.parts = path, [], Counter(), [], [], []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert self.open == []
        self.text = " ".join(" ".join(self.parts).split())

    def handle_starttag(self, tag, attributes):
        self.tags[tag] += 1
        found = dict(attributes)
        assert not any(name.startswith("on") for name in found)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"]] if "href" in found else []
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags[tag] += 1

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.parts += [] if self.open and self.open[-1] in ("style", "title") else [data]


# All files


def test_every_student_has_three_files_and_the_class_six(tmp_path, classroom):
    out = tmp_path / "grades"
    paths = write_outputs(out, classroom, Settings(), tmp_path)
    assert sorted(paths) == files(out) and len(paths) == 3 * 13 + 6
    assert {path.name for path in out.iterdir() if path.is_file()} == {
        *("grades.csv", "gradebook_canvas.csv", "gradebook_moodle.csv"),
        *("junit.xml", "summary.json", "summary.html"),
    }


def test_pages_of_students_who_left_the_class_go_and_nothing_else_does(tmp_path, classroom):
    out = written(tmp_path, classroom)
    students = out / "students"
    (students / "cat/notes.txt").write_text("she came to see me")
    (students / "mia/results.json").unlink()  # stopped half-way
    (students / "mine").mkdir()
    (students / "readme.txt").write_text("mine")
    (students / "link").symlink_to(students / "gus")
    before = {name: files(students / name) for name in ("cat", "eve")}
    written(tmp_path, [item for item in classroom if item.student.key in ("eve", "gus")])
    assert {path.name for path in students.iterdir()} == {"gus", "cat", "eve", "link", "mine", "readme.txt"}
    assert {name: files(students / name) for name in before} == before


def test_same_marks_give_same_bytes_in_whatever_order_they_come(tmp_path, classroom):
    first = written(tmp_path / "a", classroom)
    random.Random(0).shuffle(classroom)
    second = written(tmp_path / "b", classroom)
    for path in files(first):
        assert path.read_bytes() == (second / path.relative_to(first)).read_bytes(), path.name


def test_no_file_holds_a_character_that_xml_forbids_or_an_endless_line(tmp_path, classroom):
    for path in files(written(tmp_path, classroom)):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", text), path.name
        if path.name != "grade.json":  # which keeps all that is known
            assert "x" * 1001 not in text, path.name


def test_an_empty_class_is_told_as_such(tmp_path):
    out = written(tmp_path, [])
    assert rows(out / "grades.csv") == rows(out / "gradebook_moodle.csv") == []
    assert ET.parse(out / "junit.xml").getroot().get("tests") == "0"
    assert json.loads((out / "summary.json").read_text())["mean_percent"] is None
    assert "0 students" in Page(out / "summary.html").text


def test_writing_imports_neither_tensorflow_nor_jupytext():
    code = (
        "import sys, tempfile, pathlib; from hvae_keras.course.outputs import write_outputs;"
        "from hvae_keras.course.settings import Settings; path = pathlib.Path(tempfile.mkdtemp());"
        "write_outputs(path, [], Settings(), path);"
        "print({name.split('.')[0] for name in sys.modules} & {'tensorflow', 'keras', 'jupytext', 'matplotlib'})"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


# Tables


def test_grades_csv_read_back_equals_the_marks(tmp_path, classroom):
    table = {row["student"]: row for row in rows(written(tmp_path, classroom) / "grades.csv")}
    assert list(table) == sorted((item.student.key for item in classroom), key=str.casefold)
    for item in classroom:
        row, mark = table[item.student.key], item.marks[0]
        for found in mark.report.verdicts:
            assert float(row[f"points {found.exercise}"]) == found.points
            assert row[f"status {found.exercise}"] == found.status
        assert float(row["points"]) == pytest.approx(item.points, abs=5e-5)
        assert float(row["points 01_tiny"]) == pytest.approx(mark.points, abs=5e-5)
        assert float(row["penalty 01_tiny"]) == pytest.approx(mark.penalty, abs=5e-5)
        assert (float(row["of"]), int(row["days late 01_tiny"])) == (item.of, mark.days_late)
        assert float(row["percent"]) == pytest.approx(item.percent, abs=5e-5)
    assert table["ada"]["notes"] == "the same file as ben"
    assert table["gus"]["notes"] == "1.9: defined 2 times (cells 3 and 4): the last one counts"
    assert table["hal"]["problem"].startswith("the file is not JSON") and table["hal"]["notes"] == ""


def test_columns_are_in_the_order_of_exercises_and_a_lesson_not_handed_in_is_missing(tmp_path):
    two = Mark(Report("02.ipynb", "02_more", 3.0, 3.0, 1.0, (verdict("2.1", "more", "passed"),)), "02.ipynb")
    ada = student("ada", pair("passed", "passed"))
    class_of_two = [StudentMarks(ada.student, (*ada.marks, two)), student("ben", pair("passed", "passed"))]
    first, second = rows(written(tmp_path, class_of_two) / "grades.csv")
    assert [name for name in first if name.startswith("status")] == ["status 1.9", "status 1.10", "status 2.1"]
    assert (second["status 2.1"], second["points 2.1"], second["points 02_more"]) == ("missing", "0", "")


@pytest.mark.parametrize("name", ["grades.csv", "gradebook_canvas.csv", "gradebook_moodle.csv"])
def test_no_cell_is_a_formula_or_breaks_its_line(tmp_path, classroom, name):
    path = written(tmp_path, classroom) / name
    for row in rows(path):
        for value in row.values():
            assert not value.startswith(("=", "+", "-", "@", "\t", "\r"))
            assert "\n" not in value and "\r" not in value
    assert "'=HYPERLINK" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a  b\nc", "a b c"),
        (" =1", "'=1"),
        ("\t-1", "'-1"),
        ("＝1", "'＝1"),
        ("'=1", "'=1"),
        ("1-1", "1-1"),
        ("", ""),
    ],
)
def test_cells(text, expected):
    assert cell(text) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.1 + 0.2, "0.3"),
        (2.0, "2"),
        (1e-9, "0"),
        (-0.0, "0"),
        (1e7, "10000000"),
        (100 / 3, "33.3333"),
        (10, "10"),
    ],
)
def test_numbers_are_written_as_people_write_them(value, expected):
    assert number(value) == expected


# Canvas: instructure/canvas-lms, lib/gradebook_importer.rb


def test_canvas_takes_the_table(tmp_path, classroom):
    classroom[0] = StudentMarks(Student("mia", "Mia", canvas_id="4711"), classroom[0].marks)
    possible, *found = rows(written(tmp_path, classroom) / "gradebook_canvas.csv")
    assert list(possible) == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "01_tiny"]
    assert "Points Possible" in possible["Student"] and possible["01_tiny"] == "6"
    # Canvas takes any other row with these words for the maximal points, too.
    assert not any("Points Possible" in row["Student"] for row in found)
    who = {row["ID"] or row["SIS Login ID"]: row for row in found}
    for item in classroom:
        key = item.student.canvas_id or item.student.key
        assert float(who[key]["01_tiny"]) == pytest.approx(item.points, abs=5e-5)
    assert who["4711"]["SIS Login ID"] == "" and who["ada"]["ID"] == ""


# Moodle: moodle/moodle, mod/assign/feedback/offline/importgradeslib.php and grade/import/csv


def test_moodle_worksheet_where_participant_numbers_are_known(tmp_path, classroom):
    known = [
        StudentMarks(Student(m.student.key, m.student.name, moodle_id=str(900 + i)), m.marks) if i < 12 else m
        for i, m in enumerate(classroom)
    ]
    found = rows(written(tmp_path, known) / "gradebook_moodle.csv")
    assert {"Identifier", "Grade", "Last modified (grade)", "Feedback comments"} <= set(found[0])
    grades = {row["Identifier"]: (float(row["Grade"]), float(row["Maximum Grade"])) for row in found}
    assert grades == {
        f"Participant {900 + i}": (pytest.approx(item.points, abs=5e-5), item.of)
        for i, item in enumerate(classroom[:12])
    }
    comments = {row["Identifier"]: row["Feedback comments"] for row in found}
    assert comments["Participant 904"] == (
        "1.9 double: wrong, 1 of 3; 1.10 total: timed out, 0 of 3; 3 days late: 0.3 points off"
    )
    assert "<img" not in comments["Participant 908"] and "&lt;img" in comments["Participant 908"]


def test_moodle_gradebook_where_they_are_not(tmp_path, classroom):
    classroom[0] = StudentMarks(Student("mia@example.org"), classroom[0].marks)
    found = {row["Username"]: row for row in rows(written(tmp_path, classroom) / "gradebook_moodle.csv")}
    assert list(found["ada"]) == ["Username", "Full name", "Email address", "01_tiny", "01_tiny feedback"]
    for item in classroom:
        assert float(found[item.student.key]["01_tiny"]) == pytest.approx(item.points, abs=5e-5)
    assert found["mia@example.org"]["Email address"] == "mia@example.org" and not found["ada"]["Email address"]


# JUnit: junit-10.xsd of Jenkins's xUnit plugin

TIME = re.compile(r"(([0-9]{0,3},)*[0-9]{3}|[0-9]{0,3})*(\.[0-9]*)?")
SUITE = {"name", "tests", "failures", "errors", "skipped", "time"}


def test_junit_has_the_elements_and_attributes_that_readers_know(tmp_path, classroom):
    top = ET.parse(written(tmp_path, classroom) / "junit.xml").getroot()
    assert top.tag == "testsuites" and set(top.attrib) <= {"name", "time", "tests", "failures", "errors"}
    assert {suite.tag for suite in top} == {"testsuite"} and len(top) == len(classroom)
    for suite in top:
        assert set(suite.attrib) == SUITE and TIME.fullmatch(suite.get("time"))
        assert {case.tag for case in suite} == {"testcase"}
        names = [(case.get("classname"), case.get("name")) for case in suite]
        assert len(set(names)) == len(names)
        for case in suite:
            assert set(case.attrib) == {"name", "classname", "time"} and TIME.fullmatch(case.get("time"))
            assert len(case) <= 1
            assert all(set(said.attrib) == {"type", "message"} for said in case)
            assert {said.tag for said in case} <= {"failure", "error", "skipped"}


def test_junit_counts_what_was_judged(tmp_path, classroom):
    top = ET.parse(written(tmp_path, classroom) / "junit.xml").getroot()
    statuses = Counter(
        status
        for item in classroom
        for found in item.marks[0].report.verdicts
        for status in ([check.status for check in found.checks] or [found.status])
    )
    broken = statuses["error"] + statuses["timed out"] + statuses["out of memory"]
    assert int(top.get("failures")) == len(top.findall(".//failure")) == statuses["wrong"]
    assert int(top.get("errors")) == len(top.findall(".//error")) == broken + 1  # and the file that is not JSON
    assert len(top.findall(".//skipped")) == statuses["not attempted"] + statuses["missing"]
    assert int(top.get("tests")) == len(top.findall(".//testcase")) == sum(statuses.values()) + 1
    assert float(top.get("time")) == pytest.approx(13 * 1.25)
    ada = top.find("testsuite[@name='ada: 01_tiny']/testcase/failure")
    assert ada.text.splitlines()[0] == "expected 1"
    assert ada.text.splitlines()[-1] == "Likely cause: It came back <as it was>."


# Gradescope: the autograder specification, "Output format"

VISIBILITY = {"enum": ["hidden", "after_due_date", "after_published", "visible"]}
FORMAT = {"enum": ["text", "html", "simple_format", "md", "ansi"]}
TEST = {
    "type": "object",
    "additionalProperties": False,
    "required": ["score", "max_score", "status", "name", "number", "output"],
    "properties": {
        "score": {"type": "number", "minimum": 0},
        "max_score": {"type": "number", "minimum": 0},
        "status": {"enum": ["passed", "failed"]},
        "name": {"type": "string"},
        "name_format": FORMAT,
        "number": {"type": "string"},
        "output": {"type": "string"},
        "output_format": FORMAT,
        "tags": {"type": "array", "items": {"type": "string"}},
        "visibility": VISIBILITY,
        "extra_data": {"type": "object"},
    },
}
RESULTS = {
    "type": "object",
    "additionalProperties": False,
    "required": ["score", "tests"],
    "properties": {
        "score": {"type": "number", "minimum": 0},
        "execution_time": {"type": "number", "minimum": 0},
        "output": {"type": "string"},
        "output_format": FORMAT,
        "test_output_format": FORMAT,
        "test_name_format": FORMAT,
        "visibility": VISIBILITY,
        "stdout_visibility": VISIBILITY,
        "extra_data": {"type": "object"},
        "tests": {"type": "array", "items": TEST},
    },
}


def test_gradescope_results_keep_to_the_specification_and_to_the_marks(tmp_path, classroom):
    out = written(tmp_path, classroom)
    for item in classroom:
        found = json.loads((out / "students" / folder_name(item.student.key) / "results.json").read_text("utf-8"))
        jsonschema.validate(found, RESULTS)
        assert found == gradescope_results(item)
        assert found["score"] == pytest.approx(item.points, abs=5e-5)
        assert sum(test["max_score"] for test in found["tests"]) == item.of
        assert sum(test["score"] for test in found["tests"]) == item.marks[0].report.points
        numbers = [test["number"] for test in found["tests"]]
        assert len(set(numbers)) == len(numbers)
        for test in found["tests"]:
            assert (test["status"] == "passed") == (test["score"] == test["max_score"])
    assert "ben" not in json.dumps(gradescope_results(next(i for i in classroom if i.student.key == "ada")))


def test_gradescope_says_what_went_wrong(classroom):
    by_key = {item.student.key: gradescope_results(item) for item in classroom}
    assert by_key["dan"]["output"] == "3 days late: 0.3 points off"
    assert by_key["hal"]["output"].startswith("The file is not JSON")
    assert by_key["jon"]["output"] == "Nothing was handed in."
    assert by_key["ada"]["tests"][3]["output"].startswith("wrong.\nexpected 1\n")
    assert by_key["ada"]["tests"][3]["extra_data"] == {"misconception": "unchanged"}
    note = "Note: defined 2 times (cells 3 and 4): the last one counts"
    assert [test["output"] for test in by_key["gus"]["tests"]] == [note, "", "", ""]
    assert [test["number"] for test in by_key["mia"]["tests"]] == ["1.9.1", "1.9.2", "1.10.1", "1.10.2"]


# A student's own files


def test_grade_json_holds_all_that_is_known(tmp_path, classroom):
    out = written(tmp_path, classroom)
    for item in classroom:
        found = json.loads((out / "students" / folder_name(item.student.key) / "grade.json").read_text("utf-8"))
        (lesson,), mark = found["lessons"], item.marks[0]
        assert found["student"]["key"] == item.student.key
        assert (found["points"], found["of"], found["percent"]) == (item.points, item.of, item.percent)
        assert (lesson["penalty"], lesson["days_late"], lesson["file"]) == (
            mark.penalty,
            mark.days_late,
            mark.file,
        )
        assert (tuple(lesson["notes"]), tuple(lesson["same_as"])) == (mark.notes, mark.same_as)
        assert [entry["status"] for entry in lesson["report"]["exercises"]] == [
            v.status for v in mark.report.verdicts
        ]


def test_feedback_is_one_page_that_runs_and_loads_nothing(tmp_path, classroom):
    out = written(tmp_path, classroom)
    for item in classroom:
        page = Page(out / "students" / folder_name(item.student.key) / "feedback.html")
        assert not {"script", "img", "link", "iframe"} & set(page.tags)
        assert len(set(page.ids)) == len(page.ids)
        assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
        for found in item.marks[0].report.verdicts:
            assert f"{found.status} {number(found.points)} of {number(found.of)}" in page.text
        assert " ".join(clean(item.student.name or item.student.key).split()) in page.text


def test_feedback_tells_statuses_causes_lines_and_notes(tmp_path, classroom):
    out = written(tmp_path, classroom) / "students"
    assert "Likely cause: It came back <as it was>." in Page(out / "ada/feedback.html").text
    assert 'expected 1 a,"b" <script>alert(1)</script>' in Page(out / "ada/feedback.html").text
    assert "ben" not in (out / "ada/feedback.html").read_text("utf-8")
    assert "Note: defined 2 times (cells 3 and 4)" in Page(out / "gus/feedback.html").text
    assert "The file is not JSON: <img" in Page(out / "hal/feedback.html").text
    assert "Nothing was handed in." in Page(out / "jon/feedback.html").text


def test_what_cannot_be_graded_has_a_table_and_no_section_an_exercise(tmp_path, classroom):
    out = written(tmp_path, classroom)
    for item in classroom:
        page = Page(out / "students" / folder_name(item.student.key) / "feedback.html")
        sections = 0 if item.student.key in ("hal", "jon") else 2
        assert (page.tags["article"], page.tags["table"]) == (sections, 1)
        assert [link for link in page.links if "exercise" in link] == ["#exercise-1-9", "#exercise-1-10"][
            :sections
        ]


def test_solutions_are_shown_to_whoever_handed_in_nothing_once_everybody_may_see_them(tiny, tmp_path):
    missing = Verdict("1.1", "double", "missing", 0.0, 2.0, 0.0, ())
    jon = [student("jon", [missing], file="", problem="nothing was handed in")]
    for year, shown in ((2000, 1), (9000, 0)):
        out = written(tmp_path, jon, tiny, reveal=Reveal("date", date=datetime(year, 1, 1)))
        page = Page(out / "students/jon/feedback.html")
        assert page.tags["article"] == page.tags["details"] == shown


@pytest.mark.parametrize(
    ("file", "problem", "told"),
    [
        (
            "a/essay.pdf",
            "handed in essay.pdf, no notebook",
            "You handed in essay.pdf. A notebook (.ipynb) is needed.",
        ),
        ("a", "handed in nothing, no notebook", "You handed in nothing. A notebook (.ipynb) is needed."),
        ("a", "the folder is empty", "The folder is empty."),
        ("a/my work.zip", "my work.zip is encrypted", "my work.zip is encrypted."),
        ("04.ipynb", "not a notebook: it is empty", "The file is not a notebook: it is empty."),
        ("04.ipynb", "larger than 200 MB", "The file is larger than 200 MB."),
        ("04.ipynb", "cannot be read: Permission denied", "The file cannot be read: Permission denied."),
        (
            "x.ipynb",
            "nothing says which lesson this is: name it with --lesson",
            "Nothing says which lesson this is. Begin the file's name with the lesson's number, as in 04.ipynb.",
        ),
        (
            "04.ipynb",
            "not the student's fault, please report it: the grader's process ended 3 times",
            "This is not your fault, please report it: the grader's process ended 3 times.",
        ),
        ("", "not handed in", "Nothing was handed in."),
        ("04.ipynb", "", ""),
    ],
)
def test_a_problem_is_told_to_the_student_in_sentences(file, problem, told):
    assert problem_told(student("ada", file=file, problem=problem).marks[0]) == told


def test_the_problems_that_readers_of_files_report_are_those_that_are_told(tiny, tmp_path):
    (tmp_path / "01.ipynb").write_text("no json")
    (tmp_path / "x.ipynb").write_text('{"cells": []}')
    told = [
        problem_told(Mark(grade(tmp_path / name, tiny, start=None), name))
        for name in ("01.ipynb", "x.ipynb", "2.ipynb")
    ]
    assert told[0] == "The file is not a notebook: it is not JSON."
    assert told[1].startswith("Nothing says which lesson this is. Begin")
    assert told[2].startswith("The file cannot be read: ")


def test_times_are_told_in_the_due_dates_own_zone(tmp_path):
    zone = timezone(timedelta(hours=5, minutes=45))
    late = Late(DUE.astimezone(zone), 0.1, 0.5, extensions={"ada": DUE + timedelta(hours=1)})
    ada = student("ada", pair("passed", "passed"), hours=49)
    known = StudentMarks(Student("ada", moodle_id="7"), ada.marks)
    write_outputs(tmp_path / "grades", [known], Settings(late=late), tmp_path)
    text = Page(tmp_path / "grades/students/ada/feedback.html").text
    assert "(handed in 2026-03-04 18:45 UTC+05:45, due 2026-03-02 18:45 UTC+05:45)" in text
    assert "01_tiny.ipynb , handed in 2026-03-04 18:45 UTC+05:45" in text
    (row,) = rows(tmp_path / "grades/gradebook_moodle.csv")
    assert row["Last modified (submission)"] == "2026-03-04 18:45 UTC+05:45"


def test_a_date_that_no_other_zone_has_is_told_as_it_is():
    east = timezone(timedelta(hours=2))
    assert moment(datetime(9999, 12, 31, 23, 59, tzinfo=UTC), east) == "9999-12-31 23:59 UTC"
    assert moment(datetime(2026, 12, 31, 23, 59, tzinfo=UTC), east) == "2027-01-01 01:59 UTC+02:00"


def test_feedback_says_how_the_penalty_follows(tmp_path, classroom):
    out = written(tmp_path, classroom) / "students"
    assert "A day costs 10 % of the points won. For 3 days, 30 % of 1 is 0.3 off. 0.7 remain." in (
        Page(out / "dan/feedback.html").text
    )
    assert (
        "A day costs 10 % of the points won, but at most 50 %. For 10 days, 50 % of 3 is 1.5 off. 1.5 remain."
        in Page(out / "eve/feedback.html").text
    )
    assert "late" not in Page(out / "mia/feedback.html").text


def test_feedback_names_the_due_date_that_holds_for_the_student(tmp_path):
    late = Late(DUE, 0.1, 0.5, extensions={"ada": DUE + timedelta(hours=48)})
    out, classroom = (
        tmp_path / "grades",
        [student(key, pair("passed", "passed"), hours=49) for key in ("ada", "ben")],
    )
    write_outputs(out, classroom, Settings(late=late), tmp_path)
    for key, due in (("ada", DUE + timedelta(days=2)), ("ben", DUE)):
        assert f"due {due:%Y-%m-%d %H:%M} UTC)" in Page(out / f"students/{key}/feedback.html").text


@pytest.mark.parametrize(
    ("reveal", "shown"),
    [
        (Reveal("never"), {"1.1": False, "1.2": False}),
        (Reveal("passed"), {"1.1": True, "1.2": False}),
        (Reveal("tries", 3), {"1.1": True, "1.2": False}),
        (Reveal("tries", 2), {"1.1": True, "1.2": True}),
        (Reveal("date", date=datetime(2000, 1, 1)), {"1.1": True, "1.2": True}),
        (Reveal("date", date=datetime(9000, 1, 1)), {"1.1": False, "1.2": False}),
    ],
)
def test_solutions_are_shown_as_the_policy_allows(tiny, tmp_path, reveal, shown):
    verdicts = verdict("1.1", "double", "passed"), verdict("1.2", "total", "wrong")
    out = written(tmp_path, [student("ada", verdicts, tries=2)], tiny, reveal=reveal)
    page = Page(out / "students/ada/feedback.html")
    assert {"1.1": "return FACTOR * np.asarray(x)" in page.text, "1.2": "return np.sum(x)" in page.text} == shown
    assert page.tags["details"] == sum(shown.values())
    assert "BEGIN SOLUTION" not in page.text


def test_without_the_lessons_sources_no_solution_is_promised(tmp_path, classroom):
    for path in written(tmp_path, classroom, reveal=Reveal("passed")).rglob("feedback.html"):
        page = Page(path)
        assert "solution" not in page.text.lower() and page.tags["details"] == 0


def test_solutions_are_those_that_jupytext_finds():
    from hvae_keras.course.source import solution_of

    text = (Path(__file__).parents[2] / "solutions" / "01_autoencoder.py").read_text(encoding="utf-8")
    found = solutions_in(text)
    assert list(found) == re.findall(r'^# %% exercise="([\d.]+)"', text, re.MULTILINE)
    for exercise, solution in found.items():
        assert solution == solution_of(text, exercise).strip("\n")


def test_percentages_of_lessons_and_their_weights(tmp_path):
    half = Mark(Report("02.ipynb", "02_more", 1.0, 3.0, 1.0, (verdict("2.1", "more", "wrong"),)), "02.ipynb")
    ada = student("ada", pair("passed", "passed"))
    weighted = StudentMarks(ada.student, (*ada.marks, half), {"02_more": 3.0})
    text = Page(written(tmp_path, [weighted]) / "students/ada/feedback.html").text
    assert "7 of 9 points , 50 %" in text  # (1 * 100 % + 3 * 33.3 %) / 4
    assert "each by its weight" in text and "1 of 3 33.3 3" in text


def test_a_folder_lies_under_the_students_whatever_the_key(tmp_path):
    keys = [
        "../a",
        "..",
        ".",
        ".a",
        "a/b",
        "a\\b",
        "C:a",
        "a\x00",
        "a*",
        "a.",
        "a ",
        "%2E",
        "%",
        "\ud800",
        "a",
        "A b",
    ]
    names = [folder_name(key) for key in keys]
    assert len(set(names)) == len(keys)
    for name in names:
        (tmp_path / name).mkdir()
        assert (tmp_path / name).resolve().parent == tmp_path.resolve()
        assert not set(name) & set('/\\:*?"<>|') and name[-1] not in ". "


def test_plain_keys_name_their_folders():
    for key in ("ada", "ada_4711", "ada@example.org", "Zoë O’Neil", "王"):
        assert folder_name(key) == key


# The summary


def test_summary_counts_the_class(tmp_path, classroom):
    found = json.loads((written(tmp_path, classroom) / "summary.json").read_text("utf-8"))
    percents = [item.percent for item in classroom]
    assert (found["students"], found["handed_in"], found["nothing_handed_in"]) == (13, 12, ["jon"])
    assert found["mean_percent"] == pytest.approx(mean(percents), abs=5e-3)
    assert found["median_percent"] == pytest.approx(median(percents), abs=5e-3)
    bins = [(b["from"], b["to"], b["students"]) for b in found["distribution"]]
    for low, high, count in bins:
        assert count == sum(low <= p < high or (p == high == 100) for p in percents)
    assert sum(count for *_, count in bins) == 13
    double, total = found["exercises"]
    assert (double["exercise"], total["exercise"]) == ("1.9", "1.10")
    assert double["statuses"] == {
        **{"passed": 7, "wrong": 2, "error": 0, "timed out": 0, "out of memory": 1, "not attempted": 1},
        "missing": 0,
    }
    # Neither hal, whose file cannot be read, nor jon, who handed in nothing.
    assert (double["graded"], double["tried"]) == (11, 10) and (total["graded"], total["tried"]) == (11, 9)
    assert double["pass_rate"] == pytest.approx(7 / 11, abs=5e-5)
    assert total["pass_rate"] == pytest.approx(4 / 11, abs=5e-5)
    assert double["mean_share"] == pytest.approx((7 * 3 + 2 * 1) / (11 * 3), abs=5e-5)


def test_summary_says_what_to_teach_again_and_whom_to_look_at(tmp_path, classroom):
    out = written(tmp_path, classroom)
    found = json.loads((out / "summary.json").read_text("utf-8"))
    assert found["teach_again"] == ["1.10"]  # passed by 4 of 9; 1.9 by 7 of the 10 who tried
    assert [(item["id"], item["count"], item["students"]) for item in found["misconceptions"]] == [
        ("1.10 unchanged", 3, ["../kim", "ada", "ben"]),
        ("1.9 unchanged", 2, ["cat", "dan"]),
    ]
    assert found["identical_files"] == [{"lesson": "01_tiny", "students": ["ada", "ben"]}]
    assert [item["student"] for item in found["problems"]] == ["hal", "ivy"]
    page = Page(out / "summary.html")
    assert "1.10 total : passed by 4 of 9 who tried." in page.text
    assert "Most common mistake (3 students): It came back <as it was>." in page.text
    assert "script" not in page.tags and "img" not in page.tags


def many(**statuses: list[str]) -> list[StudentMarks]:
    """A class in which student i has the i-th status of each exercise, e1 for 1.1."""
    columns = [(f"1.{name[1:]}", name, column) for name, column in statuses.items()]
    return [
        student(f"s{i}", [verdict(key, name, column[i]) for key, name, column in columns])
        for i in range(len(columns[0][2]))
    ]


def test_what_to_teach_again_is_what_those_fail_who_try_it(tmp_path):
    classroom = many(
        e1=["passed"] * 4 + ["wrong", "wrong"],
        e2=["passed"] * 3 + ["wrong", "error", "timed out"],
        e3=["passed", "out of memory"] + ["not attempted"] * 4,
        e4=["passed", "passed"] + ["missing"] * 3 + ["not attempted"],
        e5=["not attempted"] * 6,
        e6=["passed"] * 4 + ["not attempted"] * 2,
        e7=["wrong", "passed", "passed", "missing", "passed", "passed"],
        e8=["wrong"] * 5 + ["passed"],
    )
    unread = student("pdf", [Verdict("1.6", "e6", "missing", 0, 3, 0, ())], problem="handed in x.pdf, no notebook")
    out = written(tmp_path, [*classroom, unread])
    found = json.loads((out / "summary.json").read_text("utf-8"))
    # 1.2 and 1.3 are passed by half of those who tried; more students failed 1.2.
    assert found["teach_again"] == ["1.8", "1.2", "1.3"]
    assert found["not_tried"] == ["1.3", "1.4", "1.5"]
    assert (found["handed_in"], found["exercises"][5]["graded"], found["exercises"][5]["statuses"]["missing"]) == (
        *(7, 6, 0),
    )
    text = Page(out / "summary.html").text
    assert "1.3 e3 : passed by 1 of 2 who tried." in text
    assert "Not tried by half or more: 1.3 e3 , 1.4 e4 , 1.5 e5 ." in text


def test_the_summary_tells_a_class_that_tried_nothing_from_one_that_failed_nothing(tmp_path):
    tried = Page(written(tmp_path / "a", many(e1=["passed"])) / "summary.html").text
    assert "Nothing stands out" in tried and "Not tried by" not in tried
    untried = Page(written(tmp_path / "b", many(e1=["missing"])) / "summary.html").text
    assert "Nobody tried an exercise." in untried and "Nothing stands out" not in untried


def students_table(path: Path) -> list[list[str]]:
    """The cells of the summary's table of students, the header first."""
    table = re.search(r"<h2>Students</h2>.*?<table>(.*?)</table>", path.read_text("utf-8"), re.DOTALL)[1]
    lines = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall("<tr>(.*?)</tr>", table)]
    return [[re.sub("<[^>]*>", "", cell) for cell in line] for line in lines]


def test_summary_shows_lateness_and_no_column_twice(tmp_path):
    ada = student("ada", pair("passed", "passed"), hours=49)
    ben = student("ben", pair("passed", "wrong"))
    assert students_table(written(tmp_path / "one", [ada, ben]) / "summary.html") == [
        ["Student", "Points", "Percent", "Late"],
        ["ada", "4.2 of 6", "70", "3 days, −1.8"],
        ["ben", "4 of 6", "66.7", ""],
    ]
    more = Report("02.ipynb", "02_more", 3.0, 3.0, 1.0, (verdict("2.1", "more", "passed"),))
    both = StudentMarks(ada.student, (*ada.marks, Mark(more, "02.ipynb", days_late=1)))
    assert students_table(written(tmp_path / "two", [both, ben]) / "summary.html")[:2] == [
        ["Student", "01_tiny", "02_more", "Points", "Percent", "Late"],
        ["ada", "4.2", "3", "7.2 of 9", "85", "01_tiny: 3 days, −1.8; 02_more: 1 day"],
    ]
    assert students_table(written(tmp_path / "none", [ben]) / "summary.html")[0] == [
        "Student",
        "Points",
        "Percent",
    ]


EAST = timezone(timedelta(hours=2))
OCTOBER = datetime(2026, 10, 1, 23, 59, tzinfo=EAST)


@pytest.mark.parametrize(
    ("settings", "rules"),
    [
        (Settings(), "the lesson's own"),
        (
            Settings(seed=3, leave_out=frozenset({"4.10", "4.7"}), late=Late(OCTOBER, 0.2, 0.5)),
            "seed 3; due 2026-10-01 23:59 UTC+02:00, 20 % a day, at most 50 %; 4.7, 4.10 left out",
        ),
        (
            Settings(seconds=60.0, memory=1.5, points={"4.1": 1.0}, weights={"02": 2.5}, reveal=Reveal("never")),
            "60 seconds an exercise; 1.5 GiB of memory; 4.1 gives 1 point; lesson 02 weighs 2.5; "
            "solutions never shown",
        ),
        (
            Settings(
                late=Late(OCTOBER, extensions={"ada": OCTOBER}),
                reveal=Reveal("date", date=datetime(2026, 10, 9, 8, tzinfo=UTC)),
            ),
            "due 2026-10-01 23:59 UTC+02:00, no points off for lateness; more time for 1 student; "
            "solutions from 2026-10-09 10:00 UTC+02:00 on",
        ),
        (Settings(reveal=Reveal("passed")), "solutions after a pass"),
        (Settings(reveal=Reveal("tries", 1)), "solutions after a pass or 1 try"),
        (Settings(leave_out=frozenset({"<b>"})), "<b> left out"),
    ],
)
def test_the_summary_says_which_rules_applied(tmp_path, settings, rules):
    write_outputs(tmp_path, [], settings, tmp_path)
    assert f"Rules: {rules}." in Page(tmp_path / "summary.html").text


def test_the_summarys_data_hold_the_rules(tmp_path):
    late = Late(OCTOBER, 0.2, 0.5, {"ada": OCTOBER + timedelta(days=1)})
    reveal = Reveal("date", date=OCTOBER + timedelta(days=2))
    settings = Settings(3, 60.0, 1.5, frozenset({"4.7"}), {"4.1": 5.0}, {"02": 2.0}, late, reveal)
    write_outputs(tmp_path, [], settings, tmp_path)
    found = json.loads((tmp_path / "summary.json").read_text("utf-8"))["settings"]
    late_found, reveal_found = found.pop("late"), found.pop("reveal")
    assert found == {
        **{"seed": 3, "seconds": 60.0, "memory": 1.5, "leave_out": ["4.7"]},
        **{"points": {"4.1": 5.0}, "weights": {"02": 2.0}},
    }
    extensions = {key: datetime.fromisoformat(date) for key, date in late_found.pop("extensions").items()}
    assert Late(datetime.fromisoformat(late_found.pop("due")), **late_found, extensions=extensions) == late
    assert Reveal(**{**reveal_found, "date": datetime.fromisoformat(reveal_found["date"])}) == reveal


@pytest.mark.parametrize(
    ("when", "hours", "warned"),
    [("date", 47, True), ("date", 48, False), ("date", -1, True), ("tries", 47, False), ("never", 47, False)],
)
def test_solutions_shown_before_the_last_work_is_due_are_warned_of(tmp_path, when, hours, warned):
    late = Late(OCTOBER, extensions={"ada": OCTOBER + timedelta(hours=48), "ben": OCTOBER + timedelta(hours=1)})
    settings = Settings(late=late, reveal=Reveal(when, date=OCTOBER + timedelta(hours=hours)))
    write_outputs(tmp_path, [], settings, tmp_path)
    warnings = json.loads((tmp_path / "summary.json").read_text("utf-8"))["warnings"]
    assert len(warnings) == warned
    text = Page(tmp_path / "summary.html").text
    assert ("work is due as late as 2026-10-03 23:59 UTC+02:00." in text) == warned


def test_without_a_due_date_no_date_of_solutions_is_too_early(tmp_path):
    write_outputs(tmp_path, [], Settings(reveal=Reveal("date", date=datetime(2000, 1, 1))), tmp_path)
    assert json.loads((tmp_path / "summary.json").read_text("utf-8"))["warnings"] == []


def test_links_of_the_summary_lead_to_the_students_pages(tmp_path, classroom):
    from urllib.parse import unquote

    out = written(tmp_path, classroom)
    links = {unquote(link) for link in Page(out / "summary.html").links}
    assert links == {f"students/{folder_name(item.student.key)}/feedback.html" for item in classroom}
    assert all((out / link).is_file() for link in links)


def test_a_failure_of_the_grader_itself_is_shown_to_the_instructor(tmp_path):
    fault = Verdict("1.1", "double", "error", 0.0, 2.0, 0.0, (), ("not the student's fault",))
    found = json.loads((written(tmp_path, [student("ada", [fault])]) / "summary.json").read_text("utf-8"))
    assert [item["problem"] for item in found["problems"]] == ["1.1: not the student's fault"]


def test_long_explanations_are_cut_and_the_rest_is_counted():
    assert abridged(["y" * 401]) == ["y" * 400 + "… (1 characters more)"]
    assert abridged(["a"] * 42)[40:] == ["… (2 lines more)"]
