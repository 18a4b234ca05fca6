"""How many located experts, and how well the chosen ones do (GLoME, arXiv 2104.02640): simulations and the
ethanol data."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..datasets import load_dataset
from ..distribution import PredictiveDistribution
from ..errors import DataError
from ..experts import Gaussian
from ..located import Specification, fit_located
from ..located.fit import LocatedFit
from ..search import Options
from ..selection import LocatedModels, choose, sweep
from ..theory.divergences import monte_carlo
from .design import Arm, Published, Row, Study, check_options

# Gate: half of the rows from N(.2, .1), half from N(.8, .15) (variances); experts' standard deviation .3.
CENTRES, SPREADS, NOISE = np.array([0.2, 0.8]), np.array([0.1, 0.15]), 0.3
# Coefficients of 1, x, x^2 of both experts' means.
MEANS = {
    "well-specified": [[2.0, -5.0, 0.0], [0.0, 0.1, 0.0]],
    "misspecified": [[1.0, -6.0, 1.0], [0.0, 0.0, -0.4]],
}
ETHANOL = {"NO to ER": ("nox", "equivalence"), "ER to NO": ("equivalence", "nox")}
DECAY = tuple(round(1000 * 2 ** (j / 3)) for j in range(11))
DRAWS = 30  # responses drawn at each input for the Kullback-Leibler divergences
RULES = ("jump", "jump_joint", "ddse", "ddse_joint", "bic", "icl")
STARTS, TOL = 2, 1e-6


def arms(protocol: str, scale: str) -> list[Arm]:
    """Choices at two sizes, decay of the error over eleven, and both directions of the ethanol data."""
    smoke = scale == "smoke"
    out = []
    for name, means in MEANS.items():
        sizes, replicates, k = ((300,), 2, 5) if smoke else ((2000, 10_000), 100, 20)
        out.append(Arm(f"{name}, choice", k, sizes, replicates, {"means": means}))
        sizes, replicates = ((300, 600), 2) if smoke else (DECAY, 30)
        out.append(Arm(f"{name}, decay", k, sizes, replicates, {"means": means}))
    for name in ETHANOL:
        out.append(
            Arm(f"ethanol, {name}", 5 if smoke else 12, (88,), 2 if smoke else 100, {"data": "ethanol"})
        )
    return out


def check(arm: Arm) -> None:
    """Two quadratic means, or the data set in a known direction."""
    check_options(arm, set())
    if "data" in arm.truth:
        if arm.truth != {"data": "ethanol"} or arm.name.removeprefix("ethanol, ") not in ETHANOL:
            raise DataError(f"arm {arm.name!r}: the data set is ethanol, in one of {', '.join(ETHANOL)}")
        if arm.sizes != (88,):
            raise DataError(f"arm {arm.name!r}: the ethanol data have 88 rows, not {arm.sizes}")
    elif np.shape(arm.truth.get("means", ())) != (2, 3):
        raise DataError(f"arm {arm.name!r}: means must be two rows of coefficients of 1, x and x^2")


def law(means: Any, x: np.ndarray) -> PredictiveDistribution:
    """p(y | x) of a simulated arm."""
    log_gate = -0.5 * ((x[:, None] - CENTRES) ** 2 / SPREADS + np.log(SPREADS))
    log_gate = log_gate - np.logaddexp.reduce(log_gate, axis=1)[:, None]
    mean = np.column_stack([np.polynomial.polynomial.polyval(x, c) for c in means])
    eta = np.stack([mean, np.full_like(mean, 2 * np.log(NOISE))], axis=2)
    return PredictiveDistribution(Gaussian(), log_gate, eta)


def fit(arm: Arm, protocol: str, n: int, rng: np.random.Generator) -> Row:
    """Fits of 1 .. k experts by inverse regression, what each rule chooses, and the divergence of the jump's
    choice."""
    if "data" in arm.truth:
        table = load_dataset("ethanol")
        a, b = ETHANOL[arm.name.removeprefix("ethanol, ")]
        x, y = np.array(table[a]), np.array(table[b])
    else:
        x = CENTRES[z := rng.integers(2, size=n)] + np.sqrt(SPREADS[z]) * rng.standard_normal(n)
        y = law(arm.truth["means"], x).sample(random_state=rng)
    seed = int(rng.integers(2**31))
    columns = x[:, None]
    if protocol == "as_published":
        fits = [
            fit_located(columns, y, k, direction="inverse", n_starts=1, tol=TOL, seed=seed + k, n_jobs=1)
            for k in range(1, arm.k + 1)
        ]
    else:
        models = LocatedModels(columns, y, [Specification(direction="inverse")])
        fits = list(sweep(models, range(1, arm.k + 1), Options(n_starts=STARTS, tol=TOL, seed=seed)).fits)
    contrast = np.array([-float(f.measure.log_density(columns, y).sum()) for f in fits])
    chosen = {
        "jump": choose(fits, "djump", contrast=contrast), "jump_joint": choose(fits, "djump"),
        "ddse": choose(fits, "ddse", contrast=contrast), "ddse_joint": choose(fits, "ddse"),
        "bic": choose(fits, "bic"), "icl": choose(fits, "icl"),
    }  # fmt: skip
    best = fits[chosen["jump"].index]
    row: Row = {rule: fits[c.index].k for rule, c in chosen.items()}
    slope = chosen["jump"].slope
    row["kappa"] = None if slope is None else slope.kappa
    row["collapsed"] = sum(not f.status.usable for f in fits)
    row["kl"], row["jkl"] = (
        (None, None) if "data" in arm.truth else divergences(arm.truth["means"], x, best, rng)
    )
    return {
        **row,
        "log_likelihood": best.log_likelihood,
        "iterations": sum(f.n_iter for f in fits),
        "gradient": best.gradient_norm,
        "status": str(best.status.kind),
    }


def divergences(
    means: Any, x: np.ndarray, found: LocatedFit, rng: np.random.Generator
) -> tuple[float, float]:
    """KL and JKL (rho = 1/2) of the fitted conditional law from the true one, averaged over the observed
    inputs."""
    rows = np.repeat(x, DRAWS)
    truth = law(means, rows)
    draws = truth.sample(random_state=rng)

    values = truth.log_pdf(draws), found.measure.log_density(rows[:, None], draws)
    kl, jkl = (
        monte_carlo(lambda _: values[0], lambda _: values[1], draws, kind) for kind in ("kl", "jensen-kl")
    )
    return float(kl), float(jkl)


STUDY = Study(
    name="glome",
    title="Choosing the number of located experts by slope heuristics",
    paper="arXiv 2104.02640",
    arms=arms,
    fit=fit,
    check=check,
    lines={"jkl": "-1 where well-specified", "kl": "-1 where well-specified"},
    choices=RULES,
    published={
        ("well-specified, decay", "jkl"): Published(-1.287, None, None, "printed in Figure 6"),
        ("misspecified, decay", "jkl"): Published(-0.612, None, None, "printed in Figure 6"),
    },
    differences=(
        "Inverse regression with 1 .. K experts; the contrast is minus the log-likelihood of y given x as "
        "published (jump, ddse), "
        "or the joint one that the fits maximise (jump_joint, ddse_joint); penalty and complexity are the "
        "number of parameters. As published: "
        "one start for each number of experts. As defined: several starts and splits of the fit before."
    ),
)
