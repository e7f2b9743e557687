"""An app served on loopback, the Chromium that visits it, and what axe-core finds on a page."""

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, Playwright
from postgres import require

ROOT = Path(__file__).parents[1]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
SCREENSHOTS = ROOT / "var" / "screenshots"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(app: FastAPI, port: int) -> Iterator[None]:
    """Serve the app until the block ends; then nothing listens there any more."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield
    server.should_exit = True
    thread.join(10)


@contextmanager
def chromium(playwright: Playwright, *arguments: str) -> Iterator[Browser]:
    path = shutil.which("chromium")
    require(path, "Chromium is not installed")
    plain = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]
    browser = playwright.chromium.launch(executable_path=path, args=[*plain, *arguments])
    yield browser
    browser.close()


def violations(page: Page) -> list[str]:
    """Run axe-core (WCAG 2 A and AA, and good practice) over the page."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {iframes: false}).then(result => result.violations)")
    return [f"{item['id']}: {item['nodes'][0]['html'][:200]}" for item in found]
