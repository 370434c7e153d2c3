"""How fast is CLIP's image tower alone, against PyTorch eager, torch.compile and onnxruntime?

    python -m benchmarks.encoder [--size=b16] [--dtype=bfloat16] [--torch-python=PYTHON] [--rounds=5] [--write]
    pip install torch==2.13.0 onnx onnxruntime

A round is two batches of 32 posters, from pixels in memory to pooled features in memory, compiled beforehand. Ours takes
bytes and normalises them; the others are given normalised numbers. All have the same random weights of a real CLIP's size (b32,
b16 or l14) and as many threads as there are cores; on a GPU both sides use it. With bfloat16, which PyTorch and ours then both
compute in, PyTorch in float32 is added. The baselines run in a process of their own, with --torch-python of another
Python, because jax computes fast in bfloat16 on a CPU from 0.11.2 on, which needs Python 3.12, and torch's CPU build is one for
Python 3.11.

"Same result": the lowest cosine and the largest difference between our features and each other's. "share_of_matmul_peak": the
matrix products that pooled features need (in the last layer all positions but the class token are only keys and values) reached
this share of the measured rate of a large matrix product in JAX in that dtype, or in float32 where the side's name has it.
"""

import argparse
import os
import pathlib
import sys
import tempfile
import time
from collections.abc import Callable

import jax
import numpy as np

from benchmarks.clip_roofline import compare, image_operations
from benchmarks.machine import matmul_peak
from benchmarks.record import interleaved_rounds, write_record
from benchmarks.worker_process import PAUSE_S, WorkerProcess
from posterfusion_jax.encoders.load import load_image_tower
from posterfusion_jax.encoders.options import EncoderOptions
from posterfusion_jax.encoders.preprocess import CLIP_MEAN, CLIP_STD, normalize
from posterfusion_jax.encoders.weights import cast_kernels

OURS = "ours"


def main() -> None:
    """Time all sides alternately."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=("b32", "b16", "l14"), default="b32")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--batches", type=int, default=2, help="a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--torch-python", default=sys.executable, metavar="PYTHON", help="that has torch; default: this one")
    parser.add_argument("--write", action="store_true", help="write data/results/benchmarks/encoder[_<size>][_bfloat16].json")
    args = parser.parse_args()
    threads = len(os.sched_getaffinity(0))
    images = np.random.default_rng(0).integers(0, 256, (args.batch_size, 224, 224, 3), np.uint8)
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        rival = WorkerProcess(args.torch_python, "benchmarks.baselines.pytorch_clip", f"--threads={threads}")
        rival("make", folder=scratch, size=args.size, texts=["a poster"])
        pixels = np.asarray(normalize(images, mean=CLIP_MEAN, std=CLIP_STD)).transpose(0, 3, 1, 2)
        np.save(folder / "pixels.npy", np.ascontiguousarray(pixels))

        encode = _ours(scratch, images, args.dtype)
        ours = encode()  # compiles
        sides: dict[str, Callable[[], float]] = {OURS: lambda: _timed(encode, args.batches)}
        found = {}

        def add(label: str, side: str, dtype: str) -> None:
            arguments = {"side": side, "dtype": dtype}
            rival("prepare_tower", folder=scratch, pixels=str(folder / "pixels.npy"), **arguments)
            out = str(folder / f"{side}_{dtype}.npy")
            sides[label] = lambda: rival("time_tower", batches=args.batches, out=out, **arguments)
            rival("time_tower", batches=1, out=out, **arguments)  # compiles
            found[label] = np.load(out)

        if args.dtype == "bfloat16":
            add("PyTorch eager, float32", "eager", "float32")
        add("PyTorch eager", "eager", args.dtype)
        add("PyTorch compiled", "compiled", args.dtype)
        if args.dtype == "float32" and jax.default_backend() == "cpu":
            add("onnxruntime", "onnxruntime", args.dtype)
        seconds, _ = interleaved_rounds(sides, rounds=args.rounds)
        versions = rival("versions")
        rival.close()
    peak = {dtype: matmul_peak(dtype, tries=30) for dtype in dict.fromkeys(("float32", args.dtype))}
    flops = image_operations(args.size) * args.batch_size * args.batches
    shares = {
        label: flops / float(np.median(times)) / peak["float32" if "float32" in label else args.dtype]
        for label, times in seconds.items()
    }
    write_record(
        "_".join(["encoder", *(name for name in (args.size, args.dtype) if name not in ("b32", "float32"))]),
        inputs={"size": args.size, "dtype": args.dtype, "batch_size": args.batch_size, "threads": threads},
        seconds=seconds,
        ours=OURS,
        items=(args.batch_size * args.batches, "posters"),
        same_result={f"against {label}": compare(ours, features) for label, features in found.items()},
        figures={
            "gflop_a_poster": round(image_operations(args.size) / 1e9, 2),
            "matmul_gflops": {dtype: round(rate / 1e9, 1) for dtype, rate in peak.items()},
            "share_of_matmul_peak": {label: round(share, 3) for label, share in shares.items()},
            "rivals": versions,
        },
        write=args.write,
    )


def _ours(folder: str, images: np.ndarray, dtype: str) -> Callable[[], np.ndarray]:
    tower = load_image_tower(folder, EncoderOptions(dtype=dtype))
    assert tower is not None
    forward = jax.jit(tower.forward, static_argnames="level")
    params = cast_kernels(tower)
    return lambda: np.asarray(forward(params, images, level="pooled").values)


def _timed(encode: Callable[[], np.ndarray], batches: int) -> float:
    time.sleep(PAUSE_S)
    started = time.perf_counter()
    for _ in range(batches):
        encode()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
