"""What the paper of a receipt says, by value: the statement's words for who reads no JSON."""

import re
from datetime import UTC, date, datetime
from typing import Any

import cases
import pytest
from pki import NOW
from specimens import PRINTING

from service.permits.compose import Printing, letterhead_of
from service.verification.answers import EXAMPLE_PERMIT
from service.verification.receipt import Asked, StatedLine, StatedPolicy, Statement
from service.verification.receipt_issue import compose_receipt, receipt_id
from signing.document import (
    Block,
    Facts,
    Heading,
    NumberedList,
    Paragraph,
    PermitDocument,
    SignatureBlock,
)

TODAY, YESTERDAY = date(2026, 11, 23), date(2026, 11, 22)
CODE = "0123456789ABCDEFGHJKMNPQRS"
STATEMENT = Statement(
    kind="verification_receipt",
    v=1,
    service=PRINTING.base_url,
    checked_at=NOW,
    asked=Asked(code=CODE),
    verdict="registered",
    reasons=["registered"],
    policy=None,
    permit=None,
    signature=None,
    log=None,
)
NO_PERMIT = "Surat ini bukan izin dan tidak menggantikan surat izin. Siapa yang memeriksa tidak dicatat."
LOG = {"checkpoint": "izin.contoh.invalid/log\n9\nAAAA\n", "entries": [{"index": 1}, {"index": 7}]}
CHECKED = ("Diperiksa", "23 November 2026 pukul 10.00.00 WIB")
ANSWERS = {
    "genuine": "Asli. Berkas sama persis dengan yang terdaftar, tanda tangan elektroniknya sah, "
    "dan tercatat dalam catatan terbuka.",
    "altered": "Tidak asli. Berkas berasal dari surat yang terdaftar, tetapi isinya diubah.",
    "unknown": "Bukan terbitan layanan ini. Berkas tidak terdaftar.",
    "registered": "Terdaftar. Data surat kertas harus sama dengan data di bawah ini.",
}


def body_of(**changes: Any) -> tuple[Block, ...]:
    statement = STATEMENT.model_copy(update=changes)
    return compose_receipt(statement, cases.catalogue().city, PRINTING, TODAY).body


def rows_under(heading: str, **changes: Any) -> dict[str, str]:
    """Return the facts under a heading, of a page that has it once."""
    body = body_of(**changes)
    facts = body[body.index(Heading(heading)) + 1]
    assert isinstance(facts, Facts)
    return dict(facts.rows)


@pytest.mark.parametrize("is_sample", [True, False])
def test_a_receipt_is_a_page_of_the_offices_under_its_seal_and_names_its_statement(is_sample: bool) -> None:
    city = cases.catalogue().city
    named = receipt_id(STATEMENT)
    printing = Printing("https://izin.contoh.invalid", is_sample=is_sample)
    assert compose_receipt(STATEMENT, city, printing, TODAY) == PermitDocument(
        kind="verification_receipt",
        title="Bukti Pemeriksaan Keaslian",
        letterhead=letterhead_of(city),
        body=(
            Paragraph(
                "Surat ini menerangkan jawaban layanan perizinan elektronik atas satu pemeriksaan. "
                + NO_PERMIT
            ),
            Heading("Yang diperiksa"),
            Facts((("Kode verifikasi", "01234 56789 ABCDE FGHJK MNPQR S"), CHECKED)),
            Heading("Jawaban"),
            Facts((("Hasil", ANSWERS["registered"]), ("Kode alasan", "registered"))),
        ),
        signature=SignatureBlock("Segel elektronik", city.office.id, note="Disegel secara elektronik oleh"),
        place=city.place,
        verify_text="izin.contoh.invalid/verify",
        footer_legal=city.footers.test if is_sample else city.footers.production,
        is_sample=is_sample,
        number="BP-20261123-" + named[:12].upper(),
        code=" ".join(re.findall("." * 8, named)),
        verify_url="https://izin.contoh.invalid/verify",
        issued_on=TODAY,
        data=STATEMENT.as_json(),
    )


@pytest.mark.parametrize(("verdict", "sentence"), ANSWERS.items())
def test_the_answer_stands_in_a_sentence_with_its_reasons(verdict: str, sentence: str) -> None:
    said = rows_under("Jawaban", verdict=verdict, reasons=["a", "b"])
    assert said == {"Hasil": sentence, "Kode alasan": "a, b"}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Asked(file_sha256="ab" * 32), [("Berkas dengan SHA-256", "ab" * 32)]),
        (
            Asked(number="1/2", issued_on=TODAY),
            [("Nomor izin", "1/2"), ("Tanggal terbit", "23 November 2026")],
        ),
        (
            Asked(code=CODE, on=date(2026, 8, 1)),
            [("Kode verifikasi", "01234 56789 ABCDE FGHJK MNPQR S"), ("Untuk hari", "1 Agustus 2026")],
        ),
        # Half a question is none: no receipt is given of a number without its day.
        (Asked(number="1/2"), []),
        (Asked(issued_on=TODAY), []),
    ],
)
def test_what_was_asked_stands_as_it_was_typed(asked: Asked, said: list[tuple[str, str]]) -> None:
    assert Facts((*said, CHECKED)) in body_of(asked=asked)


