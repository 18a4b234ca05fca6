"""A sweep over numbers of experts, as `fit` and `select` run it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .options import refuse_given
from .progress import Progress


def run_sweep(options: dict[str, Any], frame: Any, weights: Any, record: Callable[[Any], None]) -> Any:
    """Fit every number of experts; `record` is called with each fit."""
    from ..api import fit_formula
    from ..search import Options
    from ..threads import thread_count

    if options["top_k"] is None:
        refuse_given(["rank_on"], "applies only to a sparse gate (--top-k)")
    if options["family"] != "gaussian":
        refuse_given(["shared_variance"], "applies only to --family gaussian")
    with Progress() as progress:
        return fit_formula(
            options["formula"],
            frame,
            options["family"],
            options["experts"],
            Options(
                solver=options["solver"],
                engine=options["engine"],
                n_starts=options["starts"] or "auto",
                seed=options["seed"],
                threads=thread_count(options["threads"]),
                progress=progress.show,
            ),
            sample_weight=weights,
            groups=options["groups"],
            shared_variance=options["shared_variance"],
            criterion=options["criterion"],
            gate=options["gate"],
            top_k=options["top_k"],
            rank_on=options["rank_on"],
            started=progress.begin,
            finished=lambda fit: progress.write(record, fit),
        )
