"""The audit trail: append-only events, each sealed to the one before it by SHA-256.

Appending locks the chain's head until the transaction ends, so append last. The chain proves that
no event was changed, removed or slipped in; `verify_chain` names the first that was.

An event's hash is over the hash before it and the digest of its body, which holds a nonce. So a stretch of
the chain can be shown to a stranger with the bodies of some events and the mere digests of all others: a
digest tells nothing, and the stranger can still walk from hash to hash.
"""

import secrets
import uuid
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy
from sqlalchemy import JSON, Column
from sqlmodel import Field, Session, SQLModel, col, select

from service.canonical import canonical, chained_hash, text_hash
from service.database import UTCDateTime

GENESIS = "0" * 64


class AuditHead(SQLModel, table=True):
    """The one row that every append locks: the number and the hash of the last event."""

    __tablename__ = "audit_head"

    id: int = Field(default=1, primary_key=True)
    number: int = 0
    hash: str = GENESIS


class AuditEvent(SQLModel, table=True):
    """Who did what to which record, when. `data` holds facts and references, never a secret."""

    __tablename__ = "audit_event"

    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    at: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))
    actor_id: uuid.UUID | None = Field(default=None, index=True)
    actor_name: str
    actor_role: str
    action: str = Field(index=True)
    subject_type: str
    subject_id: str = Field(index=True)
    data: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    nonce: str = Field(max_length=32)
    """Random: it keeps the rest from being guessed by whoever is shown the body's digest."""
    previous_hash: str
    hash: str


_HEAD: sqlalchemy.Table = AuditHead.__table__  # type: ignore[attr-defined]
_READ_HEAD = sqlalchemy.select(_HEAD.c.number, _HEAD.c.hash).where(_HEAD.c.id == 1)
_LOCK_HEAD = _READ_HEAD.with_for_update()
_MOVE_HEAD = sqlalchemy.update(_HEAD).where(_HEAD.c.id == 1)
_APPEND = sqlalchemy.insert(AuditEvent)
"""Kept, and run without entities, because every deed is recorded."""


class AuditChainBroken(Exception):
    """An event does not follow from the one before it."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"audit event {number} does not follow from the one before it")


def record_event(
    session: Session,
    *,
    action: str,
    subject_type: str,
    subject_id: uuid.UUID | str,
    actor_id: uuid.UUID | None,
    actor_name: str,
    actor_role: str,
    now: datetime,
    data: dict[str, Any] | None = None,
) -> int:
    """Append an event to the chain within the caller's transaction and return its number."""
    session.flush()  # Whatever else waits to be written takes its locks before the chain's head is locked.
    connection = session.connection()
    last, previous_hash = connection.execute(_LOCK_HEAD).one()
    number = int(last) + 1
    event = {
        "number": number,
        "at": now,
        "actor_id": actor_id,
        "actor_name": actor_name,
        "actor_role": actor_role,
        "action": action,
        "subject_type": subject_type,
        "subject_id": str(subject_id),
        "data": data or {},
        "nonce": secrets.token_hex(16),
        "previous_hash": previous_hash,
    }
    event["hash"] = event_hash(event)
    connection.execute(_APPEND, event)
    connection.execute(_MOVE_HEAD, {"number": number, "hash": event["hash"]})
    return number


def chain_head(session: Session) -> tuple[int, str]:
    """Return the number and the hash of the last event."""
    number, last_hash = session.connection().execute(_READ_HEAD).one()
    return int(number), str(last_hash)


def event_hash(row: Mapping[str, Any]) -> str:
    """Return an event's hash (hex): of the hash before it and of its body's digest."""
    return chained_hash(row["previous_hash"], text_hash(event_body(row)))


def event_body(row: Mapping[str, Any]) -> str:
    """Return what an event says, without its place in the chain, as canonical JSON."""
    fields = {name: value for name, value in row.items() if name not in ("hash", "previous_hash")}
    fields["at"] = row["at"].astimezone(UTC).isoformat()  # As it is read back, whatever zone it came in.
    fields["actor_id"] = str(row["actor_id"]) if row["actor_id"] else None
    return canonical(fields)


def events_of(session: Session, subject_type: str, subject_id: uuid.UUID | str) -> list[AuditEvent]:
    """Return a record's events, oldest first."""
    statement = (
        select(AuditEvent)
        .where(AuditEvent.subject_type == subject_type, AuditEvent.subject_id == str(subject_id))
        .order_by(col(AuditEvent.number))
    )
    return list(session.exec(statement))


def verify_chain(session: Session) -> int:
    """Walk the whole chain and return its length. Raises AuditChainBroken at the first false link."""
    number, last_hash = 0, GENESIS
    with closing(read_chain(session)) as events:
        for number, event in enumerate(events, 1):
            if event.row["number"] != number or not event.follows:
                raise AuditChainBroken(number)
            last_hash = event.row["hash"]
    if chain_head(session) != (number, last_hash):
        raise AuditChainBroken(number + 1)
    return number


@dataclass(frozen=True, slots=True)
class ChainedEvent:
    """An event as it is stored, and whether it follows from the one stored before it."""

    row: Mapping[str, Any]
    follows: bool


def read_chain(session: Session) -> Generator[ChainedEvent, None, None]:
    """Read every event in order, each judged by itself, so that the false ones can all be named."""
    number, last_hash = 0, GENESIS
    statement = sqlalchemy.select(AuditEvent.__table__).order_by(col(AuditEvent.number))  # type: ignore[attr-defined]
    # The option is the statement's: a connection's would stay, and stream whatever comes after.
    with session.connection().execute(statement.execution_options(yield_per=1000)) as events:
        for event in events.mappings():
            is_next = event["number"] == number + 1 and event["previous_hash"] == last_hash
            row = dict(event)
            yield ChainedEvent(row, is_next and event["hash"] == event_hash(row))
            number, last_hash = event["number"], event["hash"]


def read_stretch(session: Session, first: int, last: int | None = None) -> Iterator[AuditEvent]:
    """Read the events from one number to another, or to the newest, in order."""
    statement = select(AuditEvent).where(AuditEvent.number >= first).order_by(col(AuditEvent.number))
    if last is not None:
        statement = statement.where(AuditEvent.number <= last)
    yield from session.exec(statement.execution_options(yield_per=1000))
