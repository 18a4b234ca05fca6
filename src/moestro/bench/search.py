"""Does the search find the best optimum? Default fits of real data from many seeds, against the best value
known.

The data are those of R's packages (AER, MASS, datasets; Rscript writes them as CSV), of statsmodels and of
scikit-learn. The best known values in `best_optima.json` come from `moestro bench search --record`: the best
usable fit of many seeds with ten times the budget.
"""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from ..api import fit_formula
from ..errors import DataError
from ..problems import mixture as limits
from ..search import Fit, Options
from ..search import problem as dear
from ..search import search as effort
from ..tables import Table
from ..threads import thread_count
from ..writing import write
from .flexmix import flexmix

BEST = Path(__file__).with_name("best_optima.json")
SEEDS = 20
SAME = 0.05  # log-likelihood within which a fit is at the best optimum
LIMIT = 30.0  # seconds of one start of flexmix
LONGER = 10  # times the default budget, for the record
CHANCES = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75)  # of a better optimum, from which fits are counted together


@dataclass(frozen=True)
class Case:
    """A data set "package:name", a formula, and what is fitted."""

    source: str
    formula: str
    k: int
    family: str = "gaussian"


WAGE = "education + poly(experience,2) + ethnicity + smsa + region + parttime | ethnicity + parttime"
HOUSE = "lotsize + bedrooms + bathrooms + stories + driveway + aircon | lotsize + garage"
HIE = "lncoins + idp + lpi + fmde + physlm + disea + hlthg + hlthf + hlthp"
CASES = {
    "CPS1988": Case("AER:CPS1988", f"log(wage) ~ {WAGE}", 3),
    "CPS1985": Case("AER:CPS1985", "log(wage) ~ education + experience + gender | union + married", 2),
    "CPS1985 k=3": Case("AER:CPS1985", (
        "log(wage) ~ education + experience + gender + sector | union + married"
    ), 3),
    "HousePrices": Case("AER:HousePrices", f"log(price) ~ {HOUSE}", 3),
    "CASchools": Case("AER:CASchools", (
        "math ~ english + lunch + calworks + income | students + expenditure"
    ), 2),
    "TeachingRatings": Case("AER:TeachingRatings", (
        "eval ~ beauty + gender + minority + native | age + tenure"
    ), 3),
    "CPSSW8": Case("AER:CPSSW8", "log(earnings) ~ age + gender + education + region", 3),
    "CollegeDistance": Case("AER:CollegeDistance", (
        "score ~ gender + ethnicity + fcollege + mcollege + home + wage + distance + tuition + income"
    ), 2),
    "Boston": Case("MASS:Boston", "medv ~ lstat + rm + crim + ptratio | lstat + age", 3),
    "mcycle": Case("MASS:mcycle", "accel ~ times", 4),
    "nlschools": Case("MASS:nlschools", "lang ~ IQ + SES | GS + COMB", 3),
    "quakes": Case("datasets:quakes", "mag ~ stations + depth | lat + long", 3),
    "ChickWeight": Case("datasets:ChickWeight", "weight ~ Time + Diet", 4),
    "diabetes": Case("sklearn:diabetes", "target ~ bmi + bp + s5", 2),
    "engel": Case("statsmodels:engel", "foodexp ~ income", 2),
    "RecreationDemand": Case("AER:RecreationDemand", (
        "trips ~ quality + ski + income + userfee + costC + costS + costH | income"
    ), 2, "poisson"),
    "NMES1988": Case("AER:NMES1988", "visits ~ health + chronic + gender + school + insurance", 4, "poisson"),
    "DoctorVisits": Case("AER:DoctorVisits", (
        "visits ~ gender + age + income + illness + reduced | private + health"
    ), 3, "poisson"),
    "PhDPublications": Case("AER:PhDPublications", (
        "articles ~ gender + married + kids + prestige + mentor"
    ), 2, "poisson"),
    "CreditCard": Case("AER:CreditCard", "reports ~ age + income + owner + dependents", 3, "poisson"),
    "quine": Case("MASS:quine", "Days ~ Eth + Sex + Age + Lrn", 3, "poisson"),
    "epil": Case("MASS:epil", "y ~ trt + lbase + lage", 3, "poisson"),
    "randhie": Case("statsmodels:randhie", f"mdvis ~ {HIE}", 3, "poisson"),
    "BankWages": Case("AER:BankWages", "job ~ education + gender + minority", 2, "multinomial"),
    "SwissLabor": Case("AER:SwissLabor", (
        "participation ~ income + age + education + youngkids + foreign"
    ), 2, "multinomial"),
    "tonedata": Case("mixtools:tonedata", "stretchratio ~ tuned", 2),
    "MathAchieve": Case("nlme:MathAchieve", "MathAch ~ SES + Sex + Minority | SES", 3),
    "Prestige": Case("carData:Prestige", "prestige ~ income + education + women", 2),
    "Ornstein": Case("carData:Ornstein", "interlocks ~ assets + sector + nation", 2, "poisson"),
    "nitrofen": Case("boot:nitrofen", "total ~ conc", 2, "poisson"),
    "Womenlf": Case("carData:Womenlf", "partic ~ hincome + children + region", 2, "multinomial"),
    "HMDA": Case("AER:HMDA", "deny ~ pirat + lvrat + afam + single | unemp + chist", 2, "multinomial"),
}  # fmt: skip


