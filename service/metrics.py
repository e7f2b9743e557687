"""Figures of the service's work for Prometheus, counted in the database whenever they are asked for."""

from collections.abc import Sequence
from datetime import datetime

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from sqlalchemy import Engine, func
from sqlmodel import Session, col, select

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

    `witnesses` names those of the log.
    """
    registry = CollectorRegistry()
    with reading(engine) as session:
        _count_by_state(registry, session)
        _count_what_went_wrong(registry, session, now)
        _tell_of_proofs(registry, session, now, witnesses)
    _tell(registry, "jobs_failed", "Background work that was given up", jobs.count_failed_jobs(engine))
    return generate_latest(registry)


def _count_by_state(registry: CollectorRegistry, session: Session) -> None:
    """Tell every state, also at zero, so that an alarm can tell none from no answer.

    The counts of applications and permits read an index alone.
    """
    states = dict(session.exec(select(Application.state, func.count()).group_by(Application.state)).all())
    statuses = dict(session.exec(select(Permit.status, func.count()).group_by(Permit.status)).all())
    levels = document_health(session).by_level
    for name, meaning, label, values, counts in (
        ("applications", "Applications by state", "state", State, states),
        ("permits", "Permits and rejection letters by status", "status", Status, statuses),
        ("documents", "Newest documents by PAdES level", "level", ("B-B", "B-T", "B-LT", "B-LTA"), levels),
    ):
        gauge = Gauge(f"canting_{name}", meaning, [label], registry=registry)
        for value in values:
            gauge.labels(value).set(counts.get(value, 0))


def _count_what_went_wrong(registry: CollectorRegistry, session: Session, now: datetime) -> None:
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
    meaning = "Cases that an office holds beyond the step's last day"
    _tell(registry, "cases_overdue", meaning, session.exec(overdue).one())
    failed = select(func.count()).where(col(MailMessage.failed_at).is_not(None))
    _tell(registry, "mails_failed", "Mails that the server refused for good", session.exec(failed).one())


def _tell_of_proofs(
    registry: CollectorRegistry, session: Session, now: datetime, witnesses: Sequence[str]
) -> None:
    _tell(registry, "log_leaves", "Leaves of the transparency log", log_size(session))
    if witnesses and (silence := longest_silence(session, witnesses, now)) is not None:
        meaning = "Since the log's witness that is silent longest was heard"
        _tell(registry, "witness_silence_seconds", meaning, silence)
    if (last := last_reconciliation(session)) is not None:
        _tell(registry, "discrepancies", "Discrepancies that the last reconciliation found", last.count)
        age = (now - last.finished_at).total_seconds()
        _tell(registry, "reconciliation_age_seconds", "Since the last reconciliation", age)
    if (oldest := session.exec(select(func.min(StatusList.issued_at))).one()) is not None:
        age = (now - oldest).total_seconds()
        _tell(registry, "status_list_age_seconds", "Since the oldest status list", age)


def _tell(registry: CollectorRegistry, name: str, meaning: str, value: float) -> None:
    Gauge(f"canting_{name}", meaning, registry=registry).set(value)
