"""OCSP answers: signed live, so that a revocation is told at once, and beforehand, for caches (RFC 5019)."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from pydantic import SecretStr
from sqlalchemy import Engine
from sqlmodel import Session, col, delete, select

from keys import store
from keys.hierarchy import generations, responder_name
from keys.ocsp import ALGORITHMS, CertId, CertStatus, answer_beforehand, asked_alone, respond
from keys.store import KeyStore, OpenKey
from service.database import reading, transaction
from service.pki.models import IssuedCertificate, OcspAnswer

ANSWER_VALIDITY = timedelta(hours=1)
"""How long a live answer speaks; it is never kept for so long here."""
BEFOREHAND_VALIDITY = timedelta(hours=4)
"""How long an answer signed beforehand speaks; the hourly job signs the next one long before."""
REFRESHED = timedelta(minutes=45)


@dataclass(slots=True)
class Responders:
    """The OCSP responders' keys that this process has opened, by the name of their issuing CA."""

    keys: KeyStore
    passphrase: SecretStr
    opened: dict[str, OpenKey] = field(default_factory=dict)

    def find(self, cert_id: CertId, now: datetime) -> OpenKey | None:
        """Return the responder of the issuing CA that a query means, nothing for a stranger's.

        Raises WrongPassphrase or KeyLocked.
        """
        for name in generations(self.keys.names(), store.ISSUING):
            if cert_id.is_issued_by(self.keys.certificates(name)[0]):
                return self.open(name, now)
        return None

    def open(self, issuing: str, now: datetime) -> OpenKey | None:
        """Return the responder of an issuing CA, nothing before one was certified."""
        name = responder_name(issuing)
        certificates = self.keys.certificates(name) if name in self.keys.names() else ()
        if not certificates:
            return None
        known = self.opened.get(issuing)
        # A certificate that the job renewed meanwhile takes the older one's place.
        if known is None or known.certificate != certificates[0]:
            known = self.keys.open_key(name, self.passphrase.get_secret_value(), now=now)
            self.opened[issuing] = known
        return known


def answer_ocsp(session: Session, query: bytes, responders: Responders, now: datetime) -> bytes:
    """Answer a DER OCSPRequest from the register: live, so that a revocation is told at once."""
    return respond(
        query,
        lambda cert_id: responders.find(cert_id, now),
        lambda cert_id: _status(session.get(IssuedCertificate, f"{cert_id.serial_number:x}")),
        now=now,
        next_update=now + ANSWER_VALIDITY,
    )


def find_answer(session: Session, query: bytes, now: datetime) -> OcspAnswer | None:
    """Find the answer that was signed beforehand, if the query allows one and the register still says so."""
    cert_id = asked_alone(query)
    answer = session.get(OcspAnswer, _key(cert_id)) if cert_id else None
    if answer is None or not answer.this_update <= now < answer.next_update:
        return None
    status = _status(session.get(IssuedCertificate, answer.serial))
    return answer if answer.says == _says(status) else None


def presign_answers(engine: Engine, issuing: str, responders: Responders, now: datetime) -> int:
    """Sign the answers about an issuing CA's certificates that are missing, old or wrong; return how many.

    Answers that ended are deleted. Raises WrongPassphrase or KeyLocked.
    """
    certificate = responders.keys.certificates(issuing)[0]
    with reading(engine) as session:
        due = _due(session, issuing, certificate, now)
    responder = responders.open(issuing, now) if due else None
    if responder is None:
        return 0
    with transaction(engine) as session:
        session.execute(delete(OcspAnswer).where(col(OcspAnswer.next_update) < now))
        for serial, cert_id in due:
            status = _status(session.get(IssuedCertificate, serial))
            until = now + BEFOREHAND_VALIDITY
            der = answer_beforehand(responder, cert_id, status, now=now, next_update=until)
            session.merge(
                OcspAnswer(
                    cert_id=_key(cert_id),
                    serial=serial,
                    says=_says(status),
                    this_update=now.replace(microsecond=0),
                    next_update=until,
                    der=der,
                )
            )
    return len(due)


def _due(session: Session, issuing: str, issuer: x509.Certificate, now: datetime) -> list[tuple[str, CertId]]:
    statement = select(IssuedCertificate).where(
        IssuedCertificate.issuer == issuing, col(IssuedCertificate.not_after) > now
    )
    found = []
    for row in session.exec(statement):
        for algorithm in ALGORITHMS:
            cert_id = CertId.of(issuer, int(row.serial, 16), algorithm)
            answer = session.get(OcspAnswer, _key(cert_id))
            fresh = answer is not None and now - answer.this_update < REFRESHED
            if answer is None or not fresh or answer.says != _says(_status(row)):
                found.append((row.serial, cert_id))
    return found


def _status(row: IssuedCertificate | None) -> CertStatus:
    if row is None:
        return CertStatus(is_known=False)
    reason = x509.ReasonFlags(row.revocation_reason or x509.ReasonFlags.unspecified.value)
    return CertStatus(True, row.revoked_at and (row.compromised_at or row.revoked_at), reason)


def _says(status: CertStatus) -> str:
    return f"{status.revoked_at:%Y%m%d%H%M%S} {status.reason.value}" if status.revoked_at else "good"


def _key(cert_id: CertId) -> str:
    return hashlib.sha256(cert_id.encode()).hexdigest()
