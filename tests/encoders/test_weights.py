import json
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.flax import save_file as save_flax
from safetensors.numpy import save_file

from posterfusion_jax.encoders.checkpoint_files import resolve_checkpoint
from posterfusion_jax.encoders.weights import hash_params, load_params
from posterfusion_jax.errors import InputError


def shapes(**leaves):
    return {name: types.SimpleNamespace(shape=shape) for name, shape in leaves.items()}


def place(folder):
    return resolve_checkpoint(str(folder), field="encoders.image")


def numbers(*shape):
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def test_pytorch_names_and_layouts(tmp_path):
    dense, conv, table = numbers(5, 3), numbers(4, 3, 2, 2), numbers(7, 3)
    arrays = {"a.dense.weight": dense, "a.conv.weight": conv, "a.table.weight": table, "a.norm.weight": numbers(3)}
    save_file(
        arrays | {"a.norm.bias": numbers(3), "a.vector": numbers(2), "other.bias": numbers(2)}, tmp_path / "model.safetensors"
    )
    wanted = {
        "a": {
            "dense": shapes(kernel=(3, 5)),
            "conv": shapes(kernel=(2, 2, 3, 4)),
            "table": shapes(embedding=(7, 3)),
            "norm": shapes(scale=(3,), bias=(3,)),
            **shapes(vector=(2,)),
        }
    }
    params, missing = load_params(place(tmp_path), wanted)
    assert missing == []
    np.testing.assert_array_equal(params["a"]["dense"]["kernel"], dense.T)
    np.testing.assert_array_equal(params["a"]["conv"]["kernel"][1, 0, 2, 3], conv[3, 2, 1, 0])
    np.testing.assert_array_equal(params["a"]["table"]["embedding"], table)
    assert set(params["a"]) == {"dense", "conv", "table", "norm", "vector"}


def test_half_precision_becomes_float32(tmp_path):
    save_flax({"a.kernel": jnp.ones((2, 2), jnp.bfloat16) / 3}, tmp_path / "model.safetensors")
    params, _ = load_params(place(tmp_path), {"a": shapes(kernel=(2, 2))})
    assert params["a"]["kernel"].dtype == np.float32
    assert params["a"]["kernel"][0, 0] == pytest.approx(1 / 3, rel=1e-2)


def test_shards(tmp_path):
    for number, name in enumerate("ab", start=1):
        save_file({f"{name}.bias": numbers(number)}, tmp_path / f"model-0000{number}-of-00002.safetensors")
    files = {f"{name}.bias": f"model-0000{number}-of-00002.safetensors" for number, name in enumerate("ab", start=1)}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))
    params, missing = load_params(place(tmp_path), {"a": shapes(bias=(1,)), "b": shapes(bias=(2,)), "c": shapes(bias=(3,))})
    assert set(params) == {"a", "b"}
    assert missing == [("c", "bias")]


def test_hash_sees_names_shapes_and_values():
    tree = {"a": {"kernel": numbers(2, 3)}, "b": {"bias": numbers(2)}}
    same = {"b": {"bias": jnp.asarray(numbers(2))}, "a": {"kernel": numbers(3, 2).reshape(2, 3)}}
    assert hash_params(tree) == hash_params(same)
    changed = [
        {"a": {"kernel": numbers(3, 2)}, "b": tree["b"]},
        {"a": {"kernel": numbers(2, 3) + 1}, "b": tree["b"]},
        {"a": tree["a"], "c": tree["b"]},
    ]
    assert len({hash_params(tree), *map(hash_params, changed)}) == 4
    assert hash_params(tree) == hash_params({"a": {"kernel": np.asfortranarray(numbers(2, 3))}, "b": tree["b"]})


def test_unusable_files(tmp_path):
    wanted = {"a": shapes(bias=(2,))}
    with pytest.raises(InputError, match=r"encoders\.image: .* has no weights; needed: model\.safetensors or"):
        load_params(place(tmp_path), wanted)
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(InputError, match=r"pytorch_model\.bin is a Python pickle, which is never loaded: convert it"):
        load_params(place(tmp_path), wanted)
    for name, content in (
        ("flax_model.msgpack", b"\x81"),
        ("model.safetensors.index.json", b'{"weight_map": {"a.bias": "model-1.safetensors"}}'),
        ("model.safetensors", b"truncated"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name} (cannot be read|names model-1.safetensors, which is not there)"):
            load_params(place(tmp_path), wanted)
    save_file({"a.bias": numbers(3)}, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match=r"a\.bias in .* has shape \(3,\), config\.json asks for \(2,\)"):
        load_params(place(tmp_path), wanted)
    assert jax.tree.leaves(load_params(place(tmp_path), {"a": shapes(bias=(3,))})[0])[0].shape == (3,)
