"""What a formula may say: its parts, the columns it reads, no code, and no more than a fit can pay.

Everything is checked on syntax trees, before a term is formed or an expression evaluated.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from functools import lru_cache
from math import prod
from typing import Any

from ..errors import DataError
from . import expressions

LENGTH = 10_000  # characters of a formula
TERMS = 500  # of a part
PRODUCTS = 10_000  # terms that brackets, *, : and ** form on the way
DEGREE = 10  # exponent of a bracket
COLUMNS = 5000  # of a part

SUMS = ("+", "-", "/", "in")
PRODUCT = (":", "*")
POWERS = ("**", "^")


def split(text: str) -> tuple[str, str, str | None]:
    """Response, experts' part and gate's part of a formula."""
    _refuse_long(text)
    sides = text.split("~")
    if len(sides) != 2 or not all(s.strip() for s in sides):
        raise DataError(
            f"the formula '{short(text)}' needs a response and terms: 'y ~ x1 + x2' or 'y ~ x1 + x2 | z1'"
        )
    parts = sides[1].split("|")
    if len(parts) > 2 or not all(p.strip() for p in parts):
        raise DataError(
            f"the formula '{short(text)}' has more than one '|' or an empty part: write 'y ~ experts | gate'"
        )
    return sides[0].strip(), parts[0].strip(), parts[1].strip() if len(parts) == 2 else None


@lru_cache(maxsize=64)
def parse(text: str) -> Any:
    """formulaic's terms of a part; refused where it may not be evaluated."""
    try:
        import formulaic
        from formulaic.parser import DefaultFormulaParser
        from formulaic.parser.algos.tokenize import tokenize
        from formulaic.parser.types import Token
    except ImportError as error:
        raise DataError("formulas need an extra: pip install 'moestro[formula]'") from error
    _refuse_long(text)
    try:
        for token in tokenize(text):
            if token.kind is Token.Kind.PYTHON:
                expressions.parse_expression(token.token)
        _refuse_many(text, DefaultFormulaParser().get_ast(text, context={}))
        formula: Any = formulaic.Formula(text)  # pyright: ignore[reportAbstractUsage]
    except DataError:
        raise
    except Exception as error:  # formulaic's own syntax errors, coloured and on several lines
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if reason.startswith("The `.` operator"):
            reason = "name the columns instead of '.'"
        raise DataError(f"the formula part '{short(text)}' cannot be read: {reason}") from error
    count = sum(1 for _ in formula)
    if count > TERMS:
        raise DataError(
            f"the formula part '{short(text)}' has {count} terms: at most {TERMS}; give a matrix instead"
        )
    for term in formula:
        for factor in term.factors:
            syntax(factor)  # as formulaic wrote it once more, and will evaluate it
    _refuse_columns(text, formula, lambda factor: 1)
    for term in formula:
        if len(term.factors) > 1 and any(_is_offset(factor) for factor in term.factors):
            raise DataError(
                f"the formula part '{short(text)}' multiplies an offset: add it, its coefficient is one"
            )
    return formula


def offsets(text: str) -> list[str]:
    """The names of the columns of a part that are offsets."""
    return [str(f.expr) for term in parse(text) for f in term.factors if _is_offset(f)]


def with_offset(text: Any, column: Any) -> str:
    """A formula with the column of this name as an offset of the experts; None: as it is. What is no text is
    refused."""
    if not isinstance(text, str):
        got = short(" ".join(repr(text).split()))
        raise DataError(f"formula must be text such as 'y ~ x1 + x2 | z1', got {got}")
    if column is None:
        return text
    if not isinstance(column, str):
        raise DataError(
            "beside a formula an offset is the name of a column, so that predictions can read it: "
            "offset='log_t', or + offset(log(t)) in the formula"
        )
    response, experts, gate = split(text)
    if not column.isidentifier():
        raise DataError(
            f"offset names the column '{short(column)}', which is no plain name: "
            "write offset(...) in the formula"
        )
    return f"{response} ~ {experts} + offset({column})" + ("" if gate is None else f" | {gate}")


def _is_offset(factor: Any) -> bool:
    tree = syntax(factor)
    return tree is not None and expressions.is_offset(tree)


def variables(text: str) -> list[str]:
    """Columns that a part reads: looked-up factors, and names inside expressions that are no function."""
    return sorted(set().union(*(columns_of(factor) for term in parse(text) for factor in term.factors)))


def numeric_variables(text: str) -> list[str]:
    """Columns of a part that must be numbers: arithmetic or a function is applied to them."""
    trees = [tree for term in parse(text) for factor in term.factors if (tree := syntax(factor)) is not None]
    return sorted(set().union(*map(expressions.numeric_names, trees)))


