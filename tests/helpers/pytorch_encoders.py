"""Random CLIP or BERT models of transformers in PyTorch, saved as a checkpoint folder beside their outputs.

Run as a program of its own, because this project keeps PyTorch out of transformers in its own process:
    python pytorch_encoders.py clip|bert FOLDER '{"eos_token_id": 2, ...}'
"""

import json
import os
import pathlib
import sys

os.environ["USE_TORCH"] = "1"

import numpy as np
import torch
from transformers import BertConfig, BertModel, CLIPConfig, CLIPModel


def ids_and_mask(length, *, begin, end, pad):
    random = np.random.default_rng(1)
    ids, mask = np.full((5, length), pad), np.zeros((5, length), np.int64)
    for row, words in enumerate((0, 1, 7, length - 5, length - 2)):
        ids[row, : words + 2] = [begin, *random.integers(5, 90, words), end]
        mask[row, : words + 2] = 1
    return ids, mask


def clip(folder, *, eos_token_id, hidden_act):
    size = {"hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 6, "num_attention_heads": 4}
    vision = {**size, "image_size": 64, "patch_size": 16, "hidden_act": hidden_act}
    text = {**size, "vocab_size": 514, "max_position_embeddings": 33, "eos_token_id": eos_token_id, "hidden_act": hidden_act}
    model = CLIPModel(CLIPConfig(projection_dim=96, vision_config=vision, text_config=text)).eval()
    model.save_pretrained(folder)
    images = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), np.uint8)
    mean, std = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    pixels = torch.tensor((images / 255 - mean) / std, dtype=torch.float32).permute(0, 3, 1, 2)
    ids, mask = ids_and_mask(33, begin=512, end=513, pad=513)
    inputs = {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}
    seen, read = model.vision_model(pixel_values=pixels), model.text_model(**inputs)
    return {
        "images": images,
        "ids": ids,
        "mask": mask,
        "image_pooled": model.get_image_features(pixel_values=pixels),
        "image_tokens": model.visual_projection(model.vision_model.post_layernorm(seen.last_hidden_state)),
        "text_pooled": model.get_text_features(**inputs),
        "text_tokens": model.text_projection(read.last_hidden_state),
    }


def bert(folder):
    config = BertConfig(
        vocab_size=100,
        hidden_size=96,
        intermediate_size=384,
        num_hidden_layers=6,
        num_attention_heads=12,
        max_position_embeddings=40,
    )
    model = BertModel(config, add_pooling_layer=False).eval()
    model.save_pretrained(folder)
    ids, mask = ids_and_mask(40, begin=2, end=3, pad=0)
    states = model(input_ids=torch.tensor(ids), attention_mask=torch.tensor(mask)).last_hidden_state
    weights = torch.tensor(mask, dtype=torch.float32)
    pooled = torch.einsum("bld,bl->bd", states, weights) / weights.sum(1, keepdim=True)
    return {"ids": ids, "mask": mask, "tokens": states, "pooled": pooled}


if __name__ == "__main__":
    kind, folder, options = sys.argv[1], pathlib.Path(sys.argv[2]), json.loads(sys.argv[3])
    torch.manual_seed(0)
    with torch.no_grad():
        outputs = {"clip": clip, "bert": bert}[kind](folder, **options)
    np.savez(folder / "outputs.npz", **{name: np.asarray(array) for name, array in outputs.items()})
