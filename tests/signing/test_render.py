import hashlib
import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pikepdf
import pypdfium2
import pytest
import zxingcpp
from documents import PERMIT, REJECTION_LETTER, permit_with_conditions

from signing.document import NATIONAL_FOOTER, Facts, Paragraph
from signing.errors import IncompleteDocument, UnprintableText
from signing.render import render_document, unprintable

HOSTILE = '<img src="/etc/passwd"/> </para> &amp; ) Tj ET (\\ <</MCID 0>> BDC {{x}} %s'


def texts(pdf):
    document = pypdfium2.PdfDocument(pdf)
    return [" ".join(page.get_textpage().get_text_range().split()) for page in document]


def test_everything_is_printed_in_reading_order():
    (text,) = texts(render_document(PERMIT))
    expected = [
        "PEMERINTAH KOTA PEKALONGAN DINAS PENANAMAN MODAL DAN PELAYANAN TERPADU SATU PINTU",
        "Jalan Contoh Nomor 1 Pekalongan 51111",
        "SURAT IZIN PRAKTIK BIDAN NOMOR : 500.16.7.2/0001/SIP-TK/XI/2026",
        "Dasar : 1. Undang-Undang Nomor 17 Tahun 2023 tentang Kesehatan 2. Peraturan Pemerintah",
        "Nama : Siti Contoh Nurhaliza, S.Tr.Keb.",
        "Untuk praktik sebagai : Bidan",
        "Ketentuan 1. Izin hanya untuk tempat di atas. 2. Perubahan data dilaporkan.",
        "Surat izin ini berlaku sampai dengan tanggal 7 Agustus 2031.",
        "Ditetapkan di Pekalongan pada tanggal 23 November 2026 Kepala Dinas Penanaman Modal",
        "Ditandatangani secara elektronik oleh Dra. Ratna Contohwati, M.Si. Pembina Utama Muda (IV/c)",
        "NIP 197001011995032000",
        "7KQ2M 9XD4T BVWHR 38ZNC PF6A1 E",
        "izin.pekalongan.example/verify",
        "CONTOH – TIDAK SAH",
        "Halaman 1 dari 1",
    ]
    places = [text.index(each) for each in expected]
    assert places == sorted(places)


def test_a_letter_is_dated_as_letters_are():
    (text,) = texts(render_document(REJECTION_LETTER))
    assert "Pekalongan, 23 November 2026" in text
    assert "Ditetapkan" not in text


def test_markup_is_printed_as_it_was_typed():
    document = replace(PERMIT, title=HOSTILE, body=(Paragraph(HOSTILE), Facts((("<i>", HOSTILE),))))
    pdf = render_document(document)
    text = "".join(texts(pdf)[0].split())
    assert text.count("".join(HOSTILE.split())) == 2
    assert "<i>:" in text
    assert "<IMGSRC=" in text
    with pikepdf.open(io.BytesIO(pdf)) as opened:
        assert "<img src" in str(opened.open_metadata()["dc:title"])


def test_the_sample_warning_is_on_every_page_and_no_claim_of_the_national_authority():
    for text in texts(render_document(permit_with_conditions(20))):
        assert text.count("CONTOH – TIDAK SAH") == 1
        assert "diterbitkan oleh Balai Sertifikasi Elektronik" not in text


def test_a_warning_that_the_city_worded_itself_is_printed_once():
    worded = replace(PERMIT, footer_legal="CONTOH – TIDAK SAH. Ditandatangani dengan sertifikat uji.")
    (text,) = texts(render_document(worded))
    assert text.endswith("CONTOH – TIDAK SAH Ditandatangani dengan sertifikat uji. Halaman 1 dari 1")


def test_a_valid_permit_carries_the_legal_sentence_and_no_warning():
    (text,) = texts(render_document(replace(PERMIT, is_sample=False, footer_legal=NATIONAL_FOOTER)))
    assert NATIONAL_FOOTER in text
    assert "CONTOH" not in text


@pytest.mark.parametrize("count", range(4, 18))
def test_the_signature_never_stands_alone(count):
    *others, last = texts(render_document(permit_with_conditions(count)))
    assert "perundang-undangan" in last.partition("Ditetapkan di")[0]
    assert "berlaku sampai dengan" in last.partition("Ditetapkan di")[0]
    assert not any("Ditetapkan di" in text for text in others)


def test_the_letterhead_is_on_the_first_page_only_and_pages_are_counted():
    first, *others = texts(render_document(permit_with_conditions(30)))
    assert len(others) >= 2
    assert first.startswith("PEMERINTAH KOTA PEKALONGAN")
    for page, text in enumerate(others, start=2):
        assert "PEMERINTAH KOTA" not in text
        assert f"Halaman {page} dari {len(others) + 1}" in text
        assert "NOMOR : 500.16.7.2/0001/SIP-TK/XI/2026" in text


