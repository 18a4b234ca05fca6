"""`moestro fit --penalty`."""

from __future__ import annotations

from typing import Any

import click

from ..errors import DataError


def fit_penalised(
    penalty: str | None, alpha: float | None, out: str | None, plot: str | None, options: dict[str, Any]
) -> None:
    """Fit, choose and print; the options are those of `moestro fit`."""
    from dataclasses import replace

    from ..design.frames import columns, read_frame
    from ..estimators import MoEClassifierCV, MoERegressorCV
    from ..penalties import make_penalty
    from .fit import check_writable

    if penalty is None:
        raise DataError("--alpha needs --penalty")
    if options["gate"] != "softmax" or options["top_k"] is not None:
        raise DataError("a penalty needs the softmax gate: leave out --gate and --top-k")
    criterion = options["criterion"] if options["criterion"] in ("bic", "aic", "cv") else "ebic"
    check_writable(out, plot)
    frame = read_frame(options["data"])
    weights = None if options["weights"] is None else columns(frame, [options["weights"]])[options["weights"]]
    how: dict[str, Any] = {
        "n_experts": options["experts"], "penalty": replace(make_penalty(penalty), alpha=alpha), "criterion": criterion,
        "random_state": options["seed"], "n_jobs": options["threads"],
    }  # fmt: skip
    if options["family"] == "multinomial":
        found: Any = MoEClassifierCV.from_formula(options["formula"], frame, sample_weight=weights, **how)
    else:
        how |= {"family": options["family"], "shared_variance": options["shared_variance"]}
        found = MoERegressorCV.from_formula(options["formula"], frame, sample_weight=weights, **how)
    click.echo(
        f"Number of experts and strength, chosen by {criterion.upper()}\n{found.selection_.to_text(4)}\n"
    )
    click.echo(f"Columns with a slope: {', '.join(found.selected_) or 'none'}\n")
    click.echo(found.summary())
    if out:
        found.save(out)
        click.echo(f"\nmodel written to {out}")
    if plot:
        from ..plots import PathDisplay

        PathDisplay.from_estimator(found).figure_.savefig(plot)
        click.echo(f"picture written to {plot}")
