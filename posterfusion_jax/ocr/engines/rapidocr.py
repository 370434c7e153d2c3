"""Read posters with RapidOCR (PP-OCRv6 small on onnxruntime), which runs offline on any CPU right after its installation."""

import pathlib
from importlib import metadata
from typing import Any

import numpy as np
from PIL import Image

from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.engines.base import OcrResult
from posterfusion_jax.utils.telemetry import disable_telemetry

# All are named, because a model that is not named is downloaded if it is missing. These are in the wheel.
_MODELS = {
    "Det": "PP-OCRv6_det_small.onnx",
    "Cls": "ch_ppocr_mobile_v2.0_cls_mobile.onnx",
    "Rec": "PP-OCRv6_rec_small.onnx",
}
_MAX_ASPECT = 4


class RapidOcrEngine:
    """Find lines of text, then read each. Latin, Chinese and Japanese script.

    The result does not depend on `threads`.
    """

    name = "rapidocr"
    model_version: str | None = "PP-OCRv6_det_small+PP-OCRv6_rec_small"

    def __init__(
        self,
        *,
        threads: int = 1,
        min_confidence: float = 0.5,
        min_side: int = 640,
        max_side: int = 2000,
        turn_lines: bool = False,
        lines_at_once: int = 1,
    ) -> None:
        """Check the installation; the models are loaded by the first image.

        Args:
          threads: of onnxruntime and OpenCV; the latter's apply to the whole process.
          min_confidence: lines read with less confidence than this, in [0, 1], are dropped.
          min_side: the image is enlarged for the detector until its shorter side has this many pixels. RapidOCR's own
            value is 736. Over 300 posters 300 px wide (docs/ocr.md), 640 takes 0.86 times as long, finds as many of the
            titles' words (+0.2 points, -2.0 to +2.4) and 0.8 points fewer of all words; 480 finds 3 points fewer.
          max_side: an image whose longer side has more pixels is reduced to it first.
          turn_lines: whether a classifier may rotate a line by 180 degrees. Off, unlike in RapidOCR: posters rarely have
            a line upside down. Over the same posters, with 736, 58.7 % of the words of the titles were read with it and
            59.2 % without it, a difference within the noise.
          lines_at_once: the number of lines recognized in one batch, each padded to the widest. RapidOCR's own value is 6;
            over the same posters, with 736, it takes 1.1 times as long and loses 1.9 points of the words of the titles
            (0.7 to 3.3).

        Raises:
          InputError: RapidOCR or its models are missing, or an option is out of range.
        """
        if not 0 <= min_confidence <= 1:
            raise InputError(f"ocr.min_confidence={min_confidence!r} is not a fraction. Give a number from 0 to 1.")
        if min(min_side, max_side) < 32 or threads < 1:
            raise InputError(
                f"OCR options min_side={min_side!r}, max_side={max_side!r}, threads={threads!r}: "
                "the sides must be at least 32 pixels, the threads at least 1."
            )
        disable_telemetry()
        try:
            import cv2
            import onnxruntime  # noqa: F401 (RapidOCR would import it only with the first image)
            import rapidocr
        except ImportError as error:
            raise InputError(
                f"ocr.engine='rapidocr' is not installed ({error}). Install it with pip install 'posterfusion-jax[ocr]', "
                "or do without the text of the posters: --config.ocr.engine=none."
            ) from error
        folder = pathlib.Path(str(rapidocr.__file__)).parent / "models"
        missing = [name for name in _MODELS.values() if not (folder / name).is_file()]
        self.version = metadata.version("rapidocr")
        if missing:
            raise InputError(
                f"rapidocr {self.version} does not contain the model {missing[0]!r} (searched in {folder}). "
                "Install a release that has it: pip install --force-reinstall 'rapidocr==3.10.*'."
            )
        self._max_side = max_side
        cv2.setNumThreads(threads)
        self._rapidocr = rapidocr.RapidOCR(
            params={
                **{f"{task}.model_path": str(folder / name) for task, name in _MODELS.items()},
                "Global.log_level": "critical",
                "Global.text_score": min_confidence,
                "Global.max_side_len": max_side,
                "Global.use_cls": turn_lines,
                "Det.limit_side_len": min_side,
                "Rec.rec_batch_num": lines_at_once,
                "EngineConfig.onnxruntime.intra_op_num_threads": threads,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
                "EngineConfig.onnxruntime.enable_cpu_mem_arena": True,  # reuses memory between posters
            }
        )

    def read(self, image: Image.Image) -> OcrResult:
        """Return the lines on an RGB image, from top to bottom and, at the same height, from left to right."""
        image = _shrink_if_thin(image, self._max_side)
        pixels = np.asarray(_pad_to_poster(image))
        output: Any = self._rapidocr(np.ascontiguousarray(pixels[:, :, ::-1]))  # it expects BGR
        if output.txts is None:
            return OcrResult()
        corners = np.asarray(output.boxes, np.float64) / (image.width, image.height)  # [lines, 4, 2]
        boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1).clip(0, 1).round(4)
        return OcrResult(
            lines=tuple(output.txts),
            confidences=tuple(round(float(score), 4) for score in output.scores),
            boxes=tuple((x0, y0, x1, y1) for x0, y0, x1, y1 in boxes.tolist()),
        )


def _shrink_if_thin(image: Image.Image, max_side: int) -> Image.Image:
    """Reduce the longer side of a thin image to `max_side`.

    RapidOCR does so as well, but a thin image is padded before: a line of 65,500 pixels would become a gigapixel.
    """
    longer, shorter = max(image.size), min(image.size)
    if longer <= max(max_side, _MAX_ASPECT * shorter):
        return image
    width, height = (max(round(side * max_side / longer), 1) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)


def _pad_to_poster(image: Image.Image) -> Image.Image:
    """Add white on the right or below until no side is more than `_MAX_ASPECT` times the other.

    RapidOCR enlarges the shorter side to `min_side` without a limit to the longer one: a strip of 20 x 600 pixels took
    it 71 s and 2.4 GB. The corner (0, 0) does not move, and neither do the boxes.
    """
    width = max(image.width, -(-image.height // _MAX_ASPECT))
    height = max(image.height, -(-image.width // _MAX_ASPECT))
    if (width, height) == image.size:
        return image
    canvas = Image.new("RGB", (width, height), "white")
    canvas.paste(image)
    return canvas
