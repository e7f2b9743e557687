"""Fixtures: a real database (SQLite or PostgreSQL, by `--database`), the real app, loopback only."""

import base64
import itertools
import shutil
import socket
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine, event
from sqlmodel import Session

sys.path.insert(0, str(Path(__file__).parent))

import postgres

from service import jobs
from service.app import create_app
from service.config import Settings
from service.database import open_engine, upgrade_database

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
"""A Monday, ten o'clock in the city."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database", choices=["sqlite", "postgresql"], default="sqlite")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the proofs, which take minutes, to a run that asks for them by their mark."""
    if "proof" in config.getoption("-m"):
        return
    proofs = [item for item in items if item.get_closest_marker("proof")]
    config.hook.pytest_deselected(items=proofs)
    items[:] = [item for item in items if item not in proofs]


@pytest.fixture(scope="session", autouse=True)
def loopback_only() -> Iterator[None]:
    """Refuse every connection beyond this machine."""
    connect = socket.socket.connect

    def connect_on_loopback(self: socket.socket, address: Any) -> None:
        host = address[0] if isinstance(address, tuple) else "local"
        if host not in {"127.0.0.1", "::1", "localhost", "local"}:
            raise PermissionError(f"a test reached out to {host}")
        connect(self, address)

    socket.socket.connect = connect_on_loopback  # type: ignore[assignment,method-assign]
    yield
    socket.socket.connect = connect  # type: ignore[method-assign]


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture(scope="session")
def new_database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], str]]:
    """Give a function that makes a fresh, migrated database and returns its URL."""
    folder = tmp_path_factory.mktemp("databases")
    numbers = itertools.count()
    if request.config.getoption("--database") == "sqlite":
        template = folder / "template.sqlite3"
        _prepare(f"sqlite:///{template}")
        with closing(sqlite3.connect(template)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

        def new_sqlite() -> str:
            path = folder / f"{next(numbers)}.sqlite3"
            shutil.copy(template, path)
            return f"sqlite:///{path}"

        yield new_sqlite
        return
    with postgres.throwaway_server() as server:
        postgres.execute(server, "CREATE DATABASE template_canting")
        _prepare(f"{server}/template_canting")

        def new_postgresql() -> str:
            name = f"canting_{next(numbers)}"
            postgres.execute(server, f"CREATE DATABASE {name} TEMPLATE template_canting")
            return f"{server}/{name}"

        yield new_postgresql


def _prepare(url: str) -> None:
    engine = open_engine(url)
    upgrade_database(engine)
    engine.dispose()
    jobs.prepare_database(url)


@pytest.fixture
def engine(new_database: Callable[[], str]) -> Iterator[Engine]:
    """A database of the test's own; what it commits stays there."""
    engine = open_engine(new_database())
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def shared_engine(new_database: Callable[[], str]) -> Iterator[Engine]:
    engine = open_engine(new_database())
    yield engine
    engine.dispose()


@pytest.fixture
def session(shared_engine: Engine) -> Iterator[Session]:
    """A session whose every change is rolled back when the test ends."""
    with shared_engine.connect() as connection:
        outer = connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint", expire_on_commit=False) as session:
            yield session
        outer.rollback()


@pytest.fixture(scope="session")
def make_settings() -> Callable[[Path], Settings]:
    """Give the function that makes settings over a folder of the test's own."""

    def make(folder: Path) -> Settings:
        return Settings(
            _env_file=None,
            environment="test",
            base_url="http://testserver",
            data_folder=folder / "var",
            secret_key="a-secret-of-the-tests-0123456789abcdef",
            wrapping_keys=f"test:{base64.b64encode(bytes(range(32))).decode()}",
            operations_passphrase="sandi operasional uji",
            runs_jobs=False,
            smtp_security="none",
        )

    return make


@pytest.fixture
def settings(tmp_path: Path, make_settings: Callable[[Path], Settings]) -> Settings:
    return make_settings(tmp_path)


@pytest.fixture
def app(settings: Settings, engine: Engine) -> Iterator[FastAPI]:
    """The whole service over the test's own database; it enqueues jobs and executes none."""
    app = create_app(settings, engine)
    yield app
    app.state.sandbox.close()


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    """A browser-like client: it keeps cookies and follows redirects only when told."""
    with TestClient(app, follow_redirects=False, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def statements(engine: Engine) -> Iterator[list[str]]:
    """The SQL sent while the test runs, to count queries."""
    sent: list[str] = []

    def keep(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", keep)
    yield sent
    event.remove(engine, "before_cursor_execute", keep)
