"""Pure parts of training: state, optimizer, one step."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Float, Float32, UInt8

from posterfusion_jax.config.sections import TrainConfig
from posterfusion_jax.losses.asymmetric import Loss
from posterfusion_jax.models.classifier import Batch, Classifier, Params
from posterfusion_jax.utils.choose import choose
from posterfusion_jax.utils.rng import key_for

WARMUP_SHARE = 0.05  # share of the steps of a run, for the schedule "cosine"


class TrainState(struct.PyTreeNode):
    """Hold everything that a step changes. Random numbers and batch order follow from the step number and the seed."""

    step: Any  # int32 scalar: steps done; trees of shapes and of NumPy arrays are states too
    params: Params
    opt_state: Any


TrainStep = Callable[..., tuple[TrainState, jax.Array]]  # see `make_train_step`


def make_optimizer(
    train: TrainConfig, groups: Callable[[Params], Any], *, steps_per_epoch: int
) -> optax.GradientTransformation:
    """Return Adam as in the paper, with separate learning rates for head and encoders; frozen parameters are not updated.

    Args:
      train: the config's section of that name.
      groups: see `Classifier`.
      steps_per_epoch: determines the length of the run, for schedules that depend on it.
    """

    def adam(peak: float) -> optax.GradientTransformation:
        steps = train.max_epochs * steps_per_epoch
        warmup = max(1, round(WARMUP_SHARE * steps))
        cosine = optax.warmup_cosine_decay_schedule(0.0, peak, warmup_steps=warmup, decay_steps=max(steps, warmup + 1))
        learning_rate = choose("train.schedule", train.schedule, {"cosine": cosine, "constant": peak})
        return optax.adamw(
            learning_rate, b1=train.beta1, b2=train.beta2, eps=train.epsilon, weight_decay=train.weight_decay, mask=_is_matrix
        )

    rules: dict[Any, optax.GradientTransformation] = {
        "head": adam(train.learning_rate),
        "encoder": adam(train.encoder_learning_rate),
        "frozen": optax.set_to_zero(),
        "unread": optax.set_to_zero(),  # their gradient is always zero
    }
    return optax.multi_transform(rules, groups)


def _is_matrix(params: Params) -> Any:
    """Return which parameters decay: all but biases and the scales of layer norms."""
    return jax.tree.map(lambda array: array.ndim > 1, params)


def init_state(classifier: Classifier, optimizer: optax.GradientTransformation, *, seed: int | jax.Array) -> TrainState:
    """Return a state at step 0; its parameters depend on the seed alone."""
    params = classifier.init(key_for(seed, "parameters"))
    return TrainState(step=jnp.zeros((), jnp.int32), params=params, opt_state=jax.jit(optimizer.init)(params))


def mean_loss(per_element: Float[Array, "b g"], real: Float32[Array, " b"]) -> Float[Array, ""]:
    """Return the mean over genres and real rows (Eq. 8).

    Args:
      per_element: losses.
      real: 1 for real rows, 0 for padding.
    """
    return (per_element.mean(axis=1) * real).sum() / real.sum()


def make_train_step(classifier: Classifier, optimizer: optax.GradientTransformation, loss: Loss) -> TrainStep:
    """Return the step: a pure function (state, batch, labels [b, g], real [b], *, seed) -> (state, loss before the update).

    `seed` may be an array, so that the steps of several seeds can run in parallel under `jax.vmap`.
    """

    def step(
        state: TrainState, batch: Batch, labels: UInt8[Array, "b g"], real: Float32[Array, " b"], *, seed: int | jax.Array
    ) -> tuple[TrainState, Float[Array, ""]]:
        key = key_for(seed, "dropout", state.step)

        def objective(params: Params) -> tuple[jax.Array, tuple[jax.Array, dict[str, Any]]]:
            outputs = classifier.train_forward(params, batch, real > 0, key)
            value = mean_loss(loss(outputs.logits, labels), real)
            auxiliary = sum((mean_loss(loss(logits, labels), real) for logits in outputs.auxiliary), jnp.zeros((), jnp.float32))
            return value + auxiliary, (value, outputs.statistics)

        gradients, (value, statistics) = jax.grad(objective, has_aux=True)(state.params)
        # optax raises a float to an integer power, without explicit types
        with jax.numpy_dtype_promotion("standard"), jax.enable_x64(False):
            updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
        params: Any = optax.apply_updates(state.params, updates)
        if statistics:
            params = {**params, "statistics": statistics}
        return TrainState(step=state.step + 1, params=params, opt_state=opt_state), value

    return step
