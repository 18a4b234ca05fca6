"""Rows that share their expert: how they are kept, and what they sum to."""

from dataclasses import replace

import numpy as np
import pytest

from conftest import COMPILED, differences, problem
from moestro import _core
from moestro.design import ArrayDesign
from moestro.engine import ArrayEngine, NativeEngine, Order, make_engine, unit_scores
from moestro.errors import DataError
from moestro.experts import Gaussian
from moestro.gates import TopKGate, make_gate
from moestro.gates.topk import RelaxedTopKGate
from moestro.model import Model
from moestro.rows import Groups, encode_groups, read_rows, sample_rows
from moestro.solvers import Coordinates, Objective

SIZES = (3, 1, 4, 2, 5, 1, 7)
DESIGN = ArrayDesign(("a", "b", "c"), (0, 1), (2,))


def panel(sizes=(3, 1, 4, 2, 5), seed=0, weights=False):
    """x, z, y, w and ids of groups whose rows stand apart from one another."""
    rng = np.random.default_rng(seed)
    ids = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    n = len(ids)
    x, z = rng.standard_normal((n, 2)), rng.standard_normal((len(sizes), 1))[ids]
    w = rng.integers(1, 4, len(sizes)).astype(float)[ids] if weights else None
    return x, z, rng.standard_normal(n), w, ids


def rows_of(x, z, y, w, ids):
    return read_rows(DESIGN, x, z, y, w, Gaussian(), groups=ids)[0]


def content(rows):
    """Groups as sets of rows, with their weights, sorted."""
    rows = rows.merged()
    columns = np.column_stack([rows.x, rows.z, rows.y]).tolist()
    w = np.ones(rows.n_units) if rows.w is None else rows.w
    at = rows.groups.offsets
    return sorted((sorted(columns[at[g] : at[g + 1]]), w[g]) for g in range(rows.n_units))


def grouped(name, k, d=2, e=1, sizes=SIZES, weights=True, seed=0, gate="softmax"):
    """A problem of conftest whose rows come in groups of these sizes."""
    model, rows, theta = problem(name, k, d, e, n=sum(sizes), weights=weights, seed=seed)
    groups = Groups.of_sizes(np.array(sizes))
    same = groups.expand(groups.first)
    x, z = (rows.x[same], None) if e is None else (rows.x, rows.z[same])
    rows = replace(rows, x=x, z=z, w=None if rows.w is None else rows.w[groups.first], groups=groups)
    model = Model(make_gate(gate), model.family, k, rows.q, rows.p)
    if len(theta) != model.size:
        theta = 0.6 * np.random.default_rng(seed).standard_normal(model.size)
    return model, rows, theta


def close(a, b, tolerance):
    """Largest difference relative to the largest entry."""
    a, b = np.asarray(a), np.asarray(b)
    return a.size == 0 or np.abs(a - b).max() <= tolerance * max(np.abs(a).max(), 1e-300)


def each_group(rows):
    return [rows.take(np.array([g])) for g in range(rows.n_units)]


