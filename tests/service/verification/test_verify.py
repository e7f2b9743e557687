"""The answer about a file and about a permit, by value: the register's, and as much as was proven."""

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import cases
import pikepdf
import pytest
import structlog
from examining import READER, Examiner, Verify, digest, register
from factories import actor_of, pdf_file
from pki import NOW, make_pki
from prometheus_client import REGISTRY
from signed_pages import one_page, sign_again, sign_page
from sqlalchemy import Engine
from sqlmodel import Session, select

from keys.software import SoftwareKeyStore
from keys.timestamp import local_timestamper
from service.accounts.models import User
from service.permits.models import DocumentVersion, Permit
from service.permits.register import PublicPermit, public_permit
from service.permits.revoke import suspend_permit
from service.transparency.models import LogEntry
from service.verification.examination import Examination
from service.verification.verify import (
    Origin,
    SignatureFacts,
    Verdict,
    Verification,
    look_up_code,
    look_up_number,
    moment_of,
)
from signing.pdfa import PERMIT_DATA
from signing.sign import sign_document
from signing.statement import seal_statement

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ISSUED_ON, NEXT_DAY = date(2026, 11, 23), date(2026, 11, 24)
STRANGER = make_pki()
"""Another agency: nothing of it is known here."""
PAGE = one_page()


def shown(session: Session, issued_once: cases.Issued, *, masked: bool) -> PublicPermit:
    return public_permit(
        session, issued_once.permit, moment=NOW, language="en", base_url=READER.base_url, masked=masked
    )


def counted(verdict: Verdict) -> float:
    return REGISTRY.get_sample_value("canting_verifications_total", {"verdict": verdict}) or 0.0


# A registered document ----------------------------------------------------------------------------

SIGNATURE = SignatureFacts(
    indication="TOTAL-PASSED",
    sub_indication=None,
    level="B-T",
    signer="Dra. Contoh Pejabat, M.Si.",
    position="Kepala Dinas Penanaman Modal dan Pelayanan Terpadu Satu Pintu",
    mandate="definitive",
    signed_at=NOW.isoformat(),
)
IN_LOG = {"index": 0, "included": True}


def test_the_exact_copy_is_genuine(session: Session, verify: Verify, issued_once: cases.Issued) -> None:
    before = counted(Verdict.GENUINE)
    assert verify(issued_once.pdf) == Verification(
        Verdict.GENUINE,
        ("registered", "signature_passed", "in_log"),
        NOW,
        permit=shown(session, issued_once, masked=False),
        signature=SIGNATURE,
        log=IN_LOG,
        sha256=digest(issued_once.pdf),
    )
    assert counted(Verdict.GENUINE) == before + 1


def test_what_is_not_in_the_log_is_not_genuine(
    session: Session, verify: Verify, issued_once: cases.Issued
) -> None:
    """The register speaks all the same: what is missing is a proof, not the permit."""
    entry = session.exec(select(LogEntry)).one()
    entry.leaf = entry.leaf.replace('"active"', '"voided"')
    expected = Verification(
        Verdict.UNDECIDED,
        ("not_in_log",),
        NOW,
        permit=shown(session, issued_once, masked=False),
        signature=SIGNATURE,
        log={"index": 0, "included": False},
        sha256=digest(issued_once.pdf),
    )
    assert verify(issued_once.pdf) == expected
    register(session, issued_once.pdf, log_index=None)
    assert verify(issued_once.pdf) == replace(expected, log={"index": None, "included": False})


def test_a_registered_document_whose_signature_does_not_pass_is_not_genuine(
    session: Session, verify: Verify, issued_once: cases.Issued, tmp_path: Path
) -> None:
    """The authority that the signature rests on is trusted no more."""
    strangers = cases.make_keys(tmp_path / "keys", NOW).folder
    assert verify(issued_once.pdf, Examiner(strangers)) == Verification(
        Verdict.UNDECIDED,
        ("signature_not_passed", "no_certificate_chain_found"),
        NOW,
        permit=shown(session, issued_once, masked=False),
        signature=replace(SIGNATURE, indication="INDETERMINATE", sub_indication="NO_CERTIFICATE_CHAIN_FOUND"),
        log=IN_LOG,
        sha256=digest(issued_once.pdf),
    )


