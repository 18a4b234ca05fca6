"""Entry point: commands, and how errors look. Commands import what they need when they run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from .. import __version__
from ..errors import DataError


class BadInput(click.ClickException):
    """One line, exit code 2."""

    exit_code = 2


def one_line_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """Show an input that cannot be used as one line."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except DataError as error:
            raise BadInput(" ".join(str(error).split())) from error
        except MemoryError as error:
            raise BadInput("not enough memory for this data: use fewer columns or a smaller file") from error
        except BrokenPipeError:  # the reader of a pipe has gone
            sys.stderr.close()
            sys.exit(0)

    return run


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__)
def main() -> None:
    """Mixture-of-experts models: p(y|x) = sum_i g_i(x) f_i(y|x).

    \b
    Start here:
      moestro fit voters.csv --formula "party ~ left_right | income + age" \\
              --family multinomial --experts 1-5 --out model.json --plot model.png
      moestro predict model.json new.csv

    A formula is  RESPONSE ~ EXPERTS | GATE : the experts predict the response from the columns before the bar,
    and the gate decides from the columns after it which expert speaks. Without a bar both use the same columns;
    "| 1" makes the gate constant.
    """


def _register() -> None:
    from .bench import bench
    from .fit import fit, select
    from .predict import predict
    from .study import study

    for command in (fit, predict, select, study, bench):
        main.add_command(command)


_register()
