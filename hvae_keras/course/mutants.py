"""Wrong answers made by rule: a reference solution with one small change each.

A rule looks at one node of the solution's syntax tree and offers what could stand in its place. The rules
know nothing about an exercise, so they ask the checks questions that their author did not think of.
"""

import ast
import operator
import os
import warnings
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial

from hvae_keras.course.exercises import Exercise

Offer = tuple[str, ast.AST]  # what is changed, in a few words, and what stands there instead
Rule = Callable[[ast.AST], Iterator[Offer]]

OPERATORS = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div, ast.Add),
    ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Mult,),
    ast.Pow: (ast.Mult,),
    ast.MatMult: (ast.Mult,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
}
COMPARISONS = {
    ast.Lt: (ast.LtE, ast.GtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.Gt, ast.GtE),
    ast.Gt: (ast.GtE, ast.LtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.Lt, ast.LtE),
    ast.Eq: (ast.NotEq, ast.LtE, ast.GtE),
    ast.NotEq: (ast.Eq, ast.Lt, ast.Gt),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
SIGNS = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Pow: "**",
    ast.MatMult: "@", ast.BitAnd: "&", ast.BitOr: "|", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.Eq: "==", ast.NotEq: "!=", ast.Is: "is", ast.IsNot: "is not", ast.And: "and", ast.Or: "or",
}  # fmt: skip
# Functions by the last part of their name, so that np.sum, ops.sum and x.sum are one.
RENAMED = {
    "sum": ("mean",),
    "mean": ("sum",),
    "max": ("min",),
    "min": ("max",),
    "maximum": ("minimum",),
    "minimum": ("maximum",),
    "std": ("var",),
    "var": ("std",),
    "any": ("all",),
    "all": ("any",),
    "argmax": ("argmin",),
    "argmin": ("argmax",),
    "log": ("log1p",),
    "log1p": ("log",),
    "logsumexp": ("sum", "max"),
    "logaddexp": ("add", "maximum"),
    "softplus": ("exp", "relu"),
    "sigmoid": ("tanh",),
    "zeros_like": ("ones_like",),
    "zeros": ("ones",),
}
DROPPED = {
    "exp", "log", "log1p", "sqrt", "square", "abs", "tanh", "sigmoid", "softplus", "sort", "cumsum",
    "transpose", "stop_gradient", "clip", "sum", "mean", "std", "logsumexp",
}  # fmt: skip
EITHER = {"max", "min", "maximum", "minimum", "logaddexp"}  # the order of two arguments does not matter
AXES = (0, 1, -1)
ACTIVATIONS = ("relu", "sigmoid", "tanh", "linear")
SHOWN = 90  # characters of a line


@dataclass(frozen=True)
class Mutant:
    """A solution with one change. `line` counts from the `def`; `before` and `after` are what differs."""

    exercise: str
    line: int
    change: str
    before: str
    after: str
    source: str

    @property
    def id(self) -> str:
        """Its name in tables and lists, such as `2.3 line 4: + to -`."""
        return f"{self.exercise} line {self.line}: {self.change}"

    @property
    def difference(self) -> str:
        """The change in one line: all of a short line, of a long one what is around the change."""
        if max(len(self.before), len(self.after)) <= SHOWN:
            return f"{self.before}  →  {self.after}"
        start = len(os.path.commonprefix([self.before, self.after]))
        end = len(os.path.commonprefix([self.before[start:][::-1], self.after[start:][::-1]]))
        return "  →  ".join(_around(text, start, len(text) - end) for text in (self.before, self.after))


def mutants_of(exercise: Exercise, solution: str) -> list[Mutant]:
    """All mutants of a solution, each different text once, in the order of its lines.

    `solution` is the source of the exercise's cell. Raises ValueError where it does not define the function.
    """
    tree = ast.parse(solution)
    function = next((node for node in tree.body if getattr(node, "name", "") == exercise.name), None)
    if function is None:
        raise ValueError(f"the solution of exercise {exercise.id} does not define {exercise.name}")
    original = ast.unparse(tree)
    rules = (*RULES, *rules_of(function))
    sources, names, found = {original}, {}, []
    for node, put in _slots(function):
        for change, replacement in (offer for rule in rules for offer in rule(node)):
            put(replacement)
            source = ast.unparse(tree)
            put(node)
            if source in sources or not _is_code(source):
                continue
            sources.add(source)
            key = (node.lineno, change)
            names[key] = names.get(key, 0) + 1
            number = f" ({names[key]})" if names[key] > 1 else ""
            found.append(Mutant(exercise.id, node.lineno, change + number, *_difference(original, source), source))
    return sorted(found, key=lambda mutant: mutant.line)


