"""Two persons for what an issuing CA does: opening custodians, keeping approvals, finding what has none.

Without two custodians nobody is enrolled, renewed, imported or reinstated. Suspending and revoking need one
person only, for they must be possible at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from sqlmodel import Session, col, select

from keys import store
from keys.approval import (
    NEEDED,
    Approval,
    Approver,
    approve,
    certificate_statement,
    digest_of_tbs,
    verify_approval,
)
from keys.errors import ApprovalNotValid
from keys.hierarchy import generations
from keys.revocation import Revocation, read_revocations
from keys.store import KeyStore, OpenKey
from service.audit import AuditEvent
from service.errors import Conflict
from service.pki.models import CertificateApproval, IssuedCertificate
from service.pki.register import AUTHORITY_PREFIX, REINSTATED, newest_list, trust_anchors


class TwoCustodiansNeeded(Conflict):
    code = "two_custodians_needed"
    message_id = (
        "Perbuatan ini perlu persetujuan dua pemegang kunci yang berbeda: beri --custodian dua kali, "
        "seperti custodian-satu dan custodian-dua."
    )
    message_en = (
        "This act needs the approval of two different custodians: give --custodian twice, such as "
        "custodian-satu and custodian-dua."
    )


class CustodianNotInForce(Conflict):
    code = "custodian_not_in_force"
    message_id = "Sertifikat pemegang kunci itu dicabut atau tidak berlaku, jadi ia tidak dapat menyetujui."
    message_en = "That custodian's certificate is revoked or not valid, so it approves nothing."


@dataclass(frozen=True, slots=True)
class Custodians:
    """Two or more custodians, opened for one act."""

    keys: tuple[OpenKey, ...]

    def approver(self, act: str, now: datetime, reason: str = "") -> Approver:
        """Return what approves one certificate for an act."""

        def approve_certificate(key_name: str, certificate: x509.Certificate) -> Approval:
            statement = certificate_statement(act, key_name, certificate, now=now, reason=reason)
            return approve(statement, self.keys)

        return approve_certificate


def open_custodians(
    session: Session, keys: KeyStore, passphrases: Mapping[str, str], now: datetime
) -> Custodians:
    """Open custodians' keys by their names, such as `custodian-satu`.

    Raises TwoCustodiansNeeded, CustodianNotInForce, and what the key store raises: KeyNotFound,
    WrongPassphrase, KeyLocked.
    """
    names = list(passphrases)
    if len(names) < NEEDED or not all(name.startswith(store.CUSTODIAN_PREFIX) for name in names):
        raise TwoCustodiansNeeded
    opened = tuple(keys.open_key(name, passphrases[name], now=now) for name in names)
    revoked = _revoked_by_roots(session)
    for key in opened:
        certificate = key.certificate
        if (
            certificate.serial_number in revoked
            or not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc
        ):
            raise CustodianNotInForce
    return Custodians(opened)


# The audit ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Unapproved:
    """A certificate, or its reinstatement, that two custodians have not approved."""

    key_name: str
    serial: str
    act: str
    """`issued` or `reinstated`."""


def find_unapproved(session: Session) -> list[Unapproved]:
    """Find what was issued or reinstated without two custodians.

    Roots and custodians are the root's, and a ceremony's transcript tells of them; a responder is certified
    by the service alone, and can say nothing but whether certificates are revoked.
    """
    anchors = trust_anchors(session)
    revoked = _revoked_by_roots(session)
    found = []
    for row in session.exec(select(IssuedCertificate).order_by(col(IssuedCertificate.recorded_at))):
        certificate = x509.load_der_x509_certificate(row.der)
        approvals = _valid_approvals(session, row, certificate, anchors, revoked)
        if _needs_approval(row) and not any(each["act"] != "reinstate" for each in approvals):
            found.append(Unapproved(row.key_name, row.serial, "issued"))
        reinstated = {each["at"] for each in approvals if each["act"] == "reinstate"}
        for event in _reinstatements(session, row.serial):
            if event.data.get("approved_at") not in reinstated:
                found.append(Unapproved(row.key_name, row.serial, "reinstated"))
    return found


def _needs_approval(row: IssuedCertificate) -> bool:
    is_responder = row.key_name.partition("-")[0] == store.OCSP
    is_custodian = row.key_name.startswith(store.CUSTODIAN_PREFIX) and row.issuer.startswith(store.ROOT)
    # The roots of other houses lie in the folder as well, and only custodians make them trusted.
    is_our_root = row.issuer == row.key_name and row.key_name in generations([row.key_name], store.ROOT)
    is_other = row.key_name.startswith(AUTHORITY_PREFIX)
    return not (is_our_root or is_responder or is_custodian or is_other)


def _valid_approvals(
    session: Session,
    row: IssuedCertificate,
    certificate: x509.Certificate,
    anchors: Sequence[x509.Certificate],
    revoked: Mapping[int, Revocation],
) -> list[dict[str, str]]:
    """List what the valid approvals of a certificate say."""
    valid = []
    statement = select(CertificateApproval).where(CertificateApproval.serial == row.serial)
    for kept in session.exec(statement):
        try:
            approval = Approval.from_json(kept.document)
            custodians = verify_approval(approval, anchors)
        except ApprovalNotValid:
            continue
        at = datetime.fromisoformat(approval.facts["at"])
        past = [revoked[each.serial_number] for each in custodians if each.serial_number in revoked]
        is_exact = approval.facts["tbs_sha256"] == digest_of_tbs(certificate)
        if is_exact and all(at < each.revoked_at for each in past):
            valid.append(approval.facts)
    return valid


def _reinstatements(session: Session, serial: str) -> Sequence[AuditEvent]:
    return session.exec(
        select(AuditEvent).where(AuditEvent.action == REINSTATED, AuditEvent.subject_id == serial)
    ).all()


def _revoked_by_roots(session: Session) -> dict[int, Revocation]:
    """Return what the roots have revoked, by serial number."""
    is_root = IssuedCertificate.issuer == IssuedCertificate.key_name
    roots = session.exec(select(IssuedCertificate.key_name).where(is_root).distinct()).all()
    lists = [newest_list(session, name) for name in roots]
    return {
        each.serial_number: each
        for newest in lists
        if newest is not None
        for each in read_revocations(newest.der)[1]
    }
