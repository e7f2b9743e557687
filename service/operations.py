"""What keeps the service running: health, metrics, the API's documentation, and its durable jobs."""

import secrets
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text

from service import jobs
from service.accounts.access import PUBLIC, Actor, allow
from service.config import Settings
from service.database import SessionDep
from service.errors import AccessDenied
from service.web import SettingsDep, static

router = APIRouter(tags=["operations"])
Anyone = Annotated[Actor, allow(PUBLIC)]


@router.get("/healthz", response_class=PlainTextResponse)
def healthz(_actor: Anyone) -> str:
    """Tell that the process answers."""
    return "ok"


@router.get("/readyz", response_class=PlainTextResponse)
def readyz(_actor: Anyone, session: SessionDep) -> str:
    """Tell that the database answers too."""
    session.connection().execute(text("SELECT 1"))
    return "ready"


@router.get("/metrics", include_in_schema=False)
def metrics(_actor: Anyone, request: Request, settings: SettingsDep) -> Response:
    """Give Prometheus its figures: to whoever sends `Authorization: Metrics <token>`, or on the machine itself."""
    token = settings.metrics_token.get_secret_value()
    given = request.headers.get("authorization", "").removeprefix("Metrics ")
    local = request.client is not None and request.client.host in {"127.0.0.1", "::1"}
    if not (secrets.compare_digest(token, given) if token else local):
        raise AccessDenied
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


@router.get("/api/docs", include_in_schema=False)
def api_documentation(_actor: Anyone) -> HTMLResponse:
    """Show the API's interactive documentation, with every asset served from here."""
    return get_swagger_ui_html(
        openapi_url="/api/openapi.json",
        title="Canting API",
        swagger_js_url=static("built/swagger-ui-bundle.js"),
        swagger_css_url=static("built/swagger-ui.css"),
        swagger_favicon_url=static("images/favicon.svg"),
    )


def build_jobs(app: FastAPI) -> list[jobs.Job]:
    """Name every kind of background work this release knows."""
    return []


def launch_jobs(app: FastAPI) -> None:
    """Start executing durable jobs in this process."""
    settings: Settings = app.state.settings
    Path(settings.data_folder).mkdir(parents=True, exist_ok=True)
    jobs.launch(settings.effective_database_url, build_jobs(app), executor_id=settings.executor_id)


def shutdown_jobs() -> None:
    """Stop executing jobs; what was running runs again at the next start."""
    jobs.shutdown()
