"""Stage "features": cached features of frozen encoders."""

import pathlib
from typing import Any

from posterfusion_jax.config.choices import WITHOUT_TITLE
from posterfusion_jax.config.run import Run
from posterfusion_jax.datasets.imdb_posters.reader import PosterDataset
from posterfusion_jax.encoders.word2vec import Word2VecTower
from posterfusion_jax.errors import InputError
from posterfusion_jax.features.extract import fill_store, fill_text_store, open_store, open_text_store
from posterfusion_jax.features.store import FeatureStore
from posterfusion_jax.features.truncation import print_truncation, truncation_stats
from posterfusion_jax.pipeline.encoders import load_run_towers, passports
from posterfusion_jax.pipeline.splits import open_training_dataset
from posterfusion_jax.utils.console import print_message


def extract_features(run: Run) -> None:
    """Extract the missing features of frozen encoders; fine-tuned encoders have none."""
    if run.live:
        print_message("features: none stored, because the encoders train (train.fine_tune)")
        return
    dataset = open_training_dataset(run)
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
    print_message(f"features: {store.folder}: {done['computed']:,} posters encoded, {done['found']:,} found")
    texts = [text for split in dataset.splits for text in dataset.columns(split)["text"]]
    print_truncation(truncation_stats(texts, done["cut"]), text_tower.max_tokens, "texts")
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
        print_message(
            f"features: {titleless.folder}: {done['computed']:,} texts encoded without their titles, {done['found']:,} found"
        )
        left = [text for split in dataset.splits for text in dataset.texts_without_title(split)]
        print_truncation(truncation_stats(left, done["cut"]), text_tower.max_tokens, "texts without titles")
    if isinstance(text_tower, Word2VecTower):
        coverage = text_tower.coverage(texts)
        print_message(
            f"  {100 * coverage.unknown_rate:.1f} % of the {coverage.words:,} words are not in the Word2Vec vocabulary; "
            f"{coverage.empty:,} texts have no word that is"
        )


def feature_options(run: Run) -> dict[str, Any]:
    """Return the config's options of the features."""
    features = run.config.features
    return {"level": features.level, "image_grid": features.image_grid, "dtype": features.dtype}


def open_run_store(run: Run, dataset: PosterDataset, encoders: dict[str, Any]) -> FeatureStore:
    """Open the complete features. Raises InputError if some are missing, or of encoders other than `encoders`."""
    return _finished(open_store(dataset, run.paths.features, encoders, **feature_options(run)))


def open_run_texts(run: Run, dataset: PosterDataset, encoders: dict[str, Any]) -> FeatureStore:
    """Open the complete features of the texts without titles; raises as `open_run_store`."""
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
            "--mode=features (it resumes where it stopped)."
        )
    return store
