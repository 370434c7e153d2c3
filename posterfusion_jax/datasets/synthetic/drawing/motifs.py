"""Draw one picture motif per genre, distinct in shape and color even at 64 x 64 pixels.

Each function draws into the unit circle of the pen it is given (x to the right, y down).
"""

from collections.abc import Callable

import numpy as np

from posterfusion_jax.datasets.synthetic.drawing.pen import Pen, curve, turned

_INK = "#14141c"


def _action(pen: Pen) -> None:
    """Draw an explosion: three nested bursts and flying shards."""
    angle = np.radians(np.arange(28) * 360 / 28)
    length = np.where(np.arange(28) % 2 == 0, 1.0, 0.58)
    length[::4] *= 0.84
    burst = np.stack([np.cos(angle), np.sin(angle)], -1) * length[:, None]
    for size, color in ((1.0, "#c8201a"), (0.8, "#ff7a00"), (0.56, "#ffc400"), (0.3, "#fff6c8")):
        pen.polygon(burst * size, color)
    for x, y in ((-0.72, -0.68), (0.78, -0.6), (0.66, 0.74), (-0.7, 0.7)):
        pen.polygon([(x, y), (x * 1.16, y * 0.98), (x * 1.02, y * 1.18)], "#ff7a00")


def _adventure(pen: Pen) -> None:
    """Draw a medallion with mountains under the sun and a winding path."""
    pen.circle(0, 0, 1.0, "#f4f1de")
    pen.circle(0, 0, 0.93, "#7fd1f5")
    pen.circle(0.42, -0.45, 0.22, "#ff9f1c")
    for peak, left, right, color in (
        ((0.34, -0.3), -0.2, 0.85, "#2f7d4f"),
        ((-0.28, -0.6), -0.83, 0.35, "#1f5f3c"),
    ):
        (x, y), height = peak, 0.4 - peak[1]
        pen.polygon([peak, (right, 0.4), (left, 0.4)], color)
        snow = 0.34  # share of the height under snow
        a, b = x + (left - x) * snow, x + (right - x) * snow
        base = y + height * snow
        pen.polygon(
            [peak, (b, base), ((x + b) / 2, base - 0.06), (x, base + 0.08), ((a + x) / 2, base - 0.06), (a, base)], "white"
        )
    pen.polygon(curve(0, 0, 0.93, 0.93, 24, 156), "#6cbf4b")
    pen.polygon(
        [(-0.3, 0.86), (0.02, 0.68), (-0.12, 0.52), (0.1, 0.38), (0.18, 0.38), (0.08, 0.52), (0.32, 0.66), (0.22, 0.88)],
        "#f2d6a2",
    )


def _animation(pen: Pen) -> None:
    """Draw a round, smiling cartoon creature."""
    green, dark = "#9be22d", "#5aa312"
    for side in (-1, 1):
        pen.line([(side * 0.3, -0.5), (side * 0.42, -0.84)], 0.09, dark)
        pen.circle(side * 0.44, -0.86, 0.13, "#ff8fd0")
        pen.ellipse(side * 0.36, 0.86, 0.26, 0.13, dark)
        pen.line([(side * 0.7, 0.2), (side * 0.93, -0.08)], 0.15, dark)
    pen.circle(0, 0.12, 0.76, green)
    pen.ellipse(0, 0.5, 0.44, 0.32, "#e4f9a9")
    for side in (-1, 1):
        pen.circle(side * 0.27, -0.14, 0.25, "white")
        pen.circle(side * 0.22, -0.1, 0.13, _INK)
        pen.circle(side * 0.22 + 0.05, -0.15, 0.045, "white")
        pen.circle(side * 0.54, 0.2, 0.1, "#ff8fd0")
    pen.polygon(curve(0, 0.2, 0.32, 0.3, 0, 180), "#7a1f3d")
    pen.ellipse(0, 0.4, 0.17, 0.08, "#ff6b81")


