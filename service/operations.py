"""What keeps the service running: health, metrics, the API's documentation, and its durable jobs."""

import secrets
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Annotated

import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import Engine, text
from sqlmodel import Session

from keys.errors import KeyNotFound
from service import jobs
from service.accounts.access import PUBLIC, Actor, allow
from service.accounts.links import one_time_address
from service.accounts.sessions import forget_expired
from service.applications.daily import expire_drafts, send_overdue_alarms
from service.clock import now
from service.config import Settings
from service.database import SessionDep, reading, transaction
from service.errors import AccessDenied
from service.mail import deliver, forget_settled
from service.metrics import count_figures
from service.permits.alarms import send_expiry_alarms
from service.permits.extend import enqueue_extensions, extend_document
from service.permits.issue import EXTEND_JOB
from service.permits.offline import PUBLISH_LISTS_JOB, publish_status_lists
from service.permits.reconcile import reconcile
from service.permits.renewal import RENEW_JOB, run_slice
from service.permits.revoke import expire_permits
from service.permits.signer import OperationsKeys, open_operations_keys
from service.permits.succession import supersede_due
from service.permits.sweep import sweep_storage
from service.permits.workshop import SigningUnavailable, workshop_of
from service.pki.outside import REFRESH_JOB, refresh_outside_lists, stamps_until
from service.pki.publish import publish_revocation_lists
from service.pki.register import PUBLISH_JOB
from service.pki.store import open_store
from service.pki.tsa import ordered_timestamper, outside_tsas, time_anchors
from service.storage import Storage, open_storage
from service.transparency.log import commit_audit_trail
from service.web import SettingsDep, render

router = APIRouter(tags=["operations"])
Anyone = Annotated[Actor, allow(PUBLIC)]
log = structlog.get_logger()


@router.get("/healthz", summary="Is it alive", response_class=PlainTextResponse)
def healthz(_actor: Anyone) -> str:
    """Tell that the process answers."""
    return "ok"


@router.get("/readyz", summary="Is it ready", response_class=PlainTextResponse)
def readyz(_actor: Anyone, session: SessionDep) -> str:
    """Tell that the database answers too."""
    session.connection().execute(text("SELECT 1"))
    return "ready"


@router.get("/metrics", include_in_schema=False)
def metrics(_actor: Anyone, request: Request, settings: SettingsDep) -> Response:
    """Give Prometheus its figures: on the machine itself, or to the metrics token (scheme `Metrics`)."""
    token = settings.metrics_token.get_secret_value()
    given = request.headers.get("authorization", "").removeprefix("Metrics ")
    if not (secrets.compare_digest(token.encode(), given.encode()) if token else _is_local(request)):
        raise AccessDenied
    names = [witness.verifier.name for witness in request.app.state.witnesses.every]
    figures = generate_latest() + count_figures(request.app.state.engine, now(), names)
    return Response(figures, media_type=CONTENT_TYPE_LATEST)


def _is_local(request: Request) -> bool:
    """Tell whether a request was made on this machine, and not by a proxy here for somebody elsewhere."""
    forwarded = {"x-forwarded-for", "forwarded"} & set(request.headers.keys())
    return request.client is not None and request.client.host in {"127.0.0.1", "::1"} and not forwarded


@router.get("/api/docs", include_in_schema=False)
def api_documentation(_actor: Anyone, request: Request) -> HTMLResponse:
    """Show the API's interactive documentation, with every asset served from here."""
    return render(request, "api_docs.html")


def open_settings_storage(settings: Settings) -> Storage:
    """Open the storage the settings name."""
    return open_storage(
        settings.effective_storage_url,
        endpoint=settings.storage_endpoint,
        region=settings.storage_region,
        access_key=settings.storage_access_key.get_secret_value(),
        secret_key=settings.storage_secret_key.get_secret_value(),
    )


def open_keys(app: FastAPI) -> None:
    """Open the service's own keys; without a hierarchy the service runs, but signs nothing."""
    settings: Settings = app.state.settings
    try:
        own = open_operations_keys(
            open_store(settings), settings.operations_passphrase.get_secret_value(), now
        )
        timestamper = ordered_timestamper(
            settings.tsa_addresses,
            settings.effective_keys_folder,
            own.timestamper,
            engine=app.state.engine,
            now=now,
        )
        app.state.operations_keys = replace(own, timestamper=timestamper)
    except KeyNotFound:
        log.warning("no_keys", advice="run `canting keys ceremony`")


def _own_keys(app: FastAPI) -> OperationsKeys:
    """Return the service's own keys. Raises SigningUnavailable without them; the job is tried again."""
    keys: OperationsKeys | None = app.state.operations_keys
    if keys is None:
        raise SigningUnavailable
    return keys


