"""Options that `fit` and `select` share, and those that do not go together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click
from click.core import ParameterSource

from ..errors import DataError

FORMULA_HELP = (
    'RESPONSE ~ EXPERTS | GATE, for example "y ~ x1 + log(x2) | z". Without the bar the gate uses the '
    "experts' columns. Names with spaces stand in backquotes."
)
CRITERIA = ["bic", "aic", "icl", "djump", "ddse", "cv", "dendrogram"]
PENALISED_CRITERIA = ["ebic", "bic", "aic", "cv"]


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


class FamilyName(click.ParamType):
    """A family of experts, looked up where it is given: the command starts without them."""

    name = "FAMILY"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from ..experts import FAMILIES, POINTS, is_known

        if not is_known(value):
            self.fail(
                f"'{value}' is not a family: choose one of {', '.join(FAMILIES)}, or several with commas "
                f"between them, {' and '.join(POINTS)} among them",
                param,
                ctx,
            )
        return value


class Criterion(click.Choice):
    """A criterion; "slope" is another name of "djump"."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return super().convert("djump" if value == "slope" else value, param, ctx)


def criterion_option(penalised: bool) -> Callable[..., Any]:
    """--criterion; None where it is not given and a penalty decides what is the default."""
    text = (
        "What chooses among several numbers of experts: a criterion, a slope heuristic (djump or ddse), "
        "5-fold held-out likelihood (cv), or merges of the largest fit."
    )
    if not penalised:
        return click.option(
            "--criterion", type=Criterion(CRITERIA), default="bic", show_default=True, help=text
        )
    text += f" With --penalty it chooses the strength too, and is one of {', '.join(PENALISED_CRITERIA)}."
    choices = Criterion([*CRITERIA, "ebic"])
    return click.option("--criterion", type=choices, help=text, show_default="bic, with --penalty ebic")


