"""Figures of the service's work for Prometheus, counted in the database whenever they are asked for."""

from collections.abc import Sequence
from datetime import datetime

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from sqlalchemy import Engine, func
from sqlmodel import col, select

from service import jobs
from service.applications.models import Application, StepVisit
from service.applications.workflow import APPLICANT_ROLE, State
from service.clock import city_date
from service.database import reading
from service.mail import MailMessage
from service.permits.models import Permit, Status, StatusList
from service.permits.reconcile import last_reconciliation
from service.permits.register import document_health
from service.transparency.log import log_size
from service.transparency.witnesses import longest_silence


def count_figures(engine: Engine, now: datetime, witnesses: Sequence[str] = ()) -> bytes:
    """Count applications, permits, and what needs somebody's attention, in Prometheus' text format.

    Both counts by state read an index alone. Every state is told, also at zero, so that an alarm can
    tell none from no answer. `witnesses` names those of the log.
    """
    registry = CollectorRegistry()
    with reading(engine) as session:
        states = dict(session.exec(select(Application.state, func.count()).group_by(Application.state)).all())
        statuses = dict(session.exec(select(Permit.status, func.count()).group_by(Permit.status)).all())
        overdue = (
            select(func.count())
            .select_from(Application)
            .join(StepVisit, col(StepVisit.application_id) == col(Application.id))
            .where(
                Application.state == State.UNDER_REVIEW,
                col(StepVisit.left_at).is_(None),
                StepVisit.role != APPLICANT_ROLE,
                col(Application.step_due_on) < city_date(now),
            )
        )
        reconciliation = last_reconciliation(session)
        silence = longest_silence(session, witnesses, now) if witnesses else None
        log_leaves = log_size(session)
        levels = document_health(session).by_level
        oldest_list = session.exec(select(func.min(StatusList.issued_at))).one()
        failed_mails = select(func.count()).where(col(MailMessage.failed_at).is_not(None))
        plain = {
            "cases_overdue": ("Cases that an office holds beyond the step's last day", overdue),
            "mails_failed": ("Mails that the server refused for good", failed_mails),
        }
        for name, (meaning, statement) in plain.items():
            Gauge(f"canting_{name}", meaning, registry=registry).set(session.exec(statement).one())
    applications = Gauge("canting_applications", "Applications by state", ["state"], registry=registry)
    for state in State:
        applications.labels(state).set(states.get(state, 0))
    permits = Gauge(
        "canting_permits", "Permits and rejection letters by status", ["status"], registry=registry
    )
    for status in Status:
        permits.labels(status).set(statuses.get(status, 0))
    documents = Gauge("canting_documents", "Newest documents by PAdES level", ["level"], registry=registry)
    for level in ("B-B", "B-T", "B-LT", "B-LTA"):
        documents.labels(level).set(levels.get(level, 0))
    Gauge("canting_log_leaves", "Leaves of the transparency log", registry=registry).set(log_leaves)
    if silence is not None:
        meaning = "Since the log's witness that is silent longest was heard"
        Gauge("canting_witness_silence_seconds", meaning, registry=registry).set(silence)
    if reconciliation is not None:
        meaning = "Discrepancies that the last reconciliation found"
        Gauge("canting_discrepancies", meaning, registry=registry).set(reconciliation.count)
        age = Gauge("canting_reconciliation_age_seconds", "Since the last reconciliation", registry=registry)
        age.set((now - reconciliation.finished_at).total_seconds())
    if oldest_list is not None:
        age = Gauge("canting_status_list_age_seconds", "Since the oldest status list", registry=registry)
        age.set((now - oldest_list).total_seconds())
    failed_jobs = Gauge("canting_jobs_failed", "Background work that was given up", registry=registry)
    failed_jobs.set(jobs.count_failed_jobs(engine))
    return generate_latest(registry)
