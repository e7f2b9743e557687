"""The way in, over HTTP: the real app, real forms, real mail rows."""

import re
import time
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from factories import PASSWORD, TOTP_SECRET, let_forms_pass, make_citizen, make_officer, sign_in
from fastapi.testclient import TestClient
from sqlalchemy import Engine
from sqlmodel import select

from service.accounts.access import SESSION_COOKIE
from service.accounts.links import one_time_address
from service.accounts.models import LoginSession, User
from service.accounts.pages import own_path
from service.audit import AuditEvent
from service.config import Settings
from service.database import reading, transaction
from service.mail import MailMessage, compose

CANARY = "burung kenari 7f3a di sangkar"


@pytest.mark.parametrize("language", ["id", "en"])
@pytest.mark.parametrize("path", ["/register", "/confirm-email", "/sign-in", "/forgot-password"])
def test_public_pages_open_in_both_languages(client: TestClient, path: str, language: str) -> None:
    answer = client.get(path, params={"lang": language})
    assert answer.status_code == 200
    assert f'<html lang="{language}"' in answer.text
    assert ("E-mail address" in answer.text) == (language == "en")


def test_account_pages_open(client: TestClient, engine: Engine) -> None:
    with transaction(engine) as session:
        citizen = make_citizen(session)
    sign_in(client, citizen)
    for page in ("", "/profile", "/password", "/second-factor", "/tokens"):
        assert client.get(f"/account{page}").status_code == 200


def test_a_citizen_registers_confirms_and_signs_in(
    client: TestClient, engine: Engine, settings: Settings
) -> None:
    let_forms_pass(client)
    form = {
        "full_name": "Siti Contoh",
        "email": "siti@contoh.invalid",
        "password": PASSWORD,
        "consent": "yes",
    }
    assert client.post("/register", data=form).headers["location"] == "/confirm-email"
    link = _path_in_mail(engine, settings, "confirm_email")
    for _ in range(3):  # A programme that scans mails may look as often as it likes.
        assert "siti@contoh.invalid" in client.get(link).text
    assert client.post(link).headers["location"] == "/sign-in"
    assert client.post(link).status_code == 410
    answer = client.post("/sign-in", data={"email": "Siti@contoh.invalid ", "password": PASSWORD})
    assert answer.headers["location"] == "/applications"
    assert "httponly" in answer.headers["set-cookie"].lower()
    assert "samesite=lax" in answer.headers["set-cookie"].lower()
    assert "Siti Contoh" in client.get("/account").text


def test_a_registered_address_looks_like_a_new_one(client: TestClient, engine: Engine) -> None:
    with transaction(engine) as session:
        make_citizen(session, email="lama@contoh.invalid")
    let_forms_pass(client)
    answers = []
    for email in ("lama@contoh.invalid", "baru@contoh.invalid"):
        form = {"full_name": "Siti Contoh", "email": email, "password": PASSWORD, "consent": "yes"}
        answer = client.post("/register", data=form)
        answers.append((answer.status_code, answer.headers["location"], answer.text))
    assert answers[0] == answers[1]


def test_a_reset_request_tells_nothing_of_the_account(client: TestClient, engine: Engine) -> None:
    with transaction(engine) as session:
        make_citizen(session, email="lama@contoh.invalid")
    let_forms_pass(client)
    texts = [
        client.post("/forgot-password", data={"email": email}).text.replace(email, "…")
        for email in ("lama@contoh.invalid", "baru@contoh.invalid")
    ]
    assert texts[0] == texts[1]


def test_a_refused_form_keeps_what_was_typed_but_no_password(client: TestClient) -> None:
    let_forms_pass(client)
    form = {"full_name": "Siti Contoh", "email": "bukan-surel", "password": CANARY[:9], "consent": "yes"}
    answer = client.post("/register", data=form)
    assert answer.status_code == 422
    assert 'href="#email"' in answer.text
    assert 'href="#password"' in answer.text
    assert 'value="Siti Contoh"' in answer.text
    assert 'value="bukan-surel"' in answer.text
    assert CANARY[:9] not in answer.text


def test_a_failed_sign_in_stays_written_and_locks(client: TestClient, engine: Engine) -> None:
    with transaction(engine) as session:
        user = make_citizen(session)
    let_forms_pass(client)
    answers = [
        client.post("/sign-in", data={"email": user.email, "password": password})
        for password in ["salah"] * 5 + [PASSWORD]
    ]
    assert {answer.status_code for answer in answers} == {401}
    with reading(engine) as session:
        assert session.get_one(User, user.id).locked_until is not None


