"""The verify pages in a real Chromium with the network cut and the server stopped."""

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import cases
import pytest
import zxingcpp
from browsing import SCREENSHOTS, chromium, free_port, served, violations
from camera import film, grainy, hold_up
from factories import actor_of
from PIL import Image
from playwright.sync_api import BrowserContext, Page, Playwright

from keys.software import SoftwareKeyStore
from service import clock
from service.app import create_app
from service.config import Settings
from service.database import open_engine, transaction
from service.permits.offline import publish_status_lists
from service.permits.revoke import revoke_permit, suspend_permit
from service.permits.sign import Workshop
from service.permits.workshop import workshop_of

if TYPE_CHECKING:
    from conftest import Site

pytestmark = pytest.mark.browser


@dataclass
class Street:
    """Somewhere without a network: what the papers say, and a browser that had one before."""

    valid: str
    revoked: str
    suspended: str
    context: BrowserContext
    photo: Path
    """Of the first paper's QR code."""

    def look(self, address: str, *, at: datetime | None = None) -> Page:
        """Open what a QR code says, at another time if the device's clock shall show one."""
        page = self.context.new_page()
        if at is not None:
            page.add_init_script(f"Date.now = () => {at.timestamp() * 1000}")
        page.goto(address)
        page.locator("h1").first.wait_for()
        return page


@pytest.fixture(scope="module")
def street(
    playwright: Playwright,
    new_database: Callable[[], str],
    tmp_path_factory: pytest.TempPathFactory,
    make_settings: Callable[..., Settings],
) -> Iterator[Street]:
    """Issue three permits, visit the verify page with a browser that sees the first, and cut the network."""
    folder = tmp_path_factory.mktemp("street")
    now = clock.now()
    keys = cases.make_keys(folder / "keys", now - timedelta(days=30))
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = make_settings(folder).model_copy(update={"keys_folder": folder / "keys", "base_url": url})
    engine = open_engine(new_database())
    app = create_app(settings, engine)
    camera = folder / "camera.y4m"
    sees = ("--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={camera}")
    with chromium(playwright, *sees) as browser:
        with served(app, port):
            workshop = workshop_of(settings, engine, app.state.storage, app.state.operations_keys, None)
            permits, first = furnish(workshop, settings, keys, now)
            film(first, camera)
            context = browser.new_context(viewport={"width": 390, "height": 844}, base_url=url)
            context.grant_permissions(["camera"])
            page = context.new_page()
            page.goto("/verify")
            page.locator("[data-canting-kept]").wait_for()
            page.close()
        context.set_offline(True)
        photo = folder / "photo.jpg"
        grainy(hold_up(first), 0).save(photo, quality=80)
        yield Street(*permits, context=context, photo=photo)
    engine.dispose()


def furnish(
    workshop: Workshop, settings: Settings, keys: SoftwareKeyStore, now: datetime
) -> tuple[list[str], bytes]:
    """Issue three permits, revoke one, suspend one; return what their QR codes say, and the first's file."""
    with transaction(workshop.engine) as session:
        city = cases.make_city(session, now, settings=settings)
        waiting = [cases.bring_to_signature(session, city, now) for _ in range(3)]
    signer = keys.open_key("official-head", cases.OFFICIAL_PASSPHRASE, now=now)
    issued = [cases.issue_case(workshop, city, case, signer, now) for case in waiting]
    _, revoked, suspended = (each.permit.id for each in issued)
    with transaction(workshop.engine) as session:
        head = actor_of(session, city.head)
        revoke_permit(session, revoked, reason_code="own_request", remark="Uji", actor=head, now=now)
        suspend_permit(session, suspended, reason_code="sanction", remark="Uji", actor=head, now=now)
    assert workshop.seal is not None
    publish_status_lists(workshop.engine, workshop.seal, settings.base_url, now - timedelta(minutes=2))
    return [str(each.permit.document["verify_url"]) for each in issued], issued[0].pdf


def verdict(page: Page) -> tuple[str, str]:
    return page.locator("h1").first.inner_text(), page.locator(".canting-verdict__sentence").inner_text()


def test_a_paper_is_scanned_and_judged_without_a_network(street: Street) -> None:
    page = street.look("/verify")
    assert page.locator("h1").inner_text() == "Periksa surat tanpa jaringan"
    page.get_by_role("button", name="Pindai dengan kamera").click()
    page.wait_for_url("**/v/*", timeout=15000)
    assert page.url == street.valid
    assert verdict(page)[0] == "Kode QR sah, izin masih berlaku"
    text = page.locator("main").inner_text()
    for fact in (
        "Siti Contoh, A.Md.Keb.",
        "Puskesmas Contoh, Jalan Contoh Nomor 2",
        "SURAT IZIN PRAKTIK BIDAN",
    ):
        assert fact in text
    assert "menit yang lalu" in text
    assert "surat itu palsu" in text
    assert violations(page) == []
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / "offline-valid-390.png", full_page=True)


def test_a_photo_of_the_code_does_too_and_other_codes_are_told(street: Street, tmp_path: Path) -> None:
    page = street.look("/verify")
    address = "https://evil.example/v/7KQ2M9XD4TBVWHR38ZNCPF6A1E"
    symbol = zxingcpp.create_barcode(address, zxingcpp.BarcodeFormat.QRCode)
    pixels = memoryview(symbol.to_image(scale=6))
    Image.frombytes("L", pixels.shape[::-1], pixels.tobytes()).save(tmp_path / "other.png")
    chooser = page.locator("[data-scan-photo]")
    chooser.set_input_files(tmp_path / "other.png")
    page.get_by_text("bukan kode QR izin dari layanan ini").wait_for()
    chooser.set_input_files(Path(__file__))
    page.get_by_text("Tidak ada kode QR yang terbaca").wait_for()
    chooser.set_input_files(street.photo)
    page.wait_for_url("**/v/*")
    assert page.url == street.valid


