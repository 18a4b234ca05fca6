"""What every fitted estimator says of its fit, whatever was fitted."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod

from sklearn.base import BaseEstimator

from ..search import Evidence, Fit
from ..selection import CRITERIA
from ..solvers import Status
from ..tables import Table


class FitAttributes(BaseEstimator, metaclass=ABCMeta):
    """Attributes that are read off the frozen fit."""

    @property
    @abstractmethod
    def fit_(self) -> Fit:
        """Everything that was found, frozen."""

    @property
    def log_likelihood_(self) -> float:
        """Maximised total log-likelihood in the user's units; of located experts the joint one."""
        return self.fit_.log_likelihood

    @property
    def n_parameters_(self) -> int:
        """Free parameters."""
        return self.fit_.n_parameters

    @property
    def status_(self) -> Status:
        """How the fit ended; it says where one expert less fits nearly as well."""
        from ..summary.doubts import told

        return told(self.fit_)

    @property
    def history_(self) -> Table:
        """One row an iteration of the final polish."""
        return self.fit_.history

    @property
    def starts_(self) -> Table:
        """One row a start: strategy, rows, log-likelihood, iterations, status."""
        return self.fit_.starts

    @property
    def search_(self) -> Evidence | None:
        """How sure the search is of its best optimum; of a penalised fit, at its strength."""
        return self.fit_.evidence

    @property
    def aic_(self) -> float:
        return CRITERIA["aic"](self.fit_)

    @property
    def bic_(self) -> float:
        return CRITERIA["bic"](self.fit_)

    @property
    def icl_(self) -> float:
        return CRITERIA["icl"](self.fit_)
