"""The proof that what is said of a permit stands in the log: for the API, for receipts and for bundles."""

import base64
from dataclasses import dataclass

from sqlmodel import Session, col, select

from service.permits.models import DocumentVersion, Permit, StatusChange
from service.transparency.log import InclusionProof, log_size, prove_inclusion, signed_checkpoint
from service.transparency.notes import LogKey


@dataclass(frozen=True, slots=True)
class PermitProof:
    """A checkpoint, and the proof for each of a permit's leaves that leads to it, oldest first."""

    checkpoint: str
    """The signed note (C2SP tlog-checkpoint)."""
    entries: tuple[InclusionProof, ...]


def prove_permit(session: Session, permit: Permit, key: LogKey) -> PermitProof:
    """Prove every leaf that tells of the permit: its document versions and its statuses.

    A leaf that cannot be proven is left out: then the log is damaged, and no verdict is `genuine`.
    """
    size, indexes = log_size(session), set[int | None]()
    for table in (DocumentVersion, StatusChange):
        statement = select(table.log_index).where(col(table.permit_id) == permit.id)
        indexes |= set(session.exec(statement))
    told = sorted(index for index in indexes if index is not None)
    proofs = [prove_inclusion(session, index, size) for index in told]
    checkpoint = signed_checkpoint(session, key, size)
    return PermitProof(checkpoint, tuple(proof for proof in proofs if proof is not None))


def write_proof(proof: InclusionProof, checkpoint: str) -> str:
    """Write a proof as a file that can be checked offline (C2SP tlog-proof)."""
    path = [base64.b64encode(bytes.fromhex(item)).decode() for item in proof.path]
    return "\n".join(["c2sp.org/tlog-proof@v1", f"index {proof.index}", *path, "", checkpoint])
