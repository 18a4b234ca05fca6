"""`moestro fit` and `moestro select`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click

from ..errors import DataError, FileError
from .located import located_given, located_options

FORMULA_HELP = 'RESPONSE ~ EXPERTS | GATE, for example "y ~ x1 + log(x2) | z". Without the bar the gate uses the experts\' columns.'


class ExpertRange(click.ParamType):
    """ "3", "1-5" or "1,2,4"."""

    name = "K"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        if isinstance(value, list):
            return value
        try:
            out: list[int] = []
            for piece in str(value).split(","):
                low, _, high = piece.partition("-")
                out += list(range(int(low), int(high or low) + 1))
        except ValueError:
            out = []
        if not out or min(out) < 1:
            self.fail(f"'{value}' is not a number of experts: write 3, 1-5 or 1,2,4", param, ctx)
        return sorted(set(out))


def fit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that `fit` and `select` share."""
    for option in reversed(
        [
            click.argument("data", type=click.Path()),
            click.option("--formula", "-f", required=True, help=FORMULA_HELP),
            click.option("--experts", "-k", type=ExpertRange(), default="1-5", show_default=True, help="Numbers of experts to try: 3, 1-5 or 1,2,4."),
            click.option("--family", type=click.Choice(["gaussian", "multinomial", "poisson"]), default="gaussian", show_default=True, help="Law of the response given the expert: a number, a class, a count."),
            click.option("--criterion", type=click.Choice(["bic", "aic", "icl", "slope", "ddse", "cv", "dendrogram"]), default="bic", show_default=True, help="What chooses among several numbers of experts: a criterion, a slope heuristic (Djump or DDSE), 5-fold held-out likelihood, or merges of the largest fit."),
            click.option("--weights", metavar="COLUMN", help="Column of sample weights."),
            click.option("--shared-variance", is_flag=True, help="One variance for all Gaussian experts."),
            click.option("--gate", default="softmax", show_default=True, metavar="GATE", help="softmax, sigmoid, laplace, temperature, activated-temperature, cosine or perturbed-cosine; gaussian (located experts) in fit."),
            click.option("--top-k", type=int, help="Sparse softmax gate: experts selected at each row."),
            click.option("--rank-on", type=click.Choice(["score", "logit"]), default="score", show_default=True, help="What a sparse gate ranks on: the score without its bias, as defined, or the whole logit."),
            click.option("--starts", type=click.IntRange(1), help="Number of starts; by default as many as the starts' agreement asks for."),
            click.option("--solver", type=click.Choice(["auto", "newton", "em", "lbfgs"]), default="auto", show_default=True),
            click.option("--engine", type=click.Choice(["auto", "native", "array"]), default="auto", show_default=True),
            click.option("--seed", type=int, default=0, show_default=True, help="Seed of the random starts."),
            click.option("--threads", type=click.IntRange(1), help="Threads; by default every core. Results do not depend on it."),
        ]
    ):  # fmt: skip
        command = option(command)
    return command


def _run(options: dict[str, Any], say: Callable[[Any], None]) -> Any:
    from ..api import fit_formula
    from ..design.frames import columns, read_frame
    from ..search import Options
    from ..threads import thread_count

    frame = read_frame(options["data"])
    weights = None if options["weights"] is None else columns(frame, [options["weights"]])[options["weights"]]
    with Progress() as progress:
        return fit_formula(
            options["formula"],
            frame,
            options["family"],
            options["experts"],
            Options(
                solver=options["solver"],
                engine=options["engine"],
                n_starts=options["starts"] or "auto",
                seed=options["seed"],
                threads=thread_count(options["threads"]),
                progress=progress.show,
            ),
            weights=weights,
            shared_variance=options["shared_variance"],
            criterion=options["criterion"],
            gate=options["gate"],
            top_k=options["top_k"],
            rank_on=options["rank_on"],
            started=progress.begin,
            finished=lambda fit: progress.write(say, fit),
        )


class Progress:
    """One bar a stage, on a terminal only."""

    def __init__(self) -> None:
        self.bar: Any = None
        self.k = 0
        self.stage = ""
        self.quiet = not sys.stderr.isatty()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exc: object) -> None:
        self._close()

    def begin(self, k: int) -> None:
        """A new number of experts."""
        self.k, self.stage = k, ""

    def show(self, stage: str, done: int, total: int) -> None:
        """`done` of `total` pieces of a stage."""
        if self.quiet:
            return
        if stage != self.stage:
            from tqdm import tqdm

            self._close()
            self.stage = stage
            noun = "expert" if self.k == 1 else "experts"
            self.bar = tqdm(total=total, desc=f"{self.k} {noun}, {stage}", leave=False, file=sys.stderr)
        self.bar.update(done - self.bar.n)

    def write(self, say: Callable[[Any], None], fit: Any) -> None:
        """Print between bars."""
        self._close()
        say(fit)

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None


