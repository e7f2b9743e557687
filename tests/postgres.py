"""A throwaway PostgreSQL server for the tests: no durability, gone when they end."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest


def require(condition: object, reason: str) -> None:
    """Skip on a developer's machine what a missing program disables; fail in CI."""
    if condition:
        return
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def throwaway_server() -> Iterator[str]:
    """Run a server on a free loopback port and yield its URL, without a database name at the end.

    `CANTING_TEST_POSTGRES` names a server to use instead.
    """
    given = os.environ.get("CANTING_TEST_POSTGRES")
    if given:
        yield given.rstrip("/")
        return
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    require(binaries or shutil.which("initdb"), "PostgreSQL's server programs are not installed")
    folder = Path(tempfile.mkdtemp(prefix="canting-postgres-"))
    folder.chmod(0o777)
    data = folder / "data"
    tools = binaries[-1] if binaries else Path(str(shutil.which("initdb"))).parent
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    _as_server_user([tools / "initdb", "-D", data, "-U", "canting", "-A", "trust", "-E", "UTF8", "--no-sync"])
    options = (
        f"-p {port} -k '' -c listen_addresses=127.0.0.1 -c fsync=off -c synchronous_commit=off "
        "-c full_page_writes=off -c max_connections=300 -c shared_buffers=128MB"
    )
    command = [tools / "pg_ctl", "-D", data, "-o", options, "-l", folder / "log", "-w"]
    _as_server_user([*command, "start"])
    try:
        yield f"postgresql+psycopg://canting@127.0.0.1:{port}"
    finally:
        _as_server_user([tools / "pg_ctl", "-D", data, "-m", "immediate", "stop"])
        shutil.rmtree(folder, ignore_errors=True)


def _as_server_user(command: list[object]) -> None:
    """PostgreSQL refuses to run as root."""
    prefix = (
        ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    )
    subprocess.run(
        [*prefix, *map(str, command)],
        check=True,
        stdout=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        cwd="/tmp",
    )


def execute(server: str, statement: str) -> None:
    """Run an administrative statement on the server, trying again while a template is in use."""
    for attempt in range(50):
        try:
            with psycopg.connect(server.replace("+psycopg", "") + "/postgres", autocommit=True) as connection:
                connection.execute(statement)  # type: ignore[call-overload]
            return
        except psycopg.errors.ObjectInUse:
            if attempt == 49:
                raise
            time.sleep(0.1)
