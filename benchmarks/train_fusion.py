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
rate of a matrix product, and those that Adam's numbers (weight, two moments and gradient, read and written: 32 bytes a
weight) take at the measured rate of memory; programs of the kind can overlap the two.
"""

import argparse
import importlib.util
import os
from collections.abc import Callable
from typing import Any, NamedTuple

os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
import numpy as np

from benchmarks.machine import matmul_peak, memory_bandwidth
from benchmarks.record import in_turns, write_record
from configs import paper
from posterfusion_jax.losses import loss_parameters, make_loss
from posterfusion_jax.models.classifier import on_features
from posterfusion_jax.models.registry import make_head
from posterfusion_jax.parallel import DataParallel
from posterfusion_jax.train.batches import steps_per_epoch, training_batch
from posterfusion_jax.train.passes import ResidentPass
from posterfusion_jax.train.step import init_state, make_optimiser

WIDTH = 512  # of CLIP B/32's features
COMPARED = 50  # first batches whose losses are compared
OURS = "ours"

Epoch = Callable[[int], np.ndarray]  # epoch, from 1 -> the losses of its steps


class Data(NamedTuple):
    """A training split in memory: features float32 [n, 512], labels uint8 [n, 13]."""

    image: np.ndarray
    text: np.ndarray
    labels: np.ndarray

    def load(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """As `train.sources.Source` has it."""
        real = np.ones(len(rows), bool)
        return {"image": self.image[rows], "image_mask": real, "text": self.text[rows], "text_mask": real}


def main() -> None:
    """Times an epoch of all sides in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posters", type=int, default=11_105)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="write data/results/benchmarks/train_fusion.json")
    args = parser.parse_args()
    config = paper.get_config()
    data = _draw(args.posters)
    steps = steps_per_epoch(args.posters, config.train.batch_size)
    epochs, effective, total = _sides(config, data)

    losses = {side: epoch(1) for side, epoch in epochs.items()}  # also compiles
    first = {side: values[:COMPARED] for side, values in losses.items()}
    counts = dict.fromkeys(epochs, 1)

    def next_epoch(side: str) -> Callable[[], np.ndarray]:
        def run() -> np.ndarray:
            counts[side] += 1
            return epochs[side](counts[side])

        return run

    seconds, last = in_turns({side: next_epoch(side) for side in epochs}, rounds=args.rounds)
    operations = 6 * effective * args.posters  # forward, and the gradients of inputs and weights
    moved = 32 * effective * steps
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
        packages=[name for name in ("torch", "keras") if importlib.util.find_spec(name)],
    )


def _draw(posters: int) -> Data:
    rng = np.random.default_rng(0)
    image, text = (rng.normal(size=(posters, WIDTH)).astype(np.float32) for _ in range(2))
    hidden = rng.normal(size=(2 * WIDTH, 13)).astype(np.float32)
    chance = np.concatenate([image, text], axis=1) @ hidden / (2 * WIDTH) ** 0.5
    return Data(image, text, (chance + rng.normal(size=chance.shape) > 1.8).astype(np.uint8))


def _sides(config: Any, data: Data) -> tuple[dict[str, Epoch], int, int]:
    """The epochs of all sides that are installed, how many weights have an effect, and how many there are."""
    loss = make_loss(config.loss.preset)
    steps = steps_per_epoch(len(data.labels), config.train.batch_size)
    classifier = on_features(
        make_head(config.model, image_width=WIDTH, text_width=WIDTH), image_width=WIDTH, text_width=WIDTH, level="pooled"
    )
    optimiser = make_optimiser(config.train, classifier.groups, steps_per_epoch=steps)
    state = init_state(classifier, optimiser, seed=config.seed)
    params = jax.tree.map(np.asarray, state.params["head"])  # copies: the state's buffers are given away
    groups = jax.tree.leaves(classifier.groups(state.params))
    sizes = [leaf.size for leaf in jax.tree.leaves(state.params)]
    effective = sum(size for size, group in zip(sizes, groups, strict=True) if group == "head")

    parallel = DataParallel()
    one_pass = ResidentPass(classifier, optimiser, loss, data, parallel, seeds=config.seed, batch_size=config.train.batch_size)
    held = {"state": parallel.put_params(state)}

    def ours(epoch: int) -> np.ndarray:
        held["state"], losses = one_pass(held["state"], epoch, lambda _: None)
        return losses

    sides = {OURS: ours}
    if importlib.util.find_spec("torch"):
        sides |= {"PyTorch eager": _pytorch(config, data, params), "PyTorch compiled": _pytorch(config, data, params, True)}
    else:
        print("PyTorch is left out: it is not installed (pip install torch==2.13.0).")
    if importlib.util.find_spec("keras"):
        sides["Keras on JAX"] = _keras(config, data, params)
    else:
        print("Keras is left out: it is not installed (pip install keras).")
    return sides, effective, sum(sizes)


