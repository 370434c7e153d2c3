"""An epoch of the paper's fusion on pooled features that lie in memory: ours, in PyTorch, and in Keras on JAX.

All start from the same weights and see the same batches in the same order.
"""

import importlib.util
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
import jax.numpy as jnp
import numpy as np

from posterfusion_jax.input_pipeline.batch_order import steps_per_epoch, training_batch
from posterfusion_jax.input_pipeline.sources import BatchSource
from posterfusion_jax.losses.asymmetric import make_loss
from posterfusion_jax.losses.presets import loss_parameters
from posterfusion_jax.models.classifier import Classifier, on_features
from posterfusion_jax.models.registry import make_head
from posterfusion_jax.train.epoch_runner import Epoch as EpochPlan
from posterfusion_jax.train.epoch_runner import OnDeviceEpochRunner
from posterfusion_jax.train.step import init_state, make_optimizer
from posterfusion_jax.train.trainer import Trainer

WIDTH = 512  # of CLIP B/32's features
HAVE_TORCH, HAVE_KERAS = (importlib.util.find_spec(name) is not None for name in ("torch", "keras"))

Epoch = Callable[[int], np.ndarray]  # epoch, from 1 -> the losses of its steps


class Data(NamedTuple):
    """Hold a training split in memory: features float32 [n, 512], labels uint8 [n, 13]."""

    image: np.ndarray
    text: np.ndarray
    labels: np.ndarray

    def source(self) -> BatchSource:
        """Return the rows as a training split."""
        ids = [f"tt{row:07d}_1" for row in range(len(self.labels))]
        return BatchSource(ids, ids, self.labels, self._load)

    def _load(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        real = np.ones(len(rows), bool)
        return {"image": self.image[rows], "image_mask": real, "text": self.text[rows], "text_mask": real}


def draw(posters: int) -> Data:
    """Draw random features, with labels that depend on them."""
    rng = np.random.default_rng(0)
    image, text = (rng.normal(size=(posters, WIDTH)).astype(np.float32) for _ in range(2))
    hidden = rng.normal(size=(2 * WIDTH, 13)).astype(np.float32)
    chance = np.concatenate([image, text], axis=1) @ hidden / (2 * WIDTH) ** 0.5
    return Data(image, text, (chance + rng.normal(size=chance.shape) > 1.8).astype(np.uint8))


def make_classifier(config: Any) -> Classifier:
    """Build the config's head on such features."""
    head = make_head(config.model, labels=13, image_width=WIDTH, text_width=WIDTH)
    return on_features(head, image_width=WIDTH, text_width=WIDTH, level="pooled")


def first_weights(config: Any, seed: int) -> Any:
    """Return the parameters that our training starts from, as NumPy arrays."""
    state = init_state(make_classifier(config), _optimizer(config, 1), seed=seed)
    return jax.tree.map(np.array, state.params)


def _optimizer(config: Any, posters: int) -> Any:
    steps = steps_per_epoch(posters, config.train.batch_size)
    return make_optimizer(config.train, make_classifier(config).groups, steps_per_epoch=steps)


def ours(config: Any, data: Data, seeds: int | Sequence[int]) -> Epoch:
    """Prepare epochs of one seed, or of several in one program: losses [seeds, steps]."""
    runner, start = _make_runner(config, data, seeds)
    state = start(seeds) if isinstance(seeds, int) else jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(start, seeds))
    held = {"state": state}

    def epoch(number: int) -> np.ndarray:
        held["state"], losses = runner(held["state"], EpochPlan(number))
        jax.block_until_ready(held["state"])
        return losses

    return epoch


def train_seeds_sequentially(config: Any, data: Data, seeds: Sequence[int]) -> Epoch:
    """Prepare epochs of several seeds, one after another in the program of a single seed."""
    runner, start = _make_runner(config, data, seeds[0])
    states = {seed: start(seed) for seed in seeds}

    def epoch(number: int) -> np.ndarray:
        losses = []
        for seed in seeds:
            runner.seeds = seed
            states[seed], of_seed = runner(states[seed], EpochPlan(number))
            losses.append(of_seed)
        jax.block_until_ready(states)
        return np.stack(losses)

    return epoch


def _make_runner(config: Any, data: Data, seeds: int | Sequence[int]) -> tuple[OnDeviceEpochRunner, Callable[[int], Any]]:
    """Return an epoch runner, and a function from a seed to its initial state."""
    source = data.source()
    trainer = Trainer(make_classifier(config), make_loss(config.loss.preset), source, source, config.train)

    def start(seed: int) -> Any:
        return trainer.parallel.replicate(init_state(trainer.classifier, trainer.optimizer, seed=seed))

    return OnDeviceEpochRunner(trainer, seeds), start


def _batches(config: Any, data: Data, epoch: int, seed: int) -> list[np.ndarray]:
    """Return the rows of an epoch's batches; the last one is shorter."""
    n, size = len(data.labels), config.train.batch_size
    steps = steps_per_epoch(n, size)
    found = [training_batch((epoch - 1) * steps + k, seed=seed, rows=n, batch_size=size) for k in range(steps)]
    return [rows[real > 0] for rows, real in found]


def pytorch(config: Any, data: Data, seed: int, *, compiled: bool = False) -> Epoch:
    """Prepare epochs in PyTorch, with Adam(fused=True); `compiled` adds torch.compile of model and loss."""
    import torch

    from benchmarks.baselines.pytorch_fusion import Fusion, asymmetric_loss, copy_weights

    device = "cuda" if torch.cuda.is_available() and jax.default_backend() == "gpu" else "cpu"
    torch.set_num_threads(os.cpu_count() or 1)
    model = Fusion(width=WIDTH, dim=config.model.dim, heads=config.model.heads, layers=config.model.smsam_layers)
    copy_weights(model, first_weights(config, seed)["head"])
    model.to(device)
    optimizer = torch.optim.Adam(
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
        for rows in _batches(config, data, number, seed):
            rows = torch.from_numpy(rows).to(device)
            optimizer.zero_grad(set_to_none=True)
            loss = objective(image[rows], text[rows], has_text[rows], labels[rows])
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        return torch.stack(losses).cpu().numpy()

    return epoch


def keras(config: Any, data: Data, seed: int) -> Epoch:
    """Prepare epochs of Keras' `fit` on its JAX backend."""
    from keras import callbacks, optimizers

    from benchmarks.baselines.keras_fusion import copy_weights, make_fusion
    from benchmarks.baselines.keras_fusion import make_loss as make_keras_loss

    model = make_fusion(width=WIDTH, dim=config.model.dim, heads=config.model.heads, layers=config.model.smsam_layers)
    copy_weights(model, first_weights(config, seed)["head"])
    train = config.train
    adam = optimizers.Adam(train.learning_rate, train.beta1, train.beta2, train.epsilon)
    model.compile(adam, make_keras_loss(**loss_parameters(config.loss.preset)._asdict()))

    class Losses(callbacks.Callback):
        """Recover each batch's loss: `fit` reports the mean since the epoch's start."""

        def __init__(self) -> None:
            super().__init__()
            self.means: list[float] = []

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.means.append(logs["loss"])

    def epoch(number: int) -> np.ndarray:
        order = np.concatenate(_batches(config, data, number, seed))
        seen = Losses()
        inputs, labels = [data.image[order], data.text[order]], data.labels[order].astype(np.float32)
        model.fit(inputs, labels, batch_size=train.batch_size, shuffle=False, verbose=0, callbacks=[seen])
        means = np.asarray(seen.means)
        totals = means * np.arange(1, len(means) + 1)
        return np.diff(totals, prepend=0.0)

    return epoch
