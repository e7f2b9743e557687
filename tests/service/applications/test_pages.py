"""The citizen's pages, over HTTP: the whole way, nothing typed is lost, others' records are 404."""

import uuid
from typing import Any

import pytest
from factories import (
    ADVERTISEMENT,
    ADVERTISEMENT_VALUES,
    HEALTH_WORKER,
    actor_of,
    give_documents,
    jpeg_file,
    load_city,
    make_citizen,
    make_draft,
    make_officer,
    make_submitted,
    pdf_file,
    sign_in,
)
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine
from sqlmodel import Session

from service import clock
from service.accounts.models import User
from service.applications.asked import given_documents, last_submission
from service.applications.models import Application
from service.applications.remarks import Remark
from service.applications.review import return_case
from service.applications.workflow import State
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


@pytest.fixture
def citizen(engine: Engine, client: TestClient) -> User:
    with transaction(engine) as session:
        load_city(session)
        user = make_citizen(session)
    sign_in(client, user)
    return user


def draft_of(engine: Engine, user: User, **draft: Any) -> str:
    """Make a draft and return the path of its page."""
    with transaction(engine) as session:
        return f"/applications/{make_draft(session, user, now=clock.now(), **draft).id}"


def complete_draft_of(engine: Engine, app: FastAPI, user: User) -> str:
    with transaction(engine) as session:
        application = make_draft(session, user, now=clock.now())
        give_documents(session, app.state.storage, application, user)
        return f"/applications/{application.id}"


def returned_of(engine: Engine, app: FastAPI, user: User, *asked: Remark) -> str:
    with transaction(engine) as session:
        application = make_submitted(session, app.state.storage, user, now=clock.now())
        officer = actor_of(session, make_officer(session, ["front_office"]))
        return_case(session, application.id, asked, actor=officer, now=clock.now(), seen_visit=None)
        return f"/applications/{application.id}"


def row(session: Session, path: str) -> Application:
    application = session.get(Application, uuid.UUID(path.split("/")[2]))
    assert application is not None
    return application


def values_of(engine: Engine, path: str) -> dict[str, Any]:
    with transaction(engine) as session:
        return row(session, path).values


