"""create_app(): the whole service put together: routers, errors, headers, jobs."""

import secrets
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import structlog
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from sqlalchemy import Engine
from sqlalchemy.exc import DataError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from keys.errors import KeysError
from service import operations, site
from service.accounts import account_pages, officer_pages
from service.accounts import api as accounts_api
from service.accounts import pages as accounts_pages
from service.accounts.browser import own_path
from service.applications import (
    action_pages,
    pages_documents,
    pages_start,
    pages_tracking,
    review_api,
    review_pages,
)
from service.applications import api as applications_api
from service.applications import pages as applications_pages
from service.catalogue import api as catalogue_api
from service.catalogue import pages as catalogue_pages
from service.config import Settings
from service.database import open_engine
from service.demo import pages as demo_pages
from service.errors import (
    AccessDenied,
    FieldProblem,
    InvalidInput,
    NotFound,
    ServiceError,
    SignInRequired,
    TooLarge,
    Unavailable,
    problem,
    translate_foreign,
)
from service.logs import configure_logging
from service.openapi import describe_api
from service.permits import api as permits_api
from service.permits import batch_api, batch_pages, mandate_pages
from service.permits import pages as permits_pages
from service.permits.batch_run import BatchRuns
from service.permits.workshop import witnesses_of
from service.pki import api as pki_api
from service.pki import pages as pki_pages
from service.pki.answers import Responders
from service.pki.store import open_store
from service.transparency import api as transparency_api
from service.verification import api as verification_api
from service.verification import batch_api as verification_batch_api
from service.verification import batch_pages as verification_batch_pages
from service.verification import compare_pages, offline_pages, receipt_api, receipt_pages
from service.verification import pages as verification_pages
from service.verification.batch import Batches
from service.verification.sandbox import Sandbox
from service.web import (
    SAFE_METHODS,
    STATIC_FOLDER,
    finish_headers,
    language_of,
    refuse_unstorable_text,
    render,
)
from signing.errors import SigningError

ROUTERS: list[APIRouter] = [
    # Routes are tried in this order, and strangers who verify are most of the traffic.
    verification_api.router,
    verification_pages.router,
    offline_pages.router,
    compare_pages.router,
    receipt_api.router,
    receipt_api.schemas,
    receipt_pages.router,
    verification_batch_api.router,
    verification_batch_pages.router,
    accounts_api.router,
    account_pages.router,
    officer_pages.router,
    accounts_pages.router,
    action_pages.router,
    applications_api.router,
    pages_start.router,
    applications_pages.router,
    pages_documents.router,
    pages_tracking.router,
    review_api.router,
    review_pages.router,
    catalogue_api.router,
    catalogue_pages.router,
    batch_api.router,
    batch_pages.router,
    mandate_pages.router,
    operations.router,
    permits_api.router,
    permits_api.schemas,
    permits_api.status_lists,
    permits_pages.router,
    pki_api.router,
    pki_pages.router,
    site.router,
    transparency_api.router,
]
PROBLEM_JSON = "application/problem+json"
log = structlog.get_logger()


