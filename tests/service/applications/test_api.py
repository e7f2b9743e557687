"""The citizen's applications as JSON: the same verbs, problem details, ownership, API tokens."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from factories import (
    HEALTH_WORKER,
    HEALTH_WORKER_VALUES,
    actor_of,
    give_documents,
    jpeg_file,
    make_citizen,
    make_draft,
    make_officer,
    make_submitted,
)
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from service import clock
from service.accounts.models import User
from service.accounts.tokens import create_token
from service.applications.asked import given_documents
from service.applications.models import Application
from service.applications.remarks import Remark
from service.applications.review import return_case
from service.clock import city_date
from service.database import transaction
from service.permits.models import Permit

BASE = "/api/v1/applications"


def make(engine: Engine, app: FastAPI, user: User, *asked: Remark, submitted: bool = True) -> str:
    """Make a submitted application (returned, when something is asked), or a draft; return its path."""
    with transaction(engine) as session:
        if not submitted:
            return f"{BASE}/{make_draft(session, user, now=clock.now()).id}"
        application = make_submitted(session, app.state.storage, user, now=clock.now())
        if asked:
            officer = actor_of(session, make_officer(session, ["front_office"]))
            return_case(session, application.id, asked, actor=officer, now=clock.now(), seen_visit=None)
        return f"{BASE}/{application.id}"


def pointers(body: dict[str, Any], key: str = "errors") -> list[str]:
    return [item["pointer"] for item in body[key]]


def test_a_programme_applies_with_a_token(
    engine: Engine, app: FastAPI, client: TestClient, applicant: User
) -> None:
    with transaction(engine) as session:
        tomorrow = city_date(clock.now()) + timedelta(days=1)
        _, secret = create_token(
            session,
            actor_of(session, applicant),
            name="Uji",
            scopes=["apply"],
            expires_on=tomorrow,
            now=clock.now(),
        )
    client.cookies.clear()
    client.headers.clear()
    client.headers["authorization"] = f"Bearer {secret}"
    wish = {"type": HEALTH_WORKER, "request": "new", "applicant_kind": "person"}
    started = client.post(BASE, json=wish)
    assert started.status_code == 201
    path = started.headers["location"]
    assert started.json()["values"]["full_name"] == applicant.full_name

    sections = {"person": {}, "registration": {}, "practice": {}}  # type: dict[str, dict[str, Any]]
    for key, value in HEALTH_WORKER_VALUES.items():
        section = "registration" if key.startswith("str_") else "practice"
        in_practice = key == "profession" or key.startswith("practice_")
        sections[section if key.startswith("str_") or in_practice else "person"][key] = value
    for section, values in sections.items():
        answer = client.patch(f"{path}/sections/{section}", json={"values": values})
        assert answer.status_code == 200
    assert {pointer.split("/")[1] for pointer in pointers(answer.json(), "problems")} == {"documents"}

    given = client.post(
        f"{path}/documents", data={"requirement": "ktp"}, files={"file": ("ktp.png", jpeg_file())}
    )
    assert given.status_code == 201
    assert (given.json()["filename"], given.json()["media_type"]) == ("ktp.jpg", "image/jpeg")
    with transaction(engine) as session:
        application = session.get(Application, uuid.UUID(path.rpartition("/")[2]))
        assert application is not None
        give_documents(session, app.state.storage, application, applicant)
    submitted = client.post(f"{path}/submission", json={"declared": True})
    assert submitted.status_code == 201
    assert submitted.json()["receipt_number"].startswith("P-")
    tracking = client.get(f"{path}/tracking", headers={"accept-language": "en"}).json()
    assert tracking["state"] == "under_review"
    assert [step["state"] for step in tracking["steps"][:3]] == ["done", "current", "todo"]
    assert tracking["steps"][0]["label"] == "Application submitted"
    listed = client.get(BASE).json()
    assert [item["id"] for item in listed["items"]] == [submitted.json()["id"]]


def test_a_token_without_the_scope_is_refused(engine: Engine, client: TestClient, applicant: User) -> None:
    with transaction(engine) as session:
        tomorrow = city_date(clock.now()) + timedelta(days=1)
        _, secret = create_token(
            session, actor_of(session, applicant), name="Uji", scopes=["read"], expires_on=tomorrow,
            now=clock.now(),
        )  # fmt: skip
    client.cookies.clear()
    assert client.get(BASE, headers={"authorization": f"Bearer {secret}"}).status_code == 403


def test_wrong_answers_are_kept_and_pointed_at(
    engine: Engine, app: FastAPI, client: TestClient, applicant: User
) -> None:
    path = make(engine, app, applicant, submitted=False)
    body = client.patch(f"{path}/sections/person", json={"values": {"nik": "123", "sex": None}}).json()
    assert body["values"]["nik"] == "123"
    assert "sex" not in body["values"]
    assert pointers(body, "problems")[:2] == ["/values/nik", "/values/sex"]
    refused = client.post(f"{path}/submission", json={"declared": False})
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["code"] == "application_not_complete"
    assert {"/values/nik", "/values/truth_declared", "/documents/ktp"} <= set(pointers(refused.json()))


@pytest.mark.parametrize(
    "values",
    [
        {"nik": {"$ne": 1}},
        {"nik": ["a", 1]},
        {"nik": "x" * 5001},
        {"nik": 2**60},
        {"NIK": "1"},
        {"nik": "a\x00b"},
        {f"k{number}": "" for number in range(201)},
    ],
)
def test_shapes_no_form_sends_are_refused(
    engine: Engine, app: FastAPI, client: TestClient, applicant: User, values: dict[str, Any]
) -> None:
    path = make(engine, app, applicant, submitted=False)
    before = client.get(path).json()["values"]
    assert client.patch(f"{path}/sections/person", json={"values": values}).status_code == 422
    assert client.get(path).json()["values"] == before


def test_numbers_that_are_not_finite_are_refused(
    engine: Engine, app: FastAPI, client: TestClient, applicant: User
) -> None:
    path = make(engine, app, applicant, submitted=False)
    for number in ("1e999", "NaN"):
        answer = client.patch(
            f"{path}/sections/practice",
            content=f'{{"values": {{"practice_order": {number}}}}}',
            headers={"content-type": "application/json"},
        )
        assert answer.status_code == 422


def test_files_are_bounded_and_proven(
    engine: Engine, app: FastAPI, client: TestClient, applicant: User
) -> None:
    path = make(engine, app, applicant, submitted=False)

    def give(requirement: str, data: bytes) -> tuple[int, str | None]:
        answer = client.post(
            f"{path}/documents", data={"requirement": requirement}, files={"file": ("a.jpg", data)}
        )
        return answer.status_code, answer.json().get("code")

    assert give("ktp", b"MZ") == (415, "upload_type_refused")
    assert give("ktp", bytes(10 * 1024 * 1024 + 1)) == (413, "upload_too_large")
    assert give("ktp", b"") == (422, "upload_refused")
    assert give("skp_proof", jpeg_file()) == (404, "document_not_asked")
    assert give("ktp", jpeg_file())[0] == 201
    (document,) = client.get(path).json()["documents"]
    file = client.get(f"{path}/documents/{document['id']}")
    assert (file.headers["content-type"], file.status_code) == ("image/jpeg", 200)
    assert file.headers["content-disposition"].startswith("attachment")
    assert client.delete(f"{path}/documents/{document['id']}").status_code == 204
    assert client.get(f"{path}/documents/{document['id']}").status_code == 404


def test_corrections_are_all_or_nothing_and_only_what_was_named(
    engine: Engine, app: FastAPI, client: TestClient, applicant: User
) -> None:
    path = make(engine, app, applicant, Remark("field", "phone", "Tidak aktif."))
    body = client.get(path).json()
    assert body["asked"] == "correct"
    assert body["corrections"] == [{"kind": "field", "key": "phone", "remark": "Tidak aktif."}]
    unnamed = client.post(f"{path}/corrections", json={"values": {"phone": "0812", "address": "Lain"}})
    assert (unnamed.status_code, unnamed.json()["code"]) == (409, "not_editable")
    wrong = client.post(f"{path}/corrections", json={"values": {"phone": "0812"}})
    assert (wrong.status_code, pointers(wrong.json())) == (422, ["/values/phone"])
    assert client.get(path).json()["values"]["phone"] == HEALTH_WORKER_VALUES["phone"]
    sent = client.post(f"{path}/corrections", json={"values": {"phone": "+6281298765432"}})
    assert sent.status_code == 201
    assert (sent.json()["state"], sent.json()["values"]["phone"]) == ("under_review", "+6281298765432")
    assert client.post(f"{path}/corrections", json={}).status_code == 409


def test_withdrawing_submitted_and_deleting_drafts(
    engine: Engine, app: FastAPI, client: TestClient, applicant: User
) -> None:
    draft, submitted = make(engine, app, applicant, submitted=False), make(engine, app, applicant)
    assert client.post(f"{draft}/withdrawal", json={}).status_code == 409
    assert client.delete(submitted).status_code == 409
    assert client.delete(draft).status_code == 204
    assert client.get(draft).status_code == 404
    withdrawn = client.post(f"{submitted}/withdrawal", json={"note": "Batal."})
    assert withdrawn.json()["state"] == "withdrawn"
    assert client.post(f"{submitted}/payment").status_code == 409


def test_the_list_is_paged(engine: Engine, app: FastAPI, client: TestClient, applicant: User) -> None:
    for _ in range(3):
        make(engine, app, applicant, submitted=False)
    first = client.get(f"{BASE}?limit=2").json()
    second = client.get(f"{BASE}?limit=2&offset={first['next_offset']}").json()
    assert (len(first["items"]), len(second["items"]), second["next_offset"]) == (2, 1, None)
    assert client.get(f"{BASE}?limit=101").status_code == 422


def test_every_route_hides_another_s_application(
    engine: Engine, app: FastAPI, client: TestClient, applicant: User
) -> None:
    with transaction(engine) as session:
        other = make_citizen(session)
        application = make_submitted(session, app.state.storage, other, now=clock.now())
        file = given_documents(session, application)["ktp"]
    path = f"{BASE}/{application.id}"
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "", {}),
        ("DELETE", "", {}),
        ("PATCH", "/sections/person", {"json": {"values": {"nik": "1"}}}),
        ("POST", "/documents", {"data": {"requirement": "ktp"}, "files": {"file": ("a.jpg", jpeg_file())}}),
        ("GET", f"/documents/{file.id}", {}),
        ("DELETE", f"/documents/{file.id}", {}),
        ("POST", "/submission", {"json": {"declared": True}}),
        ("POST", "/corrections", {"json": {"values": {"nik": "1"}}}),
        ("POST", "/payment", {}),
        ("POST", "/withdrawal", {"json": {}}),
        ("GET", "/tracking", {}),
    ]
    for method, rest, options in requests:
        answer = client.request(method, path + rest, **options)
        assert (method, rest, answer.status_code) == (method, rest, 404)
    own = make(engine, app, applicant, submitted=False)
    assert client.get(f"{own}/documents/{file.id}").status_code == 404
    assert all(item["id"] != str(application.id) for item in client.get(BASE).json()["items"])


def test_the_api_takes_the_code_of_ones_own_permit(client: TestClient, held: Permit) -> None:
    order = {"type": HEALTH_WORKER, "request": "renewal", "applicant_kind": "person", "continues": held.code}
    started = client.post("/api/v1/applications", json=order)
    assert started.status_code == 201
    assert started.json()["continues"] == {"code": held.code, "number": held.number, "status": "active"}
    assert started.json()["values"]["practice_name"] == HEALTH_WORKER_VALUES["practice_name"]
    again = client.post("/api/v1/applications", json=order)
    assert (again.status_code, again.json()["code"]) == (409, "permit_already_continued")
    unknown = client.post("/api/v1/applications", json=order | {"continues": "0" * 26})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "earlier_permit_not_found")
