"""The officers' work: which cases wait for whom, the most urgent first.

A page reads its own rows and one row of counts, however long the queue is.
"""

import math
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, or_
from sqlalchemy.orm import defer
from sqlmodel import Session, col, select

from service.accounts.access import Actor
from service.accounts.models import User
from service.applications.calendar import holidays_around
from service.applications.deadlines import add_working_days
from service.applications.models import Application, StepVisit
from service.applications.transitions import TECHNICAL_AGENCY, is_agency_of
from service.catalogue.format import Bilingual, PermitType
from service.catalogue.models import PermitTypeRevision
from service.clock import city_date

PAGE_SIZE = 50
MAX_PAGE = 10_000
SOON_WORKING_DAYS = 2
"""A case is due soon when its step ends within this many working days."""


class Scope(StrEnum):
    """Which cases: those that wait for the officer's roles, or all that these roles may see."""

    QUEUE = "queue"
    ALL = "all"


class Urgency(StrEnum):
    """How a case stands to its step's last day; in the order they are worked on."""

    OVERDUE = "overdue"
    TODAY = "today"
    SOON = "soon"
    REST = "rest"


class Taken(StrEnum):
    """Narrow to what the officer has taken, or to what nobody has."""

    ME = "me"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class QueueFilter:
    """What an officer asks the queue for; `text` looks in receipt number, holder's name and type."""

    scope: Scope = Scope.QUEUE
    text: str = ""
    slug: str | None = None
    urgency: Urgency | None = None
    taken: Taken | None = None
    page: int = 1


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One case in a queue."""

    id: uuid.UUID
    receipt_number: str
    title: Bilingual
    slug: str
    holder_name: str
    state: str
    outcome: str
    step: str | None
    step_label: Bilingual | None
    role: str | None
    """Whose step it is; None when it stands at none."""
    submitted_at: datetime
    step_due_on: date | None
    due_on: date | None
    taken_by: uuid.UUID | None
    taken_by_name: str | None
    urgency: Urgency


@dataclass(frozen=True, slots=True)
class QueuePage:
    """One page of a queue, and how many cases of each urgency the whole of it holds."""

    rows: Sequence[QueueRow]
    counts: dict[Urgency, int]
    total: int
    page: int
    page_count: int

    def of(self, urgency: Urgency) -> list[QueueRow]:
        return [row for row in self.rows if row.urgency == urgency]


def read_queue(session: Session, wanted: QueueFilter, *, actor: Actor, now: datetime) -> QueuePage:
    """Return one page of the officer's cases, overdue ones first, then by their step's last day.

    A page beyond the last gives the last.
    """
    today = city_date(now)
    soon = add_working_days(today, SOON_WORKING_DAYS, holidays_around(session, today, today))
    urgency = _urgency(today, soon)
    revisions = _visible_revisions(session, actor)
    types = {revision.id: revision.permit_type for revision in revisions}
    condition = and_(*_conditions(session, wanted, actor, revisions))
    counted = select(urgency, func.count()).select_from(Application)
    found = session.exec(_with_open_visit(counted).where(condition).group_by(urgency)).all()
    counts = dict.fromkeys(Urgency, 0) | {Urgency(name): number for name, number in found}

    total = counts[wanted.urgency] if wanted.urgency else sum(counts.values())
    page_count = max(1, math.ceil(total / PAGE_SIZE))
    page = min(max(1, wanted.page), page_count)
    if wanted.urgency:
        condition = and_(condition, urgency == wanted.urgency)
    listed = (
        _with_open_visit(select(Application, StepVisit.role, User.full_name, urgency))
        .outerjoin(User, col(User.id) == col(Application.taken_by))
        .where(condition)
        .order_by(col(Application.step_due_on).is_(None), col(Application.step_due_on))
        .order_by(col(Application.submitted_at), col(Application.id))
        .offset((page - 1) * PAGE_SIZE)
        .limit(PAGE_SIZE)
    )
    rows = [_row(types, *record) for record in session.exec(listed)]
    return QueuePage(rows, counts, total, page, page_count)


def visible_types(session: Session, actor: Actor) -> list[PermitType]:
    """Return the types whose cases the officer's roles may see, newest revision of each, by title."""
    newest = {
        revision.slug: revision.permit_type
        for revision in sorted(_visible_revisions(session, actor), key=lambda revision: revision.revision)
    }
    return sorted(newest.values(), key=lambda permit_type: permit_type.title.id)


