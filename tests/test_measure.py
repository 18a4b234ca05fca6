"""The mixing measure: frozen, canonical, mergeable, and its JSON."""

import json

import numpy as np
import pytest

from conftest import three_classes
from moestro import DataError, MixingMeasure, MoEClassifier


def measure(k=3, seed=0):
    rng = np.random.default_rng(seed)
    return MixingMeasure(
        log_weights=rng.standard_normal(k),
        gate_slopes=rng.standard_normal((k, 2)),
        intercepts=rng.standard_normal((k, 1)),
        slopes=rng.standard_normal((k, 1, 2)),
        nuisances=rng.standard_normal((k, 1)),
        family="gaussian",
        expert_names=("a", "b"),
        gate_names=("a", "b"),
    )


def test_arrays_cannot_be_written():
    with pytest.raises(ValueError, match="read-only"):
        measure().log_weights[0] = 1.0


def test_json_gives_the_same_bits_back():
    m = measure()
    again = MixingMeasure.from_json(m.to_json())
    for name in ("log_weights", "gate_slopes", "intercepts", "slopes", "nuisances"):
        assert np.array_equal(getattr(m, name), getattr(again, name))
    assert again.expert_names == m.expert_names


def test_json_of_a_fit_and_of_no_columns():
    x, y = three_classes()
    model = MoEClassifier(n_experts=2, gate_features=[], random_state=0).fit(x, y)
    again = MixingMeasure.from_json(model.measure_.to_json())
    assert again.gate_slopes.shape == (2, 0)
    assert again.classes == ("a", "b", "c")
    codes = np.searchsorted(model.classes_, y).astype(float)
    np.testing.assert_allclose(
        again.log_density(x, codes, np.empty((len(x), 0))), model.log_density(x, y), rtol=1e-9
    )


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": "moestro.measure/1"}', '"x"'])
def test_damaged_json_is_refused(text):
    with pytest.raises(DataError, match="mixing measure"):
        MixingMeasure.from_json(text)


def test_wrong_family_in_json_is_refused():
    data = json.loads(measure().to_json())
    data["family"] = "os.system"
    with pytest.raises(DataError, match=r"os\.system"):
        MixingMeasure.from_dict(data)


def test_shapes_must_agree():
    with pytest.raises(DataError, match="agree"):
        MixingMeasure(
            np.zeros(2), np.zeros((2, 1)), np.zeros((3, 1)), np.zeros((2, 1, 1)), np.zeros((2, 1)), "gaussian"
        )


def test_canonical_is_a_fixed_point_and_keeps_the_law():
    m = measure()
    c = m.canonical()
    assert c.log_weights[-1] == 0
    assert not c.gate_slopes[-1].any()
    x, y = np.random.default_rng(1).standard_normal((20, 2)), np.zeros(20)
    np.testing.assert_allclose(c.log_density(x, y), m.log_density(x, y), rtol=1e-12)


def test_merging_copies_of_one_atom_changes_nothing():
    m = measure(2)
    twice = m.permute([0, 1, 1])
    twice = MixingMeasure(
        np.array(twice.log_weights) - [0, np.log(2), np.log(2)], twice.gate_slopes, twice.intercepts,
        twice.slopes,
        twice.nuisances, "gaussian",
    )  # fmt: skip
    merged = twice.merge(2, 1)
    np.testing.assert_allclose(merged.atoms(), m.atoms(), rtol=1e-12)
    np.testing.assert_allclose(merged.log_weights, m.log_weights, rtol=1e-12)
    with pytest.raises(DataError, match="different"):
        m.merge(1, 1)


def test_merging_keeps_two_moments():
    m = MixingMeasure(
        np.log([0.3, 0.7]),
        np.zeros((2, 0)),
        [[1.0], [4.0]],
        np.zeros((2, 1, 0)),
        np.log([[0.5], [2.0]]),
        "gaussian",
    )
    one = m.merge(0, 1)
    mean = 0.3 * 1 + 0.7 * 4
    assert one.intercepts[0, 0] == pytest.approx(mean)
    assert one.variances[0] == pytest.approx(0.3 * (0.5 + 1) + 0.7 * (2 + 16) - mean**2)


def test_samples_follow_the_gate():
    m = measure(2)
    x = np.zeros((100_000, 2))
    y, atom = m.sample(x, np.random.default_rng(0))
    assert atom.mean() == pytest.approx(m.gate_proba(x[:1])[0, 1], abs=0.01)
    assert y[atom == 0].mean() == pytest.approx(m.intercepts[0, 0], abs=0.02)
