"""Between the parameters of scaled columns and measures in the user's units."""

from __future__ import annotations

import numpy as np

from ..design.units import Units
from ..experts import known_as
from ..model import Model
from .measure import MixingMeasure


def to_user(model: Model, units: Units, theta: np.ndarray) -> np.ndarray:
    """Parameters of scaled columns, as those of the user's columns and response."""
    gate = units.z_scaling.to_user(model.gate_coefficients(theta))
    experts = units.x_scaling.to_user(model.expert_coefficients(theta)) * units.y_scale
    experts[:, :, 0] += units.y_center
    nuisances = model.nuisances(theta) + _nuisance_shift(model, units)
    return model.pack(gate, experts, nuisances, model.gate_shared(theta))


def from_user(model: Model, units: Units, theta: np.ndarray) -> np.ndarray:
    """Inverse of `to_user`: informed starts come in the user's units."""
    experts = np.array(model.expert_coefficients(theta))
    experts[:, :, 0] -= units.y_center
    return model.pack(
        units.z_scaling.from_user(model.gate_coefficients(theta)),
        units.x_scaling.from_user(experts / units.y_scale),
        model.nuisances(theta) - _nuisance_shift(model, units),
        model.gate_shared(theta),
    )


def _nuisance_shift(model: Model, units: Units) -> np.ndarray:
    """What the unit of the response adds to each nuisance of each expert, (k, nu)."""
    out = np.zeros((model.k, model.family.nuisances))
    for e in range(model.k):
        law = model.law(e)
        out[e, : law.nuisances] = law.nuisance_units
    return np.log(units.y_scale) * out


def user_jacobian(model: Model, units: Units) -> np.ndarray:
    """d to_user / d theta, shape (P, P): block-diagonal and constant."""
    out = np.eye(model.size)
    z, x = units.z_scaling.jacobian(), units.x_scaling.jacobian() * units.y_scale
    for t in range(model.n_gate):
        at = slice(t * model.q, (t + 1) * model.q)
        out[at, at] = z
    first = model.gate_size
    for t in range(model.k * model.m):
        at = slice(first + t * model.p, first + (t + 1) * model.p)
        out[at, at] = x
    return out


def relevelled(model: Model, user: np.ndarray) -> np.ndarray:
    """Parameters of the user's columns (P,), or rows of their derivatives (P, ...), with the gate against the
    expert that is told to people instead of the last one: its row is taken from the others'."""
    r = model.reference
    if not model.gate.reference or r == model.k - 1:
        return user
    size = model.n_gate * model.q
    rows = user[:size].reshape(model.n_gate, model.q, *user.shape[1:])
    rows = np.concatenate([rows, np.zeros_like(rows[:1])])
    return np.concatenate([np.delete(rows - rows[r], r, axis=0).reshape(user[:size].shape), user[size:]])


def measure_of(model: Model, units: Units, theta: np.ndarray) -> MixingMeasure:
    """The mixing measure of scaled parameters, in the user's units, last atom's gate at zero."""
    user = to_user(model, units, theta)
    gate = model.gate_rows(user)
    experts = model.expert_coefficients(user)
    return MixingMeasure(
        log_weights=gate[:, 0],
        gate_slopes=gate[:, 1:],
        intercepts=experts[:, :, 0],
        slopes=experts[:, :, 1:],
        nuisances=model.nuisances(user),
        family=known_as(model.family),
        gate=model.gate.name,
        gate_parameters=model.gate_shared(user),
        gate_options=model.gate.options(),
        expert_names=units.expert_names,
        gate_names=units.gate_names,
        classes=units.classes,
    )


def theta_of(measure: MixingMeasure, units: Units) -> np.ndarray:
    """Scaled parameters of a measure in the user's units."""
    model, theta = measure.model()
    return from_user(model, units, theta)
