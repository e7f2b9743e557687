"""What a receipt states, by value, and which statement under the seal is read as one."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import cases
import pytest
from examining import Examiner, Verify
from pki import NOW, make_pki
from specimens import PRINTING
from sqlmodel import Session

from keys.software import SoftwareKeyStore
from keys.store import OpenKey
from keys.timestamp import Timestamper
from service.errors import FieldProblem, InvalidInput
from service.permits.log_proof import prove_permit
from service.permits.register import PublicPermit, public_permit
from service.permits.signer import OperationsKeys, open_operations_keys
from service.transparency.notes import ED25519, LogKey, Verifier
from service.verification.answers import permit_answer
from service.verification.batch import Batch, Line
from service.verification.receipt import Asked, StatedLine, StatedPolicy, Statement, read_receipt
from service.verification.receipt_issue import (
    Finding,
    NoReceipt,
    compose_receipt,
    finding_of_file,
    finding_of_register,
    issue_receipt,
    receipt_id,
    state_batch,
    state_finding,
)
from service.verification.verify import SignatureFacts, Verdict, Verification
from signing.document import (
    canonical_json,
)
from signing.render import render_document
from signing.statement import open_statement, seal_statement

DAY = timedelta(days=1)
STRANGER = make_pki()
"""Another agency: nothing of it is known here."""
TODAY, YESTERDAY = date(2026, 11, 23), date(2026, 11, 22)
CODE = "0123456789ABCDEFGHJKMNPQRS"
SERVICE = "https://izin.contoh.invalid"
POLICY = StatedPolicy(name="canting-validation", version=1, sha256="cd" * 32)
SIGNATURE: dict[str, Any] = {
    "indication": "TOTAL-PASSED",
    "sub_indication": None,
    "level": "B-T",
    "signer": "Dra. Contoh Pejabat, M.Si.",
    "position": "Kepala Dinas",
    "mandate": "definitive",
    "signed_at": "2026-11-23T03:00:00Z",
}
NOTHING_FOUND = Statement(
    kind="verification_receipt",
    v=1,
    service=SERVICE,
    checked_at=NOW,
    asked=Asked(file_sha256="ab" * 32),
    verdict="unknown",
    reasons=["not_issued_here"],
    policy=None,
    permit=None,
    signature=None,
    log=None,
)


# What is found ------------------------------------------------------------------------------------


@pytest.fixture
def shown(session: Session, issued_once: cases.Issued) -> PublicPermit:
    """The permit as anybody is shown it."""
    return public_permit(
        session, issued_once.permit, moment=NOW, language="id", base_url=SERVICE, masked=True
    )


@pytest.mark.parametrize(("verdict", "masked"), [("genuine", False), ("altered", True), ("unknown", True)])
def test_a_finding_of_a_file_is_what_was_answered_without_personal_data(
    shown: PublicPermit, verdict: str, masked: bool
) -> None:
    policy = {**POLICY.model_dump(), "text": "{}"}
    signature = SignatureFacts(**SIGNATURE)
    found = Verification(Verdict(verdict), ("a", "b"), NOW, permit=shown, signature=signature, policy=policy)
    finding = Finding(
        asked=Asked(file_sha256=hashlib.sha256(b"%PDF").hexdigest()),
        verdict=verdict,
        reasons=("a", "b"),
        checked_at=NOW,
        code=shown.code,
        masked=masked,
        policy=POLICY,
        signature=SIGNATURE,
    )
    assert finding_of_file(found, b"%PDF") == finding
    bare = replace(found, permit=None, signature=None, policy=None)
    assert finding_of_file(bare, b"%PDF") == replace(finding, code=None, signature=None, policy=None)


@pytest.mark.parametrize("verdict", [Verdict.UNDECIDED, Verdict.RECEIPT])
def test_no_receipt_is_given_of_a_file_that_was_not_answered_for_certain(verdict: Verdict) -> None:
    with pytest.raises(NoReceipt):
        finding_of_file(Verification(verdict, ("unreadable",), NOW), b"%PDF")


def test_a_finding_of_the_register_is_for_today_or_a_day_that_has_passed() -> None:
    late = datetime(2026, 11, 22, 17, 0, tzinfo=UTC)  # It is the 23rd in the city.
    for on in (None, YESTERDAY, TODAY):
        asked = Asked(code=CODE, on=on)
        finding = Finding(asked, "registered", ("registered",), late, CODE, masked=True)
        assert finding_of_register(asked, CODE, late) == finding
    with pytest.raises(InvalidInput) as raised:
        finding_of_register(Asked(code=CODE, on=TODAY), CODE, late - timedelta(seconds=1))
    sentence = (
        "Bukti hanya untuk hari ini atau hari yang sudah lewat.",
        "A receipt is for today or a day that has passed.",
    )
    assert (raised.value.message_id, raised.value.message_en) == sentence
    assert raised.value.problems == (FieldProblem("on", "day_to_come", *sentence),)


# What is stated -----------------------------------------------------------------------------------


@pytest.fixture
def operations(keys: SoftwareKeyStore) -> OperationsKeys:
    return open_operations_keys(keys, cases.OPERATIONS_PASSPHRASE, lambda: NOW)


@pytest.fixture
def log_key(operations: OperationsKeys) -> LogKey:
    raw = operations.log.public_key.public_bytes_raw()
    return LogKey(Verifier("izin.contoh.invalid/log", ED25519, raw), operations.log.sign)


@pytest.mark.parametrize(
    ("asked", "masked", "status", "has_url"),
    [
        (Asked(file_sha256="ab" * 32), False, "active", True),
        (Asked(code=CODE), True, "active", True),
        (Asked(code=CODE, on=YESTERDAY), True, "not_yet_valid", True),
        (Asked(number="1/2", issued_on=TODAY), True, "active", False),
    ],
    ids=["file", "code", "day", "number"],
)
def test_a_statement_has_the_facts_that_its_asker_was_shown_and_the_logs_proof_of_them(
    session: Session,
    issued_once: cases.Issued,
    log_key: LogKey,
    asked: Asked,
    masked: bool,
    status: str,
    has_url: bool,
) -> None:
    permit = issued_once.permit
    moment = NOW if asked.on is None else datetime(2026, 11, 22, 16, 59, 59, tzinfo=UTC)
    public = public_permit(session, permit, moment=moment, language="id", base_url=SERVICE, masked=masked)
    facts = permit_answer(public).model_dump(mode="json")
    assert (facts["status"], "*" in facts["holder"]) == (status, masked)
    if not has_url:
        del facts["url"]
    proof = prove_permit(session, permit, log_key)
    finding = Finding(
        asked, "registered", ("a", "b"), NOW, permit.code, masked, policy=POLICY, signature=SIGNATURE
    )
    stated = state_finding(session, finding, base_url=SERVICE, key=log_key)
    assert stated == Statement(
        kind="verification_receipt",
        v=1,
        service=SERVICE,
        checked_at=NOW,
        asked=asked,
        verdict="registered",
        reasons=["a", "b"],
        policy=POLICY,
        permit=facts,
        signature=SIGNATURE,
        log={
            "checkpoint": proof.checkpoint,
            "entries": [
                {"index": entry.index, "leaf": entry.leaf, "path": list(entry.path)}
                for entry in proof.entries
            ],
        },
    )
    assert proof.entries


def test_of_what_is_not_registered_neither_facts_nor_the_log_are_stated(
    session: Session, log_key: LogKey
) -> None:
    finding = Finding(NOTHING_FOUND.asked, "unknown", ("not_issued_here",), NOW, None)
    assert state_finding(session, finding, base_url=SERVICE, key=log_key) == NOTHING_FOUND


def lines_of(shown: PublicPermit) -> list[Line]:
    return [
        Line(1, "a.pdf", None, "genuine", ("registered", "in_log"), NOW, "ab" * 32, shown),
        Line(2, CODE, YESTERDAY, "not_registered", ("not_registered",), NOW + DAY),
    ]


def test_a_batchs_statement_tells_of_each_line_and_only_when_all_are_checked(shown: PublicPermit) -> None:
    batch = Batch(NOW, "ef" * 32, 2, lambda: iter([]), lines_of(shown))
    assert state_batch(batch, base_url=SERVICE, now=NOW + 2 * DAY) == Statement(
        kind="verification_receipt",
        v=1,
        service=SERVICE,
        checked_at=NOW + 2 * DAY,
        asked=Asked(batch_sha256="ef" * 32),
        verdict="batch",
        reasons=[],
        policy=None,
        permit=None,
        signature=None,
        log=None,
        lines=[
            StatedLine(
                name="a.pdf",
                sha256="ab" * 32,
                on=None,
                checked_at=NOW,
                verdict="genuine",
                reasons=["registered", "in_log"],
                kind="permit",
                number=shown.number,
                holder=shown.holder,
                status="active",
            ),
            StatedLine(
                name=CODE,
                sha256=None,
                on=YESTERDAY,
                checked_at=NOW + DAY,
                verdict="not_registered",
                reasons=["not_registered"],
                kind=None,
                number=None,
                holder=None,
                status=None,
            ),
        ],
    )
    batch.total = 3
    with pytest.raises(NoReceipt):
        state_batch(batch, base_url=SERVICE, now=NOW)


def test_a_statement_is_written_with_what_was_asked_alone_and_lines_of_a_batch_alone() -> None:
    written = {
        "kind": "verification_receipt",
        "v": 1,
        "service": SERVICE,
        "checked_at": "2026-11-23T03:00:00Z",
        "asked": {"file_sha256": "ab" * 32},
        "verdict": "unknown",
        "reasons": ["not_issued_here"],
        "policy": None,
        "permit": None,
        "signature": None,
        "log": None,
    }
    assert NOTHING_FOUND.as_json() == written
    assert NOTHING_FOUND.model_copy(update={"lines": []}).as_json() == {**written, "lines": []}
    assert receipt_id(NOTHING_FOUND) == hashlib.sha256(canonical_json(written)).hexdigest()


# Under the seal -----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["json", "pdf"])
@pytest.mark.parametrize("stamped", [True, False])
def test_a_receipt_is_sealed_and_read_again_also_when_no_time_stamp_can_be_had(
    session: Session,
    verify: Verify,
    examiner: Examiner,
    operations: OperationsKeys,
    form: Any,
    stamped: bool,
) -> None:
    if not stamped:
        broken = Timestamper(lambda digest: b"", operations.timestamper.token_size)
        operations = replace(operations, timestamper=broken)
    receipt = issue_receipt(session, NOTHING_FOUND, form, keys=operations, printing=PRINTING, now=NOW)
    found = verify(receipt)
    assert (found.verdict, found.receipt) == (Verdict.RECEIPT, NOTHING_FOUND.as_json())
    (signature,) = (examiner.examine(receipt, NOW).findings or {})["report"]["signatures"]
    assert (signature["timestamped_at"] is not None) is stamped
    if form == "json":
        assert open_statement(receipt)[0] == NOTHING_FOUND.as_json()
    else:
        page = compose_receipt(NOTHING_FOUND, cases.catalogue().city, PRINTING, TODAY)
        assert receipt.startswith(render_document(page))


def test_what_a_seal_of_ours_alone_has_signed_and_nothing_broke_is_read(
    session: Session, examiner: Examiner, operations: OperationsKeys
) -> None:
    """A receipt stays one when its certificate has ended: whether it is believed then is for its reader."""

    def signed_by(key: OpenKey, statement: Mapping[str, Any]) -> dict[str, Any]:
        file = seal_statement(statement, key, signed_at=NOW, timestamper=None)
        return dict(examiner.examine(file, NOW).findings or {})

    statement = NOTHING_FOUND.as_json()
    findings = signed_by(operations.seal, statement)
    report, (signature,) = findings["report"], findings["report"]["signatures"]
    assert report["indication"] == "TOTAL-PASSED"
    for indication in ("TOTAL-PASSED", "INDETERMINATE"):
        assert read_receipt(session, findings | {"report": report | {"indication": indication}}) == statement
    without_receipt = {name: found for name, found in findings.items() if name != "receipt"}
    for other in (
        without_receipt,
        findings | {"receipt": None},
        findings | {"report": None},
        findings | {"report": report | {"indication": "TOTAL-FAILED"}},
        findings | {"report": report | {"signatures": []}},
        findings | {"report": report | {"signatures": [signature, signature]}},
        signed_by(STRANGER.seal, statement),
        signed_by(operations.seal, statement | {"v": 2}),
        signed_by(operations.seal, statement | {"asker": "somebody"}),
    ):
        assert read_receipt(session, other) is None
