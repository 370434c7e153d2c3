"""How long does it take from JPEGs on disk to stored CLIP features, against the recipe of Hugging Face's documentation?

    python -m benchmarks.extract [--posters=DIR --clip=FOLDER] [--dtype=bfloat16] [--torch-python=PYTHON] [--rounds=5] [--write]
    pip install torch==2.13.0

The recipe: CLIPProcessor and CLIPModel in PyTorch, batches of 32, padding=True, truncation=True, features saved at the end.
Ours: what --mode=features does, from the built dataset, whose JPEGs have the same bytes, to a feature store. Loading the model,
making the dataset, and our compiling (the first run; "compiling_s") are not timed. As many threads as there are cores on both
sides; on a GPU both use it. The recipe has a process of its own, with --torch-python of another Python.

With --dtype=bfloat16 ours computes in it, and the recipe in float32 and, as another side, in bfloat16. On a CPU jax is fast in
bfloat16 from 0.11.2 on, which needs Python 3.12, and torch's CPU build is one for Python 3.11: hence --torch-python.

Posters are drawn and their texts made of random words, as many as RapidOCR found on 3,850 real posters: half of the texts have
11 tokens or fewer, one in fifteen is too long for CLIP. The weights are random ones of CLIP B/32. --posters names a folder of
real posters with OCR records, and needs --clip, a local folder with both towers of a CLIP B/32.

"Same result": the lowest cosine and the largest difference between both sides' features of all posters. "floor_s" is the matrix
products that the pooled features of these posters and texts need, without padding, at the measured rate of a large matrix
product in the dtype of ours.
"""

import argparse
import hashlib
import os
import pathlib
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.clip_roofline import compare, image_operations, text_operations
from benchmarks.machine import matmul_peak
from benchmarks.record import interleaved_rounds, write_record
from benchmarks.worker_process import WorkerProcess
from posterfusion_jax.datasets.imdb_posters.build import build_dataset
from posterfusion_jax.datasets.imdb_posters.options import BuildOptions
from posterfusion_jax.datasets.imdb_posters.reader import open_dataset
from posterfusion_jax.datasets.synthetic import generator
from posterfusion_jax.encoders.load import load_towers
from posterfusion_jax.encoders.options import EncoderOptions
from posterfusion_jax.encoders.tower import ImageTower, TextTower
from posterfusion_jax.features.extract import fill_store, open_store
from posterfusion_jax.features.store import FeatureStore
from posterfusion_jax.ocr.records.record import OcrRecord, to_json
from posterfusion_jax.posters.folder import find_posters, record_files
from posterfusion_jax.utils.user_path import path_argument

OURS, SIZE = "ours", "b32"
# Quantiles of the number of CLIP tokens in what RapidOCR read on 3,850 real posters, both marks counted.
QUANTILES = (0, 0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1)
TOKENS = (2, 3, 5, 11, 33, 62, 91, 148, 200)
SYLLABLES = ("ka", "ro", "mi", "ten", "sol", "vard", "el", "nox")


