"""One-time links: once, in time, unaltered, for their purpose."""

import uuid
from datetime import datetime, timedelta

import pytest
from factories import make_citizen
from sqlmodel import Session

from service.accounts.links import LinkNotValid, create_link, link_token, one_time_address, read_link
from service.accounts.models import OneTimeLink, User
from service.config import Settings

SECRET = "a-secret-of-the-tests-0123456789abcdef"
HOUR = timedelta(hours=1)


@pytest.fixture
def user(session: Session) -> User:
    return make_citizen(session)


@pytest.fixture
def link(session: Session, user: User, now: datetime) -> OneTimeLink:
    return create_link(session, user, "reset-password", HOUR, now)


def test_an_open_link_leads_to_its_account(
    session: Session, user: User, link: OneTimeLink, now: datetime
) -> None:
    token = link_token(link.id, "reset-password", SECRET)
    assert read_link(session, token, "reset-password", SECRET, now) == (link, user)


def test_a_used_link_is_refused(session: Session, link: OneTimeLink, now: datetime) -> None:
    link.used_at = now
    session.flush()
    _refused(session, link_token(link.id, "reset-password", SECRET), now)


def test_a_link_is_refused_from_its_expiry_on(session: Session, link: OneTimeLink, now: datetime) -> None:
    token = link_token(link.id, "reset-password", SECRET)
    assert read_link(session, token, "reset-password", SECRET, now + HOUR - timedelta(seconds=1))
    _refused(session, token, now + HOUR)


def test_a_newer_link_replaces_the_older(
    session: Session, user: User, link: OneTimeLink, now: datetime
) -> None:
    create_link(session, user, "reset-password", HOUR, now)
    _refused(session, link_token(link.id, "reset-password", SECRET), now)


def test_a_link_of_another_purpose_is_refused(session: Session, link: OneTimeLink, now: datetime) -> None:
    _refused(session, link_token(link.id, "confirm-email", SECRET), now)
    with pytest.raises(LinkNotValid):
        read_link(session, link_token(link.id, "confirm-email", SECRET), "confirm-email", SECRET, now)


def test_a_disabled_account_has_no_working_link(
    session: Session, user: User, link: OneTimeLink, now: datetime
) -> None:
    user.disabled_at = now
    session.flush()
    _refused(session, link_token(link.id, "reset-password", SECRET), now)


def test_every_altered_token_is_refused(session: Session, link: OneTimeLink, now: datetime) -> None:
    token = link_token(link.id, "reset-password", SECRET)
    for place in range(len(token) - 1):  # The last base64 character carries bits that do not count.
        _refused(session, token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :], now)
    for other in ("", ".", link.id.hex, token + "x", "é" * 40):
        _refused(session, other, now)
    _refused(session, link_token(link.id, "reset-password", "another-secret-of-32-characters-x"), now)
    _refused(session, link_token(uuid.uuid4(), "reset-password", SECRET), now)


def test_mail_writes_the_address_from_the_reference(settings: Settings, link: OneTimeLink) -> None:
    address = one_time_address(settings)("reset-password", str(link.id))
    token = link_token(link.id, "reset-password", settings.secret_key.get_secret_value())
    assert address == f"http://testserver/reset-password/{token}"


def _refused(session: Session, token: str, now: datetime) -> None:
    with pytest.raises(LinkNotValid):
        read_link(session, token, "reset-password", SECRET, now)
