"""How a fitted estimator is shown: in a notebook, and on a page of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.utils import estimator_html_repr

from ..design import FormulaDesign
from ..design.response import check_weights
from ..errors import DataError
from ..report import call_of, write_report
from ..rows import Rows
from ..summary import Parts, parts_of
from ..summary.coefficients import coefficients
from ..tables import Table
from .answers import Answers
from .effects import columns_of
from .groups import ids_of, weights_of

NUMBERS = {"estimate": "b", "std_error": "se", "z": "t", "p": "p", "low": "ci95l", "high": "ci95u"}
STATISTICS = {"k": "Experts", "n": "Observations", "log_likelihood": "Log-likelihood", "bic": "BIC"}


class Shown(Answers):
    """What people see of a fit."""

    selection_: Table
    slope_: Any
    dendrogram_: Any

    def _repr_html_inner(self) -> str:
        """In a notebook: the tables of the summary, or scikit-learn's diagram before a fit."""
        if not hasattr(self, "_found"):
            return estimator_html_repr(self)
        return self._parts()[0].to_html()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        shown = {"text/html": self._repr_html_inner()} if get_config()["display"] == "diagram" else {}
        return {"text/plain": repr(self)} | shown

    @property
    def __maketables_coef_table__(self) -> Any:
        """What `maketables.ETable([a, b])` reads of a fit: a row a parameter, whose name has no colon,
        since that would be an interaction there."""
        import pandas

        estimates = self._fitted().estimates(self._trusted("auto")[0])
        table = coefficients(estimates)
        cells = {new: table.columns.get(old, [None] * len(table)) for old, new in NUMBERS.items()}
        names = [
            ", ".join([f"{t.part} {t.component + 1}", *filter(None, [t.outcome]), t.term])
            for t in estimates.terms
        ]
        return pandas.DataFrame(cells, index=names, dtype=float)

    @property
    def __maketables_depvar__(self) -> str:
        return ", ".join(self._fitted().responses)

    def __maketables_stat__(self, key: str) -> Any:
        """A number of `glance()` by its name; "N" is "n", as such packages call it."""
        value = self.glance().columns.get({"N": "n"}.get(key, key), [None])[0]
        return int(value) if isinstance(value, float) and value.is_integer() else value

    @property
    def __maketables_default_stat_keys__(self) -> list[str]:
        return list(STATISTICS)

    @property
    def __maketables_stat_labels__(self) -> dict[str, str]:
        return STATISTICS

    def _parts(self) -> tuple[Parts, Any]:
        """The summary in parts, and the covariance in it."""
        covariance, without = self._trusted("auto")
        return parts_of(self._fitted(), covariance, without=without, more=self._facts()), covariance

    def report(
        self,
        path: Any,
        X: Any = None,
        y: Any = None,
        sample_weight: Any = None,
        *,
        groups: Any = None,
        offset: Any = None,
        command: str | None = None,
    ) -> None:
        """Write one HTML page that explains the fit and needs no other file: what cannot be trusted first,
        what was fitted on what, how many experts and why, how sure the search is, who the experts are,
        coefficients, where each rules, what each predicts, diagnostics, an explorer with sliders, how to
        reproduce it. Needs ``pip install 'moestro[report]'``.

        Parameters
        ----------
        path : path
        X, y, sample_weight, groups, offset : optional
            The rows that the pictures and tables of rows are about, as in `fit`: by default the training
            rows, which an estimator from a file does not have. With X the explorer follows the transforms of
            a formula.
        command : str, optional
            What made the fit, if not this estimator's own call.

        Raises
        ------
        DataError
            Without rows, of groups without their ids, and where the page would be larger than 2 MB.
        """
        model, (parts, covariance) = self._fitted(), self._parts()
        data, columns = self._page_rows(X, y, sample_weight, groups, offset)
        p = self._found.penalised
        choices = (self.slope_, self.dendrogram_, None if p is None else p.path)
        write_report(
            path, model, parts, data, covariance=covariance, selection=self.selection_,
            choices=tuple(c for c in choices if c is not None),
            call=command or call_of(self, model.design), columns=columns,
        )  # fmt: skip

    def _page_rows(
        self, X: Any, y: Any, sample_weight: Any, groups: Any, offset: Any
    ) -> tuple[tuple[Any, Any, np.ndarray, np.ndarray | None, Any], dict[str, np.ndarray] | None]:
        """x, z, y, weights and ids of groups, and the user's columns where they are given."""
        design = self._fitted().design
        if X is None:
            if any(given is not None for given in (y, sample_weight, groups, offset)):
                raise DataError("y, sample_weight, groups and offset are given with X")
            rows = self._found.rows
            if rows is None:
                raise DataError(
                    "a report is about rows, and a penalised fit, or one from a file, carries none: "
                    "give X and y"
                )
            if not isinstance(rows, Rows):
                return (rows.x, rows.z, rows.y, rows.w, None), None
            ids = None if rows.groups is None else rows.groups.of_rows
            return (rows.inputs, rows.z, rows.y, rows.row_weights, ids), None
        seen = self._complete(X, y, response=True, offset=offset)
        ids, sample_weight = ids_of(self, groups, X), weights_of(self, sample_weight, X)
        X, y, sample_weight, ids, offset = (seen.take(a) for a in (X, y, sample_weight, ids, offset))
        x, z, y = self._with_response(X, y, offset)
        given = X if isinstance(design, FormulaDesign) else self._numbers(X, offset)
        return (x, z, y, check_weights(sample_weight, len(y)), ids), columns_of(design, given)
