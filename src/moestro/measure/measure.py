"""The mixing measure: weights and atoms of a mixture of experts, the object that theory speaks about.

    G = sum_i exp(beta_0i) delta_(beta_1i, expert i)

Two measures give one conditional density when they differ by a permutation and, under a softmax gate, by a
translation (beta_0 + t_1, beta_1 + t_2) of all atoms.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..distribution import PredictiveDistribution
from ..errors import DataError
from ..experts import Family, Mixed, known_as, make_family
from ..gates import Gate, make_gate
from ..model import Model
from ..reading import parse_json
from .written import ARRAYS, from_dict, to_dict


@dataclass(frozen=True)
class MixingMeasure:
    """Atoms and weights, in the units of the columns that they multiply.

    Attributes
    ----------
    log_weights : ndarray of shape (k,)
        beta_0.
    gate_slopes : ndarray of shape (k, e)
        beta_1, e gate columns.
    intercepts : ndarray of shape (k, m)
        Intercept of each of the m linear predictors of an expert.
    slopes : ndarray of shape (k, m, d)
        Slopes on the d expert columns.
    nuisances : ndarray of shape (k, nu)
        log(variance) for Gaussian experts; no columns for the other families.
    family : str or Family
        By its name; a family of one's own as an object, which no file holds.
    gate : str
    gate_parameters : ndarray
        What all atoms share in the gate, as its `shared` names it: log(temperature). Zeros by default.
    gate_options : mapping
        How the gate is made: ``{"top_k": 1, "rank_on": "score"}``.
    expert_names, gate_names : tuple of str
        Empty where the columns have no names.
    classes : tuple
        Class labels; the last is the reference. Empty for a regression.
    """

    log_weights: np.ndarray
    gate_slopes: np.ndarray
    intercepts: np.ndarray
    slopes: np.ndarray
    nuisances: np.ndarray
    family: str | Family
    gate: str = "softmax"
    gate_parameters: np.ndarray = field(default_factory=lambda: np.zeros(0))
    gate_options: Mapping[str, Any] = field(default_factory=dict)
    expert_names: tuple[str, ...] = ()
    gate_names: tuple[str, ...] = ()
    classes: tuple = ()

    def __post_init__(self) -> None:
        for name in ARRAYS:
            value = np.array(getattr(self, name), dtype=float)
            value.setflags(write=False)
            object.__setattr__(self, name, value)
        gate = self.make_gate()
        shared = np.array(self.gate_parameters, dtype=float)
        shared = np.zeros(len(gate.shared)) if shared.size == 0 else shared
        if shared.shape != (len(gate.shared),):
            raise DataError(
                f"the {self.gate} gate has {len(gate.shared)} shared parameters, got {shared.size}"
            )
        shared.setflags(write=False)
        object.__setattr__(self, "gate_parameters", shared)
        k = self.k
        shapes = (
            self.gate_slopes.shape[:1],
            self.intercepts.shape[:1],
            self.slopes.shape[:1],
            self.nuisances.shape[:1],
        )
        if (
            self.slopes.ndim != 3
            or any(s != (k,) for s in shapes)
            or self.slopes.shape[1] != self.intercepts.shape[1]
        ):
            raise DataError(
                "the arrays of a mixing measure must agree: (k,), (k, e), (k, m), (k, m, d), (k, nu)"
            )

    @property
    def k(self) -> int:
        """Number of atoms."""
        return len(self.log_weights)

    @property
    def gate_translations(self) -> tuple[str, ...]:
        """Which of "weights" (beta_0 + t1) and "slopes" (beta_1 + t2) may be translated without changing the
        gate."""
        return self.make_gate().translations

    def make_gate(self) -> Gate:
        """The gate of this measure."""
        return make_gate(self.gate, **self.gate_options)

    @property
    def law(self) -> Family:
        """The family of the experts."""
        classes = max(self.intercepts.shape[1] + 1, self.nuisances.shape[1] + 2)  # without and with an order
        return make_family(self.family, classes=classes)

    @property
    def variances(self) -> np.ndarray:
        """Variances (k,) of Gaussian experts."""
        if not self.law.has_variance:
            raise DataError(f"{self.law.name} experts have no variance parameter")
        return np.exp(self.nuisances[:, 0])

    def components(self) -> dict[str, np.ndarray]:
        """What an atom is made of, by name, each (k, ...): the weight is not part of it, a variance is no
        logarithm."""
        out = {"gate_slopes": self.gate_slopes, "intercepts": self.intercepts, "slopes": self.slopes}
        if self.law.has_variance:
            out["variances"] = np.exp(self.nuisances)
        return out

    def atoms(self) -> np.ndarray:
        """One row an atom: (beta_1, intercepts, slopes, variance), the weight not included, shape (k, D)."""
        return np.concatenate([a.reshape(self.k, -1) for a in self.components().values()], axis=1)

    def translate(self, t1: float, t2: np.ndarray | float) -> MixingMeasure:
        """The same density under a softmax gate: beta_0 + t1, beta_1 + t2."""
        return replace(self, log_weights=self.log_weights + t1, gate_slopes=self.gate_slopes + t2)

    def permute(self, order: Sequence[int]) -> MixingMeasure:
        """The same measure with atom order[i] in place i."""
        at, members = np.asarray(order), self.law.members
        family = known_as(Mixed(tuple(members[i] for i in at))) if members else self.family
        return replace(self, family=family, **{name: getattr(self, name)[at] for name in ARRAYS})

    def canonical(self) -> MixingMeasure:
        """The representative with the last atom's gate at zero, as far as the gate may be translated."""
        t1 = -self.log_weights[-1] if "weights" in self.gate_translations else 0.0
        t2 = -self.gate_slopes[-1] if "slopes" in self.gate_translations else 0.0
        return self.translate(t1, t2)

    def merge(self, i: int, j: int) -> MixingMeasure:
        """Atoms i and j replaced by one in place min(i, j): weights add, the rest is averaged by weight.

        A Gaussian variance gains the spread of the intercepts, so that the merged atom keeps the first two
        moments at the origin of x.
        """
        if i == j:
            raise DataError("merge needs two different atoms")
        if self.law.members:
            raise DataError("atoms of experts of several families do not merge: they have no average")
        i, j = min(i, j), max(i, j)
        pair = self.log_weights[[i, j]]
        total = np.logaddexp(*pair)
        a, b = np.exp(pair - total)

        def mean(v: np.ndarray) -> np.ndarray:
            return a * v[i] + b * v[j]

        keep = [h for h in range(self.k) if h != j]
        out = {name: np.array(getattr(self, name))[keep] for name in ARRAYS}
        out["log_weights"][i] = total
        for name in ("gate_slopes", "intercepts", "slopes"):
            out[name][i] = mean(getattr(self, name))
        if self.law.has_variance:
            spread = a * b * float((self.intercepts[i, 0] - self.intercepts[j, 0]) ** 2)
            out["nuisances"][i] = np.log(mean(np.exp(self.nuisances)) + spread)
        return replace(self, **out)

    # Density

    def model(self) -> tuple[Model, np.ndarray]:
        """The model and parameter vector that this measure is, for rows of plain features."""
        canonical = self.canonical()
        model = Model(
            self.make_gate(), self.law, self.k, self.gate_slopes.shape[1] + 1, self.slopes.shape[2] + 1
        )
        gate = np.column_stack([canonical.log_weights, canonical.gate_slopes])[: model.n_gate]
        experts = np.concatenate([self.intercepts[:, :, None], self.slopes], axis=2)
        return model, model.pack(gate, experts, self.nuisances, self.gate_parameters)

    def log_density(
        self, x: np.ndarray, y: np.ndarray, z: np.ndarray | None = None, offset: np.ndarray | None = None
    ) -> np.ndarray:
        """log p(y | x), shape (n,). x (n, d), gate columns z (n, e), by default x; y holds class indices or
        numbers; offset (n,) of the experts' predictors."""
        model, theta = self.model()
        x1, z1 = _with_constant(x), None if z is None else _with_constant(z)
        known = None if offset is None else np.reshape(offset, (-1, 1))
        return model.log_density(theta, x1 if z1 is None else z1, x1, np.asarray(y, dtype=float), known)

    def conditional(
        self, x: np.ndarray, z: np.ndarray | None = None, offset: np.ndarray | None = None
    ) -> PredictiveDistribution:
        """The law of y at each row of x (n, d), gate columns z (n, e), by default x, and offset (n,)."""
        model, theta = self.model()
        x1 = _with_constant(x)
        z1 = x1 if z is None else _with_constant(z)
        eta = model.predictors(theta, x1, None if offset is None else np.reshape(offset, (-1, 1)))
        return PredictiveDistribution(model.family, model.log_gate(theta, z1), eta)

    def gate_proba(self, z: np.ndarray) -> np.ndarray:
        """Gate weights (n, k) at gate columns z (n, e)."""
        model, theta = self.model()
        return np.exp(model.log_gate(theta, _with_constant(z)))

    def sample(
        self, x: np.ndarray, rng: np.random.Generator, z: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Responses (n,) and the atoms (n,) that produced them."""
        model, theta = self.model()
        x1 = _with_constant(x)
        return model.sample(theta, x1 if z is None else _with_constant(z), x1, rng)

    # JSON

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, numbers and strings."""
        return to_dict(self)

    def to_json(self) -> str:
        """JSON text; `from_json` gives the same numbers back to the last bit."""
        return json.dumps(self.to_dict(), indent=1)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> MixingMeasure:
        """Inverse of `to_dict`."""
        return from_dict(cls, data)

    @classmethod
    def from_json(cls, text: str) -> MixingMeasure:
        """Inverse of `to_json`."""
        return cls.from_dict(parse_json(text, "the mixing measure"))


def _with_constant(x: np.ndarray) -> np.ndarray:
    x = np.asarray(x, dtype=float)
    return np.column_stack([np.ones(len(x)), x])
