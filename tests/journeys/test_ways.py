"""The citizen's, the officer's, the signer's and the verifier's way, clicked through in a real Chromium."""

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import cases
import pyotp
import pytest
from factories import PASSWORD, TOTP_SECRET
from PIL import Image
from playwright.sync_api import Page, expect
from sqlmodel import col, select

from service import clock
from service.accounts.links import link_token
from service.accounts.models import OneTimeLink
from service.applications.models import Application
from service.database import reading, transaction
from service.permits.models import Permit

if TYPE_CHECKING:
    from conftest import Site

pytestmark = pytest.mark.browser


def photo() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (400, 600), "#a4161a").save(out, "JPEG")
    return out.getvalue()


def mailed_link(site: "Site", purpose: str) -> str:
    """The address in the newest mail of this purpose, as the mail writes it."""
    with reading(site.engine) as session:
        statement = select(OneTimeLink).where(OneTimeLink.purpose == purpose)
        link = session.exec(statement.order_by(col(OneTimeLink.created_at).desc())).first()
    assert link is not None
    return f"/{purpose}/{link_token(link.id, purpose, site.settings.secret_key.get_secret_value())}"


def test_a_citizen_registers_applies_on_a_phone_and_tracks(
    site: "Site", open_page: Callable[..., Page]
) -> None:
    page = open_page("/register", width=360)
    page.get_by_label("Nama lengkap").fill("Rina Contoh")
    page.locator("input[type=email]").fill("rina@contoh.invalid")
    page.locator("input[type=password]").first.fill("melati mekar di pagi hari")
    page.locator("input[type=checkbox]").first.check()
    page.get_by_role("button", name="Buat akun").click()
    page.goto(mailed_link(site, "confirm-email"))
    page.locator("main form button[type=submit]").last.click()
    page.goto("/sign-in?next=/permit-types/sip-tenaga-kesehatan")
    page.locator("input[type=email]").fill("rina@contoh.invalid")
    page.locator("input[type=password]").fill("melati mekar di pagi hari")
    page.locator("main").get_by_role("button", name="Masuk").click()
    page.get_by_role("button", name="Mulai permohonan").first.click()
    page.get_by_label("Permohonan baru").check()
    page.locator("main form button[type=submit]").click()
    page.wait_for_url(re.compile("/applications/[0-9a-f]{8}-"))
    application = page.url.rstrip("/").split("/applications/")[1].split("/")[0]

    for section in (section.key for section in site.city.permit_type.sections):
        if page.goto(f"/applications/{application}/sections/{section}").status == 200:  # type: ignore[union-attr]
            fill_section(page)
            page.locator("main form button[type=submit]").first.click()
    expect(page.locator(".govuk-error-summary")).to_have_count(0)

    page.goto(f"/applications/{application}/documents")
    while page.locator("[data-canting-upload] input[type=file]").count():
        before = page.locator("[data-canting-upload] input[type=file]").count()
        page.locator("[data-canting-upload] input[type=file]").first.set_input_files(
            {"name": "foto.jpg", "mimeType": "image/jpeg", "buffer": photo()}
        )
        expect(page.locator("[data-canting-upload] input[type=file]")).to_have_count(before - 1)

    page.goto(f"/applications/{application}/check")
    assert page.locator("#open-problems").all_inner_texts() == []
    for box in page.locator("main input[type=checkbox]").all():
        box.check()
    page.locator("main form button[type=submit]").last.click()
    with reading(site.engine) as session:
        row = session.exec(select(Application).order_by(col(Application.created_at).desc())).first()
    assert row is not None
    assert (str(row.id), row.state, row.step) == (
        application,
        "under_review",
        site.city.permit_type.steps[0].key,
    )
    page.goto(f"/applications/{application}/track")
    expect(page.locator("main")).to_contain_text(str(row.receipt_number))


