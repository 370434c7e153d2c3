"""How long does it take to build a dataset from a folder of posters, against plain TFDS and Hugging Face datasets?

    pip install datasets -c constraints.txt
    python -m benchmarks.dataset_build [--posters-dir=DIR] [--count=3000] [--rounds=5] [--table] [--write]

All sides turn title.basics.tsv.gz, images/ and ocr.jsonl into files that hold each poster's own bytes with its title, genres
and text, on two cores. Ours is `build_dataset`, all of it: it also hashes every file (to know whether anything changed, and
to find copies), decodes every image once (to leave out damaged ones), stratifies the split, guesses languages, and reports.

- "tfds": a `GeneratorBasedBuilder` as TFDS's documentation shows it, to array_record. It checks nothing.
- "datasets": Hugging Face's `Dataset.from_generator` with an `Image` feature, in two processes. It checks nothing.
- "datasets, checked": the same, but every file is hashed and every image decoded in the generator.

- "ours, from a table" (with --table): the same posters with their genres in a CSV table instead of IMDb's layout.

Each side runs in a process of its own, whose imports are not timed; its peak memory, and the processor's time of its threads
and processes, which other programs on the machine hardly change, are in "figures". The floor is the cost of the images alone,
in one thread per core: read, hash, inspect, write. "Same result": whether all sides hold the same posters with the same bytes.
"""

import argparse
import csv
import hashlib
import importlib
import io
import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from PIL import Image

from benchmarks import dataset_baselines
from benchmarks.generated_posters import make_folder
from benchmarks.record import interleaved_rounds, write_record
from posterfusion_jax.datasets.imdb_posters.build import build_dataset
from posterfusion_jax.datasets.imdb_posters.options import BuildOptions
from posterfusion_jax.datasets.imdb_posters.reader import open_dataset
from posterfusion_jax.datasets.sources.table import TableSource
from posterfusion_jax.datasets.sources.table_columns import TableColumns
from posterfusion_jax.genres import GENRES
from posterfusion_jax.posters.folder import RECORDS_FILE, find_posters
from posterfusion_jax.utils.prefetch import threaded_map
from posterfusion_jax.utils.user_path import path_argument

OURS, TFDS, DATASETS, CHECKED = "ours", "tfds", "datasets", "datasets, checked"
TABLE = "ours, from a table"
PROCESSES = 2
_FLOOR = "images alone"


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
    parser.add_argument("--table", action="store_true", help=f"also time {TABLE!r}")
    parser.add_argument("--write", action="store_true", help="write data/results/benchmarks/dataset_build.json")
    args = parser.parse_args()
    dataset_baselines.require_datasets()
    with tempfile.TemporaryDirectory(prefix="dataset_build", dir=args.folder) as scratch:
        folder = args.posters_dir or pathlib.Path(scratch) / "posters"
        if not args.posters_dir:
            make_folder(folder, posters=args.count, width=args.width)
        _compare(folder, pathlib.Path(scratch) / "dataset", args)


def _compare(folder: pathlib.Path, out: pathlib.Path, args: argparse.Namespace) -> None:
    done: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES if side != TABLE or args.table}
    write_table(folder, table_of(out))

    def timed(side: str) -> Callable[[], float]:
        def run() -> float:
            shutil.rmtree(out, ignore_errors=True)
            (folder / f"{RECORDS_FILE}.index").unlink(missing_ok=True)  # ours rebuilds it, as for a new folder
            done[side].append(run_part("benchmarks.dataset_build", side, folder, out))
            return done[side][-1]["seconds"]

        return run

    seconds, _ = interleaved_rounds({side: timed(side) for side in done}, rounds=args.rounds)
    floor, floor_cpu = map(min, zip(*(_handle_images(folder, pathlib.Path(f"{out}.images")) for _ in range(3)), strict=True))
    posters = done[OURS][0]["posters"]
    write_record(
        "dataset_build",
        inputs={
            "posters": posters,
            "generated": args.posters_dir is None,
            "images_mb": round(sum(pathlib.Path(p.file).stat().st_size for p in find_posters(folder)[0]) / 1e6, 1),
            "threads_or_processes": PROCESSES,
        },
        seconds=seconds,
        ours=OURS,
        items=(posters, "posters"),
        same_result={"equal posters and bytes": len({part["content"] for parts in done.values() for part in parts}) == 1},
        figures={
            _FLOOR: {
                "seconds": round(floor, 3),
                "cpu_s": round(floor_cpu, 3),
                "share_of_ours": round(floor / statistics.median(seconds[OURS]), 3),
            },
            "cpu_s": {side: round(statistics.median(p["cpu_s"] for p in parts), 3) for side, parts in done.items()},
            "peak_memory_mb": {side: statistics.median(p["peak_memory_mb"] for p in parts) for side, parts in done.items()},
        },
        write=args.write,
        packages=("tensorflow-datasets", "array-record", "pillow", "datasets", "pyarrow"),
    )


