"""Options of `--gate gaussian`, and which others go with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from .options import refuse_given

SOFTMAX_ONLY = (
    "shared_variance", "top_k", "rank_on", "solver", "engine", "groups", "gate_at", "offset", "common",
    "fixed", "order_by", "variances", "partial", "levels",
)  # fmt: skip


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


def located_given(options: dict[str, Any]) -> dict[str, Any] | None:
    """Take the options of `located_options` out of all options: those that were given, as words of
    `selection.located.specifications`; None where the gate is another one."""
    names = ("covariance", "gate_covariance", "tied", "gate_tied", "degree", "direction", "rank", "student")
    found = {name: options.pop(name) for name in names}
    if options["gate"] != "gaussian":
        refuse_given(names, "needs --gate gaussian")
        return None
    # Located experts are Gaussian, which may be said.
    unread = SOFTMAX_ONLY if options["family"] == "gaussian" else ("family", *SOFTMAX_ONLY)
    refuse_given(unread, "has no meaning for --gate gaussian")
    if "factors" not in found["covariance"]:
        refuse_given(["rank"], "applies only to --covariance factors")
    return {n: v for n, v in found.items() if v not in (None, False, ())}
