"""Health, metrics and the API's documentation."""

import re
from datetime import datetime, timedelta

import cases
import pytest
from factories import LONG_AGO, app_of, make_case, make_citizen, make_draft
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import Engine
from sqlmodel import Session, select

from keys.software import SoftwareKeyStore
from service import clock, jobs
from service.accounts.access import SERVICE
from service.accounts.models import LoginSession
from service.accounts.sessions import open_session
from service.config import Settings
from service.database import reading, transaction
from service.mail import MailMessage, queue_mail
from service.operations import build_jobs
from service.permits.issue import EXTEND_JOB
from service.permits.register import current_version
from service.permits.renewal import RENEW_JOB, SLICE, start_renewal
from service.permits.workshop import workshop_of
from service.pki.register import PUBLISH_JOB


def test_health_and_readiness_answer(client: TestClient) -> None:
    assert client.get("/healthz").text == "ok"
    assert client.get("/readyz").text == "ready"


def test_documentation_asks_nothing_of_other_hosts(client: TestClient) -> None:
    page = client.get("/api/docs").text
    assert "https://" not in page


def test_unknown_api_address_is_a_problem_in_the_readers_language(client: TestClient) -> None:
    answer = client.get("/api/v1/nothing", headers={"accept-language": "en"})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "not_found"
    assert "not found" in answer.json()["title"]


def test_every_answer_carries_the_security_headers(client: TestClient) -> None:
    headers = client.get("/healthz").headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


# Metrics ------------------------------------------------------------------------------------------


@pytest.fixture
def here(app: FastAPI) -> TestClient:
    """A client on the machine itself."""
    return TestClient(app, client=("127.0.0.1", 50000), raise_server_exceptions=False)


def figures_of(text: str) -> dict[str, float]:
    return {name: float(value) for name, value in re.findall(r"^(canting_\S+) (\S+)$", text, re.MULTILINE)}


def test_metrics_tell_of_the_services_work(here: TestClient, engine: Engine, now: datetime) -> None:
    with transaction(engine) as session:
        make_draft(session, make_citizen(session))
        make_case(session)
        mail = queue_mail(
            session,
            to="siti@contoh.invalid",
            language="id",
            template="password_changed",
            context={"full_name": "Siti"},
            now=now,
        )
        mail.failed_at = now
    before = figures_of(here.get("/metrics").text)
    assert before['canting_applications{state="draft"}'] == 1
    assert before['canting_applications{state="approved"}'] == 0
    assert before['canting_permits{status="issuing"}'] == 0
    assert before['canting_documents{level="B-T"}'] == 0
    assert before["canting_mails_failed"] == 1
    assert before["canting_jobs_failed"] == 0
    assert before["canting_cases_overdue"] == before['canting_applications{state="under_review"}'] == 1

    answer = here.post("/api/v1/verifications", files={"file": ("izin.pdf", b"%PDF-1.7 nothing")})
    counted = f'canting_verifications_total{{verdict="{answer.json()["verdict"]}"}}'
    assert figures_of(here.get("/metrics").text)[counted] == before[counted] + 1


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded"])
def test_metrics_are_not_given_through_a_proxy_without_a_token(here: TestClient, header: str) -> None:
    assert here.get("/metrics").status_code == 200
    assert here.get("/metrics", headers={header: "192.0.2.1"}).status_code == 403


def test_metrics_are_given_to_nobody_elsewhere(client: TestClient) -> None:
    assert client.get("/metrics").status_code == 403


def test_metrics_with_a_token_ask_for_it_from_everybody(app: FastAPI, here: TestClient) -> None:
    app.state.settings = app.state.settings.model_copy(update={"metrics_token": SecretStr("token-uji")})
    proxy = {"X-Forwarded-For": "192.0.2.1"}
    assert here.get("/metrics").status_code == 403
    assert here.get("/metrics", headers={"Authorization": "Metrics other"}).status_code == 403
    assert here.get("/metrics", headers={**proxy, "Authorization": "Metrics token-uji"}).status_code == 200


# Daily work ---------------------------------------------------------------------------------------


@pytest.fixture
def keys(settings: Settings) -> SoftwareKeyStore:
    return cases.make_keys(settings.effective_keys_folder, clock.now())


@pytest.fixture
def work(keys: SoftwareKeyStore, client: TestClient) -> dict[str, jobs.Job]:
    """The jobs of a service that has started, and opened its keys, by their names."""
    return {job.name: job for job in build_jobs(app_of(client))}


def test_whatever_is_scheduled_runs_and_may_run_again(work: dict[str, jobs.Job]) -> None:
    scheduled = [job for job in work.values() if job.cron]
    assert len(scheduled) > 10
    for job in 2 * scheduled:
        job.run()


def test_a_renewal_extends_permits_by_the_jobs_of_this_process(
    keys: SoftwareKeyStore, work: dict[str, jobs.Job], app: FastAPI, engine: Engine
) -> None:
    moment = clock.now()
    with transaction(engine) as session:
        city = cases.make_city(session, moment)
        case = cases.bring_to_signature(session, city, moment)
    workshop = workshop_of(app.state.settings, engine, app.state.storage, app.state.operations_keys, None)
    signer = keys.open_key("official-head", cases.OFFICIAL_PASSPHRASE, now=moment)
    permit = cases.issue_case(workshop, city, case, signer, moment).permit
    work[PUBLISH_JOB].run()
    until = app.state.operations_keys.tsa.certificate.not_valid_after_utc
    with transaction(engine) as session:
        renewal = start_renewal(session, stamps_until=until, actor=SERVICE, now=moment)
    work[RENEW_JOB].run(str(renewal.id), SLICE)
    with reading(engine) as session:
        assert current_version(session, permit).level == "B-LTA"
    # There is nothing left to do for who asks again.
    work[EXTEND_JOB].run(str(permit.id))
    with reading(engine) as session:
        assert current_version(session, permit).version == 2


def test_what_ended_long_ago_is_forgotten(app: FastAPI, engine: Engine) -> None:
    forget = next(job for job in build_jobs(app) if job.name == "forget_old")
    assert forget.cron is not None
    today = clock.now()

    def settled(session: Session, *, sent: datetime | None = None, failed: datetime | None = None) -> None:
        words = {"full_name": "Siti"}
        address, template = "siti@contoh.invalid", "password_changed"
        mail = queue_mail(session, to=address, language="id", template=template, context=words, now=LONG_AGO)
        mail.sent_at, mail.failed_at = sent, failed

    with transaction(engine) as session:
        citizen = make_citizen(session)
        for lifetime in (timedelta(hours=1), timedelta(days=3650)):
            open_session(session, citizen, lifetime=lifetime, device="", now=LONG_AGO)
        settled(session, sent=today - timedelta(days=91))
        settled(session, failed=today - timedelta(days=91))
        settled(session, sent=today - timedelta(days=89))
        settled(session)
    forget.run()
    forget.run()
    with reading(engine) as session:
        assert len(session.exec(select(LoginSession)).all()) == 1
        left = {mail.sent_at for mail in session.exec(select(MailMessage))}
    assert left == {today - timedelta(days=89), None}
