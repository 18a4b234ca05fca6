"""Experts that share their variance, or what their family has for one."""

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.optimize import minimize
from scipy.special import logsumexp

from moestro import LocatedMoERegressor, MoERegressor, load_model, select_experts
from moestro.cli.main import main
from moestro.errors import DataError

N = 90


def three_lines(seed=0):
    """Three lines apart from each other, of which two have the same variance."""
    rng = np.random.default_rng(seed)
    x, e = rng.uniform(-1, 1, N), np.arange(N) % 3
    y = np.array([0.0, 8.0, 20.0])[e] + np.array([1.0, -2.0, 3.0])[e] * x
    return x[:, None], y + np.array([0.5, 0.5, 1.5])[e] * rng.standard_normal(N)


def fitted(variances=None, k=3, **words):
    x, y = words.pop("data", None) or three_lines()
    words = {"gate_features": [], "n_starts": 2, "random_state": 0, **words}
    return MoERegressor(k, variances=variances, **words).fit(x, y)


def test_groups_of_one_are_free_to_the_last_bit():
    free = fitted()
    for variances in ([], [[1], [2], [3]], [[2]]):
        same = fitted(variances)
        assert same.log_likelihood_ == free.log_likelihood_
        np.testing.assert_array_equal(same.fit_.theta, free.fit_.theta)


def test_one_group_is_equal_variances():
    tied = fitted(shared_variance=True)
    for variances in ("equal", [[1, 2, 3]], [(3, 1, 2)]):
        same = fitted(variances)
        assert same.n_parameters_ == tied.n_parameters_
        assert same.log_likelihood_ == pytest.approx(tied.log_likelihood_, rel=1e-9)
        np.testing.assert_allclose(same.fit_.theta, tied.fit_.theta, atol=1e-6)
        np.testing.assert_allclose(same.inference()["std_error"], tied.inference()["std_error"], rtol=1e-5)


@pytest.mark.parametrize(
    "how",
    [{}, {"solver": "em", "tol": 1e-7}, pytest.param({"engine": "array"}, marks=pytest.mark.slow)],
    ids=str,
)
def test_a_group_is_the_maximum_of_a_likelihood_written_anew(how):
    x, y = three_lines()
    moe = fitted([[1, 2], [3]], **how)
    assert moe.n_parameters_ == 10
    v = moe.measure_.nuisances[:, 0]
    assert v[0] == v[1] != v[2]
    m = moe.measure_

    def loss(p):
        mean = p[2:5] + x * p[5:8]
        f = -0.5 * (np.log(2 * np.pi) + p[[8, 8, 9]] + (y[:, None] - mean) ** 2 / np.exp(p[[8, 8, 9]]))
        gate = np.append(p[:2], 0.0)
        return -logsumexp(f + gate - logsumexp(gate), axis=1).sum()

    gate = m.log_weights - m.log_weights[2]
    ours = np.concatenate([gate[:2], m.intercepts[:, 0], m.slopes[:, 0, 0], v[[0, 2]]])
    assert -loss(ours) == pytest.approx(moe.log_likelihood_, rel=1e-10)
    assert -minimize(loss, ours, tol=1e-10).fun <= moe.log_likelihood_ + 1e-5
    A = moe.fit_.coordinates.map.A.toarray()
    assert A.shape == (len(A), moe.n_parameters_)
    np.testing.assert_array_equal(A[-3], A[-2])  # one coordinate for both
    assert not (A[-1] * A[-2]).any()


@pytest.mark.parametrize(
    "family",
    ["gamma"]
    + [
        pytest.param(f, marks=pytest.mark.slow)
        for f in ("negative-binomial", "student", "beta", "interval", "weibull", "skew-t")
    ],
)
def test_every_family_with_a_dispersion(family):
    rng = np.random.default_rng(1)
    x, e = rng.uniform(-1, 1, N), np.arange(N) % 2
    y = np.exp(np.where(e == 0, 0.5 * x, 3.0 - x)) * rng.gamma(4.0, 0.25, N)
    data = x[:, None], {"negative-binomial": np.floor(10 * y), "beta": y / (1 + y)}.get(family, y)
    free, tied = (fitted(v, 2, family=family, data=data) for v in (None, [[1, 2]]))
    assert tied.n_parameters_ == free.n_parameters_ - 1  # Student experts keep their degrees of freedom
    assert tied.log_likelihood_ <= free.log_likelihood_ + 1e-7
    shared = tied.measure_.nuisances
    assert shared[0, 0] == shared[1, 0]
    assert (np.abs(np.diff(free.measure_.nuisances[:, 0])) > 1e-6).all()


