"""What is raised when the input cannot be used: one clear line that says what to do."""


class DataError(ValueError):
    """The data cannot be used as given."""


class FileError(DataError):
    """A file cannot be read or written."""


class SearchWarning(UserWarning):
    """The best optimum was found once only: another search may find a better one."""
