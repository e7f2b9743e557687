"""What the service does by itself each day: remind officers of overdue cases, clear out old drafts.

Both are jobs' work and safe to repeat: a reminder goes out once a day to each officer, a draft is
deleted once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Engine
from sqlmodel import Session, col, select

from service import jobs
from service.accounts.access import SERVICE
from service.accounts.models import Kind, RoleAssignment, User
from service.applications.draft import discard_draft
from service.applications.models import Application, StepVisit
from service.applications.transitions import TECHNICAL_AGENCY, is_agency_of
from service.applications.workflow import APPLICANT_ROLE, State
from service.catalogue.format import PermitType
from service.catalogue.models import get_revision
from service.clock import CITY_TIMEZONE, city_date
from service.database import reading, transaction
from service.mail import MailMessage, queue_mail
from service.storage import Storage

ALARM = "overdue_alarm"
LONGEST_DIGEST = 50
"""Cases that one mail lists; the queue shows the rest."""
DRAFT_LIFETIME = timedelta(days=90)
"""A draft nobody touched for so long is deleted with its files: data that no one needs is not kept."""


@dataclass(frozen=True, slots=True)
class OverdueCase:
    """A case whose step is past its last day, and the role that holds it."""

    role: str
    receipt_number: str
    permit_type: PermitType
    due_on: date


def cases_to_alarm(session: Session, now: datetime) -> list[OverdueCase]:
    """Return the cases that an office role holds beyond the step's last day, the longest overdue first."""
    statement = (
        select(Application, StepVisit.role)
        .join(StepVisit, col(StepVisit.application_id) == col(Application.id))
        .where(
            Application.state == State.UNDER_REVIEW,
            col(StepVisit.left_at).is_(None),
            StepVisit.role != APPLICANT_ROLE,
            col(Application.step_due_on) < city_date(now),
        )
        .order_by(col(Application.step_due_on), col(Application.submitted_at))
    )
    return [
        OverdueCase(
            role,
            application.receipt_number or "",
            get_revision(session, application.revision_id).permit_type,
            application.step_due_on,
        )
        for application, role in session.exec(statement)
        if application.step_due_on is not None
    ]


def send_overdue_alarms(session: Session, now: datetime) -> int:
    """Mail each officer one digest of what is overdue for their roles; return how many were mailed.

    An officer who was mailed today already is passed over.
    """
    overdue, mailed = cases_to_alarm(session, now), 0
    for user, roles in _officers(session):
        theirs = [case for case in overdue if case.role in roles and _is_for(user, case)]
        if theirs and not _mailed_today(session, user, now):
            _send_digest(session, user, theirs, now)
            mailed += 1
    return mailed


def _officers(session: Session) -> list[tuple[User, set[str]]]:
    statement = (
        select(User, RoleAssignment.role)
        .join(RoleAssignment, col(RoleAssignment.user_id) == col(User.id))
        .where(User.kind == Kind.OFFICER, col(User.disabled_at).is_(None))
        .order_by(col(User.email))
    )
    found: dict[str, tuple[User, set[str]]] = {}
    for user, role in session.exec(statement):
        found.setdefault(user.email, (user, set()))[1].add(role)
    return list(found.values())


def _is_for(user: User, case: OverdueCase) -> bool:
    return case.role != TECHNICAL_AGENCY or not user.agency or is_agency_of(user.agency, case.permit_type)


def _mailed_today(session: Session, user: User, now: datetime) -> bool:
    midnight = now.astimezone(CITY_TIMEZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    statement = select(MailMessage.id).where(
        MailMessage.template == ALARM,
        MailMessage.to_address == user.email,
        MailMessage.created_at >= midnight,
    )
    return session.exec(statement).first() is not None


def _send_digest(session: Session, user: User, cases: Sequence[OverdueCase], now: datetime) -> None:
    listed = [
        {
            "receipt_number": case.receipt_number,
            "permit_title": case.permit_type.title.text(user.language),
            "due_on": case.due_on.isoformat(),
        }
        for case in cases[:LONGEST_DIGEST]
    ]
    context = {"full_name": user.full_name, "cases": listed, "path": "/officer"}
    mail = queue_mail(
        session, to=user.email, language=user.language, template=ALARM, context=context, now=now
    )
    jobs.enqueue(session, "send_mail", str(mail.id))


def expire_drafts(engine: Engine, storage: Storage, now: datetime) -> int:
    """Delete the drafts that were not touched for DRAFT_LIFETIME, each in its own transaction."""
    old_rows = select(Application).where(
        Application.state == State.DRAFT, col(Application.updated_at) < now - DRAFT_LIFETIME
    )
    with reading(engine) as session:
        found = [draft.id for draft in session.exec(old_rows)]
    deleted = 0
    for draft_id in found:
        with transaction(engine) as session:
            # Its owner may have opened or deleted it since the list was read.
            draft = session.exec(old_rows.where(Application.id == draft_id).with_for_update()).first()
            if draft is not None:
                discard_draft(session, storage, draft, "application.draft_expired", SERVICE, now)
                deleted += 1
    return deleted
