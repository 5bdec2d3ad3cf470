"""What grading platforms get: their scripts are run here, in folders shaped as theirs."""

import base64
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from hvae_keras.cli import app
from hvae_keras.course.build import build
from hvae_keras.course.bundle import CannotPack
from hvae_keras.course.package import write_github, write_gradescope
from hvae_keras.course.packages import github, gradescope

SOLVED = {"double": "return FACTOR * np.asarray(x)", "total": "return np.sum(x)"}
SETTINGS = """
[grading]
seed = 7
[points]
"1.1" = 4
[late]
due = 2026-01-01T00:00:00+00:00
penalty = 0.25
[late.extensions]
alice = 2026-01-03T00:00:00+00:00
[weights]
"01" = 2
[reveal]
when = "never"
"""
COURSE = Path(__file__).resolve().parents[2]
COMMAND = "from hvae_keras.cli import main; main()"


@pytest.fixture
def built(tiny):
    """The tiny course with its student notebook."""
    build(tiny, "01_tiny", execute=False)
    return tiny


def answered(course: Path, *names: str) -> str:
    """The text of the student notebook with the right answers to these exercises."""
    notebook = json.loads((course / "lessons/01_tiny.ipynb").read_text())
    for cell in notebook["cells"]:
        for name in names:
            if cell["source"].startswith(f"def {name}("):
                cell["source"] = cell["source"].replace("raise NotImplementedError()", SOLVED[name])
    return json.dumps(notebook)


