"""How a fitted estimator is shown: in a notebook."""

from __future__ import annotations

from typing import Any

from sklearn import get_config
from sklearn.utils import estimator_html_repr

from ..summary import parts_of
from .answers import Answers


class Shown(Answers):
    """What people see of a fit."""

    def _repr_html_inner(self) -> str:
        """In a notebook: the tables of the summary, or scikit-learn's diagram before a fit."""
        if not hasattr(self, "_found"):
            return estimator_html_repr(self)
        covariance, without = self._trusted("auto")
        return parts_of(self._fitted(), covariance, without=without, more=self._facts()).to_html()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        shown = {"text/html": self._repr_html_inner()} if get_config()["display"] == "diagram" else {}
        return {"text/plain": repr(self)} | shown