def run_part(module: str, side: str, folder: pathlib.Path, out: pathlib.Path) -> dict[str, Any]:
    """Run `run_here` of a module in a process of its own, and return what it prints."""
    command = [sys.executable, "-c", f"import {module} as m; m.run_here({side!r}, {str(folder)!r}, {str(out)!r})"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{side}:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def run_here(name: str, folder: str, out: str) -> None:
    """Build as one side does, and print the time, the memory and the content."""
    side = SIDES[name]
    for module in side.imports:
        importlib.import_module(module)
    started, cpu_before = time.perf_counter(), _cpu_seconds()
    built = side.build(pathlib.Path(folder), pathlib.Path(out))
    seconds, cpu = time.perf_counter() - started, _cpu_seconds() - cpu_before
    own, child = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    content = sorted((poster_id, hashlib.sha256(image).hexdigest()) for poster_id, image in side.read(built))
    done = {
        "seconds": seconds,
        "cpu_s": cpu,
        "peak_memory_mb": round((own + PROCESSES * child) / 1e3),  # of the children, the largest
        "posters": len(content),
        "content": hashlib.sha256(json.dumps(content).encode()).hexdigest(),
    }
    print(json.dumps(done))


def _cpu_seconds() -> float:
    """Return the processor's time of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in used)


def table_of(out: pathlib.Path) -> pathlib.Path:
    """Return the table from which the side `TABLE` builds `out`."""
    return pathlib.Path(f"{out}.csv")


def write_table(folder: pathlib.Path, table: pathlib.Path) -> None:
    """Write the rows of a folder of posters as a CSV table with the pictures' paths inside images/."""
    with table.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["picture", "tconst", "title", "year", "genres"])
        for row in dataset_baselines.plain_rows(folder):
            genres = "|".join(genre for genre, has in zip(GENRES, row["labels"], strict=True) if has)
            picture = os.path.relpath(row["file"], folder / "images")
            rows.writerow([picture, row["film_id"], row["title"], row["year"], genres])


def build_from_table(folder: pathlib.Path, out: pathlib.Path) -> pathlib.Path:
    """Build with this package from `table_of(out)`, and the same OCR records."""
    columns = TableColumns(picture="picture", group="tconst", labels="genres")
    source: Any = TableSource(table_of(out), folder / "images", columns)
    options = BuildOptions(record_files=(str(folder / RECORDS_FILE),))
    return build_dataset(source, out, options, progress=False).dir


def build_ours(folder: pathlib.Path, out: pathlib.Path) -> pathlib.Path:
    """Build with this package and its defaults."""
    return build_dataset(folder, out, progress=False).dir


def _read_ours(built: pathlib.Path) -> Iterator[tuple[str, bytes]]:
    for rows in open_dataset(built).splits.values():
        for row in rows:
            yield row["poster_id"].rpartition("__")[2], row["image"]  # from a table, the sub-folder is part of the id


def build_with_datasets(folder: pathlib.Path, out: pathlib.Path) -> pathlib.Path:
    """Build with Hugging Face datasets, images unchecked."""
    return dataset_baselines.build_with_datasets(folder, out, processes=PROCESSES, checked=False)


def _build_checked(folder: pathlib.Path, out: pathlib.Path) -> pathlib.Path:
    return dataset_baselines.build_with_datasets(folder, out, processes=PROCESSES, checked=True)


def _handle_images(folder: pathlib.Path, out: pathlib.Path) -> tuple[float, float]:
    """Return the seconds to read, hash, inspect and write all images, in one thread per core, and the processor's time."""

    def handle(name: str) -> bytes:
        data = pathlib.Path(name).read_bytes()
        hashlib.sha256(data).digest()
        with Image.open(io.BytesIO(data)) as image:
            image.draft(None, (1, 1))
            image.load()
        return data

    files = [poster.file for poster in find_posters(folder)[0]]
    started, cpu_before = time.perf_counter(), _cpu_seconds()
    with out.open("wb") as file:
        for data in threaded_map(handle, files):
            file.write(data)
    return time.perf_counter() - started, _cpu_seconds() - cpu_before


class _Side(NamedTuple):
    build: Callable[[pathlib.Path, pathlib.Path], pathlib.Path]
    read: Callable[[pathlib.Path], Iterator[tuple[str, bytes]]]
    imports: tuple[str, ...]


SIDES = {
    OURS: _Side(build_ours, _read_ours, ()),
    TABLE: _Side(build_from_table, _read_ours, ()),
    TFDS: _Side(dataset_baselines.build_with_tfds, dataset_baselines.read_tfds, ()),
    DATASETS: _Side(build_with_datasets, dataset_baselines.read_datasets, ("datasets",)),
    CHECKED: _Side(_build_checked, dataset_baselines.read_datasets, ("datasets",)),
}

if __name__ == "__main__":
    main()
