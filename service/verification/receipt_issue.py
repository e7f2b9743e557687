"""Issuing a verification receipt: a statement of what was asked and answered, under the agency's seal.

Nothing is stored and nobody is named: a receipt holds what its asker was shown, and who asked is not known.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from babel.dates import format_date, format_datetime
from sqlmodel import Session

from service.catalogue.format import City
from service.catalogue.models import active_city
from service.clock import CITY_TIMEZONE, city_date
from service.errors import Conflict, FieldProblem, InvalidInput
from service.permits.compose import Printing, letterhead_of
from service.permits.log_proof import prove_permit
from service.permits.numbering import spaced_code
from service.permits.register import find_by_code, public_permit
from service.permits.signer import OperationsKeys
from service.transparency.notes import LogKey
from service.verification.answers import permit_answer, signature_answer
from service.verification.batch import NOT_REGISTERED, REGISTERED, Batch
from service.verification.receipt import KIND, Asked, StatedLine, StatedPolicy, Statement
from service.verification.verify import Verdict, Verification, moment_of
from signing.document import (
    Block,
    Facts,
    Heading,
    NumberedList,
    Paragraph,
    PermitDocument,
    SignatureBlock,
    canonical_json,
)
from signing.fonts import printable
from signing.render import render_document
from signing.sign import sign_document
from signing.statement import seal_statement

CERTAIN = frozenset({Verdict.GENUINE, Verdict.ALTERED, Verdict.UNKNOWN})
Form = Literal["pdf", "json"]


class NoReceipt(Conflict):
    code = "no_receipt"
    message_id = (
        "Bukti hanya diberikan untuk jawaban yang pasti tentang sebuah surat. Periksa sekali lagi suratnya."
    )
    message_en = "A receipt is given only for a certain answer about a document. Check the document again."


@dataclass(frozen=True, slots=True)
class Finding:
    """What was asked and answered, without any personal data: the register is read anew for those.

    `code` is the public code of the permit that the answer told of, `masked` whether its holder was masked.
    """

    asked: Asked
    verdict: str
    reasons: tuple[str, ...]
    checked_at: datetime
    code: str | None
    masked: bool = True
    policy: StatedPolicy | None = None
    signature: dict[str, Any] | None = None


def finding_of_file(verification: Verification, pdf: bytes) -> Finding:
    """Return what a verification of a file found. Raises NoReceipt unless the verdict is certain."""
    if verification.verdict not in CERTAIN:
        raise NoReceipt
    signature, policy = verification.signature, verification.policy or {}
    named = {name: policy[name] for name in StatedPolicy.model_fields if name in policy}
    return Finding(
        asked=Asked(file_sha256=hashlib.sha256(pdf).hexdigest()),
        verdict=verification.verdict,
        reasons=verification.reasons,
        checked_at=verification.checked_at,
        code=verification.permit.code if verification.permit else None,
        masked=verification.verdict != Verdict.GENUINE,
        policy=StatedPolicy(**named) if named else None,
        signature=signature_answer(signature).model_dump(mode="json") if signature else None,
    )


def finding_of_register(asked: Asked, code: str, checked_at: datetime) -> Finding:
    """Return what a look-up by code or number found: the permit with this public code.

    Raises InvalidInput for a day to come: of that a seal can say nothing.
    """
    if asked.on is not None and asked.on > city_date(checked_at):
        sentence = (
            "Bukti hanya untuk hari ini atau hari yang sudah lewat.",
            "A receipt is for today or a day that has passed.",
        )
        raise InvalidInput(*sentence, problems=[FieldProblem("on", "day_to_come", *sentence)])
    return Finding(asked, REGISTERED, (REGISTERED,), checked_at, code)


def state_finding(session: Session, finding: Finding, *, base_url: str, key: LogKey) -> Statement:
    """State a finding with the register's facts as they were shown, and the log's proofs of them."""
    permit = find_by_code(session, finding.code) if finding.code else None
    facts = log = None
    if permit is not None:
        shown = public_permit(
            session,
            permit,
            moment=moment_of(finding.asked.on, finding.checked_at),
            language="id",
            base_url=base_url,
            masked=finding.masked,
        )
        facts = permit_answer(shown).model_dump(mode="json")
        if finding.asked.number:
            del facts["url"]  # Who asked by number was not shown the code.
        proof = prove_permit(session, permit, key)
        entries = [
            {"index": each.index, "leaf": each.leaf, "path": list(each.path)} for each in proof.entries
        ]
        log = {"checkpoint": proof.checkpoint, "entries": entries}
    return Statement(
        kind=KIND,
        v=1,
        service=base_url,
        checked_at=finding.checked_at,
        asked=finding.asked,
        verdict=finding.verdict,
        reasons=list(finding.reasons),
        policy=finding.policy,
        permit=facts,
        signature=finding.signature,
        log=log,
    )


def state_batch(batch: Batch, *, base_url: str, now: datetime) -> Statement:
    """State what was found about every line of a batch. Raises NoReceipt before all are checked."""
    if not batch.is_complete:
        raise NoReceipt
    return Statement(
        kind=KIND,
        v=1,
        service=base_url,
        checked_at=now,
        asked=Asked(batch_sha256=batch.sha256),
        verdict="batch",
        reasons=[],
        policy=None,
        permit=None,
        signature=None,
        log=None,
        lines=[
            StatedLine(
                name=line.name,
                sha256=line.sha256,
                on=line.on,
                checked_at=line.checked_at,
                verdict=line.verdict,
                reasons=list(line.reasons),
                kind=line.permit.kind if line.permit else None,
                number=line.permit.number if line.permit else None,
                holder=line.permit.holder if line.permit else None,
                status=line.permit.status if line.permit else None,
            )
            for line in batch.lines
        ],
    )


def issue_receipt(
    session: Session,
    statement: Statement,
    form: Form,
    *,
    keys: OperationsKeys,
    printing: Printing,
    now: datetime,
) -> bytes:
    """Return the receipt as a PDF signed by the seal, or as JSON with the seal's signature beside it."""
    if form == "json":
        return seal_statement(statement.as_json(), keys.seal, signed_at=now, timestamper=keys.timestamper)
    document = compose_receipt(statement, active_city(session), printing, city_date(now))
    return sign_document(
        render_document(document),
        keys.seal,
        signed_at=now,
        timestamper=keys.timestamper,
        without_time_stamp=lambda _error: None,
    )


