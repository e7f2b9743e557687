"""The append-only log of permit documents: leaves, proofs, tiles and checkpoints.

A leaf is canonical JSON without personal data (its members stand in docs/integration.md). It commits to
the audit trail as it stood: `audit_commitment` is the SHA-256 of a random nonce, which only the database
holds, and the hash of event `audit_event`. Appending locks the log's head until the caller's transaction
ends, so the leaf, the register's row and the audit event stand or fall together.
"""

import json
import secrets
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import sqlalchemy
from sqlalchemy import tuple_
from sqlmodel import Session, col, func, select

from service.audit import chain_head
from service.canonical import canonical, committed_hash, text_hash
from service.seals import seal_written
from service.transparency.merkle import (
    NodeReader,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    new_nodes,
    root_hash,
    verify_inclusion,
)
from service.transparency.models import LogEntry, LogHead, LogNode, LogWitness
from service.transparency.notes import Checkpoint, LogKey, sign_checkpoint
from service.transparency.tiles import HEIGHT, LARGEST_ENTRY, WIDTH, pack_entries

LEAF_VERSION = 1
AUDIT_TRAIL = "audit_trail"
"""The kind of a leaf that tells of no document: it commits to the audit trail alone."""

Result = TypeVar("Result")


def log_origin(base_url: str) -> str:
    """Return the log's origin: its address without the scheme (C2SP tlog-tiles, Parameters)."""
    return f"{urlsplit(base_url).netloc}/log"


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """That a leaf stands in the log: its text, index, tree size, audit path and root, hashes as hex."""

    leaf: str
    index: int
    size: int
    path: tuple[str, ...]
    root: str


# Appending ----------------------------------------------------------------------------------------


_HEAD: sqlalchemy.Table = LogHead.__table__  # type: ignore[attr-defined]
_READ_SIZE = sqlalchemy.select(_HEAD.c.size).where(_HEAD.c.id == 1)
_LOCK_SIZE = _READ_SIZE.with_for_update()
_GROW = sqlalchemy.update(_HEAD).where(_HEAD.c.id == 1)
_READ_NODE = sqlalchemy.select(col(LogNode.hash)).where(
    col(LogNode.level) == sqlalchemy.bindparam("level"), col(LogNode.index) == sqlalchemy.bindparam("index")
)
_ADD_LEAF = sqlalchemy.insert(LogEntry)
_ADD_NODES = sqlalchemy.insert(LogNode)
"""Kept, and run without entities, because every document is logged."""


def next_index(session: Session) -> int:
    """Return the index of the leaf that this transaction appends next; nobody else appends meanwhile."""
    session.flush()  # Whatever else waits to be written takes its locks before the log's head is locked.
    return int(session.connection().execute(_LOCK_SIZE).scalar_one())


def append_entry(session: Session, kind: str, facts: Mapping[str, Any], now: datetime) -> int:
    """Append a leaf within the caller's transaction and return its index, from 0.

    What the transaction has written so far is sealed in the audit trail first: the leaf commits to it.
    """
    index = next_index(session)
    seal_written(session)
    (audit_event, audit_hash), nonce = chain_head(session), secrets.token_hex(16)
    leaf = {
        "v": LEAF_VERSION,
        "kind": kind,
        "at": now.astimezone(UTC).isoformat(),
        "audit_event": audit_event,
        "audit_commitment": committed_hash(nonce, audit_hash),
        **facts,
    }
    text = canonical(leaf)
    assert len(text.encode()) <= LARGEST_ENTRY
    hashed = leaf_hash(text.encode())
    nodes = [
        {"level": level, "index": position, "hash": value.hex()}
        for level, position, value in new_nodes(index, hashed, _read_one(session))
    ]
    entry = {"index": index, "leaf": text, "leaf_hash": hashed.hex(), "logged_at": now, "nonce": nonce}
    connection = session.connection()
    connection.execute(_ADD_LEAF, entry)
    connection.execute(_ADD_NODES, nodes)
    connection.execute(_GROW, {"size": index + 1})
    return index


def code_hash(code: str) -> str:
    """Return how a leaf names a permit: the SHA-256 (hex) of its public code, which nobody can guess."""
    return text_hash(code)


def commit_audit_trail(session: Session, now: datetime) -> int | None:
    """Append a leaf that commits to the audit trail, unless the last does; return its index. An hourly job.

    Without it, what happened since the last document could be rewritten unnoticed.
    """
    last = session.get(LogEntry, next_index(session) - 1)
    if last is not None and json.loads(last.leaf)["audit_event"] == chain_head(session)[0]:
        return None
    return append_entry(session, AUDIT_TRAIL, {}, now)


# Reading ------------------------------------------------------------------------------------------


def log_size(session: Session) -> int:
    """Return the number of leaves."""
    return int(session.connection().execute(_READ_SIZE).scalar_one())


