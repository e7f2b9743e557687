"""The database's own files, and where a look-up is asked."""

import asyncio
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from service.database import ask_promptly, open_engine


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    """Create files as a shell does that lets everybody read them."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.parametrize("is_new", [True, False])
def test_the_sqlite_files_are_their_owners_alone(tmp_path: Path, is_new: bool) -> None:
    path = tmp_path / "canting.sqlite3"
    if not is_new:
        path.touch()
    engine = open_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE note (id INTEGER)"))
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    engine.dispose()
    assert modes == {path.name + suffix: 0o600 for suffix in ("", "-shm", "-wal")}


def test_a_look_up_is_asked_at_once_while_connections_are_plenty(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'canting.sqlite3'}", pool_size=1)
    assert _thread_of_a_look_up(engine) is threading.current_thread()
    with engine.connect():
        assert _thread_of_a_look_up(engine) is not threading.current_thread()
    engine.dispose()


def test_a_server_is_never_asked_on_the_event_loop() -> None:
    engine = open_engine("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    assert _thread_of_a_look_up(engine) is not threading.current_thread()


def _thread_of_a_look_up(engine: Engine) -> threading.Thread:
    return asyncio.run(ask_promptly(engine, threading.current_thread))
