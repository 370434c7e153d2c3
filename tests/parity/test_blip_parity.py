"""Our BLIP towers against transformers' two BLIP classes in PyTorch, on the same random weights.

Run as a program with USE_TORCH=1, this file is the PyTorch side (the package keeps PyTorch out of its own process):
    python test_blip_parity.py FOLDER
"""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="parity with PyTorch needs torch (CPU is enough)"
)

LAYOUTS = ("BlipModel", "BlipForImageTextRetrieval")
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
# The real ones, and values under which a constant written into our code would show.
OPTIONS = {
    "as released": {"vision": {"hidden_act": "gelu", "layer_norm_eps": 1e-5}, "text": {"hidden_act": "gelu"}},
    "other": {
        "vision": {"hidden_act": "quick_gelu", "layer_norm_eps": 0.05},
        "text": {"hidden_act": "gelu_new", "layer_norm_eps": 0.02, "is_decoder": False},
    },
}


@pytest.fixture(scope="module")
def references(tmp_path_factory):
    folder = tmp_path_factory.mktemp("blip")
    command = [sys.executable, __file__, str(folder)]
    subprocess.run(command, check=True, capture_output=True, env=os.environ | {"USE_TORCH": "1"})
    return folder


@pytest.fixture(scope="module", params=[(layout, name) for layout in LAYOUTS for name in OPTIONS], ids=" ".join)
def reference(request, references):
    from load_checkpoint import load_pair  # here, as this file is a program too

    layout, name = request.param
    folder = references / layout / name
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(95))]
    (folder / "vocab.txt").write_text("\n".join(vocab))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"}))
    (folder / "preprocessor_config.json").write_text(json.dumps({"size": {"height": 64, "width": 64}}))
    towers = load_pair(folder)
    assert towers[0].passport["layout"] == towers[1].passport["layout"] == layout
    return towers, dict(np.load(folder / "outputs.npz"))


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
    assert difference(found, outputs[f"image_{level}"], record_property) < 1e-5


@pytest.mark.parametrize("level", ["pooled", "tokens"])
def test_text_tower(reference, level, record_property):
    (_, text), outputs = reference
    ids, mask = outputs["ids"].astype(np.int32), outputs["mask"].astype(np.int32)
    found = run(text, ids[:, None], mask[:, None], level=level)
    real = found.mask
    np.testing.assert_array_equal(real, mask.astype(bool) if level == "tokens" else np.ones(5, bool))
    assert difference(found.values[real], outputs[f"text_{level}"][real], record_property) < 1e-5


def test_cosines_are_what_the_whole_model_says(reference, record_property):
    (image, text), outputs = reference
    seen = run(image, outputs["images"], level="pooled").values
    read = run(text, outputs["ids"].astype(np.int32)[:, None], outputs["mask"].astype(np.int32)[:, None], level="pooled").values
    seen, read = (values / np.linalg.norm(values, axis=1, keepdims=True) for values in (seen, read))
    assert difference(seen @ read.T, outputs["cosines"], record_property) < 1e-5


def write_reference(layout, folder, options):
    """Saves a random model with its features; every parameter is drawn, so that no bias is 0 and no scale 1."""
    import torch
    import transformers

    size = {"num_hidden_layers": 4, "num_attention_heads": 4}
    vision = {**size, "hidden_size": 64, "intermediate_size": 256, "image_size": 64, "patch_size": 16}
    words = {"vocab_size": 102, "max_position_embeddings": 40}
    text = {**size, **words, "hidden_size": 96, "intermediate_size": 384}
    config = transformers.BlipConfig(
        projection_dim=48,
        image_text_hidden_size=40,
        vision_config=vision | options["vision"],
        text_config=text | options["text"],
    )
    torch.manual_seed(0)
    model = getattr(transformers, layout)(config).eval()
    for name, parameter in model.named_parameters():
        scale = "norm" in name.lower() and name.endswith("weight")
        torch.nn.init.normal_(parameter, mean=float(scale), std=0.1)
    model.save_pretrained(folder)

    random = np.random.default_rng(0)
    images = random.integers(0, 256, (4, 64, 64, 3), np.uint8)
    ids, mask = np.zeros((5, 40), np.int64), np.zeros((5, 40), np.int64)
    for row, length in enumerate((0, 1, 7, 35, 38)):
        ids[row, : length + 2] = [2, *random.integers(5, 90, length), 3]
        mask[row, : length + 2] = 1
    pixels = torch.tensor((images / 255 - MEAN) / STD, dtype=torch.float32).permute(0, 3, 1, 2)
    inputs = {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}
    outputs = {"images": images, "ids": ids, "mask": mask}
    with torch.no_grad():
        seen = model.vision_model(pixel_values=pixels).last_hidden_state
        if layout == "BlipModel":
            read = model.text_model(**inputs).last_hidden_state
            pooler = model.text_model.pooler
            outputs["image_pooled"] = model.get_image_features(pixel_values=pixels)
            outputs["image_tokens"] = model.visual_projection(model.vision_model.post_layernorm(seen))
            outputs["text_pooled"] = model.get_text_features(**inputs)
            outputs["text_tokens"] = model.text_projection(pooler.activation(pooler.dense(read)))
            scaled = model(pixel_values=pixels, **inputs).logits_per_image
            outputs["cosines"] = scaled / model.logit_scale.exp()
        else:
            outputs["image_tokens"] = model.vision_proj(seen)
            outputs["text_tokens"] = model.text_proj(model.text_encoder(**inputs).last_hidden_state)
            outputs["image_pooled"] = outputs["image_tokens"][:, 0]
            outputs["text_pooled"] = outputs["text_tokens"][:, 0]
            outputs["cosines"] = model(pixel_values=pixels, use_itm_head=False, **inputs).itm_score
    np.savez(folder / "outputs.npz", **{name: np.asarray(array) for name, array in outputs.items()})


if __name__ == "__main__":
    for layout in LAYOUTS:
        for name, options in OPTIONS.items():
            write_reference(layout, pathlib.Path(sys.argv[1]) / layout / name, options)
