"""What do encoders in bfloat16 do to features and metrics?

    python -m benchmarks.bfloat16 runs/tables/linear_probe/seed0 runs/tables/ours_l4/seed0 [--split=test] [--write]

Workdirs of trained runs that share encoders, dataset and cached features, which encoders in float32 made. The posters of a
split are encoded once more, in bfloat16, and each trained head scores both. The seconds are those of that encoding; for the
speed compared with float32 see benchmarks.extract.

"Same result": the lowest and the mean cosine between the features of both dtypes; and for each workdir, in per cent and at
threshold 0.5, the metrics with features in float32 and how much higher they are with features in bfloat16.
"""

import argparse
import os
import pathlib
import tempfile
import time

import numpy as np

from benchmarks.record import write_record
from posterfusion_jax.config import run as config_lib
from posterfusion_jax.config.run import Run
from posterfusion_jax.datasets.imdb_posters.reader import PosterDataset
from posterfusion_jax.evaluation.scoring import Scorer
from posterfusion_jax.features.extract import fill_store, open_store
from posterfusion_jax.features.store import FeatureStore
from posterfusion_jax.input_pipeline.sources import StoredFeatures
from posterfusion_jax.metrics.multilabel import multilabel_report
from posterfusion_jax.pipeline.assemble import make_run_loss
from posterfusion_jax.pipeline.classifier import best_meta, feature_classifier, open_checkpoints, read_params
from posterfusion_jax.pipeline.dataset import open_run_dataset
from posterfusion_jax.pipeline.encoders import load_run_towers, passports
from posterfusion_jax.pipeline.features import open_run_store
from posterfusion_jax.pipeline.workdir import saved_run
from posterfusion_jax.utils.sharding import DataParallel
from posterfusion_jax.utils.user_path import path_argument

METRICS = ("mean_average_precision", "f1_macro", "f1_micro", "hit_ratio")


def main() -> None:
    """Encode in bfloat16 and score with each head."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workdirs", nargs="+", type=path_argument("workdirs"))
    parser.add_argument("--split", default="test")
    parser.add_argument("--write", action="store_true", help="write data/results/benchmarks/bfloat16.json")
    args = parser.parse_args()
    runs = [saved_run(workdir) for workdir in args.workdirs]
    with open_checkpoints(runs[0]) as checkpoints:
        _, meta = best_meta(checkpoints, args.workdirs[0])
    whole = open_run_dataset(runs[0])
    dataset = PosterDataset(whole.dir, whole.report, {args.split: whole.splits[args.split]})
    plain = open_run_store(runs[0], whole, meta["encoders"])
    with tempfile.TemporaryDirectory() as scratch:
        rounded, seconds = _encode(runs[0], dataset, pathlib.Path(scratch))
        metrics = {}
        for run, workdir in zip(runs, args.workdirs, strict=True):
            before, after = (_metrics(run, dataset, args.split, store) for store in (plain, rounded))
            metrics["/".join(workdir.resolve().parts[-2:])] = {
                name: {"float32": round(100 * before[name], 2), "difference": round(100 * (after[name] - before[name]), 2)}
                for name in METRICS
            }
        here = rounded.read(np.arange(len(rounded)))
    row_of = {poster_id: row for row, poster_id in enumerate(plain.poster_ids)}
    there = plain.read(np.array([row_of[poster_id] for poster_id in rounded.poster_ids]))
    encoders = runs[0].config.encoders
    write_record(
        "bfloat16",
        inputs={
            "posters": len(rounded),
            "encoders": [pathlib.PurePath(encoders.image).name, pathlib.PurePath(encoders.text).name],
            "threads": len(os.sched_getaffinity(0)),
        },
        seconds={"bfloat16": [seconds]},
        ours="bfloat16",
        items=(len(rounded), "posters"),
        same_result={"features": {side: _compare(there[side], here[side]) for side in ("image", "text")}, "metrics": metrics},
        write=args.write,
    )


def _encode(run: Run, dataset: PosterDataset, folder: pathlib.Path) -> tuple[FeatureStore, float]:
    config = config_lib.from_json(config_lib.to_json(run.config))
    config.encoders.dtype = "bfloat16"
    towers = load_run_towers(config_lib.resolve(config, run.paths.workdir), dataset)
    store = open_store(dataset, folder, passports(*towers), level="pooled", image_grid=0, dtype="float32")
    started = time.perf_counter()
    fill_store(store, dataset, *towers, batch_size=run.config.features.batch_size, threads=run.config.train.loader_threads)
    return store, time.perf_counter() - started


def _metrics(run: Run, dataset: PosterDataset, split: str, store: FeatureStore) -> dict[str, float]:
    image_width, text_width = store.widths
    classifier = feature_classifier(run, labels=len(dataset.genres), image_width=image_width, text_width=text_width)
    with open_checkpoints(run) as checkpoints:
        best, _ = best_meta(checkpoints, run.paths.workdir)
        params = read_params(checkpoints, best, classifier)
    parallel = DataParallel()
    source = StoredFeatures(dataset, store, None, encode_empty=run.config.model.missing_text == "encode").source(split)
    scorer = Scorer(classifier, make_run_loss(run), parallel, batch_size=256, threads=1)
    scored = scorer.score(parallel.replicate(params), source)
    return multilabel_report(scored.scores, source.labels)


def _compare(a: np.ndarray, b: np.ndarray) -> dict[str, float]:
    cosines = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    largest = {"largest_difference": float(np.abs(a - b).max()), "largest_feature": float(np.abs(a).max())}
    return {"lowest_cosine": float(cosines.min()), "mean_cosine": float(cosines.mean()), **largest}


if __name__ == "__main__":
    main()
