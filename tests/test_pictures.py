"""Pictures with the data beneath: what is drawn is what the fit says, compared with the artists' numbers."""

import itertools

import numpy as np
import pytest
from scipy.stats import norm

from conftest import three_classes, two_lines
from moestro import DataError, LocatedMoERegressor, MoEClassifier, MoERegressor

pytest.importorskip("matplotlib")
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from moestro.plots import (
    CalibrationDisplay,
    ExpertDisplay,
    FanDisplay,
    FitDisplay,
    ForestDisplay,
    GateDisplay,
    GateMapDisplay,
    PosteriorDisplay,
    ProfileDisplay,
    ResidualDisplay,
)
from moestro.plots.base import COLORS, blended

FEW = {"random_state": 0, "n_starts": 2}
NAMES = ["$x_{1$ <script>", "😀" * 40]


def two_columns():
    import pandas

    x, y = two_lines()
    return pandas.DataFrame(
        {NAMES[0]: x[:, 0], NAMES[1]: np.random.default_rng(5).standard_normal(len(y))}
    ), y


FITS = {
    "numbers": lambda: MoERegressor(2, **FEW).fit(*two_columns()),
    "classes": lambda: MoEClassifier(2, **FEW).fit(*three_classes()),
    "located": lambda: LocatedMoERegressor(2, **FEW).fit(*two_columns()),
    "counts": lambda: MoERegressor(2, family="poisson", **FEW).fit(
        two_columns()[0], np.floor(np.exp(np.clip(two_lines()[1], -2, 2)))
    ),
}


@pytest.fixture(scope="module")
def fits():
    return {name: make() for name, make in FITS.items()}


@pytest.fixture
def ax():
    return Figure().subplots()


def seen(moe):
    rows = moe._found.rows
    x = getattr(rows, "inputs", getattr(rows, "x", None))
    return np.asarray(x), rows.y


@pytest.mark.parametrize("name", FITS)
def test_lines_of_the_experts_over_rows_in_their_colours(name, fits, ax):
    moe = fits[name]
    drawn = FitDisplay.from_estimator(moe, ax=ax)
    x, y = seen(moe)
    column = x[:, list(moe._fitted().design.expert_names).index(drawn.term)]
    points = ax.collections[0].get_offsets()
    np.testing.assert_allclose(points[:, 0], column)
    r = moe._posterior(x, None, y)
    np.testing.assert_allclose(ax.collections[0].get_facecolors()[:, :3], blended(r), atol=1e-12)
    if name == "classes":
        np.testing.assert_array_equal(points[:, 1] > 0.5, y == 0)
    else:
        np.testing.assert_allclose(points[:, 1], np.ravel(y))
    for e in range(2):
        np.testing.assert_allclose(ax.lines[2 * e + 1].get_ydata(), drawn.means[:, e])
        assert ax.lines[2 * e + 1].get_color() == COLORS[e]
    low, high = ax.get_ylim()
    assert low <= points[:, 1].min() <= points[:, 1].max() <= high


@pytest.mark.parametrize("name", ["numbers", "classes"])
def test_lines_end_where_the_rows_do_and_the_legend_hides_nothing(name, fits, ax):
    for display in (GateDisplay, ExpertDisplay):
        line = display.from_estimator(fits[name], ax=Figure().subplots())
        x = fits[name]._rows(None, None, None, None, "this test")[0]
        own = x[:, list(fits[name]._fitted().design.expert_names).index(line.term)]
        assert (line.values[0], line.values[-1]) == pytest.approx((own.min(), own.max()))
    for display in (FitDisplay, FanDisplay, ForestDisplay, ProfileDisplay, PosteriorDisplay, GateMapDisplay):
        if display is GateMapDisplay and name == "classes":
            continue  # one column
        ax = Figure().subplots()
        drawn = display.from_estimator(fits[name], ax=ax)
        if display in (FitDisplay, FanDisplay):
            x = fits[name]._rows(None, None, None, None, "this test")[0]
            seen = x[:, list(fits[name]._fitted().design.expert_names).index(drawn.term)]
            assert (drawn.values[0], drawn.values[-1]) == pytest.approx((seen.min(), seen.max()))
        ax.figure.draw_without_rendering()
        key, title = (a.get_window_extent() for a in (ax.get_legend(), ax.title))
        assert ax.get_window_extent().y1 <= key.y0 < key.y1 <= title.y0 + 1


