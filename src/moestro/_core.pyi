"""The compiled module: sums over rows for the native engine (`core/module.cpp`).

Float64 and C-contiguous arrays are meant, but for the columns x and z, which may have any strides.
"""

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

Floats = NDArray[Any]
Terms = tuple[Floats | None, Floats | None, Floats | None, Floats | None]
"""Log-densities (n, k), scores (n, k, m), information and curvature (n, k, m, m) of a family from outside."""

class Region:
    """The numbers of a trust region (`solvers/`)."""

    def __init__(
        self,
        *,
        start: float,
        least: float,
        floor: float,
        stuck: float,
        enough: float,
        good: float,
        poor: float,
        shrink: float,
        raise_: float,
        growth: float,
        ridge: float,
        roundoff: float,
        rounding: float,
        offset: float,
        weight_sum: float,
        tol: float,
        limit: int,
    ) -> None: ...

class Problem:
    """A model of k experts on rows, which it does not copy."""

    def __init__(
        self,
        x: Floats,
        x_center: Floats,
        x_inv_scale: Floats,
        z: Floats | None,
        z_center: Floats,
        z_inv_scale: Floats,
        y: Floats,
        w: Floats | None,
        y_center: float,
        y_scale: float,
        family: int,
        k: int,
        m: int,
        nu: int,
        top_k: int,
        rank_logit: bool,
        tau: float,
        offsets: NDArray[Any] | None,
        known: Floats | None,
    ) -> None: ...
    def sums(
        self,
        theta: Floats,
        order: int,
        threads: int,
        isa: str,
        responsibilities: Floats | None = None,
        terms: Terms | None = None,
    ) -> tuple[float, Floats, Floats, Floats, Floats]:
        """Value, mass (k,), gradient (P,), information and curvature (P, P): None above the order."""

    def sums_of(
        self,
        thetas: Floats,
        order: int,
        threads: int,
        isa: str,
        responsibilities: Floats | None = None,
        terms: Sequence[Terms] | None = None,
    ) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        """The same at several thetas (S, P)."""

    def predictors(self, theta: Floats, out: Floats, isa: str) -> None:
        """Linear predictors at theta, into out (k, m + nu, n)."""

    def newton(
        self,
        points: Floats,
        owner: NDArray[Any],
        lower: Floats,
        upper: Floats,
        region: Region,
        threads: int,
        isa: str,
    ) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        """Newton's method from points (S, size): points, values, masses, iterations, whether converged."""

    def rowwise(
        self, theta: Floats, scores: bool, threads: int, isa: str, terms: Terms | None = None
    ) -> tuple[Floats, Floats, Floats]:
        """Log-density and responsibilities of each unit, and the scores of each row, where asked for."""

def mixture_sums(
    rows: Floats, w: Floats | None, theta: Floats, threads: int, isa: str
) -> tuple[float, Floats]:
    """Log-likelihood of a mixture of quadratic forms, and the responsibilities' sums of their monomials."""

def solve_positive(M: Floats, g: Floats, threads: int) -> tuple[Floats, Floats]:
    """M^-1 g for each of S matrices, zero where M is not positive definite; and whether it is."""

def penalised_quadratic(
    M: Floats,
    g: Floats,
    start: Floats,
    l1: Floats,
    group: NDArray[Any],
    weight: Floats,
    lower: Floats,
    upper: Floats,
    tol: float,
    max_sweeps: int,
) -> tuple[Floats, int]:
    """The minimum of a quadratic with Lasso weights in a box, and the sweeps of coordinate descent."""

def instruction_sets() -> list[str]:
    """Those that this machine has, the best last."""

def fma_per_second(isa: str, seconds: float, /) -> float:
    """Fused multiply-adds of one core."""

def exp_per_second(isa: str, seconds: float, /) -> float:
    """Exponentials of one core."""
