"""Our CLIP towers against transformers' CLIPModel in PyTorch, on the same random weights."""

import importlib.util
import json
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest
from load_checkpoint import load_pair

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="parity with PyTorch needs torch (CPU is enough)"
)


@pytest.fixture(scope="module", params=[(2, "quick_gelu"), (513, "gelu")], ids=["openai", "other"])
def reference(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    options = {"eos_token_id": request.param[0], "hidden_act": request.param[1]}
    program = pathlib.Path(__file__).parents[1] / "helpers" / "pytorch_encoders.py"
    subprocess.run([sys.executable, str(program), "clip", str(folder), json.dumps(options)], check=True, capture_output=True)
    vocab = [*(f"w{i}" for i in range(512)), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(vocab)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "CLIPTokenizer"}))
    (folder / "preprocessor_config.json").write_text(json.dumps({"crop_size": 64}))
    return load_pair(folder), dict(np.load(folder / "outputs.npz"))


def run(tower, *inputs, level):
    return jax.tree.map(np.asarray, jax.jit(tower.forward, static_argnames="level")(tower.params, *inputs, level=level))


def difference(found, expected, record_property):
    largest = float(np.abs(found - expected).max())
    record_property("largest_difference", largest)
    print(f"largest difference {largest:.2e}, features up to {np.abs(expected).max():.2f}")
    return largest


@pytest.mark.parametrize("level", ["pooled", "tokens"])
def test_image_tower(reference, level, record_property):
    (image, _), outputs = reference
    found = run(image, outputs["images"], level=level).values
    assert difference(found, outputs[f"image_{level}"], record_property) < 2e-5


@pytest.mark.parametrize("level", ["pooled", "tokens"])
def test_text_tower(reference, level, record_property):
    (_, text), outputs = reference
    ids, mask = outputs["ids"].astype(np.int32), outputs["mask"].astype(np.int32)
    found = run(text, ids[:, None], mask[:, None], level=level)
    real = found.mask
    np.testing.assert_array_equal(real, mask.astype(bool) if level == "tokens" else np.ones(5, bool))
    assert difference(found.values[real], outputs[f"text_{level}"][real], record_property) < 2e-5