def test_a_registered_document_that_cannot_be_read_is_not_genuine(
    session: Session, verify: Verify, issued_once: cases.Issued
) -> None:
    register(session, b"%PDF-1.7 rubbish")
    found = verify(b"%PDF-1.7 rubbish")
    assert (found.verdict, found.reasons) == (Verdict.UNDECIDED, ("signature_not_passed", "unreadable"))
    assert (found.permit, found.signature) == (shown(session, issued_once, masked=False), None)


def test_a_registered_document_that_nobody_signed_is_not_genuine(session: Session, verify: Verify) -> None:
    register(session, PAGE)
    found = verify(PAGE)
    assert (found.verdict, found.reasons) == (Verdict.UNDECIDED, ("signature_not_passed", "no_signature"))
    assert (found.log, found.signature) == (IN_LOG, None)


def test_a_registered_document_that_was_not_examined_is_not_genuine(
    session: Session, verify: Verify, issued_once: cases.Issued, key_folder: Path
) -> None:
    stopped = Examiner(key_folder, answer=Examination(None, "time_limit"))
    assert verify(issued_once.pdf, stopped) == Verification(
        Verdict.UNDECIDED,
        ("time_limit",),
        NOW,
        permit=shown(session, issued_once, masked=False),
        log=IN_LOG,
        sha256=digest(issued_once.pdf),
    )


def test_a_signature_is_as_old_as_its_time_stamp_and_else_as_its_signer_says(
    session: Session, verify: Verify, keys: SoftwareKeyStore
) -> None:
    official = keys.open_key("official-head", cases.OFFICIAL_PASSPHRASE, now=NOW)
    authority = keys.open_key("tsa", cases.OPERATIONS_PASSPHRASE, now=NOW)
    for timestamper, told in (
        (local_timestamper(authority, lambda: NOW), replace(SIGNATURE, level="B-T")),
        (None, replace(SIGNATURE, level="B-B", signed_at=(NOW - HOUR).isoformat())),
    ):
        pdf = sign_document(PAGE, official, signed_at=NOW - HOUR, timestamper=timestamper)
        register(session, pdf)
        found = verify(pdf)
        assert (found.verdict, found.signature) == (Verdict.GENUINE, told)


def suspend(session: Session, permit: Permit, since: datetime) -> None:
    head = actor_of(session, session.get_one(User, permit.signer_id))
    suspend_permit(session, permit.id, reason_code="sanction", remark="Uji", actor=head, now=since)


def test_the_document_of_a_suspended_permit_is_genuine_and_the_answer_says_why_it_is_suspended(
    session: Session, verify: Verify, issued_once: cases.Issued
) -> None:
    suspend(session, issued_once.permit, NOW + HOUR)
    for pdf, verdict in ((issued_once.pdf, Verdict.GENUINE), (appended(issued_once.pdf), Verdict.ALTERED)):
        found = verify(pdf, at=NOW + 2 * HOUR)
        assert found.permit is not None
        assert (found.verdict, found.permit.status) == (verdict, "suspended")
        assert (found.permit.status_since, found.permit.reason) == (NOW + HOUR, "Administrative sanction")


# What derives from one ----------------------------------------------------------------------------


def appended(pdf: bytes) -> bytes:
    return pdf + b"\n% catatan\n"


def flipped_text(pdf: bytes) -> bytes:
    place = pdf.index(b"stream") + 40
    return pdf[:place] + bytes([pdf[place] ^ 1]) + pdf[place + 1 :]


def saved_anew(pdf: bytes) -> bytes:
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(pdf)) as document:
        document.save(out)
    return out.getvalue()


