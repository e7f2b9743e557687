"""Signing in: one answer for every failure, a lock that holds, and an audit trail without secrets."""

import json
from datetime import datetime, timedelta

import pytest
from factories import PASSWORD, make_citizen, make_officer
from sqlmodel import Session, select

from service.accounts.models import LoginSession, User
from service.accounts.passwords import PasswordProof, prove_password
from service.accounts.sessions import NewSession
from service.accounts.signin import (
    ATTEMPTS_BEFORE_LOCK,
    HALFWAY_LIFETIME,
    LOCK_TIME,
    AccountDisabled,
    EmailNotConfirmed,
    WrongCredentials,
    sign_in,
)
from service.audit import AuditEvent
from service.errors import ServiceError
from service.mail import MailMessage

LIFETIME = timedelta(hours=12)


def test_the_right_password_opens_a_session(session: Session, now: datetime) -> None:
    user = make_citizen(session)
    opened = _sign_in(session, user.email, PASSWORD, now)
    assert isinstance(opened, NewSession)
    assert (opened.user, opened.expires_at, opened.needs_second_factor) == (user, now + LIFETIME, False)
    assert len(opened.token) == 43  # 256 bits in base64
    row = session.exec(select(LoginSession)).one()
    assert opened.token not in json.dumps(row.model_dump(mode="json"))


def test_each_sign_in_has_a_session_of_its_own(session: Session, now: datetime) -> None:
    user = make_citizen(session)
    first, second = (_sign_in(session, user.email, PASSWORD, now) for _ in range(2))
    assert isinstance(first, NewSession)
    assert isinstance(second, NewSession)
    assert first.token != second.token


def test_an_officer_is_let_halfway(session: Session, now: datetime) -> None:
    opened = _sign_in(session, make_officer(session).email, PASSWORD, now)
    assert isinstance(opened, NewSession)
    assert opened.needs_second_factor
    assert opened.expires_at == now + HALFWAY_LIFETIME


def test_unknown_wrong_and_locked_are_answered_alike(session: Session, now: datetime) -> None:
    user = make_citizen(session)
    locked = make_citizen(session)
    locked.locked_until = now + LOCK_TIME
    answers = [
        _sign_in(session, "tak.dikenal@contoh.invalid", PASSWORD, now),
        _sign_in(session, user.email, "salah", now),
        _sign_in(session, locked.email, PASSWORD, now),
    ]
    assert {(type(a), getattr(a, "message_id", "")) for a in answers} == {
        (WrongCredentials, WrongCredentials.message_id)
    }


def test_the_fifth_failure_locks_for_a_while_and_tells_the_owner(session: Session, now: datetime) -> None:
    user = make_citizen(session)
    for _ in range(ATTEMPTS_BEFORE_LOCK):
        _sign_in(session, user.email, "salah", now)
    assert user.locked_until == now + LOCK_TIME
    assert session.exec(select(MailMessage)).one().template == "account_locked"
    last_second = now + LOCK_TIME - timedelta(seconds=1)
    assert isinstance(_sign_in(session, user.email, PASSWORD, last_second), WrongCredentials)
    assert isinstance(_sign_in(session, user.email, PASSWORD, now + LOCK_TIME), NewSession)


def test_success_forgives_earlier_failures(session: Session, now: datetime) -> None:
    user = make_citizen(session)
    for _ in range(3):
        for _ in range(ATTEMPTS_BEFORE_LOCK - 1):
            _sign_in(session, user.email, "salah", now)
        assert isinstance(_sign_in(session, user.email, PASSWORD, now), NewSession)


def test_the_password_alone_does_not_forgive_wrong_codes(session: Session, now: datetime) -> None:
    officer = make_officer(session)
    officer.failed_attempts = ATTEMPTS_BEFORE_LOCK - 1
    _sign_in(session, officer.email, PASSWORD, now)
    assert officer.failed_attempts == ATTEMPTS_BEFORE_LOCK - 1


def test_an_unconfirmed_address_gets_a_new_link(session: Session, now: datetime) -> None:
    user = make_citizen(session, confirmed=False)
    assert isinstance(_sign_in(session, user.email, PASSWORD, now), EmailNotConfirmed)
    assert session.exec(select(MailMessage)).one().template == "confirm_email"


def test_a_disabled_account_is_told_so_only_with_its_password(session: Session, now: datetime) -> None:
    user = make_citizen(session)
    user.disabled_at = now
    assert isinstance(_sign_in(session, user.email, PASSWORD, now), AccountDisabled)
    assert isinstance(_sign_in(session, user.email, "salah", now), WrongCredentials)


def test_every_attempt_is_audited_without_what_was_typed(session: Session, now: datetime) -> None:
    user = make_citizen(session)
    canary = "burung kenari 7f3a"
    _sign_in(session, canary, canary, now)
    _sign_in(session, user.email, canary, now)
    _sign_in(session, user.email, PASSWORD, now)
    events = session.exec(select(AuditEvent)).all()
    assert [(event.action, event.data.get("reason")) for event in events] == [
        ("sign_in_failed", "unknown_account"),
        ("sign_in_failed", "wrong_password"),
        ("signed_in", None),
    ]
    written = json.dumps([event.model_dump(mode="json") for event in events])
    assert canary not in written
    assert PASSWORD not in written


def test_an_old_hash_is_renewed(session: Session, now: datetime) -> None:
    user = make_citizen(session)
    sign_in(session, PasswordProof(user.id, True, "a newer hash"), device="", lifetime=LIFETIME, now=now)
    assert user.password_hash == "a newer hash"


@pytest.fixture(autouse=True)
def _only_own_rows(session: Session) -> None:
    assert session.exec(select(User)).all() == []


def _sign_in(session: Session, email: str, password: str, now: datetime) -> NewSession | ServiceError:
    proof = prove_password(session, email, password)
    return sign_in(session, proof, device="Uji", lifetime=LIFETIME, now=now)
