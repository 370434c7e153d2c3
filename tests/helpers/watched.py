"""Programs under watch: what they connect to, on what they listen, what they unpickle."""

import contextlib
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

ROOT = pathlib.Path(__file__).parents[2]

# Python imports a module of this name in every process at its start, in those of process pools too.
_SITECUSTOMIZE = """
import os, sys

_log = os.open(os.environ["POSTERFUSION_WATCH"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
_WATCHED = ("socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname", "pickle.find_class")

def _watch(event, args):
    if event in _WATCHED:
        said = args if "get" in event else args[1:]
        if event == "pickle.find_class":
            said = (*args, sys._getframe(1).f_code.co_filename)
        os.write(_log, f"{event}\\t{said!r}\\n".encode(errors="backslashreplace"))

sys.addaudithook(_watch)
"""


class Watched(NamedTuple):
    """How a program ended.

    Attributes:
      events: (name of the audit event, its arguments as Python writes them; of an unpickling also the file of the code that
        asked for it).
      ports: on which it, or a child, was seen to listen: "address:port" in the hexadecimal digits of /proc/net.
    """

    returncode: int
    stdout: bytes
    stderr: bytes
    events: list[tuple[str, str]]
    ports: set[str]


def run(arguments: Sequence[str | bytes], folder: pathlib.Path, *, timeout: float = 500, **environment: str) -> Watched:
    """Runs `python ARGUMENTS` from the checkout, with a home of its own in `folder` (made if need be)."""
    (folder / "watch").mkdir(parents=True, exist_ok=True)
    (folder / "home").mkdir(exist_ok=True)
    (folder / "watch" / "sitecustomize.py").write_text(_SITECUSTOMIZE)
    log = folder / "watch" / "events"
    log.unlink(missing_ok=True)
    settings = {"POSTERFUSION_WATCH": str(log), "HOME": str(folder / "home"), "JAX_ENABLE_COMPILATION_CACHE": "false"}
    path = os.pathsep.join([str(folder / "watch"), str(ROOT)])
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "XDG_", "GEMINI", "GOOGLE"))}
    with (folder / "stdout").open("w+b") as stdout, (folder / "stderr").open("w+b") as stderr:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=inherited | settings | {"PYTHONPATH": path, **environment},
            stdout=stdout,
            stderr=stderr,
        )
        ports, end = set(), time.monotonic() + timeout
        while process.poll() is None and time.monotonic() < end:
            ports |= listening(process.pid)
            time.sleep(0.2)
        process.kill()
        process.wait()
        stdout.seek(0)
        stderr.seek(0)
        lines = log.read_text().splitlines() if log.exists() else []
        events = [(event, said) for event, _, said in (line.partition("\t") for line in lines)]
        return Watched(process.returncode, stdout.read(), stderr.read(), events, ports)


def listening(pid: int) -> set[str]:
    """The TCP ports on which a process or one of its children listens now, whichever library opened them (Linux)."""
    found, processes = set(), [pid]
    while processes:
        process = pathlib.Path("/proc") / str(processes.pop())
        try:
            children = (process / "task" / process.name / "children").read_text().split()
            sockets = set()
            for link in (process / "fd").iterdir():
                with contextlib.suppress(OSError):  # closed meanwhile
                    sockets.add(os.readlink(link))
            for table in ("tcp", "tcp6"):
                for line in (process / "net" / table).read_text().splitlines()[1:]:
                    cells = line.split()
                    if cells[3] == "0A" and f"socket:[{cells[9]}]" in sockets:
                        found.add(cells[1])
            processes += map(int, children)
        except OSError:  # it has ended
            continue
    return found
