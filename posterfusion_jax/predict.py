"""A trained model in memory, and its predictions: images to genres, batch by batch.

JAX is imported inside the functions, so that OCR can start first: loading JAX takes as long as loading an OCR engine.
"""

import contextlib
import dataclasses
import itertools
import pathlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from posterfusion_jax.errors import InputError
from posterfusion_jax.genres import decode_genres
from posterfusion_jax.ocr.records.record import OcrRecord, usable
from posterfusion_jax.ocr.text.clean import clean, record_text
from posterfusion_jax.ocr.text.line_filters import LineFilters
from posterfusion_jax.posters.decode import UnreadableImage
from posterfusion_jax.posters.images import AnyImage, PosterImage, list_images, open_image, save_image
from posterfusion_jax.report.prediction import Prediction as Prediction
from posterfusion_jax.report.prediction import as_json as as_json
from posterfusion_jax.report.prediction import as_text as as_text
from posterfusion_jax.utils.choose import choose
from posterfusion_jax.utils.console import print_message, sanitize

if TYPE_CHECKING:
    from posterfusion_jax.encoders.tower import ImageTower, TextTower
    from posterfusion_jax.models.classifier import Classifier


class Words(NamedTuple):
    """The text of one poster, and why it could not be read (None: it was)."""

    text: str
    error: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class GenreModel:
    """A trained model in memory: encoders, head, thresholds and calibration. `posterfusion_jax.load` makes one.

    Example::

        model = pf.load("runs/mine")
        for prediction in model.predict(["poster.jpg"]):
            print(prediction.genres, prediction.probabilities["horror"])

    Attributes:
      workdir: folder of the run.
      about: the model and the data it was trained on, in one or two sentences.
      genres: names, in the order of scores.
      thresholds: name -> one threshold, or one per genre [g]: "fixed", "tuned", "tuned_per_genre".
      calibration: from scores to probabilities; see `metrics.calibration`.
      batch_size: images per batch, at most.
      force_top1: the best genre is always predicted.
      text_rules: from the lines read to the text.
      encode_empty: a poster without text is the encoded empty string, not a missing text.
      level: "pooled" or "tokens", the features that the head reads.
      classifier: head and encoders.
      params: of the classifier.
      image_tower: encodes images.
      text_tower: encodes texts.
      read_words: files -> their OCR records, in order.
    """

    workdir: pathlib.Path
    about: str
    genres: tuple[str, ...]
    thresholds: Mapping[str, Any]
    calibration: Any
    batch_size: int
    force_top1: bool
    text_rules: LineFilters
    encode_empty: bool
    level: str
    classifier: "Classifier"
    params: Any
    image_tower: "ImageTower"
    text_tower: "TextTower"
    read_words: Callable[[Sequence[pathlib.Path]], Iterator[OcrRecord]]
    _programs: dict[tuple[str, int], Any] = dataclasses.field(default_factory=dict)

    def __repr__(self) -> str:
        """Return the folder and the sentence about the model."""
        return f"<GenreModel {str(self.workdir)!r}: {self.about}>"

    def predict(
        self,
        images: AnyImage | Iterable[AnyImage],
        texts: str | Sequence[str] | None = None,
        *,
        threshold: str | float = "fixed",
    ) -> list[Prediction]:
        """Predict the genres of posters.

        Args:
          images: one image or several, mixed as you like: files (str or Path), PIL images, uint8 arrays [h, w, 3].
          texts: the words on each poster; [""] * n means no text. None: the run's OCR engine reads them.
          threshold: "fixed" (the run's evaluate.threshold), "tuned" or "tuned_per_genre" (fitted on the validation split),
            or a number between 0 and 1.

        Returns:
          One prediction per image, in order. An image that cannot be used has an `error`, and the others are predicted.

        Raises:
          InputError: texts that do not match the images, an unknown threshold, or an OCR engine that cannot be used.

        Example::

            model.predict("poster.jpg")[0].genres
            model.predict([pil_image, array], texts=["THE TITLE", ""], threshold="tuned_per_genre")
        """
        posters = list_images(images)
        rule = self.choose_threshold(threshold)
        with self._read(posters, texts) as words:
            return list(self.predict_words(posters, words, rule))

    def embed(self, images: AnyImage | Iterable[AnyImage], texts: str | Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Encode posters into pooled features.

        Args:
          images: as `predict` takes them.
          texts: as `predict` takes them.

        Returns:
          {"image": float32 [n, d_i], "text": float32 [n, d_t]}. The text row of a poster without text is zero; both rows of
          an image that cannot be used are NaN, and it is reported on stderr.

        Raises:
          InputError: as `predict` raises it.

        Example::

            model.embed(["a.jpg", "b.jpg"])["image"] @ query
        """
        posters = list_images(images)
        with self._read(posters, texts) as words:
            found = list(self._run("embed", posters, words))
        features = {name: np.zeros((len(found), tower.width), np.float32) for name, tower in self._towers().items()}
        for row, (picture, text, values) in enumerate(found):
            for name in features:
                missing = np.nan if isinstance(picture, UnreadableImage) else 0.0
                features[name][row] = missing if np.isnan(missing) or (name == "text" and not text.text) else values[name]
        _report_unreadable(posters, [picture for picture, _, _ in found])
        return features

    def attention(self, images: AnyImage | Iterable[AnyImage], texts: str | Sequence[str] | None = None) -> np.ndarray | None:
        """Return how the attention of each poster's words is spread over its picture.

        Args:
          images: as `predict` takes them.
          texts: as `predict` takes them.

        Returns:
          float32 [n, l_v]: mean over words and attention heads, rows of sum 1; NaN rows for images that cannot be used. The
          first column is the class token where l_v is a square plus one. None for heads without cross attention, and for
          pooled features.

        Raises:
          InputError: as `predict` raises it.

        Example::

            weights = model.attention("poster.jpg", texts=["THE TITLE"])
        """
        posters = list_images(images)
        if self.level == "pooled" or not self._has_attention():
            return None
        with self._read(posters, texts) as words:
            found = list(self._run("attention", posters, words))
        _report_unreadable(posters, [picture for picture, _, _ in found])
        rows = [np.full_like(row, np.nan) if isinstance(picture, UnreadableImage) else row for picture, _, row in found]
        return np.stack(rows)

    def choose_threshold(self, threshold: str | float) -> Any:
        """Return the numbers behind a threshold's name. Raises InputError for an unknown one."""
        if isinstance(threshold, str):
            return np.asarray(choose("threshold", threshold, self.thresholds))
        if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 < threshold < 1:
            names = ", ".join(map(repr, self.thresholds))
            raise InputError(f"threshold={threshold!r} must be one of {names}, or a number between 0 and 1.")
        return np.asarray(float(threshold))

    def predict_words(self, posters: Sequence[PosterImage], words: Iterator[Words], threshold: Any) -> Iterator[Prediction]:
        """Predict posters whose words are read meanwhile; yields in order, as soon as a batch is scored.

        Args:
          posters: at least one.
          words: of the posters, in order.
          threshold: from `choose_threshold`.
        """
        for poster, (picture, text, scores) in zip(posters, self._run("score", posters, words), strict=True):
            if isinstance(picture, UnreadableImage):
                yield Prediction(poster.name, "", {}, {}, [], str(picture))
            else:
                yield self._describe(poster.name, text, np.asarray(scores, np.float64), threshold)

    def words_of(self, records: Iterator[OcrRecord]) -> Iterator[Words]:
        """Return the text of each record, as the run's rules make it."""
        for record in records:
            yield Words(record_text(record, self.text_rules), None if usable(record) else record.reason or record.status)

    def _describe(self, name: str, words: Words, scores: np.ndarray, threshold: Any) -> Prediction:
        from posterfusion_jax.metrics.calibration import calibrated
        from posterfusion_jax.metrics.thresholds import apply_thresholds

        named = apply_thresholds(scores[None], threshold, force_top1=self.force_top1)[0]
        by_genre, probabilities = (
            dict(zip(self.genres, values.tolist(), strict=True)) for values in (scores, calibrated(scores, self.calibration))
        )
        return Prediction(
            name, words.text, by_genre, probabilities, list(decode_genres(named, self.genres)), text_error=words.error
        )

    def _run(
        self, program: str, posters: Sequence[PosterImage], words: Iterator[Words]
    ) -> Iterator[tuple[np.ndarray | UnreadableImage, Words, Any]]:
        """Run a program on batches of one size; yields picture, words and the program's rows per poster."""
        if not posters:
            return
        import jax

        from posterfusion_jax.utils.prefetch import prefetch

        size = _choose_size(len(posters), self.batch_size)
        parts = [posters[start : start + size] for start in range(0, len(posters), size)]
        run = self._compile(program, size)  # while OCR reads
        for part, pictures in zip(
            parts, prefetch(lambda k: [self._open(poster) for poster in parts[k]], 0, len(parts), threads=2), strict=True
        ):
            read = list(itertools.islice(words, len(part)))
            values = jax.device_get(run(self.params, self._batch(pictures, [item.text for item in read], size=size)))
            for row, (picture, item) in enumerate(zip(pictures, read, strict=True)):
                yield picture, item, jax.tree.map(lambda array, row=row: array[row], values)

    def _compile(self, program: str, size: int) -> Any:
        import jax

        key = (program, size)
        if key not in self._programs:
            functions = {"score": self._score, "embed": self._embed, "attention": self.classifier.attention}
            self._programs[key] = jax.jit(functions[program]).lower(self.params, self._batch([], [], size=size)).compile()
        return self._programs[key]

    def _score(self, params: Any, batch: Any) -> Any:
        import jax

        return jax.nn.sigmoid(self.classifier.forward(params, batch))

    def _embed(self, params: Any, batch: Any) -> Any:
        image = self.image_tower.forward(params["image"], batch["images"], level="pooled")
        text = self.text_tower.forward(params["text"], batch["input_ids"], batch["attention_mask"], level="pooled")
        return {"image": image.values, "text": text.values}

    def _towers(self) -> dict[str, Any]:
        return {"image": self.image_tower, "text": self.text_tower}

    def _has_attention(self) -> bool:
        import jax

        return jax.eval_shape(self.classifier.attention, self.params, self._batch([], [], size=1)) is not None

    def _open(self, poster: PosterImage) -> np.ndarray | UnreadableImage:
        from posterfusion_jax.encoders.preprocess import resize_poster

        try:
            image = open_image(poster)
        except UnreadableImage as error:
            return error
        return resize_poster(image, size=self.image_tower.image_size, how=self.image_tower.resize)

    def _batch(
        self, pictures: Sequence[np.ndarray | UnreadableImage], texts: Sequence[str], *, size: int
    ) -> dict[str, np.ndarray]:
        """Return the classifier's inputs: black and without text where there is no picture, and in the rows up to `size`."""
        images = np.zeros((size, self.image_tower.image_size, self.image_tower.image_size, 3), np.uint8)
        for row, picture in enumerate(pictures):
            if not isinstance(picture, UnreadableImage):
                images[row] = picture
        texts = [*texts, *[""] * (size - len(texts))]
        tokens = self.text_tower.tokenize(texts)
        return {
            "images": images,
            "input_ids": tokens.input_ids,
            "attention_mask": tokens.attention_mask,
            "use_text": np.array([bool(text) or self.encode_empty for text in texts]),
        }

    @contextlib.contextmanager
    def _read(self, posters: Sequence[PosterImage], texts: str | Sequence[str] | None) -> Iterator[Iterator[Words]]:
        """Return the words of each poster: those given, or those that OCR reads."""
        if texts is not None:
            yield iter(_check_texts(texts, len(posters)))
            return
        with tempfile.TemporaryDirectory(prefix="posterfusion-") as folder:
            files = [save_image(poster, pathlib.Path(folder) / f"{number}.png") for number, poster in enumerate(posters)]
            records = self.words_of(self.read_words([file for file in files if file])) if any(files) else iter(())
            yield (next(records) if file else Words("") for file in files)


def _check_texts(texts: Any, count: int) -> list[Words]:
    given = [texts] if isinstance(texts, str) else texts
    if isinstance(given, bool) or not isinstance(given, Iterable):
        raise InputError(f'texts={texts!r} must be one text per image, or None to read them by OCR; "" is no text.')
    given = list(given)
    if len(given) != count or not all(isinstance(text, str) for text in given):
        kinds = ", ".join(sorted({type(text).__name__ for text in given})) or "nothing"
        raise InputError(f'texts has {len(given)} items ({kinds}) for {count} images; give one str per image, "" for no text.')
    return [Words(clean(text)) for text in given]


def _choose_size(count: int, most: int) -> int:
    """Return the rows of a batch: equal parts, rounded up to a power of two, because each size is a program to compile."""
    parts = -(-count // most)
    return min(1 << (-(-count // parts) - 1).bit_length(), most)


def _report_unreadable(posters: Sequence[PosterImage], pictures: Sequence[np.ndarray | UnreadableImage]) -> None:
    failed = [
        (poster.name, str(picture))
        for poster, picture in zip(posters, pictures, strict=True)
        if isinstance(picture, UnreadableImage)
    ]
    for name, reason in failed:
        print_message(f"{sanitize(name)}: {sanitize(reason)}", error=True)
    if failed:
        print_message(f"{len(failed):,} of {len(posters):,} images cannot be used; their rows are NaN", error=True)
