"""Exceptions whose messages are written for users."""


class InputError(ValueError):
    """Report user input (a file, a field, a flag) that cannot be used.

    The message names the file or field, the value found, the allowed values and the fix. `main` prints it without a
    traceback and exits with status 2; every other exception is a defect of this project.
    """


class RetryLater(Exception):
    """Report work to be retried later: a service's quota, the user's budget, or an unfinished job. Exit status 3."""
