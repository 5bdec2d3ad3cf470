"""Reading a submission, and cutting out of it what an exercise needs.

Nothing of a submission is run here. For each exercise, the last definition of its function is taken, with
the imports and top-level definitions that it refers to, and theirs in turn; other cells are left alone.
"""

import ast
import json
import re
import symtable
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hvae_keras.course.failures import Missing, StudentError

PARSER_ERRORS = (SyntaxError, ValueError, RecursionError, MemoryError)


class Unreadable(ValueError):
    """The file is not a notebook; the message says in one line why."""


@dataclass(frozen=True)
class Cell:
    """A code cell: its number in the notebook (from 1), its source, and its syntax error if it has one."""

    number: int
    source: str
    statements: tuple[ast.stmt, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Statement:
    """A top-level statement, by its cell and its position in it, with what it binds and what it refers to."""

    cell: Cell
    index: int
    binds: frozenset[str]
    needs: frozenset[str]
    defines: bool


@dataclass
class Submission:
    """The code cells of a notebook, and the lesson it says it belongs to."""

    path: Path
    lesson: str | None
    cells: list[Cell]
    statements: list[Statement] = field(init=False)

    def __post_init__(self) -> None:
        self.statements = [_statement(cell, index) for cell in self.cells for index in range(len(cell.statements))]

    def definitions(self, name: str) -> list[int]:
        """The numbers of the cells that define a function or class of this name."""
        return [item.cell.number for item in self.statements if item.defines and name in item.binds]

    def slice(self, name: str) -> list[tuple[int, str, list[int]]]:
        """What `name` needs to run: cell number, cell source, positions of the statements to execute.

        Raises Missing where nothing defines it, StudentError where its cell does not parse.
        """
        if not self.definitions(name):
            broken = re.compile(rf"^\s*(def|class)\s+{re.escape(name)}\b", re.MULTILINE)
            for cell in self.cells:
                if cell.error and broken.search(cell.source):
                    raise StudentError(f"cell {cell.number} is not valid Python", cell.error)
            raise Missing(f"there is no function {name} in this notebook")
        taken: set[int] = set()
        try:
            self._take(name, len(self.statements), taken, functions_only=True)
        except RecursionError:
            raise StudentError(f"{name} refers to too long a chain of definitions") from None
        chosen: dict[int, tuple[int, str, list[int]]] = {}
        for position in sorted(taken):
            item = self.statements[position]
            entry = chosen.setdefault(item.cell.number, (item.cell.number, item.cell.source, []))
            entry[2].append(item.index)
        return list(chosen.values())

    def _take(self, name: str, before: int, taken: set[int], functions_only: bool = False) -> None:
        """Add to `taken` the last statement before position `before` that binds `name`, and what it needs."""
        for position in range(before - 1, -1, -1):
            item = self.statements[position]
            if not item.binds & {name, "*"} or (functions_only and not item.defines):
                continue
            if position not in taken:
                taken.add(position)
                for needed in item.needs:
                    # `n = n + 1` needs the value from before; a function finds the last one.
                    earlier = needed in item.binds and not item.defines
                    self._take(needed, position if earlier else len(self.statements), taken)
            if name in item.binds:
                return


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
        text = path.read_bytes().decode("utf-8-sig")  # some editors on Windows begin a file with a mark
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Unreadable("not a notebook: it is not text") from None
    notebook = _of_script(text) if path.suffix == ".py" else _of_json(text)
    lesson = notebook.get("metadata")
    for key in ("hvae", "lesson"):
        lesson = lesson.get(key) if isinstance(lesson, dict) else None
    cells = [parse_cell(number, source) for number, source in _code_of(notebook)]
    return Submission(path, lesson if isinstance(lesson, str) else None, cells)


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


def parse_cell(number: int, source: str) -> Cell:
    """Parse a code cell; magics such as `%matplotlib inline` are understood as IPython understands them."""
    try:
        return Cell(number, source, tuple(ast.parse(source).body))
    except PARSER_ERRORS as error:
        problem = error
    try:
        from IPython.core.inputtransformer2 import TransformerManager

        plain = TransformerManager().transform_cell(source)
        return Cell(number, plain, tuple(ast.parse(plain).body))
    except PARSER_ERRORS:
        line = getattr(problem, "lineno", None)
        shown = source.splitlines()[line - 1].strip() if line and line <= len(source.splitlines()) else ""
        reason = getattr(problem, "msg", None) or str(problem) or type(problem).__name__
        place = f"line {line}: {shown}  ({reason})" if line else reason
        return Cell(number, source, (), place)


def _statement(cell: Cell, index: int) -> Statement:
    node = cell.statements[index]
    defines = _defines(node)
    try:
        binds, needs = _names(node)
    except PARSER_ERRORS:
        binds, needs = {getattr(node, "name", "")}, set()
    return Statement(cell, index, frozenset(binds), frozenset(needs), defines)


def _defines(node: ast.stmt) -> bool:
    """Whether a statement defines a function or class: by `def` or `class`, as a lambda, or under `if`."""
    if isinstance(node, (ast.If, ast.Try, ast.With)):
        return any(_defines(inner) for inner in ast.iter_child_nodes(node) if isinstance(inner, ast.stmt))
    if isinstance(node, ast.Assign):
        return isinstance(node.value, ast.Lambda)
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))


def _names(node: ast.stmt) -> tuple[set[str], set[str]]:
    """The names a top-level statement binds (`*` for a star import), and the globals it refers to.

    Python's own symbol table decides: a function's locals and a comprehension's variables are neither.
    """
    module = symtable.symtable(ast.unparse(node), "cell", "exec")
    binds = {item.get_name() for item in module.get_symbols() if item.is_assigned() or item.is_imported()}
    if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
        binds.add("*")
    needs = set(binds) if isinstance(node, ast.AugAssign) else set()
    tables = [module]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        needs |= {
            item.get_name()
            for item in table.get_symbols()
            if item.is_referenced() and (table is module or item.is_global())
        }
    return binds, needs
