"""Expressions in a formula: columns, numbers, arithmetic and a few functions, checked on their syntax tree
before anything is evaluated, so that none can run code or ask for more than a fit can pay."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import zip_longest

from ..errors import DataError

LENGTH = 1000  # characters of an expression
DEPTH = 20  # brackets, signs and operators inside each other
POWER = 100  # largest exponent that is a number
LARGEST = 1e300  # of the numbers themselves
DEGREE = 20  # of a polynomial; of a spline's pieces 10
BASIS = 100  # columns or knots of a spline
LEVELS = 1000  # of a category that are spelled out

ELEMENTWISE = frozenset(
    ["log", "log10", "log2", "log1p", "exp", "expm1", "sqrt", "abs", "sin", "cos", "tanh"]
)

Check = Callable[[str, object], str | None]  # what is wrong with a value, in words


def _whole(low: int, high: int) -> Check:
    def check(name: str, value: object) -> str | None:
        good = value is None or (isinstance(value, int) and low <= value <= high)
        return None if good else f"asks for {name}={_short(repr(value))}: a whole number from {low} to {high}"

    return check


def _flag(name: str, value: object) -> str | None:
    return None if isinstance(value, bool) else f"asks for {name}={_short(repr(value))}: True or False"


def _number(name: str, value: object) -> str | None:
    good = value is None or (isinstance(value, int | float) and not isinstance(value, bool))
    return None if good else f"asks for {name}={_short(repr(value))}: a number"


def _numbers(name: str, value: object) -> str | None:
    if value is not None and (
        not isinstance(value, list) or len(value) > BASIS or any(_number(name, v) or v is None for v in value)
    ):
        return f"asks for {name}={_short(repr(value))}: a list of at most {BASIS} numbers"
    return None


def _levels(name: str, value: object) -> str | None:
    if not isinstance(value, list) or len(value) > LEVELS or any(isinstance(v, list) for v in value):
        return f"asks for {name}={_short(repr(value))}: a list of at most {LEVELS} levels"
    return None


def _one_of(*known: str | None) -> Check:
    def check(name: str, value: object) -> str | None:
        good = value is None or value in known
        return (
            None if good else f"asks for {name}={_short(repr(value))}: one of {', '.join(map(repr, known))}"
        )

    return check


_OUTSIDE = _one_of("raise", "clip", "na", "zero", "extend")
_BOUNDS: dict[str, Check] = {"lower_bound": _number, "upper_bound": _number}
_CUBIC = {"df": _whole(1, BASIS), "knots": _numbers, **_BOUNDS, "constraints": _one_of("center")}
# Arguments after the first, in their order.
ARGUMENTS: dict[str, dict[str, Check]] = {
    **{name: {} for name in ELEMENTWISE},
    "I": {},
    "common": {},
    "offset": {},
    "C": {"levels": _levels},
    "center": {},
    "scale": {"center": _flag, "scale": _flag, "ddof": _whole(0, 1)},
    "poly": {"degree": _whole(1, DEGREE), "raw": _flag},
    "bs": {
        "df": _whole(1, BASIS), "knots": _numbers, "degree": _whole(0, 10), "include_intercept": _flag,
        **_BOUNDS, "extrapolation": _OUTSIDE,
    },
    **{name: {**_CUBIC, "extrapolation": _OUTSIDE} for name in ("cs", "cr", "cc")},
}  # fmt: skip
BY_NAME = {("C", "levels"), *((name, "extrapolation") for name in ("cs", "cr", "cc"))}
FUNCTIONS = frozenset(ARGUMENTS)
WIDE = ("C", "poly", "bs", "cs", "cr", "cc")  # functions that may make several columns

_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.BitAnd)
_COMPARISON = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)
_SIGNS = (ast.UAdd, ast.USub)


@lru_cache(maxsize=256)
def parse_expression(text: str) -> ast.expr:
    """The syntax tree of an expression that a formula may hold; refused with a sentence otherwise."""
    if len(text) > LENGTH:
        raise DataError(f"'{_short(text)}' in the formula has {len(text)} characters: at most {LENGTH}")
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise DataError(f"'{_short(text)}' in the formula is not an expression") from error
    todo: list[tuple[ast.expr, int]] = [(tree, 1)]
    while todo:
        node, depth = todo.pop()
        if depth > DEPTH:
            raise DataError(f"'{_short(text)}' in the formula is nested more than {DEPTH} deep")
        if node is not tree and isinstance(node, ast.Call) and function(node) == "offset":
            raise DataError(
                f"'{_short(text)}' in the formula: an offset stands by itself, '+ offset(log(t))'"
            )
        if wrong := _wrong(node):
            raise DataError(f"'{_short(text)}' {wrong}")
        todo += [(child, depth + 1) for child in _parts(node)]
    return tree


def names(tree: ast.expr) -> set[str]:
    """Columns that an expression reads."""
    return {node.id for node in _walk(tree) if isinstance(node, ast.Name)}


def numeric_names(tree: ast.expr) -> set[str]:
    """Columns that arithmetic or a function of numbers is applied to."""
    found: set[str] = set()
    todo = [(tree, False)]
    while todo:
        node, numeric = todo.pop()
        if isinstance(node, ast.Name) and numeric:
            found.add(node.id)
        if isinstance(node, ast.Compare):
            numeric = False
        elif not (isinstance(node, ast.Call) and function(node) in ("C", "I")):
            numeric = True
        todo += [(child, numeric) for child in _parts(node)]
    return found


def width(tree: ast.expr) -> int:
    """Columns that an expression of numbers makes, at most."""
    widest = 1
    for node in _walk(tree):
        if isinstance(node, ast.Call):
            given = _given(node)
            asked = [3, *(v for n in ("df", "degree") if isinstance(v := given.get(n), int))]
            asked += [len(v) + 11 for v in given.values() if isinstance(v, list)]
            widest = max([widest, *asked])
    return widest


def is_offset(tree: ast.expr) -> bool:
    """Whether an expression is added as it is, without a coefficient: offset(...)."""
    return isinstance(tree, ast.Call) and function(tree) == "offset"


def is_category(tree: ast.expr) -> bool:
    """Whether an expression makes categories of numbers: C(...)."""
    return isinstance(tree, ast.Call) and function(tree) == "C"


def function(call: ast.Call) -> str:
    """The name of a function that may be called, "" for anything else."""
    to = call.func
    if isinstance(to, ast.Attribute) and isinstance(to.value, ast.Name) and to.value.id == "np":
        return to.attr if to.attr in ELEMENTWISE else ""
    return to.id if isinstance(to, ast.Name) and to.id in FUNCTIONS else ""


def _wrong(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        is_function = node.id in FUNCTIONS or node.id == "np"
        return (
            f"uses '{node.id}' as a column, and it is a function: rename the column" if is_function else None
        )
    if isinstance(node, ast.Constant):
        return _wrong_constant(node.value)
    if isinstance(node, ast.Call):
        return _wrong_call(node)
    if isinstance(node, ast.Compare) and all(isinstance(op, _COMPARISON) for op in node.ops):
        return None if len(node.ops) == 1 else "compares more than two things: write (a < b) & (b < c)"
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, _SIGNS):
        return _no_numbers(node.operand)
    if isinstance(node, ast.BinOp) and isinstance(node.op, _ARITHMETIC):
        if isinstance(node.op, ast.Pow):
            return _no_numbers(node.left, node.right) or _wrong_power(node)
        return _no_numbers(node.left, node.right)
    return f"is not allowed in a formula: use columns, arithmetic and {', '.join(sorted(FUNCTIONS))}"


def _wrong_constant(value: object) -> str | None:
    if isinstance(value, bool | str):
        return None
    if isinstance(value, int | float):
        large = not abs(value) <= LARGEST
        return f"holds the number {_short(repr(value))}, which is too large" if large else None
    return "holds a constant that is neither a number nor a text"


def _no_numbers(*operands: ast.expr) -> str | None:
    """Text and lists are repeated by a product, without end."""
    texts = any(isinstance(o, ast.Constant) and isinstance(o.value, str) for o in operands)
    return "does arithmetic with a text" if texts else None


def _wrong_power(node: ast.BinOp) -> str | None:
    if any(isinstance(inner, ast.Name) for inner in _walk(node.right)):
        return None
    if not any(isinstance(inner, ast.Name) for inner in _walk(node.left)):
        return "raises a number to a power: write its value"
    try:
        exponent = _constant(node.right)
    except ValueError:
        return "has an exponent that is computed: write its value"
    if not isinstance(exponent, int | float) or not abs(exponent) <= POWER:
        return f"raises to the power {_short(repr(exponent))}: at most {POWER}"
    return None


def _wrong_call(node: ast.Call) -> str | None:
    name = function(node)
    if not name:
        return f"is not allowed in a formula: use columns, arithmetic and {', '.join(sorted(FUNCTIONS))}"
    allowed = ARGUMENTS[name]
    if name == "offset" and any(isinstance(n, ast.Call) and function(n) in WIDE for n in _walk(node)):
        return "makes several columns, and an offset is one: use arithmetic and elementwise functions"
    unknown = [k.arg for k in node.keywords if k.arg not in allowed]
    if not node.args or unknown or len(node.args) > 1 + len([n for n in allowed if (name, n) not in BY_NAME]):
        takes = f"a column and {', '.join(allowed)}" if allowed else "one argument and no options"
        return f"is not allowed in a formula: {name} takes {takes}"
    try:
        given = _given(node)
    except ValueError:
        return f"has an option of {name} that is computed: write its value"
    return next((w for option, value in given.items() if (w := allowed[option](option, value))), None)


def _given(call: ast.Call) -> dict[str, object]:
    """Options of a call by name; ValueError where one is no constant."""
    order = [n for n in ARGUMENTS[function(call)] if (function(call), n) not in BY_NAME]
    found = {str(option): _constant(a) for a, option in zip_longest(call.args[1:], order) if a is not None}
    return found | {str(k.arg): _constant(k.value) for k in call.keywords}


def _constant(node: ast.expr) -> object:
    """A number with or without a sign, a text, None, True, False, or a list of these."""
    if isinstance(node, ast.List | ast.Tuple):
        return [_constant(e) for e in node.elts]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd | ast.USub):
        value = _constant(node.operand)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float | str | None):
        if isinstance(node.value, float) and not math.isfinite(node.value):
            raise ValueError
        return node.value
    raise ValueError


def _parts(node: ast.expr) -> list[ast.expr]:
    """What an expression is made of, without a function's name and options, which are no columns."""
    if isinstance(node, ast.Call):
        return node.args[:1]
    if isinstance(node, ast.BinOp):
        return [node.left, node.right]
    if isinstance(node, ast.UnaryOp):
        return [node.operand]
    return [node.left, *node.comparators] if isinstance(node, ast.Compare) else []


def _walk(tree: ast.expr) -> Iterator[ast.expr]:
    todo = [tree]
    while todo:
        node = todo.pop()
        yield node
        todo += _parts(node)


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
