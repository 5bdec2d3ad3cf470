"""Finding a solution in what is handed out, wherever in a file it stands: for the tests of what is handed out."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hvae_keras.course.source import SOLUTION

# The library does the same mathematics: what is shorter than this, without spaces, may be said anywhere.
DISTINCTIVE = 24
# How many characters below `def name` a short solution is looked for: past a signature and a docstring.
BELOW = 400


@dataclass(frozen=True)
class Solution:
    """What stands between the markers of an exercise: its lines, without spaces and comments."""

    lesson: str
    name: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Leak:
    """A file that holds a whole solution, or one line of it."""

    file: str
    name: str
    line: str


def solutions(folder: Path) -> list[Solution]:
    """All solutions in the sources in a folder."""
    found = []
    for path in sorted(folder.glob("*.py")):
        text = path.read_text(encoding="utf-8")
        for match in SOLUTION.finditer(text):
            name = re.findall(r"^(?:def|class) (\w+)", text[: match.start()], re.MULTILINE)[-1]
            found.append(Solution(path.stem, name, tuple(plain_lines(match["body"]))))
    return found


def leaks(files: Mapping[str, bytes], answers: list[Solution]) -> list[Leak]:
    """Where the answers stand in the files.

    A whole solution may stand nowhere. A distinctive line of one may stand in the checks of its own lesson: their
    wrong answers differ from the right one in one place.
    """
    found = set()
    for file, content in files.items():
        for text in texts(content):
            for lines in (plain_lines(text), plain_lines(text, within_comments=True)):
                found |= {Leak(file, *leak) for leak in _leaks_in(lines, file, answers)}
    return sorted(found, key=lambda leak: (leak.file, leak.name, leak.line))


def _leaks_in(lines: list[str], file: str, answers: list[Solution]) -> Iterator[tuple[str, str]]:
    one_a_line, together = "\n".join(("", *lines, "")), "".join(lines)
    for answer in answers:
        if _whole_in(answer, one_a_line):
            yield answer.name, "(all)"
        if not file.endswith(f"tests/lessons/test_{answer.lesson}.py"):
            distinctive = (line for line in answer.lines if len(line) >= DISTINCTIVE)
            yield from ((answer.name, line) for line in distinctive if line in together)


def _whole_in(answer: Solution, text: str) -> bool:
    """Whether a solution's lines follow each other in a text: anywhere, or a short one below its `def`."""
    whole = "\n".join(("", *answer.lines, ""))
    if sum(map(len, answer.lines)) >= DISTINCTIVE:
        return whole in text
    return any(whole in below[:BELOW] for below in re.split(rf"\n(?:def|class){answer.name}\b", text)[1:])


def texts(content: bytes) -> Iterator[str]:
    """All text in a file; of JSON, so of a notebook, every cell, output and piece of metadata."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:  # a picture, weights
        return
    try:
        yield from _strings(json.loads(text))
    except ValueError:
        yield text


def plain_lines(text: str, within_comments: bool = False) -> list[str]:
    """A text's lines without spaces, comments, prompts and empty lines; a spelled-out `\\n` ends a line too.

    With `within_comments`, what comments say is kept as if it were code.
    """
    lines = []
    for line in text.replace("\\n", "\n").splitlines():
        line = re.sub(r"^[\s>]*#[\s#%>]*", "", line) if within_comments else re.sub(r"(^|\s)#.*", "", line)
        line = re.sub(r"\s+", "", line).removeprefix(">>>").strip("`'\"")
        lines += [line] if line else []
    return lines


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        words = [item for item in value if isinstance(item, str)]
        yield "".join(words)  # a notebook writes a text as a list of lines
        yield from (text for item in value if not isinstance(item, str) for text in _strings(item))
    elif isinstance(value, dict):
        yield from (text for item in (*value, *value.values()) for text in _strings(item))