def fill_section(page: Page) -> None:
    """Fill every field of a section's page from the sample values."""
    for key, value in cases.VALUES.items():
        if (
            isinstance(value, str)
            and len(value) == 10
            and value[4] == "-"
            and page.locator(f"#{key}-day").count()
        ):
            year, month, day = value.split("-")
            for part, text in (("day", day), ("month", month), ("year", year)):
                page.locator(f"#{key}-{part}").fill(text)
            continue
        field = page.locator(f"main [name='{key}']")
        if not field.count():
            continue
        kind = field.first.evaluate("element => element.type")
        if kind == "radio":
            wanted = {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value
            page.locator(f"main [name='{key}'][value='{wanted}']").check()
        elif kind == "select-one":
            field.first.select_option(str(value))
        elif kind == "checkbox":
            field.first.check()
        else:
            field.first.fill(str(value))


def test_an_officer_signs_in_with_a_code_takes_a_case_and_hands_it_on(
    site: "Site", open_page: Callable[..., Page]
) -> None:
    officer = site.city.officers["front_office"]
    page = open_page("/sign-in")
    page.locator("input[type=email]").fill(officer.email)
    page.locator("input[type=password]").fill(PASSWORD)
    page.locator("main").get_by_role("button", name="Masuk").click()
    page.locator("main input[name=code]").fill(pyotp.TOTP(TOTP_SECRET).now())
    page.locator("main form button[type=submit]").first.click()
    page.goto("/officer")
    page.get_by_role("link", name=str(site.submitted.receipt_number)).click()
    page.goto(f"/officer/cases/{site.submitted.id}/actions/forward")
    page.locator("main form button[type=submit]").last.click()
    with reading(site.engine) as session:
        assert session.get_one(Application, site.submitted.id).step == site.city.permit_type.steps[1].key


def test_the_signer_sees_the_document_and_a_wrong_passphrase_changes_nothing(
    site: "Site", open_page: Callable[..., Page], tmp_path: Path
) -> None:
    case = site.ready[1]
    desk = open_page("/sign", user=site.city.head)
    # In a tab of its own: what is ticked on the desk stays ticked.
    with desk.expect_popup() as popup:
        desk.get_by_role("link", name=str(case.receipt_number)).click()
    page = popup.value
    page.get_by_label("Frasa sandi").fill("salah sama sekali")
    page.get_by_role("button", name="Tanda tangani surat izin").click()
    expect(page.locator(".govuk-error-summary")).to_contain_text("Frasa sandi salah")
    with reading(site.engine) as session:
        assert session.get_one(Application, case.id).state == "under_review"
    page.get_by_label("Frasa sandi").fill(cases.OFFICIAL_PASSPHRASE)
    page.get_by_role("button", name="Tanda tangani surat izin").click()
    expect(page.locator("main")).to_contain_text("Sudah ditandatangani")
    with reading(site.engine) as session:
        permit = session.exec(select(Permit).where(Permit.application_id == case.id)).one()
    assert permit.status == "active"

    holder = open_page(f"/permits/{permit.code}", user=site.city.citizen, width=360)
    with holder.expect_download() as download:
        holder.get_by_text("Unduh surat").click()
    download.value.save_as(tmp_path / "permit.pdf")
    assert (tmp_path / "permit.pdf").read_bytes().startswith(b"%PDF-")


def test_the_signer_signs_a_batch_with_one_passphrase_and_may_close_the_page(
    site: "Site", open_page: Callable[..., Page]
) -> None:
    with transaction(site.engine) as session:
        every = [cases.bring_to_signature(session, site.city, clock.now()) for _ in range(6)]
        gap = cases.bring_to_signature(session, site.city, clock.now(), practice_name="")
        refused = cases.bring_to_signature(session, site.city, clock.now(), reasons="STR tidak terbaca.")
    mine = [case.receipt_number for case in (*every, refused)]
    page = open_page("/sign", user=site.city.head)
    # What cannot be signed says why, and has no box to tick.
    row = page.get_by_role("row").filter(has_text=gap.receipt_number)
    expect(row).to_contain_text("Dokumen belum lengkap")
    expect(row.get_by_role("checkbox")).to_have_count(0)
    # By keyboard alone: to the first file, tick it, and to the last one back again.
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.get_by_role("checkbox", checked=True)).to_have_count(1)
    page.keyboard.press("x")
    expect(page.get_by_role("checkbox", checked=True)).to_have_count(0)
    for number in mine:
        page.get_by_role("checkbox", name=re.compile(str(number))).check()
    page.get_by_role("button", name="Periksa berkas yang dicentang").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Periksa daftar ini, lalu tanda tangani")
    # The rejection stands on top.
    expect(page.get_by_role("row").nth(1)).to_contain_text(str(refused.receipt_number))
    page.get_by_role("button", name=f"Keluarkan {mine[0]}").click()
    page.get_by_label("Frasa sandi").fill("bukan frasa itu")
    button = page.get_by_role("button", name="Tanda tangani 5 surat izin dan 1 surat penolakan")
    button.click()
    expect(page.get_by_role("alert")).to_contain_text("Frasa sandi salah")
    page.get_by_label("Frasa sandi").fill(cases.OFFICIAL_PASSPHRASE)
    button.click()
    address = page.url
    page.close()
    page = open_page(address, user=site.city.head)
    expect(page.get_by_role("heading", level=1)).to_have_text("Penandatanganan selesai", timeout=30_000)
    # The live region was there before it had anything to say, and says the end without a reload.
    expect(page.get_by_role("status")).to_contain_text("6 sudah ditandatangani, 0 gagal, 0 belum.")
    with page.expect_download() as download:
        page.get_by_role("link", name="Unduh hasil (CSV)").click()
    table = Path(download.value.path()).read_text(encoding="utf-8-sig")
    assert table.count("Sudah ditandatangani") == 6
    with reading(site.engine) as session:
        left_out = session.get_one(Application, every[0].id)
        assert left_out.state == "under_review"


def test_a_verifier_gets_one_plain_answer(site: "Site", open_page: Callable[..., Page]) -> None:
    page = open_page("/verify", width=360)

    def drop(pdf: bytes) -> str:
        page.goto("/verify")
        file = {"name": "izin.pdf", "mimeType": "application/pdf", "buffer": pdf}
        page.locator("#file").set_input_files(file)  # type: ignore[arg-type]
        page.wait_for_selector(".canting-verdict")
        return page.locator("#verdict").inner_text()

    assert drop(site.permit.pdf) == "Asli dan masih berlaku"
    assert drop(site.permit.pdf + b"\n") == "Tidak asli: isinya diubah"
    assert drop(site.revoked.pdf) == "Asli, tetapi tidak berlaku"
    page.goto("/verify")
    issued = site.permit.permit.issued_on
    page.get_by_label("Nomor izin").fill(site.permit.permit.number)
    for part, text in (("day", issued.day), ("month", issued.month), ("year", issued.year)):
        page.locator(f"#issued_on-{part}").fill(str(text))
    page.get_by_role("button", name="Cari nomor").click()
    expect(page.locator("#verdict")).to_have_text("Terdaftar dan masih berlaku")
