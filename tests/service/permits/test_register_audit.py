"""Tampering with any column of any table that matters is found and named; a register left alone is whole."""

import hashlib
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import cases
import pytest
import sqlalchemy
from factories import actor_of, make_submitted
from sqlalchemy import Column, Engine, Table
from sqlmodel import AutoString, Session, SQLModel, col, select

from keys.software import SoftwareKeyStore
from service.accounts.access import actor_of_user
from service.accounts.models import User
from service.applications.models import Application, Correction, Holiday, StepVisit, Submission, Upload
from service.audit import AuditEvent, AuditHead, event_hash
from service.database import reading, transaction
from service.permits.issue import Workshop
from service.permits.models import DocumentVersion, NumberCounter, Permit, Status
from service.permits.numbering import new_public_code
from service.permits.register_audit import (
    CHECKED_OTHERWISE,
    PASSED_OVER,
    Finding,
    audit_register,
)
from service.permits.revoke import reinstate_permit, revoke_permit, suspend_permit
from service.permits.status import log_status, set_status
from service.pki.models import OutsideCertificate
from service.pki.publish import publish_revocation_lists
from service.seals import SEALED, seal_of
from service.transparency.log import commit_audit_trail

LEFT_OUT = {
    ("outside_certificate", "answered_at"),
    ("account_user", "failed_attempts"),
    ("account_user", "locked_until"),
    ("account_user", "totp_last_step"),
}
"""Columns that change all the time and that no right rests on."""


def findings_of(session: Session) -> list[Finding]:
    return audit_register(session).findings


def audited(engine: Engine) -> list[Finding]:
    with reading(engine) as session:
        return findings_of(session)


@pytest.fixture
def town(workshop: Workshop, city: cases.City, key_store: SoftwareKeyStore, now: datetime) -> Permit:
    """A register whose every table has rows: permits through every status, files, corrections, keys."""
    engine = workshop.engine
    signer = key_store.open_key("official-head", cases.OFFICIAL_PASSPHRASE, now=now)
    with transaction(engine) as session:
        waiting = [cases.bring_to_signature(session, city, now) for _ in range(2)]
        application = make_submitted(session, workshop.storage, city.citizen, now=now)
        cases.return_case(session, city, application, now)
        session.add(
            OutsideCertificate(
                fingerprint="ab" * 32,
                tsa="lain",
                subject="TSA Contoh",
                not_before=now,
                not_after=now,
                chain=b"pem",
                answered_at=now,
            )
        )
        session.add(Holiday(on=date(2026, 12, 24), name="Cuti bersama"))
    permits = [cases.issue_case(workshop, city, case, signer, now).permit for case in waiting]
    publish_revocation_lists(engine, key_store, cases.OPERATIONS_PASSPHRASE, now)
    with transaction(engine) as session:
        head = actor_of(session, city.head)
        for decide, more in ((suspend_permit, True), (reinstate_permit, False), (revoke_permit, True)):
            reason = {"reason_code": "own_request"} if more else {}
            now += timedelta(hours=1)
            decide(session, permits[0].id, remark="Uji", actor=head, now=now, **reason)  # type: ignore[operator]
    with transaction(engine) as session:
        commit_audit_trail(session, now)
    return permits[0]


def test_a_register_left_alone_is_whole(engine: Engine, town: Permit) -> None:
    with reading(engine) as session:
        audit = audit_register(session)
    assert audit.findings == []
    assert audit.rows > 50
    assert [kind_of(leaf) for leaf in audit.leaves] == [
        "issued", "issued", "suspended", "reinstated", "revoked", "audit_trail",
    ]  # fmt: skip


def kind_of(leaf: str) -> str:
    return leaf.partition('"kind":"')[2].partition('"')[0]


def test_every_table_is_sealed_checked_otherwise_or_passed_over_with_a_reason() -> None:
    names = set(SQLModel.metadata.tables)
    assert names == SEALED.keys() | CHECKED_OTHERWISE | PASSED_OVER.keys()
    assert not SEALED.keys() & (CHECKED_OTHERWISE | PASSED_OVER.keys())
    left_out = {
        (table.table.name, column.name)
        for table in SEALED.values()
        for column in table.table.columns
        if column.name not in table.columns
    }
    assert left_out == LEFT_OUT


# Each column by itself ---------------------------------------------------------------------------


def tampered(column: Column[Any], value: Any) -> Any:
    """Another value of the column's kind, as somebody with the database's password would write it."""
    match value:
        case bool():
            return not value
        case int():
            return value + 100_000
        case datetime():
            return value - timedelta(days=1)
        case date():
            return value - timedelta(days=1)
        case uuid.UUID():
            return uuid.uuid4()
        case bytes():
            return value + b"\0"
        case dict():
            return value | {"tampered": True}
        case list():
            return [*value, "tampered"]
        case str():
            return f"{'y' if value.startswith('x') else 'x'}{value[1:]}"
    if isinstance(column.type, AutoString):
        return "x"
    made = {int: 7, uuid.UUID: uuid.uuid4(), date: date(2020, 1, 1)}
    return made.get(column.type.python_type, datetime(2020, 1, 1, tzinfo=UTC))


