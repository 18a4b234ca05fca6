"""Sums on torch's tensors: the same numbers as the readable engine's and the compiled one's; whole fits; what
is refused."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

torch = pytest.importorskip("torch")

import moestro  # noqa: E402
from conftest import COMPILED, problem  # noqa: E402
from moestro import MoEClassifier, MoERegressor, load_dataset  # noqa: E402
from moestro.cli.main import main  # noqa: E402
from moestro.datasets import dataset_path  # noqa: E402
from moestro.engine import ArrayEngine, NativeEngine, Order, TorchEngine, make_engine  # noqa: E402
from moestro.engine import torch as module  # noqa: E402
from moestro.errors import DataError  # noqa: E402
from moestro.experts import make_family  # noqa: E402
from moestro.gates import SigmoidGate, TopKGate  # noqa: E402
from moestro.rows import Groups  # noqa: E402
from test_engines import FIELDS, close  # noqa: E402

ROWWISE = ("log_density", "responsibilities", "scores")
WAGES = "log(wage) ~ education + experience + gender | union + married"


def same(model, rows, theta, shares=None):
    """Whether all sums and row-wise results are those of the other engines, with given shares too."""
    found = TorchEngine(model, rows)
    for other in (ArrayEngine(model, rows), NativeEngine(model, rows)):
        for order in Order:
            for r in (None, shares)[: 1 + (shares is not None)]:
                a, b = other.evaluate(theta, order, r), found.evaluate(theta, order, r)
                assert all(close(getattr(a, f), getattr(b, f), 1e-10) for f in FIELDS), (order, other)
        a, b = (engine.rowwise(theta, scores=True) for engine in (other, found))
        assert all(close(getattr(a, f), getattr(b, f), 1e-10) for f in ROWWISE), other
    assert found.rowwise(theta).scores is None


@pytest.mark.parametrize("family", COMPILED)
@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize(("d", "e"), [(0, None), (1, 0), (9, None), (3, 3)])
@pytest.mark.parametrize("weights", [False, True])
def test_equals_the_other_engines(family, k, d, e, weights, monkeypatch):
    monkeypatch.setattr(module, "ON_CPU", 0)  # several blocks
    model, rows, theta = problem(family, k, d, e, n=600, weights=weights)
    shares = np.random.default_rng(1).dirichlet(np.ones(k), rows.n)
    same(model, rows, theta, shares)
    of_half = shares * (np.arange(rows.n) % 2)[:, None]
    a, b = (e(model, rows).evaluate(theta, Order.CURVATURE, of_half) for e in (ArrayEngine, TorchEngine))
    assert all(close(getattr(a, f), getattr(b, f), 1e-10) for f in FIELDS)


@pytest.mark.parametrize("e", [None, 2])
def test_offsets(e):
    for family in ("gaussian", "poisson"):
        model, rows, theta = problem(family, 3, 2, e, n=300)
        known = 0.5 * np.random.default_rng(0).standard_normal((rows.n, 1))
        same(model, replace(rows, known=known), theta)


def test_large_counts():
    """Twin of the split of `experts.poisson`."""
    model, rows, theta = problem("poisson", 2, 2, None, n=100)
    y = np.where(np.arange(rows.n) % 3 == 0, 1e7, rows.y)
    model.expert_coefficients(theta)[1, 0] = [np.log(1e7), 0.0, 0.0]
    same(model, replace(rows, y=y), theta)


@pytest.mark.parametrize("family", ["multinomial", "gaussian", "poisson"])
@pytest.mark.parametrize("size", [30.0, 5000.0])
def test_extreme_parameters(family, size):
    model, rows, theta = problem(family, 3, 2, None, n=100)
    theta = theta * size
    if family == "gaussian":
        model.nuisances(theta)[:] = np.clip(model.nuisances(theta), -18, 9)
    a, b = (engine(model, rows).evaluate(theta, Order.CURVATURE) for engine in (ArrayEngine, TorchEngine))
    # exponents near 1e4 carry 1e-12 of their argument
    assert all(close(getattr(a, f), getattr(b, f), 1e-9) for f in FIELDS)


@pytest.mark.parametrize("work", [0, 100_000, 2**23])  # a block: some rows, all rows at some thetas or at all
@pytest.mark.parametrize("e", [None, 2])
def test_known_experts_and_several_thetas(work, e, monkeypatch):
    monkeypatch.setattr(module, "ON_CPU", work)
    model, rows, theta = problem("gaussian", 2, 2, e, n=80)
    labels = np.where(np.arange(80) % 4 == 0, np.arange(80) % 2, -1)
    thetas = theta * np.linspace(-1, 1, 7)[:, None]
    shares = np.random.default_rng(1).dirichlet(np.ones(2), (7, rows.n))
    for given, its in ((rows, shares), (replace(rows, labels=labels), None)):
        for order, r in ((Order.VALUE, None), (Order.CURVATURE, None), (Order.INFORMATION, its)):
            a, b = (
                make_engine(model, given, name).evaluate_all(thetas, order, r) for name in ("array", "torch")
            )
            assert all(close(getattr(a, f), getattr(b, f), 1e-10) for f in FIELDS)


def test_the_default_device_does_not_matter():
    """It is a thread's own, and searches have several."""
    for name in COMPILED:
        model, rows, theta = problem(name, 2)
        torch.set_default_device("meta")
        try:
            same(model, rows, theta)
        finally:
            torch.set_default_device(None)


