"""One plain answer about a document: genuine, altered, unknown or undecided (DESIGN §5).

The register speaks, never the file: what is told of a permit comes from the register's public fields.
`genuine` needs three things at once: bytes equal to a registered version, a signature that is
TOTAL-PASSED over the whole unmodified file, and the version's leaf proven in the log.
"""

import hashlib
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime
from enum import StrEnum
from functools import partial
from typing import Any

import structlog
from prometheus_client import Counter
from sqlalchemy import Engine
from sqlmodel import Session

from service.clock import city_date
from service.database import reading_rows
from service.permits.models import HERE, DocumentVersion, Permit
from service.permits.register import (
    PermitRow,
    PublicPermit,
    end_of_day,
    find_by_code,
    find_by_document,
    find_by_number,
    find_row_by_code,
    find_versions,
    public_permit,
)
from service.pki.outside_trust import judging_lists, read_outside_trust
from service.pki.register import current_lists, is_of_the_seal
from service.transparency.log import prove_inclusion
from service.verification.examination import Examination
from service.verification.receipt import read_receipt
from service.verification.sandbox import Sandbox
from signing.provenance import MAX_SIGNATURES

log = structlog.get_logger()


class Verdict(StrEnum):
    GENUINE = "genuine"
    ALTERED = "altered"
    UNKNOWN = "unknown"
    UNDECIDED = "undecided"
    RECEIPT = "receipt"
    """No permit but a verification receipt of this service, genuine; see `receipt`."""


VERIFICATIONS = Counter("canting_verifications", "Files verified by this process, by verdict", ["verdict"])
for _verdict in Verdict:
    VERIFICATIONS.labels(_verdict)


@dataclass(frozen=True, slots=True)
class SignatureFacts:
    """What was found about the document's signature; `signer` and `position` are the register's."""

    indication: str
    sub_indication: str | None
    level: str | None
    signer: str
    position: str
    mandate: str
    signed_at: str | None


@dataclass(frozen=True, slots=True)
class SignatureFound:
    """One of the signatures in the file. `signer` is what the certificate in the file says, vouched for by
    nobody unless the signature is `ours`: the register has its container.

    `details` are values of `signing.details`, when they were asked for.
    """

    field_name: str
    ours: bool
    indication: str
    sub_indication: str | None
    reasons: tuple[str, ...]
    level: str | None
    signer: str | None
    signed_at: str | None
    timestamped_at: str | None
    details: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Origin:
    """The registered version that altered bytes derive from, and what betrays it.

    `found_by` is `revision`: the bytes begin with it, so that whoever has them holds the original, `size`
    bytes; `signature`: they carry its signature; or `data`: they carry its attached data.
    """

    found_by: str
    version: int | None = None
    sha256: str | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """The answer, with stable reason codes and what the reader may compare."""

    verdict: Verdict
    reasons: tuple[str, ...]
    checked_at: datetime
    permit: PublicPermit | None = None
    signature: SignatureFacts | None = None
    log: dict[str, Any] = field(default_factory=dict)
    sha256: str = ""
    signatures: tuple[SignatureFound, ...] = ()
    origin: Origin | None = None
    policy: dict[str, Any] | None = None
    etsi: str | None = None
    """The report of ETSI TS 119 102-2, when details were asked for."""
    receipt: dict[str, Any] | None = None
    """What a receipt states; of no permit document is it set."""


@dataclass(frozen=True, slots=True)
class Reader:
    """In which language, and with which site's addresses, the answer is written."""

    language: str
    base_url: str


