"""The log in a real database."""

import base64
import json
from collections.abc import Callable
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine
from sqlmodel import Session

from service.audit import AuditHead, read_stretch, record_event
from service.canonical import committed_hash
from service.database import reading, transaction
from service.transparency import log
from service.transparency.models import LogEntry, LogNode, LogWitness
from service.transparency.notes import ED25519, LogKey, Verifier


def test_every_entry_is_proven(session: Session, now: datetime) -> None:
    indexes = [log.append_entry(session, "test", {"sha256": f"{number:064x}"}, now) for number in range(9)]
    assert indexes == list(range(9))
    for index in indexes:
        proof = log.prove_inclusion(session, index)
        assert proof is not None
        assert (proof.index, proof.size) == (index, 9)
    assert log.prove_inclusion(session, 9) is None


def test_the_leaf_that_commits_to_an_event_is_the_first_after_it(session: Session, now: datetime) -> None:
    def record() -> int:
        return record_event(
            session,
            action="tested",
            subject_type="test",
            subject_id="1",
            actor_id=None,
            actor_name="Siti Contoh",
            actor_role="citizen",
            now=now,
        )

    assert log.find_commitment(session, 1) is None
    for index in range(5):
        number = record()
        log.append_entry(session, "test", {}, now)
        found = log.find_commitment(session, number)
        assert found
        event = next(iter(read_stretch(session, found.audit_event, found.audit_event)))
        leaf = json.loads(session.get_one(LogEntry, index).leaf)
        assert found.index == index
        assert leaf["audit_commitment"] == committed_hash(found.nonce, event.hash)
    assert log.find_commitment(session, record()) is None


def test_a_changed_leaf_is_no_longer_included(session: Session, now: datetime) -> None:
    for number in range(5):
        log.append_entry(session, "test", {"sha256": f"{number:064x}"}, now)
    entry = session.get_one(LogEntry, 2)
    entry.leaf = entry.leaf.replace("2", "3")
    assert log.prove_inclusion(session, 2) is None
    assert log.prove_inclusion(session, 1) is not None


def key_of(private: Ed25519PrivateKey, origin: str = "contoh.invalid/log") -> LogKey:
    return LogKey(Verifier(origin, ED25519, private.public_key().public_bytes_raw()), private.sign)


def test_checkpoint_is_a_signed_note(session: Session, now: datetime) -> None:
    log.append_entry(session, "test", {"sha256": "0" * 64}, now)
    key = Ed25519PrivateKey.generate()
    note = log.signed_checkpoint(session, key_of(key))
    body, _, signatures = note.partition("\n\n")
    origin, size, _root = body.split("\n")
    assert (origin, size) == ("contoh.invalid/log", "1")
    signature = base64.b64decode(signatures.split(" ")[-1])
    key.public_key().verify(signature[4:], (body + "\n").encode())


def test_a_checkpoint_bears_the_witnesses_of_this_very_state(session: Session, now: datetime) -> None:
    log.append_entry(session, "test", {}, now)
    key = key_of(Ed25519PrivateKey.generate())
    for name, root in (("seen", log.root_at(session, 1).hex()), ("other", "0" * 64)):
        line = f"\u2014 {name} AAAA\n"
        session.add(LogWitness(name=name, size=1, root=root, cosignature=line, seen_at=now))
    session.flush()
    note = log.signed_checkpoint(session, key)
    assert "\u2014 seen AAAA\n" in note
    assert "other" not in note


def test_a_missing_node_proves_nothing(session: Session, now: datetime) -> None:
    for number in range(4):
        log.append_entry(session, "test", {"n": number}, now)
    session.delete(session.get_one(LogNode, (1, 1)))
    session.flush()
    assert log.prove_inclusion(session, 0) is None


def test_leaves_say_when_what_and_what_the_audit_trail_was(session: Session, now: datetime) -> None:
    record(session, now)
    index = log.append_entry(session, "test", {"sha256": "ab"}, now)
    entry, head = session.get_one(LogEntry, index), session.get_one(AuditHead, 1)
    leaf = json.loads(entry.leaf)
    assert leaf == {
        "v": 1,
        "kind": "test",
        "at": "2026-11-23T03:00:00+00:00",
        "sha256": "ab",
        "audit_event": head.number,
        "audit_commitment": committed_hash(entry.nonce, head.hash),
    }
    assert head.hash not in entry.leaf


def test_an_audit_trail_is_committed_to_once(session: Session, now: datetime) -> None:
    record(session, now)
    assert log.commit_audit_trail(session, now) == 0
    assert log.commit_audit_trail(session, now) is None
    record(session, now)
    assert log.commit_audit_trail(session, now) == 1


def record(session: Session, now: datetime) -> None:
    record_event(
        session,
        action="tested",
        subject_type="test",
        subject_id="1",
        actor_id=None,
        actor_name="Siti Contoh",
        actor_role="citizen",
        now=now,
    )


def test_a_proof_a_tile_and_a_checkpoint_cost_few_queries(
    engine: Engine, now: datetime, statements: list[str]
) -> None:
    with transaction(engine) as session:
        for number in range(300):
            log.append_entry(session, "test", {"n": number}, now)
    reads: list[Callable[[Session], object]] = [
        lambda session: log.prove_inclusion(session, 77),
        lambda session: log.prove_consistency(session, 77, 300),
        lambda session: log.signed_checkpoint(session, key_of(Ed25519PrivateKey.generate())),
        lambda session: log.read_tile(session, 0, 1, 44),
        lambda session: log.read_entry_bundle(session, 0, 256),
    ]
    for read in reads:
        statements.clear()
        with reading(engine) as session:
            assert read(session)
        assert len([each for each in statements if each.startswith("SELECT")]) <= 3
