"""A sparse layer forward and backward, of a single token forward alone: each back end, `transformers`' own
experts, and the bare matrix products, over types, tokens, experts and top-k."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

from ..errors import DataError, FileError
from ..reading import parse_json
from ..tables import Table
from ..writing import append_line

WIDTH, HIDDEN = 256, 512
KINDS, TOKENS, EXPERTS, KS = ("float32", "bfloat16"), (1, 256, 4096), (16, 64), (1, 2, 8)
ROUNDS = 7  # at least, and as many as
LONG = 1000.0  # milliseconds hold: calls of a fraction of one need more of them
SHORT = 100.0  # milliseconds: calls that take less warm up more than once
HOPELESS = 3.0  # times the fastest: measured once, and not again
DENSE = 4  # all experts are E / k times the work of the chosen ones: raced up to this
ROUGH = 1.1  # what `auto` may cost beside the best back end
BACKENDS = ("dense", "sorted", "grouped_mm", "auto")
CHOICE = BACKENDS[1:]  # what `auto` takes, and itself: always raced
COLUMNS = (
    "type", "t", "E", "k", *(f"{name}_ms" for name in BACKENDS), "eager_ms", "grouped_ms", "bare_ms",
    "auto_vs_best", "auto_vs_transformers", "auto_vs_bare",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One cell of the grid."""

    kind: str
    tokens: int
    experts: int
    k: int

    @property
    def name(self) -> str:
        return f"{self.kind} t={self.tokens} E={self.experts} k={self.k}"

    @property
    def trains(self) -> bool:
        """Whether gradients are computed too: a single token is inference."""
        return self.tokens > 1


def grid(quick: bool) -> list[Case]:
    """Every case, or eight small ones."""
    tokens, experts, ks = ((1, 256), (16,), (1, 2)) if quick else (TOKENS, EXPERTS, KS)
    return [Case(*of) for of in product(KINDS, tokens, experts, ks)]


def report(quick: bool = False, only: str | None = None, out: str | None = None) -> str:
    """Text of the benchmark: medians of rounds in which all contestants take turns, in milliseconds.

    Experts are gated (SiLU) without biases, as transformers' are. `only` keeps the cases whose name, such as
    "bfloat16 t=256 E=16 k=2", contains it. With `out` each case is a line of that file as soon as it is
    measured, and those that are there already are not measured again.
    """
    cases = [case for case in grid(quick) if only is None or only in case.name]
    if not cases:
        raise DataError(f"no case has {only!r} in its name, such as {grid(quick)[0].name!r}")
    setting = setting_of(3 if quick else ROUNDS)
    known = {} if out is None else read_cases(Path(out), setting)
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    for case in cases:
        ms = known.get(case.name)
        if ms is None:
            ms = medians(contestants(case), setting["rounds"])
            if out is not None:
                append_line(out, json.dumps({"case": case.name, "setting": setting, "ms": ms}))
        for column, value in row_of(case, ms).items():
            columns[column].append(value)
    ratios = columns["auto_vs_best"]
    worst = max(range(len(cases)), key=ratios.__getitem__)
    head = f"d={WIDTH}, h={HIDDEN}, {setting['threads']} threads, torch {setting['torch']}"
    return (
        f"sparse layer, forward and backward (t=1: forward), milliseconds: {head}\n\n"
        f"{Table(columns).to_text(3)}\n\nauto against the best back end: {ratios[worst]:.2f} at worst, in "
        f"{cases[worst].name} (at most {ROUGH} is wanted)\n"
    )


def setting_of(rounds: int) -> dict[str, Any]:
    """What measurements that stand in one table have in common."""
    import torch

    return {"rounds": rounds, "threads": torch.get_num_threads(), "torch": torch.__version__}


