"""The exceptions that users are meant to read."""


class InputError(ValueError):
    """Something the user gave (a file, a field, a flag) cannot be used.

    The message names the file or field, the value found, what is allowed and how to mend it. `main` prints it without a
    traceback and exits with status 2; every other exception is a defect of this project.
    """


class RetryLater(Exception):
    """A service has to be asked again later: its quota, the user's budget, or a job that is not done. Exit status 3."""
