"""Rows that share their expert, as people fit and predict them."""

import csv
import pickle

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import norm

import moestro
from moestro import LocatedMoERegressor, MoEClassifier, MoERegressor, MoERegressorCV, select_experts
from moestro.cli.main import main
from moestro.errors import DataError

LINES = {"a": (1.0, 2.0), "b": (-1.0, -0.5)}


def visits(people=60, seed=0, choice=False):
    """A mapping of columns: each person follows one of two lines; older people more often the first."""
    rng = np.random.default_rng(seed)
    count = rng.integers(2, 7, people)
    age = rng.standard_normal(people)
    line = np.where(rng.random(people) < 1 / (1 + np.exp(-1.5 * age)), "a", "b")
    person = rng.permutation(np.repeat(np.arange(people), count))
    x = rng.standard_normal(len(person))
    level, slope = np.array([LINES[v] for v in line[person]]).T
    y = level + slope * x
    y = (y + rng.logistic(size=len(y)) > 0).astype(int) if choice else y + 0.7 * rng.standard_normal(len(y))
    names = np.array([f"p{i}" for i in range(people)])
    return {"y": y, "x": x, "age": age[person], "person": names[person]}


@pytest.fixture(scope="module")
def data():
    return visits()


@pytest.fixture(scope="module")
def moe(data):
    return MoERegressor.from_formula("y ~ x | age", data, groups="person", random_state=0)


class TestFitting:
    def test_formula_and_arrays_are_one_fit(self, data, moe):
        X = np.column_stack([data["x"], data["age"]])
        ids = [(name, 1) for name in data["person"]]
        other = MoERegressor(2, gate_features=[1], expert_features=[0], random_state=0)
        assert other.fit(X, data["y"], groups=ids).log_likelihood_ == moe.log_likelihood_

    def test_groups_of_one_are_no_groups_to_the_last_bit(self, data):
        a = MoERegressor.from_formula("y ~ x", data, random_state=0)
        b = MoERegressor.from_formula("y ~ x", data, groups=np.arange(len(data["y"]))[::-1], random_state=0)
        assert np.array_equal(a.fit_.theta, b.fit_.theta)
        assert a.log_likelihood_ == b.log_likelihood_
        assert a.summary() == b.summary()

    def test_it_finds_the_lines_that_rows_alone_leave_open(self, moe):
        found = sorted(zip(moe.measure_.intercepts[:, 0], moe.measure_.slopes[:, 0, 0], strict=True))
        np.testing.assert_allclose(found, sorted(LINES.values()), atol=0.2)

    def test_the_summary_says_what_was_grouped(self, moe, data):
        assert "60 of 2 to 6 rows" in moe.summary()
        assert moe.glance().columns["n"] == [60.0]
        assert moe.bic_ == pytest.approx(-2 * moe.log_likelihood_ + moe.n_parameters_ * np.log(60))
        assert "Groups" not in MoERegressor.from_formula("y ~ x", data, random_state=0).summary()

    def test_equal_groups_are_counted_each(self, data):
        twice = {name: np.concatenate([v, v]) for name, v in data.items()}
        twice["person"] = np.concatenate([data["person"], [f"{p}'" for p in data["person"]]])
        moe = MoERegressor.from_formula("y ~ x | age", twice, groups="person", n_starts=2, random_state=0)
        assert moe.fit_.group_sizes == (120, 2, 6)
        assert moe.fit_.weight_sum == 120
        w = np.isin(data["person"], ["p0", "p1"]).astype(float) * 2
        some = MoERegressor(1, gate_features=[]).fit(
            data["x"][:, None], data["y"], groups=data["person"], sample_weight=np.where(w > 0, 0.0, 2.0)
        )
        assert some.fit_.group_sizes is not None
        assert some.fit_.group_sizes[0] == 58

    def test_standard_errors_file_and_pickle(self, moe, tmp_path):
        for cov in ("observed", "sandwich"):
            table = moe.inference(cov)
            assert all(se is None or 0 < se < 2 for se in table.columns["std_error"])
        moe.save(tmp_path / "m.json")
        for again in (moestro.load_model(tmp_path / "m.json"), pickle.loads(pickle.dumps(moe))):
            assert again.summary() == moe.summary()

    def test_criteria_that_choose_k(self, data):
        for criterion in ("bic", "icl", "cv", "dendrogram"):
            moe = MoERegressor(criterion, formula="y ~ x | 1", max_experts=3, n_starts=3, random_state=0).fit(
                data, groups="person"
            )
            assert moe.n_experts_ == 2
        found = select_experts("y ~ x | age", data, groups="person", n_experts=[1, 2], random_state=0)
        assert found.choice.index == 1

    def test_what_does_not_know_groups_says_so(self, data):
        ids = data["person"]
        X = np.column_stack([data["x"], data["age"]])
        for estimator in (
            LocatedMoERegressor(2),
            MoERegressorCV(n_experts=[1]),
            MoERegressor(2, penalty="l1"),
        ):
            with pytest.raises(DataError, match="take no groups"):
                estimator.fit(X, data["y"], groups=ids)
        with pytest.raises(DataError, match="located models take no groups"):
            select_experts("y ~ x", data, model="located", groups="person")

    def test_wrong_groups_are_refused(self, data):
        with pytest.raises(DataError, match=r"gate's column 'x' varies within the group 'p\d+'"):
            MoERegressor.from_formula("y ~ x", data, groups="person")
        with pytest.raises(DataError, match="column 'who' is missing"):
            MoERegressor.from_formula("y ~ x | 1", data, groups="who")
        with pytest.raises(DataError, match="names a column"):
            MoERegressor(2).fit(np.zeros((4, 1)), [1.0, 2, 3, 4], groups="person")
        with pytest.raises(DataError, match=r"3 experts need at least 3 distinct groups, the data have 2"):
            MoERegressor(3, formula="y ~ x | 1").fit(data, groups=data["age"] > 0)


