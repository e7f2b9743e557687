"""`canting verify` on a machine that knows nothing of the service but a root certificate."""

import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from cryptography.hazmat.primitives.serialization import Encoding
from documents import PERMIT
from pki import NOW, make_pki, throwaway_pki

from keys.revocation import Revocation, build_crl
from keys.timestamp import local_timestamper
from service import cli
from signing.render import render_document
from signing.sign import sign_document

PKI = throwaway_pki()
Verify = Callable[..., tuple[int, str]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "akar.pem"
    path.write_bytes(PKI.root.certificate.public_bytes(Encoding.PEM))
    return path


@pytest.fixture(scope="module")
def permit() -> bytes:
    timestamper = local_timestamper(PKI.tsa, lambda: NOW)
    return sign_document(render_document(PERMIT), PKI.official, signed_at=NOW, timestamper=timestamper)


@pytest.fixture
def verify(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Verify:
    """Run the command on files of these bytes, an hour after the signature; give its status and its words."""
    for name in [name for name in os.environ if name.startswith("CANTING_")]:
        monkeypatch.delenv(name)

    def run(*contents: bytes, options: tuple[str, ...] = ()) -> tuple[int, str]:
        paths = [tmp_path / f"{place}.pdf" for place in range(len(contents))]
        for path, content in zip(paths, contents, strict=True):
            path.write_bytes(content)
        monkeypatch.setattr(
            sys, "argv", ["canting", "verify", *map(str, paths), "--trust", str(root), *options]
        )
        with time_machine.travel(NOW + timedelta(hours=1)), pytest.raises(SystemExit) as exit_:
            cli.main()
        return int(exit_.value.code or 0), "".join(capfd.readouterr())

    return run


def revocation_list(tmp_path: Path, *revocations: Revocation) -> Path:
    der = build_crl(PKI.issuing, revocations, number=1, this_update=NOW, next_update=NOW + timedelta(days=7))
    path = tmp_path / "issuing.crl"
    path.write_bytes(der)
    return path


def test_a_valid_signature_is_told_with_what_was_not_checked(verify: Verify, permit: bytes) -> None:
    status, words = verify(permit)
    assert status == 0
    assert "Tanda tangan sah dan isi berkas utuh." in words
    assert "The register was not asked" in words
    assert "revocation was not checked" in words
    assert "genuine" not in words.lower()
    assert "asli" not in words.lower()


def test_an_altered_file_is_not_valid(verify: Verify, permit: bytes) -> None:
    status, words = verify(permit + b"\n")
    assert (status, "not_whole_file" in words) == (1, True)


def test_one_bad_file_among_good_ones_decides_the_status(verify: Verify, permit: bytes) -> None:
    status, words = verify(permit, permit + b"\n", b"%PDF-1.7 nothing", options=("--json",))
    found = [json.loads(line) for line in words.splitlines()]
    assert status == 1
    assert [each["answer"] for each in found] == ["signature_valid", "signature_not_valid", "undecided"]
    assert datetime.fromisoformat(found[0]["signed_at"]) == NOW.astimezone(UTC)


def test_what_cannot_be_read_is_unknown(verify: Verify) -> None:
    assert verify(b"no PDF at all")[0] == 2


def test_a_strangers_signature_is_not_valid(verify: Verify) -> None:
    stranger = make_pki()
    pdf = sign_document(render_document(PERMIT), stranger.official, signed_at=NOW, timestamper=None)
    assert verify(pdf)[0] == 1


def test_a_list_that_revokes_the_signer_counts(verify: Verify, permit: bytes, tmp_path: Path) -> None:
    options = ("--crl", str(revocation_list(tmp_path)))
    status, words = verify(permit, options=options)
    assert (status, "revocation was not checked" in words) == (0, False)
    revoked = Revocation(PKI.official.certificate.serial_number, NOW - timedelta(hours=1))
    revocation_list(tmp_path, revoked)
    assert verify(permit, options=options)[0] == 1


@pytest.mark.parametrize("options", [("--crl", "/dev/null"), ("--trust", "/dev/null")])
def test_what_is_no_list_or_root_is_refused_in_a_sentence(
    verify: Verify, permit: bytes, options: tuple[str, ...]
) -> None:
    status, words = verify(permit, options=options)
    assert (status, "Traceback" in words) == (1, False)
    assert "PEM" in words or "CRL" in words
