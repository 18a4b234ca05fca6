"""Every question about a fit, of every kind of fit: numbers, or one clear line."""

import numpy as np
import pytest

from conftest import two_lines
from moestro import DataError, LocatedMoERegressor, MoEClassifier, MoERegressor, bootstrap_test, compare
from moestro.errors import SearchWarning
from moestro.inference.classification import Classification, profile_means
from moestro.inference.hypotheses import HypothesisTest
from moestro.summary.comparison import Comparison
from moestro.tables import Table

pytestmark = pytest.mark.filterwarnings(f"ignore::{SearchWarning.__module__}.{SearchWarning.__name__}")
FEW = {"random_state": 0, "n_starts": 2, "n_jobs": 1}
SEEDED = {"n_bootstrap": 4, "random_state": 0}


def separated():
    x = np.linspace(-1, 1, 40)[:, None]
    return MoEClassifier(1).fit(x, x[:, 0] > 0), x, x[:, 0] > 0


def collapsed():
    x = np.r_[np.arange(6.0), np.full(5, 3.0)][:, None]
    y = np.r_[np.arange(6.0) ** 2, np.full(5, 9.0)]
    return MoERegressor(2, rank_by="likelihood", **FEW).fit(x, y), x, y


def located_collapsed():
    _, x, y = collapsed()
    return LocatedMoERegressor(3, **{**FEW, "n_starts": 3}).fit(x, y), x, y


def flat():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (200, 1))
    y = rng.random(200) < 0.5
    return MoEClassifier(2, expert_features=[], gate_features=[], **FEW).fit(x, y), x, y


def one_expert():
    x, y = two_lines(60)
    return MoERegressor(1).fit(x, y), x, y


def weighted():
    x, y = two_lines(60)
    return MoERegressor(2, **FEW).fit(x, y, np.random.default_rng(0).uniform(0.5, 2, 60)), x, y


