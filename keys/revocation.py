"""Certificate revocation lists (RFC 5280 §5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from asn1crypto import crl as asn1_crl
from asn1crypto import x509 as asn1_x509
from cryptography import x509

from keys.authority import encode_extensions, encode_time
from keys.errors import ProfileViolation
from keys.store import OpenKey, signature_algorithm


@dataclass(frozen=True)
class Revocation:
    """One revoked certificate. `unspecified` is left out of the list, as RFC 5280 §5.3.1 asks."""

    serial_number: int
    revoked_at: datetime
    reason: x509.ReasonFlags = x509.ReasonFlags.unspecified


def build_crl(
    issuer: OpenKey,
    revocations: Sequence[Revocation],
    *,
    number: int,
    this_update: datetime,
    next_update: datetime,
) -> bytes:
    """Return a complete CRL of the issuer, DER, version 2, with its CRL number (RFC 5280 §5.2.3).

    Raises ProfileViolation when the issuer may not sign CRLs or the times are out of order.
    """
    usage = issuer.certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    if not usage.crl_sign:
        raise ProfileViolation("The issuer's certificate does not allow signing revocation lists.")
    if this_update >= next_update:
        raise ProfileViolation("A revocation list's next update must be later than its update.")
    public_key = issuer.certificate.public_key()
    algorithm = asn1_x509.SignedDigestAlgorithm({"algorithm": signature_algorithm(public_key)})
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(public_key)  # type: ignore[arg-type]
    fields = {
        "version": "v2",
        "signature": algorithm,
        "issuer": asn1_x509.Name.load(issuer.certificate.subject.public_bytes()),
        "this_update": encode_time(this_update),
        "next_update": encode_time(next_update),
        "crl_extensions": encode_extensions([(identifier, False), (x509.CRLNumber(number), False)]),
    }
    if revocations:
        # RFC 5280 §5.1.2.6: the field is absent when nothing is revoked.
        fields["revoked_certificates"] = [_entry(revocation) for revocation in revocations]
    tbs = asn1_crl.TbsCertList(fields).dump()
    der: bytes = asn1_crl.CertificateList(
        {
            "tbs_cert_list": asn1_crl.TbsCertList.load(tbs),
            "signature_algorithm": algorithm,
            "signature": issuer.sign(tbs),
        }
    ).dump()
    return der


def _entry(revocation: Revocation) -> dict[str, object]:
    entry: dict[str, object] = {
        "user_certificate": revocation.serial_number,
        "revocation_date": encode_time(revocation.revoked_at),
    }
    if revocation.reason is not x509.ReasonFlags.unspecified:
        entry["crl_entry_extensions"] = encode_extensions([(x509.CRLReason(revocation.reason), False)])
    return entry


def read_revocations(der: bytes | None) -> tuple[int, list[Revocation]]:
    """Return the number and the entries of a revocation list; 0 and none when there is no list yet.

    Raises ValueError for what is not a CRL with a number.
    """
    if der is None:
        return 0, []
    crl = x509.load_der_x509_crl(der)
    number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    return number, [
        Revocation(entry.serial_number, entry.revocation_date_utc, _reason_of(entry)) for entry in crl
    ]


def _reason_of(entry: x509.RevokedCertificate) -> x509.ReasonFlags:
    try:
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except x509.ExtensionNotFound:
        return x509.ReasonFlags.unspecified
