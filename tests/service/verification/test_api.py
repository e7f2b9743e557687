"""The doors of verification over HTTP: the contract, the pages, and what is refused."""

from collections.abc import Iterator
from datetime import datetime

import cases
import pytest
import time_machine
from factories import let_forms_pass
from fastapi.testclient import TestClient
from pki import NOW


@pytest.fixture
def at_noon() -> Iterator[None]:
    with time_machine.travel(NOW, tick=True):
        yield


def test_the_contract_over_http(client: TestClient, issued: cases.Issued, at_noon: None) -> None:
    answer = client.post("/api/v1/verifications", files={"file": ("izin.pdf", issued.pdf)})
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"verdict", "reasons", "permit", "signature", "log", "checked_at"}
    assert (body["verdict"], body["permit"]["status"]) == ("genuine", "active")
    assert datetime.fromisoformat(body["checked_at"])


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"\xff\xd8\xff\xe0 a photo", 415, "not_a_pdf"),
        (b"", 422, "invalid_input"),
        (b"%PDF-" + bytes(20 * 1024 * 1024), 413, "too_large"),
    ],
)
def test_what_cannot_be_examined_is_refused_with_its_reason(
    client: TestClient, data: bytes, status: int, code: str
) -> None:
    answer = client.post("/api/v1/verifications", files={"file": ("x.pdf", data)})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_code_shows_public_facts_and_the_status_on_a_day(
    client: TestClient, issued: cases.Issued, at_noon: None
) -> None:
    code = issued.permit.code
    now = client.get(f"/api/v1/permits/{code}").json()
    assert (now["status"], now["holder"]) == ("active", "S*** C****** A********")
    assert "3375014708900000" not in str(now)
    later = client.get(f"/api/v1/permits/{code}", params={"on": "2031-11-24"}).json()
    assert later["status"] == "expired"
    assert client.get("/api/v1/permits/" + "0" * 26).status_code == 404


def test_a_number_needs_the_day_of_issue(client: TestClient, issued: cases.Issued, at_noon: None) -> None:
    number = issued.permit.number
    let_forms_pass(client)

    def ask(day: str) -> int:
        form = {"number": number, "issued_on-day": day, "issued_on-month": "11", "issued_on-year": "2026"}
        return client.post("/verify/number", data=form).status_code

    assert (ask("23"), ask("22"), ask("99")) == (200, 404, 422)


def test_the_page_answers_in_words(client: TestClient, issued: cases.Issued, at_noon: None) -> None:
    let_forms_pass(client)
    page = client.post("/verify", files={"file": ("izin.pdf", issued.pdf)}).text
    assert "Asli dan masih berlaku" in page
    assert (
        "Genuine and still valid"
        in client.post(
            "/verify?lang=en",
            files={"file": ("izin.pdf", issued.pdf)},
        ).text
    )


def test_the_log_shows_its_signed_checkpoint(client: TestClient, issued: cases.Issued) -> None:
    lines = client.get("/log/checkpoint").text.split("\n")
    assert lines[:2] == ["testserver/log", "1"]
    assert lines[4].startswith("\u2014 testserver/log ")
