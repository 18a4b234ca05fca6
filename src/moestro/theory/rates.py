"""What is proved of rates: gate, expert, regime, loss, exponents, rate, source, study.

Rates are of maximum likelihood (or least squares, where that is said) on compact sets, up to logarithms. r is
`voronoi_exponent`: 4 where two fitted atoms cover a true one, 6 where three do, for more only r >= 7 is
known. What the sources consulted do not say is said to be not known here, and nothing is guessed; of Poisson
experts the line is no theorem but what `modulus` and `appearing` find.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from ..errors import DataError
from ..tables import Table

UNKNOWN = "not known here"
NOT_STUDIED = "not studied"


@dataclass(frozen=True)
class Rate:
    """One line of the table.

    Attributes
    ----------
    gate, expert : str
        Names of a gate and a family; "modified softmax" is a softmax gate with an input transform, "gaussian
        gate" that of located experts, "any regression" stands for every family of numbers.
    regime : str
        Exactly as many atoms as the truth, or more, and what the truth must be.
    loss : str
        A name of `LOSSES`, or "none": no loss is known in which the estimator converges at a power of n.
    exponents : str
        Of displacements in the loss.
    rate : str
        Of the parameters.
    source, study : str
        The paper, and the study of the library that measures it.
    """

    gate: str
    expert: str
    regime: str
    loss: str
    exponents: str
    rate: str
    source: str
    study: str = NOT_STUDIED


REGRESSION = "any regression"
EXACT, OVER = "exact", "over-specified"
REGIME_1 = "over-specified, every expert has a slope"
REGIME_2 = "over-specified, an expert without slopes"
TYPE_1 = "over-specified, no mean at zero"
TYPE_2 = "over-specified, at a mean at zero"
ALL_ONE = "all 1"
ROOT = "n^-1/2"
SLOWER = "slower than any power of n"
TWO = "exact atoms n^-1/2, over-fitted n^-1/4"
SPLIT = "(beta_1, b): r, (a, sigma^2): r/2"
SPLIT_RATE = "exact atoms n^-1/2; over-fitted beta_1, b: n^-1/2r; a, sigma^2: n^-1/r"

RATES: tuple[Rate, ...] = (
    Rate(
        "softmax", "multinomial", EXACT, "multinomial-D1", ALL_ONE, ROOT, "2310.14188",
        "softmax-multinomial",
    ),
    Rate(
        "softmax", "multinomial", REGIME_1, "multinomial-D1", "over-fitted 2", TWO, "2310.14188",
        "softmax-multinomial",
    ),
    Rate(
        "softmax", "multinomial", REGIME_2, "multinomial-D2r", "r, for every r >= 1",
        f"{SLOWER}, possibly 1/log n (minimax)", "2310.14188", "softmax-multinomial",
    ),
    Rate(
        "modified softmax", "multinomial", "exact or over-specified", "multinomial-D3", "over-fitted 2", TWO,
        "2310.14188", "softmax-multinomial",
    ),
    Rate(
        "softmax", "poisson", "exact or over-specified", "multinomial-D1", "over-fitted 2",
        f"not proved in the sources; the loss has a modulus of slope one, so {TWO}", "-", "softmax-poisson",
    ),
    Rate("softmax", "gaussian", EXACT, "softmax-D1", ALL_ONE, ROOT, "2305.03288", "softmax-gaussian"),
    Rate("softmax", "gaussian", OVER, "softmax-D2", SPLIT, SPLIT_RATE, "2305.03288", "softmax-gaussian"),
    Rate(
        "softmax", REGRESSION, "least squares, over-specified, strongly identifiable experts", "none",
        "not in the library: its experts are linear predictors", TWO, "2402.02952",
    ),
    Rate(
        "softmax", REGRESSION, "least squares, over-specified, linear or polynomial experts", "none", "-",
        SLOWER, "2402.02952",
    ),
    Rate("top-k", "gaussian", EXACT, "top-k-D1", ALL_ONE, ROOT, "2309.13850", "topk"),
    Rate(
        "top-k", "gaussian", "over-specified, enough experts kept (check_top_k)", "top-k-D2", SPLIT,
        SPLIT_RATE, "2309.13850", "topk",
    ),
    Rate(
        "top-k", "gaussian", "over-specified, too few experts kept", "none", "-",
        "the Hellinger distance does not vanish", "2309.13850", "topk",
    ),
    Rate(
        "gaussian gate", "gaussian", EXACT, "gaussian-gate-Dbar", ALL_ONE, ROOT, "2305.07572", "gaussian-gate"
    ),
    Rate(
        "gaussian gate", "gaussian", TYPE_1, "gaussian-gate-Dbar", "(c, b): r, (Gamma, sigma^2): r/2, a: 2",
        "over-fitted c, b: n^-1/2r; Gamma, sigma^2: n^-1/r; a: n^-1/4", "2305.07572", "gaussian-gate",
    ),
    Rate(
        "gaussian gate", "gaussian", TYPE_2, "gaussian-gate-Dtilde", "(c, b): r, (Gamma, a, sigma^2): r/2",
        "over-fitted c, b: n^-1/2r; Gamma, a, sigma^2: n^-1/r", "2305.07572", "gaussian-gate",
    ),
    Rate(
        "laplace", "gaussian", OVER, "laplace-D2", "(W, a): 2, b: r, sigma^2: r/2",
        "over-fitted W, a: n^-1/4; b: n^-1/2r; sigma^2: n^-1/r", "2402.03226",
    ),
    Rate(
        "temperature", "gaussian", "exact or over-specified", "none", "-", f"{SLOWER}, possibly 1/log n",
        "2401.13875",
    ),
    Rate(
        "activated-temperature", "gaussian", "exact, activation independent to first order", "none",
        UNKNOWN, "gate n^-1/2; experts " + UNKNOWN, "2401.13875",
    ),
    Rate(
        "activated-temperature", "gaussian", "over-specified, activation independent to second order", "none",
        UNKNOWN, "gate n^-1/4; experts " + UNKNOWN, "2401.13875",
    ),
    Rate(
        "cosine", REGRESSION, "least squares, over-specified, whatever the experts", "none", "-",
        f"{SLOWER}, possibly a power of 1/log n", "2405.14131",
    ),
    Rate(
        "perturbed-cosine", REGRESSION, "least squares, over-specified, strongly identifiable experts",
        "none", "not in the library: its experts are linear predictors", TWO, "2405.14131",
    ),
    Rate(
        "sigmoid", REGRESSION, "least squares, over-specified, sigmoids not divided by their sum", "none",
        UNKNOWN,
        "two regimes of the true gate; networks and polynomials faster than under softmax; powers " + UNKNOWN,
        "2405.13997",
    ),
    Rate(
        "sigmoid", "multinomial", "no temperature", "none", UNKNOWN,
        "fewer rows than a softmax gate needs; powers " + UNKNOWN, "2602.01466",
    ),
    Rate(
        "sigmoid", "multinomial", "with a temperature, inner products as scores (not in the library)", "none",
        "-", "exponentially many rows; a power with Euclidean scores", "2602.01466",
    ),
)  # fmt: skip


def rates(model: Any = None) -> Table:
    """What is known of the rates of a model; without one, the whole table.

    Parameters
    ----------
    model : MixingMeasure, LocatedMeasure or estimator, optional
        Of a measure, taken to be the truth, only the regimes that it is in; of an estimator (fitted or not)
        all of its gate and family.

    Returns
    -------
    Table
        Columns gate, expert, regime, loss, exponents, rate, source (arXiv), study. A row that says "not known
        here" where nothing is known of the maximum of the likelihood.

    Examples
    --------
    >>> from moestro import MoEClassifier
    >>> [row["rate"] for row in rates(MoEClassifier(gate_transform="tanh"))]
    ['exact atoms n^-1/2, over-fitted n^-1/4']
    """
    if model is None:
        return _table(RATES)
    gate, expert = kind_of(model)
    found = [r for r in RATES if r.gate == gate and r.expert == expert]
    if hasattr(model, "components"):
        found = [r for r in found if _holds(r, model)]
    if not found:
        found = [Rate(gate, expert, "maximum likelihood", "none", UNKNOWN, UNKNOWN, "-")]
    if expert != "multinomial":
        found += [r for r in RATES if r.gate == gate and r.expert == REGRESSION]
    return _table(found)


def kind_of(model: Any) -> tuple[str, str]:
    """Names of the gate and the family of a measure or an estimator."""
    if hasattr(model, "covariances") or hasattr(model, "covariance"):
        return "gaussian gate", "gaussian"
    if not hasattr(model, "gate"):
        raise DataError("rates takes a mixing measure or an estimator of moestro")
    family = getattr(model, "family", "multinomial")
    gate = model.gate if isinstance(model.gate, str) else model.gate.name
    if gate == "softmax" and getattr(model, "top_k", None) is not None:
        gate = "top-k"
    if gate == "softmax" and getattr(model, "gate_transform", None) is not None:
        gate = "modified softmax"
    return gate, family if isinstance(family, str) else getattr(family, "name", "own")


def loss_of(measure: Any) -> str | None:
    """Name of the loss for over-specified fits of a measure's model; None where none is known."""
    known = [r.loss for r in RATES if (r.gate, r.expert) == kind_of(measure) and r.loss != "none"]
    if not known:
        return None
    return "multinomial-D1" if "multinomial-D1" in known else known[-1]


def _holds(rate: Rate, truth: Any) -> bool:
    """Whether the truth is in the regime."""
    parts = truth.components()
    if rate.regime in (REGIME_1, REGIME_2):
        flat = any(not np.any(slopes) for slopes in parts["slopes"])
        return flat == (rate.regime == REGIME_2)
    if rate.regime in (TYPE_1, TYPE_2):
        at_zero = any(not np.any(mean) for mean in parts["means"])
        return at_zero == (rate.regime == TYPE_2)
    return True


def _table(rows: Any) -> Table:
    records = [asdict(r) for r in rows]
    return Table({f.name: [r[f.name] for r in records] for f in fields(Rate)})
