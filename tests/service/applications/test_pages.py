"""The citizen's pages, over HTTP: the whole way, nothing typed is lost, others' records are 404."""

import pytest
from applying import complete_draft_of, draft_of, returned_of, row, values_of
from factories import (
    HEALTH_WORKER,
    give_documents,
    jpeg_file,
    make_citizen,
    make_draft,
    make_officer,
    make_submitted,
    sign_in,
)
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from service import clock
from service.accounts.models import User
from service.applications.asked import given_documents, last_submission
from service.applications.remarks import Remark
from service.database import transaction

PERSON_FORM = {
    "nik": "3375 0147 0890 0000",
    "full_name": "Siti Contoh",
    "birth_place": "Pekalongan",
    "birth_date-day": "7",
    "birth_date-month": "Agustus",
    "birth_date-year": "1990",
    "sex": "P",
    "address": "Jalan Contoh 12",
    "village": "33.75.01.1002",
    "phone": "0812 3456 7890",
    "email": "siti@contoh.id",
}


def test_a_citizen_applies_page_by_page(
    engine: Engine, app: FastAPI, client: TestClient, applicant: User
) -> None:
    assert "Permohonan baru" in client.get(f"/applications/new?type={HEALTH_WORKER}").text
    started = client.post("/applications/new", data={"type": HEALTH_WORKER, "request": "new"})
    assert started.status_code == 303
    path = started.headers["location"]
    assert "Belum lengkap" in client.get(path).text

    saved = client.post(f"{path}/sections/person", data=PERSON_FORM)
    assert saved.headers["location"] == f"{path}/sections/registration"
    assert values_of(engine, path)["birth_date"] == "1990-08-07"
    registration = {"str_number": "STR-2020-000123", "str_lifetime": "yes"}
    saved = client.post(f"{path}/sections/registration", data=registration)
    assert saved.headers["location"] == f"{path}/sections/practice"
    practice = {
        "profession": "bidan",
        "practice_order": "1",
        "practice_kind": "fasilitas_kesehatan",
        "practice_name": "Klinik Contoh",
        "practice_address": "Jalan Batik 1",
        "practice_village": "33.75.01.1002",
    }
    saved = client.post(f"{path}/sections/practice", data=practice)
    assert saved.headers["location"] == f"{path}/documents"

    given = client.post(f"{path}/documents/ktp", files={"file": ("ktp.jpg", jpeg_file())})
    assert given.headers["location"] == f"{path}/documents#field-ktp"
    assert "ktp.jpg" in client.get(f"{path}/documents").text
    with transaction(engine) as session:
        give_documents(session, app.state.storage, row(session, path), applicant)

    assert "Ajukan permohonan" in client.get(f"{path}/check").text
    submitted = client.post(f"{path}/check", data={"truth_declared": "yes"})
    assert submitted.headers["location"] == f"{path}/submitted"
    with transaction(engine) as session:
        receipt_number = row(session, path).receipt_number
    assert receipt_number is not None
    assert receipt_number in client.get(f"{path}/submitted").text
    assert "Pemeriksaan kelengkapan berkas" in client.get(f"{path}/track").text
    assert receipt_number in client.get("/applications").text


def test_starting_without_a_choice_names_the_question(client: TestClient, applicant: User) -> None:
    answer = client.post("/applications/new", data={"type": HEALTH_WORKER})
    assert answer.status_code == 422
    assert 'href="#request"' in answer.text


def test_nothing_typed_is_lost_on_a_wrong_page(engine: Engine, client: TestClient, applicant: User) -> None:
    path = draft_of(engine, applicant, values={})
    typed = {
        **PERSON_FORM,
        "nik": "12<b>",
        "birth_date-month": "Agt'",
        "phone": "tidak ada",
        "sex": "",
    }
    answer = client.post(f"{path}/sections/person", data=typed)
    assert answer.status_code == 422
    for place in ("nik", "birth_date-day", "phone", "sex"):
        assert f'href="#{place}"' in answer.text
    for again in (answer.text, client.get(f"{path}/sections/person").text):
        assert 'value="12&lt;b&gt;"' in again
        assert 'value="Agt&#39;"' in again
        assert 'value="tidak ada"' in again
        assert 'value="1990"' in again
    assert values_of(engine, path)["phone"] == "tidak ada"


