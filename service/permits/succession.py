"""One permit after another: how long the later one holds, and the end of the earlier one (decision 66)."""

from datetime import date, datetime

from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from service.accounts.access import SERVICE, Actor
from service.applications.continued import earlier_permit
from service.applications.models import Application
from service.audit import record_event
from service.catalogue.format import PermitType, Request
from service.catalogue.wording import validity_period
from service.clock import city_date
from service.errors import Conflict
from service.permits.models import Permit, Status
from service.permits.register import status_at
from service.permits.status import change_status, tell_holder

SUPERSEDED_FROM = (Status.ACTIVE, Status.SUSPENDED)


class NothingGained(Conflict):
    code = "nothing_gained"
    message_id = (
        "Izin baru tidak akan berlaku lebih lama daripada izin lama. "
        "Kembalikan permohonan agar pemohon memperbaiki tanggalnya."
    )
    message_en = (
        "The new permit would not hold longer than the earlier one. "
        "Return the application so that the applicant corrects the dates."
    )


def term_of(
    session: Session, application: Application, permit_type: PermitType, issued_on: date
) -> tuple[date, date | None]:
    """Return the first and the last day of the permit that an application asks for.

    A renewal adds its whole length to what the earlier permit still has; a change keeps the earlier one's
    last day. Raises ValidityOver, and NothingGained for a renewal that would end no later.
    """
    earlier = earlier_permit(session, application)
    last_day = earlier.valid_until if earlier else None
    if last_day is None:
        return validity_period(permit_type, application.values, issued_on)
    if application.request != Request.RENEWAL:
        return validity_period(permit_type, application.values, issued_on, no_later_than=last_day)
    begins, ends = validity_period(
        permit_type, application.values, issued_on, counted_from=max(issued_on, last_day)
    )
    if ends is not None and ends <= last_day:
        raise NothingGained
    return begins, ends


def supersede_earlier(session: Session, permit: Permit, *, actor: Actor, now: datetime) -> None:
    """End the permit that this one takes the place of, once this one has begun to hold.

    What has expired or was revoked stays so.
    """
    if permit.continues_id is None or permit.valid_from > city_date(now):
        return
    statement = select(Permit).where(Permit.id == permit.continues_id).with_for_update()
    earlier = session.exec(statement.execution_options(populate_existing=True)).one()
    if status_at(session, earlier, now)[0] not in SUPERSEDED_FROM:
        return
    request = session.get_one(Application, permit.application_id).request
    remark = f"Diganti dengan nomor {permit.number}"
    change_status(
        session, earlier, Status.SUPERSEDED, actor=actor, now=now, reason_code=request, remark=remark
    )
    tell_holder(session, earlier, "permit_superseded", now, successor=permit.number)
    record_event(
        session,
        action="permit_superseded",
        subject_type="application",
        subject_id=earlier.application_id,
        actor_id=actor.user_id,
        actor_name=actor.full_name,
        actor_role=actor.role_for_audit,
        now=now,
        data={"number": earlier.number, "reason": request, "successor": permit.number},
    )


def supersede_due(session: Session, now: datetime) -> None:
    """Supersede what is followed by a permit that begins to hold today. A daily job."""
    earlier = aliased(Permit)
    statement = (
        select(Permit)
        .join(earlier, col(Permit.continues_id) == col(earlier.id))
        .where(
            Permit.status == Status.ACTIVE,
            Permit.valid_from <= city_date(now),
            col(earlier.status).in_(SUPERSEDED_FROM),
        )
    )
    for permit in session.exec(statement).all():
        supersede_earlier(session, permit, actor=SERVICE, now=now)
