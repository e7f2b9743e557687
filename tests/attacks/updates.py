"""Attacks that append: incremental saving and shadow attacks (hide, replace, hide and replace)."""

from attacks.surgery import Anatomy, Variants, stream, update

OVERLAY = b" q 1 0 0 rg 60 300 400 60 re f Q "


def _edits(it: Anatomy) -> dict[str, dict[int, bytes]]:
    """What an attacker would change of the pages, each as the objects that change."""
    new = it.size
    fonts = [number for number in it.texts if b"/Type /Font" in it.texts[number]]
    return {
        "text drawn over": {it.contents: stream(it.streams[it.contents] + OVERLAY)},
        "contents emptied": {it.contents: stream(b"")},
        "contents added": {
            it.page: it.text(it.page, b"/Contents %d 0 R" % it.contents,
                             b"/Contents [ %d 0 R %d 0 R ]" % (it.contents, new)),
            new: stream(OVERLAY),
        },
        "page turned": {it.page: it.added(it.page, b" /Rotate 180")},
        "page cut": {it.page: it.added(it.page, b" /CropBox [ 0 0 200 200 ]")},
        "another page": {
            it.pages: b"<< /Type /Pages /Count 1 /Kids [ %d 0 R ] >>" % new,
            new: b"<< /Type /Page /Parent %d 0 R /Contents %d 0 R >>" % (it.pages, new + 1),
            new + 1: stream(OVERLAY),
        },
        "another page tree": {
            it.root: it.text(it.root, b"/Pages %d 0 R" % it.pages, b"/Pages %d 0 R" % new),
            new: b"<< /Type /Pages /Count 0 /Kids [ ] >>",
        },
        "fonts exchanged": {number: it.texts[fonts[-1 - place]] for place, number in enumerate(fonts)},
    }  # fmt: skip


def incremental_saving(it: Anatomy) -> Variants:
    """Change the page in an update, whole or malformed in ways that readers repair without a word."""
    for name, objects in _edits(it).items():
        yield name, update(it, objects)
        yield f"{name}, no table of its own", update(it, objects, table=False)
        yield f"{name}, no end of file", update(it, objects, end=b"")


def _layers(it: Anatomy, state: bytes) -> dict[int, bytes]:
    """Hide or show the page's contents as an optional layer."""
    new = it.size
    marked = b"/OC /L BDC " + it.streams[it.contents] + b" EMC"
    properties = b" /OCProperties << /OCGs [ %d 0 R ] /D << /BaseState /%b >> >>" % (new, state)
    return {
        it.root: it.added(it.root, properties),
        it.contents: stream(marked),
        new: b"<< /Type /OCG /Name (L) >>",
    }


def shadow_hide(it: Anatomy) -> Variants:
    """Uncover what lies below: take away what was signed on top."""
    for what in ("contents", "page", "pages", "metadata", "field", "signature"):
        number = getattr(it, what)
        yield f"{what} freed", update(it, {}, freed=(number,))
        yield f"{what} null", update(it, {number: b"null"})
        yield f"{what} empty", update(it, {number: b"<< >>"})
    yield "kids taken away", update(it, {it.pages: b"<< /Type /Pages /Count 0 /Kids [ ] >>"})
    yield "layer off", update(it, _layers(it, b"OFF"))
    yield "layer on", update(it, _layers(it, b"ON"))
    for place, number in enumerate(sorted(n for n in it.texts if b"/Type /Font" in it.texts[n])):
        yield f"font {place} freed", update(it, {}, freed=(number,))


def shadow_replace(it: Anatomy) -> Variants:
    """Exchange what is shown for another thing that is harmless by itself: fonts, values, appearances."""
    new = it.size
    for name in (b"Helvetica", b"Symbol", b"ZapfDingbats", b"Courier", b"Times-Roman", b"NoSuchFont"):
        font = b"<< /Type /Font /Subtype /Type1 /BaseFont /%b >>" % name
        for place, number in enumerate(sorted(n for n in it.texts if b"/Type /Font" in it.texts[n])[:3]):
            yield f"font {place} becomes {name.decode()}", update(it, {number: font})
    appearance = stream(OVERLAY, b"/Type /XObject /Subtype /Form /BBox [ 0 0 595 842 ] ")
    for name, box in (
        ("whole page", b"0 0 595 842"),
        ("half", b"0 400 595 842"),
        ("line", b"60 600 400 620"),
    ):
        shown = b" /AP << /N %d 0 R >> /Rect [ %b ]" % (new, box)
        yield f"appearance, {name}", update(it, {it.field: it.added(it.field, shown), new: appearance})
        widget = (
            b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (isi) /V (1) /F 4 /Rect [ %b ] "
            b"/AP << /N %d 0 R >> >>"
        )
        fields = b"/Fields [ %d 0 R" % (new + 1)
        yield (
            f"form field, {name}",
            update(
                it,
                {
                    it.root: it.text(it.root, b"/Fields [", fields),
                    it.page: it.text(it.page, b"/Annots [", b"/Annots [ %d 0 R" % (new + 1)),
                    new: appearance,
                    new + 1: widget % (box, new),
                },
            ),
        )
    for key, value in (
        (b"V", b"(lain)"),
        (b"DV", b"(lain)"),
        (b"MK", b"<< /CA (lain) >>"),
        (b"T", b"(lain)"),
    ):
        yield (
            f"field's /{key.decode()}",
            update(it, {it.field: it.added(it.field, b" /%b %b" % (key, value))}),
        )


def shadow_hide_and_replace(it: Anatomy) -> Variants:
    """Keep two objects of one number in the file, and have the table lead to the other one."""
    for name, objects in _edits(it).items():
        first = update(it, objects)
        numbers = sorted(objects)
        for number in numbers:
            place = first.rindex(b"\n%d 0 obj" % number) + 1
            entry = b"%d 1\n%010d 00000 n \n" % (number, place)
            restored = b"%d 1\n%010d 00000 n \n" % (number, it.pdf.find(b"\n%d 0 obj" % number) + 1)
            yield f"{name}, table of object {number} leads back", first.replace(entry, restored)
        yield f"{name}, twice", update(it, objects) + update(it, objects)[len(it.pdf) :]
