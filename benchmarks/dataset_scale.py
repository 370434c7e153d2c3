"""Does building a dataset take time in proportion to its posters, and the same memory, up to half a million?

    python -m benchmarks.dataset_scale [--sizes=5000,20000,100000,500000] [--write]

For each size a folder is generated (posters of 32 pixels, so that it is the rows that count: titles, texts, hashes, splits),
built in a process of its own, built again (which finds nothing to do), and read at 2,000 random places; then it is removed.
The largest takes 4 GB of disk. "figures" has a row for each size: seconds and posters a second; peak resident memory, the peak
of that part which is not a file's ("anonymous", sampled) and both of a process that only imports what a build needs; and the
slopes: of log seconds over log posters (1: twice the posters, twice the time), and megabytes for 100,000 posters more, as bytes
in "bytes_a_poster". "Same result": every poster was built and found.
"""

import argparse
import json
import pathlib
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any

import numpy as np

from benchmarks.generated_posters import make_folder
from benchmarks.record import write_record
from posterfusion_jax.datasets.imdb_posters.build import build_dataset
from posterfusion_jax.datasets.imdb_posters.reader import open_dataset
from posterfusion_jax.ocr.text.language import guess_language
from posterfusion_jax.utils.user_path import path_argument

OURS = "ours"
_SAMPLE_S = 0.02
_READ = 2000


def main() -> None:
    """Build one size after another."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="5000,20000,100000,500000", help="posters, rising, separated by commas")
    parser.add_argument("--width", type=int, default=32, help="of a poster, pixels")
    parser.add_argument(
        "--folder",
        type=path_argument("--folder"),
        help="where it is all made and removed; default: the system's folder for such files",
    )
    parser.add_argument("--write", action="store_true", help="write data/results/benchmarks/dataset_scale.json")
    args = parser.parse_args()
    rows = []
    for size in map(int, args.sizes.split(",")):
        with tempfile.TemporaryDirectory(prefix="dataset_scale", dir=args.folder) as scratch:
            folder = pathlib.Path(scratch) / "posters"
            make_folder(folder, posters=size, width=args.width)
            rows.append({"posters": size} | _measure(folder, pathlib.Path(scratch) / "dataset"))
        print(rows[-1], flush=True)
    sizes = np.array([row["posters"] for row in rows], float)
    slopes = {}
    if len(rows) > 1:
        slopes["log_seconds_over_log_posters"] = _slope(np.log(sizes), np.log([row["build_s"] for row in rows]))
        for memory in ("peak_rss_mb", "peak_anonymous_mb"):
            megabytes = _slope(sizes, np.array([row[memory] for row in rows], float))
            slopes[f"{memory}_for_100000_posters"] = round(megabytes * 1e5, 1)
        slopes["bytes_a_poster"] = round(slopes["peak_anonymous_mb_for_100000_posters"] * 10)
    write_record(
        "dataset_scale",
        inputs={"sizes": sizes.astype(int).tolist(), "width": args.width},
        seconds={OURS: [rows[-1]["build_s"]]},
        ours=OURS,
        items=(rows[-1]["posters"], "posters"),
        same_result={"all posters built, and found again": all(row.pop("whole") for row in rows)},
        figures={"sizes": rows, "slopes": slopes},
        write=args.write,
        packages=("tensorflow-datasets", "array-record", "pillow"),
    )


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    """Return the slope of the least-squares line."""
    return round(float(np.polyfit(x, y, 1)[0]), 8)


def _measure(folder: pathlib.Path, out: pathlib.Path) -> dict[str, Any]:
    empty, first, again = (_run(part, folder, out) for part in ("import", "build", "build"))
    read = _run("read", folder, out)
    posters = first["posters"]
    return {
        "build_s": first["seconds"],
        "posters_per_s": round(posters / first["seconds"]),
        "peak_rss_mb": first["peak_rss_mb"],
        "peak_anonymous_mb": first["peak_anonymous_mb"],
        "imports_rss_mb": empty["peak_rss_mb"],
        "imports_anonymous_mb": empty["peak_anonymous_mb"],
        "built_again_s": again["seconds"],
        "read_rows_per_s": round(read["posters"] / read["seconds"]),
        "read_peak_rss_mb": read["peak_rss_mb"],
        "whole": posters == again["posters"] == first["listed"] and again["reason"] is None,
    }


def _run(part: str, folder: pathlib.Path, out: pathlib.Path) -> dict[str, Any]:
    command = [sys.executable, "-c", "from benchmarks import dataset_scale as m; import sys; m.run_here(*sys.argv[1:])"]
    done = subprocess.run([*command, part, str(folder), str(out)], capture_output=True, text=True)
    if done.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        sys.exit(f"{part}:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def run_here(part: str, folder: str, out: str) -> None:
    """Run one part in this process; print seconds and peak memory as JSON."""
    peak = [0]
    threading.Thread(target=_watch, args=(peak,), daemon=True).start()
    started = time.perf_counter()
    done: dict[str, Any] = {}
    if part == "import":
        guess_language("the words of a poster, so that the model is loaded")
    elif part == "build":
        built = build_dataset(folder, out, progress=False)
        listed = sum(1 for _ in pathlib.Path(folder).glob("images/*/*"))
        done = {"posters": sum(split["posters"] for split in built.report["splits"].values()), "reason": built.reason}
        done["listed"] = listed - sum(found["count"] for found in built.report["left_out"].values())
    else:
        rows = open_dataset(next(pathlib.Path(out).glob("imdb_posters/by_film/*.*.*"))).splits["train"]
        places = random.Random(0).choices(range(len(rows)), k=_READ)
        started = time.perf_counter()
        done = {"posters": sum(len(rows[place]["image"]) > 0 for place in places)}
    done["seconds"] = round(time.perf_counter() - started, 3)
    done["peak_rss_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)
    time.sleep(2 * _SAMPLE_S)
    print(json.dumps(done | {"peak_anonymous_mb": round(peak[0] * 1024 / 1e6)}))


def _watch(peak: list[int]) -> None:
    """Record the peak of this process's anonymous memory, KiB (Linux)."""
    while True:
        lines = pathlib.Path("/proc/self/status").read_text().splitlines()
        now = next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))
        peak[0] = max(peak[0], now)
        time.sleep(_SAMPLE_S)


if __name__ == "__main__":
    main()
