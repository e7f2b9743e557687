"""A superseded document shown again: as it was issued, and dressed up with parts of its successor."""

import io
from collections.abc import Mapping

import pikepdf
from attacks.surgery import Anatomy, Variants, dissect, stream, update

XML = b"/Type /Metadata /Subtype /XML "


def untouched(old: Mapping[str, bytes]) -> Variants:
    """The registered versions themselves: genuine, and only the register knows better."""
    yield from old.items()


def dressed_up(old: Mapping[str, bytes], new: bytes) -> Variants:
    """Every version of the old document made to look like the new one, by `level: trick`."""
    later = dissect(new)
    for level, pdf in old.items():
        for name, forged in _tricks(dissect(pdf), later):
            yield f"{level}: {name}", forged


def _tricks(it: Anatomy, later: Anatomy) -> Variants:
    yield "the new one behind it", it.pdf + later.pdf
    yield "the new one before it", later.pdf + it.pdf
    yield "the new one's end behind it", it.pdf + later.pdf[later.table :]
    yield "cut before its last byte", it.pdf[:-1]
    yield "saved once more", _saved(it.pdf)
    page, metadata = later.streams[later.contents], later.streams[later.metadata]
    yield "its page from the new one", update(it, {it.contents: stream(page)})
    yield "its metadata from the new one", update(it, {it.metadata: stream(metadata, XML)})
    yield "the new one's container", _with_container(it, later)
    yield "its container on the new one", _with_container(later, it)
    yield "a page of the new one", _with_page_of(it.pdf, later.pdf)
    yield "a page of it in the new one", _with_page_of(later.pdf, it.pdf)
    yield "the new one's data", _with_data_of(it.pdf, later.pdf)
    yield "its data on the new one", _with_data_of(later.pdf, it.pdf)
    yield "the new one attached", _with_attachment(it.pdf, later.pdf)
    yield "attached to the new one", _with_attachment(later.pdf, it.pdf)
    title = {it.size: b"<< /Title (Izin yang baru) >>"}
    yield "the new one's title", update(it, title, trailer=b"/Info %d 0 R " % it.size)


def _with_container(it: Anatomy, other: Anatomy) -> bytes:
    """Put the other's signature into the place of this one's, cut or filled up to its length."""
    mine, theirs = it.container, other.container
    digits = other.pdf[theirs.start + 1 : theirs.stop - 1].ljust(len(mine) - 2, b"0")[: len(mine) - 2]
    return it.pdf[: mine.start + 1] + digits + it.pdf[mine.stop - 1 :]


def _saved(pdf: bytes) -> bytes:
    with pikepdf.open(io.BytesIO(pdf)) as document:
        return _bytes_of(document)


def _with_page_of(pdf: bytes, other: bytes) -> bytes:
    with pikepdf.open(io.BytesIO(pdf)) as document, pikepdf.open(io.BytesIO(other)) as source:
        page = source.pages[0]
        del page.obj.Annots
        document.pages.insert(0, page)
        return _bytes_of(document)


def _with_data_of(pdf: bytes, other: bytes) -> bytes:
    with pikepdf.open(io.BytesIO(pdf)) as document, pikepdf.open(io.BytesIO(other)) as source:
        for name, each in source.attachments.items():
            document.attachments[name].obj.EF.F.write(each.get_file().read_bytes())
        return _bytes_of(document)


def _with_attachment(pdf: bytes, other: bytes) -> bytes:
    with pikepdf.open(io.BytesIO(pdf)) as document:
        document.attachments["izin.pdf"] = other
        return _bytes_of(document)


def _bytes_of(document: pikepdf.Pdf) -> bytes:
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()
