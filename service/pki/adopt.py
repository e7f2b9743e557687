"""Certificates that another authority issued for keys kept here: checked, then used in place of ours.

The other authority's root must lie in the keys folder first, as `root-<name>.pem`; whoever puts it there says
that it is trusted, and two custodians confirm it with the first certificate below it.
"""

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from sqlmodel import Session

from keys.algorithms import algorithm_of
from keys.approval import approver
from keys.ceremony import fingerprint
from keys.errors import AlgorithmNotSupported
from keys.hierarchy import generations
from keys.profiles import find_extension, is_authority
from keys.store import AUTHORITY_PREFIX, ROOT, KeyStore, OpenKey
from service.errors import Conflict
from service.pki.approve import has_issued
from service.pki.models import IssuedCertificate
from service.pki.register import (
    record_approval,
    record_folder,
    record_list,
    serial_of,
)

DOCUMENT_SIGNING = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")
"""id-kp-documentSigning (RFC 9336 §3.1)."""
_FOR_DOCUMENTS = {
    DOCUMENT_SIGNING,
    ExtendedKeyUsageOID.EMAIL_PROTECTION,
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
}
_UNDERSTOOD = (x509.BasicConstraints, x509.KeyUsage, x509.ExtendedKeyUsage, x509.CertificatePolicies)


class ChainRefused(Conflict):
    """A chain of certificates, or a list, that another authority issued is not taken."""

    code = "chain_refused"


def adopt_certificate(
    session: Session,
    keys: KeyStore,
    key_name: str,
    given: Sequence[x509.Certificate],
    *,
    passphrase: str,
    custodians: Sequence[OpenKey],
    now: datetime,
) -> list[x509.Certificate]:
    """Use another authority's certificate for a key, and return its chain up to the trust anchor.

    `given` holds the certificate and its issuers, in any order. The key's holder gives the passphrase, and
    the custodians approve. Documents signed before keep the certificate that is in them. Raises ChainRefused,
    and what the key store raises.
    """
    with keys.open_bare_key(key_name, passphrase, now=now) as key:
        public_key = key.public_key
    anchors = [certificate for name in keys.roots() for certificate in keys.certificates(name)]
    chain = check_chain(given, public_key, anchors, now)
    _require_new(session, chain[0])
    approve = approver("import", custodians, now)
    approval = approve(key_name, chain[0])
    for position, issuer in list(enumerate(chain))[1:-1]:
        keys.publish_certificates(f"{AUTHORITY_PREFIX}{fingerprint(issuer)[:16]}", chain[position:])
    keys.add_approval(key_name, approval.to_json())
    keys.add_certificates(key_name, chain, passphrase, now=now)
    record_folder(session, keys, now)
    record_approval(session, chain[-1], approve(ROOT, chain[-1]), now)
    return chain


def _require_new(session: Session, certificate: x509.Certificate) -> None:
    if session.get(IssuedCertificate, serial_of(certificate)) is not None:
        raise ChainRefused(
            "Nomor seri sertifikat itu sudah tercatat di register.",
            "The register holds a certificate of that serial number already.",
        )


def check_chain(
    given: Sequence[x509.Certificate], public_key: object, anchors: Sequence[x509.Certificate], now: datetime
) -> list[x509.Certificate]:
    """Order certificates from the key's own up to a trust anchor, and check them (RFC 5280 §6.1).

    Raises ChainRefused saying what is wrong.
    """
    leaf = next((each for each in given if each.public_key() == public_key), None)
    if leaf is None:
        raise ChainRefused(
            "Tidak ada sertifikat untuk kunci ini di berkas itu.",
            "That file holds no certificate of this key.",
        )
    chain = [leaf]
    while chain[-1] not in anchors:
        issuer = next((each for each in (*anchors, *given) if has_issued(each, chain[-1])), None)
        if issuer is None or issuer in chain:
            raise ChainRefused(
                "Rantai sertifikat tidak berujung pada jangkar kepercayaan di folder kunci (root-….pem).",
                "The chain does not lead to a trust anchor in the keys folder (root-….pem).",
            )
        chain.append(issuer)
    for each in chain:
        _check_validity(each, now)
    _check_usage(leaf)
    for depth, each in enumerate(chain[1:]):
        _check_authority(each, depth)
    return chain


