"""A classifier is parameters and a pure function from a batch to logits; both ways of training look alike through it.

With frozen encoders the batch holds their cached features and only the head has parameters. With live encoders the batch
holds pixels and token ids, and the encoders' parameters stand beside the head's.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from posterfusion_jax.encoders.augment import drop_tokens, flip_and_shift
from posterfusion_jax.encoders.finetune import trainable
from posterfusion_jax.encoders.tower import ImageTower, TextTower
from posterfusion_jax.features.extract import encode_images
from posterfusion_jax.models.inputs import HeadInputs

Params = dict[str, Any]
Batch = dict[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class Classifier:
    """Parameters and forward function of a whole model.

    Attributes:
      init: (key) -> params {"head": ..., and with live encoders "image": ..., "text": ...}.
      forward: (params, batch, *, dropout_key=None) -> logits float32 [b, 13]. Pure; without a key nothing is dropped.
      groups: (params) -> the same tree with "head", "encoder" or "frozen" at each leaf, for the optimiser.
    """

    init: Callable[[jax.Array], Params]
    forward: Callable[..., jax.Array]
    groups: Callable[[Params], Any]


def _apply_head(head: nn.Module, params: Params, inputs: HeadInputs, dropout_key: jax.Array | None) -> jax.Array:
    options = {} if dropout_key is None else {"train": True, "rngs": {"dropout": dropout_key}}
    logits = head.apply({"params": params}, inputs, **options)
    assert isinstance(logits, jax.Array)
    return logits


def _init_head(head: nn.Module, key: jax.Array, *, image_width: int, text_width: int) -> Params:
    dummy = HeadInputs(
        jnp.zeros((1, image_width)), jnp.ones(1, bool), jnp.zeros((1, text_width)), jnp.ones(1, bool)
    )  # parameters do not depend on the number of tokens
    return dict(head.init(key, dummy)["params"])


def on_features(head: nn.Module, *, image_width: int, text_width: int) -> Classifier:
    """A head on cached features: batch "image", "image_mask", "text", "text_mask" as in `HeadInputs`."""

    def forward(params: Params, batch: Batch, *, dropout_key: jax.Array | None = None) -> jax.Array:
        inputs = HeadInputs(
            batch["image"].astype(jnp.float32), batch["image_mask"], batch["text"].astype(jnp.float32), batch["text_mask"]
        )
        return _apply_head(head, params["head"], inputs, dropout_key)

    return Classifier(
        init=lambda key: {"head": _init_head(head, key, image_width=image_width, text_width=text_width)},
        forward=forward,
        groups=lambda params: jax.tree.map(lambda _: "head", params),
    )


def on_posters(
    head: nn.Module,
    image_tower: ImageTower,
    text_tower: TextTower,
    *,
    level: str,
    image_grid: int,
    fine_tune: str = "none",
    fine_tune_towers: tuple[str, ...] = (),
    fine_tune_layers: int = 0,
    augment_shift: int = 0,
    augment_drop_tokens: float = 0.0,
    rounded_to: str = "float32",
) -> Classifier:
    """A head on live encoders.

    The batch holds "images" uint8 [b, s, s, 3], "input_ids" and "attention_mask" int32 [b, c, l], and "use_text" bool [b]:
    False hides the text from the head, as a poster without text. In training, pictures are mirrored and shifted if
    `augment_shift` (pixels) is not 0, and the share `augment_drop_tokens` of the text's tokens is hidden. `rounded_to` rounds
    features as a store of that dtype does, so that a head trained on cached features sees what it was trained on.
    """

    def forward(params: Params, batch: Batch, *, dropout_key: jax.Array | None = None) -> jax.Array:
        images = batch["images"]
        if augment_shift and dropout_key is not None:
            images = flip_and_shift(jax.random.fold_in(dropout_key, 1), images, shift=augment_shift)
        tokens = batch["attention_mask"]
        if augment_drop_tokens and dropout_key is not None:
            tokens = drop_tokens(jax.random.fold_in(dropout_key, 2), tokens, share=augment_drop_tokens)
        image = encode_images(image_tower, params["image"], images, level=level, image_grid=image_grid)
        text = text_tower.forward(params["text"], batch["input_ids"], tokens, level=level)
        use = batch["use_text"].reshape(-1, *[1] * (text.mask.ndim - 1))
        image_values, text_values = (values.astype(rounded_to).astype(jnp.float32) for values in (image.values, text.values))
        inputs = HeadInputs(image_values, image.mask, text_values, text.mask & use)
        return _apply_head(head, params["head"], inputs, dropout_key)

    def init(key: jax.Array) -> Params:
        head_params = _init_head(head, key, image_width=image_tower.width, text_width=text_tower.width)
        # Copies: the training step gives its buffers away, and the tower must keep its own.
        towers = jax.tree.map(jnp.array, {"image": image_tower.params, "text": text_tower.params})
        return {"head": head_params, **towers}

    def groups(params: Params) -> Any:
        def of_tower(name: str) -> Any:
            which = fine_tune if name in fine_tune_towers else "none"
            trained = trainable(params[name], which=which, last_n=fine_tune_layers)
            return jax.tree.map(lambda yes: "encoder" if yes else "frozen", trained)

        return {
            "head": jax.tree.map(lambda _: "head", params["head"]),
            "image": of_tower("image"),
            "text": of_tower("text"),
        }

    return Classifier(init, forward, groups)
