"""Two persons for what an issuing CA does: opening custodians, keeping approvals, finding what has none.

Without two custodians nobody is enrolled, renewed, imported or reinstated. Suspending and revoking need one
person only, for they must be possible at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtendedKeyUsageOID
from sqlmodel import Session, col, select

from keys import store
from keys.approval import (
    NEEDED,
    Approval,
    digest_of_tbs,
    verify_approval,
)
from keys.errors import ApprovalNotValid
from keys.hierarchy import generations
from keys.profiles import CUSTODIAN_PURPOSE, find_extension, is_authority
from keys.revocation import Revocation
from keys.store import KeyStore, OpenKey
from service.audit import AuditEvent
from service.errors import Conflict
from service.pki.models import CertificateApproval, IssuedCertificate
from service.pki.register import REINSTATED, revoked_by_roots


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


def open_custodians(
    session: Session, keys: KeyStore, passphrases: Mapping[str, str], now: datetime
) -> tuple[OpenKey, ...]:
    """Open custodians' keys by their names, such as `custodian-satu`. Who opens them closes them.

    Raises TwoCustodiansNeeded, CustodianNotInForce, and what the key store raises: KeyNotFound,
    WrongPassphrase, KeyLocked.
    """
    names = list(passphrases)
    if len(names) < NEEDED or not all(name.startswith(store.CUSTODIAN_PREFIX) for name in names):
        raise TwoCustodiansNeeded
    opened = tuple(keys.open_key(name, passphrases[name], now=now) for name in names)
    roots, revoked = our_roots(session), revoked_by_roots(session)
    for key in opened:
        certificate = key.certificate
        if (
            certificate.serial_number in revoked
            or not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc
            # The folder's own word for its chain is not enough: the register knows the roots.
            or not any(has_issued(root, certificate) for root in roots)
        ):
            raise CustodianNotInForce
    return opened


def our_roots(session: Session) -> list[x509.Certificate]:
    """Return the ceremony's root and those that custodians below an earlier one have approved.

    Other roots in the keys folder, whatever their names, make nobody a custodian.
    """
    names = generations(set(session.exec(select(IssuedCertificate.key_name)).all()), store.ROOT)
    rows = session.exec(
        select(IssuedCertificate)
        .where(col(IssuedCertificate.key_name).in_(names))
        .order_by(col(IssuedCertificate.recorded_at))
    ).all()
    accepted: list[x509.Certificate] = []
    revoked = revoked_by_roots(session)
    for row in sorted(rows, key=lambda each: names.index(each.key_name)):
        certificate = x509.load_der_x509_certificate(row.der)
        if not (is_authority(certificate) and has_issued(certificate, certificate)):
            continue
        if not accepted or _valid_approvals(session, row, certificate, accepted, revoked):
            accepted.append(certificate)
    return accepted


def has_issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Tell whether an issuer has signed a certificate."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


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

    What a certificate may do decides, not the name it is kept under. The ceremony's root is on the paper that
    its witnesses signed; custodians are the root's to appoint; a responder is certified by the service alone,
    and can say nothing but whether certificates are revoked; authorities of other houses count by their root.
    """
    rows = session.exec(select(IssuedCertificate).order_by(col(IssuedCertificate.recorded_at))).all()
    certificates = {row.serial: x509.load_der_x509_certificate(row.der) for row in rows}
    roots, revoked = our_roots(session), revoked_by_roots(session)
    ours = [*roots, *(each for each in certificates.values() if _is_below(roots, each))]
    found = []
    for row in rows:
        certificate = certificates[row.serial]
        approvals = _valid_approvals(session, row, certificate, roots, revoked)
        is_issued = any(each["act"] != "reinstate" for each in approvals)
        if not is_issued and certificate not in roots[:1] and _needs_approval(certificate, ours):
            found.append(Unapproved(row.key_name, row.serial, "issued"))
        reinstated = {each["at"] for each in approvals if each["act"] == "reinstate"}
        for event in _reinstatements(session, row.serial):
            if event.data.get("approved_at") not in reinstated:
                found.append(Unapproved(row.key_name, row.serial, "reinstated"))
    return found


def _is_below(roots: Sequence[x509.Certificate], certificate: x509.Certificate) -> bool:
    return is_authority(certificate) and any(has_issued(root, certificate) for root in roots)


def _needs_approval(certificate: x509.Certificate, ours: Sequence[x509.Certificate]) -> bool:
    if is_authority(certificate):
        is_root = certificate.issuer == certificate.subject
        return is_root or any(has_issued(each, certificate) for each in ours)
    usage = find_extension(certificate, x509.KeyUsage)
    purposes = find_extension(certificate, x509.ExtendedKeyUsage)
    signs_documents = usage is None or usage.content_commitment
    return signs_documents or purposes is None or list(purposes) not in _WITHOUT_APPROVAL


_WITHOUT_APPROVAL = ([ExtendedKeyUsageOID.OCSP_SIGNING], [CUSTODIAN_PURPOSE])


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
        # The statement's own time is what a thief of the key would date back.
        if is_exact and all(max(at, kept.recorded_at) < each.revoked_at for each in past):
            valid.append(approval.facts)
    return valid


def _reinstatements(session: Session, serial: str) -> Sequence[AuditEvent]:
    return session.exec(
        select(AuditEvent).where(AuditEvent.action == REINSTATED, AuditEvent.subject_id == serial)
    ).all()
