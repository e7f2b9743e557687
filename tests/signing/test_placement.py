import io

import pikepdf
import pytest
from documents import PERMIT
from pikepdf import Array, Dictionary, Name, Pdf, String
from pyhanko.pdf_utils.reader import PdfFileReader

from signing.errors import AlreadySigned, SignatureDoesNotFit, UnreadableDocument
from signing.placement import make_room
from signing.render import render_document
from signing.sign import FIELD_NAME

PAGE = render_document(PERMIT)


def place(pdf=PAGE, field_name=FIELD_NAME, size=100):
    return make_room(
        pdf, Dictionary(Type=Name.Sig, Reason=String("“Izin” (1)")), size=size, field_name=field_name
    )


def saved(change=lambda _pdf: None, **options):
    with Pdf.open(io.BytesIO(PAGE)) as pdf:
        change(pdf)
        buffer = io.BytesIO()
        pdf.save(buffer, **options)
    return buffer.getvalue()


def test_the_byte_range_covers_everything_but_the_room():
    room = place()
    pdf = room.filled(b"\xab\xcd")

    signature = PdfFileReader(io.BytesIO(pdf)).root["/AcroForm"]["/Fields"][0]["/V"]
    assert list(signature["/ByteRange"]) == [0, len(room.before), len(pdf) - len(room.after), len(room.after)]
    assert pdf[len(room.before) : -len(room.after)] == b"<ABCD" + b"0" * 196 + b">"
    assert signature["/Reason"] == "“Izin” (1)"


def test_only_the_field_the_catalogue_and_the_signature_are_written():
    pdf = place().filled(b"")

    old, new = PdfFileReader(io.BytesIO(PAGE)), PdfFileReader(io.BytesIO(pdf))
    assert pdf.startswith(PAGE)
    assert {each.idnum for each in new.xrefs.explicit_refs_in_revision(1)} == {
        old.trailer.raw_get("/Root").idnum,
        old.root["/AcroForm"]["/Fields"].raw_get(0).idnum,
        old.trailer["/Size"],
    }
    assert new.trailer["/ID"][0] == old.trailer["/ID"][0]
    assert new.trailer["/ID"][1] != old.trailer["/ID"][1]


def test_qpdf_finds_nothing_to_mend():
    with Pdf.open(io.BytesIO(place().filled(b"")), attempt_recovery=False) as pdf:
        assert not pdf.check_pdf_syntax()


def test_the_room_is_filled_to_its_last_byte_and_no_further():
    room = place(size=2)

    assert b"<ABCD>" in room.filled(b"\xab\xcd")
    with pytest.raises(SignatureDoesNotFit):
        room.filled(b"\xab\xcd\xef")


def test_a_signature_below_another_field_is_seen():
    def sign_below(pdf):
        signed = Dictionary(FT=Name.Sig, T=String("Lain"), V=Dictionary(Type=Name.Sig))
        parent = Dictionary(T=String("Induk"), Kids=Array([pdf.make_indirect(signed)]))
        pdf.Root.AcroForm.Fields.append(pdf.make_indirect(parent))

    with pytest.raises(AlreadySigned):
        place(saved(sign_below))


@pytest.mark.parametrize(
    "pdf",
    [
        saved(object_stream_mode=pikepdf.ObjectStreamMode.generate),
        saved(encryption=pikepdf.Encryption(owner="uji", user="")),
        b"\n" + PAGE,
        PAGE + b"\n% more",
        PAGE.replace(b"startxref\n", b"startxref\n1"),
        PAGE.replace(b"/Root 1 0 R", b"/Root 2 0 R"),
    ],
    ids=["cross-reference stream", "encrypted", "shifted", "appended to", "wrong table", "wrong catalogue"],
)
def test_what_no_renderer_here_writes_is_refused(pdf):
    with pytest.raises(UnreadableDocument):
        place(pdf)
