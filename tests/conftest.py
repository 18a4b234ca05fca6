"""Small random problems that every table of laws runs over."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import disturbed
from moestro.design import ArrayDesign
from moestro.design.known import OPEN
from moestro.engine import ArrayEngine, NativeEngine, Order, TorchEngine
from moestro.experts import Censored, make_family
from moestro.gates import SoftmaxGate
from moestro.model import Model
from moestro.rows import read_rows

pytest_plugins = ("remembered",)
disturbed.install()

DATA = Path(__file__).parent / "data"
# Seeds of a rate and how many of them must do it: few in every run, twenty in `make test-all`.
RATES = [
    pytest.param(range(3), 3, id="3 seeds"),
    pytest.param(range(20), 19, id="20 seeds", marks=pytest.mark.slow),
]

# Cases whose law a quicker case of the same table, or a quicker test beside them, holds too: `make test-all`
# runs them.
SLOW = {
    "test_scikit_learn": ("MoERegressorCV",),
    "TestEveryEstimator": (
        "cosine", "activated temperature", "adaptive l1", "group", "oracle", "elastic net",
        "l1 multinomial", "student", "skew t", "equal dispersions",
    ),
    "TestEveryFamily": ("skew-t",), "TestEveryFit": ("skew-t",),
    "test_examples_on_pages": ("guide.md", "theory.md"),
    "test_examples_in_docstrings": ("cross_validated", "choosing", "lower_bound"),
    "test_more_columns_than_rows": (), "test_a_heap_of_rounded_responses_is_no_group": (),
    "test_the_merged_measure_is_close_to_the_truth": (), "test_runs_side_by_side_are_runs_alone": ("2-how4",),
    "test_interrupt.py::test_interrupt": ("3000",), "test_one_line_needs_no_second_expert": (),
    "test_merging_repairs_over_fitted_located_atoms": (), "test_several_gate_columns": ("1",),
    "test_the_order_of_the_rows_does_not_matter": ("20000",), "test_bombs": ("as many texts as allowed",),
    "test_a_collapsed_fit_is_kept_without_standard_errors": ("how2",),

    "test_the_value_never_falls": (
        "cosine", "activated temperature", "adaptive l1", "group", "elastic net",
    ),
    "TestEveryModel": (
        "isotropic-more2", "factors-more21", "factors-more22", "factors-more23", "factors-more24",
        "blocks-more1", "full-more12",
    ),
    "test_threads_do_not_change_a_bit": (
        "negative binomial", "probit", "cloglog", "gamma", "inverse gaussian", "lognormal", "beta", "weibull",
        "interval", "truncated poisson",
    ),
    "test_a_weight_of_two_is_a_row_twice_and_a_weight_of_zero_none": ("factors", "temperature"),
    "test_files_are_written_though_the_reader_of_a_pipe_has_gone": (),
    "test_every_model_against_a_numerical_hessian": ("tied", "inverse student", "several"),
    "test_zero_at_the_top_and_optimal_along_the_path": ("group", "adaptive"),
    "test_fit": (
        "located dendrogram", "located direct k=3", "located degree 2", "adaptive poisson",
        "group multinomial",
    ),
    "test_one_side_may_have_no_columns": ("gaussian-expert_features", "multinomial-gate_features"),
    "test_stability": (), "test_a_thousand_columns_of_two_hundred_rows": (),
    "TestChoosing::test_held_out": (), "test_other_penalties_find_it_too": (),
    "test_same_fit_as_dense": ("csr_array-2",), "test_three_experts_are_optimal_too": (),
    "TestChoosing::test_together": (), "test_a_fit_says_what_it_is": ("oracle", "bootstrap-test"),
    "test_a_row_with_a_hole_is_a_row_that_is_not_there": ("True-penalised",),
    "TestRegressor::test_models_are_chosen_from_lists": (),
    "test_a_chain_that_collapses_on_ties": (), "test_a_true_null_is_seldom_rejected": (),
    "test_slope_heuristics_look_at_large_models": (), "test_the_nth_allocation": (),
    "test_loky_workers": (), "test_killed_and_resumed": (),
    "test_interrupt_while_another_thread_fits": (), "test_it_is_chosen_among": ("icl",),
}  # fmt: skip


@pytest.hookimpl(tryfirst=True)  # before those that are not asked for are left out
def pytest_collection_modifyitems(items):
    for item in items:
        for name, cases in SLOW.items():
            if name in item.nodeid and (not cases or any(c in item.nodeid.partition("[")[2] for c in cases)):
                item.add_marker(pytest.mark.slow)


TORCH = pytest.mark.skipif(find_spec("torch") is None, reason="needs torch")
ENGINES = [ArrayEngine, NativeEngine, pytest.param(TorchEngine, marks=TORCH)]  # that have COMPILED
COMPILED = ("multinomial", "gaussian", "shared", "poisson")
FAMILIES = (
    *COMPILED, "negative-binomial", "binomial", "binomial-probit",
    "binomial-cloglog", "gamma", "inverse-gaussian", "lognormal", "beta", "student", "skew-t", "trials",
    "weibull", "truncated-poisson", "ordinal", "zero,poisson", "zero,gamma",
    "censored[1:5]", "interval", "survival",
)  # fmt: skip
GATES = ("softmax",)
CLASSES = 4


def family_of(name):
    known = {"shared": "gaussian", "trials": "binomial", "survival": "weibull"}.get(name, name)
    return make_family(known, CLASSES, shared_variance=name == "shared")


def response(name, n, rng):
    if name in ("multinomial", "ordinal"):
        return np.concatenate([np.arange(CLASSES), rng.integers(0, CLASSES, max(n - CLASSES, 0))])[:n].astype(
            float
        )
    if name == "poisson":
        return rng.poisson(2, n).astype(float)
    law = family_of(name)
    if law.members:  # zeros of whole groups of `test_family_laws.py`, which share their expert
        return np.concatenate([np.zeros(23), response(law.members[1].name, n - 23, rng)])
    if law.points and not law.members:
        return np.clip(3 + 2 * rng.standard_normal(n), law.lower, law.upper)
    if law.scales_response:
        return 3 + 2 * rng.standard_normal(n)
    return law.sample(np.tile(np.append([0.7] * law.predictors, [0.0] * law.nuisances), (n, 1)), rng)


def problem(name, k, d=2, e=None, n=60, weights=True, seed=0):
    """Model, rows with uneven scales, and a random theta. e: gate columns, None for the experts'."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d)) * 10.0 ** rng.integers(-2, 3, d) + rng.standard_normal(d)
    z = None if e is None else rng.standard_normal((n, e))
    y = response(name, n, rng)
    w = rng.uniform(0, 2, n) if weights else None
    design = ArrayDesign(
        tuple(f"x{j}" for j in range(d + (e or 0))),
        tuple(range(d)),
        None if e is None else tuple(range(d, d + e)),
    )
    family = family_of(name)
    if n == 1:
        rows = _one_row(x, z, y, w)
    else:
        trials = None
        if name == "trials":  # successes of several trials
            trials = rng.integers(1, 9, n).astype(float)
            y = rng.binomial(trials.astype(int), 0.6).astype(float)
        if name in ("interval", "survival"):  # a third seen, a third open, a third between two numbers
            near = y * np.exp(rng.standard_normal(n)) if name == "survival" else y + rng.standard_normal(n)
            trials = np.choose(np.arange(n) % 3, [y, rng.choice([-OPEN, OPEN], n), near])
        rows, units = read_rows(design, x, z, y, w, family, trials=trials)
        family = family.on(units.y_center, units.y_scale)
    model = Model(SoftmaxGate(), family, k, rows.q, rows.p)
    theta = 0.6 * rng.standard_normal(model.size)
    if family.tied_nuisances:
        model.nuisances(theta)[:] = model.nuisances(theta)[0]
    return model, rows, theta


