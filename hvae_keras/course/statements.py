"""The code cells of a notebook as Python statements, and what each of these binds, needs and changes."""

import ast
import re
import symtable
from dataclasses import dataclass

PARSER_ERRORS = (SyntaxError, ValueError, RecursionError, MemoryError)
BLOCKS = (ast.If, ast.Try, ast.TryStar, ast.With, ast.For, ast.While, ast.Match, ast.ExceptHandler, ast.match_case)
CHANGING_METHODS = frozenset(
    ("append", "extend", "insert", "update", "setdefault", "add", "fill", "sort", "reverse", "pop", "remove")
)
MOST_STATEMENTS = 20_000
LONGEST_CODE = 1_000_000


@dataclass(frozen=True)
class Cell:
    """A code cell: its number in the notebook (from 1), its source, and its syntax error if it has one."""

    number: int
    source: str
    statements: tuple[ast.stmt, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Statement:
    """A top-level statement, by its cell and its position in it.

    `binds` are the names it binds (`*` for a star import), `now` the globals it needs when it is run, `later`
    those that its functions need when they are called, `changes` those whose values it changes in place.
    """

    cell: Cell
    index: int
    binds: frozenset[str]
    now: frozenset[str]
    later: frozenset[str]
    changes: frozenset[str]

    @property
    def node(self) -> ast.stmt:
        """The statement itself."""
        return self.cell.statements[self.index]

    @property
    def defines(self) -> bool:
        """Whether it defines a function or class: by `def` or `class`, as a lambda, or in a block."""
        return _defines(self.node)

    @property
    def may_define(self) -> bool:
        """Whether it names what may be a function, as `total = partial(add)` or an import does."""
        if isinstance(self.node, (ast.Assign, ast.AnnAssign)):
            return isinstance(self.node.value, (ast.Call, ast.Name, ast.Attribute))
        return isinstance(self.node, (ast.Import, ast.ImportFrom))

    @property
    def is_of_the_future(self) -> bool:
        """Whether it is `from __future__ import ...`."""
        return isinstance(self.node, ast.ImportFrom) and self.node.module == "__future__"

    @property
    def is_stub(self) -> bool:
        """Whether its last line is the stub's."""
        body = getattr(self.node, "body", None)
        last = body[-1] if isinstance(body, list) and body else None
        return isinstance(last, ast.Raise) and "NotImplementedError" in ast.unparse(last)


def parse_cell(number: int, source: str) -> Cell:
    """Parse a code cell; magics such as `%matplotlib inline` are understood as IPython understands them."""
    if len(source) > LONGEST_CODE:
        return Cell(number, "", (), f"more than {LONGEST_CODE:,} characters of code")
    try:
        return Cell(number, source, tuple(ast.parse(source).body))
    except PARSER_ERRORS as error:
        problem = error
    try:
        from IPython.core.inputtransformer2 import TransformerManager

        # `%%time` and `%%capture` run the cell as it is; other cell magics do not.
        plain = re.sub(r"\A\s*%%(time|capture)\b.*", "", source)
        if not _plain_enough(plain):
            raise ValueError("too many magics")
        plain = TransformerManager().transform_cell(plain)
        return Cell(number, plain, tuple(ast.parse(plain).body))
    except Exception:  # IPython raises what it likes
        line = getattr(problem, "lineno", None)
        shown = source.splitlines()[line - 1].strip() if line and line <= len(source.splitlines()) else ""
        reason = getattr(problem, "msg", None) or str(problem) or type(problem).__name__
        place = f"line {line}: {shown}  ({reason})" if line else reason
        return Cell(number, source, (), place)


def _plain_enough(source: str) -> bool:
    """IPython reads the cell anew for every magic: what few notebooks have would take minutes."""
    magics = sum(
        line.lstrip()[:1] in ("%", "!", "?") or line.rstrip().endswith("?") for line in source.splitlines()
    )
    return magics * len(source) <= 2_000_000


def statement_of(cell: Cell, index: int) -> Statement:
    """The statement at a position in a cell, with the names that it binds, needs and changes."""
    node = cell.statements[index]
    try:
        binds, now, later = _names(node)
        changes = _changes(node)
    except PARSER_ERRORS:
        binds, now, later, changes = {getattr(node, "name", "")}, set(), set(), set()
    return Statement(cell, index, *map(frozenset, (binds, now | changes, later, changes - binds)))


def _defines(node: ast.AST) -> bool:
    """Whether a statement defines a function or class: by `def` or `class`, as a lambda, or in a block."""
    if isinstance(node, BLOCKS):
        return any(_defines(inner) for inner in ast.iter_child_nodes(node))
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        return isinstance(node.value, ast.Lambda)
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))


def _names(node: ast.stmt) -> tuple[set[str], set[str], set[str]]:
    """What a top-level statement binds, needs at once, and needs when its functions are called.

    Python's own symbol table decides: a function's locals and a comprehension's variables are none of these.
    """
    module = symtable.symtable(ast.unparse(node), "cell", "exec")
    binds = {item.get_name() for item in module.get_symbols() if item.is_assigned() or item.is_imported()}
    if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
        binds.add("*")
    now: set[str] = set()
    later: set[str] = set()
    tables = [(module, False)]
    while tables:
        table, called = tables.pop()
        called = called or table.get_type() == "function"
        tables += [(child, called) for child in table.get_children()]
        for item in table.get_symbols():
            known = table is module or item.is_global() or table.get_type() == "class"
            if known and (item.is_referenced() or item.is_declared_global()):
                (later if called else now).add(item.get_name())
    return binds, now, later


def _changes(node: ast.stmt) -> set[str]:
    """Names whose value is changed in place by `a[0] = 1`, `a.b = 1`, `a += 1` or `a.append(1)`."""
    changed = set()
    for inner in ast.walk(node) if isinstance(node, (*BLOCKS, ast.Assign, ast.AugAssign, ast.Expr)) else ():
        targets: list[ast.expr] = []
        match inner:
            case ast.Assign():
                targets = inner.targets
            case ast.AugAssign(target=ast.Name(id=name)):
                changed.add(name)
            case ast.AugAssign():
                targets = [inner.target]
            # `np.sort(x)` as a statement changes nothing; `x.sort()` does.
            case ast.Expr(value=ast.Call(func=ast.Attribute(attr=method))) if method in CHANGING_METHODS:
                targets = [inner.value.func]
        for target in targets:
            root = target
            while isinstance(root, (ast.Subscript, ast.Attribute)):
                root = root.value
            if root is not target and isinstance(root, ast.Name):
                changed.add(root.id)
    return changed
