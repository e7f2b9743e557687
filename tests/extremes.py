"""Documents at the edges of what the layout must take; all people and numbers in them are made up."""

from dataclasses import replace

from documents import CONDITION, PERMIT, REJECTION_LETTER, permit_with_conditions

from signing.document import Facts, Heading, Letterhead, NumberedList, Paragraph, SignatureBlock

LONG_NAME = (
    "Prof. Dr. dr. Raden Ayu Siti Contoh Nurhaliza Kusumaningtyas Prawirodirdjo, Sp.OG., Subsp.Obginsos., "
    "M.Kes., M.H., FINACS., FISQua."
)
LONG_ADDRESS = (
    "Perumahan Griya Contoh Pekajangan Indah Blok AB-12 Nomor 145-147 (samping Balai Pertemuan Warga), "
    "Jalan Contoh Kyai Haji Ahmad Dahlan Gang Mawar Melati Nomor 12 RT 012 RW 003, Kelurahan Kuripan "
    "Kertoharjo, Kecamatan Pekalongan Selatan, Kota Pekalongan, Jawa Tengah 51136"
)
LONG_URL = f"{PERMIT.verify_url}#{'0QoW9kZ3hTq7-_' * 40}"[:600]
"""What the QR code will hold when a signed token of some 350 bytes goes into it."""

_FACTS = (
    ("Nama lengkap beserta gelar", LONG_NAME),
    ("Alamat tempat tinggal pemegang izin sesuai dengan kartu tanda penduduk", LONG_ADDRESS),
    ("Nomor STR", "STR" + "0123456789" * 12),
    ("Tempat praktik ke-1", f"Rumah Sakit Umum Daerah Contoh, {LONG_ADDRESS}"),
    ("Untuk praktik sebagai", "Bidan"),
)
_LETTERHEAD = Letterhead(
    "Pemerintah Kota Pekalongan",
    "Dinas Penanaman Modal, Pelayanan Terpadu Satu Pintu, Perindustrian, Perdagangan, Koperasi, "
    "Usaha Kecil dan Menengah",
    "Jalan Contoh Jaksa Agung Nomor 1 Kompleks Perkantoran Terpadu, Kelurahan Podosugih, Kecamatan "
    "Pekalongan Barat, Kota Pekalongan, Jawa Tengah 51111",
    "Telepon (0285) 000000, Faksimile (0285) 000001, Pos-el izin@pekalongan.example, Laman "
    "izin.pekalongan.example",
)
_ON_BEHALF = SignatureBlock(
    "a.n. WALI KOTA PEKALONGAN\nPlt. Kepala Dinas Penanaman Modal dan Pelayanan Terpadu Satu Pintu Kota "
    "Pekalongan selaku Sekretaris Daerah Kota Pekalongan",
    LONG_NAME,
    "Pembina Utama Muda (IV/c)",
    "197001011995032000",
)
_BODY = Paragraph(" ".join([CONDITION] * 7))

EXTREMES = {
    "long_words": replace(
        PERMIT,
        title="Surat Izin Penyelenggaraan Praktik Bersama Dokter Spesialis Obstetri dan Ginekologi "
        "Subspesialis Obstetri Ginekologi Sosial",
        letterhead=_LETTERHEAD,
        number="500.16.7.2/0001/SIP-TENAGA-KESEHATAN-SUBSPESIALIS/DPMPTSP-KOTA-PEKALONGAN/XXVIII/2026",
        body=(PERMIT.body[0], Facts(_FACTS), Paragraph("X" * 300)),
        signature=_ON_BEHALF,
    ),
    "twenty_lines": replace(REJECTION_LETTER, body=(_BODY, NumberedList(("Alasan.", CONDITION)))),
    "two_pages": permit_with_conditions(13),
    "three_pages": replace(
        permit_with_conditions(20),
        body=(
            PERMIT.body[0],
            Facts(_FACTS),
            Heading("Ketentuan"),
            NumberedList((CONDITION,) * 20),
            _BODY,
        ),
        signature=_ON_BEHALF,
    ),
    "acting": replace(
        PERMIT,
        signature=replace(
            PERMIT.signature,
            capacity="Plh. Kepala Dinas Penanaman Modal dan Pelayanan Terpadu Satu Pintu Kota Pekalongan",
        ),
        verify_url=LONG_URL,
    ),
    "seal": replace(
        PERMIT,
        legal_basis=(PERMIT.legal_basis[1],),
        signature=SignatureBlock(
            "Dinas Penanaman Modal dan Pelayanan Terpadu Satu Pintu", "Segel Elektronik"
        ),
    ),
}
