"""The words of an estimator, and the kind of response that goes with them."""

from importlib.util import find_spec
from typing import Any

from fuzz.choices import Seeded
from moestro import LocatedMoERegressor, MoEClassifier, MoEClassifierCV, MoERegressor, MoERegressorCV

# Each family by what its response is like; of censored experts also the limits.
FAMILIES = {
    "gaussian": "numbers", "student": "numbers", "skew-t": "numbers",
    "censored[0:]": "clipped", "censored[:1]": "clipped",
    "censored[0:1]": "clipped", "censored": "clipped", "interval": "ends", "weibull": "times",
    "poisson": "counts", "negative-binomial": "counts", "truncated-poisson": "ones", "binomial": "trials",
    "binomial-probit": "trials", "binomial-cloglog": "trials", "gamma": "positive",
    "inverse-gaussian": "positive", "lognormal": "positive", "beta": "proportions",
}  # fmt: skip
CLASSES = ("multinomial", "ordinal")
MIXED = (
    (["zero", "poisson"], "counts or 0"), ("zero,truncated-poisson", "ones or 0"),
    (["zero", "gamma"], "positive or 0"), (["zero", "one", "beta"], "proportions or 0 or 1"),
    (["zero", "negative-binomial", "poisson"], "counts or 0"), (["one", "poisson"], "counts or 1"),
    (["gaussian", "student"], "numbers"), ("gamma,lognormal", "positive"),
    (["poisson", "negative-binomial"], "counts"), (["inverse-gaussian", "weibull"], "positive"),
    (["zero", "one"], "proportions or 0 or 1"), (["zero", "gaussian"], "numbers or 0"),
)  # fmt: skip
GATES = ("laplace", "sigmoid", "temperature", "activated-temperature", "cosine", "perturbed-cosine")
PENALTIES = ("l1", "elastic_net", "ridge", "group", "adaptive_l1", "oracle")
STRUCTURES = ("full", "diagonal", "isotropic", "blocks", "factors")
CRITERIA = ("bic", "icl", "aic", "cv", "djump", "dendrogram")
TRANSFORMS = ("tanh", "sin", "cube", "sigmoid")
# Beside "auto"; that of torch seldom, for sums over few rows take it long, and another where it is not there.
ENGINES = ("array", "array", "native", "torch" if find_spec("torch") else "native")
COVS = ("observed", "expected", "sandwich", "cluster", "survey", "bootstrap", "jackknife")
# Words that change nothing of what is fitted.
NOT_DRAWN = ("n_jobs", "verbose")


def model(c: Seeded) -> tuple[Any, dict[str, Any], str]:
    """An estimator, its words, and the kind of its response."""
    which = c.pick(("plain",) * 8 + ("gate",) * 3 + ("located",) * 4 + ("penalised",) * 2 + ("cv",) * 2)
    words: dict[str, Any] = {"random_state": c.whole(0, 3), "n_experts": c.whole(1, 3)}
    if which != "cv" and c.whole(1, 3) > 1:  # else the default search
        words["n_starts"] = c.whole(1, 3)
    words["missing"] = c.often("error", ("drop", "marginal") if which == "located" else ("drop",), 4)
    plain_tol = 1e-8 if which == "located" else None
    words["tol"] = c.often(plain_tol, (1e-12, 1e-9) if which in ("penalised", "cv") else (1e-4, 1e-12), 8)
    if which == "located":
        words |= of_located(c)
        kind = c.often("numbers", ("several",), 4)
    if which in ("plain", "gate", "located") and c.whole(1, 6) == 1:
        words["n_experts"], words["max_experts"] = (
            c.pick(CRITERIA),
            3,
        )
    if which == "located":
        return LocatedMoERegressor, words, kind
    words |= {"plain": plain, "gate": of_gate, "penalised": penalised, "cv": chosen}[which](c)
    kind = "classes"
    if c.whole(1, 3) > 1:
        words["family"], kind = family(c, which in ("plain", "gate"))
        words["shared_variance"] = c.whole(1, 4) == 1 and words["family"] == "gaussian"
        if which in ("plain", "gate"):
            words["variances"] = c.often(None, ("equal", [[1, 2]]), 6)
        members = words["family"].split(",") if isinstance(words["family"], str) else words["family"]
        if len(members) > 1 and c.whole(1, 6) > 1:
            words["n_experts"] = len(members)
        return (MoERegressorCV if which == "cv" else MoERegressor), words, kind
    if which in ("plain", "gate"):
        words["family"] = c.often("multinomial", ("ordinal",), 3)
        words["levels"] = None if words["family"] == "multinomial" else c.pick((None, [0, 1], [2, 1, 0]))
    return (MoEClassifierCV if which == "cv" else MoEClassifier), words, kind


