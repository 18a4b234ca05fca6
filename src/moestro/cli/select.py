"""`moestro select`."""

from __future__ import annotations

from typing import Any

import click

from .errors import one_line_errors
from .files import read_data
from .options import criterion_option, fit_options, refuse_given
from .sweep import run_sweep

LOCATED = ("covariance", "degree", "direction")
GATED = ("gate", "top_k", "rank_on", "solver", "engine", "shared_variance", "groups")


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
def select(model: str, **options: Any) -> None:
    """Compare numbers of experts on DATA and print the criteria; the chosen one is marked.

    \b
    Examples:
      moestro select voters.csv -f "party ~ left_right | income + age" --family multinomial -k 1-6
      moestro select ethanol.csv -f "nox ~ equivalence" --model located -k 1-6 -d 1 -d 2
    """
    one_line_errors(_select_located if model == "located" else _select)(options)


def _select(options: dict[str, Any]) -> None:
    refuse_given(LOCATED, "applies only to --model located")
    result = run_sweep(options, *read_data(options), lambda found: None)
    click.echo(result.sweep.table().to_text(3))
    chosen = result.model.fit
    click.echo(f"\nchosen by {result.sweep.criterion.upper()}: {chosen.model.k} ({chosen.status})")


def _select_located(options: dict[str, Any]) -> None:
    from ..api import select_experts

    refuse_given(GATED, "applies only to --model softmax")
    frame, weights = read_data(options)
    how: dict[str, Any] = {name: options[name] for name in LOCATED}
    if options["starts"]:
        how["n_starts"] = options["starts"]
    found = select_experts(
        options["formula"], frame, model="located", family=options["family"], n_experts=options["experts"],
        criterion=options["criterion"], random_state=options["seed"], n_jobs=options["threads"],
        sample_weight=weights, **how,
    )  # fmt: skip
    click.echo(found.table.to_text(3))
    best = found.best
    click.echo(
        f"\nchosen by {found.choice.criterion.upper()}: {best.k}, {best.specification.label} ({best.status})"
    )
