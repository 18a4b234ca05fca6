"""Choosing: slope heuristics, dendrograms, held-out likelihood, lower bounds."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import clone

from conftest import DATA, three_classes, two_lines
from moestro import (
    LocatedMoERegressor,
    MoEClassifier,
    MoERegressor,
    MoERegressorCV,
    confident_lower_bound,
    load_dataset,
    select_experts,
)
from moestro.design import ArrayDesign
from moestro.errors import DataError
from moestro.experts import Gaussian
from moestro.gates import SoftmaxGate
from moestro.located import LocatedMeasure, fit_located
from moestro.located.data import Data
from moestro.located.specification import Specification
from moestro.measure import measure_of
from moestro.model import Model
from moestro.problems import fit_mixture
from moestro.rows import read_rows
from moestro.search import Options
from moestro.selection import EVERY, Mixtures, ddse, dendrogram, djump, sweep
from moestro.selection.atoms import LocatedAtoms, SoftmaxAtoms
from moestro.selection.cross_validation import folds
from moestro.selection.lower_bound import lower_bound
from moestro.selection.slope import Collection
from moestro.studies.softmax_gaussian import TRUTH, gaussian_measure
from moestro.theory import voronoi_loss


@pytest.fixture(scope="module")
def capushe():
    rows = list(csv.DictReader((DATA / "capushe.csv").read_text().splitlines()))
    pen, complexity, contrast = ([float(r[c]) for r in rows] for c in ("pen", "complexity", "contrast"))
    return pen, contrast, complexity, [r["model"] for r in rows]


def test_capushes_own_data(capushe):
    jump = djump(*capushe)
    assert jump.model == "K=21"
    assert jump.kappa == pytest.approx(2.58725, abs=1e-9)
    assert jump.kappa_min == pytest.approx(1.293625, abs=1e-9)
    for robust in (True, False):
        slope = ddse(*capushe, robust=robust)
        assert slope.model == "K=21"
        assert slope.plateau == 43
        assert slope.long_enough
        assert slope.slope[0] <= slope.kappa / 2 <= slope.slope[1]


def line(noise=0.0, seed=0):
    """Contrasts of 30 models: bias until model 8, then the slope 1.5 of overfitting."""
    rng = np.random.default_rng(seed)
    pen = np.arange(1.0, 31.0)
    return pen, 100 * np.maximum(8 - pen, 0) ** 1.2 - 1.5 * pen + noise * rng.standard_normal(30)


def test_both_find_the_kink_of_a_known_line():
    pen, contrast = line()
    assert djump(pen, contrast).model == 8
    found = ddse(pen, contrast)
    assert found.model == 8
    assert found.kappa == pytest.approx(3.0)
    for seed in range(5):
        assert ddse(*line(0.05, seed)).model == 8


def test_the_path_is_the_minimiser_at_every_kappa():
    rng = np.random.default_rng(0)
    models = Collection.of(rng.uniform(0, 10, 40), rng.standard_normal(40).cumsum())
    places, starts = models.path()
    for kappa in np.linspace(1e-6, 1.5 * starts[-1], 500):
        at = places[np.searchsorted(starts, kappa, side="right") - 1]
        values = models.contrast + kappa * models.pen
        assert values[at] == pytest.approx(values.min(), abs=1e-9)


def test_options_of_the_jump(capushe):
    assert djump(*capushe, threshold=60).kappa_min == pytest.approx(5.864, abs=1e-3)
    assert djump(*capushe, area=0.1).model == "K=21"
    assert djump(*capushe, factor=1.0).kappa == pytest.approx(1.293625)
    with pytest.raises(DataError, match="complexity of at most"):
        djump([2, 3], [1, 0], threshold=1)


def test_where_no_model_is_skipped_the_first_drop_counts():
    found = djump([3, 8, 13, 18], [134.9, 31.1, 6.5, -15.7])
    assert (found.model, found.kappa_min) == (2, pytest.approx(22.2 / 5))


def test_slope_heuristics_look_at_large_models_by_default():
    x, y = two_lines()
    assert LocatedMoERegressor("slope", n_starts=1, random_state=0).fit(x, y).selection_["k"] == list(
        range(1, 13)
    )
    assert LocatedMoERegressor("bic", n_starts=1, random_state=0).fit(x, y).selection_["k"] == list(
        range(1, 7)
    )


def test_equal_penalties_keep_the_better_model():
    found = djump([1, 2, 2, 10], [5.0, 1.0, 0.5, 0.4], names=list("abcd"))
    assert found.model == "c"
    assert found.index == 2


@pytest.mark.parametrize(
    ("pen", "contrast", "words"),
    [
        ([1], [1], "at least 2 models"),
        ([1, 1], [1, 2], "at least 2 models"),
        ([1, 2], [1], "one entry a model"),
        ([1, 2], [1, np.nan], "finite"),
        ([-1, 2], [1, 0], "at least 0"),
    ],
)
def test_wrong_collections_are_refused(pen, contrast, words):
    with pytest.raises(DataError, match=words):
        djump(pen, contrast)
    with pytest.raises(DataError):
        ddse(pen, contrast)


# Dendrograms


def over_specified(n=20_000, k=4, seed=0):
    truth = gaussian_measure(**TRUTH)
    rng = np.random.default_rng(seed)
    x = rng.uniform(size=(n, 1))
    y, _ = truth.sample(x, rng)
    rows, units = read_rows(ArrayDesign(("x",), (0,), None), x, None, y, None, Gaussian())
    model = Model(SoftmaxGate(), Gaussian(), k, rows.q, rows.p)
    return truth, rows, units, fit_mixture(model, rows, Options(seed=seed, n_starts=8, box=12.0))


def test_merging_twins_gives_back_the_atom_exactly():
    _, rows, _, fit = over_specified(2000, 2)
    atoms = SoftmaxAtoms.of(fit, rows)
    gate = np.concatenate([atoms.gate, atoms.gate[:1]])
    gate[[0, 2], 0] += np.log([0.3, 0.7])
    twin = replace(
        atoms,
        model=replace(atoms.model, k=3),
        shares=np.array([0.3 * atoms.shares[0], atoms.shares[1], 0.7 * atoms.shares[0]]),
        gate=gate,
        experts=np.concatenate([atoms.experts, atoms.experts[:1]]),
        variances=np.concatenate([atoms.variances, atoms.variances[:1]]),
        centres=tuple(np.concatenate([c, c[:1]]) for c in atoms.centres),
    )
    assert twin.log_likelihood() == pytest.approx(atoms.log_likelihood(), rel=1e-12)
    tree = dendrogram(twin, rows.weight_sum)
    assert tree.k == 2
    assert tree.heights[3] == pytest.approx(0, abs=1e-20)
    assert tree.pairs[0] == (0, 2)
    assert tree.stages[2].log_likelihood() == pytest.approx(atoms.log_likelihood(), rel=1e-9)


def test_the_merged_measure_is_close_to_the_truth_without_a_further_fit():
    truth, rows, units, fit = over_specified()
    tree = dendrogram(SoftmaxAtoms.of(fit, rows), rows.weight_sum)
    assert tree.k == 2
    merged = tree.stages[2]
    # The twins of the four atoms are far from the two of the truth, which a merge alone finds.
    assert voronoi_loss(measure_of(fit.model, units, fit.theta), truth, unknown=7) > 1
    assert voronoi_loss(measure_of(merged.model, units, merged.theta), truth) < 0.2
    linkage = tree.linkage()
    assert linkage.shape == (3, 4)
    assert (np.diff(linkage[:, 2]) >= 0).all()
    assert linkage[-1, 3] == 4
    table = tree.table()
    for row in table.rows():
        assert row["dsc"] == pytest.approx(-(row["height"] + np.log(20_000) * row["mean_log_likelihood"]))


def test_the_choice_does_not_depend_on_units():
    rng = np.random.default_rng(0)
    truth = gaussian_measure(**TRUTH)
    x = rng.uniform(size=(4000, 1))
    y, _ = truth.sample(x, rng)
    a, b = (
        MoERegressor("dendrogram", max_experts=4, n_starts=6, random_state=0).fit(u, v)
        for u, v in ((x, y), (50 * x - 7, 0.01 * y + 3))
    )
    assert a.n_experts_ == b.n_experts_ == 2
    for k in (2, 3, 4):
        assert a.dendrogram_.heights[k] == pytest.approx(b.dendrogram_.heights[k], rel=1e-3)
    assert a.dendrogram_.stages[2].k == 2
    assert a.log_likelihood_ >= a.dendrogram_.log_likelihoods[2] * 4000 - 1e-6


def test_located_merges_keep_mean_and_covariance():
    truth = LocatedMeasure(
        [0.5, 0.5],
        [[0.0], [4.0]],
        [[[1.0]], [[0.5]]],
        [[[1.0]], [[-1.0]]],
        [[0.0], [5.0]],
        [[[0.1]], [[0.2]]],
    )
    x, y, _ = truth.sample(20_000, np.random.default_rng(0))
    fit = fit_located(x, y, 4, n_starts=8, seed=0)
    data = Data.read(x, y, None, Specification(), 4)
    exact = fit_located(x, y, 2, n_starts=2, seed=0)
    assert LocatedAtoms.of(exact, data).log_likelihood() == pytest.approx(exact.log_likelihood, rel=1e-10)
    atoms = LocatedAtoms.of(fit, data)
    tree = dendrogram(atoms, fit.weight_sum)
    assert tree.k == 2
    assert voronoi_loss(tree.stages[2].in_user_units(), truth) < 0.2
    for stage in tree.stages.values():
        rows = np.concatenate([data.u, data.v], axis=1)
        s = stage.shares
        np.testing.assert_allclose(s @ stage.mean, 0, atol=1e-6)
        whole = np.einsum("k,kij->ij", s, stage.covariance + stage.mean[:, :, None] * stage.mean[:, None, :])
        np.testing.assert_allclose(whole, rows.T @ rows / len(rows), atol=1e-6)
    with pytest.raises(DataError, match="affine"):
        LocatedAtoms.of(fit_located(x, y, 2, degree=2, n_starts=2, seed=0), data)


def test_dendrograms_of_classes_and_their_limits():
    x, y = three_classes()
    model = MoEClassifier("dendrogram", max_experts=3, n_starts=4, random_state=0).fit(x, y)
    tree = model.dendrogram_
    scores = {k: -(tree.heights[k] + np.log(len(y)) * tree.log_likelihoods[k]) for k in (2, 3)}
    assert model.n_experts_ == min(scores, key=scores.get)
    with pytest.raises(DataError, match="not for laplace"):
        MoERegressor("dendrogram", gate="laplace", max_experts=2, n_starts=2).fit(*two_lines())
    with pytest.raises(DataError, match="at least 2"):
        MoERegressor("dendrogram", max_experts=1).fit(*two_lines())


# Held-out likelihood, and everything together


def test_folds_are_a_partition():
    rows = np.arange(3, 49, 2)
    parts = folds(rows, 5, np.random.default_rng(0))
    assert sorted(np.concatenate(parts)) == list(rows)
    assert {len(p) for p in parts} == {4, 5}
    for wrong in (1, 24):
        with pytest.raises(DataError, match="folds"):
            folds(rows, wrong, np.random.default_rng(0))


@pytest.mark.parametrize(
    "estimator",
    [
        MoERegressor("cv", max_experts=2, n_starts=2, random_state=0),
        LocatedMoERegressor("cv", max_experts=2, n_starts=2, random_state=0),
        MoERegressorCV(1, alphas=4, cv=3, random_state=0),
    ],
    ids=lambda e: type(e).__name__,
)
def test_rows_of_weight_zero_are_in_no_fold(estimator):
    x, y = two_lines()
    w = (np.arange(len(y)) % 3 > 0).astype(float)
    with_them = clone(estimator).fit(x, y, sample_weight=w)
    without = clone(estimator).fit(x[w > 0], y[w > 0])
    np.testing.assert_allclose(with_them.selection_["cv"], without.selection_["cv"], rtol=1e-6)


def test_held_out_likelihood_is_that_of_the_fits_on_the_other_folds():
    x, y = two_lines()
    rows, _ = read_rows(ArrayDesign(("x",), (0,), None), x, None, y, None, Gaussian())
    model = Model(SoftmaxGate(), Gaussian(), 1, rows.q, rows.p)
    found = sweep(Mixtures(model, rows), [1], Options(seed=3), "cv", n_folds=4)
    draw, _ = np.random.SeedSequence(3).spawn(2)
    total = 0.0
    for out in folds(np.arange(len(y)), 4, np.random.default_rng(draw)):
        inside = np.setdiff1d(np.arange(len(y)), out)
        X = np.column_stack([np.ones(len(y)), x])
        beta = np.linalg.lstsq(X[inside], y[inside], rcond=None)[0]
        variance = ((y - X @ beta)[inside] ** 2).mean()
        total += (-0.5 * (np.log(2 * np.pi * variance) + (y - X @ beta)[out] ** 2 / variance)).sum()
    assert found.choice.columns["cv"][0] == pytest.approx(-2 * total, rel=1e-6)


@pytest.mark.parametrize("criterion", EVERY)
def test_every_criterion_in_every_estimator(criterion):
    x, y = two_lines()
    how = {"max_experts": 2 if criterion == "cv" else 4, "n_starts": 2, "random_state": 0}
    for estimator in (MoERegressor(criterion, **how), LocatedMoERegressor(criterion, **how)):
        estimator.fit(x, y)
        table = estimator.selection_
        chosen = [k for k, c in zip(table["k"], table["chosen"], strict=True) if c]
        assert chosen == [estimator.n_experts_]
        assert (estimator.dendrogram_ is not None) == (criterion == "dendrogram")
        assert (estimator.slope_ is not None) == (criterion in ("slope", "djump", "ddse"))
        if criterion in ("bic", "icl", "cv"):
            assert chosen == [table["k"][int(np.argmin(table[criterion]))]]


def test_select_experts_of_located_models():
    ethanol = load_dataset("ethanol")
    found = select_experts(
        "nox ~ equivalence",
        ethanol,
        model="located",
        n_experts=[1, 2, 3],
        degree=[1, 2],
        covariance=["full"],
        n_starts=4,
        random_state=0,
    )
    assert len(found.table) == 6
    assert list(found.table.columns)[:6] == ["model", "k", "degree", "blocks", "df", "log_likelihood"]
    assert found.best.k in found.models
    values = found.table["log_likelihood"]
    assert (np.diff(values[:3]) > 0).all()
    assert (np.diff(values[3:]) > 0).all()
    for wrong, words in (
        ({"model": "round"}, "unknown"),
        ({"model": "located", "family": "poisson"}, "are Gaussian"),
        ({"model": "located", "tempo": 3}, "not an option"),
        ({"criterion": "best"}, "unknown"),
    ):
        with pytest.raises(DataError, match=words):
            select_experts("nox ~ equivalence", ethanol, **wrong)


# Lower bound


def test_the_lower_bound_is_the_split_ratio_by_hand():
    rng = np.random.default_rng(0)
    y = np.concatenate([rng.normal(-4, 1, 100), rng.normal(4, 1, 100)])

    def fit(k, rows):
        if k == 1:
            return [(1.0, y[rows].mean(), y[rows].std())]
        parts = [y[rows][y[rows] < 0], y[rows][y[rows] >= 0]]
        return [(len(p) / len(rows), p.mean(), p.std()) for p in parts]

    def score(found, rows):
        density = sum(w / s * np.exp(-0.5 * ((y[rows] - m) / s) ** 2) for w, m, s in found)
        return float(np.log(density).sum())

    found = lower_bound(200, fit, score, max_experts=1, rng=np.random.default_rng(1))
    assert found.k == 2
    order = np.random.default_rng(1).permutation(200)
    a, b = np.sort(order[:100]), np.sort(order[100:])
    logs = [score(fit(2, other), own) - score(fit(1, own), own) for own, other in ((a, b), (b, a))]
    assert found.table["log_ratio"][0] == pytest.approx(np.log(np.mean(np.exp(np.array(logs)))))


def test_a_true_null_is_seldom_rejected():
    rejected = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((80, 1))
        y = 2 * x[:, 0] + rng.standard_normal(80)
        found = confident_lower_bound(
            LocatedMoERegressor(n_starts=2, random_state=0), x, y, max_experts=1, random_state=seed
        )
        rejected += found.k > 1
    assert rejected <= 1
    x, y = two_lines()
    assert confident_lower_bound(MoERegressor(random_state=0), x, y, max_experts=3, random_state=0).k == 2
    for wrong in ({"alpha": 0.0}, {"alpha": 2}, {"extra": 0}, {"max_experts": 0}):
        with pytest.raises(DataError):
            confident_lower_bound(MoERegressor(), x, y, **wrong)


@pytest.mark.parametrize(
    ("formula", "words", "match"),
    [
        (np.zeros((30, 2)), {}, "formula must be text"),
        (None, {}, "formula must be text"),
        ("y ~ x", {"n_experts": []}, "at least one value"),
        ("y ~ x", {"n_experts": "bic"}, "whole numbers of at least 1, got 'bic'"),
        ("y ~ x", {"n_experts": [1, 1.5]}, "whole numbers of at least 1, got 1.5"),
        ("y ~ x", {"n_experts": 0}, "whole numbers of at least 1, got 0"),
    ],
)
def test_numbers_of_experts_and_formulas_that_are_none_are_refused(formula, words, match):
    d = {"x": np.arange(30.0), "y": np.arange(30.0) % 7}
    with pytest.raises(DataError, match=match) as refused:
        select_experts(formula, d, **words)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("most", [0, 2.5, "3", True])
def test_the_largest_number_of_experts_is_whole(most):
    with pytest.raises(DataError, match="max_experts must be a whole number of at least 1"):
        MoERegressor("bic", max_experts=most).fit(np.arange(30.0)[:, None], np.arange(30.0) % 7)


def test_one_number_of_experts_is_one_to_try():
    d = {"x": np.arange(30.0), "y": np.arange(30.0) % 7}
    for ks in (1, np.int64(1), [1], np.array([1])):
        assert select_experts("y ~ x", d, n_experts=ks).best.fit.model.k == 1
