"""An engine for the tests of the run: importable by name, so that worker processes can make it too."""

import os
import pathlib
import time

from posterfusion_jax.ocr.engines.base import EngineChoice, OcrResult
from posterfusion_jax.ocr.options import ReadOptions
from posterfusion_jax.ocr.records.store import RecordWriter
from posterfusion_jax.ocr.run import read_posters
from posterfusion_jax.posters.folder import find_posters

DEADLY_WIDTH = 13  # the process dies, as if out of memory
DEADLY_ONCE_WIDTH = 15  # it dies at the first attempt only, as if the memory had been others'
FAULTY_WIDTH = 17  # the engine raises
BLANK_WIDTH = 19  # no text


class FakeEngine:
    """Reads the size of the image. Whatever happens depends on the width alone."""

    version = "1"
    model_version: str | None = "m"

    def __init__(self, name: str, seconds: float, log: str | None):
        self.name = name
        self._seconds = seconds
        self._log = log

    def read(self, image):
        if self._log:
            with open(self._log, "a") as file:
                file.write(f"{os.getpid()} {image.width}\n")
        time.sleep(self._seconds)
        if image.width == DEADLY_WIDTH:
            os._exit(137)
        if image.width == DEADLY_ONCE_WIDTH and not os.path.exists(f"{self._log}.died"):
            pathlib.Path(f"{self._log}.died").touch()
            os._exit(137)
        if image.width == FAULTY_WIDTH:
            raise RuntimeError("no such glyph")
        if image.width == BLANK_WIDTH:
            return OcrResult()
        return OcrResult(
            lines=(f"{image.width}", f"x {image.height}"),
            confidences=(0.9, 0.8),
            boxes=((0.0, 0.0, 1.0, 0.5), (0.0, 0.5, 1.0, 1.0)),
        )


def make(name, *, threads, seconds=0.0, log=None):
    assert threads >= 1
    return FakeEngine(name, seconds, log)


def main(posters_dir: str, workers: int, seconds: float):
    """What a user's command does; the tests kill it."""
    posters, _ = find_posters(posters_dir)
    with RecordWriter(pathlib.Path(posters_dir) / "ocr.jsonl") as store:
        options = {"seconds": seconds, "log": str(pathlib.Path(posters_dir) / "pids")}
        engine = EngineChoice(name="rapidocr", options=options, make=make)
        read_posters(posters, store, engine, ReadOptions(workers=workers), progress=False)
