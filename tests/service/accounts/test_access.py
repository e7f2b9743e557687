"""Who gets in: sessions and tokens at each request, CSRF, scopes."""

import re
import uuid
from dataclasses import replace
from datetime import timedelta

import pytest
from factories import make_citizen, make_officer, sign_in
from fastapi.testclient import TestClient
from sqlalchemy import Engine
from sqlmodel import col, delete, update

from service import clock
from service.accounts.access import (
    ADMINISTRATORS,
    CITIZENS,
    OFFICERS,
    PUBLIC,
    SECOND_FACTOR,
    SESSION_COOKIE,
    SESSION_ONLY,
    SIGNED_IN,
    VISITOR,
    Actor,
    Policy,
    SecondFactorRequired,
    authorise,
    roles,
    token_hash,
)
from service.accounts.models import ApiToken, LoginSession, RoleAssignment, User
from service.config import Settings
from service.database import transaction
from service.errors import AccessDenied, ServiceError, SignInRequired
from service.web import CSRF_COOKIE, CSRF_HEADER

YEAR = timedelta(days=365)

SOMEBODY = uuid.UUID(int=1)
CITIZEN = Actor(SOMEBODY, "Siti", "citizen")
CLERK = Actor(SOMEBODY, "Budi", "officer", frozenset({"front_office"}))
ADMIN = Actor(SOMEBODY, "Ani", "officer", frozenset({"administrator"}))
ROLELESS = Actor(SOMEBODY, "Budi", "officer")
HALFWAY = replace(ADMIN, needs_second_factor=True)
READER = replace(CITIZEN, scopes=frozenset({"read"}))
POWERLESS = replace(CITIZEN, scopes=frozenset({"administer", "review"}))


@pytest.mark.parametrize(
    ("policy", "allowed"),
    [
        (PUBLIC, [VISITOR, CITIZEN, CLERK, ADMIN, ROLELESS, HALFWAY, READER, POWERLESS]),
        (SIGNED_IN, [CITIZEN, CLERK, ADMIN, ROLELESS, READER]),
        (SESSION_ONLY, [CITIZEN, CLERK, ADMIN, ROLELESS]),
        (SECOND_FACTOR, [CITIZEN, CLERK, ADMIN, ROLELESS, HALFWAY]),
        (CITIZENS, [CITIZEN]),
        (OFFICERS, [CLERK, ADMIN]),
        (ADMINISTRATORS, [ADMIN]),
        (roles("front_office", "back_office"), [CLERK]),
    ],
    ids=lambda value: value.name if isinstance(value, Policy) else "",
)
def test_each_policy_lets_in_whom_it_names_and_nobody_else(policy: Policy, allowed: list[Actor]) -> None:
    for actor in (VISITOR, CITIZEN, CLERK, ADMIN, ROLELESS, HALFWAY, READER, POWERLESS):
        if actor in allowed:
            authorise(actor, policy)
        else:
            with pytest.raises(ServiceError) as refusal:
                authorise(actor, policy)
            assert refusal.value.status in {401, 403}


def test_refusals_say_what_to_do() -> None:
    for actor, expected in (
        (VISITOR, SignInRequired),
        (HALFWAY, SecondFactorRequired),
        (CLERK, AccessDenied),
    ):
        with pytest.raises(expected):
            authorise(actor, ADMINISTRATORS)


def test_to_public_pages_a_session_halfway_in_is_nobodys() -> None:
    assert authorise(HALFWAY, PUBLIC) is VISITOR


@pytest.fixture
def citizen(client: TestClient, engine: Engine) -> User:
    """A citizen, signed in at the client."""
    with transaction(engine) as session:
        user = make_citizen(session)
    sign_in(client, user)
    return user


def test_a_revoked_session_is_refused_at_once(client: TestClient, engine: Engine, citizen: User) -> None:
    assert client.get("/api/v1/me").json()["id"] == str(citizen.id)
    with transaction(engine) as session:
        session.execute(update(LoginSession).values(revoked_at=clock.now()))
    assert client.get("/api/v1/me").status_code == 401


def test_an_expired_session_is_refused(client: TestClient, engine: Engine) -> None:
    with transaction(engine) as session:
        user = make_citizen(session)
    sign_in(client, user, hours=0)
    assert client.get("/api/v1/me").status_code == 401


def test_a_disabled_account_is_refused_at_once(client: TestClient, engine: Engine, citizen: User) -> None:
    with transaction(engine) as session:
        session.get_one(User, citizen.id).disabled_at = clock.now()
    assert client.get("/api/v1/me").status_code == 401


def test_a_guessed_cookie_is_nobodys(client: TestClient) -> None:
    client.cookies.set(SESSION_COOKIE, "x" * 43)
    assert client.get("/api/v1/me").status_code == 401


