"""The register of certificates: what was issued, by whom, and what has been revoked since.

Certificates are public. The register takes them from the key store, so that what was made on
another machine (a root, an authority certified in a ceremony) is known here as well.
"""

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from sqlmodel import Session, col, select

from keys.approval import Approval, Approver
from keys.cose import public_jwk, signs_es256
from keys.hierarchy import generations
from keys.revocation import Revocation, read_revocations
from keys.store import ROOT, SEAL, KeyStore, KeyVault
from service import jobs
from service.accounts.access import Actor
from service.audit import record_event
from service.errors import Conflict, NotFound, ServiceError
from service.pki.models import CertificateApproval, IssuedCertificate, RevocationList

REASONS = (
    x509.ReasonFlags.key_compromise,
    x509.ReasonFlags.affiliation_changed,
    x509.ReasonFlags.superseded,
    x509.ReasonFlags.cessation_of_operation,
    x509.ReasonFlags.privilege_withdrawn,
)
"""Why a certificate may be revoked for good (RFC 5280 §5.3.1)."""
HOLD = x509.ReasonFlags.certificate_hold
PUBLISH_JOB = "publish_revocation_lists"
NEWEST_FIRST = (col(IssuedCertificate.recorded_at).desc(), col(IssuedCertificate.not_before).desc())
"""What was recorded last is in use: another authority may date its certificates back."""
REINSTATED = "certificate_reinstated"


class CertificateUnknown(NotFound):
    code = "certificate_unknown"
    message_id = "Tidak ada sertifikat untuk kunci itu. Lihat nama kunci dengan `canting keys list`."
    message_en = "No certificate belongs to that key. `canting keys list` names the keys."


class AlreadyRevoked(Conflict):
    code = "already_revoked"
    message_id = "Sertifikat ini sudah dicabut; pencabutan bersifat tetap."
    message_en = "This certificate has been revoked already; a revocation is final."


class NotSuspended(Conflict):
    code = "certificate_not_suspended"
    message_id = "Sertifikat ini tidak sedang ditangguhkan."
    message_en = "This certificate is not suspended."


class RevokedByRoot(Conflict):
    code = "revoked_by_root"
    message_id = "Sertifikat CA dicabut dengan kunci akar: `canting keys root-list --revoke NAMA`."
    message_en = "An authority is revoked by the root's key: `canting keys root-list --revoke NAME`."


class CertificateRevoked(ServiceError):
    """The key opens, but nobody would believe what it signs."""

    status = 409
    code = "certificate_revoked"
    message_id = (
        "Sertifikat penanda tangan ini sudah dicabut atau ditangguhkan, sehingga tidak dapat dipakai. "
        "Hubungi administrator untuk pendaftaran kunci baru."
    )
    message_en = (
        "This signing certificate has been revoked or suspended and cannot be used. "
        "Ask the administrator to enrol a new key."
    )


def serial_of(certificate: x509.Certificate) -> str:
    """Return the register's key for a certificate."""
    return f"{certificate.serial_number:x}"


def is_of_the_seal(session: Session, serial: str) -> bool:
    """Tell whether a certificate of this serial number is the agency's seal's, of whichever generation."""
    row = session.get(IssuedCertificate, serial)
    return row is not None and bool(generations([row.key_name], SEAL))


def record_folder(session: Session, keys: KeyStore, now: datetime) -> None:
    """Record the certificates and the roots' revocation lists of the key store that are new."""
    roots = keys.roots()
    chains = {name: keys.certificates(name) for name in {*keys.names(), *roots, *keys.authorities()}}
    names = {chain[0]: name for name, chain in chains.items() if chain}
    known = set(session.exec(select(IssuedCertificate.serial)))
    for certificate, name in names.items():
        if serial_of(certificate) not in known:
            chain = chains[name]
            issuer = names[chain[1]] if len(chain) > 1 else name
            session.add(_as_row(certificate, name, issuer, now))
            approval = keys.approval(name)
            if approval is not None:
                record_approval(session, certificate, Approval.from_json(approval), now)
    session.flush()
    for name in roots:
        der = keys.revocation_list(name)
        if der is not None:
            record_list(session, name, der)


def record_approval(
    session: Session, certificate: x509.Certificate, approval: Approval, now: datetime
) -> None:
    """Keep an approval with the register's certificate, unless it is there."""
    sha256 = hashlib.sha256(approval.statement.encode()).hexdigest()
    if session.get(CertificateApproval, sha256) is None:
        session.add(
            CertificateApproval(
                sha256=sha256,
                serial=serial_of(certificate),
                act=str(approval.facts["act"]),
                document=approval.to_json(),
                recorded_at=now,
            )
        )


