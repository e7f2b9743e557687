"""Certificate profiles of the hierarchy (RFC 5280 §4.2, RFC 3161 §2.3, RFC 6960 §4.2.2.2) as frozen data."""

from dataclasses import dataclass
from datetime import timedelta

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

_ARC = "2.25.63429011583505624231350738290954866669"
"""An arc of our own below 2.25 (ITU-T X.667), which needs no registration."""

EXAMPLE_POLICY = x509.ObjectIdentifier(f"{_ARC}.1")
"""The certificate policy of hierarchies that the national authority has not recognised."""

TIMESTAMP_POLICY = x509.ObjectIdentifier(f"{_ARC}.2")
"""The policy under which our TSA stamps (RFC 3161 §2.4.2)."""


@dataclass(frozen=True)
class Profile:
    """What certificates of one kind have in common.

    `key_usage` holds RFC 5280 §4.2.1.3 bits by the names `x509.KeyUsage` gives them; `path_length` is
    the number of authorities allowed below an authority (§4.2.1.9), meaningless for others.
    """

    name: str
    validity: timedelta
    key_usage: frozenset[str]
    extended_key_usage: tuple[x509.ObjectIdentifier, ...] = ()
    is_authority: bool = False
    path_length: int | None = None
    ocsp_no_check: bool = False


_AUTHORITY_USAGE = frozenset({"key_cert_sign", "crl_sign"})
_DOCUMENT_USAGE = frozenset({"digital_signature", "content_commitment"})
_YEAR = timedelta(days=365)

ROOT = Profile("root", 20 * _YEAR, _AUTHORITY_USAGE, is_authority=True, path_length=1)
ISSUING_CA = Profile("issuing", 10 * _YEAR, _AUTHORITY_USAGE, is_authority=True, path_length=0)
OFFICIAL = Profile("official", 2 * _YEAR, _DOCUMENT_USAGE)
SEAL = Profile("seal", 2 * _YEAR, _DOCUMENT_USAGE)
TSA = Profile("tsa", 8 * _YEAR, frozenset({"digital_signature"}), (ExtendedKeyUsageOID.TIME_STAMPING,))
OCSP_RESPONDER = Profile(
    "ocsp",
    timedelta(days=90),
    frozenset({"digital_signature"}),
    (ExtendedKeyUsageOID.OCSP_SIGNING,),
    ocsp_no_check=True,
)
