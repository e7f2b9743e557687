"""What a signing service may change in a document, and what not."""

import io
from collections.abc import Callable
from dataclasses import replace

import pikepdf
import pytest
from documents import PERMIT
from pki import NOW, throwaway_pki
from reportlab.pdfgen.canvas import Canvas

from signing.comparison import same_content
from signing.render import render_document
from signing.sign import sign_document

PAGE = render_document(PERMIT)


def changed(change: Callable[[pikepdf.Pdf], object], **options: object) -> bytes:
    output = io.BytesIO()
    with pikepdf.open(io.BytesIO(PAGE)) as document:
        change(document)
        document.save(output, **options)
    return output.getvalue()


def test_a_signature_and_a_file_written_anew_change_nothing() -> None:
    signed = sign_document(PAGE, throwaway_pki().official, signed_at=NOW, timestamper=None)
    assert same_content(PAGE, signed)
    assert same_content(
        PAGE,
        sign_document(
            PAGE, throwaway_pki().official, signed_at=NOW, timestamper=None, field_name="Signature1"
        ),
    )
    generated = pikepdf.ObjectStreamMode.generate
    assert same_content(PAGE, changed(lambda _: None, object_stream_mode=generated, recompress_flate=True))


def _image(document: pikepdf.Pdf) -> None:
    """Draw in the signature's field, as a visible signature does."""
    appearance = document.make_stream(b"0 0 10 10 re f")
    appearance.update({"/Type": pikepdf.Name.XObject, "/Subtype": pikepdf.Name.Form})
    document.pages[0].obj["/Annots"][0]["/AP"]["/N"] = appearance


def _note(document: pikepdf.Pdf) -> None:
    note = pikepdf.Dictionary(Type=pikepdf.Name.Annot, Subtype=pikepdf.Name.Text, Rect=[0, 0, 0, 0])
    document.pages[0].obj["/Annots"].append(document.make_indirect(note))


def _font(document: pikepdf.Pdf) -> None:
    """Give the page the same text in other shapes."""
    fonts = document.pages[0].obj["/Resources"]["/Font"]
    first, second = list(fonts.keys())[:2]
    fonts[first], fonts[second] = fonts[second], fonts[first]


def _script(document: pikepdf.Pdf) -> None:
    action = pikepdf.Dictionary(S=pikepdf.Name.JavaScript, JS="app.alert('x')")
    document.Root["/OpenAction"] = action


def _attachment(document: pikepdf.Pdf) -> None:
    files = document.attachments
    files["permit.json"] = pikepdf.AttachedFileSpec(document, b"{}", filename="permit.json")


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.pages[0].contents_add(b"BT ET"),
        lambda document: document.pages.append(document.pages[0]),
        lambda document: document.pages[0].rotate(90, relative=False),
        _image,
        _note,
        _font,
        _script,
        _attachment,
    ],
)
def test_whatever_shows_or_carries_something_else_is_noticed(
    change: Callable[[pikepdf.Pdf], object],
) -> None:
    assert not same_content(PAGE, changed(change))


def test_another_document_and_no_document_are_not_the_same() -> None:
    other = render_document(replace(PERMIT, number="500.16.7.2/0002/SIP-TK/XI/2026"))
    assert not same_content(PAGE, other)
    assert not same_content(PAGE, b"%PDF-1.7 nothing")
    blank = io.BytesIO()
    canvas = Canvas(blank)
    canvas.drawString(72, 720, "SURAT LAIN")
    canvas.save()
    assert not same_content(PAGE, blank.getvalue())