def test_floods_from_one_address_are_slowed_down(client: TestClient) -> None:
    let_forms_pass(client)
    *first, last = (client.post("/forgot-password", data={"email": "satu@contoh.invalid"}) for _ in range(7))
    assert {answer.status_code for answer in first} == {200}
    assert last.status_code == 429
    assert int(last.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    "path",
    [
        "https://jahat.invalid/",
        "//jahat.invalid",
        "/\\jahat.invalid",
        "javascript:alert(1)",
        "/a\nb",
        "jahat",
    ],
)
def test_nobody_is_led_to_another_site(client: TestClient, engine: Engine, path: str) -> None:
    assert own_path(path) == ""
    with transaction(engine) as session:
        user = make_citizen(session)
    let_forms_pass(client)
    answer = client.post("/sign-in", data={"email": user.email, "password": PASSWORD, "next": path})
    assert answer.headers["location"] == "/applications"


def test_sign_in_leads_on_to_where_one_was_going(client: TestClient, engine: Engine) -> None:
    with transaction(engine) as session:
        user = make_citizen(session)
    let_forms_pass(client)
    assert client.get("/account/tokens").headers["location"] == "/sign-in?next=/account/tokens"
    form = {"email": user.email, "password": PASSWORD, "next": "/account/tokens"}
    assert client.post("/sign-in", data=form).headers["location"] == "/account/tokens"


@pytest.mark.parametrize("query", ["page=2", "q=Siti%20%26%20Budi&role=a%3Db", "q=%2523"])
def test_sign_in_leads_on_with_the_pages_own_query(client: TestClient, engine: Engine, query: str) -> None:
    with transaction(engine) as session:
        user = make_citizen(session)
    let_forms_pass(client)
    answer = client.get(f"/account/tokens?{query}")
    [following] = parse_qs(urlsplit(answer.headers["location"]).query)["next"]
    assert following == f"/account/tokens?{query}"
    form = {"email": user.email, "password": PASSWORD, "next": following}
    assert client.post("/sign-in", data=form).headers["location"] == following


def test_what_is_too_long_to_lead_on_is_left_out(client: TestClient) -> None:
    assert client.get(f"/account/tokens?q={'a' * 2000}").headers["location"] == "/sign-in"


def test_an_officer_enrols_before_anything_else(
    client: TestClient, engine: Engine, settings: Settings
) -> None:
    with transaction(engine) as session:
        officer = make_officer(session, ["administrator"])
    let_forms_pass(client)
    client.post("/sign-in", data={"email": officer.email, "password": PASSWORD})
    for closed in ("/account", "/account/tokens", "/admin/officers", "/api/v1/me"):
        answer = client.get(closed)
        assert answer.status_code in {303, 401}, closed
    assert client.get("/sign-in/code").headers["location"] == "/account/second-factor"
    client.post("/account/second-factor/begin")
    page = client.get("/account/second-factor").text
    secret = re.search(r"<code[^>]*>([A-Z2-7 ]+)</code>", page)
    assert secret is not None
    qr = client.get("/account/second-factor/qr.svg")
    assert qr.headers["content-type"] == "image/svg+xml"
    code = pyotp.TOTP(secret[1].replace(" ", "")).now()
    halfway = client.cookies[SESSION_COOKIE]
    done = client.post("/account/second-factor/confirm", data={"code": code})
    assert len(re.findall(r"<code[^>]*>[A-Z2-7-]{19}</code>", done.text)) == 10
    assert client.cookies[SESSION_COOKIE] != halfway
    assert client.get("/admin/officers").status_code == 200
    assert client.get("/account/second-factor/qr.svg").status_code == 409


def test_an_officer_signs_in_with_a_code(client: TestClient, engine: Engine, settings: Settings) -> None:
    with transaction(engine) as session:
        officer = make_officer(session, settings=settings)
    let_forms_pass(client)
    form = {"email": officer.email, "password": PASSWORD, "next": "/account/tokens"}
    answer = client.post("/sign-in", data=form)
    assert answer.headers["location"] == "/sign-in/code?next=%2Faccount%2Ftokens"
    halfway = client.cookies[SESSION_COOKIE]
    assert client.post("/sign-in/code", data={"code": "000"}).status_code == 422
    code = pyotp.TOTP(TOTP_SECRET).at(int(time.time()))
    answer = client.post("/sign-in/code", data={"code": code, "next": "/account/tokens"})
    assert answer.headers["location"] == "/account/tokens"
    assert client.get("/account/tokens").status_code == 200
    client.cookies.clear()
    let_forms_pass(client)
    client.cookies.set(SESSION_COOKIE, halfway)  # It ended with the step up.
    assert client.post("/sign-in/code", data={"code": code}).headers["location"] == "/sign-in"


