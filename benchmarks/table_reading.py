"""How long does it take to read a table of labels with a million rows, and how much memory?

    python -m benchmarks.table_reading [--rows=1000000] [--pictures=200000] [--rounds=3] [--write]

The table is CSV with an id, a title, a year and labels separated by "|"; the pictures are empty files in 1,000 folders, named
by the ids of every k-th row; the other rows are listed as rows without a picture. Timed is `TableSource` from the two paths to
posters and entries: columns and notation found out, all rows read, pictures looked up, groups counted. Each round runs in a
process of its own, whose imports are not timed; "figures" has its peak resident memory and the part that imports take. "Same
result": as many posters as pictures, and the labels of a sample of them.
"""

import argparse
import csv
import json
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
from typing import Any

from benchmarks.record import write_record
from posterfusion_jax.datasets.sources.table import TableSource
from posterfusion_jax.utils.user_path import path_argument

OURS = "ours"
_LABELS = ("Action", "Comedy", "Crime", "Drama", "Horror", "Romance", "Science Fiction", "Western")
_FOLDERS = 1000


def main() -> None:
    """Time a few rounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--pictures", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--folder",
        type=path_argument("--folder"),
        help="where it is all made and removed; default: the system's folder for such files",
    )
    parser.add_argument("--write", action="store_true", help="write data/results/benchmarks/table_reading.json")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="table_reading", dir=args.folder) as scratch:
        folder = pathlib.Path(scratch)
        make_table(folder, rows=args.rows, pictures=args.pictures)
        found = []
        for _ in range(args.rounds):
            found.append(_run(folder))
            print(found[-1], flush=True)
    write_record(
        "table_reading",
        inputs={"rows": args.rows, "pictures": args.pictures},
        seconds={OURS: [one["seconds"] for one in found]},
        ours=OURS,
        items=(args.rows, "rows"),
        same_result={
            "a poster per picture": all(one["posters"] == args.pictures for one in found),
            "labels of a sample": all(one["labels_right"] for one in found),
        },
        figures={"peak_rss_mb": max(one["peak_rss_mb"] for one in found), "import_rss_mb": found[0]["import_rss_mb"]},
        write=args.write,
        packages=(),
    )


def make_table(folder: pathlib.Path, *, rows: int, pictures: int) -> None:
    """Write labels.csv and the empty pictures in images/."""
    step = max(rows // pictures, 1)
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "title", "year", "genres"])
        writer.writerows([f"x{k:07d}", f"Title {k // 3}", 1900 + k % 120, "|".join(labels_of(k))] for k in range(rows))
    for number in range(_FOLDERS):
        (folder / "images" / f"{number:03d}").mkdir(parents=True)
    for k in range(0, pictures * step, step):
        (folder / "images" / f"{k // step % _FOLDERS:03d}" / f"x{k:07d}.jpg").touch()


def labels_of(row: int) -> list[str]:
    """Return the labels of a row."""
    return sorted({_LABELS[row % 8], _LABELS[row // 8 % 8]})


def _run(folder: pathlib.Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.table_reading_process", str(folder)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def read(folder: pathlib.Path) -> dict[str, Any]:
    """Read the table in this process, and return seconds, memory and whether the labels are right."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    started = time.perf_counter()
    source = TableSource(folder / "labels.csv", folder / "images")
    pictures = source.list_pictures()
    entries = source.read_entries(pictures.posters)
    posters = len(pictures.posters)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sample = [pictures.posters[place] for place in range(0, posters, max(posters // 50, 1))]
    found = {poster.poster_id: entries.of(poster) for poster in sample}
    right = all(entry is not None and sorted(entry.labels) == labels_of(int(name[-7:])) for name, entry in found.items())
    return {
        "seconds": round(seconds, 2),
        "posters": posters,
        "labels_right": right,
        "peak_rss_mb": round(peak),
        "import_rss_mb": round(before),
    }


if __name__ == "__main__":
    main()
