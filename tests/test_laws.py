"""One table, many laws: what holds for every estimator. A new family, gate, penalty or covariance is one
line."""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from conftest import lengths, moved
from moestro import LocatedMoERegressor, MoEClassifier, MoERegressor
from moestro.experts import FAMILIES, is_known, make_family
from moestro.gates import GATES, make_gate
from moestro.located import LocatedMeasure
from moestro.located.spread import STRUCTURES
from moestro.penalties import L1, PENALTIES, AdaptiveL1, ElasticNet, GroupLasso, OracleL1, Ridge

N = 90


@dataclass(frozen=True)
class Line:
    """An estimator by its options, and the response that it is fitted to."""

    kind: type
    response: str
    options: dict[str, Any]

    def fit(self, x, y, w=None, **more):
        how = {"random_state": 0, "n_jobs": 1, "n_starts": 2, **self.options, **more}
        return self.kind(**how).fit(x, y, sample_weight=w)

    @property
    def scaling(self):
        """What its gate declares may be done to its columns."""
        how = {
            "gate": "softmax",
            **{n: v for n, v in self.options.items() if n in ("gate", "top_k", "rank_on")},
        }
        return make_gate(**how).scaling


def softmax(response="gaussian", **options):
    if response == "multinomial":
        return Line(MoEClassifier, response, options)
    if response == "ordinal":
        return Line(MoEClassifier, "multinomial", {"family": response, "levels": ["a", "b", "c"], **options})
    return Line(MoERegressor, response, {"family": response, **options})


def located(response="two", **options):
    return Line(LocatedMoERegressor, response, options)


TABLE = {
    "gaussian": softmax(),
    "shared variance": softmax(shared_variance=True),
    "equal dispersions": softmax("gamma", variances="equal"),
    "poisson": softmax("poisson"),
    "multinomial": softmax("multinomial"),
    "negative binomial": softmax("negative-binomial"),
    "binomial": softmax("binomial", gate_features=[]),
    "probit": softmax("binomial-probit", gate_features=[]),
    "cloglog": softmax("binomial-cloglog", gate_features=[]),
    "gamma": softmax("gamma"),
    "inverse gaussian": softmax("inverse-gaussian"),
    "lognormal": softmax("lognormal"),
    "beta": softmax("beta"),
    "weibull": softmax("weibull"),
    "student experts": softmax("student"),
    "skew t experts": softmax("skew-t"),
    "censored": softmax("censored"),
    "interval": softmax("interval"),
    "truncated poisson": softmax("truncated-poisson"),
    "ordinal": softmax("ordinal", gate_features=[], max_iter=100),
    "zero and poisson": softmax("zero,poisson"),
    "zero and gamma": softmax("zero,gamma"),
    "constant gate": softmax(gate_features=[]),
    "top-k by score": softmax(n_experts=3, top_k=2),
    "top-k by logit": softmax(n_experts=2, top_k=1, rank_on="logit"),
    "sigmoid": softmax(gate="sigmoid"),
    "laplace": softmax(gate="laplace"),
    "temperature": softmax(gate="temperature"),
    "activated temperature": softmax(gate="activated-temperature"),
    "cosine": softmax(gate="cosine"),
    "perturbed cosine": softmax(gate="perturbed-cosine"),
    "l1": softmax(penalty=L1(0.05, gate_ratio=0.7)),
    "l1 poisson": softmax("poisson", penalty=L1(0.05)),
    "l1 multinomial": softmax("multinomial", penalty=L1(0.02)),
    "ridge": softmax(penalty=Ridge(0.05)),
    "elastic net": softmax(penalty=ElasticNet(0.05)),
    "group": softmax(penalty=GroupLasso(0.05)),
    "adaptive l1": softmax(penalty=AdaptiveL1(0.05)),
    "oracle": softmax(penalty=OracleL1()),
    "full": located(),
    "diagonal": located(covariance="diagonal"),
    "isotropic": located(covariance="isotropic"),
    "blocks": located("three", covariance="blocks", blocks=[[0, 2], [1]]),
    "factors": located("three", covariance="factors"),
    "tied": located(tied=True),
    "tied gate": located(gate_tied=True),
    "degree 2": located("gaussian", degree=2),
    "student": located("heavy", student=True),
    "inverse": located(direction="inverse"),
}
SOFTMAX = [n for n, line in TABLE.items() if line.kind is not LocatedMoERegressor]
# Where an expert is dropped the likelihood jumps; a penalty has a score of its own (test_penalised.py); these
# gates stop at the limit of iterations on these data, and say so.
LIMIT = ("activated temperature", "cosine", "perturbed cosine")
# Two laws of single trials are hardly told apart: these end at a bound.
BINARY = ("binomial", "probit", "cloglog")
SMOOTH = [
    n
    for n, line in TABLE.items()
    if not {"top_k", "penalty"} & set(line.options) and n not in (*LIMIT, *BINARY)
]


