"""Encoders of a run."""

import json
import shutil
from typing import TYPE_CHECKING, Any

from posterfusion_jax.config.choices import SCRATCH
from posterfusion_jax.config.run import Run
from posterfusion_jax.encoders.load import load_towers
from posterfusion_jax.encoders.options import EncoderOptions
from posterfusion_jax.encoders.tower import PROVENANCE, ImageTower, TextTower
from posterfusion_jax.errors import InputError

if TYPE_CHECKING:  # prediction opens no dataset and imports none of its packages
    from posterfusion_jax.datasets.imdb_posters.reader import PosterDataset


def load_run_towers(run: Run, dataset: "PosterDataset | None") -> tuple[ImageTower, TextTower]:
    """Load the towers of the config.

    Args:
      run: the run.
      dataset: source of the texts for the tokenizer of "scratch" towers; None if the tokenizer is trained already.
    """
    encoders = run.config.encoders
    options = EncoderOptions(
        dtype=encoders.dtype,
        resize=encoders.resize,
        long_text=encoders.long_text,
        max_chunks=encoders.max_chunks,
        max_text_tokens=encoders.max_text_tokens,
        allow_random=encoders.allow_random,
        seed=run.config.seed,
    )
    if encoders.image != SCRATCH:
        return load_towers(encoders.image, encoders.text, options)
    from posterfusion_jax.encoders.clip import SCRATCH_TOKENS, scratch_clip
    from posterfusion_jax.encoders.tokenizer import load_tokenizer

    if dataset is not None:
        _ensure_tokenizer(run, dataset, encoders.max_text_tokens or SCRATCH_TOKENS)
    return scratch_clip(encoders.scratch, load_tokenizer(run.paths.tokenizer), options)


def _ensure_tokenizer(run: Run, dataset: "PosterDataset", max_tokens: int) -> None:
    """Train the tokenizer on the texts of the training split, unless the existing one was trained on the same texts."""
    folder = run.paths.tokenizer
    vocabulary = run.config.encoders.scratch.vocabulary
    trained_on = json.dumps({"row_hash": dataset.fingerprint, "vocabulary": vocabulary, "max_tokens": max_tokens})
    mark = folder / "trained_on.json"
    if mark.is_file() and mark.read_text() == trained_on:
        return
    partial = folder.with_name(folder.name + ".partial")  # so that a kill leaves no incomplete tokenizer
    for leftover in (partial, folder):
        shutil.rmtree(leftover, ignore_errors=True)
    from posterfusion_jax.encoders.tokenizer import train_tokenizer

    texts = dataset.columns("train")["text"]
    train_tokenizer(texts, partial, vocab_size=vocabulary, max_tokens=max_tokens)
    (partial / mark.name).write_text(trained_on)
    partial.rename(folder)


def passports(image_tower: ImageTower, text_tower: TextTower) -> dict[str, Any]:
    """Return the passports of both encoders, which identify them in stores, checkpoints and results."""
    return {"image": image_tower.passport, "text": text_tower.passport}


def check_encoders(now: dict[str, Any], then: dict[str, Any]) -> None:
    """Raise InputError that names the first differing field if the encoders are not those of the checkpoint."""
    for tower in ("image", "text"):
        a, b = now[tower], then[tower]
        for field in sorted((a.keys() | b.keys()) - set(PROVENANCE)):
            if a.get(field) != b.get(field):
                raise InputError(
                    f"encoders.{tower}: the checkpoint was trained with another encoder: {field} was {b.get(field)!r}, "
                    f"now it is {a.get(field)!r}. Give the weights that it was trained with."
                )
