"""A fit in one row."""

from __future__ import annotations

from ..search import Fit
from ..selection.criteria import CRITERIA
from ..tables import Table


def glance(fit: Fit) -> Table:
    """One row: the model where there are several, k, n, log-likelihood, df, criteria, status."""
    labels = fit.labels()
    return Table(
        {
            **{name: [labels[name]] for name in ("model", "k") if name in labels},
            "n": [fit.weight_sum],
            "log_likelihood": [fit.log_likelihood],
            "df": [fit.n_parameters],
            **{name: [criterion(fit)] for name, criterion in CRITERIA.items()},
            "status": [str(fit.status.kind)],
        }
    )
