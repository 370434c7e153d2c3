"""How long does a prediction take from the start of the process to its end, for one poster or a folder of them?

    python -m benchmarks.predict [--count=1] [--clip=FOLDER] [--rounds=5] [--write]              pip install torch==2.13.0

A whole process: `python -m posterfusion_jax.main --mode=predict`, with RapidOCR and a CLIP B/32 (random weights without
--clip), on drawn posters of 400 pixels. Compiled programs lie in the cache, as after the first prediction of a run, which is
"first_s". The other sides: the same command at the commit where this was first measured, with a run trained there ("as first
measured"; left out without that commit), and a program with RapidOCR, transformers and PyTorch that does the same
(benchmarks/baselines/pytorch_predict.py; left out where torch is not installed).

"Same result": the largest difference of a score, and the share of posters with the same most likely genre. They differ where
the words read do: the engine's parameters are not the library's own. "help_s": the median time of `main --help`.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from benchmarks.record import ROOT, interleaved_rounds, write_record
from benchmarks.worker_process import WorkerProcess
from posterfusion_jax.checkpoints.manager import Checkpoints
from posterfusion_jax.configs import paper
from posterfusion_jax.datasets.synthetic import generator
from posterfusion_jax.models.classifier import on_features
from posterfusion_jax.models.registry import make_head
from posterfusion_jax.posters.folder import find_posters

OURS, FIRST, PYTORCH = "ours", "as first measured", "PyTorch"
FIRST_COMMIT = "39deac5"
Scores = dict[str, list[float]]  # by file name


def main() -> None:
    """Time the processes alternately."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1, help="posters")
    parser.add_argument("--clip", metavar="FOLDER", help="a CLIP B/32, in place of random weights")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="write data/results/benchmarks/predict_<one or folder>.json")
    args = parser.parse_args()
    have_torch = importlib.util.find_spec("torch") is not None
    if not (args.clip or have_torch):
        parser.error("a CLIP with random weights is made with PyTorch; install it, or name a real one with --clip=FOLDER")
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        clip = args.clip or _make_clip(folder / "clip")
        files = _draw(folder / "files", args.count)
        _train(ROOT, folder, "now", clip)
        sides = {OURS: lambda: _predict(ROOT, folder, "now", files)}
        if _checked_out(folder / "first"):
            _train(folder / "first", folder, "then", clip)
            sides[FIRST] = lambda: _predict(folder / "first", folder, "then", files)
        else:
            print(f"{FIRST!r} is left out: this checkout has no commit {FIRST_COMMIT}.")
        if have_torch:
            head = _write_head(folder / "now", folder / "head.npz")
            sides[PYTORCH] = lambda: _pytorch(clip, head, files)
        else:
            print("PyTorch is left out: it is not installed (pip install torch==2.13.0).")
        try:
            first = {side: _timed(call) for side, call in sides.items()}
            seconds, scores = interleaved_rounds(sides, rounds=args.rounds)
            helps = interleaved_rounds(
                {side: (lambda side=side: _help(folder, side)) for side in sides if side != PYTORCH}, rounds=args.rounds
            )
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", folder / "first"], cwd=ROOT, capture_output=True)
    compared = {side: _compare(scores[OURS], of) for side, of in scores.items() if side not in (OURS, FIRST)}
    write_record(
        "predict_one" if args.count == 1 else "predict_folder",
        inputs={"posters": args.count, "clip": "B/32" if args.clip else "B/32, random weights", "threads": os.cpu_count()},
        seconds=seconds,
        ours=OURS,
        items=None if args.count == 1 else (args.count, "posters"),
        same_result={f"{what}, {side}": value for side, found in compared.items() for what, value in found.items()},
        figures={
            "first_s": {side: round(value, 2) for side, value in first.items()},
            "help_s": {side: round(statistics.median(times), 2) for side, times in helps[0].items()},
        },
        write=args.write,
        packages=["rapidocr", "transformers", *(["torch"] if have_torch else [])],
    )


