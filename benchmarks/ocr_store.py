"""What do a million OCR records cost to open, against parsing all lines into a dict?

    python -m benchmarks.ocr_store [--records=1000000] [--rounds=5] [--write]

A file of drawn-up records, about 1 KB each, is appended through ocr.records.store.RecordWriter. Then both sides open it and
look up 10,000 images, each in a process of its own: ours with the index next to the file, the other by parsing every line into
a dict from hash to records, as this package did before it had an index. "figures" has the parts: the rate of appending, the
first open, which makes the index, an open that finds it, the lookups, and the peak memory of each process (MB; next to that of
an empty process with the same imports). "Same result": whether the looked-up records are equal on both sides.
"""

import argparse
import hashlib
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from benchmarks.record import write_record
from posterfusion_jax.ocr.records.index import SUFFIX
from posterfusion_jax.ocr.records.record import OcrRecord, from_json, to_json, usable
from posterfusion_jax.ocr.records.store import RecordWriter, load_records
from posterfusion_jax.utils.user_path import path_argument

OURS, RIVAL = "index beside the file", "all lines into a dict"
LOOKUPS = 10_000


def main() -> None:
    """Time both sides alternately."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--folder",
        type=path_argument("--folder"),
        help="where the file is made and removed; default: the system's folder for such files",
    )
    parser.add_argument("--write", action="store_true", help="write data/results/benchmarks/ocr_store.json")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=pathlib.Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part:
        print(json.dumps(PARTS[args.part](args.file, args.records) | {"peak_memory_mb": _peak_memory()}))
        return
    with tempfile.TemporaryDirectory(prefix="ocr_store", dir=args.folder) as folder:
        _compare(pathlib.Path(folder) / "ocr.jsonl", args)


def _compare(path: pathlib.Path, args: argparse.Namespace) -> None:
    def run(part: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "benchmarks.ocr_store", f"--part={part}"]
        command += [f"--file={path}", f"--records={args.records}"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        return json.loads(done.stdout)

    figures: dict[str, Any] = {"imports only": run("nothing"), "append": run("append")}
    index = path.with_name(path.name + SUFFIX)
    index.unlink()
    figures["first open"] = run("open")
    rounds: dict[str, list[dict[str, Any]]] = {OURS: [], RIVAL: []}
    for _ in range(args.rounds):
        rounds[OURS].append(run("indexed"))
        rounds[RIVAL].append(run("parsed"))
    digests = {side: {round_.pop("digest") for round_ in rounds[side]} for side in rounds}
    for side in rounds:
        figures[side] = {name: statistics.median(round_[name] for round_ in rounds[side]) for name in rounds[side][0]}
    write_record(
        "ocr_store",
        inputs={
            "records": args.records,
            "lookups": LOOKUPS,
            "load_average": round(os.getloadavg()[0], 1),  # of the machine, which other programs may have used
            "file_mb": round(path.stat().st_size / 1e6, 1),
            "index_mb": round(index.stat().st_size / 1e6, 1),
        },
        seconds={side: [r["open_s"] + r["lookups_s"] for r in rounds[side]] for side in rounds},
        ours=OURS,
        same_result={"looked_up_records_equal": len(digests[OURS] | digests[RIVAL]) == 1},
        figures=figures,
        write=args.write,
    )


def _nothing(path: pathlib.Path, count: int) -> dict[str, Any]:
    return {}


def _append(path: pathlib.Path, count: int) -> dict[str, Any]:
    records = (_record(k) for k in range(count))
    seconds = 0.0
    with RecordWriter(path) as store:
        for record in records:
            started = time.perf_counter()
            store.append(record)
            seconds += time.perf_counter() - started
        started = time.perf_counter()
    return {"records_per_s": round(count / seconds), "close_s": round(time.perf_counter() - started, 3)}


def _open(path: pathlib.Path, count: int) -> dict[str, Any]:
    started = time.perf_counter()
    records = load_records([path])
    seconds = time.perf_counter() - started
    assert len(records) == count
    return {"open_s": round(seconds, 3)}


def _indexed(path: pathlib.Path, count: int) -> dict[str, Any]:
    started = time.perf_counter()
    find = load_records([path]).find
    return _look_up(find, count, open_s=time.perf_counter() - started)


def _parsed(path: pathlib.Path, count: int) -> dict[str, Any]:
    started = time.perf_counter()
    by_image: dict[str, list[OcrRecord]] = {}
    for line in path.read_bytes().split(b"\n"):
        if line.strip():
            record = from_json(line.decode())
            by_image.setdefault(record.sha256, []).append(record)

    def find(sha256: str) -> OcrRecord | None:
        return max(reversed(by_image.get(sha256, ())), key=usable, default=None)

    return _look_up(find, count, open_s=time.perf_counter() - started)


def _look_up(find: Any, count: int, *, open_s: float) -> dict[str, Any]:
    digest = hashlib.sha256()
    seconds = 0.0
    for k in range(LOOKUPS):
        image = _image(k * 7919 % count)
        started = time.perf_counter()
        record = find(image)
        seconds += time.perf_counter() - started
        digest.update(to_json(record).encode())
    return {"open_s": round(open_s, 3), "lookups_s": round(seconds, 3), "digest": digest.hexdigest()}


def _image(k: int) -> str:
    return hashlib.sha256(b"%d" % k).hexdigest()


def _record(k: int) -> OcrRecord:
    lines = tuple(f"{place * 7919 + k} WORDS OF A POSTER" for place in range(9))
    return OcrRecord(
        sha256=_image(k),
        status="ok",
        text="\n".join(lines),
        engine="rapidocr",
        poster_id=f"tt{k:07d}_1",
        film_id=f"tt{k:07d}",
        lines=lines,
        confidences=(0.9876,) * len(lines),
        boxes=((0.1234, 0.2345, 0.8765, 0.3456),) * len(lines),
        engine_version="3.10.0",
        source_width=500,
        source_height=750,
    )


def _peak_memory() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1e6 if sys.platform == "darwin" else 1e3))  # bytes there, KiB elsewhere


PARTS = {"nothing": _nothing, "append": _append, "open": _open, "indexed": _indexed, "parsed": _parsed}

if __name__ == "__main__":
    main()
