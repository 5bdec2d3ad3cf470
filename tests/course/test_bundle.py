"""What students get: the whole course, nothing of its solutions, and it works."""

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from leaks import Leak, leaks, solutions

from hvae_keras.course.build import build
from hvae_keras.course.bundle import CannotPack, course_files, write_bundle
from hvae_keras.course.packages.readme import with_sections, without_broken_links

COURSE = Path(__file__).resolve().parents[2]

# Lines of solutions that are said elsewhere too, each with the reason why that gives nothing away.
SHARED = {
    # The library has the same distance, of means it also uses for another score.
    ("hvae_keras/metrics/fidelity.py", "frechet_distance", "gap=real.mean(axis=0)-generated.mean(axis=0)"),
    # The idiom for "all axes but the first" stands in the broken loss that exercise 2.7 shows.
    ("lessons/02_vae.ipynb", "bernoulli_log_likelihood", "axes=tuple(range(1,np.ndim(x)))"),
    # The lesson shows the broken code; these lines of it are right, and the student finds the one that is not.
    ("lessons/02_vae.ipynb", "mended_loss", "axes=tuple(range(1,np.ndim(x)))"),
    ("lessons/02_vae.ipynb", "mended_loss", "log_likelihood=ops.sum(x*logits-ops.softplus(logits),axis=axes)"),
    ("lessons/02_vae.ipynb", "mended_loss", "returnops.mean(kl-log_likelihood)"),
    (
        "lessons/08_evaluation.ipynb",
        "mended_comparison",
        "return((a.mean(axis=0)-b.mean(axis=0))**2+(a.std(axis=0)-b.std(axis=0))**2).sum()",
    ),
    # Lesson 04 comes after lesson 01 and makes its networks with the same Keras call.
    ("lessons/04_hierarchical_priors.ipynb", "make_pair", "decoder=keras.Sequential("),
    ("lessons/04_hierarchical_priors.ipynb", "make_pair", "encoder=keras.Sequential("),
    # The text of the lesson gives this line; what is asked is what to do with it.
    ("lessons/08_evaluation.ipynb", "inception_score", "marginal=probabilities.mean(axis=0)"),
}


@pytest.fixture
def built(tiny):
    """The tiny course with its student notebook, and things lying about that no student should get."""
    build(tiny, "01_tiny", execute=False)
    for name in (
        "grades/students/alice/grade.json",
        "lessons/grades/grades.csv",
        "lessons/.hvae/1.1.json",
        "notes.txt",
    ):
        (tiny / name).parent.mkdir(parents=True, exist_ok=True)
        (tiny / name).write_text("secret")
    return tiny


def git(folder, *arguments):
    subprocess.run(["git", "-C", folder, "-c", "user.name=a", "-c", "user.email=a@b", *arguments], check=True)


# What is in it -------------------------------------------------------------------------------------------


def test_holds_lessons_library_checks_and_no_solutions(built):
    names = {name.removeprefix("hvae_course/") for name in write_bundle(built, built / "out.zip")}
    wanted = {"lessons/01_tiny.ipynb", "tests/lessons/test_01_tiny.py", "hvae_keras/__init__.py", "README.md"}
    assert wanted | {"LICENSE", "Makefile", "pyproject.toml", "constraints.txt", "environment.yml"} <= names
    assert {name.split("/")[0] for name in names if "/" in name} == {"lessons", "tests", "hvae_keras"}
    outside = [name for name in names if not name.startswith("hvae_keras")]
    assert not [name for name in outside if any(word in name for word in ("solutions", "grades", ".hvae"))]
    assert not [name for name in names if "__pycache__" in name]