@click.command()
@fit_options
@located_options
@click.option("--cov", type=click.Choice(["observed", "sandwich", "none"]), default="observed", show_default=True, help="Standard errors: inverse observed information, robust to a wrong model, or none.")  # fmt: skip
@click.option("--penalty", type=click.Choice(["l1", "elastic_net", "group", "adaptive_l1", "ridge", "oracle"]), help="Penalise the slopes of gate and experts; the path's strength is chosen by extended BIC or --alpha.")  # fmt: skip
@click.option("--alpha", type=float, help="Strength of the penalty.")
@click.option("--out", type=click.Path(dir_okay=False), help="Write the model here, as JSON.")
@click.option("--plot", type=click.Path(dir_okay=False), help="Write a picture here (png, pdf, svg).")
@click.option("--quiet", "-q", is_flag=True, help="Leave out the record of the searches.")
def fit(
    cov: str,
    penalty: str | None,
    alpha: float | None,
    out: str | None,
    plot: str | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Fit a mixture of experts to a CSV or Parquet file DATA and print what was found.

    Prints how sure each search is, the criteria for each number of experts, the coefficient tables with standard
    errors, and the experts in words.

    \b
    Examples:
      moestro fit tone.csv -f "tuned ~ stretchratio" -k 2
      moestro fit voters.csv -f "party ~ left_right | income + age" --family multinomial -k 1-5 --out model.json
      moestro fit visits.parquet -f "visits ~ age + C(region) | 1" --family poisson -k 1-4 --criterion icl
      moestro fit ethanol.csv -f "nox ~ compression + equivalence" -k 1-3 --penalty l1
      moestro fit ethanol.csv -f "nox ~ equivalence" -k 1-4 --gate gaussian -d 1 -d 2
    """
    from .located import fit_located, refuse_located
    from .main import one_line_errors

    located = located_given(options)
    if options["gate"] == "gaussian" and penalty is None and alpha is None:
        one_line_errors(fit_located)(located, cov, out, plot, options)
        return
    one_line_errors(refuse_located)(located)
    if penalty is not None or alpha is not None:
        from .penalised import fit_penalised

        one_line_errors(fit_penalised)(penalty, alpha, out, plot, options)
        return
    one_line_errors(_fit)(cov, out, plot, quiet, options)


def _fit(cov: str, out: str | None, plot: str | None, quiet: bool, options: dict[str, Any]) -> None:
    from ..inference import covariance
    from ..summary import summary_text
    from ..threads import thread_count

    check_writable(out, plot)

    def say(found: Any) -> None:
        if quiet:
            return
        k = found.model.k
        click.echo(f"{k} expert{'s' if k > 1 else ''}: {found.evidence}")

    result = _run(options, say)
    table = result.sweep.table()
    click.echo(f"\nNumber of experts, chosen by {options['criterion'].upper()}")
    click.echo(f"{table.to_text(3)}\n")
    trust = None
    if cov != "none":
        trust = covariance(
            result.model.fit, result.rows, cov, options["engine"], thread_count(options["threads"])
        )
    click.echo(summary_text(result.model, trust))
    if out:
        result.model.save(out)
        click.echo(f"\nmodel written to {out}")
    if plot:
        _draw(result.model, table, plot)
        click.echo(f"picture written to {plot}")


def check_writable(*paths: str | None) -> None:
    """Say before the fit, not after it, that a folder is missing."""
    import os

    for path in paths:
        if path and not os.path.isdir(os.path.dirname(os.path.abspath(path))):
            raise FileError(f"{path}: the folder does not exist")


def _draw(model: Any, table: Any, path: str) -> None:
    try:
        from ..plots import overview

        overview(model, table, path)
    except ImportError as error:
        raise FileError("pictures need an extra: pip install 'moestro[plots]'") from error
    except OSError as error:
        raise FileError(f"{path}: cannot be written ({error.strerror or error})") from error
    except ValueError as error:
        if isinstance(error, DataError):
            raise
        raise FileError(f"{path}: {error}") from error


@click.command()
@fit_options
@click.option("--model", type=click.Choice(["softmax", "located"]), default="softmax", show_default=True, help="Experts behind a gate, or Gaussian-gated (located) experts.")  # fmt: skip
@click.option("--covariance", "-c", multiple=True, default=["full"], show_default=True, type=click.Choice(["full", "diagonal", "isotropic"]), help="Located: of an expert's inputs and response; several are compared.")  # fmt: skip
@click.option("--degree", "-d", multiple=True, type=click.IntRange(1), default=[1], show_default=True, help="Located: of the experts' means; several are compared.")  # fmt: skip
@click.option("--direction", type=click.Choice(["direct", "inverse"]), default="direct", show_default=True, help="Located: fitted as they are, or by inverse regression.")  # fmt: skip
def select(
    model: str, covariance: tuple[str, ...], degree: tuple[int, ...], direction: str, **options: Any
) -> None:
    """Compare numbers of experts on DATA and print the criteria; the chosen one is marked.

    \b
    Examples:
      moestro select voters.csv -f "party ~ left_right | income + age" --family multinomial -k 1-6
      moestro select ethanol.csv -f "nox ~ equivalence" --model located -k 1-6 -d 1 -d 2
    """
    from .main import one_line_errors

    if model == "located":
        located = {"covariance": list(covariance), "degree": list(degree), "direction": direction}
        one_line_errors(_select_located)(options, located)
    else:
        one_line_errors(_select)(options)


def _select(options: dict[str, Any]) -> None:
    result = _run(options, lambda found: None)
    click.echo(result.sweep.table().to_text(3))
    chosen = result.model.fit
    click.echo(f"\nchosen by {options['criterion'].upper()}: {chosen.model.k} ({chosen.status})")


def _select_located(options: dict[str, Any], located: dict[str, Any]) -> None:
    from ..api import select_experts
    from ..design.frames import columns, read_frame

    frame = read_frame(options["data"])
    name = options["weights"]
    if name is not None:
        located["weights"] = columns(frame, [name])[name]
    if options["starts"]:
        located["n_starts"] = options["starts"]
    found = select_experts(
        options["formula"], frame, model="located", experts=options["experts"], criterion=options["criterion"],
        random_state=options["seed"], n_jobs=options["threads"], **located,
    )  # fmt: skip
    click.echo(found.table.to_text(3))
    best = found.best
    click.echo(
        f"\nchosen by {options['criterion'].upper()}: {best.k}, {best.specification.label} ({best.status})"
    )
