"""What the verify app keeps on a device, and where it may open a camera."""

import json
import re

import pytest
from factories import make_citizen, sign_in
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from service.database import transaction
from service.web import STATIC_FOLDER


def told(client: TestClient) -> dict[str, object]:
    """What the server tells the service worker to keep."""
    script = client.get("/verify/worker.js").text
    found: dict[str, object] = json.loads(
        script.partition("\n")[0].removeprefix("self.CANTING = ").rstrip(";")
    )
    return found


def test_the_worker_rules_the_verify_pages_alone(client: TestClient) -> None:
    answer = client.get("/verify/worker.js")
    assert answer.headers["service-worker-allowed"] == "/v"
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["cache-control"] == "no-cache"


def test_whatever_the_page_needs_is_kept(client: TestClient) -> None:
    kept = told(client)
    assert kept["shells"] == "/verify/offline"
    page = client.get("/verify/offline").text
    needed = set(re.findall(r'(?:src|href|scanner)="(/static/[^"]+)"', page)) - {
        address for address in re.findall(r'"(/static/[^"]+)"', page) if "icon-" in address
    }
    assert needed <= set(kept["assets"])  # type: ignore[call-overload]
    for address in kept["assets"]:  # type: ignore[attr-defined]
        assert client.get(address).status_code == 200


def test_another_release_is_another_version(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    before = told(client)["version"]
    monkeypatch.setattr("service.verification.offline_pages.static", lambda path: f"/static/{path}?v=new")
    assert told(client)["version"] != before


def test_the_page_is_a_visitors_without_cookies(app: FastAPI, client: TestClient, engine: Engine) -> None:
    with transaction(engine) as session:
        citizen = make_citizen(session)
    sign_in(client, citizen)
    assert citizen.full_name in client.get("/verify/offline").text
    with TestClient(app) as stranger:
        page = stranger.get("/verify/offline").text
    assert citizen.full_name not in page
    assert 'credentials: "omit"' in (STATIC_FOLDER / "js" / "worker.js").read_text()


def test_a_phone_may_install_it(client: TestClient) -> None:
    manifest = client.get("/verify/manifest.webmanifest?lang=en").json()
    assert (manifest["start_url"], manifest["scope"], manifest["display"]) == ("/verify", "/v", "standalone")
    assert manifest["name"].startswith("Verify a permit")
    sizes = {(icon["sizes"], icon["purpose"]) for icon in manifest["icons"]}
    assert sizes == {("192x192", "any"), ("512x512", "any"), ("512x512", "maskable")}
    for icon in manifest["icons"]:
        image = client.get(icon["src"])
        side = int(icon["sizes"].partition("x")[0])
        assert image.headers["content-type"] == "image/png"
        assert int.from_bytes(image.content[16:20], "big") == side


@pytest.mark.parametrize(
    ("path", "policy"),
    [
        ("/verify", "camera=(self)"),
        ("/v/unknown", "camera=(self)"),
        ("/", "camera=()"),
        ("/sign-in", "camera=()"),
    ],
)
def test_the_camera_is_for_the_verify_pages(client: TestClient, path: str, policy: str) -> None:
    assert client.get(path).headers["permissions-policy"].startswith(policy)
