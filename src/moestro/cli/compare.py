"""`moestro compare`."""

from __future__ import annotations

import os
from typing import Any

import click

from .errors import one_line_errors


@click.command()
@click.argument("models", type=click.Path(), nargs=-1, required=True)
@click.option(
    "--cov",
    type=click.Choice(["observed", "sandwich", "none"]),
    default="observed",
    show_default=True,
    help="Standard errors, where the files keep them.",
)
@click.option(
    "--below",
    type=click.Choice(["std_error", "p", "none"]),
    default="std_error",
    show_default=True,
    help="Below an estimate: its standard error, its p value, or nothing.",
)
def compare(**options: Any) -> None:
    """Put MODELS that `moestro fit --out` wrote side by side: coefficients, log-likelihood, AIC, BIC.

    They must have been fitted on the same rows and weights.

    \b
    Example:
      moestro compare two.json three.json
    """
    one_line_errors(_compare)(**options)


def _compare(models: tuple[str, ...], cov: str, below: str) -> None:
    from ..fitted import model_from_dict
    from ..reading import read_json
    from ..summary import comparison

    read = [read_json(path, model_from_dict) for path in models]
    names = [os.path.splitext(os.path.basename(path))[0] for path in models]
    if len(set(names)) < len(names):
        names = list(models)
    covariances = [model.covariances.get(cov) for model in read]
    click.echo(str(comparison(read, covariances, names, below)))