def verify_file(
    session: Session, sandbox: Sandbox, pdf: bytes, *, now: datetime, reader: Reader, detailed: bool = False
) -> Verification:
    """Verify an uploaded document. Reads only; whatever the file does, the answer is a value.

    `detailed` tells each check of each signature, and the policy. Nothing of the file is kept.
    """
    sha256 = hashlib.sha256(pdf).hexdigest()
    registered = find_by_document(session, sha256)
    examination = _examine(session, sandbox, pdf, registered, now, detailed=detailed)
    if examination.stopped:
        log.warning("examination_stopped", reason=examination.stopped, sha256=sha256, size=len(pdf))
    if registered is not None:
        verification = _verify_registered(session, *registered, examination, now=now, reader=reader)
    else:
        verification = _verify_unregistered(session, examination, sha256, now=now, reader=reader)
    VERIFICATIONS.labels(verification.verdict).inc()
    findings = examination.findings or {}
    return replace(
        verification,
        sha256=sha256,
        signatures=_list_signatures(session, findings, registered),
        policy=findings.get("policy"),
        etsi=findings.get("etsi"),
    )


def _verify_unregistered(
    session: Session, examination: Examination, sha256: str, *, now: datetime, reader: Reader
) -> Verification:
    """Judge bytes that are no registered version: altered, if they derive from one."""
    findings = examination.findings
    if findings is None:
        return Verification(Verdict.UNDECIDED, (examination.stopped,), now)
    if (receipt := read_receipt(session, findings)) is not None:
        if findings["report"]["indication"] != "TOTAL-PASSED":
            return Verification(Verdict.UNDECIDED, _reasons(findings), now)
        return Verification(Verdict.RECEIPT, ("sealed_here", "signature_passed"), now, receipt=receipt)
    derived = _find_origin(session, findings)
    if derived is not None:
        original, origin = derived
        shown = _show(session, original, now=now, reader=reader, masked=True)
        reasons = ("differs_from_registered", f"derived_by_{origin.found_by}", *_reasons(findings))
        return Verification(Verdict.ALTERED, reasons, now, shown, origin=origin)
    if not findings["readable"]:
        return Verification(Verdict.UNDECIDED, ("unreadable",), now)
    reason = _describe_unregistered(session, findings["report"])
    if reason == "signed_but_not_registered":
        log.error(reason, sha256=sha256)
    return Verification(Verdict.UNKNOWN, ("not_issued_here", *([reason] if reason else [])), now)


def _describe_unregistered(session: Session, report: dict[str, Any]) -> str | None:
    """Say what is known of the signatures on a file that was not issued here, if it has any.

    The seal's are on papers that nobody registers. When an official's key signed what nobody registered, it
    was by mistake or theft, whoever else signed the file before.
    """
    if not report["signatures"]:
        return None
    passed = [each for each in report["signatures"] if each["indication"] == "TOTAL-PASSED"]
    if not all(is_of_the_seal(session, each["signer_serial"]) for each in passed):
        return "signed_but_not_registered"
    return "sealed_here" if report["indication"] == "TOTAL-PASSED" else "outside_signature"


def _find_origin(session: Session, findings: dict[str, Any]) -> tuple[Permit, Origin] | None:
    """Find the permit that altered bytes derive from; what they begin with tells most."""
    versions = find_versions(session, findings["revisions"], findings["fingerprints"])
    for found_by, found in (
        ("revision", [each for each in versions if each.sha256 in findings["revisions"]]),
        ("signature", versions),
    ):
        if found:
            version = max(found, key=lambda each: each.version)
            origin = Origin(found_by, version.version, version.sha256, version.size)
            return session.get_one(Permit, version.permit_id), origin
    permit = find_by_code(session, findings["code"]) if findings["code"] else None
    return (permit, Origin("data")) if permit else None


def _list_signatures(
    session: Session, findings: dict[str, Any], registered: tuple[Permit, DocumentVersion] | None
) -> tuple[SignatureFound, ...]:
    """Tell of each signature whether it is ours: whether the register has its container."""
    found = findings["report"]["signatures"][:MAX_SIGNATURES] if findings.get("report") else []
    containers = [each["container_sha256"] for each in found]
    versions = [registered[1]] if registered else find_versions(session, (), containers)
    ours = {version.fingerprint for version in versions}
    names = [each.name for each in fields(SignatureFound) if each.name != "ours"]
    return tuple(
        SignatureFound(ours=each["container_sha256"] in ours, **{name: each[name] for name in names})
        for each in found
    )


