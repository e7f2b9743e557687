"""Pages: templates, language, CSRF, flash messages and the headers every answer carries."""

import hashlib
import hmac
import re
import secrets
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import jinja2
from babel.dates import format_date, format_datetime
from babel.messages.pofile import read_po
from babel.numbers import format_currency
from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from itsdangerous import BadSignature, URLSafeSerializer
from starlette.datastructures import MutableHeaders

from service.clock import CITY_TIMEZONE
from service.config import Settings
from service.errors import AccessDenied, InvalidInput

HERE = Path(__file__).parent
STATIC_FOLDER = HERE / "static"
LANGUAGES = ("id", "en")
LANGUAGE_COOKIE = "canting_language"
CSRF_COOKIE = "canting_csrf"
FLASH_COOKIE = "canting_flash"
CSRF_HEADER = "x-csrf-token"
FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class UnstorableText(InvalidInput):
    code = "unstorable_text"
    message_id = "Isian memuat karakter yang tidak dapat disimpan. Ketik ulang isian tersebut."
    message_en = "What you entered contains a character that cannot be stored. Type it again."


class CsrfRefused(AccessDenied):
    code = "csrf_refused"
    message_id = (
        "Formulir ini sudah kedaluwarsa. Muat ulang halaman, lalu kirim sekali lagi; isian tetap ada."
    )
    message_en = "This form has expired. Reload the page and send it again; what you typed is kept."


async def request_settings(request: Request) -> Settings:
    """Give a route the settings the app was made with."""
    settings: Settings = request.app.state.settings
    return settings


SettingsDep = Annotated[Settings, Depends(request_settings)]


# Language -----------------------------------------------------------------------------------


def language_of(request: Request) -> str:
    """Choose the reader's language: asked for in the address, remembered, else Indonesian.

    An API client without a cookie may ask by Accept-Language.
    """
    asked = request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE)
    if asked in LANGUAGES:
        return asked
    if request.scope["path"].startswith("/api/") and request.headers.get(
        "accept-language", ""
    ).lower().startswith("en"):
        return "en"
    return "id"


@cache
def english_messages() -> dict[str, str]:
    """Read every module's English translations; the Indonesian text is the message id."""
    messages: dict[str, str] = {}
    for path in sorted((HERE / "locale" / "en").glob("*.po")):
        with path.open("rb") as file:
            for message in read_po(file):
                if message.id and message.string and isinstance(message.id, str):
                    messages[message.id] = str(message.string)
    return messages


def translate(text: str, language: str) -> str:
    """Return the text in the reader's language; Indonesian text is its own translation."""
    return english_messages().get(text, text) if language == "en" else text


# CSRF ---------------------------------------------------------------------------------------


def csrf_token(request: Request) -> str:
    """Return the token a form of this browser must carry: an HMAC of its random CSRF cookie."""
    return _csrf_token_of(request, csrf_cookie(request))


def csrf_cookie(request: Request) -> str:
    """Return the browser's CSRF cookie, or a new one that the answer will set."""
    cookie = request.cookies.get(CSRF_COOKIE) or getattr(request.state, "new_csrf_cookie", None)
    if cookie is None:
        cookie = request.state.new_csrf_cookie = secrets.token_urlsafe(32)
    return str(cookie)


def _csrf_token_of(request: Request, cookie: str) -> str:
    secret = request.app.state.settings.secret_key.get_secret_value().encode()
    return hmac.new(secret, b"csrf:" + cookie.encode(), hashlib.sha256).hexdigest()


async def check_csrf(request: Request) -> None:
    """Refuse an unsafe request that another site may have sent. Raises CsrfRefused.

    The token comes in a header (`X-CSRF-Token`) or in the form field `csrf_token`. Without any cookie of
    ours there is no authority to misuse, so a plain API call passes.
    """
    if request.method in SAFE_METHODS:
        return
    if request.headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
        raise CsrfRefused
    if not _carries_our_cookies(request):
        return
    given = request.headers.get(CSRF_HEADER) or await _csrf_field(request)
    cookie = request.cookies.get(CSRF_COOKIE, "")
    if not cookie or not hmac.compare_digest(given.encode(), _csrf_token_of(request, cookie).encode()):
        raise CsrfRefused