def test_a_role_taken_away_is_gone_at_the_next_request(
    client: TestClient, engine: Engine, settings: Settings
) -> None:
    with transaction(engine) as session:
        officer = make_officer(session, ["administrator"], settings=settings)
    sign_in(client, officer)
    assert client.get("/api/v1/officers").status_code == 200
    with transaction(engine) as session:
        session.execute(delete(RoleAssignment).where(col(RoleAssignment.user_id) == officer.id))
    assert client.get("/api/v1/officers").status_code == 403


# CSRF ---------------------------------------------------------------------------------------------


def test_a_form_without_its_token_is_refused(client: TestClient, citizen: User) -> None:
    del client.headers[CSRF_HEADER]
    refused = client.post("/account/profile", data={"full_name": "Siti Palsu"})
    assert refused.status_code == 403
    for wrong in ("", "0" * 64, "ä"):
        form = {"full_name": "Siti Palsu", "csrf_token": wrong}
        assert client.post("/account/profile", data=form).status_code == 403
    assert "Siti Palsu" not in client.get("/account").text


def test_a_form_with_its_token_passes(client: TestClient, citizen: User) -> None:
    del client.headers[CSRF_HEADER]
    page = client.get("/account/profile").text
    token = re.search(r'name="csrf_token" value="([0-9a-f]{64})"', page)
    assert token is not None
    form = {"full_name": "Siti Benar", "csrf_token": token[1]}
    assert client.post("/account/profile", data=form).status_code == 303
    assert "Siti Benar" in client.get("/account").text


def test_a_token_of_another_browser_is_refused(client: TestClient, citizen: User) -> None:
    client.cookies.set(CSRF_COOKIE, "another browser's cookie")
    assert client.post("/account/profile", data={"full_name": "Siti Palsu"}).status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_is_refused_even_with_the_token(client: TestClient, citizen: User, site: str) -> None:
    headers = {"sec-fetch-site": site}
    assert client.post("/account/profile", data={"full_name": "x"}, headers=headers).status_code == 403


def test_signing_in_from_another_site_is_refused_without_any_cookie(client: TestClient) -> None:
    headers = {"sec-fetch-site": "cross-site"}
    assert client.post("/sign-in", data={"email": "a@b.id"}, headers=headers).status_code == 403


# API tokens ---------------------------------------------------------------------------------------


def _bearer(client: TestClient, engine: Engine, user: User, scopes: list[str], **changes: object) -> None:
    """Give the client a token of the user, and nothing else."""
    row = ApiToken(
        user_id=user.id,
        name="Uji",
        token_hash=token_hash("canting_secret"),
        scopes=scopes,
        created_at=clock.now(),
        expires_at=clock.now() + YEAR,
    ).sqlmodel_update(changes)
    with transaction(engine) as session:
        session.add(row)
    client.cookies.clear()
    client.headers["authorization"] = "Bearer canting_secret"


@pytest.mark.parametrize(("scopes", "status"), [(["read"], 200), (["apply"], 403), ([], 403)])
def test_a_token_opens_what_its_scopes_name(
    client: TestClient, engine: Engine, citizen: User, scopes: list[str], status: int
) -> None:
    _bearer(client, engine, citizen, scopes)
    assert client.get("/api/v1/me").status_code == status


def test_a_token_cannot_make_tokens(client: TestClient, engine: Engine, citizen: User) -> None:
    _bearer(client, engine, citizen, ["read", "apply"])
    body = {"name": "x", "scopes": ["read"], "expires_on": "2027-01-01"}
    assert client.get("/api/v1/tokens").status_code == 403
    assert client.post("/api/v1/tokens", json=body).status_code == 403
    assert client.get("/account").status_code == 403


def test_a_tokens_scope_gives_no_role(client: TestClient, engine: Engine, citizen: User) -> None:
    _bearer(client, engine, citizen, ["administer"])
    assert client.get("/api/v1/officers").status_code == 403


@pytest.mark.parametrize("field", ["revoked_at", "expires_at"])
def test_a_token_that_does_not_hold_is_refused_not_ignored(
    client: TestClient, engine: Engine, citizen: User, field: str
) -> None:
    _bearer(client, engine, citizen, ["read"], **{field: clock.now()})
    assert client.get("/api/v1/me").status_code == 401
    assert client.get("/healthz").status_code == 401


def test_a_disabled_owners_token_is_refused(client: TestClient, engine: Engine, citizen: User) -> None:
    _bearer(client, engine, citizen, ["read"])
    with transaction(engine) as session:
        session.get_one(User, citizen.id).disabled_at = clock.now()
    assert client.get("/api/v1/me").status_code == 401
