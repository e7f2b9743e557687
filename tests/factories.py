"""Rows that tests start from, made as plainly as possible. Every text is made up."""

import itertools
from datetime import UTC, datetime, timedelta
from functools import cache

from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from sqlmodel import Session

from service import clock
from service.accounts.access import SESSION_COOKIE, Actor, actor_of_user, uses_second_factor
from service.accounts.models import Kind, RoleAssignment, User
from service.accounts.passwords import hash_password
from service.accounts.second_factor import enrol_totp_directly
from service.accounts.sessions import open_session
from service.config import Settings, parse_wrapping_keys
from service.database import transaction
from service.web import CSRF_COOKIE, CSRF_HEADER, csrf_token

PASSWORD = "kuda lumping menari riang"
TOTP_SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
LONG_AGO = datetime(2026, 1, 5, 2, 0, tzinfo=UTC)

_numbers = itertools.count(1)


@cache
def password_hash() -> str:
    """Hash the tests' password once: hashing is slow on purpose."""
    return hash_password(PASSWORD)


def make_citizen(
    session: Session,
    *,
    email: str | None = None,
    full_name: str = "Siti Contoh",
    confirmed: bool = True,
    language: str = "id",
) -> User:
    """Make a citizen whose password is PASSWORD."""
    user = User(
        kind=Kind.CITIZEN,
        email=email or f"warga{next(_numbers)}@contoh.invalid",
        full_name=full_name,
        language=language,
        password_hash=password_hash(),
        created_at=LONG_AGO,
        email_confirmed_at=LONG_AGO if confirmed else None,
    )
    session.add(user)
    session.flush()
    return user


def make_officer(
    session: Session,
    roles: tuple[str, ...] | list[str] = ("front_office",),
    *,
    email: str | None = None,
    full_name: str = "Budi Contoh",
    settings: Settings | None = None,
    position: str | None = None,
    agency: str | None = None,
    key_name: str | None = None,
) -> User:
    """Make an officer whose password is PASSWORD; with `settings`, TOTP_SECRET is enrolled too."""
    user = User(
        kind=Kind.OFFICER,
        email=email or f"petugas{next(_numbers)}@contoh.invalid",
        full_name=full_name,
        password_hash=password_hash(),
        created_at=LONG_AGO,
        email_confirmed_at=LONG_AGO,
        position=position,
        agency=agency,
        key_name=key_name,
    )
    session.add(user)
    session.flush()
    for role in roles:
        session.add(RoleAssignment(user_id=user.id, role=role))
    session.flush()
    if settings is not None:
        keys = parse_wrapping_keys(settings.wrapping_keys.get_secret_value())
        enrol_totp_directly(session, user, TOTP_SECRET, keys, LONG_AGO)
    return user


def actor_of(session: Session, user: User) -> Actor:
    """Return the actor that a user signed in by browser would be, for calling verbs."""
    return actor_of_user(session, user)


def sign_in(client: TestClient, user: User, *, hours: int = 12) -> None:
    """Sign the client in as the user, as if password and code had been given, and let its forms pass.

    The user's row must be committed in the app's own database (`with transaction(engine)`).
    """
    moment = clock.now()
    with transaction(app_of(client).state.engine) as session:
        opened = open_session(
            session,
            user,
            lifetime=timedelta(hours=hours),
            device="Uji",
            now=moment,
            second_factor=uses_second_factor(user),
        )
    client.cookies.set(SESSION_COOKIE, opened.token)
    let_forms_pass(client)


def let_forms_pass(client: TestClient) -> str:
    """Give the client a CSRF cookie and send its token along with every request; return the token."""
    cookie = "a-random-cookie-of-the-tests"
    headers = [(b"cookie", f"{CSRF_COOKIE}={cookie}".encode())]
    token = csrf_token(Request({"type": "http", "app": app_of(client), "headers": headers}))
    client.cookies.set(CSRF_COOKIE, cookie)
    client.headers[CSRF_HEADER] = token
    return token


def app_of(client: TestClient) -> FastAPI:
    app = client.app
    assert isinstance(app, FastAPI)
    return app