def _carries_our_cookies(request: Request) -> bool:
    return any(name.startswith("canting_") and name != LANGUAGE_COOKIE for name in request.cookies)


def media_type(request: Request) -> str:
    """Return the media type of what was sent, without its parameters (RFC 9110 §8.3.1)."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _csrf_field(request: Request) -> str:
    field = (await request.form()).get("csrf_token") if media_type(request) in FORM_TYPES else None
    return field if isinstance(field, str) else ""


async def refuse_unstorable_text(request: Request) -> None:
    """Refuse what no column holds and no reader ever typed: NUL characters and lone surrogates."""
    if "\x00" in request.scope["path"] or b"%00" in request.scope["query_string"]:
        raise UnstorableText
    if media_type(request).endswith("json"):
        body = await request.body()
        if not is_storable(body) or any(escape["lone"] for escape in _JSON_ESCAPES.finditer(body)):
            raise UnstorableText
    if request.method not in SAFE_METHODS and media_type(request) in FORM_TYPES:
        for name, value in (await request.form()).multi_items():
            text = value if isinstance(value, str) else value.filename or ""
            if not is_storable(name) or not is_storable(text):
                raise UnstorableText


_JSON_ESCAPES = re.compile(
    rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(?P<lone>u0000|u[dD][89a-fA-F])|.)", re.DOTALL
)
"""Every escape of a JSON text in turn; `lone` are NUL and surrogates that are no pair (RFC 8259 §8.2)."""


def is_storable(text: str | bytes) -> bool:
    """Whether the text is proper UTF-8 without NUL, as both databases want it."""
    try:
        data = text.encode() if isinstance(text, str) else text
        data.decode()
    except UnicodeError:
        return False
    return b"\x00" not in data


# Templates ----------------------------------------------------------------------------------


@cache
def environment(language: str) -> jinja2.Environment:
    """Build a language's template environment, with the GOV.UK macros under their own prefix.

    One for each language, made once: globals and compiled templates are shared by every thread that
    renders with an environment, so they must never change from one request to the next.
    """
    loader = jinja2.ChoiceLoader(
        [
            jinja2.FileSystemLoader(HERE / "templates"),
            jinja2.PrefixLoader(
                {"govuk_frontend_jinja": jinja2.PackageLoader("govuk_frontend_jinja", "templates")}
            ),
        ]
    )
    env = jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.ChainableUndefined,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.globals["static"] = static
    env.filters |= _filters(language)
    env.install_gettext_callables(  # type: ignore[attr-defined]
        lambda text: translate(text, language),
        lambda one, many, n: translate(one if n == 1 else many, language),
        newstyle=True,
    )
    return env


@cache
def _static_version(path: str) -> str:
    file = STATIC_FOLDER / path
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12] if file.is_file() else "0"


def static(path: str) -> str:
    """Return the address of a static file, with its content's hash so that caches never go stale."""
    return f"/static/{path}?v={_static_version(path)}"


def render(request: Request, template: str, status: int = 200, **context: Any) -> HTMLResponse:
    """Render a page in the reader's language, with the actor, settings and CSRF token at hand."""
    language = language_of(request)
    found = environment(language).get_template(template)
    page = found.render(
        request=request,
        language=language,
        actor=getattr(request.state, "actor", None),
        settings=request.app.state.settings,
        csrf_token=csrf_token(request),
        url_for=request.url_for,
        current_path=request.url.path,
        flash=_read_flash(request),
        **context,
    )
    response = HTMLResponse(page, status_code=status)
    if FLASH_COOKIE in request.cookies:
        response.delete_cookie(FLASH_COOKIE)
    return response


def _filters(language: str) -> dict[str, Any]:
    def date_long(value: date | datetime | None) -> str:
        if value is None:
            return "–"
        day = value.astimezone(CITY_TIMEZONE).date() if isinstance(value, datetime) else value
        return format_date(day, "d MMMM y", locale=language)

    def datetime_long(value: datetime | None) -> str:
        if value is None:
            return "–"
        pattern = "d MMMM y 'pukul' HH.mm 'WIB'" if language == "id" else "d MMMM y 'at' HH:mm 'WIB'"
        return format_datetime(value.astimezone(CITY_TIMEZONE), pattern, locale=language)

    def rupiah(value: int) -> str:
        return format_currency(value, "IDR", "¤\u00a0#,##0", locale=language, currency_digits=False)

    return {"date_long": date_long, "datetime_long": datetime_long, "rupiah": rupiah}


