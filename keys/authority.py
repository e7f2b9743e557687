"""The certificate authority: makes trust anchors and issues certificates (RFC 5280)."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from asn1crypto import core
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from keys import profiles
from keys.errors import ProfileViolation
from keys.profiles import Profile
from keys.store import OpenKey, PrivateKey, PublicKey, sign_with, signature_algorithm

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
class Addresses:
    """Where a relying party finds the issuer's services (RFC 5280 §4.2.1.13 and §4.2.2.1), as URLs."""

    crl: str | None = None
    ca_issuers: str | None = None
    ocsp: str | None = None


def create_root(
    subject: Subject, private_key: PrivateKey, *, now: datetime, profile: Profile = profiles.ROOT
) -> OpenKey:
    """Make a self-signed trust anchor, valid from `now`, and return it opened.

    Raises ProfileViolation or AlgorithmNotSupported.
    """
    public_key = private_key.public_key()
    certificate = _sign_certificate(
        profile=profile,
        subject=subject.as_name(),
        public_key=public_key,
        validity=(now, now + profile.validity),
        extensions=_extensions(profile, public_key, public_key, Addresses(), ()),
        issuer=None,
        sign=sign_with(private_key),
    )
    return OpenKey(profile.name, certificate, (), sign_with(private_key))


def issue_certificate(
    profile: Profile,
    subject: Subject,
    public_key: PublicKey,
    issuer: OpenKey,
    *,
    now: datetime,
    addresses: Addresses = Addresses(),
    policies: Sequence[x509.ObjectIdentifier] = (profiles.EXAMPLE_POLICY,),
) -> x509.Certificate:
    """Issue a certificate valid from `now` for the profile's time, but never longer than its issuer's.

    Raises ProfileViolation when the issuer may not issue it (RFC 5280 §4.2.1.3, §4.2.1.9, §6.1.4).
    """
    _require_authority(issuer.certificate, profile, now)
    end = min(now + profile.validity, issuer.certificate.not_valid_after_utc)
    issuer_public_key = issuer.certificate.public_key()
    return _sign_certificate(
        profile=profile,
        subject=subject.as_name(),
        public_key=public_key,
        validity=(now, end),
        extensions=_extensions(profile, public_key, issuer_public_key, addresses, policies),
        issuer=issuer,
        sign=issuer.sign,
    )


def random_serial_number() -> int:
    """Return 128 random bits below a set top bit: positive, 17 octets at most (RFC 5280 §4.1.2.2)."""
    return secrets.randbits(128) | 1 << 128


def _require_authority(issuer: x509.Certificate, profile: Profile, now: datetime) -> None:
    constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
    if not constraints.ca:
        raise ProfileViolation("The issuer is not a certificate authority.")
    if profile.is_authority and constraints.path_length == 0:
        raise ProfileViolation("The issuer may not issue certificates of authorities.")
    if not issuer.not_valid_before_utc <= now <= issuer.not_valid_after_utc:
        raise ProfileViolation("The issuer's certificate is not valid at this time.")


def _extensions(
    profile: Profile,
    public_key: PublicKey,
    issuer_public_key: object,
    addresses: Addresses,
    policies: Sequence[x509.ObjectIdentifier],
) -> list[tuple[x509.ExtensionType, bool]]:
    """List the certificate's extensions, each with its criticality."""
    usage = x509.KeyUsage(**{bit: bit in profile.key_usage for bit in _KEY_USAGES})
    constraints = x509.BasicConstraints(profile.is_authority, profile.path_length)
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (constraints, True),
        (usage, True),
        (x509.SubjectKeyIdentifier.from_public_key(public_key), False),
    ]
    if public_key != issuer_public_key:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_public_key)  # type: ignore[arg-type]
        extensions.append((identifier, False))
    if profile.extended_key_usage:
        # RFC 3161 §2.3 demands that a TSA's only purpose is critical; it harms no other profile.
        extensions.append((x509.ExtendedKeyUsage(profile.extended_key_usage), True))
    if profile.ocsp_no_check:
        extensions.append((x509.OCSPNoCheck(), False))
    if policies:
        information = [x509.PolicyInformation(policy, None) for policy in policies]
        extensions.append((x509.CertificatePolicies(information), False))
    return extensions + _address_extensions(addresses)


