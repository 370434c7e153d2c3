"""A tiny random BLIP in the files and names that the real checkpoints have."""

import functools
import json
import pathlib
import types

import jax.numpy as jnp
from safetensors.numpy import save_file
from tiny_checkpoints import lively_params, pytorch_layout

from posterfusion_jax.encoders.blip_modules import BlipModule  # first, because the package keeps torch out of transformers

# isort: split
from transformers import BlipConfig

MEAN, STD = [0.5, 0.4, 0.3], [0.2, 0.3, 0.4]
MARKS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCAB = [*MARKS, *"abcdefghijklmnopqrstuvwxyz", *(f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")]
RENAMED = {"text_model": "text_encoder", "visual_projection": "vision_proj", "text_projection": "text_proj"}


def blip_config(**text):
    depth = {"num_hidden_layers": 2, "intermediate_size": 64}
    vision = {"hidden_size": 32, "num_attention_heads": 2, "image_size": 32, "patch_size": 8, "layer_norm_eps": 1e-2}
    words = {"hidden_size": 48, "num_attention_heads": 3, "vocab_size": len(VOCAB) + 2, "max_position_embeddings": 24}
    return {
        "model_type": "blip",
        "projection_dim": 24,
        "image_text_hidden_size": 20,
        "vision_config": {**depth, **vision, "hidden_act": "quick_gelu"},
        "text_config": {**depth, **words, "hidden_act": "gelu", "layer_norm_eps": 1e-3, "is_decoder": True, **text},
    }


@functools.cache
def blip_params(layout):
    module = BlipModule(BlipConfig(**blip_config()), layout, jnp.float32)
    ids = jnp.zeros((1, 3), jnp.int32)
    params = {}
    for method, *inputs in ((BlipModule.image_features, jnp.zeros((1, 32, 32, 3))), (BlipModule.text_features, ids, ids)):
        init = functools.partial(module.init, level="pooled", method=method)
        params |= lively_params(types.SimpleNamespace(init=init), *inputs)
    return params


def write_blip(folder: pathlib.Path, *, layout="BlipModel", drop=(), shards=1, tokenizer=(), text=(), **raw):
    """`drop`: starts of the names of arrays to leave out."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(blip_config(**dict(text)) | raw))
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"size": {"height": 32, "width": 32}, "image_mean": MEAN, "image_std": STD})
    )
    (folder / "vocab.txt").write_text("\n".join(VOCAB))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True} | dict(tokenizer))
    )
    names = RENAMED if layout == "BlipForImageTextRetrieval" else {}
    arrays = pytorch_layout({names.get(part, part): leaves for part, leaves in blip_params(layout).items()})
    arrays = {name: array for name, array in arrays.items() if not name.startswith(tuple(drop))}
    if shards == 1:
        save_file(arrays, folder / "model.safetensors", {"format": "pt"})
        return folder
    weight_map = {name: f"model-{i % shards + 1:05}-of-{shards:05}.safetensors" for i, name in enumerate(arrays)}
    for file in set(weight_map.values()):
        save_file({name: array for name, array in arrays.items() if weight_map[name] == file}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return folder
