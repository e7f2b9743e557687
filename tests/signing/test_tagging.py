import io
import re
import shutil
import subprocess

import pikepdf
import pytest
from documents import PERMIT
from extremes import EXTREMES
from postgres import require

from signing.document import Facts, Heading, NumberedList, Paragraph
from signing.render import render_document


def spoken(pdf):
    """Each element's text in the order of the structure tree, as Poppler reads it."""
    require(shutil.which("pdfinfo"), "pdfinfo (poppler-utils) is not installed")
    command = ["pdfinfo", "-struct-text", "-"]
    said = subprocess.run(command, input=pdf, capture_output=True, check=True).stdout.decode()
    # A text of several lines of content stands in several quoted lines under its element.
    parts = re.split(r"\n(?! *\")", said)
    texts = ["".join(re.findall(r'^ *"(.*)"$', part, re.MULTILINE)) for part in parts]
    return [text for text in texts if text]


def test_a_permit_is_read_aloud_as_a_person_reads_it():
    assert spoken(render_document(PERMIT)) == [
        "PEMERINTAH KOTA PEKALONGAN",
        "DINAS PENANAMAN MODAL DAN PELAYANAN TERPADU SATU PINTU",
        "Jalan Contoh Nomor 1 Pekalongan 51111",
        "Telepon (0285) 000000, Pos-el izin@pekalongan.example",
        "SURAT IZIN PRAKTIK BIDAN",
        "NOMOR : 500.16.7.2/0001/SIP-TK/XI/2026",
        "Dasar:",
        "1.",
        "Undang-Undang Nomor 17 Tahun 2023 tentang Kesehatan",
        "2.",
        "Peraturan Pemerintah Nomor 28 Tahun 2024 tentang Peraturan Pelaksanaan Undang-Undang Kesehatan",
        "Kepala Dinas Penanaman Modal dan Pelayanan Terpadu Satu Pintu memberikan izin kepada:",
        "Nama:",
        "Siti Contoh Nurhaliza, S.Tr.Keb.",
        "Nomor STR:",
        "ABC 1234567890123456",
        "Untuk praktik sebagai:",
        "Bidan",
        "Tempat praktik:",
        "Praktik Mandiri Contoh, Jalan Melati Nomor 5, Kota Pekalongan",
        "Ketentuan",
        "1.",
        "Izin hanya untuk tempat di atas.",
        "2.",
        "Perubahan data dilaporkan.",
        "Surat izin ini berlaku sampai dengan tanggal 7 Agustus 2031.",
        "Ditetapkan di Pekalongan pada tanggal 23 November 2026",
        "Kepala Dinas Penanaman Modal dan Pelayanan Terpadu Satu Pintu Kota Pekalongan,",
        "Ditandatangani secara elektronik oleh",
        "Dra. Ratna Contohwati, M.Si.",
        "Pembina Utama Muda (IV/c)",
        "NIP 197001011995032000",
        "Kode verifikasi",
        "7KQ2M 9XD4T BVWHR 38ZNC PF6A1 E",
        "Pindai kode QR atau buka izin.pekalongan.example/verify untuk memeriksa keaslian dokumen ini.",
        "CONTOH – TIDAK SAH",
        "Ditandatangani dengan sertifikat uji, bukan sertifikat BSrE.",
    ]


def texts_in_order(document):
    yield from (document.letterhead.line1.upper(), document.letterhead.line2.upper())
    yield from (document.letterhead.address, document.letterhead.contact)
    yield from (document.title.upper(), f"NOMOR : {document.number}", *document.legal_basis)
    for block in document.body:
        match block:
            case Paragraph(text) | Heading(text):
                yield text
            case Facts(rows):
                for label, value in rows:
                    yield from (label, value)
            case NumberedList(items):
                yield from items
    if document.validity:
        yield document.validity
    yield document.signature.capacity.replace("\n", " ") + ","
    yield from (document.signature.name, document.code)


@pytest.mark.parametrize("name", EXTREMES)
def test_however_long_texts_are_read_whole_and_in_order(name):
    said = spoken(render_document(EXTREMES[name]))
    place = 0
    for text in texts_in_order(EXTREMES[name]):
        found = [said[place:].index(each) for each in (text, text + ":") if each in said[place:]]
        assert found, text
        place += found[0] + 1


@pytest.mark.parametrize("name", ["permit", *EXTREMES])
def test_language_title_tab_order_and_headings_are_set(name):
    document = (EXTREMES | {"permit": PERMIT})[name]
    with pikepdf.open(io.BytesIO(render_document(document))) as pdf:
        assert pdf.Root.Lang == "id-ID"
        assert pdf.Root.ViewerPreferences.DisplayDocTitle
        assert pdf.open_metadata()["dc:title"] == f"{document.title} {document.number}"
        assert {str(page.Tabs) for page in pdf.pages} == {"/S"}
        below = [str(kid.S) for kid in pdf.Root.StructTreeRoot.K.K if "/S" in kid]
        headings = [kind for kind in below if re.fullmatch("/H[1-6]", kind)]
        (figure,) = (kid for kid in pdf.Root.StructTreeRoot.K.K if kid.S == "/Figure")
        address = document.verify_url.partition("#")[0]
        assert figure.Alt == f"Kode QR untuk memeriksa keaslian dokumen ini: {address}"
    # One title, and headings right below it: no level is skipped.
    assert headings[0] == "/H1"
    assert set(headings[1:]) <= {"/H2"}