def _biography(pen: Pen) -> None:
    """Draw a cameo: a light profile on emerald in an oval gold frame."""
    pen.ellipse(0, 0.03, 0.76, 0.95, "#8a5a12")
    pen.ellipse(0, 0.03, 0.71, 0.9, "#ffc62e")
    pen.ellipse(0, 0.03, 0.6, 0.79, "#8a5a12")
    pen.ellipse(0, 0.03, 0.56, 0.75, "#0b8a5a")
    bust = np.concatenate([curve(0, 0.03, 0.56, 0.75, 38, 142), [(-0.3, 0.36), (-0.1, 0.3), (-0.1, 0.17)]])
    profile = [
        *((-0.22, 0.18), (-0.26, 0.1), (-0.25, 0.03), (-0.29, 0.0), (-0.27, -0.04), (-0.36, -0.08), (-0.28, -0.24)),
        *curve(0.01, -0.24, 0.3, 0.32, 180, 390, 24),
        *((0.2, 0.06), (0.2, 0.28), (0.36, 0.36)),
    ]
    pen.polygon(np.concatenate([bust, profile]), "#fff3dc")
    pen.circle(0.34, -0.14, 0.12, "#fff3dc")
    for side in (-1, 1):
        pen.ellipse(side * 0.16, -0.9, 0.18, 0.09, "#ffc62e", tilt=side * -20)
    pen.circle(0, -0.88, 0.08, "#8a5a12")


def _comedy(pen: Pen) -> None:
    """Draw three party balloons and confetti."""
    for x, y, color, shine in (
        (-0.46, -0.2, "#2f7bff", "#9cc2ff"),
        (0.46, -0.16, "#ff4f4f", "#ffb3b3"),
        (0.0, -0.5, "#ffd500", "#fff2a6"),
    ):
        pen.line([(x * 0.9, y + 0.4), (x * 0.45, 0.45), (0, 0.92)], 0.035, "#f5f5f5")
        pen.polygon([(x, y + 0.38), (x - 0.09, y + 0.52), (x + 0.09, y + 0.52)], color)
        pen.ellipse(x, y, 0.37, 0.44, color)
        pen.ellipse(x - 0.13, y - 0.17, 0.07, 0.12, shine, tilt=25)
    for i, (x, y) in enumerate(
        [(-0.8, 0.5), (-0.55, 0.75), (-0.3, 0.55), (0.3, 0.62), (0.58, 0.8), (0.8, 0.48), (-0.88, -0.66), (0.86, -0.68)]
    ):
        color = ("#ffd500", "#35d07f", "#ff4f4f", "#2f7bff")[i % 4]
        pen.polygon([(x - 0.07, y), (x, y - 0.08), (x + 0.07, y), (x, y + 0.08)], color)


def _crime(pen: Pen) -> None:
    """Draw a pair of handcuffs under police tape."""
    start, end = np.array([-0.94, -0.42]), np.array([0.94, -0.66])
    along, across = (end - start) / 10, np.array([0, 0.2])
    pen.polygon([start - across, end - across, end + across, start + across], "#ffd60a")
    for i in range(1, 10, 2):
        left, right = start + along * i, start + along * (i + 1)
        pen.polygon([left - across, right - across, right - along * 0.9 + across, left - along * 0.9 + across], _INK)
    pen.line([(-0.14, 0.36), (0, 0.44), (0.14, 0.36)], 0.1, "#8fa0b3")
    for side in (-1, 1):
        ring = curve(side * 0.48, 0.4, 0.36, 0.36)
        pen.line(ring, 0.22, "#2b3440")
        pen.line(ring, 0.15, "#dbe3ec")
        x = side * 0.48
        pen.polygon([(x - 0.17, -0.08), (x + 0.17, -0.08), (x + 0.12, 0.18), (x - 0.12, 0.18)], "#8fa0b3")
        pen.circle(x, 0.04, 0.05, "#2b3440")


def _drama(pen: Pen) -> None:
    """Draw a stage: crimson curtains with the theater's mask between them."""
    pen.polygon([(-0.7, -0.66), (0.7, -0.66), (0.7, 0.72), (-0.7, 0.72)], "#2a0510")
    pen.ellipse(0, 0.62, 0.54, 0.15, "#6d4a2c")
    for side in (-1, 1):
        for i, color in enumerate(("#a30d2d", "#d0163f", "#a30d2d", "#d0163f")):
            top, width = side * (0.72 - 0.13 * i), side * 0.15
            waist, hem = side * (0.72 - 0.06 * i), side * (0.72 - 0.085 * i)
            inner = [(top - width, -0.66), (waist - width / 2, 0.2), (hem - width * 0.7, 0.74)]
            pen.polygon([(top, -0.66), *inner, (hem, 0.74), (waist, 0.2)], color)
        pen.line([(side * 0.7, 0.2), (side * 0.44, 0.18)], 0.08, "#ffcf40")
    for i in range(5):
        pen.polygon(curve(-0.58 + 0.29 * i, -0.68, 0.165, 0.27, 0, 180), "#d0163f" if i % 2 else "#a30d2d")
    pen.polygon([(-0.78, -0.8), (0.78, -0.8), (0.78, -0.65), (-0.78, -0.65)], "#ffcf40")
    mask = np.concatenate([[(-0.31, -0.28), (0, -0.22), (0.31, -0.28)], curve(0, 0.02, 0.31, 0.43, 0, 180)])
    pen.polygon(mask, "#fff4e0")
    for side in (-1, 1):
        pen.polygon(curve(side * 0.15, -0.01, 0.1, 0.1, 180, 360), _INK)
    pen.line(curve(0, 0.34, 0.14, 0.12, 200, 340), 0.05, _INK)
    pen.circle(0.15, 0.1, 0.045, "#4aa8ff")