class TestPosterior:
    def test_by_hand(self, data, moe):
        """Bayes' rule with normal densities, in the user's units."""
        m = moe.measure_
        mean = m.intercepts[:, 0] + np.outer(data["x"], m.slopes[:, 0, 0])
        f = norm.logpdf(data["y"][:, None], mean, np.sqrt(m.variances))
        prior = np.log(moe.gate_proba(data))
        people = list(dict.fromkeys(data["person"]))
        joint = np.array([prior[data["person"] == p][0] + f[data["person"] == p].sum(axis=0) for p in people])
        L = np.logaddexp.reduce(joint, axis=1)
        np.testing.assert_allclose(moe.log_density(data, groups="person"), L, rtol=1e-9)
        assert L.sum() == pytest.approx(moe.log_likelihood_, rel=1e-10)
        r = moe.responsibilities(data, groups="person", per="group")
        np.testing.assert_allclose(r, np.exp(joint - L[:, None]), atol=1e-9)
        of_rows = moe.responsibilities(data, groups="person")
        np.testing.assert_array_equal(of_rows, r[[people.index(p) for p in data["person"]]])

    def test_a_history_moves_the_weights(self, data, moe):
        new = {"x": np.zeros(3), "age": data["age"][:3], "person": np.array([*data["person"][:2], "unknown"])}
        plain = moe.predict(new)
        given = moe.predict(new, groups="person", history=(data, None, "person"))
        assert given[2] == plain[2]
        r = moe.responsibilities(data, groups="person")[:2]
        np.testing.assert_allclose(given[:2], r @ moe.measure_.intercepts[:, 0], rtol=1e-9)
        law = moe.predict_distribution(new, groups="person", history=(data, None, "person"))
        np.testing.assert_allclose(law.mean(), given, rtol=1e-9)

    def test_a_history_that_no_expert_explains_is_refused(self, data, moe):
        past = {name: values[:1] for name, values in data.items()} | {"y": np.array([1e200])}
        for predict in (moe.predict, moe.predict_distribution):
            with pytest.raises(DataError, match="no finite weights given the history in"):
                predict(data, groups="person", history=(past, None, "person"))

    def test_a_history_predicts_better(self):
        train, test = visits(200, 1, choice=True), visits(200, 2, choice=True)
        moe = MoEClassifier(2, formula="y ~ x | age", random_state=0).fit(train, groups="person")
        rng = np.random.default_rng(0)
        seen = rng.random(len(test["y"])) < 0.7
        past, new = ({n: v[at] for n, v in test.items()} for at in (seen, ~seen))
        column = new["y"][:, None] == moe.classes_
        prior = np.log(moe.predict_proba(new)[column]).mean()
        posterior = np.log(
            moe.predict_proba(new, groups="person", history=(past, None, "person"))[column]
        ).mean()
        assert posterior > prior + 0.02

    def test_groups_and_history_go_together(self, data, moe):
        with pytest.raises(DataError, match="without a history"):
            moe.predict(data, groups="person")
        with pytest.raises(DataError, match="needs groups="):
            moe.predict(data, history=(data, None, "person"))
        with pytest.raises(DataError, match=r"history must be \(X, y, groups\)"):
            moe.predict(data, groups="person", history=data)
        with pytest.raises(DataError, match="per='group'"):
            moe.responsibilities(data, per="group")
        with pytest.raises(DataError, match="'age' varies within the group"):
            moe.responsibilities({**data, "age": data["x"]}, groups="person")