def test_the_moment_of_the_answer_stands_in_the_citys_time() -> None:
    checked_at = datetime(2026, 7, 31, 17, 5, 9, tzinfo=UTC)
    said = rows_under("Yang diperiksa", checked_at=checked_at)
    assert said["Diperiksa"] == "1 Agustus 2026 pukul 00.05.09 WIB"


PERMIT = {
    **EXAMPLE_PERMIT,
    "status_since": "2026-11-23T18:00:00Z",
    "facts": {"Profesi": "Bidan", "Luas": 40},
}
SUSPENDED = {"status": "suspended", "reason": "Sanksi", "superseded_by": "1/3", "valid_until": None}


def test_what_the_register_says_stands_in_words() -> None:
    rows = {
        "Nomor": "500.16.7.2/0001/SIP-TK/XI/2026",
        "Jenis": "Surat Izin Praktik Tenaga Kesehatan",
        "Pemegang": "S*** A*****",
        "Tanggal terbit": "23 November 2026",
        "Status": "Berlaku, sejak 24 November 2026",
        "Berlaku mulai": "23 November 2026",
        "Berlaku sampai dengan": "22 November 2031",
        "Profesi": "Bidan",
        "Luas": "40",
        "Ditandatangani oleh": "Dra. Contoh Pejabat, M.Si., Kepala Dinas",
    }
    heading = "Menurut register"
    assert rows_under(heading, permit=PERMIT) == rows
    on = Asked(code=CODE, on=YESTERDAY)
    assert rows_under(heading, permit=PERMIT, asked=on)["Status pada 22 November 2026"] == rows["Status"]
    assert rows_under(heading, permit=PERMIT | SUSPENDED) == rows | {
        "Status": "Dibekukan, sejak 24 November 2026",
        "Berlaku sampai dengan": "Selama memenuhi ketentuan",
        "Alasan": "Sanksi",
        "Diganti dengan nomor": "1/3",
    }


def test_a_letter_of_refusal_has_an_applicant_and_no_status() -> None:
    said = rows_under("Menurut register", permit=PERMIT | {"kind": "rejection_letter"} | SUSPENDED)
    assert list(said) == [
        "Nomor", "Jenis", "Pemohon", "Tanggal terbit", "Profesi", "Luas", "Ditandatangani oleh",
    ]  # fmt: skip


def test_the_signature_and_the_log_stand_below_with_what_judges_them() -> None:
    heading, signature = "Tanda tangan elektronik", {"indication": "TOTAL-PASSED", "level": "B-T"}
    policy = StatedPolicy(name="canting-validation", version=1, sha256="cd" * 32)
    judged = {"Hasil (EN 319 102-1)": "TOTAL-PASSED", "Tingkat": "PAdES B-T"}
    assert rows_under(heading, signature=signature) == judged
    assert rows_under(heading, signature=signature, policy=policy) == judged | {
        "Aturan": "canting-validation 1, SHA-256 " + "cd" * 32
    }
    entries = {"Nomor urut": "1, 7", "Besar catatan": "9", "Sidik akar": "AAAA"}
    assert rows_under("Catatan terbuka", log=LOG) == entries
    assert rows_under("Catatan terbuka", log=LOG | {"entries": []}) == entries | {"Nomor urut": "–"}
    everything = body_of(permit=PERMIT, signature=signature, log=LOG)
    assert [block.text for block in everything if isinstance(block, Heading)] == [
        "Yang diperiksa", "Jawaban", "Menurut register", "Tanda tangan elektronik", "Catatan terbuka",
    ]  # fmt: skip


LINE = StatedLine(
    name="a.pdf",
    sha256=None,
    on=None,
    checked_at=NOW,
    verdict="genuine",
    reasons=["registered", "in_log"],
    kind="permit",
    number="1/2",
    holder="S***",
    status="active",
)
NOT_FOUND: dict[str, Any] = {"kind": None, "number": None, "holder": None, "status": None}


def test_a_batchs_receipt_counts_its_answers_and_lists_them() -> None:
    lines = [
        LINE.model_copy(update=change)
        for change in (
            {"name": "\N{CROCODILE}.pdf", "verdict": "unknown", **NOT_FOUND},
            {},
            {"verdict": "registered", "on": YESTERDAY, "status": "superseded"},
            {"kind": "rejection_letter"},
            {"verdict": "undecided", "reasons": ["a", "b"], **NOT_FOUND},
        )
    ]
    assert body_of(asked=Asked(batch_sha256="ab" * 32), verdict="batch", lines=lines) == (
        Paragraph(
            "Surat ini menerangkan jawaban layanan perizinan elektronik atas pemeriksaan sekumpulan surat. "
            + NO_PERMIT
        ),
        Heading("Yang diperiksa"),
        Facts(
            (
                ("Berkas dengan SHA-256", "ab" * 32),
                ("Banyaknya", "5"),
                ("Asli", "2"),
                ("Bukan terbitan layanan ini", "1"),
                ("Terdaftar", "1"),
                ("Belum dapat dipastikan", "1"),
            )
        ),
        Heading("Jawaban"),
        NumberedList(
            (
                "\N{REPLACEMENT CHARACTER}.pdf: Bukan terbitan layanan ini.",
                "a.pdf: Asli, nomor 1/2, berlaku.",
                "a.pdf: Terdaftar, nomor 1/2, pada 22 November 2026 diganti.",
                "a.pdf: Asli, nomor 1/2, surat penolakan, bukan izin.",
                "a.pdf: Belum dapat dipastikan, a, b.",
            )
        ),
    )
