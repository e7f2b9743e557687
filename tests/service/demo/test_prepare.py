"""The demonstration: refused where it has no place, complete, told truly, and the same when it returns."""

import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest
from factories import let_forms_pass
from fastapi.testclient import TestClient
from sqlmodel import Session, select

from service import clock
from service.accounts.access import ROLES
from service.app import create_app
from service.applications.models import Application
from service.audit import verify_chain
from service.clock import city_date
from service.config import DEMONSTRATION_SECRET, Settings
from service.database import open_engine, reading
from service.demo import prepare
from service.demo.pages import describe_demo
from service.demo.prepare import DemoRefused, prepare_demo, read_secrets
from service.demo.scene import DemoCity, demo_city
from service.operations import open_settings_storage
from service.permits.models import Permit
from service.permits.register import current_version, status_at
from service.storage import get_document

BASE_URL = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def small_city() -> DemoCity:
    """One permit, one rejection, and one case on its way."""
    city = demo_city()
    chosen = [
        next(case for case in city.cases if case.until == "signed" and case.then == "suspended"),
        next(case for case in city.cases if case.until == "signed" and case.rejected),
        next(case for case in city.cases if case.until == "returned"),
    ]
    absent = {"tax_agency", "technical_team", "secretary", "complaint_officer"}
    officers = [each for each in city.officers if not absent & set(each.roles)]
    citizens = [each for each in city.citizens if each.email.partition("@")[0] in {c.by for c in chosen}]
    return city.model_copy(
        update={"cases": tuple(chosen), "officers": tuple(officers), "citizens": tuple(citizens)}
    )


