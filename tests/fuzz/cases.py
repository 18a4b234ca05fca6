"""Strange data and the words of an estimator: what somebody might pass by mistake, or because the data are
so."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fuzz.choices import Seeded
from moestro import LocatedMoERegressor, MoEClassifier, MoEClassifierCV, MoERegressor, MoERegressorCV

SIZES = (2, 3, 5, 8, 13, 20, 20, 30, 40, 40, 60, 60, 100, 100)
SCALES = (1e-300, 1e-160, 1e-30, 1e-8, 1e3, 1e9, 1e30, 1e150, 1e154, 1e160, 1e300, 1e307)
OFFSETS = (1.0, -1e3, 1e6, 1e9, 1e12, 1e15)
VALUES = (0.0, -0.0, 5e-324, 1e-310, 1e-154, 1e154, 1e200, -1e300, 1.7976931348623157e308, np.nan, np.inf)
DTYPES = ("float32", "float16", "int64", "int8", "uint8", "bool", "longdouble", "object", "U")
LAYOUTS = ("fortran", "strided", "reversed", "read only", "list", "pandas", "broadcast", "mapped")
GATES = ("laplace", "sigmoid", "temperature", "activated-temperature", "cosine", "perturbed-cosine")
PENALTIES = ("l1", "elastic_net", "ridge", "group", "adaptive_l1")
COUNTS = (3.0, 1e3, 1e5, 1e9, 1e12, 2.0**53, 1e17)


@dataclass(frozen=True)
class Case:
    """What is fitted, and other rows of the same columns."""

    estimator: Any
    words: dict[str, Any]
    X: Any
    y: Any
    sample_weight: Any
    groups: Any
    new: Any

    def __str__(self) -> str:
        words = ", ".join(f"{k}={v!r}" for k, v in self.words.items())
        shape, dtype = np.shape(self.X), getattr(self.X, "dtype", type(self.X).__name__)
        extra = [n for n in ("sample_weight", "groups") if getattr(self, n) is not None]
        beside = f" with {' and '.join(extra)}" if extra else ""
        return f"{self.estimator.__name__}({words}) on {shape} {dtype}{beside}"


def case(c: Seeded) -> Case:
    """A case from its choices."""
    n, d = c.pick(SIZES), c.often(c.whole(1, 3), (0, 1, 6, 12, 30), 5)
    X = np.column_stack([column(c, n) for _ in range(d)]) if d else np.zeros((n, 0))
    if d > 1 and c.whole(1, 6) == 1:  # columns that say the same
        X[:, -1] = c.pick((X[:, 0], -X[:, 0], 2 * X[:, 0] + 1, X[:, 0] * (1 + 1e-14)))
    if c.whole(1, 5) == 1:  # equal rows
        X = X[c.generator().integers(0, max(n // 3, 1), n)]
    estimator, words, kind = model(c)
    y = response(c, X, kind)
    new = np.vstack([X[:2] / 1.5, np.full((2, d), c.pick(VALUES[:-2])), c.generator().normal(size=(2, d))])
    return Case(
        estimator, words, dressed(c, X), dressed_response(c, y), weights(c, n), groups(c, X, words), new
    )


def column(c: Seeded, n: int) -> np.ndarray:
    """Numbers of one column, (n,)."""
    r = c.generator()
    kinds = ("integers", "binary", "constant", "heavy", "rare", "steps", "switch")
    kind = c.often("normal", kinds, 2)
    out = {
        "normal": lambda: r.normal(size=n),
        "integers": lambda: r.integers(-3, 4, n).astype(float),
        "binary": lambda: (r.random(n) < 0.5).astype(float),
        "constant": lambda: np.full(n, r.normal()),
        "heavy": lambda: r.standard_cauchy(n) ** 3,
        "rare": lambda: np.where(np.arange(n) == n // 2, 1.0, 0.0),
        "steps": lambda: np.round(r.normal(size=n), 1),
        "switch": lambda: np.where(r.random(n) < 0.5, 1.0, 1.0 + 1e-12),
    }[kind]()
    with np.errstate(all="ignore"):
        out = out * c.often(1.0, SCALES, 8) + c.often(0.0, OFFSETS, 8)
    if c.whole(1, 30) == 1:
        out[c.whole(0, n - 1)] = c.pick(VALUES)
    return out


def response(c: Seeded, X: np.ndarray, kind: str) -> np.ndarray:
    """A response (n,), or (n, 2) of a located model."""
    n, r = len(X), c.generator()
    x = r.normal(size=n)
    if X.shape[1] and np.isfinite(X[:, 0]).all():
        x = X[:, 0] / max(np.abs(X[:, 0]).max(), 1e-300)
    if kind == "classes":
        way = c.pick(
            (
                "two",
                "three",
                "one a row",
                "two",
                "text",
                "truth",
                "separated",
                "three",
                "rare",
                c.pick(("one", "floats")),
            )
        )
        two = (x + 0.3 * r.normal(size=n) > 0).astype(int)
        return {
            "two": lambda: two,
            "three": lambda: r.integers(0, 3, n),
            "one a row": lambda: np.arange(n),
            "one": lambda: np.zeros(n, dtype=int),
            "text": lambda: np.array(["no", "yes", "é"])[r.integers(0, 3, n)],
            "truth": lambda: two.astype(bool),
            "separated": lambda: (x > np.median(x)).astype(int),
            "floats": lambda: two + 0.5 * (c.whole(1, 3) == 1),
            "rare": lambda: (np.arange(n) == n // 2).astype(int),
        }[way]()
    if kind == "counts":
        size = c.often(3.0, COUNTS, 2)
        way = c.pick(("poisson", "poisson", "two sizes", "zeros", c.pick(("halves", "negative"))))
        return {
            "poisson": lambda: r.poisson(min(size, 1e15) * np.exp(0.5 * x)).astype(float),
            "two sizes": lambda: np.where(r.random(n) < 0.3, size, 1.0),
            "zeros": lambda: np.zeros(n),
            "halves": lambda: r.poisson(3, n) + 0.5 * (c.whole(1, 2) == 1),
            "negative": lambda: r.integers(-1, 5, n).astype(float),
        }[way]()
    way = c.often("lines", ("noise", "line", "exact", "levels", "heap", "heavy", "outlier", "constant"), 2)
    sign = np.where(r.random(n) < 0.5, 1.0, -1.0)
    y = {
        "lines": lambda: sign * (1 + 2 * x) + 0.2 * r.normal(size=n),
        "noise": lambda: r.normal(size=n),
        "line": lambda: x + 0.1 * r.normal(size=n),
        "exact": lambda: np.where(x > 0, x, -2 * x),
        "constant": lambda: np.full(n, 3.7),
        "levels": lambda: r.integers(0, 2, n).astype(float),
        "heap": lambda: np.where(r.random(n) < 0.7, 0.0, r.normal(size=n)),
        "heavy": lambda: r.standard_cauchy(n) ** 3,
        "outlier": lambda: np.where(np.arange(n) == n // 2, c.pick(VALUES[4:]), r.normal(size=n)),
    }[way]()
    with np.errstate(all="ignore"):
        y = y * c.often(1.0, SCALES, 6) + c.often(0.0, OFFSETS, 8)
    return np.column_stack([y, r.normal(size=n)]) if kind == "several" else y


def model(c: Seeded) -> tuple[Any, dict[str, Any], str]:
    """An estimator, its words, and the kind of response."""
    which = c.pick(("softmax",) * 6 + ("gate",) * 3 + ("located",) * 4 + ("penalised",) * 2 + ("cv",))
    classes = which != "located" and c.whole(1, 2) == 1
    words: dict[str, Any] = {"random_state": c.whole(0, 3), "n_experts": c.whole(1, 3)}
    if which != "cv" and c.whole(1, 3) > 1:  # else the default search
        words["n_starts"] = c.whole(1, 3)
    if which == "cv":
        words |= {"n_experts": c.pick((1, 2, (1, 2))), "alphas": c.whole(2, 6), "cv": c.pick((2, 3, 5))}
        words |= {"penalty": c.pick(PENALTIES[:3]), "criterion": c.pick(("cv", "bic", "ebic"))}
    elif which == "located":
        words |= {
            "covariance": c.often("full", ("diagonal", "isotropic", "blocks", "factors"), 2),
            "gate_covariance": c.often("full", ("diagonal", "isotropic")), "tied": c.whole(1, 5) == 1,
            "direction": c.often("direct", ("inverse",)), "degree": c.often(1, (2, 3), 5),
            "student": c.whole(1, 5) == 1,
        }  # fmt: skip
        return LocatedMoERegressor, words, c.often("numbers", ("several",), 4)
    elif which == "penalised":
        words["penalty"] = c.pick(PENALTIES)
    elif which == "gate":
        words["gate"] = c.pick(GATES)
        words["max_iter"] = c.pick((None, 60))
    else:
        words["n_experts"] = c.often(words["n_experts"], ("bic", "icl", 4, 6), 6)
        if isinstance(words["n_experts"], str):
            words["max_experts"] = 3
        words["solver"] = c.often("auto", ("newton", "em", "lbfgs"), 5)
        words["engine"] = c.often("auto", ("array", "native"), 4)
        words["top_k"] = c.often(None, (1, 2), 8)
        words["max_iter"] = c.often(None, (1, 60))
    if classes:
        return (MoEClassifierCV if which == "cv" else MoEClassifier), words, "classes"
    words["family"] = c.often("gaussian", ("poisson",))
    words["shared_variance"] = c.whole(1, 4) == 1 and words["family"] == "gaussian"
    if which not in ("cv", "penalised"):
        words["variances"] = c.often(None, ("equal", [[1, 2]]), 6)
    return (
        (MoERegressorCV if which == "cv" else MoERegressor), words,
        "counts" if words["family"] == "poisson" else "numbers",
    )  # fmt: skip


def weights(c: Seeded, n: int) -> np.ndarray | None:
    """Sample weights, most often none."""
    r = c.generator()
    kind = c.often(
        "", ("random", "zeros", "small", "wide", c.pick(("none left", "negative", "nan", "large"))), 3
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


def groups(c: Seeded, X: np.ndarray, words: dict[str, Any]) -> Any:
    """Ids of groups, seldom; their gate has no columns, or reads each at its first row or mean."""
    if c.whole(1, 5) > 1 or "penalty" in words or "direction" in words:
        return None
    n = len(X)
    ids = c.generator().integers(0, max(n // 4, 1), n)
    words |= c.pick(({"gate_features": []}, {"gate_at": "first"}, {"gate_at": "mean"}))
    return c.pick(
        (ids, ids.astype(float), np.array([f"g{i}" for i in ids]), ids.tolist(), np.zeros(n), np.arange(n))
    )


def dressed(c: Seeded, X: np.ndarray) -> Any:
    """The same numbers in another type or layout, where they fit."""
    if c.whole(1, 5) == 1:
        kind = c.pick(DTYPES)
        with np.errstate(all="ignore"):
            fits = kind in ("object", "U", "longdouble") or (
                np.isfinite(X).all() and np.abs(X).max(initial=0.0) < (6e4 if kind == "float16" else 100)
            )
            X = X.astype(kind) if fits and (kind[0] != "u" or (X >= 0).all()) else X
    layout = c.often("", LAYOUTS, 4)
    if layout == "fortran":
        return np.asfortranarray(X)
    if layout == "strided":
        return np.repeat(np.repeat(X, 2, axis=0), 2, axis=1)[::2, ::2]
    if layout == "reversed":
        return np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1]
    if layout == "read only":
        X = X.copy()
        X.flags.writeable = False
    if layout == "list":
        return X.tolist()
    if layout == "broadcast" and len(X):
        return np.broadcast_to(X[:1], X.shape) if c.whole(1, 3) == 1 else X
    if layout == "mapped":
        return X.view(np.memmap)
    if layout == "pandas":
        import pandas

        return pandas.DataFrame(X, columns=[f"c{j}" for j in range(X.shape[1])])
    return X


def dressed_response(c: Seeded, y: np.ndarray) -> Any:
    """The response as an array, a list, a column, a series."""
    way = c.often("", ("list", "column", "series", "object", "strided"), 5)
    if way == "list":
        return y.tolist()
    if way == "column" and y.ndim == 1:
        return y[:, None]
    if way == "series" and y.ndim == 1:
        import pandas

        return pandas.Series(y, name="y")
    if way == "object":
        return y.astype(object)
    return np.repeat(y, 2, axis=0)[::2] if way == "strided" else y
