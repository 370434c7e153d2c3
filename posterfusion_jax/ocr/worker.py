"""The inside of an OCR worker process: makes the engine, then reads one poster after another until its parent ends."""

import os
import select
import signal
import threading
import traceback
from multiprocessing.connection import Connection
from typing import Any

from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.task import EngineLabels, read_task

READY, RECORD, WRONG_INPUT, FAILED = "ready", "record", "wrong input", "failed"  # the kinds of answers, each with its content


def serve(link: Connection) -> None:
    """Receives the maker of the engine, then tasks; answers with `READY` and the engine's labels, then with records.

    What goes wrong outside of reading a poster is answered as `WRONG_INPUT` with the message of an InputError, or as `FAILED`
    with the traceback, and ends the process. `None` in the place of a task ends it, too, and so does the end of the parent,
    at any moment: a parent that is killed with -9 leaves no workers behind.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent alone decides
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with_parent, args=(link.fileno(),), daemon=True).start()
    try:
        engine = link.recv()()
        link.send((READY, EngineLabels(engine.name, engine.version, engine.model_version)))
        while (task := link.recv()) is not None:
            link.send((RECORD, read_task(engine, task)))
    except Exception as error:  # an engine's exceptions over a poster are in its record
        link.send(_failure(error))


def _failure(error: Exception) -> tuple[str, Any]:
    if isinstance(error, InputError):
        return WRONG_INPUT, str(error)
    return FAILED, "".join(traceback.format_exception(error))


def _end_with_parent(link: int) -> None:
    """Ends this process when the other end of the link is closed."""
    watch = select.poll()
    watch.register(link, 0)  # POLLHUP is always reported
    watch.poll()
    os._exit(1)
