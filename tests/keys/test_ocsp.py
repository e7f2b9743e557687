"""The responder, judged by OpenSSL, cryptography and pkilint."""

import subprocess
import sys
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from hypothesis import given
from hypothesis import strategies as st
from pki import FAST, NOW, throwaway_pki

from keys.hierarchy import certify_responder
from keys.ocsp import CertStatus, respond
from keys.software import SoftwareKeyStore

PKI = throwaway_pki()
GOOD = CertStatus(is_known=True)
REVOKED = CertStatus(True, NOW - timedelta(hours=1), x509.ReasonFlags.key_compromise)
UNKNOWN = CertStatus(is_known=False)


@cache
def responder():
    """The key that the hierarchy's own way certifies."""
    with TemporaryDirectory() as folder:
        keys = SoftwareKeyStore(Path(folder), cost=FAST)
        certify_responder(keys, "ocsp", PKI.issuing, "frasa sandi uji", now=NOW - timedelta(days=1))
        return keys.open_key("ocsp", "frasa sandi uji", now=NOW)


def query(*, algorithm=hashes.SHA256(), nonce=None, certificate=PKI.official.certificate, issuer=PKI.issuing):
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer.certificate, algorithm)
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def answer(der, status=GOOD):
    def find_responder(cert_id):
        return responder() if cert_id.is_issued_by(PKI.issuing.certificate) else None

    return respond(der, find_responder, lambda _: status, now=NOW, next_update=NOW + timedelta(hours=1))


@pytest.mark.parametrize("algorithm", [hashes.SHA1(), hashes.SHA256()])
@pytest.mark.parametrize("nonce", [None, bytes(range(32))])
def test_an_answer_is_about_what_was_asked(algorithm, nonce):
    response = ocsp.load_der_ocsp_response(answer(query(algorithm=algorithm, nonce=nonce), REVOKED))

    assert response.serial_number == PKI.official.certificate.serial_number
    assert response.hash_algorithm.name == algorithm.name
    assert response.certificate_status is ocsp.OCSPCertStatus.REVOKED
    assert response.revocation_time_utc == REVOKED.revoked_at
    assert response.revocation_reason is x509.ReasonFlags.key_compromise
    assert (response.this_update_utc, response.next_update_utc) == (NOW, NOW + timedelta(hours=1))
    told = [each.value.nonce for each in response.extensions if isinstance(each.value, x509.OCSPNonce)]
    assert told == ([nonce] if nonce else [])


@pytest.mark.parametrize(("status", "said"), [(GOOD, "good"), (REVOKED, "revoked"), (UNKNOWN, "unknown")])
def test_openssl_believes_the_answer(tmp_path, status, said):
    (tmp_path / "answer.der").write_bytes(answer(query(algorithm=hashes.SHA1()), status))
    for name, key in (("root", PKI.root), ("issuing", PKI.issuing), ("leaf", PKI.official)):
        (tmp_path / f"{name}.pem").write_bytes(key.certificate.public_bytes(Encoding.PEM))

    files = ["-respin", "answer.der", "-issuer", "issuing.pem", "-cert", "leaf.pem", "-CAfile", "root.pem"]
    command = ["openssl", "ocsp", *files, "-no_nonce", "-attime", str(int(NOW.timestamp())), "-text"]
    told = subprocess.run(
        [*command, "-verify_other", "issuing.pem", "-validity_period", "999999999"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    assert "Response verify OK" in told.stderr
    assert f"leaf.pem: {said}" in told.stdout


@pytest.mark.parametrize("status", [GOOD, REVOKED, UNKNOWN])
def test_pkilint_finds_no_fault(tmp_path, status):
    (tmp_path / "answer.der").write_bytes(answer(query(), status))

    command = [
        str(Path(sys.executable).parent / "lint_ocsp_response"),
        "lint",
        "-s",
        "ERROR",
        str(tmp_path / "answer.der"),
    ]
    told = subprocess.run(command, capture_output=True, text=True)

    assert told.stdout.strip() == ""


def test_another_issuers_certificate_is_not_ours_to_judge():
    der = query(certificate=PKI.issuing.certificate, issuer=PKI.root)

    response = ocsp.load_der_ocsp_response(answer(der))

    assert response.response_status is ocsp.OCSPResponseStatus.UNAUTHORIZED


@pytest.mark.parametrize("der", [b"", b"0\x03\x02\x01\x00", query(nonce=bytes(129)), query() + b"\0"])
def test_a_malformed_query_is_refused(der):
    response = ocsp.load_der_ocsp_response(answer(der))

    assert response.response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST


@given(st.integers(0, len(query(nonce=bytes(16))) - 1), st.integers(1, 255))
def test_no_altered_query_raises(position, flip):
    der = bytearray(query(nonce=bytes(16)))
    der[position] ^= flip

    assert ocsp.load_der_ocsp_response(answer(bytes(der)))
