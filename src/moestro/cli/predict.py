"""`moestro predict`."""

from __future__ import annotations

import io
import os
import sys
from functools import partial
from typing import Any

import click
import numpy as np

from ..errors import DataError, FileError
from ..writing import is_stream, write
from .errors import one_line_errors
from .files import check_kind, check_writable, is_stored, numbers
from .options import data_options, refuse_given
from .responses import posteriors, with_response
from .stored import predict_stored


@click.command()
@click.argument("model", type=click.Path())
@click.argument("data", type=click.Path())
@data_options
@click.option(
    "--out",
    type=click.Path(),
    help="Write here (.csv or .parquet); by default CSV to the screen. Of the files of a folder or glob a "
    "folder, in which each has one.",
)
@click.option(
    "--gate",
    is_flag=True,
    help="Add the weight of each expert: the gate's, or with a history the posterior one.",
)
@click.option(
    "--history",
    type=click.Path(),
    help="Rows that were seen, with their response: what is predicted is what their groups do next.",
)
@click.option("--groups", metavar="COLUMN", help="Column of ids in DATA, and in the history.")
@click.option(
    "--posterior",
    is_flag=True,
    help="Add the most probable expert given the response in DATA, and the probability of each; with --groups"
    " those of the group, given all its rows.",
)
@click.option(
    "--level",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.9,
    show_default=True,
    help="Probability of the prediction interval.",
)
@click.option(
    "--missing",
    type=click.Choice(["error", "drop"]),
    help="Rows with missing values: refused, or empty fields; by default as the model was fitted, which may "
    "take them with what they have.",
)
def predict(
    model: str,
    data: str,
    out: str | None,
    gate: bool,
    history: str | None,
    groups: str | None,
    posterior: bool,
    level: float,
    missing: str | None,
    **how: Any,
) -> None:
    """Predict the rows of DATA ("-" reads CSV from standard input) with a MODEL that `moestro fit --out`
    wrote.

    Classes: the predicted class and the probability of each. Numbers and counts: mean, standard deviation,
    median and a prediction interval.

    \b
    Examples:
      moestro predict model.json new.csv --out predictions.csv
      moestro predict model.json new.csv --groups person --history seen.csv
      moestro predict model.json 'rides/*.parquet' --out predictions/
    """
    one_line_errors(_predict)(model, data, out, gate, posterior, (groups, history), level, missing, how)


def _predict(
    model_path: str,
    data_path: str,
    out: str | None,
    gate: bool,
    posterior: bool,
    seen: tuple[str | None, str | None],
    level: float,
    missing: str | None,
    how: dict[str, Any],
) -> None:
    from ..design.files import PARQUET, read_frame
    from ..design.groups import beside_rows
    from ..fitted import model_from_dict
    from ..reading import read_json

    if is_stored(data_path):
        if out and os.path.realpath(out) == os.path.realpath(data_path):
            raise FileError(f"{out}: is the folder that is predicted: write to another")
    else:
        check_writable(out, read=[model_path, data_path, seen[1]])
    if out and not is_stream(out) and not is_stored(data_path):
        check_kind(out, (".csv", *PARQUET))
    groups, history = seen
    model = read_json(model_path, model_from_dict)
    alone = history is None and model.gate_at != "constant"  # groups then say where the gate reads
    if posterior and history is not None:
        raise DataError(
            "--posterior is given the responses in DATA alone: leave --history out, or add its rows to DATA"
        )
    if (history is None) != (groups is None) and not (groups and (alone or posterior)):
        raise DataError(
            "--history and --groups go together: rows that were seen, and the column of ids in both files"
        )
    if model.classes:
        refuse_given(["level"], "applies only to prediction intervals, and this model predicts classes")
    drop = (model.dropped is not None) if missing is None else missing == "drop"
    marginal = missing is None and model.takes_holes
    if is_stored(data_path):
        if groups or history:
            raise DataError("--groups and --history need rows in memory: give one file")
        predict_stored(
            model, data_path, out, partial(_table, model, (drop, marginal), gate, posterior, level)
        )
        return
    frame, keep = _complete(model, read_frame(data_path, **how), drop, posterior, marginal)
    at = _matrices(model, frame)
    given = {}
    if groups is not None and (history is not None or alone):
        past = None if history is None else _complete(model, read_frame(history, **how), drop, True)[0]
        given["log_weights"] = _weights(model, at, frame, groups, past)
    table = _predictions(model, at, gate, level, given)
    if posterior:
        table |= posteriors(model, at, frame, beside_rows(groups, frame))
    if keep is not None:
        table = {name: _restored(values, keep) for name, values in table.items()}
    if out and out.lower().endswith(PARQUET):
        _write_parquet(table, out)
        return
    text = _csv(table)
    if out:
        write(out, text)
    else:
        sys.stdout.write(text)
        sys.stdout.flush()


