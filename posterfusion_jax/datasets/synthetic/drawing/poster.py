"""Draw one poster: sky, scenery, motifs, and the lines of text, without overlaps."""

import functools
import importlib.util
import itertools
import math
import pathlib
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from posterfusion_jax.datasets.synthetic.drawing.backgrounds import PALETTES, Palette, draw_scenery, paint_sky
from posterfusion_jax.datasets.synthetic.drawing.motifs import MOTIFS
from posterfusion_jax.datasets.synthetic.drawing.pen import Pen, mix
from posterfusion_jax.errors import InputError

_BASE_WIDTH = 240  # the width that all lengths below refer to; a poster is 2:3
_OVERSAMPLING = 3  # drawn this much larger, then reduced, as Pillow's shapes have hard edges
_MARGIN = 12
_LARGEST_TITLE = 34.0
_TAGLINE_SIZES = (13.5, 17.0)  # 13 is about the smallest size that OCR reads reliably
_SMALL_PRINT = 9.5
_TITLE_FONTS = ("DejaVuSans-Bold.ttf", "DejaVuSerif-Bold.ttf", "STIXGeneralBol.ttf", "DejaVuSansMono-Bold.ttf")
_TEXT_FONTS = ("DejaVuSans-Bold.ttf", "DejaVuSerif-Bold.ttf", "STIXGeneralBol.ttf")
_SMALL_FONT = "DejaVuSans.ttf"
# Centers of 1 to 4 motifs, as shares of the picture's width and height; one arrangement is picked at random.
_ARRANGEMENTS = {
    1: [[(0.5, 0.5)]],
    2: [[(0.28, 0.33), (0.72, 0.67)], [(0.72, 0.33), (0.28, 0.67)]],
    3: [[(0.5, 0.27), (0.26, 0.73), (0.74, 0.73)], [(0.26, 0.27), (0.74, 0.27), (0.5, 0.73)]],
    4: [[(0.26, 0.26), (0.74, 0.26), (0.26, 0.74), (0.74, 0.74)]],
}


class Content(NamedTuple):
    """Hold the content of a poster: `title` is a list of one or two lines; `motifs` are genres."""

    title: tuple[str, ...]
    tagline: str
    cast: str
    credits: str
    motifs: tuple[str, ...]


class _Line(NamedTuple):
    text: str
    font: ImageFont.FreeTypeFont
    height: float


@functools.cache
def _font_folder() -> pathlib.Path:
    """Return the folder of matplotlib's fonts without importing it: that would read the user's backend and style."""
    package = importlib.util.find_spec("matplotlib")
    if package is None or package.origin is None:
        raise InputError("matplotlib, whose fonts the posters are drawn with, is not installed: pip install matplotlib.")
    return pathlib.Path(package.origin).parent / "mpl-data" / "fonts" / "ttf"


