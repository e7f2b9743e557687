"""The pages after submitting: corrections, the payment's proof, withdrawal."""

from applying import draft_of, returned_of, row
from factories import ADVERTISEMENT, ADVERTISEMENT_VALUES, jpeg_file, make_submitted
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from service import clock
from service.accounts.models import User
from service.applications.asked import last_submission
from service.applications.remarks import Remark
from service.applications.workflow import State
from service.database import transaction


def test_a_correction_shows_and_changes_only_what_was_named(
    engine: Engine, app: FastAPI, client: TestClient, applicant: User
) -> None:
    path = returned_of(
        engine,
        app,
        applicant,
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
    engine: Engine, app: FastAPI, client: TestClient, applicant: User
) -> None:
    path = returned_of(engine, app, applicant, Remark("field", "birth_date", "Periksa."))
    moved = {"birth_date-day": "7", "birth_date-month": "8", "birth_date-year": "1991"}
    answer = client.post(f"{path}/correct/fields", data=moved)
    assert answer.status_code == 422
    assert "NIK tidak cocok dengan tanggal lahir" in answer.text
    assert 'value="1991"' in answer.text


def test_paying_asks_for_the_proof_and_only_when_it_is_due(
    engine: Engine, app: FastAPI, client: TestClient, applicant: User
) -> None:
    with transaction(engine) as session:
        application = make_submitted(
            session,
            app.state.storage,
            applicant,
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
    engine: Engine, app: FastAPI, client: TestClient, applicant: User
) -> None:
    with transaction(engine) as session:
        application = make_submitted(session, app.state.storage, applicant, now=clock.now())
        path = f"/applications/{application.id}"
    assert "Cabut permohonan ini?" in client.get(f"{path}/withdraw").text
    assert client.post(f"{path}/withdraw", data={"note": "Batal"}).status_code == 303
    assert "Permohonan sudah dicabut." in client.get(f"{path}/track").text
    assert client.get(f"{path}/withdraw").status_code == 409

    draft = draft_of(engine, applicant)
    assert "Hapus draf ini?" in client.get(f"{draft}/delete").text
    assert client.post(f"{draft}/delete").headers["location"] == "/applications"
    assert client.get(draft).status_code == 404
