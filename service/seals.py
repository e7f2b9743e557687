"""Seals: what each row that matters said when it was last written, as hashes in the audit trail.

A model is `@sealed`. Whatever a transaction writes of such a row, the trail gets its seal before the
transaction ends: a SHA-256 of the whole row, and two bytes of a hash of each column, which name the
columns that differ later. The trail is hash-chained, and every leaf of the public log commits to it; so a
row changed behind the service's back is found, and so is a trail that was rewritten to hide it.
A seal tells nothing: rows carry random ids, and the trail is not public.
"""

import json
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Select, Table, bindparam, event, inspect, select
from sqlalchemy.orm import UOWTransaction
from sqlmodel import Session, SQLModel

from service import clock
from service.audit import record_event
from service.canonical import canonical, canonical_list, row_hash, text_hash

ACTION = "rows_sealed"
TOUCHED = "rows_to_seal"

Model = TypeVar("Model", bound=SQLModel)


@dataclass(frozen=True, slots=True)
class SealedTable:
    """A table whose rows are sealed, and the columns a seal covers, in the order of their names."""

    table: Table
    columns: tuple[str, ...]

    @property
    def key_columns(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.table.primary_key)

    def key_of(self, row: Mapping[str, Any]) -> str:
        return "/".join(str(row[name]) for name in self.key_columns)


SEALED: dict[str, SealedTable] = {}
"""The sealed tables by name."""


def sealed(*, leaving_out: Collection[str] = ()) -> Callable[[type[Model]], type[Model]]:
    """Have a model's rows sealed whenever they are written; `leaving_out` names what changes all the time."""

    def declare(model: type[Model]) -> type[Model]:
        table: Table = model.__table__  # type: ignore[attr-defined]
        columns = sorted(column.name for column in table.columns if column.name not in leaving_out)
        SEALED[table.name] = SealedTable(table, tuple(columns))
        return model

    return declare


def seal_of(sealed_table: SealedTable, row: Mapping[str, Any]) -> str:
    """Return a row's seal: 64 hex digits for the whole, then 4 for each column."""
    table, key = canonical(sealed_table.table.name), canonical(sealed_table.key_of(row))
    columns = {name: canonical(row[name], _as_written) for name in sealed_table.columns}
    digests = (text_hash(canonical_list([table, key, canonical(name), columns[name]])) for name in columns)
    whole = text_hash(canonical_list([table, key, canonical_list(columns.values())]))
    return whole + "".join(digest[:4] for digest in digests)


def whole_seal(sealed_table: SealedTable, row: Mapping[str, Any]) -> str:
    """Return the part of the seal that covers the whole row."""
    columns = {name: row[name] for name in sealed_table.columns}
    return row_hash(sealed_table.table.name, sealed_table.key_of(row), columns, _as_written)


def as_sealed(sealed_table: SealedTable, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row's columns as JSON holds them: the seal can be computed from these alone."""
    columns = {name: row[name] for name in sealed_table.columns}
    written: dict[str, Any] = json.loads(canonical(columns, _as_written))
    return written


def altered_columns(sealed_table: SealedTable, row: Mapping[str, Any], seal: str) -> list[str]:
    """Name the columns in which a row differs from its seal; none when it is whole.

    A change that no column betrays (one of 65,536 by chance) is told as `*`.
    """
    if seal[:64] == whole_seal(sealed_table, row):
        return []
    now = seal_of(sealed_table, row)
    places = range(64, len(now), 4)
    named = zip(sealed_table.columns, places, strict=True)
    return [name for name, place in named if now[place : place + 4] != seal[place : place + 4]] or ["*"]


def _as_written(value: Any) -> str:
    """Write a value as both databases give it back."""
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat()
        case date():
            return value.isoformat()
        case uuid.UUID():
            return str(value)
        case bytes():
            return value.hex()
    raise TypeError(f"a {type(value).__name__} cannot be sealed")


# Sealing what a transaction writes ----------------------------------------------------------------


@event.listens_for(Session, "after_flush")
def _remember_written(session: Session, _context: UOWTransaction) -> None:
    written = [*session.new, *session.deleted, *filter(_is_altered, session.dirty)]
    touched = session.info.setdefault(TOUCHED, {})
    for row in written:
        name = getattr(row, "__tablename__", "")
        if name in SEALED:
            touched[name, inspect(row).identity or inspect(row).mapper.primary_key_from_instance(row)] = None


def _is_altered(row: Any) -> bool:
    table = SEALED.get(getattr(row, "__tablename__", ""))
    attributes = inspect(row).attrs
    return table is not None and any(attributes[name].history.has_changes() for name in table.columns)


@event.listens_for(Session, "before_commit")
def _seal_before_commit(session: Session) -> None:
    session.flush()
    seal_written(session)


@event.listens_for(Session, "after_rollback")
def _forget_written(session: Session) -> None:
    session.info.pop(TOUCHED, None)


def seal_written(session: Session) -> None:
    """Seal in the audit trail what the transaction has written so far; the rest follows when it ends.

    Rows are read back, so that the seal is over what the database keeps. One that is gone is sealed as None.
    """
    session.flush()
    touched = session.info.pop(TOUCHED, {})
    if not touched:
        return
    rows: dict[str, dict[str, str | None]] = {}
    for name in sorted({name for name, _ in touched}):
        table = SEALED[name]
        keys = [tuple(key) for table_name, key in touched if table_name == name]
        rows[name] = {"/".join(map(str, key)): None for key in keys}
        rows[name] |= {table.key_of(row): seal_of(table, row) for row in _read_back(session, table, keys)}
    record_event(
        session,
        action=ACTION,
        subject_type="register",
        subject_id="rows",
        actor_id=None,
        actor_name="Canting",
        actor_role="service",
        now=clock.now(),
        data={"rows": rows},
    )


def _read_back(
    session: Session, sealed_table: SealedTable, keys: Sequence[tuple[Any, ...]]
) -> Iterator[Mapping[str, Any]]:
    connection, statement = session.connection(), _row_by_key(sealed_table.table)
    for key in keys:
        parameters = dict(zip(sealed_table.key_columns, key, strict=True))
        yield from map(dict, connection.execute(statement, parameters).mappings())


@cache
def _row_by_key(table: Table) -> Select[Any]:
    """Kept, because every transaction that writes asks it."""
    return select(table).where(*(column == bindparam(column.name) for column in table.primary_key))
