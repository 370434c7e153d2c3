"""Run inside an OCR worker process: make the engine, then read one poster after another until the parent ends."""

import os
import select
import signal
import threading
import traceback
from multiprocessing.connection import Connection
from typing import Any

from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.task import EngineLabels, run_engine

READY, RECORD, WRONG_INPUT, FAILED = "ready", "record", "wrong input", "failed"  # kinds of answers, each sent with its content


def serve(link: Connection) -> None:
    """Receive the maker of the engine, then tasks; answer with `READY` and the engine's labels, then with records.

    A fault outside of reading a poster is answered as `WRONG_INPUT` with the message of an InputError, or as `FAILED` with the
    traceback, and ends the process. `None` instead of a task ends it as well, and so does the end of the parent, at any moment:
    a parent that is killed with -9 leaves no workers behind.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent alone decides
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with_parent, args=(link.fileno(),), daemon=True).start()
    try:
        engine = link.recv()()
        link.send((READY, EngineLabels(engine.name, engine.version, engine.model_version)))
        while (task := link.recv()) is not None:
            link.send((RECORD, run_engine(engine, task)))
    except Exception as error:  # exceptions of an engine that reads a poster are in the record
        link.send(_failure(error))


def _failure(error: Exception) -> tuple[str, Any]:
    if isinstance(error, InputError):
        return WRONG_INPUT, str(error)
    return FAILED, "".join(traceback.format_exception(error))


def _end_with_parent(link: int) -> None:
    """End this process when the other end of the link is closed."""
    watch = select.poll()
    watch.register(link, 0)  # POLLHUP is always reported
    watch.poll()
    os._exit(1)
