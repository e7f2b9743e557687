"""The officers' pages and their API over the real app: queue, case, forms, conflicts, files."""

import re
import uuid
from collections.abc import Callable
from dataclasses import astuple
from datetime import datetime
from typing import Any

import pytest
from applying import begin_from
from factories import (
    HEALTH_WORKER_VALUES,
    actor_of,
    give_documents,
    jpeg_file,
    make_case,
    make_citizen,
    make_draft,
    make_officer,
    make_submitted,
    sign_in,
)
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response
from sqlalchemy import Engine
from sqlmodel import Session, select

from service import clock
from service.accounts.models import User
from service.applications.action_wording import WORDING
from service.applications.correct import resubmit_application, save_corrections
from service.applications.models import Application, Correction, StepVisit
from service.applications.remarks import Remark
from service.applications.review import act_on_case, return_case
from service.applications.review_pages import URGENCY_TITLES
from service.applications.submit import submit_application
from service.applications.transitions import DEEDS
from service.applications.workflow import APPLICANT_ACTIONS, Action, State
from service.catalogue.models import get_revision
from service.database import reading, transaction
from service.permits.models import Permit
from service.web import english_messages

Signed = Callable[..., User]


@pytest.fixture
def officer(client: TestClient, engine: Engine) -> Signed:
    """Make an officer of the roles and sign the client in."""

    def make(*roles: str, **facts: Any) -> User:
        with transaction(engine) as session:
            user = make_officer(session, list(roles), **facts)
        sign_in(client, user)
        return user

    return make


@pytest.fixture
def case_id(client: TestClient, engine: Engine, now: datetime) -> uuid.UUID:
    """A complete case at its first step, with files."""
    with transaction(engine) as session:
        storage = client.app.state.storage
        return make_submitted(session, storage, make_citizen(session), now=now).id


def move(engine: Engine, case_id: uuid.UUID, now: datetime, *way: tuple[str, Action]) -> None:
    """Let fresh officers act on the case."""
    with transaction(engine) as session:
        for role, action in way:
            actor = actor_of(session, make_officer(session, [role], full_name=f"Petugas {role}"))
            act_on_case(session, case_id, action, actor=actor, now=now, seen_visit=None, note="Catatan.")


def state_of(engine: Engine, case_id: uuid.UUID) -> tuple[str, str | None]:
    with reading(engine) as session:
        case = session.get_one(Application, case_id)
        return case.state, case.step


def csrf(client: TestClient) -> dict[str, str]:
    return {"csrf_token": client.headers["x-csrf-token"]}


def refused(answer: Response) -> list[tuple[str, str]]:
    return [(error["pointer"], error["code"]) for error in answer.json()["errors"]]


# Pages ----------------------------------------------------------------------------------------


def test_the_queue_shows_overdue_cases_first_and_keeps_what_was_asked(
    client: TestClient, engine: Engine, officer: Signed, now: datetime
) -> None:
    with transaction(engine) as session:
        late = make_case(session, receipt_number="P-20260105-LAMBAT")
        make_case(session, now=now, receipt_number="P-20261123-BARU01")
    officer("front_office")
    page = client.get("/officer").text
    assert page.index("P-20260105-LAMBAT") < page.index("P-20261123-BARU01")
    assert f'href="/officer/cases/{late.id}"' in page
    narrowed = client.get("/officer?q=LAMBAT&due=overdue&show=free").text
    assert "P-20260105-LAMBAT" in narrowed
    assert "P-20261123-BARU01" not in narrowed
    assert 'value="LAMBAT"' in narrowed


def test_strange_filters_are_no_fault(client: TestClient, officer: Signed) -> None:
    officer("front_office")
    assert client.get("/officer?due=never&show=x&type=nothing&q=%25").status_code == 200
    assert client.get("/officer?page=0").status_code == 422


def test_the_case_page_shows_facts_files_history_and_the_actions_of_the_step(
    client: TestClient, engine: Engine, officer: Signed, case_id: uuid.UUID, now: datetime
) -> None:
    officer("back_office")
    waiting = client.get(f"/officer/cases/{case_id}").text
    assert HEALTH_WORKER_VALUES["practice_name"] in waiting
    assert "Menunggu Petugas Front Office" in waiting
    assert "/actions/" not in waiting
    move(engine, case_id, now, ("front_office", Action.FORWARD))
    page = client.get(f"/officer/cases/{case_id}").text
    actions = set(re.findall(rf"/officer/cases/{case_id}/actions/(\w+)", page))
    assert actions == {"forward", "return_for_completion", "return_to_previous", "propose_rejection"}
    assert "Petugas front_office" in page
    assert f"/officer/cases/{case_id}/preview" in page
    assert len(re.findall(r'class="canting-files__item"', page)) >= 6


