"""Predict with PyTorch as --mode=predict does: RapidOCR reads, CLIP encodes, the fusion head scores.

    python -m benchmarks.baselines.pytorch_predict --clip=FOLDER --head=HEAD.npz FILES

It prints one JSON object per file, {"file", "scores"}. RapidOCR as its documentation calls it, CLIPProcessor and CLIPModel in
batches of 32.
"""

import argparse
import json
import os
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizerFast

from benchmarks.baselines.pytorch_fusion import Fusion, copy_weights
from posterfusion_jax.utils.telemetry import disable_telemetry

BATCH = 32


def main() -> None:
    """Print the scores of each file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clip", required=True, help="folder of a CLIP")
    parser.add_argument("--head", required=True, help=".npz with the head's weights, named by their path in the Flax module")
    parser.add_argument("files", nargs="+")
    args = parser.parse_args()
    disable_telemetry()
    from rapidocr import RapidOCR

    torch.set_num_threads(os.cpu_count() or 1)
    engine = RapidOCR(params={"Global.log_level": "critical"})  # else it writes to the terminal
    clip = CLIPModel.from_pretrained(args.clip).eval()
    # Not CLIPProcessor.from_pretrained: its fast image processor needs torchvision.
    processor = CLIPProcessor(CLIPImageProcessor.from_pretrained(args.clip), CLIPTokenizerFast.from_pretrained(args.clip))
    head = Fusion(width=clip.config.projection_dim)
    copy_weights(head, _nested(dict(np.load(args.head))))
    for start in range(0, len(args.files), BATCH):
        files = args.files[start : start + BATCH]
        texts = [" ".join(engine(file).txts or ()) for file in files]
        pictures = [Image.open(file).convert("RGB") for file in files]
        inputs = processor(text=texts, images=pictures, return_tensors="pt", padding=True, truncation=True)
        with torch.inference_mode():
            outputs = clip(**inputs)
            image, text = clip.visual_projection(outputs.vision_model_output.pooler_output), outputs.text_model_output
            text = clip.text_projection(text.pooler_output)
            scores = torch.sigmoid(head(image, text, torch.tensor([bool(words) for words in texts])))
        for file, values in zip(files, scores.tolist(), strict=True):
            print(json.dumps({"file": file, "scores": values}))


def _nested(flat: dict[str, np.ndarray]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, array in flat.items():
        *folders, name = path.split("/")
        branch = tree
        for folder in folders:
            branch = branch.setdefault(folder, {})
        branch[name] = array
    return tree


if __name__ == "__main__":
    main()
