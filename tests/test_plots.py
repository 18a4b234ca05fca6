"""Displays draw what they compute."""

import numpy as np
import pytest

from conftest import three_classes, two_lines
from moestro import DataError, LocatedMoERegressor, MoEClassifier, MoERegressor, load_model

pytest.importorskip("matplotlib")
from matplotlib.figure import Figure

from moestro.plots import (
    CriteriaDisplay,
    DendrogramDisplay,
    ExpertDisplay,
    GateDisplay,
    JumpDisplay,
    PathDisplay,
    RoutingDisplay,
    SearchDisplay,
    SlopeDisplay,
    StabilityDisplay,
    overview,
)


@pytest.fixture(scope="module")
def regressor():
    return MoERegressor(n_experts="bic", max_experts=2, random_state=0).fit(*two_lines())


@pytest.fixture
def ax():
    return Figure().subplots()


def test_gate(regressor, ax):
    display = GateDisplay.from_estimator(regressor, ax=ax)
    assert display.term == "x0"
    np.testing.assert_allclose(display.weights, regressor.gate_proba(display.values[:, None]), rtol=1e-9)
    assert len(ax.lines) == 2
    assert display.figure_ is ax.figure


def test_experts(regressor, ax):
    display = ExpertDisplay.from_estimator(regressor, ax=ax)
    m = regressor.measure_
    np.testing.assert_allclose(
        display.means, m.intercepts[:, 0] + display.values[:, None] * m.slopes[:, 0, 0], rtol=1e-9
    )
    np.testing.assert_allclose(display.spread, np.tile(np.sqrt(m.variances), (201, 1)), rtol=1e-9)


def test_class_experts(ax):
    model = MoEClassifier(random_state=0).fit(*three_classes())
    display = ExpertDisplay.from_estimator(model, ax=ax)
    np.testing.assert_allclose(display.means.sum(axis=2), 1)
    assert len(ax.lines) == 6


def test_criteria(regressor, ax):
    CriteriaDisplay.from_estimator(regressor, ax=ax)
    np.testing.assert_allclose(ax.lines[1].get_ydata(), regressor.selection_["bic"])


@pytest.mark.parametrize(
    ("criterion", "display"),
    [("slope", JumpDisplay), ("ddse", SlopeDisplay), ("dendrogram", DendrogramDisplay)],
)
def test_how_many(criterion, display, ax):
    model = MoERegressor(criterion, max_experts=4, n_starts=4, random_state=0).fit(*two_lines())
    drawn = display.from_estimator(model, ax=ax)
    assert drawn.figure_ is ax.figure
    assert len(ax.lines) >= 2
    drawn.figure_.canvas.draw()
    with pytest.raises(DataError, match="n_experts="):
        display.from_estimator(MoERegressor())


def test_criteria_of_several_models(ax):
    table = (
        LocatedMoERegressor("cv", degree=[1, 2], max_experts=2, n_starts=2, random_state=0)
        .fit(*two_lines())
        .selection_
    )
    CriteriaDisplay(table).plot(ax=ax)
    assert [len(line.get_xdata()) for line in ax.lines[:4]] == [2, 2, 2, 2]


def test_unknown_terms_and_strangers_are_refused(regressor, ax):
    with pytest.raises(DataError, match="'x9'"):
        GateDisplay.from_estimator(regressor, "x9", ax=ax)
    with pytest.raises(DataError, match="fitted"):
        GateDisplay.from_estimator(object(), ax=ax)


def test_overview_of_a_model_without_columns(tmp_path):
    x, y = two_lines()
    model = MoERegressor(n_experts=1, expert_features=[], gate_features=[]).fit(x, y)
    overview(model._fitted(), model.selection_, str(tmp_path / "p.png"))
    assert (tmp_path / "p.png").stat().st_size > 0


def test_paths_and_stability(ax):
    from moestro import alpha_path, stability_selection

    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 6))
    y = 2 * x[:, 1] - x[:, 4] + rng.normal(size=120)
    path = alpha_path(x, y, n_experts=1, alphas=6, random_state=0)
    display = PathDisplay.from_estimator(path, ax=ax)
    assert display.sizes.shape == (6, 6)
    assert len(ax.lines) == int(display.sizes.any(axis=0).sum()) + 1
    assert {t.get_text() for t in ax.get_legend().get_texts()} == set(path.columns(path.chosen))
    with pytest.raises(DataError, match="with a penalty"):
        PathDisplay.from_estimator(MoERegressor())
    found = stability_selection(x, y, n_experts=1, alphas=4, n_subsamples=5, random_state=0)
    stable = StabilityDisplay.from_stability(found, ax=Figure().subplots())
    assert {t.get_text() for t in stable.ax_.get_legend().get_texts()} == set(found.stable())