def prove_inclusion(session: Session, index: int, size: int | None = None) -> InclusionProof | None:
    """Prove that the leaf at `index` stands in the log of `size` leaves, or of now; None if it does not.

    The proof is checked against the leaf's own text before it is given.
    """
    entry = session.get(LogEntry, index)
    size = log_size(session) if size is None else size
    if entry is None or index >= size:
        return None
    try:
        path, root = _with_nodes(
            session, lambda read: (inclusion_proof(index, size, read), root_hash(size, read))
        )
    except KeyError:  # A node is missing: the log was damaged, and proves nothing.
        return None
    if not verify_inclusion(leaf_hash(entry.leaf.encode()), index, size, path, root):
        return None
    return InclusionProof(entry.leaf, index, size, tuple(item.hex() for item in path), root.hex())


@dataclass(frozen=True, slots=True)
class Commitment:
    """That the leaf at `index` commits to audit event `audit_event`, whose hash the nonce opens."""

    index: int
    audit_event: int
    nonce: str


def find_commitment(session: Session, number: int) -> Commitment | None:
    """Find the first leaf that commits to the audit trail with event `number` in it; None before there is."""

    def event_of(index: int) -> int:
        event: int = json.loads(session.get_one(LogEntry, index).leaf)["audit_event"]
        return event

    index = bisect_left(range(log_size(session)), number, key=event_of)
    entry = session.get(LogEntry, index)
    return Commitment(index, event_of(index), entry.nonce) if entry else None


def prove_consistency(session: Session, first: int, second: int) -> list[bytes] | None:
    """Prove that the log of `first` leaves is a prefix of that of `second`; None for sizes it never had."""
    if not 0 < first <= second <= log_size(session):
        return None
    return _with_nodes(session, lambda read: consistency_proof(first, second, read))


def root_at(session: Session, size: int) -> bytes:
    """Return the root of the log's first `size` leaves, of which there are so many."""
    return _with_nodes(session, lambda read: root_hash(size, read))


def signed_checkpoint(session: Session, key: LogKey, size: int | None = None) -> str:
    """Return the log's checkpoint of `size` leaves, or as it is now, as a signed note (C2SP tlog-checkpoint).

    It bears the signatures of the witnesses that were seen to have cosigned this very state.
    """
    size = log_size(session) if size is None else size
    state = Checkpoint(key.verifier.name, size, root_at(session, size))
    cosigned = select(LogWitness).where(LogWitness.size == size, LogWitness.root == state.root.hex())
    lines = [row.cosignature for row in session.exec(cosigned.order_by(col(LogWitness.name)))]
    return sign_checkpoint(state, key) + "".join(lines)


def witnessed_size(session: Session, at_least: int) -> int | None:
    """Return the largest size that a witness was seen to cosign, if it is `at_least` so large."""
    size = session.exec(select(func.max(LogWitness.size)).where(LogWitness.size >= at_least)).one()
    return size if size is not None and size <= log_size(session) else None


def read_tile(session: Session, level: int, index: int, width: int) -> bytes | None:
    """Return a tile's hashes, or None when the log has not so many: one query."""
    first = index * WIDTH
    if first + width > log_size(session) >> (HEIGHT * level):
        return None
    statement = select(LogNode.hash).where(
        LogNode.level == HEIGHT * level, LogNode.index >= first, LogNode.index < first + width
    )
    return bytes.fromhex("".join(session.exec(statement.order_by(col(LogNode.index)))))


def read_entry_bundle(session: Session, index: int, width: int) -> bytes | None:
    """Return an entry bundle, or None when the log has not so many leaves: one query."""
    first = index * WIDTH
    if first + width > log_size(session):
        return None
    statement = select(LogEntry.leaf).where(LogEntry.index >= first, LogEntry.index < first + width)
    return pack_entries(leaf.encode() for leaf in session.exec(statement.order_by(col(LogEntry.index))))


def _read_one(session: Session) -> NodeReader:
    def read(level: int, index: int) -> bytes:
        place = {"level": level, "index": index}
        return bytes.fromhex(session.connection().execute(_READ_NODE, place).scalar_one())

    return read


def _with_nodes(session: Session, compute: Callable[[NodeReader], Result]) -> Result:
    """Run a computation over the tree with all its nodes read in one query.

    Which nodes it reads depends on sizes alone: a first run over empty hashes tells.
    """
    wanted: list[tuple[int, int]] = []

    def note(level: int, index: int) -> bytes:
        wanted.append((level, index))
        return b""

    compute(note)
    key = tuple_(col(LogNode.level), col(LogNode.index))
    statement = select(LogNode.level, LogNode.index, LogNode.hash).where(key.in_(wanted))
    nodes = {(level, index): bytes.fromhex(value) for level, index, value in session.exec(statement)}
    return compute(lambda level, index: nodes[level, index])