def _as_row(certificate: x509.Certificate, name: str, issuer: str, now: datetime) -> IssuedCertificate:
    return IssuedCertificate(
        serial=serial_of(certificate),
        issuer=issuer,
        key_name=name,
        subject=str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        der=certificate.public_bytes(Encoding.DER),
        recorded_at=now,
    )


def record_list(session: Session, issuer: str, der: bytes) -> None:
    """Keep a revocation list unless one of its number is there."""
    crl = x509.load_der_x509_crl(der)
    number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    assert crl.next_update_utc is not None
    if session.get(RevocationList, (issuer, number)) is None:
        session.add(
            RevocationList(
                issuer=issuer,
                number=number,
                this_update=crl.last_update_utc,
                next_update=crl.next_update_utc,
                der=der,
            )
        )
        session.flush()


def newest_list(session: Session, issuer: str) -> RevocationList | None:
    """Return an authority's revocation list that speaks now."""
    statement = select(RevocationList).where(RevocationList.issuer == issuer)
    return session.exec(statement.order_by(col(RevocationList.number).desc()).limit(1)).first()


def current_lists(session: Session) -> list[bytes]:
    """Return the newest revocation list (DER) of every authority, those of other houses' TSAs too."""
    authorities = sorted(set(session.exec(select(RevocationList.issuer).distinct())))
    lists = (newest_list(session, name) for name in authorities)
    return [each.der for each in lists if each is not None]


def revocations_of(session: Session, issuer: str) -> list[Revocation]:
    """Return what an authority has revoked. A compromise counts from its date, not from when it was told."""
    statement = select(IssuedCertificate).where(
        IssuedCertificate.issuer == issuer, col(IssuedCertificate.revoked_at).is_not(None)
    )
    return [
        Revocation(
            int(row.serial, 16),
            row.compromised_at or row.revoked_at,
            x509.ReasonFlags(row.revocation_reason),
        )
        for row in session.exec(statement.order_by(col(IssuedCertificate.serial)))
        if row.revoked_at is not None
    ]


def complete_chains(session: Session, certificates: Iterable[x509.Certificate]) -> list[x509.Certificate]:
    """Return the certificates with their issuers, each once, without trust anchors (self-issued)."""
    rows = session.exec(select(IssuedCertificate)).all()
    by_key_name = {row.key_name: row for row in rows}
    issuers = {row.serial: row.issuer for row in rows}
    found: dict[str, x509.Certificate] = {}
    for certificate in certificates:
        serial = serial_of(certificate)
        while certificate.issuer != certificate.subject and serial not in found:
            found[serial] = certificate
            if serial not in issuers:
                break
            row = by_key_name[issuers[serial]]
            certificate, serial = x509.load_der_x509_certificate(row.der), row.serial
    return list(found.values())


def trust_anchors(session: Session) -> list[x509.Certificate]:
    """Return every root, past ones too: older documents rest on them."""
    statement = select(IssuedCertificate).where(IssuedCertificate.issuer == IssuedCertificate.key_name)
    return [x509.load_der_x509_certificate(row.der) for row in session.exec(statement)]


def revoked_by_roots(session: Session) -> dict[int, Revocation]:
    """Return what the roots' own lists revoke, such as a custodian or an issuing CA, by serial number."""
    is_root = IssuedCertificate.issuer == IssuedCertificate.key_name
    roots = session.exec(select(IssuedCertificate.key_name).where(is_root).distinct()).all()
    lists = [newest_list(session, name) for name in roots]
    return {
        each.serial_number: each
        for newest in lists
        if newest is not None
        for each in read_revocations(newest.der)[1]
    }


def is_seal(session: Session, fingerprint: str) -> bool:
    """Tell whether a certificate, by its SHA-256 (hex), is or was the agency's seal."""
    name = col(IssuedCertificate.key_name)
    named = (name == SEAL) | name.like(f"{SEAL}-%")
    rows = session.exec(select(IssuedCertificate.der).where(named))
    return fingerprint in {hashlib.sha256(der).hexdigest() for der in rows}


def require_in_force(session: Session, certificate: x509.Certificate) -> None:
    """Refuse a certificate that the register knows to be revoked or suspended. Raises CertificateRevoked."""
    row = session.get(IssuedCertificate, serial_of(certificate))
    if row is not None and row.revoked_at is not None:
        raise CertificateRevoked


