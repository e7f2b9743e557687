"""The lint before every signature of an authority: what is wrong is never signed.

Certificates are judged here, revocation lists and OCSP answers in `keys/lint_revocation.py`: as bytes, apart
from what composed them. Each rule has a name and the clause it enforces; the first that is broken raises
ProfileViolation with both.
"""

from datetime import datetime

from asn1crypto import core
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import ExtendedKeyUsageOID

from keys.algorithms import algorithm_of
from keys.der import bit_string, sequence
from keys.errors import ProfileViolation
from keys.profiles import Addresses, Profile, extensions_of, find_extension

FEWEST_SERIAL_BITS, MOST_SERIAL_OCTETS = 64, 20
UNSIGNED = bit_string(b"\0")
"""What stands in a signature's place while the rest is judged."""
_UNREADABLE = (ValueError, TypeError, x509.InvalidVersion, x509.DuplicateExtension, UnsupportedAlgorithm)
_CRITICAL_IN_CERTIFICATES = (x509.BasicConstraints, x509.KeyUsage, x509.ExtendedKeyUsage)


def require(is_kept: bool, rule: str, clause: str, sentence: str) -> None:
    """Raise ProfileViolation unless a rule is kept."""
    if not is_kept:
        raise ProfileViolation(sentence, rule=rule, clause=clause)


# Certificates -------------------------------------------------------------------------------------


def lint_certificate(
    tbs: bytes, identifier: bytes, profile: Profile, issuer: x509.Certificate | None, addresses: Addresses
) -> None:
    """Judge the DER of a TBSCertificate that is about to be signed under an AlgorithmIdentifier.

    `issuer` is nothing for a certificate that signs itself; `addresses` are the issuer's. Raises
    ProfileViolation.
    """
    try:
        certificate = x509.load_der_x509_certificate(sequence(tbs, identifier, UNSIGNED))
        found = list(certificate.extensions)
        parsed = asn1_x509.TbsCertificate.load(tbs, strict=True)
        algorithm_of(certificate.public_key())
    except _UNREADABLE as error:
        raise ProfileViolation(
            "The certificate cannot be read.", rule="certificate.encoding", clause="RFC 5280 §4.1"
        ) from error
    issuer_certificate = issuer or certificate
    require(
        certificate.version is x509.Version.v3,
        "certificate.version",
        "RFC 5280 §4.1.2.1",
        "A certificate with extensions must be of version 3.",
    )
    _lint_serial(certificate.serial_number)
    lint_algorithm("certificate", parsed["signature"].dump(), identifier, issuer_certificate)
    _lint_validity(parsed["validity"], certificate, issuer_certificate)
    _lint_names(certificate, issuer_certificate)
    _lint_purposes(found, profile)
    if issuer:
        _lint_issuer(issuer, profile)
    _lint_identifiers(certificate, issuer_certificate, is_self_signed=issuer is None)
    _lint_profile(certificate, found, profile, issuer_certificate, addresses)


def _lint_serial(number: int) -> None:
    require(
        number > 0 and number.bit_length() <= 8 * MOST_SERIAL_OCTETS - 1,
        "certificate.serial_range",
        "RFC 5280 §4.1.2.2",
        "A serial number must be positive and have at most 20 octets.",
    )
    require(
        number.bit_length() >= FEWEST_SERIAL_BITS,
        "certificate.serial_entropy",
        "CA/B Forum BR §7.1",
        "A serial number must have at least 64 random bits.",
    )


def lint_algorithm(what: str, inside: bytes, outside: bytes, issuer: x509.Certificate) -> None:
    """Judge whether a structure is signed with its issuer\'s algorithm and says so in both places."""
    require(
        inside == outside,
        f"{what}.algorithm_twice",
        "RFC 5280 §4.1.1.2",
        "The signature's algorithm must be the same inside and outside.",
    )
    require(
        outside == algorithm_of(issuer.public_key()).identifier,
        f"{what}.algorithm_of_issuer",
        "RFC 5280 §4.1.2.3",
        "The signature's algorithm must be that of the issuer's key.",
    )


def _lint_validity(
    validity: asn1_x509.Validity, certificate: x509.Certificate, issuer: x509.Certificate
) -> None:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    lint_time(validity["not_before"], begins, "certificate.time_type", "RFC 5280 §4.1.2.5")
    lint_time(validity["not_after"], ends, "certificate.time_type", "RFC 5280 §4.1.2.5")
    require(
        begins <= ends,
        "certificate.validity_order",
        "RFC 5280 §4.1.2.5",
        "A certificate must not end before it begins.",
    )
    require(
        issuer.not_valid_before_utc <= begins and ends <= issuer.not_valid_after_utc,
        "certificate.validity_in_issuer",
        "RFC 5280 §6.1.3",
        "A certificate must be valid within its issuer's validity only.",
    )


def lint_time(encoded: core.Choice, moment: datetime, rule: str, clause: str) -> None:
    """Judge the type of an encoded time."""
    require(
        (encoded.name == "utc_time") == (moment.year < 2050),
        rule,
        clause,
        "A time through 2049 must be a UTCTime, a later one a GeneralizedTime.",
    )


