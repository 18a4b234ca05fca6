"""Where the gate reads a group whose rows differ in its columns."""

import numpy as np
import pytest
from click.testing import CliRunner

import moestro
from moestro import MoEClassifier, MoERegressor, MoERegressorCV, select_experts
from moestro.cli.main import main
from moestro.errors import DataError

PEOPLE = 40


@pytest.fixture(scope="module")
def data():
    """Visits in any order; `age` varies between those of a person, in quarters, so that means are exact."""
    rng = np.random.default_rng(3)
    person = rng.permutation(np.repeat(np.arange(PEOPLE), rng.choice([1, 2, 4, 8], PEOPLE)))
    who = rng.standard_normal(PEOPLE)
    age = np.round(4 * (who[person] + 0.3 * rng.standard_normal(len(person)))) / 4
    up = (rng.random(PEOPLE) < 1 / (1 + np.exp(-2 * who)))[person]
    x = rng.standard_normal(len(person))
    y = np.where(up, 1 + 2 * x, -1 - x) + 0.5 * rng.standard_normal(len(person))
    return {"y": y, "x": x, "age": age, "person": np.array([f"p{i}" for i in range(PEOPLE)])[person]}


def read_at(data, gate_at, columns=("age",)):
    """The same rows, with what the gate reads written into each of a person's: a loop over persons."""
    out = {name: np.array(values) for name, values in data.items()}
    for p in np.unique(data["person"]):
        at = np.flatnonzero(data["person"] == p)
        for c in columns:
            out[c][at] = data[c][at[0]] if gate_at == "first" else sum(data[c][at]) / len(at)
    return out


HOW = {"groups": "person", "random_state": 0}


@pytest.fixture(scope="module", params=["first", "mean"])
def fits(request, data):
    """The word, the fit by it, the frame in which columns are written out, and the fit to that."""
    flat = read_at(data, request.param)
    moe = MoERegressor.from_formula("y ~ x | age", data, gate_at=request.param, **HOW)
    return request.param, moe, flat, MoERegressor.from_formula("y ~ x | age", flat, **HOW)


class TestFit:
    def test_it_is_the_fit_to_columns_that_are_written_out(self, fits):
        _, moe, _, plain = fits
        assert np.array_equal(moe.fit_.theta, plain.fit_.theta)
        assert moe.log_likelihood_ == plain.log_likelihood_
        assert moe.tidy().columns == plain.tidy().columns
        for cov in ("observed", "sandwich"):
            assert moe.inference(cov).columns == plain.inference(cov).columns

    def test_arrays_and_a_gate_that_shares_the_experts_columns(self, fits, data):
        word, *_ = fits
        flat = read_at(data, word, ["x", "age"])
        X = np.column_stack([data["x"], data["age"]])
        wide = np.column_stack([X, flat["x"], flat["age"]])
        given = {"groups": data["person"]}
        moe = MoERegressor(random_state=0, n_starts=3, gate_at=word).fit(X, data["y"], **given)
        plain = MoERegressor(random_state=0, n_starts=3, gate_features=[2, 3], expert_features=[0, 1])
        if word == "first":  # means of x are rounded
            assert np.array_equal(moe.fit_.theta, plain.fit(wide, data["y"], **given).fit_.theta)
        else:
            plain.fit(wide, data["y"], **given)
            assert moe.log_likelihood_ == pytest.approx(plain.log_likelihood_, rel=1e-10)

    def test_constant_columns_are_read_alike_to_the_last_bit(self, data):
        rng = np.random.default_rng(0)
        own = dict(zip(np.unique(data["person"]), rng.standard_normal(PEOPLE), strict=True))
        flat = {**data, "age": np.array([own[p] for p in data["person"]])}
        thetas = [
            MoERegressor.from_formula("y ~ x | age", flat, gate_at=word, n_starts=2, **HOW).fit_.theta
            for word in ("constant", "first", "mean")
        ]
        assert np.array_equal(thetas[0], thetas[1]) and np.array_equal(thetas[0], thetas[2])

    def test_classes_weights_and_a_sweep(self, fits, data):
        word, _, flat, _ = fits
        w = np.array([1.0 + (p in ("p1", "p2")) for p in data["person"]])
        thetas = []
        for frame, gate_at in ((data, word), (flat, "constant")):
            frame = {**frame, "up": (frame["y"] > 0).astype(int)}
            moe = MoEClassifier(formula="up ~ x | age", gate_at=gate_at, n_starts=2, random_state=0)
            thetas.append(moe.fit(frame, groups="person", sample_weight=w).fit_.theta)
        assert np.array_equal(*thetas)
        found = select_experts("y ~ x | age", data, n_experts=[1, 2], gate_at=word, **HOW)
        plain = select_experts("y ~ x | age", flat, n_experts=[1, 2], **HOW)
        assert found.table.columns == plain.table.columns

    def test_groups_of_one_row(self, data):
        ids = np.arange(len(data["y"]))
        a = MoERegressor.from_formula("y ~ x | age", data, n_starts=2, random_state=0)
        b = MoERegressor.from_formula(
            "y ~ x | age", data, groups=ids, gate_at="mean", n_starts=2, random_state=0
        )
        assert np.array_equal(a.fit_.theta, b.fit_.theta)


