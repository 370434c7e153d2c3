"""Towers of a checkpoint's folder, with options by keyword."""

import pathlib

from posterfusion_jax.encoders.load import load_image_tower, load_text_tower, load_towers
from posterfusion_jax.encoders.options import EncoderOptions
from posterfusion_jax.encoders.tower import ImageTower, TextTower


def load_image(source: str | pathlib.Path, **options) -> ImageTower:
    return load_image_tower(str(source), EncoderOptions(**options))


def load_text(source: str | pathlib.Path, **options) -> TextTower:
    return load_text_tower(str(source), EncoderOptions(**options))


def load_pair(source: str | pathlib.Path, **options) -> tuple[ImageTower, TextTower]:
    return load_towers(str(source), str(source), EncoderOptions(**options))
