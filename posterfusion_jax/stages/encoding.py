"""The encoders that the config names, and their cached features."""

import json
import pathlib
import shutil
from collections.abc import Sequence
from typing import Any

from posterfusion_jax import config as config_lib
from posterfusion_jax.config import Run
from posterfusion_jax.datasets.imdb_posters.reader import PosterDataset
from posterfusion_jax.encoders.clip import scratch_clip
from posterfusion_jax.encoders.load import load_towers
from posterfusion_jax.encoders.tokenizer import load_tokenizer, train_tokenizer
from posterfusion_jax.encoders.tower import PROVENANCE, ImageTower, TextTower
from posterfusion_jax.encoders.word2vec import Word2VecTower
from posterfusion_jax.errors import InputError
from posterfusion_jax.features.extract import fill_store, fill_text_store, open_store, open_text_store
from posterfusion_jax.features.store import FeatureStore
from posterfusion_jax.stages.posters import open_run_dataset
from posterfusion_jax.train.controls import WITHOUT_TITLE


def extract_features(run: Run) -> None:
    """The features of frozen encoders; with live encoders there is nothing to keep."""
    if run.live:
        print("features: none kept, because the encoders train (train.fine_tune)")
        return
    dataset = open_run_dataset(run)
    image_tower, text_tower = load_run_towers(run, dataset)
    store = open_store(dataset, run.paths.features, passports(image_tower, text_tower), **feature_options(run))
    with store.filling():
        done = fill_store(
            store,
            dataset,
            image_tower,
            text_tower,
            batch_size=run.config.features.batch_size,
            threads=run.config.train.loader_threads,
        )
    print(f"features: {store.folder}: {done['computed']:,} posters encoded, {done['found']:,} found")
    texts = [text for split in dataset.splits for text in dataset.columns(split)["text"]]
    tell_cut(describe_cut(texts, done["cut"]), text_tower.max_tokens, "texts")
    if run.without_title:
        titleless = open_text_store(dataset, _titleless_folder(run), text_tower.passport, **_text_options(run))
        with titleless.filling():
            done = fill_text_store(
                titleless,
                dataset,
                text_tower,
                batch_size=run.config.features.batch_size,
                threads=run.config.train.loader_threads,
            )
        print(f"features: {titleless.folder}: {done['computed']:,} texts encoded without their titles, {done['found']:,} found")
        left = [text for split in dataset.splits for text in dataset.texts_without_title(split)]
        tell_cut(describe_cut(left, done["cut"]), text_tower.max_tokens, "texts without titles")
    if isinstance(text_tower, Word2VecTower):
        coverage = text_tower.coverage(texts)
        print(
            f"  {100 * coverage.unknown_rate:.1f} % of the {coverage.words:,} words are not in the Word2Vec vocabulary; "
            f"{coverage.empty:,} texts have no word that is"
        )


def describe_cut(texts: Sequence[str], cut: int) -> dict[str, Any]:
    """The truncation rate: {"texts": those that are not empty, "cut": those that lost tokens, "share"}."""
    known = sum(bool(text) for text in texts)
    return {"texts": known, "cut": cut, "share": cut / known if known else 0.0}


def tell_cut(described: dict[str, Any], max_tokens: int, what: str) -> None:
    """Prints the truncation rate, if there is any."""
    if described["cut"]:
        texts = f"{described['cut']:,} of the {described['texts']:,} {what} ({described['share']:.1%})"
        print(f"  encoders.max_text_tokens={max_tokens} cuts {texts}")


