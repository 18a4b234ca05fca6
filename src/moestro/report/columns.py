"""The columns of a design as small trees over the user's own columns, which a page can evaluate."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..design import ArrayDesign, FormulaDesign
from ..design.expressions import ELEMENTWISE, function, parse_expression
from ..design.formula import FormulaSide
from ..errors import DataError

LEVEL = re.compile(r"(?P<factor>.+)\[(?:T\.)?(?P<level>.*)\]", re.DOTALL)
ARITHMETIC = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}
Tree = float | list[Any]
EVALUATED: dict[str, Callable[..., Any]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "**": np.power, "neg": np.negative,
    **{name: getattr(np, name) for name in ELEMENTWISE},
}  # fmt: skip


class NotHere(Exception):
    """Why a page cannot evaluate a model, in words."""


@dataclass
class Inputs:
    """What a reader of the page sets, in the order of first use.

    Attributes
    ----------
    levels : mapping of str to tuple or None
        By the column's name: its levels, or None of numbers.
    """

    levels: dict[str, tuple[Any, ...] | None] = field(default_factory=dict)

    def number(self, name: str) -> Tree:
        """The column as a number."""
        return ["input", self._at(name, None)]

    def level(self, name: str, known: tuple[Any, ...], level: str) -> Tree:
        """Whether the column has this level, as it is called."""
        called = [str(v) for v in known]
        if level not in called:
            raise NotHere(f"the level '{level}' of '{name}' is not known")
        return ["level", self._at(name, known), called.index(level)]

    def _at(self, name: str, known: tuple[Any, ...] | None) -> int:
        if self.levels.setdefault(name, known) != known:
            raise NotHere(f"'{name}' is both a number and a category")
        return list(self.levels).index(name)


def trees_of(design: ArrayDesign | FormulaDesign, inputs: Inputs) -> tuple[list[Tree], list[Tree] | None]:
    """Of the experts' columns, and of the gate's before its transform; None where they are the same."""
    if isinstance(design, FormulaDesign):
        gate = design.gate_side
        return _side(design.experts, inputs), None if gate is None else _side(gate, inputs)
    same = design.transform is None and design.gate == design.experts
    return _array(design, design.experts, inputs), None if same else _array(design, design.gate, inputs)


def evaluated(tree: Tree, data: Mapping[str, np.ndarray], inputs: Inputs) -> np.ndarray:
    """A column (n,) from the user's columns: what the page does, in Python."""
    n = len(next(iter(data.values())))
    if not isinstance(tree, list):
        return np.full(n, float(tree))
    word, *parts = tree
    names = list(inputs.levels)
    if word == "input":
        return np.asarray(data[names[parts[0]]], dtype=float)
    if word == "level":
        known = inputs.levels[names[parts[0]]] or ()
        return np.array([str(v) == str(known[parts[1]]) for v in data[names[parts[0]]]], dtype=float)
    return EVALUATED[word](*(evaluated(part, data, inputs) for part in parts))


def _array(design: ArrayDesign, chosen: tuple[int, ...] | None, inputs: Inputs) -> list[Tree]:
    out: list[Tree] = []
    for j in range(len(design.names)) if chosen is None else chosen:
        name = design.names[j]
        known = design.levels.get(name)
        if known is None:
            out.append(inputs.number(name))
        else:
            out += [inputs.level(name, known, str(level)) for level in known[1:]]
    return out


def _side(side: FormulaSide, inputs: Inputs) -> list[Tree]:
    return [_column(name, side, inputs) for name in side.names]


def _column(name: str, side: FormulaSide, inputs: Inputs) -> Tree:
    """A column of a formula: one factor, or a product of several."""
    if name in side.variables and name not in side.levels:
        return inputs.number(name)
    factors = [_factor(part, side, inputs) for part in _split(name)]
    product = factors[0]
    for factor in factors[1:]:
        product = ["*", product, factor]
    return product


def _split(name: str) -> list[str]:
    """At colons outside of brackets."""
    parts, depth = [""], 0
    for c in name:
        depth += (c in "([") - (c in ")]")
        if c == ":" and not depth:
            parts.append("")
        else:
            parts[-1] += c
    return parts


def _factor(text: str, side: FormulaSide, inputs: Inputs) -> Tree:
    if text in side.variables and text not in side.levels:
        return inputs.number(text)
    found = LEVEL.fullmatch(text)
    if found and found["factor"] in side.levels:
        factor = found["factor"]
        column = factor
        if factor not in side.variables:
            tree = _read(factor)
            if not (
                isinstance(tree, ast.Call) and function(tree) == "C" and isinstance(tree.args[0], ast.Name)
            ):
                raise NotHere(f"'{factor}' makes categories of an expression")
            column = tree.args[0].id
        return inputs.level(column, side.levels[factor], found["level"])
    return _number(_read(text), text, side, inputs)


def _read(text: str) -> ast.expr:
    try:
        return parse_expression(text)
    except DataError as error:
        raise NotHere(f"'{text}' is more than a page evaluates") from error


def _number(node: ast.expr, text: str, side: FormulaSide, inputs: Inputs) -> Tree:
    if isinstance(node, ast.Name) and node.id in side.variables and node.id not in side.levels:
        return inputs.number(node.id)
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        inner = _number(node.operand, text, side, inputs)
        return ["neg", inner] if isinstance(node.op, ast.USub) else inner
    if isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        parts = (_number(part, text, side, inputs) for part in (node.left, node.right))
        return [ARITHMETIC[type(node.op)], *parts]
    if isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
        name = function(node)
        if name in ELEMENTWISE or name in ("I", "common"):
            inner = _number(node.args[0], text, side, inputs)
            return [name, inner] if name in ELEMENTWISE else inner
    raise NotHere(f"the formula's '{text}' is more than a page evaluates")
