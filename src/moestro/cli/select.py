"""`moestro select`."""

from __future__ import annotations

from typing import Any

import click

from ..errors import DataError
from .errors import one_line_errors
from .files import read_data
from .located import located_given, located_options
from .options import criterion_option, fit_options, refuse_given
from .sweep import run_sweep


@click.command()
@fit_options
@criterion_option(penalised=False)
@located_options
@click.option("--model", type=click.Choice(["softmax", "located"]), hidden=True)  # another name of the gate
@click.option(
    "--blrt",
    type=click.IntRange(1),
    metavar="REPLICATES",
    help=("Add p values of the parametric bootstrap likelihood-ratio test of one expert less."),
)
def select(model: str | None, blrt: int | None, **options: Any) -> None:
    """Compare numbers of experts on DATA and print the criteria; the chosen one is marked.

    \b
    Examples:
      moestro select voters.csv -f "party ~ left_right | income + age" --family multinomial -k 1-6
      moestro select ethanol.csv -f "nox ~ equivalence" --gate gaussian -k 1-6 -d 1 -d 2
    """
    one_line_errors(_select)(model, blrt, options)


def _select(model: str | None, blrt: int | None, options: dict[str, Any]) -> None:
    from ..inference.stepwise import check_stepwise, with_p
    from ..summary import spoken, sweep_text
    from ..threads import thread_count

    if model == "located":
        refuse_given(["gate"], "contradicts --model located, another name of --gate gaussian")
        options["gate"] = "gaussian"
    located = located_given(options)
    if blrt is not None:
        if options["criterion"] == "dendrogram":
            raise DataError("--blrt tests the fits of a sweep, and a dendrogram makes none: leave it out")
        check_stepwise(blrt, options["weights"] is not None)
    result = run_sweep(options, *read_data(options), lambda found: None, located)
    threads = thread_count(options["threads"])
    table = with_p(
        result.sweep.table(),
        result.sweep.fits,
        result.rows,
        blrt,
        options["seed"],
        threads,
        options["engine"],
    )
    click.echo(sweep_text(table))
    fit = result.model.fit
    label = "" if located is None else f", {fit.specification.label}"
    click.echo(f"\nchosen by {spoken(result.sweep.criterion)}: {fit.k}{label} ({fit.status})")
