"""Handle Ctrl-C and SIGTERM alike, without losing any: work in progress is finished or undone before the exit."""

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

_stop_signal: signal.Signals = signal.SIGINT
_on_interrupt: Callable[..., None] | None = None  # called instead of raising, inside `defer_interrupts`


def install_handlers() -> None:
    """Treat SIGTERM as Ctrl-C, and resend a Ctrl-C that arrived where Python discards exceptions.

    In a destructor or a garbage collection callback (JAX has one, which runs often) KeyboardInterrupt only reaches
    sys.unraisablehook, and the program would continue. POSIX only; call it once, in the main thread.
    """
    hook = sys.unraisablehook

    def resend(unraisable: Any) -> None:
        if unraisable.exc_type is not KeyboardInterrupt:
            return hook(unraisable)
        timer = threading.Timer(0.05, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT))
        timer.daemon = True
        timer.start()

    def as_ctrl_c(*_: Any) -> None:
        global _stop_signal
        _stop_signal = signal.SIGTERM
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.raise_signal(signal.SIGINT)
        elif _on_interrupt is not None:  # Ctrl-C is ignored, as in background processes of a shell
            _on_interrupt()
        else:
            raise KeyboardInterrupt

    sys.unraisablehook = resend
    signal.signal(signal.SIGTERM, as_ctrl_c)


@contextlib.contextmanager
def defer_interrupts() -> Iterator[Callable[[], bool]]:
    """Defer the first Ctrl-C or SIGTERM to the end of the block; a second raises KeyboardInterrupt immediately.

    Yields:
      A function that returns whether a stop was requested; if so, leaving the block raises KeyboardInterrupt.
      Outside the main thread, where no signals arrive, it returns False.
    """
    global _on_interrupt
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    stop_requested = False

    def request_stop(*_: Any) -> None:
        nonlocal stop_requested
        if stop_requested:
            raise KeyboardInterrupt
        stop_requested = True

    before = signal.getsignal(signal.SIGINT)
    _on_interrupt = request_stop
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, request_stop)
    try:
        yield lambda: stop_requested
    finally:
        signal.signal(signal.SIGINT, before)
        _on_interrupt = None
    if stop_requested:
        raise KeyboardInterrupt


def exit_status() -> int:
    """Return the exit status after a requested stop, by the convention of shells: 130 for Ctrl-C, 143 for SIGTERM."""
    return 128 + _stop_signal