def _check_validity(certificate: x509.Certificate, now: datetime) -> None:
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        name = certificate.subject.rfc4514_string()
        raise ChainRefused(
            f"Sertifikat {name} tidak berlaku saat ini.", f"The certificate of {name} is not valid now."
        )
    for each in certificate.extensions:
        if each.critical and not isinstance(each.value, _UNDERSTOOD):
            raise ChainRefused(
                f"Ekstensi kritis {each.oid.dotted_string} tidak dikenal.",
                f"The critical extension {each.oid.dotted_string} is not known.",
            )


def _check_usage(leaf: x509.Certificate) -> None:
    usage, purposes = find_extension(leaf, x509.KeyUsage), find_extension(leaf, x509.ExtendedKeyUsage)
    signs = usage is not None and usage.digital_signature and usage.content_commitment
    fits = purposes is None or not _FOR_DOCUMENTS.isdisjoint(purposes)
    if is_authority(leaf) or not signs or not fits:
        raise ChainRefused(
            "Sertifikat itu bukan untuk menandatangani dokumen (digitalSignature dan nonRepudiation).",
            "That certificate is not for signing documents (digitalSignature and nonRepudiation).",
        )
    try:
        algorithm_of(leaf.public_key())
    except AlgorithmNotSupported as error:
        raise ChainRefused(f"Jenis kunci tidak didukung. {error}", str(error)) from error


def _check_authority(authority: x509.Certificate, below: int) -> None:
    """Check an issuer that has `below` other authorities between itself and the key's certificate."""
    constraints = find_extension(authority, x509.BasicConstraints)
    usage = find_extension(authority, x509.KeyUsage)
    limit = constraints.path_length if constraints and constraints.ca else -1
    if (limit is not None and limit < below) or (usage is not None and not usage.key_cert_sign):
        name = authority.subject.rfc4514_string()
        raise ChainRefused(
            f"{name} tidak berwenang menerbitkan sertifikat itu.",
            f"{name} has no authority to issue that certificate.",
        )


def adopt_list(session: Session, keys: KeyStore, der: bytes, now: datetime) -> str:
    """Record another authority's revocation list, and return the name of its issuer in the register.

    Without fresh lists, verification of what was signed with an imported certificate stays undecided. Raises
    ChainRefused for a list of nobody known, with a wrong signature, or not of this time.
    """
    try:
        crl = x509.load_der_x509_crl(der)
        crl.extensions.get_extension_for_class(x509.CRLNumber)
    except (ValueError, x509.ExtensionNotFound):
        raise ChainRefused(*_LIST_REFUSED) from None
    others = [name for name in keys.roots() if not generations([name], ROOT)]
    issuers = (*keys.authorities(), *others)
    issuer = next((name for name in issuers if _has_signed(keys.certificates(name)[0], crl)), None)
    ends = crl.next_update_utc
    if issuer is None or ends is None or not crl.last_update_utc <= now <= ends:
        raise ChainRefused(*_LIST_REFUSED)
    record_list(session, issuer, der)
    return issuer


_LIST_REFUSED = (
    "Daftar pencabutan itu bukan milik otoritas yang dikenal, atau tidak berlaku saat ini.",
    "That revocation list is of no authority known here, or does not hold now.",
)


def _has_signed(issuer: x509.Certificate, crl: x509.CertificateRevocationList) -> bool:
    try:
        is_valid = crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
    except TypeError:
        return False
    return is_valid and issuer.subject == crl.issuer