def receipt_id(statement: Statement) -> str:
    """Return the SHA-256 (hex) of what is stated: the same in the PDF and in JSON."""
    return hashlib.sha256(canonical_json(statement.as_json())).hexdigest()


# The page -------------------------------------------------------------------------------------

_VERDICTS = {
    Verdict.GENUINE: "Asli. Berkas sama persis dengan yang terdaftar, tanda tangan elektroniknya sah, "
    "dan tercatat dalam catatan terbuka.",
    Verdict.ALTERED: "Tidak asli. Berkas berasal dari surat yang terdaftar, tetapi isinya diubah.",
    Verdict.UNKNOWN: "Bukan terbitan layanan ini. Berkas tidak terdaftar.",
    REGISTERED: "Terdaftar. Data surat kertas harus sama dengan data di bawah ini.",
}
LINE_VERDICTS: dict[str, str] = {
    Verdict.GENUINE: "Asli",
    Verdict.ALTERED: "Tidak asli: isinya diubah",
    Verdict.UNKNOWN: "Bukan terbitan layanan ini",
    Verdict.UNDECIDED: "Belum dapat dipastikan",
    Verdict.RECEIPT: "Bukti pemeriksaan, bukan izin",
    REGISTERED: "Terdaftar",
    NOT_REGISTERED: "Tidak terdaftar",
}
STATUSES = {
    "active": "Berlaku",
    "not_yet_valid": "Belum berlaku",
    "expired": "Masa berlaku sudah berakhir",
    "suspended": "Dibekukan",
    "revoked": "Dicabut",
    "superseded": "Diganti",
}


def compose_receipt(statement: Statement, city: City, printing: Printing, today: date) -> PermitDocument:
    """Compose the receipt's page; the statement itself is attached to it as `receipt.json`."""
    identifier = receipt_id(statement)
    return PermitDocument(
        kind="verification_receipt",
        title="Bukti Pemeriksaan Keaslian",
        letterhead=letterhead_of(city),
        body=tuple(_body(statement)),
        signature=SignatureBlock(
            capacity="Segel elektronik", name=city.office.id, note="Disegel secara elektronik oleh"
        ),
        place=city.place,
        verify_text=printing.base_url.split("://", 1)[-1] + "/verify",
        footer_legal=city.footers.test if printing.is_sample else city.footers.production,
        is_sample=printing.is_sample,
        number=f"BP-{statement.checked_at:%Y%m%d}-{identifier[:12].upper()}",
        code=" ".join(identifier[start : start + 8] for start in range(0, len(identifier), 8)),
        verify_url=f"{printing.base_url}/verify",
        issued_on=today,
        data=statement.as_json(),
    )


