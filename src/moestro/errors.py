"""What is raised when the input cannot be used: one clear line that says what to do."""

import numpy as np


class DataError(ValueError):
    """The data cannot be used as given."""


class FileError(DataError):
    """A file cannot be read or written."""


class SearchWarning(UserWarning):
    """The best optimum was found once only: another search may find a better one."""


def quiet() -> np.errstate:
    """No floating-point warnings inside: what is not finite is refused, or has a status, where it ends."""
    return np.errstate(over="ignore", invalid="ignore", divide="ignore")
