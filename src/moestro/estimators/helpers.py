"""Checks and small helpers of the estimators."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import is_classifier
from sklearn.utils import check_array, check_consistent_length, check_random_state, column_or_1d, get_tags
from sklearn.utils.validation import validate_data

from ..design import ArrayDesign, Design, FormulaDesign, check_offset
from ..design.formula import read_by
from ..design.frames import frame_names, refuse_dates, which_rows
from ..design.grammar import with_offset
from ..design.levels import coded, learn_levels
from ..design.pairs import check_form, response_data
from ..errors import DataError, SearchWarning, quiet
from ..search import Evidence, Options
from ..tables import clean
from ..threads import thread_count


def read_arrays(
    estimator: Any, X: Any, y: Any, offset: Any = None
) -> tuple[ArrayDesign, Any, Any, np.ndarray, tuple[str, ...]]:
    """What `fit` reads without a formula: the design, the experts' columns with the offset last where there
    is one, the gate's (None: the same), the response (n,), or (n, q) where the estimator takes several, and
    its names."""
    if y is not None:
        refuse_dates("the response 'y'", np.asarray(y))
    columns = get_tags(estimator).target_tags.multi_output
    several = columns or estimator._takes_trials
    responses = frame_names(y) if several else []
    numbers = not is_classifier(estimator)
    levels = learn_levels(X)
    if y is not None and (estimator._holes or (estimator._takes_trials and np.asarray(y).ndim == 2)):
        X = checked(estimator, coded(X, levels), y="no_validation", ensure_min_samples=2)
        y = _with_gaps(y, columns)
        check_consistent_length(X, y)
    else:
        X, y = checked(
            estimator, coded(X, levels), y=y, ensure_min_samples=2, y_numeric=numbers, multi_output=several
        )
    names = getattr(estimator, "feature_names_in_", None)
    labels = [f"x{j}" for j in range(X.shape[1])] if names is None else [str(n) for n in names]
    words = estimator.get_params(deep=False)
    experts, gate, transform = (words.get(n) for n in ("expert_features", "gate_features", "gate_transform"))
    design = ArrayDesign.learn(X, labels, experts, gate, transform, levels)
    if offset is not None:
        design, X = replace(design, known=1), beside(X, given_offset(offset, X.shape[0]))
    if y.ndim == 1 or estimator._takes_trials:
        if y.ndim == 2 and y.shape[1] != 2:
            raise DataError(
                f"y has {y.shape[1]} columns: experts of this family take one, or two: successes and trials, "
                "or the ends of an interval"
            )
        responses = ["y"]
    return design, *design.matrices(X), y, tuple(responses or (f"y{j}" for j in range(y.shape[1])))


def _with_gaps(y: Any, columns: bool) -> np.ndarray:
    """Responses (n,) or (n, q), NaN where one is missing; of an estimator that takes no `columns`, one column
    is (n,). An end of an interval may be infinite; `_encode` refuses what its family does not take."""
    how: dict[str, Any] = {"dtype": np.float64, "ensure_all_finite": False}
    y = check_array(y, ensure_2d=False, input_name="y", **how)
    return column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 and not columns else y


def given_offset(offset: Any, n: int) -> np.ndarray:
    """An offset (n,) that is given beside a matrix."""
    refuse_name(offset, "offset", "numbers")
    return check_offset(offset, n)


def refuse_name(given: Any, word: str, what: str) -> None:
    """Refuse the name of a column where no formula says which columns are used."""
    if isinstance(given, str):
        raise DataError(
            f"{word}={given!r} names a column, which without a formula would be a feature too: "
            f"give the {what} themselves"
        )


def beside(X: Any, offset: np.ndarray) -> np.ndarray:
    """A matrix with the offset as its last column."""
    if sp.issparse(X):
        raise DataError(
            "an offset goes with a dense matrix: sparse ones are for penalised fits, which take none"
        )
    return np.column_stack([X, offset])


def checked(estimator: Any, X: Any, **fitting: Any) -> Any:
    """Numbers from X, and from y where `fitting`, as scikit-learn checks them; a penalised fit takes sparse
    matrices and never makes them dense, and where values may be missing NaN stays."""
    sparse = ["csc", "csr"] if get_tags(estimator).input_tags.sparse else False
    if getattr(getattr(X, "dtype", None), "kind", "f") in "mM":
        refuse_dates("X", X)
    try:
        with quiet():  # it adds all entries up to look for NaN
            return validate_data(
                estimator,
                X,
                dtype=np.float64,
                accept_sparse=sparse,
                reset=bool(fitting),
                ensure_all_finite="allow-nan" if estimator._holes else True,
                **fitting,
            )
    except (TypeError, ValueError):
        _refuse_columns(X)
        raise


def _refuse_columns(X: Any) -> None:
    """Say which columns of a matrix hold text, dates or infinite values, and in how many rows: scikit-learn
    says only that there are some."""
    if sp.issparse(X):
        return
    names, values = frame_names(X), np.asarray(X)
    if values.ndim != 2 or values.dtype.kind == "c":
        return
    for j, column in enumerate(values.T):
        name = f"column '{names[j] if names else f'x{j}'}'"
        refuse_dates(name, column)
        try:
            numbers = column.astype(float)
        except ValueError:
            text = next((v for v in column.tolist() if isinstance(v, str)), None)
            if text is None:
                continue
            raise DataError(
                f"{name} holds text, such as '{clean(text)}': of a frame text becomes categories, an array "
                "has numbers only"
            ) from None
        except TypeError:
            continue
        if np.isinf(numbers).any():
            raise DataError(f"{name} is infinite in {which_rows(np.isinf(numbers))}")


def read_formula(
    estimator: Any, data: Any, y: Any = None, offset: Any = None
) -> tuple[FormulaDesign, Any, Any, np.ndarray, tuple[str, ...]]:
    """What `fit` reads by the estimator's `formula`: as `read_arrays`.

    The response comes from the frame; y, where it is given, is the one column that the formula's response
    reads, and is transformed as the formula says. Sets `n_features_in_` and `feature_names_in_`: the columns
    that experts and gate read.
    """
    formula = with_offset(estimator.formula, offset)
    for name in ("gate_features", "expert_features", "gate_transform"):
        if getattr(estimator, name, None) is not None:
            raise DataError(f"{name} cannot be given beside a formula: write the gate's part after '|'")
    if y is not None:
        data = read_by(formula, data, _columns_of(y))
    design, x, z = FormulaDesign.learn_matrices(formula, data, estimator._holes)
    design, response = design.learn_response(data)
    if response.ndim == 2:
        check_form(design.response, None if not estimator._takes_trials else estimator._family())
    if len(response) != len(x):
        raise DataError(f"y has {len(response)} values, the data have {len(x)} rows")
    if len(x) < 2:
        raise DataError(f"the data have {len(x)} row: at least 2 are needed")
    estimator.n_features_in_ = len(design.variables)
    estimator.feature_names_in_ = np.array(design.variables, dtype=object)
    return design, x, z, response, (design.response,)


def read_response(design: Design, data: Any, y: Any = None) -> np.ndarray:
    """The response (n,) of new rows: of a formula its column, read from the data or given as y, transformed
    as the formula says."""
    if isinstance(design, FormulaDesign):
        given = None if y is None else response_data(design.response, _columns_of(y))
        return design.read_response(data if given is None else given)
    if y is None:
        raise DataError("y is missing: only an estimator with a formula reads its response from a frame")
    refuse_dates("the response 'y'", np.asarray(y))
    return np.asarray(y)


def _columns_of(y: Any) -> np.ndarray:
    """A response (n,), or successes and trials (n, 2)."""
    return np.asarray(y) if np.ndim(y) == 2 and np.shape(y)[1] == 2 else column_or_1d(y, warn=True)


def numbers_of(estimator: Any, X: Any) -> Any:
    """Columns of X as a fitted estimator without a formula takes them, categories as codes."""
    design = estimator._fitted().design
    return checked(estimator, coded(X, design.levels, design.names))


def printer() -> Any:
    """Shows how far a search has come, on the terminal or in a notebook."""
    from tqdm.auto import tqdm

    bars: dict[str, Any] = {}

    def show(stage: str, done: int, total: int, note: str) -> None:
        bar = bars.get(stage)
        if bar is None or bar.n >= done:
            bar = bars[stage] = tqdm(total=total, desc=stage, leave=False)
        bar.update(done - bar.n)
        if note:
            bar.set_postfix_str(note)
        if done == total:
            bar.close()

    return show


def seed_of(random_state: Any) -> int:
    """A whole number is the seed itself, as for `moestro fit --seed` and `select_experts`."""
    if isinstance(random_state, int | np.integer):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))


def options_of(estimator: Any, tol: float) -> Options:
    """How an estimator says to search, `tol` where it leaves that open."""
    words = estimator.get_params(deep=False)
    asked = ("solver", "engine", "n_starts", "rank_by", "max_iter")
    own = {name: words[name] for name in asked if name in words}
    return Options(
        tol=tol if estimator.tol is None else estimator.tol,
        seed=seed_of(estimator.random_state),
        threads=thread_count(estimator.n_jobs),
        progress=printer() if estimator.verbose else None,
        **own,
    )


def warn_if_weak(found: Evidence | None) -> None:
    """Say that the best optimum was found once only."""
    if found is not None and found.is_weak:
        warnings.warn(f"{found}: another random_state may find a better one", SearchWarning, stacklevel=4)