def _address_extensions(addresses: Addresses) -> list[tuple[x509.ExtensionType, bool]]:
    extensions: list[tuple[x509.ExtensionType, bool]] = []
    if addresses.crl:
        location = x509.UniformResourceIdentifier(addresses.crl)
        point = x509.DistributionPoint([location], None, None, None)
        extensions.append((x509.CRLDistributionPoints([point]), False))
    access = [
        x509.AccessDescription(method, x509.UniformResourceIdentifier(url))
        for method, url in (
            (AuthorityInformationAccessOID.OCSP, addresses.ocsp),
            (AuthorityInformationAccessOID.CA_ISSUERS, addresses.ca_issuers),
        )
        if url
    ]
    if access:
        extensions.append((x509.AuthorityInformationAccess(access), False))
    return extensions


def _sign_certificate(
    *,
    profile: Profile,
    subject: x509.Name,
    public_key: PublicKey,
    validity: tuple[datetime, datetime],
    extensions: list[tuple[x509.ExtensionType, bool]],
    issuer: OpenKey | None,
    sign: Callable[[bytes], bytes],
) -> x509.Certificate:
    """Encode the certificate, have the issuer sign it (itself when there is none), and check the result.

    The structure is encoded here because `x509.CertificateBuilder` wants the private key itself, which
    a hardware token never gives away.
    """
    if profile.is_authority and not profile.key_usage >= {"key_cert_sign"}:
        raise ProfileViolation("An authority's profile must allow signing certificates.")
    signature_algorithm(public_key)
    issuer_key = issuer.certificate.public_key() if issuer else public_key
    algorithm = asn1_x509.SignedDigestAlgorithm({"algorithm": signature_algorithm(issuer_key)})
    spki = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    tbs = asn1_x509.TbsCertificate(
        {
            "version": "v3",
            "serial_number": random_serial_number(),
            "signature": algorithm,
            "issuer": asn1_x509.Name.load((issuer.certificate.subject if issuer else subject).public_bytes()),
            "validity": {"not_before": encode_time(validity[0]), "not_after": encode_time(validity[1])},
            "subject": asn1_x509.Name.load(subject.public_bytes()),
            "subject_public_key_info": asn1_x509.PublicKeyInfo.load(spki),
            "extensions": encode_extensions(extensions),
        }
    ).dump()
    der = asn1_x509.Certificate(
        {
            "tbs_certificate": asn1_x509.TbsCertificate.load(tbs),
            "signature_algorithm": algorithm,
            "signature_value": sign(tbs),
        }
    ).dump()
    certificate = x509.load_der_x509_certificate(der)
    # A key that does not belong to the issuer's certificate is noticed here, not by the first verifier.
    certificate.verify_directly_issued_by(issuer.certificate if issuer else certificate)
    return certificate


def encode_time(moment: datetime) -> asn1_x509.Time:
    """Encode to whole seconds: UTCTime through 2049, GeneralizedTime after (RFC 5280 §4.1.2.5)."""
    second = moment.astimezone(UTC).replace(microsecond=0)
    if second.year < 2050:
        return asn1_x509.Time({"utc_time": core.UTCTime(second)})
    return asn1_x509.Time({"general_time": core.GeneralizedTime(second)})


def encode_extensions(extensions: Sequence[tuple[x509.ExtensionType, bool]]) -> list[dict[str, object]]:
    """Return extensions and their criticality in the form that asn1crypto's structures take."""
    return [
        {
            "extn_id": extension.oid.dotted_string,
            "critical": critical,
            "extn_value": core.ParsableOctetString(extension.public_bytes()),
        }
        for extension, critical in extensions
    ]
