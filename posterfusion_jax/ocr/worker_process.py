"""Start and control an OCR worker process: a separate Python that never loads the parent's main program.

`multiprocessing` imports the main program again in each process that it spawns, which fails for a script without a guard,
standard input, a notebook or an interactive session. So a worker is started with `python -c` and receives everything through a
pipe.
"""

import collections
import contextlib
import os
import pickletools
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from multiprocessing import Pipe, spawn
from multiprocessing.reduction import ForkingPickler
from typing import IO

from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr import worker
from posterfusion_jax.ocr.engines.base import Engine
from posterfusion_jax.ocr.records.record import OcrRecord
from posterfusion_jax.ocr.task import EngineLabels, Task
from posterfusion_jax.utils.console import print_message

_BOOT = (
    "import sys; from multiprocessing.connection import Connection; link = Connection(int(sys.argv[1])); "
    "sys.path[:] = link.recv(); from posterfusion_jax.ocr.worker import serve; serve(link)"
)
_KEPT_LINES = 20  # of the output of a worker, for the message about its end
_END_TIMEOUT_S = 5.0


class WorkerDied(Exception):
    """Signal that a worker process ended while it read a poster.

    Attributes:
      engine: the labels of its engine.
    """

    def __init__(self, engine: EngineLabels):
        super().__init__(f"the worker process of {engine.name} died")
        self.engine = engine


class WorkerError(RuntimeError):
    """Signal that a worker process raised an exception outside of reading a poster; the message has its traceback."""


def pack_maker(make_engine: Callable[[], Engine]) -> bytes:
    """Serialize the maker of an engine for `WorkerProcess`.

    Raises:
      InputError: it is part of the main program, which workers do not load, or it has no name by which they can import it.
    """
    advice = (
        "OCR worker processes import it by its name and do not load the program that was started. Put it into a separate "
        "module, or read with workers=1, which starts no process."
    )
    try:
        packed = bytes(ForkingPickler.dumps(make_engine))
    except Exception as error:  # the type depends on the object that cannot be pickled
        raise InputError(f"make_engine={make_engine!r} cannot be sent to a worker ({error}). {advice}") from error
    if any(argument == "__main__" for _, argument, _ in pickletools.genops(packed)):
        raise InputError(f"make_engine={make_engine!r} is defined in the main program. {advice}")
    return packed


class WorkerProcess:
    """Hold a process with an engine that reads one poster at a time.

    Attributes:
      link: readable when `receive` has something to return or raise; for `multiprocessing.connection.wait`.
      task: the poster being read, or None.
      engine: the labels of the engine, None until the process is ready.
    """

    def __init__(self, maker: bytes):
        """Start the process without waiting for it.

        Args:
          maker: from `pack_maker`.

        Raises:
          InputError: no process can be started.
        """
        self.link, worker_link = Pipe()
        self.task: Task | None = None
        self.engine: EngineLabels | None = None
        self._startup_output: collections.deque[str] = collections.deque(maxlen=_KEPT_LINES)
        self._output_lock = threading.Lock()
        try:
            self._process = _start(worker_link.fileno())
        except OSError as error:
            self.link.close()
            raise InputError(
                f"no OCR worker process can be started ({error}). Free memory or processes, or give fewer workers: "
                "--config.ocr.workers=1 starts none."
            ) from error
        finally:
            worker_link.close()
        assert self._process.stdout is not None
        self._listener = threading.Thread(target=self._forward_output, args=(self._process.stdout,), daemon=True)
        self._listener.start()
        with contextlib.suppress(OSError):  # it has ended already, which `receive` reports
            self.link.send([_absolute(folder) for folder in sys.path])
            self.link.send_bytes(maker)

    def send(self, task: Task) -> None:
        """Give a poster to a process that is ready and idle."""
        self.task = task
        with contextlib.suppress(OSError):
            self.link.send(task)

    def receive(self) -> OcrRecord | None:
        """Wait for the next answer: None when the process has become ready, else the record of `task`, which becomes None.

        Raises:
          WorkerDied: the process ended while it read `task`.
          InputError: the process ended before it was ready (the message has its last output), or its engine raised one.
          WorkerError: making the engine raised another exception.
        """
        try:
            kind, content = self.link.recv()
        except (EOFError, OSError):
            if self.engine is not None:
                raise WorkerDied(self.engine) from None
            raise InputError(self._describe_end()) from None
        if kind == worker.WRONG_INPUT:
            raise InputError(content)
        if kind == worker.FAILED:
            raise WorkerError(f"an OCR worker process failed:\n{content}")
        if kind == worker.READY:
            with self._output_lock:
                self.engine = content
                for line in self._startup_output:
                    print_message(line, error=True)
            return None
        self.task = None
        return content

    def stop(self) -> None:
        """Ask an idle process to end; `close` waits for it."""
        if self.engine is not None and self.task is None:
            with contextlib.suppress(OSError):
                self.link.send(None)

    def close(self) -> None:
        """End the process, in the middle of a poster if necessary."""
        if self.engine is not None and self.task is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_TIMEOUT_S)
        self.link.close()
        self._process.kill()
        self._process.wait()
        self._listener.join(_END_TIMEOUT_S)

    def _forward_output(self, printed: IO[bytes]) -> None:
        """Print the output of the process on stderr; until the process is ready only store it for the message about its end."""
        with printed:
            for line in printed:
                text = line.decode(errors="replace").rstrip("\n")
                with self._output_lock:
                    if self.engine is None:
                        self._startup_output.append(text)
                    else:
                        print_message(text, error=True)

    def _describe_end(self) -> str:
        self.link.close()
        try:
            status = self._process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            status = None
        self._listener.join(_END_TIMEOUT_S)
        cause = "it closed its pipe"
        if status is not None:
            cause = f"killed by signal {-status} ({signal.strsignal(-status)})" if status < 0 else f"exit status {status}"
        printed = "\n".join(self._startup_output)
        return (
            f"an OCR worker process ended before it was ready: {cause}. "
            + ("Memory may be short: give fewer workers with --config.ocr.workers. " if status == -signal.SIGKILL else "")
            + (f"It printed:\n{printed}" if printed else f"It printed nothing; it was started with {_python()!r}.")
        )


def _start(link: int) -> subprocess.Popen[bytes]:
    """Start Python with the worker program, with Ctrl-C blocked until that program ignores it."""
    # -P: no folder of the user comes before the standard library; the flags are those of this process, as in spawn.
    command = [_python(), *subprocess._args_from_interpreter_flags(), "-P", "-c", _BOOT, str(link)]  # pyright: ignore
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return subprocess.Popen(
            command, pass_fds=[link], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _python() -> str:
    """Return the interpreter, as multiprocessing.set_executable or else this process has it."""
    return os.fsdecode(spawn.get_executable() or sys.executable or "python3")


def _absolute(folder: str) -> str:
    """Return an entry of sys.path as the worker needs it; the empty one is the current folder."""
    try:
        return folder or os.getcwd()
    except OSError:  # the current folder was removed
        return folder