def with_data_alone(pdf: bytes) -> bytes:
    """Another document with the permit's attached data."""
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(pdf)) as permit, pikepdf.open(io.BytesIO(PAGE)) as other:
        data = permit.attachments[PERMIT_DATA].get_file().read_bytes()
        other.attachments[PERMIT_DATA] = pikepdf.AttachedFileSpec(other, data)
        other.save(out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("alter", "found_by", "more"),
    [
        (appended, "revision", ["not_whole_file"]),
        (flipped_text, "signature", ["hash_failure"]),
        (
            saved_anew,
            "signature",
            [
                "hash_failure",
                "container_altered",
                "not_whole_file",
                "modified_after_signing",
                "certification_violated",
            ],
        ),
        (with_data_alone, "data", ["no_signature"]),
    ],
)
def test_an_altered_copy_is_altered_and_names_its_original(
    session: Session,
    verify: Verify,
    issued_once: cases.Issued,
    alter: Callable[[bytes], bytes],
    found_by: str,
    more: list[str],
) -> None:
    pdf = alter(issued_once.pdf)
    original = (1, digest(issued_once.pdf), len(issued_once.pdf)) if found_by != "data" else ()
    assert verify(pdf) == Verification(
        Verdict.ALTERED,
        ("differs_from_registered", f"derived_by_{found_by}", *more),
        NOW,
        permit=shown(session, issued_once, masked=True),
        origin=Origin(found_by, *original),
        sha256=digest(pdf),
    )


def test_an_altered_copy_that_cannot_be_read_still_names_its_original(
    session: Session, verify: Verify, issued_once: cases.Issued
) -> None:
    clues = {"revisions": [digest(issued_once.pdf)], "fingerprints": [], "code": None}
    broken = Examination({"readable": False, "report": None, **clues})
    found = verify(appended(issued_once.pdf), Examiner(Path(), answer=broken))
    assert found.reasons == ("differs_from_registered", "derived_by_revision", "unreadable")


def test_what_a_copy_begins_with_tells_more_than_a_newer_versions_signature(
    session: Session, verify: Verify, issued_once: cases.Issued
) -> None:
    first, newer = issued_once.pdf, appended(issued_once.pdf) + b"%%EOF\n"
    version = session.exec(select(DocumentVersion)).one()
    second = version.model_dump(exclude={"id", "log_index"}) | {"version": 2, "size": len(newer)}
    session.add(DocumentVersion(**second | {"sha256": digest(newer)}))
    session.flush()
    for pdf, origin in (
        (first + b" ", Origin("revision", 1, digest(first), len(first))),
        (newer + b" ", Origin("revision", 2, digest(newer), len(newer))),
        (flipped_text(first), Origin("signature", 2, digest(newer), len(newer))),
    ):
        assert verify(pdf).origin == origin


# What does not ------------------------------------------------------------------------------------


def test_any_other_pdf_is_unknown_and_rubbish_undecided(verify: Verify) -> None:
    for pdf, verdict, reason in (
        (pdf_file(), Verdict.UNKNOWN, "not_issued_here"),
        (b"%PDF-1.7 rubbish", Verdict.UNDECIDED, "unreadable"),
    ):
        assert verify(pdf) == Verification(verdict, (reason,), NOW, sha256=digest(pdf))


def test_what_others_signed_is_unknown(verify: Verify, keys: SoftwareKeyStore) -> None:
    theirs = sign_page(STRANGER.official)
    seal = keys.open_key("seal", cases.OPERATIONS_PASSPHRASE, now=NOW)
    for pdf in (theirs, sign_again(theirs, seal, "Segel")):
        assert verify(pdf) == Verification(
            Verdict.UNKNOWN, ("not_issued_here", "outside_signature"), NOW, sha256=digest(pdf)
        )


def test_an_officials_signature_on_what_nobody_registered_is_an_alarm_and_the_seals_is_none(
    verify: Verify, keys: SoftwareKeyStore
) -> None:
    seal = keys.open_key("seal", cases.OPERATIONS_PASSPHRASE, now=NOW)
    official = keys.open_key("official-head", cases.OFFICIAL_PASSPHRASE, now=NOW)
    sealed = sign_again(PAGE, seal, "Segel")
    theirs = sign_page(STRANGER.official)
    for pdf, reason in (
        (sealed, "sealed_here"),
        (sign_again(PAGE, official, "Pejabat"), "signed_but_not_registered"),
        (sign_again(sealed, official, "Pejabat"), "signed_but_not_registered"),
        (sign_again(theirs, official, "Pejabat"), "signed_but_not_registered"),
    ):
        with structlog.testing.capture_logs() as logged:
            found = verify(pdf)
        assert found == Verification(Verdict.UNKNOWN, ("not_issued_here", reason), NOW, sha256=digest(pdf))
        alarm = {"event": reason, "sha256": digest(pdf), "log_level": "error"}
        assert logged == ([] if reason == "sealed_here" else [alarm])


