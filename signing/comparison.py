"""Tells whether a document still says and carries what was sent to be signed, however it was written anew.

Bytes cannot be compared: a service may append its signature or write the whole file anew. So the objects
are, from the catalogue down: pages, fonts, structure, attachments. What a signature adds is left out.
"""

import io
from decimal import Decimal
from typing import Any

import pikepdf

_OF_SIGNATURES = {
    "catalogue": {"/AcroForm", "/DSS", "/Extensions", "/Metadata", "/Perms", "/Version"},
    # The tab order is set with the first annotation (ISO 14289-1 §7.18.3).
    "page": {"/Annots", "/Tabs"},
    "stream": {"/Length", "/Filter", "/DecodeParms"},
}
_INVISIBLE_EDGE = 0.001
_MOST_OBJECTS = 200_000


class _Differs(Exception):
    pass


def same_content(sent: bytes, returned: bytes) -> bool:
    """Tell whether two PDFs differ by invisible signatures, validation data and metadata alone."""
    try:
        with pikepdf.open(io.BytesIO(sent)) as before, pikepdf.open(io.BytesIO(returned)) as after:
            _compare(before, after)
    except (_Differs, pikepdf.PdfError, RecursionError, ValueError, TypeError, KeyError):
        return False
    return True


def _compare(before: pikepdf.Pdf, after: pikepdf.Pdf) -> None:
    if after.is_encrypted or len(before.pages) != len(after.pages):
        raise _Differs
    for page in after.pages:
        _require_invisible(page)
    pairs: list[tuple[Any, Any]] = [(before.Root, after.Root)]
    seen: set[tuple[tuple[int, int], tuple[int, int]]] = set()
    # A loop and no recursion: the structure tree and the pages refer to each other.
    while pairs:
        one, other = pairs.pop()
        known = isinstance(one, pikepdf.Object) and isinstance(other, pikepdf.Object)
        if known and one.is_indirect and other.is_indirect:
            pair = (one.objgen, other.objgen)
            if pair in seen:
                continue
            seen.add(pair)
            if len(seen) > _MOST_OBJECTS:
                raise _Differs
        pairs.extend(_parts(one, other))


def _parts(one: Any, other: Any) -> list[tuple[Any, Any]]:
    """Compare two objects by themselves, and return the pairs of objects within them."""
    if isinstance(one, pikepdf.Stream) and isinstance(other, pikepdf.Stream):
        if one.read_bytes() != other.read_bytes():
            raise _Differs
        return _entries(one, other, _OF_SIGNATURES["stream"])
    if isinstance(one, pikepdf.Dictionary) and isinstance(other, pikepdf.Dictionary):
        if one.get("/Subtype") == other.get("/Subtype") == "/Widget":
            # The structure tree refers to the signature's field, which stands on a page and was judged there.
            return []
        kind = {"/Catalog": "catalogue", "/Page": "page"}.get(str(one.get("/Type")), "")
        return _entries(one, other, _OF_SIGNATURES.get(kind, set()))
    if isinstance(one, pikepdf.Array) and isinstance(other, pikepdf.Array):
        if len(one) != len(other):
            raise _Differs
        return list(zip(one, other, strict=True))
    numbers = isinstance(one, int | Decimal) and isinstance(other, int | Decimal)
    if one != other or not (numbers or type(one) is type(other)):
        raise _Differs
    return []


def _entries(one: pikepdf.Object, other: pikepdf.Object, ignored: set[str]) -> list[tuple[Any, Any]]:
    names = set(one.keys()) - ignored
    if names != set(other.keys()) - ignored:
        raise _Differs
    return [(one[name], other[name]) for name in names]


def _require_invisible(page: pikepdf.Page) -> None:
    """Refuse an annotation that is no signature's field, or one that shows anything on the page."""
    left, bottom, right, top = (float(edge) for edge in page.mediabox)
    for annotation in page.obj.get("/Annots", ()):
        x1, y1, x2, y2 = (float(edge) for edge in annotation.get("/Rect", (0, 0, 0, 0)))
        empty = abs(x2 - x1) < _INVISIBLE_EDGE or abs(y2 - y1) < _INVISIBLE_EDGE
        outside = max(x1, x2) <= left or min(x1, x2) >= right or max(y1, y2) <= bottom or min(y1, y2) >= top
        if str(_field_type(annotation)) != "/Sig" or not (empty or outside or _draws_nothing(annotation)):
            raise _Differs


def _draws_nothing(annotation: pikepdf.Object) -> bool:
    """Tell whether an annotation is without an appearance, or its normal one is an empty stream."""
    appearances = annotation.get("/AP", pikepdf.Dictionary())
    normal = appearances.get("/N")
    return set(appearances.keys()) <= {"/N"} and (
        normal is None or (isinstance(normal, pikepdf.Stream) and not normal.read_bytes().strip())
    )


def _field_type(annotation: pikepdf.Object) -> object:
    """Return a widget's field type, which it may share with its parent (ISO 32000-2 §12.7.4.1)."""
    return annotation.get("/FT") or annotation.get("/Parent", pikepdf.Dictionary()).get("/FT")
