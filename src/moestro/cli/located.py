"""`moestro fit --gate gaussian`, and `moestro predict` from its file."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from ..errors import DataError
from .errors import Printer
from .files import draw, numbers, read_data

if TYPE_CHECKING:
    from ..fitted import LocatedModel

SOFTMAX_ONLY = {
    "family": "gaussian", "shared_variance": False, "top_k": None, "rank_on": "score", "solver": "auto",
    "engine": "auto", "groups": None,
}  # fmt: skip


def located_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of Gaussian-gated experts, each without effect until it is given."""
    structures = click.Choice(["full", "diagonal", "isotropic", "blocks", "factors"])
    for option in reversed(
        [
            click.option("--covariance", "-c", multiple=True, type=structures, help=(
                "Gaussian gate: of the response about its expert; several are compared. By default full."
            )),
            click.option("--gate-covariance", type=click.Choice(["full", "diagonal", "isotropic"]), help=(
                "Gaussian gate: of the columns in an expert. By default full."
            )),
            click.option("--tied", is_flag=True, help="Gaussian gate: one covariance for all experts."),
            click.option("--gate-tied", is_flag=True, help=(
                "Gaussian gate: one gate covariance for all experts."
            )),
            click.option("--degree", "-d", multiple=True, type=click.IntRange(1), help=(
                "Gaussian gate: of the experts' means; several are compared. By default 1."
            )),
            click.option("--direction", type=click.Choice(["direct", "inverse"]), help=(
                "Gaussian gate: fitted as it is, or by inverse regression. By default direct."
            )),
            click.option("--rank", type=click.IntRange(1), help=(
                "Gaussian gate: latent factors of --covariance factors. By default 1."
            )),
            click.option("--student", is_flag=True, help="Gaussian gate: Student tails."),
        ]
    ):  # fmt: skip
        command = option(command)
    return command


def located_given(options: dict[str, Any]) -> dict[str, Any]:
    """Take the options of `located_options` out of all options: those that were given."""
    names = ("covariance", "gate_covariance", "tied", "gate_tied", "degree", "direction", "rank", "student")
    found = {name: options.pop(name) for name in names}
    return {n: list(v) if isinstance(v, tuple) else v for n, v in found.items() if v not in (None, False, ())}


def refuse_located(given: dict[str, Any]) -> None:
    """Options of Gaussian gates beside another gate."""
    if given:
        raise DataError(f"--{next(iter(given)).replace('_', '-')} needs --gate gaussian")


def fit_located(
    given: dict[str, Any],
    cov: str,
    alpha: float | None,
    out: str | None,
    plot: str | None,
    options: dict[str, Any],
    say: Printer,
) -> None:
    """Fit, choose and print; `options` are the others of `moestro fit`."""
    from ..api import select_experts
    from ..design import FormulaDesign
    from ..design.response import numeric_response
    from ..fitted import LocatedModel
    from ..inference import located_covariance
    from ..summary.located import summary_text

    if alpha is not None:
        raise DataError("--alpha is the strength of a penalty, and Gaussian gates have none: leave it out")
    for name, default in SOFTMAX_ONLY.items():
        if options[name] != default:
            raise DataError(f"--{name.replace('_', '-')} has no meaning for --gate gaussian: leave it out")
    frame, weights = read_data(options)
    if options["starts"]:
        given["n_starts"] = options["starts"]
    criterion = options["criterion"] or "bic"
    found = select_experts(
        options["formula"], frame, model="located", n_experts=options["experts"], criterion=criterion,
        random_state=options["seed"], n_jobs=options["threads"], sample_weight=weights, **given,
    )  # fmt: skip
    say(f"Models, chosen by {criterion.upper()}\n{found.table.to_text(3)}\n")
    design = FormulaDesign.learn(options["formula"], frame)
    y = numeric_response(design.read_response(frame), design.response)
    trust = None
    if cov != "none":
        trust = located_covariance(found.best, design.matrices(frame)[0], y, weights, cov)
    model = LocatedModel(design, (design.response,), True, found.best, trust)
    say(summary_text(model, trust))
    if out:
        model.save(out)
        say(f"\nmodel written to {out}")
    if plot:
        from ..plots.located import located_overview

        draw(lambda path: located_overview(model, found.table, path), plot)
        say(f"picture written to {plot}")


def predict_located(model: LocatedModel, frame: Any, gate: bool, level: float) -> dict[str, np.ndarray]:
    """Columns of predictions: mean, standard deviation, median and interval; of several responses each by its
    name."""
    from ..design import FormulaDesign
    from ..design.frames import columns

    if isinstance(model.design, FormulaDesign):
        x = model.design.matrices(frame)[0]
    else:
        x = np.column_stack([numbers(n, v) for n, v in columns(frame, model.design.names).items()])
    law = model.fit.measure.law(x)
    table: dict[str, np.ndarray] = {}
    for j, name in enumerate(model.responses):
        one = law.marginal(j)
        low, middle, high = one.quantile(np.array([(1 - level) / 2, 0.5, (1 + level) / 2])).T
        parts = {"mean": one.mean(), "std": one.std(), "low": low, "median": middle, "high": high}
        table |= {part if model.single else f"{part}({name})": v for part, v in parts.items()}
    if gate:
        table |= {f"gate({e + 1})": g for e, g in enumerate(law.weights.T)}
    return table
