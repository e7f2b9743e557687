"""Makes room for a signature in a PDF: the incremental update that everything but the signature is in.

qpdf reads the few objects that change; nothing else of the document is parsed or written, so what was
rendered stays byte for byte.
"""

import hashlib
import io
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pikepdf import Array, Dictionary, Name, Object, Pdf, String

from signing.errors import AlreadySigned, SignatureDoesNotFit, SigningError, UnreadableDocument

PRINT, LOCKED = 1 << 2, 1 << 7
"""Annotation flags (ISO 32000-1 §12.5.3)."""

_SIGNATURES_EXIST, _APPEND_ONLY = 1 << 0, 1 << 1  # SigFlags (§12.7.2).
_DEEPEST_FIELD = 8
_LAST_TABLE = re.compile(rb"startxref\s+(\d+)\s+%%EOF\s*\Z")
_BYTE_RANGE = b"/ByteRange [0 %d %d %d]"
_BYTE_RANGE_WIDTH = 48
"""Three offsets of ten digits: files of up to ten gigabytes."""

_OUTSIDE_THE_PAGE = (-2, -2, -1, -1)
"""Where `signing.update.INVISIBLE` puts a widget too, for the reason told there."""


@dataclass(frozen=True, slots=True)
class SignatureRoom:
    """A document complete but for its signature: what stands before and after the room for it."""

    before: bytes
    after: bytes
    size: int
    """How many bytes of a container the room holds; in the file each takes two hexadecimal digits."""

    def digest(self, algorithm: str = "sha256") -> bytes:
        """Hash all that the signature covers: everything but the room (ISO 32000-1 §12.8.1)."""
        running = hashlib.new(algorithm, self.before)
        running.update(self.after)
        return running.digest()

    def filled(self, container: bytes) -> bytes:
        """Return the signed document. Raises SignatureDoesNotFit."""
        if len(container) > self.size:
            raise SignatureDoesNotFit("The signature and its time stamp need more room than was reserved.")
        digits = container.hex().upper().encode().ljust(2 * self.size, b"0")
        return b"%b<%b>%b" % (self.before, digits, self.after)


def make_room(pdf: bytes, entries: Dictionary, *, size: int, field_name: str) -> SignatureRoom:
    """Add a signature dictionary without its value, and let the catalogue certify the document with it.

    `entries` are those of the signature dictionary that the signer states (ISO 32000-1 table 252). A field of
    that name is filled; without one an invisible field is made. Raises AlreadySigned and UnreadableDocument,
    also for what is encrypted or has its cross-references in a stream, as nothing rendered here is.
    """
    try:
        table = _LAST_TABLE.search(pdf[-64:])
        if table is None or not pdf.startswith(b"%PDF-") or pdf[int(table[1]) :][:4] != b"xref":
            raise UnreadableDocument("The document to sign does not end in a cross-reference table.")
        with Pdf.open(io.BytesIO(pdf), attempt_recovery=False) as opened:
            if opened.is_encrypted:
                raise UnreadableDocument("The document to sign is encrypted.")
            changed, number = _certify(opened, field_name)
            return _write_update(pdf, opened, changed, number, entries, size=size, previous=int(table[1]))
    except SigningError:
        raise
    except Exception as error:  # Parsers leak whatever a broken file provokes.
        raise UnreadableDocument("The document to sign cannot be read as a PDF.") from error


