"""Certificate revocation lists (RFC 5280 §5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from keys.algorithms import algorithm_of
from keys.der import bit_string, explicit, extensions, integer, sequence, time
from keys.lint_revocation import lint_crl
from keys.store import OpenKey


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

    Raises ProfileViolation, before anything is signed, as `lint_crl` does.
    """
    key_identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.certificate.public_key())  # type: ignore[arg-type]
    identifier = algorithm_of(issuer.certificate.public_key()).identifier
    tbs = sequence(
        integer(1),
        identifier,
        issuer.certificate.subject.public_bytes(),
        time(this_update),
        time(next_update),
        # RFC 5280 §5.1.2.6: the field is absent when nothing is revoked.
        *([sequence(*map(_entry, revocations))] if revocations else []),
        explicit(0, extensions([(key_identifier, False), (x509.CRLNumber(number), False)])),
    )
    lint_crl(tbs, identifier, issuer.certificate)
    return sequence(tbs, identifier, bit_string(issuer.sign(tbs)))


def _entry(revocation: Revocation) -> bytes:
    is_told = revocation.reason is not x509.ReasonFlags.unspecified
    return sequence(
        integer(revocation.serial_number),
        time(revocation.revoked_at),
        *([extensions([(x509.CRLReason(revocation.reason), False)])] if is_told else []),
    )


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