def test_a_negative_opinion_stands_before_the_back_office(
    client: TestClient, engine: Engine, officer: Signed, case_id: uuid.UUID, now: datetime
) -> None:
    move(
        engine,
        case_id,
        now,
        ("front_office", Action.FORWARD),
        ("back_office", Action.FORWARD),
        ("technical_agency", Action.RECOMMEND_REJECTION),
    )
    officer("back_office")
    page = client.get(f"/officer/cases/{case_id}").text
    assert "Tidak merekomendasikan" in page
    assert state_of(engine, case_id) == (State.UNDER_REVIEW, "draft")


def test_an_action_is_asked_done_and_confirmed_with_the_next_case(
    client: TestClient, engine: Engine, officer: Signed, case_id: uuid.UUID, now: datetime
) -> None:
    with transaction(engine) as session:
        following = make_case(session, now=now)
    officer("front_office")
    form = client.get(f"/officer/cases/{case_id}/actions/forward")
    seen = re.search(r'name="seen_visit" value="(\d+)"', form.text)
    assert seen
    assert seen[1] == "1"
    answer = client.post(
        f"/officer/cases/{case_id}/actions/forward",
        data=csrf(client) | {"seen_visit": "1", "note": "Lengkap."},
    )
    assert answer.status_code == 303
    done = client.get(answer.headers["location"]).text
    assert "Tindakan tersimpan" in done
    assert f"/officer/cases/{following.id}" in done
    assert state_of(engine, case_id) == (State.UNDER_REVIEW, "review")


def test_the_second_officer_reads_who_was_first_and_loses_no_word(
    client: TestClient, engine: Engine, officer: Signed, case_id: uuid.UUID, now: datetime
) -> None:
    officer("front_office")
    move(engine, case_id, now, ("front_office", Action.FORWARD))
    answer = client.post(
        f"/officer/cases/{case_id}/actions/return_for_completion",
        data=csrf(client) | {"seen_visit": "1", "ask": "field:nik", "remark:field:nik": "NIK salah ketik."},
    )
    assert answer.status_code == 409
    assert "Petugas front_office sudah meneruskan permohonan" in answer.text
    assert "NIK salah ketik." in answer.text
    with reading(engine) as session:
        assert session.exec(select(Correction)).first() is None


def test_returning_asks_for_a_remark_and_keeps_what_was_typed(
    client: TestClient, engine: Engine, officer: Signed, case_id: uuid.UUID
) -> None:
    officer("front_office")
    path = f"/officer/cases/{case_id}/actions/return_for_completion"
    assert 'value="document:ktp"' in client.get(path).text
    typed = {"seen_visit": "1", "ask": ["field:nik", "document:ktp"], "remark:field:nik": "Salah ketik."}
    answer = client.post(path, data=csrf(client) | typed)
    assert answer.status_code == 422
    assert 'href="#remark-document-ktp"' in answer.text
    assert ">Salah ketik.</textarea>" in answer.text
    assert state_of(engine, case_id)[0] == State.UNDER_REVIEW
    assert client.post(path, data=csrf(client) | {"seen_visit": "1"}).status_code == 422
    complete = csrf(client) | typed | {"remark:document:ktp": "Buram."}
    assert client.post(path, data=complete).status_code == 303
    assert state_of(engine, case_id)[0] == State.RETURNED
    assert "Buram." in client.get(f"/officer/cases/{case_id}").text


def test_what_the_applicant_corrected_is_marked(
    client: TestClient, engine: Engine, officer: Signed, case_id: uuid.UUID, now: datetime
) -> None:
    with transaction(engine) as session:
        front = actor_of(session, make_officer(session, ["front_office"]))
        remark = Remark("field", "practice_address", "Tulis nomor rumah.")
        return_case(session, case_id, [remark], actor=front, now=now, seen_visit=1)
        case = session.get_one(Application, case_id)
        citizen = actor_of(session, session.get_one(User, case.applicant_id))
        mended = {"practice_address": "Jalan Batik 1A"}
        save_corrections(session, case_id, mended, actor=citizen, now=now)
    officer("front_office")
    assert "Jalan Batik 1A" not in client.get(f"/officer/cases/{case_id}").text
    with transaction(engine) as session:
        resubmit_application(session, case_id, actor=citizen, now=now)
    page = client.get(f"/officer/cases/{case_id}").text
    assert page.count("diubah pemohon") == 1
    assert "Jalan Batik 1A" in page
    assert "Tulis nomor rumah." in page


