"""HyperRouter and its rivals in a character model: same experts, data, steps and schedule of k; paired seeds
(arXiv 2312.07035)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, FileError
from .corpora import Corpus, MarkovSources, check_length, file_corpus, read_bytes, text_corpus
from .design import Arm, Row, Study, check_options
from .router_claims import CORPORA, claims_of, lead

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
    "HyperRouter, embedding 8": {"router": "hyper", "logit_std": HYPER_STD, "embed_dim": 8},
    "HyperRouter, hidden 32": {"router": "hyper", "logit_std": HYPER_STD, "hidden": 32},
    "SMoE, balanced": {"router": "linear", "logit_std": LINEAR_STD, "balance": BALANCE},
    "SMoE, matched": {"router": "linear", "logit_std": HYPER_STD},
    "SMoE, matched, balanced": {"router": "linear", "logit_std": HYPER_STD, "balance": BALANCE},
    "SMoE, k=2": {"router": "linear", "logit_std": HYPER_STD, "balance": BALANCE, "train_k": 2},
    "XMoE": {"router": "cosine", "balance": BALANCE},
    "StableMoE": {"router": "stable", "balance": BALANCE},
    "dense": {"router": "dense"},
    "dense, dropout": {"router": "dense", "dropout": 0.25},  # what the schedule of k leaves out on average
}
GPU = (
    "HyperRouter",
    "SMoE-Dropout",
    "SMoE-Dropout, matched",
    "SMoE, matched, balanced",
    "StableMoE",
    "dense",
)
GPU_SHAPE = {
    "width": 256, "layers": 4, "heads": 8, "context": 256, "hidden": 512, "batch": 32, "rate": 1e-3,
    "precision": "bfloat16",
}  # fmt: skip
GPU_NOTE = (
    "The preset for a GPU (`--scale gpu`: six arms of four layers, width 256, 16 experts of 512 units, "
    "products in bfloat16, 2,000 steps, three seeds) has not been run at its size, for want of one. A CPU "
    "runs it too: two steps of each arm, and the measurements, on the first 20,000 characters of the text "
    "take 72 seconds of one core "
    "(`moestro study run hyper-router --scale gpu --corpus FILE --sizes 2 --replicates 1`)."
)
ALL_WINDOWS = 10**6  # every window of the held-out text
SEEDS, FEW = 8, 4  # of the arms in OFTEN, whose differences are small, and of the others
OFTEN = ("HyperRouter", "HyperRouter, frozen", "SMoE-Dropout", "SMoE-Dropout, matched")


def arms(protocol: str, scale: str) -> list[Arm]:
    """The arms on each corpus; `sizes` are training steps and k the number of experts."""
    if scale == "gpu":
        shape = {**GPU_SHAPE, "windows": ALL_WINDOWS}
        return [Arm(f"text: {name}", 16, (2000,), 3, TEXT, {**ROUTERS[name], **shape}) for name in GPU]
    smoke = scale == "smoke"
    steps = {"text": (30,) if smoke else (600,), "sources": (30,) if smoke else (400,)}
    corpora = {"text": TEXT, "sources": {**MARKOV, "train": 40_000, "held_out": 10_000} if smoke else MARKOV}
    windows = 32 if smoke else ALL_WINDOWS

    def seeds(name: str) -> int:
        return 2 if smoke else SEEDS if name in OFTEN else FEW

    return [
        Arm(f"{corpus}: {name}", 16, steps[corpus], seeds(name), truth, {**options, "windows": windows})
        for corpus, truth in corpora.items()
        for name, options in ROUTERS.items()
    ]


def on_corpus(arms: list[Arm], path: Path) -> list[Arm]:
    """The arms of the text on the bytes of a file, whose fingerprint is part of the design."""
    whole, data = str(path.resolve()), read_bytes(path)
    truth = {"corpus": "file", "path": whole, "sha256": hashlib.sha256(data).hexdigest()}
    check_length(path, data)
    return [
        replace(arm, name=f"file: {arm.name.split(': ')[1]}", truth=truth)
        for arm in arms
        if arm.truth.get("corpus") == "text"
    ]


def check(arm: Arm) -> None:
    """A known corpus and router; the shape of the model is open."""
    known = {"router", "balance", "windows", "train_k", *(name for of in ROUTERS.values() for name in of)}
    check_options(arm, known | set(Setting.__annotations__))
    entries = {"text": {"corpus"}, "markov": set(MARKOV), "file": {"corpus", "path", "sha256"}}
    kind = arm.truth.get("corpus")
    if kind not in entries:
        raise DataError(f"arm {arm.name!r}: the corpus must be text, markov or file, got {kind!r}")
    extra = sorted(set(arm.truth) - entries[kind])
    if extra:
        raise DataError(f"arm {arm.name!r}: the corpus has no entry {', '.join(extra)}")
    if arm.options.get("precision", "float32") not in ("float32", "bfloat16"):
        raise DataError(f"arm {arm.name!r}: precision must be float32 or bfloat16")
    if not 1 <= arm.options.get("train_k", 1) <= arm.k:
        raise DataError(f"arm {arm.name!r}: train_k must lie between 1 and the {arm.k} experts")
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
    precision: str = "float32"


def fit(arm: Arm, protocol: str, n: int, rng: np.random.Generator) -> Row:
    """Train one model for n steps and measure it on held-out symbols."""
    from . import character_model as cm

    options = dict(arm.options)
    setting = Setting(**{k: options.pop(k) for k in Setting.__annotations__ if k in options})
    corpus = corpus_of(tuple(sorted(arm.truth.items())))
    router, windows = options.pop("router"), options.pop("windows", 256)
    balance, train_k = options.pop("balance", 0.0), options.pop("train_k", None)
    if router == "stable":
        options["vocabulary"] = corpus.size
    shape = cm.Shape(
        corpus.size, setting.width, setting.layers, setting.heads, setting.context, arm.k, setting.hidden
    )
    ks = tuple(k for k in KS if k <= arm.k)
    with cm.one_thread():
        model = cm.CharacterModel(
            shape, None if router == "dense" else router, options, int(rng.integers(2**31))
        ).to(cm.device())
        how = cm.Training(n, setting.batch, setting.rate, balance=balance, train_k=train_k)
        with cm.precision(setting.precision):
            batches, _ = cm.held_out_windows(corpus, setting.context, 16)
            start = {} if router == "dense" else cm.routing(model, batches)
            cm.train(model, corpus, how, rng)
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
    if given["corpus"] == "file":
        if hashlib.sha256(read_bytes(Path(given["path"]))).hexdigest() != given["sha256"]:
            raise FileError(f"{given['path']}: has changed since the design was made")
        return file_corpus(Path(given["path"]))
    rng = np.random.default_rng(given["seed"])
    sources = MarkovSources.draw(
        rng, given["sources"], given["symbols"], given["concentration"], given["switch"]
    )
    return sources.corpus(given["train"], given["held_out"], rng)


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
        "word_perplexity_2",
        "word_perplexity_16",
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
    claims=tuple(claim for corpus in CORPORA for claim in claims_of(corpus)),
    lead=lead,
    note=lambda rows, protocol: GPU_NOTE,
    on_corpus=on_corpus,
    scales=("smoke", "paper", "gpu"),
    curve_arms=("HyperRouter", "SMoE-Dropout", "SMoE-Dropout, matched", "SMoE, matched, balanced"),
    curve=tuple((float(k), f"bits_{k}") for k in KS),
    curve_labels=("experts used at inference, k", "bits per character, held out"),
    paired=True,
    needs=(("torch", "deep"),),
    protocols=("as_defined",),
    horizontal="steps",
    differences=(
        "A transformer of two layers (of four with the scale gpu) whose feed-forward parts are 16 experts, "
        "on a public-domain text and on four Markov sources that take turns (the floor is the exact forward "
        "recursion's bits on the held-out symbols), or on a file. All arms of a seed begin with the same "
        "experts and see the same batches; k rises from 8 to 16 over the training, as released, but for the "
        "arm that is trained with two. Arms called balanced, XMoE and StableMoE have a balance loss of "
        "weight 0.01, the others none. Spreads of the logits at step 0 are those of the released code at its "
        f"width: {LINEAR_STD} linear, {HYPER_STD} HyperRouter; matched arms are linear routers at "
        f"{HYPER_STD}, frozen or learned. HyperRouter has an embedding of the model's width and 256 "
        "hidden units where its name says nothing. StableMoE learns its assignment in the first tenth "
        "of the steps and then freezes it; its weights are sigmoids that are learned throughout and "
        "do not sum to one, so that fewer experts also mean a smaller sum. Dense layers have as many "
        "units as all experts together, with dropout of a quarter of them in one arm. The arms of which "
        "the primary claims and those of the router's learning speak have eight seeds, the others "
        "four. All of the held-out text is measured, in windows; a word's perplexity is 2 to the bits of "
        "its characters and one space. Entropies are of the full softmax with all experts on, in nats, "
        "means over layers; loads (dead, max_violation) are of first choices; source_information is "
        "the normalised mutual information of the last layer's first choice and the true source."
    ),
)
