"""What stands beside the rows: weights, groups, offsets, known experts, and what is asked of standard
errors."""

from typing import Any

import numpy as np

from fuzz.choices import Seeded
from fuzz.words import COVS


def beside(c: Seeded, X: np.ndarray, words: dict[str, Any]) -> dict[str, Any]:
    """Words of `fit`."""
    found = {
        "sample_weight": weights(c, len(X)), "groups": groups(c, len(X), words),
        "offset": offset(c, len(X)), "partial": partial(c, len(X)),
    }  # fmt: skip
    refused = ["offset"] * ("levels" in words or "alphas" in words)
    if "penalty" in words or "direction" in words:
        refused = ["offset", "partial"]
    if c.whole(1, 8) > 1:
        found = {name: value for name, value in found.items() if name not in refused}
    return {name: value for name, value in found.items() if value is not None}


def weights(c: Seeded, n: int) -> np.ndarray | None:
    """Sample weights, most often none."""
    r = c.generator()
    kind = c.often(
        "", (*("random", "zeros", "small", "wide") * 2, c.pick(("none left", "negative", "nan", "large"))), 3
    )
    return {
        "": None,
        "random": r.random(n) + 0.1,
        "zeros": (r.random(n) < 0.6).astype(float),
        "small": np.full(n, 1e-12),
        "wide": 10.0 ** r.integers(-12, 13, n),
        "none left": np.zeros(n),
        "negative": r.normal(size=n),
        "nan": np.where(np.arange(n) == 0, np.nan, 1.0),
        "large": np.full(n, 1e300),
    }[kind]


def groups(c: Seeded, n: int, words: dict[str, Any]) -> Any:
    """Ids of groups, seldom; their gate has no columns, or reads each at its first row or mean."""
    if c.whole(1, 5) > 1 or "penalty" in words or "direction" in words:
        return None
    ids = c.generator().integers(0, max(n // 4, 1), n)
    words |= c.pick(({"gate_features": []}, {"gate_at": "first"}, {"gate_at": "mean"}))
    return c.pick(
        (ids, ids.astype(float), np.array([f"g{i}" for i in ids]), ids.tolist(), np.zeros(n), np.arange(n))
    )


def offset(c: Seeded, n: int) -> np.ndarray | None:
    """Known parts of the linear predictors, most often none."""
    r = c.generator()
    kind = c.often("", ("random", "exposure", "constant", "huge", "nan"), 6)
    return {
        "": None,
        "random": r.normal(size=n),
        "exposure": np.log(r.integers(1, 1000, n)),
        "constant": np.full(n, 2.0),
        "huge": r.normal(size=n) * 1e6,
        "nan": np.where(np.arange(n) == 0, np.nan, 0.0),
    }[kind]


def partial(c: Seeded, n: int) -> np.ndarray | None:
    """Experts that some rows are known to have, most often none."""
    r = c.generator()
    kind = c.often("", ("few", "all", "first", "none", "too high"), 8)
    some = r.integers(1, 3, n)
    return {
        "": None,
        "few": np.where(r.random(n) < 0.2, some, np.nan),
        "all": some,
        "first": np.where(r.random(n) < 0.5, 1.0, np.nan),
        "none": np.full(n, np.nan),
        "too high": np.full(n, 7.0),
    }[kind]


def inference(c: Seeded, n: int) -> dict[str, Any]:
    """Words of `inference`; refits of few rows only."""
    r, cov = c.generator(), c.pick(COVS)
    if cov in ("bootstrap", "jackknife") and n > 10:
        cov = "sandwich"
    ids = r.integers(0, max(n // 2, 1), n)
    return {
        "observed": lambda: {"simultaneous": c.whole(1, 2) == 1},
        "expected": dict,
        "sandwich": lambda: {"correction": c.pick((None, "HC0", "HC1"))},
        "cluster": lambda: {"cluster": ids, "correction": c.pick((None, "CR0", "CR1", "CR1S"))},
        "survey": lambda: {"cluster": ids, "strata": ids % 2, "fpc": c.pick((None, 0.1, 1e6))},
        "bootstrap": lambda: {
            "n_bootstrap": 3, "resample": c.pick((None, "weights", "rows", "parametric")), "random_state": 0,
            "interval": c.pick(("normal", "percentile", "basic", "bca")),
        },
        "jackknife": dict,
    }[cov]() | {"cov": cov, "level": c.often(0.95, (0.5, 0.999999, 1.5), 6)}  # fmt: skip