def program(path: Path, text: str) -> None:
    """A shell script that can be called by its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def environment(**more: str) -> dict[str, str]:
    """The environment of a bare machine, but for where this Python finds the library."""
    kept = ("PATH", "HOME", "LANG", "PYTHONPATH", "TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS")
    return {name: os.environ[name] for name in kept if name in os.environ} | more


# Gradescope ----------------------------------------------------------------------------------------------


@pytest.fixture
def container(built, tmp_path_factory):
    """Makes Gradescope's folders around a package of the course as it is now.

    `environment/`, where setup.sh installs the package, is this test's own Python.
    """

    def make() -> Path:
        root = tmp_path_factory.mktemp("autograder")
        write_gradescope(built, "01_tiny", root / "package.zip")
        with zipfile.ZipFile(root / "package.zip") as archive:
            for entry in archive.infolist():
                path = Path(archive.extract(entry, root / "source"))
                path.chmod(stat.S_IMODE(entry.external_attr >> 16))  # as unzip does, and zipfile does not
        shutil.copy(root / "source/run_autograder", root)
        for name in ("submission", "results"):
            (root / name).mkdir()
        program(root / "environment/bin/python", f'exec "{sys.executable}" "$@"')
        return root

    return make


def autograde(root: Path, *, says: dict | None = None, **handed_in: str) -> dict:
    """Hand files in, run the autograder as Gradescope does, and read what it wrote."""
    for name, text in handed_in.items():
        (root / "submission" / f"{name}.ipynb").write_text(text)
    if says is not None:
        (root / "submission_metadata.json").write_text(json.dumps(says))
    ran = subprocess.run(
        [root / "run_autograder"],
        cwd=root,
        env=environment(AUTOGRADER_ROOT=str(root)),
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads((root / "results/results.json").read_text())


def test_the_package_has_its_scripts_on_top_and_no_solutions(built):
    (built / "tests/lessons/test_02_other.py").write_text("")
    names = write_gradescope(built, "01_tiny", built / "package.zip")
    assert {name for name in names if "/" not in name} == {"setup.sh", "run_autograder"}
    assert {"course/lessons/01_tiny.ipynb", "course/tests/lessons/test_01_tiny.py"} <= set(names)
    assert {"course/pyproject.toml", "course/constraints.txt", "course/hvae_keras/cli.py"} <= set(names)
    assert not [name for name in names if name.startswith("course/solutions") or "02_other" in name]
    with zipfile.ZipFile(built / "package.zip") as archive:
        modes = {entry.filename: stat.S_IMODE(entry.external_attr >> 16) for entry in archive.infolist()}
        scripts = [archive.read(name).decode() for name in ("setup.sh", "run_autograder")]
    assert {name for name, mode in modes.items() if mode & 0o111} == {"setup.sh", "run_autograder"}
    for text in scripts:
        assert text.startswith("#!/usr/bin/env bash\n") and "\r" not in text and "[[" not in text
        assert subprocess.run(["bash", "-n"], input=text, text=True).returncode == 0


def test_the_package_is_the_same_every_time(built):
    for name in ("one.zip", "two.zip"):
        write_gradescope(built, "01_tiny", built / name)
    assert (built / "one.zip").read_bytes() == (built / "two.zip").read_bytes()


def test_settings_go_along_without_names_and_without_other_lessons(built):
    other = (built / "tests/lessons/test_01_tiny.py").read_text().replace('"1.', '"2.')
    (built / "tests/lessons/test_02_other.py").write_text(other)
    (built / "course.toml").write_text(SETTINGS.replace('"1.1" = 4', '"1.1" = 4\n"2.1" = 9'))
    write_gradescope(built, "01_tiny", built / "package.zip")
    with zipfile.ZipFile(built / "package.zip") as archive:
        tables = tomllib.loads(archive.read("course/course.toml").decode())
    assert tables == {"grading": {"seed": 7}, "points": {"1.1": 4}, "late": {"penalty": 0.25}}


def test_another_settings_file_stands_in_for_the_courses_own(built, tmp_path_factory):
    rules = tmp_path_factory.mktemp("rules") / "autumn.toml"
    rules.write_text('[grading]\nseed = 3\n[points]\n"1.2" = 9\n[reveal]\nwhen = "passed"\n')
    (built / "course.toml").write_text(SETTINGS)
    write_gradescope(built, "01_tiny", built / "package.zip", rules)
    with zipfile.ZipFile(built / "package.zip") as archive:
        tables = tomllib.loads(archive.read("course/course.toml").decode())
    assert tables == {"grading": {"seed": 3}, "points": {"1.2": 9}}
    write_github(built, "01_tiny", built / "made", rules)
    tables = tomllib.loads((built / "made/course.toml").read_text())
    assert tables == {"points": {"1.2": 9}, "reveal": {"when": "passed"}}
    rules.write_text("[grading]\nsed = 3\n")
    for write in (write_gradescope, write_github):
        with pytest.raises(CannotPack, match=r"autumn.toml.*sed"):
            write(built, "01_tiny", built / "none", rules)
    assert not (built / "none").exists()


def test_gradescope_grades_a_half_solved_and_an_untouched_notebook(container, built):
    for names, score in ((("double",), 2), ((), 0)):
        results = autograde(container(), work=answered(built, *names))
        assert results["score"] == score
        assert sum(test["max_score"] for test in results["tests"]) == 5
        assert sum(test["score"] for test in results["tests"]) == score


def test_gradescope_follows_the_points_and_the_due_date(container, built):
    """36 hours late are 2 days begun: half of 7 points. An extension of 2 days takes the penalty away."""
    (built / "course.toml").write_text(SETTINGS)
    work = answered(built, "double", "total")
    assignment = {"due_date": "2026-03-01T23:59:00.000000-08:00"}
    late = {"created_at": "2026-03-03T11:59:00.000000-08:00", "assignment": assignment, "users": [{"id": 1}]}
    assert autograde(container(), says=late, work=work)["score"] == 3.5
    extended = {"id": 1, "assignment": {"due_date": "2026-03-03T23:59:00.000000-08:00"}}
    assert autograde(container(), says=late | {"users": [extended]}, work=work)["score"] == 7


def test_gradescope_says_what_is_wrong_with_a_hand_in(container, built):
    nothing = autograde(container())
    assert nothing["score"] == 0 and "There is no notebook" in nothing["output"]
    work = answered(built, "double", "total")
    several = autograde(container(), one=work, two=work)
    assert several["score"] == 0 and "2 notebooks: one.ipynb, two.ipynb" in several["output"]
    broken = autograde(container(), work="{not JSON")
    assert broken["score"] == 0 and "not a notebook" in json.dumps(broken)
    assert "not your fault" not in json.dumps([nothing, several, broken])


def test_gradescope_ignores_copies_and_takes_any_name(container, built):
    root = container()
    (root / "submission/.ipynb_checkpoints").mkdir()
    (root / "submission/__MACOSX").mkdir()
    (root / "submission/deep/er").mkdir(parents=True)
    for name in (".ipynb_checkpoints/work-checkpoint.ipynb", "__MACOSX/._work.ipynb", "._work.ipynb"):
        (root / "submission" / name).write_text("x")
    (root / "submission/link.ipynb").symlink_to(root / "source/course/lessons/01_tiny.ipynb")
    hostile = root / "submission/deep/er/--help; $(touch pwned) 'x'.IPYNB"
    hostile.write_text(answered(built, "double", "total"))
    assert autograde(root)["score"] == 5


@pytest.mark.parametrize("fault", ["no Python", "Python ends", "no checks", "killed"])
def test_when_the_grader_breaks_the_student_is_told_that_it_did(container, built, fault):
    root = container()
    if fault == "no Python":
        shutil.rmtree(root / "environment")
    elif fault == "Python ends":
        program(root / "environment/bin/python", "exit 3")
    elif fault == "no checks":
        (root / "source/course/tests/lessons/test_01_tiny.py").unlink()
    else:
        program(root / "environment/bin/python", "kill -9 $$")
    results = autograde(root, work=answered(built, "double", "total"))
    assert results["score"] == 0 and "This is not your fault" in results["output"]


def test_an_old_result_does_not_stay_when_the_grader_breaks(container, built):
    """Not even one that a submission has put there."""
    root = container()
    (root / "results/results.json").write_text('{"score": 100}')
    program(root / "environment/bin/python", "exit 3")
    assert autograde(root, work=answered(built))["score"] == 0


def test_dates_that_gradescope_does_not_give_are_no_dates():
    noon = datetime(2026, 3, 3, 20, tzinfo=UTC)
    assert gradescope.moment("2026-03-03T12:00:00.000000-08:00") == noon
    for text in (None, "", "tomorrow", 7, "2026-03-03T11:59:00"):
        assert gradescope.moment(text) is None


def test_a_lesson_with_a_name_that_a_shell_would_read_is_refused(built):
    for folder, name in (("tests/lessons", "test_01_a b.py"), ("lessons", "01_a b.ipynb")):
        source = next((built / folder).glob("*01_tiny*"))
        shutil.copy(source, built / folder / name)
    with pytest.raises(CannotPack, match="01_a b"):
        write_gradescope(built, "01_a b", built / "package.zip")


# GitHub --------------------------------------------------------------------------------------------------


@pytest.fixture
def repository(built, tmp_path_factory):
    """A student's checkout of the template repository that the package makes."""
    folder = tmp_path_factory.mktemp("checkout") / "repository"
    write_github(built, "01_tiny", folder)
    return folder


