"""R's flexmix on the same data: seconds and log-likelihood of one call."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from ..errors import DataError

MODELS = {
    "multinomial": "FLXMRmultinom()",
    "gaussian": "FLXMRglm()",
    "poisson": 'FLXMRglm(family = "poisson")',
}
SCRIPT = """
suppressMessages(library(flexmix))
d <- read.csv("{csv}", stringsAsFactors = TRUE)
set.seed({seed})
t <- system.time(m <- try(flexmix({formula}{group}, data = d, k = {k}, model = {model},
  concomitant = FLXPmultinom(~ {gate}),
  control = list(iter.max = 2000)), silent = TRUE))[["elapsed"]]
cat(t, if (inherits(m, "try-error") || m@k < {k}) NA else as.numeric(logLik(m)), "\\n")
"""


def flexmix(
    csv: Path, formula: str, gate: str, k: int, family: str, seed: int,
    limit: float | None = None, groups: str | None = None,
) -> tuple[float, float | None]:  # fmt: skip
    """Seconds, and the log-likelihood: None where it failed, dropped an expert, or took more than `limit`
    seconds. The rows of a group, if there are any, share their expert."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        raise DataError("Rscript is not installed: apt-get install r-base-core r-cran-flexmix")
    group = "" if groups is None else f" | {groups}"
    code = SCRIPT.format(
        csv=csv, formula=formula, gate=gate, k=k, model=MODELS[family], seed=seed, group=group
    )
    try:
        done = subprocess.run(
            [rscript, "-e", code], capture_output=True, text=True, check=True, timeout=limit
        )
    except subprocess.TimeoutExpired:
        return float(limit or 0.0), None
    seconds, value = done.stdout.split()[-2:]
    return float(seconds), None if value == "NA" else float(value)