@pytest.mark.parametrize("url", [PERMIT.verify_url, f"{PERMIT.verify_url}#{'0QoW9kZ3h' * 40}"])
def test_the_qr_code_is_large_enough_and_its_quiet_zone_is_white(url):
    pdf = render_document(replace(PERMIT, verify_url=url))
    with pikepdf.open(io.BytesIO(pdf)) as opened:
        figure = next(element for element in elements(opened) if element.S == "/Figure")
        left, _, right, top = map(float, figure.A.BBox)
    symbol = zxingcpp.create_barcode(url, zxingcpp.BarcodeFormat.QRCode, ec_level="M")
    matrix = memoryview(symbol.to_image(scale=1, add_quiet_zones=False)).tolist()
    module = (right - left) / (len(matrix) + 8)
    assert module * len(matrix) >= 28 * 72 / 25.4 - 0.1
    assert module >= 0.4 * 72 / 25.4
    scale = 6
    page = pypdfium2.PdfDocument(pdf)[0]
    image = page.render(scale=scale).to_pil().convert("L")

    def dark(column, row):
        x, y = left + (column + 0.5) * module, page.get_height() - top + (row + 0.5) * module
        return image.getpixel((round(x * scale), round(y * scale))) < 128

    side = range(len(matrix) + 8)
    printed = [[dark(column, row) for column in side] for row in side]
    quiet = [False] * 4
    blank = [[False] * len(side)] * 4
    assert printed == [*blank, *([*quiet, *(grey == 0 for grey in row), *quiet] for row in matrix), *blank]


def elements(pdf):
    """All structure elements, in reading order."""

    def below(element):
        yield element
        for kid in element.get("/K", []):
            if isinstance(kid, pikepdf.Dictionary) and "/S" in kid:
                yield from below(kid)

    return list(below(pdf.Root.StructTreeRoot.K))


def test_the_structure_says_what_each_part_is():
    with pikepdf.open(io.BytesIO(render_document(PERMIT))) as pdf:
        kinds = [str(element.S)[1:] for element in elements(pdf)]
    letterhead = ["P"] * 4
    facts = ["Table", *["TR", "TH", "TD"] * 4]
    listing = ["L", *["LI", "Lbl", "LBody"] * 2]
    signature = ["P"] * 6 + ["Form"]
    check = ["Figure", "P", "P", "P"]
    body = ["P", *facts, "H2", *listing, "P"]
    assert kinds == ["Document", *letterhead, "H1", "P", "P", *listing, *body, *signature, *check, "P", "P"]


def test_equal_documents_have_equal_bytes_in_every_process_and_thread():
    expected = render_document(PERMIT)
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(render_document, [PERMIT, PERMIT] * 6)) == {expected}
    code = (
        "import hashlib; from documents import PERMIT; from signing.render import render_document; "
        "print(hashlib.sha256(render_document(PERMIT)).hexdigest())"
    )
    tests = Path(__file__).parent.parent
    elsewhere = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": f"{tests}:{tests.parent}", "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert elsewhere.stdout.strip() == hashlib.sha256(expected).hexdigest()


def test_the_data_are_attached():
    with pikepdf.open(io.BytesIO(render_document(PERMIT))) as pdf:
        attached = pdf.attachments["permit.json"].get_file().read_bytes()
    assert attached == b'{"number":"500.16.7.2/0001/SIP-TK/XI/2026","type":"sip-tenaga-kesehatan"}'


def test_a_character_without_a_glyph_is_never_left_out_silently():
    document = replace(PERMIT, body=(Facts((("Nama", "王 Siti \u202e"),)),))
    assert unprintable(document) == "\u202e王"
    with pytest.raises(UnprintableText, match=r"U\+202E, U\+738B") as caught:
        render_document(document)
    assert caught.value.characters == "\u202e王"
    (text,) = texts(render_document(document, preview=True))
    assert "Nama : \ufffd Siti \ufffd" in text


@pytest.mark.parametrize("missing", ["number", "code", "verify_url", "issued_on"])
def test_only_a_preview_may_be_incomplete(missing):
    document = replace(PERMIT, **{missing: None})
    with pytest.raises(IncompleteDocument, match=missing):
        render_document(document)
    assert render_document(document, preview=True).startswith(b"%PDF-1.7")


def test_a_preview_has_neither_qr_code_nor_signature_field():
    unnumbered = replace(PERMIT, number=None, code=None, verify_url=None, issued_on=None)
    for document in (unnumbered, PERMIT):
        pdf = render_document(document, preview=True)
        with pikepdf.open(io.BytesIO(pdf)) as opened:
            assert "/AcroForm" not in opened.Root
            figure = next(element for element in elements(opened) if element.S == "/Figure")
        assert "dicetak saat dokumen ditandatangani" in str(figure.Alt)
        assert "PRATINJAU" in texts(pdf)[0]
    assert "NOMOR : PRATINJAU" in texts(render_document(unnumbered, preview=True))[0]
