"""Describe the contents of a checkpoint's folder, for messages about what it lacks."""

import pathlib

_SHOWN = 20  # names in a message
_READABLE = "config.json, model.safetensors (whole or in shards with its index) or flax_model.msgpack, and a tokenizer's files"


def describe_files(folder: pathlib.Path) -> str:
    """Return a sentence with the names of a folder's files and folders."""
    names = sorted(path.name + ("/" if path.is_dir() else "") for path in folder.iterdir())
    if not names:
        return "the folder is empty"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"found there: {', '.join(names[:_SHOWN])}{more}"


def explain_lack(folder: pathlib.Path) -> str:
    """Return what the folder is instead of a readable checkpoint, with the fix, or else its contents."""
    names = {path.name for path in folder.iterdir()}
    below = _checkpoints_below(folder)
    if "config.json" not in names and below:
        return f"It holds checkpoints in folders below it; name one of them: {', '.join(map(str, below[:5]))}"
    if names & {"open_clip_config.json", "open_clip_pytorch_model.bin", "open_clip_model.safetensors"}:
        return (
            "Its files are those of open_clip, which names and arranges weights in another way; use the same model in the "
            "layout of transformers (many models of the hub have both: download config.json and model.safetensors too)"
        )
    if any(name.endswith((".onnx", ".onnx_data")) for name in names):
        return f"It is an ONNX export, which is not read; give the checkpoint that it was made of ({_READABLE})"
    if any(name.endswith((".h5", ".keras")) for name in names):
        return (
            "It holds weights of Keras or TensorFlow, which are not read from a folder; networks of keras.applications are "
            f"named keras:NAME, and for others give {_READABLE}"
        )
    return f"Needed: {_READABLE}; {describe_files(folder)}"


def _checkpoints_below(folder: pathlib.Path) -> list[pathlib.Path]:
    """Return folders with a config.json, at most three levels below; of a hub's cache the newest snapshot first."""
    found = [path.parent for depth in ("*", "*/*", "*/*/*") for path in sorted(folder.glob(f"{depth}/config.json"))]
    newest = {_read(file) for file in [*folder.glob("refs/main"), *folder.glob("*/refs/main")]}
    return sorted(found, key=lambda path: path.name not in newest)


def _read(file: pathlib.Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace").strip()