def test_a_taken_case_is_taken_over_only_on_purpose(
    client: TestClient, engine: Engine, officer: Signed, case_id: uuid.UUID
) -> None:
    officer("front_office", full_name="Rina Contoh")
    assert client.post(f"/officer/cases/{case_id}/take", data=csrf(client)).status_code == 303
    officer("front_office", full_name="Joko Contoh")
    page = client.get(f"/officer/cases/{case_id}").text
    assert "Dikerjakan Rina Contoh" in page
    told = client.post(
        f"/officer/cases/{case_id}/actions/forward", data=csrf(client) | {"seen_visit": "1", "note": "x"}
    )
    assert told.status_code == 409
    assert "Rina Contoh" in told.text
    client.post(f"/officer/cases/{case_id}/take", data=csrf(client) | {"take_over": "yes"})
    assert "Anda mengerjakan permohonan ini." in client.get(f"/officer/cases/{case_id}").text
    client.post(f"/officer/cases/{case_id}/release", data=csrf(client))
    assert "Belum dikerjakan siapa pun." in client.get(f"/officer/cases/{case_id}").text


def test_an_action_the_step_does_not_know_is_refused(
    client: TestClient, officer: Signed, case_id: uuid.UUID
) -> None:
    officer("front_office")
    assert client.get(f"/officer/cases/{case_id}/actions/initial").status_code == 409
    assert client.get(f"/officer/cases/{case_id}/actions/nonsense").status_code == 404
    officer("back_office")
    assert client.get(f"/officer/cases/{case_id}/actions/forward").status_code == 403


def test_files_are_for_officers_of_the_case_and_can_do_nothing(
    client: TestClient, engine: Engine, officer: Signed, case_id: uuid.UUID
) -> None:
    officer("front_office")
    page = client.get(f"/officer/cases/{case_id}").text
    path = re.findall(rf"/officer/cases/{case_id}/documents/[0-9a-f-]+", page)[0]
    kept, shown = client.get(path), client.get(path + "?inline=1")
    assert kept.headers["content-disposition"].startswith("attachment")
    assert shown.headers["content-disposition"].startswith("inline")
    for answer in (kept, shown):
        assert answer.content.startswith(b"\xff\xd8")
        assert "sandbox" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
    officer("technical_team")
    assert client.get(path).status_code == 404
    assert client.get(f"/officer/cases/{case_id}").status_code == 404
    officer("front_office")
    assert client.get(f"/officer/cases/{case_id}/documents/{uuid.uuid4()}").status_code == 404


def test_an_attachment_is_proven_kept_and_removed(
    client: TestClient, engine: Engine, officer: Signed, case_id: uuid.UUID, now: datetime
) -> None:
    move(engine, case_id, now, ("front_office", Action.FORWARD), ("back_office", Action.FORWARD))
    officer("technical_agency", agency="Dinas Kesehatan")
    path = f"/officer/cases/{case_id}/attachments"
    wrong = client.post(
        path, data=csrf(client), files={"file": ("surat.pdf", b"bukan PDF", "application/pdf")}
    )
    assert wrong.status_code == 415
    assert 'href="#attachment"' in wrong.text
    assert client.post(path, data=csrf(client)).status_code == 422
    right = client.post(path, data=csrf(client), files={"file": ("foto.jpg", jpeg_file(), "image/jpeg")})
    assert right.status_code == 303
    page = client.get(f"/officer/cases/{case_id}").text
    assert "foto.jpg" in page
    remove = re.search(rf"{path}/[0-9a-f-]+/remove", page)
    assert remove
    assert client.post(remove[0], data=csrf(client)).status_code == 303
    assert "foto.jpg" not in client.get(f"/officer/cases/{case_id}").text


def test_citizens_and_visitors_have_no_officers_pages(
    client: TestClient, engine: Engine, case_id: uuid.UUID
) -> None:
    assert client.get("/officer").status_code == 303
    with transaction(engine) as session:
        citizen = make_citizen(session)
    sign_in(client, citizen)
    for path in ("/officer", f"/officer/cases/{case_id}", f"/api/v1/cases/{case_id}"):
        assert client.get(path).status_code == 403


@pytest.mark.parametrize("path", ["", "/actions/forward", "/actions/return_for_completion", "/done"])
def test_every_page_speaks_english_too(
    client: TestClient, officer: Signed, case_id: uuid.UUID, path: str
) -> None:
    officer("front_office")
    english = client.get(f"/officer/cases/{case_id}{path}?lang=en").text
    assert 'lang="en"' in english
    for indonesian in ("Kembali ", "Riwayat<", "Batal<", "Petugas Front", "Catatan ", "pemohon"):
        assert indonesian not in english


def test_every_action_is_worded_in_both_languages() -> None:
    texts = {text for wording in WORDING.values() for text in astuple(wording)[:-1] if text}
    assert texts | set(URGENCY_TITLES.values()) <= set(english_messages())
    assert set(WORDING) | APPLICANT_ACTIONS == set(Action) == set(DEEDS)


