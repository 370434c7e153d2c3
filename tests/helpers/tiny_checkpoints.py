"""Tiny random checkpoints in the files and names that the real ones have."""

import functools
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from flax import serialization, traverse_util
from safetensors.numpy import save_file

from posterfusion_jax.encoders.hf_compat import default_promotion  # first, because the package keeps torch out of transformers

# isort: split
from transformers import BertConfig, CLIPConfig, FlaxBertModel, FlaxCLIPModel

END = 513  # of the tiny CLIP tokenizer


def pytorch_layout(params):
    """The same arrays as PyTorch names and lays them out."""
    out = {}
    for path, array in traverse_util.flatten_dict(params).items():
        array = np.asarray(array)
        if path[-1] == "kernel":
            array = array.transpose((3, 2, 0, 1) if array.ndim == 4 else (1, 0))
        last = "weight" if path[-1] in ("kernel", "scale", "embedding") else path[-1]
        out[".".join((*path[:-1], last))] = array.copy()
    return out


def write_weights(folder, params, *, form):
    if form == "msgpack":
        (folder / "flax_model.msgpack").write_bytes(serialization.msgpack_serialize(params))
    else:
        save_file(pytorch_layout(params), folder / "model.safetensors", {"format": "pt"})


def lively_params(module, *inputs):
    """Weights far from the usual small initial ones, under which a wrong layer would go unnoticed."""
    random = np.random.default_rng(0)
    with default_promotion():
        shapes = jax.eval_shape(module.init, jax.random.key(0), *inputs)["params"]
    flat = {
        path: random.normal(float(path[-1] == "scale"), 0.2, leaf.shape).astype(np.float32)
        for path, leaf in sorted(traverse_util.flatten_dict(shapes).items())
    }
    return traverse_util.unflatten_dict(flat)


def clip_config(*, eos_token_id=2, hidden_act="quick_gelu"):
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {"vocab_size": END + 1, "max_position_embeddings": 20, "eos_token_id": eos_token_id}
    return {
        "model_type": "clip",
        "projection_dim": 24,
        "vision_config": {**size, "image_size": 32, "patch_size": 8, "hidden_act": hidden_act},
        "text_config": {**size, **text, "hidden_act": hidden_act},
    }


@functools.cache
def clip_params():
    module = FlaxCLIPModel.module_class(CLIPConfig(**clip_config()))
    ids = jnp.zeros((1, 3), jnp.int32)
    return lively_params(module, ids, jnp.zeros((1, 32, 32, 3)), ids, ids)


def write_clip_tokenizer(folder):
    """CLIP's files, with an alphabet and no merges."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(b) for b in printable] + [chr(256 + i) for i in range(256 - len(printable))]
    vocab = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    assert vocab.index("<|endoftext|>") == END
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(vocab)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    marks = {"bos_token": "<|startoftext|>"} | dict.fromkeys(("eos_token", "unk_token", "pad_token"), "<|endoftext|>")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "CLIPTokenizer", **marks}))


def write_clip(folder: pathlib.Path, *, form="pytorch", drop=(), eos_token_id=2, hidden_act="quick_gelu", **raw):
    folder.mkdir(parents=True, exist_ok=True)
    config = clip_config(eos_token_id=eos_token_id, hidden_act=hidden_act)
    (folder / "config.json").write_text(json.dumps(config | raw))
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"crop_size": {"height": 32, "width": 32}, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]})
    )
    write_clip_tokenizer(folder)
    write_weights(folder, {part: arrays for part, arrays in clip_params().items() if part not in drop}, form=form)
    return folder


def write_bert(folder: pathlib.Path):
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz"]
    vocab += [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    (folder / "vocab.txt").write_text("\n".join(vocab))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True}))
    config = BertConfig(
        vocab_size=len(vocab),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=2,
        max_position_embeddings=24,
    )
    config.save_pretrained(folder)
    ids = jnp.zeros((1, 3), jnp.int32)
    params = lively_params(FlaxBertModel.module_class(config, add_pooling_layer=False), ids, ids, ids, ids, None)
    write_weights(folder, params, form="pytorch")
    return folder
