"""Makers of engines that go wrong when a worker process starts; importable by name, as workers need it."""

import os
import signal
import sys

import fake_engines

from posterfusion_jax.errors import InputError


def make(name="rapidocr", *, threads=1, fault="none"):
    """Makes an engine that reads sizes, or goes wrong as `fault` says."""
    print("stdout of a worker")
    print("stderr of a worker", file=sys.stderr, flush=True)
    if fault == "raises":
        raise RuntimeError("the model is for another processor")
    if fault == "refuses":
        raise InputError("ocr.min_side=1 is too small.")
    if fault == "exits":
        os._exit(3)
    if fault == "is killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "leaves":
        sys.exit("goodbye")
    return fake_engines.FakeEngine(name, 0.0, None)
