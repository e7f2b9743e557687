"""TOTP: enrolment, a code once, recovery codes, and no way around for officers."""

from datetime import datetime, timedelta

import pyotp
import pytest
from factories import TOTP_SECRET, make_citizen, make_officer
from sqlmodel import Session, select

from service.accounts.access import Actor, actor_of_user
from service.accounts.models import LoginSession, RecoveryCode, User
from service.accounts.sealing import seal
from service.accounts.second_factor import (
    AlreadyEnrolled,
    NotEnrolled,
    SecondFactorObligatory,
    WrongCode,
    begin_enrolment,
    check_second_factor,
    confirm_enrolment,
    enrolment_secret,
    enrolment_uri,
    remove_second_factor,
    renew_recovery_codes,
    unused_recovery_codes,
)
from service.accounts.sessions import NewSession, open_session
from service.accounts.signin import ATTEMPTS_BEFORE_LOCK, LOCK_TIME
from service.config import Settings
from service.errors import ServiceError
from service.mail import MailMessage

KEYS = {"now": bytes(range(32)), "older": bytes(32)}
LIFETIME = timedelta(hours=12)
STEP = timedelta(seconds=30)


@pytest.fixture
def officer(session: Session, settings: Settings) -> User:
    """An officer with TOTP_SECRET sealed under the tests' keys."""
    user = make_officer(session)
    user.totp_secret = seal(TOTP_SECRET, KEYS, str(user.id))
    user.totp_confirmed_at = user.created_at
    session.flush()
    return user


def test_enrolment_gives_a_full_session_and_recovery_codes(session: Session, now: datetime) -> None:
    user = make_officer(session)
    actor = _halfway(session, user, now)
    begin_enrolment(session, actor, KEYS, now)
    secret = enrolment_secret(session, actor, KEYS)
    assert secret
    assert secret not in (user.totp_secret or "")
    outcome = confirm_enrolment(session, actor, _code(now, secret), KEYS, lifetime=LIFETIME, now=now)
    assert isinstance(outcome, tuple)
    opened, codes = outcome
    assert user.totp_confirmed_at == now
    assert session.get_one(LoginSession, opened.id).second_factor_at == now
    assert session.get_one(LoginSession, actor.session_id).revoked_at == now
    assert len(set(codes)) == unused_recovery_codes(session, actor) == 10
    stored = {row.code_hash for row in session.exec(select(RecoveryCode))}
    assert stored.isdisjoint(codes)
    with pytest.raises(AlreadyEnrolled):
        enrolment_secret(session, actor, KEYS)


def test_enrolment_ends_sessions_that_never_gave_a_code(session: Session, now: datetime) -> None:
    user = make_citizen(session)
    elsewhere = open_session(session, user, lifetime=LIFETIME, device="", now=now)
    actor = _halfway(session, user, now)
    begin_enrolment(session, actor, KEYS, now)
    secret = enrolment_secret(session, actor, KEYS) or ""
    confirm_enrolment(session, actor, _code(now, secret), KEYS, lifetime=LIFETIME, now=now)
    session.expire_all()
    assert session.get_one(LoginSession, elsewhere.id).revoked_at == now


def test_a_wrong_first_code_enrols_nothing(session: Session, now: datetime) -> None:
    user = make_officer(session)
    actor = _halfway(session, user, now)
    with pytest.raises(NotEnrolled):
        confirm_enrolment(session, actor, "123456", KEYS, lifetime=LIFETIME, now=now)
    begin_enrolment(session, actor, KEYS, now)
    outcome = confirm_enrolment(session, actor, "abc", KEYS, lifetime=LIFETIME, now=now)
    assert isinstance(outcome, WrongCode)
    assert user.totp_confirmed_at is None


def test_the_app_is_told_issuer_and_account() -> None:
    assert enrolment_uri(TOTP_SECRET, "budi@contoh.invalid") == (
        f"otpauth://totp/Canting:budi%40contoh.invalid?secret={TOTP_SECRET}&issuer=Canting"
    )


def test_a_code_opens_a_full_session(session: Session, officer: User, now: datetime) -> None:
    actor = _halfway(session, officer, now)
    opened = _check(session, actor, _code(now), now)
    assert isinstance(opened, NewSession)
    assert opened.expires_at == now + LIFETIME
    assert session.get_one(LoginSession, actor.session_id).revoked_at == now