def test_a_page_may_be_left_unfinished(engine: Engine, client: TestClient, applicant: User) -> None:
    path = draft_of(engine, applicant, values={})
    answer = client.post(f"{path}/sections/person", data={"nik": "33", "then": "list"})
    assert (answer.status_code, answer.headers["location"]) == (303, path)
    assert values_of(engine, path) == {"nik": "33"}


def test_an_earlier_application_s_answers_are_offered_and_not_saved_unasked(
    engine: Engine, app: FastAPI, client: TestClient, applicant: User
) -> None:
    with transaction(engine) as session:
        make_submitted(session, app.state.storage, applicant)
    path = draft_of(engine, applicant, values={})
    assert "3375014708900000" not in client.get(f"{path}/sections/person").text
    assert "3375014708900000" in client.get(f"{path}/sections/person?prefill=1").text
    assert values_of(engine, path) == {}


def test_submitting_needs_the_declaration_and_a_second_click_changes_nothing(
    engine: Engine, app: FastAPI, client: TestClient, applicant: User
) -> None:
    path = complete_draft_of(engine, app, applicant)
    refused = client.post(f"{path}/check", data={})
    assert refused.status_code == 422
    assert 'href="#truth_declared"' in refused.text
    for _ in range(2):
        answer = client.post(f"{path}/check", data={"truth_declared": "yes"})
        assert answer.headers["location"] == f"{path}/submitted"
    with transaction(engine) as session:
        submission = last_submission(session, row(session, path))
        assert submission is not None
        assert submission.round == 1


def test_the_check_page_leads_to_everything_that_is_missing(
    engine: Engine, client: TestClient, applicant: User
) -> None:
    path = draft_of(engine, applicant, values={"nik": "1"})
    page = client.get(f"{path}/check").text
    assert f'href="{path}/sections/person?errors=1#nik"' in page
    assert f'href="{path}/documents#field-ktp"' in page
    assert "Ajukan permohonan</button>" not in page
    assert client.post(f"{path}/check", data={"truth_declared": "yes"}).status_code == 422


def test_every_page_of_another_s_application_is_404(
    engine: Engine, app: FastAPI, client: TestClient, applicant: User
) -> None:
    with transaction(engine) as session:
        other = make_citizen(session, full_name="Rahasia Contoh")
        application = make_submitted(session, app.state.storage, other, now=clock.now())
        file = given_documents(session, application)["ktp"]
        paths = [f"/applications/{application.id}"]
        paths.append(f"/applications/{make_draft(session, other, now=clock.now()).id}")
    for path in paths:
        for page in (
            "", "/sections/person", "/documents", "/check", "/submitted", "/track", "/correct",
            "/correct/fields", "/pay", "/withdraw", "/delete", f"/files/{file.id}",
        ):  # fmt: skip
            answer = client.get(path + page)
            assert (page, answer.status_code) == (page, 404)
            assert "Rahasia Contoh" not in answer.text
        for act in (
            "/sections/person", "/check", "/correct", "/correct/fields", "/pay", "/withdraw", "/delete",
            f"/files/{file.id}/remove",
        ):  # fmt: skip
            assert (act, client.post(path + act, data={}).status_code) == (act, 404)
        given = client.post(f"{path}/documents/ktp", files={"file": ("a.jpg", jpeg_file())})
        assert given.status_code == 404
    own = draft_of(engine, applicant)
    assert client.get(f"{own}/files/{file.id}").status_code == 404
    assert "Rahasia Contoh" not in client.get("/applications").text


def test_officers_and_visitors_are_kept_out(engine: Engine, client: TestClient, applicant: User) -> None:
    path = draft_of(engine, applicant)
    client.cookies.clear()
    assert client.get(path).headers["location"].startswith("/sign-in")
    with transaction(engine) as session:
        officer = make_officer(session, ["front_office"])
    sign_in(client, officer)
    assert client.get("/applications").status_code == 403


@pytest.mark.parametrize("language", ["id", "en"])
def test_every_page_is_whole_in_both_languages(
    engine: Engine, app: FastAPI, client: TestClient, applicant: User, language: str
) -> None:
    path = returned_of(engine, app, applicant, Remark("field", "phone", "Tidak aktif."))
    draft = draft_of(engine, applicant)
    for page in ("/applications", f"{path}/track", f"{path}/correct", f"{draft}/check", draft):
        answer = client.get(f"{page}?lang={language}")
        assert answer.status_code == 200
        assert f'<html lang="{language}"' in answer.text
        assert ("My applications" in answer.text) is (language == "en")