def read_cases(path: Path, setting: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Milliseconds by case and contestant of a file that an earlier run left, if there is one."""
    if not path.exists():
        return {}
    try:
        lines = path.read_text().splitlines(keepends=True)
        # One without an end was being written when its run was ended.
        data = [parse_json(text) for text in lines if text.endswith("\n")]
        found = [(line["case"], line["setting"], dict(line["ms"])) for line in data]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise FileError(f"{path}: holds no measured cases ({error})") from error
    for _, other, _ in found:
        if other != setting:
            raise FileError(f"{path}: was measured with {other}, not {setting}: choose another with --out")
    return {name: ms for name, _, ms in found}


def row_of(case: Case, ms: dict[str, float]) -> dict[str, Any]:
    """Medians of one case, and what they say of `auto`."""
    best = min(ms[name] for name in BACKENDS if name in ms)
    others = [ms[name] for name in ("eager", "grouped") if name in ms]
    return {
        "type": case.kind,
        "t": case.tokens,
        "E": case.experts,
        "k": case.k,
        **{f"{name}_ms": ms.get(name) for name in (*BACKENDS, "eager", "grouped", "bare")},
        "auto_vs_best": ms["auto"] / best,
        "auto_vs_transformers": ms["auto"] / min(others) if others else None,
        "auto_vs_bare": ms["auto"] / ms["bare"],
    }


def medians(runs: dict[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """Milliseconds of each, from rounds in which all take turns: `rounds` of them, or as many as take a
    second. The first warm up and sort out.

    The order is drawn anew each round: who comes after one that reads the same weights finds them in the
    cache, and `auto` would always come after the back end that it takes.
    """
    times: dict[str, list[float]] = {name: [] for name in runs}

    def turn(name: str) -> None:
        start = time.perf_counter()
        runs[name]()
        times[name].append(1e3 * (time.perf_counter() - start))

    for name in runs:
        runs[name]()
        turn(name)
        while sum(times[name]) < SHORT and len(times[name]) < 3:  # one call may have been interrupted
            turn(name)
    first = {name: min(values) for name, values in times.items()}
    fastest = min(first[name] for name in runs if name in BACKENDS)
    racing = [name for name in runs if name in CHOICE or first[name] <= HOPELESS * fastest]
    order = random.Random(0)
    for _ in range(max(rounds, int(LONG / sum(first[name] for name in racing)))):
        for name in order.sample(racing, len(racing)):
            turn(name)
    return {name: sorted(values)[len(values) // 2] for name, values in times.items()}


def contestants(case: Case) -> dict[str, Callable[[], None]]:
    """A call each, forward and backward, on the same tokens and the same choice of experts."""
    import torch

    from ..deep import MLPExperts, choose_experts, write_experts
    from ..deep.experts import can_group

    torch.manual_seed(0)
    kind = getattr(torch, case.kind)
    experts = MLPExperts(WIDTH, HIDDEN, case.experts, activation="silu", gated=True, bias=False).to(kind)
    x = torch.randn(case.tokens, WIDTH, dtype=kind, requires_grad=True)
    logits = torch.randn(case.tokens, case.experts, requires_grad=True)
    seed = torch.randn(case.tokens, WIDTH, dtype=kind)

    def step(call: Callable[[], Any], of: Any) -> None:
        with torch.set_grad_enabled(case.trains):
            out = call()
        if case.trains:
            of.zero_grad(set_to_none=True)
            x.grad = logits.grad = None
            out.backward(seed)

    def ours(name: str) -> None:
        step(lambda: experts(x, choose_experts(logits, case.k), name), experts)

    runs: dict[str, Callable[[], None]] = {
        name: (lambda name=name: ours(name))
        for name in BACKENDS
        if (name != "grouped_mm" or can_group(experts, kind))
        and (name != "dense" or case.experts <= DENSE * case.k)
    }
    for name, theirs in transformers_experts(case).items():
        theirs.to(kind)
        write_experts(experts, theirs)
        runs[name] = lambda of=theirs: step(lambda: of_transformers(of, x, logits, case.k), of)
    runs["bare"] = products(case, kind)
    return runs


def transformers_experts(case: Case) -> dict[str, Any]:
    """Mixtral's experts by their two ways to compute, where transformers is installed."""
    if find_spec("transformers") is None:
        return {}
    from transformers import MixtralConfig
    from transformers.models.mixtral.modeling_mixtral import MixtralExperts

    found = {}
    for name, way in (("eager", "eager"), ("grouped", "grouped_mm")):
        config = MixtralConfig(
            hidden_size=WIDTH, intermediate_size=HIDDEN, num_local_experts=case.experts,
            num_experts_per_tok=case.k,
        )  # fmt: skip
        config._experts_implementation = way
        found[name] = MixtralExperts(config)
    return found


def of_transformers(experts: Any, x: Any, logits: Any, k: int) -> Any:
    """Mixtral's block: softmax, the top k, normalised."""
    weights, indices = logits.softmax(dim=-1).topk(k, dim=-1)
    weights = (weights / weights.sum(dim=-1, keepdim=True)).to(x.dtype)
    return experts(x, indices, weights)


def products(case: Case, kind: Any) -> Callable[[], None]:
    """The products of the experts that have tokens, six or, in inference, two, with an equal share each, and
    nothing else."""
    import torch

    busy = min(case.experts, case.tokens * case.k)
    rows = case.tokens * case.k // busy
    x, z = torch.randn(busy, rows, WIDTH, dtype=kind), torch.randn(busy, rows, 2 * HIDDEN, dtype=kind)
    h = torch.randn(busy, rows, HIDDEN, dtype=kind)
    w1 = torch.randn(busy, 2 * HIDDEN, WIDTH, dtype=kind)
    w2 = torch.randn(busy, WIDTH, HIDDEN, dtype=kind)

    def run() -> None:
        with torch.no_grad():
            for e in range(busy):
                torch.mm(x[e], w1[e].t())
                torch.mm(h[e], w2[e].t())
                if not case.trains:
                    continue
                torch.mm(x[e], w2[e])
                torch.mm(x[e].t(), h[e])
                torch.mm(z[e], w1[e])
                torch.mm(z[e].t(), x[e])

    return run
