"""Reconciling decisions, register and storage: each approval has one live document, and each an approval.

Every registered document is read back from the storage and hashed, and every certificate of ours is asked for
its custodians' approval. What does not agree raises an alarm.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine
from sqlalchemy.orm import aliased, defer
from sqlmodel import Session, col, select

from service import jobs
from service.accounts.access import ADMINISTRATOR
from service.accounts.models import RoleAssignment, User
from service.applications.models import Application
from service.applications.workflow import DECIDED, State
from service.clock import city_date
from service.database import reading, transaction
from service.mail import queue_mail
from service.permits.models import DocumentVersion, Kind, Permit, Reconciliation, Status
from service.permits.succession import SUPERSEDED_FROM
from service.pki.approve import find_unapproved
from service.storage import ObjectMissing, Storage, StorageCorrupted, get_document

ISSUED_WITHIN = timedelta(hours=1)
"""A decision whose document is not there yet is left alone for so long: its signing may be under way."""
ALARM = "reconciliation_alarm"
LONGEST_LIST = 50
"""Discrepancies that are kept and mailed; `canting log reconcile` lists all."""


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """What does not agree, by a stable code, and the application, number, SHA-256 or key it was found at."""

    problem: str
    subject: str


def find_discrepancies(engine: Engine, storage: Storage, now: datetime) -> tuple[int, list[Discrepancy]]:
    """Return how many documents were read, and all that does not agree.

    Problems: `no_permit` for a decision without permit or letter, `unfinished` for one never signed,
    `no_document`, `no_decision` for a permit that nobody approved (or a letter, rejected), `no_permit_row`
    for a document of no permit, `wrong_earlier_permit` for a permit in the place of one that its application
    does not name, or another's, `not_superseded` for one that still holds beside its successor,
    `no_successor` for one superseded by none, `document_missing` and `document_altered` in the storage, and
    `certificate_issued` and `certificate_reinstated` for what two custodians have not approved.
    Raises StorageUnavailable.
    """
    with reading(engine) as session:
        found = [*_decisions_without_permit(session, now), *_permits_that_lack_something(session, now)]
        found += _successions_that_disagree(session, now)
        found += [Discrepancy(f"certificate_{each.act}", each.key_name) for each in find_unapproved(session)]
        statement = select(DocumentVersion.sha256, Permit.id).outerjoin(
            Permit, col(Permit.id) == col(DocumentVersion.permit_id)
        )
        documents = session.exec(statement.order_by(DocumentVersion.sha256)).all()
    for sha256, permit_id in documents:
        if permit_id is None:
            found.append(Discrepancy("no_permit_row", sha256))
        try:
            get_document(storage, sha256)
        except ObjectMissing:
            found.append(Discrepancy("document_missing", sha256))
        except StorageCorrupted:
            found.append(Discrepancy("document_altered", sha256))
    return len(documents), found


def _decisions_without_permit(session: Session, now: datetime) -> Iterator[Discrepancy]:
    statement = (
        select(Application.receipt_number, Application.id)
        .outerjoin(Permit, col(Permit.application_id) == col(Application.id))
        .where(col(Application.state).in_(DECIDED), col(Permit.id).is_(None))
        .order_by(col(Application.id))
    )
    for receipt_number, application_id in session.exec(statement):
        yield Discrepancy("no_permit", receipt_number or str(application_id))


def _permits_that_lack_something(session: Session, now: datetime) -> Iterator[Discrepancy]:
    decided: dict[str, State] = {Kind.PERMIT: State.APPROVED, Kind.REJECTION_LETTER: State.REJECTED}
    statement = (
        select(Permit, Application.state)
        .options(defer(Permit.document))  # type: ignore[arg-type]
        .outerjoin(Application, col(Application.id) == col(Permit.application_id))
        .order_by(col(Permit.number))
    )
    documented = set(
        session.exec(
            select(Permit.number).join(DocumentVersion, col(DocumentVersion.permit_id) == col(Permit.id))
        )
    )
    for permit, state in session.exec(statement):
        if state != decided.get(permit.kind):
            yield Discrepancy("no_decision", permit.number)
        if permit.status == Status.ISSUING:
            if now - permit.created_at > ISSUED_WITHIN:
                yield Discrepancy("unfinished", permit.number)
        elif permit.number not in documented:
            yield Discrepancy("no_document", permit.number)


def _successions_that_disagree(session: Session, now: datetime) -> Iterator[Discrepancy]:
    earlier = aliased(Permit)
    # One that begins today may still wait for the daily job.
    yesterday = city_date(now) - timedelta(days=1)
    followed = (
        select(Permit, earlier, Application.continues_id)
        .options(defer(Permit.document), defer(earlier.document))  # type: ignore[arg-type]
        .join(Application, col(Application.id) == col(Permit.application_id))
        .outerjoin(earlier, col(earlier.id) == col(Permit.continues_id))
        .where(
            Permit.kind == Kind.PERMIT,
            col(Permit.continues_id).is_not(None) | col(Application.continues_id).is_not(None),
        )
        .order_by(col(Permit.number))
    )
    for permit, before, named in session.exec(followed):
        own = (named, permit.holder_id, permit.slug)
        if before is None or (before.id, before.holder_id, before.slug) != own:
            yield Discrepancy("wrong_earlier_permit", permit.number)
        elif (
            permit.status == Status.ACTIVE
            and permit.valid_from <= yesterday
            and before.status in SUPERSEDED_FROM
        ):
            yield Discrepancy("not_superseded", before.number)
    continued = select(Permit.continues_id).where(
        col(Permit.continues_id).is_not(None), Permit.status != Status.ISSUING
    )
    alone = select(Permit.number).where(Permit.status == Status.SUPERSEDED, col(Permit.id).not_in(continued))
    for number in session.exec(alone.order_by(Permit.number)):
        yield Discrepancy("no_successor", number)


def reconcile(engine: Engine, storage: Storage, now: datetime) -> list[Discrepancy]:
    """Look for discrepancies, keep the outcome for page and metrics, and mail administrators of any.

    A daily job. Raises StorageUnavailable, and is tried again then.
    """
    documents, found = find_discrepancies(engine, storage, now)
    kept = [asdict(each) for each in found[:LONGEST_LIST]]
    with transaction(engine) as session:
        session.merge(
            Reconciliation(id=1, finished_at=now, documents=documents, count=len(found), findings=kept)
        )
        if found:
            _raise_alarm(session, found, now)
    return found


def _raise_alarm(session: Session, found: list[Discrepancy], now: datetime) -> None:
    administrators = (
        select(User)
        .join(RoleAssignment, col(RoleAssignment.user_id) == col(User.id))
        .where(RoleAssignment.role == ADMINISTRATOR, col(User.disabled_at).is_(None))
        .order_by(col(User.email))
    )
    listed = [asdict(each) for each in found[:LONGEST_LIST]]
    for user in session.exec(administrators):
        context = {"full_name": user.full_name, "count": len(found), "findings": listed}
        context["path"] = "/officer/permits/health"
        mail = queue_mail(
            session, to=user.email, language=user.language, template=ALARM, context=context, now=now
        )
        jobs.enqueue(session, "send_mail", str(mail.id))


def last_reconciliation(session: Session) -> Reconciliation | None:
    """Return the last outcome, or None before the first."""
    return session.get(Reconciliation, 1)