def report(seeds: int = SEEDS, only: str | None = None, record: bool = False, peer: bool = False) -> str:
    """Text of the benchmark; with `record`, write their best known values anew instead; with `peer`, flexmix
    beside it."""
    best = json.loads(BEST.read_text())
    names = [
        "data",
        "rows",
        "k",
        "best known",
        "reached",
        "lowest",
        "below k - 1",
        "weak misses",
        "seconds",
        "passes",
    ]
    names += ["flexmix", "flexmix seconds"] * peer
    columns: dict[str, list] = {name: [] for name in names}
    said: list[tuple[float, bool]] = []
    asked = {n: c for n, c in CASES.items() if only is None or only.lower() in n.lower()}
    # All at once: what is missing is said before the work.
    frames = {name: load(case.source) for name, case in asked.items()}
    for name, case in asked.items():
        frame = frames[name]
        if record:
            best[name] = _longest(case, frame, seeds)
            continue
        fits, seconds, below = [], [], 0
        for seed in range(seeds):
            start = time.perf_counter()
            fit = _fit(case, frame, [case.k], seed)[-1]
            seconds.append(time.perf_counter() - start)
            fits.append(fit)
            below += is_below(fit, best[name]["smaller"])
        missed, weak = misses(fits, best[name]["value"])
        said += [(f.evidence.chance_of_better, is_below(f, best[name]["value"])) for f in fits if f.evidence]
        values = [
            name, int(fits[0].weight_sum), case.k, best[name]["value"], f"{seeds - missed} of {seeds}",
            min(f.log_likelihood for f in fits), below, weak, median(seconds),
            int(median(f.evidence.passes for f in fits if f.evidence)),
        ]  # fmt: skip
        if peer:
            values += _flexmix(case, frame)
        for column, value in zip(columns.values(), values, strict=True):
            column.append(value)
    if record:
        write(BEST, json.dumps(best, indent=1) + "\n")
        return f"best values of {seeds} seeds at {LONGER} times the budget written to {BEST}\n"
    head = f"default fits from {seeds} seeds, all cores\n\n{Table(columns).to_text(3)}\n"
    return f"{head}\nchance of a better optimum\n\n{reliability(said).to_text(2)}\n"


def reliability(said: Sequence[tuple[float, bool]]) -> Table:
    """What searches said, from `CHANCES` to the next, beside the share of them that had missed the best: one
    pair of a chance and a miss each."""
    chance, missed = np.array([c for c, _ in said]), np.array([m for _, m in said])
    place = np.searchsorted(CHANCES, chance, side="right") - 1
    at = [place == i for i in np.unique(place)]
    return Table(
        {
            "from": [CHANCES[place[i][0]] for i in at],
            "fits": [int(i.sum()) for i in at],
            "said": [float(chance[i].mean()) for i in at],
            "missed": [float(missed[i].mean()) for i in at],
        }
    )


def is_below(fit: Fit, best: float) -> bool:
    """Whether a fit is at a lower optimum than the one of log-likelihood `best`."""
    return fit.log_likelihood < best - SAME


def misses(fits: Sequence[Fit], best: float) -> tuple[int, str]:
    """How many `fits` are below `best`, and of them how many say that they may be: "2 of 3"."""
    missed = [f for f in fits if is_below(f, best)]
    weak = sum(f.evidence.is_weak or f.evidence.chance_of_better >= 0.2 for f in missed if f.evidence)
    return len(missed), f"{weak} of {len(missed)}"


def _fit(case: Case, frame: Any, ks: list[int], seed: int) -> list[Fit]:
    options = Options(seed=seed, threads=thread_count(None))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(fit_formula(case.formula, frame, case.family, ks, options).sweep.fits)


def _longest(case: Case, frame: Any, seeds: int) -> dict[str, float]:
    """Best usable values of k and of k - 1 experts, at `LONGER` times the budget and without an early end."""
    before = limits.PASSES, dear.WORK, effort.ENOUGH
    limits.PASSES, dear.WORK, effort.ENOUGH = before[0] * LONGER, before[1] * LONGER, 10**9
    try:
        pairs = [_fit(case, frame, [case.k - 1, case.k], seed) for seed in range(seeds)]
    finally:
        limits.PASSES, dear.WORK, effort.ENOUGH = before
    smaller, value = (
        max(f.log_likelihood for f in fits if f.status.usable) for fits in zip(*pairs, strict=True)
    )
    return {"value": value, "smaller": smaller}


def _flexmix(case: Case, frame: Any) -> list[Any]:
    """Best log-likelihood and median seconds of three starts."""
    experts, _, gate = case.formula.partition("|")
    with tempfile.TemporaryDirectory() as folder:
        csv = Path(folder) / "data.csv"
        frame.to_csv(csv, index=False)
        runs = [
            flexmix(
                csv,
                experts.strip(),
                gate.strip() or experts.split("~")[1].strip(),
                case.k,
                case.family,
                seed,
                LIMIT,
            )
            for seed in (1, 2, 3)
        ]
    return [max((v for _, v in runs if v is not None), default=None), median(t for t, _ in runs)]


def load(source: str) -> Any:
    """The data set "package:name" as a frame without missing values."""
    import pandas as pd

    package, name = source.split(":")
    if package == "statsmodels":
        try:
            return getattr(importlib.import_module("statsmodels.datasets"), name).load_pandas().data
        except ImportError as error:
            raise DataError("these data need statsmodels: pip install statsmodels") from error
    if package == "sklearn":
        return getattr(importlib.import_module("sklearn.datasets"), f"load_{name}")(as_frame=True).frame
    rscript = shutil.which("Rscript")
    if rscript is None:
        raise DataError("these data need R: apt-get install r-base-core r-cran-aer r-cran-mass")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.csv"
        code = f'data("{name}", package = "{package}"); write.csv({name}, "{path}", row.names = FALSE)'
        subprocess.run([rscript, "-e", code], capture_output=True, check=True)
        return pd.read_csv(path).dropna()
