"""Making permit documents outlive their certificates: B-LTA after issuing, and its renewals.

Each extended file is a new registered version with a leaf of its own; older versions stay genuine.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from sqlmodel import Session, select

from service import jobs
from service.accounts.access import SERVICE
from service.audit import record_event
from service.database import reading, transaction
from service.permits.issue import EXTEND_JOB
from service.permits.models import HERE, DocumentVersion, Permit
from service.permits.register import current_version, newest_versions
from service.permits.sign import Workshop
from service.permits.signer import OpenKey
from service.permits.status import log_status
from service.pki.outside_trust import read_outside_trust
from service.pki.register import complete_chains, current_lists, trust_anchors
from service.storage import get_document, put_document
from service.transparency.witnesses import require_not_behind
from signing.extend import add_archive_timestamp, extend_to_lt, newest_certificates, newest_signer
from signing.policy import proves_until
from signing.trust import is_self_issued
from signing.validate import Indication, validate_document

RENEWED_BEFORE = timedelta(days=365)
"""An archive time stamp is renewed so long before its authority's certificate ends."""
AT_ONCE = 500
"""Documents that one run of the daily job enqueues."""


class NotExtended(Exception):
    """The extended document would not pass; nothing was registered. The job is tried again."""

    code = "not_extended"


@dataclass(frozen=True, slots=True)
class ValidationData:
    """What is known now: certificates below the trust anchors, the newest revocation lists, the anchors."""

    certificates: list[x509.Certificate]
    crls: list[bytes]
    trust_anchors: list[x509.Certificate]


def extend_document(
    workshop: Workshop,
    permit_id: uuid.UUID,
    *,
    tsa: OpenKey,
    stamps_until: datetime | None = None,
    time_anchors: Sequence[x509.Certificate] = (),
) -> DocumentVersion | None:
    """Bring a permit's newest version to B-LTA, or renew its archive time stamp; a durable job.

    `tsa` is our own authority, which may be the one that stamps; `time_anchors` are those of other houses'.
    `stamps_until` is when a time stamp of now will end, by `tsa` unless told. Does nothing (None) when the
    document would not live longer by it, so it is safe to repeat. Raises NotExtended when the result would
    not be TOTAL-PASSED, BehindWitness or WitnessSilent, and what storage and `signing` raise.
    """
    require_not_behind(workshop.engine, workshop.witnesses, workshop.clock())
    until = stamps_until or tsa.certificate.not_valid_after_utc
    with reading(workshop.engine) as session:
        permit = session.get_one(Permit, permit_id)
        version = current_version(session, permit)
        if version.level == "B-LTA" and until <= version.verifiable_until:
            return None
        pdf = get_document(workshop.storage, version.sha256)
        # The time stamp to come brings its own certificate alone: its issuers must be there already.
        between = [each for each in time_anchors if not is_self_issued(each)]
        certificates = complete_chains(session, [*newest_certificates(pdf), tsa.certificate, *between])
        known = ValidationData(certificates, current_lists(session), trust_anchors(session))
        if known.crls and permit.signed_by != HERE:
            # Another house's anchors judge the signature; ours, the time stamps.
            time_anchors = [*time_anchors, *known.trust_anchors]
            theirs = read_outside_trust(workshop.outside_anchors)
            known = ValidationData(certificates, [*known.crls, *theirs.crls], list(theirs.anchors))
    if not known.crls:
        raise NotExtended("No revocation list has been published yet.")
    extended = _extend(pdf, version.level, known, workshop)
    until = proves_until(newest_signer(extended))
    if version.level == "B-LTA" and until <= version.verifiable_until:
        return None
    report = validate_document(
        extended, known.trust_anchors, at=workshop.clock(), crls=known.crls, time_anchors=time_anchors
    )
    if report.indication is not Indication.TOTAL_PASSED or report.signatures[0].level != "B-LTA":
        raise NotExtended(f"The extended document would not pass: {', '.join(report.reasons)}.")
    sha256 = put_document(workshop.storage, extended)
    with transaction(workshop.engine) as session:
        return _register(session, version, sha256, len(extended), until, workshop.clock())


def _extend(pdf: bytes, level: str, known: ValidationData, workshop: Workshop) -> bytes:
    assert workshop.timestamper is not None
    if level == "B-T":
        pdf = extend_to_lt(pdf, certificates=known.certificates, crls=known.crls)
        return add_archive_timestamp(pdf, timestamper=workshop.timestamper)
    return add_archive_timestamp(
        pdf, timestamper=workshop.timestamper, certificates=known.certificates, crls=known.crls
    )


def _register(
    session: Session, old: DocumentVersion, sha256: str, size: int, verifiable_until: datetime, now: datetime
) -> DocumentVersion | None:
    """Register the extended bytes, unless another run was quicker: its version is the one that counts."""
    statement = select(Permit).where(Permit.id == old.permit_id).with_for_update()
    permit = session.exec(statement.execution_options(populate_existing=True)).one()
    if current_version(session, permit).version != old.version:
        return None
    version = DocumentVersion(
        permit_id=permit.id,
        version=old.version + 1,
        sha256=sha256,
        fingerprint=old.fingerprint,
        size=size,
        level="B-LTA",
        signed_at=old.signed_at,
        registered_at=now,
        verifiable_until=verifiable_until,
    )
    log_status(session, permit, version, now)
    record_event(
        session,
        action="document_extended",
        subject_type="application",
        subject_id=permit.application_id,
        actor_id=SERVICE.user_id,
        actor_name=SERVICE.full_name,
        actor_role=SERVICE.role_for_audit,
        now=now,
        data={"number": permit.number, "sha256": sha256, "version": version.version},
    )
    return version


def enqueue_extensions(session: Session, *, stamps_until: datetime, now: datetime) -> int:
    """Enqueue the documents that are not B-LTA, or whose proof ends within a year; return how many.

    A daily job, those first whose proof ends first. `stamps_until` is the end of the present time-stamping
    authority's certificate: what would not live longer by a new stamp waits until that is renewed.
    """
    newest = newest_versions()
    until = newest.c.verifiable_until
    statement = (
        select(newest.c.id, newest.c.permit_id)
        .where((newest.c.level != "B-LTA") | (until < min(now + RENEWED_BEFORE, stamps_until)))
        .order_by(until)
        .limit(AT_ONCE)
    )
    due = session.exec(statement).all()
    for version_id, permit_id in due:
        jobs.enqueue(session, EXTEND_JOB, str(permit_id), key=f"{version_id}:{now:%Y%m%d}")
    return len(due)
