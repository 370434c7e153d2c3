"""Read posters with the installed program Tesseract (https://github.com/tesseract-ocr/tesseract): over 100 languages.

Needs no Python package. Measured on real posters it reads far less than RapidOCR (docs/ocr.md has the figures); it is here for
scripts that RapidOCR lacks, such as Cyrillic, Greek, Arabic or Hindi.
"""

import io
import os
import shutil
import subprocess
from typing import NamedTuple

from PIL import Image

from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.engines.base import OcrResult

PAGE_MODES = (1, 3, 4, 6, 11, 12)  # Tesseract's --psm, without the modes for a single line, word or letter
_NEED_ORIENTATION = (1, 12)  # these also load the model "osd"
_WITHOUT_ORDER = (11, 12)  # "in no particular order" in its manual
_START_TIMEOUT_S = 30
_HEADER = "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext"
_WORD_LEVEL = "5"
_INSTALL = (
    "Install it with apt-get install tesseract-ocr (Debian, Ubuntu) or brew install tesseract (macOS), or choose another "
    "engine: --config.ocr.engine=rapidocr."
)


class _Word(NamedTuple):
    text: str
    confidence: float  # in [0, 1]
    box: tuple[int, int, int, int]  # x0, y0, x1, y1 in pixels


class TesseractEngine:
    """Start the program `tesseract` on each image. The result does not depend on `threads`."""

    name = "tesseract"

    def __init__(
        self,
        *,
        threads: int = 1,
        languages: str = "eng",
        psm: int = 11,
        min_confidence: float = 0.5,
        min_side: int = 900,
        max_side: int = 4000,
        timeout_s: float = 120,
    ) -> None:
        """Query the program for its version and its languages.

        Args:
          threads: as OMP_THREAD_LIMIT; Tesseract uses four at most.
          languages: Tesseract's codes joined by "+", the most likely first: "eng+deu".
          psm: page segmentation mode, one of `PAGE_MODES`; 11 searches for sparse text anywhere.
          min_confidence: words read with less confidence than this, in [0, 1], are dropped.
          min_side: the image is enlarged until its shorter side has this many pixels; Tesseract needs capitals about 20
            pixels high.
          max_side: the longer side never gets more pixels than this.
          timeout_s: the program is killed after this many seconds on one image.

        Raises:
          InputError: the program, or the data of a language, is missing, or an option is out of range.
        """
        if not 0 <= min_confidence <= 1:
            raise InputError(f"ocr.tesseract.min_confidence={min_confidence!r} is not a fraction. Give a number from 0 to 1.")
        if psm not in PAGE_MODES:
            raise InputError(f"ocr.tesseract.psm={psm!r} is not for posters. Choose one of {', '.join(map(str, PAGE_MODES))}.")
        if min(min_side, max_side) < 32 or threads < 1 or not timeout_s > 0:
            raise InputError(
                f"OCR options min_side={min_side!r}, max_side={max_side!r}, threads={threads!r}, timeout_s={timeout_s!r}: "
                "the sides must be at least 32 pixels, the threads at least 1, the time above 0."
            )
        program = shutil.which("tesseract")
        if program is None:
            raise InputError(f"ocr.engine='tesseract': no program of this name is on the PATH. {_INSTALL}")
        self._program = program
        self._environment = os.environ | {"OMP_THREAD_LIMIT": str(threads)}
        self.version = self._query_program("--version").split()[1].removeprefix("v")
        installed = self._query_program("--list-langs").splitlines()[1:]
        for language in [*languages.split("+"), *(["osd"] if psm in _NEED_ORIENTATION else [])]:
            if language not in installed:
                package = f"tesseract-ocr-{language.lower().replace('_', '-')}"
                raise InputError(
                    f"ocr.tesseract.languages={languages!r}, psm={psm}: Tesseract has no data for {language!r}, only for "
                    f"{', '.join(installed) or 'none'}. Install them with apt-get install {package} (Debian, Ubuntu) or "
                    "brew install tesseract-lang (macOS)."
                )
        self.model_version: str | None = languages
        # A PPM has no resolution; 70 is the default.
        self._options = ["-l", languages, "--psm", str(psm), "--dpi", "70", "tsv"]
        self._sorted = psm in _WITHOUT_ORDER
        self._min_confidence = min_confidence
        self._sides = min_side, max_side
        self._timeout_s = timeout_s

    def read(self, image: Image.Image) -> OcrResult:
        """Return the lines on an RGB image; from top to bottom with `psm` 11 and 12, else in Tesseract's order.

        A line's confidence is the mean of its words'. Lines without a letter or digit are omitted: edges and texture are
        read as bars and dashes.

        Raises:
          TimeoutError: the program took longer than `timeout_s` and was killed.
          RuntimeError: it failed, or its output is not a table of words.
        """
        enlarged = _resize(image, *self._sides)
        kept = [
            [word for word in words if word.confidence >= self._min_confidence]
            for words in _parse(self._run(enlarged)).values()
        ]
        kept = [words for words in kept if any(c.isalnum() for word in words for c in word.text)]
        boxes = [_bounding_box(words) for words in kept]
        order = sorted(range(len(kept)), key=lambda i: boxes[i][1] + boxes[i][3]) if self._sorted else range(len(kept))
        width, height = enlarged.size
        return OcrResult(
            lines=tuple(" ".join(word.text for word in kept[i]) for i in order),
            confidences=tuple(round(sum(word.confidence for word in kept[i]) / len(kept[i]), 4) for i in order),
            boxes=tuple(
                (round(x0 / width, 4), round(y0 / height, 4), round(x1 / width, 4), round(y1 / height, 4))
                for x0, y0, x1, y1 in (boxes[i] for i in order)
            ),
        )

    def _query_program(self, flag: str) -> str:
        try:
            answer = subprocess.run([self._program, flag], capture_output=True, timeout=_START_TIMEOUT_S, env=self._environment)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise InputError(f"ocr.engine='tesseract': {self._program} {flag} does not run ({error}). {_INSTALL}") from error
        text = (answer.stdout or answer.stderr).decode(errors="replace")  # Tesseract 3 answered on stderr
        if answer.returncode or len(text.split()) < 2:
            raise InputError(
                f"ocr.engine='tesseract': {self._program} {flag} ended with status {answer.returncode}: {text[:200]!r}. "
                f"{_INSTALL}"
            )
        return text

    def _run(self, image: Image.Image) -> str:
        pixels = io.BytesIO()
        image.save(pixels, "PPM")
        try:
            done = subprocess.run(
                [self._program, "stdin", "stdout", *self._options],
                input=pixels.getvalue(),
                capture_output=True,
                timeout=self._timeout_s,
                env=self._environment,
            )
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"tesseract was killed after {self._timeout_s:g} s") from error
        if done.returncode:
            messages = done.stderr.decode(errors="replace").strip().splitlines()
            raise RuntimeError(f"tesseract ended with status {done.returncode}: {messages[-1] if messages else 'no message'}")
        return done.stdout.decode(errors="replace")


