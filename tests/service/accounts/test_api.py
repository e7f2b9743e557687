"""The accounts' JSON routes: the same verbs, problem details for refusals."""

import time
from datetime import timedelta

import pyotp
import pytest
from factories import PASSWORD, TOTP_SECRET, make_citizen, make_officer, sign_in
from fastapi.testclient import TestClient
from sqlalchemy import Engine
from sqlmodel import select

from service import clock
from service.accounts.models import LoginSession, User
from service.clock import city_date
from service.config import Settings
from service.database import reading, transaction


def test_a_citizen_signs_in_and_out(client: TestClient, engine: Engine) -> None:
    with transaction(engine) as session:
        user = make_citizen(session)
    opened = client.post("/api/v1/sessions", json={"email": user.email, "password": PASSWORD})
    assert opened.status_code == 201
    assert opened.json()["account"]["id"] == str(user.id)
    assert client.get("/api/v1/me").json()["email"] == user.email
    assert client.delete("/api/v1/sessions/current").status_code == 403
    headers = {"x-csrf-token": opened.json()["csrf_token"]}
    assert client.delete("/api/v1/sessions/current", headers=headers).status_code == 204
    assert client.get("/api/v1/me").status_code == 401


def test_an_officer_signs_in_with_password_and_code(
    client: TestClient, engine: Engine, settings: Settings
) -> None:
    with transaction(engine) as session:
        officer = make_officer(session, ["back_office"], settings=settings)
    body = {"email": officer.email, "password": PASSWORD}
    refused = client.post("/api/v1/sessions", json=body)
    assert (refused.status_code, refused.json()["code"]) == (401, "second_factor_required")
    refused = client.post("/api/v1/sessions", json=body | {"code": "000"})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/code")
    assert "set-cookie" not in refused.headers or "canting_session" not in refused.headers["set-cookie"]
    code = pyotp.TOTP(TOTP_SECRET).at(int(time.time()))
    opened = client.post("/api/v1/sessions", json=body | {"code": code})
    assert opened.json()["account"]["roles"] == ["back_office"]
    with reading(engine) as session:
        open_rows = [row for row in session.exec(select(LoginSession)) if row.revoked_at is None]
        assert session.get_one(User, officer.id).failed_attempts == 0
    assert [row.second_factor_at is not None for row in open_rows] == [True]


def test_an_officer_without_totp_is_sent_to_the_browser(client: TestClient, engine: Engine) -> None:
    with transaction(engine) as session:
        officer = make_officer(session)
    body = {"email": officer.email, "password": PASSWORD}
    refused = client.post("/api/v1/sessions", json=body)
    assert refused.json()["code"] == "second_factor_not_enrolled"


def test_a_wrong_password_is_counted_and_quotes_nothing(client: TestClient, engine: Engine) -> None:
    with transaction(engine) as session:
        user = make_citizen(session)
    canary = "burung kenari 7f3a"
    refused = client.post("/api/v1/sessions", json={"email": user.email, "password": canary})
    assert (refused.status_code, refused.json()["code"]) == (401, "wrong_credentials")
    assert refused.headers["content-type"] == "application/problem+json"
    assert canary not in refused.text
    malformed = client.post("/api/v1/sessions", json={"email": user.email, "password": [canary]})
    assert malformed.status_code == 422
    assert canary not in malformed.text
    with reading(engine) as session:
        assert session.get_one(User, user.id).failed_attempts == 1


def test_tokens_are_made_listed_used_and_revoked(client: TestClient, engine: Engine) -> None:
    with transaction(engine) as session:
        user = make_citizen(session)
    sign_in(client, user)
    day = (city_date(clock.now()) + timedelta(days=30)).isoformat()
    body = {"name": "Laporan", "scopes": ["read"], "expires_on": day}
    created = client.post("/api/v1/tokens", json=body).json()
    bearer = {"authorization": f"Bearer {created['token']}"}
    assert client.get("/api/v1/me", headers=bearer).json()["scopes"] == ["read"]
    listed = client.get("/api/v1/tokens").json()
    assert [(item["id"], "token" in item) for item in listed] == [(created["id"], False)]
    assert client.delete(f"/api/v1/tokens/{created['id']}").status_code == 204
    assert client.get("/api/v1/me", headers=bearer).status_code == 401
    refused = client.post("/api/v1/tokens", json=body | {"expires_on": "9999-12-31", "scopes": ["sign"]})
    assert {item["pointer"] for item in refused.json()["errors"]} == {"/scopes", "/expires_on"}


def test_an_administrator_keeps_officers(client: TestClient, engine: Engine, settings: Settings) -> None:
    with transaction(engine) as session:
        administrator = make_officer(session, ["administrator"], settings=settings)
    sign_in(client, administrator)
    body = {"email": "budi@contoh.invalid", "full_name": "Budi Contoh", "roles": ["front_office"]}
    created = client.post("/api/v1/officers", json=body)
    assert created.status_code == 201
    place = f"/api/v1/officers/{created.json()['id']}"
    changed = client.put(place, json={"full_name": "Budi Contoh", "roles": ["back_office"], "rank": "Penata"})
    assert (changed.json()["roles"], changed.json()["rank"]) == (["back_office"], "Penata")
    assert client.post(f"{place}/disable").status_code == 204
    assert client.get(place).json()["disabled_at"] is not None
    assert client.post(f"{place}/enable").status_code == 204
    assert client.post(f"{place}/reset-second-factor").status_code == 204
    assert client.get("/api/v1/officers", params={"search": "budi@"}).json()["total"] == 1
    own = f"/api/v1/officers/{administrator.id}"
    refused = client.put(own, json={"full_name": "Ani", "roles": ["front_office"]})
    assert (refused.status_code, refused.json()["code"]) == (409, "own_account")


@pytest.mark.parametrize("path", ["", "/00000000-0000-0000-0000-000000000001"])
def test_officers_are_kept_from_citizens_and_other_officers(
    client: TestClient, engine: Engine, settings: Settings, path: str
) -> None:
    path = f"/api/v1/officers{path}"
    assert client.get(path).status_code == 401
    with transaction(engine) as session:
        others = [make_citizen(session), make_officer(session, ["department_head"], settings=settings)]
    for other in others:
        sign_in(client, other)
        assert client.get(path).status_code == 403
