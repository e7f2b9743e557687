"""Lays a permit document out on A4: blocks become rows of text, rows become pages.

Lengths are points. A row is a strip of the page that is never broken; ``drop`` is a distance downwards from
the top of its row. Nothing here draws: the result is a value that ``signing.render`` paints.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from signing.fonts import BOLD, REGULAR, text_width
from signing.tagging import Element

PAGE_WIDTH, PAGE_HEIGHT = 595.28, 841.89
MM = 72 / 25.4
LEFT, RIGHT, TOP, BOTTOM = 30 * MM, 25 * MM, 25 * MM, 25 * MM
WIDTH = PAGE_WIDTH - LEFT - RIGHT


@dataclass(frozen=True, slots=True)
class Style:
    """A font, its size, and the distance of two baselines."""

    font: str
    size: float
    leading: float


BODY = Style(REGULAR, 11, 13.2)
STRONG = replace(BODY, font=BOLD)
SMALL = Style(REGULAR, 8.5, 11)
SMALL_STRONG = replace(SMALL, font=BOLD)


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text; ``element`` is None for an artifact. ``word_space`` widens each of its spaces."""

    element: Element | None
    x: float
    drop: float
    string: str
    style: Style
    word_space: float = 0.0


@dataclass(frozen=True, slots=True)
class Graphic:
    """Path operators that draw downwards from (x, drop): the origin is the top left corner, y is negative."""

    element: Element | None
    x: float
    drop: float
    width: float
    height: float
    operators: str


@dataclass(frozen=True, slots=True)
class SignatureField:
    """The rectangle that opens the signature's details when it is clicked."""

    element: Element
    x: float
    drop: float
    width: float
    height: float


Piece = Text | Graphic | SignatureField


@dataclass(frozen=True, slots=True)
class Row:
    """``before`` is the space above, left out at the top of a page; ``keep`` ties it to the next row.

    A ``flexible`` row takes part when lines are set wider apart.
    """

    height: float
    pieces: tuple[Piece, ...]
    before: float = 0.0
    keep: bool = False
    flexible: bool = False

    def stretched(self, factor: float) -> Row:
        """The row with ``factor`` times its height and the space above, if it is flexible."""
        if not self.flexible:
            return self
        return replace(self, height=self.height * factor, before=self.before * factor)


Pages = list[list[tuple[float, Row]]]
"""The rows of each page, each with the height of its top above the page's lower edge."""


def break_lines(text: str, style: Style, width: float) -> list[str]:
    """``text`` in lines no wider than ``width``, broken at line feeds, at spaces and inside longer words.

    Each line but the last keeps the space it was broken at, beyond ``width``: whoever reads the page aloud
    or copies from it needs one between two words (ISO 32000-1 §14.8.2.5).
    """
    return [line for lines in _hard_lines(text, style, width) for line in lines]


def _hard_lines(text: str, style: Style, width: float) -> list[list[str]]:
    """The lines of each part of ``text`` between line feeds."""
    lines = [_wrap(hard_line, style, width) for hard_line in text.split("\n")]
    for earlier in lines[:-1]:
        earlier[-1] += " "
    return lines


_TIE = "\N{NO-BREAK SPACE}"
_TIED = re.compile(
    r"\b(?:Nomor|Tahun|Pasal|RT|RW|Pos-el) (?=\S)|\b\d{1,2} "
    r"(?=(?:Januari|Februari|Maret|April|Mei|Juni|Juli|Agustus|September|Oktober|November|Desember)\b)"
)
"""Spaces at which no careful typist ends a line."""
_JOINT = re.compile(r"(?<=[a-z]{8}-)(?=[a-z]{8})")
"""Where long doubled words such as perundang-undangan may be parted."""
_LAST_RESORT = re.compile(rf"(?<=[/{_TIE}-])(?=.)")
"""Where a number or an address wider than a line is parted."""


def _wrap(text: str, style: Style, width: float) -> list[str]:
    lines = []
    line, used = "", 0.0
    space = text_width(" ", style.font, style.size)
    for index, word in enumerate(_TIED.sub(lambda match: match[0][:-1] + _TIE, text).split(" ")):
        glue = " " if index else ""
        for part, advance in _parts(word, style, width):
            if used + space * len(glue) + advance <= width or not line:
                line += glue + part
                used += space * len(glue) + advance
            else:
                lines.append(line + glue)
                line, used = part, advance
            glue = ""
    return [each.replace(_TIE, " ") for each in (*lines, line)]