def _timed(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _make_clip(folder: pathlib.Path) -> str:
    maker = WorkerProcess(sys.executable, "benchmarks.baselines.pytorch_clip", f"--threads={os.cpu_count()}")
    maker("make", folder=str(folder), size="b32", texts=["the night of love", "terror war space"])
    maker.close()
    return str(folder)


def _draw(folder: pathlib.Path, count: int) -> list[str]:
    generator.draw_folder(folder, films=count, width=400)
    return [str(poster.path) for poster in find_posters(folder)[0][:count]]


def _checked_out(folder: pathlib.Path) -> bool:
    command = ["git", "worktree", "add", "--detach", folder, FIRST_COMMIT]
    return shutil.which("git") is not None and subprocess.run(command, cwd=ROOT, capture_output=True).returncode == 0


def _main(root: pathlib.Path, cache: pathlib.Path, *flags: str) -> str:
    """Return the output of `main` of the checkout `root`."""
    variables = os.environ | {"PYTHONPATH": str(root), "XDG_CACHE_HOME": str(cache)}
    command = [sys.executable, "-m", "posterfusion_jax.main", *flags]
    done = subprocess.run(command, cwd=root, env=variables, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout


def _train(root: pathlib.Path, folder: pathlib.Path, run: str, clip: str) -> None:
    """Train a head for one epoch: its predictions do not matter here."""
    print(f"training a run to predict with, {run}", flush=True)
    settings = {"data.source": "synthetic", "data.posters_dir": folder / "posters", "data.drawn_films": 30}
    settings |= {"encoders.image": clip, "encoders.text": clip, "train.max_epochs": 1}
    flags = [f"--config.{name}={value}" for name, value in settings.items()]
    for mode in ("build", "features", "train"):
        _main(root, folder / "cache", "--config=configs/paper.py", *flags, f"--mode={mode}", f"--workdir={folder / run}")


def _predict(root: pathlib.Path, folder: pathlib.Path, run: str, files: list[str]) -> Scores:
    printed = _main(root, folder / "cache", "--mode=predict", "--json", f"--workdir={folder / run}", *files)
    answers = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    return {answer["file"]: list(answer["scores"].values()) for answer in answers}


def _help(folder: pathlib.Path, side: str) -> None:
    root = ROOT if side == OURS else folder / "first"
    variables = os.environ | {"PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-m", "posterfusion_jax.main", "--help"], cwd=root, env=variables, capture_output=True)


def _pytorch(clip: str, head: pathlib.Path, files: list[str]) -> Scores:
    variables = os.environ | {"USE_TORCH": "1", "USE_TF": "0"}
    command = [sys.executable, "-m", "benchmarks.baselines.pytorch_predict", f"--clip={clip}", f"--head={head}", *files]
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr[-2000:]}")
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {answer["file"]: answer["scores"] for answer in answers}


def _write_head(workdir: pathlib.Path, file: pathlib.Path) -> pathlib.Path:
    """Write the head's weights, named by their path."""
    head = make_head(paper.get_config().model, labels=13, image_width=512, text_width=512)
    classifier = on_features(head, image_width=512, text_width=512, level="pooled")
    checkpoints = Checkpoints(workdir / "checkpoints")
    assert checkpoints.best is not None
    params = checkpoints.read_params(checkpoints.best, jax.eval_shape(lambda: classifier.init(jax.random.key(0))))
    checkpoints.close()
    leaves = jax.tree_util.tree_leaves_with_path(params["head"])
    np.savez(file, **{"/".join(key.key for key in path): np.asarray(leaf) for path, leaf in leaves})
    return file


def _compare(ours: Scores, others: Scores) -> dict[str, float]:
    pairs = [(np.asarray(scores), np.asarray(others[file])) for file, scores in ours.items()]
    return {
        "largest difference of a score": round(max(float(np.abs(a - b).max()) for a, b in pairs), 6),
        "same most likely genre": round(float(np.mean([a.argmax() == b.argmax() for a, b in pairs])), 4),
    }


if __name__ == "__main__":
    main()