def test_a_citizen_applies_page_by_page(
    engine: Engine, app: FastAPI, client: TestClient, citizen: User
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
        give_documents(session, app.state.storage, row(session, path), citizen)

    assert "Ajukan permohonan" in client.get(f"{path}/check").text
    submitted = client.post(f"{path}/check", data={"truth_declared": "yes"})
    assert submitted.headers["location"] == f"{path}/submitted"
    with transaction(engine) as session:
        receipt_number = row(session, path).receipt_number
    assert receipt_number is not None
    assert receipt_number in client.get(f"{path}/submitted").text
    assert "Pemeriksaan kelengkapan berkas" in client.get(f"{path}/track").text
    assert receipt_number in client.get("/applications").text


def test_starting_without_a_choice_names_the_question(client: TestClient, citizen: User) -> None:
    answer = client.post("/applications/new", data={"type": HEALTH_WORKER})
    assert answer.status_code == 422
    assert 'href="#request"' in answer.text


def test_nothing_typed_is_lost_on_a_wrong_page(engine: Engine, client: TestClient, citizen: User) -> None:
    path = draft_of(engine, citizen, values={})
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


def test_a_page_may_be_left_unfinished(engine: Engine, client: TestClient, citizen: User) -> None:
    path = draft_of(engine, citizen, values={})
    answer = client.post(f"{path}/sections/person", data={"nik": "33", "then": "list"})
    assert (answer.status_code, answer.headers["location"]) == (303, path)
    assert values_of(engine, path) == {"nik": "33"}


def test_an_earlier_application_s_answers_are_offered_and_not_saved_unasked(
    engine: Engine, app: FastAPI, client: TestClient, citizen: User
) -> None:
    with transaction(engine) as session:
        make_submitted(session, app.state.storage, citizen)
    path = draft_of(engine, citizen, values={})
    assert "3375014708900000" not in client.get(f"{path}/sections/person").text
    assert "3375014708900000" in client.get(f"{path}/sections/person?prefill=1").text
    assert values_of(engine, path) == {}


@pytest.mark.parametrize(
    ("key", "name", "data", "status", "sentence"),
    [
        ("ktp", "ktp.pdf", b"MZ bukan pdf", 415, "bukan JPEG, PNG, atau PDF"),
        ("photo", "foto.jpg", pdf_file(), 415, "diminta sebagai JPEG atau PNG"),
        ("ktp", "ktp.jpg", jpeg_file()[:100], 422, "rusak"),
        ("ktp", "ktp.jpg", b"", 422, "Pilih berkas"),
        ("ktp", "ktp.jpg", bytes(10 * 1024 * 1024 + 1), 413, "lebih besar dari 10 MB"),
    ],
)
def test_a_refused_file_is_told_beside_its_document(
    engine: Engine,
    client: TestClient,
    citizen: User,
    key: str,
    name: str,
    data: bytes,
    status: int,
    sentence: str,
) -> None:
    path = draft_of(engine, citizen)
    answer = client.post(f"{path}/documents/{key}", files={"file": (name, data, "image/jpeg")})
    assert answer.status_code == status
    assert f'href="#{key}"' in answer.text
    assert sentence in answer.text
    with transaction(engine) as session:
        assert given_documents(session, row(session, path)) == {}


def test_a_given_file_is_shown_harmless_and_taken_out(
    engine: Engine, client: TestClient, citizen: User
) -> None:
    path = draft_of(engine, citizen)
    client.post(f"{path}/documents/ktp", files={"file": ("k.exe", pdf_file())})
    with transaction(engine) as session:
        upload = given_documents(session, row(session, path))["ktp"]
    shown = client.get(f"{path}/files/{upload.id}")
    assert shown.content.startswith(b"%PDF")
    assert "sandbox" in shown.headers["content-security-policy"]
    assert shown.headers["content-disposition"].startswith('inline; filename="k.exe.pdf"')
    kept = client.get(f"{path}/files/{upload.id}?download=1")
    assert kept.headers["content-disposition"].startswith("attachment;")
    removed = client.post(f"{path}/files/{upload.id}/remove")
    assert removed.headers["location"] == f"{path}/documents"
    assert client.get(f"{path}/files/{upload.id}").status_code == 404


def test_submitting_needs_the_declaration_and_a_second_click_changes_nothing(
    engine: Engine, app: FastAPI, client: TestClient, citizen: User
) -> None:
    path = complete_draft_of(engine, app, citizen)
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
    engine: Engine, client: TestClient, citizen: User
) -> None:
    path = draft_of(engine, citizen, values={"nik": "1"})
    page = client.get(f"{path}/check").text
    assert f'href="{path}/sections/person?errors=1#nik"' in page
    assert f'href="{path}/documents#field-ktp"' in page
    assert "Ajukan permohonan</button>" not in page
    assert client.post(f"{path}/check", data={"truth_declared": "yes"}).status_code == 422


def test_a_correction_shows_and_changes_only_what_was_named(
    engine: Engine, app: FastAPI, client: TestClient, citizen: User
) -> None:
    path = returned_of(
        engine,
        app,
        citizen,
        Remark("field", "practice_name", "Lengkapi <nama>."),
        Remark("document", "ktp", "Foto buram."),
    )
    assert client.get(path).headers["location"] == f"{path}/track"
    page = client.get(f"{path}/correct").text
    assert "Lengkapi &lt;nama&gt;." in page
    assert "Foto buram." in page
    form = client.get(f"{path}/correct/fields").text
    assert 'name="practice_name"' in form
    assert 'name="practice_address"' not in form

    empty = client.post(f"{path}/correct/fields", data={"practice_name": ""})
    assert empty.status_code == 422
    assert 'href="#practice_name"' in empty.text
    unsent = client.post(f"{path}/correct")
    assert unsent.status_code == 422
    assert 'href="#mend-practice_name"' in unsent.text

    mended = {"practice_name": "Klinik Contoh Sehat", "practice_address": "Diselipkan", "nik": "1"}
    saved = client.post(f"{path}/correct/fields", data=mended)
    assert saved.headers["location"] == f"{path}/correct"
    refused = client.post(f"{path}/documents/ktp", files={"file": ("a.txt", b"teks")})
    assert refused.status_code == 415
    assert "Perbaiki permohonan" in refused.text
    given = client.post(f"{path}/documents/ktp", files={"file": ("ktp-baru.jpg", jpeg_file())})
    assert given.headers["location"] == f"{path}/correct#field-ktp"
    assert client.post(f"{path}/documents/str", files={"file": ("a.jpg", jpeg_file())}).status_code == 409
    for _ in range(2):
        assert client.post(f"{path}/correct").headers["location"] == f"{path}/track"
    with transaction(engine) as session:
        application = row(session, path)
        submission = last_submission(session, application)
        assert submission is not None
        assert (application.state, submission.round) == (State.UNDER_REVIEW, 2)
        assert submission.values["practice_name"] == "Klinik Contoh Sehat"
        assert submission.values["practice_address"] == "Jalan Batik 1"
        names = {document["requirement"]: document["filename"] for document in submission.documents}
        assert names["ktp"] == "ktp-baru.jpg"


