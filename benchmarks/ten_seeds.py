"""How long do ten seeds take, trained together in one program, against one after another?

    python -m benchmarks.ten_seeds [--system=ours_l4] [--posters=3000] [--rounds=5] [--write]       pip install torch==2.13.0

A round is an epoch of each of ten seeds on pooled features in memory (benchmarks/fusion.py), compiled beforehand. The system is
one of configs/tables.py that trains on such features; PyTorch takes part for the fusion, `ours_l4`, and is left out where it is
not installed. What a user waits for besides (the start of ten processes, ten compilations, reading ten times) is not in it:
benchmarks/ten_runs.py has whole programs.

"Same result": the largest relative difference of a training loss between a seed among ten and the same seed otherwise, over the
first epoch.
"""

import argparse
import os

import numpy as np

from benchmarks import fusion
from benchmarks.record import interleaved_rounds, write_record
from posterfusion_jax.config.run import load
from posterfusion_jax.configs import tables

TOGETHER, ALONE, PYTORCH = "ours, side by side", "ours, one after another", "PyTorch eager, one after another"


def main() -> None:
    """Time the sides alternately."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--system", default="ours_l4", help="of configs/tables.py")
    parser.add_argument("--posters", type=int, default=3000)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="write data/results/benchmarks/ten_seeds_<system>.json")
    args = parser.parse_args()
    config, data, seeds = load(f"{tables.__file__}:{args.system}"), fusion.draw(args.posters), list(range(args.seeds))
    sides = {TOGETHER: fusion.ours(config, data, seeds), ALONE: fusion.train_seeds_sequentially(config, data, seeds)}
    if args.system == "ours_l4" and fusion.HAVE_TORCH:
        torch = [fusion.pytorch(config, data, seed) for seed in seeds]
        sides[PYTORCH] = lambda epoch: np.stack([one(epoch) for one in torch])
    elif args.system == "ours_l4":
        print("PyTorch is left out: it is not installed (pip install torch==2.13.0).")

    first = {side: epoch(1) for side, epoch in sides.items()}  # also compiles
    counts = dict.fromkeys(sides, 1)

    def next_epoch(side: str) -> np.ndarray:
        counts[side] += 1
        return sides[side](counts[side])

    seconds, _ = interleaved_rounds({side: (lambda side=side: next_epoch(side)) for side in sides}, rounds=args.rounds)
    write_record(
        f"ten_seeds_{args.system}",
        inputs={"system": args.system, "seeds": args.seeds, "posters": args.posters, "threads": os.cpu_count()},
        seconds=seconds,
        ours=TOGETHER,
        items=(args.seeds * args.posters, "posters"),
        same_result={
            f"first epoch's losses, largest relative difference, {side}": float(
                np.max(np.abs(first[side] / first[TOGETHER] - 1))
            )
            for side in sides
            if side != TOGETHER
        },
        write=args.write,
        packages=["torch"] if PYTORCH in sides else [],
    )


if __name__ == "__main__":
    main()
