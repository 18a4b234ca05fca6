"""Strange data and the words of an estimator: what somebody might pass by mistake, or because the data are
so."""

import importlib.util
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fuzz.beside import beside, inference
from fuzz.choices import Seeded
from fuzz.columns import SIZES, VALUES, columns
from fuzz.dress import PLACES, dressed, dressed_response, formula, frame, holes
from fuzz.responses import response
from fuzz.words import constraints, model

FILES = ("parquet", "arrow", "csv")  # places that pyarrow reads


@dataclass(frozen=True)
class Case:
    """What is fitted, and other rows of the same columns.

    Attributes
    ----------
    given : dict
        Words of `fit` beside X and y.
    inference : dict
        Words of `inference`.
    place : str
        Where the rows are, a name of `PLACES`; "" in memory.
    """

    estimator: Any
    words: dict[str, Any]
    X: Any
    y: Any
    new: Any
    given: dict[str, Any] = field(default_factory=dict)
    inference: dict[str, Any] = field(default_factory=dict)
    place: str = ""

    def __str__(self) -> str:
        plain = self.estimator().get_params()
        words = ", ".join(f"{k}={v!r}" for k, v in self.words.items() if v != plain[k])
        shape, dtype = np.shape(self.X), getattr(self.X, "dtype", type(self.X).__name__)
        beside = f" with {' and '.join(self.given)}" if self.given else ""
        where = f" from {self.place}" if self.place else ""
        asked = {k: v for k, v in self.inference.items() if np.ndim(v) == 0}
        return f"{self.estimator.__name__}({words}) on {shape} {dtype}{beside}{where}, asked {asked}"


def case(c: Seeded) -> Case:
    """A case from its choices."""
    n = c.pick(SIZES)
    X = columns(c, n)
    d = X.shape[1]
    estimator, words, kind = model(c)
    y = response(c, X, kind)
    whole, (X, y) = X, holes(c, X, y, words["missing"])
    given = beside(c, X, words)
    far = np.full((2, d), c.pick(VALUES[:-2]))
    new = np.vstack([whole[:2] / 1.5, far, c.generator().normal(size=(2, d))])
    plain = not {"penalty", "direction"} & set(words) or c.whole(1, 8) == 1  # the others take none
    place = c.pick(PLACES) if c.whole(1, 8) == 1 and plain and y.ndim == 1 and d else ""
    if place in FILES and importlib.util.find_spec("pyarrow") is None:
        place = ""
    if place:
        words["memory_limit"] = c.often(None, ("2GB", 5e8, "1kB"), 2)
        words["cache"] = c.pick((None, True, True, "no folder"))
        given = {n: v for n, v in given.items() if n == "sample_weight"}
        shown: tuple[Any, Any] = (frame(X), y)
    else:
        shown = (dressed(c, X), dressed_response(c, y))
    names = [f"c{j}" if hasattr(shown[0], "columns") else f"x{j}" for j in range(d)]
    if hasattr(shown[0], "columns") and d and c.whole(1, 2) == 1:
        words |= {"formula": formula(c, names), "gate_transform": None}
        words = {n: v for n, v in words.items() if n not in ("gate_features", "expert_features")}
    else:
        words |= constraints(c, words, names)
    known = estimator().get_params()
    words = {name: value for name, value in words.items() if name in known}
    asked = inference(c, n)
    if c.whole(1, 8) == 1:
        words = {name: numpys(value) for name, value in words.items()}
    return Case(estimator, words, *shown, new, given, asked, place)


def numpys(value: Any) -> Any:
    """A word as a grid of parameters hands it on."""
    kinds = {bool: np.bool_, int: np.int64, float: np.float64, str: np.str_}
    if type(value) is list and len({type(v) for v in value}) == 1:
        return np.array(value)
    return kinds[type(value)](value) if type(value) in kinds else value