def category_variables(text: str) -> list[str]:
    """Columns of a part that ``C(...)`` makes categories."""
    found: set[str] = set()
    for factor in (factor for term in parse(text) for factor in term.factors):
        tree = syntax(factor)
        if tree is not None and expressions.is_category(tree):
            found |= columns_of(factor)
    return sorted(found)


def columns_of(factor: Any) -> set[str]:
    """Columns that a factor reads."""
    tree = syntax(factor)
    if tree is not None:
        return expressions.names(tree)
    return {str(factor.expr)} if factor.eval_method.value == "lookup" else set()


def refuse_wide(text: str, known: Callable[[Any], int]) -> None:
    """Refuse a part that makes too many columns.

    Parameters
    ----------
    known : callable
        What the data or a file tell of a factor's columns, beside its text: how many there are at least.
    """
    _refuse_columns(text, parse(text), known)


def refuse_names(text: str, names: Sequence[str]) -> None:
    """Refuse names of columns that the terms of a part do not make in this order: each factor's own text,
    with a level or a number in brackets. Of categories without the terms below theirs, as in a:b alone, a
    term makes the columns of those terms too."""
    at = 0
    for term in parse(text):
        factors = [str(factor.expr) for factor in term.factors]
        while at < len(names) and _makes(factors, names[at]):
            at += 1
    if at < len(names):
        raise DataError(f"the formula part '{short(text)}' makes no column '{short(names[at])}'")


def _makes(factors: Sequence[str], name: str) -> bool:
    """Whether some of the factors in their order make a name, in a time that grows with both: a regular
    expression of several brackets would try every way to close them."""
    ends = {0}  # of what the factors so far may have made
    for text in factors:
        begun = {p + len(own) for p in ends if name.startswith(own := f":{text}" if p else text, p)}
        opened = min((p for p in begun if name.startswith("[", p)), default=len(name))
        ends |= begun | {i + 1 for i in range(opened, len(name)) if name[i] == "]"}
    return bool(name) and len(name) in ends


def syntax(factor: Any) -> ast.expr | None:
    """The tree of a factor that is an expression; None for a column and a number."""
    return expressions.parse_expression(factor.expr) if factor.eval_method.value == "python" else None


def short(text: str, most: int = 100) -> str:
    """The beginning of a text, `most` characters of it, for a message of one line."""
    return text if len(text) <= most else text[: most - 3] + "..."


def _refuse_long(text: str) -> None:
    if len(text) > LENGTH:
        raise DataError(
            f"the formula '{short(text)}' has {len(text)} characters: at most {LENGTH}; give a matrix instead"
        )


def _refuse_columns(text: str, formula: Any, known: Callable[[Any], int]) -> None:
    def width(factor: Any) -> int:
        tree = syntax(factor)
        return max(known(factor), 1 if tree is None else expressions.width(tree))

    total = sum(prod(width(factor) for factor in term.factors) for term in formula)
    if total > COLUMNS:
        raise DataError(
            f"the formula part '{short(text)}' makes up to {total} columns: at most {COLUMNS}; "
            "use fewer levels, knots or interactions"
        )


def _refuse_many(text: str, tree: Any) -> None:
    """Bound the terms that a tree of operators forms, from its leaves up, without forming one."""
    order, todo = [], [tree]
    while todo:
        node = todo.pop()
        order.append(node)
        todo += list(getattr(node, "args", ()))
    terms: dict[int, int] = {}  # of each node, at most
    formed = 0
    for node in reversed(order):
        if not hasattr(node, "operator"):
            terms[id(node)] = 1
            continue
        sizes = [terms[id(part)] for part in node.args]
        symbol = node.operator.symbol
        if symbol in POWERS:
            degree = _degree(text, node.args[1])
            terms[id(node)] = sizes[0] ** degree
        elif symbol in PRODUCT:
            terms[id(node)] = prod(sizes) + (sum(sizes) if symbol == "*" else 0)
        elif symbol in SUMS:
            terms[id(node)] = sum(sizes)
        else:
            raise DataError(f"the formula part '{short(text)}' uses '{symbol}', which is not allowed in it")
        formed += terms[id(node)] if symbol not in SUMS else 0
        if formed > PRODUCTS or terms[id(node)] > PRODUCTS:
            raise DataError(
                f"the formula part '{short(text)}' forms more than {PRODUCTS} products of terms: "
                "write the terms that you need"
            )


def _degree(text: str, exponent: Any) -> int:
    word = str(getattr(exponent, "token", ""))
    if not word.isascii() or not word.isdigit() or len(word) > 4 or not 1 <= int(word) <= DEGREE:
        raise DataError(
            f"the formula part '{short(text)}' raises terms to a power that is no whole number from 1 to "
            f"{DEGREE}: write the power of a column as I(x**2)"
        )
    return int(word)
