"""Hostile files: each costs its own fork and nothing else, whatever it is made of."""

import errno
import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cases
import pytest
import structlog
from attacks.bombs import (
    deep_array,
    exponential_fields,
    inflating_attachment,
    inflating_references,
    long_array,
    looping_references,
)
from factories import pdf_file
from sqlalchemy import Engine

from keys import profiles
from keys.algorithms import generate_key, sign_with
from keys.authority import Subject, issue_certificate
from keys.hierarchy import load_trust_anchors
from keys.profiles import Addresses
from keys.software import SoftwareKeyStore
from keys.store import OpenKey
from service.database import reading
from service.verification import examiner
from service.verification.examiner import STANDS_BACK, limit
from service.verification.sandbox import GRACE, Sandbox
from service.verification.verify import Reader, Verdict, Verification, verify_file
from signing.errors import UnreadableDocument
from signing.provenance import find_clues
from signing.sign import sign_document
from signing.validate import validate_document

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
READER = Reader("id", "http://testserver")
SECONDS = 2.0
SLACK = 2.0
"""For a busy machine to wake those who wait."""
SEED = 20261123


def verify(engine: Engine, sandbox: Sandbox, pdf: bytes) -> Verification:
    with reading(engine) as session:
        return verify_file(session, sandbox, pdf, now=NOW, reader=READER)


# The budget ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tight(key_folder: Path) -> Iterator[Sandbox]:
    sandbox = Sandbox(key_folder, seconds=SECONDS)
    sandbox.warm()
    yield sandbox
    sandbox.close()


@pytest.mark.parametrize(
    ("bomb", "reasons"),
    [
        (exponential_fields, {"time_limit"}),
        (long_array, {"time_limit", "memory_limit"}),
        (inflating_attachment, {"memory_limit", "time_limit"}),
        (inflating_references, {"memory_limit", "time_limit"}),
        (looping_references, {"unreadable"}),
        (deep_array, {"unreadable"}),
    ],
)
def test_a_bomb_is_undecided_within_the_budget(
    engine: Engine, tight: Sandbox, bomb: Callable[[], bytes], reasons: set[str]
) -> None:
    pdf = bomb()
    begin = time.monotonic()
    with structlog.testing.capture_logs() as logged:
        found = verify(engine, tight, pdf)
    assert found.verdict == Verdict.UNDECIDED
    assert set(found.reasons) <= reasons
    assert time.monotonic() - begin < SECONDS + GRACE + SLACK
    hashes = [line["sha256"] for line in logged if line["event"] == "examination_stopped"]
    assert hashes == ([] if found.reasons == ("unreadable",) else [hashlib.sha256(pdf).hexdigest()])


def test_what_no_check_foresaw_is_a_code_and_no_verdict(
    key_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_parts: object, **_options: object) -> dict[str, object]:
        raise AssertionError("words of the file")

    monkeypatch.setattr(examiner, "examine", fail)
    monkeypatch.setattr(examiner, "limit", lambda **_limits: None)
    head = {"seconds": 1, "memory": 1, "anchors": str(key_folder), "at": NOW.isoformat(), "crls": 0}
    ours, theirs = socket.socketpair()
    with ours:
        ours.sendall(json.dumps(head).encode() + b"\n" + examiner.LENGTH.pack(1) + b"%")
        examiner.examine_connection(theirs)
        assert json.loads(ours.recv(1000)) == {"error": "examiner_fault", "kind": "AssertionError"}


def test_one_file_that_costs_its_whole_budget_keeps_no_other_waiting(
    engine: Engine, issued: cases.Issued, key_folder: Path
) -> None:
    with closing(Sandbox(key_folder, seconds=6)) as sandbox, ThreadPoolExecutor() as pool:
        sandbox.warm()
        bombs = [pool.submit(verify, engine, sandbox, exponential_fields()) for _ in range(2)]
        assert verify(engine, sandbox, issued.pdf).verdict == Verdict.GENUINE
        assert not any(bomb.done() for bomb in bombs)
        assert {bomb.result().reasons for bomb in bombs} == {("time_limit",)}


def test_a_killed_examiner_is_replaced_at_the_next_file(
    engine: Engine, issued: cases.Issued, key_folder: Path
) -> None:
    with closing(Sandbox(key_folder, seconds=30)) as sandbox:
        sandbox.warm()
        assert sandbox._process is not None
        os.kill(sandbox._process.pid, signal.SIGKILL)
        sandbox._process.wait()
        assert verify(engine, sandbox, issued.pdf).verdict == Verdict.GENUINE


