"""Several fits of the same rows side by side: coefficients by expert, criteria below them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from ..errors import DataError
from ..fitted import FittedModel, LocatedModel
from ..inference import Estimates
from ..selection.criteria import CRITERIA, entropy_r2
from ..tables import Table, p_cell, shortened, width_of
from .layout import columns, number, short
from .text import ERRORS

STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))
NAME, BESIDE = 16, 62  # columns of a fit's name, and of all fits beside the labels
BELOW = ("std_error", "p", "none")
Key = tuple[str, int, str, str]  # part, component, outcome, term


@dataclass(frozen=True)
class Comparison:
    """Fits side by side; as text one table.

    Attributes
    ----------
    coefficients : Table
        One row a parameter: component, part, (outcome,) term, and of each fit estimate, std_error and p,
        None where it has none.
    fits : Table
        One row a fit: name, model, k, n, df, log_likelihood, aic, bic, icl, entropy_r2, status, kind of
        standard errors.
    below : {"std_error", "p", "none"}
        What stands below an estimate.
    kind : str
        Of the standard errors; "" without any.
    """

    coefficients: Table
    fits: Table
    below: str
    kind: str

    def __str__(self) -> str:
        names = list(self.fits["name"])
        rows = self._rows(names)
        heads = [shortened(short(name), NAME) + self._space for name in names]
        cells = [[head, *(c[i] for _, c in rows if c)] for i, head in enumerate(heads)]
        texts = []
        for at in _panels([max(map(width_of, column)) + 2 for column in cells]):
            part = [(label, [c[i] for i in at] if c else ()) for label, c in rows]
            texts.append("\n".join(columns([heads[i] for i in at], part)))
        notes = ["Experts stand in the order of their shares in each fit."]
        if self.kind:
            what = {"std_error": "standard errors", "p": "p values"}.get(self.below)
            below = f"in parentheses {what}; " if what else ""
            how = ERRORS.get(self.kind, self.kind)
            notes = ["* p < 0.05, ** p < 0.01, *** p < 0.001", f"{below}errors by {how}", *notes]
        return "\n\n".join([*texts, "\n".join(notes)])

    @property
    def _space(self) -> str:
        """What stands to the right of a number, where others have stars."""
        return "   " if self.kind else ""

    def _rows(self, names: Sequence[str]) -> list[tuple[str, list[str]]]:
        out: list[tuple[str, list[str]]] = []
        for (part, e, outcome), members in groupby(self.coefficients, _block):
            of = f": {short(outcome)}" if outcome else ""
            out.append((f"{'gate of ' if part == 'gate' else ''}expert {e}{of}", []))
            for row in members:
                out.append((f"  {row['term']}", [self._estimate(row, name) for name in names]))
                if self.kind and self.below != "none":
                    write = number if self.below == "std_error" else p_cell
                    under = [row[f"{self.below}({name})"] for name in names]
                    if any(v is not None for v in under):
                        out.append(("", ["" if v is None else f"({write(v)})  " for v in under]))
        f = self.fits
        table = {
            "Log-likelihood": [f"{v:.3f}" for v in f["log_likelihood"]],
            "Parameters": [str(v) for v in f["df"]],
            **{name.upper(): [f"{v:.3f}" for v in f[name]] for name in CRITERIA},
            "Entropy R²": ["-" if v is None else f"{v:.3f}" for v in f["entropy_r2"]],
            "n": [f"{v:g}" for v in f["n"]],
            "Experts": [str(v) for v in f["k"]],
            "Status": list(f["status"]),
        }
        if len(set(f["std_errors"])) > 1:
            table["Std. errors"] = list(f["std_errors"])
        return [*out, *((label, [c + self._space for c in cells]) for label, cells in table.items())]

    def _estimate(self, row: dict[str, Any], name: str) -> str:
        value, p = row[name], row[f"p({name})"]
        if value is None:
            return ""
        stars = "" if p is None else next((s for bound, s in STARS if p < bound), "")
        return number(value) + stars.ljust(len(self._space))


def _panels(widths: Sequence[int]) -> list[list[int]]:
    """Which columns stand side by side."""
    out: list[list[int]] = [[]]
    for i, width in enumerate(widths):
        if out[-1] and sum(widths[j] for j in out[-1]) + width > BESIDE:
            out.append([])
        out[-1].append(i)
    return out


def comparison(
    models: Sequence[Any], covariances: Sequence[Any], names: Sequence[str], below: str = "std_error"
) -> Comparison:
    """Fitted models on the same rows, with a covariance each or None, and what they are called."""
    if below not in BELOW:
        raise DataError(f"below={below!r} is unknown: choose one of {', '.join(BELOW)}")
    refuse_different(models, names)
    every = [_numbers(m.estimates(c)) for m, c in zip(models, covariances, strict=True)]
    keys = _in_order([list(numbers) for numbers in every])
    cells: dict[str, list[Any]] = {
        "component": [e + 1 for _, e, _, _ in keys],
        "part": [part for part, _, _, _ in keys],
        "outcome": [outcome for _, _, outcome, _ in keys],
        "term": [term for _, _, _, term in keys],
    }
    for name, numbers in zip(names, every, strict=True):
        nothing = (None, None, None)
        found = [numbers.get(key, nothing) for key in keys]
        for i, column in enumerate((name, f"std_error({name})", f"p({name})")):
            cells[column] = [row[i] for row in found]
    if not any(cells["outcome"]):
        del cells["outcome"]
    fits = [m.fit for m in models]
    table = {
        "name": list(names),
        "model": [_kind(m) for m in models],
        "k": [f.k for f in fits],
        "n": [f.weight_sum for f in fits],
        "df": [f.n_parameters for f in fits],
        "log_likelihood": [f.log_likelihood for f in fits],
        **{name: [criterion(f) for f in fits] for name, criterion in CRITERIA.items()},
        "entropy_r2": [entropy_r2(f, f.k) for f in fits],
        "status": [str(f.status.kind) for f in fits],
        "std_errors": ["none" if c is None else c.kind for c in covariances],
    }
    kinds = {c.kind for c in covariances if c is not None}
    return Comparison(Table(cells), Table(table), below, " or ".join(sorted(kinds)))


def refuse_different(models: Sequence[Any], names: Sequence[str]) -> None:
    """Refuse fits whose likelihoods are of different things."""
    if len(models) < 2:
        raise DataError("a comparison needs at least 2 fits")
    if len(set(names)) < len(names) or len(names) != len(models):
        twice = next((f": {n!r} comes again" for i, n in enumerate(names) if n in names[:i]), "")
        raise DataError(f"{len(models)} fits need as many different names{twice}")
    first, a = models[0], names[0]
    for model, b in zip(models, names, strict=True):
        both = f"{a} and {b} cannot be compared"
        if model.sample is None:
            raise DataError(f"the file of {b} does not say which rows it was fitted on: fit it again")
        if isinstance(model, LocatedModel) != isinstance(first, LocatedModel):
            raise DataError(
                f"{both}: the likelihood of located experts is that of columns and response together"
            )
        if model.sample.digest != first.sample.digest:
            raise DataError(f"{both}: they were fitted on different rows, responses or weights")
        if isinstance(model, LocatedModel):
            if model.design.expert_names != first.design.expert_names:
                raise DataError(f"{both}: located experts of different columns have different likelihoods")
        elif model.fit.model.family.discrete != first.fit.model.family.discrete:
            raise DataError(f"{both}: one has a probability for its likelihood, the other a density")
        elif set(model.fit.model.family.points) != set(first.fit.model.family.points):
            raise DataError(f"{both}: where one has a probability, at a limit, the other has a density")


def _kind(model: Any) -> str:
    if isinstance(model, FittedModel):
        return f"{model.fit.model.family.name}, {model.fit.model.gate.name} gate"
    return f"located ({model.fit.specification.label})"


def _numbers(estimates: Estimates) -> dict[Key, tuple[float | None, float | None, float | None]]:
    """Estimate, standard error and p by part, component, outcome and term."""
    numbers = {} if estimates.matrix is None else estimates.numbers()[0]
    out = {}
    for i, t in enumerate(estimates.terms):
        errors = (numbers["std_error"][i], numbers["p"][i]) if numbers else (None, None)
        out[t.part, t.component, t.outcome, t.term] = (float(estimates.values[i]), *errors)
    return out


def _in_order(lists: Sequence[Sequence[Key]]) -> list[Key]:
    """Every key once: the gate first, expert by expert, terms in the order in which they first appear."""
    seen = list(dict.fromkeys(key for keys in lists for key in keys))
    outcomes = list(dict.fromkeys(key[2] for key in seen))
    terms = {key: i for i, key in enumerate(dict.fromkeys(key[3] for key in seen))}
    return sorted(seen, key=lambda k: (k[0] != "gate", k[1], outcomes.index(k[2]), terms[k[3]]))


def _block(row: dict[str, Any]) -> tuple[str, int, str]:
    return row["part"], row["component"], row.get("outcome", "")
