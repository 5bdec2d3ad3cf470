"""The command line: quick answers, one line for a mistake, and files where they were asked for."""

import csv
import json
import subprocess
import sys

from typer.testing import CliRunner

from hvae_keras.cli import app
from hvae_keras.course.build import build

HVAE = [sys.executable, "-c", "from hvae_keras.cli import main; main()"]


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def test_list_needs_no_tensorflow_and_no_notebook_library(tiny):
    build(tiny, "01_tiny", execute=False)
    program = (
        "import sys\nfrom typer.testing import CliRunner\nfrom hvae_keras.cli import app\n"
        "for words in (['list'], ['list', '1'], ['--help']):\n"
        "    assert CliRunner().invoke(app, words).exit_code == 0\n"
        "print([m for m in ('tensorflow', 'keras', 'jupytext', 'nbclient', 'matplotlib') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "[]\n"


def test_list_shows_points_and_progress(tiny):
    from hvae_keras.course.notebook import check

    build(tiny, "01_tiny", execute=False)
    check("1.1", lambda x: 2 * x)
    row = next(line for line in run("list").splitlines() if "01_tiny" in line)
    assert row.split() == ["01_tiny", "Tiny", "20", "1", "of", "2", "5", "2"]
    assert ["1.1", "double", "5", "2", "2", "passed"] in [line.split() for line in run("list", "1").splitlines()]


def test_list_survives_a_damaged_notebook(tiny):
    (tiny / "lessons/01_tiny.ipynb").write_text("{")
    assert "missing or damaged" in run("list")


def test_grade_shows_every_verdict_of_one_notebook_and_writes_nothing_unasked(tiny):
    build(tiny, "01_tiny")
    before = set(tiny.rglob("*"))
    output = run("grade", "solutions/01_tiny.ipynb")
    assert "✓ 1.1 double   2 of 2 points" in output
    assert "5 of 5 points" in output
    assert set(tiny.rglob("*")) == before
    run("grade", "solutions/01_tiny.ipynb", "--out", "g")
    assert json.loads((tiny / "g/students/01_tiny/grade.json").read_text())["points"] == 5


def test_grade_shows_a_table_for_a_folder_and_writes_the_marks(tiny):
    build(tiny, "01_tiny")
    (tiny / "in").mkdir()
    (tiny / "in" / "a[b].ipynb").write_text((tiny / "solutions/01_tiny.ipynb").read_text())
    (tiny / "in" / "c.ipynb").write_text((tiny / "lessons/01_tiny.ipynb").read_text())
    (tiny / "in" / "d.ipynb").write_text("junk")
    lines = [line.split() for line in run("grade", "in", "--lesson", "1").splitlines()]
    assert ["01_tiny", "1.1", "1.2", "Points"] in lines
    assert ["a[b]", "✓", "2", "✓", "3", "5/5"] in lines
    assert ["c", "○", "0", "○", "0", "0/5"] in lines
    assert ["d", "–", "0", "–", "0", "0/5"] in lines
    assert ["d:", "not", "a", "notebook:", "it", "is", "not", "JSON"] in lines
    rows = list(csv.DictReader((tiny / "grades/grades.csv").open()))
    assert [row["student"] for row in rows] == ["a[b]", "c", "d"]
    again = run("grade", "in", "--lesson", "1", "--leave-out", "1.2")
    assert ["a[b]", "✓", "2", "2/2"] in [line.split() for line in again.splitlines()]


def test_reset_says_where_the_copy_is(tiny):
    build(tiny, "01_tiny", execute=False)
    output = run("reset", "1", "1.2")
    assert "is a stub again" in output
    copy = output.split("The notebook as it was: ")[1].splitlines()[0]
    assert (tiny / copy).is_file()


def test_doctor_times_every_device_and_names_what_it_found(tiny):
    output = CliRunner().invoke(app, ["doctor"]).output
    assert f"Python {sys.version_info.major}.{sys.version_info.minor}" in output
    for line in (
        "hvae grade: ",
        "keras 3.",
        "tensorflow 2.",
        "the course: 1 lessons",
        "cpu:0: a small VAE starts in",
    ):
        assert line in output
    assert "images/s" in output


def test_mistakes_end_in_one_line(tiny):
    for arguments, message in (
        (["list", "9"], "there is no lesson '9'; there are: 01_tiny"),
        (["grade", "nowhere"], "there is no file or folder nowhere"),
        (["reset", "1", "1.1"], "there is no notebook lessons/01_tiny.ipynb"),
    ):
        run = subprocess.run([*HVAE, *arguments], capture_output=True, text=True)
        assert run.returncode == 2
        assert run.stderr.strip() == f"hvae: {message}"


def test_outside_a_course_the_message_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("HVAE_COURSE", str(tmp_path))
    run = subprocess.run([*HVAE, "list"], capture_output=True, text=True)
    assert run.returncode == 2
    assert "holds no course" in " ".join(run.stderr.split())
