"""The Lasso on gate and expert slopes (Khalili, 2010; arXiv 2009.10622)."""

from __future__ import annotations

from dataclasses import dataclass

from .base import Layout, Terms, TwoStrengths


@dataclass(frozen=True)
class L1(TwoStrengths):
    """alpha (sum |expert slopes| + gate_ratio sum |gate slopes|).

    Parameters
    ----------
    alpha : float or None
        Strength beside the mean log-likelihood of a row; None: a path is fitted and the extended BIC chooses.
    gate_ratio : float
        Strength on the gate's slopes over alpha.
    standardize, scale, refit
        Units of the slopes, and a fit without penalty afterwards, as in `Penalty`.

    Examples
    --------
    >>> from moestro.penalties import L1
    >>> L1(0.1, gate_ratio=0.5)
    L1(alpha=0.1, standardize=True, scale='expert', refit=False, gate_ratio=0.5)
    """

    def terms(self, layout: Layout) -> Terms:
        return Terms.of(layout.size, l1=self.weights(layout))
