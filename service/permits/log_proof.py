"""The proof that what is said of a permit stands in the log: for the API, for receipts and for bundles."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass

from sqlmodel import Session, col, select

from service.permits.models import DocumentVersion, Permit, StatusChange
from service.transparency.log import InclusionProof, log_size, prove_inclusion, signed_checkpoint
from service.transparency.notes import LogKey


@dataclass(frozen=True, slots=True)
class PermitProof:
    """A checkpoint, and the proof for each leaf that leads to it, oldest first."""

    checkpoint: str
    """The signed note (C2SP tlog-checkpoint)."""
    entries: tuple[InclusionProof, ...]


def prove_permit(session: Session, permit: Permit, key: LogKey) -> PermitProof:
    """Prove every leaf that tells of the permit: its document versions and its statuses."""
    return prove_entries(session, entries_of(session, permit), log_size(session), key)


def entries_of(session: Session, permit: Permit) -> set[int]:
    """Return the indexes of the leaves that tell of the permit."""
    indexes = set[int | None]()
    for table in (DocumentVersion, StatusChange):
        statement = select(table.log_index).where(col(table.permit_id) == permit.id)
        indexes |= set(session.exec(statement))
    return {index for index in indexes if index is not None}


def prove_entries(session: Session, indexes: Iterable[int], size: int, key: LogKey) -> PermitProof:
    """Prove that leaves stand in the log of `size` leaves.

    A leaf that cannot be proven is left out: then the log is damaged, and no verdict is `genuine`.
    """
    proofs = [prove_inclusion(session, index, size) for index in sorted(indexes)]
    checkpoint = signed_checkpoint(session, key, size)
    return PermitProof(checkpoint, tuple(proof for proof in proofs if proof is not None))


def write_proof(proof: InclusionProof, checkpoint: str) -> str:
    """Write a proof as a file that can be checked offline (C2SP tlog-proof)."""
    path = [base64.b64encode(bytes.fromhex(item)).decode() for item in proof.path]
    return "\n".join(["c2sp.org/tlog-proof@v1", f"index {proof.index}", *path, "", checkpoint])
