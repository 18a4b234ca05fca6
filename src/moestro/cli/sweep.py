"""A sweep over numbers of experts, as `fit` and `select` run it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import DataError
from .options import refuse_given
from .progress import Progress


def run_sweep(
    options: dict[str, Any],
    frame: Any,
    weights: Any,
    record: Callable[[Any], None],
    located: dict[str, Any] | None = None,
) -> Any:
    """Fit every number of experts; `record` is called with each fit. `located` are the options of Gaussian
    gates, None for another gate."""
    from ..api import fit_formula, fit_located_design
    from ..design.by_formula import Given, read_formula
    from ..design.holes import MARGINAL
    from ..experts import CLASSES
    from ..gates import make_gate
    from ..search import Options
    from ..selection.located import specifications
    from ..threads import thread_count

    if options["top_k"] is None:
        refuse_given(["rank_on"], "applies only to a sparse gate (--top-k)")
    if options["family"] != "gaussian":
        refuse_given(["shared_variance"], "applies only to --family gaussian")
    with Progress() as progress:
        search = Options(
            solver=options["solver"],
            engine=options["engine"],
            n_starts=options["starts"] or "auto",
            seed=options["seed"],
            threads=thread_count(options["threads"]),
            progress=progress.show,
        )
        how: dict[str, Any] = {
            "criterion": options["criterion"],
            "started": progress.begin,
            "finished": lambda fit: progress.write(record, fit),
        }
        formula, ks = options["formula"], options["experts"]
        if located is not None:
            if isinstance(frame, str):
                raise DataError("a Gaussian gate needs rows in memory: give one file, without --memory-limit")
            data = read_formula(formula, frame, Given(weights, missing=options["missing"]), located=True)
            located["missing"] = MARGINAL if options["missing"] == MARGINAL else "error"
            return fit_located_design(data, specifications(**located), ks, search, **how)
        gate = make_gate(options["gate"], options["top_k"], options["rank_on"])
        how |= {name: options[name] for name in ("memory_limit", "cache", "shared_variance")} | {"gate": gate}
        if options["family"] not in CLASSES:
            refuse_given(["levels"], "applies only to classes: --family multinomial or ordinal")
        levels = None if options["levels"] is None else options["levels"].split(",")
        said = {name: options[name] for name in ("groups", "offset", "missing", "partial", "gate_at")}
        held = {"common": list(options["common"]) or None, "fixed": options["fixed"]}
        how["constraints"] = held | {name: options[name] for name in ("order_by", "variances")}
        given = Given(weights, levels=levels, **said)
        return fit_formula(formula, frame, options["family"], ks, search, given, **how)