def test_a_pass_repeats_its_bits():
    model, rows, theta = problem("multinomial", 3, 3, 2, n=20_000)
    first = TorchEngine(model, rows).evaluate(theta, Order.CURVATURE)
    for _ in range(3):
        again = TorchEngine(model, rows).evaluate(theta, Order.CURVATURE)
        assert all(np.array_equal(getattr(first, f), getattr(again, f)) for f in FIELDS)


def test_whole_fits_of_real_data(tmp_path, monkeypatch):
    pytest.importorskip("formulaic")
    wages, epilepsy = load_dataset("wages"), load_dataset("epilepsy")
    for formula, data, family in (
        (WAGES, wages, "gaussian"),
        ("seizures ~ log(baseline) + treatment | age", epilepsy, "poisson"),
    ):
        fits = [
            MoERegressor.from_formula(
                formula, data, n_experts=2, family=family, random_state=0, n_starts=4, engine=engine
            )
            for engine in ("native", "torch:cpu")
        ]
        a, b = (fit.log_likelihood_ for fit in fits)
        assert b == pytest.approx(a, rel=1e-9)
        for cov in ("observed", "sandwich"):
            errors = [np.sqrt(np.diag(fit.covariance_matrix(cov=cov))) for fit in fits]
            np.testing.assert_allclose(errors[1], errors[0], rtol=1e-5)  # the ends differ by the tolerance
        fits[1].save(tmp_path / "model.json")
        with monkeypatch.context() as without:
            without.setitem(sys.modules, "torch", None)
            again = moestro.load_model(tmp_path / "model.json")
            assert again.log_likelihood_ == b
            np.testing.assert_array_equal(again.predict(data), fits[1].predict(data))


def test_classes():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 2))
    y = np.where(x[:, 0] + rng.standard_normal(300) > 0, "a", np.where(rng.random(300) < 0.5, "b", "c"))
    a, b = (MoEClassifier(2, random_state=0, n_starts=4, engine=e).fit(x, y) for e in ("native", "torch"))
    assert b.log_likelihood_ == pytest.approx(a.log_likelihood_, rel=1e-9)


def test_the_command(tmp_path):
    pytest.importorskip("formulaic")
    path = tmp_path / "wages.csv"
    path.write_text(dataset_path("wages").read_text())
    words = ["fit", str(path), "-f", WAGES, "-k", "2", "--starts", "2", "--engine"]
    done = [CliRunner().invoke(main, [*words, engine]) for engine in ("native", "torch", "torch:cpu")]
    assert all(d.exit_code == 0 for d in done), done
    assert len({next(line for line in d.output.splitlines() if "likelihood" in line) for d in done}) == 1
    wrong = CliRunner().invoke(main, [*words, "torch:abacus"])
    assert wrong.exit_code
    assert "torch has no device 'abacus' here" in wrong.output


class TestRefusals:
    @pytest.mark.parametrize(
        ("name", "match"),
        [
            ("torch:abacus", "torch has no device 'abacus' here"),
            ("torch:", "torch has no device"),
            ("torch:meta", "holds no numbers"),
            ("torch:cuda:77", "torch has no device 'cuda:77' here"),
            ("torches", "choose one of auto, native, array, torch"),
            ("native:cpu", "choose one of auto"),
        ],
    )
    def test_devices(self, name, match):
        model, rows, _ = problem("gaussian", 2)
        with pytest.raises(DataError, match=match) as refused:
            make_engine(model, rows, name)
        assert "\n" not in str(refused.value)

    def test_a_device_without_float64(self, monkeypatch):
        model, rows, _ = problem("gaussian", 2)

        def refuse(tensor):
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")

        monkeypatch.setattr(torch.Tensor, "double", refuse)
        with pytest.raises(DataError, match="'cpu' has no float64"):
            make_engine(model, rows, "torch")

    def test_no_torch(self, monkeypatch):
        model, rows, _ = problem("gaussian", 2)
        monkeypatch.setitem(sys.modules, "torch", None)
        with pytest.raises(DataError, match=r"pip install 'moestro\[deep\]'"):
            make_engine(model, rows, "torch")

    @pytest.mark.parametrize("gate", [SigmoidGate(), TopKGate(1)])
    def test_gates(self, gate):
        model, rows, _ = problem("gaussian", 2)
        with pytest.raises(DataError, match=f"no {gate.name} gate with gaussian experts"):
            make_engine(replace(model, gate=gate), rows, "torch")

    def test_families(self):
        model, rows, _ = problem("gamma", 2)
        with pytest.raises(DataError, match="no softmax gate with gamma experts, only softmax with multinom"):
            make_engine(model, rows, "torch")
        several = replace(model, family=make_family("zero,poisson"))
        with pytest.raises(DataError, match="use engine='auto'"):
            make_engine(several, rows, "torch")

    def test_groups(self):
        model, rows, _ = problem("gaussian", 2, n=60, weights=False)
        with pytest.raises(DataError, match="no groups of rows"):
            make_engine(model, replace(rows, groups=Groups.of_sizes(np.full(20, 3))), "torch")


@pytest.mark.slow
def test_the_benchmark():
    wrong = CliRunner().invoke(main, ["bench", "torch", "--device", "abacus"])
    assert wrong.exit_code
    assert "torch has no device 'abacus' here" in wrong.output
    done = CliRunner().invoke(main, ["bench", "torch", "--rows", "1000", "--only", "poisson"])
    assert done.exit_code == 0, done.output
    assert done.output.count("poisson") == 5


def test_importing_moestro_imports_no_torch():
    import subprocess

    code = "import sys, moestro, moestro.engine; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