class TestRows:
    def test_groups_become_neighbours_in_the_order_of_their_first_rows(self):
        x, z, y, _, _ = panel((2, 2, 1))
        z[:] = np.array([1, 2, 1, 3, 2.0])[:, None]
        rows = rows_of(x, z, y, None, ["v", "u", "v", "w", "u"])
        assert rows.groups.offsets.tolist() == [0, 2, 4, 5]
        np.testing.assert_array_equal(rows.y, y[[0, 2, 1, 4, 3]])
        np.testing.assert_array_equal(rows.x, x[[0, 2, 1, 4, 3]])

    @pytest.mark.parametrize(
        "name",
        [
            lambda g: g,
            lambda g: -3.5 * g,
            lambda g: np.array([f"person {v}" for v in g]),
            lambda g: np.array([f"person {v}" for v in g], dtype=object),
            lambda g: [(v, "x") if v % 2 else str(v) for v in g],
            lambda g: np.datetime64("2020-01-01") + g.astype("timedelta64[D]"),
            lambda g: g > 2,
        ],
    )
    def test_ids_of_any_type(self, name):
        ids = np.array([4, 1, 4, 0, 1, 3])
        code, labels = encode_groups(name(ids), 6)
        again = encode_groups(np.asarray(ids > 2) if len(labels) == 2 else ids, 6)
        np.testing.assert_array_equal(code, again[0])
        assert code[0] == 0 and len(labels) == code.max() + 1

    def test_a_number_is_not_its_text(self):
        assert encode_groups([1, "1", 1], 3)[0].tolist() == [0, 1, 0]

    def test_groups_of_one_are_no_groups(self):
        x, z, y, w, _ = panel(weights=True)
        rows = rows_of(x, z, y, w, np.arange(len(y))[::-1])
        assert rows.groups is None
        assert np.array_equal(rows.y, y)

    @pytest.mark.parametrize("size", [1, 3, 6, 100])
    def test_blocks_and_parts_never_split_a_group(self, size):
        rows = rows_of(*panel((3, 1, 4, 2, 5), weights=True))
        for pieces in (list(rows.blocks(size)), list(rows.parts(size))):
            assert sum(p.groups.count for p in pieces) == 5
            np.testing.assert_array_equal(np.concatenate([p.groups.sizes for p in pieces]), rows.groups.sizes)
            assert all(len(p.y) <= size or p.groups.count == 1 for p in pieces)
            np.testing.assert_array_equal(np.concatenate([p.w for p in pieces]), rows.w)
        blocks = list(rows.blocks(size))
        assert all(len(b.z) == len(b.w) == b.groups.count for b in blocks)
        np.testing.assert_array_equal(np.concatenate([np.arange(5)[b.at] for b in blocks]), np.arange(5))
        z = np.concatenate([b.expand(b.z)[:, 1] for b in blocks])
        np.testing.assert_allclose(z, rows.z_scaling.apply(rows.z)[:, 1])

    def test_take_takes_groups(self):
        rows = rows_of(*panel(weights=True))
        part = rows.take(np.array([3, 0]))
        at = rows.groups.offsets
        np.testing.assert_array_equal(part.y, np.r_[rows.y[at[3] : at[4]], rows.y[: at[1]]])
        np.testing.assert_array_equal(part.w, rows.w[[3, 0]])

    def test_merging_does_not_see_the_order_of_rows_or_groups(self):
        x, z, y, w, ids = panel(weights=True)
        mixed = np.random.default_rng(1).permutation(len(y))
        a = rows_of(x, z, y, w, ids).merged()
        b = rows_of(x[mixed], z[mixed], y[mixed], w[mixed], ids[mixed]).merged()
        for name in ("x", "z", "y", "w"):
            assert np.array_equal(getattr(a, name), getattr(b, name))
        assert np.array_equal(a.groups.offsets, b.groups.offsets)

    def test_a_group_written_twice_has_weight_two_and_weight_zero_is_left_out(self):
        x, z, y, _, ids = panel()
        again = np.flatnonzero(ids == 2)
        at = np.r_[np.arange(len(y)), again[::-1]]
        twice = rows_of(x[at], z[at], y[at], None, np.r_[ids, np.full(len(again), 99)])
        w = np.where(ids == 2, 2.0, 1.0)
        assert content(twice) == content(rows_of(x, z, y, w, ids))
        w[ids == 1] = 0.0
        assert rows_of(x, z, y, w, ids).merged().n_units == 4

    def test_a_random_order_of_groups_depends_on_what_is_in_them(self):
        x, z, y, _, ids = panel()
        mixed = np.random.default_rng(1).permutation(len(y))
        seed = np.random.SeedSequence(3)
        orders = []
        for rows in (rows_of(x, z, y, None, ids), rows_of(x[mixed], z[mixed], y[mixed], None, ids[mixed])):
            order = sample_rows(rows, seed)
            assert sorted(order) == list(range(5))
            orders.append(rows.z[rows.groups.first][order])
        np.testing.assert_array_equal(*orders)

    def test_weights_are_those_of_groups(self):
        x, z, y, w, ids = panel(weights=True)
        rows = rows_of(x, z, y, w, ids)
        assert rows.weight_sum == sum(w[ids == g][0] for g in range(5))
        assert rows.row_weight_sum == w.sum()
        w[np.flatnonzero(ids == 2)[0]] += 1
        with pytest.raises(DataError, match=r"sample_weight varies within the group 2"):
            rows_of(x, z, y, w, ids)

    def test_what_is_wrong_is_named(self):
        x, z, y, _, ids = panel()
        wrong = z + (np.arange(len(y)) == np.flatnonzero(ids == 2)[1])[:, None]
        with pytest.raises(DataError, match=r"'c' varies within the group 'no\. 2'.*'\| 1'.*gate_features"):
            rows_of(x, wrong, y, None, [f"no. {g}" for g in ids])
        with pytest.raises(DataError, match=r"groups has shape \(3,\), expected \(15,\)"):
            rows_of(x, z, y, None, [1, 2, 3])
        with pytest.raises(DataError, match=r"missing in row 2"):
            rows_of(x, z, y, None, [0, None, *ids[2:]])
        with pytest.raises(DataError, match=r"missing in row 1"):
            rows_of(x, z, y, None, np.r_[np.nan, ids[1:]])
        with pytest.raises(DataError, match="one id a row, got 5"):
            rows_of(x, z, y, None, 5)
        with pytest.raises(DataError, match="cannot be compared as ids"):
            rows_of(x, z, y, None, [[1]] * len(y))


