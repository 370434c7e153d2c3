"""How fast does the paper's fusion train on pooled features, against the same model in PyTorch and in Keras on JAX?

    python -m benchmarks.train_fusion [--posters=11105] [--rounds=5] [--write]        pip install torch==2.13.0 keras

A round is an epoch of the run of record (configs/paper.py: 11,105 training posters, 512 numbers each for picture and words,
batches of 32, Adam) from where the last one ended, with the features in memory, compiled beforehand. Random features, labels of
their own. All sides start from the same weights and see the same batches in the same order.

"PyTorch eager" has Adam(fused=True), "PyTorch compiled" torch.compile of model and loss besides; "Keras on JAX" is `fit`. All
have the equations as they are printed, with queries and keys; ours leaves those out, because attention to a single key does not
depend on them. Where torch or keras is not installed, its sides are left out and that is printed.

"Same result": how far the training losses of the first 50 batches of each side are from ours, relative to ours, and the mean
loss of the last epoch of each side. "floor" is the seconds that the arithmetic of the effective weights takes at the measured
rate of a matrix product, and those that Adam's numbers (weight and two moments, read and written: 24 bytes a weight) take
at the measured rate of memory.
"""

import argparse
import os
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from benchmarks import fusion
from benchmarks.machine import matmul_peak, memory_bandwidth
from benchmarks.record import interleaved_rounds, write_record
from posterfusion_jax.configs import paper
from posterfusion_jax.input_pipeline.batch_order import steps_per_epoch

COMPARED = 50  # first batches whose losses are compared
OURS = "ours"


def main() -> None:
    """Time an epoch of all sides alternately."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posters", type=int, default=11_105)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="write data/results/benchmarks/train_fusion.json")
    args = parser.parse_args()
    config = paper.get_config()
    data = fusion.draw(args.posters)
    steps = steps_per_epoch(args.posters, config.train.batch_size)
    effective, total = _count_weights(config)
    epochs = {OURS: fusion.ours(config, data, config.seed)}
    if fusion.HAVE_TORCH:
        epochs["PyTorch eager"] = fusion.pytorch(config, data, config.seed)
        epochs["PyTorch compiled"] = fusion.pytorch(config, data, config.seed, compiled=True)
    else:
        print("PyTorch is left out: it is not installed (pip install torch==2.13.0).")
    if fusion.HAVE_KERAS:
        epochs["Keras on JAX"] = fusion.keras(config, data, config.seed)
    else:
        print("Keras is left out: it is not installed (pip install keras).")

    losses = {side: epoch(1) for side, epoch in epochs.items()}  # also compiles
    first = {side: values[:COMPARED] for side, values in losses.items()}
    counts = dict.fromkeys(epochs, 1)

    def next_epoch(side: str) -> Callable[[], np.ndarray]:
        def run() -> np.ndarray:
            counts[side] += 1
            return epochs[side](counts[side])

        return run

    seconds, last = interleaved_rounds({side: next_epoch(side) for side in epochs}, rounds=args.rounds)
    operations = 6 * effective * args.posters  # forward, and the gradients of inputs and weights
    moved = 24 * effective * steps
    peak, bandwidth = matmul_peak(), memory_bandwidth()
    floor = {"arithmetic_s": operations / peak, "memory_s": moved / bandwidth}
    ours = float(np.median(seconds[OURS]))
    write_record(
        "train_fusion",
        inputs={"posters": args.posters, "batch_size": config.train.batch_size, "threads": os.cpu_count()},
        seconds=seconds,
        ours=OURS,
        items=(args.posters, "posters"),
        same_result={
            f"first {COMPARED} losses, largest relative difference, {side}": float(
                np.max(np.abs(first[side] / first[OURS] - 1))
            )
            for side in epochs
            if side != OURS
        }
        | {f"mean loss of the last epoch, {side}": round(float(np.mean(last[side])), 6) for side in epochs},
        figures={
            "weights": total,
            "effective_weights": effective,
            "matmul_gflops": round(peak / 1e9, 1),
            "memory_gb_per_s": round(bandwidth / 1e9, 2),
            **{f"floor_{name}": round(value, 3) for name, value in floor.items()},
            "share_of_the_larger_floor": round(max(floor.values()) / ours, 3),
            "share_of_their_sum": round(sum(floor.values()) / ours, 3),
        },
        write=args.write,
        packages=[*(["torch"] if fusion.HAVE_TORCH else []), *(["keras"] if fusion.HAVE_KERAS else [])],
    )


def _count_weights(config: Any) -> tuple[int, int]:
    """Return the number of weights that have an effect, and of all weights."""
    params = fusion.first_weights(config, seed=0)
    groups = jax.tree.leaves(fusion.make_classifier(config).groups(params))
    sizes = [leaf.size for leaf in jax.tree.leaves(params)]
    return sum(size for size, group in zip(sizes, groups, strict=True) if group == "head"), sum(sizes)


if __name__ == "__main__":
    main()
