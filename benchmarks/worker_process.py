"""Run a baseline in a process of its own, perhaps of another Python, and exchange lines of JSON with it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.record import ROOT

PAUSE_S = 0.5  # before a side is timed: the threads of the one before spin for a fifth of a second (OpenMP's block time)
_MARK = "answer: "  # before an answer, because libraries print to stdout, too


class WorkerProcess:
    """Run `python -m MODULE ARGS`, which calls `serve`; a call of this object is a request."""

    def __init__(self, python: str, module: str, *args: str):
        # This package keeps torch out of transformers by the same variables (encoders/__init__.py).
        variables = os.environ | {"USE_TORCH": "1", "USE_TF": "0"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._process = subprocess.Popen([python, "-m", module, *args], cwd=ROOT, env=variables, **pipes)

    def __call__(self, what: str, **arguments: Any) -> Any:
        """Return the response. Ends the program if the worker has ended, which reports the reason on stderr."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([what, arguments]) + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith(_MARK):
                return json.loads(line.removeprefix(_MARK))
        sys.exit(f"the rival {' '.join(map(str, self._process.args))} ended with {self._process.wait()}")  # pyright: ignore

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def serve(functions: dict[str, Callable[..., Any]]) -> None:
    """Answer requests until stdin is closed."""
    for line in sys.stdin:
        what, arguments = json.loads(line)
        print(_MARK + json.dumps(functions[what](**arguments)), flush=True)