# API ------------------------------------------------------------------------------------------


def test_the_api_lists_reads_takes_and_acts(
    client: TestClient, engine: Engine, officer: Signed, case_id: uuid.UUID
) -> None:
    officer("front_office", full_name="Rina Contoh")
    listed = client.get("/api/v1/cases").json()
    assert [case["id"] for case in listed["cases"]] == [str(case_id)]
    base = f"/api/v1/cases/{case_id}"
    assert client.post(f"{base}/taking", json={}).json()["taken_by"] == "Rina Contoh"
    assert client.delete(f"{base}/taking").json()["taken_by"] is None
    detail = client.get(base).json()
    assert (detail["visit"], detail["actions"]) == (1, ["forward", "return_for_completion"])
    answer = client.post(f"{base}/actions", json={"action": "forward", "seen_visit": detail["visit"]})
    assert (answer.status_code, answer.json()["step"]) == (200, "review")
    again = client.post(f"{base}/actions", json={"action": "forward", "seen_visit": 1})
    assert (again.status_code, again.json()["code"]) == (409, "already_acted")
    assert "Rina Contoh" in again.json()["title"]
    not_ours = client.post(f"{base}/actions", json={"action": "forward", "seen_visit": 2})
    assert (not_ours.status_code, not_ours.json()["code"]) == (403, "not_your_step")


def test_the_api_returns_with_pointers_to_what_is_wrong(
    client: TestClient, engine: Engine, officer: Signed, case_id: uuid.UUID
) -> None:
    officer("front_office")
    path = f"/api/v1/cases/{case_id}/return"
    asked = [
        {"kind": "field", "key": "nik", "remark": ""},
        {"kind": "document", "key": "no_such", "remark": "x"},
    ]
    wrong = client.post(path, json={"asked": asked})
    assert wrong.status_code == 422
    assert refused(wrong) == [("/asked/0/remark", "required"), ("/asked/1/key", "unknown_key")]
    right = client.post(path, json={"asked": [{"kind": "field", "key": "nik", "remark": "Periksa."}]})
    assert right.json()["state"] == "returned"


def test_the_api_takes_a_field_report_and_gives_files(
    client: TestClient, engine: Engine, officer: Signed, now: datetime
) -> None:
    with transaction(engine) as session:
        case_id = make_case(session, "reklame-tetap", now=now).id
    move(engine, case_id, now, ("front_office", Action.FORWARD), ("back_office", Action.FORWARD))
    officer("technical_team")
    base = f"/api/v1/cases/{case_id}"
    photo = client.post(f"{base}/attachments", files={"file": ("foto.jpg", jpeg_file(), "image/jpeg")})
    assert photo.status_code == 201
    assert client.get(f"{base}/documents/{photo.json()['id']}").headers["content-type"] == "image/jpeg"
    assert client.post(f"{base}/report", json={"findings": {}}).status_code == 422
    with reading(engine) as session:
        items = _report_items(session, case_id)
    report = client.post(f"{base}/report", json={"findings": dict.fromkeys(items, "Sesuai"), "seen_visit": 3})
    assert report.json()["step"] == "agency_opinion"
    with reading(engine) as session:
        visit = session.exec(select(StepVisit).where(StepVisit.application_id == case_id)).all()[2]
    assert visit.data["attachments"] == [photo.json()["id"]]
    late = client.delete(f"{base}/attachments/{photo.json()['id']}")
    assert late.status_code == 403


def _report_items(session: Session, case_id: uuid.UUID) -> list[str]:
    revision = get_revision(session, session.get_one(Application, case_id).revision_id)
    return [item.key for item in revision.permit_type.report_items]


def test_the_officer_sees_which_permit_is_continued(
    engine: Engine, app: FastAPI, client: TestClient, applicant: User, held: Permit
) -> None:
    with transaction(engine) as session:
        moment = clock.now()
        known = begin_from(session, held, applicant, moment)
        paper = make_draft(session, applicant, request="renewal", now=moment)
        for application in (known, paper):
            give_documents(session, app.state.storage, application, applicant, moment)
            actor = actor_of(session, applicant)
            submit_application(session, application.id, declared=True, actor=actor, now=moment)
        officer = make_officer(session, ["front_office"], settings=app.state.settings)
    sign_in(client, officer)
    page = client.get(f"/officer/cases/{known.id}").text
    assert f'href="/permits/{held.code}"' in page
    assert "Izin lama" in page
    page = client.get(f"/officer/cases/{paper.id}").text
    assert "Tidak ada di layanan ini menurut pemohon." in page
    assert f'href="/permits/{held.code}"' in page
