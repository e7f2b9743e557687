"""Evidence is given to the holder and to officers of the case, at each door, and each giving is recorded."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import cases
import pytest
from bundles import Lived, live, unpack
from cryptography import x509
from factories import actor_of, app_of, make_citizen, make_officer, sign_in
from fastapi.testclient import TestClient
from sqlalchemy import Engine
from sqlmodel import select

from service.app import create_app
from service.audit import AuditEvent
from service.config import Settings
from service.database import reading, transaction
from service.pki.register import revoke_certificate
from service.storage import open_storage


@contextmanager
def serving(lived: Lived, settings: Settings) -> Iterator[TestClient]:
    """A client of the service over a permit's own archive and keys."""
    folder = lived.archive.storage.folder
    assert folder
    update = {"keys_folder": lived.keys.folder, "storage_url": folder.as_uri()}
    with TestClient(create_app(settings.model_copy(update=update), lived.archive.engine)) as client:
        yield client


@pytest.fixture
def client(lived: Lived, settings: Settings) -> Iterator[TestClient]:
    with serving(lived, settings) as client:
        yield client


def addresses(lived: Lived) -> tuple[str, str]:
    code = lived.permit.code
    return f"/api/v1/permits/{code}/evidence", f"/permits/{code}/evidence"


def test_the_holder_and_officers_of_the_case_have_it(client: TestClient, lived: Lived) -> None:
    reviewer = lived.city.officers["back_office"]
    for user in (lived.city.citizen, reviewer, lived.city.head):
        sign_in(client, user)
        for address in addresses(lived):
            answer = client.get(address)
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "application/zip"
            assert answer.headers["cache-control"] == "private, no-store"
            assert "documents/02.pdf" in unpack(answer.content)
        assert (
            f'href="/permits/{lived.permit.code}/evidence"'
            in client.get(f"/permits/{lived.permit.code}").text
        )
    with reading(lived.archive.engine) as session:
        given = session.exec(select(AuditEvent).where(AuditEvent.action == "evidence_given")).all()
    people = (lived.city.citizen, reviewer, lived.city.head)
    assert [event.actor_id for event in given][-6:] == [user.id for user in people for _ in range(2)]


def test_nobody_else_has_it(client: TestClient, lived: Lived) -> None:
    with transaction(lived.archive.engine) as session:
        stranger = make_citizen(session)
        officers = [make_officer(session, [role]) for role in ("complaint_officer", "administrator")]
    for user in (stranger, *officers):
        sign_in(client, user)
        api, page = addresses(lived)
        assert client.get(api).json()["code"] == "permit_not_found"
        assert client.get(page).status_code == 404
        assert "/evidence" not in client.get(f"/permits/{lived.permit.code}").text
    client.cookies.clear()
    assert client.get(addresses(lived)[0]).status_code == 401


def test_what_is_missing_refuses_it_before_the_first_byte(client: TestClient, lived: Lived) -> None:
    sign_in(client, lived.city.citizen)
    folder = lived.archive.storage.folder
    assert folder
    document = next((folder / "documents").iterdir())
    whole = document.read_bytes()
    document.write_bytes(b"%PDF-")
    answer = client.get(addresses(lived)[0])
    document.write_bytes(whole)
    assert (answer.status_code, answer.json()["code"]) == (503, "storage_corrupted")


def test_without_the_services_keys_there_is_none(client: TestClient, lived: Lived) -> None:
    sign_in(client, lived.city.citizen)
    app_of(client).state.operations_keys = None
    assert client.get(addresses(lived)[0]).json()["code"] == "signing_unavailable"


def test_a_seal_that_was_revoked_seals_nothing(
    engine: Engine, settings: Settings, tmp_path: Path, now: datetime
) -> None:
    keys = cases.make_keys(tmp_path / "keys", now - timedelta(days=1))
    lived = live(engine, open_storage((tmp_path / "storage").as_uri()), keys, now)
    with transaction(engine) as session:
        actor = actor_of(session, lived.city.head)
        reason = x509.ReasonFlags.key_compromise
        revoke_certificate(session, "seal", reason=reason, actor=actor, now=now)
    with serving(lived, settings) as client:
        sign_in(client, lived.city.citizen)
        assert client.get(addresses(lived)[0]).json()["code"] == "certificate_revoked"
