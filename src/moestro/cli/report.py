"""`moestro report`."""

from __future__ import annotations

import shlex
from typing import Any

import click
from click.core import ParameterSource

from ..errors import DataError, FileError
from ..writing import is_stream
from .errors import Printer, one_line_errors
from .files import check_writable, read_data
from .options import data_options

NEEDS = "reports need an extra: pip install 'moestro[report]'"
FILES = ("out", "plot", "report", "quiet", "threads")  # options that say nothing of the fit


@click.command()
@click.argument("model", type=click.Path())
@click.argument("data", type=click.Path())
@data_options
@click.option(
    "--out",
    type=click.Path(dir_okay=False),
    required=True,
    help='Write the page here (.html); "-" is standard output.',
)
@click.option("--weights", metavar="COLUMN", help="Column of weights of the rows.")
@click.option("--groups", metavar="COLUMN", help="Column of ids: rows of one id share their expert.")
def report(model: str, data: str, out: str, groups: str | None, **options: Any) -> None:
    """Write one HTML page that explains a MODEL that `moestro fit --out` wrote, on the rows of DATA.

    It needs no other file: what cannot be trusted comes first, then who the experts are, what they predict,
    how well it fits, and an explorer with sliders.

    \b
    Example:
      moestro report model.json voters.csv --out report.html
    """
    one_line_errors(_report)(model, data, out, groups, options)


def _report(model: str, data: str, out: str, groups: str | None, options: dict[str, Any]) -> None:
    from ..design import FormulaDesign
    from ..design.frames import columns
    from ..estimators.files import load_model

    check_writable(out, read=[model, data])
    check_report(out)
    found = load_model(model)
    frame, weights = read_data({"data": data, **options})
    given: dict[str, Any] = {"X": frame}
    design = found._fitted().design
    if not isinstance(design, FormulaDesign):
        import numpy as np

        if design.known:
            raise DataError(
                "this model was fitted to arrays with an offset, which has no column in a file: "
                "report in Python"
            )
        y = list(columns(frame, found._fitted().responses).values())
        given = {"X": selected(frame, design.names), "y": y[0] if len(y) == 1 else np.column_stack(y)}
    if groups is not None:
        given["groups"] = columns(frame, [groups])[groups]
    found.report(out, sample_weight=weights, **given)
    Printer(out)(f"report written to {out}")


def selected(frame: Any, names: tuple[str, ...]) -> Any:
    """Some columns of a frame, in this order."""
    import narwhals as nw

    own = nw.from_native(frame, eager_only=True)
    missing = [n for n in names if n not in own.columns]
    if missing:
        raise DataError(f"the data have no column '{missing[0]}', which the model reads")
    return own.select(list(names)).to_native()


def check_report(path: str | None) -> None:
    """Say before the work that a page cannot be written."""
    if path is None:
        return
    if not (is_stream(path) or path.lower().endswith((".html", ".htm"))):
        raise FileError(f"{path}: a report is an HTML page: give a name that ends in .html")
    try:
        import jinja2
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise FileError(NEEDS) from error
    del jinja2


def command_line() -> str:
    """The running command, with what was written on its line: how the fit is made again."""
    context = click.get_current_context()
    words = ["moestro", context.info_name or "fit"]
    for option in context.command.params:
        name = option.name or ""
        value: Any = context.params.get(name)
        if name in FILES or context.get_parameter_source(name) != ParameterSource.COMMANDLINE:
            continue
        if isinstance(option, click.Argument):
            words.insert(2, str(value))
        elif isinstance(value, bool):
            words.append(option.opts[0])
        elif name == "experts":
            words += [option.opts[0], ",".join(map(str, value))]
        elif isinstance(value, dict):
            words += [w for k, v in value.items() for w in (option.opts[0], f"{k}={v:g}")]
        elif isinstance(value, tuple):
            words += [w for v in value for w in (option.opts[0], str(v))]
        else:
            words += [option.opts[0], str(value)]
    return shlex.join(words)
