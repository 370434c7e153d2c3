"""How every command ends: with an exit status, and for what a user can fix with one message instead of a traceback.

Exit status: 0; 1 when a part of the work failed and the rest was done; 2 when an argument or file cannot be used or the disk
is full; 3 when a service has to be called again later; 130 after Ctrl-C, 143 after SIGTERM, 141 when the program that reads
the output has ended.
"""

import argparse
import os
import select
import sys
from collections.abc import Callable, Sequence
from typing import Protocol, TextIO

from posterfusion_jax.errors import InputError, RetryLater
from posterfusion_jax.utils import jax_environment
from posterfusion_jax.utils.console import print_message, sanitize_logging
from posterfusion_jax.utils.disk_full import is_disk_full
from posterfusion_jax.utils.signals import exit_status, install_handlers

FAILED, UNUSABLE, LATER, PIPE_CLOSED = 1, 2, 3, 141


def run_program(program: Callable[[], int]) -> int:
    """Run a command to its end.

    Args:
      program: returns the exit status.

    Returns:
      The exit status, also where `program` raised an error that the user can fix.
    """
    install_handlers()
    sanitize_logging()
    try:
        status = program()
        sys.stdout.flush()
        return status
    except InputError as error:
        return _fail(f"error: {error}", UNUSABLE)
    except RetryLater as error:
        return _fail(f"not finished: {error}", LATER)
    except KeyboardInterrupt:
        return _fail("\ninterrupted; the same command resumes after the last finished piece of work", exit_status())
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _drop_closed_streams():
            return PIPE_CLOSED
        cause = jax_environment.explain(error)
        if cause is not None:
            return _fail(f"error: {cause}", UNUSABLE)
        if not is_disk_full(error):
            raise
        return _fail(
            f"error: the disk is full ({error}). What is finished stays: make room, and start the same command again.", UNUSABLE
        )


class Command(Protocol):
    """The `main` of a command."""

    def __call__(self, arguments: Sequence[str] | None = None, *, name: str | None = None) -> int:
        """Run the command and return its exit status.

        Args:
          arguments: of the command line; None: those of this process.
          name: of the command, such as "posterfusion compare", for its help; None: the name of the program's file.
        """
        ...


def make_command(run: Callable[[argparse.ArgumentParser, Sequence[str] | None], int], description: str | None) -> Command:
    """Return the `main` of a command.

    Args:
      run: (parser, arguments) -> exit status; adds its flags to the parser, and parses the arguments.
      description: printed unchanged at the top of the help.
    """

    def main(arguments: Sequence[str] | None = None, *, name: str | None = None) -> int:
        form = argparse.RawDescriptionHelpFormatter
        parser = argparse.ArgumentParser(prog=name, description=description, formatter_class=form)
        return run_program(lambda: run(parser, arguments))

    return main


def _fail(message: str, status: int) -> int:
    """Print a message on stderr and return the status, also where stderr is a closed pipe."""
    try:
        print_message(message, error=True)
    except BrokenPipeError:
        _drop_closed_streams()
    return status


def _drop_closed_streams() -> bool:
    """Return whether a standard stream is a closed pipe. Such a stream discards from here on what is written to it."""
    closed = [stream for stream in (sys.stdout, sys.stderr) if _is_closed_pipe(stream)]
    for stream in closed:
        with open(os.devnull, "w") as nowhere:  # else Python flushes once more at its end, and prints a warning
            os.dup2(nowhere.fileno(), stream.fileno())
    return bool(closed)


def _is_closed_pipe(stream: TextIO) -> bool:
    poll = select.poll()
    try:
        poll.register(stream.fileno(), 0)
    except (OSError, ValueError):  # no file of the system, such as a stream in memory
        return False
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