def _parts(word: str, style: Style, width: float) -> Iterator[tuple[str, float]]:
    """The word whole, or parted at its joint or where it grows wider than a line; each with its advance."""
    whole = text_width(word, style.font, style.size)
    if whole <= width and not ("-" in word and _JOINT.search(word)):
        yield word, whole
        return
    for part in (_JOINT if whole <= width else _LAST_RESORT).split(word):
        start, used = 0, 0.0
        for index, character in enumerate(part):
            advance = text_width(character, style.font, style.size)
            if index > start and used + advance > width:
                yield part[start:index], used
                start, used = index, 0.0
            used += advance
        yield part[start:], used


@lru_cache(maxsize=128)
def balanced_lines(text: str, style: Style, width: float) -> list[str]:
    """As few lines as ``break_lines`` needs, but of lengths as even as can be; for centred headings."""
    lines = break_lines(text, style, width)
    if len(lines) == 1:
        return lines
    narrow, wide = width / (len(lines) + 1), width
    while wide - narrow > 2:
        middle = (narrow + wide) / 2
        if len(break_lines(text, style, middle)) > len(lines):
            narrow = middle
        else:
            wide = middle
    return break_lines(text, style, wide)


def centred_rows(element: Element, text: str, style: Style, *, before: float = 0.0) -> list[Row]:
    """Centred lines of balanced length, tied to each other and to what follows."""
    rows = []
    for line in balanced_lines(text, style, WIDTH):
        x = LEFT + (WIDTH - text_width(line.rstrip(), style.font, style.size)) / 2
        rows.append(Row(style.leading, (Text(element, x, style.size, line, style),), before, keep=True))
        before = 0.0
    return rows


def paragraph_rows(
    element: Element,
    text: str,
    style: Style,
    *,
    x: float = LEFT,
    width: float = WIDTH,
    before: float = 0.0,
    justified: bool = False,
) -> list[Row]:
    """A paragraph; its first two and last two lines stay together, and what it leads in with a colon."""
    lines: list[tuple[str, float]] = []
    for *full, last in _hard_lines(text, style, width):
        lines += [(line, _word_space(line, style, width) if justified else 0.0) for line in full]
        lines.append((last, 0.0))
    rows = []
    for index, (line, space) in enumerate(lines):
        last_one = index + 1 == len(lines)
        keep = text.endswith(":") if last_one else index in {0, len(lines) - 2}
        piece = Text(element, x, style.size, line, style, space)
        rows.append(Row(style.leading, (piece,), before, keep, flexible=True))
        before = 0.0
    return rows


def _word_space(line: str, style: Style, width: float) -> float:
    """What each space must gain to fill ``width``, or nothing when that would tear holes into the line."""
    visible = line.rstrip()
    spaces = visible.count(" ")
    if not spaces:
        return 0.0
    gain = (width - text_width(visible, style.font, style.size)) / spaces
    return gain if gain <= 0.8 * style.size else 0.0


def fit(rows: list[Row]) -> Pages:
    """The pages of ``rows``: as few as can be, with lines as far apart as that allows."""
    fewest = len(paginate(rows))
    for factor in _STRETCHES:
        pages = paginate([row.stretched(factor) for row in rows])
        if len(pages) == fewest:
            return pages
    return paginate(rows)


_STRETCHES = (1.25, 1.18, 1.11, 1.05)  # Of a line spacing of 1.2: official letters use 1.15 to 1.5.


def paginate(rows: list[Row]) -> Pages:
    """The rows of each page with the height of their tops above the page's lower edge.

    Rows tied together move to the next page as one, unless they are longer than a page themselves.
    """
    pages: list[list[tuple[float, Row]]] = [[]]
    y = PAGE_HEIGHT - TOP
    for group in _groups(rows):
        needed = sum(row.before + row.height for row in group)
        if pages[-1] and y - needed < BOTTOM and needed <= PAGE_HEIGHT - TOP - BOTTOM:
            pages.append([])
            y = PAGE_HEIGHT - TOP
        for row in group:
            if pages[-1] and y - row.before - row.height < BOTTOM:
                pages.append([])
                y = PAGE_HEIGHT - TOP
            y -= row.before if pages[-1] else 0.0
            pages[-1].append((y, row))
            y -= row.height
    return pages


def _groups(rows: list[Row]) -> Iterator[list[Row]]:
    group: list[Row] = []
    for row in rows:
        group.append(row)
        if not row.keep:
            yield group
            group = []
    if group:
        yield group
