"""Draw backgrounds independent of genre: palettes, a sky with soft light, and a scenery."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageColor, ImageDraw

from posterfusion_jax.datasets.synthetic.drawing.pen import mix


class Palette(NamedTuple):
    """Hold the colors of one poster, as "#rrggbb"."""

    sky_top: str
    sky_bottom: str
    ground: str
    ink_on_sky: str
    ink_on_ground: str
    accent: str


class _Tones(NamedTuple):
    """Hold the colors of a scenery: its layers from far to near, and one of high contrast."""

    layers: Sequence[str]
    accent: str


_Box = tuple[float, float, float, float]
_CREAM, _WHITE = "#fff6e3", "#ffffff"
PALETTES = (
    Palette("#0f2a44", "#3f7f9c", "#0a1a2b", _WHITE, _WHITE, "#ffcf70"),  # lagoon
    Palette("#241640", "#8a5a9c", "#160c2b", _CREAM, _CREAM, "#ffb3a7"),  # dusk
    Palette("#3a1226", "#c06a5a", "#220913", _CREAM, _CREAM, "#ffd9a0"),  # ember
    Palette("#0b3b36", "#5aa787", "#06211f", _CREAM, _CREAM, "#ffe08a"),  # forest
    Palette("#2b2f45", "#97a3b8", "#171a29", _WHITE, _WHITE, "#ff9d76"),  # slate
    Palette("#3d2413", "#c08a52", "#211207", _CREAM, _CREAM, "#9fe0d0"),  # amber
    Palette("#13315c", "#e09f7d", "#0b1d38", _CREAM, _CREAM, "#ffe9b8"),  # dawn
    Palette("#33415c", "#d8c3b0", "#1c2536", _WHITE, _CREAM, "#ff8f6b"),  # haze
    Palette("#fdf3dc", "#e8c99a", "#3b2a20", "#33221a", _CREAM, "#d1603d"),  # paper
    Palette("#eaf3f6", "#a9cbd8", "#16323f", "#102833", _WHITE, "#e0735c"),  # mist
    Palette("#f8e7e4", "#d9a9a5", "#41222f", "#3b1a28", _CREAM, "#4d7ea8"),  # shell
    Palette("#eef0e0", "#b3bf92", "#2c3a26", "#24301f", _CREAM, "#c8553d"),  # moss
)


def paint_sky(
    rng: np.random.Generator, palette: Palette, size: tuple[int, int], lights: list[tuple[float, float, float]]
) -> Image.Image:
    """Return a gradient from the palette's top to its bottom color, brighter round each light.

    Args:
      rng: decides how the gradient leans.
      palette: its two sky colors are used.
      size: width and height in pixels.
      lights: x, y and radius of each, as shares of the width.
    """
    width, height = size
    columns, rows = 40, 60  # smooth enough to be computed coarsely and enlarged
    x = ((np.arange(columns) + 0.5) / columns)[None, :]
    y = ((np.arange(rows) + 0.5) / rows)[:, None]
    share = np.clip(y + rng.uniform(-0.25, 0.25) * (x - 0.5), 0, 1)[..., None]
    top, bottom, white = (np.array(ImageColor.getrgb(c)[:3], float) for c in (palette.sky_top, palette.sky_bottom, _WHITE))
    sky = top * (1 - share) + bottom * share
    glow = np.zeros((rows, columns))
    for light_x, light_y, radius in lights:
        glow = np.maximum(glow, np.exp(-((x - light_x) ** 2 + (y * height / width - light_y) ** 2) / radius**2))
    sky += 0.3 * glow[..., None] * (white - sky)
    return Image.fromarray(sky.round().astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)


def _skyline(rng: np.random.Generator, canvas: ImageDraw.ImageDraw, box: _Box, tones: _Tones) -> None:
    left, top, right, bottom = box
    for layer, color in enumerate(tones.layers):
        x = left - rng.uniform(0, 0.1) * (right - left)
        while x < right:
            wide = rng.uniform(0.07, 0.15) * (right - left)
            tall = rng.uniform(0.3, 1.0) * (bottom - top) * (1 - 0.25 * layer)
            canvas.rectangle((x, bottom - tall, x + wide, bottom), fill=color)
            if layer == len(tones.layers) - 1:
                step = wide / 4
                for wx in (x + step * 0.7, x + step * 2.3):
                    for wy in np.arange(bottom - tall + step, bottom - step, step * 1.6):
                        if rng.random() < 0.35:
                            canvas.rectangle((wx, wy, wx + step * 0.8, wy + step * 0.8), fill=tones.accent)
            x += wide


def _waves(rng: np.random.Generator, canvas: ImageDraw.ImageDraw, box: _Box, tones: _Tones) -> None:
    left, top, right, bottom = box
    x = np.linspace(left, right, 60)
    length = (right - left) / rng.uniform(1.5, 3.0)
    for layer, color in enumerate(tones.layers):
        crest = top + (bottom - top) * (layer + 0.5) / (len(tones.layers) + 0.5)
        y = crest + 0.1 * (bottom - top) * np.sin(2 * np.pi * x / length + rng.uniform(0, 6.3))
        outline = np.stack([x, y], -1).ravel().tolist()
        canvas.polygon([*outline, right, bottom, left, bottom], fill=color)


def _dunes(rng: np.random.Generator, canvas: ImageDraw.ImageDraw, box: _Box, tones: _Tones) -> None:
    left, top, right, bottom = box
    wide, tall = right - left, bottom - top
    for layer, color in enumerate(tones.layers):
        centre = left + wide * rng.uniform(0.0, 1.0)
        rise = tall * (1 - layer / len(tones.layers))
        canvas.ellipse((centre - wide, bottom - rise, centre + wide, bottom + 3 * tall), fill=color)


def _arches(rng: np.random.Generator, canvas: ImageDraw.ImageDraw, box: _Box, tones: _Tones) -> None:
    left, top, right, bottom = box
    count = int(rng.integers(4, 7))
    pitch = (right - left) / count
    wall = top + (bottom - top) * 0.25
    canvas.rectangle((left, wall, right, bottom), fill=tones.layers[-1])
    for i in range(count):
        x0, x1 = left + pitch * (i + 0.18), left + pitch * (i + 0.82)
        crown = min(wall + pitch * 0.2, bottom)
        canvas.ellipse((x0, crown, x1, crown + (x1 - x0)), fill=tones.layers[0])
        canvas.rectangle((x0, crown + (x1 - x0) / 2, x1, max(bottom, crown + (x1 - x0) / 2)), fill=tones.layers[0])


def _ribbons(rng: np.random.Generator, canvas: ImageDraw.ImageDraw, box: _Box, tones: _Tones) -> None:
    left, top, right, bottom = box
    step = (bottom - top) / (len(tones.layers) + 1)
    lean = rng.uniform(0.3, 0.8) * (bottom - top) * rng.choice((-1, 1))
    for layer, color in enumerate((tones.accent, *tones.layers)):
        y = top + step * layer
        canvas.polygon([left, y + max(lean, 0), right, y + max(-lean, 0), right, bottom, left, bottom], fill=color)


_Scene = Callable[[np.random.Generator, ImageDraw.ImageDraw, _Box, _Tones], None]
_SCENES: tuple[_Scene, ...] = (_skyline, _waves, _dunes, _arches, _ribbons)


def draw_scenery(rng: np.random.Generator, canvas: ImageDraw.ImageDraw, palette: Palette, box: _Box) -> None:
    """Draw a scenery rising from the lower edge of `box` (left, top, right, bottom; pixels) in the palette's tones."""
    layers = [mix(palette.sky_bottom, palette.ground, share) for share in (0.2, 0.5, 1.0)]
    scene = _SCENES[int(rng.integers(len(_SCENES)))]
    scene(rng, canvas, box, _Tones(layers, palette.accent))
