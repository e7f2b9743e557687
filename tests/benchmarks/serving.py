"""Servers in processes of their own on loopback, and the load that is put on them.

Run as a program, it is such a server: `serving.py PORT FOLDER` serves the service whose data lie there,
`serving.py PORT FOLDER bare` two bare FastAPI routes beside the same database.
"""

import hashlib
import selectors
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import uvicorn  # noqa: E402
from fastapi import FastAPI, UploadFile  # noqa: E402
from place import settings_in  # noqa: E402

from service.app import create_app  # noqa: E402

CONNECTIONS = 8


@contextmanager
def server(folder: Path, *, is_bare: bool = False) -> Iterator[int]:
    """Serve the service whose data lie in a folder, or the bare routes beside them; yield the port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    command = [sys.executable, __file__, str(port), str(folder), *(["bare"] if is_bare else [])]
    process = subprocess.Popen(command)
    try:
        _wait_for(port, process)
        yield port
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError("The server ended before it answered.")
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("The server does not answer.")


def load(port: int, paths: list[str]) -> None:
    """Get every path once over a few connections that are kept busy. Raises when an answer is not 200."""
    waiting = iter(paths)
    selector = selectors.DefaultSelector()
    received: dict[socket.socket, bytes] = {}

    def ask(connection: socket.socket) -> None:
        path = next(waiting, None)
        if path is None:
            selector.unregister(connection)
            connection.close()
        else:
            received[connection] = b""
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())

    for _ in range(min(CONNECTIONS, len(paths))):
        connection = socket.create_connection(("127.0.0.1", port))
        selector.register(connection, selectors.EVENT_READ)
        ask(connection)
    while selector.get_map():
        for key, _ in selector.select(timeout=30):
            connection = key.fileobj  # type: ignore[assignment]
            received[connection] += connection.recv(262144)
            if _is_whole(received[connection]):
                ask(connection)


def _is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"The server answered {answer[:60]!r}.")
    length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    return bool(end) and len(body) >= int(length)


def bare_app(folder: Path) -> FastAPI:
    """Make an application of two `def` routes: one answers a few fields, one looks up a file's SHA-256."""
    app = FastAPI()
    database = settings_in(folder).effective_database_url.removeprefix("sqlite:///")

    @app.get("/permits/{code}")
    def permit(code: str) -> dict[str, str]:
        return {"code": code, "status": "active"}

    @app.post("/verifications")
    def verify(file: UploadFile) -> dict[str, object]:
        sha256 = hashlib.sha256(file.file.read()).hexdigest()
        with closing(sqlite3.connect(database)) as connection:
            query = "SELECT version FROM permit_document_version WHERE sha256 = ?"
            return {"sha256": sha256, "version": connection.execute(query, [sha256]).fetchone()[0]}

    return app


if __name__ == "__main__":
    port, folder = int(sys.argv[1]), Path(sys.argv[2])
    app = bare_app(folder) if sys.argv[3:] else create_app(settings_in(folder))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)
