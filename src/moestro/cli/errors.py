"""How errors look, and what happens where the reader of a pipe has gone."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from ..errors import DataError
from ..writing import descriptor

PIPE_CLOSED = 141  # 128 + SIGPIPE, as a shell reports of any command in `command | head -1`


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
        except BrokenPipeError:
            _mute()
            sys.exit(PIPE_CLOSED)
        except OSError as error:
            if error.filename is None:  # what was printed: files say their name themselves
                _mute()
            raise BadInput(_told(error)) from error

    return run


class Printer:
    """Prints, to standard error where one of the files is standard output; where files are to be written, the
    work goes on after the reader of the pipe has gone, or the disk that is printed to is full."""

    def __init__(self, *files: str | None) -> None:
        self.has_files = any(files)
        self.aside = any(file is not None and descriptor(file) == 1 for file in files)
        self.gone: OSError | None = None

    def __call__(self, text: str) -> None:
        if self.gone:
            return
        try:
            click.echo(text, err=self.aside)
        except OSError as error:
            if not self.has_files:
                raise
            self.gone = error
            _mute()

    def close(self) -> None:
        """End the command as a closed pipe does, or say why nothing more was printed."""
        if isinstance(self.gone, BrokenPipeError):
            sys.exit(PIPE_CLOSED)
        if self.gone:
            raise BadInput(_told(self.gone))


def _told(error: OSError) -> str:
    where = "standard output" if error.filename is None else error.filename
    return f"{where}: {error.strerror or error}"


def _mute() -> None:
    """Nothing more is written to standard output, not at exit either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