@pytest.mark.parametrize("name", COMPILED)
class TestReference:
    """The readable sums, against the definition."""

    def test_the_definition_by_brute_force(self, name):
        """L_g = log sum_e pi_e(z_g) prod_i f_e(y_i | x_i), one number at a time."""
        model, rows, theta = grouped(name, 3)
        block = next(rows.blocks(rows.n))
        eta = model.predictors(theta, block.x)
        f = np.exp(
            model.family.log_density(eta, block.y[:, None])
            + np.reshape(model.family.log_base(block.y), (-1, 1))
            - np.log(rows.y_scale)
        )
        pi = np.exp(model.log_gate(theta, block.z))
        total, mass, at = 0.0, np.zeros(3), rows.groups.offsets
        out = ArrayEngine(model, rows, block=4).rowwise(theta)
        for g in range(rows.n_units):
            joint = [pi[g, e] * np.prod([f[i, e] for i in range(at[g], at[g + 1])]) for e in range(3)]
            r = np.array(joint) / sum(joint)
            assert out.log_density[g] == pytest.approx(np.log(sum(joint)), rel=1e-12)
            np.testing.assert_allclose(out.responsibilities[g], r, rtol=1e-10)
            total += rows.w[g] * np.log(sum(joint))
            mass += rows.w[g] * rows.groups.sizes[g] * r
        e = ArrayEngine(model, rows, block=4).evaluate(theta, Order.VALUE)
        assert e.value == pytest.approx(total, rel=1e-12)
        np.testing.assert_allclose(e.mass, mass, rtol=1e-10)

    @pytest.mark.parametrize(
        ("gate", "k", "d", "e"),
        [
            pytest.param(
                gate, *shape, marks=() if gate == "softmax" or shape == (3, 2, 1) else pytest.mark.slow
            )
            for gate in ("softmax", "sigmoid", "temperature")
            for shape in ((1, 2, 1), (2, 1, None), (3, 2, 1), (3, 0, 2), (2, 2, 0))
        ],
    )
    def test_derivatives_against_central_differences(self, name, gate, k, d, e):
        model, rows, theta = grouped(name, k, d, e, gate=gate)
        objective = Objective(
            ArrayEngine(model, rows, 5), Coordinates.of(model, rows.x_scaling, rows.z_scaling)
        )
        phi = objective.coordinates.collapse(theta)
        at = objective.evaluate(phi, Order.CURVATURE)
        numeric, hessian = differences(objective, phi)
        # Central differences: truncation h^2, rounding 1e-16 / h, relative to the largest entry.
        assert close(at.gradient, numeric, 1e-7)
        assert close(at.curvature, hessian, 1e-7)

    def test_information_is_the_curvature_of_q(self, name):
        """With responsibilities held: exactly for canonical links, and always positive semi-definite."""
        model, rows, theta = grouped(name, 2, sizes=SIZES * 4, seed=5)
        engine = ArrayEngine(model, rows)
        r = engine.rowwise(theta).responsibilities
        at = engine.evaluate(theta, Order.INFORMATION, r)
        assert np.linalg.eigvalsh(at.information).min() >= -1e-9 * np.abs(at.information).max()
        posterior = engine.evaluate(theta, Order.INFORMATION)
        assert close(at.gradient, posterior.gradient, 1e-12)  # of Q and of L, by Fisher's identity
        if name in ("multinomial", "poisson"):
            h = 1e-5
            q = [
                engine.evaluate(theta + s, Order.GRADIENT, r).gradient
                - engine.evaluate(theta - s, Order.GRADIENT, r).gradient
                for s in h * np.eye(model.size)
            ]
            assert close(at.information, -np.array(q) / (2 * h), 1e-7)

    def test_scores_are_those_of_each_group(self, name):
        model, rows, theta = grouped(name, 3)
        engine = ArrayEngine(model, rows)
        scores = unit_scores(
            model, theta, next(rows.blocks(rows.n)), engine.rowwise(theta, scores=True).scores
        )
        for g, one in enumerate(each_group(rows)):
            assert close(ArrayEngine(model, one).evaluate(theta, Order.GRADIENT).gradient, scores[g], 1e-12)

    def test_one_expert_does_not_see_groups(self, name):
        model, rows, theta = grouped(name, 1, weights=False)
        plain = replace(rows, groups=None)
        for order in Order:
            a, b = (ArrayEngine(model, r).evaluate(theta, order) for r in (rows, plain))
            assert a.value == pytest.approx(b.value, rel=1e-12)
        assert close(b.curvature, a.curvature, 1e-12)

    def test_a_group_of_equal_rows_is_its_first_row_with_a_power(self, name):
        """Of m equal rows: log sum_e pi_e f_e^m. With a constant gate on one expert's side, weight m."""
        model, rows, theta = grouped(name, 2, sizes=(3,), seed=1, weights=False)
        same = rows.take(np.array([0]))
        first = np.zeros(3, dtype=int)
        same = replace(same, x=same.x[first], z=same.z[first], y=same.y[first])
        sure = theta.copy()
        model.gate_coefficients(sure)[:] = 0.0
        model.gate_coefficients(sure)[0, 0] = 60.0  # expert 1 all but certain
        once = replace(rows, x=same.x[:1], z=same.z[:1], y=same.y[:1], groups=None)
        a = ArrayEngine(model, same).evaluate(sure, Order.CURVATURE)
        b = ArrayEngine(model, replace(once, w=np.array([3.0]))).evaluate(sure, Order.CURVATURE)
        assert a.value == pytest.approx(b.value, rel=1e-10)
        assert close(b.curvature, a.curvature, 1e-8)


