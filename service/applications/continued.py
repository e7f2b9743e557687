"""The permit that an application renews, changes or closes: whose it is, whether it may be, what it brings.

The register stands above the applications. This file alone reads it from here (decision 66); only `permits`
writes it.
"""

import uuid
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from service.accounts.access import Actor
from service.applications.models import Application
from service.applications.workflow import ENDED, State
from service.catalogue.display import long_date
from service.catalogue.format import FieldType, PermitType, Request
from service.catalogue.models import get_permit_type
from service.clock import city_date
from service.errors import Conflict, NotFound
from service.permits.models import Kind, Permit, Status
from service.permits.register import NOT_YET_VALID, status_at

IN_FORCE = frozenset({Status.ACTIVE.value})
CONTINUABLE = {
    Request.RENEWAL: IN_FORCE | {Status.EXPIRED.value},
    Request.CHANGE: IN_FORCE,
    Request.CLOSURE: IN_FORCE,
}
"""The statuses from which each request may go on; a renewal may come late."""
OVER = frozenset({State.REJECTED, State.WITHDRAWN})
"""Where an application ended that did not continue its permit."""


class EarlierPermitNotFound(NotFound):
    code = "earlier_permit_not_found"
    message_id = "Izin lama ini bukan salah satu izin Anda untuk jenis izin ini. Pilih dari daftar izin Anda."
    message_en = "This is none of your permits of this type. Choose one from the list of your permits."


class NotContinuable(Conflict):
    """The permit's status does not allow it to be renewed, changed or closed."""

    code = "permit_not_continuable"


class RenewalNotOpen(Conflict):
    code = "renewal_not_open"

    def __init__(self, first_day: date) -> None:
        super().__init__(
            f"Izin ini baru dapat diperpanjang mulai {long_date(first_day, 'id')}.",
            f"This permit can be renewed from {long_date(first_day, 'en')}.",
        )


class AlreadyContinued(Conflict):
    code = "permit_already_continued"
    message_id = (
        "Untuk izin ini sudah ada permohonan perpanjangan atau perubahan. Lanjutkan permohonan itu dari "
        "daftar permohonan. Bila ingin mengajukan yang baru, hapus atau cabut dahulu permohonan itu."
    )
    message_en = (
        "There is an application to renew or change this permit already. Go on with it from the list of "
        "applications. To make a new one, delete or withdraw that one first."
    )


REFUSED = {
    Status.EXPIRED.value: (
        "Masa berlaku izin lama sudah berakhir, jadi datanya tidak dapat diubah lagi. Ajukan perpanjangan.",
        "The earlier permit has expired, so it cannot be changed any more. Apply for its renewal.",
    ),
    Status.SUSPENDED.value: (
        "Izin lama sedang dibekukan. Perpanjangan atau perubahan menunggu sampai izin itu berlaku kembali.",
        "The earlier permit is suspended. A renewal or change waits until it is reinstated.",
    ),
    Status.REVOKED.value: (
        "Izin lama sudah dicabut, jadi tidak dapat diperpanjang atau diubah. Ajukan permohonan baru.",
        "The earlier permit was revoked, so it cannot be renewed or changed. Make a new application.",
    ),
    Status.SUPERSEDED.value: (
        "Izin lama sudah diganti dengan izin yang lebih baru. Pilih izin yang lebih baru itu.",
        "The earlier permit was superseded by a newer one. Choose that newer one.",
    ),
    NOT_YET_VALID: (
        "Izin lama belum mulai berlaku, jadi belum dapat diperpanjang atau diubah.",
        "The earlier permit is not valid yet, so it cannot be renewed or changed.",
    ),
}


@dataclass(frozen=True, slots=True)
class Earlier:
    """A permit that an application continues, or might, as it stands now."""

    permit: Permit
    status: str
    refusal: Conflict | None
    """Why it cannot be continued; None where it can, or was."""


# Choosing it --------------------------------------------------------------------------------------