# Flash messages and redirects ------------------------------------------------------------------


def redirect(request: Request, path: str, *, flash: tuple[str, str] | None = None) -> RedirectResponse:
    """Answer 303 to a path of this site, optionally with a message ("success" | "notice", text)."""
    parts = urlsplit(path)
    if parts.scheme or parts.netloc or not path.startswith("/") or path.startswith("//") or "\\" in path:
        path = "/"
    response = RedirectResponse(path, status_code=303)
    if flash:
        set_cookie(request, response, FLASH_COOKIE, _flash_serializer(request).dumps(list(flash)), max_age=60)
    return response


def _flash_serializer(request: Request) -> URLSafeSerializer:
    return URLSafeSerializer(request.app.state.settings.secret_key.get_secret_value(), salt="flash")


def _read_flash(request: Request) -> list[tuple[str, str]]:
    raw = request.cookies.get(FLASH_COOKIE)
    if not raw:
        return []
    try:
        kind, text = _flash_serializer(request).loads(raw)
    except (BadSignature, ValueError):
        return []
    return [(str(kind), str(text))]


def set_cookie(
    request: Request, response: Response, name: str, value: str, *, max_age: int | None = None
) -> None:
    """Set a cookie that scripts cannot read and other sites cannot send."""
    settings = request.app.state.settings
    response.set_cookie(
        name, value, max_age=max_age, httponly=True, samesite="lax", secure=settings.secure_cookies, path="/"
    )


# Headers --------------------------------------------------------------------------------------

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-src 'self'; frame-ancestors 'self'; base-uri 'none'; "
    "manifest-src 'self'; worker-src 'self'"
)
SECURITY_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "x-frame-options": "SAMEORIGIN",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
_RAW_SECURITY_HEADERS = [(name.encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
CAMERA_PLACES = ("/verify", "/v/")
"""Where a permit's QR code may be scanned; no other page opens a camera."""


BRIEF_CACHE = {"cache-control": "public, max-age=30, must-revalidate"}
"""A revocation must be seen within a minute."""
FROM_ANYWHERE = {"access-control-allow-origin": "*"}
"""For public answers that checkers in other sites' pages read (Fetch §3.3)."""


def cacheable(
    body: bytes, media_type: str, if_none_match: str, more: dict[str, str] | None = None
) -> Response:
    """Serve what caches may keep for a moment, or 304 to who has it (RFC 9110 §13.1.2)."""
    etag = f'"{hashlib.sha256(body).hexdigest()}"'
    headers = {**BRIEF_CACHE, **(more or {}), "etag": etag}
    if etag in if_none_match:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media_type, headers=headers)


def finish_headers(request: Request, headers: MutableHeaders) -> None:
    """Add the headers and cookies that every answer carries."""
    given = {name for name, _ in headers.raw}
    wanted = dict(_RAW_SECURITY_HEADERS)
    if request.scope["path"].startswith(CAMERA_PLACES):
        wanted[b"permissions-policy"] = b"camera=(self), geolocation=(), microphone=()"
    if request.app.state.settings.secure_cookies:
        wanted[b"strict-transport-security"] = b"max-age=31536000; includeSubDomains"
    if not request.scope["path"].startswith("/static/"):
        wanted[b"cache-control"] = b"no-store"
    headers.raw.extend(header for header in wanted.items() if header[0] not in given)
    new_csrf = getattr(request.state, "new_csrf_cookie", None)
    asked = request.query_params.get("lang")
    if new_csrf or asked in LANGUAGES:
        cookies = Response()
        if new_csrf:
            set_cookie(request, cookies, CSRF_COOKIE, new_csrf)
        if asked in LANGUAGES:
            set_cookie(request, cookies, LANGUAGE_COOKIE, asked, max_age=365 * 24 * 3600)
        headers.raw.extend(header for header in cookies.raw_headers if header[0] == b"set-cookie")