def _table(
    model: Any, gaps: tuple[bool, bool], gate: bool, posterior: bool, level: float, frame: Any
) -> dict[str, Any]:
    """Columns of predictions of a block of rows; with `gaps` these are dropped, or taken with what they
    have."""
    drop, marginal = gaps
    frame, keep = _complete(model, frame, drop, posterior, marginal)
    at = _matrices(model, frame)
    table = _predictions(model, at, gate, level, {})
    if posterior:
        table |= posteriors(model, at, frame)
    return table if keep is None else {name: _restored(values, keep) for name, values in table.items()}


def _predictions(
    model: Any, at: tuple[Any, Any], gate: bool, level: float, given: dict[str, np.ndarray]
) -> dict[str, Any]:
    """Columns of predictions at these columns of experts and gate, by the gate's weights unless others are
    `given`; of several responses each by its name."""
    table: dict[str, Any] = {}
    if model.classes:
        proba = model.mean(*at, **given)
        labels = np.array(model.classes, dtype=object)
        table["predicted"] = labels[np.argmax(proba, axis=1)]
        table.update({f"p({label})": proba[:, c] for c, label in enumerate(model.classes)})
    else:
        for name, law in model.marginals(*at, **given).items():
            low, middle, high = law.quantile(np.array([(1 - level) / 2, 0.5, (1 + level) / 2])).T
            parts = {"mean": law.mean(), "std": law.std(), "low": low, "median": middle, "high": high}
            table |= {part if model.single else f"{part}({name})": v for part, v in parts.items()}
    if gate:
        weights = np.exp(given["log_weights"] if given else model.log_gate(*at))
        table.update({f"gate({e + 1})": weights[:, e] for e in range(weights.shape[1])})
    return table


def _complete(
    model: Any, frame: Any, drop: bool, response: bool, marginal: bool = False
) -> tuple[Any, np.ndarray | None]:
    """Rows of a frame without missing values where the model reads it, and which these are; None: all."""
    from ..design import FormulaDesign
    from ..design.frames import columns, complete_rows, gaps, refuse_gaps
    from ..design.holes import take_rows

    if isinstance(model.design, FormulaDesign):
        found = gaps(model.design.read(frame, response=response))
    else:
        found = gaps(columns(frame, [*model.design.names, *(model.responses if response else ())]))
    if marginal:
        return frame, None
    if not drop:
        refuse_gaps(found)
    keep = complete_rows(found)
    return (frame, None) if keep is None else (take_rows(frame, keep), keep)


def _restored(values: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Values of the rows that were kept at their places, None elsewhere."""
    out = np.full(len(keep), None, dtype=object)
    out[keep] = values
    return out


def _matrices(model: Any, frame: Any) -> tuple[Any, Any]:
    """The columns of experts and gate."""
    from ..design import FormulaDesign
    from ..design.frames import columns

    if isinstance(model.design, FormulaDesign):
        return model.design.matrices(frame)
    if model.design.known:
        raise DataError(
            "this model was fitted to arrays with an offset, which has no column in a file: predict in "
            "Python, or fit by a formula with --offset"
        )
    found, levels = columns(frame, model.design.names), model.design.levels
    plain = {n: v if n in levels else numbers(n, v) for n, v in found.items()}
    return model.design.matrices(model.design.encoded(plain))


def _weights(model: Any, at: tuple[Any, Any], frame: Any, groups: str, seen: Any) -> np.ndarray:
    """log of the experts' weights (n, k), given what was seen of the groups, None if nothing was."""
    from ..design import FormulaDesign
    from ..design.groups import beside_rows
    from ..fitted.groups import log_weights_after

    if seen is None:
        return log_weights_after(model, *at, beside_rows(groups, frame))
    if not isinstance(model.design, FormulaDesign):
        raise DataError(
            "--history needs a model that was fitted by a formula, which says what the response is"
        )
    past_x, past_z = _matrices(model, seen)
    past_x, past_y = with_response(model, past_x, seen)
    past = (past_x, past_z, past_y, beside_rows(groups, seen))
    return log_weights_after(model, *at, beside_rows(groups, frame), past)


def _csv(table: dict[str, Any]) -> str:
    import csv

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table)
    for row in zip(*table.values(), strict=True):
        writer.writerow([f"{v:.10g}" if isinstance(v, float | np.floating) else v for v in row])
    return text.getvalue()


def _write_parquet(table: dict[str, Any], path: str) -> None:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise FileError("Parquet needs an extra: pip install 'moestro[parquet]'") from error
    columns = {n: list(v) if v.dtype.kind == "O" else v for n, v in table.items()}
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), file)
    write(path, file.getvalue())