def test_experts_of_one_family_beside_another():
    rng = np.random.default_rng(2)
    x, y = three_lines()
    y = np.where(rng.random(N) < 0.2, 0.0, np.exp(y / 10))
    moe = fitted([[2, 3]], family=["zero", "gamma", "gamma"], data=(x, y))
    assert moe.measure_.nuisances[1, 0] == moe.measure_.nuisances[2, 0]


def test_files_the_summary_and_the_shell_know(tmp_path):
    moe = fitted([[1, 2], [3]])
    assert "one dispersion for experts 1 and 2" in moe.summary()
    moe.save(tmp_path / "m.json")
    again = load_model(tmp_path / "m.json")
    assert again.get_params()["variances"] == [[1, 2], [3]]
    assert again.fit_.model.constraints == moe.fit_.model.constraints
    assert again.fit_.n_parameters == moe.n_parameters_
    assert "one dispersion for all experts" in fitted("equal").summary()

    x, y = three_lines()
    lines = [f"{a!r},{b!r}" for a, b in zip(x[:, 0].tolist(), y.tolist(), strict=True)]
    (tmp_path / "d.csv").write_text("\n".join(["x,y", *lines]))
    words = ["fit", str(tmp_path / "d.csv"), "-f", "y ~ x | 1", "-k", "3", "--starts", "1"]
    for given, says in (
        (["--variances", "1,2"], "one dispersion for experts 1 and 2"),
        (["--variances", "equal"], "one dispersion for all experts"),
        (["--variances", "1;2"], "write experts with commas between them"),
        (["--variances", "1,4"], "variances names 4"),
        (["--variances", "1,2", "--penalty", "l1"], "--variances does not go with --penalty"),
        (["--variances", "1,2", "--gate", "gaussian"], "--variances"),
    ):
        assert says in CliRunner().invoke(main, [*words, *given]).output


def test_their_number_is_chosen_where_all_are_equal():
    found, tied = (
        fitted(k="bic", max_experts=3, n_starts=1, **words)
        for words in ({"variances": "equal"}, {"shared_variance": True})
    )
    assert found.selection_["bic"] == pytest.approx(tied.selection_["bic"], rel=1e-9)
    with pytest.raises(DataError, match="poisson experts have no variance"):
        select_experts("y ~ x | 1", {"x": range(9), "y": range(9)}, family="poisson", variances="equal")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"variances": "same"}, "'equal', or groups of experts"),
        ({"variances": [1, 2]}, "groups of experts such as"),
        ({"variances": [[1, 4]]}, "variances names 4, which is no expert: these are 1 to 3"),
        ({"variances": [[0, 1]]}, "variances names 0"),
        ({"variances": [[1, 2], [2, 3]]}, "names expert 2 twice"),
        ({"variances": [[1, True]]}, "names True"),
        ({"variances": [[1, 2]], "k": "bic"}, "need n_experts as a number"),
        ({"variances": [[1, 2]], "order_by": "mean"}, "leave it out"),
        ({"variances": "equal", "shared_variance": True}, "leave one of them out"),
        ({"variances": "equal", "family": "poisson"}, "poisson experts have no variance to share"),
        ({"variances": [[1, 2]], "family": ["zero", "gamma", "gamma"]}, "zero experts have no variance"),
        ({"variances": [[1, 2]], "family": ["gamma", "weibull", "gamma"]}, "expert 1 is gamma, and expert 2"),
        ({"variances": "equal", "penalty": "l1"}, "does not go with a penalty"),
    ],
)
def test_what_cannot_be_shared_is_refused_in_one_sentence(words, says):
    x, y = three_lines()
    with pytest.raises(DataError, match=says) as refused:
        fitted(**words, data=(x, np.round(np.exp(y / 10))))
    assert "\n" not in str(refused.value)


def test_located_experts_do_not_know_the_word():
    with pytest.raises(TypeError, match="variances"):
        LocatedMoERegressor(2, variances="equal")
