import hashlib
import shutil
import subprocess
from datetime import timedelta

import pytest
from asn1crypto import tsp
from cryptography.hazmat.primitives.serialization import Encoding
from pki import NOW, make_pki, throwaway_pki
from postgres import require
from rfc3161_client import TimestampRequestBuilder, VerifierBuilder, decode_timestamp_response
from rfc3161_client.base import HashAlgorithm

from keys.errors import CertificateNotValid
from keys.profiles import TIMESTAMP_POLICY
from keys.timestamp import local_timestamper, respond

PKI = throwaway_pki()
MESSAGE = b"surat izin"


def request(**changes):
    fields = {
        "version": "v1",
        "message_imprint": {
            "hash_algorithm": {"algorithm": "sha256"},
            "hashed_message": hashlib.sha256(MESSAGE).digest(),
        },
        "nonce": 2**63 + 1,
        "cert_req": True,
    }
    return tsp.TimeStampReq(fields | changes).dump()


def token_info(response):
    signed_data = tsp.TimeStampResp.load(response)["time_stamp_token"]["content"]
    return signed_data, signed_data["encap_content_info"]["content"].parsed


@pytest.mark.parametrize("algorithm", ["p256", "p384", "rsa3072"])
def test_an_independent_client_accepts_the_token(algorithm):
    pki = PKI if algorithm == "p256" else make_pki(algorithm=algorithm)
    query = (
        TimestampRequestBuilder().data(MESSAGE).hash_algorithm(HashAlgorithm.SHA256).nonce(nonce=True).build()
    )

    response = decode_timestamp_response(respond(query.as_bytes(), pki.tsa, now=NOW))

    verifier = VerifierBuilder.from_request(query).add_root_certificate(pki.root.certificate)
    assert verifier.build().verify_message(response, MESSAGE)


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_openssl_accepts_the_token(tmp_path, algorithm):
    require(shutil.which("openssl"), "openssl is not installed")
    imprint = {
        "hash_algorithm": {"algorithm": algorithm},
        "hashed_message": hashlib.new(algorithm, MESSAGE).digest(),
    }
    (tmp_path / "query").write_bytes(request(message_imprint=imprint))
    (tmp_path / "response").write_bytes(respond(request(message_imprint=imprint), PKI.tsa, now=NOW))
    (tmp_path / "root").write_bytes(PKI.root.certificate.public_bytes(Encoding.PEM))

    command = ["openssl", "ts", "-verify", "-queryfile", "query", "-in", "response", "-CAfile", "root"]
    command += ["-attime", str(int(NOW.timestamp()))]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    assert "Verification: OK" in result.stdout + result.stderr


def test_a_token_states_time_accuracy_serial_policy_and_nonce():
    moment = NOW + timedelta(microseconds=999_999)

    _, info = token_info(respond(request(), PKI.tsa, now=moment, serial_number=41))

    assert info["gen_time"].native == NOW
    assert info["accuracy"]["seconds"].native == 1
    assert info["serial_number"].native == 41
    assert info["policy"].dotted == TIMESTAMP_POLICY.dotted_string
    assert info["nonce"].native == 2**63 + 1


def test_certificates_come_only_when_asked_for():
    asked, _ = token_info(respond(request(), PKI.tsa, now=NOW))
    unasked, _ = token_info(respond(request(cert_req=False), PKI.tsa, now=NOW))

    assert {each.chosen.subject.native["common_name"] for each in asked["certificates"]} == {
        "Canting TSA (UJI)",
        "Canting Issuing CA (UJI)",
    }
    assert not unasked["certificates"]


@pytest.mark.parametrize(
    ("query", "failure"),
    [
        (b"", "bad_data_format"),
        (b"\x30\x03\x02\x01", "bad_data_format"),
        (request() + b"\x00", "bad_data_format"),
        (request(version="v2"), "bad_request"),
        (
            request(message_imprint={"hash_algorithm": {"algorithm": "sha1"}, "hashed_message": bytes(20)}),
            "bad_alg",
        ),
        (
            request(message_imprint={"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": bytes(31)}),
            "bad_data_format",
        ),
        (request(req_policy="1.2.3"), "unaccepted_policy"),
        (request(extensions=[{"extn_id": "1.2.3", "extn_value": b""}]), "unaccepted_extensions"),
    ],
)
def test_a_request_that_cannot_be_granted_says_why(query, failure):
    class Rejection(tsp.TimeStampResp):
        _fields = [("status", tsp.PKIStatusInfo)]

    status = Rejection.load(respond(query, PKI.tsa, now=NOW))["status"]

    assert status["status"].native == "rejection"
    assert status["fail_info"].native == {failure}


def test_a_tsa_without_a_valid_certificate_stamps_nothing():
    late = PKI.tsa.certificate.not_valid_after_utc + timedelta(seconds=1)

    with pytest.raises(CertificateNotValid):
        local_timestamper(PKI.tsa, lambda: late).stamp(bytes(32))
    assert len(respond(request(), PKI.tsa, now=late)) < 32


@pytest.mark.parametrize("algorithm", ["p256", "rsa3072"])
def test_a_local_token_stays_within_its_size(algorithm):
    pki = PKI if algorithm == "p256" else make_pki(algorithm=algorithm)
    timestamper = local_timestamper(pki.tsa, lambda: NOW)

    sizes = [len(timestamper.stamp(bytes(32))) for _ in range(20)]

    assert timestamper.token_size - 150 < max(sizes) <= timestamper.token_size
