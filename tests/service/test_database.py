"""The database's own files."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from service.database import open_engine


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
