"""What every attack on a signed PDF starts from: where its objects stand, and updates appended to it."""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pikepdf

Variants = Iterator[tuple[str, bytes]]
"""Names and files: what one generator makes of a genuine document."""


@dataclass(frozen=True)
class Anatomy:
    """The object numbers and texts an attacker needs of a signed permit document."""

    pdf: bytes
    root: int
    pages: int
    page: int
    contents: int
    field: int
    signature: int
    size: int
    """One more than the highest object number: the first free one."""
    texts: dict[int, bytes]
    """The objects above, and each font, as they are written in PDF."""
    streams: dict[int, bytes]
    """The data of the page's contents and of the XMP metadata, decoded."""
    metadata: int
    info: int | None

    @property
    def container(self) -> range:
        """The places of the first signature's container, from `<` to `>`."""
        start = self.pdf.index(b"<", self.pdf.index(b"/Contents <"))
        return range(start, self.pdf.index(b">", start) + 1)

    @property
    def table(self) -> int:
        """Where the newest cross-reference table stands."""
        return int(self.pdf[self.pdf.rindex(b"startxref") + 9 :].split()[0])

    def text(self, number: int, old: bytes = b"", new: bytes = b"") -> bytes:
        """An object's text with one part replaced, which must be there."""
        text = self.texts[number]
        assert old in text, f"{old!r} is not in object {number}"
        return text.replace(old, new, 1)

    def added(self, number: int, entries: bytes) -> bytes:
        """A dictionary's text with further entries at its end, which readers prefer or not."""
        return self.texts[number].rstrip()[:-2] + entries + b" >>"


def dissect(pdf: bytes) -> Anatomy:
    """Find what attacks need in a signed permit document."""
    with pikepdf.open(io.BytesIO(pdf)) as document:
        root, page = document.Root, document.pages[0].obj
        field = root.AcroForm.Fields[0]
        known = {
            "root": root,
            "pages": root.Pages,
            "page": page,
            "contents": page.Contents,
            "field": field,
            "signature": field.V,
            "metadata": root.Metadata,
        }
        numbers = {name: each.objgen[0] for name, each in known.items()}
        texts = {
            each.objgen[0]: each.unparse(resolved=True)
            for each in (*known.values(), *page.Resources.Font.values())
            if not isinstance(each, pikepdf.Stream) and each.objgen[0]
        }
        info = document.trailer.get("/Info")
        return Anatomy(
            pdf=pdf,
            size=int(document.trailer.Size),
            texts=texts,
            streams={numbers[name]: known[name].read_bytes() for name in ("contents", "metadata")},
            info=info.objgen[0] if info is not None else None,
            **numbers,
        )


def stream(data: bytes, entries: bytes = b"") -> bytes:
    """Write a stream object's body."""
    return b"<< %b/Length %d >>\nstream\n%b\nendstream" % (entries, len(data), data)


def update(
    anatomy: Anatomy,
    objects: dict[int, bytes],
    *,
    freed: tuple[int, ...] = (),
    trailer: bytes = b"",
    table: bool = True,
    end: bytes = b"%%EOF\n",
    generation: int = 0,
) -> bytes:
    """Append an incremental update (ISO 32000-2 §7.5.6): objects, freed numbers, a table unless told."""
    out = bytearray(anatomy.pdf)
    places = {}
    for number, body in objects.items():
        places[number] = len(out)
        out += b"%d %d obj\n%b\nendobj\n" % (number, generation, body)
    start = len(out)
    if table:
        out += b"xref\n0 1\n0000000000 65535 f \n"
        for number, place in sorted(places.items()):
            out += b"%d 1\n%010d %05d n \n" % (number, place, generation)
        for number in freed:
            out += b"%d 1\n0000000000 00001 f \n" % number
    else:
        start = anatomy.table
    size = max([anatomy.size, *(number + 1 for number in objects)])
    out += b"trailer\n<< /Root %d 0 R /Size %d /Prev %d %b>>\nstartxref\n%d\n%b" % (
        anatomy.root, size, anatomy.table, trailer, start, end,
    )  # fmt: skip
    return bytes(out)


def in_place(pdf: bytes, pattern: bytes, new: bytes) -> bytes:
    """Replace what a regular expression first finds by as many bytes, so that every offset still holds."""
    found = re.search(pattern, pdf)
    assert found is not None, f"{pattern!r} is not in the file"
    assert len(new) <= len(found[0])
    return pdf[: found.start()] + new.ljust(len(found[0])) + pdf[found.end() :]
