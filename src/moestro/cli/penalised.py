"""`moestro fit --penalty`."""

from __future__ import annotations

from typing import Any

from ..errors import DataError
from ..writing import write_figure
from .errors import Printer
from .files import draw, read_data
from .options import PENALISED_CRITERIA, refuse_given
from .report import command_line


def fit_penalised(
    penalty: str,
    alpha: float | None,
    out: str | None,
    plot: str | None,
    report: str | None,
    options: dict[str, Any],
    say: Printer,
) -> None:
    """Fit, choose and print; the options are those of `moestro fit`."""
    from dataclasses import replace

    from ..estimators import MoEClassifierCV, MoERegressorCV
    from ..experts import CLASSES, ORDERED
    from ..penalties import make_penalty
    from ..summary import spoken

    criterion = options["criterion"] or "ebic"
    if criterion not in PENALISED_CRITERIA:
        raise DataError(
            f"--criterion {criterion} is not defined for penalised fits: choose one of "
            f"{', '.join(PENALISED_CRITERIA)}"
        )
    if options["gate"] != "softmax":
        raise DataError("a penalty needs the softmax gate: leave out --gate")
    refuse_given(["top_k", "rank_on"], "does not go with --penalty, which needs the softmax gate")
    refuse_given(["cov"], "does not go with --penalty: there are no standard errors after selection")
    refuse_given(["offset"], "does not go with --penalty: penalised predictors take no offset")
    refuse_given(
        ["groups", "gate_at"],
        "does not go with --penalty: each row of a penalised fit has an expert of its own",
    )
    refuse_given(
        ["common", "fixed", "order_by", "variances", "partial"],
        "does not go with --penalty, which shrinks each coefficient",
    )
    refuse_given(
        ["starts", "solver", "engine"], "does not go with --penalty, which has its own path and solver"
    )
    if options["family"] in ORDERED:
        raise DataError("--penalty takes classes without an order: leave it out, or use --family multinomial")
    refuse_given(["levels"], "does not go with --penalty: its classes are sorted, the last one the reference")
    if options["family"] != "gaussian":
        refuse_given(["shared_variance"], "applies only to --family gaussian")
    frame, weights = read_data(options)
    chosen = make_penalty(penalty)
    how: dict[str, Any] = {
        "n_experts": options["experts"], "criterion": criterion, "random_state": options["seed"],
        "n_jobs": options["threads"], "missing": options["missing"],
        "penalty": chosen if alpha is None else replace(chosen, alpha=alpha),
    }  # fmt: skip
    if options["family"] in CLASSES:
        found: Any = MoEClassifierCV.from_formula(options["formula"], frame, sample_weight=weights, **how)
    else:
        how |= {"family": options["family"], "shared_variance": options["shared_variance"]}
        found = MoERegressorCV.from_formula(options["formula"], frame, sample_weight=weights, **how)
    say(f"Number of experts and strength, chosen by {spoken(criterion)}\n{found.selection_.to_text(4)}\n")
    say(f"Columns with a slope: {', '.join(found.selected_) or 'none'}\n")
    say(found.summary())
    if out:
        found.save(out)
        say(f"\nmodel written to {out}")
    if plot:
        from ..plots import PathDisplay

        draw(lambda path: write_figure(path, PathDisplay.from_estimator(found).figure_), plot)
        say(f"picture written to {plot}")
    if report:
        found.report(report, frame, sample_weight=weights, command=command_line())
        say(f"report written to {report}")