def _examine(
    session: Session,
    sandbox: Sandbox,
    pdf: bytes,
    registered: tuple[Permit, DocumentVersion] | None,
    now: datetime,
    *,
    detailed: bool,
) -> Examination:
    """Have a file examined by the trust anchors and revocation lists of whoever signed it."""
    if registered is None:
        return sandbox.examine(pdf, now, current_lists(session), detailed=detailed)
    permit, version = registered
    by_others = permit.signed_by != HERE
    if by_others:
        theirs = read_outside_trust(sandbox.outside).crls
        lists = judging_lists(session, theirs, archived=version.level == "B-LTA")
    else:
        lists = current_lists(session)
    examine = partial(sandbox.examine, pdf, now, lists, by_others=by_others, detailed=detailed)
    if detailed:  # A report tells of this upload at this moment.
        return examine()
    judged_by = tuple(hashlib.sha256(each).digest() for each in lists)
    return sandbox.known.look_up((version.sha256, judged_by, by_others), now, examine)


def _verify_registered(
    session: Session,
    permit: Permit,
    version: DocumentVersion,
    examination: Examination,
    *,
    now: datetime,
    reader: Reader,
) -> Verification:
    """Judge bytes that equal a registered version: the signature and the log must agree."""
    shown = _show(session, permit, now=now, reader=reader, masked=False)
    proof = prove_inclusion(session, version.log_index) if version.log_index is not None else None
    log = {"index": version.log_index, "included": proof is not None}
    if examination.findings is None:
        return Verification(Verdict.UNDECIDED, (examination.stopped,), now, shown, log=log)
    report = examination.findings["report"]
    signature = _signature(permit, report)
    if proof is None:
        return Verification(Verdict.UNDECIDED, ("not_in_log",), now, shown, signature, log)
    if report is None or report["indication"] != "TOTAL-PASSED":
        reasons = ("signature_not_passed", *_reasons(examination.findings))
        return Verification(Verdict.UNDECIDED, reasons, now, shown, signature, log)
    return Verification(
        Verdict.GENUINE, ("registered", "signature_passed", "in_log"), now, shown, signature, log
    )


def _reasons(findings: dict[str, Any]) -> tuple[str, ...]:
    return tuple(findings["report"]["reasons"]) if findings["report"] else ("unreadable",)


def _signature(permit: Permit, report: dict[str, Any] | None) -> SignatureFacts | None:
    if not report or not report["signatures"]:
        return None
    first = report["signatures"][0]
    return SignatureFacts(
        indication=report["indication"],
        sub_indication=report["sub_indication"],
        level=first["level"],
        signer=permit.signer_name,
        position=permit.signer_position,
        mandate=permit.mandate,
        signed_at=first["timestamped_at"] or first["signed_at"],
    )


def look_up_code(
    engine: Engine, code: str, *, now: datetime, reader: Reader, on: date | None = None
) -> PublicPermit | None:
    """Show the permit with this public code, with its status now or at the end of a day in the city."""
    with reading_rows(engine) as connection:
        permit = find_row_by_code(connection, code)
        if permit is None:
            return None
        # The session asks nothing, unless the answer needs more than the permit's own row.
        with Session(connection) as session:
            return _show(session, permit, now=moment_of(on, now), reader=reader, masked=True)


def look_up_number(
    session: Session,
    number: str,
    issued_on: date,
    *,
    now: datetime,
    reader: Reader,
    on: date | None = None,
) -> PublicPermit | None:
    """Show the permit with this number, for a reader who also knows its day of issue."""
    permit = find_by_number(session, number, issued_on)
    if permit is None:
        return None
    return _show(session, permit, now=moment_of(on, now), reader=reader, masked=True)


def moment_of(on: date | None, now: datetime) -> datetime:
    """Return the moment at which a day is judged: its end in the city, and today as it stands now."""
    return now if on is None or on == city_date(now) else end_of_day(on)


def _show(
    session: Session, permit: PermitRow, *, now: datetime, reader: Reader, masked: bool
) -> PublicPermit:
    return public_permit(
        session, permit, moment=now, language=reader.language, base_url=reader.base_url, masked=masked
    )