class TestAnswers:
    def test_posteriors_and_densities(self, fits, data):
        _, moe, flat, plain = fits
        for per in ("row", "group"):
            given = {"groups": "person", "per": per}
            np.testing.assert_array_equal(
                moe.responsibilities(data, **given), plain.responsibilities(flat, **given)
            )
        density = moe.log_density(data, groups="person")
        np.testing.assert_array_equal(density, plain.log_density(flat, groups="person"))
        assert density.sum() == pytest.approx(moe.log_likelihood_, rel=1e-10)

    def test_groups_without_a_history_are_read_together(self, fits, data):
        _, moe, flat, plain = fits
        np.testing.assert_allclose(moe.predict(data, groups="person"), plain.predict(flat), rtol=1e-12)
        np.testing.assert_array_equal(moe.predict(data), plain.predict(data))  # each row by itself

    def test_a_history_is_where_a_group_is_read(self, fits, data):
        """The weights are then the responsibilities of the rows that were seen."""
        _, moe, _, _ = fits
        new = {"x": np.zeros(3), "age": np.array([9.0, -9.0, 0.5]), "person": np.array(["p0", "p1", "new"])}
        given = moe.predict(new, groups="person", history=(data, None, "person"))
        at = [int(np.flatnonzero(data["person"] == p)[0]) for p in ("p0", "p1")]
        r = moe.responsibilities(data, groups="person")[at]
        np.testing.assert_allclose(given[:2], r @ moe.measure_.intercepts[:, 0], rtol=1e-9)
        assert given[2] == pytest.approx(moe.predict(new)[2], rel=1e-12)

    def test_a_model_keeps_the_word(self, fits, data, tmp_path):
        word, moe, _, plain = fits
        moe.save(tmp_path / "m.json")
        again = moestro.load_model(tmp_path / "m.json")
        assert again.gate_at == word and again.summary() == moe.summary()
        np.testing.assert_array_equal(
            again.log_density(data, groups="person"), moe.log_density(data, groups="person")
        )
        line = next(t for t in moe.summary().splitlines() if t.startswith("Groups"))
        assert f"gate read at the {word}" in line
        assert "gate read at" not in plain.summary()
        text = (tmp_path / "m.json").read_text().replace(f'"gate_at": "{word}"', '"gate_at": "last"', 1)
        (tmp_path / "m.json").write_text(text)
        with pytest.raises(DataError, match="gate_at"):
            moestro.load_model(tmp_path / "m.json")


class TestRefusals:
    def test_words_and_groups(self, data):
        for word in ("last", None, 1):
            with pytest.raises(DataError, match=r"gate_at=.* choose one of constant, first, mean"):
                MoERegressor.from_formula("y ~ x | age", data, gate_at=word, **HOW)
        for fit in (MoERegressor.from_formula, select_experts):
            with pytest.raises(DataError, match="gate_at='first' says where the gate reads a group"):
                fit("y ~ x | age", data, gate_at="first")
        for how in ({}, {"groups": "person"}):
            moe = MoERegressor(formula="y ~ x | age", penalty="l1", gate_at="mean")
            with pytest.raises(DataError, match="groups"):
                moe.fit(data, **how)
        with pytest.raises(TypeError, match="gate_at"):
            MoERegressorCV(gate_at="first")

    def test_columns_that_vary_name_the_remedy(self, data):
        with pytest.raises(DataError, match=r"'age' varies within the group 'p\d+'.*gate_at='first'"):
            MoERegressor.from_formula("y ~ x | age", data, **HOW)

    def test_a_mean_beyond_double_precision(self, data):
        age = np.where(np.arange(len(data["age"])) % 2, 1.7e308, -1.7e308)
        with pytest.raises(DataError, match="'age' is too large"):
            MoERegressor.from_formula("y ~ x | age", {**data, "age": age}, gate_at="mean", **HOW)


class TestCommand:
    @staticmethod
    def run(*words):
        return CliRunner().invoke(main, [str(w) for w in words])

    def test_fit_and_predict(self, fits, data, tmp_path):
        word, moe, _, _ = fits
        file, model = tmp_path / "visits.csv", tmp_path / "m.json"
        rows = zip(*(np.asarray(v).tolist() for v in data.values()), strict=True)
        file.write_text("\n".join([",".join(data), *(",".join(map(str, row)) for row in rows)]) + "\n")
        given = ("fit", file, "-f", "y ~ x | age", "-k", 2)
        out = self.run(*given, "--groups", "person", "--gate-at", word, "--out", model)
        assert out.exit_code == 0, out.output
        assert "gate read at the" in out.output
        assert moestro.load_model(model).gate_at == word
        for extra in ((), ("--history", file)):
            out = self.run("predict", model, file, "--groups", "person", *extra)
            assert out.exit_code == 0, out.output
            history = {"history": (data, None, "person")} if extra else {}
            first = float(out.output.splitlines()[1].split(",")[0])
            assert first == pytest.approx(moe.predict(data, groups="person", **history)[0], rel=1e-6)
        out = self.run(*given, "--gate-at", word)
        assert out.exit_code == 2 and "says where the gate reads a group" in out.output
        out = self.run(*given, "--gate", "gaussian", "--gate-at", word)
        assert out.exit_code == 2 and "--gate-at" in out.output
