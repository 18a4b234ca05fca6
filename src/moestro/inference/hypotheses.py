"""Linear hypotheses about coefficients, written as people write them, and their Wald test."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

import numpy as np
from scipy.special import chdtrc

from ..errors import DataError
from ..tables import Table
from .estimates import Estimates, p_text, two_sided

NUMBER = re.compile(r"\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?")
RANK = 1e-10  # of a covariance scaled to correlations, below which hypotheses say the same


@dataclass(frozen=True)
class Hypotheses:
    """R b = r for coefficients b.

    Attributes
    ----------
    texts : tuple of str
        One a row.
    R : ndarray of shape (m, U)
    r : ndarray of shape (m,)
    """

    texts: tuple[str, ...]
    R: np.ndarray
    r: np.ndarray

    @classmethod
    def read(cls, text: str, labels: dict[str, int], k: int) -> Hypotheses:
        """What `text` says: "1:x1 = 2:x1 = 3:x1", "2*1:x1 - 1:x2 = 3, gate:1:x1 = 0".

        An expert's coefficient is "expert:term", with an outcome "expert:outcome:term"; the gate's are
        "gate:expert:term". "*:term" is one hypothesis for each of the k experts, and each outcome. Without
        "=" a sum is zero.
        """
        texts: list[str] = []
        rows: list[np.ndarray] = []
        for one in (part for whole in _split(text, labels) for part in _each(whole, labels, k)):
            sides = [_side(s, labels) for s in one.split("=")]
            if len(sides) == 1:
                sides.append(np.zeros(len(labels) + 1))
            for left, right in pairwise(sides):
                rows.append(left - right)
                texts.append(one if len(sides) == 2 else "")
        for i, (row, name) in enumerate(zip(rows, texts, strict=True)):
            texts[i] = _clean(name) if name else _written(row, labels)
        both = np.array(rows).reshape(-1, len(labels) + 1)
        return cls(tuple(texts), both[:, :-1], -both[:, -1])

    @classmethod
    def equal(cls, terms: str | Sequence[str], estimates: Estimates) -> Hypotheses:
        """Every expert has the same coefficients of these terms."""
        texts, rows = [], []
        for term in [terms] if isinstance(terms, str) else terms:
            found = [
                (t.outcome, i) for i, t in enumerate(estimates.terms) if t.part == "expert" and t.term == term
            ]
            if not found:
                raise DataError(f"no expert has a coefficient of {term!r}: {_known(estimates.places)}")
            for outcome in dict.fromkeys(o for o, _ in found):
                for a, b in pairwise(i for o, i in found if o == outcome):
                    row = np.zeros(len(estimates.terms))
                    row[a], row[b] = 1.0, -1.0
                    texts.append(f"{estimates.terms[a].label} = {estimates.terms[b].label}")
                    rows.append(row)
        if not rows:
            raise DataError("a fit of one expert has no other coefficient to compare with")
        return cls(tuple(texts), np.array(rows), np.zeros(len(rows)))


@dataclass(frozen=True)
class HypothesisTest:
    """A test of linear hypotheses; as text one line.

    Attributes
    ----------
    name : str
        "Wald", "likelihood-ratio" or "score".
    statistic : float
        Chi-squared under the hypotheses.
    df : int
    p : float
    table : Table
        One row a hypothesis: its text and, of a Wald test, estimate of R b - r, std_error, z, p.
    kind : str
        Of the covariance.
    """

    name: str
    statistic: float
    df: int
    p: float
    table: Table
    kind: str

    def __str__(self) -> str:
        kind = f" ({self.kind})" if self.kind else ""
        what = ", ".join(self.table["hypothesis"])
        return f"{self.name} test{kind} of {what}: {self._result}"

    @property
    def _result(self) -> str:
        return f"chi2({self.df}) = {self.statistic:.3f}, {p_text(self.p)}"

    def _repr_html_(self) -> str:
        kind = f" ({escape(self.kind)})" if self.kind else ""
        head = f"<p><strong>{escape(self.name)} test</strong>{kind}: {escape(self._result)}</p>"
        return f"{head}\n{self.table.to_html()}"


def wald_test(h: Hypotheses, estimates: Estimates) -> HypothesisTest:
    """W = (R b - r)' (R V R')^-1 (R b - r), chi-squared with the rank of R under R b = r (Wald, 1943)."""
    matrix = estimates.covariance
    unknown = (h.R != 0).any(axis=0) & ~estimates.known
    if unknown.any():
        i = int(np.argmax(unknown))
        raise DataError(
            f"{estimates.terms[i].label} has no standard error ({estimates.notes[i]}), "
            "so no hypothesis about it can be tested"
        )
    gap = h.R @ estimates.values - h.r
    V = h.R @ matrix @ h.R.T
    se = np.sqrt(np.maximum(np.diag(V), 0.0))
    if (se == 0).any():
        raise DataError(f"'{h.texts[int(np.argmin(se))]}' says nothing about an estimate")
    values, vectors = np.linalg.eigh(V / np.outer(se, se))
    if values[0] <= RANK * values[-1]:
        few = ", or there are too few clusters for so many" if estimates.kind == "cluster" else ""
        raise DataError(f"the {len(gap)} hypotheses are not independent{few}: leave some out")
    scaled = vectors.T @ (gap / se)
    statistic = float((scaled**2 / values).sum())
    z = gap / se
    table = Table(
        {
            "hypothesis": list(h.texts),
            "estimate": gap.tolist(),
            "std_error": se.tolist(),
            "z": z.tolist(),
            "p": [two_sided(v) for v in z],
        }
    )
    return HypothesisTest(
        "Wald", statistic, len(gap), float(chdtrc(len(gap), statistic)), table, estimates.kind
    )


def _split(text: str, labels: dict[str, int]) -> list[str]:
    """At commas outside of labels: a category's name may have one."""
    parts, start, i = [], 0, 0
    while i < len(text):
        label = _label_at(text, i, labels)
        if label:
            i += len(label)
            continue
        if text[i] == ",":
            parts.append(text[start:i])
            start = i + 1
        i += 1
    return [*parts, text[start:]]


