"""`moestro predict`."""

from __future__ import annotations

import io
import sys
from typing import Any

import click
import numpy as np

from ..errors import FileError
from ..writing import is_stream, write
from .errors import one_line_errors
from .files import check_kind, check_writable, numbers
from .options import data_options, refuse_given


@click.command()
@click.argument("model", type=click.Path())
@click.argument("data", type=click.Path())
@data_options
@click.option(
    "--out",
    type=click.Path(dir_okay=False),
    help="Write here (.csv or .parquet); by default CSV to the screen.",
)
@click.option("--gate", is_flag=True, help="Add the gate's weight of each expert.")
@click.option(
    "--level",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.9,
    show_default=True,
    help="Probability of the prediction interval.",
)
def predict(model: str, data: str, out: str | None, gate: bool, level: float, **how: Any) -> None:
    """Predict the rows of DATA ("-" reads CSV from standard input) with a MODEL that `moestro fit --out`
    wrote.

    Classes: the predicted class and the probability of each. Numbers and counts: mean, standard deviation,
    median and a prediction interval.

    \b
    Example:
      moestro predict model.json new.csv --out predictions.csv
    """
    one_line_errors(_predict)(model, data, out, gate, level, how)


def _predict(
    model_path: str, data_path: str, out: str | None, gate: bool, level: float, how: dict[str, Any]
) -> None:
    from ..design.files import PARQUET, read_frame
    from ..fitted import model_from_dict
    from ..reading import read_json

    check_writable(out)
    if out and not is_stream(out):
        check_kind(out, (".csv", *PARQUET))
    model = read_json(model_path, model_from_dict)
    if model.classes:
        refuse_given(["level"], "applies only to prediction intervals, and this model predicts classes")
    table = _predictions(model, read_frame(data_path, **how), gate, level)
    if out and out.lower().endswith(PARQUET):
        _write_parquet(table, out)
        return
    text = _csv(table)
    if out:
        write(out, text)
    else:
        sys.stdout.write(text)
        sys.stdout.flush()


def _predictions(model: Any, frame: Any, gate: bool, level: float) -> dict[str, Any]:
    """Columns of predictions; of several responses each by its name."""
    from ..design import FormulaDesign
    from ..design.frames import columns

    if isinstance(model.design, FormulaDesign):
        x, z = model.design.matrices(frame)
    else:
        found = columns(frame, model.design.names)
        x, z = model.design.matrices(np.column_stack([numbers(n, v) for n, v in found.items()]))
    table: dict[str, Any] = {}
    if model.classes:
        proba = model.mean(x, z)
        labels = np.array(model.classes, dtype=object)
        table["predicted"] = labels[np.argmax(proba, axis=1)]
        table.update({f"p({label})": proba[:, c] for c, label in enumerate(model.classes)})
    else:
        for name, law in model.marginals(x, z).items():
            low, middle, high = law.quantile(np.array([(1 - level) / 2, 0.5, (1 + level) / 2])).T
            parts = {"mean": law.mean(), "std": law.std(), "low": low, "median": middle, "high": high}
            table |= {part if model.single else f"{part}({name})": v for part, v in parts.items()}
    if gate:
        weights = np.exp(model.log_gate(x, z))
        table.update({f"gate({e + 1})": weights[:, e] for e in range(weights.shape[1])})
    return table


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