def _with_open_visit(statement: Any) -> Any:
    is_open = and_(col(StepVisit.application_id) == col(Application.id), col(StepVisit.left_at).is_(None))
    return statement.outerjoin(StepVisit, is_open)


def _urgency(today: date, soon: date) -> ColumnElement[str]:
    due = col(Application.step_due_on)
    return case(
        (due < today, Urgency.OVERDUE.value),
        (due == today, Urgency.TODAY.value),
        (due <= soon, Urgency.SOON.value),
        else_=Urgency.REST.value,
    )


def _conditions(
    session: Session, wanted: QueueFilter, actor: Actor, revisions: Sequence[PermitTypeRevision]
) -> list[ColumnElement[bool]]:
    conditions: list[Any] = [
        col(Application.submitted_at).is_not(None),
        col(Application.revision_id).in_([revision.id for revision in revisions]),
    ]
    if wanted.scope == Scope.QUEUE:
        conditions.append(_waits_for(session, actor, revisions))
    if wanted.text.strip():
        conditions.append(_matches(wanted.text.strip(), revisions))
    if wanted.slug:
        conditions.append(Application.slug == wanted.slug)
    if wanted.taken == Taken.ME:
        conditions.append(Application.taken_by == actor.id)
    elif wanted.taken == Taken.NOBODY:
        conditions.append(col(Application.taken_by).is_(None))
    return conditions


def _waits_for(
    session: Session, actor: Actor, revisions: Sequence[PermitTypeRevision]
) -> ColumnElement[bool]:
    agency = _agency_of(session, actor)
    spoken_for = [row.id for row in revisions if not agency or is_agency_of(agency, row.permit_type)]
    return or_(
        col(StepVisit.role).in_(actor.roles - {TECHNICAL_AGENCY}),
        and_(
            col(StepVisit.role).in_(actor.roles & {TECHNICAL_AGENCY}),
            col(Application.revision_id).in_(spoken_for),
        ),
    )


def _matches(text: str, revisions: Sequence[PermitTypeRevision]) -> ColumnElement[bool]:
    words = text.casefold()
    slugs = {
        revision.slug
        for revision in revisions
        if words in f"{revision.permit_type.title.id} {revision.permit_type.title.en}".casefold()
    }
    return or_(
        col(Application.receipt_number).icontains(text, autoescape=True),
        col(Application.holder_name).icontains(text, autoescape=True),
        col(Application.slug).in_(slugs),
    )


def _visible_revisions(session: Session, actor: Actor) -> list[PermitTypeRevision]:
    """Return the revisions whose workflow has a step of the actor's; as `review.find_case` judges."""
    agency = _agency_of(session, actor)
    # The content is parsed once for each process, so it is read only when it is new.
    every = session.exec(select(PermitTypeRevision).options(defer(PermitTypeRevision.content)))  # type: ignore[arg-type]
    visible = []
    for revision in every:
        permit_type = revision.permit_type
        held = {step.role for step in permit_type.steps if not step.automatic} & actor.roles
        if agency and not is_agency_of(agency, permit_type):
            held = held - {TECHNICAL_AGENCY}
        if held:
            visible.append(revision)
    return visible


def _agency_of(session: Session, actor: Actor) -> str:
    if TECHNICAL_AGENCY not in actor.roles:
        return ""
    user = session.get(User, actor.id)
    return (user.agency or "") if user else ""


def _row(
    types: Mapping[uuid.UUID, PermitType],
    application: Application,
    role: str | None,
    taker: str | None,
    urgency: str,
) -> QueueRow:
    permit_type = types[application.revision_id]
    assert application.submitted_at is not None
    return QueueRow(
        id=application.id,
        receipt_number=application.receipt_number or "",
        title=permit_type.title,
        slug=application.slug,
        holder_name=application.holder_name,
        state=application.state,
        outcome=application.outcome,
        step=application.step,
        step_label=permit_type.step(application.step).label if application.step else None,
        role=role,
        submitted_at=application.submitted_at,
        step_due_on=application.step_due_on,
        due_on=application.due_on,
        taken_by=application.taken_by,
        taken_by_name=taker,
        urgency=Urgency(urgency),
    )
