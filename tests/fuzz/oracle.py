"""One oracle for every estimator: a case is refused clearly, or what was fitted agrees with itself, or its
status says what does not."""

import copy
import os
import signal
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.exceptions import DataConversionWarning

from fuzz.cases import Case
from fuzz.dress import source
from moestro import DataError, LocatedMoERegressor, load_model
from moestro.errors import SearchWarning

LIMIT = 20.0  # seconds of this process that a fit of a hundred rows may take
AGREE = 1e-8  # ten times what the fit's own gate allows: a sum in another order is rounded differently
OF_SKLEARN = "The number of unique classes is greater"  # what its check of classes says
ALLOWED = (SearchWarning, DataConversionWarning)


class Broken(AssertionError):
    """A promise that was not kept."""


class Late(Broken):
    """A fit that took too long."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise `Late` in the main thread after so many seconds of this process."""

    def late(*_: Any) -> None:
        raise Late(f"took more than {seconds:g} s")

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)


def judge(case: Case, limit: float = LIMIT) -> str:
    """What became of a case: "refused", or the kind of its status; raises `Broken` where a promise was not
    kept."""
    inputs = (case.X, case.y, case.new, *case.given.values())
    before, threads = copy.deepcopy(inputs), set(threading.enumerate())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with tempfile.TemporaryDirectory() as folder:
            verdict = _judged(case, limit, folder)
    leaked = [
        w for w in caught if not (issubclass(w.category, ALLOWED) or str(w.message).startswith(OF_SKLEARN))
    ]
    if leaked:
        w = leaked[0]
        raise Broken(f"a warning leaked: {w.category.__name__}: {w.message} ({w.filename}:{w.lineno})")
    if not all(_same(a, b) for a, b in zip(before, inputs, strict=True)):
        raise Broken("an input was changed")
    left = [t for t in threading.enumerate() if t not in threads]
    deadline = time.monotonic() + 2.0
    while any(t.is_alive() for t in left) and time.monotonic() < deadline:
        time.sleep(0.01)
    if any(t.is_alive() for t in left):
        raise Broken(f"threads were left: {left}")
    return verdict


def _judged(case: Case, limit: float, folder: str) -> str:
    estimator = case.estimator(**case.words)
    X, y, given = _arguments(case, folder)
    with within(limit):
        fitted = _attempt(lambda: estimator.fit(X, y, **given))
    if fitted is None:
        return "refused"
    if case.place and not case.words.get("formula"):  # files have their columns in another order
        case = replace(case, X=case.X[list(estimator.feature_names_in_)])
    with within(limit):
        try:
            _consistent(estimator, case, folder)
        except Broken:
            raise
        except Exception as error:
            raise Broken(f"after the fit: {_told(error)}") from error
    return str(estimator.status_.kind)


def _arguments(case: Case, folder: str) -> tuple[Any, Any, dict[str, Any]]:
    """What `fit` is given: the numbers, or where they are and the names of columns there."""
    if not case.place:
        return case.X, case.y, case.given
    columns = {name: case.X[name].to_numpy() for name in case.X.columns} | {"y": np.asarray(case.y)}
    given = {}
    if "sample_weight" in case.given:
        columns["w"], given["sample_weight"] = case.given["sample_weight"], "w"
    y = None if case.words.get("formula") else "y"
    return source(case.place, os.path.join(folder, "rows", ""), columns), y, given


def _attempt(call: Any) -> Any:
    """What `call` returns, or None where it refuses clearly; anything else is a broken promise."""
    try:
        return call()
    except Late:
        raise
    except Exception as error:
        own = isinstance(error, DataError) and "\n" not in str(error) and 10 < len(str(error)) < 500
        last = traceback.extract_tb(error.__traceback__)[-1].filename
        by_sklearn = isinstance(error, ValueError | TypeError) and f"{os.sep}sklearn{os.sep}" in last
        if not (own or by_sklearn):
            raise Broken(f"unclear exception: {_told(error)}") from error
        return None


