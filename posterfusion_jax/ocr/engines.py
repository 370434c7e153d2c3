"""The one interface behind which every OCR engine stands, and their names."""

import dataclasses
from typing import Any, Protocol

from PIL import Image

from posterfusion_jax.errors import InputError

ENGINES = ("rapidocr", "tesseract", "none")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """The lines that an engine found, in reading order.

    `confidences` lie in [0, 1]; `boxes` are (x0, y0, x1, y1) as fractions of the image's width and height. Both are
    empty or as long as `lines`.
    """

    lines: tuple[str, ...] = ()
    confidences: tuple[float, ...] = ()
    boxes: tuple[tuple[float, float, float, float], ...] = ()


class Engine(Protocol):
    """Reads the words on an upright RGB poster. The same image gives the same reading, always."""

    name: str
    version: str
    model_version: str | None

    def read(self, image: Image.Image) -> Reading: ...


class NoEngine:
    """Reads nothing: for prediction from the picture alone."""

    name = "none"
    version = ""
    model_version: str | None = None

    def read(self, image: Image.Image) -> Reading:
        return Reading()


def make_engine(name: str, **options: Any) -> Engine:
    """The engine of this name.

    Args:
      name: one of `ENGINES`.
      **options: keyword arguments of the engine's class, such as `threads` and `min_confidence`; "none" takes any.

    Raises:
      InputError: an unknown name, an option out of range, or the engine is not installed.
    """
    if name == "rapidocr":
        from posterfusion_jax.ocr.rapidocr_engine import RapidOcrEngine  # OpenCV and onnxruntime: only if asked for

        return RapidOcrEngine(**options)
    if name == "tesseract":
        from posterfusion_jax.ocr.tesseract_engine import TesseractEngine

        return TesseractEngine(**options)
    if name == "none":
        return NoEngine()
    raise InputError(f"ocr.engine={name!r} is not an OCR engine. Choose one of {', '.join(ENGINES)}.")
