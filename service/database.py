"""The engine, the session, and the only commit.

SQLite is the embedded default, PostgreSQL the server: both give every write its own serialised
transaction. On SQLite a writer takes the lock when it begins (BEGIN IMMEDIATE), so that two writers
queue instead of failing half-way; a reader begins plainly and never waits.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

from alembic import command
from alembic.config import Config
from fastapi import Depends, Request
from sqlalchemy import DateTime, Engine, event, make_url
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm.exc import StaleDataError
from sqlalchemy.pool import QueuePool
from sqlalchemy.types import TypeDecorator
from sqlmodel import Session, create_engine
from starlette.concurrency import run_in_threadpool

from service.errors import Conflict, Unavailable

BUSY_TIMEOUT_MS = 30_000
Result = TypeVar("Result")
MAX_INTEGER = 2**53
"""The largest integer a request may carry: every JSON reader and both databases hold it exactly."""


class UTCDateTime(TypeDecorator[datetime]):
    """A moment with its zone on both databases: SQLite would lose it."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs a time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def open_engine(url: str, *, pool_size: int = 20) -> Engine:
    """Open the database behind a SQLAlchemy URL (`sqlite:///…` or `postgresql+psycopg://…`)."""
    if url.startswith("postgresql://"):
        url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    if not url.startswith("sqlite"):
        return create_engine(
            url, pool_size=pool_size, max_overflow=pool_size, pool_pre_ping=True, hide_parameters=True
        )
    _keep_private(make_url(url).database)
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000},
        hide_parameters=True,  # A statement that fails must not print the values it carried.
    )
    event.listen(engine, "connect", _prepare_sqlite_connection)
    event.listen(engine, "begin", _begin_on_sqlite)
    return engine


def _keep_private(database: str | None) -> None:
    """Give the database's file to its owner alone; SQLite gives the files beside it the same mode.

    A file that exists is not opened: closing it would drop the locks of this process's connections.
    """
    if not database or database == ":memory:":
        return
    with contextlib.suppress(FileNotFoundError, PermissionError):
        try:
            os.close(os.open(database, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            Path(database).chmod(0o600)


def _prepare_sqlite_connection(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy's own BEGIN below, never the driver's.
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "trusted_schema=OFF",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_on_sqlite(connection: Connection) -> None:
    mode = "" if connection.get_execution_options().get("reads_only") else " IMMEDIATE"
    connection.exec_driver_sql(f"BEGIN{mode}")


@contextmanager
def transaction(engine: Engine) -> Iterator[Session]:
    """Open one writing transaction: committed when the block ends, rolled back when it raises.

    Raises Conflict when a row changed under the writer, Unavailable when the database refuses.
    """
    with Session(engine, expire_on_commit=False) as session:
        try:
            yield session
            session.commit()
        except StaleDataError as error:
            session.rollback()
            raise Conflict from error
        except OperationalError as error:
            session.rollback()
            raise Unavailable from error
        except BaseException:
            session.rollback()
            raise


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """Open a session that only reads; whatever it changed is thrown away."""
    with Session(engine.execution_options(reads_only=True), autoflush=False) as session:
        yield session


@contextmanager
def reading_rows(engine: Engine) -> Iterator[Connection]:
    """Open a connection that only reads, for what strangers ask most and what needs no session."""
    with engine.connect() as connection:
        yield connection.execution_options(reads_only=True)


async def ask_promptly(engine: Engine, look_up: Callable[[], Result]) -> Result:
    """Run a look-up of a row or two that opens its own connection, and return what it returns.

    Handing it to a thread takes longer than SQLite takes to answer, and a reader there waits for nobody;
    so it is asked at once, as long as connections are plenty. PostgreSQL is always asked in a thread.
    """
    pool = engine.pool
    if isinstance(pool, QueuePool) and engine.dialect.name == "sqlite" and pool.checkedout() < pool.size():
        return look_up()
    return await run_in_threadpool(look_up)


@contextmanager
def snapshot(engine: Engine) -> Iterator[Session]:
    """Open a reading session for which nothing changes until it ends, as on SQLite none does anyway."""
    if engine.dialect.name == "postgresql":
        engine = engine.execution_options(isolation_level="REPEATABLE READ")
    with reading(engine) as session:
        yield session


def request_session(request: Request) -> Iterator[Session]:
    """Give a route its session: a reading one for GET and HEAD, else one transaction a request."""
    engine: Engine = request.app.state.engine
    opened = reading if request.method in {"GET", "HEAD"} else transaction
    with opened(engine) as session:
        yield session


# The function scope ends the transaction before the answer is sent: otherwise a commit that fails
# would still have answered 200.
SessionDep = Annotated[Session, Depends(request_session, scope="function")]


def upgrade_database(engine: Engine) -> None:
    """Bring the schema to this release's (Alembic), and make the audit chain's head if it is new."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
