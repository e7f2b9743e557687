"""Registering, confirming, resetting: what each mailbox learns, and what nobody else does."""

from datetime import datetime, timedelta

import pytest
from factories import PASSWORD, actor_of, make_citizen, make_officer
from sqlmodel import Session, select

from service.accounts.links import LinkNotValid, link_token
from service.accounts.models import Kind, LoginSession, OneTimeLink, User
from service.accounts.passwords import prove_password
from service.accounts.register import (
    Registration,
    change_profile,
    confirm_email,
    register_citizen,
    request_password_reset,
    resend_confirmation,
    reset_password,
)
from service.accounts.sessions import open_session
from service.audit import events_of
from service.errors import InvalidInput
from service.mail import MailMessage

SECRET = "a-secret-of-the-tests-0123456789abcdef"
LATER = timedelta(minutes=10)
REGISTRATION = Registration("  Siti   Contoh ", " Siti.Baru@Contoh.invalid", PASSWORD, consent=True)


def test_a_citizen_registers_and_confirms(session: Session, now: datetime) -> None:
    register_citizen(session, REGISTRATION, now)
    user = _user(session)
    assert (user.kind, user.full_name, user.email_confirmed_at) == (Kind.CITIZEN, "Siti Contoh", None)
    assert _letters(session, user) == ["confirm_email"]
    confirm_email(session, _token(session, user, "confirm-email"), SECRET, now)
    assert user.email_confirmed_at == now
    recorded = {event.action: event.data for event in events_of(session, "account", user.id)}
    assert recorded == {"registered": {"privacy_notice": "2026-11"}, "email_confirmed": {}}


def test_a_confirmation_link_works_once(session: Session, now: datetime) -> None:
    register_citizen(session, REGISTRATION, now)
    token = _token(session, _user(session), "confirm-email")
    confirm_email(session, token, SECRET, now)
    with pytest.raises(LinkNotValid):
        confirm_email(session, token, SECRET, now)


def test_every_wrong_field_is_named(session: Session, now: datetime) -> None:
    with pytest.raises(InvalidInput) as refusal:
        register_citizen(session, Registration("", "bukan-surel", "pendek", consent=False), now)
    assert [problem.field for problem in refusal.value.problems] == [
        "full_name",
        "email",
        "password",
        "consent",
    ]