@dataclass(frozen=True, slots=True)
class KeyState:
    """A certificate of the register and its state in one word."""

    row: IssuedCertificate
    state: str
    """`in_force`, `ends_soon`, `expired`, `suspended` or `revoked`."""


def key_states(session: Session, now: datetime) -> list[KeyState]:
    """Tell the state of every certificate, by key; those of one key newest first."""
    order = (col(IssuedCertificate.key_name), *NEWEST_FIRST)
    rows = session.exec(select(IssuedCertificate).order_by(*order)).all()
    by_roots = {f"{serial:x}" for serial in revoked_by_roots(session)}
    return [KeyState(row, _state(row, by_roots, now)) for row in rows]


def _state(row: IssuedCertificate, revoked_by_roots: Collection[str], now: datetime) -> str:
    if row.revocation_reason == HOLD.value:
        return "suspended"
    if row.revoked_at is not None or row.serial in revoked_by_roots:
        return "revoked"
    if row.not_after < now:
        return "expired"
    # A tenth of its life before the end there is time to renew without haste.
    return "ends_soon" if row.not_after - now < (row.not_after - row.not_before) / 10 else "in_force"


# Revoking -----------------------------------------------------------------------------------------


def revoke_certificate(
    session: Session,
    key_name: str,
    *,
    reason: x509.ReasonFlags,
    compromised_at: datetime | None = None,
    actor: Actor,
    now: datetime,
) -> IssuedCertificate:
    """Revoke (or, with `certificateHold`, suspend) a key's certificate and have its list published at once.

    `compromised_at` says since when the key may have been in other hands: signatures from then on fall.
    Raises CertificateUnknown, RevokedByRoot or AlreadyRevoked.
    """
    row = _find(session, key_name)
    if row.revoked_at is not None and row.revocation_reason != HOLD.value:
        raise AlreadyRevoked
    row.revoked_at, row.revocation_reason = now, reason.value
    row.compromised_at = min(compromised_at, now) if compromised_at else None
    return _changed(session, row, "certificate_revoked", actor, now)


def reinstate_certificate(
    session: Session, key_name: str, *, approve: Approver, actor: Actor, now: datetime
) -> IssuedCertificate:
    """End the suspension of a key's certificate, once two custodians have approved it.

    Raises CertificateUnknown, NotSuspended, or what `approve` raises.
    """
    row = _find(session, key_name)
    if row.revocation_reason != HOLD.value:
        raise NotSuspended
    certificate = x509.load_der_x509_certificate(row.der)
    approval = approve(key_name, certificate)
    record_approval(session, certificate, approval, now)
    row.revoked_at = row.revocation_reason = row.compromised_at = None
    return _changed(session, row, REINSTATED, actor, now, approved_at=approval.facts["at"])


def _find(session: Session, key_name: str) -> IssuedCertificate:
    statement = select(IssuedCertificate).where(IssuedCertificate.key_name == key_name)
    newest = statement.order_by(*NEWEST_FIRST).limit(1)
    row = session.exec(newest.with_for_update()).first()
    if row is None:
        raise CertificateUnknown
    if row.issuer.partition("-")[0] == ROOT:
        raise RevokedByRoot
    return row


def _changed(
    session: Session, row: IssuedCertificate, action: str, actor: Actor, now: datetime, **facts: str
) -> IssuedCertificate:
    session.add(row)
    session.flush()
    jobs.enqueue(session, PUBLISH_JOB)
    record_event(
        session,
        action=action,
        subject_type="certificate",
        subject_id=row.serial,
        actor_id=actor.user_id,
        actor_name=actor.full_name,
        actor_role=actor.role_for_audit,
        now=now,
        data={"key": row.key_name, "reason": row.revocation_reason, **facts},
    )
    return row


# Keys of offline tokens ---------------------------------------------------------------------------


def seal_key_set(session: Session, keys: KeyVault) -> dict[str, Any]:
    """Return the seals that sign with ES256, past ones too, as a JWK Set (RFC 7517 §5).

    Each has its certificate's chain as `x5c`; one whose certificate does not hold has `revoked_at`, in
    seconds, and proves nothing offline, whenever its signatures say that they were made.
    """
    found = []
    for name in generations(keys.names(), SEAL):
        chain = keys.certificates(name)
        if chain and signs_es256(chain[0]):
            row = session.get(IssuedCertificate, serial_of(chain[0]))
            revoked = {"revoked_at": int(row.revoked_at.timestamp())} if row and row.revoked_at else {}
            found.append(public_jwk(chain) | revoked)
    return {"keys": found}
