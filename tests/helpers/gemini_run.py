"""What a user's OCR command with Gemini does; the tests call it, and kill it."""

import pathlib
import sys

from gemini_server import MODEL
from PIL import Image

from posterfusion_jax.ocr.engines.base import EngineChoice
from posterfusion_jax.ocr.engines.gemini_options import GeminiOptions
from posterfusion_jax.ocr.options import ReadOptions
from posterfusion_jax.ocr.records.store import RecordWriter
from posterfusion_jax.ocr.remote.client import Limits
from posterfusion_jax.ocr.remote.gemini_batch import BatchOptions
from posterfusion_jax.ocr.run import read_posters
from posterfusion_jax.ocr.summary import OcrSummary
from posterfusion_jax.posters.folder import find_posters


def write_posters(folder: pathlib.Path, count: int) -> None:
    """Small images of different bytes, and a folder as a user has it."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for i in range(count):
        colour = (i % 256, i // 256 % 256, 77)
        Image.new("RGB", (8, 12), colour).save(folder / "images" / f"tt{1000000 + i}_0.png")


def read(
    folder: pathlib.Path, *, retry=(), limits: Limits | None = None, batch: BatchOptions | None = None, **options
) -> OcrSummary:
    """Reads the folder's posters into its ocr.jsonl."""
    posters, _ = find_posters(folder)
    options = {"model": MODEL, "timeout": 1.0, "input_price": 1.0, "output_price": 2.0, **options}
    with RecordWriter(folder / "ocr.jsonl") as store:
        engine = EngineChoice(name="gemini", options={"options": GeminiOptions(**options)})
        how = ReadOptions(retry=tuple(retry), limits=limits or Limits(), batch=batch)
        return read_posters(posters, store, engine, how, progress=False)


if __name__ == "__main__":
    print(read(pathlib.Path(sys.argv[1]), limits=Limits(concurrency=int(sys.argv[2])), timeout=float(sys.argv[3])))