@functools.lru_cache(maxsize=512)
def _font(name: str, pixels: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(_font_folder() / name, pixels, layout_engine=ImageFont.Layout.BASIC)


def draw_poster(rng: np.random.Generator, content: Content, width: int) -> Image.Image:
    """Draw `content` with a palette, a layout, and motif positions, sizes, rotations and hues out of `rng`.

    Args:
      rng: decides everything that `content` leaves open; the same state draws the same poster.
      content: the words, and the genres whose motifs are shown (any number, also none).
      width: of the poster in pixels; its height is 1.5 times that.

    Returns:
      RGB, `width` x round(1.5 * `width`) pixels.
    """
    unit = _OVERSAMPLING * width / _BASE_WIDTH
    final_size = (width, round(1.5 * width))
    size = (_OVERSAMPLING * final_size[0], _OVERSAMPLING * final_size[1])
    palette = PALETTES[int(rng.integers(len(PALETTES)))]
    title_on_top = rng.random() < 0.4
    room = size[0] - 2 * _MARGIN * unit

    headline = _title_lines(rng, content.title, room, unit) + _tagline_lines(rng, content.tagline, room, unit)
    cast = [_small_line(content.cast, room, unit)] if content.cast else []
    credit = [_small_line(content.credits, room, unit)]
    header, footer = (headline, cast + credit) if title_on_top else (cast, headline + credit)
    art_top, art_bottom = _block_height(header, unit), size[1] - _block_height(footer, unit)

    spots = _place_motifs(rng, len(content.motifs), (0, art_top, size[0], art_bottom), unit)
    lights = [(x / size[0], y / size[0], 1.25 * radius / size[0]) for x, y, radius in spots]
    # A gradient needs no oversampling: drawn at the final size and repeated, it is unchanged by the reduction.
    poster = paint_sky(rng, palette, final_size, lights).resize(size, Image.Resampling.NEAREST)
    canvas = ImageDraw.Draw(poster)
    relief = rng.uniform(0.16, 0.26) if spots else rng.uniform(0.5, 0.75)
    draw_scenery(rng, canvas, palette, (0, art_bottom - relief * (art_bottom - art_top), size[0], art_bottom))
    canvas.rectangle((0, art_bottom, *size), fill=palette.ground)
    for motif, (x, y, radius) in zip(content.motifs, spots, strict=True):
        turn, hue, brightness = rng.uniform(-14, 14), rng.uniform(-0.02, 0.02), rng.uniform(0.92, 1.06)
        MOTIFS[motif](Pen(canvas, centre=(x, y), radius=radius, angle=turn, hue=hue, brightness=brightness))
    _write(canvas, header, 0, palette.ink_on_sky, size[0], unit)
    _write(canvas, footer, art_bottom, palette.ink_on_ground, size[0], unit)
    if rng.random() < 0.3:
        _draw_frame(canvas, palette, size, unit)
    return poster.reduce(_OVERSAMPLING)  # the mean of each 3 x 3 pixels; LANCZOS looks the same and takes 7 times as long


def _place_motifs(
    rng: np.random.Generator, count: int, box: tuple[float, float, float, float], unit: float
) -> list[tuple[float, float, float]]:
    """Return center and radius of `count` motifs within `box`: as large as fits without overlap, then slightly moved."""
    left, top, right, bottom = box
    if count == 0:
        return []
    if count in _ARRANGEMENTS:
        choices = _ARRANGEMENTS[count]
        shares = np.array(choices[int(rng.integers(len(choices)))])
    else:
        rows = math.ceil(count / 3)
        shares = np.array([((i % 3 + 0.5) / 3, (i // 3 + 0.5) / rows) for i in range(count)])
    centres = shares * (right - left, bottom - top) + (left, top)
    to_edge = np.minimum(centres - (left, top), (right, bottom) - centres).min() - 3 * unit
    apart = min((math.dist(a, b) / 2 for a, b in itertools.combinations(centres, 2)), default=math.inf)
    room = min(to_edge, apart)
    spots = []
    for x, y in centres:
        radius = room * rng.uniform(0.84, 0.97)
        loose = room - radius
        spots.append((x + rng.uniform(-loose, loose), y + rng.uniform(-loose, loose), radius))
    return spots


def _title_lines(rng: np.random.Generator, title: tuple[str, ...], room: float, unit: float) -> list[_Line]:
    font = _TITLE_FONTS[int(rng.integers(len(_TITLE_FONTS)))]
    lines = [line.upper() for line in title]
    size = min(_LARGEST_TITLE, *(_size_that_fits(font, line, room) / unit for line in lines))
    return [_Line(line, _font(font, int(size * unit)), size * 1.12 * unit) for line in lines]


def _tagline_lines(rng: np.random.Generator, sentence: str, room: float, unit: float) -> list[_Line]:
    """Return the sentence on one line if that is large enough, else on two or three lines of about equal length."""
    font = _TEXT_FONTS[int(rng.integers(len(_TEXT_FONTS)))]
    smallest, largest = _TAGLINE_SIZES
    for count in (1, 2, 3):
        lines = _break_evenly(sentence, count)
        size = min(_size_that_fits(font, line, room) for line in lines) / unit
        if size >= smallest:
            break
    size = min(size, largest)
    return [_Line(line, _font(font, int(size * unit)), size * 1.22 * unit) for line in lines]


def _break_evenly(sentence: str, count: int) -> list[str]:
    """Return `sentence` in at most `count` lines whose longest is as short as greedy filling can make it."""
    words = sentence.split()
    limit = max(len(sentence) // count, max(map(len, words)))
    while True:
        lines = [words[0]]
        for word in words[1:]:
            if len(lines[-1]) + 1 + len(word) <= limit:
                lines[-1] += f" {word}"
            else:
                lines.append(word)
        if len(lines) <= count:
            return lines
        limit += 1


def _small_line(text: str, room: float, unit: float) -> _Line:
    size = min(_SMALL_PRINT, _size_that_fits(_SMALL_FONT, text, room) / unit)
    return _Line(text, _font(_SMALL_FONT, int(size * unit)), size * 1.7 * unit)


def _size_that_fits(font: str, text: str, room: float) -> float:
    return 100 * room / _font(font, 100).getlength(text)


def _block_height(lines: list[_Line], unit: float) -> float:
    return sum(line.height for line in lines) + (12 if lines else 8) * unit


def _write(canvas: ImageDraw.ImageDraw, lines: list[_Line], top: float, ink: str, width: int, unit: float) -> None:
    y = top + 6 * unit
    for line in lines:
        canvas.text((width / 2, y + line.height / 2), line.text, font=line.font, fill=ink, anchor="mm")
        y += line.height


def _draw_frame(canvas: ImageDraw.ImageDraw, palette: Palette, size: tuple[int, int], unit: float) -> None:
    inset = 3 * unit
    color = mix(palette.sky_top, palette.accent, 0.6)
    canvas.rectangle((inset, inset, size[0] - inset, size[1] - inset), outline=color, width=round(1.2 * unit))