class TestCommand:
    @staticmethod
    def run(*words):
        return CliRunner().invoke(main, [str(w) for w in words])

    @pytest.fixture
    def file(self, data, tmp_path):
        path = tmp_path / "visits.csv"
        lines = [",".join(map(str, row)) for row in zip(*data.values(), strict=True)]
        path.write_text("\n".join([",".join(data), *lines]) + "\n")
        return path

    def test_fit_and_predict(self, file, data, moe, tmp_path):
        model = tmp_path / "m.json"
        out = self.run("fit", file, "-f", "y ~ x | age", "-k", 2, "--groups", "person", "--out", model)
        assert out.exit_code == 0, out.output
        assert "60 of 2 to 6 rows" in out.output
        out = self.run("predict", model, file, "--groups", "person", "--history", file)
        assert out.exit_code == 0, out.output
        first = float(out.output.splitlines()[1].split(",")[0])
        given = moe.predict(data, groups="person", history=(data, None, "person"))
        assert first == pytest.approx(given[0], rel=1e-6)

    def test_posteriors_are_those_of_groups(self, file, data, moe, tmp_path):
        moe.save(tmp_path / "m.json")
        out = self.run("predict", tmp_path / "m.json", file, "--groups", "person", "--posterior")
        assert out.exit_code == 0, out.output
        rows = list(csv.DictReader(out.output.splitlines()))
        ours = np.array([[float(row[f"posterior({e})"]) for e in (1, 2)] for row in rows])
        np.testing.assert_allclose(ours, moe.responsibilities(data, groups="person"), rtol=1e-6)
        np.testing.assert_allclose([float(row["mean"]) for row in rows], moe.predict(data), rtol=1e-6)
        for words, text in (
            (("--posterior",), "--posterior needs their column, --groups"),
            (("--posterior", "--groups", "person", "--history", file), "leave --history out"),
        ):
            out = self.run("predict", tmp_path / "m.json", file, *words)
            assert out.exit_code == 2 and text in out.output

    def test_select(self, file):
        out = self.run("select", file, "-f", "y ~ x | 1", "-k", "1-2", "--groups", "person")
        assert out.exit_code == 0, out.output
        assert "chosen by BIC: 2" in out.output

    def test_refusals_are_one_line(self, file, tmp_path):
        model = tmp_path / "m.json"
        assert not self.run(
            "fit", file, "-f", "y ~ x | 1", "-k", 1, "--groups", "person", "--out", model
        ).exit_code
        for words, text in (
            (("fit", file, "-f", "y ~ x", "--groups", "person"), "varies within the group"),
            (("fit", file, "-f", "y ~ x | 1", "--groups", "who"), "column 'who' is missing"),
            (("fit", file, "-f", "y ~ x", "--groups", "person", "--gate", "gaussian"), "--groups"),
            (("fit", file, "-f", "y ~ x", "--groups", "person", "--penalty", "l1"), "--groups"),
            (("select", file, "-f", "y ~ x", "--groups", "person", "--model", "located"), "--groups"),
            (("predict", model, file, "--groups", "person"), "go together"),
            (("predict", model, file, "--history", file), "go together"),
        ):
            out = self.run(*words)
            assert out.exit_code == 2, (words, out.output)
            assert text in out.output and len(out.output.strip().splitlines()) == 1, out.output
