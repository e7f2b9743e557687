from dataclasses import replace

import pytest
from documents import PERMIT, permit_with_conditions
from extremes import EXTREMES, LONG_URL

from signing.composition import compose, footer
from signing.fonts import text_width
from signing.layout import BOTTOM, LEFT, MM, PAGE_HEIGHT, TOP, WIDTH, Graphic, Text, fit
from signing.tagging import Element

PAPERS = {**EXTREMES, "permit": PERMIT, "thirty_conditions": permit_with_conditions(30)}


def pages_of(document):
    root = Element("Document")
    return fit(compose(document, root, preview=False))


def closing_of(document):
    """The pieces of the closing block: signature and QR code."""
    return compose(document, Element("Document"), preview=False)[-1].pieces


def right_of(piece):
    if isinstance(piece, Text):
        return piece.x + text_width(piece.string.rstrip(), piece.style.font, piece.style.size)
    return piece.x + piece.width


@pytest.mark.parametrize("name", PAPERS)
def test_nothing_stands_in_the_margins(name):
    for page in pages_of(PAPERS[name]):
        for top, row in page:
            assert top - row.height >= BOTTOM - 0.01
            assert top <= PAGE_HEIGHT - TOP
            for piece in row.pieces:
                quiet_zone = 4 * MM if isinstance(piece, Graphic) else 0
                assert LEFT - quiet_zone - 0.01 <= piece.x
                assert right_of(piece) <= LEFT + WIDTH + 0.2


@pytest.mark.parametrize("name", PAPERS)
def test_the_footer_stays_below_the_text(name):
    document = PAPERS[name]
    for page in (1, 2):
        top, row = footer(document, page, 2, Element("Document"))
        assert top < BOTTOM
        assert all(right_of(piece) <= LEFT + WIDTH + 0.2 for piece in row.pieces)


@pytest.mark.parametrize("url", [PERMIT.verify_url, LONG_URL])
def test_the_qr_code_leaves_the_signature_its_place(url):
    pieces = closing_of(replace(PERMIT, verify_url=url))
    (code,) = (piece for piece in pieces if isinstance(piece, Graphic))
    place = next(piece for piece in pieces if isinstance(piece, Text) and "Ditetapkan" in piece.string)
    words = next(piece for piece in pieces if isinstance(piece, Text) and "Kode" in piece.string)
    assert right_of(code) <= place.x
    assert code.drop + code.height <= words.drop


def test_the_position_hangs_after_its_prefix():
    signature = replace(PERMIT.signature, capacity="a.n. WALI KOTA\nPlt. Kepala Dinas Contoh")
    pieces = closing_of(replace(PERMIT, signature=signature))
    texts = [piece for piece in pieces if isinstance(piece, Text)]
    first = next(text for text in texts if text.string.startswith("a.n. WALI KOTA"))
    second = next(text for text in texts if text.string.startswith("Plt. Kepala"))
    assert second.x - first.x == pytest.approx(text_width("a.n. ", first.style.font, first.style.size))


def test_facts_go_with_the_sentence_that_leads_them_in():
    rows = compose(PERMIT, Element("Document"), preview=False)
    texts = {piece.string: row for row in rows for piece in row.pieces if isinstance(piece, Text)}
    assert texts["kepada:"].keep
