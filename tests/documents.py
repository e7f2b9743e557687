"""Permit documents for tests: all people and numbers in them are made up."""

from dataclasses import replace
from datetime import date

from signing.document import (
    SAMPLE_FOOTER,
    Facts,
    Heading,
    Letterhead,
    NumberedList,
    Paragraph,
    PermitDocument,
    SignatureBlock,
)

CONDITION = (
    "Pemegang izin wajib menjalankan praktik sesuai dengan standar profesi, standar pelayanan, dan standar "
    "prosedur operasional serta ketentuan peraturan perundang-undangan."
)

PERMIT = PermitDocument(
    kind="permit",
    title="Surat Izin Praktik Bidan",
    letterhead=Letterhead(
        "Pemerintah Kota Pekalongan",
        "Dinas Penanaman Modal dan Pelayanan Terpadu Satu Pintu",
        "Jalan Contoh Nomor 1 Pekalongan 51111",
        "Telepon (0285) 000000, Pos-el izin@pekalongan.example",
    ),
    legal_basis=(
        "Undang-Undang Nomor 17 Tahun 2023 tentang Kesehatan",
        "Peraturan Pemerintah Nomor 28 Tahun 2024 tentang Peraturan Pelaksanaan Undang-Undang Kesehatan",
    ),
    body=(
        Paragraph("Kepala Dinas Penanaman Modal dan Pelayanan Terpadu Satu Pintu memberikan izin kepada:"),
        Facts(
            (
                ("Nama", "Siti Contoh Nurhaliza, S.Tr.Keb."),
                ("Nomor STR", "ABC 1234567890123456"),
                ("Untuk praktik sebagai", "Bidan"),
                ("Tempat praktik", "Praktik Mandiri Contoh, Jalan Melati Nomor 5, Kota Pekalongan"),
            )
        ),
        Heading("Ketentuan"),
        NumberedList(("Izin hanya untuk tempat di atas.", "Perubahan data dilaporkan.")),
    ),
    validity="Surat izin ini berlaku sampai dengan tanggal 7 Agustus 2031.",
    place="Pekalongan",
    issued_on=date(2026, 11, 23),
    signature=SignatureBlock(
        "Kepala Dinas Penanaman Modal dan Pelayanan Terpadu Satu Pintu Kota Pekalongan",
        "Dra. Ratna Contohwati, M.Si.",
        "Pembina Utama Muda (IV/c)",
        "197001011995032000",
    ),
    number="500.16.7.2/0001/SIP-TK/XI/2026",
    code="7KQ2M 9XD4T BVWHR 38ZNC PF6A1 E",
    verify_url="https://izin.pekalongan.example/v/7KQ2M9XD4TBVWHR38ZNCPF6A1E",
    verify_text="izin.pekalongan.example/verify",
    footer_legal=SAMPLE_FOOTER,
    is_sample=True,
    data={"number": "500.16.7.2/0001/SIP-TK/XI/2026", "type": "sip-tenaga-kesehatan"},
)

REJECTION_LETTER = replace(
    PERMIT,
    kind="rejection_letter",
    title="Surat Penolakan",
    legal_basis=(PERMIT.legal_basis[0],),
    body=(
        Paragraph("Permohonan Saudara tidak dapat dikabulkan karena:"),
        NumberedList(("STR yang dilampirkan tidak berlaku lagi.",)),
        Paragraph("Saudara dapat mengajukan permohonan baru setelah melengkapi kekurangan tersebut."),
    ),
    validity=None,
)


def permit_with_conditions(count: int) -> PermitDocument:
    """A permit with that many conditions of two or three lines each: some seven fit on its first page."""
    return replace(PERMIT, body=(*PERMIT.body[:3], NumberedList((CONDITION,) * count)))
