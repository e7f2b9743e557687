"""A statement under a seal: checked by us and by OpenSSL, and by nobody once a letter changes."""

import base64
import json
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from pki import NOW, make_pki, throwaway_pki
from postgres import require

from keys.timestamp import local_timestamper
from signing.detached import validate_detached
from signing.errors import SignerCertificateNotValid, UnreadableDocument
from signing.statement import open_statement, seal_statement
from signing.validate import ValidationReport

PKI = throwaway_pki()
STATEMENT = {"kind": "uji", "text": "Sêgel \u2028 “Contoh”", "b": [1, None, True], "a": {"z": 1, "ä": 2}}


def sealed(*, stamped: bool = True) -> bytes:
    timestamper = local_timestamper(PKI.tsa, lambda: NOW) if stamped else None
    return seal_statement(STATEMENT, PKI.seal, signed_at=NOW, timestamper=timestamper)


def judge(file: bytes, *, years: int = 0) -> ValidationReport:
    _, content, signature = open_statement(file)
    at = NOW + timedelta(days=365 * years)
    return validate_detached(content, signature, PKI.trust_anchors, at=at)


@pytest.mark.parametrize(("stamped", "level"), [(True, "B-T"), (False, "B-B")])
def test_a_statement_comes_back_and_its_seal_passes(stamped: bool, level: str) -> None:
    statement, _, _ = open_statement(sealed(stamped=stamped))
    report = judge(sealed(stamped=stamped))
    assert statement == STATEMENT
    assert (report.indication, report.reasons) == ("TOTAL-PASSED", ())
    assert report.signature is not None
    assert report.signature.level == level
    assert report.signature.signer_certificate == PKI.seal.certificate.public_bytes(Encoding.DER)


@pytest.mark.parametrize("algorithm", ["p384", "rsa3072"])
def test_a_seal_may_be_of_any_algorithm(algorithm: str) -> None:
    pki = make_pki(algorithm=algorithm)
    _, content, signature = open_statement(
        seal_statement(
            STATEMENT, pki.seal, signed_at=NOW, timestamper=local_timestamper(pki.tsa, lambda: NOW)
        )
    )
    assert validate_detached(content, signature, pki.trust_anchors, at=NOW).indication == "TOTAL-PASSED"


def test_a_time_stamp_outlives_the_seals_certificate() -> None:
    assert judge(sealed(), years=4).indication == "TOTAL-PASSED"
    assert judge(sealed(stamped=False), years=4).indication == "INDETERMINATE"


def test_layout_may_change_and_no_letter_may() -> None:
    file = json.loads(sealed())
    assert judge(json.dumps(file).encode()).indication == "TOTAL-PASSED"
    file["statement"]["kind"] = "ujj"
    assert judge(json.dumps(file).encode()).indication == "TOTAL-FAILED"


def test_other_peoples_seals_do_not_pass() -> None:
    stranger = make_pki()
    file = seal_statement(STATEMENT, stranger.seal, signed_at=NOW, timestamper=None)
    assert judge(file).indication == "INDETERMINATE"


@pytest.mark.parametrize("place", range(0, 900, 90))
def test_no_byte_of_the_signature_can_change(place: int) -> None:
    file = json.loads(sealed(stamped=False))
    signature = bytearray(base64.b64decode(file["signature"]))
    signature[place % len(signature)] ^= 1
    file["signature"] = base64.b64encode(bytes(signature)).decode()
    assert judge(json.dumps(file).encode()).indication != "TOTAL-PASSED"


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"{",
        b"[]",
        b'{"statement": {}}',
        b'{"statement": [], "signature": ""}',
        b'{"statement": {}, "signature": "?"}',
        b'{"statement": {}, "signature": 1}',
        b'{"statement": {"a": NaN}, "signature": ""}',
        b'{"statement": {"a": "\\ud800"}, "signature": ""}',
        b'{"statement": {"a": 1, "a": 2}, "signature": ""}',
        b'{"statement": {}, "signature": "", "more": 1}',
        b'{"statement": {}, "signature": ' + b"[" * 100_000,
        b'{"statement": {}, "signature": "' + b"A" * 1024 * 1024 + b'"}',
    ],
)
def test_what_is_no_statement_is_unreadable(file: bytes) -> None:
    with pytest.raises(UnreadableDocument):
        open_statement(file)


def test_nothing_is_sealed_after_the_certificates_end() -> None:
    with pytest.raises(SignerCertificateNotValid):
        seal_statement(STATEMENT, PKI.seal, signed_at=NOW + timedelta(days=1000), timestamper=None)


def test_openssl_accepts_the_seal(tmp_path: Path) -> None:
    require(shutil.which("openssl"), "openssl is not installed")
    _, content, signature = open_statement(sealed())
    (tmp_path / "content").write_bytes(content)
    (tmp_path / "cms").write_bytes(signature)
    (tmp_path / "root").write_bytes(PKI.root.certificate.public_bytes(Encoding.PEM))
    command = ["openssl", "cms", "-verify", "-binary", "-cades", "-inform", "DER", "-in", "cms"]
    command += ["-content", "content", "-CAfile", "root", "-purpose", "any", "-out", "verified"]
    command += ["-attime", str(int(NOW.timestamp()))]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "Verification successful" in result.stderr