def _certify(pdf: Pdf, field_name: str) -> tuple[dict[tuple[int, int], bytes], int]:
    """Let field and catalogue refer to a signature; return the changed objects and the signature's number.

    The reference is written, not made: to make an object qpdf would read the whole document first.
    """
    form = Dictionary(dict(pdf.Root.get("/AcroForm", Dictionary()).items()))
    fields = list(form.get("/Fields", Array()))
    signature_fields = [each for each in _every_field(fields) if each.get("/FT") == Name.Sig]
    if any("/V" in each for each in signature_fields):
        raise AlreadySigned("The document carries a signature already.")
    number, changed = int(pdf.trailer.Size), {}
    widget = next((each for each in signature_fields if str(each.get("/T")) == field_name), None)
    if widget is None:
        page = pdf.pages[0].obj
        widget = _invisible_widget(pdf, page, field_name)
        fields.append(widget)
        page.Annots = Array([*page.get("/Annots", Array()), widget])
        # Once a page has any annotation, PDF/UA wants this tab order (ISO 14289-1 §7.18.3).
        page.Tabs = Name.S
        changed[page.objgen] = page.unparse(resolved=True)
        number = widget.objgen[0] + 1
    form.Fields, form.SigFlags = Array(fields), _SIGNATURES_EXIST | _APPEND_ONLY
    pdf.Root.AcroForm = form
    if "/Perms" in pdf.Root:
        del pdf.Root.Perms
    changed[widget.objgen] = _with(widget, b"/V %d 0 R" % number)
    changed[pdf.Root.objgen] = _with(pdf.Root, b"/Perms << /DocMDP %d 0 R >>" % number)
    return changed, number


def _with(dictionary: Object, entry: bytes) -> bytes:
    return dictionary.unparse(resolved=True).removesuffix(b">>") + entry + b" >>"


def _every_field(fields: Iterable[Object], depth: int = 0) -> Iterator[Object]:
    """The fields, wherever they hang in the tree (ISO 32000-1 §12.7.3.1)."""
    for field in fields:
        yield field
        if "/Kids" in field and depth < _DEEPEST_FIELD:
            yield from _every_field(field.Kids, depth + 1)


def _invisible_widget(pdf: Pdf, page: Object, field_name: str) -> Object:
    return pdf.make_indirect(
        Dictionary(
            Type=Name.Annot,
            Subtype=Name.Widget,
            FT=Name.Sig,
            T=String(field_name),
            TU=String("Tanda tangan elektronik"),
            Rect=Array(_OUTSIDE_THE_PAGE),
            F=PRINT | LOCKED,
            P=page,
        )
    )


def _write_update(
    pdf: bytes,
    opened: Pdf,
    changed: dict[tuple[int, int], bytes],
    number: int,
    entries: Dictionary,
    *,
    size: int,
    previous: int,
) -> SignatureRoom:
    """Write the changed objects, the signature after them, and their table and trailer (§7.5.6)."""
    written, offsets = bytearray(pdf), {}
    if not pdf.endswith(b"\n"):
        written += b"\n"
    for (changed_number, generation), content in changed.items():
        offsets[changed_number, generation] = len(written)
        written += b"%d %d obj\n%b\nendobj\n" % (changed_number, generation, content)
    offsets[number, 0] = len(written)
    written += b"%d 0 obj\n%b" % (number, entries.unparse().removesuffix(b">>"))
    byte_range_at = len(written)
    written += b" " * _BYTE_RANGE_WIDTH + b"/Contents "
    end = len(written) + len(b"<>") + 2 * size
    tail = b" >>\nendobj\n"
    tail += _table_and_trailer(opened, offsets, position=end + len(tail), previous=previous)
    byte_range = _BYTE_RANGE % (len(written), end, len(tail))
    written[byte_range_at : byte_range_at + len(byte_range)] = byte_range
    return SignatureRoom(bytes(written), tail, size)


def _table_and_trailer(
    opened: Pdf, offsets: dict[tuple[int, int], int], *, position: int, previous: int
) -> bytes:
    trailer = opened.trailer
    size = max(int(trailer.Size), *(number + 1 for number, _ in offsets))
    entries = Dictionary(Size=size, Root=trailer.Root, Prev=previous)
    if "/Info" in trailer:
        entries.Info = trailer.Info
    if "/ID" in trailer:
        # The first part names the document for ever, the second this state of it (§14.4).
        entries.ID = Array([trailer.ID[0], String(secrets.token_bytes(16))])
    rows = b"".join(
        b"%d 1\n%010d %05d n \n" % (number, offset, generation)
        for (number, generation), offset in sorted(offsets.items())
    )
    return b"xref\n%btrailer\n%b\nstartxref\n%d\n%%%%EOF\n" % (rows, entries.unparse(), position)