def _lint_names(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    require(
        certificate.issuer.public_bytes() == issuer.subject.public_bytes(),
        "certificate.issuer_name",
        "RFC 5280 §4.1.2.4",
        "The issuer's name must be the subject of its certificate, byte for byte.",
    )
    require(
        len(list(certificate.subject)) > 0,
        "certificate.subject_name",
        "RFC 5280 §4.1.2.6",
        "A certificate must name its subject.",
    )


def _lint_purposes(found: list[x509.Extension[x509.ExtensionType]], profile: Profile) -> None:
    by_kind = {type(each.value): each for each in found}
    constraints, usage = by_kind.get(x509.BasicConstraints), by_kind.get(x509.KeyUsage)
    require(
        constraints is not None and constraints.critical,
        "certificate.basic_constraints",
        "RFC 5280 §4.2.1.9",
        "A certificate must have critical basic constraints.",
    )
    require(
        usage is not None and usage.critical,
        "certificate.key_usage",
        "RFC 5280 §4.2.1.3",
        "A certificate must have a critical key usage.",
    )
    assert constraints
    assert usage
    assert isinstance(constraints.value, x509.BasicConstraints)
    assert isinstance(usage.value, x509.KeyUsage)
    require(
        constraints.value.ca == usage.value.key_cert_sign,
        "certificate.authority_usage",
        "RFC 5280 §4.2.1.9",
        "An authority, and nobody else, signs certificates.",
    )
    for each in found:
        require(
            not each.critical or isinstance(each.value, _CRITICAL_IN_CERTIFICATES),
            "certificate.unknown_critical",
            "RFC 5280 §4.2",
            f"The extension {each.oid.dotted_string} must not be critical.",
        )
    purposes = by_kind.get(x509.ExtendedKeyUsage)
    listed = list(purposes.value) if purposes and isinstance(purposes.value, x509.ExtendedKeyUsage) else []
    if ExtendedKeyUsageOID.TIME_STAMPING in listed or profile.name == "tsa":
        require(
            purposes is not None and purposes.critical and listed == [ExtendedKeyUsageOID.TIME_STAMPING],
            "certificate.tsa_purpose",
            "RFC 3161 §2.3",
            "Time stamping must be a time-stamping authority's only purpose, and critical.",
        )
    if ExtendedKeyUsageOID.OCSP_SIGNING in listed:
        require(
            x509.OCSPNoCheck in by_kind,
            "certificate.ocsp_no_check",
            "RFC 6960 §4.2.2.2.1",
            "A responder's certificate must say that its own revocation is not looked up.",
        )


def _lint_issuer(issuer: x509.Certificate, profile: Profile) -> None:
    constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
    usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
    require(
        constraints.ca and usage.key_cert_sign,
        "issuer.authority",
        "RFC 5280 §6.1.4",
        "The issuer is not a certificate authority.",
    )
    require(
        not profile.is_authority or constraints.path_length != 0,
        "issuer.path_length",
        "RFC 5280 §4.2.1.9",
        "The issuer may not issue certificates of authorities.",
    )


def _lint_identifiers(
    certificate: x509.Certificate, issuer: x509.Certificate, *, is_self_signed: bool
) -> None:
    own = key_identifier(certificate)
    require(
        own == x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest,
        "certificate.subject_key_identifier",
        "RFC 5280 §4.2.1.2",
        "A certificate must carry the identifier of its own key.",
    )
    if is_self_signed:
        return
    named = find_extension(certificate, x509.AuthorityKeyIdentifier)
    require(
        named is not None and named.key_identifier == key_identifier(issuer),
        "certificate.authority_key_identifier",
        "RFC 5280 §4.2.1.1",
        "A certificate must carry the identifier of its issuer's key.",
    )


def key_identifier(certificate: x509.Certificate) -> bytes | None:
    """Return the identifier that a certificate gives its key, if it gives one."""
    identifier = find_extension(certificate, x509.SubjectKeyIdentifier)
    return identifier.digest if identifier else None


def _lint_profile(
    certificate: x509.Certificate,
    found: list[x509.Extension[x509.ExtensionType]],
    profile: Profile,
    issuer: x509.Certificate,
    addresses: Addresses,
) -> None:
    clause = f"profile {profile.name}"
    require(
        algorithm_of(certificate.public_key()).name in profile.algorithms,
        "profile.algorithm",
        clause,
        "The profile does not allow this kind of key.",
    )
    require(
        certificate.not_valid_after_utc - certificate.not_valid_before_utc <= profile.validity,
        "profile.validity",
        clause,
        f"The profile allows {profile.validity.days} days at most.",
    )
    require(
        (certificate.subject == certificate.issuer) == (profile.issued_by is None),
        "profile.issuer",
        clause,
        "A root, and nobody else, is its own issuer.",
    )
    wanted = extensions_of(profile, certificate.public_key(), issuer.public_key(), addresses)  # type: ignore[arg-type]
    require(
        [(each.value.public_bytes(), each.critical) for each in found]
        == [(extension.public_bytes(), critical) for extension, critical in wanted],
        "profile.extensions",
        clause,
        "The certificate must have exactly the extensions that its profile says.",
    )
