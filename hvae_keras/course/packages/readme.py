"""The README that students get: the course's own, less what is for others and what links to files they lack."""

import re
from collections.abc import Collection, Mapping

from hvae_keras.course.packages.templates import filled

NOT_FOR_STUDENTS = ("For instructors", "For authors")
# Students have no solutions and no tests of the library, so their commands are others.
COMMANDS = "Two commands"
CODE_BLOCK = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s#]+)")


def students_readme(text: str, names: Collection[str], lesson: str) -> str:
    """The course's README, `text`, for a copy that holds the files `names`; `lesson` (a slug) is its first."""
    kept = with_sections(
        text, dict.fromkeys(NOT_FOR_STUDENTS, "") | {COMMANDS: filled("students.md", lesson=lesson)}
    )
    return without_broken_links(kept, names)


def with_sections(text: str, replacements: Mapping[str, str]) -> str:
    """Markdown in which the sections of level 2 with these headings are replaced, heading included."""
    kept, heading = [], ""
    for index, part in enumerate(CODE_BLOCK.split(text)):
        # Every second part is a block of code, in which a line that begins with # is a comment.
        sections = [part] if index % 2 else re.split(r"(?=^## )", part, flags=re.MULTILINE)
        for section in sections:
            if section.startswith("## "):
                heading = section.splitlines()[0].removeprefix("## ").strip()
                kept.append(replacements.get(heading, ""))
            if heading not in replacements:
                kept.append(section)
    return "".join(kept)


def without_broken_links(text: str, names: Collection[str]) -> str:
    """Markdown less the sentences, table rows and pictures that link to a file or folder which `names` has not.

    Addresses with a scheme and links within the page are left alone.
    """
    parts = CODE_BLOCK.split(text)
    for index in range(0, len(parts), 2):  # the others are blocks of code
        blocks = [_whole_block(block, names) for block in parts[index].split("\n\n")]
        parts[index] = re.sub(r"\n{3,}", "\n\n", "\n\n".join(blocks))
    return "".join(parts).rstrip("\n") + "\n"


def links(text: str) -> list[str]:
    """The files and folders that Markdown links to. Code is left out: an index and a call look like a link."""
    prose = "".join(CODE_BLOCK.split(text)[::2])
    found = LINK.findall(re.sub(r"`[^`]*`", "", prose))
    return [target for target in found if not re.match(r"[a-z][a-z+.-]*:", target)]


def is_there(target: str, names: Collection[str]) -> bool:
    """Whether a link leads to one of the files `names`, or to a folder that holds one."""
    return target in names or any(name.startswith(target.rstrip("/") + "/") for name in names)


def _whole_block(block: str, names: Collection[str]) -> str:
    """A paragraph, table or picture without those parts of it whose links lead nowhere."""
    if all(is_there(target, names) for target in links(block)):
        return block
    if block.lstrip().startswith("!["):
        return ""
    table = block.lstrip().startswith("|")
    parts = block.split("\n") if table else re.split(r"(?<=[.!?])\s+", block)
    kept = [part for part in parts if all(is_there(target, names) for target in links(part))]
    return ("\n" if table else " ").join(kept)
