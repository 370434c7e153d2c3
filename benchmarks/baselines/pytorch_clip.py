"""Run CLIP in PyTorch: the Hugging Face recipe for a folder's features, and the image tower alone, also in onnxruntime.

python -m benchmarks.baselines.pytorch_clip --threads=2        called through `benchmarks.worker_process`
"""

import argparse
import contextlib
import io
import json
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizerFast

from benchmarks.worker_process import PAUSE_S, serve
from posterfusion_jax.utils.telemetry import disable_telemetry

try:
    import torch
except ImportError:
    sys.exit(f"PyTorch is not installed in {sys.executable}: pip install torch==2.13.0 (a CPU build), Python 3.11")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
BATCH = 32
# Entries of OpenAI's config.json that differ from the defaults, which are those of B/32: image tower, text tower, features.
_WIDE = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16}
_WIDE_TEXT = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12}
SIZES = {
    "b32": ({}, {}, 512),
    "b16": ({"patch_size": 16}, {}, 512),
    "l14": ({"patch_size": 14, **_WIDE}, _WIDE_TEXT, 768),
}
_MARKS = {"bos_token": "<|startoftext|>"} | dict.fromkeys(("eos_token", "unk_token", "pad_token"), "<|endoftext|>")


def make(folder: str, size: str, texts: list[str]) -> None:
    """Write a CLIP of real size with random weights, and a tokenizer with one token per word of `texts`."""
    torch.manual_seed(0)
    image, text, width = SIZES[size]
    config = CLIPConfig(vision_config=image, text_config=text, projection_dim=width)
    CLIPModel(config).save_pretrained(folder)
    CLIPImageProcessor().save_pretrained(folder)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    core = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    core.normalizer = normalizers.Lowercase()
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    trainer = trainers.BpeTrainer(initial_alphabet=alphabet, end_of_word_suffix="</w>", show_progress=False)
    core.train_from_iterator([word for text in texts for word in text.split()], trainer)
    core.model.save(folder)
    path = pathlib.Path(folder, "vocab.json")
    words = list(json.loads(path.read_text()))
    words += [letter + "</w>" for letter in alphabet if letter + "</w>" not in words]
    room = config.text_config.vocab_size - 2
    words = [*words, *(f"<unused {k}>" for k in range(room - len(words))), "<|startoftext|>", "<|endoftext|>"]
    path.write_text(json.dumps({word: k for k, word in enumerate(words)}))
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, **_MARKS}
    pathlib.Path(folder, "tokenizer_config.json").write_text(json.dumps(settings))


def load(folder: str, dtype: str) -> tuple[Any, Any]:
    """Load the model and its processor."""
    model = CLIPModel.from_pretrained(folder).to(DEVICE, getattr(torch, dtype)).eval()
    # Not CLIPProcessor.from_pretrained: its fast image processor needs torchvision.
    return model, CLIPProcessor(CLIPImageProcessor.from_pretrained(folder), CLIPTokenizerFast.from_pretrained(folder))


class Recipe:
    """Follow the documentation of transformers on a folder: batches of 32, features saved at the end."""

    def __init__(self) -> None:
        self._models: dict[str, tuple[Any, Any]] = {}

    def prepare(self, folder: str, dtype: str) -> None:
        """Load the model."""
        self._models[dtype] = load(folder, dtype)

    def extract(self, dtype: str, files: list[str], texts: list[str], out: str) -> dict[str, float]:
        """Encode JPEG files and texts into `out`.npz with "image" and "text"; return the seconds of each part."""
        model, processor = self._models[dtype]
        images, words, seconds = [], [], dict.fromkeys(("processor", "model"), 0.0)
        for start in range(0, len(files), BATCH):
            started = time.perf_counter()
            pictures = [Image.open(file).convert("RGB") for file in files[start : start + BATCH]]
            inputs = processor(
                text=texts[start : start + BATCH], images=pictures, return_tensors="pt", padding=True, truncation=True
            ).to(DEVICE)
            encoded = time.perf_counter()
            with torch.no_grad():
                pixels = inputs["pixel_values"].to(model.dtype)
                images.append(model.get_image_features(pixel_values=pixels).float().cpu())
                read = model.get_text_features(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
                words.append(read.float().cpu())
            seconds["processor"] += encoded - started
            seconds["model"] += time.perf_counter() - encoded
        np.savez(out, image=torch.cat(images).numpy(), text=torch.cat(words).numpy())
        return seconds


class Tower:
    """Run the image tower alone on one batch, in several ways."""

    def __init__(self) -> None:
        self._run: dict[str, Callable[[], np.ndarray]] = {}

    def prepare(self, folder: str, pixels: str, side: str, dtype: str) -> None:
        """Prepare `side`: "eager", "compiled" or "onnxruntime".

        `pixels` is a .npy file, float32 [b, 3, s, s], normalized.
        """
        model, _ = load(folder, dtype)
        batch = torch.from_numpy(np.load(pixels)).to(DEVICE, model.dtype)

        class Pooled(torch.nn.Module):
            """Wrap `get_image_features` as a module."""

            def __init__(self) -> None:
                super().__init__()
                self.model = model

            def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
                return self.model.get_image_features(pixel_values=pixel_values)

        tower = Pooled().eval()
        if side == "onnxruntime":
            self._run[f"{side} {dtype}"] = _onnxruntime(tower, batch, pathlib.Path(folder, "image.onnx"))
            return
        if side == "compiled":
            tower = torch.compile(tower)

        def run() -> np.ndarray:
            with torch.no_grad():
                return tower(batch).float().cpu().numpy()

        self._run[f"{side} {dtype}"] = run

    def time(self, side: str, dtype: str, batches: int, out: str) -> float:
        """Return the seconds of `batches` runs, and save the features of the last to `out`.npy."""
        run = self._run[f"{side} {dtype}"]
        time.sleep(PAUSE_S)
        started = time.perf_counter()
        for _ in range(batches):
            features = run()
        seconds = time.perf_counter() - started
        np.save(out, features)
        return seconds


def _onnxruntime(tower: Any, batch: Any, path: pathlib.Path) -> Callable[[], np.ndarray]:
    disable_telemetry()
    import onnxruntime

    with contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
        torch.onnx.export(tower, (batch,), path, input_names=["pixel_values"], output_names=["features"], dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # its threads would slow the other sides
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    inputs = {"pixel_values": batch.cpu().numpy()}
    return lambda: session.run(None, inputs)[0]


def main() -> None:
    """Serve requests on stdin."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, required=True)
    torch.set_num_threads(parser.parse_args().threads)
    recipe, tower = Recipe(), Tower()
    serve(
        {
            "make": make,
            "versions": lambda: {"python": sys.version.split()[0], "torch": torch.__version__, "device": DEVICE},
            "prepare_recipe": recipe.prepare,
            "extract": recipe.extract,
            "prepare_tower": tower.prepare,
            "time_tower": tower.time,
        }
    )


if __name__ == "__main__":
    main()
