"""Show progress bars on stderr: redrawn in place on a terminal, whole lines in a log file every half minute."""

import os
import sys
import time
from typing import Any

from tqdm import tqdm

from posterfusion_jax.utils.console import sanitize

_LINE_INTERVAL = 30.0  # seconds between two lines of a log
_STATE = "{desc}: {percentage:3.0f}% {n_fmt}/{total_fmt} {elapsed}<{remaining}"  # without a bar, for 80 columns
_REDRAW_INTERVAL = 0.5  # seconds between two states of a bar on a terminal


def progress_bar(*, desc: str, **options: Any) -> tqdm:
    """Return a bar with rate and time left; the options are tqdm's."""
    if sys.stderr is None:  # as under pythonw
        options["disable"] = True
    return bar_class()(desc=sanitize(desc), **options)  # desc may name a file


def bar_class() -> type[tqdm]:
    """Return the kind of bar for the stderr of this process, for libraries that take a tqdm class."""
    return TerminalBar if draws_in_place() else LogBar


def draws_in_place() -> bool:
    """Return whether stderr is a terminal that can redraw a line: not a file, a pipe, a notebook, or TERM=dumb."""
    try:
        return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    except (AttributeError, ValueError):  # missing or closed
        return False


class TerminalBar(tqdm):
    """Draw a bar as wide as the terminal."""

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **{"mininterval": _REDRAW_INTERVAL, "dynamic_ncols": True, **options})


class LogBar(tqdm):
    """Write whole lines: one when `_LINE_INTERVAL` has passed since the last, and one at the end."""

    _last_line: float | None = None

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **{"mininterval": _LINE_INTERVAL, "ascii": True, **options})

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Write a line if it is due; tqdm calls this at any rate."""
        now = time.monotonic()
        if self._last_line is None:  # tqdm draws a bar of 0 % first
            self._last_line = now
        elif now - self._last_line >= _LINE_INTERVAL:
            self._last_line = now
            self._write_line()

    def close(self) -> None:
        """Write the last line, unless the bar is temporary (`leave=False`) or never appeared (`delay`)."""
        if self.disable:
            return
        self.disable = True
        type(self)._decr_instances(self)  # pyright: ignore[reportAttributeAccessIssue]
        if self.leave is not False and time.time() - self.start_t >= self.delay:
            self._ema_dt = lambda: None  # the rate over all, as tqdm does
            self._write_line()

    def _write_line(self) -> None:
        self.bar_format = _STATE + ("{postfix}" if self.postfix else ", {rate_fmt}")
        self.fp.write(str(self).rstrip() + "\n")
        self.fp.flush()