def test_the_real_course_is_whole():
    """Every lesson, card, picture and shipped weight that is there; no other tests, no benchmarks."""
    names = set(course_files(COURSE))
    for pattern in (
        "*.ipynb",
        "pictures/*.png",
        "weights/*.npz",
        "../datasets/*.md",
        "../tests/lessons/test_*.py",
    ):
        there = {path.resolve().relative_to(COURSE).as_posix() for path in (COURSE / "lessons").glob(pattern)}
        assert there and there <= names
    folders = {name.rsplit("/", 1)[0] for name in names if not name.startswith("hvae_keras")}
    tops = {name for name in names if "/" not in name}
    assert folders - tops == {"lessons", "lessons/pictures", "lessons/weights", "tests/lessons", "datasets"}


def test_the_same_course_gives_the_same_bytes(built):
    write_bundle(built, built / "one.zip")
    notebook = built / "lessons/01_tiny.ipynb"
    os.utime(notebook, (0, 0))
    text = notebook.read_bytes()
    notebook.unlink()
    notebook.write_bytes(text)
    write_bundle(built, built / "two.zip")
    assert (built / "one.zip").read_bytes() == (built / "two.zip").read_bytes()


def test_in_a_checkout_only_what_git_tracks(built):
    git(built, "init", "--quiet")
    git(built, "add", "lessons/01_tiny.ipynb", "tests/lessons")
    (built / "lessons/weights").mkdir()
    (built / "lessons/weights/01_mine.npz").write_bytes(b"mine")
    (built / "tests/lessons/test_01_alice.py").write_text("")
    names = set(course_files(built, "01_tiny"))
    course = {name for name in names if name.startswith(("lessons", "tests"))}
    assert course == {"lessons/01_tiny.ipynb", "tests/lessons/test_01_tiny.py"}
    git(built, "add", "lessons/weights")
    assert "lessons/weights/01_mine.npz" in course_files(built, "01_tiny")
    (built / "lessons/weights/01_mine.npz").unlink()
    with pytest.raises(CannotPack, match="01_mine.npz is tracked by git and is not there"):
        course_files(built, "01_tiny")


def test_a_link_out_of_the_course_is_refused(built):
    (built / "lessons/weights").mkdir()
    (built / "lessons/weights/01_link.npz").symlink_to(built / "notes.txt")
    with pytest.raises(CannotPack, match="01_link.npz is a link"):
        course_files(built, "01_tiny")


def test_a_lesson_that_somebody_worked_in_is_refused(built):
    path = built / "lessons/01_tiny.ipynb"
    text = path.read_text()
    path.write_text(text.replace("raise NotImplementedError()", "return 2 * x", 1))
    with pytest.raises(CannotPack, match=r"exercise 1.1 is not a stub.*hvae build"):
        write_bundle(built, built / "out.zip")
    notebook = json.loads(text)
    next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")["outputs"] = [
        {"output_type": "stream"}
    ]
    path.write_text(json.dumps(notebook))
    with pytest.raises(CannotPack, match="1 cells have outputs"):
        write_bundle(built, built / "out.zip")
    path.write_text("{}")
    with pytest.raises(CannotPack, match="not as `hvae build` made it"):
        write_bundle(built, built / "out.zip")
    assert not (built / "out.zip").exists()


def test_settings_are_reduced_to_what_matters_to_a_student(built):
    (built / "course.toml").write_text(
        '[grading]\nseed = 7\nleave_out = ["1.2"]\n[points]\n"1.1" = 5\n[late]\ndue = 2026-10-01T23:59:00+02:00\n'
        "penalty = 0.1\n[late.extensions]\nalice = 2026-10-03T23:59:00+02:00\n"
        '[reveal]\nwhen = "date"\ndate = 2026-10-02T00:00:00+02:00\n'
    )
    write_bundle(built, built / "out.zip")
    with zipfile.ZipFile(built / "out.zip") as archive:
        text = archive.read("hvae_course/course.toml").decode()
    before, after = tomllib.loads((built / "course.toml").read_text()), tomllib.loads(text)
    assert after == {
        "grading": {"leave_out": ["1.2"]},
        "points": {"1.1": 5},
        "reveal": before["reveal"],
    }
    (built / "course.toml").write_text("[grading]\nsed = 1\n")
    with pytest.raises(CannotPack, match=r"course.toml.*sed"):
        write_bundle(built, built / "out.zip")