def test_routing(ax):
    torch = pytest.importorskip("torch")
    from moestro.deep import RoutingStats, SparseMoE

    layer = SparseMoE(8, n_experts=4, top_k=2)
    with RoutingStats(layer) as stats:
        layer(torch.randn(50, 8))
    display = RoutingDisplay.from_stats(stats, ax=ax)
    np.testing.assert_allclose(display.loads.sum(axis=1), 1.0)
    assert "MI" in ax.get_yticklabels()[0].get_text()


SEARCHED = {
    "softmax": lambda: MoERegressor("bic", max_experts=2, random_state=0),
    "located, few starts": lambda: LocatedMoERegressor("bic", max_experts=2, n_starts=3, random_state=0),
}


@pytest.mark.parametrize("name", SEARCHED)
def test_every_estimator_is_drawn_and_so_is_its_file(name, tmp_path):
    x, y = two_lines()
    moe = SEARCHED[name]().fit(x, y)
    moe.save(tmp_path / "m.json")
    for fitted in (moe, load_model(tmp_path / "m.json")):
        drawn = SearchDisplay.from_estimator(fitted, ax=Figure().subplots())
        assert len(drawn.values) == len(moe.starts_)
        assert drawn.values.max() == pytest.approx(moe.log_likelihood_, abs=1e-5)
        CriteriaDisplay.from_estimator(fitted, ax=Figure().subplots())
        gate = GateDisplay.from_estimator(fitted, ax=Figure().subplots())
        np.testing.assert_allclose(gate.weights, moe.gate_proba(gate.values[:, None]), rtol=1e-9)
        experts = ExpertDisplay.from_estimator(fitted, ax=Figure().subplots())
        mixed = (gate.weights * experts.means).sum(axis=1)
        np.testing.assert_allclose(mixed, moe.predict(gate.values[:, None]), rtol=1e-9)
        overview(fitted._fitted(), fitted.selection_, str(tmp_path / "p.png"))


def test_search(regressor, ax):
    display = SearchDisplay.from_estimator(regressor, ax=ax)
    assert len(display.cost) == len(display.values) == len(regressor.starts_)
    assert display.values.max() == pytest.approx(regressor.log_likelihood_, abs=1e-6)
    assert "found" in ax.get_title()
    labels = [t.get_text() for t in ax.get_legend().get_texts()]
    assert [labels[0], labels[1], labels[-1]] == ["starts", "moves", "best so far"]
    assert len(labels) == 3 or labels[2] == "farther below"


class TestNotebook:
    @staticmethod
    def picture(shown):
        import base64
        import io

        import matplotlib.image as image

        head, _, rest = shown.partition("base64,")
        assert head == '<img src="data:image/png;'
        data, _, alt = rest.partition('" alt="')
        return image.imread(io.BytesIO(base64.b64decode(data))), alt

    @staticmethod
    def colours(pixels):
        return len(np.unique(np.rint(255 * pixels) @ 256.0 ** np.arange(pixels.shape[-1])))

    def test_a_display_shows_its_picture(self, regressor, ax):
        drawn = GateDisplay.from_estimator(regressor, ax=ax)
        pixels, alt = self.picture(drawn._repr_html_())
        assert self.colours(pixels) > 3  # lines, not white paper
        assert alt == ax.get_title() + '">'
        ax.set_title('<b> & "x"')
        assert self.picture(drawn._repr_html_())[1] == "&lt;b&gt; &amp; &quot;x&quot;" + '">'

    def test_one_that_was_not_drawn_is_drawn_apart_from_pyplot(self, regressor):
        import matplotlib.pyplot as plt

        before, display = plt.get_fignums(), CriteriaDisplay(regressor.selection_)
        pixels, _ = self.picture(display._repr_html_())
        assert self.colours(pixels) > 3
        assert plt.get_fignums() == before and display.figure_ is not None

    def test_what_pyplot_shows_is_not_shown_twice(self, regressor):
        import matplotlib

        matplotlib.use("agg")
        import matplotlib.pyplot as plt

        display = GateDisplay.from_estimator(regressor)
        assert display._repr_html_() is None
        plt.close(display.figure_)
        other = plt.figure(display.figure_.number)  # another that has its number
        assert self.picture(display._repr_html_())
        plt.close(other)


def test_runs_that_were_refused_and_those_far_below_are_marked(ax):
    values = np.array([-50.0, -10.0, *[-11.0] * 9, 300.0])
    display = SearchDisplay(np.arange(12.0), values, ["subsets"] * 12, "", taken=1).plot(ax=ax)
    drawn = {line.get_label(): line.get_xydata() for line in ax.lines}
    assert drawn["refused"].tolist() == [[11.0, 300.0]]
    assert drawn["farther below"][:, 0].tolist() == [0.0]
    assert ax.get_ylim()[0] < drawn["farther below"][0, 1] < ax.get_ylim()[1]
    assert drawn["best so far"][-1, 1] == -10.0
    assert len(drawn["starts"]) == 10
    assert not SearchDisplay(display.cost, values, display.strategies, "")._refused().any()
