"""McFadden's R² of fits of probabilities, against simpler models on the same rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..design import Scaling
from ..errors import DataError
from ..problems import MixtureFit, fit_mixture
from ..rows import Rows
from ..search import Options
from ..tables import Table


def pseudo_r2(fit: MixtureFit, rows: Rows, engine: str = "auto", threads: int = 1) -> Table:
    """1 - L / L0 (McFadden, 1974), with L0 of the constant and of one expert with all its columns."""
    if not fit.model.family.discrete:
        raise DataError(
            "McFadden's R² compares probabilities, and the likelihood of a density has no bound: use score()"
        )
    if fit.model.family.members:
        raise DataError(
            "McFadden's R² compares with one expert of the same family, and here each has its own: compare "
            "fits by compare"
        )
    none = Scaling(np.zeros(0), np.ones(0))
    constant = replace(rows, x=rows.x[:, :0], z=None, x_scaling=none, z_scaling=none)
    options = Options(engine=engine, threads=threads, n_starts=1)
    simpler = {
        "constant": fit_mixture(replace(fit.model, k=1, q=1, p=1), constant, options).log_likelihood,
        "one expert": fit_mixture(replace(fit.model, k=1), rows, options).log_likelihood,
    }
    return Table(
        {
            "against": list(simpler),
            "log_likelihood": list(simpler.values()),
            "r2": [1.0 - fit.log_likelihood / value for value in simpler.values()],
        }
    )
