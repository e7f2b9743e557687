"""Take the documentation's pictures from a demonstration city that is prepared for it (`make pictures`).

Every picture is a screenshot of the running service in a real Chromium, or a page of a permit that it
issued, drawn by PDFium. Colours are reduced to a palette, so that each file stays small.
"""

import io
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pypdfium2
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Page, ViewportSize, sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from service.demo.scene import demo_city  # noqa: E402 (the project is not an installed package)

PICTURES = ROOT / "docs" / "images"
PHONE: ViewportSize = {"width": 390, "height": 844}
DESK: ViewportSize = {"width": 1280, "height": 1000}
LARGEST = 120_000
"""Bytes of the largest picture that is kept."""
SECONDS_TO_START = 180


def main() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        demonstration(Path(folder)) as url,
        sync_playwright() as play,
    ):
        chromium = Path("/usr/bin/chromium")
        browser = play.chromium.launch(
            executable_path=chromium if chromium.exists() else None, args=["--no-sandbox"]
        )
        permit = take_applicant(browser, url)
        take_officer(browser, url)
        take_signer(browser, url)
        take_verifier(browser, url, permit)
        browser.close()
    page = pypdfium2.PdfDocument(permit)[0]
    keep("permit", page.render(scale=1.2).to_pil(), colours=16)  # The guilloche of fine lines is most of it.


# The demonstration --------------------------------------------------------------------------------


@contextmanager
def demonstration(folder: Path) -> Iterator[str]:
    """Prepare and serve a demonstration city on a free port until the block ends; yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "service.cli", "demo", "--port", str(port), "--folder", f"{folder}/demo"]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)  # noqa: S603 (nothing typed by anybody)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(f"{url}/readyz", server)
        yield url
    finally:
        server.terminate()
        server.wait()


def wait_until_ready(address: str, server: "subprocess.Popen[bytes]") -> None:
    """Wait for the server to answer. Raises RuntimeError when it ends, or takes too long."""
    deadline = time.monotonic() + SECONDS_TO_START
    while server.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(address, timeout=2)  # noqa: S310 (our own loopback address)
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
        else:
            return
    raise RuntimeError("the demonstration did not start")


def sign_in(browser: Browser, url: str, name: str, viewport: ViewportSize) -> Page:
    """Sign one of the demonstration's people in, as they would; officers give the code of the moment."""
    page = browser.new_context(viewport=viewport, locale="id-ID").new_page()
    page.goto(f"{url}/sign-in")
    page.fill("#email", f"{name}@contoh.invalid")
    page.fill("#password", demo_city().password)
    page.click("main button[type=submit]")
    if page.url.startswith(f"{url}/sign-in/code"):
        page.fill("#code", code_of_the_moment(browser, url))
        page.click("main button[type=submit]")
    if "/sign-in" in page.url:
        raise RuntimeError(f"{name} was not let in")
    return page


def code_of_the_moment(browser: Browser, url: str) -> str:
    page = browser.new_page()
    page.goto(f"{url}/demo")
    code = page.locator(".govuk-summary-list__value code").nth(1).inner_text()
    page.close()
    return code


# The pictures -------------------------------------------------------------------------------------


def take_applicant(browser: Browser, url: str) -> bytes:
    """Take an application on its way, from where its stages begin; return the permit's file."""
    page = sign_in(browser, url, "siti", PHONE)
    page.goto(f"{url}/applications")
    page.click("h2:has-text('Sedang diproses') + ul a")
    page.locator("h2:has-text('Tahapan')").evaluate("heading => scrollTo(0, heading.offsetTop - 40)")
    shoot(page, "tracking")
    page.goto(f"{url}/my-permits")
    page.click("main a[href^='/permits/']")
    with page.expect_download() as download:
        page.click("a[download]")
    return Path(download.value.path()).read_bytes()


def take_officer(browser: Browser, url: str) -> None:
    page = sign_in(browser, url, "berkas", DESK)
    page.goto(f"{url}/officer")
    shoot(page, "queue")


def take_signer(browser: Browser, url: str) -> None:
    page = sign_in(browser, url, "kadis", DESK)
    page.goto(f"{url}/sign")
    page.click("main a[href^='/sign/']")
    page.wait_for_timeout(2500)  # The browser's own viewer tells nobody when it has drawn the document.
    shoot(page, "sign")


def take_verifier(browser: Browser, url: str, permit: bytes) -> None:
    """Take the answers to the permit's own file, and to one that somebody has changed."""
    for name, data in (("genuine", permit), ("altered", permit + b"\n% changed\n")):
        page = browser.new_page(viewport=PHONE, locale="id-ID")
        page.goto(f"{url}/verify")
        file: FilePayload = {"name": "permit.pdf", "mimeType": "application/pdf", "buffer": data}
        with page.expect_navigation():  # The page asks as soon as a file is chosen.
            page.set_input_files("input[type=file]", file)
        shoot(page, name)


def shoot(page: Page, name: str) -> None:
    page.evaluate("document.fonts.ready")
    keep(name, Image.open(io.BytesIO(page.screenshot())))


def keep(name: str, image: Image.Image, colours: int = 128) -> None:
    """Write a picture with a palette of so many colours. Raises RuntimeError when it is too large still."""
    path = PICTURES / f"{name}.png"
    image.convert("RGB").quantize(colours, dither=Image.Dither.NONE).save(path, optimize=True)
    if path.stat().st_size > LARGEST:
        raise RuntimeError(f"{path.name} has {path.stat().st_size:,} bytes, more than {LARGEST:,}")


if __name__ == "__main__":
    main()
