"""`canting verify` on a machine that knows nothing of the service but a root certificate."""

import hashlib
import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from bundles import Lived
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from documents import PERMIT
from logs import prove_leaves
from pki import NOW, make_pki, throwaway_pki

from keys.revocation import Revocation, build_crl
from keys.timestamp import local_timestamper
from service import cli
from service.transparency.notes import ED25519, LogKey, Verifier
from signing.render import render_document
from signing.sign import sign_document
from signing.statement import seal_statement

PKI = throwaway_pki()
LOG_KEY = Ed25519PrivateKey.generate()
LOG = Verifier("izin.contoh.invalid/log", ED25519, LOG_KEY.public_key().public_bytes_raw())
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


def log_proof(pdf: bytes, *later: str, key: Ed25519PrivateKey = LOG_KEY) -> dict[str, Any]:
    """The log's proof of a document, and of what became of its permit later."""
    facts = {"code_sha256": "c0de", "sha256": hashlib.sha256(pdf).hexdigest(), "version": 1}
    told = [("issued", "active"), *((status, status) for status in later)]
    leaves = [
        json.dumps({"at": NOW.isoformat(), "kind": kind, "status": status, **facts}) for kind, status in told
    ]
    return prove_leaves(leaves, LogKey(LOG, key.sign))


def write_proof(tmp_path: Path, proof: dict[str, Any]) -> str:
    path = tmp_path / "bukti-log.json"
    path.write_text(json.dumps(proof))
    return str(path)


def test_what_the_log_is_proven_to_have_is_genuine(verify: Verify, permit: bytes, tmp_path: Path) -> None:
    proof = write_proof(tmp_path, log_proof(permit))
    status, words = verify(permit, options=("--proof", proof, "--vkey", LOG.vkey))
    assert status == 0
    assert "Asli:" in words
    assert "Genuine:" in words
    assert "Whether the permit was suspended or revoked afterwards" in words
    assert "The register was not asked" not in words


@pytest.mark.parametrize("last", ["revoked", "superseded"])
def test_what_the_log_says_is_over_is_not_well(
    verify: Verify, permit: bytes, tmp_path: Path, last: str
) -> None:
    proof = write_proof(tmp_path, log_proof(permit, "suspended", last))
    status, words = verify(permit, options=("--proof", proof, "--vkey", LOG.vkey, "--json"))
    found = json.loads(words)
    assert (status, found["answer"], found["reasons"]) == (1, "genuine", [f"permit_{last}"])
    assert found["status"] == last


def other_entry(proof: dict[str, Any]) -> None:
    proof["entries"][0]["leaf"] = proof["entries"][0]["leaf"].replace("active", "aktif")


def cut_path(proof: dict[str, Any]) -> None:
    proof["entries"][1]["path"].clear()


def of_another(proof: dict[str, Any]) -> None:
    proof |= log_proof(b"another document", "suspended")


def by_another(proof: dict[str, Any]) -> None:
    proof |= log_proof(b"another document", key=Ed25519PrivateKey.generate())


def malformed(proof: dict[str, Any]) -> None:
    proof |= {"checkpoint": 7, "entries": [7]}


@pytest.mark.parametrize("change", [other_entry, cut_path, of_another, by_another, malformed])
def test_a_proof_that_does_not_hold_proves_nothing(
    verify: Verify, permit: bytes, tmp_path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    proof = log_proof(permit, "suspended")
    change(proof)
    status, words = verify(permit, options=("--proof", write_proof(tmp_path, proof), "--vkey", LOG.vkey))
    assert (status, "genuine" in words.lower()) == (0, False)
    assert "The register was not asked" in words


def test_a_checkpoint_that_is_held_decides(verify: Verify, permit: bytes, tmp_path: Path) -> None:
    proof = log_proof(permit)
    held = tmp_path / "checkpoint"
    for note, answer in ((proof["checkpoint"], "genuine"), (log_proof(permit, "revoked")["checkpoint"], "")):
        held.write_text(note)
        options = ("--proof", write_proof(tmp_path, proof), "--log", str(held), "--json")
        words = verify(permit, options=options)[1]
        assert (json.loads(words)["answer"] == "genuine") is bool(answer)


def test_a_proof_needs_something_known_of_the_log(verify: Verify, permit: bytes, tmp_path: Path) -> None:
    status, words = verify(permit, options=("--proof", write_proof(tmp_path, log_proof(permit))))
    assert (status, "--vkey" in words) == (1, True)


def test_an_altered_file_is_not_saved_by_a_proof(verify: Verify, permit: bytes, tmp_path: Path) -> None:
    altered = permit + b"\n"
    proof = write_proof(tmp_path, log_proof(altered))
    assert verify(altered, options=("--proof", proof, "--vkey", LOG.vkey))[0] == 1


def test_the_root_may_be_named_from_where_one_stands(
    verify: Verify, permit: bytes, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root.parent)
    assert verify(permit, options=("--trust", root.name))[0] == 0


def receipt(verdict: str) -> bytes:
    stated = {"verdict": verdict, "permit": {"number": "1/2"}, "checked_at": NOW.isoformat()}
    return seal_statement(
        stated, PKI.seal, signed_at=NOW, timestamper=local_timestamper(PKI.tsa, lambda: NOW)
    )


def test_a_receipt_is_told_by_its_seal(verify: Verify) -> None:
    status, words = verify(receipt("genuine"))
    assert status == 0
    assert "A verification receipt: its signature is valid" in words
    assert "Segel Elektronik (UJI)" in words
    assert "Menyatakan / states: genuine, 1/2, 2026-11-23" in words
    assert "look whose signature it is" in words
    assert verify(receipt("genuine").replace(b"genuine", b"unknown"))[0] == 1


def test_a_bundle_is_verified_after_the_service_is_gone(
    verify: Verify, bundle: bytes, lived: Lived, tmp_path: Path
) -> None:
    root = tmp_path / "akar-lain.pem"
    root.write_bytes(lived.root)
    vkey = lived.archive.log.verifier.vkey
    status, words = verify(bundle, options=("--trust", str(root), "--vkey", vkey))
    assert status == 0, words
    assert "The evidence is whole and sealed" in words
    assert "Segel Elektronik (CONTOH), 2026-11-23 03:00 UTC" in words
    assert "The log's key is only what this bundle says" not in words
    status, words = verify(bundle, options=("--trust", str(root)))
    assert (status, "The log's key is only what this bundle says" in words) == (0, True)
    status, words = verify(bundle, options=("--trust", str(root), "--vkey", LOG.vkey, "--json"))
    assert (status, json.loads(words)["reasons"]) == (1, ["other_log_key"])
    assert verify(bundle)[0] == 1
    assert verify(b"PK\x03\x04 and no more", options=("--trust", str(root)))[0] == 2


@pytest.mark.parametrize(
    "options",
    [
        ("--crl", "/dev/null"),
        ("--trust", "/dev/null"),
        ("--proof", "/dev/null", "--vkey", "x"),
        ("--log", "/dev/null"),
    ],
)
def test_what_is_none_of_these_is_refused_in_a_sentence(
    verify: Verify, permit: bytes, options: tuple[str, ...]
) -> None:
    status, words = verify(permit, options=options)
    assert (status, "Traceback" in words) == (1, False)
    assert any(word in words for word in ("PEM", "CRL", "checkpoint", "name+id+key"))