def test_a_correction_that_disagrees_with_an_unnamed_answer_is_told_at_once(
    engine: Engine, app: FastAPI, client: TestClient, citizen: User
) -> None:
    path = returned_of(engine, app, citizen, Remark("field", "birth_date", "Periksa."))
    moved = {"birth_date-day": "7", "birth_date-month": "8", "birth_date-year": "1991"}
    answer = client.post(f"{path}/correct/fields", data=moved)
    assert answer.status_code == 422
    assert "NIK tidak cocok dengan tanggal lahir" in answer.text
    assert 'value="1991"' in answer.text


def test_paying_asks_for_the_proof_and_only_when_it_is_due(
    engine: Engine, app: FastAPI, client: TestClient, citizen: User
) -> None:
    with transaction(engine) as session:
        application = make_submitted(
            session,
            app.state.storage,
            citizen,
            slug=ADVERTISEMENT,
            values=ADVERTISEMENT_VALUES,
            now=clock.now(),
        )
        path = f"/applications/{application.id}"
    for answer in (client.get(f"{path}/pay"), client.post(f"{path}/pay")):
        assert answer.headers["location"] == f"{path}/track"
    with transaction(engine) as session:
        row(session, path).step = "payment"
    assert "Unggah bukti pembayaran" in client.get(f"{path}/track").text
    assert client.post(f"{path}/pay").status_code == 422
    refused = client.post(f"{path}/documents/payment_receipt", files={"file": ("a.txt", b"teks")})
    assert refused.status_code == 415
    assert "Kirim bukti pembayaran" in refused.text
    given = client.post(f"{path}/documents/payment_receipt", files={"file": ("a.jpg", jpeg_file())})
    assert given.headers["location"] == f"{path}/pay#field-payment_receipt"
    assert client.post(f"{path}/pay").headers["location"] == f"{path}/track"
    with transaction(engine) as session:
        assert row(session, path).step != "payment"


def test_withdrawing_and_deleting_ask_once_more(
    engine: Engine, app: FastAPI, client: TestClient, citizen: User
) -> None:
    with transaction(engine) as session:
        application = make_submitted(session, app.state.storage, citizen, now=clock.now())
        path = f"/applications/{application.id}"
    assert "Cabut permohonan ini?" in client.get(f"{path}/withdraw").text
    assert client.post(f"{path}/withdraw", data={"note": "Batal"}).status_code == 303
    assert "Permohonan sudah dicabut." in client.get(f"{path}/track").text
    assert client.get(f"{path}/withdraw").status_code == 409

    draft = draft_of(engine, citizen)
    assert "Hapus draf ini?" in client.get(f"{draft}/delete").text
    assert client.post(f"{draft}/delete").headers["location"] == "/applications"
    assert client.get(draft).status_code == 404


def test_every_page_of_another_s_application_is_404(
    engine: Engine, app: FastAPI, client: TestClient, citizen: User
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
    own = draft_of(engine, citizen)
    assert client.get(f"{own}/files/{file.id}").status_code == 404
    assert "Rahasia Contoh" not in client.get("/applications").text


def test_officers_and_visitors_are_kept_out(engine: Engine, client: TestClient, citizen: User) -> None:
    path = draft_of(engine, citizen)
    client.cookies.clear()
    assert client.get(path).headers["location"].startswith("/sign-in")
    with transaction(engine) as session:
        officer = make_officer(session, ["front_office"])
    sign_in(client, officer)
    assert client.get("/applications").status_code == 403


@pytest.mark.parametrize("language", ["id", "en"])
def test_every_page_is_whole_in_both_languages(
    engine: Engine, app: FastAPI, client: TestClient, citizen: User, language: str
) -> None:
    path = returned_of(engine, app, citizen, Remark("field", "phone", "Tidak aktif."))
    draft = draft_of(engine, citizen)
    for page in ("/applications", f"{path}/track", f"{path}/correct", f"{draft}/check", draft):
        answer = client.get(f"{page}?lang={language}")
        assert answer.status_code == 200
        assert f'<html lang="{language}"' in answer.text
        assert ("My applications" in answer.text) is (language == "en")
