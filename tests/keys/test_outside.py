"""Asking over a real socket: what each way of failing says about what was done over there."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from keys import outside
from keys.errors import (
    OutcomeUnknown,
    OutsideAccessDenied,
    OutsideBusy,
    OutsideError,
    OutsideRefused,
    OutsideUnreachable,
)

SECONDS = 0.5


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[tuple[str, list[bytes]]]:
    """Take connections, keep what was asked, and answer each in this way."""
    asked: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                asked.append(connection.recv(65536))
                answer(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def http(status: int, body: bytes, *, length: int | None = None, more: str = "") -> bytes:
    head = f"HTTP/1.1 {status} X\r\ncontent-length: {len(body) if length is None else length}\r\n{more}\r\n"
    return head.encode() + body


def ask(url: str, *, is_act: bool = True) -> tuple[int, dict[str, object]]:
    with outside.open_client(url, seconds=SECONDS) as client:
        return outside.ask(client, "/x", {"secret": "kanari"}, is_act=is_act)


@pytest.mark.parametrize(
    ("answer", "act", "question"),
    [
        (b"", OutcomeUnknown, OutsideUnreachable),
        (http(200, b'{"a": 1', length=500), OutcomeUnknown, OutsideUnreachable),
        (http(200, b"<html>"), OutcomeUnknown, OutsideRefused),
        (http(200, b"[]"), OutcomeUnknown, OutsideRefused),
        (http(200, b"[" * 100_000), OutcomeUnknown, OutsideRefused),
        (http(500, b"<html>"), OutcomeUnknown, OutsideRefused),
        (http(502, b"<html>"), OutcomeUnknown, OutsideRefused),
        (http(404, b"<html>"), OutsideRefused, OutsideRefused),
        (http(302, b"", more="location: http://127.0.0.1:1/\r\n"), OutsideRefused, OutsideRefused),
        (http(429, b"{}"), OutsideBusy, OutsideBusy),
        (http(503, b"{}"), OutsideBusy, OutsideBusy),
        (http(401, b"{}"), OutsideAccessDenied, OutsideAccessDenied),
        (http(403, b"{}"), OutsideAccessDenied, OutsideAccessDenied),
        (b"NOT HTTP AT ALL\r\n\r\n", OutcomeUnknown, OutsideUnreachable),
    ],
)
def test_every_failure_says_whether_it_was_done(
    answer: bytes, act: type[OutsideError], question: type[OutsideError]
) -> None:
    with answering(lambda connection: connection.sendall(answer)) as (url, asked):
        with pytest.raises(act) as failure:
            ask(url)
        assert type(failure.value) is act
        assert failure.value.__context__ is None
        assert len(asked) == 1
        with pytest.raises(question) as failure:
            ask(url, is_act=False)
        assert type(failure.value) is question


def test_a_refusal_in_words_is_returned_whatever_its_status() -> None:
    body = {"error": "Passphrase anda salah !!!", "status_code": 2031}
    with answering(lambda connection: connection.sendall(http(400, json.dumps(body).encode()))) as (url, _):
        assert ask(url) == (400, body)


def test_nobody_there_means_nothing_was_done() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(OutsideUnreachable):
        ask(f"http://127.0.0.1:{port}")


def test_an_answer_in_drops_ends_with_the_patience() -> None:
    def drip(connection: socket.socket) -> None:
        try:
            connection.sendall(http(200, b"", length=10_000))
            for _ in range(100):
                connection.sendall(b" ")
                time.sleep(0.1)
        except OSError:
            return

    with answering(drip) as (url, _):
        begin = time.monotonic()
        with pytest.raises(OutcomeUnknown):
            ask(url)
        assert time.monotonic() - begin < 4 * SECONDS


def test_an_endless_answer_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "LARGEST_ANSWER", 1000)
    with (
        answering(lambda connection: connection.sendall(http(200, b" " * 5000))) as (url, _),
        pytest.raises(OutcomeUnknown),
    ):
        ask(url)
