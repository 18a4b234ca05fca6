"""Entry point: the commands, which import what they need when they run."""

from __future__ import annotations

import click

from .. import __version__
from .bench import bench
from .compare import compare
from .fit import fit
from .predict import predict
from .report import report
from .select import select
from .study import study


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__)
def main() -> None:
    """Mixture-of-experts models: p(y|x) = sum_i g_i(x) f_i(y|x).

    \b
    Start here:
      moestro fit voters.csv --formula "party ~ left_right | income + age" \\
              --family multinomial --experts 1-5 --out model.json --plot model.png
      moestro predict model.json new.csv

    A formula is  RESPONSE ~ EXPERTS | GATE : the experts predict the response from the columns before the
    bar, and the gate weights the experts by the columns after it. Without a bar both use the same columns; "|
    1" makes the gate constant.
    """


for command in (fit, predict, select, compare, report, study, bench):
    main.add_command(command)
