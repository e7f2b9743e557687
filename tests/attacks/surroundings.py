"""Attacks around the document: metadata, validation data, and bytes before and after the file."""

import io
import zipfile

from attacks.surgery import Anatomy, Variants, in_place, stream, update
from cryptography.hazmat.primitives.serialization import Encoding
from pki import NOW, make_pki

from keys.revocation import Revocation, build_crl


def metadata(it: Anatomy) -> Variants:
    """Rewrite /Info and the XMP packet, which many readers show and few signatures' checks compare."""
    new = it.size
    for key in (
        b"Title",
        b"Author",
        b"Subject",
        b"Keywords",
        b"Creator",
        b"Producer",
        b"CreationDate",
        b"ModDate",
    ):
        info = b"<< /%b (Izin palsu) >>" % key
        yield f"/Info {key.decode()}", update(it, {new: info}, trailer=b"/Info %d 0 R " % new)
    packet = it.streams[it.metadata]
    xml = b"/Type /Metadata /Subtype /XML "
    for name, changed in (
        ("emptied", b""),
        ("another title", packet.replace(b"Surat", b"Izin")),
        ("not PDF/A", packet.replace(b"pdfaid", b"pdfxid")),
        ("no XML", b"\0" * 100),
        ("an entity", b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>'),
        (
            "a million entities",
            b'<!DOCTYPE x [<!ENTITY a "' + b"b" * 10_000 + b'">]><x>' + b"&a;" * 10_000 + b"</x>",
        ),
    ):
        yield f"XMP {name}", update(it, {it.metadata: stream(changed, xml)})
    yield "XMP gone", update(it, {it.root: it.text(it.root, b"/Metadata", b"/Metadat4")})
    for name, old, value in (
        ("language", b"/Lang (", b"/Lung ("),
        ("mark", b"/MarkInfo", b"/MarkInf0"),
        ("structure", b"/StructTreeRoot", b"/StructTreeRo0t"),
        ("viewer", b"/ViewerPreferences", b"/ViewerPreferenc3s"),
    ):
        yield f"catalogue's {name}", update(it, {it.root: it.text(it.root, old, value)})
    for number in (it.contents, it.page):
        yield (
            f"metadata of object {number}",
            update(it, {it.root: it.added(it.root, b" /Extra %d 0 R" % new), new: stream(packet, xml)}),
        )


def validation_data(it: Anatomy) -> Variants:
    """Add a DSS, honest or not: harmless to the signature, and yet not the file that was issued."""
    stranger = make_pki()
    ours = build_crl(
        stranger.issuing,
        [Revocation(1, NOW)],
        number=1,
        this_update=NOW,
        next_update=NOW.replace(year=NOW.year + 1),
    )
    certificate = stranger.issuing.certificate.public_bytes(Encoding.DER)
    things = {
        "certificate": (b"Certs", certificate),
        "list": (b"CRLs", ours),
        "answer": (b"OCSPs", b"\x30\x03\x0a\x01\x00"),
        "broken certificate": (b"Certs", certificate[:-7]),
        "broken list": (b"CRLs", ours[:-7]),
        "empty": (b"Certs", b""),
        "noise": (b"CRLs", bytes(range(256)) * 40),
    }
    new = it.size
    plain = it.texts[it.root]
    if b"/DSS" in plain:
        plain = plain.replace(b"/DSS", b"/OldDSS")
    for name, (key, data) in things.items():
        for times in (1, 3, 200):
            store = b"<< /Type /DSS /%b [ %b ] >>" % (key, b"%d 0 R " % new * times)
            root = plain.rstrip()[:-2] + b" /DSS %d 0 R >>" % (new + 1)
            yield f"{name}, {times} times", update(it, {it.root: root, new: stream(data), new + 1: store})
    for name, store in (("null", b"null"), ("a number", b"7"), ("itself", b"<< /VRI %d 0 R >>" % (new + 1))):
        root = plain.rstrip()[:-2] + b" /DSS %d 0 R >>" % (new + 1)
        yield f"store {name}", update(it, {it.root: root, new + 1: store})


def _zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("izin.html", "<h1>Izin</h1>")
    return out.getvalue()


def tails_and_polyglots(it: Anatomy) -> Variants:
    """Put other files before and after: one is not signed, the other moves every offset."""
    page = b"<html><script>alert(1)</script></html>"
    other = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"
    tails = {
        "newline": b"\n",
        "space": b" ",
        "zero": b"\0",
        "carriage return": b"\r",
        "comment": b"% catatan\n",
        "end of file": b"%%EOF\n",
        "start": b"startxref\n0\n%%EOF\n",
        "page": page,
        "script": b"\n/*\n*/alert(1)//",
        "archive": _zip(),
        "another PDF": other,
        "itself": it.pdf,
        "a megabyte": bytes(2**20),
        "shell": b"\n#!/bin/sh\necho\n",
        "program": b"\x7fELF" + bytes(60),
        "empty update": update(it, {})[len(it.pdf) :],
    }
    for name, tail in tails.items():
        yield f"{name} after", it.pdf + tail
    for name in ("newline", "comment", "page", "archive", "program", "shell", "zero", "another PDF"):
        yield f"{name} before", tails[name] + it.pdf
    yield "far header", b" " * 1000 + it.pdf
    yield "no end", it.pdf.rstrip()[:-5]
    yield "other version", in_place(it.pdf, b"%PDF-1.7", b"%PDF-1.3")
    yield "cut", it.pdf[: len(it.pdf) * 3 // 4]