def test_signing_out_ends_the_session_itself(client: TestClient, engine: Engine) -> None:
    with transaction(engine) as session:
        user = make_citizen(session)
    sign_in(client, user)
    token = client.cookies[SESSION_COOKIE]
    client.post("/sign-out")
    client.cookies.set(SESSION_COOKIE, token)
    assert client.get("/account").headers["location"] == "/sign-in?next=/account"


def test_an_officer_is_invited_sets_a_password_and_is_disabled(
    client: TestClient, engine: Engine, settings: Settings
) -> None:
    with transaction(engine) as session:
        administrator = make_officer(session, ["administrator"], settings=settings)
    sign_in(client, administrator)
    form = {
        "email": "budi@contoh.invalid",
        "full_name": "Budi Contoh",
        "roles": ["front_office", "secretary"],
    }
    assert client.post("/admin/officers/new", data=form).headers["location"] == "/admin/officers"
    assert "budi@contoh.invalid" in client.get("/admin/officers", params={"q": "budi"}).text
    with reading(engine) as session:
        officer = session.exec(select(User).where(User.email == "budi@contoh.invalid")).one()
    link = _path_in_mail(engine, settings, "officer_invited")
    assert client.get(link).status_code == 200
    assert client.post(link, data={"new_password": CANARY}).headers["location"] == "/sign-in"
    place = f"/admin/officers/{officer.id}"
    assert 'value="secretary" checked' in client.get(place).text
    refused = client.post(place, data={"full_name": "Budi Baru", "nip": "1"})
    assert refused.status_code == 422
    assert 'value="Budi Baru"' in refused.text
    client.post(f"{place}/disable")
    with reading(engine) as session:
        assert session.get_one(User, officer.id).disabled_at is not None
    own = f"/admin/officers/{administrator.id}"
    refused = client.post(own, data={"full_name": "Admin", "roles": ["front_office"]})
    assert refused.status_code == 409


def test_profile_password_sessions_and_tokens(client: TestClient, engine: Engine) -> None:
    with transaction(engine) as session:
        user = make_citizen(session)
    sign_in(client, user)
    client.post("/account/profile", data={"full_name": "Siti Baru", "language": "en"})
    assert "My account" in client.get("/account").text
    wrong = client.post("/account/password", data={"current_password": "salah", "new_password": CANARY})
    assert wrong.status_code == 422
    changed = client.post("/account/password", data={"current_password": PASSWORD, "new_password": CANARY})
    assert changed.headers["location"] == "/account"
    form = {"name": "Aplikasi", "scopes": ["read"], "days": "30"}
    created = client.post("/account/tokens", data=form)
    token = re.search(r"canting_[A-Za-z0-9_-]{43}", created.text)
    assert token is not None
    assert token[0] not in client.get("/account/tokens").text
    assert client.post("/account/tokens", data={**form, "days": "9999"}).status_code == 422
    with reading(engine) as session:
        rows = session.exec(select(LoginSession)).all()
    assert client.post(f"/account/sessions/{rows[0].id}/end").headers["location"] == "/account"
    assert client.get("/account").status_code == 303


def test_secrets_reach_no_row_and_no_log(
    client: TestClient, engine: Engine, settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    let_forms_pass(client)
    form = {"full_name": "Siti", "email": "siti@contoh.invalid", "password": CANARY, "consent": "yes"}
    client.post("/register", data=form)
    link = _path_in_mail(engine, settings, "confirm_email")
    client.post(link)
    client.post("/sign-in", data={"email": CANARY, "password": CANARY})
    client.post("/sign-in", data={"email": "siti@contoh.invalid", "password": CANARY + "!"})
    client.post("/sign-in", data={"email": "siti@contoh.invalid", "password": CANARY})
    client.post("/account/password", data={"current_password": CANARY, "new_password": CANARY + " baru"})
    session_token = client.cookies[SESSION_COOKIE]
    with reading(engine) as session:
        rows: list[object] = [*session.exec(select(AuditEvent)), *session.exec(select(MailMessage))]
        rows += [*session.exec(select(User)), *session.exec(select(LoginSession))]
        written = "\n".join(repr(row) for row in rows)
    assert "signed_in" in written
    written += "".join(capfd.readouterr())
    for secret in (CANARY, session_token, link.rpartition("/")[2]):
        assert secret not in written


def _path_in_mail(engine: Engine, settings: Settings, template: str) -> str:
    """Return the path of the one-time link in the latest mail of this template, as its reader would."""
    with reading(engine) as session:
        rows = session.exec(select(MailMessage).where(MailMessage.template == template)).all()
    latest = max(rows, key=lambda row: row.created_at)
    text = compose(latest, settings, one_time_address(settings)).get_content()
    found = re.search(rf"{re.escape(settings.base_url)}(/(?:confirm-email|reset-password)/\S+)", text)
    assert found is not None
    return found[1]
