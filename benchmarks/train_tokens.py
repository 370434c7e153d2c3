"""How fast does the fusion train on token sequences that stream from disk, against the same model in PyTorch?

    python -m benchmarks.train_tokens [--image-tokens=50] [--posters=320] [--rounds=5] [--write]       pip install torch==2.13.0

A round is a pass over `--posters` posters of a feature store on disk (float16, 512 numbers a token, as configs/tokens.py has
it), in batches of 32, with Adam; compiled beforehand. 50 image tokens are CLIP B/32's, 197 B/16's; texts have 77 places, of
which half of the posters fill 14 or fewer, as OCR's texts do. Random features. Both sides start from the same weights and see
the same batches in the same order.

Ours streams as training does where features do not fit in memory (train.epoch_runner.StreamingEpochRunner). PyTorch reads the
same files in a DataLoader, has scaled_dot_product_attention with the masks, and Adam(fused=True); "compiled" adds torch.compile
of model and loss.

"Same result": how far the losses of the first batches are from ours, relative to ours. "floor_s" is the matrix products of a
round, forward and backward, at the measured rate of a large one.
"""

import argparse
import os
import pathlib
import tempfile
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from benchmarks import fusion
from benchmarks.machine import matmul_peak
from benchmarks.record import interleaved_rounds, write_record
from posterfusion_jax.configs import tokens
from posterfusion_jax.features.store import FeatureStore
from posterfusion_jax.input_pipeline.batch_order import steps_per_epoch, training_batch
from posterfusion_jax.input_pipeline.sources import BatchSource, stored_loader
from posterfusion_jax.losses.asymmetric import make_loss
from posterfusion_jax.losses.presets import loss_parameters
from posterfusion_jax.models.classifier import Classifier, on_features
from posterfusion_jax.models.registry import make_head
from posterfusion_jax.train.epoch_runner import Epoch, StreamingEpochRunner
from posterfusion_jax.train.step import init_state
from posterfusion_jax.train.trainer import Trainer

OURS, COMPARED, TEXT_TOKENS = "ours", 8, 77


