"""Reading a submission, and cutting out of it what an exercise needs.

Nothing of a submission is run here. For each exercise, the last definition of its function is taken, with
the imports and top-level definitions that it refers to, and theirs in turn; other cells are left alone.
"""

import ast
import json
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hvae_keras.course.failures import Missing, StudentError
from hvae_keras.course.statements import MOST_STATEMENTS, Cell, Statement, parse_cell, statement_of

LONGEST_CHAIN = 20_000
LARGEST_FILE = 200 * 2**20


class Unreadable(ValueError):
    """The file is not a notebook; the message says in one line why."""


@dataclass
class Submission:
    """The code cells of a notebook, and the lesson it says it belongs to."""

    path: Path
    lesson: str | None
    cells: list[Cell]
    statements: list[Statement] = field(init=False)
    _places: dict[str, list[int]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.statements = [
            statement_of(cell, index) for cell in self.cells for index in range(len(cell.statements))
        ]
        self._places = defaultdict(list)
        for position, item in enumerate(self.statements):
            for name in item.binds | item.changes:
                self._places[name].append(position)

    def definitions(self, name: str) -> list[int]:
        """The numbers of the cells that define a function or class of this name."""
        return [item.cell.number for item in self.statements if item.defines and name in item.binds]

    def slice(self, name: str) -> list[tuple[int, str, list[int]]]:
        """What `name` needs to run: cell number, cell source, positions of the statements to execute.

        Raises Missing where nothing defines it, StudentError where its cell does not parse.
        """
        taken = self._closure(name, self._answer(name))
        # What is imported from the future changes how all below it is compiled, and nobody refers to it.
        taken |= {place for place, item in enumerate(self.statements) if item.is_of_the_future}
        chosen: dict[int, tuple[int, str, list[int]]] = {}
        for position in sorted(taken):
            item = self.statements[position]
            entry = chosen.setdefault(item.cell.number, (item.cell.number, item.cell.source, []))
            entry[2].append(item.index)
        return list(chosen.values())

    def _answer(self, name: str) -> int:
        """The position of the statement that answers: the last definition, else the last other binding.

        A stub counts only where there is nothing else: `total = partial(np.sum)` may stand below it.
        """
        bound = [position for position in self._places[name] if name in self.statements[position].binds]
        sure = [position for position in bound if self.statements[position].defines]
        maybe = [position for position in bound if self.statements[position].may_define]
        if sure and not (maybe and maybe[-1] > sure[-1] and self.statements[sure[-1]].is_stub):
            return sure[-1]
        if maybe:
            return maybe[-1]
        broken = re.compile(rf"^\s*(def|class)\s+{re.escape(name)}\b", re.MULTILINE)
        for cell in self.cells:
            if cell.error and broken.search(cell.source):
                raise StudentError(f"cell {cell.number} is not valid Python", cell.error)
        raise Missing(f"there is no function {name} in this notebook")

    def _closure(self, name: str, answer: int) -> set[int]:
        """The answer's position, and those of all that it needs.

        What a statement needs at once is what was there when its cell ran; what a function needs is what is there
        when it is called. So each statement is taken for a moment: the position of whoever needs it at once.
        """
        end = len(self.statements)
        seen: set[tuple[int, int]] = set()
        waiting = [(answer, end)]
        while waiting:
            position, moment = waiting.pop()
            if (position, moment) in seen:
                continue
            seen.add((position, moment))
            if len(seen) > LONGEST_CHAIN:
                raise StudentError(f"{name} refers to too many definitions")
            item = self.statements[position]
            for needed in item.now:
                waiting += [(place, position) for place in self._sources(needed, position)]
            for needed in item.later - {name}:
                waiting += [(place, moment) for place in self._sources(needed, moment)]
        return {position for position, _ in seen}

    def _sources(self, name: str, before: int) -> list[int]:
        """The last statement before a position that binds a name, and those after it that change its value."""
        places = self._places.get(name, [])
        found = self._last(places[: bisect_left(places, before)], name) or self._last(places, name)
        return found + self._places.get("*", [])

    def _last(self, places: list[int], name: str) -> list[int]:
        """Of these places, the last that binds the name, and all after it."""
        for index in range(len(places) - 1, -1, -1):
            item = self.statements[places[index]]
            # `import a.b` and `import a.c` bind one name and are both needed.
            if name in item.binds and not isinstance(item.node, ast.Import):
                return places[index:]
        return list(places)


def find_notebooks(path: Path) -> list[Path]:
    """The notebooks in a folder and its subfolders, in order; or the file itself. Raises FileNotFoundError."""
    if path.is_dir():
        found = sorted(item for item in path.rglob("*.ipynb") if ".ipynb_checkpoints" not in item.parts)
        if not found:
            raise FileNotFoundError(f"{path} holds no notebooks (*.ipynb)")
        return found
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path}")
    return [path]


def read_submission(path: Path) -> Submission:
    """Read a notebook, or a lesson's py:percent source. Raises Unreadable with the reason in one line.

    A notebook is read as far as it can be: a cell that is damaged is left out and costs the others nothing.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise Unreadable(f"larger than {LARGEST_FILE // 2**20} MB")
        text = path.read_bytes().decode("utf-8-sig")  # some editors on Windows begin a file with a mark
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Unreadable("not a notebook: it is not text") from None
    notebook = _of_script(text) if path.suffix == ".py" else _of_json(text)
    lesson = notebook.get("metadata")
    for key in ("hvae", "lesson"):
        lesson = lesson.get(key) if isinstance(lesson, dict) else None
    cells = _parsed(_code_of(notebook))
    return Submission(path, lesson if isinstance(lesson, str) else None, cells)


def _parsed(sources: Iterable[tuple[int, str]]) -> list[Cell]:
    """The cells, as long as there are not too many statements: reading a notebook must not hold up a class."""
    cells, statements = [], 0
    for number, source in sources:
        if statements > MOST_STATEMENTS:
            cells.append(Cell(number, source, (), f"below more than {MOST_STATEMENTS:,} statements"))
            continue
        cells.append(parse_cell(number, source))
        statements += len(cells[-1].statements)
    return cells


def _of_script(text: str) -> dict:
    import jupytext

    return jupytext.reads(text, fmt="py:percent")


def _of_json(text: str) -> dict:
    try:
        notebook = json.loads(text)
    except (ValueError, RecursionError):
        empty = "it is empty" if not text.strip() else "it is not JSON"
        raise Unreadable(f"not a notebook: {empty}") from None
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells", notebook.get("worksheets")), list):
        raise Unreadable("not a notebook: it has no cells")
    return notebook


def _code_of(notebook: dict) -> Iterator[tuple[int, str]]:
    """The number and source of each code cell, in this format of notebooks (4) or the one before it (3)."""
    cells = notebook.get("cells")
    if not isinstance(cells, list):
        sheets = [sheet.get("cells") for sheet in notebook["worksheets"] if isinstance(sheet, dict)]
        cells = [cell for sheet in sheets if isinstance(sheet, list) for cell in sheet]
    for number, cell in enumerate(cells, 1):
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            source = cell.get("source", cell.get("input"))
            if isinstance(source, list):
                source = "".join(line for line in source if isinstance(line, str))
            if isinstance(source, str):
                yield number, source