def held_permits(
    session: Session, permit_type: PermitType, request: str, holder_id: uuid.UUID, now: datetime
) -> list[Earlier]:
    """Return what an account holds of a permit type, the newest first, and what speaks against each.

    What was superseded is passed over: the permit that took its place is there.
    """
    statement = _own(permit_type.slug, holder_id).where(Permit.status != Status.SUPERSEDED)
    statement = statement.order_by(col(Permit.created_at).desc(), col(Permit.id))
    return [
        Earlier(
            permit,
            status_at(session, permit, now)[0],
            refusal_to_continue(session, permit, permit_type, request, now),
        )
        for permit in session.exec(statement).all()
    ]


def lock_own_permit(session: Session, code: str, slug: str, actor: Actor) -> Permit:
    """Return the actor's own permit of a type by its public code, locked. Raises EarlierPermitNotFound."""
    permit = session.exec(_own(slug, actor.id).where(Permit.code == code).with_for_update()).first()
    if permit is None:
        raise EarlierPermitNotFound
    return permit


def _own(slug: str, holder_id: uuid.UUID) -> SelectOfScalar[Permit]:
    return select(Permit).where(
        Permit.holder_id == holder_id,
        Permit.slug == slug,
        Permit.kind == Kind.PERMIT,
        Permit.status != Status.ISSUING,
    )


def refusal_to_continue(
    session: Session,
    permit: Permit,
    permit_type: PermitType,
    request: str,
    now: datetime,
    *,
    application_id: uuid.UUID | None = None,
) -> Conflict | None:
    """Tell why a permit may not be continued by this request now, or by this application; None: it may."""
    status, _ = status_at(session, permit, now)
    if status not in CONTINUABLE[Request(request)]:
        return NotContinuable(*REFUSED[status])
    first_day = renewal_opens_on(permit, permit_type) if request == Request.RENEWAL else None
    if first_day is not None and city_date(now) < first_day:
        return RenewalNotOpen(first_day)
    others = select(Application.id).where(
        Application.continues_id == permit.id,
        Application.id != application_id,
        col(Application.state).not_in(OVER),
    )
    return AlreadyContinued() if session.exec(others).first() is not None else None


def renewal_opens_on(permit: Permit, permit_type: PermitType) -> date | None:
    """Return the first day on which a renewal may be asked for; None where there is no such day."""
    days = permit_type.renewal.opens_days_before
    if days is None or permit.valid_until is None:
        return None
    return permit.valid_until - timedelta(days=days)


# Going on from it -----------------------------------------------------------------------------------


def earlier_permit(session: Session, application: Application) -> Permit | None:
    """Return the permit that an application continues; None for a new one, or one on paper alone."""
    return session.get(Permit, application.continues_id) if application.continues_id else None


def describe_earlier(
    session: Session, application: Application, permit_type: PermitType, now: datetime
) -> Earlier | None:
    """Tell of the permit that an application continues, for who looks at the application."""
    permit = earlier_permit(session, application)
    if permit is None:
        return None
    refusal = None
    if application.state not in ENDED:
        refusal = refusal_to_continue(
            session, permit, permit_type, application.request, now, application_id=application.id
        )
    return Earlier(permit, status_at(session, permit, now)[0], refusal)


def require_continuable(
    session: Session, application: Application, permit_type: PermitType, now: datetime
) -> None:
    """Lock the permit that an application continues, if any; it must still allow that.

    Raises NotContinuable, RenewalNotOpen or AlreadyContinued.
    """
    if application.continues_id is None:
        return
    statement = select(Permit).where(Permit.id == application.continues_id).with_for_update()
    permit = session.exec(statement.execution_options(populate_existing=True)).one()
    refusal = refusal_to_continue(
        session, permit, permit_type, application.request, now, application_id=application.id
    )
    if refusal is not None:
        raise refusal


def answers_of(session: Session, permit: Permit) -> dict[str, Any]:
    """Return the answers that a permit was given for, without what must be declared anew each time."""
    application = session.get_one(Application, permit.application_id)
    fields = get_permit_type(session, application.revision_id).fields
    return {
        key: value
        for key, value in application.values.items()
        if key in fields and fields[key].type != FieldType.CONSENT
    }