@pytest.mark.parametrize(
    "email",
    [
        "a@b",
        "a b@contoh.id",
        "a@@contoh.id",
        "a@contoh.id\nBcc: b@contoh.id",
        "<a@contoh.id>",
        ".a@contoh.id",
        "é@contoh.id",
    ],
)
def test_addresses_that_mail_could_not_reach_are_refused(session: Session, now: datetime, email: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        register_citizen(session, Registration("Siti", email, PASSWORD, consent=True), now)
    assert [problem.field for problem in refusal.value.problems] == ["email"]


def test_a_registered_address_keeps_its_account_and_gets_another_letter(
    session: Session, now: datetime
) -> None:
    user = make_citizen(session, email="siti.baru@contoh.invalid", full_name="Siti Lama")
    before = user.password_hash
    register_citizen(session, REGISTRATION, now)
    assert (user.full_name, user.password_hash) == ("Siti Lama", before)
    assert _letters(session, user) == ["already_registered"]


def test_an_officers_address_cannot_be_taken_by_registering(session: Session, now: datetime) -> None:
    officer = make_officer(session, email="siti.baru@contoh.invalid")
    officer.email_confirmed_at = None
    session.flush()
    register_citizen(session, REGISTRATION, now)
    assert officer.kind == Kind.OFFICER
    assert _letters(session, officer) == ["already_registered"]


def test_an_unconfirmed_registration_is_replaced(session: Session, now: datetime) -> None:
    register_citizen(session, REGISTRATION, now)
    again = Registration("Siti Betul", REGISTRATION.email, "gamelan di alun-alun", consent=True)
    register_citizen(session, again, now + LATER)
    user = _user(session)
    assert user.full_name == "Siti Betul"
    assert prove_password(session, user.email, "gamelan di alun-alun").matches
    assert _letters(session, user) == ["confirm_email", "confirm_email"]


def test_a_mailbox_cannot_be_flooded(session: Session, now: datetime) -> None:
    register_citizen(session, REGISTRATION, now)
    for seconds in range(1, 60, 10):
        resend_confirmation(session, REGISTRATION.email, now + timedelta(seconds=seconds))
    user = _user(session)
    assert _letters(session, user) == ["confirm_email"]
    resend_confirmation(session, REGISTRATION.email, now + LATER)
    assert _letters(session, user) == ["confirm_email", "confirm_email"]


def test_asking_for_what_is_not_there_sends_nothing(session: Session, now: datetime) -> None:
    resend_confirmation(session, "tak.dikenal@contoh.invalid", now)
    request_password_reset(session, "tak.dikenal@contoh.invalid", now)
    confirmed = make_citizen(session)
    resend_confirmation(session, confirmed.email, now)
    disabled = make_citizen(session)
    disabled.disabled_at = now
    request_password_reset(session, disabled.email, now)
    assert session.exec(select(MailMessage)).all() == []


def test_a_reset_ends_every_session_and_the_lock(session: Session, now: datetime) -> None:
    user = make_citizen(session)
    user.locked_until = now + LATER
    open_session(session, user, lifetime=timedelta(hours=12), device="", now=now)
    request_password_reset(session, user.email, now)
    token = _token(session, user, "reset-password")
    reset_password(session, token, "gamelan di alun-alun", SECRET, now)
    assert prove_password(session, user.email, "gamelan di alun-alun").matches
    assert user.locked_until is None
    assert [row.revoked_at for row in session.exec(select(LoginSession))] == [now]
    assert _letters(session, user) == ["reset_password", "password_changed"]
    with pytest.raises(LinkNotValid):
        reset_password(session, token, "wayang kulit semalam suntuk", SECRET, now)


def test_a_weak_new_password_leaves_the_link_usable(session: Session, now: datetime) -> None:
    user = make_citizen(session)
    request_password_reset(session, user.email, now)
    token = _token(session, user, "reset-password")
    with pytest.raises(InvalidInput):
        reset_password(session, token, "pendek", SECRET, now)
    reset_password(session, token, "gamelan di alun-alun", SECRET, now)


def test_a_reset_link_holds_for_an_hour(session: Session, now: datetime) -> None:
    user = make_citizen(session)
    request_password_reset(session, user.email, now)
    with pytest.raises(LinkNotValid):
        reset_password(
            session,
            _token(session, user, "reset-password"),
            "gamelan di alun-alun",
            SECRET,
            now + timedelta(hours=1),
        )


def test_letters_to_unconfirmed_mailboxes_carry_no_words_of_the_registrant(
    session: Session, now: datetime
) -> None:
    register_citizen(session, Registration("Menang undian", "siti@contoh.invalid", PASSWORD, True), now)
    assert "undian" not in str(session.exec(select(MailMessage)).one().context)


def test_an_officers_name_is_not_theirs_to_change(session: Session, now: datetime) -> None:
    officer = make_officer(session, full_name="Budi Contoh")
    change_profile(session, actor_of(session, officer), full_name="Wali Kota", language="en", now=now)
    assert (officer.full_name, officer.language) == ("Budi Contoh", "en")


def _user(session: Session) -> User:
    return session.exec(select(User).where(User.email == "siti.baru@contoh.invalid")).one()


def _letters(session: Session, user: User) -> list[str]:
    rows = session.exec(select(MailMessage).where(MailMessage.to_address == user.email))
    return [row.template for row in sorted(rows, key=lambda row: row.created_at)]


def _token(session: Session, user: User, purpose: str) -> str:
    links = session.exec(
        select(OneTimeLink).where(OneTimeLink.user_id == user.id, OneTimeLink.purpose == purpose)
    )
    latest = max(links, key=lambda link: link.created_at)
    return link_token(latest.id, purpose, SECRET)