def main() -> None:
    """Time both sides alternately."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posters", type=path_argument("--posters"), metavar="DIR", help="in place of drawn ones")
    parser.add_argument("--clip", metavar="FOLDER", help="in place of random weights; a CLIP B/32")
    parser.add_argument("--count", type=int, default=192, help="posters")
    parser.add_argument("--width", type=int, default=400, help="of drawn posters, pixels")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="of our arithmetic")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--torch-python", default=sys.executable, metavar="PYTHON", help="that has torch; default: this one")
    parser.add_argument("--write", action="store_true", help="write data/results/benchmarks/extract[_bfloat16].json")
    args = parser.parse_args()
    if args.posters and not args.clip:
        parser.error("--posters needs --clip: real texts need a real tokenizer")
    threads = len(os.sched_getaffinity(0))
    recipe = WorkerProcess(args.torch_python, "benchmarks.baselines.pytorch_clip", f"--threads={threads}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        if args.posters:
            _link(args.posters, folder / "posters", args.count)
        else:
            _draw(folder / "posters", args.count, args.width)
        options = BuildOptions(preferred_engines=("rapidocr",))
        built = build_dataset(folder / "posters", folder / "dataset", options, progress=False).dir
        files, texts = _rows(built, folder / "posters")
        clip = args.clip or str(folder / "clip")
        if not args.clip:
            recipe("make", folder=clip, size=SIZE, texts=texts)
        towers = _load(clip, args.dtype)

        sides: dict[str, Callable[[], Any]] = {OURS: lambda: _ours(built, folder / "store", towers)}
        parts: dict[str, dict[str, float]] = {}
        for dtype in dict.fromkeys(("float32", args.dtype)):
            recipe("prepare_recipe", folder=clip, dtype=dtype)
            request = {"dtype": dtype, "files": files, "texts": texts, "out": str(folder / dtype)}

            def run(label: str = f"recipe, {dtype}", request: dict[str, Any] = request) -> None:
                parts[label] = recipe("extract", **request)

            sides[f"recipe, {dtype}"] = run
        first = _timed(sides[OURS])
        seconds, results = interleaved_rounds(sides, rounds=args.rounds)
        versions = recipe("versions")
        recipe.close()
        store: FeatureStore = results[OURS]
        found = {
            name: np.concatenate([store.read(np.array([row]))[name] for row in range(len(store))]) for name in ("image", "text")
        }
        same = {
            f"{name}, against {dtype}": compare(found[name], np.load(folder / f"{dtype}.npz")[name])
            for dtype in dict.fromkeys(("float32", args.dtype))
            for name in found
        }
        lengths = towers[1].tokenize(texts).attention_mask.sum(axis=(1, 2))
    padded = [max(lengths[start : start + 32]) for start in range(0, len(lengths), 32)]
    pictures, words = len(files) * image_operations(SIZE), text_operations(SIZE, lengths)
    peak = matmul_peak(args.dtype, tries=30)
    median = float(np.median(seconds[OURS]))
    write_record(
        "extract" if args.dtype == "float32" else "extract_bfloat16",
        inputs={
            "posters": len(files),
            "from": "real posters" if args.posters else f"drawn posters of {args.width} pixels",
            "clip": "B/32" if args.clip else "B/32, random weights",
            "dtype": args.dtype,
            "batch_size": 32,
            "threads": threads,
            "tokens_a_text": round(float(np.mean(lengths)), 1),
            "tokens_a_text_padded_to_its_batch_of_32": round(float(np.mean(padded)), 1),
            "distinct_texts": len(set(texts)),
        },
        seconds=seconds,
        ours=OURS,
        items=(len(files), "posters"),
        same_result=same,
        figures={
            "compiling_s": round(first - median, 1),
            "seconds_of_the_recipe": {label: {k: round(v, 2) for k, v in of.items()} for label, of in parts.items()},
            "floor_s": round((pictures + words) / peak, 2),
            "share_of_pictures_in_the_floor": round(pictures / (pictures + words), 3),
            "matmul_gflops": round(peak / 1e9, 1),
            "share_of_the_floor": round((pictures + words) / peak / median, 3),
            "rivals": versions,
        },
        write=args.write,
    )


def _timed(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _draw(folder: pathlib.Path, count: int, width: int) -> None:
    """Draw posters with records of random words, as long as real ones."""
    generator.draw_folder(folder, films=max(count // 2, 12), width=width)  # about three posters per film
    posters = find_posters(folder)[0]
    for poster in posters[count:]:
        poster.path.unlink()
    random = np.random.default_rng(0)
    words = np.array(["".join(random.choice(SYLLABLES, random.integers(1, 4))) for _ in range(2000)])
    with (folder / "ocr.jsonl").open("w") as file:
        for poster in posters[:count]:
            tokens = round(float(np.interp(random.random(), QUANTILES, TOKENS)))
            text = " ".join(random.choice(words, tokens - 2))
            sha256 = hashlib.sha256(poster.path.read_bytes()).hexdigest()
            record = OcrRecord(sha256=sha256, status="ok" if text else "empty", text=text, engine="rapidocr", lines=(text,))
            file.write(to_json(record) + "\n")


def _link(source: pathlib.Path, folder: pathlib.Path, count: int) -> None:
    """Fill a folder with `count` of the posters, evenly spaced, and the titles and records of all."""
    posters = find_posters(source)[0]
    (folder / "images").mkdir(parents=True)
    for k in np.linspace(0, len(posters) - 1, min(count, len(posters))).astype(int):
        path = posters[k].path.resolve()
        (folder / "images" / path.name).symlink_to(path)
    for path in (source / "title.basics.tsv.gz", *record_files(source)):
        shutil.copy(path, folder)


def _rows(built: pathlib.Path, posters: pathlib.Path) -> tuple[list[str], list[str]]:
    """Return files and texts of the dataset, in the order of a feature store."""
    dataset = open_dataset(built)
    text_of = {
        poster_id: text
        for split in dataset.splits
        for poster_id, text in zip(*(dataset.columns(split)[name] for name in ("poster_id", "text")), strict=True)
    }
    path_of = {poster.poster_id: str(poster.path) for poster in find_posters(posters)[0]}
    return [path_of[poster_id] for poster_id in sorted(text_of)], [text_of[poster_id] for poster_id in sorted(text_of)]


def _load(clip: str, dtype: str) -> tuple[ImageTower, TextTower]:
    return load_towers(clip, clip, EncoderOptions(dtype=dtype))


def _ours(built: pathlib.Path, folder: pathlib.Path, towers: tuple[ImageTower, TextTower]) -> FeatureStore:
    shutil.rmtree(folder, ignore_errors=True)
    dataset = open_dataset(built)
    passports = {"image": towers[0].passport, "text": towers[1].passport}
    store = open_store(dataset, folder, passports, level="pooled", image_grid=0, dtype="float32")
    fill_store(store, dataset, *towers, batch_size=32, threads=2)
    return store


if __name__ == "__main__":
    main()
