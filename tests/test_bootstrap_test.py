"""The bootstrap test of the number of experts: against its definition, its size and its power."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kstest

import moestro.inference.bootstrap_test as bt
from conftest import two_lines
from moestro import DataError, LocatedMoERegressor, MoEClassifier, MoERegressor, bootstrap_test, load_model
from moestro.inference.bootstrap_test import WAVES, _decided
from moestro.inference.bootstrap_test import bootstrap_test as drawn_test
from moestro.studies.bootstrap_size import APART, TRUTHS, draw, share

FEW = {"random_state": 0, "n_jobs": 1}


def pair(kind, x, y, ks=(1, 2), **options):
    return [kind(k, **FEW, **options).fit(x, y) for k in ks]


class Fit:
    def __init__(self, k, value):
        self.k, self.log_likelihood = k, value


@pytest.mark.parametrize(
    ("at", "enough", "used"), [(4.0, 20, 20), (4.0, None, 60), (-1.0, 5, 5), (99.0, 20, 60)]
)
def test_sequential_stopping_is_besag_and_cliffords(at, enough, used):
    """Where the observed ratio is 2 * 4: with a known law of the draws."""

    def ratio(seed, reached):
        return 2.0 * at if reached is None else 10.0 if at < 10 else 0.0

    for threads in (1, 2):
        test = drawn_test(
            Fit(1, 0.0), Fit(2, at), ratio, n_replicates=60, enough=enough, seed=0, threads=threads
        )
        assert len(test.draws) == used
        exceeded = (test.draws >= test.searched).sum()
        assert test.exceeded == exceeded
        stopped = enough is not None and exceeded == enough
        assert test.p == (exceeded / used if stopped else (1 + exceeded) / (1 + used))


@pytest.mark.parametrize(
    ("every", "level", "used"), [(0, 0.05, 144), (0, 0.2, 32), (3, 0.05, 16), (20, 0.05, 160)]
)
def test_replicates_end_once_they_tell_p_from_a_level(every, level, used):
    """Davidson and MacKinnon: none of 144 where 0.95^144 is below 0.001; a third of them at once; a twentieth
    is not told from 5 %."""
    count = iter(range(1, 1000))

    def ratio(seed, reached):
        return 1.0 if reached is None or (every and next(count) % every == 0) else 0.0

    test = drawn_test(Fit(1, 0.0), Fit(2, 1.0), ratio, n_replicates=160, enough=None, level=level, seed=0)
    assert len(test.draws) == used
    assert test.stopped == (used < 160)
    assert test.p == (1 + test.exceeded) / (1 + used)
    with pytest.raises(DataError, match="level must lie"):
        drawn_test(Fit(1, 0.0), Fit(2, 1.0), ratio, level=5)


def test_p_values_are_uniform_where_the_law_is_known():
    """The statistic is drawn from the law of the replicates: P(p <= a) <= a, and close to it."""
    p = []
    for s in range(400):
        test = drawn_test(
            Fit(1, 0.0), Fit(2, 99.0), lambda own, reached: np.random.default_rng(own).exponential(),
            n_replicates=39, enough=5, seed=s + 1000,
        )  # fmt: skip
        p.append(test.p)
    for a in (0.05, 0.1, 0.5):
        assert abs(np.mean(np.array(p) <= a + 1e-12) - a) <= 3 * np.sqrt(a * (1 - a) / 400) + 0.01


def test_two_lines_are_two():
    x, y = two_lines(60)
    for kind in (MoERegressor, LocatedMoERegressor):
        one, two = pair(kind, x, y, n_starts=4)
        test = bootstrap_test(one, two, n_replicates=9, random_state=0, n_jobs=1)
        assert test.p == 0.1
        assert test.statistic == pytest.approx(2 * (two.log_likelihood_ - one.log_likelihood_))
        assert test.draws.max() < test.statistic
        assert "p = 0.100 (0 of 9" in str(test)


def test_a_third_line_is_not_found():
    x, y = two_lines(60)
    two, three = pair(MoERegressor, x, y, (2, 3), gate_features=[], n_starts=4)
    test = bootstrap_test(two, three, n_replicates=8, enough=2, random_state=0, n_jobs=1)
    assert test.p > 0.05
    assert (test.draws >= -1e-6).all()
    again = bootstrap_test(two, three, n_replicates=8, enough=2, random_state=0, n_jobs=2)
    np.testing.assert_array_equal(test.draws, again.draws)


def test_a_replicate_is_searched_until_that_decides():
    """Until it reaches the ratio of the data, or falls short by far after a wave of moves; otherwise, and of
    the data themselves, waves of moves to their number."""
    reached, far, short, data = (_decided(ratio, Fit(1, -100.0)) for ratio in (10.0, 61.0, 59.0, None))
    assert reached(-95.0, 0) and not reached(-95.1, 0)
    assert [far(-90.0, waves) for waves in range(2)] == [False, True]  # 41 short of 61
    assert not far(None, 1)  # none is usable yet
    for decided, best in ((short, -90.0), (data, -90.0), (far, None)):  # 39 short
        assert [decided(best, waves) for waves in range(WAVES + 1)] == [False] * WAVES + [True]
    assert [_decided(None, Fit(1, -100.0), 2)(-90.0, waves) for waves in (1, 2)] == [False, True]


def test_the_data_are_searched_as_replicates_are():
    """The ratio of the fits takes no part: a longer search of the data alone does not make p smaller."""
    x, y = two_lines(60)
    one, two = pair(MoERegressor, x, y, n_starts=4)
    rows, how = two._found.rows, {"n_replicates": 9, "seed": 0}
    ratio = bt.mixture_ratio(one.fit_, two.fit_, rows, waves=2)
    with pytest.raises(DataError, match="waves must be a whole number"):
        bootstrap_test(one, two, waves=0)
    test = drawn_test(one.fit_, two.fit_, ratio, **how)
    assert test.searched == pytest.approx(test.statistic)
    assert "searched" not in str(test)
    further = replace(two.fit_, log_likelihood=two.log_likelihood_ + 10.0)
    again = drawn_test(one.fit_, further, ratio, **how)
    assert again.statistic == pytest.approx(test.statistic + 20.0)
    assert f"({test.searched:.3f} when searched as replicates are)" in str(again)
    assert (again.p, again.searched) == (test.p, test.searched)
    np.testing.assert_array_equal(again.draws, test.draws)


@pytest.mark.slow
def test_ratios_of_data_and_of_replicates_have_one_law():
    """Where two experts are the truth. With two columns more than are needed the ratio of the fits, which are
    searched further, lies above that of replicates."""
    data, replicates = [], []
    for i in range(40):
        x, y = draw(np.array(APART), 3, 600, np.random.default_rng([7, i]))
        two, three = pair(MoERegressor, x, y, (2, 3), n_starts=8)
        ratio = bt.mixture_ratio(two.fit_, three.fit_, two._found.rows)
        own, other = np.random.SeedSequence([3, i]).spawn(2)
        data.append(ratio(own, None))
        replicates.append(ratio(other, np.inf))
    assert kstest(data, replicates).pvalue > 0.01


def test_groups_share_their_expert_in_replicates_too():
    """Rows of two lines in groups are two experts; a second one of one line is not found, however groups are
    numbered, and other groups are other data."""
    rng = np.random.default_rng(5)
    ids = rng.permutation(np.repeat(np.arange(40), 3))
    x = rng.standard_normal((120, 1))
    how = {"gate_features": [], "n_starts": 4, **FEW}
    for apart, rejected in ((3.0, True), (0.0, False)):
        y = np.where(ids % 2, apart, -apart) + x[:, 0] + rng.standard_normal(120)
        one, two = (MoERegressor(k, **how).fit(x, y, groups=ids) for k in (1, 2))
        test = bootstrap_test(one, two, n_replicates=19, enough=3, random_state=0, n_jobs=1)
        assert (test.p <= 0.05) == rejected
    ids = np.sort(ids)
    one, two = (MoERegressor(k, **how).fit(x, y, groups=g) for k, g in ((1, ids), (2, ids // 2)))
    with pytest.raises(DataError, match="same groups"):
        bootstrap_test(one, two)


def test_replicates_lack_what_the_data_lack():
    x, y = two_lines(80)
    x, y = np.column_stack([x, np.sin(np.arange(80.0))]), np.array(y, dtype=float)
    x[::4, 1] = np.nan
    one, two = pair(LocatedMoERegressor, x, y, n_starts=2, missing="marginal")
    test = bootstrap_test(one, two, n_replicates=9, random_state=0, n_jobs=1)
    assert test.p == 0.1
    assert test.searched == pytest.approx(test.statistic, rel=1e-3)


@pytest.mark.parametrize(
    ("ones", "of", "text"),
    [(0, 10, "0.0 [0.0, 27.8]"), (25, 500, "5.0 [3.4, 7.3]"), (10, 10, "100.0 [72.2, 100.0]"), (0, 0, "")],
)
def test_rejections_have_wilsons_interval(ones, of, text):
    """As statsmodels' proportion_confint has it."""
    assert share([1.0] * ones + [0.0] * (of - ones)) == text


