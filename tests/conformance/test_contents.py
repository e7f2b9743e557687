"""What a permit's file holds besides its words, and how much room that takes."""

import io

import pikepdf
from extremes import EXTREMES

from signing.render import render_document

LARGEST_PAGE = 45_000
"""Bytes of an unsigned permit of one page; reading and verifying cost in proportion."""


def test_fonts_are_embedded_in_subset_and_there_are_no_pictures(specimens):
    for document in [*specimens.values(), *EXTREMES.values()]:
        with pikepdf.open(io.BytesIO(render_document(document))) as pdf:
            found = [each for each in pdf.objects if isinstance(each, pikepdf.Dictionary | pikepdf.Stream)]
            fonts = [each for each in found if each.get("/Type") == "/Font"]
            names = {str(font.BaseFont) for font in fonts}
            assert {name.partition("+")[2] for name in names} == {"NotoSans-Regular", "NotoSans-Bold"}
            descriptors = [each for each in found if each.get("/Type") == "/FontDescriptor"]
            assert {str(each.FontName) for each in descriptors} == names
            assert all("/FontFile2" in each for each in descriptors)
            assert not [each for each in found if each.get("/Subtype") == "/Image"]


def test_a_permit_stays_small(specimens):
    for name, document in specimens.items():
        assert len(render_document(document)) < LARGEST_PAGE, name
    assert len(render_document(EXTREMES["three_pages"])) < 1.5 * LARGEST_PAGE
