"""What does it cost to read a table of a million rows and find the pictures that its rows name?

    python -m benchmarks.table_reading [--rows=1000000] [--pictures=200000] [--rounds=3] [--write]

A CSV of drawn-up films (number, title with year, two or three genres) and empty files in 1,000 sub-folders, named by the number
of a row; rows beyond the pictures find none and are listed as such. `TableSource(...).list_pictures()` and `read_entries()` run
in a process of their own, which also reads every entry. "figures" has the peak memory (MB; that of a process with the same
imports next to it) and the counts. "Same result": every picture has its row, with the labels and the title of that row, and
every other row is listed.
"""

import argparse
import csv
import json
import os
import pathlib
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.record import write_record
from posterfusion_jax.datasets.label_set import IMDB_GENRES
from posterfusion_jax.datasets.sources.table import TableSource
from posterfusion_jax.utils.user_path import path_argument

OURS = "ours"
_FOLDERS = 1_000
_WORDS = ("NIGHT", "STORM", "GARDEN", "LAST", "SILENT", "RETURN", "COLOR", "RIVER", "HOUSE", "MOTION", "WINTER", "EMPIRE")


def main() -> None:
    """Generate the table and the pictures once, and read them in several rounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--pictures", type=int, default=200_000, help="at most as many as rows")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--folder",
        type=path_argument("--folder"),
        help="where files are made and removed; default: the system's folder for such files",
    )
    parser.add_argument("--write", action="store_true", help="write data/results/benchmarks/table_reading.json")
    args = parser.parse_args()
    if args.pictures > args.rows:
        parser.error(f"--pictures={args.pictures}: there are {args.rows:,} rows to name them")
    with tempfile.TemporaryDirectory(prefix="table_reading", dir=args.folder) as scratch:
        folder = pathlib.Path(scratch)
        make_table(folder / "movies.csv", args.rows)
        make_pictures(folder / "posters", args.pictures)
        imports = _run("nothing", folder, args.rows, args.pictures)
        rounds = [_run("read", folder, args.rows, args.pictures) for _ in range(args.rounds)]
    write_record(
        "table_reading",
        inputs={"rows": args.rows, "pictures": args.pictures, "load_average": round(os.getloadavg()[0], 1)},
        seconds={OURS: [done["seconds"] for done in rounds]},
        ours=OURS,
        items=(args.rows, "rows"),
        same_result={"every row is found or listed, with its labels": all(done["right"] for done in rounds)},
        figures={"peak_memory_mb": [done["peak_mb"] for done in rounds], "imports_mb": imports["peak_mb"]},
        write=args.write,
    )


def make_table(file: pathlib.Path, rows: int) -> None:
    """Write a table of films, the same in every run."""
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened)
        writer.writerow(("id", "title", "genres"))
        for number, (title, labels) in enumerate(_films(rows)):
            writer.writerow((number, title, "|".join(labels)))


def make_pictures(folder: pathlib.Path, count: int) -> None:
    """Create empty files named by the first `count` ids."""
    for part in range(min(_FOLDERS, count)):
        inside = folder / f"{part:03d}"
        inside.mkdir(parents=True)
        for number in range(part, count, _FOLDERS):
            os.close(os.open(inside / f"{number}.jpg", os.O_CREAT | os.O_WRONLY))


def _films(rows: int) -> Iterator[tuple[str, list[str]]]:
    rng = random.Random(0)
    for number in range(rows):
        yield f"{rng.choice(_WORDS)} {number} ({1920 + number % 100})", rng.sample(IMDB_GENRES, 2 + number % 2)


def _run(part: str, folder: pathlib.Path, rows: int, pictures: int) -> dict[str, Any]:
    command = [sys.executable, "-c", "from benchmarks import table_reading as m; import sys; m.run_here(*sys.argv[1:])"]
    done = subprocess.run([*command, part, str(folder), str(rows), str(pictures)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{part}:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def run_here(part: str, folder: str, rows: str, pictures: str) -> None:
    """Read the table in this process; print seconds, peak memory and whether the result is right, as JSON."""
    done: dict[str, Any] = {"seconds": 0.0, "right": True}
    if part == "read":
        started = time.perf_counter()
        source = TableSource(pathlib.Path(folder) / "movies.csv", pathlib.Path(folder) / "posters")
        found = source.list_pictures()
        entries = source.read_entries(found.posters)
        done["seconds"] = round(time.perf_counter() - started, 3)
        done["peak_mb"] = _peak_memory()
        without = len(found.left_out["no picture"]) if "no picture" in found.left_out else 0
        right = len(found.posters) == int(pictures) and without == int(rows) - int(pictures)
        by_id = dict(enumerate(_films(int(pictures))))
        for poster in found.posters:
            entry = entries.of(poster)
            title, labels = by_id[int(poster.poster_id.rpartition("__")[2])]
            right = right and entry is not None and f"{entry.title} ({entry.year})" == title and list(entry.labels) == labels
        done["right"] = right
    print(json.dumps({"peak_mb": _peak_memory()} | done))


def _peak_memory() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1e6 if sys.platform == "darwin" else 1e3))  # bytes there, KiB elsewhere


if __name__ == "__main__":
    main()
