"""The table of a sweep as text."""

from __future__ import annotations

from ..tables import Table

HEADS = {
    "k": "k",
    "log_likelihood": "log-lik.",
    "aic": "AIC",
    "bic": "BIC",
    "icl": "ICL",
    "adjusted_bic": "adj. BIC",
    "caic": "CAIC",
    "entropy_r2": "ent. R²",
    "smallest_share": "least",
    "blrt_p": "BLRT p",
}

SPOKEN = {
    "djump": "the dimension jump", "ddse": "the data-driven slope", "cv": "held-out likelihood",
    "dendrogram": "the dendrogram",
}  # fmt: skip


def spoken(criterion: str) -> str:
    """A criterion as a sentence names it: BIC, the dimension jump."""
    return SPOKEN.get(criterion, criterion.upper())


def sweep_text(table: Table) -> str:
    """One row a fit; a star marks the chosen one.

    "ent. R²" is the entropy R², "least" the share of the smallest expert, "found" how often the search found
    the fit, "BLRT p" the p value of the bootstrap test of one expert less.
    """
    columns = {HEADS.get(name, name): cells for name, cells in table.columns.items() if name != "chosen"}
    if "blrt_p" in table.columns:
        columns["BLRT p"] = ["" if p is None else f"{p:.3f}" for p in table["blrt_p"]]
    marks = ["*" if chosen else "" for chosen in table["chosen"]]
    return Table({"": marks, **columns}).to_text(2)