def differences(objective, phi, h=1e-5):
    """Gradient and Hessian at phi by central differences of the value and of the gradient."""
    steps = h * np.eye(len(phi))

    def value(p):
        return objective.evaluate(p, Order.VALUE).value

    def gradient(p):
        return objective.evaluate(p, Order.GRADIENT).gradient

    return tuple(np.array([(f(phi + s) - f(phi - s)) / (2 * h) for s in steps]) for f in (value, gradient))


def moved(law, c, d):
    """The family of c y + d."""
    return Censored(c * law.lower + d, c * law.upper + d) if isinstance(law, Censored) else law


def lengths(law, y):
    """Ones where y has a density, whose unit is that of y, and zeros where it has a probability."""
    return ~np.isin(y, law.points) if isinstance(law, Censored) else np.ones(len(y))


def standard_errors(table, part="expert"):
    """Of the coefficients of experts, or of the gate."""
    return np.array(
        [r["std_error"] for r in table.rows() if r["part"] == part and "variance" not in r["term"]]
    )


def _one_row(x, z, y, w):
    from moestro.design import Scaling
    from moestro.rows import Rows

    plain = Scaling(np.zeros(x.shape[1]), 1.0 / np.maximum(np.abs(x[0]), 1.0))
    gate = plain if z is None else Scaling(np.zeros(z.shape[1]), np.ones(z.shape[1]))
    return Rows(x, z, y, w, plain, gate)


def two_lines(n=200, seed=0):
    """Two well separated lines whose weights depend on x."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, (n, 1))
    first = rng.random(n) < 1 / (1 + np.exp(-2 * x[:, 0]))
    y = np.where(first, 1 + 2 * x[:, 0], -1 - x[:, 0]) + 0.3 * rng.standard_normal(n)
    return x, y


def three_classes(n=300, seed=0):
    """Classes that overlap, so that nothing separates."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 2))
    score = np.column_stack([x[:, 0], x[:, 1], 0.5 * np.ones(n)]) + rng.gumbel(size=(n, 3))
    return x, np.array(["a", "b", "c"])[score.argmax(axis=1)]


def _seed():
    np.random.seed(0)  # noqa: NPY002


@pytest.fixture(autouse=True, scope="module")
def numpy_is_seeded():
    """Estimators without a `random_state` draw from NumPy's own generator: the same in every run, for the
    fixtures of a file and for each of its tests."""
    _seed()


@pytest.fixture(autouse=True)
def numpy_is_seeded_again(numpy_is_seeded):
    _seed()


@pytest.fixture
def lines():
    return two_lines()


BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="session")
def browser():
    """Debian's chromium without a window, each time with a new profile; tests that ask for it are slow."""
    api = pytest.importorskip(
        "playwright.sync_api", reason="the browser is driven by playwright, which is not here"
    )
    if BROWSER is None:
        pytest.skip("Debian's chromium is not here")
    with api.sync_playwright() as p:
        opened = p.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield opened
        opened.close()