def _body(statement: Statement) -> list[Block]:
    if statement.lines is not None:
        return [*_batch_blocks(statement, statement.lines)]
    blocks: list[Block] = [
        Paragraph(
            "Surat ini menerangkan jawaban layanan perizinan elektronik atas satu pemeriksaan. "
            "Surat ini bukan izin dan tidak menggantikan surat izin. Siapa yang memeriksa tidak dicatat."
        ),
        Heading("Yang diperiksa"),
        Facts(tuple(_asked(statement))),
        Heading("Jawaban"),
        Facts((("Hasil", _VERDICTS[statement.verdict]), ("Kode alasan", ", ".join(statement.reasons)))),
    ]
    if statement.permit:
        blocks += [Heading("Menurut register"), Facts(tuple(_permit(statement.permit, statement.asked)))]
    if statement.signature:
        found = statement.signature
        rows = [("Hasil (EN 319 102-1)", str(found["indication"])), ("Tingkat", f"PAdES {found['level']}")]
        if policy := statement.policy:
            rows.append(("Aturan", f"{policy.name} {policy.version}, SHA-256 {policy.sha256}"))
        blocks += [Heading("Tanda tangan elektronik"), Facts(tuple(rows))]
    if statement.log:
        _, size, root, *_ = statement.log["checkpoint"].splitlines()
        entries = ", ".join(str(entry["index"]) for entry in statement.log["entries"])
        rows = [("Nomor urut", entries or "–"), ("Besar catatan", size), ("Sidik akar", root)]
        blocks += [Heading("Catatan terbuka"), Facts(tuple(rows))]
    return blocks


def _batch_blocks(statement: Statement, lines: list[StatedLine]) -> Iterator[Block]:
    yield Paragraph(
        "Surat ini menerangkan jawaban layanan perizinan elektronik atas pemeriksaan sekumpulan surat. "
        "Surat ini bukan izin dan tidak menggantikan surat izin. Siapa yang memeriksa tidak dicatat."
    )
    yield Heading("Yang diperiksa")
    counts = Counter(LINE_VERDICTS[line.verdict] for line in lines)
    yield Facts(
        (
            ("Berkas dengan SHA-256", str(statement.asked.batch_sha256)),
            ("Banyaknya", str(len(lines))),
            *((verdict, str(count)) for verdict, count in counts.most_common()),
        )
    )
    yield Heading("Jawaban")
    yield NumberedList(tuple(_line(line) for line in lines))


def _line(line: StatedLine) -> str:
    parts = [f"{printable(line.name)}: {LINE_VERDICTS[line.verdict]}"]
    if line.number:
        parts.append(f"nomor {line.number}")
    if line.kind == "rejection_letter":
        parts.append("surat penolakan, bukan izin")
    elif line.status:
        day = f"pada {_long_date(line.on)} " if line.on else ""
        parts.append(f"{day}{STATUSES[line.status].lower()}")
    if line.verdict == Verdict.UNDECIDED:
        parts.append(", ".join(line.reasons))
    return ", ".join(parts) + "."


def _asked(statement: Statement) -> list[tuple[str, str]]:
    asked, moment = statement.asked, statement.checked_at.astimezone(CITY_TIMEZONE)
    rows = []
    if asked.file_sha256:
        rows.append(("Berkas dengan SHA-256", asked.file_sha256))
    if asked.code:
        rows.append(("Kode verifikasi", spaced_code(asked.code)))
    if asked.number and asked.issued_on:
        rows += [("Nomor izin", asked.number), ("Tanggal terbit", _long_date(asked.issued_on))]
    if asked.on:
        rows.append(("Untuk hari", _long_date(asked.on)))
    rows.append(("Diperiksa", format_datetime(moment, "d MMMM y 'pukul' HH.mm.ss 'WIB'", locale="id")))
    return rows


def _permit(permit: dict[str, Any], asked: Asked) -> list[tuple[str, str]]:
    is_permit = permit["kind"] == "permit"
    rows = [
        ("Nomor", permit["number"]),
        ("Jenis", permit["type"]),
        ("Pemegang" if is_permit else "Pemohon", permit["holder"]),
        ("Tanggal terbit", _long_date(date.fromisoformat(permit["issued_on"]))),
    ]
    if is_permit:
        day = f" pada {_long_date(asked.on)}" if asked.on else ""
        until = permit["valid_until"]
        since = datetime.fromisoformat(permit["status_since"]).astimezone(CITY_TIMEZONE)
        rows += [
            ("Status" + day, f"{STATUSES[permit['status']]}, sejak {_long_date(since.date())}"),
            ("Berlaku mulai", _long_date(date.fromisoformat(permit["valid_from"]))),
            (
                "Berlaku sampai dengan",
                _long_date(date.fromisoformat(until)) if until else "Selama memenuhi ketentuan",
            ),
        ]
        if permit["reason"]:
            rows.append(("Alasan", permit["reason"]))
        if permit["superseded_by"]:
            rows.append(("Diganti dengan nomor", permit["superseded_by"]))
    rows += permit["facts"].items()
    rows.append(("Ditandatangani oleh", f"{permit['signer']}, {permit['position']}"))
    return [(label, str(value)) for label, value in rows]


def _long_date(day: date) -> str:
    return str(format_date(day, "d MMMM y", locale="id"))
