"""Draw in a motif's own coordinates, at any place on the poster."""

import colorsys
import math
from collections.abc import Sequence

import numpy as np
from PIL import ImageColor, ImageDraw

Point = tuple[float, float]
Points = Sequence[Point | np.ndarray] | np.ndarray


def curve(x: float, y: float, rx: float, ry: float, start: float = 0, end: float = 360, points: int = 40) -> np.ndarray:
    """Return points [n, 2] on an ellipse from `start` to `end` degrees, clockwise from the right (y points down)."""
    angle = np.radians(np.linspace(start, end, points))
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], axis=-1)


def turned(points: Points, degrees: float, *, moved: Point | np.ndarray = (0.0, 0.0)) -> np.ndarray:
    """Return `points` [n, 2] turned clockwise about (0, 0), then moved."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.asarray(points, np.float64) @ np.array([[cos, sin], [-sin, cos]]) + np.asarray(moved)


def mix(first: str, second: str, share: float) -> str:
    """Return the color `share` (0 to 1) of the way from `first` to `second`, as "#rrggbb"."""
    a, b = ImageColor.getrgb(first)[:3], ImageColor.getrgb(second)[:3]
    return "#" + "".join(f"{round(p + (q - p) * share):02x}" for p, q in zip(a, b, strict=True))


class Pen:
    """Draw flat shapes in unit coordinates: x to the right, y down, a motif within the unit circle round (0, 0).

    Args:
      canvas: what to draw on.
      centre: position of (0, 0) on the canvas, pixels.
      radius: how many pixels the length 1 has.
      angle: rotation, clockwise, degrees.
      hue: turns every hue by this share of the color circle (0.02 is a small change).
      brightness: factor on every color's brightness.
    """

    def __init__(
        self,
        canvas: ImageDraw.ImageDraw,
        *,
        centre: Point,
        radius: float,
        angle: float = 0.0,
        hue: float = 0.0,
        brightness: float = 1.0,
    ):
        self._canvas = canvas
        self._centre = np.asarray(centre)
        self._radius = radius
        self._angle = angle
        self._hue = hue
        self._brightness = brightness

    def polygon(self, points: Points, color: str) -> None:
        """Draw a filled polygon through `points`."""
        self._canvas.polygon(self._place(points).ravel().tolist(), fill=self._tint(color))

    def ellipse(self, x: float, y: float, rx: float, ry: float, color: str, *, tilt: float = 0.0) -> None:
        """Draw a filled ellipse, turned by `tilt` degrees about its own center."""
        self.polygon(turned(curve(0, 0, rx, ry), tilt, moved=(x, y)), color)

    def circle(self, x: float, y: float, radius: float, color: str) -> None:
        """Draw a filled circle."""
        self._disc(self._place([(x, y)])[0], radius * self._radius, self._tint(color))

    def line(self, points: Points, width: float, color: str) -> None:
        """Draw a line of one width through all points, with round joints and ends."""
        placed = self._place(points)
        pixels = max(1, round(width * self._radius))
        fill = self._tint(color)
        self._canvas.line(placed.ravel().tolist(), fill=fill, width=pixels, joint="curve")
        for end in (placed[0], placed[-1]):
            self._disc(end, pixels / 2, fill)

    def _disc(self, centre: np.ndarray, radius: float, fill: tuple[int, int, int]) -> None:
        x, y = centre.tolist()
        self._canvas.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)

    def _place(self, points: Points) -> np.ndarray:
        return turned(points, self._angle) * self._radius + self._centre

    def _tint(self, color: str) -> tuple[int, int, int]:
        h, s, v = colorsys.rgb_to_hsv(*(c / 255 for c in ImageColor.getrgb(color)[:3]))
        r, g, b = colorsys.hsv_to_rgb((h + self._hue) % 1, s, min(1.0, v * self._brightness))
        return round(r * 255), round(g * 255), round(b * 255)