def family(c: Seeded, mixed: bool) -> tuple[Any, str]:
    """A family of numbers or counts, and the kind of its response."""
    if mixed and c.whole(1, 5) == 1:
        return c.pick(MIXED)
    name = c.often("gaussian", tuple(FAMILIES) if mixed or c.whole(1, 6) == 1 else ("poisson", "binomial"), 2)
    return name, FAMILIES[name]


def plain(c: Seeded) -> dict[str, Any]:
    """A softmax gate, whose solvers and engines there are several of."""
    sparse = c.often({}, ({"top_k": 1}, {"top_k": 2}, {"top_k": 2, "rank_on": "logit"}), 8)
    return sparse | {
        "solver": c.often("auto", ("newton", "em", "lbfgs"), 5),
        "engine": c.often("auto", ENGINES, 4),
        "rank_by": c.often("usable", ("likelihood",), 6),
        "max_iter": c.often(None, (1, 60)),
        "gate_transform": c.often(None, TRANSFORMS, 8),
    }


def of_gate(c: Seeded) -> dict[str, Any]:
    """Another gate."""
    return {"gate": c.pick(GATES), "max_iter": c.pick((None, 60))}


def penalised(c: Seeded) -> dict[str, Any]:
    """A penalty with its path."""
    return {"penalty": c.pick(PENALTIES), "gate_transform": c.often(None, TRANSFORMS, 8)}


def chosen(c: Seeded) -> dict[str, Any]:
    """A strength and a number of experts that are chosen together."""
    return {
        "n_experts": c.pick((1, 2, (1, 2))), "alphas": c.often(c.whole(2, 6), (50, (0.3, 0.03)), 4),
        "cv": c.pick((2, 3, 5)), "penalty": c.pick(PENALTIES[:3]),
        "criterion": c.pick(("cv", "bic", "ebic", "aic")),
        "gate_ratios": c.often((1.0,), ((0.5, 2.0),), 5), "gate_transform": c.often(None, TRANSFORMS, 4),
    }  # fmt: skip


def of_located(c: Seeded) -> dict[str, Any]:
    """Gaussian gates."""
    return {
        "covariance": c.often("full", STRUCTURES[1:], 2), "rank": c.often(1, (2,), 6),
        "blocks": c.often(None, ([[0], [1]], [[0, 1]]), 12), "rank_by": c.often("usable", ("likelihood",), 8),
        "gate_covariance": c.often("full", STRUCTURES[1:3]), "tied": c.whole(1, 5) == 1,
        "gate_tied": c.whole(1, 6) == 1, "direction": c.often("direct", ("inverse",)),
        "degree": c.often(1, (2, 3), 5), "student": c.whole(1, 5) == 1, "max_iter": c.often(None, (1, 60), 6),
    }  # fmt: skip


def constraints(c: Seeded, words: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """What is held of columns with these names, and which of them gate and experts read, most often
    nothing."""
    out: dict[str, Any] = {}
    if "gate_covariance" in words:
        return out
    name = c.pick((*names[:3], "(intercept)"))
    if c.whole(1, 6) == 1:
        out["gate_features"] = c.pick(([], names[:1], [0]))
    if c.whole(1, 8) == 1:
        out["expert_features"] = c.pick(([], names[-1:], [0]))
    if "penalty" in words or c.whole(1, 4) > 1:
        return out
    held = ({name: 0.0}, {f"1:{name}": 1.0}, {f"gate:1:{name}": 0.0}, {name: 1e300}, {"not there": 1.0})
    return out | c.pick(
        (
            {"common": [name]}, {"common": names}, {"fixed": c.pick(held)}, {"order_by": "mean"},
            {"common": [name], "fixed": c.pick(held)}, {"order_by": name}, {"reference_expert": 1},
        )
    )  # fmt: skip
