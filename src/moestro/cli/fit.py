"""`moestro fit`."""

from __future__ import annotations

from typing import Any

import click

from ..errors import DataError
from .errors import Printer, one_line_errors
from .files import check_model, check_picture, check_writable, draw, read_data
from .located import located_given, located_options
from .options import criterion_option, fit_options, refuse_given
from .penalised import fit_penalised
from .report import check_report, command_line
from .sweep import run_sweep


@click.command()
@fit_options
@criterion_option(penalised=True)
@located_options
@click.option(
    "--cov",
    type=click.Choice(["observed", "sandwich", "none"]),
    default="observed",
    show_default=True,
    help="Standard errors: inverse observed information, robust to a wrong model, or none.",
)
@click.option(
    "--penalty",
    type=click.Choice(["l1", "elastic_net", "group", "adaptive_l1", "ridge", "oracle"]),
    help="Penalise the slopes of gate and experts; --criterion or --alpha decides how strongly.",
)
@click.option("--alpha", type=click.FloatRange(0), help="Strength of the penalty.")
@click.option(
    "--out", type=click.Path(dir_okay=False), help='Write the model here (.json); "-" is standard output.'
)
@click.option("--plot", type=click.Path(dir_okay=False), help="Write a picture here (.png, .pdf, .svg, ...).")
@click.option(
    "--report", type=click.Path(dir_okay=False), help="Write one HTML page that explains the fit here."
)
@click.option("--quiet", "-q", is_flag=True, help="Leave out the record of the searches.")
def fit(
    cov: str,
    penalty: str | None,
    alpha: float | None,
    out: str | None,
    plot: str | None,
    report: str | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Fit a mixture of experts to a CSV, Parquet or Arrow file DATA ("-" reads CSV from standard input) and
    print what was found. The files of a folder or of a glob in quotes are read block by block.

    Prints how sure each search is, the criteria for each number of experts, the coefficient tables with
    standard errors, and the experts in words.

    \b
    Examples:
      moestro fit tone.csv -f "tuned ~ stretchratio" -k 2
      moestro fit voters.csv -f "party ~ left_right | income + age" --family multinomial --out model.json
      moestro fit visits.parquet -f "visits ~ age + C(region) | 1" --family poisson -k 1-4 --criterion icl
      moestro fit ethanol.csv -f "nox ~ compression + equivalence" -k 1-3 --penalty l1
      moestro fit ethanol.csv -f "nox ~ equivalence" -k 1-4 --gate gaussian -d 1 -d 2
      moestro fit 'rides/*.parquet' -f "minutes ~ log(km) + C(zone)" -k 3 --memory-limit 2GB
    """
    one_line_errors(_fit)(cov, penalty, alpha, out, plot, report, quiet, options)


def _fit(
    cov: str,
    penalty: str | None,
    alpha: float | None,
    out: str | None,
    plot: str | None,
    report: str | None,
    quiet: bool,
    options: dict[str, Any],
) -> None:
    check_writable(out, plot, report, read=[options["data"]])
    check_model(out)
    check_picture(plot)
    check_report(report)
    say = Printer(out, plot, report)
    if penalty is not None and options["gate"] == "gaussian":
        raise DataError("a penalty needs the softmax gate: leave out --gate")
    located = located_given(options)
    if penalty is not None:
        fit_penalised(penalty, alpha, out, plot, report, options, say)
    elif alpha is not None:
        raise DataError("--alpha is the strength of a penalty: give --penalty too")
    else:
        _fit_plain(cov, out, plot, report, quiet, options, located, say)
    say.close()


def _fit_plain(
    cov: str,
    out: str | None,
    plot: str | None,
    report: str | None,
    quiet: bool,
    options: dict[str, Any],
    located: dict[str, Any] | None,
    say: Printer,
) -> None:
    from dataclasses import replace

    from ..inference import Request
    from ..summary import spoken, summary_text, sweep_text
    from ..threads import thread_count

    options["criterion"] = options["criterion"] or "bic"
    if options["criterion"] == "ebic":
        raise DataError(
            "--criterion ebic counts the columns that a penalty chose from: give --penalty, or use bic"
        )

    def record(found: Any) -> None:
        if not quiet:
            say(f"{_named(found)}: {found.evidence or 'fitted from its neighbour'}")

    without = ""
    if options["missing"] == "marginal" and cov != "none":
        without = "rows with missing values have no information matrix here (cov='bootstrap' in Python)"
        refuse_given(
            ["cov"], "does not go with --missing marginal, except --cov none; in Python cov='bootstrap' does"
        )
        cov = "none"
    frame, weights = read_data(options)
    if report and isinstance(frame, str):
        raise DataError("--report draws every row, and needs them in memory: give one file of a sample")
    result = run_sweep(options, frame, weights, record, located)
    table = result.sweep.table()
    if len(table) > 1:
        what = "Number of experts" if located is None else "Models"
        say(f"\n{what}, chosen by {spoken(result.sweep.criterion)}\n{sweep_text(table)}")
    say("")
    model, covariance = result.model, None
    if cov != "none":
        threads = thread_count(options["threads"])
        covariance = model.estimate_covariance(result.rows, Request(cov), options["engine"], threads)
        model = replace(model, covariances={cov: covariance})
    say(summary_text(model, covariance, without=without))
    _deliver(model, result, table, frame, weights, (out, plot, report), options, say)


def _deliver(
    model: Any,
    result: Any,
    table: Any,
    frame: Any,
    weights: Any,
    files: tuple[str | None, str | None, str | None],
    options: dict[str, Any],
    say: Printer,
) -> None:
    """Write the files that were asked for: model, picture, report."""
    from dataclasses import replace

    from ..design.frames import columns

    out, plot, report = files
    if out:
        model.save(out)
        say(f"\nmodel written to {out}")
    if plot:
        from ..plots import overview

        draw(lambda path: overview(model, table, path), plot)
        say(f"picture written to {plot}")
    if report:
        from ..estimators.files import estimator_of
        from ..estimators.found import Found

        found = replace(Found.of(result, options["engine"], False), model=model)
        ids = options["groups"]
        given = {} if ids is None else {"groups": columns(frame, [ids])[ids]}
        made = estimator_of(model, found)
        made.report(report, frame, sample_weight=weights, command=command_line(), **given)
        say(f"report written to {report}")


def _named(fit: Any) -> str:
    """A fit by what tells it from others: "2 experts", "2 experts (diagonal, degree 2)"."""
    own = fit.labels()
    words = [own[name] for name in ("model",) if name in own]
    words += [f"{name} {own[name]}" for name in ("degree", "blocks") if own.get(name) not in (None, 1, "")]
    return f"{fit.k} expert{'s' if fit.k > 1 else ''}" + (f" ({', '.join(words)})" if words else "")