def _each(text: str, labels: dict[str, int], k: int) -> list[str]:
    """With each expert in the place of "*", and each outcome where a term has several."""
    if "*:" not in text:
        return [text]
    return [text.replace("*:", f"{e + 1}:{o}") for e in range(k) for o in _outcomes(text, labels)]


def _outcomes(text: str, labels: dict[str, int]) -> list[str]:
    """ "Democrat:", ... where the term after "*:" is one of every class; otherwise nothing."""
    before, term = text.split("*:", 1)
    if before.endswith("gate:") or _label_at("1:" + term, 0, labels):
        return [""]
    parts = [name.removeprefix("1:").partition(":") for name in labels if name.startswith("1:")]
    longest = max((t for _, colon, t in parts if colon and term.startswith(t)), key=len, default=None)
    return [f"{outcome}:" for outcome, _, t in parts if t == longest] or [""]


def _label_at(text: str, i: int, labels: dict[str, int]) -> str:
    return max((name for name in labels if text.startswith(name, i)), key=len, default="")


def _side(text: str, labels: dict[str, int]) -> np.ndarray:
    """Coefficients (U + 1,) of a sum of labels and numbers, the constant last."""
    out = np.zeros(len(labels) + 1)
    i, sign, factor, need = 0, 1.0, None, True
    while i < len(text):
        label = _label_at(text, i, labels)
        number = NUMBER.match(text, i)
        if text[i].isspace() or (text[i] == "*" and factor is not None):
            i += 1
        elif label and need:
            out[labels[label]] += sign * (1.0 if factor is None else factor)
            i, factor, need = i + len(label), None, False
        elif number and need and factor is None:
            factor, i = float(number[0]), number.end()
        elif text[i] in "+-":
            if factor is not None:
                out[-1] += sign * factor
            if factor is not None or not need:
                sign = 1.0
            sign = -sign if text[i] == "-" else sign
            i, factor, need = i + 1, None, True
        else:
            raise DataError(f"'{text[i:].strip()}' in a hypothesis is unknown: {_known(labels)}")
    if factor is not None:
        out[-1] += sign * factor
    elif need:
        raise DataError(f"'{text.strip()}' in a hypothesis is not a sum of coefficients: {_known(labels)}")
    return out


def _known(labels: dict[str, int]) -> str:
    names = list(labels)
    return f"coefficients are called {', '.join(names[:6])}{', ...' if len(names) > 6 else ''}"


def _clean(text: str) -> str:
    return " ".join(text.split())


def _written(row: np.ndarray, labels: dict[str, int]) -> str:
    """A row as a text: one side of a chain of equations."""
    left = [f"{'' if v == 1 else f'{v:g}*'}{n}" for n, i in labels.items() if (v := row[i]) > 0]
    right = [f"{'' if v == 1 else f'{v:g}*'}{n}" for n, i in labels.items() if (v := -row[i]) > 0]
    if row[-1]:
        right.append(f"{-row[-1]:g}")
    return f"{' + '.join(left) or '0'} = {' + '.join(right) or '0'}"
