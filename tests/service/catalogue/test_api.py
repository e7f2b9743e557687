"""The catalogue for programmes."""

from datetime import date, datetime

import pytest
from fastapi.testclient import TestClient
from jsonschema import Draft202012Validator
from sqlalchemy import Engine

from service.catalogue.load import load_command
from service.catalogue.samples import sample_application

ROOT = "/api/v1/permit-types"


@pytest.fixture(autouse=True)
def catalogue(engine: Engine, now: datetime) -> None:
    load_command(engine, now)


def test_the_list_leads_to_each_type(client: TestClient) -> None:
    items = client.get(ROOT, params={"q": "reklame"}).json()["items"]
    assert [item["slug"] for item in items] == ["reklame-insidentil", "reklame-tetap"]
    for item in items:
        assert client.get(item["url"]).json()["title"] == item["title"]


def test_the_list_needs_two_queries_however_long(client: TestClient, statements: list[str]) -> None:
    client.get(ROOT)
    assert len([sql for sql in statements if "_revision" in sql]) == 2


def test_the_form_accepts_the_sample_and_refuses_a_gap(client: TestClient) -> None:
    sample = sample_application("reklame-tetap", date(2026, 11, 23))
    detail = client.get(f"{ROOT}/reklame-tetap", params={"applicant_kind": "organisation"}).json()
    form = Draft202012Validator(detail["form"])
    assert form.is_valid(sample.values)
    assert not form.is_valid({**sample.values, "org_name": None})


def test_the_form_follows_the_request(client: TestClient) -> None:
    forms = {
        request: client.get(f"{ROOT}/sip-tenaga-medis", params={"request": request}).json()["form"]
        for request in ("new", "renewal")
    }
    assert "skp_sufficient" not in forms["new"]["properties"]
    assert "skp_sufficient" in forms["renewal"]["required"]


def test_labels_are_in_the_readers_language(client: TestClient) -> None:
    english = client.get(f"{ROOT}/reklame-tetap", headers={"accept-language": "en"}).json()
    assert english["requests"]["renewal"] == "Renewal"
    assert english["form"]["properties"]["width_m"]["title"] == "Width"
    assert english["documents"][-1]["required_if"] == {"request": ["renewal"]}


def test_a_request_the_type_does_not_offer_is_refused(client: TestClient) -> None:
    answer = client.get(f"{ROOT}/reklame-insidentil", params={"request": "renewal"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/request")


def test_an_unknown_type_is_a_problem(client: TestClient) -> None:
    answer = client.get(f"{ROOT}/tidak-ada")
    assert (answer.status_code, answer.json()["code"]) == (404, "permit_type_not_found")
