"""Load a BERT sentence encoder as text tower, on transformers' FlaxBertModel.

Pooling is the mean over a text's tokens, special tokens included, as in sentence-transformers.
Reference: Reimers and Gurevych, Sentence-BERT, EMNLP 2019, section 3.
"""

import logging
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int32
from transformers import BertConfig, FlaxBertModel

from posterfusion_jax.config.choices import LEVELS
from posterfusion_jax.encoders.checkpoint_files import CheckpointFiles
from posterfusion_jax.encoders.hf_compat import DTYPES, default_promotion
from posterfusion_jax.encoders.options import EncoderOptions
from posterfusion_jax.encoders.tokenizer import load_tokenizer
from posterfusion_jax.encoders.tower import Level, TextTower
from posterfusion_jax.encoders.transformer_towers import TextModel, make_text_tower
from posterfusion_jax.encoders.weights import Weights, load_params, make_weights
from posterfusion_jax.errors import InputError
from posterfusion_jax.utils.choose import choose

_POOLING = "1_Pooling/config.json"  # of sentence-transformers
_log = logging.getLogger(__name__)


def load_bert(place: CheckpointFiles, options: EncoderOptions) -> TextTower:
    """Load a BERT encoder, such as sentence-transformers/all-MiniLM-L6-v2.

    At level "tokens" the features are the last hidden states; at level "pooled" their mean over the tokens. They are not scaled
    to length 1, as MiniLM's own pipeline does at its end, because the model on top normalizes features itself.

    Args:
      place: of the checkpoint.
      options: of the config's section `encoders`; `max_text_tokens` None is 128, which holds nearly every poster's text.

    Raises:
      InputError: weights missing, or `max_text_tokens` out of range.
    """
    _check_pooling(place)
    config = BertConfig.from_pretrained(place.folder, local_files_only=True)
    length = options.limit_tokens(default=128, longest=config.max_position_embeddings, name=place.name)
    module = FlaxBertModel.module_class(config=config, dtype=DTYPES[options.dtype], add_pooling_layer=False)

    def encode(
        params: dict[str, Any], ids: Int32[Array, "n t"], present: Int32[Array, "n t"], level: Level
    ) -> tuple[Float[Array, "n *l d"], Bool[Array, " n *l"]]:
        positions = jnp.broadcast_to(jnp.arange(ids.shape[1], dtype=jnp.int32), ids.shape)
        with default_promotion():
            output = module.apply({"params": params}, ids, present, jnp.zeros_like(ids), positions, None)
        tokens, mask = output.last_hidden_state.astype(jnp.float32), present > 0
        if choose("features.level", level, LEVELS):
            return tokens, mask
        counts = jnp.maximum(mask.sum(axis=1, keepdims=True, dtype=jnp.int32), 1).astype(jnp.float32)
        return jnp.einsum("nld,nl->nd", tokens, mask.astype(jnp.float32)) / counts, mask.any(axis=1)

    model = TextModel(
        family="bert",
        name=place.name,
        width=config.hidden_size,
        max_tokens=length,
        config=config,
        weights=_load_weights(place, module),
        tokenizer=load_tokenizer(place.folder, field=place.field),
        encode=encode,
        passport={"pooling": "mean", "unit_length": False},
    )
    return make_text_tower(model, options)


def _load_weights(place: CheckpointFiles, module: Any) -> Weights:
    ids = jax.ShapeDtypeStruct((1, 3), jnp.int32)
    with default_promotion():
        shapes = jax.eval_shape(lambda *ids: module.init(jax.random.key(0), *ids, None), ids, ids, ids, ids)["params"]
    params, missing = load_params(place, shapes, prefix="bert")
    if missing:
        raise InputError(f"{place.field}: {place.folder} lacks {len(missing)} weight arrays, such as {'/'.join(missing[0])}")
    return make_weights(params, source=place.label, revision=place.revision)


def _check_pooling(place: CheckpointFiles) -> None:
    """Warn if a folder of sentence-transformers asks for another pooling than the mean over the tokens."""
    if not (place.folder / _POOLING).is_file():
        return
    modes = [name for name, used in place.read_json(_POOLING).items() if name.startswith("pooling_mode_") and used is True]
    if modes and modes != ["pooling_mode_mean_tokens"]:
        _log.warning("%s pools by %s (%s); here it is the mean over tokens", place.name, ", ".join(modes), _POOLING)