def create_app(settings: Settings, engine: Engine | None = None) -> FastAPI:
    """Build the application. Tests pass their own engine; a server opens the one in the settings."""
    configure_logging()
    app = FastAPI(
        title="Canting",
        summary="Izin elektronik bertanda tangan: ajukan, periksa, tanda tangani, verifikasi.",
        version="1",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        dependencies=[Depends(refuse_unstorable_text)],
        max_body_size=max(settings.max_verification_bytes, settings.max_upload_bytes) + 64 * 1024,
    )
    app.state.settings = settings
    app.state.engine = engine or open_engine(settings.effective_database_url)
    app.state.storage = operations.open_settings_storage(settings)
    app.state.sandbox = Sandbox(settings.effective_keys_folder, settings.outside_anchors)
    app.state.witnesses = witnesses_of(settings)
    app.state.operations_keys = None
    app.state.batch_runs = BatchRuns()
    app.state.verification_batches = Batches()
    app.state.responders = Responders(open_store(settings), settings.operations_passphrase)
    for router in ROUTERS:
        app.include_router(router)
    if settings.environment == "demo":
        app.include_router(demo_pages.router)
    app.mount("/static", StaticFiles(directory=STATIC_FOLDER), name="static")
    app.openapi = lambda: describe_api(app)  # type: ignore[method-assign]
    _add_error_handlers(app)
    app.add_middleware(Finish, app=app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    try:
        await run_in_threadpool(operations.open_keys, app)
        if settings.runs_jobs:
            await run_in_threadpool(operations.launch_jobs, app)
        yield
        if settings.runs_jobs:
            await run_in_threadpool(operations.shutdown_jobs)
    finally:
        await run_in_threadpool(app.state.verification_batches.close)
        await run_in_threadpool(app.state.batch_runs.close)
        app.state.sandbox.close()
        app.state.engine.dispose()


# Errors ---------------------------------------------------------------------------------------


def _add_error_handlers(app: FastAPI) -> None:
    app.add_exception_handler(ServiceError, lambda request, error: answer_error(request, _as(error)))
    for foreign in (KeysError, SigningError):
        app.add_exception_handler(foreign, _answer_foreign)
    app.add_exception_handler(RequestValidationError, _answer_validation)
    app.add_exception_handler(HTTPException, _answer_http)
    for unstorable in (DataError, UnicodeEncodeError):
        app.add_exception_handler(unstorable, lambda request, error: answer_error(request, InvalidInput()))


def _as(error: Exception) -> ServiceError:
    return error if isinstance(error, ServiceError) else Unavailable()


def answer_error(request: Request, error: ServiceError) -> Response:
    """Answer a refusal: problem details to a programme, a page to a person."""
    language = language_of(request)
    headers = {"retry-after": str(error.retry_after)} if error.retry_after else {}
    if wants_json(request):
        body = problem(error, language, request.url.path)
        if error.status == 401:
            headers["www-authenticate"] = "Bearer"
        return JSONResponse(body, error.status, headers, media_type=PROBLEM_JSON)
    if isinstance(error, SignInRequired):
        return RedirectResponse(f"/sign-in{_following(request)}", status_code=303)
    page = render(request, "errors/error.html", error.status, error=error, message=error.message(language))
    page.headers.update(headers)
    return page


def _following(request: Request) -> str:
    """Give the query that leads on, after signing in, to the page that was asked for with its own query."""
    path, query = request.url.path, request.url.query
    place = own_path(f"{path}?{query}" if query else path) if request.method in SAFE_METHODS else ""
    return f"?next={quote(place)}" if place else ""


def wants_json(request: Request) -> bool:
    """Tell whether the reader is a programme: the API, the published PKI, the log."""
    return request.url.path.startswith(
        ("/api/", "/pki/", "/log/", "/status-lists", "/healthz", "/readyz", "/metrics")
    )


def _answer_foreign(request: Request, error: Exception) -> Response:
    translated = translate_foreign(error)
    if translated is None:
        log_failure(request.scope, error)
        translated = Unavailable()
    return answer_error(request, translated)


_VALIDATION_SENTENCES = {
    "missing": ("Wajib diisi.", "This is required."),
    "string_too_long": ("Isian terlalu panjang.", "This is too long."),
    "string_too_short": ("Isian terlalu pendek.", "This is too short."),
    "uuid_parsing": ("Pengenal ini tidak dikenal.", "This identifier is not known."),
    "json_invalid": ("Isi permintaan bukan JSON yang sah.", "The request's body is not valid JSON."),
}


def _answer_validation(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    problems = []
    for item in error.errors():
        place, *path = [str(part) for part in item["loc"]] or ["body"]
        if place == "path":
            return answer_error(request, NotFound())
        sentence = _VALIDATION_SENTENCES.get(
            item["type"], ("Isian tidak sesuai ketentuan.", "This does not have the expected form.")
        )
        pointer = "/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in path)
        problems.append(FieldProblem(path[-1] if path else place, item["type"], *sentence, pointer=pointer))
    return answer_error(request, InvalidInput(problems=problems))


class MethodNotAllowed(ServiceError):
    status = 405
    code = "method_not_allowed"
    message_id = "Tindakan ini tidak tersedia pada alamat tersebut."
    message_en = "This action is not available at that address."


def _answer_http(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 500)
    by_status: dict[int, type[ServiceError]] = {
        401: SignInRequired, 403: AccessDenied, 404: NotFound, 405: MethodNotAllowed, 413: TooLarge,
    }  # fmt: skip
    refusal = by_status.get(status, InvalidInput if status < 500 else Unavailable)()
    answer = answer_error(request, refusal)
    for name, value in (getattr(error, "headers", None) or {}).items():
        answer.headers.setdefault(name, value)
    return answer


def log_failure(scope: Scope, error: Exception) -> str:
    """Log an unexpected error without its text, which may quote what somebody typed; return its id."""
    failure_id = secrets.token_hex(6)
    log.error(
        "unexpected_error",
        failure=failure_id,
        kind=type(error).__name__,
        method=scope.get("method"),
        route=getattr(scope.get("route"), "path", None),
        where="".join(traceback.format_tb(error.__traceback__)),
    )
    return failure_id


class Finish:
    """The outermost layer: adds every answer's headers, and turns an unexpected error into a plain one."""

    def __init__(self, inner: ASGIApp, app: FastAPI) -> None:
        self.inner = inner
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.inner(scope, receive, send)
            return
        scope.setdefault("app", self.app)
        request = Request(scope, receive)
        started = False

        async def send_finished(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                finish_headers(request, MutableHeaders(scope=message))
            await send(message)

        try:
            await self.inner(scope, receive, send_finished)
        except Exception as error:
            failure_id = log_failure(scope, error)
            if started:
                raise
            answer: Any = answer_error(request, Unexpected(failure_id))
            await answer(scope, receive, send_finished)


class Unexpected(ServiceError):
    """A fault of ours. The reader gets a number to quote, and nothing else."""

    status = 500
    code = "unexpected_error"

    def __init__(self, failure_id: str) -> None:
        super().__init__(
            f"Terjadi gangguan pada sistem kami. Data Anda tidak berubah. Coba lagi; bila berulang, "
            f"sebutkan kode {failure_id} kepada petugas.",
            f"Something went wrong on our side. Nothing was changed. Try again; if it persists, "
            f"quote the code {failure_id} to the office.",
        )
