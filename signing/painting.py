"""Paints laid-out pages with ReportLab, each piece marked for the structure tree or as an artifact."""

import io
from collections import defaultdict
from dataclasses import dataclass
from itertools import groupby

from reportlab.pdfgen.canvas import Canvas

from signing.embedding import codes
from signing.fonts import BOLD, REGULAR
from signing.layout import PAGE_HEIGHT, PAGE_WIDTH, Graphic, Pages, SignatureField, Text

FONTS = {REGULAR: "/F1", BOLD: "/F2"}
"""What the pages' content calls each font. ReportLab selects F1 at the start of a page."""


@dataclass(frozen=True, slots=True)
class FieldPlace:
    """Where the signature field goes: the page's index and left, bottom, right and top in points."""

    page: int
    rectangle: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Painting:
    """The pages as an untagged PDF, the characters they show by font, and where the signature field goes."""

    pdf: bytes
    characters: dict[str, set[str]]
    field: FieldPlace | None


def paint(pages: Pages) -> Painting:
    """Paint pages, each a list of rows with the heights of their tops.

    The content names fonts as FONTS does, and the forms Background and MicrotextLine: the PDF has neither.
    The marks in the content are added to the pieces' elements.
    """
    buffer = io.BytesIO()
    canvas = Canvas(buffer, (PAGE_WIDTH, PAGE_HEIGHT), pageCompression=0, invariant=1)
    characters, field = defaultdict[str, set[str]](set), None
    for index, rows in enumerate(pages):
        pieces = [(top - piece.drop, piece) for top, row in rows for piece in row.pieces]
        drawn = [(y, piece) for y, piece in pieces if not isinstance(piece, SignatureField)]
        for y, piece in pieces:
            if isinstance(piece, SignatureField):
                field = FieldPlace(index, (piece.x, y - piece.height, piece.x + piece.width, y))
            elif isinstance(piece, Text):
                characters[piece.style.font].update(piece.string)
        _paint_page(canvas, index, drawn)
        canvas.showPage()
    canvas.save()
    return Painting(buffer.getvalue(), characters, field)


def _paint_page(canvas: Canvas, page: int, pieces: list[tuple[float, Text | Graphic]]) -> None:
    mcid = 0
    canvas.addLiteral("/Artifact BMC /Background Do EMC")
    for element, group in groupby(pieces, key=lambda placed: placed[1].element):
        if element is None:
            canvas.addLiteral("/Artifact BMC")
        else:
            element.marks.append((page, mcid))
            canvas.addLiteral(f"/{element.kind} <</MCID {mcid}>> BDC")
            mcid += 1
        for y, piece in group:
            if isinstance(piece, Text):
                canvas.addLiteral(_text_operators(piece, y))
            else:
                canvas.addLiteral(f"q 1 0 0 1 {piece.x:.2f} {y:.2f} cm\n{piece.operators}\nQ")
                if element is not None:
                    element.bbox = (piece.x, y - piece.height, piece.x + piece.width, y)
        canvas.addLiteral("EMC")


def _text_operators(text: Text, y: float) -> str:
    """The text in the codes of its font, never as markup or operators."""
    style = text.style
    shown = f"<{codes(text.string)}>"
    if text.word_space:
        # The operator for word spacing knows no code of two bytes (ISO 32000-1 §9.3.3).
        space = codes(" ")
        widened = f"{space}> {-1000 * text.word_space / style.size:.1f} <"
        shown = f"<{widened.join(map(codes, text.string.split(' ')))}>"
    return f"BT {FONTS[style.font]} {style.size:g} Tf 1 0 0 1 {text.x:.2f} {y:.2f} Tm [{shown}] TJ ET"