def _around(text: str, start: int, end: int) -> str:
    """A part of a text with some of what is before and after it."""
    begin, stop = max(start - SHOWN // 4, 0), min(end + SHOWN // 4, len(text))
    return "…" * (begin > 0) + text[begin:stop] + "…" * (stop < len(text))


def _slots(node: ast.AST) -> Iterator[tuple[ast.AST, Callable[[ast.AST], None]]]:
    """Every statement and expression within a function's body, with what puts another in its place."""
    for name, value in ast.iter_fields(node):
        if isinstance(node, ast.FunctionDef) and name != "body":
            continue  # a signature is given, not asked for
        items = enumerate(value) if isinstance(value, list) else [(None, value)]
        for index, item in items:
            if not isinstance(item, (ast.stmt, ast.expr)) or _is_text(item):
                continue
            yield item, partial(setattr, node, name) if index is None else partial(operator.setitem, value, index)
            if _number(item) is None:
                yield from _slots(item)
        if name == "keywords":
            for keyword in value:
                yield keyword.value, partial(setattr, keyword, "value")
                if _number(keyword.value) is None:
                    yield from _slots(keyword.value)


def _is_text(node: ast.AST) -> bool:
    """A docstring."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_code(source: str) -> bool:
    try:
        with warnings.catch_warnings(action="ignore"):
            compile(source, "mutant", "exec")
    except SyntaxError:
        return False
    return True


def _difference(before: str, after: str) -> tuple[str, str]:
    """The lines of two texts that differ."""
    old, new = before.splitlines(), after.splitlines()
    while old and new and old[0] == new[0]:
        old, new = old[1:], new[1:]
    while old and new and old[-1] == new[-1]:
        old, new = old[:-1], new[:-1]
    return "; ".join(map(str.strip, old)), "; ".join(map(str.strip, new))


# The rules


def operators(node: ast.AST) -> Iterator[Offer]:
    """Another arithmetic or logical operator: + - * / ** @ & | `and` `or`; a minus, `not` or ~ left out."""
    match node:
        case ast.BinOp(left, sign, right):
            for other in OPERATORS.get(type(sign), ()):
                yield f"{SIGNS[type(sign)]} to {SIGNS[other]}", ast.BinOp(left, other(), right)
        case ast.BoolOp(sign, values):
            other = ast.And if isinstance(sign, ast.Or) else ast.Or
            yield f"{SIGNS[type(sign)]} to {SIGNS[other]}", ast.BoolOp(other(), values)
        case ast.UnaryOp(ast.USub() | ast.Not() | ast.Invert(), operand) if _number(node) is None:
            yield "sign dropped", operand


def comparisons(node: ast.AST) -> Iterator[Offer]:
    """Another comparison: the boundary in or out, the opposite, the other direction."""
    match node:
        case ast.Compare(left, [sign], rest):
            # Texts have no order that means anything.
            order = not isinstance(getattr(rest[0], "value", None), str)
            for other in COMPARISONS[type(sign)] if order else (ast.NotEq,):
                yield f"{SIGNS[type(sign)]} to {SIGNS[other]}", ast.Compare(left, [other()], rest)


def numbers(node: ast.AST) -> Iterator[Offer]:
    """Another number: one more, one less, zero, the other sign, 1 for a fraction; True for False."""
    value = _number(node)
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield f"{node.value} to {not node.value}", ast.Constant(not node.value)
    if value is None:
        return
    others = [value + 1, value - 1, 0 * value, -value]
    if value != int(value):
        others = [1.0, 0.0, -value, 2 * value]
    for other in dict.fromkeys(others):
        if other != value:
            yield f"{value} to {other}", _literal(other)


def axes(node: ast.AST) -> Iterator[Offer]:
    """`axis` left out, another one, one of several left out, the first one too; `keepdims` left out."""
    if not isinstance(node, ast.Call):
        return
    for keyword in node.keywords:
        if keyword.arg not in ("axis", "keepdims"):
            continue
        others = [item for item in node.keywords if item is not keyword]
        yield f"{keyword.arg} dropped", _call(node, keywords=others)
        if keyword.arg == "axis":
            for other in _other_axes(keyword.value):
                changed = [ast.keyword("axis", other) if item is keyword else item for item in node.keywords]
                yield f"axis to {ast.unparse(other)}", _call(node, keywords=changed)


def _other_axes(axis: ast.expr) -> Iterator[ast.expr]:
    if isinstance(axis, ast.Tuple):
        for index in range(len(axis.elts)):
            yield ast.Tuple(axis.elts[:index] + axis.elts[index + 1 :], ast.Load())
        yield ast.Tuple([ast.Constant(0), *axis.elts], ast.Load())
    elif _number(axis) is not None:
        yield from (_literal(other) for other in AXES if other != _number(axis))


def functions(node: ast.AST) -> Iterator[Offer]:
    """Another function: sum and mean, max and min, std and var, log and log1p, softplus and exp, ...; or none."""
    if not isinstance(node, ast.Call):
        return
    name = _name(node)
    for other in RENAMED.get(name, ()):
        yield f"{name} to {other}", _call(node, func=_renamed(node.func, other))
    if name == "tanh" and isinstance(node.func, ast.Attribute):
        half = ast.BinOp(_literal(0.5), ast.Mult(), node.args[0])
        bent = ast.BinOp(_literal(1), ast.Add(), _call(node, args=[half]))
        yield "tanh to sigmoid", ast.BinOp(_literal(0.5), ast.Mult(), bent)
    if name in DROPPED and (inside := _argument(node)) is not None:
        yield f"{name} dropped", inside


def terms(node: ast.AST) -> Iterator[Offer]:
    """One term of a sum, one factor of a product, one side of a quotient, power, `and` or `or` left out."""
    match node:
        case ast.BinOp(left, ast.Sub(), right):
            yield "right of - dropped", left
            yield "left of - dropped", ast.UnaryOp(ast.USub(), right)
        case ast.BinOp(left, ast.Div(), right):
            yield "right of / dropped", left
            yield "left of / dropped", ast.BinOp(_literal(1), ast.Div(), right)
        case ast.BinOp(left, ast.Pow(), _):
            yield "power dropped", left
        case ast.BinOp(left, sign, right) if type(sign) in SIGNS:
            yield f"right of {SIGNS[type(sign)]} dropped", left
            yield f"left of {SIGNS[type(sign)]} dropped", right
        case ast.BoolOp(sign, [left, right]):
            yield f"right of {SIGNS[type(sign)]} dropped", left
            yield f"left of {SIGNS[type(sign)]} dropped", right


def swaps(node: ast.AST) -> Iterator[Offer]:
    """Two neighbours swapped: arguments of a call, sides of - / @, items of a tuple or list."""
    match node:
        case ast.BinOp(left, ast.Sub() | ast.Div() | ast.MatMult(), right):
            yield f"sides of {SIGNS[type(node.op)]} swapped", ast.BinOp(right, node.op, left)
        case ast.Call(args=args) if _name(node) not in EITHER:
            for index, swapped in _swapped(args):
                yield f"arguments {index} and {index + 1} swapped", _call(node, args=swapped)
        case ast.Tuple(elts=items, ctx=ast.Load()) | ast.List(elts=items, ctx=ast.Load()):
            for index, swapped in _swapped(items):
                yield f"items {index} and {index + 1} swapped", type(node)(swapped, ast.Load())


def _swapped(items: list[ast.expr]) -> Iterator[tuple[int, list[ast.expr]]]:
    for index in range(1, len(items)):
        yield index, [*items[: index - 1], items[index], items[index - 1], *items[index + 1 :]]


def slices(node: ast.AST) -> Iterator[Offer]:
    """A slice without one of its ends, with an end moved by one, without its step; a new axis or `.T` left out."""
    match node:
        case ast.Slice(lower, upper, step):
            if lower is not None:
                yield "begin dropped", ast.Slice(None, upper, step)
                yield "begin + 1", ast.Slice(_plus_one(lower), upper, step)
            if upper is not None:
                yield "end dropped", ast.Slice(lower, None, step)
                yield "end + 1", ast.Slice(lower, _plus_one(upper), step)
                yield "end - 1", ast.Slice(lower, _minus_one(upper), step)
            if step is not None:
                yield "step dropped", ast.Slice(lower, upper, None)
        case ast.Subscript(value, ast.Tuple(elts=items)) if any(map(_is_none, items)):
            rest = [item for item in items if not _is_none(item)]
            yield "new axis dropped", ast.Subscript(value, ast.Tuple(rest, ast.Load()), ast.Load())
        case ast.Attribute(value, "T"):
            yield "transpose dropped", value


def loops(node: ast.AST) -> Iterator[Offer]:
    """A loop over `range` that ends one too late or too early."""
    match node:
        case ast.Call(ast.Name("range"), [*first, end]):
            yield "end of range + 1", _call(node, args=[*first, _plus_one(end)])
            yield "end of range - 1", _call(node, args=[*first, _minus_one(end)])


def choices(node: ast.AST) -> Iterator[Offer]:
    """A choice that always falls the same way: `a if c else b`, `where`, `maximum`, `minimum`."""
    match node:
        case ast.IfExp(_, left, right):
            yield "always the first", left
            yield "always the second", right
        case ast.Call(args=[left, right]) if _name(node) in EITHER:
            yield f"{_name(node)} to its first", left
            yield f"{_name(node)} to its second", right
        case ast.Call(args=[_, left, right]) if _name(node) == "where":
            yield "where to its first", left
            yield "where to its second", right


RULES: tuple[Rule, ...] = (operators, comparisons, numbers, axes, functions, terms, swaps, slices, loops, choices)


def options(texts: Collection[str], node: ast.AST) -> Iterator[Offer]:
    """Another text of the same function, another activation."""
    if isinstance(node, ast.Constant) and node.value in texts:
        for other in dict.fromkeys((*texts, *(ACTIVATIONS if node.value in ACTIVATIONS else ()))):
            if other != node.value:
                yield f"{node.value} to {other}", ast.Constant(other)


def arguments(signatures: Collection[list[str]], node: ast.AST) -> Iterator[Offer]:
    """Another argument of the same function."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        for names in signatures:
            for other in names if node.id in names else ():
                if other != node.id:
                    yield f"{node.id} to {other}", ast.Name(other, ast.Load())


def returns(last: ast.stmt, made: Collection[str], node: ast.AST) -> Iterator[Offer]:
    """Another local variable returned, in place of all or of one item."""
    match node:
        case ast.Return(ast.Tuple(elts=items)):
            for index, name in ((i, name) for i in range(len(items)) for name in made):
                values = [*items[:index], ast.Name(name, ast.Load()), *items[index + 1 :]]
                yield f"item {index + 1} to {name}", ast.Return(ast.Tuple(values, ast.Load()))
        case ast.Return(value) if value is not None and node is last:
            for name in made:
                yield f"returns {name}", ast.Return(ast.Name(name, ast.Load()))


def statements(function: ast.FunctionDef, ends: Collection[ast.stmt], node: ast.AST) -> Iterator[Offer]:
    """A statement left out, where every name it binds has a value from before; never a function's last."""
    if isinstance(node, ast.stmt) and node not in ends and _bound(node) <= _before(function, node):
        yield "statement dropped", ast.Pass()


def rules_of(function: ast.FunctionDef) -> tuple[Rule, ...]:
    """The rules that need to know the names and texts of the function."""
    nodes = [node for part in function.body if not _is_text(part) for node in ast.walk(part)]
    texts = dict.fromkeys(n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str))
    made = dict.fromkeys(n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
    scopes = [node for node in (function, *nodes) if isinstance(node, ast.FunctionDef)]
    return (
        partial(options, texts),
        partial(arguments, [[item.arg for item in scope.args.args] for scope in scopes]),
        partial(returns, function.body[-1], made),
        partial(statements, function, [scope.body[-1] for scope in scopes]),
    )


def _bound(node: ast.AST) -> set[str]:
    """The names that a statement binds in its own scope."""
    if isinstance(node, ast.FunctionDef):
        return {node.name}
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def _before(function: ast.FunctionDef, node: ast.stmt) -> set[str]:
    """The names that have a value before a statement: arguments, and what was bound on earlier lines."""
    inside = list(ast.walk(function))
    given = {item.arg for item in inside if isinstance(item, ast.arg)}
    earlier = (item for item in inside if isinstance(item, ast.stmt) and item.end_lineno < node.lineno)
    return given.union(*(_bound(statement) for statement in earlier))


# Parts of a syntax tree


def _number(node: ast.AST) -> int | float | None:
    """The value of a number as it is written, with its sign; None for anything else."""
    match node:
        case ast.UnaryOp(ast.USub(), ast.Constant(value)) if type(value) in (int, float):
            return -value
        case ast.Constant(value) if type(value) in (int, float):
            return value
    return None


def _literal(value: int | float) -> ast.expr:
    """A number as Python reads it: a sign is an operation, so that powers are bracketed."""
    return ast.UnaryOp(ast.USub(), ast.Constant(-value)) if value < 0 else ast.Constant(value)


def _plus_one(node: ast.expr) -> ast.expr:
    return ast.BinOp(node, ast.Add(), _literal(1))


def _minus_one(node: ast.expr) -> ast.expr:
    return ast.BinOp(node, ast.Sub(), _literal(1))


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _name(call: ast.Call) -> str:
    """The last part of a called function's name."""
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def _renamed(function: ast.expr, name: str) -> ast.expr:
    """Another function from the same module; a function imported by its own name is looked for in NumPy."""
    if isinstance(function, ast.Attribute):
        return ast.Attribute(function.value, name, ast.Load())
    builtin = name in ("min", "max")
    return ast.Name(name, ast.Load()) if builtin else ast.Attribute(ast.Name("np", ast.Load()), name, ast.Load())


def _argument(call: ast.Call) -> ast.expr | None:
    """What a function such as np.sum(x) or x.sum() works on."""
    if call.args:
        return call.args[0]
    return call.func.value if isinstance(call.func, ast.Attribute) else None


def _call(call: ast.Call, **parts: object) -> ast.Call:
    """A call with some parts replaced."""
    return ast.Call(**{"func": call.func, "args": call.args, "keywords": call.keywords} | parts)
