from dataclasses import replace

import pikepdf
import pypdfium2
import pytest
from documents import PERMIT

from signing.document import Paragraph
from signing.embedding import embed_font
from signing.fonts import BOLD, REGULAR, font_face
from signing.render import render_document

LOOK_ALIKES = "A\u0391\u0410 \u00b5\u03bc o\u043e"
"""A Latin, a Greek and a Cyrillic A; the micro sign and a mu; a Latin and a Cyrillic o."""


@pytest.fixture
def embedded():
    with pikepdf.Pdf.new() as pdf:
        yield lambda characters, name=REGULAR: embed_font(pdf, name, set(characters)).DescendantFonts[0]


def glyph_of(font, character):
    at = 2 * ord(character)
    return int.from_bytes(font.CIDToGIDMap.read_bytes()[at : at + 2], "big")


def widths_of(font):
    starts, runs = list(font.W)[::2], list(font.W)[1::2]
    return {
        int(start) + offset: width
        for start, run in zip(starts, runs, strict=True)
        for offset, width in enumerate(run)
    }


def test_characters_that_look_the_same_are_copied_as_what_they_are():
    pdf = render_document(replace(PERMIT, body=(Paragraph(f"({LOOK_ALIKES})"),)))
    assert f"({LOOK_ALIKES})" in pypdfium2.PdfDocument(pdf)[0].get_textpage().get_text_range()


@pytest.mark.parametrize("name", [REGULAR, BOLD])
def test_every_character_has_its_glyph_and_its_width(embedded, name):
    font, face = embedded("A\u017e\u20ac\u0416", name), font_face(name)
    for character in "A\u017e\u20ac\u0416 9":
        assert glyph_of(font, character) == face.charToGlyph[ord(character)] != 0
        assert widths_of(font)[ord(character)] == face.charWidths[ord(character)]


def test_rare_characters_are_embedded_only_where_they_are_shown(embedded):
    font, without = embedded("\u0416"), embedded("A")
    assert glyph_of(without, "\u0416") == 0 != glyph_of(font, "\u0416")
    assert ord("\u0416") not in widths_of(without)
    size, smaller = (len(each.FontDescriptor.FontFile2.read_bytes()) for each in (font, without))
    assert smaller < size


@pytest.mark.parametrize("name", [REGULAR, BOLD])
def test_no_character_takes_more_than_one_code(name):
    printable = [code for code in font_face(name).charToGlyph if code <= 0x10FFFF]
    assert max(printable) <= 0xFFFF
