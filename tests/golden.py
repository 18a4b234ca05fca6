"""A table of fits of every kind and what they ended at: `python tests/golden.py` writes data/golden.json,
test_golden.py holds the library to it.

A fit may only change for the better: written again, the table must say why in the same commit.
"""

import json
import sys
from pathlib import Path

import numpy as np

from moestro import LocatedMoERegressor, MoEClassifier, MoERegressor
from moestro.penalties import L1, AdaptiveL1, ElasticNet, GroupLasso, OracleL1, Ridge

PATH = Path(__file__).parent / "data" / "golden.json"
N, D = 160, 3


def rows(seed=0):
    """Inputs, a Gaussian, a count, a class and two Gaussian responses of two experts each."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((N, D))
    first = rng.random(N) < 1 / (1 + np.exp(-2 * x[:, 0]))
    mean = np.where(first, 1 + x[:, 1], -1 - x[:, 2])
    y = mean + 0.5 * rng.standard_normal(N)
    count = rng.poisson(np.exp(0.4 * mean + 0.5)).astype(float)
    kind = np.digitize(mean + rng.logistic(size=N), [-1.0, 1.0])
    two = np.column_stack([y, np.where(first, -x[:, 0], x[:, 1]) + 0.5 * rng.standard_normal(N)])
    return x, {"gaussian": y, "poisson": count, "multinomial": kind, "two": two}


def softmax(family="gaussian", **how):
    """An estimator of `family` by its words."""
    if family == "multinomial":
        return MoEClassifier(random_state=0, **how)
    return MoERegressor(family=family, random_state=0, **how)


def located(**how):
    return LocatedMoERegressor(random_state=0, **how)


def table():
    """Name of a fit: the estimator and the response it is fitted to."""
    out = {}

    def add(name, make, response, **how):
        out[name] = (make(**how), response)

    for family in ("gaussian", "poisson", "multinomial"):
        for k in (1, 2, 3, 4):
            add(f"softmax {family} k={k}", softmax, family, family=family, n_experts=k)
    for k in (2, 3):
        add(f"softmax shared k={k}", softmax, "gaussian", n_experts=k, shared_variance=True)
    for solver in ("em", "lbfgs"):
        add(f"softmax {solver}", softmax, "gaussian", solver=solver)
    for gate in ("sigmoid", "laplace", "temperature", "activated-temperature", "cosine", "perturbed-cosine"):
        add(f"gate {gate}", softmax, "gaussian", gate=gate, n_starts=6, max_iter=200)
    for rank_on in ("score", "logit"):
        add(f"top-1 of 2 by {rank_on}", softmax, "gaussian", top_k=1, rank_on=rank_on, n_starts=6)
    add("constant gate", softmax, "gaussian", gate_features=[])
    add("modified gate", softmax, "gaussian", gate_transform="tanh")
    for criterion in ("bic", "icl", "slope", "dendrogram"):
        add(f"softmax {criterion}", softmax, "gaussian", n_experts=criterion, max_experts=4)
    penalties = {
        "l1": L1(0.05), "elastic net": ElasticNet(0.05), "group": GroupLasso(0.05),
        "adaptive": AdaptiveL1(0.05), "ridge": Ridge(0.05), "oracle": OracleL1(),
    }  # fmt: skip
    for name, penalty in penalties.items():
        for family in ("gaussian", "poisson", "multinomial"):
            add(f"{name} {family}", softmax, family, family=family, penalty=penalty)
    for k in (1, 3):
        add(f"l1 k={k}", softmax, "gaussian", n_experts=k, penalty=L1(0.02))
    for direction in ("direct", "inverse"):
        for k in (1, 2, 3, 4):
            add(f"located {direction} k={k}", located, "two", n_experts=k, direction=direction)
        for covariance in ("diagonal", "isotropic", "blocks", "factors"):
            add(
                f"located {direction} {covariance}",
                located,
                "two",
                covariance=covariance,
                direction=direction,
            )
    for gate in ("diagonal", "isotropic"):
        add(f"located gate {gate}", located, "gaussian", gate_covariance=gate)
    add("located tied", located, "two", tied=True)
    add("located gate tied", located, "two", gate_tied=True)
    for covariance in ("full", "diagonal", "factors"):
        add(f"located student {covariance}", located, "two", covariance=covariance, student=True)
    add("located degree 2", located, "gaussian", degree=2)
    for criterion in ("bic", "icl", "ddse", "dendrogram"):
        add(f"located {criterion}", located, "two", n_experts=criterion, max_experts=4)
    return out


def fitted(estimator, response):
    """What the table keeps of a fit."""
    x, responses = rows()
    moe = estimator.fit(x, responses[response])
    return {
        "log_likelihood": moe.log_likelihood_,
        "df": moe.n_parameters_,
        "n_experts": moe.n_experts_,
        "status": str(moe.status_.kind),
    }


def main():
    kept = {}
    for name, (estimator, response) in table().items():
        kept[name] = fitted(estimator, response)
        print(f"{name:35s} {kept[name]}", file=sys.stderr)
    PATH.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