def build_jobs(app: FastAPI) -> list[jobs.Job]:
    """Name every kind of background work this release knows."""
    settings: Settings = app.state.settings
    engine: Engine = app.state.engine
    link = one_time_address(settings)

    def within(verb: Callable[[Session, datetime], object]) -> Callable[[], None]:
        """Make a verb a job, in a transaction of its own."""

        def run() -> None:
            with transaction(engine) as session:
                verb(session, now())

        return run

    def on_storage(verb: Callable[[Engine, Storage, datetime], object]) -> Callable[[], object]:
        return lambda: verb(engine, app.state.storage, now())

    def end_permits(session: Session, at: datetime) -> None:
        expire_permits(session, at)
        supersede_due(session, at)

    def alarm(session: Session, at: datetime) -> None:
        send_expiry_alarms(session, settings.tsa_addresses, at)

    return [
        jobs.Job("send_mail", lambda mail_id: deliver(engine, mail_id, settings, link)),
        jobs.Job(PUBLISH_JOB, partial(_publish_revocation_lists, app), cron="17 * * * *"),
        jobs.Job(PUBLISH_LISTS_JOB, partial(_publish_status_lists, app), cron="7 * * * *"),
        jobs.Job(REFRESH_JOB, partial(_refresh_outside_lists, app), cron="37 * * * *"),
        jobs.Job(EXTEND_JOB, lambda permit_id: _extend(app, uuid.UUID(permit_id))),
        jobs.Job(RENEW_JOB, partial(_renew, app)),
        jobs.Job("extend_due", within(partial(_extend_due, app)), cron="15 1 * * *"),
        jobs.Job("expire_permits", within(end_permits), cron="5 0 * * *"),
        jobs.Job("commit_audit_trail", within(commit_audit_trail), cron="37 * * * *"),
        jobs.Job("reconcile", on_storage(reconcile), cron="25 2 * * *"),
        jobs.Job("sweep_storage", on_storage(sweep_storage), cron="55 1 * * *"),
        jobs.Job("expire_drafts", on_storage(expire_drafts), cron="25 0 * * *"),
        jobs.Job("forget_old", partial(_forget_old, engine), cron="45 0 * * *"),
        jobs.Job("expiry_alarm", within(alarm), cron="30 6 * * *"),
        jobs.Job("overdue_alarm", within(send_overdue_alarms), cron="0 7 * * 1-5"),
    ]


def _publish_revocation_lists(app: FastAPI) -> None:
    settings: Settings = app.state.settings
    keys = open_store(settings)
    if keys.names():
        passphrase = settings.operations_passphrase.get_secret_value()
        publish_revocation_lists(app.state.engine, keys, passphrase, now())


def _publish_status_lists(app: FastAPI) -> None:
    publish_status_lists(app.state.engine, _own_keys(app).seal, app.state.settings.base_url, now())


def _refresh_outside_lists(app: FastAPI) -> None:
    settings: Settings = app.state.settings
    tsas = outside_tsas(settings.tsa_addresses, settings.effective_keys_folder)
    refresh_outside_lists(app.state.engine, tsas, now())


def _extend(app: FastAPI, permit_id: uuid.UUID) -> object:
    settings: Settings = app.state.settings
    engine: Engine = app.state.engine
    own = _own_keys(app)
    with reading(engine) as session:
        until = _stamps_until(app, session, now())
    return extend_document(
        workshop_of(settings, engine, app.state.storage, own, app.state.witnesses),
        permit_id,
        tsa=own.tsa,
        stamps_until=until,
        time_anchors=time_anchors(settings.effective_keys_folder),
    )


def _extend_due(app: FastAPI, session: Session, at: datetime) -> None:
    enqueue_extensions(session, stamps_until=_stamps_until(app, session, at), now=at)


def _stamps_until(app: FastAPI, session: Session, at: datetime) -> datetime:
    end = _own_keys(app).tsa.certificate.not_valid_after_utc
    return stamps_until(session, app.state.settings.tsa_addresses, end, at)


def _renew(app: FastAPI, renewal_id: str, up_to: int) -> None:
    run_slice(app.state.engine, uuid.UUID(renewal_id), up_to, partial(_extend, app), now)


def _forget_old(engine: Engine) -> None:
    with transaction(engine) as session:
        forget_expired(session, now())
        forget_settled(session, now())
    jobs.forget_finished_jobs(engine, now())


def launch_jobs(app: FastAPI) -> None:
    """Start executing durable jobs in this process."""
    settings: Settings = app.state.settings
    settings.make_data_folder()
    jobs.launch(settings.effective_database_url, build_jobs(app), executor_id=settings.executor_id)
    with transaction(app.state.engine) as session:
        # What stood still may have missed an hourly run.
        jobs.enqueue(session, PUBLISH_JOB)
        jobs.enqueue(session, REFRESH_JOB)
        jobs.enqueue(session, PUBLISH_LISTS_JOB)


def shutdown_jobs() -> None:
    """Stop executing jobs; what was running runs again at the next start."""
    jobs.shutdown()
