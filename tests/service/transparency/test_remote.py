"""A log read from outside: whole, forked, rewound, or telling what it did not sign."""

from collections.abc import Callable
from datetime import datetime

import httpx2
import pytest
from fastapi.testclient import TestClient
from logs import MemoryLog, make_log_key
from sqlalchemy import Engine

from service.config import Settings
from service.database import transaction
from service.transparency.log import append_entry
from service.transparency.notes import NoteInvalid, open_checkpoint, parse_vkey
from service.transparency.remote import (
    LogForked,
    LogInconsistent,
    LogRewound,
    LogUnreachable,
    fetch_from,
    read_whole_log,
)


def leaves_of(count: int, name: str = "") -> list[bytes]:
    return [f"{name}{number}".encode() for number in range(count)]


def test_a_log_that_grew_is_whole() -> None:
    log = MemoryLog(make_log_key(), leaves_of(300))
    seen = read_whole_log(log, log.key.verifier).checkpoint
    log.leaves += leaves_of(50, "new ")
    whole = read_whole_log(log, log.key.verifier, seen)
    assert whole.leaves == tuple(log.leaves)
    assert {"tile/entries/000", "tile/0/001.p/94", "tile/1/000.p/1"} <= set(log.asked)


def test_forks_and_rewinds_are_told_apart() -> None:
    log = MemoryLog(make_log_key(), leaves_of(300))
    seen = read_whole_log(log, log.key.verifier).checkpoint
    log.leaves = leaves_of(299)
    with pytest.raises(LogRewound):
        read_whole_log(log, log.key.verifier, seen)
    log.leaves = [*leaves_of(299), b"another", b"more"]
    with pytest.raises(LogForked):
        read_whole_log(log, log.key.verifier, seen)


def test_another_key_is_not_believed() -> None:
    with pytest.raises(NoteInvalid):
        read_whole_log(MemoryLog(make_log_key(), leaves_of(3)), make_log_key().verifier)


def lie_about(
    place: str, lie: Callable[[bytes], bytes]
) -> Callable[[MemoryLog], Callable[[str, int], bytes]]:
    def wrap(log: MemoryLog) -> Callable[[str, int], bytes]:
        return lambda asked, most: lie(log(asked, most)) if asked == place else log(asked, most)

    return wrap


@pytest.mark.parametrize(
    "lying",
    [
        lie_about("tile/entries/000", lambda data: data.replace(b"7", b"8", 1)),
        lie_about("tile/entries/000", lambda data: data[:-1]),
        lie_about("tile/entries/001.p/44", lambda data: data + b"\0\1x"),
        lie_about("tile/0/000", lambda data: bytes(32) + data[32:]),
        lie_about("tile/0/001.p/44", lambda data: data[32:]),
        lie_about("tile/1/000.p/1", lambda _: bytes(32)),
    ],
)
def test_what_does_not_lead_to_the_signed_root_is_refused(
    lying: Callable[[MemoryLog], Callable[[str, int], bytes]],
) -> None:
    log = MemoryLog(make_log_key(), leaves_of(300))
    with pytest.raises(LogInconsistent):
        read_whole_log(lying(log), log.key.verifier)


def test_who_does_not_answer_is_unreachable() -> None:
    with httpx2.Client() as client:
        fetch = fetch_from("http://127.0.0.1:1/log", client)
        with pytest.raises(LogUnreachable):
            fetch("checkpoint", 100)


def test_the_service_serves_its_log_as_tiles(
    client: TestClient, engine: Engine, settings: Settings, now: datetime
) -> None:
    """The door is read by the same stranger, over HTTP; the key is the published one."""
    with transaction(engine) as session:
        for number in range(260):
            append_entry(session, "test", {"n": number}, now)
    verifier = parse_vkey(client.get("/log/vkey").text)
    assert verifier.name == "testserver/log"
    whole = read_whole_log(fetch_from("http://testserver/log", client), verifier)
    assert (whole.checkpoint.size, len(whole.leaves)) == (260, 260)
    full, partial = client.get("/log/tile/0/000"), client.get("/log/tile/0/001.p/4")
    assert (len(full.content), len(partial.content)) == (8192, 128)
    assert full.headers["content-type"] == "application/octet-stream"
    assert "immutable" in full.headers["cache-control"]
    checkpoint = client.get("/log/checkpoint")
    assert checkpoint.headers["content-type"] == "text/plain; charset=utf-8"
    assert checkpoint.headers["cache-control"] == "no-store"
    assert open_checkpoint(checkpoint.text, verifier).size == 260


@pytest.mark.parametrize(
    "place",
    ["0/002", "0/001", "0/001.p/5", "1/000", "2/000.p/1", "64/000", "00/000", "0/0", "entries/002", "x/000"],
)
def test_what_the_log_does_not_have_is_not_found(client: TestClient, place: str) -> None:
    answer = client.get(f"/log/tile/{place}")
    assert answer.status_code == 404


def test_consistency_is_proven_over_the_api(client: TestClient, engine: Engine, now: datetime) -> None:
    with transaction(engine) as session:
        for number in range(7):
            append_entry(session, "test", {"n": number}, now)
    answer = client.get("/api/v1/log/consistency?first=3&second=7").json()
    assert (answer["first"], answer["second"], len(answer["proof"])) == (3, 7, 4)
    assert client.get("/api/v1/log/consistency?first=3&second=8").json()["code"] == "not_in_log"
