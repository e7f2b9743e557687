from datetime import timedelta

import pytest
from cryptography import x509
from pki import NOW, throwaway_pki

from keys.errors import ProfileViolation
from keys.revocation import Revocation, build_crl

PKI = throwaway_pki()
TOMORROW = NOW + timedelta(days=1)


def test_a_crl_lists_who_was_revoked_when_and_why():
    revocations = [
        Revocation(PKI.official.certificate.serial_number, NOW, x509.ReasonFlags.key_compromise),
        Revocation(PKI.seal.certificate.serial_number, NOW),
    ]

    der = build_crl(PKI.issuing, revocations, number=7, this_update=NOW, next_update=TOMORROW)

    crl = x509.load_der_x509_crl(der)
    assert crl.is_signature_valid(PKI.issuing.certificate.public_key())
    assert crl.issuer == PKI.issuing.certificate.subject
    assert (crl.last_update_utc, crl.next_update_utc) == (NOW, TOMORROW)
    assert crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 7
    official = crl.get_revoked_certificate_by_serial_number(PKI.official.certificate.serial_number)
    assert official.revocation_date_utc == NOW
    assert official.extensions.get_extension_for_class(x509.CRLReason).value.reason.value == "keyCompromise"
    seal = crl.get_revoked_certificate_by_serial_number(PKI.seal.certificate.serial_number)
    assert len(seal.extensions) == 0
    assert crl.get_revoked_certificate_by_serial_number(PKI.tsa.certificate.serial_number) is None


def test_an_empty_crl_is_valid():
    crl = x509.load_der_x509_crl(build_crl(PKI.issuing, [], number=1, this_update=NOW, next_update=TOMORROW))

    assert len(crl) == 0


@pytest.mark.parametrize(
    ("issuer", "next_update"), [(PKI.official, TOMORROW), (PKI.issuing, NOW)], ids=["no authority", "no time"]
)
def test_a_crl_that_nobody_may_rely_on_is_not_made(issuer, next_update):
    with pytest.raises(ProfileViolation):
        build_crl(issuer, [], number=1, this_update=NOW, next_update=next_update)
