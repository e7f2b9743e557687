"""Logs in memory, written as tiles by a plain reading of C2SP tlog-tiles; and a service's log, put back."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine, delete, update
from sqlmodel import col, select

from service.database import transaction
from service.transparency.merkle import complete_subtrees, inclusion_proof, leaf_hash, node_hash, root_hash
from service.transparency.models import LogEntry, LogHead, LogNode, LogWitness
from service.transparency.notes import ED25519, Checkpoint, LogKey, Verifier, sign_checkpoint
from service.transparency.remote import LogUnreachable

ORIGIN = "izin.contoh.invalid/log"


def make_log_key(origin: str = ORIGIN) -> LogKey:
    key = Ed25519PrivateKey.generate()
    return LogKey(Verifier(origin, ED25519, key.public_key().public_bytes_raw()), key.sign)


def tree_hash(hashes: Sequence[bytes]) -> bytes:
    """RFC 6962 §2.1, over the hashes of leaves or of whole tiles."""
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return node_hash(tree_hash(hashes[:split]), tree_hash(hashes[split:]))


@dataclass
class MemoryLog:
    """A log of leaves; called with a place below its address it gives what stands there."""

    key: LogKey
    leaves: list[bytes]
    asked: list[str] = field(default_factory=list)

    def __call__(self, place: str, _most: int) -> bytes:
        self.asked.append(place)
        if place == "checkpoint":
            return self.checkpoint().encode()
        _, kind, *rest = place.split("/")
        path, _, width = "/".join(rest).partition(".p/")
        index, count = int(path.replace("x", "").replace("/", "")), int(width or 256)
        if kind == "entries":
            chosen = self.leaves[index * 256 : index * 256 + count]
            return b"".join(struct.pack(">H", len(leaf)) + leaf for leaf in chosen)
        hashes = self.hashes(int(kind))[index * 256 : index * 256 + count]
        if len(hashes) < count:
            raise LogUnreachable
        return b"".join(hashes)

    def hashes(self, level: int) -> list[bytes]:
        span, leaves = 256**level, [leaf_hash(leaf) for leaf in self.leaves]
        return [tree_hash(leaves[at : at + span]) for at in range(0, len(leaves) - span + 1, span)]

    def checkpoint(self) -> str:
        root = tree_hash([leaf_hash(leaf) for leaf in self.leaves])
        return sign_checkpoint(Checkpoint(self.key.verifier.name, len(self.leaves), root), self.key)


def prove_leaves(leaves: Sequence[str], key: LogKey) -> dict[str, Any]:
    """Prove the leaves of a small log, as `/api/v1/permits/{code}/log-proof` does."""
    levels = complete_subtrees([leaf_hash(leaf.encode()) for leaf in leaves])

    def read(level: int, index: int) -> bytes:
        return levels[level][index]

    size = len(leaves)
    paths = [[each.hex() for each in inclusion_proof(index, size, read)] for index in range(size)]
    return {
        "checkpoint": sign_checkpoint(Checkpoint(key.verifier.name, size, root_hash(size, read)), key),
        "entries": [
            {"index": index, "leaf": leaf, "path": path}
            for index, (leaf, path) in enumerate(zip(leaves, paths, strict=True))
        ],
    }


def restore_log(engine: Engine, size: int) -> None:
    """Put a service's log back to what a backup of so many leaves holds, from before a witness was heard."""
    with transaction(engine) as session:
        session.execute(delete(LogEntry).where(col(LogEntry.index) >= size))
        for node in session.exec(select(LogNode)).all():
            if (node.index + 1) << node.level > size:
                session.delete(node)
        session.execute(update(LogHead).values(size=size))
        session.execute(delete(LogWitness))
