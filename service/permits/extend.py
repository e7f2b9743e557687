"""Making permit documents outlive their certificates: B-LTA after issuing, and its renewals.

Each extended file is a new registered version with a leaf of its own; older versions stay genuine.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from sqlmodel import Session, col, func, select

from service import jobs
from service.accounts.access import SERVICE
from service.audit import record_event
from service.database import reading, transaction
from service.permits.issue import EXTEND_JOB, Workshop, log_status
from service.permits.models import DocumentVersion, Permit
from service.permits.register import current_version
from service.permits.signer import OpenKey
from service.pki.register import complete_chains, current_lists, trust_anchors
from service.storage import get_document, put_document
from service.transparency.witnesses import require_not_behind
from signing.extend import add_archive_timestamp, extend_to_lt, newest_certificates
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


def extend_document(workshop: Workshop, permit_id: uuid.UUID, *, tsa: OpenKey) -> DocumentVersion | None:
    """Bring a permit's newest version to B-LTA, or renew its archive time stamp; a durable job.

    `tsa` is the authority behind the workshop's time stamps. Does nothing (None) when the document would
    not live longer by it, so it is safe to repeat. Raises NotExtended when the result would not be
    TOTAL-PASSED, BehindWitness or WitnessSilent, and what storage and `signing` raise.
    """
    require_not_behind(workshop.engine, workshop.witnesses, workshop.clock())
    until = tsa.certificate.not_valid_after_utc
    with reading(workshop.engine) as session:
        version = current_version(session, session.get_one(Permit, permit_id))
        if version.level == "B-LTA" and until <= version.verifiable_until:
            return None
        pdf = get_document(workshop.storage, version.sha256)
        # The time stamp to come brings its own certificate alone: its issuers must be there already.
        certificates = complete_chains(session, [*newest_certificates(pdf), tsa.certificate])
        known = ValidationData(certificates, current_lists(session), trust_anchors(session))
    if not known.crls:
        raise NotExtended("No revocation list has been published yet.")
    extended = _extend(pdf, version.level, known, workshop)
    report = validate_document(extended, known.trust_anchors, at=workshop.clock(), crls=known.crls)
    if report.indication is not Indication.TOTAL_PASSED or report.signatures[0].level != "B-LTA":
        raise NotExtended(f"The extended document would not pass: {', '.join(report.reasons)}.")
    sha256 = put_document(workshop.storage, extended)
    with transaction(workshop.engine) as session:
        return _register(session, version, sha256, len(extended), until, workshop.clock())


def _extend(pdf: bytes, level: str, known: ValidationData, workshop: Workshop) -> bytes:
    assert workshop.timestamper is not None
    if level != "B-LTA":
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
    newest = (
        select(DocumentVersion.permit_id, func.max(DocumentVersion.version).label("version"))
        .group_by(col(DocumentVersion.permit_id))
        .subquery()
    )
    statement = (
        select(DocumentVersion)
        .join(
            newest,
            (newest.c.permit_id == col(DocumentVersion.permit_id))
            & (newest.c.version == col(DocumentVersion.version)),
        )
        .where(
            (col(DocumentVersion.level) != "B-LTA")
            | (
                (col(DocumentVersion.verifiable_until) < now + RENEWED_BEFORE)
                & (col(DocumentVersion.verifiable_until) < stamps_until)
            )
        )
        .order_by(col(DocumentVersion.verifiable_until))
        .limit(AT_ONCE)
    )
    due = session.exec(statement).all()
    for version in due:
        jobs.enqueue(session, EXTEND_JOB, str(version.permit_id), key=f"{version.id}:{now:%Y%m%d}")
    return len(due)
