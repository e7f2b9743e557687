"""A served city in a real process's threads, and a real Chromium to visit it."""

import io
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import cases
import httpx2
import pytest
from browsing import chromium, free_port, served
from factories import actor_of, make_officer
from playwright.sync_api import Browser, Page, Playwright, sync_playwright
from sqlalchemy import Engine

from keys.software import SoftwareKeyStore
from service import clock
from service.accounts.access import SESSION_COOKIE, uses_second_factor
from service.accounts.models import User
from service.accounts.sessions import open_session
from service.app import create_app
from service.applications.models import Application
from service.config import Settings
from service.database import open_engine, transaction
from service.permits.batch import select_files
from service.permits.batch_run import BatchRuns
from service.permits.desk import DeskFile, name_files
from service.permits.models import Kind
from service.permits.revoke import revoke_permit
from service.permits.signer import OperationsKeys
from service.permits.workshop import workshop_of
from service.storage import Storage


@dataclass
class Site:
    """The running service, its people, and one case of each kind."""

    url: str
    engine: Engine
    settings: Settings
    city: cases.City
    admin: User
    permit: cases.Issued
    letter: cases.Issued
    revoked: cases.Issued
    ready: list[Application]
    batch: uuid.UUID
    """Signed but for one file that had changed."""
    refusing: Application
    """Waits for its rejection letter to be signed."""
    draft: Application
    submitted: Application
    returned: Application
    verified: str = ""
    """The page of a batch of verified files."""

    def cookie(self, user: User) -> dict[str, str]:
        """Sign a person in, as if password and code had been given; return the cookie for the browser."""
        with transaction(self.engine) as session:
            opened = open_session(
                session,
                user,
                lifetime=timedelta(hours=1),
                device="Uji",
                now=clock.now(),
                second_factor=uses_second_factor(user),
            )
        return {"name": SESSION_COOKIE, "value": opened.token, "url": self.url}

    def select_files(self) -> uuid.UUID:
        """Select a rejection letter and a permit for the head of office to look at."""
        with transaction(self.engine) as session:
            files = name_files(session, [(self.refusing.id, "0" * 64), (self.ready[0].id, "0" * 64)])
            head = actor_of(session, self.city.head)
            return select_files(session, files, actor=head, now=clock.now()).id


@pytest.fixture(scope="session")
def site(
    new_database: Callable[[], str],
    tmp_path_factory: pytest.TempPathFactory,
    make_settings: Callable[..., Settings],
) -> Iterator[Site]:
    """Serve a city on a free loopback port for all browser tests."""
    folder = tmp_path_factory.mktemp("site")
    now = clock.now()
    keys = cases.make_keys(folder / "keys", now - timedelta(days=30))
    port = free_port()
    settings = make_settings(folder).model_copy(
        update={"keys_folder": folder / "keys", "base_url": f"http://127.0.0.1:{port}"}
    )
    engine = open_engine(new_database())
    app = create_app(settings, engine)
    with served(app, port):
        site = furnish(settings, engine, app.state.storage, app.state.operations_keys, keys)
        site.verified = verify_batch(settings.base_url, site.permit.pdf)
        yield site
    engine.dispose()


def verify_batch(url: str, pdf: bytes) -> str:
    """Have a genuine and an altered copy verified as a batch; return the path of its page."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("asli.pdf", pdf)
        archive.writestr("diubah.pdf", pdf + b"\n")
    files = {"file": ("kumpulan.zip", packed.getvalue())}
    secret = httpx2.post(f"{url}/api/v1/verification-batches", files=files).json()["id"]
    while httpx2.get(f"{url}/api/v1/verification-batches/{secret}").json()["state"] != "ended":
        time.sleep(0.05)
    return f"/verify/batches/{secret}"


def furnish(
    settings: Settings, engine: Engine, storage: Storage, own: OperationsKeys, keys: SoftwareKeyStore
) -> Site:
    """Fill the city: cases at every stage, a permit, a letter, a revoked permit."""
    now = clock.now()
    workshop = workshop_of(settings, engine, storage, own, None)
    signer = keys.open_key("official-head", cases.OFFICIAL_PASSPHRASE, now=now)
    with transaction(engine) as session:
        city = cases.make_city(session, now, settings=settings)
        admin = make_officer(session, ["administrator"], full_name="Admin Contoh", settings=settings)
        waiting = [cases.bring_to_signature(session, city, now) for _ in range(6)]
        refusing = cases.bring_to_signature(session, city, now, reasons="STR tidak terbaca.")
        refused = cases.bring_to_signature(session, city, now, reasons="STR tidak terbaca.")
        draft = cases.draft_case(session, city, now)
        submitted = cases.submit_case(session, city, now)
        returned = cases.return_case(session, city, cases.submit_case(session, city, now), now)

    def shown(case: Application) -> DeskFile:
        return DeskFile(case.id, Kind.PERMIT, cases.digest_shown(workshop, city, case, now))

    permit = cases.issue_case(workshop, city, waiting[0], signer, now)
    revoked = cases.issue_case(workshop, city, waiting[1], signer, now)
    letter = cases.issue_case(workshop, city, refused, signer, now)
    with transaction(engine) as session:
        head = actor_of(session, city.head)
        changed = DeskFile(waiting[3].id, Kind.PERMIT, "0" * 64)
        batch = select_files(session, [shown(waiting[2]), changed], actor=head, now=now)
    runs = BatchRuns()
    runs.start(workshop, batch.id, actor=head, signer=signer, seen_digest=batch.list_digest)
    runs.wait()
    with transaction(engine) as session:
        revoke_permit(
            session, revoked.permit.id, reason_code="own_request", remark="Uji", actor=head, now=clock.now()
        )
    return Site(
        settings.base_url,
        engine,
        settings,
        city,
        admin,
        permit,
        letter,
        revoked,
        waiting[4:],
        batch.id,
        refusing,
        draft,
        submitted,
        returned,
    )


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """The one driver of all browsers: a process can have no second."""
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    with chromium(playwright) as browser:
        yield browser


@pytest.fixture
def open_page(browser: Browser, site: Site) -> Iterator[Callable[..., Page]]:
    """Give a function that opens a page as somebody, at a width; what the console says fails the test."""
    contexts = []
    complaints: list[str] = []

    def open_page(path: str = "/", *, user: User | None = None, width: int = 1280, lang: str = "id") -> Page:
        context = browser.new_context(viewport={"width": width, "height": 800}, base_url=site.url)
        contexts.append(context)
        context.add_cookies([{"name": "canting_language", "value": lang, "url": site.url}])
        if user is not None:
            context.add_cookies([site.cookie(user)])  # type: ignore[list-item]
        page = context.new_page()
        page.on("console", lambda message: _note(message.type, message.text, complaints))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def _note(kind: str, text: str, complaints: list[str]) -> None:
    """A page answered with 4xx on purpose is reported by the browser too; that is no fault."""
    if kind == "error" and "Failed to load resource" not in text:
        complaints.append(text)