def data(response, n=N):
    """Two columns, and a response of two experts that overlap, so that nothing separates and nothing
    collapses."""
    rng = np.random.default_rng(3)
    if response == "heavy":  # two clusters of Student rows, whose degrees of freedom are inside their bounds
        e = rng.standard_normal((n, 4)) / np.sqrt(rng.gamma(1.5, 1 / 1.5, (n, 1)))
        z = np.repeat([[-3.0], [3.0]], n // 2, axis=0)
        return z + e[:, :2], np.column_stack([z[:, 0] + e[:, 0], 2 - z[:, 0]]) + e[:, 2:]
    x = rng.standard_normal((n, 2)) * [1.0, 2.0] + [0.3, -1.0]
    first = rng.random(n) < 1 / (1 + np.exp(-1.5 * x[:, 0]))
    mean = np.where(first, 1.5 + x[:, 0], -1.5 - 0.5 * x[:, 1])
    if response == "poisson":
        return x, rng.poisson(np.exp(0.3 * mean + 1.0)).astype(float)
    if "," in response:  # of a point and a family
        return x, np.where(
            rng.random(n) < 1 / (1 + np.exp(-x[:, 0])), 0.0, data(response.split(",")[1], n)[1]
        )
    if response in FAMILIES and response not in ("multinomial", "gaussian"):
        law = make_family(response)
        low, high = (bound[2 : 2 + law.nuisances] for bound in law.bounds())
        nuisances = np.tile(np.clip(0.5 * (low + high), -1.0, 1.2), (n, 1))
        return x, law.sample(np.column_stack([mean, nuisances]), rng)
    if response == "multinomial":
        return x, np.array(["a", "b", "c"])[np.digitize(mean + rng.logistic(size=n), [-1.0, 1.0])]
    y = mean + 0.6 * rng.standard_normal(n)
    if response == "gaussian":
        return x, y
    more = np.where(first, -x[:, 0], 2.0)[:, None] + 0.7 * rng.standard_normal((n, 2)) + 0.2 * y[:, None]
    return x, np.column_stack([y, more[:, :1] if response == "two" else more])


@cache
def fitted(name):
    """The line's fit, made once."""
    return TABLE[name].fit(*data(TABLE[name].response))


def case(name):
    line, moe = TABLE[name], fitted(name)
    x, y = data(line.response)
    return line, x, y, moe


def rowwise(measure, x, y, moe):
    """What a measure says of rows: the density that was maximised, and the gate."""
    if isinstance(measure, LocatedMeasure):
        return measure.joint_log_density(x, y), np.exp(measure.log_gate(x))
    z = x[:, :0] if measure.gate_slopes.shape[1] == 0 else x
    codes = np.searchsorted(moe.classes_, y).astype(float) if hasattr(moe, "classes_") else y
    return measure.log_density(x, codes, z), measure.gate_proba(z)


def curves(measure, line):
    """Curves h -> measure through a fit, one along each free parameter; what is positive moves by a factor
    exp(h)."""

    def along(name, at, factor=False):
        value = np.asarray(getattr(measure, name))
        step = np.zeros(value.shape)
        step[at] = 1.0
        return lambda h: replace(measure, **{name: value * np.exp(h * step) if factor else value + h * step})

    def tilted(e):
        def curve(h):
            w = measure.weights * np.exp(h * (np.arange(measure.k) == e))
            return replace(measure, weights=w / w.sum())

        return curve

    each, every = range(measure.k), [slice(None)]
    if isinstance(measure, LocatedMeasure):
        plain = ("means", "slopes", "intercepts")
        # what is positive, and the option by which all experts share it
        positive = {"noise": "tied", "covariances": "gate_tied", "degrees_of_freedom": ""}
        yield from (tilted(e) for e in each)
        for name, tied in positive.items():
            if getattr(measure, name) is not None:
                yield from (along(name, at, True) for at in (every if line.options.get(tied) else each))
    else:
        plain = ("log_weights", "gate_slopes", "intercepts", "slopes", "gate_parameters")
        if measure.nuisances.size:
            equal = {"shared_variance", "variances"} & set(line.options)
            yield from (along("nuisances", at) for at in (every if equal else each))
    for name in plain:
        yield from (along(name, at) for at in np.ndindex(np.shape(getattr(measure, name))))


def test_every_family_gate_penalty_and_covariance_has_a_line():
    options = [TABLE[n].options for n in SOFTMAX]
    families = {o.get("family", "multinomial") for o in options}
    assert {f for f in families if "," not in f} == set(FAMILIES)
    assert {o.get("gate", "top-k" if "top_k" in o else "softmax") for o in options} == set(GATES)
    assert {type(o["penalty"]) for o in options if "penalty" in o} == set(PENALTIES.values())
    assert {line.options.get("covariance", "full") for n, line in TABLE.items() if n not in SOFTMAX} == set(
        STRUCTURES
    )


@pytest.mark.parametrize("name", TABLE)
class TestEveryEstimator:
    def test_densities_sum_to_the_log_likelihood(self, name):
        _, x, y, moe = case(name)
        density = (
            moe.joint_log_density(x, y) if isinstance(moe, LocatedMoERegressor) else moe.log_density(x, y)
        )
        assert density.sum() == pytest.approx(moe.log_likelihood_, rel=1e-9)
        assert moe.status_.usable

    def test_responsibilities_and_gate_are_shares(self, name):
        _, x, y, moe = case(name)
        for shares in (moe.responsibilities(x, y), moe.gate_proba(x)):
            assert shares.shape == (N, moe.n_experts_)
            assert (shares >= 0).all()
            np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-12)

    def test_labels_do_not_matter(self, name):
        _, x, y, moe = case(name)
        order = np.roll(np.arange(moe.n_experts_), 1)
        density, gate = rowwise(moe.measure_, x, y, moe)
        again, turned = rowwise(moe.measure_.permute(order), x, y, moe)
        assert density.sum() == pytest.approx(moe.log_likelihood_, rel=1e-9)
        np.testing.assert_allclose(again, density, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(turned, gate[:, order], rtol=1e-9, atol=1e-12)

    def test_a_weight_of_two_is_a_row_twice_and_a_weight_of_zero_none(self, name):
        line, x, y, _ = case(name)
        w = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], N // 3))
        many = np.repeat(np.arange(N), w)
        a, b = line.fit(x, y, w.astype(float), n_starts=1), line.fit(x[many], y[many], n_starts=1)
        assert a.log_likelihood_ == b.log_likelihood_
        np.testing.assert_array_equal(a.predict(x), b.predict(x))

    def test_units_do_not_matter(self, name):
        line, x, y, moe = case(name)
        scale, shift = {
            "affine": (np.array([7.0, 0.1]), -3.0),
            "scale": (np.array([7.0, 0.1]), 0.0),
            "none": (1.0, 0.0),
        }[line.scaling]
        numbers = not is_known(line.response) or make_family(line.response, 3).scales_response
        c, d = (30.0, 5.0) if numbers else (1.0, 0.0)
        if y.ndim == 2 and line.options.get("covariance") != "isotropic":
            c = np.array([30.0, 0.2, 5.0])[: y.shape[1]]
        u, v = scale * x + shift, c * y + d if numbers else y
        law = make_family(line.response, 3) if is_known(line.response) else None
        other = line.fit(u, v, **({"family": moved(law, c, d)} if law and law.points and numbers else {}))
        jacobian = np.log(c * np.ones(y[0].shape)).sum() * lengths(law, y) if numbers else 0.0
        # A fit stops 1e-8 of a gradient a row from the maximum, so rows agree to about its root.
        np.testing.assert_allclose(other.log_density(u, v) + jacobian, moe.log_density(x, y), atol=1e-4)
        np.testing.assert_allclose(other.gate_proba(u), moe.gate_proba(x), atol=1e-4)

    def test_threads_do_not_change_a_bit(self, name):
        line, x, y, moe = case(name)
        other = line.fit(x, y, n_jobs=3)
        assert other.log_likelihood_ == moe.log_likelihood_
        np.testing.assert_array_equal(other.measure_.atoms(), moe.measure_.atoms())

    def test_measures_come_back_from_json(self, name):
        _, x, y, moe = case(name)
        again = type(moe.measure_).from_json(moe.measure_.to_json())
        for a, b in zip(rowwise(again, x, y, moe), rowwise(moe.measure_, x, y, moe), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", SOFTMAX)
def test_the_value_never_falls(name):
    """Along the end of the search; from anywhere: test_sums.py, test_gates.py, test_located_models.py,
    test_penalised.py."""
    line, _, _, moe = case(name)
    values, end = moe.history_["log_likelihood"], moe.log_likelihood_
    if "penalty" in line.options:  # of a penalised fit less the penalty
        end = -N * moe.path_.table["objective"][0]
    assert (np.diff(values) >= -1e-9).all()
    assert values[-1] == pytest.approx(end, abs=1e-9)


# The few rows of skew t experts end at a bound of the degrees of freedom: test_families.py has their maximum.
@pytest.mark.parametrize("name", [n for n in SMOOTH if n != "skew t experts"])
def test_the_score_is_zero_at_the_end(name):
    """Along each parameter the maximum of the parabola through three points is within a thousandth of a
    standard error."""
    line, x, y, moe = case(name)
    h = 1e-4

    def value(measure):
        return rowwise(measure, x, y, moe)[0].sum()

    assert str(moe.status_.kind) != "stopped at the limit"
    middle, count = value(moe.measure_), 0
    for curve in curves(moe.measure_, line):
        up, down = value(curve(h)), value(curve(-h))
        score, information = (up - down) / (2 * h), (2 * middle - up - down) / h**2
        assert abs(score) <= 1e-3 * np.sqrt(max(information, 0.0)) + 1e-5
        count += 1
    assert count >= 5 * moe.n_experts_
