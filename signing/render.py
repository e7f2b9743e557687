"""Renders a permit document as a tagged page: PDF/A-3a (ISO 19005-3) and PDF/UA-1 (ISO 14289-1).

ReportLab writes the pages; pikepdf adds the fonts' glyphs, the structure tree, the background, the attached
data and the signature field that ``signing.sign`` fills. All text is data: nothing in it is markup.
"""

import io
import zlib
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from functools import lru_cache
from typing import Any

from pikepdf import Array, Dictionary, Name, Object, Pdf, Stream, String

from signing import pdfa
from signing.composition import MICROTEXT_SIZE, PREVIEW, SAMPLE, compose, footer, microtext
from signing.document import PermitDocument, canonical_json
from signing.embedding import embed_font
from signing.errors import IncompleteDocument, UnprintableText
from signing.fonts import BOLD, printable, text_width, unprintable_characters
from signing.guilloche import Vector, background, outlined
from signing.layout import PAGE_HEIGHT, PAGE_WIDTH, WIDTH, fit
from signing.painting import FONTS, FieldPlace, paint
from signing.placement import LOCKED, PRINT
from signing.sign import FIELD_NAME
from signing.tagging import Element, write_structure

_DEFLATION = 4
"""A third of the time of the usual level, for some two bytes more in a hundred."""


def render_document(
    document: PermitDocument, *, preview: bool = False, signature_field: bool = True
) -> bytes:
    """Return the document as a PDF; equal documents give equal bytes.

    Without `signature_field` whoever signs makes one of their own.

    A preview has no QR code, no attached data and no signature field, says PRATINJAU across the page and
    wherever something is not known yet, and shows an unprintable character as a replacement character.

    Raises IncompleteDocument when number, code, address or date is missing, and UnprintableText when a
    character has no glyph: neither may happen to a permit silently.
    """
    if not preview:
        _require_complete(document)
        if characters := unprintable(document):
            raise UnprintableText(characters)
    printed = _map_text(document, printable)
    root = Element("Document")
    pages = fit(compose(printed, root, preview=preview))
    painting = paint(
        [[*placed, footer(printed, page, len(pages), root)] for page, placed in enumerate(pages, start=1)]
    )
    with Pdf.open(io.BytesIO(painting.pdf)) as pdf:
        _embed_fonts(pdf, painting.characters)
        _draw_behind(pdf, printed, PREVIEW if preview else SAMPLE if printed.is_sample else None)
        field = painting.field if signature_field else None
        widget = _add_signature_field(pdf, field) if field else None
        write_structure(pdf, root, widget=widget)
        title = f"{printed.title} {printed.number or PREVIEW}"
        pdfa.describe(
            pdf,
            title=title,
            author=printed.letterhead.line2.replace("\n", " "),
            created=printed.issued_on,
            language="id-ID",
        )
        pdfa.set_output_intent(pdf)
        if not preview:
            is_receipt = document.kind == "verification_receipt"
            name = pdfa.RECEIPT_DATA if is_receipt else pdfa.PERMIT_DATA
            pdfa.attach_data(pdf, name, canonical_json(document.data), document.issued_on)
        output = io.BytesIO()
        pdf.save(output, min_version="1.7", deterministic_id=True, fix_metadata_version=False)
    return output.getvalue()


def unprintable(document: PermitDocument) -> str:
    """The characters of the printed text that the fonts cannot show, sorted; empty when all can be shown."""
    found: set[str] = set()

    def collect(text: str) -> str:
        found.update(unprintable_characters(text))
        return text

    _map_text(document, collect)
    return "".join(sorted(found))


def _require_complete(document: PermitDocument) -> None:
    needed = {
        "number": document.number,
        "code": document.code,
        "verify_url": document.verify_url,
        "issued_on": document.issued_on,
    }
    if missing := [name for name, value in needed.items() if value is None]:
        raise IncompleteDocument(f"The document lacks {', '.join(missing)}: only a preview may.")


