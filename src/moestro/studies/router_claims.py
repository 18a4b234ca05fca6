"""What is claimed of HyperRouter, and the sentences that its page begins with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .claims import Claim, claims_table, means_table

CORPORA = ("text", "sources", "file")  # as the names of the arms begin
SAID = {"holds": "holds", "does not": "does not hold", "open": "is open"}


def claims_of(corpus: str) -> list[Claim]:
    """Primary: fewer bits with one and two experts than a frozen router of the same initial scale."""
    hyper, rival = f"{corpus}: HyperRouter", f"{corpus}: SMoE-Dropout"
    matched, frozen = f"{rival}, matched", f"{hyper}, frozen"
    out = [
        Claim(f"fewer bits at k={k}", hyper, f"bits_{k}", matched, f"bits_{k}", primary=True) for k in (1, 2)
    ]
    out += [
        Claim("lower router entropy", hyper, "entropy", rival, "entropy"),
        Claim("... and not by scale alone", hyper, "entropy", matched, "entropy"),
        Claim("... and not without learning", hyper, "entropy", frozen, "entropy"),
        Claim("... and falls while trained", hyper, "entropy", hyper, "entropy_start"),
        Claim("mutual information not lower", matched, "mutual_information", hyper, "mutual_information"),
    ]
    learned = (f"{corpus}: SMoE, matched", f"{corpus}: SMoE, matched, balanced", f"{corpus}: SMoE, k=2")
    for k in (1, 2):
        out += [
            Claim(f"fewer bits at k={k}", hyper, f"bits_{k}", other, f"bits_{k}")
            for other in (rival, frozen, *learned)
        ]
    return [
        *out,
        Claim("k=16 no worse by 0.01 bits", hyper, "bits_16", rival, "bits_16", margin=0.01),
        Claim("k=2 as good as the rival's k=4", hyper, "bits_2", rival, "bits_4"),
        Claim("k=2 as good as the rival's k=8", hyper, "bits_2", rival, "bits_8"),
        Claim("k=2 as good as the matched rival's k=4", hyper, "bits_2", matched, "bits_4"),
        Claim("k=2 as good as dense", hyper, "bits_2", f"{corpus}: dense", "bits_2"),
    ]


def lead(rows: Sequence[dict[str, Any]]) -> str:
    """Three sentences on the first corpus of the rows: the primary claims, the rival as released, and the
    arms at k = 2."""
    names = list(dict.fromkeys(str(r["arm"]) for r in rows))
    corpus = next((c for c in ("text", "file", "sources") if f"{c}: HyperRouter" in names), None)
    if corpus is None:
        return ""
    return " ".join(_sentences(corpus, rows, names))


def _sentences(corpus: str, rows: Sequence[dict[str, Any]], names: list[str]) -> Iterator[str]:
    hyper = f"{corpus}: HyperRouter"

    def against(other: str) -> list[dict[str, Any]]:
        claims = [
            Claim("", hyper, f"bits_{k}", f"{corpus}: {other}", f"bits_{k}", primary=True) for k in (1, 2)
        ]
        return list(claims_table(claims, rows).rows())

    def told(found: list[dict[str, Any]]) -> str:
        return " and ".join(
            f"{r['difference']:+.3f}" + (f" [{r['low']:.3f}, {r['high']:.3f}]" if r["pairs"] > 1 else "")
            for r in found
        )

    matched, released = against("SMoE-Dropout, matched"), against("SMoE-Dropout")
    if matched:
        answers = " and ".join(
            f"{SAID[r['answer']]} at k = {k}" for k, r in zip((1, 2), matched, strict=True)
        )
        pairs = matched[0]["pairs"]
        of = f"mean and 95 % interval over {pairs} paired seeds" if pairs > 1 else "of one seed"
        yield (
            f"On the {corpus}, with one and two experts, HyperRouter differs by {told(matched)} bits per "
            f"character from a frozen random router whose logits have the same spread at the start ({of}): "
            f"that it needs fewer, the two primary claims, {answers}."
        )
    if released:
        yield (
            "From SMoE-Dropout as released, whose logits start with less than a third of that spread, it "
            f"differs by {told(released)}."
        )
    table = means_table(("bits_2",), rows, names, "steps")
    at = {row["arm"].split(": ")[1]: row["bits_2"] for row in table.rows() if row["arm"].startswith(corpus)}
    shown = [n for n in ("SMoE, matched", "SMoE, k=2", "XMoE", "StableMoE", "dense") if n in at]
    if shown:
        others = ", ".join(f"{name} {at[name]}" for name in shown)
        yield f"At k = 2 it needs {at['HyperRouter']} bits; trained routers and a dense layer, {others}."
