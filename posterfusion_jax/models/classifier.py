"""Classifier: parameters and pure functions from a batch to logits, the same interface for frozen and fine-tuned encoders.

With frozen encoders the batch holds cached features and only the head has parameters. With encoders in the model the batch
holds pixels and token ids, and the parameters include those of the encoders.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from posterfusion_jax.encoders.augment import drop_tokens, flip_and_shift
from posterfusion_jax.encoders.finetune import trainable
from posterfusion_jax.encoders.tower import ImageTower, TextTower
from posterfusion_jax.errors import InputError
from posterfusion_jax.features.extract import encode_images
from posterfusion_jax.models.attention import MultiHeadAttention, has_one_key
from posterfusion_jax.models.fusion import PosterFusion
from posterfusion_jax.models.inputs import HeadInputs, as_tokens, fill_missing, masked_mean
from posterfusion_jax.utils.choose import choose, unwired

Params = dict[str, Any]
Batch = dict[str, Array]


class TrainOutputs(NamedTuple):
    """Hold the outputs of a forward pass in training.

    Attributes:
      logits: float32, g per poster.
      auxiliary: logits of auxiliary classifiers, which train with the same loss and are unused at prediction.
      statistics: running statistics of batch norms after this pass; empty without batch norms.
    """

    logits: Float[Array, "b g"]
    auxiliary: tuple[Float[Array, "b g"], ...]
    statistics: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Classifier:
    """Hold the functions of a whole model; all are pure.

    Attributes:
      init: (key) -> params {"head": ..., with batch norms "statistics": ..., with encoders "image": ..., "text": ...}.
      forward: (params, batch) -> logits, float32 [b, g], deterministic, for evaluation.
      train_forward: (params, batch, real, key) -> TrainOutputs: with dropout and augmentation, and batch statistics
        of the real rows.
      gates: (params, batch) -> the modality weights of the head, by name: a scalar [] or one per poster [b]. Empty for heads
        without gates.
      attention: (params, batch) -> distribution of the cross attention of the words over the image tokens, float32,
        rows of sum 1: the mean over words and heads. None for heads without cross attention from words to image.
      groups: (params) -> the same tree with "head", "encoder", "frozen" or "unread" at each leaf, for the optimizer. Unread
        parameters have no effect on the logits: queries and keys of an attention to a single key.
    """

    init: Callable[[PRNGKeyArray], Params]
    forward: Callable[[Params, Batch], Float[Array, "b g"]]
    train_forward: Callable[[Params, Batch, Bool[Array, " b"], PRNGKeyArray], TrainOutputs]
    gates: Callable[[Params, Batch], dict[str, Float[Array, "*b"]]]
    attention: Callable[[Params, Batch], Float[Array, "b l_v"] | None]
    groups: Callable[[Params], Any]


def _variables(params: Params) -> dict[str, Any]:
    statistics = params.get("statistics")
    return {"params": params["head"]} if statistics is None else {"params": params["head"], "batch_stats": statistics}


def _apply_head(head: nn.Module, params: Params, inputs: HeadInputs) -> Float[Array, "b g"]:
    logits = head.apply(_variables(params), inputs)
    assert isinstance(logits, jax.Array)
    return logits


def _train_forward_head(head: nn.Module, params: Params, inputs: HeadInputs, dropout_key: PRNGKeyArray) -> TrainOutputs:
    logits, changed = _apply_and_collect(head, params, inputs, ["batch_stats", "auxiliary"], dropout_key)
    return TrainOutputs(logits, tuple(jax.tree.leaves(changed.get("auxiliary", {}))), dict(changed.get("batch_stats", {})))


def _head_gates(head: nn.Module, params: Params, inputs: HeadInputs) -> dict[str, Float[Array, "*b"]]:
    _, sown = _apply_and_collect(head, params, inputs, ["gates"], None)
    return {name: values[-1] for name, values in sown.get("gates", {}).items()}


def _word_attention(head: nn.Module, params: Params, inputs: HeadInputs) -> Float[Array, "b l_v"] | None:
    if not (isinstance(head, PosterFusion) and head.mcam and head.cross_attention == "cross"):
        return None
    _, sown = _apply_and_collect(head, params, inputs, ["intermediates"], None)
    weights = sown["intermediates"]["mcam_text"]["attention"][-1].mean(axis=1)  # [b, words, image tokens]
    words, mask = as_tokens(inputs.text, inputs.text_mask)
    _, mask = fill_missing(words, mask, jnp.zeros(words.shape[-1], words.dtype))  # without text the "no text" vector attends
    return masked_mean(weights, mask)


def _apply_and_collect(
    head: nn.Module, params: Params, inputs: HeadInputs, collections: list[str], dropout_key: PRNGKeyArray | None
) -> tuple[Float[Array, "b g"], dict[str, Any]]:
    """Return logits and the given collections that the head wrote; a dropout key selects the training mode."""
    options = {} if dropout_key is None else {"train": True, "rngs": {"dropout": dropout_key}}
    return cast(Any, head.apply(_variables(params), inputs, mutable=collections, **options))


def _dummy_inputs(image_width: int, text_width: int) -> HeadInputs:
    """Return pooled features of one poster; parameters do not depend on the number of tokens."""
    return HeadInputs(
        *(jnp.zeros((1, image_width), jnp.float32), jnp.ones(1, bool)),
        *(jnp.zeros((1, text_width), jnp.float32), jnp.ones(1, bool)),
    )


def check_logits(head: nn.Module, name: str, *, labels: int, image_width: int, text_width: int) -> None:
    """Raise InputError unless a head returns one logit per label.

    Args:
      head: the head, under its `name` in the config.
      name: value of model.name.
      labels: number of labels, g.
      image_width: width of the image features.
      text_width: width of the text features.
    """
    inputs = jax.eval_shape(lambda: _dummy_inputs(image_width, text_width))
    with jax.enable_x64(False):
        logits, _ = jax.eval_shape(head.init_with_output, jax.random.key(0), inputs)
    shape = getattr(logits, "shape", None)
    if shape != (1, labels):
        raise InputError(
            f"model.name={name!r} returns logits of the shape {shape} for one poster and {labels} labels; they must be "
            f"(1, {labels}). Give the head a field `labels: int`, which is set to the number of labels, and end in "
            "nn.Dense(self.labels)."
        )


def _init_head(head: nn.Module, key: PRNGKeyArray, *, image_width: int, text_width: int) -> Params:
    """Return {"head": parameters}, and "statistics" for a head with batch norms."""
    with jax.enable_x64(False):  # initializers use the default type for their constants
        variables = head.init(key, _dummy_inputs(image_width, text_width))
    params = {"head": dict(variables["params"])}
    return params | {"statistics": dict(variables["batch_stats"])} if "batch_stats" in variables else params


def _head_groups(head: nn.Module, params: Params, *, image_width: int, text_width: int, level: str) -> Params:
    """Return the optimizer group per leaf: "head", "unread" for parameters without effect, "frozen" for batch statistics."""
    tokens = choose("features.level", level, {"pooled": (), "tokens": (2,)})
    shapes = {
        "image": jax.ShapeDtypeStruct((1, *tokens, image_width), jnp.float32),
        "image_mask": jax.ShapeDtypeStruct((1, *tokens), bool),
        "text": jax.ShapeDtypeStruct((1, *tokens, text_width), jnp.float32),
        "text_mask": jax.ShapeDtypeStruct((1, *tokens), bool),
    }
    unread: set[tuple[str, ...]] = set()

    def note(call: Callable[..., Any], args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
        if isinstance(context.module, MultiHeadAttention) and has_one_key(args[1]):
            unread.update((*context.module.path, name) for name in ("query", "key"))
        return call(*args, **kwargs)

    with nn.intercept_methods(note):
        jax.eval_shape(lambda params, inputs: _apply_head(head, params, HeadInputs(**inputs)), params, shapes)

    def group(path: tuple[Any, ...], _: Any) -> str:
        return "unread" if tuple(key.key for key in path[:-1]) in unread else "head"

    groups = {"head": jax.tree_util.tree_map_with_path(group, params["head"])}
    return groups | {"statistics": jax.tree.map(lambda _: "frozen", params["statistics"])} if "statistics" in params else groups


def on_features(head: nn.Module, *, image_width: int, text_width: int, level: str) -> Classifier:
    """Return a head on cached features: batch "image", "image_mask", "text", "text_mask" as in `HeadInputs`, of `level`."""

    def inputs_of(batch: Batch, real: Bool[Array, " b"] | None = None) -> HeadInputs:
        image, text = (jnp.asarray(batch[name], jnp.float32) for name in ("image", "text"))
        image_mask, text_mask = (jnp.asarray(batch[name]) for name in ("image_mask", "text_mask"))
        return HeadInputs(image, image_mask, text, text_mask, real)

    return Classifier(
        init=lambda key: _init_head(head, key, image_width=image_width, text_width=text_width),
        forward=lambda params, batch: _apply_head(head, params, inputs_of(batch)),
        train_forward=lambda params, batch, real, key: _train_forward_head(head, params, inputs_of(batch, real), key),
        gates=lambda params, batch: _head_gates(head, params, inputs_of(batch)),
        attention=lambda params, batch: _word_attention(head, params, inputs_of(batch)),
        groups=lambda params: _head_groups(head, params, image_width=image_width, text_width=text_width, level=level),
    )


@dataclasses.dataclass(frozen=True)
class FineTuning:
    """Hold how encoders in the model train.

    Attributes:
      which: parameters that train: "none", "last_n" or "all", see `encoders.finetune.trainable`.
      towers: towers that train, of "image" and "text".
      layers: number of last layers that train with "last_n".
      augment_shift: in training, images are mirrored and shifted by up to this number of pixels; 0: neither.
      augment_drop_tokens: share of the tokens of the text that is hidden in training.

    Raises:
      InputError: `towers` names an unknown tower.
    """

    which: str = "none"
    towers: tuple[str, ...] = ()
    layers: int = 0
    augment_shift: int = 0
    augment_drop_tokens: float = 0.0

    def __post_init__(self) -> None:
        unknown = set(self.towers) - {"image", "text"}
        if unknown:
            raise unwired("train.fine_tune_towers", min(unknown), "image", "text")


def on_posters(
    head: nn.Module,
    image_tower: ImageTower,
    text_tower: TextTower,
    *,
    level: str,
    image_grid: int,
    rounded_to: str = "float32",
    tuning: FineTuning = FineTuning(),  # frozen
) -> Classifier:
    """Return a head on encoders that are part of the model, frozen or fine-tuned.

    The batch holds "images" uint8 [b, s, s, 3], "input_ids" and "attention_mask" int32 [b, c, l], and "use_text" bool [b]:
    False hides the text from the head. `rounded_to` rounds features to the dtype of the feature store, so that a head trained
    on cached features gets the same values.
    """

    def inputs_of(params: Params, batch: Batch, real: jax.Array | None = None) -> HeadInputs:
        image = encode_images(image_tower, params["image"], batch["images"], level=level, image_grid=image_grid)
        text = text_tower.forward(params["text"], batch["input_ids"], batch["attention_mask"], level=level)
        use = batch["use_text"].reshape(-1, *[1] * (text.mask.ndim - 1))
        image_values, text_values = (values.astype(rounded_to).astype(jnp.float32) for values in (image.values, text.values))
        return HeadInputs(image_values, image.mask, text_values, text.mask & use, real)

    def train_forward(params: Params, batch: Batch, real: jax.Array, key: jax.Array) -> TrainOutputs:
        images, tokens = batch["images"], batch["attention_mask"]
        if tuning.augment_shift:
            images = flip_and_shift(jax.random.fold_in(key, 1), images, shift=tuning.augment_shift)
        if tuning.augment_drop_tokens:
            tokens = drop_tokens(jax.random.fold_in(key, 2), tokens, share=tuning.augment_drop_tokens)
        changed = {**batch, "images": images, "attention_mask": tokens}
        return _train_forward_head(head, params, inputs_of(params, changed, real), key)

    def init(key: jax.Array) -> Params:
        head_params = _init_head(head, key, image_width=image_tower.width, text_width=text_tower.width)
        # Copies: the training step donates its buffers, and the tower must keep its own.
        towers = jax.tree.map(jnp.array, {"image": image_tower.params, "text": text_tower.params})
        return {**head_params, **towers}

    def groups(params: Params) -> Any:
        def of_tower(name: str) -> Any:
            which = tuning.which if name in tuning.towers else "none"
            trained = trainable(params[name], which=which, last_n=tuning.layers)
            return jax.tree.map(lambda yes: "encoder" if yes else "frozen", trained)

        widths = {"image_width": image_tower.width, "text_width": text_tower.width}
        return {**_head_groups(head, params, **widths, level=level), "image": of_tower("image"), "text": of_tower("text")}

    return Classifier(
        init=init,
        forward=lambda params, batch: _apply_head(head, params, inputs_of(params, batch)),
        train_forward=train_forward,
        gates=lambda params, batch: _head_gates(head, params, inputs_of(params, batch)),
        attention=lambda params, batch: _word_attention(head, params, inputs_of(params, batch)),
        groups=groups,
    )