def _told(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    where = next((f for f in reversed(frames) if "moestro" in f.filename), frames[-1])
    return f"{type(error).__name__}: {error} ({os.path.basename(where.filename)}:{where.lineno})"


def _consistent(model: Any, case: Case, folder: str) -> None:
    X, known = case.X, case.given.get("offset")
    status, ll = model.status_, model.log_likelihood_
    _numbers(model, case, status, ll)
    for name in ("predict", "gate_proba", "predict_proba"):
        if not hasattr(model, name):
            continue
        for rows in (X, _like(X, case.new)):
            offset = {} if known is None or name != "predict" else {"offset": np.resize(known, len(rows))}
            out = _attempt(lambda n=name, rows=rows, offset=offset: getattr(model, n)(rows, **offset))
            if out is None:
                continue
            out = np.asarray(out)
            if model.missing == "drop":  # NaN where a value is missing
                here = ~np.isnan(np.asarray(offset.get("offset", np.zeros(len(rows))), dtype=float))
                here &= rows is X or ~np.isnan(case.new).any(axis=1)
                out = out[_whole(out) if rows is X else here]
            if out.dtype.kind == "f" and not np.isfinite(out).all():
                raise Broken(f"{name} is not finite")
            if name != "predict" and np.abs(out.sum(axis=1) - 1).max(initial=0.0) > AGREE:
                raise Broken(f"{name} does not sum to one")
    text = str(_attempt(model.summary))
    if "nan" in text.lower().replace("nanmo", "") and not _names_nan(case):
        raise Broken("a summary has NaN")
    if status.usable:
        text = str(_attempt(lambda: model.summary("observed")))
        if "nan" in text and not _names_nan(case):
            raise Broken("a summary with standard errors has NaN")
        _errors(_attempt(lambda: model.inference(**case.inference)))
    _file(model, X, os.path.join(folder, "model.json"))


def _names_nan(case: Case) -> bool:
    """Whether the case itself has the word: a number that was made text is a level of this name."""
    cells = np.asarray(case.X, dtype=object).ravel().tolist()
    return "nan" in str(case.words) or any(isinstance(cell, str) and cell == "nan" for cell in cells)


def _errors(table: Any) -> None:
    """Standard errors are numbers of at least zero, or none is told."""
    if table is None:
        return
    for name in ("estimate", "std_error", "low", "high", "z", "p"):
        known = np.array([v for v in table[name] if v is not None], dtype=float)
        if np.isnan(known).any() or (name in ("std_error", "p") and (known < 0).any()):
            raise Broken(f"{name} of the inference is no number: {known}")


def _whole(out: np.ndarray) -> np.ndarray:
    """Rows of results that are not missing, boolean (n,)."""
    if out.dtype.kind == "O":
        return np.array([v == v for v in out])
    return (
        ~np.isnan(out.reshape(len(out), -1)).all(axis=1) if out.dtype.kind == "f" else np.ones(len(out), bool)
    )


def _numbers(model: Any, case: Case, status: Any, ll: float) -> None:
    X, y = case.X, case.y
    if not np.isfinite(ll):
        if str(status.kind) != "not finite":
            raise Broken(f"log_likelihood_ = {ll} with status {status}")
        return
    located = isinstance(model, LocatedMoERegressor)
    words = {} if located else {n: case.given[n] for n in ("groups", "offset") if n in case.given}
    y = np.ravel(y) if np.shape(y)[1:] == (1,) and not located else y
    density = _attempt(lambda: model.joint_log_density(X, y) if located else model.log_density(X, y, **words))
    r = _attempt(lambda: model.responsibilities(X, y, **words, **_per_unit(case)))
    w = _unit_weights(case)
    if model.missing == "drop" and not _equal_in_units(case):
        return  # the row whose weight, or known expert, its unit has may be one that was left out
    if density is None or r is None:
        if status.usable and np.all(w > 0):
            raise Broken(f"the rows of a fit that ended {status.kind} are refused")
        return  # rows without a weight may have no density
    seen = (w > 0) & (_whole(density) if model.missing == "drop" else True)
    density = density + _labels(case, r)
    total = float(w[seen] @ density[seen])
    reach = float(w[seen].sum() + w[seen] @ np.abs(density[seen]))
    said = ("hold", "sum to one", "no finite density")
    says = str(status.kind) == "not finite" or any(words in status.sentence for words in said)
    if not abs(total - ll) <= AGREE * reach and not says:
        raise Broken(f"log_likelihood_ {ll!r}, its rows {total!r}, and status {status}")
    if not np.abs(r[seen].sum(axis=1) - 1).max(initial=0.0) <= AGREE:
        raise Broken("responsibilities do not sum to one")
    n = model.fit_.weight_sum
    if abs(model.bic_ - (model.n_parameters_ * np.log(n) - 2 * ll)) > 1e-9 * (1 + abs(model.bic_)):
        raise Broken("BIC is not that of the log-likelihood")


def _per_unit(case: Case) -> dict[str, str]:
    return {"per": "group"} if "groups" in case.given else {}


def _labels(case: Case, r: np.ndarray) -> np.ndarray:
    """log P(known expert | x, y) of each unit, zero where it is not known: such units count in the likelihood
    with the density of both."""
    out = np.zeros(len(r))
    if "partial" in case.given:
        known = np.asarray(case.given["partial"], dtype=float)
        unit = _units(case)
        with np.errstate(divide="ignore"):
            for i in np.flatnonzero(~np.isnan(known)):
                out[unit[i]] = np.log(r[unit[i], int(known[i]) - 1])
    return out


def _units(case: Case) -> np.ndarray:
    """The unit of each row: itself, or its group in the order in which groups first appear."""
    n = len(case.y)
    if "groups" not in case.given:
        return np.arange(n)
    ids = np.asarray(case.given["groups"]).tolist()
    place = {g: i for i, g in enumerate(dict.fromkeys(ids))}
    return np.array([place[g] for g in ids])


def _unit_weights(case: Case) -> np.ndarray:
    n, w = len(case.y), case.given.get("sample_weight")
    w = np.ones(n) if w is None else np.asarray(w, dtype=float)
    return w[np.unique(_units(case), return_index=True)[1]]


def _equal_in_units(case: Case) -> bool:
    """Whether the rows of each unit have one weight, and none speaks for the others."""
    if {"groups", "partial"} <= set(case.given):
        return False
    w = case.given.get("sample_weight")
    return w is None or np.array_equal(
        np.asarray(w, dtype=float), _unit_weights(case)[_units(case)], equal_nan=True
    )


def _like(X: Any, new: np.ndarray) -> Any:
    if hasattr(X, "columns"):
        return type(X)(new, columns=X.columns)
    return new


def _file(model: Any, X: Any, path: str) -> None:
    """A model that was written and read says the same."""
    if _attempt(lambda: (model.save(path, cov=()), True)) is None:
        return
    again = load_model(path)
    if not (again.log_likelihood_ == model.log_likelihood_ or np.isnan(model.log_likelihood_)):
        raise Broken("a file changed the log-likelihood")
    a, b = (_attempt(lambda m=m: m.gate_proba(X)) for m in (model, again))
    if (a is None) != (b is None) or (
        a is not None and not np.allclose(a, b, rtol=0, atol=1e-9, equal_nan=True)
    ):
        raise Broken("a file changed the gate")


def _same(a: Any, b: Any) -> bool:
    if a is None or isinstance(a, list):
        return str(a) == str(b)
    if hasattr(a, "equals"):
        return bool(a.equals(b))
    if a.dtype.kind == "O":  # a NaN among objects equals nothing
        return a.shape == b.shape and str(a.tolist()) == str(b.tolist())
    return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
