"""Formulas "y ~ experts | gate", read by formulaic and remembered as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..errors import DataError
from ..reading import flag, sentence, texts
from .frames import Examined, columns, refuse_unusable, row_count
from .grammar import offsets, parse, refuse_names, short, split, variables
from .known import bounded
from .levels import declared_levels, refuse_infinite, refuse_other_kinds
from .materialise import learned, make_spec, materialise, needed, plain, refuse_state
from .pairs import plain_names, response_data, response_variables


@dataclass(frozen=True)
class FormulaSide:
    """One part of a formula with what it learned from the data.

    Attributes
    ----------
    text : str
    names : tuple of str
        Its columns, without the constant.
    variables : tuple of str
        Columns of the data that it reads.
    levels : dict of str to tuple
        Categories of each categorical factor.
    state : dict
        formulaic's state of transforms such as ``center`` and ``bs``, as plain data.
    """

    text: str
    names: tuple[str, ...]
    variables: tuple[str, ...]
    levels: dict[str, tuple]
    state: dict[str, Any]

    @classmethod
    def learn(
        cls, text: str, data: Any, holes: bool = False, found: Any = None
    ) -> tuple[FormulaSide, np.ndarray | None]:
        """Materialise `text` on `data` and keep what prediction needs, with the `matrix`: none where a
        transform learned something, which is to be applied as prediction will. With `holes` numbers may be
        missing; `found` are its columns where they were examined before."""
        if [str(term) for term in parse(text)] == ["1"]:
            return cls(text, (), (), {}, {}), None
        declared = declared_levels(data, variables(text))
        read = needed(text, data if found is None else found, holes)
        out = materialise(make_spec(text, None, None), read, declared)
        spec = out.model_spec
        names = [str(c) for c in spec.column_names]
        if "Intercept" not in names:
            raise DataError(f"'{short(text)}' removes the intercept: experts and gate always have one")
        if not variables(text):
            raise DataError(f"the formula part '{short(text)}' has a term that reads no column")
        levels = {
            factor: tuple(plain(state["categories"]))
            for factor, (kind, state) in spec.encoder_state.items()
            if kind.value == "categorical"
        }
        for factor, known in levels.items():
            refuse_infinite(short(factor), known)
        own = tuple(n for n in names if n not in ("Intercept", *offsets(text)))
        state = learned(out)
        side = cls(text, own, tuple(variables(text)), levels, state)
        return side, None if state else side._columns(out)

    def matrix(self, data: Any, holes: bool = False) -> np.ndarray:
        """Columns (n, d) of new data, with the remembered levels and transforms, NaN where a value is missing
        and may be; last the sum of the offsets, where there are any."""
        if not self.variables or row_count(data) == 0:
            return np.empty((row_count(data), len(self.names) + bool(offsets(self.text))))
        found = needed(self.text, data, holes)
        if set(self.names) == set(self.variables) and all(v.dtype.kind in "iuf" for v in found.values()):
            return np.array([found[name] for name in self.names], dtype=float).T  # columns in one piece each
        refuse_other_kinds(found, self.names, self.levels)
        spec = make_spec(self.text, self.levels, self.state)
        return self._columns(materialise(spec, found, self._categories))

    def _columns(self, out: Any) -> np.ndarray:
        got = [str(c) for c in out.model_spec.column_names]
        known = offsets(self.text)
        if [name for name in got if name not in ("Intercept", *known)] != list(self.names):
            raise DataError(
                f"the formula part '{short(self.text)}' makes the columns {short(', '.join(got))}, but was "
                f"fitted with {short(', '.join(self.names))}"
            )
        matrix = np.asarray(out, dtype=float)
        own = np.ascontiguousarray(matrix[:, [got.index(name) for name in self.names]])
        if not known:
            return own
        return np.column_stack([own, matrix[:, [got.index(name) for name in known]].sum(axis=1)])

    @property
    def _categories(self) -> dict[str, tuple]:
        """Levels of the columns that are categories as they are, whatever they hold."""
        return {name: self.levels[name] for name in self.variables if name in self.levels}

    def to_dict(self) -> dict[str, Any]:
        return {
            "text": self.text,
            "names": list(self.names),
            "variables": list(self.variables),
            "levels": {k: list(v) for k, v in self.levels.items()},
            "state": self.state,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> FormulaSide:
        text, levels = sentence(data["text"], "formula"), {k: tuple(v) for k, v in data["levels"].items()}
        read = tuple(variables(text))
        if tuple(data["variables"]) != read:
            raise DataError(f"the model file's columns are not those of its formula part '{short(text)}'")
        if any(not isinstance(v, bool | int | float | str) for known in levels.values() for v in known):
            raise DataError(
                f"the model file has levels of '{short(text)}' that are neither numbers nor texts"
            )
        refuse_state(text, levels, data["state"])
        names = texts(data["names"], "names of columns")
        refuse_names(text, names)
        return cls(text, names, read, levels, data["state"])


@dataclass(frozen=True)
class FormulaDesign:
    """ "y ~ x1 + x2 | z1": the experts' side, the gate's side (None where they are the same), the response.

    `response_state` is what a transform of the response learned, ``scale(y)`` its mean and deviation, and
    `holes` says whether numbers may be missing.
    """

    text: str
    response: str
    experts: FormulaSide
    gate_side: FormulaSide | None
    response_state: dict[str, Any] = field(default_factory=dict)
    holes: bool = False

    @classmethod
    def learn(cls, text: str, data: Any, holes: bool = False) -> FormulaDesign:
        """The design that a formula makes of a frame."""
        return cls.learn_matrices(text, data, holes)[0]

    @classmethod
    def learn_matrices(
        cls, text: str, data: Any, holes: bool = False
    ) -> tuple[FormulaDesign, np.ndarray, np.ndarray | None]:
        """The design and its `matrices`, from columns that are examined once."""
        response, experts, gate = split(text)
        plain = plain_names(response)
        for part in (None if plain else response, experts, gate):
            if part is not None:
                parse(part)
        if (rows := row_count(data)) < 2:
            raise DataError(f"the data have {rows} row{'' if rows == 1 else 's'}: at least 2 are needed")
        for part, of in ((None if plain else response, "response"), (gate, "gate")):
            if part is not None and offsets(part):
                raise DataError(f"an offset belongs to the experts' part of a formula, not to the {of}")
        found = read = read_by(text, data)
        if response.startswith("interval("):  # whose ends may be infinite
            read = {n: v for n, v in read.items() if n not in (plain or ()) or not np.isinf(v).any()}
        refuse_unusable(read, holes)  # of all parts: one message names every gap
        if len(read) == len(found):
            found = Examined(found)
        if any("common(" in name for name in offsets(experts)):
            raise DataError("an offset has no coefficient that could be common: leave out common(...)")
        if any("common(" in part for part in (response, gate or "")):
            raise DataError(
                "common(...) belongs to the experts' part: the gate has coefficients of each expert"
            )
        side, x = FormulaSide.learn(experts, data, holes, found)
        of_gate, z = (None, None) if gate is None else FormulaSide.learn(gate, data, holes, found)
        x = side.matrix(found, holes) if x is None else x
        z = of_gate.matrix(found, holes) if of_gate is not None and z is None else z
        return cls(text, response, side, of_gate, holes=holes), x, z

    @property
    def expert_names(self) -> tuple[str, ...]:
        return self.experts.names

    @property
    def common(self) -> tuple[str, ...]:
        """Columns of the experts that ``common(...)`` gives the same coefficient in every expert."""
        return tuple(name for name in self.expert_names if "common(" in name)

    @property
    def known(self) -> int:
        """1 where the experts have an offset, else 0."""
        return int(bool(offsets(self.experts.text)))

    @property
    def gate_names(self) -> tuple[str, ...]:
        return self.experts.names if self.gate_side is None else self.gate_side.names

    def matrices(self, data: Any) -> tuple[np.ndarray, np.ndarray | None]:
        """Experts' columns, the offset last, and the gate's; None where they are the same."""
        gate = None if self.gate_side is None else self.gate_side.matrix(data, self.holes)
        return self.experts.matrix(data, self.holes), gate

    @property
    def variables(self) -> tuple[str, ...]:
        """Columns of the data that experts and gate read, sorted."""
        gate = () if self.gate_side is None else self.gate_side.variables
        return tuple(sorted({*self.experts.variables, *gate}))

    def order_of(self, name: str) -> tuple[Any, ...]:
        """The levels of a column, the reference first; none of numbers."""
        for side in (self.experts, self.gate_side):
            for factor in (name, f"C({name})"):
                if side is not None and factor in side.levels:
                    return side.levels[factor]
        return ()

    def learn_response(self, data: Any) -> tuple[FormulaDesign, np.ndarray]:
        """The response (n,) of the data that are fitted, and the design that remembers what its transform
        learned."""
        if self._plain_response is not None:
            return self, self.read_response(data)
        read = needed(self.response, data, self.holes)
        out = materialise(make_spec(f"0 + {self.response}", None, None), read)
        return replace(self, response_state=learned(out)), self._one_column(out)

    def read_response(self, data: Any) -> np.ndarray:
        """The response (n,): a column as it is, or an expression of columns with the remembered
        transforms."""
        names = self._plain_response
        if names is not None:
            found = list(columns(data, names).values())
            if len(found) == 1:
                return found[0]
            both = np.column_stack(found)
            return bounded(both, self.response) if self.response.startswith("cens(") else both
        spec = make_spec(f"0 + {self.response}", None, self.response_state)
        return self._one_column(materialise(spec, needed(self.response, data, self.holes)))

    def read(
        self, data: Any, given: dict[str, np.ndarray] | None = None, response: bool = False
    ) -> dict[str, np.ndarray]:
        """The columns that experts and gate read, and those of the response: of the data, or as they are
        given."""
        own = [] if given is not None or not response else response_variables(self.response)
        return columns(data, sorted({*self.variables, *own})) | (given or {})

    @property
    def _plain_response(self) -> list[str] | None:
        return plain_names(self.response)

    def _one_column(self, out: Any) -> np.ndarray:
        values = np.asarray(out, dtype=float)
        if values.ndim == 2 and values.shape[1] != 1:
            raise DataError(f"the response '{self.response}' has {values.shape[1]} columns: it must be one")
        return values.ravel()

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": "formula",
            "text": self.text,
            "response": self.response,
            "response_state": self.response_state,
            "holes": self.holes,
            "experts": self.experts.to_dict(),
            "gate": None if self.gate_side is None else self.gate_side.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> FormulaDesign:
        gate, state = data["gate"], data.get("response_state", {})
        design = cls(
            sentence(data["text"], "formula"),
            sentence(data["response"], "response"),
            FormulaSide.from_dict(data["experts"]),
            None if gate is None else FormulaSide.from_dict(gate),
            state,
            flag(data.get("holes", False), "mark of missing values"),
        )
        if design._plain_response is None or state:
            refuse_state(design.response, {}, state)
        sides = (design.experts.text, None if design.gate_side is None else design.gate_side.text)
        if split(design.text) != (design.response, *sides):
            raise DataError(f"the model file's formula '{short(design.text)}' is not that of its parts")
        return design


def read_by(text: str, data: Any, y: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """All columns that a formula reads, those of the response from y where it is given."""
    response, experts, gate = split(text)
    own = {} if y is None else response_data(response, np.asarray(y))
    read = {name for part in (experts, gate or "1") for name in variables(part)}
    return columns(data, sorted(read if own else {*read, *response_variables(response)})) | own