def grouped():
    x, y = two_lines(60)
    return MoERegressor(2, gate_features=[], **FEW).fit(x, y, groups=np.arange(60) // 2), x, y


def thin():
    """Four experts on sixteen rows."""
    x, y = two_lines(16)
    return MoERegressor(4, **FEW).fit(x, y), x, y


def counts():
    x, _ = two_lines(60)
    y = np.random.default_rng(0).poisson(np.exp(0.5 + 0.3 * x[:, 0]))
    return MoERegressor(2, family="poisson", **FEW).fit(x, y), x, y


def held():
    x, y = two_lines(60)
    return MoERegressor(2, fixed={"2:x0": 1.0}, gate_features=[], **FEW).fit(x, y), x, y


def at_a_bound():
    """Counts that vary less than Poisson's: a dispersion of zero."""
    x, _ = two_lines(60)
    y = np.random.default_rng(0).binomial(6, 1 / (1 + np.exp(-x[:, 0])))
    return MoERegressor(1, family="negative-binomial").fit(x, y), x, y


def located():
    x, y = two_lines(60)
    return LocatedMoERegressor(2, **FEW).fit(x, y), x, y


FITS = {
    f.__name__: f
    for f in (
        separated, collapsed, located_collapsed, flat, one_expert, weighted, grouped, thin, counts, held,
        at_a_bound, located,
    )
}  # fmt: skip


def slope(moe):
    """The label of the last expert's last slope; a fit without slopes has none of this name."""
    names = [n for n in moe.parameter_names_ if n.endswith("x0") and not n.startswith("gate")]
    return names[-1] if names else "1:x0"


FORMULAS = ("observed", "expected", "sandwich", "survey")
QUESTIONS = {
    **{cov: lambda m, x, y, cov=cov: m.inference(cov) for cov in FORMULAS},
    "cluster": lambda m, x, y: m.inference("cluster", cluster=np.arange(len(y)) % 5),
    "bootstrap": lambda m, x, y: m.inference("bootstrap", **SEEDED),
    "bca": lambda m, x, y: m.inference("bootstrap", interval="bca", **SEEDED),
    "parametric": lambda m, x, y: m.inference("bootstrap", resample="parametric", **SEEDED),
    "jackknife": lambda m, x, y: m.inference("jackknife", cluster=np.arange(len(y)) % 5),
    "covariance_matrix": lambda m, x, y: np.nan_to_num(m.covariance_matrix(), nan=0.0),
    "wald": lambda m, x, y: m.wald_test(f"{slope(m)} = 0"),
    "likelihood ratio": lambda m, x, y: m.likelihood_ratio_test(f"{slope(m)} = 0"),
    "score": lambda m, x, y: m.score_test(f"{slope(m)} = 0"),
    "profile": lambda m, x, y: m.profile(slope(m)),
    "assign": lambda m, x, y: m.assign(x, y),
    "classification": lambda m, x, y: m.classification(),
    "profiles": lambda m, x, y: m.profiles(),
    "margins": lambda m, x, y: m.margins(x),
    "predictions": lambda m, x, y: m.margins(x, kind="predictions", cov="sandwich"),
    "contrasts": lambda m, x, y: m.margins(x, kind="contrasts", contrasts={"x0": (-1, 1)}),
    "at two values": lambda m, x, y: m.margins(x, at={"x0": [-1.0, 1.0]}),
    "at a word": lambda m, x, y: m.margins(x, at={"x0": "high"}),
    "dispersion": lambda m, x, y: m.dispersion(),
    "bands": lambda m, x, y: m.bands(x[:3], of=("mixture", "gate"), simultaneous=True),
    "simultaneous": lambda m, x, y: m.inference(simultaneous=True),
    "HC1": lambda m, x, y: m.inference("sandwich", correction="HC1"),
    "residuals": lambda m, x, y: m.quantile_residuals(x, y, random_state=0),
    "pseudo": lambda m, x, y: m.pseudo_r2(),
    "influence": lambda m, x, y: m.influence(),
    "compare": lambda m, x, y: compare(m, m, names=["a", "b"]),
    "summary": lambda m, x, y: m.summary(),
}  # fmt: skip


def numbers_of(answer):
    """Every number of an answer."""
    if isinstance(answer, str):
        assert "nan" not in answer.lower()
        return np.zeros(1)
    if isinstance(answer, np.ndarray):
        return answer.ravel()
    if isinstance(answer, HypothesisTest):
        return np.array([answer.statistic, answer.p])
    parts = {Classification: ("posteriors", "shares"), Comparison: ("coefficients", "fits")}
    if type(answer) in parts:
        return np.concatenate([numbers_of(getattr(answer, part)) for part in parts[type(answer)]])
    assert isinstance(answer, Table)
    cells = [v for column in answer.columns.values() for v in column]
    return np.array([v for v in cells if isinstance(v, int | float | np.number)], dtype=float)


def answer(question, moe, x, y):
    """An answer, or the line that refuses it."""
    try:
        return QUESTIONS[question](moe, x, y)
    except DataError as error:
        return str(error)


@pytest.fixture(scope="module", params=FITS)
def fitted(request):
    return FITS[request.param]()


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_number_or_one_clear_line(fitted, question):
    found = answer(question, *fitted)
    if isinstance(found, str) and question != "summary":
        assert "\n" not in found
        assert len(found) < 250
        return
    numbers = numbers_of(found)
    assert len(numbers)
    assert np.isfinite(numbers).all()


# Everything else is answered. The information at these restricted maxima is not positive: no score test.
NEVER = {"at two values", "at a word"}
REFUSED = {
    "grouped": {
        "jackknife",
        "cluster",
        "expected",
        "pseudo",
        "score",
        "dispersion",
    },
    "one_expert": {"classification", "pseudo", "dispersion"},
    "weighted": {"expected", "pseudo", "score", "dispersion", "parametric"},
}


@pytest.mark.parametrize("name", ["grouped", "one_expert", "weighted"])
def test_what_is_refused(name):
    moe, x, y = FITS[name]()
    refused = {q for q in QUESTIONS if q != "summary" and isinstance(answer(q, moe, x, y), str)}
    assert refused == REFUSED[name] | NEVER


WRONG = {
    "level": lambda m, x: m.inference(level=2),
    "level in words": lambda m, x: m.inference(level="95 %"),
    "covariance": lambda m, x: m.inference("HC3"),
    "no clusters": lambda m, x: m.inference("cluster"),
    "few clusters": lambda m, x: m.inference("cluster", cluster=[1, 2]),
    "one cluster": lambda m, x: m.inference("cluster", cluster=np.zeros(60)),
    "population": lambda m, x: m.inference("survey", fpc=-1),
    "one refit": lambda m, x: m.inference("bootstrap", n_bootstrap=1),
    "refits in words": lambda m, x: m.inference("bootstrap", n_bootstrap="many"),
    "interval": lambda m, x: m.inference("bootstrap", interval="best", **SEEDED),
    "hypothesis": lambda m, x: m.wald_test("x = y"),
    "no hypothesis": lambda m, x: m.wald_test(),
    "no such expert": lambda m, x: m.profile("x0", expert=9),
    "no such part": lambda m, x: m.margins(x, of="experts"),
    "no such kind": lambda m, x: m.margins(x, kind="slope"),
    "no such column": lambda m, x: m.margins(x, at={"wealth": 1.0}),
    "nothing": lambda m, x: m.margins(x, at={"x0": None}),
    "one end": lambda m, x: m.margins(x, kind="contrasts", contrasts={"x0": 1.0}),
    "no response": lambda m, x: m.assign(x),
    "no estimator": lambda m, x: compare(m, "two experts"),
    "no larger one": lambda m, x: bootstrap_test(m, None),
    "no replicate": lambda m, x: bootstrap_test(m, m, n_replicates=0),
}


@pytest.mark.parametrize("kind", [counts, located])
def test_a_wrong_word_is_refused_in_one_clear_line(kind):
    moe, x, _ = kind()
    for what, ask in WRONG.items():
        with pytest.raises(DataError) as error:
            ask(moe, x)
        assert "\n" not in str(error.value) and len(str(error.value)) < 250, what


def test_no_rows_have_no_margins():
    pytest.importorskip("formulaic")
    x, y = two_lines(60)
    moe = MoERegressor.from_formula("y ~ x", {"x": x[:, 0], "y": y}, n_experts=1)
    for ask in (moe.margins, moe.bands):
        with pytest.raises(DataError, match="X has no rows"):
            ask({"x": []})


def test_weight_two_is_a_row_written_twice():
    """Every answer that follows the likelihood is that of the rows written out; a sandwich is not, whose
    scores are multiplied by the weights."""
    x, y = two_lines(60)
    w = 1.0 + (np.arange(60) % 2)
    at = np.repeat(np.arange(60), w.astype(int))
    a = MoERegressor(2, **FEW).fit(x, y, w)
    b = MoERegressor(2, **FEW).fit(x[at], y[at])
    same = ("observed", "wald", "likelihood ratio", "score", "profile", "covariance_matrix")
    for question in (*same, "classification"):
        one, two = numbers_of(answer(question, a, x, y)), numbers_of(answer(question, b, x[at], y[at]))
        np.testing.assert_allclose(one, two, rtol=2e-4, atol=1e-6, err_msg=question)
    table, written = a.margins(x, sample_weight=w), b.margins(x[at])
    np.testing.assert_allclose(table["std_error"], written["std_error"], rtol=1e-4)


def test_groups_of_one_row_are_rows():
    x, y = two_lines(60)
    a = MoERegressor(2, gate_features=[], **FEW).fit(x, y, groups=np.arange(60))
    b = MoERegressor(2, gate_features=[], **FEW).fit(x, y)
    for question in ("observed", "sandwich", "bootstrap", "wald", "profile", "influence", "margins"):
        one, two = (numbers_of(answer(question, moe, x, y)) for moe in (a, b))
        np.testing.assert_allclose(one, two, rtol=1e-9, err_msg=question)


def test_what_is_held_is_known():
    """A line of slope one through the mean: errors of its level, at any place, are those of a mean."""
    x, y = two_lines(60)
    moe = MoERegressor(1, fixed={"1:x0": 1.0}).fit(x, y)
    se = (y - x[:, 0]).std() / np.sqrt(60)
    np.testing.assert_allclose(moe.bands(x[:5])["std_error"], np.full(5, se), rtol=1e-6)
    table = moe.margins(x, of="mixture")
    assert (table["estimate"], table["std_error"]) == ([pytest.approx(1.0)], [pytest.approx(0.0, abs=1e-12)])


def test_a_mean_needs_no_error_of_a_dispersion():
    """A negative binomial law at its bound is Poisson's, and means have the errors that they have there."""
    moe, x, y = at_a_bound()
    assert moe.inference().rows()[-1]["note"]
    same = MoERegressor(1, family="poisson").fit(x, y)
    one, two = (m.margins(x, of="mixture") for m in (moe, same))
    np.testing.assert_allclose(one["std_error"], two["std_error"], rtol=1e-3)


def test_an_expert_without_rows_has_no_profile():
    table = profile_means(np.array([[1.0, 0.0], [1.0, 0.0]]), np.ones(2), {"x": np.array([1.0, 3.0])})
    assert table["mean"] == [2.0, None] and table["std"] == [1.0, None]


def test_one_expert_is_least_squares():
    """What each question says of one expert, in closed form."""
    moe, x, y = one_expert()
    X = np.column_stack([np.ones(60), x])
    inverse = np.linalg.inv(X.T @ X)
    beta = inverse @ X.T @ y
    e = y - X @ beta
    s2 = e @ e / 60
    rows = moe.inference("sandwich").rows()
    HC0 = inverse @ (X * (e**2)[:, None]).T @ X @ inverse
    np.testing.assert_allclose([r["std_error"] for r in rows[:2]], np.sqrt(np.diag(HC0)), rtol=1e-6)
    wald = beta[1] ** 2 / (s2 * inverse[1, 1])
    restricted = ((y - y.mean()) ** 2).mean()
    assert moe.wald_test("1:x0").statistic == pytest.approx(wald, rel=1e-6)
    assert moe.likelihood_ratio_test("1:x0").statistic == pytest.approx(
        60 * np.log(restricted / s2), rel=1e-6
    )
    change = moe.influence()
    np.testing.assert_allclose(change[:, :2], -(X * e[:, None]) @ inverse, rtol=1e-5, atol=1e-9)
    table = moe.margins(x, of="mixture")
    assert table["estimate"][0] == pytest.approx(beta[1], rel=1e-6)
    assert table["std_error"][0] == pytest.approx(np.sqrt(s2 * inverse[1, 1]), rel=1e-5)
