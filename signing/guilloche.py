"""The background of a permit: a rosette in very light indigo, and words drawn as outlines.

Outlines instead of text keep the watermark and the microtext out of search, copying and reading aloud.
Everything here is a string of PDF path operators (ISO 32000-1 §8.5) in points.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import uharfbuzz

from signing.fonts import BOLD, font_bytes, text_width

INDIGO = (0.122, 0.235, 0.533)


@dataclass(frozen=True, slots=True)
class Vector:
    """A drawing to be kept as a form XObject: operators, and the forms they draw by name."""

    operators: str
    forms: Mapping[str, Vector] = field(default_factory=dict)


def tint(colour: tuple[float, float, float], strength: float) -> tuple[float, float, float]:
    """``colour`` on white paper at ``strength`` (0 to 1), opaque so that every printer renders it alike."""
    red, green, blue = (1 - strength * (1 - part) for part in colour)
    return red, green, blue


@cache
def _glyph(character: str) -> str:
    """The filled outline of one bold character, in thousandths of its size."""
    font = uharfbuzz.Font(uharfbuzz.Face(font_bytes(BOLD)))
    operators: list[str] = []
    at = (0.0, 0.0)

    def move(x: float, y: float, _: None) -> None:
        nonlocal at
        at = (x, y)
        operators.append(f"{x:g} {y:g} m")

    def line(x: float, y: float, _: None) -> None:
        nonlocal at
        at = (x, y)
        operators.append(f"{x:g} {y:g} l")

    def quadratic(cx: float, cy: float, x: float, y: float, _: None) -> None:
        # PDF has cubic curves only: each control point stands two thirds of the way to the quadratic one.
        nonlocal at
        first = (at[0] + 2 / 3 * (cx - at[0]), at[1] + 2 / 3 * (cy - at[1]))
        second = (x + 2 / 3 * (cx - x), y + 2 / 3 * (cy - y))
        at = (x, y)
        operators.append(" ".join(f"{value:.0f}" for value in (*first, *second, x, y)) + " c")

    drawing = uharfbuzz.DrawFuncs()
    drawing.set_move_to_func(move)
    drawing.set_line_to_func(line)
    drawing.set_quadratic_to_func(quadratic)
    drawing.set_close_path_func(lambda _: operators.append("h"))
    font.draw_glyph(font.get_nominal_glyph(ord(character)), drawing)
    return " ".join([*operators, "f"]) if operators else ""


def outlined(text: str, size: float) -> str:
    """``text`` in bold at ``size`` points from the origin, as filled outlines."""
    operators = [f"q {size / 1000:g} 0 0 {size / 1000:g} 0 0 cm"]
    for character in text:
        advance = text_width(character, BOLD, 1000)
        operators.append(f"{_glyph(character)} 1 0 0 1 {advance:g} 0 cm")
    return "\n".join([*operators, "Q"])


# Radius, number of waves, their depth (shares of the whole radius), number of curves, strength of the ink.
_RINGS = (
    (0.90, 32, 0.060, 6, 0.16),
    (0.72, 16, 0.120, 10, 0.14),
    (0.44, 8, 0.160, 12, 0.14),
    (0.17, 8, 0.090, 8, 0.14),
)


def _rosette(radius: float) -> Vector:
    """Rings of wavy closed curves around the origin, turned against each other as an engraver would."""
    operators: list[str] = ["0.3 w"]
    curves: dict[str, Vector] = {}
    for index, (share, waves, depth, copies, strength) in enumerate(_RINGS):
        curves[f"Ring{index}"] = Vector(_wave(radius * share, waves, radius * depth))
        operators.append(_colour(tint(INDIGO, strength), "RG"))
        # Shifting n waves by a whole turn is turning them by 1/n of it, so one curve serves for all copies.
        for copy in range(copies):
            operators.append(f"q {_turn(2 * math.pi * copy / copies / waves)} 0 0 cm /Ring{index} Do Q")
    return Vector("\n".join(operators), curves)


def _wave(radius: float, waves: int, depth: float) -> str:
    """A circle whose radius swings ``waves`` times by ``depth``, as Bézier curves through its samples."""
    steps = waves * 6

    def point(step: int) -> tuple[float, float]:
        angle = 2 * math.pi * step / steps
        swing = radius + depth * math.sin(waves * angle)
        return swing * math.cos(angle), swing * math.sin(angle)

    points = [point(step) for step in range(steps)]
    operators = [f"{points[0][0]:.1f} {points[0][1]:.1f} m"]
    for step in range(steps):
        before, start = points[step - 1], points[step]
        end, after = points[(step + 1) % steps], points[(step + 2) % steps]
        # Catmull-Rom tangents make one smooth curve of the samples.
        controls = (
            start[0] + (end[0] - before[0]) / 6,
            start[1] + (end[1] - before[1]) / 6,
            end[0] - (after[0] - start[0]) / 6,
            end[1] - (after[1] - start[1]) / 6,
            end[0],
            end[1],
        )
        operators.append(" ".join(f"{value:.1f}" for value in controls) + " c")
    return " ".join([*operators, "s"])


@cache
def background(width: float, height: float, stamp: str | None) -> Vector:
    """The background of a page of ``width`` by ``height``: the rosette and, when given, a tiled ``stamp``."""
    forms = {"Rosette": _rosette(width * 0.36)}
    operators = [f"q 1 0 0 1 {width / 2:g} {height * 0.47:g} cm /Rosette Do Q"]
    if stamp:
        forms["Stamp"] = Vector(outlined(stamp, _STAMP_SIZE))
        operators.append(_tiled(text_width(stamp, BOLD, _STAMP_SIZE), width, height))
    return Vector("\n".join(operators), forms)


_STAMP_SIZE = 40.0


def _tiled(stamp_width: float, width: float, height: float) -> str:
    """The stamp in slanted, very light rows; every second row is shifted by half a step."""
    slant = math.radians(32)
    step_x, step_y = stamp_width * math.cos(slant) + 70, 150.0
    operators = [_colour(tint((0.25, 0.25, 0.3), 0.065), "rg")]
    for row in range(int(height / step_y) + 2):
        for column in range(-1, int(width / step_x) + 2):
            x, y = (column + row % 2 / 2) * step_x, (row - 0.6) * step_y
            operators.append(f"q {_turn(slant)} {x:.1f} {y:.1f} cm /Stamp Do Q")
    return "\n".join(operators)


def _turn(angle: float) -> str:
    """The first four numbers of a matrix that turns by ``angle`` radians."""
    return f"{math.cos(angle):.4f} {math.sin(angle):.4f} {-math.sin(angle):.4f} {math.cos(angle):.4f}"


def _colour(colour: tuple[float, float, float], operator: str) -> str:
    return " ".join(f"{part:.3f}" for part in colour) + " " + operator