def _resize(image: Image.Image, min_side: int, max_side: int) -> Image.Image:
    scale = min(max(1.0, min_side / min(image.size)), max_side / max(image.size))
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image if size == image.size else image.resize(size, Image.Resampling.BICUBIC)


def _parse(table: str) -> dict[tuple[str, ...], list[_Word]]:
    """Return the words of each line, from Tesseract's TSV.

    References:
      https://tesseract-ocr.github.io/tessdoc/Command-Line-Usage.html (TSV output): level 5 is a word; a line is identified by
        its
      page, block, paragraph and line number; `conf` is a percentage.
    """
    header, *rows = table.split("\n")
    if header.rstrip("\r") != _HEADER:
        raise RuntimeError(f"tesseract did not write a table of words but {header[:80]!r}")
    lines: dict[tuple[str, ...], list[_Word]] = {}
    for row in rows:
        cells = row.rstrip("\r").split("\t")
        if cells[0] != _WORD_LEVEL:
            continue
        try:
            left, top, width, height = map(int, cells[6:10])
            confidence = min(max(float(cells[10]) / 100, 0.0), 1.0)
            text = cells[11].strip()
        except (ValueError, IndexError) as error:
            raise RuntimeError(f"tesseract wrote a row that is not a word: {row[:80]!r}") from error
        if text:
            lines.setdefault(tuple(cells[1:5]), []).append(_Word(text, confidence, (left, top, left + width, top + height)))
    return lines


def _bounding_box(words: list[_Word]) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = zip(*(word.box for word in words), strict=True)
    return min(x0), min(y0), max(x1), max(y1)