def test_an_examination_that_was_stopped_decides_nothing_and_is_logged_with_the_files_hash(
    verify: Verify, key_folder: Path
) -> None:
    before = counted(Verdict.UNDECIDED)
    with structlog.testing.capture_logs() as logged:
        found = verify(pdf_file(), Examiner(key_folder, answer=Examination(None, "memory_limit")))
    assert found == Verification(Verdict.UNDECIDED, ("memory_limit",), NOW, sha256=digest(pdf_file()))
    assert logged == [
        {
            "event": "examination_stopped",
            "reason": "memory_limit",
            "sha256": digest(pdf_file()),
            "size": len(pdf_file()),
            "log_level": "warning",
        }
    ]
    assert counted(Verdict.UNDECIDED) == before + 1


STATEMENT: dict[str, Any] = {
    "kind": "verification_receipt", "v": 1, "service": "https://izin.contoh.invalid",
    "checked_at": "2026-11-23T03:00:00Z", "asked": {"code": "0" * 26}, "verdict": "registered", "reasons": [],
    "policy": None, "permit": None, "signature": None, "log": None,
}  # fmt: skip


def test_a_receipt_of_ours_is_one_until_its_seal_can_no_longer_be_judged(
    verify: Verify, keys: SoftwareKeyStore
) -> None:
    seal = keys.open_key("seal", cases.OPERATIONS_PASSPHRASE, now=NOW)
    receipt = seal_statement(STATEMENT, seal, signed_at=NOW, timestamper=None)
    assert verify(receipt) == Verification(
        Verdict.RECEIPT, ("sealed_here", "signature_passed"), NOW, receipt=STATEMENT, sha256=digest(receipt)
    )
    later = NOW + 4 * 365 * DAY
    assert verify(receipt, at=later) == Verification(
        Verdict.UNDECIDED, ("try_later",), later, sha256=digest(receipt)
    )


# Looking a permit up ------------------------------------------------------------------------------


def test_a_code_or_a_number_with_its_day_shows_the_masked_permit_as_it_was_on_a_day(
    shared_engine: Engine, session: Session, issued_once: cases.Issued
) -> None:
    permit, later = issued_once.permit, NOW + 3 * DAY
    suspend(session, permit, NOW + 2 * DAY)
    expected = {
        on: public_permit(
            session, session.get_one(Permit, permit.id),
            moment=moment_of(on, later), language="en", base_url=READER.base_url, masked=True,
        )
        for on in (None, date(2026, 11, 22), NEXT_DAY)
    }  # fmt: skip
    assert [each.status for each in expected.values()] == ["suspended", "not_yet_valid", "active"]
    for on, answer in expected.items():
        found = look_up_number(session, permit.number, ISSUED_ON, now=later, reader=READER, on=on)
        assert found == answer
    assert look_up_number(session, permit.number, NEXT_DAY, now=later, reader=READER) is None
    on = date(2026, 11, 22)
    assert look_up_code(shared_engine, permit.code, now=NOW, reader=READER, on=on) == expected[on]
    assert look_up_code(shared_engine, permit.code, now=NOW, reader=READER) == shown(
        session, issued_once, masked=True
    )
    assert look_up_code(shared_engine, "0" * 26, now=NOW, reader=READER) is None


def test_a_day_is_judged_at_its_end_in_the_city_and_today_as_it_stands() -> None:
    end = datetime(2026, 11, 24, 16, 59, 59, 999999, tzinfo=UTC)
    assert (moment_of(None, NOW), moment_of(ISSUED_ON, NOW)) == (NOW, NOW)
    assert moment_of(NEXT_DAY, NOW) == end
