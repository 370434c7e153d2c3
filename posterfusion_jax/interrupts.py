"""Ctrl-C and SIGTERM are never lost, and end a program alike: what is under way is finished or put back, and then it exits."""

import signal
import sys
import threading
from typing import Any

_asked_by: signal.Signals = signal.SIGINT


def keep_ctrl_c() -> None:
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
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as shells have it for what they put into the background
            raise KeyboardInterrupt
        signal.raise_signal(signal.SIGINT)

    sys.unraisablehook = again
    signal.signal(signal.SIGTERM, as_ctrl_c)


def exit_status() -> int:
    """Of a program that was asked to stop: 130 after Ctrl-C, 143 after SIGTERM, as shells have it."""
    return 128 + _asked_by
