"""Seals follow what transactions write, once each, and only through the session."""

import ast
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

from factories import make_citizen
from sqlalchemy import Engine, inspect
from sqlmodel import Session, col, select

from service.accounts.models import User
from service.applications.models import Holiday
from service.audit import AuditEvent
from service.database import reading, transaction
from service.seals import ACTION, SEALED, altered_columns, seal_of, seal_written

SERVICE = Path(__file__).parent.parent.parent / "service"


def sealed_rows(engine: Engine) -> list[dict[str, Any]]:
    with reading(engine) as session:
        events = session.exec(
            select(AuditEvent).where(AuditEvent.action == ACTION).order_by(col(AuditEvent.number))
        )
        return [event.data["rows"] for event in events]


def test_a_row_is_sealed_when_it_is_written_changed_and_deleted(engine: Engine) -> None:
    day = date(2026, 12, 24)
    with transaction(engine) as session:
        session.add(Holiday(on=day, name="Cuti bersama"))
    with transaction(engine) as session:
        session.get_one(Holiday, day).name = "Cuti bersama Natal"
    with transaction(engine) as session:
        session.delete(session.get_one(Holiday, day))
    first, second, third = (rows["holiday"]["2026-12-24"] for rows in sealed_rows(engine))
    assert len(first) == 64 + 4 * len(SEALED["holiday"].columns)
    assert first != second
    assert third is None


def test_what_a_transaction_takes_back_is_not_sealed(engine: Engine) -> None:
    class Stopped(Exception):
        pass

    try:
        with transaction(engine) as session:
            session.add(Holiday(on=date(2026, 12, 24), name="Cuti bersama"))
            session.flush()
            raise Stopped
    except Stopped:
        pass
    assert sealed_rows(engine) == []


def test_a_column_left_out_and_a_reader_seal_nothing(engine: Engine) -> None:
    with transaction(engine) as session:
        user = make_citizen(session)
    before = len(sealed_rows(engine))
    with transaction(engine) as session:
        session.get_one(User, user.id).failed_attempts = 3
    with transaction(engine) as session:
        session.get_one(User, user.id)
    assert len(sealed_rows(engine)) == before


def test_what_was_sealed_midway_is_sealed_again_when_it_changes(engine: Engine) -> None:
    with transaction(engine) as session:
        holiday = Holiday(on=date(2026, 12, 24), name="Cuti bersama")
        session.add(holiday)
        seal_written(session)
        holiday.name = "Cuti bersama Natal"
    first, second = sealed_rows(engine)
    assert first != second


def test_the_columns_that_differ_are_named(session: Session, now: datetime) -> None:
    table = SEALED["holiday"]
    row: dict[str, Any] = {"on": date(2026, 12, 24), "name": "Cuti bersama", "is_working_day": False}
    seal = seal_of(table, row)
    assert altered_columns(table, row, seal) == []
    assert altered_columns(table, row | {"name": "Lain"}, seal) == ["name"]
    assert altered_columns(table, row | {"name": "Lain", "is_working_day": True}, seal) == [
        "is_working_day", "name",
    ]  # fmt: skip
    assert altered_columns(table, row, "0" * 64 + seal[64:]) == ["*"]
    assert altered_columns(table, row, "") == sorted(row)


def written_around(names: set[str]) -> Iterator[str]:
    for path in sorted(SERVICE.rglob("*.py")):
        calls = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
        for call in calls:
            verb = ast.unparse(call.func).rpartition(".")[2]
            if verb in {"delete", "insert", "update"} and set(map(ast.unparse, call.args)) & names:
                yield f"{path.name}:{call.lineno}"


def test_sealed_tables_are_written_through_the_session_alone() -> None:
    """A statement that goes around the session would leave rows unsealed, and raise a false alarm later."""
    mappers = inspect(Holiday).registry.mappers
    models = {mapper.class_.__name__ for mapper in mappers if mapper.local_table.name in SEALED}
    assert {"Permit", "User"} <= models
    assert list(written_around(models)) == []
