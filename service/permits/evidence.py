"""The evidence of one permit: all that was recorded of it, so that it can be judged without the service.

For its holder and for officers who may open its case, who hand it to a court: the case as its applicant gave
it and as officers decided it, the documents, and what proves both. The keys of uploads, and events and rows
of anybody else, are never in it; what stays inside the office is not in the holder's.
"""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlmodel import Session, col, select

from keys.store import ISSUING, ROOT, SEAL, TSA
from service.permits.evidence_case import WITHHELD, case_rows, files_given, keys_of
from service.permits.evidence_trail import Stretch, leaves_of, show_trail
from service.permits.log_proof import entries_of, prove_entries, write_proof
from service.permits.models import HERE, DocumentVersion, Permit
from service.pki.models import IssuedCertificate, OutsideCertificate, RevocationList
from service.pki.outside_trust import OutsideTrust
from service.transparency.log import log_size, witnessed_size
from service.transparency.notes import LogKey

README = Path(__file__).with_name("evidence-readme.md")
"""What stands in every bundle, for a court's expert: its commands need public tools alone."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A bundle before it is written: small files by their paths, and documents by theirs."""

    number: str
    files: dict[str, bytes]
    documents: dict[str, str]
    """The SHA-256 of each registered version, to be read from the storage when its turn comes."""

    @property
    def filename(self) -> str:
        return f"bukti-{self.number.replace('/', '-').replace(' ', '-')}.zip"


def gather_evidence(
    session: Session, permit: Permit, key: LogKey, outside: OutsideTrust = OutsideTrust(), *, whole: bool
) -> Evidence:
    """Gather a permit's evidence as it stands, in a snapshot's session. Reads only.

    `outside` is what judges a permit that was signed by another house's certificate. For the holder it is
    not the `whole`: officers' names and notes stay inside the office.
    """
    versions = session.exec(
        select(DocumentVersion)
        .where(DocumentVersion.permit_id == permit.id)
        .order_by(col(DocumentVersion.version))
    ).all()
    rows = case_rows(session, permit, whole=whole)
    given = files_given(session, permit, whole=whole)
    trail = show_trail(session, permit, keys_of(rows, given, whole=whole), whole=whole)
    files = {
        "README.md": _readme(permit, versions[0]),
        "case.json": _json({"rows": rows, "files": given, "withheld": {} if whole else WITHHELD}),
        **_trail_files(trail),
        **_log_files(session, permit, trail, key),
        **_certificate_files(session),
        **_revocation_files(session, versions[0].signed_at),
        **(_outside_files(outside) if permit.signed_by != HERE else {}),
    }
    documents = {f"documents/{each.version:02}.pdf": each.sha256 for each in versions}
    return Evidence(permit.number, files, documents)


def _readme(permit: Permit, first: DocumentVersion) -> bytes:
    text = README.read_text(encoding="utf-8")
    said = {
        "@NUMBER@": permit.number,
        "@CODE@": permit.code,
        "@SIGNER@": f"{permit.signer_name}, {permit.signer_position}",
        "@SIGNED_AT@": f"{first.signed_at:%Y-%m-%d %H:%M:%S} UTC",
        "@SIGNED_EPOCH@": str(int(first.signed_at.timestamp())),
    }
    for name, value in said.items():
        text = text.replace(name, value)
    return text.encode()


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


def _trail_files(trail: list[Stretch]) -> dict[str, bytes]:
    bodies = [body for stretch in trail for body in stretch.bodies]
    return {
        "audit/events.jsonl": "".join(f"{body}\n" for body in bodies).encode(),
        "audit/chain.json": _json([stretch.as_json() for stretch in trail]),
    }


def _log_files(session: Session, permit: Permit, trail: list[Stretch], key: LogKey) -> dict[str, bytes]:
    """Prove every leaf at one checkpoint: at the last that a witness cosigned, if all stand in it."""
    indexes = entries_of(session, permit) | set(leaves_of(trail))
    size = witnessed_size(session, max(indexes) + 1) or log_size(session)
    proven = prove_entries(session, indexes, size, key)
    public_key = Ed25519PublicKey.from_public_bytes(key.verifier.public_key)
    files = {
        "log/checkpoint": proven.checkpoint.encode(),
        "log/vkey": f"{key.verifier.vkey}\n".encode(),
        "log/key.pem": public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    }
    for proof in proven.entries:
        files[f"log/{proof.index:08}.leaf"] = proof.leaf.encode()
        files[f"log/{proof.index:08}.proof"] = write_proof(proof, proven.checkpoint).encode()
    return files


def _certificate_files(session: Session) -> dict[str, bytes]:
    """Give the certificates of the hierarchy but people's: a signer's stands in the document."""
    order = (col(IssuedCertificate.key_name), col(IssuedCertificate.serial))
    groups: dict[str, list[x509.Certificate]] = {"root": [], "authorities": [], "service": []}
    for row in session.exec(select(IssuedCertificate).order_by(*order)):
        kind = row.key_name.partition("-")[0]
        group = {ROOT: "root", ISSUING: "authorities", SEAL: "service", TSA: "service"}.get(kind)
        if group is not None:
            groups[group].append(x509.load_der_x509_certificate(row.der))
    outside = select(OutsideCertificate).order_by(OutsideCertificate.fingerprint)
    chains = b"".join(row.chain for row in session.exec(outside))
    files = {f"certificates/{name}.pem": _pem(certificates) for name, certificates in groups.items()}
    return files | ({"certificates/timestamping.pem": chains} if chains else {})


def _pem(certificates: list[x509.Certificate]) -> bytes:
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)


def _revocation_files(session: Session, signed_at: datetime) -> dict[str, bytes]:
    """Give each authority's newest revocation list, and the one that spoke when the document was signed."""
    order = (col(RevocationList.issuer), col(RevocationList.number))
    chosen: dict[tuple[str, bool], RevocationList] = {}
    for row in session.exec(select(RevocationList).order_by(*order)):
        chosen[row.issuer, True] = row
        if row.this_update <= signed_at:
            chosen[row.issuer, False] = row
    return {_place_of(row): _pem_list(row.der) for row in chosen.values()}


def _place_of(row: RevocationList) -> str:
    """Name a list's file; those of other houses' time-stamping authorities have a folder of their own."""
    name = re.sub("[^a-z0-9]+", "-", row.issuer.lower())
    folder = "revocation/outside" if ":" in row.issuer else "revocation"
    return f"{folder}/{name}-{row.number:06}.pem"


def _pem_list(der: bytes) -> bytes:
    return x509.load_der_x509_crl(der).public_bytes(Encoding.PEM)


def _outside_files(outside: OutsideTrust) -> dict[str, bytes]:
    """Give the trust anchors and newest revocation lists of the houses whose certificates sign here."""
    lists = {f"revocation/outside/signer-{at:02}.pem": _pem_list(der) for at, der in enumerate(outside.crls)}
    return {"certificates/outside.pem": _pem(list(outside.anchors)), **lists}
