"""Our BERT tower against transformers' BertModel in PyTorch, on the same random weights."""

import importlib.util
import json
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest
from load_checkpoint import load_text

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="parity with PyTorch needs torch (CPU is enough)"
)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    program = pathlib.Path(__file__).parents[1] / "helpers" / "pytorch_encoders.py"
    subprocess.run([sys.executable, str(program), "bert", str(folder), "{}"], check=True, capture_output=True)
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(95))]
    (folder / "vocab.txt").write_text("\n".join(vocab))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"}))
    return load_text(folder), dict(np.load(folder / "outputs.npz"))


@pytest.mark.parametrize("level", ["pooled", "tokens"])
def test_text_tower(reference, level, record_property):
    tower, outputs = reference
    ids, mask = outputs["ids"].astype(np.int32)[:, None], outputs["mask"].astype(np.int32)[:, None]
    found = jax.jit(tower.forward, static_argnames="level")(tower.params, ids, mask, level=level)
    real = np.asarray(found.mask)
    largest = float(np.abs(np.asarray(found.values)[real] - outputs[level][real]).max())
    record_property("largest_difference", largest)
    print(f"largest difference {largest:.2e}")
    assert largest < 2e-5
