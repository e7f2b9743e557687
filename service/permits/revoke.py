"""Suspending, reinstating and revoking permits, each with its reason; and expiry as a job."""

import uuid
from datetime import datetime

from sqlmodel import Session, col, select

from service.accounts.access import SERVICE, Actor
from service.audit import record_event
from service.catalogue.models import get_revision
from service.clock import city_date
from service.errors import Conflict, FieldProblem, InvalidInput, NotFound
from service.permits.models import Kind, Permit, Status
from service.permits.status import change_status, tell_holder

FROM = {
    Status.SUSPENDED: {Status.ACTIVE},
    Status.ACTIVE: {Status.SUSPENDED},
    Status.REVOKED: {Status.ACTIVE, Status.SUSPENDED},
}
"""From which statuses each may be reached by an officer's decision."""
EVENTS = {
    Status.SUSPENDED: "permit_suspended",
    Status.ACTIVE: "permit_reinstated",
    Status.REVOKED: "permit_revoked",
}


class StatusNotAllowed(Conflict):
    code = "status_not_allowed"
    message_id = "Status izin sekarang tidak memungkinkan tindakan ini. Muat ulang halaman lalu periksa."
    message_en = "The permit's present status does not allow this. Reload the page and check."


def suspend_permit(
    session: Session, permit_id: uuid.UUID, *, reason_code: str, remark: str, actor: Actor, now: datetime
) -> Permit:
    """Suspend an active permit. Raises NotFound, StatusNotAllowed or InvalidInput (unknown reason)."""
    return _decide(session, permit_id, Status.SUSPENDED, reason_code, remark, actor, now)


def reinstate_permit(
    session: Session, permit_id: uuid.UUID, *, remark: str, actor: Actor, now: datetime
) -> Permit:
    """Make a suspended permit active again. Raises NotFound or StatusNotAllowed."""
    return _decide(session, permit_id, Status.ACTIVE, None, remark, actor, now)


def revoke_permit(
    session: Session, permit_id: uuid.UUID, *, reason_code: str, remark: str, actor: Actor, now: datetime
) -> Permit:
    """Revoke a permit for good. Raises NotFound, StatusNotAllowed or InvalidInput (unknown reason)."""
    return _decide(session, permit_id, Status.REVOKED, reason_code, remark, actor, now)


def _decide(
    session: Session,
    permit_id: uuid.UUID,
    status: Status,
    reason_code: str | None,
    remark: str,
    actor: Actor,
    now: datetime,
) -> Permit:
    statement = select(Permit).where(Permit.id == permit_id, Permit.kind == Kind.PERMIT).with_for_update()
    permit = session.exec(statement.execution_options(populate_existing=True)).first()
    if permit is None:
        raise NotFound
    if permit.status not in FROM[status]:
        raise StatusNotAllowed
    _check_reason(session, permit, status, reason_code, remark)
    change_status(session, permit, status, actor=actor, now=now, reason_code=reason_code, remark=remark)
    tell_holder(session, permit, f"permit_{permit.status}", now)
    record_event(
        session,
        action=EVENTS[status],
        subject_type="application",
        subject_id=permit.application_id,
        actor_id=actor.user_id,
        actor_name=actor.full_name,
        actor_role=actor.role_for_audit,
        now=now,
        data={"number": permit.number, "reason": reason_code, "remark": remark},
    )
    return permit


def _check_reason(
    session: Session, permit: Permit, status: Status, reason_code: str | None, remark: str
) -> None:
    problems = []
    known = {item.key for item in get_revision(session, permit.revision_id).permit_type.revocation_reasons}
    if status != Status.ACTIVE and reason_code not in known:
        problems.append(FieldProblem("reason_code", "required", "Pilih alasan.", "Choose a reason."))
    if not remark.strip():
        problems.append(
            FieldProblem("remark", "required", "Tuliskan penjelasan singkat.", "Write a short explanation.")
        )
    if problems:
        raise InvalidInput(problems=problems)


def expire_permits(session: Session, now: datetime) -> int:
    """Write `expired` on the permits whose last day is over; return how many. A daily job.

    The status shown follows from the dates at once; this keeps lists and figures true.
    """
    statement = (
        select(Permit)
        .where(Permit.status == Status.ACTIVE, col(Permit.valid_until) < city_date(now))
        .with_for_update(skip_locked=True)
    )
    permits = session.exec(statement).all()
    for permit in permits:
        change_status(session, permit, Status.EXPIRED, actor=SERVICE, now=now)
    return len(permits)
