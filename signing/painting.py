"""Paints laid-out pages with ReportLab, each piece marked for the structure tree or as an artifact."""

import io
from dataclasses import dataclass
from itertools import groupby

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfgen.canvas import Canvas

from signing.fonts import BOLD, REGULAR, font
from signing.layout import PAGE_HEIGHT, PAGE_WIDTH, Graphic, Pages, SignatureField, Text


@dataclass(frozen=True, slots=True)
class FieldPlace:
    """Where the signature field goes: the page's index and left, bottom, right and top in points."""

    page: int
    rectangle: tuple[float, float, float, float]


def paint(pages: Pages) -> tuple[bytes, FieldPlace | None]:
    """The pages as an untagged PDF whose content carries marks, and the place of the signature field.

    Each page is a list of rows with the heights of their tops. The marks are added to the pieces' elements.
    Not to be called by two threads at once: ReportLab's fonts hold the state of the document being written.
    """
    for name in (REGULAR, BOLD):
        if name not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(font(name))
    buffer = io.BytesIO()
    size = (PAGE_WIDTH, PAGE_HEIGHT)
    # pikepdf compresses the pages when it saves them, once.
    canvas = Canvas(buffer, size, pageCompression=0, invariant=1, initialFontName=REGULAR)
    field = None
    for index, rows in enumerate(pages):
        pieces = [(top - piece.drop, piece) for top, row in rows for piece in row.pieces]
        drawn = [(y, piece) for y, piece in pieces if not isinstance(piece, SignatureField)]
        for y, piece in pieces:
            if isinstance(piece, SignatureField):
                field = FieldPlace(index, (piece.x, y - piece.height, piece.x + piece.width, y))
        _paint_page(canvas, index, drawn)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue(), field


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
                canvas.addLiteral(_text_operators(canvas, piece, y))
            else:
                canvas.addLiteral(f"q 1 0 0 1 {piece.x:.2f} {y:.2f} cm\n{piece.operators}\nQ")
                if element is not None:
                    element.bbox = (piece.x, y - piece.height, piece.x + piece.width, y)
        canvas.addLiteral("EMC")


def _text_operators(canvas: Canvas, text: Text, y: float) -> str:
    """The text in the codes of the document's own font subsets, never as markup or operators."""
    face = font(text.style.font)
    operators = [f"BT {text.word_space:.3f} Tw 1 0 0 1 {text.x:.2f} {y:.2f} Tm"]
    for subset, codes in face.splitString(text.string, canvas._doc):
        name = face.getSubsetInternalName(subset, canvas._doc)
        operators.append(f"{name} {text.style.size:g} Tf <{codes.hex()}> Tj")
    operators.append("ET")
    return " ".join(operators)
