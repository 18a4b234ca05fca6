"""A sparse layer forward and backward: each back end, a plain loop over experts, and the bare matrix
products."""

from __future__ import annotations

import time
from typing import Any

from ..tables import Table

TOKENS, WIDTH, HIDDEN, EXPERTS = 4096, 256, 512, 16
KS = (1, 2, 4, 8, 12, 16)
ROUNDS = 7


def report() -> str:
    """Text of the benchmark: medians of rounds in which all contestants take turns."""
    import torch

    from ..deep import MLPExperts, choose_experts

    torch.manual_seed(0)
    experts = MLPExperts(WIDTH, HIDDEN, EXPERTS)
    x = torch.randn(TOKENS, WIDTH, requires_grad=True)
    logits = torch.randn(TOKENS, EXPERTS, requires_grad=True)
    seed = torch.randn(TOKENS, WIDTH)
    names = ("dense", "sorted", "grouped_mm", "auto")
    columns: dict[str, list[Any]] = {
        n: []
        for n in (
            "k",
            "loop_ms",
            *(f"{n}_ms" for n in names),
            "bare_ms",
            "auto_vs_best",
            "best_vs_bare",
            "loop_vs_auto",
        )
    }

    def layer(k: int, name: str) -> None:
        experts.zero_grad(set_to_none=True)
        x.grad = logits.grad = None
        assignment = choose_experts(logits, k)
        out = loop(experts, x, assignment) if name == "loop" else experts(x, assignment, name)
        out.backward(seed)

    for k in KS:
        bare = products(k)
        times: dict[str, list[float]] = {n: [] for n in ("loop", *names, "bare")}
        for _ in range(ROUNDS):
            for name in times:
                start = time.perf_counter()
                if name == "bare":
                    bare()
                else:
                    layer(k, name)
                times[name].append(1e3 * (time.perf_counter() - start))
        ms = {name: sorted(values)[ROUNDS // 2] for name, values in times.items()}
        best = min(ms[n] for n in names)
        row = [
            k,
            ms["loop"],
            *(ms[n] for n in names),
            ms["bare"],
            ms["auto"] / best,
            best / ms["bare"],
            ms["loop"] / ms["auto"],
        ]
        for column, value in zip(columns, row, strict=True):
            columns[column].append(value)
    head = (
        f"t={TOKENS}, d={WIDTH}, h={HIDDEN}, E={EXPERTS}, float32, "
        f"{torch.get_num_threads()} threads, torch {torch.__version__}"
    )
    return f"sparse layer, forward and backward: {head}\n\n{Table(columns).to_text(2)}\n"


def loop(experts: Any, x: Any, assignment: Any) -> Any:
    """What most code does: for each expert, pick its tokens, compute, and add in place."""
    import torch
    from torch.nn import functional as F

    out = torch.zeros_like(x)
    for e in range(experts.n_experts):
        at = torch.where(assignment.expert == e)[0]
        token = assignment.token[at]
        y = F.linear(
            experts.act(F.linear(x[token], experts.w1[e], experts.b1[e])), experts.w2[e], experts.b2[e]
        )
        out = out.index_add(0, token, y * assignment.weight[at, None])
    return out


def products(k: int) -> Any:
    """The six products of each expert with an equal share of the tokens, and nothing else."""
    import torch

    rows = TOKENS * k // EXPERTS
    x, h = torch.randn(EXPERTS, rows, WIDTH), torch.randn(EXPERTS, rows, HIDDEN)
    w1, w2 = torch.randn(EXPERTS, HIDDEN, WIDTH), torch.randn(EXPERTS, WIDTH, HIDDEN)

    def run() -> None:
        with torch.no_grad():
            for e in range(EXPERTS):
                torch.mm(x[e], w1[e].t())
                torch.mm(h[e], w2[e].t())
                torch.mm(x[e], w2[e])
                torch.mm(x[e].t(), h[e])
                torch.mm(h[e], w1[e])
                torch.mm(h[e].t(), x[e])

    return run
