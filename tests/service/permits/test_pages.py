"""The desk of an official who signs through a service outside."""

from datetime import datetime

import outside
import pytest
from factories import app_of, let_forms_pass, sign_in
from fastapi.testclient import TestClient
from outside_bsre import BsreServer
from outside_desk import LATER, SIGN, Desk

from service.applications.models import Application
from service.database import reading
from service.permits.issue import unfinished_issuances


@pytest.fixture
def page(at_bsre: Desk, client: TestClient, monkeypatch: pytest.MonkeyPatch, now: datetime) -> TestClient:
    """The head of office's browser, in an installation that is connected to BSrE."""
    app = app_of(client)
    app.state.settings = at_bsre.settings
    for module in ("service.permits.pages", "service.permits.workshop"):
        monkeypatch.setattr(f"{module}.now", lambda: at_bsre.moment())
    sign_in(client, at_bsre.official)
    let_forms_pass(client)
    return client


def order(page: TestClient, desk: Desk, case: Application, passphrase: str) -> str:
    """Sign on the page as the official does, and return what is shown in the end."""
    shown = page.get(f"/sign/{case.id}").text
    assert "Frasa sandi TTE" in shown
    assert "Sertifikat BSrE Anda" in shown
    digest = shown.split('name="digest" value="')[1].split('"')[0]
    answer = page.post(f"/sign/{case.id}", data={"passphrase": passphrase, "digest": digest})
    assert passphrase not in answer.text
    return page.get(answer.headers["location"]).text if answer.status_code == 303 else answer.text


def test_the_official_sees_what_became_of_it(page: TestClient, at_bsre: Desk) -> None:
    case = at_bsre.case()
    assert isinstance(at_bsre.server, BsreServer)
    at_bsre.server.status = "SUSPEND"
    assert "TTE Anda sedang ditangguhkan" in order(page, at_bsre, case, outside.PASSPHRASE)
    at_bsre.server.status = "ISSUE"
    seen = order(page, at_bsre, case, "kanari frasa keliru 55512")
    assert "Frasa sandi TTE salah. Tidak ada yang ditandatangani." in seen
    assert "Penerbitan yang terhenti" in seen
    assert "Menunggu kepastian" not in seen
    at_bsre.server.fault = "cut after signing"
    permit = at_bsre.permit()
    finish = f"/sign/unfinished/{permit.id}"
    page.post(finish, data={"passphrase": outside.PASSPHRASE})
    seen = page.get("/sign").text
    assert "belum pasti apakah dokumennya sudah ditandatangani" in seen
    assert "Menunggu kepastian" in seen
    assert "pukul 10.00 WIB, tetapi jawabannya tidak sampai." in seen
    page.post(finish, data={"passphrase": outside.PASSPHRASE})
    assert "Tunggu sampai pukul" in page.get("/sign").text
    at_bsre.server.fault = ""
    at_bsre.moment.at += LATER
    page.post(finish, data={"passphrase": outside.PASSPHRASE})
    assert f"diterbitkan dengan nomor {permit.number}" in page.get("/sign").text
    with reading(at_bsre.workshop.engine) as session:
        assert unfinished_issuances(session, at_bsre.head) == []
    assert at_bsre.server.asked[SIGN] == 3