def run_workflow(folder: Path) -> dict:
    """Run the workflow's own commands as a runner does: one bash a step, none after a failure unless `if` says so.

    `python` and `hvae` are this test's; installing is left out, and what would be installed is kept.
    """
    machine = folder.parent / "machine"
    program(machine / "hvae", f"exec '{sys.executable}' -c '{COMMAND}' \"$@\"")
    pip = f'[ "$2" = pip ] && {{ shift 2; echo "$@" >> "{machine}/pip"; exit; }}'
    program(machine / "python", f'{pip}\nexec "{sys.executable}" "$@"')
    variables = {name: str(machine / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    variables |= {"RUNNER_TEMP": str(machine / "temp"), "PATH": f"{machine}:{os.environ['PATH']}"}
    workflow = yaml.safe_load((folder / ".github/workflows/classroom.yml").read_text())
    (job,) = workflow["jobs"].values()
    failed, printed = False, ""
    for step in job["steps"]:
        if "run" not in step or (failed and "!cancelled()" not in step.get("if", "")):
            continue
        ran = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=folder,
            env=environment(**job["env"]) | variables,
            capture_output=True,
            text=True,
        )
        failed |= ran.returncode != 0
        printed += ran.stdout
    output = machine / "GITHUB_OUTPUT"
    return {
        "failed": failed,
        "printed": printed,
        "summary": (machine / "GITHUB_STEP_SUMMARY").read_text(),
        "output": dict(line.split("=", 1) for line in output.read_text().splitlines()) if output.exists() else {},
        "pip": (machine / "pip").read_text().split(),
        "feedback": list((machine / "temp").glob("grades/students/*/feedback.html")),
    }


def test_the_workflow_has_the_form_that_github_and_classroom_tools_read(repository):
    workflow = yaml.safe_load((repository / ".github/workflows/classroom.yml").read_text())
    assert workflow["name"] == "Autograding Tests" and list(workflow["jobs"]) == ["run-autograding-tests"]
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow[True] == ["push", "workflow_dispatch", "repository_dispatch"]  # YAML 1.1 reads `on` as true
    steps = workflow["jobs"]["run-autograding-tests"]["steps"]
    uses = [step["uses"] for step in steps if "uses" in step]
    assert [name.split("@")[0] for name in uses] == [
        "actions/checkout",
        "actions/setup-python",
        "actions/upload-artifact",
    ]
    setup = next(step["with"] for step in steps if "setup-python" in step.get("uses", ""))
    assert setup["cache"] == "pip"
    for path in setup["cache-dependency-path"].split():
        assert (repository / path).is_file()
    upload = next(step["with"] for step in steps if "upload-artifact" in step.get("uses", ""))
    assert upload["path"] == "${{ runner.temp }}/grades/students/*/feedback.html"


def test_the_repository_holds_one_lesson_and_no_solutions(built, tmp_path):
    (built / "course.toml").write_text(SETTINGS)
    names = write_github(built, "01_tiny", tmp_path / "made")
    written = {path.relative_to(tmp_path / "made").as_posix() for path in (tmp_path / "made").rglob("*")}
    assert set(names) <= written and ".gitignore" in names
    assert not [name for name in names if name.startswith("solutions")]
    settings = tomllib.loads((tmp_path / "made/course.toml").read_text())
    assert settings == {"points": {"1.1": 4}, "reveal": {"when": "never"}}


def test_the_readme_is_of_this_lesson_and_links_to_what_is_there(repository):
    text = (repository / "README.md").read_text()
    assert text.startswith("# Tiny\n") and len(text.splitlines()) <= 25 and "[[" not in text
    targets = re.findall(r"\]\(([^)]+)\)", text)
    assert "lessons/01_tiny.ipynb" in targets
    assert [target for target in targets if not (repository / target).is_file()] == []
    assert set(re.findall(r"lessons/\w+\.ipynb", text)) == {"lessons/01_tiny.ipynb"}


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")
@pytest.mark.parametrize("headless", [(), ("HEADLESS=1",)])
def test_make_learn_opens_the_first_lesson_there_is(repository, headless):
    """Not the copy that Jupyter makes, which comes first in the alphabet."""
    shutil.copy(repository / "lessons/01_tiny.ipynb", repository / "lessons/01_tiny-Copy1.ipynb")
    for folder, lesson in ((repository, "01_tiny"), (COURSE, "01_autoencoder")):
        command = ["make", "--dry-run", "learn", *headless]
        ran = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True)
        assert re.findall(r"lessons/\S*", ran.stdout) == [f"lessons/{lesson}.ipynb"], ran.stderr


