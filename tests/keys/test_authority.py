import pytest
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID
from pki import NOW, issue, throwaway_pki

from keys import profiles
from keys.algorithms import generate_key
from keys.authority import Subject, create_root, issue_certificate, random_serial_number
from keys.errors import AlgorithmNotSupported, ProfileViolation
from keys.profiles import Addresses

PKI = throwaway_pki()


def extension(certificate, kind):
    return certificate.extensions.get_extension_for_class(kind)


@pytest.mark.parametrize(
    ("certificate", "bits", "authority", "path_length"),
    [
        (PKI.root.certificate, {"key_cert_sign", "crl_sign"}, True, 1),
        (PKI.issuing.certificate, {"key_cert_sign", "crl_sign"}, True, 0),
        (PKI.official.certificate, {"digital_signature", "content_commitment"}, False, None),
        (PKI.seal.certificate, {"digital_signature", "content_commitment"}, False, None),
        (PKI.tsa.certificate, {"digital_signature"}, False, None),
    ],
    ids=["root", "issuing", "official", "seal", "tsa"],
)
def test_a_profile_fixes_usage_and_constraints(certificate, bits, authority, path_length):
    usage, constraints = extension(certificate, x509.KeyUsage), extension(certificate, x509.BasicConstraints)

    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment")
    names += ("key_agreement", "key_cert_sign", "crl_sign")
    assert usage.critical
    assert {name for name in names if getattr(usage.value, name)} == bits
    assert constraints.critical
    assert (constraints.value.ca, constraints.value.path_length) == (authority, path_length)


def test_the_tsas_only_purpose_is_critical():
    purpose = extension(PKI.tsa.certificate, x509.ExtendedKeyUsage)

    assert purpose.critical
    assert list(purpose.value) == [ExtendedKeyUsageOID.TIME_STAMPING]


def test_a_certificate_carries_subject_addresses_and_policy():
    subject = Subject(
        "Sri Contoh", "Pemerintah Kota Contoh", "Dinas Contoh", "ID", "Pekalongan", "Kepala Dinas"
    )
    addresses = Addresses("http://contoh.id/a.crl", "http://contoh.id/a.cer", "http://contoh.id/ocsp")

    certificate = issue_certificate(
        profiles.OFFICIAL, subject, generate_key().public_key(), PKI.issuing, now=NOW, addresses=addresses
    )

    values = {attribute.oid: attribute.value for attribute in certificate.subject}
    assert values[NameOID.COMMON_NAME] == "Sri Contoh"
    assert values[NameOID.TITLE] == "Kepala Dinas"
    (point,) = extension(certificate, x509.CRLDistributionPoints).value
    assert point.full_name[0].value == addresses.crl
    access = extension(certificate, x509.AuthorityInformationAccess).value
    assert {each.access_method: each.access_location.value for each in access} == {
        AuthorityInformationAccessOID.CA_ISSUERS: addresses.ca_issuers,
        AuthorityInformationAccessOID.OCSP: addresses.ocsp,
    }
    (policy,) = extension(certificate, x509.CertificatePolicies).value
    assert policy.policy_identifier == profiles.EXAMPLE_POLICY
    assert certificate.not_valid_before_utc == NOW
    assert certificate.not_valid_after_utc == NOW + profiles.OFFICIAL.validity


def test_a_certificate_never_outlives_its_issuer():
    late = PKI.issuing.certificate.not_valid_after_utc - profiles.OFFICIAL.validity / 2

    certificate = issue(profiles.OFFICIAL, "Kepala", PKI.issuing, late).certificate

    assert certificate.not_valid_after_utc == PKI.issuing.certificate.not_valid_after_utc


def test_an_rsa_hierarchy_verifies():
    root = create_root(Subject("Akar"), generate_key("rsa3072"), now=NOW)

    official = issue(profiles.OFFICIAL, "Kepala", root, NOW, "rsa3072").certificate

    official.verify_directly_issued_by(root.certificate)


def test_serial_numbers_are_positive_and_at_most_twenty_octets():
    numbers = {random_serial_number() for _ in range(100)}

    assert len(numbers) == 100
    assert all(0 < number.bit_length() <= 159 for number in numbers)


@pytest.mark.parametrize(
    ("profile", "issuer", "now"),
    [
        (profiles.OFFICIAL, PKI.official, NOW),
        (profiles.ISSUING_CA, PKI.issuing, NOW),
        (
            profiles.OFFICIAL,
            PKI.issuing,
            PKI.issuing.certificate.not_valid_after_utc + profiles.SEAL.validity,
        ),
    ],
    ids=["by an official", "an authority below its path length", "after the issuer's end"],
)
def test_an_issuer_cannot_exceed_its_own_certificate(profile, issuer, now):
    with pytest.raises(ProfileViolation):
        issue_certificate(profile, Subject("Siapa"), generate_key().public_key(), issuer, now=now)


@pytest.mark.parametrize("subject", [Subject(""), Subject("a" * 65), Subject("Siapa", country="id")])
def test_a_subject_outside_x520_is_refused(subject):
    with pytest.raises(ProfileViolation):
        create_root(subject, generate_key(), now=NOW)


def test_an_unknown_algorithm_is_refused():
    with pytest.raises(AlgorithmNotSupported):
        generate_key("rsa1024")
