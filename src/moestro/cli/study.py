"""moestro study: list, design, run, report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from .errors import one_line_errors
from .options import refuse_given

PROTOCOL = click.Choice(["as_published", "as_defined"])
SCALE = click.Choice(["smoke", "paper", "gpu"])


@click.group()
def study() -> None:
    """Simulations of the papers, as declared designs: run, resume, report.

    \b
    Start here:
      moestro study list
      moestro study run gaussian-gate --protocol as_published --scale smoke
      moestro study report gaussian-gate --protocol as_published --scale smoke
    """


def where(name: str, protocol: str | None, scale: str, out: str | None) -> tuple[str, Path]:
    """The protocol (the study's first by default) and the folder of a run."""
    from ..studies import find_study

    chosen = protocol or find_study(name).protocols[-1]
    return chosen, Path(out) if out else Path("studies") / f"{name}-{chosen}-{scale}"


@study.command("list")
def show_all() -> None:
    """The studies, their protocols and sizes."""
    one_line_errors(_list)()


def _list() -> None:
    from ..studies import STUDIES
    from ..tables import Table

    plans = {name: s.plan(s.protocols[-1], "paper") for name, s in STUDIES.items()}
    table = Table(
        {
            "study": list(STUDIES),
            "paper": [s.paper for s in STUDIES.values()],
            "protocols": [", ".join(s.protocols) for s in STUDIES.values()],
            "arms": [len(p.arms) for p in plans.values()],
            "fits at paper scale": [len(p.cells()) for p in plans.values()],
            "what": [s.title for s in STUDIES.values()],
        }
    )
    click.echo(table.to_text())


@study.command("design")
@click.argument("name")
@click.option("--protocol", type=PROTOCOL, help="As published or as defined (default).")
@click.option("--scale", type=SCALE, default="smoke", show_default=True)
def show_design(name: str, protocol: str | None, scale: str) -> None:
    """Print the arms of study NAME as JSON: edit them, and run them with --design.

    \b
    Example:
      moestro study design softmax-gaussian > mine.json
      moestro study run softmax-gaussian --design mine.json --out mine
    """
    one_line_errors(_design)(name, protocol, scale)


def _design(name: str, protocol: str | None, scale: str) -> None:
    from ..studies import find_study

    chosen, _ = where(name, protocol, scale, None)
    click.echo(json.dumps(find_study(name).plan(chosen, scale).to_dict()["arms"], indent=1))


@study.command()
@click.argument("name")
@click.option("--protocol", type=PROTOCOL, help="As published or as defined (default).")
@click.option("--scale", type=SCALE, default="smoke", show_default=True)
@click.option(
    "--out", type=click.Path(), help="Folder of the results; studies/NAME-PROTOCOL-SCALE by default."
)
@click.option("--processes", type=int, help="Default: every core. Results do not depend on it.")
@click.option(
    "--cluster",
    metavar="ADDRESS",
    help=("Make the fits on the workers of this scheduler of Dask, tcp://host:8786; they need moestro too."),
)
@click.option("--arm", "only", help="Only arms whose name contains this text.")
@click.option("--sizes", help="Sample sizes instead of the design's: 1000,10000.")
@click.option("--replicates", type=int, help="Fits a size instead of the design's.")
@click.option(
    "--design", type=click.Path(), help="JSON file with arms of your own, as `study design` prints them."
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--corpus",
    type=click.Path(),
    help="`hyper-router`: learn from the bytes of this file (enwik8, text8, ...).",
)
@click.option("--quiet", is_flag=True, help="No progress bar, no table.")
def run(name: str, protocol: str | None, scale: str, out: str | None, quiet: bool, **how: Any) -> None:
    """Run study NAME, or go on with it: every finished fit is on disk, and none is done twice.

    \b
    Examples:
      moestro study run softmax-gaussian --scale paper --arm K=2
      moestro study run gaussian-gate --protocol as_published --scale paper --processes 8
    """
    one_line_errors(_run)(name, protocol, scale, out, quiet, how)


def _run(
    name: str, protocol: str | None, scale: str, out: str | None, quiet: bool, how: dict[str, Any]
) -> None:
    from tqdm import tqdm

    from ..studies import find_study
    from ..studies.claims import claims_table
    from ..studies.lines import lines_of
    from ..studies.report import slopes_table
    from ..studies.runner import run_plan
    from ..threads import thread_count

    found = find_study(name)
    chosen, folder = where(name, protocol, scale, out)
    plan = found.plan(
        chosen, scale, only=how["only"], sizes=_sizes(how["sizes"]), replicates=how["replicates"],
        arms=_arms(how["design"]), seed=how["seed"],
        corpus=Path(how["corpus"]) if how["corpus"] else None,
    )  # fmt: skip
    with tqdm(total=None, unit=" rows", unit_scale=True, disable=quiet or None, desc=name) as bar:

        def progress(done: int, total: int) -> None:
            if bar.total is None:
                bar.reset(total)
                bar.initial = done
            bar.n = done
            bar.refresh()

        try:
            most = how["processes"]
            with _client(how["cluster"]) as client:
                rows = run_plan(
                    found, plan, folder, thread_count(None) if most is None else most, progress, client
                )
        except KeyboardInterrupt:
            click.echo(
                f"\nstopped; what is finished is in {folder}: the same command goes on from there", err=True
            )
            raise SystemExit(130) from None
    if not quiet:
        if found.horizontal == "n":
            click.echo(
                slopes_table(found, lines_of(found, rows, [a.name for a in plan.arms]), chosen).to_text(3)
            )
        if found.claims:
            click.echo(claims_table(found.claims, rows).to_text(3))
        click.echo(f"\n{len(rows)} fits in {folder}")


@contextmanager
def _client(address: str | None) -> Iterator[Any]:
    """Of the scheduler at an address; None of none."""
    from ..errors import FileError

    if address is None:
        yield None
        return
    refuse_given(["processes"], "is of this machine, and --cluster has its own workers")
    try:
        from distributed import Client  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise FileError("--cluster needs an extra: pip install 'moestro[dask]'") from error
    try:
        client = Client(address, timeout="10s")
    except (OSError, ValueError) as error:
        raise FileError(f"{address}: no scheduler of Dask answers there") from error
    with client:
        yield client


def _sizes(text: str | None) -> tuple[int, ...] | None:
    from ..errors import DataError

    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise DataError(f"--sizes={text!r}: give whole numbers with commas between them") from error


def _arms(path: str | None) -> Any:
    from ..errors import DataError
    from ..reading import read_json
    from ..studies import Arm

    def arms(data: Any) -> Any:
        if not isinstance(data, list):
            raise DataError("a design is a list of arms")
        return [Arm.from_dict(arm) for arm in data]

    return None if path is None else read_json(path, arms)


@study.command()
@click.argument("name")
@click.option("--protocol", type=PROTOCOL, help="As published or as defined (default).")
@click.option("--scale", type=SCALE, default="smoke", show_default=True)
@click.option("--out", type=click.Path(), help="Folder of the results.")
def report(name: str, protocol: str | None, scale: str, out: str | None) -> None:
    """Write report.md, figure.png and summary.csv of what study NAME has finished."""
    one_line_errors(_report)(name, protocol, scale, out)


def _report(name: str, protocol: str | None, scale: str, out: str | None) -> None:
    from ..studies.report import write_report

    _, folder = where(name, protocol, scale, out)
    click.echo(write_report(name, folder))
    click.echo(f"written to {folder}")
