"""`moestro select`."""

from __future__ import annotations

from typing import Any

import click

from ..errors import DataError
from .errors import one_line_errors
from .files import read_data
from .located import refuse_softmax
from .options import criterion_option, fit_options, refuse_given
from .sweep import run_sweep

LOCATED = ("covariance", "degree", "direction")


@click.command()
@fit_options
@criterion_option(penalised=False)
@click.option(
    "--model",
    type=click.Choice(["softmax", "located"]),
    default="softmax",
    show_default=True,
    help="Experts behind a gate, or Gaussian-gated (located) experts.",
)
@click.option(
    "--covariance",
    "-c",
    multiple=True,
    default=["full"],
    show_default=True,
    type=click.Choice(["full", "diagonal", "isotropic"]),
    help="Located: of an expert's inputs and response; several are compared.",
)
@click.option(
    "--degree",
    "-d",
    multiple=True,
    type=click.IntRange(1),
    default=[1],
    show_default=True,
    help="Located: of the experts' means; several are compared.",
)
@click.option(
    "--direction",
    type=click.Choice(["direct", "inverse"]),
    default="direct",
    show_default=True,
    help="Located: fitted as they are, or by inverse regression.",
)
@click.option(
    "--blrt",
    type=click.IntRange(1),
    metavar="REPLICATES",
    help=("Add p values of the parametric bootstrap likelihood-ratio test of one expert less."),
)
def select(model: str, blrt: int | None, **options: Any) -> None:
    """Compare numbers of experts on DATA and print the criteria; the chosen one is marked.

    \b
    Examples:
      moestro select voters.csv -f "party ~ left_right | income + age" --family multinomial -k 1-6
      moestro select ethanol.csv -f "nox ~ equivalence" --model located -k 1-6 -d 1 -d 2
    """
    one_line_errors(_select)(model == "located", blrt, options)


def _select(located: bool, blrt: int | None, options: dict[str, Any]) -> None:
    from ..inference.stepwise import check_stepwise, with_p
    from ..summary import sweep_text
    from ..threads import thread_count

    words = {name: options.pop(name) for name in LOCATED}
    if located:
        refuse_given(["gate"], "applies only to --model softmax")
        refuse_softmax(options["family"], "applies only to --model softmax")
    else:
        refuse_given(LOCATED, "applies only to --model located")
    if blrt is not None:
        if options["criterion"] == "dendrogram":
            raise DataError("--blrt tests the fits of a sweep, and a dendrogram makes none: leave it out")
        check_stepwise(blrt, options["weights"] is not None, options["groups"] is not None)
    result = run_sweep(options, *read_data(options), lambda found: None, words if located else None)
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
    label = f", {fit.specification.label}" if located else ""
    click.echo(f"\nchosen by {result.sweep.criterion.upper()}: {fit.k}{label} ({fit.status})")
