"""What keeps the service running: health, metrics, the API's documentation, and its durable jobs."""

import secrets
import uuid
from dataclasses import replace
from typing import Annotated

import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import Engine, text

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

    def expire() -> None:
        with transaction(engine) as session:
            expire_permits(session, now())

    def remind() -> None:
        with transaction(engine) as session:
            send_overdue_alarms(session, now())

    def publish() -> None:
        keys = open_store(settings)
        passphrase = settings.operations_passphrase.get_secret_value()
        if keys.names():
            publish_revocation_lists(engine, keys, passphrase, now())

    def publish_lists() -> None:
        publish_status_lists(engine, _own_keys(app).seal, settings.base_url, now())

    def extend(permit_id: uuid.UUID) -> object:
        own = _own_keys(app)
        workshop = workshop_of(settings, engine, app.state.storage, own, app.state.witnesses)
        with reading(engine) as session:
            end = own.tsa.certificate.not_valid_after_utc
            until = stamps_until(session, settings.tsa_addresses, end, now())
        return extend_document(
            workshop,
            permit_id,
            tsa=own.tsa,
            stamps_until=until,
            time_anchors=time_anchors(settings.effective_keys_folder),
        )

    def extend_due() -> None:
        own_end = _own_keys(app).tsa.certificate.not_valid_after_utc
        with transaction(engine) as session:
            until = stamps_until(session, settings.tsa_addresses, own_end, now())
            enqueue_extensions(session, stamps_until=until, now=now())

    def renew(renewal_id: str, up_to: int) -> None:
        run_slice(engine, uuid.UUID(renewal_id), up_to, extend, now)

    def alarm() -> None:
        with transaction(engine) as session:
            send_expiry_alarms(session, settings.tsa_addresses, now())

    def refresh_outside() -> None:
        tsas = outside_tsas(settings.tsa_addresses, settings.effective_keys_folder)
        refresh_outside_lists(engine, tsas, now())

    def commit() -> None:
        with transaction(engine) as session:
            commit_audit_trail(session, now())

    def forget() -> None:
        with transaction(engine) as session:
            forget_expired(session, now())
            forget_settled(session, now())
        jobs.forget_finished_jobs(engine, now())

    return [
        jobs.Job("send_mail", lambda mail_id: deliver(engine, mail_id, settings, link)),
        jobs.Job(PUBLISH_JOB, publish, cron="17 * * * *"),
        jobs.Job(PUBLISH_LISTS_JOB, publish_lists, cron="7 * * * *"),
        jobs.Job(REFRESH_JOB, refresh_outside, cron="37 * * * *"),
        jobs.Job(EXTEND_JOB, lambda permit_id: extend(uuid.UUID(permit_id))),
        jobs.Job(RENEW_JOB, renew),
        jobs.Job("extend_due", extend_due, cron="15 1 * * *"),
        jobs.Job("expire_permits", expire, cron="5 0 * * *"),
        jobs.Job("commit_audit_trail", commit, cron="37 * * * *"),
        jobs.Job("reconcile", lambda: reconcile(engine, app.state.storage, now()), cron="25 2 * * *"),
        jobs.Job("sweep_storage", lambda: sweep_storage(engine, app.state.storage, now()), cron="55 1 * * *"),
        jobs.Job("expire_drafts", lambda: expire_drafts(engine, app.state.storage, now()), cron="25 0 * * *"),
        jobs.Job("forget_old", forget, cron="45 0 * * *"),
        jobs.Job("expiry_alarm", alarm, cron="30 6 * * *"),
        jobs.Job("overdue_alarm", remind, cron="0 7 * * 1-5"),
    ]


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
