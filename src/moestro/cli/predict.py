"""`moestro predict`."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from ..errors import DataError, FileError
from .errors import one_line_errors
from .files import check_kind, check_writable, numbers
from .options import data_options, refuse_given

if TYPE_CHECKING:
    from ..fitted import FittedModel


@click.command()
@click.argument("model", type=click.Path())
@click.argument("data", type=click.Path())
@data_options
@click.option(
    "--out",
    type=click.Path(dir_okay=False),
    help="Write here (.csv or .parquet); by default CSV to the screen.",
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
@click.option("--groups", metavar="COLUMN", help="Column of ids in DATA and in the history.")
@click.option(
    "--level",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.9,
    show_default=True,
    help="Probability of the prediction interval.",
)
def predict(
    model: str,
    data: str,
    out: str | None,
    gate: bool,
    history: str | None,
    groups: str | None,
    level: float,
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
    """
    one_line_errors(_predict)(model, data, out, gate, history, groups, level, how)


def _predict(
    model_path: str,
    data_path: str,
    out: str | None,
    gate: bool,
    history: str | None,
    groups: str | None,
    level: float,
    how: dict[str, Any],
) -> None:
    from ..design.files import PARQUET, read_frame, write_text
    from ..fitted import LocatedModel, model_from_dict, read_file
    from .located import predict_located

    check_writable(out)
    if out:
        check_kind(out, (".csv", *PARQUET))
    if (history is None) != (groups is None):
        raise DataError(
            "--history and --groups go together: rows that were seen, and the column of ids in both files"
        )
    model = read_file(model_path, model_from_dict)
    if isinstance(model, LocatedModel):
        refuse_given(
            ["history", "groups"], "needs experts behind a softmax gate, and this model's are located"
        )
        table = predict_located(model, read_frame(data_path, **how), gate, level)
    else:
        if model.units.classes:
            refuse_given(["level"], "applies only to prediction intervals, and this model predicts classes")
        frame = read_frame(data_path, **how)
        seen = None if history is None else read_frame(history, **how)
        table = _predictions(model, frame, gate, level, groups, seen)
    if out and out.lower().endswith(PARQUET):
        _write_parquet(table, out)
        return
    text = _csv(table)
    if out:
        write_text(out, text)
    else:
        sys.stdout.write(text)
        sys.stdout.flush()


def _predictions(
    model: FittedModel, frame: Any, gate: bool, level: float, groups: str | None, seen: Any
) -> dict[str, Any]:
    """Columns of predictions; of groups that were `seen` given what they did."""
    x, z = _matrices(model, frame)
    log_weights = None if groups is None else _weights(model, x, z, frame, groups, seen)
    table: dict[str, Any] = {}
    if model.units.classes:
        proba = model.mean(x, z, log_weights)
        labels = np.array(model.units.classes, dtype=object)
        table["predicted"] = labels[np.argmax(proba, axis=1)]
        table.update({f"p({label})": proba[:, c] for c, label in enumerate(model.units.classes)})
    else:
        law = model.distribution(x, z, log_weights)
        low, middle, high = law.quantile(np.array([(1 - level) / 2, 0.5, (1 + level) / 2])).T
        table |= {"mean": law.mean(), "std": law.std(), "low": low, "median": middle, "high": high}
    if gate:
        weights = np.exp(model.log_gate(x, z) if log_weights is None else log_weights)
        table.update({f"gate({e + 1})": weights[:, e] for e in range(weights.shape[1])})
    return table


def _matrices(model: FittedModel, frame: Any) -> tuple[Any, Any]:
    from ..design import FormulaDesign
    from ..design.frames import columns

    if isinstance(model.design, FormulaDesign):
        return model.design.matrices(frame)
    found = columns(frame, model.design.names)
    return model.design.matrices(np.column_stack([numbers(n, v) for n, v in found.items()]))


def _weights(model: FittedModel, x: Any, z: Any, frame: Any, groups: str, seen: Any) -> np.ndarray:
    """log of the experts' weights (n, k), given what was seen of the groups."""
    from ..design import FormulaDesign
    from ..design.groups import group_ids
    from ..design.response import encode_classes, numeric_response
    from ..fitted.groups import log_weights_after

    if not isinstance(model.design, FormulaDesign):
        raise DataError(
            "--history needs a model that was fitted by a formula, which says what the response is"
        )
    y, name = model.design.read_response(seen), model.units.response
    classes = model.units.classes
    y = encode_classes(y, classes, name)[0] if classes else numeric_response(y, name)
    past = (_matrices(model, seen)[0], y, group_ids(groups, seen))
    return log_weights_after(model, x, z, group_ids(groups, frame), past)


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
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        columns = {n: list(v) if v.dtype.kind == "O" else v for n, v in table.items()}
        pyarrow.parquet.write_table(pyarrow.table(columns), temporary)
        os.replace(temporary, path)
    except OSError as error:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise FileError(f"{path}: cannot be written ({error})") from error