def fit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that `fit` and `select` share."""
    for option in reversed(
        [
            click.argument("data", type=click.Path()),
            click.option("--formula", "-f", required=True, help=FORMULA_HELP),
            click.option("--experts", "-k", type=ExpertRange(), default="1-5", show_default=True, help=(
                "Numbers of experts to try: 3, 1-5 or 1,2,4."
            )),
            click.option("--family", type=FamilyName(), default="gaussian", show_default=True, help=(
                "Law of the response given the expert: of numbers gaussian, student, skew-t, 'censored[0:]' "
                "(other limits: '[:5]', '[0:5]'), interval (of 'interval(lower, upper)' or 'cens(time, "
                "status)', as weibull too); of classes multinomial, of classes in an order ordinal; of "
                "counts poisson, negative-binomial, truncated-poisson; of positive numbers gamma, "
                "inverse-gaussian, lognormal, weibull; of shares beta; of 0 and 1 binomial, "
                "binomial-probit, binomial-cloglog. One for each expert with commas between them: "
                "zero,poisson."
            )),
            click.option("--weights", metavar="COLUMN", help="Column of sample weights."),
            click.option("--groups", metavar="COLUMN", help=(
                "Column of ids: rows of one id share their expert. The gate's columns are then those of the "
                "groups ('| z', or '| 1')."
            )),
            click.option("--gate-at", type=click.Choice(["constant", "first", "mean"]), default="constant",
                show_default=True, help=(
                "Where the gate reads a group: constant columns alone, its first row, or their mean."
            )),
            click.option("--offset", metavar="COLUMN", help=(
                "Column that is added to the linear predictors as it is, like '+ offset(COLUMN)' in the "
                "formula: of counts the logarithm of the exposure."
            )),
            click.option("--missing", type=click.Choice(["error", "drop", "marginal"]), default="error",
                show_default=True, help=(
                "Rows with a missing value in a column that is read: refused, left out and counted, or, with "
                "--gate gaussian, taken with what they have."
            )),
            data_options,
            click.option("--common", metavar="COLUMN", multiple=True, help=(
                "The same coefficient in every expert; repeat it for several columns."
            )),
            click.option("--fixed", metavar="NAME=VALUE", multiple=True, callback=_values, help=(
                "A coefficient held at a value: x1=0 in every expert, 2:x1=0 in expert 2."
            )),
            click.option("--order-by", metavar="WORD", help=(
                "Number the experts by share, mean, or the coefficient of a column."
            )),
            click.option("--variances", metavar="EXPERTS", multiple=True, callback=_groups, help=(
                "Experts that share their variance or dispersion: 1,2, repeated for further groups, or equal."
            )),
            click.option("--partial", metavar="COLUMN", help=(
                "Column of the expert, from 1, that a row is known to have; empty where it is not known."
            )),
            click.option("--levels", metavar="LOW,...,HIGH", help=(
                "Classes in their order: of an ordinal response from the lowest to the highest, of others "
                "the reference last."
            )),
            click.option("--shared-variance", is_flag=True, help="One variance for all Gaussian experts."),
            click.option("--gate", default="softmax", show_default=True, metavar="GATE", help=(
                "softmax, sigmoid, laplace, temperature, activated-temperature, cosine, perturbed-cosine, or "
                "gaussian: each expert where its columns are normal."
            )),
            click.option("--top-k", type=int, help="Sparse softmax gate: experts selected at each row."),
            click.option("--rank-on", type=click.Choice(["score", "logit"]),
                default="score", show_default=True, help=(
                "What a sparse gate ranks on: the score without its bias, as defined, or the whole logit."
            )),
            click.option("--starts", type=click.IntRange(1), help=(
                "Number of starts; by default as many as the starts' agreement asks for."
            )),
            click.option("--solver", type=click.Choice(["auto", "newton", "em", "lbfgs"]),
                default="auto", show_default=True),
            click.option("--engine", default="auto", show_default=True, metavar="ENGINE", help=(
                "auto, native, array, torch (on the CPU), or torch on another device: torch:cuda:0."
            )),
            click.option("--seed", type=int, default=0, show_default=True, help="Seed of the random starts."),
            click.option("--memory-limit", metavar="SIZE", help=(
                "Of the process, 2GB: the files are read block by block, as those of a folder or a glob are."
            )),
            click.option("--cache", metavar="FOLDER", help=(
                "Rows that are read block by block are read twice, and kept here for later passes, in a file "
                "without a name."
            )),
            click.option("--threads", type=click.IntRange(1), help=(
                "Threads; by default every core. Results do not depend on it."
            )),
        ]
    ):  # fmt: skip
        command = option(command)
    return command


def _groups(
    context: click.Context, option: click.Parameter, values: tuple[str, ...]
) -> str | list[list[int]] | None:
    """ "1,2" as a group of experts."""
    if not values or values == ("equal",):
        return "equal" if values else None
    try:
        return [[int(e) for e in text.split(",")] for text in values]
    except ValueError:
        words = " ".join(values)
        raise click.BadParameter(
            f"'{words}': write experts with commas between them, 1,2, or equal", context, option
        ) from None


def _values(
    context: click.Context, option: click.Parameter, values: tuple[str, ...]
) -> dict[str, float] | None:
    """ "x1=0.5" as a name and a number."""
    out = {}
    for text in values:
        name, _, value = text.rpartition("=")
        try:
            out[name.strip()] = float(value)
        except ValueError:
            name = ""
        if not name.strip():
            raise click.BadParameter(f"'{text}': write a coefficient and its value, x1=0", context, option)
    return out or None


def refuse_given(names: Iterable[str], why: str) -> None:
    """Refuse the options of the running command that were written on the command line although nothing would
    read them."""
    context = click.get_current_context()
    for option in context.command.params:
        if option.name in names and context.get_parameter_source(option.name) != ParameterSource.DEFAULT:
            raise DataError(f"{option.opts[0]} {why}: leave it out")


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """How a CSV file is read."""
    decimal = click.option(
        "--decimal",
        type=click.Choice([".", ","]),
        default=".",
        show_default=True,
        help="Decimal point of a CSV file.",
    )
    separator = click.option(
        "--separator",
        callback=_separator,
        help=(
            "Between the fields of a CSV file; by default the comma, "
            "or the semicolon or tab where the first line has no comma."
        ),
    )
    return separator(decimal(command))


def _separator(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    value = {"tab": "\t", "\\t": "\t"}.get(value or "", value)
    if value is not None and len(value) != 1:
        raise click.BadParameter("write one character, or tab", context, option)
    return value
