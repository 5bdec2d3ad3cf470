"""What is wrong with a file as a whole, told to the student who handed it in."""

import re

from hvae_keras.course.grading import FAULT
from hvae_keras.course.marks import Mark

NEEDED = "A notebook (.ipynb) is needed."
# Reports that leave out what they are about, and how a sentence about the file begins.
ABOUT_THE_FILE = {
    "not a ": "The file is not a ",
    "larger than ": "The file is larger than ",
    "cannot be read": "The file cannot be read",
}


def problem_told(mark: Mark) -> str:
    """Why there is nothing to grade, in sentences; empty where there is nothing wrong."""
    problem = mark.report.problem.strip()
    if not mark.file:
        return "Nothing was handed in."
    if not problem:
        return ""
    if problem.startswith(FAULT):
        return _sentence(f"This is not your fault, please report it: {problem.removeprefix(FAULT)}")
    if no_notebook := re.fullmatch(r"handed in (.+), no notebook", problem, re.DOTALL):
        return f"{_sentence(f'You handed in {no_notebook[1]}')} {NEEDED}"
    if problem.startswith("nothing says which lesson"):
        return "Nothing says which lesson this is. Begin the file's name with the lesson's number, as in 04.ipynb."
    for begin, told in ABOUT_THE_FILE.items():
        if problem.startswith(begin):
            return _sentence(told + problem.removeprefix(begin))
    # A file's name keeps its small letters.
    named = problem.startswith(mark.file.rpartition("/")[2])
    return _sentence(problem if named else problem[0].upper() + problem[1:])


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