@contextmanager
def unguarded(engine: Engine) -> Iterator[Session]:
    """A session of somebody whom no foreign key stops; what it writes is thrown away."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.connection.cursor().execute("PRAGMA foreign_keys=OFF")
        else:
            connection.exec_driver_sql("SET session_replication_role = replica")
        try:
            yield Session(connection)
        finally:
            connection.rollback()
            if engine.dialect.name == "sqlite":
                connection.connection.cursor().execute("PRAGMA foreign_keys=ON")
            else:
                connection.exec_driver_sql("SET session_replication_role = DEFAULT")
                connection.commit()


def tables_that_matter() -> list[Table]:
    metadata = SQLModel.metadata
    return [table for name, table in sorted(metadata.tables.items()) if name not in PASSED_OVER]


def columns_that_matter() -> list[Column[Any]]:
    return [
        column
        for table in tables_that_matter()
        for column in table.columns
        if (table.name, column.name) not in LEFT_OUT
    ]


def tamper(session: Session, column: Column[Any], place: int = 0) -> str:
    """Change one column of one row, the first unless told, and return the key the row had."""
    table = column.table
    statement = sqlalchemy.select(table).order_by(*table.primary_key).limit(1).offset(place)
    row = session.connection().execute(statement).mappings().one()
    is_row = sqlalchemy.and_(*(each == row[each.name] for each in table.primary_key))
    change = {column.name: tampered(column, row[column.name])}
    session.connection().execute(sqlalchemy.update(table).where(is_row).values(change))
    return "/".join(str(row[each.name]) for each in table.primary_key)


def is_named(column: Column[Any], key: str, found: list[Finding]) -> bool:
    """Tell whether findings name the row and the column; of a key that changed, the table and the key."""
    for finding in found:
        if finding.table == column.table.name:
            names_row = finding.row == key or column.primary_key
            # A link of the audit trail is one value: the event is named, and no column.
            names_column = column.name in finding.columns or finding.table == "audit_event"
            if names_row and names_column:
                return True
    return False


def test_each_column_of_each_table_is_named(engine: Engine, town: Permit) -> None:
    """Values of sealed rows all at once, each to be named; keys and what is checked otherwise, alone."""
    missed = []
    at_once = [column for column in columns_that_matter() if is_sealed_value(column)]
    alone = [[column] for column in columns_that_matter() if not is_sealed_value(column)]
    for columns in (at_once, *alone):
        with unguarded(engine) as session:
            keys = [tamper(session, column) for column in columns]
            found = findings_of(session)
        changed = zip(columns, keys, strict=True)
        missed += [str(column) for column, key in changed if not is_named(column, key, found)]
    assert missed == []
    assert audited(engine) == []


def is_sealed_value(column: Column[Any]) -> bool:
    return column.table.name in SEALED and not column.primary_key


def test_a_deleted_row_is_missed(engine: Engine, town: Permit) -> None:
    for table in tables_that_matter():
        with unguarded(engine) as session:
            key = next(iter(table.primary_key))
            newest = sqlalchemy.select(key).order_by(key.desc()).limit(1)
            last = session.connection().execute(newest).scalar_one()
            session.connection().execute(sqlalchemy.delete(table).where(key == last))
            assert {each.table for each in findings_of(session)} & {table.name, "audit_head", "log_head"}


def test_a_row_slipped_in_is_unknown(engine: Engine, town: Permit, now: datetime) -> None:
    with unguarded(engine) as session:
        row = {"id": uuid.uuid4(), "user_id": uuid.uuid4(), "role": "administrator"}
        session.connection().execute(sqlalchemy.insert(SQLModel.metadata.tables["account_role"]).values(row))
        assert [(each.table, each.problem) for each in findings_of(session)] == [("account_role", "unknown")]


def test_what_cannot_even_be_read_is_named(engine: Engine, town: Permit) -> None:
    if engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL refuses what is no moment")
    with unguarded(engine) as session:
        session.connection().exec_driver_sql(
            "UPDATE permit SET created_at = 'kapan-kapan' WHERE sequence = 1"
        )
        found = findings_of(session)
    assert ("permit", "unreadable") in {(each.table, each.problem) for each in found}


def test_a_trail_that_was_rewritten_to_hide_it_contradicts_the_log(engine: Engine, town: Permit) -> None:
    """Somebody changes a permit, its seal and every hash since: the chain is whole, the log is not."""
    with unguarded(engine) as session:
        permit = session.exec(select(Permit).where(Permit.id == town.id)).one()
        table = SEALED["permit"]
        session.connection().execute(
            sqlalchemy.update(table.table).where(table.table.c.id == town.id).values(holder_name="Orang Lain")
        )
        row = (
            session.connection()
            .execute(sqlalchemy.select(table.table).where(table.table.c.id == town.id))
            .mappings()
            .one()
        )
        previous = None
        for event in session.exec(select(AuditEvent).order_by(col(AuditEvent.number))).all():
            rows = event.data.get("rows", {}).get("permit", {})
            if str(permit.id) in rows:
                rows[str(permit.id)] = seal_of(table, dict(row))
            if previous is not None:
                event.previous_hash = previous
            event.hash = previous = event_hash(event.model_dump())
            values = {"data": event.data, "previous_hash": event.previous_hash, "hash": event.hash}
            session.connection().execute(
                sqlalchemy.update(AuditEvent).where(col(AuditEvent.number) == event.number).values(values)
            )
        session.connection().execute(sqlalchemy.update(AuditHead).values(hash=previous))
        session.expunge_all()
        found = findings_of(session)
    assert {each.table for each in found} == {"log_entry"}
    assert all("nonce" in each.columns for each in found)


# Ten thousand permits ----------------------------------------------------------------------------


@pytest.mark.proof
def test_every_column_of_ten_thousand_permits_is_audited_within_a_minute(
    engine: Engine, town: Permit, now: datetime
) -> None:
    """Every column of every table is changed once, each in a row of its own where there are so many."""
    fill_register(engine, 10_000, now)
    assert audited(engine) == []
    columns = columns_that_matter()
    lonely = [column for column in columns if column.primary_key and count_rows(engine, column) < 100]
    for chosen in ([column for column in columns if column not in lonely], lonely):
        with unguarded(engine) as session:
            keys = [tamper(session, column, place_for(engine, column)) for column in chosen]
            began = time.perf_counter()
            found = findings_of(session)
            took = time.perf_counter() - began
        changed = zip(chosen, keys, strict=True)
        missed = [str(column) for column, key in changed if not is_named(column, key, found)]
        print(f"{len(chosen)} columns changed, {len(found)} findings, {took:.1f} s")
        assert missed == []
        assert took < 60


def count_rows(engine: Engine, column: Column[Any]) -> int:
    with reading(engine) as session:
        count = sqlalchemy.select(sqlalchemy.func.count()).select_from(column.table)
        return int(session.connection().execute(count).scalar_one())


def place_for(engine: Engine, column: Column[Any]) -> int:
    """A row for each column, or the first where there are few.

    A log entry's leaf and its node are never both changed: then nobody could say which of them was.
    """
    if count_rows(engine, column) < 100:
        return 0
    beside = 1 if column.table.name == "log_node" else 0
    return 3 * [each.name for each in column.table.columns].index(column.name) + 5 + beside


def fill_register(engine: Engine, count: int, now: datetime) -> None:
    """Add permits as issuing writes them, all but the signature, with log entries, seals and audit events."""
    with reading(engine) as session:
        models = [
            session.exec(select(model)).first()
            for model in (Application, Permit, DocumentVersion, Submission)
        ]
        application, permit, version, submission = (row.model_dump() for row in models if row is not None)
        visits = session.exec(select(StepVisit).where(StepVisit.application_id == permit["application_id"]))
        steps = [visit.model_dump() for visit in visits]
        owned = [session.exec(select(model)).first() for model in (Upload, Correction)]
        files = [(type(row), row.model_dump()) for row in owned if row is not None]
        actor = actor_of_user(session, session.get_one(User, permit["signer_id"]))
        last = session.exec(select(NumberCounter).where(NumberCounter.series == permit["series"])).one().last
    for start in range(last, last + count, 100):
        with transaction(engine) as session:
            for number in range(start + 1, min(start + 100, last + count) + 1):
                case = Application(**application | {"id": uuid.uuid4(), "receipt_number": f"F-{number}"})
                session.add(case)
                session.flush()
                own = {"application_id": case.id}
                for step in steps:
                    session.add(StepVisit(**step | own | {"id": uuid.uuid4()}))
                session.add(Submission(**submission | own | {"id": uuid.uuid4()}))
                for model, row in files:
                    session.add(model(**row | own | {"id": uuid.uuid4()}))
                numbered = {"sequence": number, "number": f"F/{number}", "code": new_public_code()}
                numbered["status_index"] = permit["status_index"] + number
                issued = Permit(**permit | own | numbered | {"id": uuid.uuid4()})
                session.add(issued)
                session.flush()
                set_status(session, issued, Status.ACTIVE, actor=actor, now=now)
                sha256 = hashlib.sha256(b"%d" % number).hexdigest()
                own = {"permit_id": issued.id, "id": uuid.uuid4(), "sha256": sha256, "log_index": None}
                log_status(session, issued, DocumentVersion(**version | own | {"version": 1}), now)
            counter = session.exec(select(NumberCounter).where(NumberCounter.series == issued.series)).one()
            counter.last = number