def _map_text(value: Any, change: Callable[[str], str]) -> Any:
    """The value with each printed string in it changed; the attached data stay as they are."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, tuple):
        return tuple(_map_text(item, change) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        changed = {each.name: _map_text(getattr(value, each.name), change) for each in fields(value)}
        return replace(value, **changed)
    return value


def _embed_fonts(pdf: Pdf, characters: dict[str, set[str]]) -> None:
    """Give the pages the fonts that their content names."""
    used = sorted(characters.items())
    fonts = pdf.make_indirect(Dictionary({FONTS[name]: embed_font(pdf, name, shown) for name, shown in used}))
    for page in pdf.pages:
        content = zlib.compress(page.obj.Contents.read_bytes(), _DEFLATION)
        page.obj.Contents = Stream(pdf, content, Filter=Name.FlateDecode)
        page.obj.Resources = Dictionary(Font=fonts)


def _draw_behind(pdf: Pdf, document: PermitDocument, stamp: str | None) -> None:
    """Give each page the forms its content names: the background and the microtext line."""
    behind = _form(pdf, background(PAGE_WIDTH, PAGE_HEIGHT, stamp), (0, 0, PAGE_WIDTH, PAGE_HEIGHT))
    line = _form(pdf, _microtext(document), (0, -1, WIDTH, 3))
    for index, page in enumerate(pdf.pages):
        forms = Dictionary(Background=behind)
        if index == 0:
            forms.MicrotextLine = line
        page.obj.Resources.XObject = forms


def _microtext(document: PermitDocument) -> Vector:
    words = microtext(document)
    step = text_width(words, BOLD, MICROTEXT_SIZE)
    copies = int(WIDTH / step) + 1
    operators = "0.25 g " + f"/Words Do 1 0 0 1 {step:.3f} 0 cm " * copies
    return Vector(operators, {"Words": Vector(outlined(words, MICROTEXT_SIZE))})


def _form(pdf: Pdf, vector: Vector, box: tuple[float, float, float, float]) -> Object:
    """A form XObject of the drawing and of the forms it draws."""
    forms = {f"/{name}": _form(pdf, inner, _ANYWHERE) for name, inner in vector.forms.items()}
    stream = Stream(
        pdf,
        _deflated(vector.operators),
        Filter=Name.FlateDecode,
        Type=Name.XObject,
        Subtype=Name.Form,
        BBox=Array(box),
        Resources=Dictionary(XObject=Dictionary(forms)) if forms else Dictionary(),
    )
    return pdf.make_indirect(stream)


_ANYWHERE = (-1000, -1000, 2000, 2000)


@lru_cache(maxsize=32)
def _deflated(operators: str) -> bytes:
    return zlib.compress(operators.encode(), _DEFLATION)


def _add_signature_field(pdf: Pdf, place: FieldPlace) -> Object:
    """The empty field over the signature block, tagged, so that signing only fills it in.

    Its appearance is empty: the page already says in words who signed (ISO 19005-3 §6.3.3 wants one).
    """
    left, bottom, right, top = place.rectangle
    page = pdf.pages[place.page].obj
    appearance = Stream(
        pdf, b"", Type=Name.XObject, Subtype=Name.Form, BBox=Array([0, 0, right - left, top - bottom])
    )
    widget = pdf.make_indirect(
        Dictionary(
            Type=Name.Annot,
            Subtype=Name.Widget,
            FT=Name.Sig,
            T=String(FIELD_NAME),
            TU=String("Tanda tangan elektronik"),
            Rect=Array([round(each, 2) for each in place.rectangle]),
            F=PRINT | LOCKED,
            P=page,
            StructParent=len(pdf.pages),
            AP=Dictionary(N=pdf.make_indirect(appearance)),
        )
    )
    page.Annots = Array([widget])
    pdf.Root.AcroForm = Dictionary(Fields=Array([widget]))
    return widget