def _fantasy(pen: Pen) -> None:
    """Draw a castle of violet towers before a crescent moon."""
    pen.circle(0.0, -0.14, 0.84, "#4b2a8a")
    pen.circle(0.4, -0.5, 0.3, "#fff0a0")
    pen.circle(0.29, -0.56, 0.25, "#4b2a8a")
    stone, dark, roof = "#c79bff", "#8b5fd6", "#ff5fc4"
    pen.polygon([(-0.56, 0.02), (0.56, 0.02), (0.56, 0.7), (-0.56, 0.7)], dark)
    for x in (-0.46, -0.24, 0.02, 0.28):
        pen.polygon([(x, -0.06), (x + 0.14, -0.06), (x + 0.14, 0.04), (x, 0.04)], dark)
    for x, top, half in ((-0.58, -0.14, 0.17), (0.58, -0.06, 0.17), (-0.1, -0.34, 0.2)):
        pen.polygon([(x - half, top), (x + half, top), (x + half, 0.72), (x - half, 0.72)], stone)
        pen.polygon([(x - half * 1.3, top), (x, top - half * 2.6), (x + half * 1.3, top)], roof)
        pen.polygon([(x - 0.05, top + 0.14), (x + 0.05, top + 0.14), (x + 0.05, top + 0.32), (x - 0.05, top + 0.32)], "#fff0a0")
    pen.polygon(np.concatenate([curve(-0.1, 0.48, 0.13, 0.14, 180, 360), [(0.03, 0.74), (-0.23, 0.74)]]), "#2c1458")
    pen.polygon(curve(0, 0.98, 0.98, 0.36, 180, 360), "#2c1458")
    for x, y in ((-0.48, -0.62), (-0.62, -0.4), (0.72, -0.2)):
        pen.polygon([(x - 0.07, y), (x, y - 0.02), (x, y - 0.09), (x + 0.02, y - 0.02), (x + 0.09, y), (x, y + 0.08)], "white")


def _horror(pen: Pen) -> None:
    """Draw a pale ghost in the dark, blood running down from above."""
    pen.circle(0, 0, 0.96, "#0c0c10")
    pen.polygon(curve(0, 0, 0.96, 0.96, 196, 344), "#c4000f")
    for x, length, width in ((-0.8, 0.2, 0.13), (-0.62, -0.06, 0.2), (0.61, -0.1, 0.2), (0.8, 0.3, 0.12)):
        pen.line([(x, -0.34), (x, length)], width, "#c4000f")
    hem = [(0.58, 0.86), (0.39, 0.66), (0.2, 0.9), (0.0, 0.68), (-0.2, 0.9), (-0.39, 0.66), (-0.58, 0.86)]
    pen.polygon(np.concatenate([curve(0, -0.12, 0.52, 0.62, 180, 360), hem]), "#f4fbff")
    for side in (-1, 1):
        pen.ellipse(side * 0.2, -0.2, 0.14, 0.2, "#0c0c10", tilt=side * 10)
        pen.circle(side * 0.2, -0.15, 0.055, "#ff1e1e")
        pen.ellipse(side * 0.56, 0.22, 0.15, 0.1, "#f4fbff", tilt=side * -30)
    pen.ellipse(0, 0.26, 0.14, 0.22, "#0c0c10")


def _mystery(pen: Pen) -> None:
    """Draw a magnifying glass over a keyhole."""
    pen.line([(0.4, 0.4), (0.84, 0.84)], 0.27, "#4a2410")
    pen.line([(0.46, 0.46), (0.84, 0.84)], 0.18, "#b5622a")
    pen.circle(-0.18, -0.18, 0.76, "#10363c")
    pen.circle(-0.18, -0.18, 0.72, "#eaf4f4")
    pen.circle(-0.18, -0.18, 0.58, "#10363c")
    pen.circle(-0.18, -0.18, 0.55, "#12b5b0")
    pen.polygon(curve(-0.18, -0.18, 0.48, 0.48, 180, 262), "#7fe8e2")
    pen.polygon(curve(-0.18, -0.18, 0.4, 0.4, 180, 262), "#12b5b0")
    pen.circle(-0.18, -0.28, 0.17, "#06181b")
    pen.polygon([(-0.25, -0.24), (-0.11, -0.24), (-0.02, 0.16), (-0.34, 0.16)], "#06181b")