@pytest.mark.parametrize(
    "attempt",
    [
        lambda: Path("/etc/hostname").read_bytes(),
        lambda: Path("/dev/shm/written").write_bytes(b"a single byte is too many"),
        lambda: socket.create_connection(("127.0.0.1", 80)),
        lambda: socket.getaddrinfo("example.org", 80),
    ],
    ids=["read", "write", "connect", "resolve"],
)
def test_the_examining_fork_opens_no_file_and_no_socket(attempt: Callable[[], object]) -> None:
    child = os.fork()
    if child == 0:
        limit(seconds=30, memory=2**28)
        try:
            attempt()
        except OSError as error:
            # Resolving a name opens files and sockets itself, and says only that it could not.
            os._exit(7 if error.errno == errno.EMFILE or isinstance(error, socket.gaierror) else 8)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_an_examination_that_takes_long_lets_others_go_first() -> None:
    before = os.nice(0)
    child = os.fork()
    if child == 0:
        limit(seconds=30, memory=2**28)
        while os.nice(0) == before:
            pass
        os._exit(os.nice(0) - before)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == STANDS_BACK


def test_without_a_network_the_answer_is_the_same(
    issued: cases.Issued, key_folder: Path, tmp_path: Path
) -> None:
    """In a network namespace of its own there is no route, not even to this machine."""
    path = tmp_path / "izin.pdf"
    path.write_bytes(issued.pdf)
    root = next(key_folder.glob("root*.pem"))
    command = [sys.executable, "-m", "service.cli", "verify", str(path), "--trust", str(root), "--json"]
    alone = ["unshare", "--map-root-user", "--net"]
    if subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("This kernel lets nobody make a network namespace.")
    known = subprocess.run(command, capture_output=True, check=True)
    cut_off = subprocess.run([*alone, *command], capture_output=True, check=True)
    assert json.loads(known.stdout)["answer"] == "signature_valid"
    assert cut_off.stdout == known.stdout


# Malformed files ----------------------------------------------------------------------------------


def mutations(pdf: bytes, count: int) -> Iterator[bytes]:
    """Yield copies with one to three random flips, cuts or insertions, the same for the same bytes."""
    chance = random.Random(SEED)
    for _ in range(count):
        copy = bytearray(pdf)
        for _ in range(chance.randint(1, 3)):
            place, length = chance.randrange(len(copy)), chance.choice((1, 1, 8, 200, 5000))
            match chance.choice(("flip", "flip", "cut", "insert")):
                case "flip":
                    copy[place] ^= chance.randint(1, 255)
                case "cut":
                    del copy[place : place + length]
                case "insert":
                    copy[place:place] = chance.randbytes(length)
        yield bytes(copy)


@pytest.mark.slow
def test_no_malformed_copy_breaks_the_validator_or_passes_it(issued: cases.Issued, key_folder: Path) -> None:
    anchors = load_trust_anchors(key_folder)
    outcomes = {"read": 0, "unreadable": 0}
    for pdf in mutations(issued.pdf, 2000):
        find_clues(pdf)
        try:
            report = validate_document(pdf, anchors, at=NOW)
        except UnreadableDocument:
            outcomes["unreadable"] += 1
        else:
            outcomes["read"] += 1
            assert report.indication != "TOTAL-PASSED"
    assert min(outcomes.values()) > 100


@pytest.mark.slow
def test_no_malformed_copy_is_ever_genuine(engine: Engine, sandbox: Sandbox, issued: cases.Issued) -> None:
    verdicts = {verify(engine, sandbox, pdf).verdict for pdf in mutations(issued.pdf, 300)}
    assert Verdict.ALTERED in verdicts
    assert Verdict.GENUINE not in verdicts


# No network ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("brings_chain", [True, False])
def test_addresses_in_an_uploads_certificates_are_never_asked(
    engine: Engine, sandbox: Sandbox, key_folder: Path, brings_chain: bool
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.setblocking(False)
        site = f"http://127.0.0.1:{trap.getsockname()[1]}"
        addresses = Addresses(crl=f"{site}/a.crl", ca_issuers=f"{site}/ca.cer", ocsp=f"{site}/ocsp")
        issuing = SoftwareKeyStore(key_folder).open_key("issuing", cases.OPERATIONS_PASSPHRASE, now=NOW)
        private_key = generate_key()
        certificate = issue_certificate(
            profiles.OFFICIAL,
            Subject("Pejabat Contoh"),
            private_key.public_key(),
            issuing,
            now=NOW - timedelta(days=1),
            addresses=addresses,
        )
        # Without its chain the certificate's issuer can only be had from the address it names.
        chain = (issuing.certificate, *issuing.chain) if brings_chain else ()
        signer = OpenKey("stranger", certificate, chain, sign_with(private_key))
        pdf = sign_document(pdf_file(), signer, signed_at=NOW, timestamper=None)
        assert verify(engine, sandbox, pdf).verdict == Verdict.UNKNOWN
        with pytest.raises(BlockingIOError):
            trap.accept()
