"""From a frozen document to signed bytes in the storage: by a key of ours, or by another house's service."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine
from sqlmodel import Session

from service.accounts.access import Actor
from service.errors import Conflict
from service.permits.asking import ask_to_sign
from service.permits.compose import Printing
from service.permits.models import HERE, Permit
from service.permits.signer import DocumentSigner, OpenKey, OutsideSigner, Timestamper
from service.pki.register import require_in_force
from service.storage import Storage, put_document
from service.transparency.witnesses import Witnesses
from signing.document import PermitDocument
from signing.errors import TimestampUnavailable
from signing.outside import Accepted, Act
from signing.provenance import signature_fingerprints
from signing.render import render_document
from signing.sign import require_document_signer, sign_document


class OtherService(Conflict):
    code = "other_service"
    message_id = (
        "Dokumen ini disusun untuk ditandatangani dengan layanan lain daripada yang kini tercatat di akun "
        "Anda. Tidak ada yang ditandatangani; minta administrator mengembalikan catatan itu."
    )
    message_en = (
        "This document was composed to be signed by another service than your account names now. Nothing was "
        "signed; ask the administrator to restore that entry."
    )


@dataclass(frozen=True, slots=True)
class SignedDocument:
    """The bytes as signed and stored, and what the register says of them."""

    sha256: str
    fingerprint: str
    size: int
    level: str
    signed_at: datetime
    verifiable_until: datetime


@dataclass(frozen=True, slots=True)
class Workshop:
    """What issuing needs besides the case: where to write, what stamps the time, what paper says."""

    engine: Engine
    storage: Storage
    timestamper: Timestamper | None
    clock: Callable[[], datetime]
    printing: Printing
    witnesses: Witnesses | None = None
    """Who must not be ahead of our log; none: nobody watches it."""
    outside_anchors: Path | None = None
    """The folder of other houses' trust anchors and revocation lists."""
    seal: OpenKey | None = None
    """What signs the token in the QR code; none: the code holds the address alone."""


def require_able(session: Session, signer: DocumentSigner, now: datetime, *, service: str) -> None:
    """Refuse a signer of another service than the document names, and a certificate that cannot sign now.

    A service outside said that it can when it was opened. Raises OtherService, CertificateRevoked, and the
    errors of `signing`.
    """
    if service != (signer.service if isinstance(signer, OutsideSigner) else HERE):
        raise OtherService
    if isinstance(signer, OpenKey):
        require_document_signer(signer.certificate, now)
        require_in_force(session, signer.certificate)


def sign_and_store(
    workshop: Workshop, permit: Permit, *, actor: Actor, signer: DocumentSigner
) -> SignedDocument:
    """Render and sign a permit's frozen document, and store it; nothing is registered yet.

    Raises what `ask_to_sign` raises, and the errors of `signing` and `storage`.
    """
    document = PermitDocument.from_json(permit.document)
    act = Act(workshop.clock(), workshop.timestamper, f"{document.title} {document.number}", document.place)
    if isinstance(signer, OutsideSigner):
        pdf, accepted = ask_to_sign(
            workshop.engine,
            workshop.clock,
            permit.id,
            render_document(document, signature_field=not signer.brings_field),
            act,
            signer=signer,
            actor=actor,
            names_issuer=not document.is_sample,
        )
    else:
        pdf, accepted = _sign_here(render_document(document), act, signer)
    sha256 = put_document(workshop.storage, pdf)
    return SignedDocument(
        sha256,
        signature_fingerprints(pdf)[0],
        len(pdf),
        accepted.level,
        accepted.signed_at,
        accepted.valid_until,
    )


def _sign_here(pdf: bytes, act: Act, signer: OpenKey) -> tuple[bytes, Accepted]:
    unstamped: list[TimestampUnavailable] = []
    signed = sign_document(
        pdf,
        signer,
        signed_at=act.signed_at,
        timestamper=act.timestamper,
        # Without a time stamp the level is lower, and the job that archives the document proves the time.
        without_time_stamp=unstamped.append,
        reason=act.reason,
        location=act.location,
    )
    level = "B-B" if unstamped or act.timestamper is None else "B-T"
    return signed, Accepted(level, act.signed_at, signer.certificate.not_valid_after_utc)