def load_run_towers(run: Run, dataset: PosterDataset | None) -> tuple[ImageTower, TextTower]:
    """The config's towers.

    Args:
      dataset: "scratch" towers need it for their tokenizer, unless that was trained before (then None will do).
    """
    encoders = run.config.encoders
    if encoders.image != config_lib.SCRATCH:
        return load_towers(
            encoders.image,
            encoders.text,
            dtype=encoders.dtype,
            resize=encoders.resize,
            long_text=encoders.long_text,
            max_chunks=encoders.max_chunks,
            max_text_tokens=encoders.max_text_tokens,
            allow_random=tuple(encoders.allow_random),
            seed=run.config.seed,
        )
    scratch = encoders.scratch
    max_tokens = encoders.max_text_tokens or 77
    if dataset is not None:
        _ensure_tokenizer(run, dataset, max_tokens)
    return scratch_clip(
        seed=run.config.seed,
        tokenizer=load_tokenizer(run.paths.tokenizer),
        image_size=scratch.image_size,
        patch_size=scratch.patch_size,
        width=scratch.width,
        heads=scratch.heads,
        image_layers=scratch.image_layers,
        text_layers=scratch.text_layers,
        projection=scratch.projection,
        max_tokens=max_tokens,
        resize=encoders.resize,
        text_policy=encoders.long_text,
        max_chunks=encoders.max_chunks,
        dtype=encoders.dtype,
    )


def _ensure_tokenizer(run: Run, dataset: PosterDataset, max_tokens: int) -> None:
    """Trains the tokenizer on the training split's texts, unless the one there was trained on just that."""
    folder = run.paths.tokenizer
    vocabulary = run.config.encoders.scratch.vocabulary
    trained_on = json.dumps({"row_hash": dataset.fingerprint, "vocabulary": vocabulary, "max_tokens": max_tokens})
    mark = folder / "trained_on.json"
    if mark.is_file() and mark.read_text() == trained_on:
        return
    partial = folder.with_name(folder.name + ".partial")  # so that a kill leaves no half of a tokenizer
    for leftover in (partial, folder):
        shutil.rmtree(leftover, ignore_errors=True)
    texts = dataset.columns("train")["text"]
    train_tokenizer(texts, partial, vocab_size=vocabulary, max_tokens=max_tokens)
    (partial / mark.name).write_text(trained_on)
    partial.rename(folder)


def passports(image_tower: ImageTower, text_tower: TextTower) -> dict[str, Any]:
    """What identifies both encoders, for stores, checkpoints and results."""
    return {"image": image_tower.passport, "text": text_tower.passport}


def feature_options(run: Run) -> dict[str, Any]:
    """What the config says of the features themselves."""
    features = run.config.features
    return {"level": features.level, "image_grid": features.image_grid, "dtype": features.dtype}


def open_run_store(run: Run, dataset: PosterDataset, encoders: dict[str, Any]) -> FeatureStore:
    """The finished features. Raises InputError where they are missing, or of other encoders than `encoders` says."""
    return _finished(open_store(dataset, run.paths.features, encoders, **feature_options(run)))


def open_run_texts(run: Run, dataset: PosterDataset, encoders: dict[str, Any]) -> FeatureStore:
    """As `open_run_store`, the features of the texts without their films' titles."""
    return _finished(open_text_store(dataset, _titleless_folder(run), encoders["text"], **_text_options(run)))


def _titleless_folder(run: Run) -> pathlib.Path:
    return run.paths.features / WITHOUT_TITLE


def _text_options(run: Run) -> dict[str, Any]:
    return {"level": run.config.features.level, "dtype": run.config.features.dtype}


def _finished(store: FeatureStore) -> FeatureStore:
    missing = store.missing_shards()
    if missing:
        raise InputError(
            f"features.dir: {str(store.folder)!r} lacks {len(missing)} of {store.num_shards} parts. Compute them with "
            "--mode=features (it goes on where it stopped)."
        )
    return store


def check_encoders(now: dict[str, Any], then: dict[str, Any]) -> None:
    """Raises InputError where the encoders are not those that the checkpoint was trained with; names the field."""
    for tower in ("image", "text"):
        a, b = now[tower], then[tower]
        for field in sorted((a.keys() | b.keys()) - set(PROVENANCE)):
            if a.get(field) != b.get(field):
                raise InputError(
                    f"encoders.{tower}: the checkpoint was trained with another encoder: {field} was {b.get(field)!r}, "
                    f"now it is {a.get(field)!r}. Give the weights that it was trained with."
                )