@pytest.mark.study
def test_its_size():
    """5 % of 200 tests reject one expert where there is one, within three binomial standard deviations."""
    rejected = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((80, 1))
        y = x[:, 0] + rng.standard_normal(80)
        one, two = pair(MoERegressor, x, y, gate_features=[], n_starts=6)
        rejected.append(bootstrap_test(one, two, n_replicates=39, enough=5, random_state=seed).p <= 0.05)
    assert abs(np.mean(rejected) - 0.05) <= 3 * np.sqrt(0.05 * 0.95 / 200)


@pytest.mark.study
@pytest.mark.parametrize("truth", ["two apart", "two that overlap", "two apart, three columns"])
def test_size_of_two_experts_against_three(truth):
    """At 5 %, over 500 data sets with one replicate each, whose ratios make one law (Giacomini, Politis and
    White, 2013): between 3 and 7 %."""
    experts, d, n, _ = TRUTHS[truth]
    data, replicates = [], []
    for i in range(500):
        x, y = draw(np.array(experts), d, n, np.random.default_rng([2026, i]))
        moe = MoERegressor(2, random_state=i, n_jobs=1).fit(x, y)
        larger = replace(moe.fit_, model=replace(moe.fit_.model, k=3))
        ratio = bt.mixture_ratio(moe.fit_, larger, moe._found.rows)
        own, other = np.random.SeedSequence([9, i]).spawn(2)
        data.append(ratio(own, None))
        replicates.append(ratio(other, np.inf))
    assert 0.03 <= np.mean(data > np.quantile(replicates, 0.95)) <= 0.07


