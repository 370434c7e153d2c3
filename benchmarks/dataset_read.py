"""How many posters per second are read in random order and decoded to RGB pixels?

    pip install datasets -c constraints.txt                    (and torch==2.13.0 for its DataLoader)
    python -m benchmarks.dataset_read [--posters-dir=DIR] [--count=3000] [--rounds=5] [--write]

All sides read every poster once, in the same random order, from files that the system has in memory, on two cores:

- ours: `reader.open_dataset` and `posters.decode.decode_poster` in `utils.prefetch.prefetch`, batches of 32, two threads, as in
  feature extraction and encoder training;
- "datasets in a loop": Hugging Face datasets with an `Image` feature, row by row, one thread;
- "datasets, DataLoader": the same behind torch's DataLoader with two workers and batches of 32, decoded in the workers and
  handed over as tensors; left out, with a note, where torch is not installed;
- "JPEG files": no dataset at all; the files in random order with Pillow, in two threads.

The floor is to decode bytes that are in memory already, in one thread per core. Opening a dataset and starting workers counts;
imports do not. "Same result": whether all sides had the same pixels, by a sum over some of each poster's.
"""

import argparse
import io
import pathlib
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import dataset_baselines
from benchmarks.dataset_build import PROCESSES, build_ours, build_with_datasets
from benchmarks.generated_posters import make_folder
from benchmarks.record import interleaved_rounds, write_record
from posterfusion_jax.datasets.imdb_posters.reader import open_dataset
from posterfusion_jax.posters.decode import decode_poster, read_poster
from posterfusion_jax.posters.folder import find_posters
from posterfusion_jax.utils.prefetch import prefetch, threaded_map
from posterfusion_jax.utils.user_path import path_argument

OURS = "ours"
_BATCH = 32


def main() -> None:
    """Time all sides alternately."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--posters-dir", type=path_argument("--posters-dir"), metavar="DIR", help="in place of generated posters"
    )
    parser.add_argument("--count", type=int, default=3000, help="of generated posters")
    parser.add_argument("--width", type=int, default=300, help="of generated posters, pixels")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--folder",
        type=path_argument("--folder"),
        help="where datasets are made and removed; default: the system's folder for such files",
    )
    parser.add_argument("--write", action="store_true", help="write data/results/benchmarks/dataset_read.json")
    args = parser.parse_args()
    dataset_baselines.require_datasets()
    with tempfile.TemporaryDirectory(prefix="dataset_read", dir=args.folder) as scratch:
        folder = args.posters_dir or pathlib.Path(scratch) / "posters"
        if not args.posters_dir:
            make_folder(folder, posters=args.count, width=args.width)
        _compare(folder, pathlib.Path(scratch), args)


def _compare(folder: pathlib.Path, scratch: pathlib.Path, args: argparse.Namespace) -> None:
    ours = open_dataset(build_ours(folder, scratch / "ours"))
    theirs = dataset_baselines.open_datasets(build_with_datasets(folder, scratch / "theirs"))
    files = {poster.poster_id: poster.file for poster in find_posters(folder)[0]}
    places = {name: (split, k) for split in ours.splits for k, name in enumerate(ours.columns(split)["poster_id"])}
    rows = {name: k for k, name in enumerate(theirs["poster_id"])}
    order = random.Random(0).sample(sorted(places), len(places))
    sides: dict[str, Callable[[], int]] = {
        OURS: lambda: _ours(ours.dir, [places[name] for name in order]),
        "datasets in a loop": lambda: _sum(dataset_baselines.pixels(theirs[rows[name]]) for name in order),
        "datasets, DataLoader": lambda: _data_loader(theirs, [rows[name] for name in order]),
        "JPEG files": lambda: _sum(threaded_map(_read_pixels, [files[name] for name in order])),
    }
    try:
        import torch  # noqa: F401
    except ImportError:
        print("torch is not installed, so its DataLoader is left out. Install it: pip install torch==2.13.0")
        del sides["datasets, DataLoader"]
    for side in sides.values():
        side()  # imports, and the system's cache of files
    seconds, sums = interleaved_rounds(sides, rounds=args.rounds)
    data = [pathlib.Path(files[name]).read_bytes() for name in order]
    started = time.perf_counter()
    sums["decoding alone"] = _sum(threaded_map(_decode_pixels, data))
    floor = time.perf_counter() - started
    write_record(
        "dataset_read",
        inputs={
            "posters": len(order),
            "generated": args.posters_dir is None,
            "pixels_of_the_first": list(read_poster(files[order[0]]).size),
            "threads_or_processes": PROCESSES,
        },
        seconds=seconds,
        ours=OURS,
        items=(len(order), "posters"),
        same_result={"equal pixels": len(set(sums.values())) == 1},
        figures={
            "decoding alone": {"seconds": round(floor, 3), "share_of_ours": round(floor / statistics.median(seconds[OURS]), 3)}
        },
        write=args.write,
        packages=("tensorflow-datasets", "array-record", "grain", "pillow", "datasets", "pyarrow"),
    )


def _ours(folder: pathlib.Path, places: list[tuple[str, int]]) -> int:
    dataset = open_dataset(folder)

    def load(batch: int) -> list[np.ndarray]:
        some = places[batch * _BATCH : (batch + 1) * _BATCH]
        return [np.asarray(decode_poster(dataset.row(split, row)["image"])) for split, row in some]

    batches = prefetch(load, 0, -(-len(places) // _BATCH), threads=PROCESSES)
    return sum(map(_sum, batches))


def _data_loader(dataset: Any, rows: list[int]) -> int:
    import torch

    class Pixels(torch.utils.data.Dataset):
        def __getitem__(self, row: int) -> torch.Tensor:
            return torch.tensor(dataset_baselines.pixels(dataset[row]))

    loader = torch.utils.data.DataLoader(
        Pixels(), batch_size=_BATCH, sampler=rows, num_workers=PROCESSES, collate_fn=_keep_batch
    )
    return sum(_sum(image.numpy() for image in batch) for batch in loader)


def _keep_batch(batch: list[Any]) -> list[Any]:  # posters differ in size
    return batch


def _read_pixels(file: str) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))


def _decode_pixels(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def _sum(images: Iterable[np.ndarray]) -> int:
    """Sum some of each image's values, in any order."""
    return sum(int(image[::37, ::41].sum(dtype=np.int64)) for image in images)


if __name__ == "__main__":
    main()