def main() -> None:
    """Time a pass of all sides alternately."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image-tokens", type=int, default=50)
    parser.add_argument("--posters", type=int, default=320)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="write data/results/benchmarks/train_tokens_<image tokens>.json")
    args = parser.parse_args()
    config = tokens.get_config()
    with tempfile.TemporaryDirectory() as scratch:
        source = _make_split(_write_store(pathlib.Path(scratch) / "features", args.posters, args.image_tokens))
        passes = {OURS: _ours(config, source, args.rounds + 1)}
        if fusion.HAVE_TORCH:
            passes["PyTorch eager"] = _pytorch(config, source)
            passes["PyTorch compiled"] = _pytorch(config, source, compiled=True)
        else:
            print("PyTorch is left out: it is not installed (pip install torch==2.13.0).")
        first = {side: one(1)[:COMPARED] for side, one in passes.items()}  # also compiles
        counts = dict.fromkeys(passes, 1)

        def next_pass(side: str) -> Callable[[], np.ndarray]:
            def run() -> np.ndarray:
                counts[side] += 1
                return passes[side](counts[side])

            return run

        seconds, _ = interleaved_rounds({side: next_pass(side) for side in passes}, rounds=args.rounds)
    operations, peak = args.posters * _operations(config.model, args.image_tokens), matmul_peak()
    write_record(
        f"train_tokens_{args.image_tokens}",
        inputs={
            "posters": args.posters,
            "image_tokens": args.image_tokens,
            "text_tokens": TEXT_TOKENS,
            "batch_size": config.train.batch_size,
            "threads": os.cpu_count(),
        },
        seconds=seconds,
        ours=OURS,
        items=(args.posters, "posters"),
        same_result={
            f"first {len(first[OURS])} losses, largest relative difference, {side}": float(
                np.max(np.abs(first[side] / first[OURS] - 1))
            )
            for side in passes
            if side != OURS
        },
        figures={
            "matmul_gflops": round(peak / 1e9, 1),
            "floor_s": round(operations / peak, 3),
            "share_of_the_floor": round(operations / peak / float(np.median(seconds[OURS])), 3),
        },
        write=args.write,
        packages=["torch"] if fusion.HAVE_TORCH else [],
    )


def _make_split(store: FeatureStore) -> BatchSource:
    """Return all rows of a store as a training split, with random labels."""
    ids, labels = store.poster_ids, (np.random.default_rng(1).random((len(store), 13)) < 0.2).astype(np.uint8)
    return BatchSource(ids, ids, labels, stored_loader(store, ids, encode_empty=False))


def _write_store(folder: pathlib.Path, posters: int, image_tokens: int) -> FeatureStore:
    """Write random tokens; one poster in ten has no text."""
    store = FeatureStore(folder, {"level": "tokens", "image": {}, "text": {}}, [f"tt{k:07d}_1" for k in range(posters)])
    rng = np.random.default_rng(0)
    for shard in range(store.num_shards):
        n = len(store.shard_range(shard))
        lengths = np.minimum(np.exp(rng.normal(np.log(11), 1, n)) + 3, TEXT_TOKENS).astype(int)
        arrays: dict[str, np.ndarray] = {"has_text": rng.random(n) < 0.9}
        for side, places in (("image", image_tokens), ("text", TEXT_TOKENS)):
            arrays[f"{side}_pooled"] = rng.normal(size=(n, fusion.WIDTH)).astype(np.float32)
            arrays[f"{side}_tokens"] = rng.normal(size=(n, places, fusion.WIDTH)).astype(np.float16)
        arrays["image_tokens_mask"] = np.ones((n, image_tokens), bool)
        arrays["text_tokens_mask"] = np.arange(TEXT_TOKENS) < lengths[:, None]
        store.write_shard(shard, arrays)
    return store


def _classifier(config: Any) -> Classifier:
    head = make_head(config.model, labels=13, image_width=fusion.WIDTH, text_width=fusion.WIDTH)
    return on_features(head, image_width=fusion.WIDTH, text_width=fusion.WIDTH, level="tokens")


def _ours(config: Any, source: BatchSource, passes: int) -> fusion.Epoch:
    options = config.train.copy_and_resolve_references()
    options.max_epochs = passes
    trainer = Trainer(_classifier(config), make_loss(config.loss.preset), source, source, options)
    runner = StreamingEpochRunner(trainer, config.seed)
    held = {"state": trainer.parallel.replicate(init_state(trainer.classifier, trainer.optimizer, seed=config.seed))}

    def epoch(number: int) -> np.ndarray:
        held["state"], losses = runner(held["state"], Epoch(number))
        jax.block_until_ready(held["state"])
        return losses

    return epoch


def _pytorch(config: Any, source: BatchSource, *, compiled: bool = False) -> fusion.Epoch:
    import torch
    from torch.utils.data import DataLoader

    from benchmarks.baselines.pytorch_fusion import Fusion, asymmetric_loss, copy_weights

    device = "cuda" if torch.cuda.is_available() and jax.default_backend() == "gpu" else "cpu"
    torch.set_num_threads(os.cpu_count() or 1)
    model = Fusion(width=fusion.WIDTH, dim=config.model.dim, heads=config.model.heads, layers=config.model.smsam_layers)
    copy_weights(model, fusion.first_weights(config, config.seed)["head"])
    model.to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.train.learning_rate, fused=True)
    parameters = loss_parameters(config.loss.preset)._asdict()

    def loss_of(image: Any, image_mask: Any, text: Any, text_mask: Any, labels: Any) -> Any:
        return asymmetric_loss(model.on_tokens(image.float(), image_mask, text.float(), text_mask), labels, **parameters)

    objective = torch.compile(loss_of) if compiled else loss_of
    steps = steps_per_epoch(len(source.labels), config.train.batch_size)

    def batch(step: int) -> tuple[Any, ...]:
        rows, real = training_batch(step, seed=config.seed, rows=len(source.labels), batch_size=config.train.batch_size)
        found = source.load(rows[real > 0])
        arrays = (found["image"], found["image_mask"], found["text"], found["text_mask"])
        return (*map(torch.from_numpy, arrays), torch.from_numpy(source.labels[rows[real > 0]]).float())

    class Batches(torch.utils.data.Dataset):
        """Yield whole batches, by the number of the step."""

        def __getitem__(self, step: int) -> tuple[Any, ...]:
            return batch(step)

    def epoch(number: int) -> np.ndarray:
        losses = []
        numbers = range((number - 1) * steps, number * steps)
        for arrays in DataLoader(Batches(), batch_size=None, sampler=numbers):
            optimizer.zero_grad(set_to_none=True)
            loss = objective(*(array.to(device) for array in arrays))
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        return torch.stack(losses).cpu().numpy()

    return epoch


def _operations(model: Any, image_tokens: int) -> int:
    """Count multiplies and adds of the matrix products for one poster, forward and backward; features have no gradient."""
    d, v, t = model.dim, image_tokens, TEXT_TOKENS
    align = (v + t) * fusion.WIDTH * d
    cross = 3 * (v + t) * d * d + 4 * v * t * d
    own = model.smsam_layers * (3 * v * d * d + 2 * v * v * d)
    return 2 * (2 * align + 3 * (cross + own))


if __name__ == "__main__":
    main()
