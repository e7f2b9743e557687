"""The append-only log of permit documents: leaves, inclusion proofs and signed checkpoints.

A leaf is canonical JSON without personal data. Appending locks the log's head until the caller's
transaction ends, so the leaf, the register's row and the audit event stand or fall together.
"""

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, select

from service.transparency.merkle import (
    inclusion_proof,
    leaf_hash,
    new_nodes,
    root_hash,
    verify_inclusion,
)
from service.transparency.models import LogEntry, LogHead, LogNode

ED25519_NOTE = b"\x01"
"""The signature type of Ed25519 in a signed note (C2SP signed-note)."""


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """That a leaf stands in the log: index, tree size, audit path and root, hashes as hex."""

    index: int
    size: int
    path: tuple[str, ...]
    root: str


def append_entry(session: Session, leaf: dict[str, Any], now: datetime) -> int:
    """Append a leaf within the caller's transaction and return its index, from 0."""
    head = session.exec(select(LogHead).where(LogHead.id == 1).with_for_update()).one()
    index = head.size
    text = json.dumps(leaf, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    hashed = leaf_hash(text.encode())
    session.add(LogEntry(index=index, leaf=text, leaf_hash=hashed.hex(), logged_at=now))
    for level, position, value in new_nodes(index, hashed, _reader(session)):
        session.add(LogNode(level=level, index=position, hash=value.hex()))
    head.size = index + 1
    session.add(head)
    session.flush()
    return index


def prove_inclusion(session: Session, index: int) -> InclusionProof | None:
    """Prove that the leaf at `index` stands in the log as it is now; None when it does not.

    The proof is checked against the leaf's own text before it is given.
    """
    entry = session.get(LogEntry, index)
    size = log_size(session)
    if entry is None or index >= size:
        return None
    read = _reader(session)
    path, root = inclusion_proof(index, size, read), root_hash(size, read)
    if not verify_inclusion(leaf_hash(entry.leaf.encode()), index, size, path, root):
        return None
    return InclusionProof(index, size, tuple(item.hex() for item in path), root.hex())


def log_size(session: Session) -> int:
    """Return the number of leaves."""
    return session.exec(select(LogHead.size).where(LogHead.id == 1)).one()


def checkpoint(session: Session, origin: str, public_key: bytes, sign: Callable[[bytes], bytes]) -> str:
    """Return the log's signed checkpoint (C2SP tlog-checkpoint): origin, size, root and signature line.

    `public_key` is the raw Ed25519 key (32 bytes); `sign` its signing function.
    """
    size = log_size(session)
    root = base64.b64encode(root_hash(size, _reader(session))).decode()
    body = f"{origin}\n{size}\n{root}\n"
    key_hash = hashlib.sha256(origin.encode() + b"\n" + ED25519_NOTE + public_key).digest()[:4]
    signature = base64.b64encode(key_hash + sign(body.encode())).decode()
    return f"{body}\n\u2014 {origin} {signature}\n"


def _reader(session: Session) -> Callable[[int, int], bytes]:
    def read(level: int, index: int) -> bytes:
        return bytes.fromhex(session.get_one(LogNode, (level, index)).hash)

    return read