def test_an_end_of_an_interval_is_no_number_of_trials(ax):
    """Rows beyond 4 are drawn at 4, where they were last seen, and lines at the law's own means."""
    x, rng = two_lines(60)[0], np.random.default_rng(3)
    y = rng.weibull(1.5, 60) * np.exp(1 + 0.5 * x[:, 0])
    ends = np.column_stack([np.minimum(y, 4.0), np.where(y > 4.0, np.inf, y)])
    moe = MoERegressor(1, family="weibull").fit(x, ends)
    drawn = FitDisplay.from_estimator(moe, ax=ax)
    np.testing.assert_allclose(ax.collections[0].get_offsets()[:, 1], ends[:, 0])
    np.testing.assert_allclose(drawn.means[:, 0], moe.predict(drawn.values[:, None]))


def test_a_certain_row_has_the_colour_of_its_expert():
    np.testing.assert_allclose(blended(np.eye(3)), [to_rgb(c) for c in COLORS[:3]], atol=1e-12)


@pytest.mark.parametrize("name", ["numbers", "located", "counts"])
def test_a_fan_is_made_of_quantiles(name, fits, ax):
    moe = fits[name]
    drawn = FanDisplay.from_estimator(moe, ax=ax)
    model = moe._fitted()
    x = np.tile(np.zeros(2), (201, 1))
    if name == "located":
        x += model.measure.weights @ model.measure.means
    else:
        x += model.units.x_scaling.center
    x[:, list(model.design.expert_names).index(drawn.term)] = drawn.values
    law = model.distribution(x, None)
    np.testing.assert_allclose(drawn.quantiles, law.quantile([0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975]))
    np.testing.assert_allclose(ax.lines[0].get_ydata(), law.quantile(0.5))


def test_a_fan_of_classes_sums_to_one(fits, ax):
    drawn = FanDisplay.from_estimator(fits["classes"], ax=ax)
    np.testing.assert_allclose(drawn.proba.sum(axis=1), 1)
    assert len(ax.collections) == 3


@pytest.mark.parametrize("name", FITS)
def test_a_forest_has_the_table_per_standard_deviation(name, fits, ax):
    moe = fits[name]
    drawn = ForestDisplay.from_estimator(moe, ax=ax)
    table = [r for r in moe.inference().rows() if r["part"] == "expert" and r["z"] is not None]
    spread = dict(zip(moe._fitted().design.expert_names, seen(moe)[0].std(axis=0), strict=True))
    rows = [r for r in table if r["term"] in spread]
    for i, r in enumerate(rows):
        s = spread[r["term"]]
        assert drawn.experts[i] == r["component"] - 1
        expected = [s * r[n] for n in ("estimate", "low", "high")]
        rtol = 1e-4 if name == "located" else 1e-9  # whose columns are as wide as the model says
        np.testing.assert_allclose([drawn.values[i], drawn.low[i], drawn.high[i]], expected, rtol=rtol)
    assert len(drawn.values) == len(rows) == sum(len(line.get_xdata()) for line in ax.lines[:-1])


def test_profiles_are_means_in_standard_deviations(fits, ax):
    moe = fits["numbers"]
    drawn = ProfileDisplay.from_estimator(moe, ax=ax)
    x, y = seen(moe)
    every, r = np.column_stack([x, y]), moe._posterior(x, None, y)
    assert drawn.variables == [*NAMES, "y"]
    means = r.T @ every / r.sum(axis=0)[:, None]
    np.testing.assert_allclose(drawn.means, (means - every.mean(axis=0)) / every.std(axis=0), atol=1e-10)
    np.testing.assert_allclose(ax.lines[1].get_xdata(), drawn.means[0])


def test_posteriors_are_counted(fits, ax):
    moe = fits["numbers"]
    drawn = PosteriorDisplay.from_estimator(moe, ax=ax)
    x, y = seen(moe)
    r = moe._posterior(x, None, y)
    np.testing.assert_array_equal(drawn.weights[0], np.histogram(r[:, 0], drawn.edges)[0])
    np.testing.assert_allclose([bar.get_height() ** 2 for bar in ax.patches[:10]], drawn.weights[0])