def test_another_settings_file_stands_in_for_the_courses_own(built, tmp_path_factory):
    other = tmp_path_factory.mktemp("rules") / "autumn.toml"
    other.write_text('[points]\n"1.2" = 9\n')
    for own in (None, '[points]\n"1.1" = 5\n[reveal]\nwhen = "never"\n'):
        if own:
            (built / "course.toml").write_text(own)
        write_bundle(built, built / "out.zip", other)
        with zipfile.ZipFile(built / "out.zip") as archive:
            text = archive.read("hvae_course/course.toml").decode()
        assert tomllib.loads(text) == {"points": {"1.2": 9}}
    other.write_text('[points]\n"7.7" = 9\n')
    with pytest.raises(CannotPack, match=r"autumn.toml.*7\.7"):
        write_bundle(built, built / "out.zip", other)
    with pytest.raises(CannotPack, match=r"no settings file .*winter.toml"):
        write_bundle(built, built / "out.zip", other.with_name("winter.toml"))


def test_a_course_without_lessons_is_refused(built):
    (built / "tests/lessons/test_01_tiny.py").unlink()
    with pytest.raises(CannotPack, match="no lessons"):
        write_bundle(built, built / "out.zip")


# Its README ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def students_copy(tmp_path_factory):
    """The real course's bundle, unpacked."""
    folder = tmp_path_factory.mktemp("real")
    write_bundle(COURSE, folder / "out.zip")
    with zipfile.ZipFile(folder / "out.zip") as archive:
        archive.extractall(folder)
    return folder / "hvae_course"


def test_every_link_of_the_readme_leads_to_a_file_that_is_there(students_copy):
    targets = re.findall(r"\]\(([^)]+)\)", (students_copy / "README.md").read_text())
    relative = [target for target in targets if "://" not in target]
    assert len(relative) > len(list((students_copy / "lessons").glob("*.ipynb")))
    assert [target for target in relative if not (students_copy / target).exists()] == []


def test_the_readme_names_only_what_students_have(students_copy):
    text = (students_copy / "README.md").read_text()
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == ["## Two commands", "## Lessons", "## The library"]
    assert text.startswith("# hvae_keras\n") and text.endswith("MIT licence.\n") and "make learn" in text
    for word in ("pytest", "nbval", "solutions/", "benchmarks", "hvae bundle", "hvae build", "hvae audit", "[["):
        assert word not in text
    for path in re.findall(r"lessons[/\\]\w+\.ipynb", text):
        assert (students_copy / path.replace("\\", "/")).is_file()


def test_what_students_keep_of_the_readme_is_unchanged(students_copy):
    text = (students_copy / "README.md").read_text()
    lines = (COURSE / "README.md").read_text().splitlines()
    lessons = lines[lines.index("## Lessons") : lines.index("## For instructors")]
    assert "\n".join(lessons).strip() in text


def test_sections_are_replaced_by_their_heading():
    text = "# A\nin\n## B\n1\n### B1\n2\n```\n## C\n```\n3\n## C\n4\n```\nx\n\n## D\n```\n5\n## D\n6\n"
    assert with_sections(text, {}) == text
    assert with_sections(text, {"C": ""}) == text.replace("## C\n4\n```\nx\n\n## D\n```\n5\n", "")
    assert with_sections(text, {"B": "## N\n"}) == "# A\nin\n## N\n## C\n4\n```\nx\n\n## D\n```\n5\n## D\n6\n"


