"""Certificate profiles of the hierarchy (RFC 5280 §4.2, RFC 3161 §2.3, RFC 6960 §4.2.2.2) as frozen data.

All that distinguishes one kind of certificate from another stands here; `extensions_of` alone puts it into
extensions, for the authority that writes them and for the lint that compares them.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from keys.algorithms import ALGORITHMS, ED25519, PublicKey

E = TypeVar("E", bound=x509.ExtensionType)

_ARC = "2.25.63429011583505624231350738290954866669"
"""An arc of our own below 2.25 (ITU-T X.667), which needs no registration."""

EXAMPLE_POLICY = x509.ObjectIdentifier(f"{_ARC}.1")
"""The certificate policy of hierarchies that the national authority has not recognised."""

TIMESTAMP_POLICY = x509.ObjectIdentifier(f"{_ARC}.2")
"""The policy under which our TSA stamps (RFC 3161 §2.4.2)."""

CUSTODIAN_PURPOSE = x509.ObjectIdentifier(f"{_ARC}.3")
"""The only purpose of a custodian's key: approving what an issuing CA shall certify."""


@dataclass(frozen=True)
class Addresses:
    """Where a relying party finds the issuer's services (RFC 5280 §4.2.1.13 and §4.2.2.1), as URLs."""

    crl: str | None = None
    ca_issuers: str | None = None
    ocsp: str | None = None


@dataclass(frozen=True)
class Profile:
    """What certificates of one kind have in common.

    `validity` is the longest they may have and `algorithms` what their keys may be, the first by default.
    `issued_by` is the profile's name of their issuer, nothing for those that sign themselves.
    `key_usage` holds RFC 5280 §4.2.1.3 bits by the names `x509.KeyUsage` gives them; `path_length` is
    the number of authorities allowed below an authority (§4.2.1.9), meaningless for others. `addresses`
    are those of the issuer's Addresses that the certificate names.
    """

    name: str
    issued_by: str | None
    validity: timedelta
    key_usage: frozenset[str]
    extended_key_usage: tuple[x509.ObjectIdentifier, ...] = ()
    policies: tuple[x509.ObjectIdentifier, ...] = (EXAMPLE_POLICY,)
    addresses: tuple[str, ...] = ("crl", "ca_issuers", "ocsp")
    algorithms: tuple[str, ...] = tuple(ALGORITHMS)
    is_authority: bool = False
    path_length: int | None = None
    ocsp_no_check: bool = False


_AUTHORITY_USAGE = frozenset({"key_cert_sign", "crl_sign"})
_DOCUMENT_USAGE = frozenset({"digital_signature", "content_commitment"})
_SIGNING_USAGE = frozenset({"digital_signature"})
_YEAR = timedelta(days=365)
_FOR_DOCUMENTS = tuple(name for name in ALGORITHMS if name != ED25519.name)
"""Poppler and MuPDF read no Ed25519 signature in a document, OpenSSL none in a time stamp."""
_OFFLINE = ("crl", "ca_issuers")
"""The root's key lies offline, so nobody answers for it live."""

ROOT = Profile(
    "root",
    None,
    20 * _YEAR,
    _AUTHORITY_USAGE,
    policies=(),
    addresses=(),
    is_authority=True,
    path_length=1,
)
ISSUING_CA = Profile(
    "issuing", "root", 10 * _YEAR, _AUTHORITY_USAGE, addresses=_OFFLINE, is_authority=True, path_length=0
)
OFFICIAL = Profile("official", "issuing", 2 * _YEAR, _DOCUMENT_USAGE, algorithms=_FOR_DOCUMENTS)
SEAL = Profile("seal", "issuing", 2 * _YEAR, _DOCUMENT_USAGE, algorithms=_FOR_DOCUMENTS)
TSA = Profile(
    "tsa",
    "issuing",
    8 * _YEAR,
    _SIGNING_USAGE,
    (ExtendedKeyUsageOID.TIME_STAMPING,),
    algorithms=_FOR_DOCUMENTS,
)
OCSP_RESPONDER = Profile(
    "ocsp",
    "issuing",
    timedelta(days=90),
    _SIGNING_USAGE,
    (ExtendedKeyUsageOID.OCSP_SIGNING,),
    # Nobody asks about a responder's own revocation, so it names no address and no policy.
    policies=(),
    addresses=(),
    ocsp_no_check=True,
)
CUSTODIAN = Profile("custodian", "root", 10 * _YEAR, _SIGNING_USAGE, (CUSTODIAN_PURPOSE,), addresses=_OFFLINE)
"""Certified by the root, so that whoever holds the issuing CA alone cannot appoint custodians."""

PROFILES = {each.name: each for each in (ROOT, ISSUING_CA, TSA, OCSP_RESPONDER, SEAL, OFFICIAL, CUSTODIAN)}

_KEY_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def find_extension(certificate: x509.Certificate, kind: type[E]) -> E | None:
    """Return a certificate's extension of a kind, if it has one."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def is_authority(certificate: x509.Certificate) -> bool:
    """Tell whether a certificate is an authority's (RFC 5280 §4.2.1.9)."""
    constraints = find_extension(certificate, x509.BasicConstraints)
    return constraints is not None and constraints.ca


def extensions_of(
    profile: Profile, public_key: PublicKey, issuer_key: PublicKey, addresses: Addresses
) -> list[tuple[x509.ExtensionType, bool]]:
    """List the extensions of a certificate, each with its criticality; `addresses` are its issuer's."""
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(profile.is_authority, profile.path_length), True),
        (x509.KeyUsage(**{bit: bit in profile.key_usage for bit in _KEY_USAGES}), True),
        (x509.SubjectKeyIdentifier.from_public_key(public_key), False),
    ]
    if profile.issued_by:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key)
        extensions.append((identifier, False))
    if profile.extended_key_usage:
        # RFC 3161 §2.3 demands that a TSA's only purpose is critical; it harms no other profile.
        extensions.append((x509.ExtendedKeyUsage(profile.extended_key_usage), True))
    if profile.ocsp_no_check:
        extensions.append((x509.OCSPNoCheck(), False))
    if profile.policies:
        information = [x509.PolicyInformation(policy, None) for policy in profile.policies]
        extensions.append((x509.CertificatePolicies(information), False))
    return extensions + _address_extensions(profile, addresses)


def _address_extensions(profile: Profile, addresses: Addresses) -> list[tuple[x509.ExtensionType, bool]]:
    named = {
        kind: x509.UniformResourceIdentifier(url)
        for kind in profile.addresses
        if (url := getattr(addresses, kind))
    }
    extensions: list[tuple[x509.ExtensionType, bool]] = []
    if "crl" in named:
        point = x509.DistributionPoint([named["crl"]], None, None, None)
        extensions.append((x509.CRLDistributionPoints([point]), False))
    access = [
        x509.AccessDescription(method, named[kind])
        for method, kind in (
            (AuthorityInformationAccessOID.OCSP, "ocsp"),
            (AuthorityInformationAccessOID.CA_ISSUERS, "ca_issuers"),
        )
        if kind in named
    ]
    if access:
        extensions.append((x509.AuthorityInformationAccess(access), False))
    return extensions
