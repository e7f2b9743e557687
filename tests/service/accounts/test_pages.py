"""The way in, over HTTP, with the real app and the real mail rows."""

import re

import pytest
from factories import make_citizen, make_officer, sign_in
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from service.database import transaction

ACCOUNT_PAGES = [
    "/account",
    "/account/profile",
    "/account/password",
    "/account/second-factor",
    "/account/tokens",
]
PUBLIC_PAGES = ["/register", "/confirm-email", "/sign-in", "/forgot-password"]
LABELS = re.compile(r'<label[^>]*for="([^"]+)"')


@pytest.mark.parametrize("path", PUBLIC_PAGES)
@pytest.mark.parametrize("language", ["id", "en"])
def test_public_pages_open(client: TestClient, path: str, language: str) -> None:
    answer = client.get(path, params={"lang": language})
    assert answer.status_code == 200
    assert f'lang="{language}"' in answer.text


@pytest.mark.parametrize("path", ACCOUNT_PAGES)
def test_account_pages_open(client: TestClient, engine: Engine, path: str) -> None:
    with transaction(engine) as session:
        citizen = make_citizen(session)
    sign_in(client, citizen)
    assert client.get(path).status_code == 200


def test_admin(client, engine, settings):
    with transaction(engine) as session:
        officer = make_officer(session, ["administrator"], settings=settings)
    sign_in(client, officer)
    for p in [
        "/admin/officers",
        "/admin/officers/new",
        f"/admin/officers/{officer.id}",
        "/account",
        "/account/second-factor",
        "/account/tokens",
    ]:
        r = client.get(p)
        assert r.status_code == 200, (p, r.text)