@pytest.fixture(scope="module")
def demo(small_city: DemoCity, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CANTING_ENVIRONMENT", raising=False)
        patch.setattr(prepare, "demo_city", lambda: small_city)
        return prepare_demo(tmp_path_factory.mktemp("demo"), base_url=BASE_URL)


@pytest.fixture
def session(demo: Settings) -> Iterator[Session]:
    engine = open_engine(demo.effective_database_url)
    with reading(engine) as opened:
        yield opened
    engine.dispose()


# Where it has no place -----------------------------------------------------------------------------


def test_it_refuses_production(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANTING_ENVIRONMENT", "production")
    with pytest.raises(DemoRefused):
        prepare_demo(tmp_path / "demo", base_url=BASE_URL)
    assert not (tmp_path / "demo").exists()


def test_it_removes_nothing_but_a_demonstration(tmp_path: Path) -> None:
    (tmp_path / "arsip.txt").write_text("penting")
    with pytest.raises(DemoRefused):
        prepare_demo(tmp_path, base_url=BASE_URL, fresh=True)
    assert (tmp_path / "arsip.txt").read_text() == "penting"


def test_it_never_uses_the_installations_own_database_mail_or_storage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DATABASE_URL", "STORAGE_URL", "SMTP_HOST", "KEYS_FOLDER", "SECRET_KEY"):
        monkeypatch.setenv(f"CANTING_{name}", "/milik/produksi")
    settings = prepare.demo_settings(tmp_path, BASE_URL)
    assert "produksi" not in settings.model_dump_json()
    assert "produksi" not in settings.secret_key.get_secret_value()


def test_its_secrets_are_its_own_and_production_refuses_them(demo: Settings) -> None:
    path = demo.data_folder / prepare.SECRETS
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert DEMONSTRATION_SECRET in demo.secret_key.get_secret_value()
    with pytest.raises(ValueError, match="demonstration"):
        Settings(**demo.model_dump() | {"environment": "production", "base_url": "https://izin.contoh.id"})


# What it holds -------------------------------------------------------------------------------------


def test_it_has_an_officer_of_every_role() -> None:
    assert {role for officer in demo_city().officers for role in officer.roles} == set(ROLES)


def test_its_cases_are_signed_suspended_rejected_and_returned(demo: Settings, session: Session) -> None:
    states = Counter(session.exec(select(Application.state)).all())
    assert states == {"approved": 1, "rejected": 1, "returned": 1}
    permits = session.exec(select(Permit)).all()
    assert Counter((permit.kind, permit.status) for permit in permits) == {
        ("permit", "suspended"): 1,
        ("rejection_letter", "active"): 1,
    }
    assert all(permit.issued_on < city_date(clock.now()) for permit in permits)
    storage = open_settings_storage(demo)
    for permit in permits:
        assert get_document(storage, current_version(session, permit).sha256).startswith(b"%PDF-")
    assert verify_chain(session) > 20


def test_it_is_there_again_when_it_is_started_again(demo: Settings, session: Session) -> None:
    before = verify_chain(session)
    again = prepare_demo(demo.data_folder, base_url=BASE_URL)
    assert again.secret_key == demo.secret_key
    assert verify_chain(session) == before


def test_an_interrupted_preparation_is_made_anew(
    tmp_path: Path, small_city: DemoCity, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "demo"
    monkeypatch.setattr(prepare, "build_city", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        prepare_demo(folder, base_url=BASE_URL)
    first = read_secrets(folder)
    monkeypatch.setattr(prepare, "build_city", lambda *_: None)
    prepare_demo(folder, base_url=BASE_URL)
    assert read_secrets(folder) != first
    assert (folder / prepare.READY).exists()


def test_one_made_by_another_release_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "build_city", lambda *_: None)
    folder = tmp_path / "demo"
    prepare_demo(folder, base_url=BASE_URL)
    first = read_secrets(folder)
    prepare_demo(folder, base_url=BASE_URL)
    assert read_secrets(folder) == first
    (folder / prepare.READY).write_text("rilis lain")
    prepare_demo(folder, base_url=BASE_URL)
    assert read_secrets(folder) != first


# Its pages -----------------------------------------------------------------------------------------


@pytest.fixture
def visitor(demo: Settings) -> Iterator[TestClient]:
    app = create_app(demo.model_copy(update={"runs_jobs": False}))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def test_the_page_opens_every_account(visitor: TestClient, demo: Settings) -> None:
    let_forms_pass(visitor)
    page = visitor.get("/demo").text
    city = demo_city()
    for each in (*city.officers, *city.citizens):
        assert each.email in page
    assert city.password in page
    answer = visitor.post("/sign-in", data={"email": "loket@contoh.invalid", "password": city.password})
    assert answer.url.path == "/sign-in/code"
    code = pyotp.TOTP(read_secrets(demo.data_folder)["totp_secret"]).now()
    assert visitor.post("/sign-in/code", data={"code": code}).url.path == "/officer"


def test_the_outbox_shows_every_mail_with_its_link(visitor: TestClient) -> None:
    page = visitor.get("/demo/outbox").text
    assert "kadis@contoh.invalid" in page
    assert f'href="{BASE_URL}/reset-password/' in page


def test_its_pages_are_no_part_of_another_installation(client: TestClient) -> None:
    assert client.get("/demo").status_code == 404
    assert client.get("/demo/outbox").status_code == 404


def test_the_terminal_shows_addresses_and_accounts(demo: Settings) -> None:
    said = describe_demo(demo)
    for words in (f"{BASE_URL}/demo", "kadis@contoh.invalid", demo_city().password, demo_city().passphrase):
        assert words in said


# The whole city ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_whole_city_has_a_case_at_every_stage(tmp_path: Path) -> None:
    settings = prepare_demo(tmp_path / "demo", base_url=BASE_URL)
    engine = open_engine(settings.effective_database_url)
    moment = clock.now()
    with reading(engine) as session:
        applications = session.exec(select(Application)).all()
        standing = Counter((row.state, row.step) for row in applications)
        statuses = {status_at(session, permit, moment)[0] for permit in session.exec(select(Permit)).all()}
        outcomes = {row.outcome for row in applications if row.step == "sign"}
        overdue = [
            row
            for row in applications
            if row.step_due_on and row.step_due_on < city_date(moment) and row.step
        ]
        verify_chain(session)
    engine.dispose()
    steps = {step for state, step in standing if state == "under_review"}
    assert steps == {
        "completeness", "review", "field_visit", "agency_opinion", "payment", "draft",
        "initial_analyst", "initial_division", "sign",
    }  # fmt: skip
    assert {state for state, _ in standing} == {
        "draft", "returned", "withdrawn", "approved", "rejected", "under_review",
    }  # fmt: skip
    assert standing["under_review", "sign"] >= 4
    assert outcomes == {"approve", "reject"}
    assert {"active", "suspended", "revoked", "expired"} <= statuses
    assert len(overdue) >= 2