def _heart(x: float, y: float, size: float) -> np.ndarray:
    t = np.linspace(0, 2 * np.pi, 48)
    outline = [16 * np.sin(t) ** 3, -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))]
    return np.stack(outline, -1) / 17 * size + (x, y)


def _romance(pen: Pen) -> None:
    """Draw Cupid's arrow through a large heart, with two small ones."""
    shaft = [(-0.92, 0.5), (0.9, -0.42)]
    pen.polygon(_heart(0, 0.04, 0.84), "#ff2f7e")
    pen.polygon(_heart(0, 0.04, 0.62), "#ff5c9a")
    pen.ellipse(-0.36, -0.32, 0.14, 0.09, "#ffd0e2", tilt=-35)
    pen.line([shaft[0], (-0.5, 0.29)], 0.07, "#ffcf4d")
    pen.line([(0.5, -0.22), shaft[1]], 0.07, "#ffcf4d")
    pen.polygon([(0.98, -0.46), (0.72, -0.5), (0.84, -0.26)], "#ffcf4d")
    for step in (0.0, 0.13):
        pen.line([(-0.92 + step, 0.5 - step / 2), (-0.98 + step, 0.36 - step / 2)], 0.06, "#ffcf4d")
        pen.line([(-0.92 + step, 0.5 - step / 2), (-0.82 + step, 0.6 - step / 2)], 0.06, "#ffcf4d")
    pen.polygon(_heart(0.7, 0.66, 0.24), "#ff8fb8")
    pen.polygon(_heart(-0.74, -0.74, 0.2), "#ff8fb8")


def _science_fiction(pen: Pen) -> None:
    """Draw a ringed planet and a rocket."""
    ring = turned(curve(0, 0, 0.98, 0.3), -20, moved=(-0.02, 0.14))
    half = len(ring) // 2
    pen.line(ring[half:], 0.13, "#dfe4ff")
    pen.circle(-0.02, 0.14, 0.62, "#2438d6")
    pen.polygon(curve(-0.02, 0.14, 0.62, 0.62, 195, 345), "#3f6bff")
    pen.polygon(curve(-0.02, 0.14, 0.62, 0.62, 225, 315), "#6fa0ff")
    pen.circle(-0.28, 0.4, 0.1, "#1a2696")
    pen.circle(0.26, 0.5, 0.07, "#1a2696")
    pen.line(ring[: half + 1], 0.13, "#dfe4ff")
    pen.line(ring[2 : half - 1], 0.04, "#8c7bff")
    for x, y in ((-0.8, -0.5), (-0.5, -0.8), (0.82, 0.7)):
        pen.circle(x, y, 0.045, "white")
    flame = [(-0.09, 0.16), (0.09, 0.16), (0, 0.44)]
    fins = [(-0.24, 0.24), (0, -0.02), (0.24, 0.24)]
    hull = [(0, -0.36), (0.12, -0.16), (0.12, 0.16), (-0.12, 0.16), (-0.12, -0.16)]
    for part, color in ((flame, "#ffb020"), (fins, "#ff3d5a"), (hull, "white")):
        pen.polygon(turned(part, 40, moved=(0.5, -0.58)), color)
    pen.circle(0.54, -0.63, 0.065, "#2438d6")


def _thriller(pen: Pen) -> None:
    """Draw a target in the cross hairs."""
    for radius, color in ((0.86, "#f7f7f7"), (0.72, "#f0142f"), (0.54, "#f7f7f7"), (0.37, "#f0142f"), (0.19, "#f7f7f7")):
        pen.circle(0, 0, radius, color)
    pen.line(curve(0, 0, 0.86, 0.86), 0.09, _INK)
    for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        pen.line([(x * 0.98, y * 0.98), (x * 0.16, y * 0.16)], 0.085, _INK)
    pen.circle(0, 0, 0.07, _INK)


MOTIFS: dict[str, Callable[[Pen], None]] = {
    "action": _action,
    "adventure": _adventure,
    "animation": _animation,
    "biography": _biography,
    "comedy": _comedy,
    "crime": _crime,
    "drama": _drama,
    "fantasy": _fantasy,
    "horror": _horror,
    "mystery": _mystery,
    "romance": _romance,
    "sci-fi": _science_fiction,
    "thriller": _thriller,
}
