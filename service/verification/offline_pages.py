"""The verify pages as an app that works without a network: its page, its service worker and its manifest.

The worker keeps the page as a visitor gets it, and nothing of anybody who is signed in.
"""

import hashlib
import json
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from service.accounts.access import PUBLIC, Actor, allow
from service.clock import CITY_TIMEZONE
from service.web import STATIC_FOLDER, SettingsDep, language_of, render, static, translate

router = APIRouter(include_in_schema=False)
Anyone = Annotated[Actor, allow(PUBLIC)]
SCOPE = "/v"
"""Of the worker and the app: /verify and /v/{code}."""
SHELL = "/verify/offline"
ASSETS = (
    "built/canting.css",
    "built/canting.js",
    "built/verify.js",
    "built/qr-reader.js",
    "images/favicon.svg",
)
UNVERSIONED_ASSETS = ("/static/built/plus-jakarta-sans-latin.woff2", "/static/built/jlamprang.svg")
"""The stylesheet and the page name these without their content's hash."""
ICONS = (
    ("built/icon-192.png", "192x192", "any"),
    ("built/icon-512.png", "512x512", "any"),
    ("built/icon-maskable-512.png", "512x512", "maskable"),
)


@router.get(SHELL)
def offline_page(request: Request, _actor: Anyone) -> Response:
    """The page that checks a QR code's token by itself; the worker shows it where there is no network."""
    return render(request, "verification/offline.html", time_zone=CITY_TIMEZONE.key)


@router.get("/verify/worker.js")
def worker(_actor: Anyone) -> Response:
    """The service worker, with the addresses of what it keeps; each release gives it another version."""
    assets = [*map(static, ASSETS), *UNVERSIONED_ASSETS]
    version = hashlib.sha256("\n".join(assets).encode()).hexdigest()[:12]
    told = json.dumps({"version": version, "shells": SHELL, "assets": assets})
    script = (STATIC_FOLDER / "built" / "worker.js").read_text()
    headers = {"service-worker-allowed": SCOPE, "cache-control": "no-cache"}
    return Response(f"self.CANTING = {told};\n{script}", media_type="text/javascript", headers=headers)


@router.get("/verify/manifest.webmanifest")
def manifest(request: Request, _actor: Anyone, settings: SettingsDep) -> Response:
    """What a phone needs to install the app (W3C Web Application Manifest)."""
    language = language_of(request)
    told = {
        "name": f"{translate('Periksa keaslian izin', language)} – {settings.city_name}",
        "short_name": translate("Periksa izin", language),
        "lang": language,
        "id": "/verify",
        "start_url": "/verify",
        "scope": SCOPE,
        "display": "standalone",
        "background_color": "#ffffff",
        "theme_color": "#1f3c88",
        "icons": [
            {"src": static(path), "sizes": sizes, "type": "image/png", "purpose": purpose}
            for path, sizes, purpose in ICONS
        ],
    }
    return JSONResponse(told, media_type="application/manifest+json")