def test_what_links_to_nothing_goes_and_the_rest_stays():
    names = ("a.md", "folder/b.md")
    kept = "See [a](a.md).\nAnd `f(x)[0](y z)`, [b](folder/),\n[web](https://example.org/), [up](#up).\n"
    block = "```\n[x](gone.md)\n\n\n\nx\n```\n"
    assert without_broken_links(f"{kept}\n{block}", names) == f"{kept}\n{block}"
    text = f"![Left. Right](gone.png)\n\nOne [a](a.md). Two [x](gone.md), e.g.\nhere. Three.\n\n{block}\n"
    table = "| | |\n|---|---|\n| [a](a.md) | 1 |\n| [x](fold/) | 2 |\n| 3 | 4 |\n"
    assert without_broken_links(text.replace("e.g.\n", "") + table, names) == (
        f"\n\nOne [a](a.md). Three.\n\n{block}\n" + table.replace("| [x](fold/) | 2 |\n", "")
    )


# No solutions in it --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real():
    """The files of the real course's bundle, and all its solutions."""
    return course_files(COURSE), solutions(COURSE / "solutions")


def test_nothing_of_the_solutions_is_in_it(real):
    """Every line that is shared is listed with its reason, and what is listed is still shared."""
    found = {(leak.file, leak.name, leak.line) for leak in leaks(*real)}
    assert found == SHARED


def test_the_scan_knows_every_solution(real):
    """One for each exercise that the lessons' notebooks name."""
    files, answers = real
    notebooks = [json.loads(files[name]) for name in files if name.endswith(".ipynb")]
    names = [item["name"] for notebook in notebooks for item in notebook["metadata"]["hvae"]["exercises"].values()]
    assert sorted(answer.name for answer in answers) == sorted(names)


ANSWER = "    wide = np.stack([x - x.mean(), x + x.mean()])\n    return wide.prod(axis=0) ** 0.5\n"
SHORT = "    return np.sum(x)\n"


def planted(where: str, body: str) -> bytes:
    """A file with a solution in it, in the place named."""
    code = f'def root(x):\n    """The root."""\n{body}'
    cell = {"cell_type": "code", "metadata": {}, "outputs": [], "source": ["x = 1\n", "y = 2"]}
    notebook = {"cells": [cell], "metadata": {}}
    if where == "cell":
        cell["source"] = code.splitlines(keepends=True)
    elif where == "metadata":
        cell["metadata"]["hvae"] = {"stub": code}
    elif where == "notebook metadata":
        notebook["metadata"]["answers"] = [{"1.1": code}]
    elif where == "output":
        cell["outputs"] = [{"output_type": "stream", "text": ["so:\n", *code.splitlines(keepends=True)]}]
    elif where == "representation in an output":
        cell["outputs"] = [{"data": {"text/plain": repr(code)}}]
    elif where == "markdown":
        cell |= {"cell_type": "markdown", "source": f"Thus\n\n```python\n{code}```\n"}
    elif where == "code":
        return f"import numpy as np\n\n\n{code}".encode()
    elif where == "comment":
        return "".join(f"# {line}\n" for line in code.splitlines()).encode()
    elif where == "other spaces":
        return code.replace("    ", "\t").replace(" - ", "-").replace("\n", "\r\n").encode()
    return json.dumps(notebook).encode()


PLACES = (
    "cell",
    "metadata",
    "notebook metadata",
    "output",
    "representation in an output",
    "markdown",
    "code",
    "comment",
    "other spaces",
)


@pytest.mark.parametrize("body", [ANSWER, SHORT], ids=["long", "short"])
@pytest.mark.parametrize("where", PLACES)
def test_a_planted_solution_is_found(tmp_path, where, body):
    """Wherever it stands, in a lesson or in the lesson's own checks; and not where it does not stand."""
    source = f"# %%\ndef root(x):\n    ### BEGIN SOLUTION\n{body}    ### END SOLUTION\n"
    (tmp_path / "01_roots.py").write_text(source)
    answers = solutions(tmp_path)
    for file in ("lessons/01_roots.ipynb", "tests/lessons/test_01_roots.py"):
        assert Leak(file, "root", "(all)") in leaks({file: planted(where, body)}, answers)
        assert leaks({file: planted("nowhere", body)}, answers) == []


