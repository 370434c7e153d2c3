"""A Ctrl-C is never lost."""

import signal
import sys
import threading
from typing import Any


def keep_ctrl_c() -> None:
    """Sends a Ctrl-C again that landed where Python throws exceptions away.

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

    sys.unraisablehook = again