NATIVE = ("multinomial", "gaussian", "poisson")
FIELDS = ("value", "mass", "gradient", "information", "curvature")
# Sizes that end with blocks of the kernel, cross them, and fill more than one: it handles 192 rows or groups
# at once.
MANY = {
    "pairs": (2,) * 200,
    "one large": (1000,),
    "mixed": (1, 192, 1, 191, 193, 2, 400, 1, 1, 5) + (3,) * 190,
    "few": SIZES,
}


def fields_close(a, b, tolerance):
    return all(
        (x is None and y is None) or close(x, y, tolerance)
        for x, y in ((getattr(a, f), getattr(b, f)) for f in FIELDS)
    )


@pytest.mark.parametrize("name", NATIVE)
class TestNative:
    """The compiled sums against the readable ones."""

    @pytest.mark.parametrize(
        ("k", "d", "e"),
        [(1, 2, 1), (2, 0, 3), (3, 2, None), (3, 9, 0), pytest.param(5, 2, 1, marks=pytest.mark.slow)],
    )
    @pytest.mark.parametrize("sizes", MANY)
    def test_native_equals_array(self, name, k, d, e, sizes):
        for weights in (True, False):
            model, rows, theta = grouped(name, k, d, e, MANY[sizes], weights)
            theta *= 0.3  # responsibilities of a large group are not all zero or one
            reference = ArrayEngine(model, rows, block=100)
            r = np.random.default_rng(1).dirichlet(np.ones(k), rows.n_units)
            r[::3] = 0.0
            for isa in _core.instruction_sets():
                engine = NativeEngine(model, rows, 2, isa)
                for order in Order:
                    a, b = (m.evaluate(theta, order) for m in (reference, engine))
                    assert fields_close(a, b, 1e-10), (isa, order)
                a, b = (m.evaluate(theta, Order.INFORMATION, r) for m in (reference, engine))
                assert fields_close(a, b, 1e-10), isa
                a, b = (m.rowwise(theta, scores=True) for m in (reference, engine))
                assert close(a.log_density, b.log_density, 1e-10)
                assert close(a.responsibilities, b.responsibilities, 1e-10)
                assert close(a.scores, b.scores, 1e-10)

    @pytest.mark.parametrize(
        "gate",
        [TopKGate(2), RelaxedTopKGate(2, "score", 0.3), RelaxedTopKGate(1, "logit", 0.01)],
        ids=["sharp", "soft by score", "soft by logit"],
    )
    def test_sparse_gates(self, name, gate):
        model, rows, theta = grouped(name, 4, 2, 2, MANY["mixed"], gate=gate)
        engines = ArrayEngine(model, rows), NativeEngine(model, rows)
        a, b = (engine.evaluate(theta, Order.CURVATURE) for engine in engines)
        assert fields_close(a, b, 1e-10)
        a, b = (engine.rowwise(theta, scores=True).scores for engine in engines)
        assert close(a, b, 1e-10)

    def test_groups_of_one_are_rows(self, name):
        """By the kernel of groups, which `read` does not use for them."""
        model, rows, theta = problem(name, 3, 2, 1, n=300)
        ones = replace(rows, groups=Groups.of_sizes(np.ones(300, dtype=int)))
        for engine in (ArrayEngine, NativeEngine):
            a, b = (engine(model, r).evaluate(theta, Order.CURVATURE) for r in (rows, ones))
            assert fields_close(a, b, 1e-12)
            a, b = (engine(model, r).rowwise(theta, scores=True) for r in (rows, ones))
            assert close(a.scores, b.scores, 1e-12)

    def test_bitwise_equal_for_any_number_of_threads(self, name):
        sizes = tuple(np.random.default_rng(0).integers(1, 30, 2000)) + (5000,)
        model, rows, theta = grouped(name, 3, 3, 1, sizes)
        first = NativeEngine(model, rows, 1).evaluate(theta, Order.CURVATURE)
        for threads in (2, 3, 8):
            other = NativeEngine(model, rows, threads).evaluate(theta, Order.CURVATURE)
            assert all(np.array_equal(getattr(first, f), getattr(other, f)) for f in FIELDS)

    def test_several_thetas_at_once(self, name):
        model, rows, theta = grouped(name, 3, 2, 1, MANY["pairs"])
        thetas = np.stack([theta, 0.5 * theta, -theta])
        r = np.random.default_rng(1).dirichlet(np.ones(3), (3, rows.n_units))
        engine = make_engine(model, rows)
        for given in (None, r):
            together = engine.evaluate_all(thetas, Order.INFORMATION, given, 2).each()
            for i, at in enumerate(thetas):
                one = engine.evaluate(at, Order.INFORMATION, None if given is None else given[i])
                assert all(np.array_equal(getattr(one, f), getattr(together[i], f)) for f in FIELDS[:4])

    @pytest.mark.parametrize("size", [30.0, 400.0, 5000.0])
    def test_extreme_parameters_stay_finite_and_equal(self, name, size):
        model, rows, theta = grouped(name, 3, 2, 1, MANY["pairs"])
        theta = theta * size
        if name == "gaussian":
            model.nuisances(theta)[:] = np.clip(model.nuisances(theta), -18, 9)
        a, b = (
            m.evaluate(theta, Order.CURVATURE) for m in (ArrayEngine(model, rows), NativeEngine(model, rows))
        )
        assert all(np.isfinite(getattr(b, f)).all() for f in FIELDS)
        if (name, size) == ("poisson", 5000.0):  # rates at their cap tie experts to the last bit of 1e130
            return
        assert fields_close(a, b, 1e-9)  # exponents near 1e4 carry 1e-12 of their argument


def test_wrong_offsets_are_refused():
    model, rows, _ = grouped("gaussian", 2)
    for offsets in ([0, 5], [0, 4, 4, 23], [1, 23], [0]):
        with pytest.raises(ValueError, match="offsets must rise"):
            NativeEngine(model, replace(rows, w=None, groups=Groups(np.array(offsets))))
