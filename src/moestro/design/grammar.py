"""What a formula may say: its parts, the columns it reads, and no code."""

from __future__ import annotations

import ast
from typing import Any

from ..errors import DataError

FUNCTIONS = frozenset(
    [
        "C",
        "I",
        "log",
        "log10",
        "log2",
        "log1p",
        "exp",
        "expm1",
        "sqrt",
        "abs",
        "sin",
        "cos",
        "tanh",
        "center",
        "scale",
        "poly",
        "bs",
        "cs",
        "cr",
        "cc",
    ]
)
_NODES = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.Constant, ast.Name, ast.Load,
    ast.Call, ast.keyword, ast.Attribute, ast.Compare, ast.cmpop, ast.List, ast.Tuple,
)  # fmt: skip


def split(text: str) -> tuple[str, str, str | None]:
    """Response, experts' part and gate's part of a formula."""
    sides = text.split("~")
    if len(sides) != 2 or not all(s.strip() for s in sides):
        raise DataError(
            f"the formula '{text}' needs a response and terms: 'y ~ x1 + x2' or 'y ~ x1 + x2 | z1'"
        )
    parts = sides[1].split("|")
    if len(parts) > 2 or not all(p.strip() for p in parts):
        raise DataError(
            f"the formula '{text}' has more than one '|' or an empty part: write 'y ~ experts | gate'"
        )
    return sides[0].strip(), parts[0].strip(), parts[1].strip() if len(parts) == 2 else None


def _formulaic() -> Any:
    try:
        import formulaic
    except ImportError as error:
        raise DataError("formulas need an extra: pip install 'moestro[formula]'") from error
    return formulaic


def parse(text: str) -> Any:
    formulaic = _formulaic()
    try:
        return formulaic.Formula(text)
    except Exception as error:  # formulaic's own syntax errors, coloured and on several lines
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if reason.startswith("The `.` operator"):
            reason = "name the columns instead of '.'"
        raise DataError(f"the formula part '{text}' cannot be read: {reason}") from error


def variables(text: str) -> list[str]:
    """Columns that a part reads: looked-up factors, and names inside expressions that are no function."""
    out: set[str] = set()
    for term in parse(text):
        for factor in term.factors:
            if factor.eval_method.value == "lookup":
                out.add(str(factor.expr))
            elif factor.eval_method.value == "python":
                tree = ast.parse(factor.expr, mode="eval")
                out.update(
                    n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id not in {*FUNCTIONS, "np"}
                )
    return sorted(out)


def refuse_code(text: str) -> None:
    """A formula may hold columns, numbers, arithmetic and `FUNCTIONS`; anything else would be running
    code."""
    for term in parse(text):
        for factor in term.factors:
            if factor.eval_method.value != "python":
                continue
            try:
                tree = ast.parse(factor.expr, mode="eval")
            except SyntaxError as error:
                raise DataError(f"'{factor.expr}' in the formula is not an expression") from error
            for node in ast.walk(tree):
                call_ok = not isinstance(node, ast.Call) or _function_name(node.func) in FUNCTIONS
                attribute_ok = not isinstance(node, ast.Attribute) or (
                    isinstance(node.value, ast.Name) and node.value.id == "np" and node.attr in FUNCTIONS
                )
                if not isinstance(node, _NODES) or not call_ok or not attribute_ok:
                    raise DataError(
                        f"'{factor.expr}' is not allowed in a formula: use columns, "
                        f"arithmetic and {', '.join(sorted(FUNCTIONS))}"
                    )


def _function_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