def test_what_is_refused(tmp_path):
    x, y = two_lines(60)
    one, two = pair(MoERegressor, x, y, n_starts=2)
    one.save(tmp_path / "one.json")
    w = np.ones(60)
    for words, a, b in (
        ("it must have more", two, one), ("same data", one, MoERegressor(2, **FEW).fit(x + 1, y)),
        ("one kind", one, LocatedMoERegressor(2, **FEW).fit(x, y)), ("training data", load_model(tmp_path /
        "one.json"), two),
        ("takes no weights", MoERegressor(1).fit(x, y, w), two),
        ("but for n_experts", one, MoERegressor(2, gate_features=[], **FEW).fit(x, y)),
        ("but for n_experts", MoEClassifier(1).fit(x, y > 0), two),
    ):  # fmt: skip
        with pytest.raises(DataError, match=words):
            bootstrap_test(a, b)


def test_gates_of_other_columns_are_not_nested():
    """Two gates that read one column each, but not the same, are of one size and not one in the other."""
    x, y = two_lines(60)
    data = {"x": x[:, 0], "t": np.sin(7 * x[:, 0]), "y": y}

    def fit(gate, k):
        return MoERegressor.from_formula(f"y ~ x | {gate}", data, n_experts=k, random_state=0, n_starts=2)

    with pytest.raises(DataError, match="same data"):
        bootstrap_test(fit("x", 1), fit("t", 2))
    one = MoERegressor.from_formula("y ~ x", data, n_experts=1, random_state=0, n_starts=2)
    twice = fit("x", 2)  # the same columns, written a second time
    assert bootstrap_test(one, twice, n_replicates=1, random_state=0).k == 1


def test_the_table_of_a_sweep_by_hand():
    x, y = two_lines(100)
    moe = MoERegressor("bic", max_experts=2, **FEW).fit(x, y)
    r = moe.responsibilities(x, y)
    row, one = moe.selection_[1], moe.selection_[0]
    L, df = row["log_likelihood"], row["df"]
    assert row["adjusted_bic"] == pytest.approx(-2 * L + df * np.log(102 / 24))
    assert row["caic"] == pytest.approx(-2 * L + df * (np.log(100) + 1))
    entropy = -(r * np.log(np.maximum(r, 1e-300))).sum()
    assert row["entropy_r2"] == pytest.approx(1 - entropy / (100 * np.log(2)), rel=1e-6)
    assert row["smallest_share"] == pytest.approx(r.mean(axis=0).min(), rel=1e-6)
    assert row["found"] == moe.search_.found
    assert one["entropy_r2"] is None
    assert one["smallest_share"] == 1.0
