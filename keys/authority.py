"""The certificate authority: makes trust anchors and issues certificates (RFC 5280)."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from keys import profiles
from keys.algorithms import PrivateKey, PublicKey, algorithm_of, sign_with
from keys.der import bit_string, explicit, extensions, integer, sequence, time
from keys.errors import ProfileViolation
from keys.lint import UNSIGNED, lint_certificate
from keys.profiles import Addresses, Profile, extensions_of
from keys.store import OpenKey


@dataclass(frozen=True)
class Subject:
    """Whom a certificate names (RFC 5280 §4.1.2.6). X.520 allows 64 characters in each part."""

    common_name: str
    organisation: str | None = None
    organisational_unit: str | None = None
    country: str = "ID"
    locality: str | None = None
    title: str | None = None

    @classmethod
    def of(cls, certificate: x509.Certificate) -> "Subject":
        """Return whom a certificate names, to name them again in its successor."""

        def part(oid: x509.ObjectIdentifier) -> str | None:
            found = certificate.subject.get_attributes_for_oid(oid)
            return str(found[0].value) if found else None

        return cls(
            part(NameOID.COMMON_NAME) or "",
            organisation=part(NameOID.ORGANIZATION_NAME),
            organisational_unit=part(NameOID.ORGANIZATIONAL_UNIT_NAME),
            country=part(NameOID.COUNTRY_NAME) or "ID",
            locality=part(NameOID.LOCALITY_NAME),
            title=part(NameOID.TITLE),
        )

    def as_name(self) -> x509.Name:
        """Return the distinguished name. Raises ProfileViolation for a part that X.520 does not allow."""
        parts = (
            (NameOID.COUNTRY_NAME, self.country),
            (NameOID.ORGANIZATION_NAME, self.organisation),
            (NameOID.ORGANIZATIONAL_UNIT_NAME, self.organisational_unit),
            (NameOID.LOCALITY_NAME, self.locality),
            (NameOID.TITLE, self.title),
            (NameOID.COMMON_NAME, self.common_name),
        )
        if any(value is not None and not 1 <= len(value) <= 64 for _, value in parts):
            raise ProfileViolation("Every part of a subject's name must have between 1 and 64 characters.")
        if not (len(self.country) == 2 and self.country.isascii() and self.country.isupper()):
            raise ProfileViolation("A subject's country must be two capital letters.")
        return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts if value is not None])


@dataclass(frozen=True)
class Draft:
    """A certificate that is not signed yet: `tbs` is the DER of its TBSCertificate (RFC 5280 §4.1.2).

    `issuer` is nothing for a certificate that shall sign itself; `addresses` are its issuer's.
    """

    profile: Profile
    tbs: bytes
    public_key: PublicKey
    issuer: x509.Certificate | None
    addresses: Addresses

    @property
    def identifier(self) -> bytes:
        """The DER AlgorithmIdentifier of the signature that it waits for."""
        return algorithm_of(self.issuer.public_key() if self.issuer else self.public_key).identifier

    def preview(self) -> x509.Certificate:
        """Return the certificate as it will be, with a signature that does not hold yet."""
        return x509.load_der_x509_certificate(sequence(self.tbs, self.identifier, UNSIGNED))


def draft_certificate(
    profile: Profile,
    subject: Subject,
    public_key: PublicKey,
    issuer: x509.Certificate | None,
    *,
    now: datetime,
    validity: timedelta | None = None,
    addresses: Addresses = Addresses(),
) -> Draft:
    """Compose a certificate, valid from `now` for the profile's time, but never longer than its issuer's.

    Raises ProfileViolation for a subject that X.520 does not allow, or AlgorithmNotSupported.
    """
    name = subject.as_name().public_bytes()
    issuer_key = issuer.public_key() if issuer else public_key
    end = now + (validity or profile.validity)
    if issuer:
        end = min(end, issuer.not_valid_after_utc)
    tbs = sequence(
        explicit(0, integer(2)),
        integer(random_serial_number()),
        algorithm_of(issuer_key).identifier,
        issuer.subject.public_bytes() if issuer else name,
        sequence(time(now), time(end)),
        name,
        public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        explicit(3, extensions(extensions_of(profile, public_key, issuer_key, addresses))),  # type: ignore[arg-type]
    )
    return Draft(profile, tbs, public_key, issuer, addresses)


def sign_draft(draft: Draft, sign: Callable[[bytes], bytes]) -> x509.Certificate:
    """Lint a draft, have its issuer's `sign` sign it, and check the result.

    The structure is encoded here because `x509.CertificateBuilder` wants the private key itself, which
    a hardware token never gives away. Raises ProfileViolation, before anything is signed.
    """
    lint_certificate(draft.tbs, draft.identifier, draft.profile, draft.issuer, draft.addresses)
    der = sequence(draft.tbs, draft.identifier, bit_string(sign(draft.tbs)))
    certificate = x509.load_der_x509_certificate(der)
    # A key that does not belong to the issuer's certificate is noticed here, not by the first verifier.
    certificate.verify_directly_issued_by(draft.issuer or certificate)
    return certificate


def create_root(
    subject: Subject,
    private_key: PrivateKey,
    *,
    now: datetime,
    profile: Profile = profiles.ROOT,
    validity: timedelta | None = None,
) -> OpenKey:
    """Make a self-signed trust anchor, valid from `now`, and return it opened.

    Raises ProfileViolation or AlgorithmNotSupported.
    """
    sign = sign_with(private_key)
    draft = draft_certificate(profile, subject, private_key.public_key(), None, now=now, validity=validity)
    return OpenKey(profile.name, sign_draft(draft, sign), (), sign)


def issue_certificate(
    profile: Profile,
    subject: Subject,
    public_key: PublicKey,
    issuer: OpenKey,
    *,
    now: datetime,
    addresses: Addresses = Addresses(),
) -> x509.Certificate:
    """Compose and sign a certificate at once: one that needs nobody's approval.

    Raises ProfileViolation when the issuer may not issue it (RFC 5280 §4.2.1.3, §4.2.1.9, §6.1.4).
    """
    draft = draft_certificate(profile, subject, public_key, issuer.certificate, now=now, addresses=addresses)
    return sign_draft(draft, issuer.sign)


def random_serial_number() -> int:
    """Return 128 random bits below a set top bit: positive, 17 octets at most (RFC 5280 §4.1.2.2)."""
    return secrets.randbits(128) | 1 << 128
