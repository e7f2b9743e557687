"""Giving a permit its status: the row, its history, the log's leaf, and the holder's mail."""

from datetime import datetime

from sqlmodel import Session

from service import jobs
from service.accounts.access import Actor
from service.accounts.models import User
from service.mail import queue_mail
from service.permits.models import DocumentVersion, Permit, Status, StatusChange
from service.permits.offline import LISTED, PUBLISH_LISTS_JOB
from service.permits.register import current_version
from service.transparency.log import append_entry, code_hash, next_index


def set_status(
    session: Session,
    permit: Permit,
    status: Status,
    *,
    actor: Actor,
    now: datetime,
    reason_code: str | None = None,
    remark: str | None = None,
) -> None:
    """Give a permit its status from now on: the only place that assigns one. The status lists follow.

    `log_status` must come next in the same transaction: the change names the leaf that will tell of it.
    """
    if {permit.status, status} & LISTED.keys():
        jobs.enqueue(session, PUBLISH_LISTS_JOB)
    permit.status, permit.status_since = status, now
    session.add(permit)
    session.add(
        StatusChange(
            permit_id=permit.id,
            status=status,
            since=now,
            reason_code=reason_code,
            remark=remark,
            actor_id=actor.user_id,
            actor_name=actor.full_name,
            log_index=next_index(session),
        )
    )


STATUS_KINDS = {
    Status.ACTIVE: "reinstated",
    Status.SUSPENDED: "suspended",
    Status.REVOKED: "revoked",
    Status.SUPERSEDED: "superseded",
    Status.EXPIRED: "expired",
}
"""The kind of leaf that tells of a status; the first `active` is told by the document's own leaf."""


def log_status(session: Session, permit: Permit, version: DocumentVersion, now: datetime) -> int:
    """Log a new document version, or a permit's new status, and return the leaf's index.

    The rows told of have that index, and the leaf commits to them. It carries no personal data: the public
    code stands there only as its hash.
    """
    index, kind = next_index(session), STATUS_KINDS.get(Status(permit.status), "")
    if version.log_index is None:
        version.log_index, kind = index, "issued" if version.version == 1 else "document_added"
        session.add(version)
    facts = {
        "code_sha256": code_hash(permit.code),
        "status": permit.status,
        "version": version.version,
        "sha256": version.sha256,
    }
    return append_entry(session, kind, facts, now)


def change_status(
    session: Session,
    permit: Permit,
    status: Status,
    *,
    actor: Actor,
    now: datetime,
    reason_code: str | None = None,
    remark: str | None = None,
) -> None:
    """Give an issued permit another status, and log it."""
    set_status(session, permit, status, actor=actor, now=now, reason_code=reason_code, remark=remark)
    log_status(session, permit, current_version(session, permit), now)


def tell_holder(session: Session, permit: Permit, template: str, now: datetime, **more: str) -> None:
    """Mail the holder what became of a permit; `more` is what the template says besides."""
    holder = session.get_one(User, permit.holder_id)
    mail = queue_mail(
        session,
        to=holder.email,
        language=holder.language,
        template=template,
        context={
            "full_name": holder.full_name,
            "permit_title": permit.document["title"],
            "number": permit.number,
            "path": f"/permits/{permit.code}",
            **more,
        },
        now=now,
    )
    jobs.enqueue(session, "send_mail", str(mail.id))
