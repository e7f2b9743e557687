"""Servers in processes of their own on loopback, and the load that is put on them.

Run as a program, it is such a server: `serving.py PORT FOLDER` serves the service whose data lie there,
`serving.py PORT` a bare FastAPI route.
"""

import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import uvicorn  # noqa: E402
from fastapi import FastAPI  # noqa: E402
from place import settings_in  # noqa: E402

from service.app import create_app  # noqa: E402

CONNECTIONS = 8


@contextmanager
def server(folder: Path | None) -> Iterator[int]:
    """Serve the service whose data lie in a folder, or without one the bare route; yield the port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    command = [sys.executable, __file__, str(port), *([str(folder)] if folder else [])]
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


def bare_app() -> FastAPI:
    """Make an application of one `def` route that answers a few fields."""
    app = FastAPI()

    @app.get("/permits/{code}")
    def permit(code: str) -> dict[str, str]:
        return {"code": code, "status": "active"}

    return app


if __name__ == "__main__":
    app = create_app(settings_in(Path(sys.argv[2]))) if len(sys.argv) > 2 else bare_app()
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