def test_a_code_is_accepted_once(session: Session, officer: User, now: datetime) -> None:
    assert isinstance(_check(session, _halfway(session, officer, now), _code(now), now), NewSession)
    again = _check(session, _halfway(session, officer, now), _code(now), now + timedelta(seconds=1))
    assert isinstance(again, WrongCode)


def test_an_earlier_code_is_refused_after_a_later_one(session: Session, officer: User, now: datetime) -> None:
    assert isinstance(_check(session, _halfway(session, officer, now), _code(now), now), NewSession)
    assert isinstance(_check(session, _halfway(session, officer, now), _code(now - STEP), now), WrongCode)
    next_code = _code(now + STEP)
    assert isinstance(_check(session, _halfway(session, officer, now), next_code, now), NewSession)


@pytest.mark.parametrize("steps", [-2, 2])
def test_a_code_two_steps_off_the_clock_is_refused(
    session: Session, officer: User, now: datetime, steps: int
) -> None:
    actor = _halfway(session, officer, now)
    assert isinstance(_check(session, actor, _code(now + steps * STEP), now), WrongCode)


def test_wrong_codes_lock_the_account(session: Session, officer: User, now: datetime) -> None:
    actor = _halfway(session, officer, now)
    for _ in range(ATTEMPTS_BEFORE_LOCK):
        assert isinstance(_check(session, actor, "x", now), WrongCode)
    assert officer.locked_until == now + LOCK_TIME
    assert isinstance(_check(session, actor, _code(now), now), WrongCode)
    later = now + LOCK_TIME
    assert isinstance(_check(session, actor, _code(later), later), NewSession)


def test_a_recovery_code_works_once_however_it_is_typed(
    session: Session, officer: User, now: datetime
) -> None:
    actor = _halfway(session, officer, now)
    codes = renew_recovery_codes(session, actor, _code(now), KEYS, now)
    assert isinstance(codes, list)
    typed = codes[0].lower().replace("-", " ")
    assert isinstance(_check(session, actor, typed, now), NewSession)
    assert isinstance(_check(session, actor, codes[0], now), WrongCode)
    assert unused_recovery_codes(session, actor) == 9
    assert session.exec(select(MailMessage)).one().template == "recovery_code_used"


def test_one_persons_recovery_code_is_no_use_to_another(
    session: Session, officer: User, now: datetime
) -> None:
    codes = renew_recovery_codes(session, _halfway(session, officer, now), _code(now), KEYS, now)
    assert isinstance(codes, list)
    other = make_citizen(session)
    other.totp_secret, other.totp_confirmed_at = seal(pyotp.random_base32(), KEYS, str(other.id)), now
    assert isinstance(_check(session, _halfway(session, other, now), codes[0], now), WrongCode)


def test_only_citizens_may_turn_it_off(session: Session, officer: User, now: datetime) -> None:
    with pytest.raises(SecondFactorObligatory):
        remove_second_factor(session, _halfway(session, officer, now), _code(now), KEYS, now)
    citizen = make_citizen(session)
    citizen.totp_secret, citizen.totp_confirmed_at = seal(TOTP_SECRET, KEYS, str(citizen.id)), now
    actor = _halfway(session, citizen, now)
    assert isinstance(remove_second_factor(session, actor, "x", KEYS, now), WrongCode)
    assert remove_second_factor(session, actor, _code(now), KEYS, now) is None
    assert (citizen.totp_secret, citizen.totp_confirmed_at) == (None, None)


def _halfway(session: Session, user: User, now: datetime) -> Actor:
    opened = open_session(session, user, lifetime=LIFETIME, device="Uji", now=now)
    return actor_of_user(session, user, session_id=opened.id, needs_second_factor=True)


def _check(session: Session, actor: Actor, code: str, now: datetime) -> NewSession | ServiceError:
    return check_second_factor(session, actor, code, KEYS, lifetime=LIFETIME, now=now)


def _code(moment: datetime, secret: str = TOTP_SECRET) -> str:
    return pyotp.TOTP(secret).at(moment)