def test_git_ignores_what_the_commands_write_into_a_checkout(built):
    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=built, capture_output=True, text=True, check=True).stdout

    shutil.copy(COURSE / ".gitignore", built)
    git("init", "--quiet")
    git("add", "--all")
    for command in (("bundle",), ("package", "gradescope", "1"), ("package", "github", "1")):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output
    assert {"hvae_course.zip", "gradescope_01_tiny.zip", "github_01_tiny"} <= {
        path.name for path in built.iterdir()
    }
    assert git("ls-files", "--others", "--exclude-standard") == ""


def test_a_folder_with_something_in_it_is_left_alone(built, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/work.txt").write_text("work")
    with pytest.raises(FileExistsError, match="mine is there already"):
        write_github(built, "01_tiny", tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["work.txt"]
    (tmp_path / "empty").mkdir()
    assert "README.md" in write_github(built, "01_tiny", tmp_path / "empty")


def test_the_workflow_passes_when_all_is_passed(repository):
    (repository / "lessons/01_tiny.ipynb").write_text(answered(repository, "double", "total"))
    ran = run_workflow(repository)
    assert not ran["failed"] and len(ran["feedback"]) == 1
    assert ran["summary"].startswith("## 01_tiny: 5 of 5 points\n") and "✗" not in ran["summary"]
    assert "::notice title=Autograding complete::Points 5/5\n" in ran["printed"]
    assert '::notice title=Autograding report::{"totalPoints": 5.0, "maxPoints": 5' in ran["printed"]
    assert ran["output"]["points"] == ran["output"]["of"] == "5"
    result = json.loads(base64.b64decode(ran["output"]["result"]))
    assert (
        result["status"] == "pass" and result["max_score"] == sum(test["score"] for test in result["tests"]) == 5
    )
    options = ran["pip"]
    assert options[0] == "install" and (repository / options[options.index("-c") + 1]).is_file()
    assert (repository / options[options.index("-e") + 1] / "pyproject.toml").is_file()


def test_the_workflow_fails_and_shows_the_points_when_not_all_is_passed(repository):
    (repository / "lessons/01_tiny.ipynb").write_text(answered(repository, "double"))
    ran = run_workflow(repository)
    assert ran["failed"] and len(ran["feedback"]) == 1
    assert ran["summary"].startswith("## 01_tiny: 2 of 5 points\n")
    assert (ran["summary"].count("| ✓ |"), ran["summary"].count("| ✗ |")) == (2, 1)
    assert "Points 2/5\n" in ran["printed"]
    assert json.loads(base64.b64decode(ran["output"]["result"]))["status"] == "fail"


def test_the_workflow_says_whose_fault_it_is(repository):
    notebook = repository / "lessons/01_tiny.ipynb"
    text = notebook.read_text()
    notebook.unlink()
    gone = run_workflow(repository)
    assert gone["failed"] and "There is no lessons/01_tiny.ipynb" in gone["summary"]
    notebook.write_text(text)
    (repository / "tests/lessons/test_01_tiny.py").write_text("raise RuntimeError\n")
    shutil.rmtree(repository.parent / "machine")
    broken = run_workflow(repository)
    assert broken["failed"] and "This is not your fault" in broken["summary"]
    assert "::error" in gone["printed"] and "::error" in broken["printed"]


def test_what_a_student_wrote_is_only_text_in_the_summary():
    test = {"name": "a | b <img src=x> `c`\n# d", "number": "1.1", "score": 0, "max_score": 1, "status": "failed"}
    lines = github.summary("01_tiny", [test], 0, 1).splitlines()
    row = next(line for line in lines if line.startswith("| ✗"))
    assert row == "| ✗ | 1.1 a \\| b &lt;img src=x&gt; \\`c\\` # d | 0 of 1 |"
