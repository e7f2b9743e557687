"""Suspension, reinstatement, revocation, expiry, and what the register says on a day."""

from collections.abc import Callable
from datetime import date, datetime, timedelta

import cases
import pytest
from factories import actor_of
from sqlalchemy import Engine
from sqlmodel import select

from keys.software import SoftwareKeyStore
from service.accounts.access import Actor
from service.accounts.models import User
from service.database import reading, transaction
from service.errors import InvalidInput
from service.mail import MailMessage
from service.permits.issue import Workshop
from service.permits.models import Permit
from service.permits.register import end_of_day, mask_name, status_at
from service.permits.revoke import (
    StatusNotAllowed,
    expire_permits,
    reinstate_permit,
    revoke_permit,
    suspend_permit,
)


@pytest.fixture
def head(engine: Engine, city: cases.City) -> Actor:
    with reading(engine) as session:
        return actor_of(session, session.get_one(User, city.head.id))


@pytest.fixture
def permit(workshop: Workshop, city: cases.City, key_store: SoftwareKeyStore, now: datetime) -> Permit:
    with transaction(workshop.engine) as session:
        case = cases.bring_to_signature(session, city, now)
    signer = key_store.open_key("official-head", cases.OFFICIAL_PASSPHRASE, now=now)
    return cases.issue_case(workshop, city, case, signer, now).permit


def test_the_register_remembers_every_status_and_its_day(
    engine: Engine, permit: Permit, head: Actor, now: datetime
) -> None:
    def act(verb: Callable[..., Permit], day: int, **more: str) -> None:
        with transaction(engine) as session:
            verb(session, permit.id, remark="Uji", actor=head, now=now + timedelta(days=day), **more)

    act(suspend_permit, 2, reason_code="sanction")
    act(reinstate_permit, 4)
    act(revoke_permit, 6, reason_code="own_request")
    with reading(engine) as session:
        row = session.get_one(Permit, permit.id)
        found = [status_at(session, row, now + timedelta(days=day))[0] for day in (-1, 1, 3, 5, 7)]
        mails = session.exec(select(MailMessage.template)).all()
    assert found == ["not_yet_valid", "active", "suspended", "active", "revoked"]
    assert {"permit_suspended", "permit_active", "permit_revoked"} <= set(mails)


def test_a_revoked_permit_never_comes_back(
    engine: Engine, permit: Permit, head: Actor, now: datetime
) -> None:
    with transaction(engine) as session:
        revoke_permit(session, permit.id, reason_code="sanction", remark="Uji", actor=head, now=now)
    for verb, more in ((reinstate_permit, {}), (suspend_permit, {"reason_code": "sanction"})):
        with pytest.raises(StatusNotAllowed), transaction(engine) as session:
            verb(session, permit.id, remark="Uji", actor=head, now=now, **more)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("reason", "remark", "field"), [("nonsense", "Uji", "reason_code"), ("sanction", " ", "remark")]
)
def test_a_revocation_needs_a_known_reason_and_words(
    engine: Engine, permit: Permit, head: Actor, now: datetime, reason: str, remark: str, field: str
) -> None:
    with pytest.raises(InvalidInput) as refusal, transaction(engine) as session:
        revoke_permit(session, permit.id, reason_code=reason, remark=remark, actor=head, now=now)
    assert [problem.field for problem in refusal.value.problems] == [field]


def test_a_permit_expires_after_its_last_day_in_the_city(engine: Engine, permit: Permit) -> None:
    assert permit.valid_until == date(2031, 11, 23)
    last_moment = end_of_day(permit.valid_until)
    with transaction(engine) as session:
        row = session.get_one(Permit, permit.id)
        assert status_at(session, row, last_moment)[0] == "active"
        assert status_at(session, row, last_moment + timedelta(seconds=1))[0] == "expired"
        assert expire_permits(session, last_moment) == 0
        assert expire_permits(session, last_moment + timedelta(seconds=1)) == 1


def test_a_masked_name_keeps_first_letters_and_lengths() -> None:
    assert mask_name("Siti Aminah, A.Md.Keb.") == "S*** A****** A********"
