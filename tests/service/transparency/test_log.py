"""The log in a real database."""

import base64
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlmodel import Session

from service.transparency import log
from service.transparency.models import LogEntry


def test_every_entry_is_proven(session: Session, now: datetime) -> None:
    indexes = [log.append_entry(session, "test", {"sha256": f"{number:064x}"}, now) for number in range(9)]
    assert indexes == list(range(9))
    for index in indexes:
        proof = log.prove_inclusion(session, index)
        assert proof is not None
        assert (proof.index, proof.size) == (index, 9)
    assert log.prove_inclusion(session, 9) is None


def test_a_changed_leaf_is_no_longer_included(session: Session, now: datetime) -> None:
    for number in range(5):
        log.append_entry(session, "test", {"sha256": f"{number:064x}"}, now)
    entry = session.get_one(LogEntry, 2)
    entry.leaf = entry.leaf.replace("2", "3")
    assert log.prove_inclusion(session, 2) is None
    assert log.prove_inclusion(session, 1) is not None


def test_checkpoint_is_a_signed_note(session: Session, now: datetime) -> None:
    log.append_entry(session, "test", {"sha256": "0" * 64}, now)
    key = Ed25519PrivateKey.generate()
    note = log.checkpoint(session, "contoh.invalid/log", key.public_key().public_bytes_raw(), key.sign)
    body, _, signatures = note.partition("\n\n")
    origin, size, _root = body.split("\n")
    assert (origin, size) == ("contoh.invalid/log", "1")
    signature = base64.b64decode(signatures.split(" ")[-1])
    key.public_key().verify(signature[4:], (body + "\n").encode())
