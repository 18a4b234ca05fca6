"""HyperRouter and its rivals in a character model: same experts, data, steps and schedule of k; paired seeds
(arXiv 2312.07035)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from ..errors import DataError
from .claims import Claim
from .corpora import Corpus, MarkovSources, text_corpus
from .design import Arm, Row, Study, check_options

# Standard deviations of the logits at step 0 of the released code at its width of 256: what a linear router
# has, and what HyperRouter has.
LINEAR_STD, HYPER_STD = 0.32, 1.13
KS = (1, 2, 4, 8, 16)
BALANCE = 0.01
TEXT = {"corpus": "text"}
MARKOV = {
    "corpus": "markov", "sources": 4, "symbols": 12, "concentration": 0.2, "switch": 0.01, "train": 400_000,
    "held_out": 40_000, "seed": 7,
}  # fmt: skip
ROUTERS: dict[str, dict[str, Any]] = {
    "HyperRouter": {"router": "hyper", "logit_std": HYPER_STD},
    "SMoE-Dropout": {"router": "frozen", "logit_std": LINEAR_STD},
    "SMoE-Dropout, matched": {"router": "frozen", "logit_std": HYPER_STD},
    "HyperRouter, frozen": {"router": "hyper", "logit_std": HYPER_STD, "train_embedding": False},
    "SMoE, balanced": {"router": "linear", "logit_std": LINEAR_STD, "balance": BALANCE},
    "XMoE": {"router": "cosine", "balance": BALANCE},
    "StableMoE": {"router": "stable", "balance": BALANCE},
    "dense": {"router": "dense"},
}


def arms(protocol: str, scale: str) -> list[Arm]:
    """Eight arms on each corpus; `sizes` are training steps and k the number of experts."""
    smoke = scale == "smoke"
    steps = {"text": (30,) if smoke else (1500,), "sources": (30,) if smoke else (1200,)}
    corpora = {"text": TEXT, "sources": {**MARKOV, "train": 40_000, "held_out": 10_000} if smoke else MARKOV}
    windows, seeds = (32, 2) if smoke else (256, 5)
    return [
        Arm(f"{corpus}: {name}", 16, steps[corpus], seeds, truth, {**options, "windows": windows})
        for corpus, truth in corpora.items()
        for name, options in ROUTERS.items()
    ]


def check(arm: Arm) -> None:
    """A known corpus and router; the shape of the model is open."""
    known = {"router", "logit_std", "train_embedding", "balance", "windows"} | set(Setting.__annotations__)
    check_options(arm, known)
    if arm.truth.get("corpus") not in ("text", "markov"):
        raise DataError(
            f"arm {arm.name!r}: the corpus must be text or markov, got {arm.truth.get('corpus')!r}"
        )
    extra = sorted(set(arm.truth) - (set(MARKOV) if arm.truth["corpus"] == "markov" else {"corpus"}))
    if extra:
        raise DataError(f"arm {arm.name!r}: the corpus has no entry {', '.join(extra)}")
    if arm.options.get("router") not in ("dense", "hyper", "frozen", "linear", "cosine", "stable"):
        raise DataError(f"arm {arm.name!r}: router {arm.options.get('router')!r} is unknown")


@dataclass(frozen=True)
class Setting:
    """What an arm may change beside its router."""

    width: int = 64
    layers: int = 2
    heads: int = 4
    context: int = 64
    hidden: int = 64
    batch: int = 16
    rate: float = 4e-3


def fit(arm: Arm, protocol: str, n: int, rng: np.random.Generator) -> Row:
    """Train one model for n steps and measure it on held-out symbols."""
    from . import character_model as cm

    options = dict(arm.options)
    setting = Setting(**{k: options.pop(k) for k in Setting.__annotations__ if k in options})
    corpus = corpus_of(tuple(sorted(arm.truth.items())))
    router, windows = options.pop("router"), options.pop("windows", 256)
    balance = options.pop("balance", 0.0)
    if router == "stable":
        options["vocabulary"] = corpus.size
    shape = cm.Shape(
        corpus.size, setting.width, setting.layers, setting.heads, setting.context, arm.k, setting.hidden
    )
    ks = tuple(k for k in KS if k <= arm.k)
    with cm.one_thread():
        model = cm.CharacterModel(
            shape, None if router == "dense" else router, options, int(rng.integers(2**31))
        )
        batches, _ = cm.held_out_windows(corpus, setting.context, 16)
        start = {} if router == "dense" else cm.routing(model, batches)
        cm.train(model, corpus, cm.Training(n, setting.batch, setting.rate, balance=balance), rng)
        row = cm.measure(model, corpus, ks, windows)
    row |= {f"{name}_start": start[name] for name in ("entropy", "logit_std") if name in start}
    if corpus.floor is not None:
        row["floor"] = corpus.floor
    bits = row[f"bits_{ks[-1]}"]
    return {
        **row,
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "log_likelihood": -float(bits) * float(np.log(2.0)),
        "iterations": n,
        "gradient": None,
        "status": "trained",
    }


@cache
def corpus_of(truth: tuple[tuple[str, Any], ...]) -> Corpus:
    """The corpus that an arm states; one for all of its seeds."""
    given = dict(truth)
    if given["corpus"] == "text":
        return text_corpus()
    rng = np.random.default_rng(given["seed"])
    sources = MarkovSources.draw(
        rng, given["sources"], given["symbols"], given["concentration"], given["switch"]
    )
    return sources.corpus(given["train"], given["held_out"], rng)


def _claims(corpus: str) -> list[Claim]:
    hyper, rival = f"{corpus}: HyperRouter", f"{corpus}: SMoE-Dropout"
    matched, frozen = f"{rival}, matched", f"{hyper}, frozen"
    out = [
        Claim("lower router entropy", hyper, "entropy", rival, "entropy"),
        Claim("... and not by scale alone", hyper, "entropy", matched, "entropy"),
        Claim("... and not without learning", hyper, "entropy", frozen, "entropy"),
        Claim("... and falls while trained", hyper, "entropy", hyper, "entropy_start"),
        Claim("mutual information not lower", matched, "mutual_information", hyper, "mutual_information"),
    ]
    for k in (1, 2):
        out += [
            Claim(f"fewer bits at k={k}", hyper, f"bits_{k}", other, f"bits_{k}")
            for other in (rival, matched, frozen)
        ]
    return [
        *out,
        Claim("k=16 no worse by 0.01 bits", hyper, "bits_16", rival, "bits_16", margin=0.01),
        Claim("k=2 as good as the rival's k=4", hyper, "bits_2", rival, "bits_4"),
        Claim("k=2 as good as the rival's k=8", hyper, "bits_2", rival, "bits_8"),
        Claim("k=2 as good as the matched rival's k=4", hyper, "bits_2", matched, "bits_4"),
    ]


STUDY = Study(
    name="hyper-router",
    title="HyperRouter and its rivals in a character model",
    paper="arXiv 2312.07035",
    arms=arms,
    fit=fit,
    check=check,
    lines={},
    columns=(
        *(f"bits_{k}" for k in KS),
        "entropy_start",
        "entropy",
        "mutual_information",
        "source_information",
        "logit_std",
        "dead",
        "max_violation",
        "floor",
        "parameters",
    ),
    claims=tuple(claim for corpus in ("text", "sources") for claim in _claims(corpus)),
    curve=tuple((float(k), f"bits_{k}") for k in KS),
    curve_labels=("experts used at inference, k", "bits per character, held out"),
    paired=True,
    needs=(("torch", "deep"),),
    protocols=("as_defined",),
    horizontal="steps",
    differences=(
        "A transformer of two layers whose feed-forward parts are 16 experts, on a public-domain text and on "
        "four Markov sources that take turns (the floor is the exact "
        "forward recursion's bits on the held-out symbols). All arms of a seed begin with the same experts "
        "and see the same batches; k rises from 8 to 16 "
        "over the training, as released; frozen routers have no other loss, learned ones a balance loss of "
        "weight 0.01. Spreads of the logits at step 0 are those of the "
        f"released code at its width: {LINEAR_STD} linear, {HYPER_STD} HyperRouter; the matched arm is a "
        f"frozen linear router at {HYPER_STD}. Entropies are of "
        "the full softmax with all experts on, in nats, means over layers; loads (dead, max_violation) are "
        "of first choices; source_information is the normalised mutual "
        "information of the last layer's first choice and the true source."
    ),
)
