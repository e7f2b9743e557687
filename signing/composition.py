"""Composes an official permit: which words stand where, and what each is in the structure tree."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import lru_cache
from typing import Any

import zxingcpp
from babel.dates import format_date

from signing.document import Facts, Heading, NumberedList, Paragraph, PermitDocument
from signing.fonts import BOLD, REGULAR, text_width
from signing.layout import (
    BODY,
    LEFT,
    MM,
    SMALL,
    SMALL_STRONG,
    STRONG,
    WIDTH,
    Graphic,
    Piece,
    Row,
    SignatureField,
    Style,
    Text,
    balanced_lines,
    break_lines,
    centred_rows,
    paragraph_rows,
)
from signing.tagging import DECIMAL_LIST, ROW_HEADER, Element

PREVIEW = "PRATINJAU"
SAMPLE = "CONTOH"
SAMPLE_HEADING = "CONTOH – TIDAK SAH"
MICROTEXT_SIZE = 2.0

_GOVERNMENT = Style(BOLD, 12.5, 16)
_OFFICE = Style(BOLD, 14, 17.5)
_ADDRESS = Style(REGULAR, 8.5, 11.5)
_TITLE = Style(BOLD, 14, 18.5)
_GAP = 8.0
_INDENT = 20.0

_LINE_TOP = BODY.size * 0.28
"""From the top of a row to the top of its capitals."""
_QR_SIDE = 29 * MM
_QR_MODULE = 0.5 * MM
_DARK = 0
"""A dark module, as a level of grey."""
_SIGNATURE_X = LEFT + 0.45 * WIDTH

_FOOTER_BOTTOM = 9 * MM
_FOOTER = Style(REGULAR, 7.5, 9.5)
_FOOTER_STRONG = Style(BOLD, 8.5, 11)


def compose(document: PermitDocument, root: Element, *, preview: bool) -> list[Row]:
    """The rows of ``document``, whose text is printable, and its structure below ``root``."""
    rows = _letterhead(document, root)
    rows += centred_rows(root.add("H1"), document.title.upper(), _TITLE, before=16)
    number = document.number or PREVIEW
    rows += centred_rows(root.add("P"), f"NOMOR : {number}", replace(BODY, leading=17))
    rows[-1] = replace(rows[-1], keep=False)
    body: list[Row] = []
    if document.legal_basis:
        body += _legal_basis(document.legal_basis, root)
    for block in document.body:
        body += _block(block, root)
    if document.validity:
        body += paragraph_rows(root.add("P"), document.validity, STRONG, before=_GAP)
    # The signature never stands alone on a page: the last two lines of the text go with it.
    body[-2:] = [replace(row, keep=True) for row in body[-2:]]
    if body:
        body[0] = replace(body[0], before=18)
    return [*rows, *body, _closing(document, root, preview=preview)]


def _letterhead(document: PermitDocument, root: Element) -> list[Row]:
    head = document.letterhead
    rows = [
        *centred_rows(root.add("P"), head.line1.upper(), _GOVERNMENT),
        *centred_rows(root.add("P"), head.line2.upper(), _OFFICE),
        *centred_rows(root.add("P"), head.address, _ADDRESS, before=2),
        *centred_rows(root.add("P"), head.contact, _ADDRESS),
    ]
    rules = f"0 g 0 -0.8 {WIDTH:.2f} 0.8 re 0 -4.4 {WIDTH:.2f} 2.2 re f"
    microtext = f"q 0 -8.2 {WIDTH:.2f} 2.6 re W n 1 0 0 1 0 -7.7 cm /MicrotextLine Do Q"
    pieces = (Graphic(None, LEFT, 5, WIDTH, 8, f"{rules} {microtext}"),)
    return [*rows, Row(13, pieces, keep=True)]


def microtext(document: PermitDocument) -> str:
    """The words of the microtext line, which no copy at a lower resolution keeps."""
    words = (document.letterhead.line1.upper(), document.number or PREVIEW, document.code or PREVIEW)
    return " · ".join(words) + " · "


def _legal_basis(sources: tuple[str, ...], root: Element) -> list[Row]:
    if len(sources) == 1:
        return _facts((("Dasar", sources[0]),), root)
    style = BODY
    label = root.add("P")
    x = LEFT + text_width("Dasar", style.font, style.size) + 12
    start = Row(
        0,
        (Text(label, LEFT, style.size, "Dasar", style), Text(label, x, style.size, ":", style)),
        _GAP,
        keep=True,
        flexible=True,
    )
    return [start, *_numbered(sources, root, x=x + 10, before=0)]


def _block(block: Paragraph | Heading | Facts | NumberedList, root: Element) -> list[Row]:
    match block:
        case Paragraph(text):
            return paragraph_rows(root.add("P"), text, BODY, before=_GAP, justified=True)
        case Heading(text):
            rows = paragraph_rows(root.add("H2"), text, STRONG, before=_GAP + 2)
            return [replace(row, keep=True) for row in rows]
        case Facts(facts):
            return _facts(facts, root)
        case NumberedList(items):
            return _numbered(items, root, x=LEFT, before=_GAP)


def _facts(facts: tuple[tuple[str, str], ...], root: Element) -> list[Row]:
    """A table of two columns: the labels end in colons that stand under each other."""
    style = BODY
    table = root.add("Table")
    widest = max((text_width(label, style.font, style.size) for label, _ in facts), default=0)
    label_width = min(widest, 0.36 * WIDTH)
    colon_x = LEFT + label_width + 8
    value_x = colon_x + 10
    rows = []
    for index, (label, value) in enumerate(facts):
        row = table.add("TR")
        header = row.add("TH", attributes=ROW_HEADER)
        cell = row.add("TD")
        labels = break_lines(label, style, label_width + 0.1)
        values = break_lines(value, style, LEFT + WIDTH - value_x)
        count = max(len(labels), len(values))
        for line in range(count):
            pieces: list[Piece] = []
            if line < len(labels):
                pieces.append(Text(header, LEFT, style.size, labels[line], style))
            if line == 0:
                # Read aloud, a colon belongs after the label; in the middle of a longer one it is left out.
                colon = header if len(labels) == 1 else None
                pieces.append(Text(colon, colon_x, style.size, ":", style))
            if line < len(values):
                pieces.append(Text(cell, value_x, style.size, values[line], style))
            before = 0.0 if line else 2.0 if index else _GAP
            # Its first two and its last two lines stay together, and the whole label.
            keep = line + 1 < count and (line in {0, count - 2} or line < len(labels))
            rows.append(Row(style.leading, tuple(pieces), before, keep, flexible=True))
    return rows


def _numbered(items: tuple[str, ...], root: Element, *, x: float, before: float) -> list[Row]:
    style = BODY
    listing = root.add("L", attributes=DECIMAL_LIST)
    rows = []
    for number, item in enumerate(items, start=1):
        entry = listing.add("LI")
        label = Text(entry.add("Lbl"), x, style.size, f"{number}.", style)
        text_x = x + _INDENT
        first, *others = paragraph_rows(
            entry.add("LBody"), item, style, x=text_x, width=LEFT + WIDTH - text_x, before=before
        )
        rows += [replace(first, pieces=(label, *first.pieces)), *others]
        before = 2.0
    return rows


def _closing(document: PermitDocument, root: Element, *, preview: bool) -> Row:
    """Place and date, signature and QR code: one row, so that a page never parts them."""
    signature, signature_height = _signature(document, root, preview=preview)
    check, check_height = _check(document, root, preview=preview)
    return Row(max(signature_height, check_height), (*signature, *check), before=22)


def _signature(document: PermitDocument, root: Element, *, preview: bool) -> tuple[list[Piece], float]:
    signature = document.signature
    style = BODY
    width = LEFT + WIDTH - _SIGNATURE_X
    pieces: list[Piece] = []
    drop = 0.0

    def add(text: str, style: Style, space: float = 0.0) -> None:
        add_lines([(0.0, line) for line in break_lines(text, style, width)], style, space)

    def add_lines(lines: list[tuple[float, str]], style: Style, space: float) -> None:
        nonlocal drop
        drop += space
        element = root.add("P")
        for indent, line in lines:
            pieces.append(Text(element, _SIGNATURE_X + indent, drop + style.size, line, style))
            drop += style.leading

    add(_place_and_date(document), style)
    top = drop + 4
    add_lines(_capacity_lines(signature.capacity + ",", style, width), style, 4)
    add(signature.note, SMALL, 14)
    add(signature.name, STRONG, 2)
    if signature.rank:
        add(signature.rank, style)
    if signature.nip:
        add(f"NIP {signature.nip}", style)
    if not preview:
        form = root.add("Form", alt="Tanda tangan elektronik")
        pieces.append(SignatureField(form, _SIGNATURE_X, top, width, drop - top))
    return pieces, drop


def _capacity_lines(capacity: str, style: Style, width: float) -> list[tuple[float, str]]:
    """The position in lines with their indents: after Plt., Plh. or a.n. they stand under each other."""
    prefix, _, position = capacity.partition(" ")
    if prefix not in {"Plt.", "Plh.", "a.n."}:
        return [(0.0, line) for line in balanced_lines(capacity, style, width)]
    indent = text_width(prefix + " ", style.font, style.size)
    first, *others = balanced_lines(position, style, width - indent)
    return [(0.0, f"{prefix} {first}"), *((indent, line) for line in others)]


def _place_and_date(document: PermitDocument) -> str:
    issued_on = _long_date(document.issued_on) if document.issued_on else f"({PREVIEW})"
    if document.kind != "permit":
        return f"{document.place}, {issued_on}"
    return f"Ditetapkan di {document.place}\npada tanggal {issued_on}"


@lru_cache(maxsize=1024)
def _long_date(day: date) -> str:
    return str(format_date(day, "d MMMM y", locale="id"))


def _check(document: PermitDocument, root: Element, *, preview: bool) -> tuple[list[Piece], float]:
    """The QR code and, for those who cannot scan it, the code and the address in words."""
    pieces: list[Piece]
    if preview or document.verify_url is None:
        pieces, drop = _preview_box(root)
    else:
        code = _qr(document.verify_url, root)
        pieces, drop = [code], code.drop + code.height + 1
    width = _SIGNATURE_X - LEFT - 14
    label = "Kode verifikasi"
    advice = f"Pindai kode QR atau buka {document.verify_text} untuk memeriksa keaslian dokumen ini."
    if document.kind == "verification_receipt":
        label = "Sidik pernyataan (SHA-256)"
        advice = f"Unggah berkas PDF ini di {document.verify_text} untuk memeriksa keasliannya."
    sentences = ((label, SMALL), (document.code or PREVIEW, SMALL_STRONG), (advice, SMALL))
    for text, style in sentences:
        element = root.add("P")
        for line in break_lines(text, style, width):
            pieces.append(Text(element, LEFT, drop + style.size, line, style))
            drop += style.leading
    return pieces, drop


def _qr(content: str, root: Element) -> Graphic:
    """A QR code of level M with its quiet zone of four modules, on white (ISO/IEC 18004 §6.3.8)."""
    symbol = zxingcpp.create_barcode(content, zxingcpp.BarcodeFormat.QRCode, ec_level="M")
    image: Any = symbol.to_image(scale=1, add_quiet_zones=False)
    matrix: Any = memoryview(image).tolist()
    side = max(_QR_SIDE, len(matrix) * _QR_MODULE)
    module = side / len(matrix)
    quiet = 4 * module
    whole = side + 2 * quiet
    operators = [f"1 g 0 {-whole:.2f} {whole:.2f} {whole:.2f} re f 0 g"]
    operators.append(f"q {module:.5f} 0 0 {-module:.5f} {quiet:.3f} {-quiet:.3f} cm")
    # A dense symbol has two thousand runs of dark modules: each number is put into words once.
    written = [str(number) for number in range(len(matrix) + 1)]
    for y, row in enumerate(matrix):
        x = 0
        while x < len(row):
            start = x
            while x < len(row) and row[x] == _DARK:
                x += 1
            if x > start:
                operators.append(f"{written[start]} {written[y]} {written[x - start]} 1 re")
            x += 1
    operators.append("f Q")
    # The token behind the address is for machines, and means nothing read aloud.
    address = content.partition("#")[0]
    element = root.add("Figure", alt=f"Kode QR untuk memeriksa keaslian dokumen ini: {address}")
    # The symbol, not its quiet zone, is level with the first line beside it and with the margin.
    return Graphic(element, LEFT - quiet, _LINE_TOP - quiet, whole, whole, "\n".join(operators))


def _preview_box(root: Element) -> tuple[list[Piece], float]:
    """The empty place of the QR code, which an unsigned page does not get."""
    side = _QR_SIDE
    operators = f"0.4 G 0.8 w [3 3] 0 d 0.4 {-side + 0.4:.2f} {side - 0.8:.2f} {side - 0.8:.2f} re S"
    figure = root.add("Figure", alt="Tempat kode QR, yang dicetak saat dokumen ditandatangani")
    x = LEFT + (side - text_width(PREVIEW, SMALL_STRONG.font, SMALL_STRONG.size)) / 2
    pieces: list[Piece] = [
        Graphic(figure, LEFT, _LINE_TOP, side, side, operators),
        Text(None, x, side / 2 + SMALL.size, PREVIEW, SMALL_STRONG),
    ]
    return pieces, _LINE_TOP + side + 8


def footer(document: PermitDocument, page: int, pages: int, root: Element) -> tuple[float, Row]:
    """What stands at the foot of a page, with the height of its top.

    On the last page it is read aloud too, elsewhere it is an artifact.
    """
    count = f"Halaman {page} dari {pages}"
    count_x = LEFT + WIDTH - text_width(count, _FOOTER.font, _FOOTER.size)
    sentences = [(document.footer_legal, _FOOTER)]
    if document.is_sample:
        # The warning is printed in bold, once, whether or not the sentence opens with it.
        rest = document.footer_legal.removeprefix(SAMPLE_HEADING).lstrip(". ")
        sentences = [(SAMPLE_HEADING, _FOOTER_STRONG), (rest, _FOOTER)]
    if page > 1:
        sentences.insert(0, (f"NOMOR : {document.number or PREVIEW}", _FOOTER))
    pieces: list[Piece] = [Graphic(None, LEFT, 0, WIDTH, 1, f"0 g 0 0 {WIDTH:.2f} 0.5 re f")]
    drop, baseline = 4.0, 0.0
    for sentence, style in sentences:
        element = root.add("P") if page == pages else None
        for line in break_lines(sentence, style, count_x - LEFT - 16):
            baseline = drop + style.size
            pieces.append(Text(element, LEFT, baseline, line, style))
            drop += style.leading
    pieces.append(Text(None, count_x, baseline, count, _FOOTER))
    return _FOOTER_BOTTOM + drop, Row(drop, tuple(pieces))
