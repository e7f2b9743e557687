"""Applications as they lie when a page is opened: each maker returns the path of its pages."""

import uuid
from datetime import date, datetime, timedelta
from typing import Any

from factories import (
    HEALTH_WORKER,
    actor_of,
    give_documents,
    make_draft,
    make_officer,
    make_permit,
    make_submitted,
)
from fastapi import FastAPI
from sqlalchemy import Engine
from sqlmodel import Session

from service import clock
from service.accounts.models import User
from service.applications.draft import start_draft
from service.applications.models import Application
from service.applications.remarks import Remark
from service.applications.review import return_case
from service.clock import city_date
from service.database import transaction
from service.permits.models import Permit


def draft_of(engine: Engine, user: User, **draft: Any) -> str:
    """Make a draft and return the path of its page."""
    with transaction(engine) as session:
        return f"/applications/{make_draft(session, user, now=clock.now(), **draft).id}"


def complete_draft_of(engine: Engine, app: FastAPI, user: User) -> str:
    with transaction(engine) as session:
        application = make_draft(session, user, now=clock.now())
        give_documents(session, app.state.storage, application, user)
        return f"/applications/{application.id}"


def returned_of(engine: Engine, app: FastAPI, user: User, *asked: Remark) -> str:
    with transaction(engine) as session:
        application = make_submitted(session, app.state.storage, user, now=clock.now())
        officer = actor_of(session, make_officer(session, ["front_office"]))
        return_case(session, application.id, asked, actor=officer, now=clock.now(), seen_visit=None)
        return f"/applications/{application.id}"


def row(session: Session, path: str) -> Application:
    application = session.get(Application, uuid.UUID(path.split("/")[2]))
    assert application is not None
    return application


def values_of(engine: Engine, path: str) -> dict[str, Any]:
    with transaction(engine) as session:
        return row(session, path).values


# Renewals ---------------------------------------------------------------------------------------

OPEN_IN = timedelta(days=60)
"""Renewals of the type may be asked for 90 days before the end."""


def begin_from(
    session: Session, permit: Permit, user: User, now: datetime, request: str = "renewal"
) -> Application:
    """Begin to renew, or change, a permit of the user's."""
    return start_draft(
        session,
        HEALTH_WORKER,
        request=request,
        applicant_kind="person",
        actor=actor_of(session, user),
        now=now,
        continues=permit.code,
    )


def permit_ending_soon(session: Session, user: User, now: datetime, **more: Any) -> Permit:
    """Make a permit whose renewal is open."""
    return make_permit(
        session, user, issued_on=date(2022, 1, 1), valid_until=city_date(now + OPEN_IN), **more
    )
