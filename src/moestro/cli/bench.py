"""`moestro bench`."""

from __future__ import annotations

import click

from .errors import one_line_errors


@click.command()
@click.argument(
    "what",
    type=click.Choice(
        [
            "passes",
            "families",
            "fits",
            "growth",
            "instructions",
            "located",
            "mm",
            "penalised",
            "scale",
            "search",
            "simulated",
            "solvers",
            "start-up",
            "deep",
            "torch",
            "all",
        ]
    ),
    default="passes",
)
@click.option(
    "--rows",
    type=click.IntRange(1000),
    help="Rows of `passes` (400 000 by default), of `scale` (10 million) and of `torch` (1 million).",
)
@click.option(
    "--max-rows",
    type=click.IntRange(10_000),
    default=1_000_000,
    show_default=True,
    help="Largest size of `growth` and `located`.",
)
@click.option(
    "--flexmix", is_flag=True, help="`fits`, `search`: R's flexmix beside it (needs Rscript; minutes)."
)
@click.option(
    "--only",
    help="`fits`, `torch`: this family alone; `search`: these data alone; `deep`: cases with this text.",
)
@click.option("--device", default="cpu", show_default=True, help="Of `torch`: cuda, cuda:0, ...")
@click.option("--quick", is_flag=True, help="`deep`: eight small cases, a few seconds.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False),
    help="`deep`: a file that takes each case as it is measured; a run that was stopped goes on from it.",
)
@click.option(
    "--seeds", type=click.IntRange(1), help="Fits of each data set: 20 in `search`, 5 in `simulated`."
)
@click.option("--memory-limit", metavar="SIZE", default="2GB", show_default=True, help="Of a fit of `scale`.")
@click.option(
    "--record",
    is_flag=True,
    help="`search`: write the best known values anew, from ten times the budget (hours). `instructions`: "
    "write the counts anew.",
)
def bench(
    what: str,
    rows: int | None,
    max_rows: int,
    flexmix: bool,
    only: str | None,
    seeds: int | None,
    memory_limit: str,
    record: bool,
    quick: bool,
    out: str | None,
    device: str,
) -> None:
    """Measure this machine: WHAT is one of these, or all (but instructions, scale, search, simulated, deep,
    torch).

    \b
    passes    one sum over the rows, by engine, order, threads and instruction set, against the floor
    families  a family written in NumPy beside its compiled twin, and gates in NumPy beside softmax
    fits      whole fits with default starts
    growth    time and memory against the number of rows
    instructions  of one pass of each kind, counted by valgrind: fails where one needs 10 % more than recorded
    located   Gaussian mixtures of (x, y): an EM iteration against its floor, whole fits, growth
    mm        multinomial experts: a quadratic minoriser's steps beside EM's and Newton's
    penalised paths of the Lasso: time, optimality, memory, and what is selected
    scale     fits of Parquet files under a limit of memory, beside reading them once
    search    real data from R's packages, statsmodels and scikit-learn: how often the best optimum is found
    simulated multinomial sets, and a start from their truth: how often the best optimum is found
    solvers   Newton against L-BFGS by number of parameters
    deep      a sparse PyTorch layer by back end, and transformers' experts (needs torch)
    torch     one sum over the rows, and whole fits, on a device of torch beside the compiled engine
    start-up  importing, and the smallest whole run

    Medians within one run. Run it on an idle machine.

    \b
    Example:
      moestro bench passes --rows 1000000
    """
    from ..bench import fits, growth, located, mm, passes, penalised, solvers, startup, terms

    @one_line_errors
    def run() -> None:
        if what in ("passes", "all"):
            click.echo(passes.report(rows or 400_000))
        if what in ("families", "all"):
            click.echo(terms.report())
        if what in ("fits", "all"):
            click.echo(fits.report(flexmix, only))
        if what in ("growth", "all"):
            click.echo(growth.report(max_rows))
        if what in ("located", "all"):
            click.echo(located.report(max_rows))
        if what in ("penalised", "all"):
            click.echo(penalised.report())
        if what in ("mm", "all"):
            click.echo(mm.report())
        if what in ("solvers", "all"):
            click.echo(solvers.report())
        if what == "instructions":
            from ..bench import instructions

            text, kept = instructions.report(record)
            click.echo(text)
            if not kept:
                raise click.exceptions.Exit(1)
        if what == "scale":
            from ..bench import scale

            click.echo(scale.report(rows or 10_000_000, memory_limit))
        if what == "search":
            from ..bench import search

            click.echo(search.report(seeds or search.SEEDS, only, record, flexmix))
        if what == "simulated":
            from ..bench import simulated

            click.echo(simulated.report(seeds or simulated.SEEDS))
        if what == "deep":
            from ..bench import deep

            click.echo(deep.report(quick, only, out))
        if what == "torch":
            from ..bench import torch

            click.echo(torch.report(rows or 1_000_000, device, only))
        if what in ("start-up", "all"):
            click.echo(startup.report())

    run()