def _batches(config: Any, data: Data, epoch: int) -> list[np.ndarray]:
    """The rows of an epoch's batches; the last one is shorter."""
    n, size = len(data.labels), config.train.batch_size
    steps = steps_per_epoch(n, size)
    found = [training_batch((epoch - 1) * steps + k, seed=config.seed, rows=n, batch_size=size) for k in range(steps)]
    return [rows[real > 0] for rows, real in found]


def _pytorch(config: Any, data: Data, params: dict[str, Any], compiled: bool = False) -> Epoch:
    import torch

    from benchmarks.rivals.pytorch_fusion import Fusion, asymmetric_loss, copy_weights

    device = "cuda" if torch.cuda.is_available() and jax.default_backend() == "gpu" else "cpu"
    torch.set_num_threads(os.cpu_count() or 1)
    model = Fusion(width=WIDTH, dim=config.model.dim, heads=config.model.heads, layers=config.model.smsam_layers)
    copy_weights(model, params)
    model.to(device)
    optimiser = torch.optim.Adam(
        model.parameters(),
        lr=config.train.learning_rate,
        betas=(config.train.beta1, config.train.beta2),
        eps=config.train.epsilon,
        fused=True,
    )
    parameters = loss_parameters(config.loss.preset)._asdict()

    def loss_of(image: Any, text: Any, has_text: Any, labels: Any) -> Any:
        return asymmetric_loss(model(image, text, has_text), labels, **parameters)

    objective = torch.compile(loss_of) if compiled else loss_of
    image, text = torch.tensor(data.image, device=device), torch.tensor(data.text, device=device)
    labels = torch.tensor(data.labels, device=device).float()
    has_text = torch.ones(len(labels), dtype=torch.bool, device=device)

    def epoch(number: int) -> np.ndarray:
        losses = []
        for rows in _batches(config, data, number):
            rows = torch.from_numpy(rows).to(device)
            optimiser.zero_grad(set_to_none=True)
            loss = objective(image[rows], text[rows], has_text[rows], labels[rows])
            loss.backward()
            optimiser.step()
            losses.append(loss.detach())
        return torch.stack(losses).cpu().numpy()

    return epoch


def _keras(config: Any, data: Data, params: dict[str, Any]) -> Epoch:
    import keras

    from benchmarks.rivals.keras_fusion import copy_weights, make_fusion
    from benchmarks.rivals.keras_fusion import make_loss as make_keras_loss

    model = make_fusion(width=WIDTH, dim=config.model.dim, heads=config.model.heads, layers=config.model.smsam_layers)
    copy_weights(model, params)
    train = config.train
    adam = keras.optimizers.Adam(train.learning_rate, train.beta1, train.beta2, train.epsilon)
    model.compile(adam, make_keras_loss(**loss_parameters(config.loss.preset)._asdict()))

    class Losses(keras.callbacks.Callback):
        """What `fit` tells of a batch is the mean since the epoch's start."""

        def __init__(self) -> None:
            super().__init__()
            self.means: list[float] = []

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.means.append(logs["loss"])

    def epoch(number: int) -> np.ndarray:
        order = np.concatenate(_batches(config, data, number))
        seen = Losses()
        inputs, labels = [data.image[order], data.text[order]], data.labels[order].astype(np.float32)
        model.fit(inputs, labels, batch_size=train.batch_size, shuffle=False, verbose=0, callbacks=[seen])
        means = np.asarray(seen.means)
        totals = means * np.arange(1, len(means) + 1)
        return np.diff(totals, prepend=0.0)

    return epoch


if __name__ == "__main__":
    main()
