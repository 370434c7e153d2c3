"""Poster files to genres, batch by batch; files that cannot be read are told and passed over."""

import itertools
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from posterfusion_jax.encoders.preprocess import resize_poster
from posterfusion_jax.encoders.tower import ImageTower, TextTower
from posterfusion_jax.genres import GENRES, decode_genres
from posterfusion_jax.metrics.calibration import Calibration, calibrated
from posterfusion_jax.metrics.thresholds import apply_thresholds
from posterfusion_jax.ocr.records.record import OcrRecord, usable
from posterfusion_jax.ocr.text.clean import record_text
from posterfusion_jax.ocr.text.line_filters import LineFilters
from posterfusion_jax.posters.decode import UnreadableImage, read_poster
from posterfusion_jax.predict_answers import Prediction
from posterfusion_jax.utils.prefetch import prefetch


class Predictor:
    """A trained classifier with all that stands before it."""

    def __init__(
        self,
        score: Callable[[Any, dict[str, jax.Array]], jax.Array],
        params: Any,
        image_tower: ImageTower,
        text_tower: TextTower,
        *,
        batch_size: int,
        threshold: float | np.ndarray,
        calibration: Calibration,
        force_top1: bool,
        text_rules: LineFilters,
        encode_empty: bool,
        genres: Sequence[str] = GENRES,
    ):
        """Args as the classifier needs them.

        Args:
          score: (params, batch as `classifier.on_posters` takes it) -> scores [b, 13].
          batch_size: how many posters are scored at once, at most.
          threshold: one, or one a genre [13].
          calibration: from scores to probabilities.
          force_top1: always name the best genre.
          text_rules: from the lines read to the text.
          encode_empty: a poster without text is the encoded empty string, not a missing text.
          genres: names of the scores' columns, in the order that the classifier was trained with.
        """
        self._score, self._params, self._batch_size = jax.jit(score), jax.device_put(params), batch_size
        self._image_tower, self._text_tower, self._text_rules = image_tower, text_tower, text_rules
        self._threshold, self._force_top1, self._encode_empty = threshold, force_top1, encode_empty
        self._calibration, self._genres = calibration, tuple(genres)

    def predict(self, files: Sequence[pathlib.Path], records: Iterator[OcrRecord]) -> Iterator[Prediction]:
        """One prediction a file, in order, as soon as its batch is scored.

        Args:
          records: of the files, in order (`ocr.read_files.read_files`).
        """
        count = -(-len(files) // self._batch_size)
        size = -(-len(files) // count)  # one size for all batches, because each size is a program to compile
        parts = [files[start : start + size] for start in range(0, len(files), size)]
        score = self._score.lower(self._params, self._batch([], [], size=size)).compile()  # while OCR reads
        pictures_of = prefetch(lambda k: [self._open(file) for file in parts[k]], 0, len(parts), threads=2)
        for part, pictures in zip(parts, pictures_of, strict=True):
            read = list(itertools.islice(records, len(part)))
            texts = [record_text(record, self._text_rules) for record in read]
            scores = np.asarray(score(self._params, self._batch(pictures, texts, size=size)), np.float64)
            for file, picture, record, text, row in zip(part, pictures, read, texts, scores, strict=False):
                yield self._describe(str(file), picture, record, text, row)

    def _open(self, file: pathlib.Path) -> np.ndarray | UnreadableImage:
        try:
            image = read_poster(file)
        except UnreadableImage as error:
            return error
        return resize_poster(image, size=self._image_tower.image_size, how=self._image_tower.resize)

    def _batch(
        self, pictures: Sequence[np.ndarray | UnreadableImage], texts: Sequence[str], *, size: int
    ) -> dict[str, np.ndarray]:
        """The classifier's inputs, black and without text where there is no picture, and filled up so to `size` rows."""
        images = np.zeros((size, self._image_tower.image_size, self._image_tower.image_size, 3), np.uint8)
        for row, picture in enumerate(pictures):
            if not isinstance(picture, UnreadableImage):
                images[row] = picture
        texts = [*texts, *[""] * (size - len(texts))]
        tokens = self._text_tower.tokenize(texts)
        return {
            "images": images,
            "input_ids": tokens.input_ids,
            "attention_mask": tokens.attention_mask,
            "use_text": np.array([bool(text) or self._encode_empty for text in texts]),
        }

    def _describe(
        self, file: str, picture: np.ndarray | UnreadableImage, record: OcrRecord, text: str, scores: np.ndarray
    ) -> Prediction:
        if isinstance(picture, UnreadableImage):
            return Prediction(file, "", {}, {}, [], str(picture))
        named = apply_thresholds(scores[None], self._threshold, force_top1=self._force_top1)[0]
        by_genre = self._by_genre(scores), self._by_genre(calibrated(scores, self._calibration))
        text_error = None if usable(record) else record.reason or record.status
        return Prediction(file, text, *by_genre, list(decode_genres(named, self._genres)), text_error=text_error)

    def _by_genre(self, values: np.ndarray) -> dict[str, float]:
        return dict(zip(self._genres, values.tolist(), strict=True))
