"""The way of a renewal in a real Chromium: from the permit's own page to the verifier of the old paper."""

import re
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import cases
import httpx2
import pypdfium2
import pytest
from browsing import SCREENSHOTS
from factories import jpeg_file, make_citizen
from playwright.sync_api import Page, expect
from sqlmodel import select

from service import clock
from service.applications.models import Application
from service.clock import city_date
from service.database import reading, transaction
from service.permits.models import Permit
from service.permits.register_audit import audit_register
from service.transparency.models import LogEntry

if TYPE_CHECKING:
    from conftest import Site

pytestmark = pytest.mark.browser


def sign(site: "Site", open_page: Callable[..., Page], case_id: uuid.UUID) -> Permit:
    """Have the head of office sign a case, and return what was issued."""
    page = open_page(f"/sign/{case_id}", user=site.city.head)
    page.get_by_label("Frasa sandi").fill(cases.OFFICIAL_PASSPHRASE)
    page.get_by_role("button", name="Tanda tangani surat izin").click()
    expect(page.locator("main")).to_contain_text("Sudah ditandatangani")
    with reading(site.engine) as session:
        return session.exec(select(Permit).where(Permit.application_id == case_id)).one()


def document(site: "Site", open_page: Callable[..., Page], permit: Permit, city: cases.City) -> bytes:
    page = open_page(f"/permits/{permit.code}", user=city.citizen)
    return page.request.get(f"/permits/{permit.code}/document").body()


def verified(site: "Site", pdf: bytes) -> dict[str, object]:
    answer = httpx2.post(f"{site.url}/api/v1/verifications", files={"file": ("izin.pdf", pdf)}).json()
    return {"verdict": answer["verdict"]} | {
        name: answer["permit"][name] for name in ("status", "superseded_by")
    }


def renew(page: Page, permit: Permit) -> uuid.UUID:
    """Press the button on the permit's page, mend what changed, give the documents, and submit."""
    page.get_by_role("button", name="Perpanjang").click()
    page.wait_for_url(re.compile("/applications/[0-9a-f]{8}-"))
    expect(page.locator("body")).to_contain_text("Isian dari izin lama sudah disalin.")
    expect(page.locator("main")).to_contain_text(permit.number)
    page.screenshot(path=SCREENSHOTS / "renewal-tasks-390.png", full_page=True)
    base = page.url
    page.goto(f"{base}/sections/registration")
    assert page.locator("[name=str_number]").input_value() == cases.VALUES["str_number"]
    page.locator("[name=str_lifetime][value=yes]").check()
    page.locator("main form button[type=submit]").first.click()
    page.goto(f"{base}/documents")
    waiting = page.locator("[data-canting-upload] input[type=file]")
    while left := waiting.count():
        file = {"name": "foto.jpg", "mimeType": "image/jpeg", "buffer": jpeg_file()}
        waiting.first.set_input_files(file)  # type: ignore[arg-type]
        expect(waiting).to_have_count(left - 1)
    page.goto(f"{base}/check")
    page.locator("main input[type=checkbox]").check()
    page.locator("main form button[type=submit]").last.click()
    page.wait_for_url(re.compile("/submitted$"))
    return uuid.UUID(base.rpartition("/")[2])


def test_a_permit_is_renewed_and_the_old_paper_tells_of_it(
    site: "Site", open_page: Callable[..., Page]
) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    moment = clock.now()
    ends_soon = {"str_lifetime": False, "str_valid_until": str(city_date(moment + timedelta(days=60)))}
    with transaction(site.engine) as session:
        city = replace(site.city, citizen=make_citizen(session))
        case = cases.bring_to_signature(session, city, moment, **ends_soon)
    old = sign(site, open_page, case.id)
    old_pdf = document(site, open_page, old, city)
    assert verified(site, old_pdf)["status"] == "active"

    renewal = renew(open_page(f"/permits/{old.code}", user=city.citizen, width=390), old)
    officer = open_page(f"/officer/cases/{renewal}", user=city.officers["front_office"])
    expect(officer.get_by_role("link", name=old.number)).to_be_visible()
    officer.screenshot(path=SCREENSHOTS / "renewal-case-1280.png")
    with transaction(site.engine) as session:
        cases.review_case(session, city, session.get_one(Application, renewal), clock.now())
    new = sign(site, open_page, renewal)

    assert verified(site, old_pdf) == {
        "verdict": "genuine",
        "status": "superseded",
        "superseded_by": new.number,
    }
    new_pdf = document(site, open_page, new, city)
    assert verified(site, new_pdf) == {"verdict": "genuine", "status": "active", "superseded_by": None}
    assert (old.valid_until, new.valid_until) == (
        city_date(moment + timedelta(days=60)),
        old.valid_until and old.valid_until.replace(year=old.valid_until.year + 5),
    )
    holder = open_page(f"/permits/{old.code}", user=city.citizen, width=390)
    expect(holder.get_by_role("link", name=new.number)).to_be_visible()
    expect(holder.get_by_role("button", name="Perpanjang")).to_have_count(0)
    anyone = open_page(f"/v/{old.code}", width=390)
    expect(anyone.locator("main")).to_contain_text(new.number)
    anyone.screenshot(path=SCREENSHOTS / "superseded-390.png", full_page=True)
    receipt = httpx2.post(f"{site.url}/api/v1/permits/{old.code}/receipt", params={"form": "pdf"}).content
    assert new.number in pypdfium2.PdfDocument(receipt)[0].get_textpage().get_text_bounded()
    with reading(site.engine) as session:
        assert audit_register(session).findings == []
        assert [leaf for leaf in session.exec(select(LogEntry.leaf)) if '"kind":"superseded"' in leaf]