def test_one_line_of_a_solution_is_found_but_in_its_own_checks(tmp_path):
    source = f"def root(x):\n    ### BEGIN SOLUTION\n{ANSWER}    ### END SOLUTION\n"
    (tmp_path / "01_roots.py").write_text(source)
    answers, content = solutions(tmp_path), b"Try `return wide.prod(axis=0) ** 0.5` now.\n"
    line = "returnwide.prod(axis=0)**0.5"
    assert leaks({"README.md": content}, answers) == [Leak("README.md", "root", line)]
    assert leaks({"tests/lessons/test_02_vae.py": content}, answers) != []
    assert leaks({"tests/lessons/test_01_roots.py": content}, answers) == []
    assert leaks({"README.md": b"    return wide\n"}, answers) == []


@pytest.mark.parametrize("file", ["lessons/02_vae.ipynb", "tests/lessons/test_02_vae.py", "hvae_keras/music.py"])
def test_a_real_solution_planted_in_a_real_file_is_found(real, file):
    """Every solution of lesson 02, one at a time."""
    files, answers = real
    for answer in (answer for answer in answers if answer.lesson == "02_vae"):
        body = "\n".join(f"    {line}" for line in answer.lines)
        if file.endswith(".ipynb"):
            notebook = json.loads(files[file])
            notebook["cells"][-1]["source"] += f"\n{body}\n"
            content = json.dumps(notebook).encode()
        else:
            content = files[file] + f"\n\ndef f():\n{body}\n".encode()
        assert Leak(file, answer.name, "(all)") in leaks({file: content}, [answer])


# A student with it ---------------------------------------------------------------------------------------


def as_a_student(folder: Path, *command: str) -> subprocess.CompletedProcess:
    """Run Python in the unpacked bundle, with the bundle's library."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HVAE_")}
    environment["PYTHONPATH"] = str(folder)
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8"
    )


@pytest.fixture
def unpacked(built, tmp_path_factory):
    """The tiny course's bundle, unpacked where nothing else is."""
    folder = tmp_path_factory.mktemp("student")
    write_bundle(built, built / "out.zip")
    with zipfile.ZipFile(built / "out.zip") as archive:
        archive.extractall(folder)
    return folder / "hvae_course"


def test_a_student_can_list_check_take_hints_and_ask_for_a_solution(unpacked):
    listed = as_a_student(unpacked, "-c", "from hvae_keras.cli import main; main()", "list")
    assert "01_tiny" in listed.stdout and listed.returncode == 0, listed.stderr
    work = unpacked / "work.py"
    work.write_text(
        "from hvae_keras.course import check, hint, reveal\nimport hvae_keras\nprint(hvae_keras.__file__)\n"
        "check('1.1', lambda x: [2 * v for v in x] if isinstance(x, list) else 2 * x)\n"
        "hint('1.1')\nreveal('1.1')\n"
    )
    worked = as_a_student(unpacked, "work.py")
    assert worked.returncode == 0, worked.stderr
    lines = worked.stdout.splitlines()
    assert lines[0] == str(unpacked / "hvae_keras/__init__.py")
    assert lines[1].startswith("✓ 1.1 double") and "Hint 1 of 3: Twice." in lines
    assert "without solutions" in lines[-1]


def test_a_student_can_run_the_checks_with_pytest(unpacked):
    command = ("-m", "pytest", "-q", "--submission", "lessons/01_tiny.ipynb", "tests/lessons")
    before = as_a_student(unpacked, *command)
    assert "3 failed" in before.stdout and "not attempted" in before.stdout, before.stdout + before.stderr
    notebook = unpacked / "lessons/01_tiny.ipynb"
    text = notebook.read_text()
    notebook.write_text(text.replace("raise NotImplementedError()", "return 2 * np.asarray(x)", 1))
    after = as_a_student(unpacked, *command)
    assert "1 failed, 2 passed" in after.stdout, after.stdout + after.stderr
