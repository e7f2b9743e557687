"""Renewals and changes: of one's own permit alone, when it may be, with what was answered before."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from applying import OPEN_IN, begin_from, permit_ending_soon
from factories import (
    HEALTH_WORKER_VALUES,
    actor_of,
    give_documents,
    make_citizen,
    make_draft,
    make_permit,
)
from sqlalchemy import Engine
from sqlmodel import Session

from service.accounts.models import User
from service.applications.asked import permit_type_of, required_of
from service.applications.continued import (
    AlreadyContinued,
    EarlierPermitNotFound,
    NotContinuable,
    RenewalNotOpen,
    describe_earlier,
)
from service.applications.draft import delete_draft
from service.applications.models import Application
from service.applications.submit import submit_application, withdraw_application
from service.database import transaction
from service.errors import InvalidInput
from service.permits.models import Status
from service.storage import Storage


def test_a_renewal_begins_with_what_was_answered_before(
    session: Session, citizen: User, now: datetime
) -> None:
    permit = permit_ending_soon(session, citizen, now)
    application = begin_from(session, permit, citizen, now)
    assert application.continues_id == permit.id
    assert application.values == HEALTH_WORKER_VALUES
    assert "truth_declared" not in application.values


def test_nobody_continues_what_is_not_theirs(session: Session, citizen: User, now: datetime) -> None:
    permit = permit_ending_soon(session, make_citizen(session), now)
    with pytest.raises(EarlierPermitNotFound):
        begin_from(session, permit, citizen, now)


def test_a_permit_of_another_type_or_still_being_issued_is_not_found(
    session: Session, citizen: User, now: datetime
) -> None:
    issuing = permit_ending_soon(session, citizen, now, status=Status.ISSUING)
    other = permit_ending_soon(session, citizen, now)
    other.slug = "sip-tenaga-medis"
    session.add(other)
    for permit in (issuing, other):
        with pytest.raises(EarlierPermitNotFound):
            begin_from(session, permit, citizen, now)


def test_a_renewal_is_refused_until_its_first_day(session: Session, citizen: User, now: datetime) -> None:
    permit = make_permit(session, citizen)
    first_day = datetime(2031, 8, 25, 3, tzinfo=now.tzinfo)
    with pytest.raises(RenewalNotOpen) as refusal:
        begin_from(session, permit, citizen, first_day - timedelta(days=1))
    assert "25 Agustus 2031" in refusal.value.message_id
    begin_from(session, permit, citizen, first_day)


@pytest.mark.parametrize("request_kind", ["renewal", "change"])
@pytest.mark.parametrize("status", [Status.SUSPENDED, Status.REVOKED, Status.SUPERSEDED])
def test_what_is_not_in_force_is_not_continued(
    session: Session, citizen: User, now: datetime, status: Status, request_kind: str
) -> None:
    permit = permit_ending_soon(session, citizen, now, status=status)
    with pytest.raises(NotContinuable):
        begin_from(session, permit, citizen, now, request_kind)


def test_what_has_expired_is_renewed_late_but_not_changed(
    session: Session, citizen: User, now: datetime
) -> None:
    permit = permit_ending_soon(session, citizen, now)
    late = now + OPEN_IN + timedelta(days=2)
    with pytest.raises(NotContinuable):
        begin_from(session, permit, citizen, late, "change")
    begin_from(session, permit, citizen, late)


def test_one_open_application_for_a_permit(
    session: Session, storage: Storage, citizen: User, now: datetime
) -> None:
    permit = permit_ending_soon(session, citizen, now)
    first = begin_from(session, permit, citizen, now)
    for request in ("renewal", "change"):
        with pytest.raises(AlreadyContinued):
            begin_from(session, permit, citizen, now, request)
    delete_draft(session, storage, first.id, actor=actor_of(session, citizen), now=now)
    second = begin_from(session, permit, citizen, now)
    give_documents(session, storage, second, citizen, now)
    submit_application(session, second.id, declared=True, actor=actor_of(session, citizen), now=now)
    with pytest.raises(AlreadyContinued):
        begin_from(session, permit, citizen, now)
    withdraw_application(session, second.id, actor=actor_of(session, citizen), now=now)
    begin_from(session, permit, citizen, now)


def test_of_two_who_begin_at_once_one_begins(engine: Engine, now: datetime) -> None:
    with transaction(engine) as session:
        user = make_citizen(session)
        permit = permit_ending_soon(session, user, now)

    def press(request: str) -> object:
        try:
            with transaction(engine) as session:
                return begin_from(session, permit, user, now, request)
        except AlreadyContinued as refusal:
            return refusal

    with ThreadPoolExecutor(4) as people:
        outcomes = list(people.map(press, ["renewal", "change"] * 2))
    assert [isinstance(outcome, Application) for outcome in outcomes].count(True) == 1


def test_a_permit_revoked_while_the_draft_was_filled_in_is_told_and_refused(
    session: Session, storage: Storage, citizen: User, now: datetime
) -> None:
    permit = permit_ending_soon(session, citizen, now)
    application = begin_from(session, permit, citizen, now)
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
    known = begin_from(session, permit_ending_soon(session, citizen, now), citizen, now)
    paper = make_draft(session, citizen, request="renewal", now=now)
    permit_type = permit_type_of(session, known)
    asked = [{document.key for document in required_of(permit_type, each)} for each in (known, paper)]
    assert asked[1] - asked[0] == {"old_permit"}


def test_a_new_permit_continues_none(session: Session, citizen: User, now: datetime) -> None:
    permit = permit_ending_soon(session, citizen, now)
    with pytest.raises(InvalidInput) as refusal:
        begin_from(session, permit, citizen, now, "new")
    assert [problem.field for problem in refusal.value.problems] == ["continues"]
