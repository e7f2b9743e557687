"""Bulk renewal: each document whose proof would last longer gets a new archive time stamp, for all to watch.

What is to be done stands in rows, so a run survives restarts: a job takes a slice of them, one document after
another, and enqueues the next slice.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, insert, literal
from sqlmodel import Session, col, func, select

from service import jobs
from service.accounts.access import Actor
from service.audit import record_event
from service.database import reading, transaction
from service.errors import Conflict
from service.permits.models import ProofRenewal, ProofRenewalItem
from service.permits.register import newest_versions
from signing.errors import TimestampUnavailable

RENEW_JOB = "renew_proofs"
SLICE = 100
"""Documents of one job; other work gets its turn in between."""
WAITING, RENEWED, NOT_NEEDED, FAILED = "waiting", "renewed", "not_needed", "failed"
SETTLED = col(ProofRenewalItem.outcome) != WAITING


class RenewalRunning(Conflict):
    code = "renewal_running"
    message_id = "Pembaruan bukti sedang berjalan. Tunggu sampai selesai."
    message_en = "A renewal of proofs is running already. Wait until it is done."


class NothingToRenew(Conflict):
    code = "nothing_to_renew"
    message_id = (
        "Tidak ada dokumen yang buktinya akan bertahan lebih lama. Perbarui dahulu otoritas cap waktunya."
    )
    message_en = "No document's proof would last longer. Renew the time-stamping authority first."


@dataclass(frozen=True, slots=True)
class RenewalProgress:
    """How far a bulk renewal is. `failures` counts failed documents by code."""

    started_at: datetime
    finished_at: datetime | None
    total: int
    waiting: int
    renewed: int
    not_needed: int
    failures: dict[str, int]

    @property
    def failed(self) -> int:
        return sum(self.failures.values())

    @property
    def done(self) -> int:
        return self.total - self.waiting

    def per_minute(self, now: datetime) -> float:
        """Return how many documents a minute were done since the start."""
        spent = ((self.finished_at or now) - self.started_at).total_seconds()
        return self.done * 60 / spent if spent > 0 else 0.0

    def ends_at(self, now: datetime) -> datetime | None:
        """Estimate the end by the rate so far; None when nothing was done yet or all is done."""
        rate = self.per_minute(now)
        return now + timedelta(minutes=self.waiting / rate) if rate and self.waiting else None


def start_renewal(
    session: Session, *, stamps_until: datetime, before: datetime | None = None, actor: Actor, now: datetime
) -> ProofRenewal:
    """Note every document that is not B-LTA, or whose proof a stamp of now would make longer.

    With `before` only those whose proof ends before it. `stamps_until` is when such a stamp will end.
    Raises RenewalRunning or NothingToRenew.
    """
    renewal = ProofRenewal(started_at=now, started_by=actor.user_id)
    # The audit trail's head is locked first, so that of two who start at once the second is told.
    record_event(
        session,
        action="proof_renewal_started",
        subject_type="proof_renewal",
        subject_id=renewal.id,
        actor_id=actor.user_id,
        actor_name=actor.full_name,
        actor_role=actor.role_for_audit,
        now=now,
    )
    if session.exec(select(ProofRenewal.id).where(col(ProofRenewal.finished_at).is_(None))).first():
        raise RenewalRunning
    session.add(renewal)
    session.flush()
    newest = newest_versions()
    until = newest.c.verifiable_until
    due = select(literal(renewal.id), newest.c.permit_id, literal(WAITING)).where(
        (newest.c.level != "B-LTA") | (until < min(stamps_until, before or stamps_until))
    )
    session.execute(insert(ProofRenewalItem).from_select(["renewal_id", "permit_id", "outcome"], due))
    if _count(session, renewal.id, ProofRenewalItem.outcome == WAITING) == 0:
        raise NothingToRenew
    _enqueue_slice(session, renewal.id, SLICE)
    return renewal


def run_slice(
    engine: Engine,
    renewal_id: uuid.UUID,
    up_to: int,
    extend: Callable[[uuid.UUID], object],
    clock: Callable[[], datetime],
) -> None:
    """Renew documents until `up_to` of them are settled, and enqueue the next slice; a durable job.

    Raises TimestampUnavailable when no authority stamps: what is left waits for the next attempt.
    """
    while (waiting := _next_waiting(engine, renewal_id, up_to)) is not None:
        outcome, failure = _renew(extend, waiting)
        with transaction(engine) as session:
            item = session.get_one(ProofRenewalItem, (renewal_id, waiting))
            item.outcome, item.failure = outcome, failure
            session.add(item)
    with transaction(engine) as session:
        if _count(session, renewal_id, SETTLED) >= up_to:
            _enqueue_slice(session, renewal_id, up_to + SLICE)
            return
        renewal = session.get_one(ProofRenewal, renewal_id)
        renewal.finished_at = renewal.finished_at or clock()
        session.add(renewal)


def _enqueue_slice(session: Session, renewal_id: uuid.UUID, up_to: int) -> None:
    # The key admits each slice once, also when its predecessor runs again after a crash.
    jobs.enqueue(session, RENEW_JOB, str(renewal_id), up_to, key=f"{renewal_id}:{up_to}")


def _next_waiting(engine: Engine, renewal_id: uuid.UUID, up_to: int) -> uuid.UUID | None:
    with reading(engine) as session:
        if _count(session, renewal_id, SETTLED) >= up_to:
            return None
        statement = select(ProofRenewalItem.permit_id).where(
            ProofRenewalItem.renewal_id == renewal_id, ProofRenewalItem.outcome == WAITING
        )
        return session.exec(statement.limit(1)).first()


def _count(session: Session, renewal_id: uuid.UUID, which: Any) -> int:
    statement = select(func.count()).where(ProofRenewalItem.renewal_id == renewal_id, which)
    return session.exec(statement).one()


def _renew(extend: Callable[[uuid.UUID], object], permit_id: uuid.UUID) -> tuple[str, str | None]:
    try:
        extended = extend(permit_id)
    except TimestampUnavailable:
        raise
    except Exception as error:  # One document's fault stops no other; its code is told.
        return FAILED, str(getattr(error, "code", None) or type(error).__name__)[:60]
    return (NOT_NEEDED if extended is None else RENEWED), None


def newest_renewal(session: Session) -> RenewalProgress | None:
    """Return how far the bulk renewal is that was started last."""
    latest = select(ProofRenewal).order_by(col(ProofRenewal.started_at).desc()).limit(1)
    renewal = session.exec(latest).first()
    if renewal is None:
        return None
    statement = (
        select(ProofRenewalItem.outcome, ProofRenewalItem.failure, func.count())
        .where(ProofRenewalItem.renewal_id == renewal.id)
        .group_by(ProofRenewalItem.outcome, col(ProofRenewalItem.failure))
    )
    counts = {(outcome, failure): count for outcome, failure, count in session.exec(statement)}
    return RenewalProgress(
        started_at=renewal.started_at,
        finished_at=renewal.finished_at,
        total=sum(counts.values()),
        waiting=counts.get((WAITING, None), 0),
        renewed=counts.get((RENEWED, None), 0),
        not_needed=counts.get((NOT_NEEDED, None), 0),
        failures={str(code): count for (outcome, code), count in counts.items() if outcome == FAILED},
    )
