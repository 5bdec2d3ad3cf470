"""Report a graded lesson in a GitHub workflow: `python -m hvae_keras.course.packages.github GRADES NOTEBOOK`.

Writes the run's summary and the outputs `points`, `of` and `result`, and fails unless all was passed.
"""

import base64
import html
import json
import os
import sys
from pathlib import Path


def main(grades: Path, notebook: Path) -> int:
    """Report what `hvae grade NOTEBOOK --out GRADES` wrote; the exit status: 0 if all was passed, else 1."""
    lesson = notebook.stem
    if not notebook.is_file():
        return _nothing(lesson, f"There is no {notebook.as_posix()} in the repository: put it back.")
    try:
        (path,) = grades.glob("students/*/results.json")
        results = json.loads(path.read_text(encoding="utf-8"))
        tests, points = results["tests"], float(results["score"])
        of = sum(test["max_score"] for test in tests)
    except (OSError, ValueError, KeyError, TypeError):
        return _nothing(lesson, "The grader failed. This is not your fault: tell your instructor.")
    _append("GITHUB_STEP_SUMMARY", summary(lesson, tests, points, of))
    _append("GITHUB_OUTPUT", f"points={points:g}\nof={of:g}\nresult={encoded(tests, of)}\n")
    print(f"::notice title=Autograding complete::Points {points:g}/{of:g}")
    print("::notice title=Autograding report::" + json.dumps({"totalPoints": points, "maxPoints": of}))
    return 0 if _all_passed(tests) else 1


def summary(lesson: str, tests: list[dict], points: float, of: float) -> str:
    """A table in Markdown: a row a test, with its points."""
    head = [f"## {lesson}: {points:g} of {of:g} points", "", "| | | Points |", "|---|---|---|"]
    rows = [
        f"| {'✓' if _passed(test) else '✗'} | {_cell(_name(test))} | {test['score']:g} of {test['max_score']:g} |"
        for test in tests
    ]
    foot = ["", "What was expected and what came: in the file `feedback`, under Artifacts of this run.", ""]
    return "\n".join([*head, *rows, *foot])


def encoded(tests: list[dict], of: float) -> str:
    """The result as GitHub Classroom's graders pass it on to its reporter: JSON in base64."""
    items = [
        {"name": _name(test), "status": "pass" if _passed(test) else "fail", "score": test["score"]}
        for test in tests
    ]
    status = "pass" if _all_passed(tests) else "fail"
    result = {"version": 1, "status": status, "max_score": of, "tests": items}
    return base64.b64encode(json.dumps(result).encode()).decode()


def _nothing(lesson: str, message: str) -> int:
    """Say why there are no points."""
    _append("GITHUB_STEP_SUMMARY", f"## {lesson}\n\n{message}\n")
    print(f"::error title=Autograding failed::{message}")
    return 1


def _all_passed(tests: list[dict]) -> bool:
    return bool(tests) and all(map(_passed, tests))


def _passed(test: dict) -> bool:
    return test["status"] == "passed" if "status" in test else test["score"] >= test["max_score"]


def _name(test: dict) -> str:
    return " ".join(str(test[key]) for key in ("number", "name") if test.get(key))


def _cell(text: str) -> str:
    """Text that means nothing to Markdown in a table."""
    return html.escape(" ".join(text.split())).replace("|", "\\|").replace("`", "\\`")


def _append(variable: str, text: str) -> None:
    """Add to one of the files through which GitHub hears from a step."""
    path = os.environ.get(variable)
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), Path(sys.argv[2])))