def test_a_refused_camera_is_told(street: Street) -> None:
    street.context.clear_permissions()
    page = street.look("/verify")
    page.get_by_role("button", name="Pindai dengan kamera").click()
    page.get_by_text("Kamera tidak diizinkan").wait_for()


def test_revoked_and_suspended_permits_are_told(street: Street) -> None:
    assert verdict(street.look(street.revoked))[0] == "Izin sudah dicabut"
    assert verdict(street.look(street.suspended))[0] == "Izin sedang dibekukan"


def flip(address: str, position: int) -> str:
    """The address with one bit of its token changed."""
    place, _, token = address.partition("#")
    raw = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    raw[position] ^= 1
    return f"{place}#{base64.urlsafe_b64encode(bytes(raw)).rstrip(b'=').decode()}"


def test_tampered_tokens_are_refused(street: Street) -> None:
    for position in (-1, -40, -90):
        assert verdict(street.look(flip(street.valid, position)))[0] == "Kode QR palsu atau diubah"
    place, token = street.revoked.partition("#")[0], street.valid.partition("#")[2]
    assert "milik izin lain" in verdict(street.look(f"{place}#{token}"))[1]
    assert "rusak" in verdict(street.look(f"{place}#rusak"))[1]
    assert "terlalu panjang" in verdict(street.look(f"{place}#{token * 9}"))[1]
    assert verdict(street.look(place))[0] == "Belum dapat dipastikan"


def test_old_data_are_told_and_prove_nothing(street: Street) -> None:
    hours = street.look(street.valid, at=datetime.now(UTC) + timedelta(hours=3, minutes=5))
    assert verdict(hours)[0] == "Kode QR sah, izin masih berlaku"
    assert "3 jam yang lalu" in hours.locator("main").inner_text()
    later = datetime.now(UTC) + timedelta(days=8)
    week = street.look(street.valid, at=later)
    title, sentence = verdict(week)
    assert title == "Belum dapat dipastikan"
    assert "lebih tua dari 7 hari" in sentence
    assert "8 hari yang lalu" in week.locator("main").inner_text()
    week.screenshot(path=SCREENSHOTS / "offline-stale-390.png", full_page=True)
    # A revocation once seen stays one, and a validity that is over is over.
    assert (
        verdict(street.look(street.revoked, at=datetime.now(UTC) + timedelta(days=8)))[0]
        == "Izin sudah dicabut"
    )
    late = street.look(street.valid, at=datetime.now(UTC) + timedelta(days=366 * 6))
    assert verdict(late)[0] == "Masa berlaku sudah berakhir"
    early = street.look(street.valid, at=datetime.now(UTC) - timedelta(days=2))
    assert "Jam perangkat" in verdict(early)[1]


def test_the_page_speaks_english_and_keeps_the_token(street: Street) -> None:
    page = street.look(street.valid)
    page.locator("a[hreflang=en]").click()
    page.locator("h1", has_text="The QR code is genuine, the permit is valid").wait_for()
    assert violations(page) == []
    # The language is remembered, so the others' is chosen again.
    page.locator("a[hreflang=id]").click()
    page.locator("h1", has_text="Kode QR sah, izin masih berlaku").wait_for()


def test_without_data_or_keys_nothing_is_good(street: Street) -> None:
    """The last of them: it takes away what the others need."""
    page = street.look(street.valid)
    forget = "async (name) => (await caches.open('canting-verify-data')).delete(name)"
    for path, words in (
        ("/status-lists/0", "belum menyimpan data status"),
        ("/pki/seal.jwks", "belum menyimpan kunci"),
    ):
        assert page.evaluate(forget, path)
        title, sentence = verdict(street.look(street.valid))
        assert title == "Belum dapat dipastikan"
        assert words in sentence


def test_with_a_network_the_register_answers_and_the_token_is_checked_beside_it(
    site: "Site", open_page: Callable[..., Page]
) -> None:
    address = str(site.permit.permit.document["verify_url"])
    page = open_page(address, width=390)
    assert page.locator("h1").inner_text() == "Terdaftar dan masih berlaku"
    page.get_by_text("Tanda tangan pada kode QR juga sah.").wait_for()
    page = open_page(flip(address, -1), width=390)
    page.locator("h1", has_text="Kode QR palsu atau diubah").wait_for()
    assert page.locator("h1").count() == 1
    assert violations(page) == []


KEPT = """async () => {
  const kept = [...Object.keys(localStorage), ...(await indexedDB.databases()).map((each) => each.name)];
  for (const name of await caches.keys()) {
    for (const { url } of await (await caches.open(name)).keys()) kept.push(new URL(url).pathname);
  }
  return kept;
}"""


def test_a_device_keeps_what_the_privacy_page_says_and_nothing_else(
    site: "Site", open_page: Callable[..., Page]
) -> None:
    """Whatever was looked at: a paper's code, and a whole file. What ends with the tab is not kept."""
    page = open_page(str(site.permit.permit.document["verify_url"]))
    page.goto("/verify")
    page.locator("[data-canting-kept]").wait_for()
    file = {"name": "izin.pdf", "mimeType": "application/pdf", "buffer": site.permit.pdf}
    page.locator("input[type=file]").first.set_input_files(file)  # type: ignore[arg-type]
    page.locator(".canting-verdict").first.wait_for()
    page.goto("/verify")
    kept = {path for path in page.evaluate(KEPT) if not path.startswith("/static/")}
    data = {"/pki/seal.jwks", "/status-lists", "/verify/offline/language"}
    assert kept - {"/status-lists/0"} == {"/verify/offline"} | data
