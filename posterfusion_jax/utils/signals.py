"""Ctrl-C and SIGTERM are never lost, and end a program alike: what is under way is finished or put back, and then it exits."""

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

_asked_by: signal.Signals = signal.SIGINT
_instead: Callable[..., None] | None = None  # of an exception, while `defer_interrupts` waits for a good moment


def install_handlers() -> None:
    """Makes SIGTERM a Ctrl-C, and sends a Ctrl-C again that landed where Python throws exceptions away.

    In a destructor or a garbage collection callback (JAX has one, which runs often) KeyboardInterrupt only reaches
    sys.unraisablehook, and the program would go on. POSIX only; call it once, in the main thread.
    """
    hook = sys.unraisablehook

    def again(unraisable: Any) -> None:
        if unraisable.exc_type is not KeyboardInterrupt:
            return hook(unraisable)
        timer = threading.Timer(0.05, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT))
        timer.daemon = True
        timer.start()

    def as_ctrl_c(*_: Any) -> None:
        global _asked_by
        _asked_by = signal.SIGTERM
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.raise_signal(signal.SIGINT)
        elif _instead is not None:  # Ctrl-C is ignored: as shells have it for what they put into the background
            _instead()
        else:
            raise KeyboardInterrupt

    sys.unraisablehook = again
    signal.signal(signal.SIGTERM, as_ctrl_c)


@contextlib.contextmanager
def defer_interrupts() -> Iterator[Callable[[], bool]]:
    """Within it a first Ctrl-C or SIGTERM raises nothing; a second raises KeyboardInterrupt at once.

    Yields:
      Whether it was asked to stop, to be looked at now and then; when it was, leaving raises KeyboardInterrupt. In another
      thread than the main one, where no signals arrive, it never is.
    """
    global _instead
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    asked = False

    def note(*_: Any) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    before = signal.getsignal(signal.SIGINT)
    _instead = note
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, note)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)
        _instead = None
    if asked:
        raise KeyboardInterrupt


def exit_status() -> int:
    """Of a program that was asked to stop: 130 after Ctrl-C, 143 after SIGTERM, as shells have it."""
    return 128 + _asked_by