@pytest.mark.parametrize("name", ["numbers", "classes", "located"])
def test_a_map_is_the_gate(name, fits, ax):
    moe = fits[name]
    drawn = GateMapDisplay.from_estimator(moe, ax=ax)
    names = list(moe._fitted().design.expert_names)
    X = np.empty((80 * 80, 2))
    for term, grid in zip(drawn.terms, np.meshgrid(*drawn.grids), strict=True):
        X[:, names.index(term)] = grid.ravel()
    np.testing.assert_allclose(
        drawn.weights.reshape(-1, 2), np.exp(moe._fitted().log_gate(X, None)), atol=1e-12
    )
    np.testing.assert_allclose(ax.images[0].get_array(), 1 - 0.55 * (1 - blended(drawn.weights)))


@pytest.mark.parametrize("kind", ["qq", "worm"])
def test_residuals_are_those_of_the_estimator(kind, fits, ax):
    moe = fits["numbers"]
    drawn = ResidualDisplay.from_estimator(moe, kind=kind, ax=ax)
    own = np.sort(moe.quantile_residuals(*two_columns()))
    theory = norm.ppf((np.arange(1, 201) - 0.5) / 200)
    np.testing.assert_allclose(ax.lines[1].get_xdata(), theory)
    np.testing.assert_allclose(ax.lines[1].get_ydata(), own - (theory if kind == "worm" else 0))
    assert (drawn.low < theory).all()
    assert (theory < drawn.high).all()


def test_calibration_of_intervals_and_of_classes(fits, ax):
    moe = fits["numbers"]
    drawn = CalibrationDisplay.from_estimator(moe, ax=ax)
    X, y = two_columns()
    low, high = moe.predict_distribution(X).interval(0.5)
    at = np.argmin(np.abs(drawn.predicted[0] - 0.5))
    assert drawn.observed[0][at] == pytest.approx(np.mean((low <= y) & (y <= high)))
    classes = CalibrationDisplay.from_estimator(fits["classes"], ax=Figure().subplots())
    p, (_, y) = fits["classes"].predict_proba(three_classes()[0])[:, 0], three_classes()
    order = np.argsort(p, kind="stable")
    np.testing.assert_allclose(classes.predicted[0], p[order].reshape(10, 30).mean(axis=1))
    np.testing.assert_allclose(classes.observed[0], (y[order] == "a").reshape(10, 30).mean(axis=1))
    assert (classes.low[0] <= classes.observed[0]).all()


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("display", [FitDisplay, FanDisplay, ForestDisplay, ProfileDisplay, GateMapDisplay])
def test_any_name_is_drawn_as_text(display, fits, ax):
    figure = display.from_estimator(fits["numbers"], ax=ax).figure_
    figure.canvas.draw()
    texts = [t.get_text() for t in (ax.xaxis.label, ax.yaxis.label, *ax.get_yticklabels())]
    assert any(r"\$x_{1\$" in t for t in texts)


def test_other_rows_and_what_cannot_be_drawn(fits, ax):
    moe = fits["numbers"]
    X, y = two_columns()
    drawn = FitDisplay.from_estimator(moe, X[:50], y[:50], term=NAMES[1], ax=ax)
    np.testing.assert_allclose(drawn.points, np.column_stack([X[NAMES[1]][:50], y[:50]]))
    with pytest.raises(DataError, match="no column 'no'"):
        FitDisplay.from_estimator(moe, term="no", ax=ax)
    with pytest.raises(DataError, match="no outcome 'd': these are a, b, c"):
        FitDisplay.from_estimator(fits["classes"], outcome="d", ax=ax)
    with pytest.raises(DataError, match="two columns"):
        GateMapDisplay.from_estimator(MoERegressor(2, **FEW).fit(*two_lines()), ax=ax)
    with pytest.raises(DataError, match="expected a fitted"):
        PosteriorDisplay.from_estimator(object(), ax=ax)
    with pytest.raises(DataError, match="qq or worm"):
        ResidualDisplay.from_estimator(moe, kind="x", ax=ax)


# What people with one kind of cone less see, in linear RGB (Machado, Oliveira and Fernandes, 2009).
SEEN = {
    "all cones": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
        [-0.01182, 0.04294, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.3039],
    ],
}  # fmt: skip


def lab(rgb):
    """CIE Lab of linear RGB under D65."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    t = to_xyz @ np.clip(rgb, 0, 1) / [0.9505, 1.0, 1.089]
    f = np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("kind", SEEN)
def test_colours_are_told_apart_by_everybody(kind):
    """Ten units of Lab are far more than the two that a trained eye needs; white paper is a colour too."""
    linear = [
        np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
        for c in map(np.array, map(to_rgb, (*COLORS, "white")))
    ]
    seen = [lab(np.array(SEEN[kind]) @ c) for c in linear]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 10
