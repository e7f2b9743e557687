"""A permit in the place of another: how long it holds, when the earlier one ends, and what is told of it."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import cases
import pytest
from factories import actor_of
from sqlalchemy import Engine
from sqlmodel import select

from keys.software import SoftwareKeyStore
from service.accounts.access import Actor
from service.accounts.models import User
from service.applications.continued import AlreadyContinued, NotContinuable
from service.audit import events_of, verify_chain
from service.clock import city_date
from service.database import reading, transaction
from service.mail import MailMessage
from service.permits.issue import Workshop, finish_issuance, register_document, reserve_permit
from service.permits.models import Permit, Status, StatusChange
from service.permits.register import public_permit, status_at
from service.permits.register_audit import audit_register
from service.permits.revoke import expire_permits, revoke_permit, suspend_permit
from service.permits.sign import sign_and_store
from service.permits.succession import NothingGained, supersede_due
from service.transparency.models import LogEntry

DAY = timedelta(days=1)
ENDS_SOON = {"str_lifetime": False, "str_valid_until": "2027-01-22"}
"""An STR, and so a permit, that ends sixty days later: its renewal may be asked for at once."""


@pytest.fixture
def head(engine: Engine, city: cases.City) -> Actor:
    with reading(engine) as session:
        return actor_of(session, session.get_one(User, city.head.id))


@pytest.fixture
def issue(
    workshop: Workshop, city: cases.City, key_store: SoftwareKeyStore, now: datetime
) -> Callable[..., Permit]:
    """Issue a permit, the second in the place of the first; values and request may be chosen."""
    signer = key_store.open_key("official-head", cases.OFFICIAL_PASSPHRASE, now=now)

    def issue_one(moment: datetime = now, **chosen: Any) -> Permit:
        at_that_time = Workshop(
            workshop.engine,
            workshop.storage,
            workshop.timestamper,
            lambda: moment,
            workshop.printing,
            seal=workshop.seal,
        )
        with transaction(workshop.engine) as session:
            case = cases.bring_to_signature(session, city, moment, **chosen)
        return cases.issue_case(at_that_time, city, case, signer, moment).permit

    return issue_one


def row(engine: Engine, permit: Permit) -> Permit:
    with reading(engine) as session:
        return session.get_one(Permit, permit.id)


def test_a_renewal_takes_the_place_at_once_and_shortens_nothing(
    engine: Engine, issue: Callable[..., Permit], now: datetime
) -> None:
    first = issue(**ENDS_SOON)
    later = now + timedelta(days=30)
    second = issue(later, request="renewal", continues=first)
    assert (first.valid_until, second.valid_from) == (date(2027, 1, 22), city_date(later))
    assert second.valid_until == date(2032, 1, 22)
    with reading(engine) as session:
        old, new = session.get_one(Permit, first.id), session.get_one(Permit, second.id)
        days = [status_at(session, permit, later + n * DAY)[0] for permit in (old, new) for n in (-1, 0, 1)]
        facts = public_permit(session, old, moment=later, language="id", base_url="", masked=True)
        before = public_permit(session, old, moment=later - DAY, language="id", base_url="", masked=True)
    assert days == ["active", "superseded", "superseded", "not_yet_valid", "active", "active"]
    assert (facts.superseded_by, facts.status_since) == (second.number, later)
    assert (before.status, before.superseded_by) == ("active", None)


def test_a_change_keeps_the_last_day(engine: Engine, issue: Callable[..., Permit], now: datetime) -> None:
    first = issue()
    second = issue(now + 400 * DAY, request="change", continues=first, practice_name="Klinik Baru")
    assert second.valid_until == first.valid_until
    assert row(engine, first).status == Status.SUPERSEDED


def test_a_late_renewal_counts_from_its_issue_and_the_expired_one_stays_expired(
    engine: Engine, issue: Callable[..., Permit], now: datetime
) -> None:
    first = issue(**ENDS_SOON)
    late = now + 80 * DAY
    second = issue(late, request="renewal", continues=first)
    assert second.valid_until == date(2032, 2, 11)
    with transaction(engine) as session:
        assert status_at(session, session.get_one(Permit, first.id), late)[0] == "expired"
        expire_permits(session, late)
        supersede_due(session, late)
    assert row(engine, first).status == Status.EXPIRED


def test_a_renewal_that_gains_nothing_is_not_signed(issue: Callable[..., Permit], now: datetime) -> None:
    """The old STR ends with the permit: the new permit could hold no day longer."""
    first = issue(**ENDS_SOON)
    with pytest.raises(NothingGained):
        issue(now + DAY, request="renewal", continues=first, **ENDS_SOON)


def test_log_trail_and_mail_tell_of_it(engine: Engine, issue: Callable[..., Permit], now: datetime) -> None:
    first = issue(**ENDS_SOON)
    second = issue(now + DAY, request="renewal", continues=first)
    with transaction(engine) as session:
        change = session.exec(
            select(StatusChange).where(
                StatusChange.permit_id == first.id, StatusChange.status == Status.SUPERSEDED
            )
        ).one()
        assert change.log_index is not None
        assert (change.reason_code, second.number in (change.remark or "")) == ("renewal", True)
        leaf = session.get_one(LogEntry, change.log_index).leaf
        assert '"kind":"superseded"' in leaf
        event = events_of(session, "application", first.application_id)[-1]
        assert (event.action, event.data["successor"]) == ("permit_superseded", second.number)
        mail = session.exec(select(MailMessage).where(MailMessage.template == "permit_superseded")).one()
        assert mail.context["successor"] == second.number
        verify_chain(session)
    with reading(engine) as session:
        assert audit_register(session).findings == []


def test_what_was_revoked_or_suspended_meanwhile_is_not_continued(
    engine: Engine, issue: Callable[..., Permit], head: Actor, now: datetime
) -> None:
    for verb in (suspend_permit, revoke_permit):
        first = issue(**ENDS_SOON)
        with transaction(engine) as session:
            verb(session, first.id, reason_code="sanction", remark="Uji", actor=head, now=now)
        with pytest.raises(NotContinuable):
            issue(now + DAY, request="renewal", continues=first)


def test_of_two_renewals_the_second_is_not_signed(issue: Callable[..., Permit], now: datetime) -> None:
    first = issue(**ENDS_SOON)
    issue(now + DAY, request="renewal", continues=first)
    with pytest.raises((NotContinuable, AlreadyContinued)):
        issue(now + 2 * DAY, request="renewal", continues=first)


def test_a_rejected_renewal_leaves_the_permit_alone(
    engine: Engine, issue: Callable[..., Permit], now: datetime
) -> None:
    first = issue(**ENDS_SOON)
    letter = issue(now + DAY, request="renewal", continues=first, reasons="Bukti SKP kurang.")
    assert letter.continues_id is None
    assert row(engine, first).status == Status.ACTIVE
    issue(now + 2 * DAY, request="renewal", continues=first)
    assert row(engine, first).status == Status.SUPERSEDED


def reserved(workshop: Workshop, city: cases.City, first: Permit, head: Actor, now: datetime) -> Permit:
    """Reserve the number of a renewal, and stop there as a crash would."""
    with transaction(workshop.engine) as session:
        case = cases.bring_to_signature(session, city, now, request="renewal", continues=first)
    digest = cases.digest_shown(workshop, city, case, now)
    with transaction(workshop.engine) as session:
        return reserve_permit(
            session,
            case.id,
            actor=head,
            now=now,
            seen_digest=digest,
            printing=workshop.printing,
            seal=workshop.seal,
        )


def test_a_crash_leaves_the_earlier_permit_in_force_until_a_second_run_finishes(
    engine: Engine,
    workshop: Workshop,
    city: cases.City,
    issue: Callable[..., Permit],
    key_store: SoftwareKeyStore,
    head: Actor,
    now: datetime,
) -> None:
    first = issue(**ENDS_SOON)
    second = reserved(workshop, city, first, head, now)
    assert (row(engine, first).status, row(engine, second).status) == (Status.ACTIVE, Status.ISSUING)
    signer = key_store.open_key("official-head", cases.OFFICIAL_PASSPHRASE, now=now)
    finish_issuance(workshop, second.id, actor=head, signer=signer)
    assert (row(engine, first).status, row(engine, second).status) == (Status.SUPERSEDED, Status.ACTIVE)


def test_both_changes_are_made_or_neither(
    engine: Engine,
    workshop: Workshop,
    city: cases.City,
    issue: Callable[..., Permit],
    key_store: SoftwareKeyStore,
    head: Actor,
    now: datetime,
) -> None:
    first = issue(**ENDS_SOON)
    second = reserved(workshop, city, first, head, now)
    signer = key_store.open_key("official-head", cases.OFFICIAL_PASSPHRASE, now=now)
    signed = sign_and_store(workshop, second, actor=head, signer=signer)

    def register_and_fail() -> None:
        with transaction(engine) as session:
            register_document(session, second.id, signed, actor=head, now=now)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        register_and_fail()
    assert (row(engine, first).status, row(engine, second).status) == (Status.ACTIVE, Status.ISSUING)


def test_a_revocation_while_the_renewal_is_signed_stands(
    engine: Engine,
    workshop: Workshop,
    city: cases.City,
    issue: Callable[..., Permit],
    key_store: SoftwareKeyStore,
    head: Actor,
    now: datetime,
) -> None:
    first = issue(**ENDS_SOON)
    second = reserved(workshop, city, first, head, now)
    with transaction(engine) as session:
        revoke_permit(session, first.id, reason_code="sanction", remark="Uji", actor=head, now=now)
    signer = key_store.open_key("official-head", cases.OFFICIAL_PASSPHRASE, now=now)
    finish_issuance(workshop, second.id, actor=head, signer=signer)
    assert (row(engine, first).status, row(engine, second).status) == (Status.REVOKED, Status.ACTIVE)


def test_who_begins_later_takes_the_place_on_that_day(
    engine: Engine, issue: Callable[..., Permit], now: datetime
) -> None:
    """Only types whose dates are typed begin later; the row is dated so here."""
    first, second = issue(), issue()
    with transaction(engine) as session:
        later = session.get_one(Permit, second.id)
        later.continues_id, later.valid_from = first.id, city_date(now + 5 * DAY)
        session.add(later)
    for days, status in ((4, Status.ACTIVE), (5, Status.SUPERSEDED)):
        with transaction(engine) as session:
            supersede_due(session, now + days * DAY)
        assert row(engine, first).status == status
