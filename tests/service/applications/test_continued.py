"""Renewals and changes: of one's own permit alone, when it may be, with what was answered before."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from factories import (
    HEALTH_WORKER,
    HEALTH_WORKER_VALUES,
    actor_of,
    give_documents,
    make_citizen,
    make_draft,
    make_officer,
    make_permit,
    sign_in,
)
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine
from sqlmodel import Session

from service import clock
from service.accounts.models import User
from service.applications.asked import permit_type_of, required_of
from service.applications.continued import (
    AlreadyContinued,
    EarlierPermitNotFound,
    NotContinuable,
    RenewalNotOpen,
    describe_earlier,
)
from service.applications.draft import delete_draft, start_draft
from service.applications.models import Application
from service.applications.submit import submit_application, withdraw_application
from service.clock import city_date
from service.database import transaction
from service.errors import InvalidInput
from service.permits.models import Permit, Status
from service.storage import open_storage

OPEN_IN = timedelta(days=60)
"""Renewals of the type may be asked for 90 days before the end."""


@pytest.fixture
def citizen(session: Session) -> User:
    return make_citizen(session)


def begin(
    session: Session, permit: Permit, user: User, now: datetime, request: str = "renewal"
) -> Application:
    return start_draft(
        session,
        HEALTH_WORKER,
        request=request,
        applicant_kind="person",
        actor=actor_of(session, user),
        now=now,
        continues=permit.code,
    )


def ending(session: Session, user: User, now: datetime, **more: Any) -> Permit:
    """Make a permit whose renewal is open."""
    return make_permit(
        session, user, issued_on=date(2022, 1, 1), valid_until=city_date(now + OPEN_IN), **more
    )


def test_a_renewal_begins_with_what_was_answered_before(
    session: Session, citizen: User, now: datetime
) -> None:
    permit = ending(session, citizen, now)
    application = begin(session, permit, citizen, now)
    assert application.continues_id == permit.id
    assert application.values == HEALTH_WORKER_VALUES
    assert "truth_declared" not in application.values


def test_nobody_continues_what_is_not_theirs(session: Session, citizen: User, now: datetime) -> None:
    permit = ending(session, make_citizen(session), now)
    with pytest.raises(EarlierPermitNotFound):
        begin(session, permit, citizen, now)


def test_a_permit_of_another_type_or_still_being_issued_is_not_found(
    session: Session, citizen: User, now: datetime
) -> None:
    issuing = ending(session, citizen, now, status=Status.ISSUING)
    other = ending(session, citizen, now)
    other.slug = "sip-tenaga-medis"
    session.add(other)
    for permit in (issuing, other):
        with pytest.raises(EarlierPermitNotFound):
            begin(session, permit, citizen, now)


def test_a_renewal_is_refused_until_its_first_day(session: Session, citizen: User, now: datetime) -> None:
    permit = make_permit(session, citizen)
    first_day = datetime(2031, 8, 25, 3, tzinfo=now.tzinfo)
    with pytest.raises(RenewalNotOpen) as refusal:
        begin(session, permit, citizen, first_day - timedelta(days=1))
    assert "25 Agustus 2031" in refusal.value.message_id
    begin(session, permit, citizen, first_day)


@pytest.mark.parametrize("request_kind", ["renewal", "change"])
@pytest.mark.parametrize("status", [Status.SUSPENDED, Status.REVOKED, Status.SUPERSEDED])
def test_what_is_not_in_force_is_not_continued(
    session: Session, citizen: User, now: datetime, status: Status, request_kind: str
) -> None:
    permit = ending(session, citizen, now, status=status)
    with pytest.raises(NotContinuable):
        begin(session, permit, citizen, now, request_kind)


def test_what_has_expired_is_renewed_late_but_not_changed(
    session: Session, citizen: User, now: datetime
) -> None:
    permit = ending(session, citizen, now)
    late = now + OPEN_IN + timedelta(days=2)
    with pytest.raises(NotContinuable):
        begin(session, permit, citizen, late, "change")
    begin(session, permit, citizen, late)


def test_one_open_application_for_a_permit(
    session: Session, tmp_path: Path, citizen: User, now: datetime
) -> None:
    storage = open_storage(tmp_path.as_uri())
    permit = ending(session, citizen, now)
    first = begin(session, permit, citizen, now)
    for request in ("renewal", "change"):
        with pytest.raises(AlreadyContinued):
            begin(session, permit, citizen, now, request)
    delete_draft(session, storage, first.id, actor=actor_of(session, citizen), now=now)
    second = begin(session, permit, citizen, now)
    give_documents(session, storage, second, citizen, now)
    submit_application(session, second.id, declared=True, actor=actor_of(session, citizen), now=now)
    with pytest.raises(AlreadyContinued):
        begin(session, permit, citizen, now)
    withdraw_application(session, second.id, actor=actor_of(session, citizen), now=now)
    begin(session, permit, citizen, now)


def test_of_two_who_begin_at_once_one_begins(engine: Engine, now: datetime) -> None:
    with transaction(engine) as session:
        user = make_citizen(session)
        permit = ending(session, user, now)

    def press(request: str) -> object:
        try:
            with transaction(engine) as session:
                return begin(session, permit, user, now, request)
        except AlreadyContinued as refusal:
            return refusal

    with ThreadPoolExecutor(4) as people:
        outcomes = list(people.map(press, ["renewal", "change"] * 2))
    assert [isinstance(outcome, Application) for outcome in outcomes].count(True) == 1


def test_a_permit_revoked_while_the_draft_was_filled_in_is_told_and_refused(
    session: Session, tmp_path: Path, citizen: User, now: datetime
) -> None:
    storage = open_storage(tmp_path.as_uri())
    permit = ending(session, citizen, now)
    application = begin(session, permit, citizen, now)
    give_documents(session, storage, application, citizen, now)
    permit.status = Status.REVOKED
    session.add(permit)
    earlier = describe_earlier(session, application, permit_type_of(session, application), now)
    assert earlier is not None
    assert isinstance(earlier.refusal, NotContinuable)
    with pytest.raises(NotContinuable):
        submit_application(session, application.id, declared=True, actor=actor_of(session, citizen), now=now)


def test_no_copy_is_asked_of_a_permit_that_the_service_holds(
    session: Session, citizen: User, now: datetime
) -> None:
    known = begin(session, ending(session, citizen, now), citizen, now)
    paper = make_draft(session, citizen, request="renewal", now=now)
    permit_type = permit_type_of(session, known)
    asked = [{document.key for document in required_of(permit_type, each)} for each in (known, paper)]
    assert asked[1] - asked[0] == {"old_permit"}


def test_a_new_permit_continues_none(session: Session, citizen: User, now: datetime) -> None:
    permit = ending(session, citizen, now)
    with pytest.raises(InvalidInput) as refusal:
        begin(session, permit, citizen, now, "new")
    assert [problem.field for problem in refusal.value.problems] == ["continues"]


# The pages and the API ------------------------------------------------------------------------------


@pytest.fixture
def held(engine: Engine, client: TestClient) -> tuple[User, Permit]:
    """A citizen who is signed in, and their permit, whose renewal is open."""
    with transaction(engine) as session:
        user = make_citizen(session)
        permit = ending(session, user, clock.now())
    sign_in(client, user)
    return user, permit


ASKED = {"type": HEALTH_WORKER, "request": "renewal"}


def test_the_citizen_chooses_the_permit_and_finds_its_answers(
    engine: Engine, client: TestClient, held: tuple[User, Permit]
) -> None:
    _, permit = held
    asking = client.post("/applications/new", data=ASKED)
    assert (asking.status_code, permit.number in asking.text) == (200, True)
    unanswered = client.post("/applications/new", data=ASKED | {"asked": "continues"})
    assert (unanswered.status_code, "Pilih izin yang Anda maksud." in unanswered.text) == (422, True)
    started = client.post("/applications/new", data=ASKED | {"continues": permit.code})
    tasks = client.get(started.headers["location"]).text
    assert permit.number in tasks
    assert "Isian dari izin lama sudah disalin." in tasks
    again = client.post("/applications/new", data=ASKED)
    assert "Untuk izin ini sudah ada permohonan" in again.text


def test_a_permit_on_paper_is_named_by_nobody(
    engine: Engine, client: TestClient, held: tuple[User, Permit]
) -> None:
    started = client.post("/applications/new", data=ASKED | {"continues": "paper"})
    with transaction(engine) as session:
        row = session.get_one(Application, uuid.UUID(started.headers["location"].split("/")[2]))
        assert row.continues_id is None


def test_the_officer_sees_which_permit_is_continued(
    engine: Engine, app: FastAPI, client: TestClient, held: tuple[User, Permit]
) -> None:
    user, permit = held
    with transaction(engine) as session:
        moment = clock.now()
        known = begin(session, permit, user, moment)
        paper = make_draft(session, user, request="renewal", now=moment)
        for application in (known, paper):
            give_documents(session, app.state.storage, application, user, moment)
            actor = actor_of(session, user)
            submit_application(session, application.id, declared=True, actor=actor, now=moment)
        officer = make_officer(session, ["front_office"], settings=app.state.settings)
    sign_in(client, officer)
    page = client.get(f"/officer/cases/{known.id}").text
    assert f'href="/permits/{permit.code}"' in page
    assert "Izin lama" in page
    page = client.get(f"/officer/cases/{paper.id}").text
    assert "Tidak ada di layanan ini menurut pemohon." in page
    assert f'href="/permits/{permit.code}"' in page


def test_the_api_takes_the_code_of_ones_own_permit(client: TestClient, held: tuple[User, Permit]) -> None:
    _, permit = held
    order = {**ASKED, "applicant_kind": "person", "continues": permit.code}
    started = client.post("/api/v1/applications", json=order)
    assert started.status_code == 201
    assert started.json()["continues"] == {"code": permit.code, "number": permit.number, "status": "active"}
    assert started.json()["values"]["practice_name"] == HEALTH_WORKER_VALUES["practice_name"]
    again = client.post("/api/v1/applications", json=order)
    assert (again.status_code, again.json()["code"]) == (409, "permit_already_continued")
    unknown = client.post("/api/v1/applications", json=order | {"continues": "0" * 26})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "earlier_permit_not_found")
