"""A bundle is examined with a root certificate alone: whole it passes, and each change is named."""

import zipfile
from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import cases
import pytest
from bundles import CHANGES, Change, Files, Lived, listed_anew, pack, sealed_anew, unpack
from cryptography.hazmat.primitives.serialization import Encoding
from pki import NOW

from keys.revocation import Revocation, build_crl
from service.verification.evidence import examine_bundle
from service.verification.sandbox import Sandbox


@pytest.fixture
def root(lived: Lived) -> bytes:
    return lived.root


def reasons_of(bundle: bytes, root: bytes) -> list[str]:
    reasons: list[str] = examine_bundle(bundle, root, NOW)["reasons"]
    return reasons


def test_a_whole_bundle_passes_for_good(bundle: bytes, root: bytes, lived: Lived) -> None:
    for years in (0, 40):
        found = examine_bundle(bundle, root, NOW + timedelta(days=365 * years))
        assert found["reasons"] == []
    assert (found["number"], found["sealed_by"]) == (lived.permit.number, "Segel Elektronik (CONTOH)")
    assert found["sealed_at"] == NOW.isoformat()
    assert [each["level"] for each in found["documents"]] == ["B-T", "B-LTA"]
    assert [each["kind"] for each in found["statuses"]] == [
        "issued",
        "document_added",
        "suspended",
        "reinstated",
    ]
    assert (found["not_logged"], found["bare_rows"]) == (0, 2)
    assert found["events"] > 20
    assert found["rows"] > 20


@pytest.mark.parametrize(("change", "reason"), CHANGES.values(), ids=CHANGES.keys())
def test_what_even_the_agency_could_not_change_is_named(
    bundle: bytes, root: bytes, lived: Lived, change: Change, reason: str
) -> None:
    changed = sealed_anew(change(unpack(bundle)), lived.archive.keys, NOW)
    assert reason in reasons_of(pack(changed), root)


def test_every_changed_file_is_noticed(bundle: bytes, root: bytes) -> None:
    files = unpack(bundle)
    for path, data in files.items():
        changed = bytearray(data)
        changed[len(data) // 2] ^= 1
        assert reasons_of(pack(files | {path: bytes(changed)}), root), path
    assert reasons_of(pack(files | {"log/00000099.leaf": b"{}"}), root)
    assert reasons_of(pack({path: files[path] for path in files if path != "log/00000001.leaf"}), root)


def test_a_list_written_anew_lacks_the_seal(bundle: bytes, root: bytes) -> None:
    changed = listed_anew(unpack(bundle) | {"README.md": b"Percayalah."})
    assert reasons_of(pack(changed), root) == ["seal_signature_not_valid"]


def test_another_root_trusts_nothing_of_it(bundle: bytes, tmp_path: Path) -> None:
    other = cases.make_keys(tmp_path / "other", NOW - timedelta(days=20))
    pem = other.certificates("root")[0].public_bytes(Encoding.PEM)
    assert {"seal_time_stamp_not_valid", "document_not_passed"} <= set(reasons_of(bundle, pem))


def test_a_newer_list_that_revokes_the_signer_counts(bundle: bytes, root: bytes, lived: Lived) -> None:
    keys = lived.keys
    serial = keys.certificates("official-head")[0].serial_number
    with keys.open_key("issuing", cases.OPERATIONS_PASSPHRASE, now=NOW) as issuing:
        crl = build_crl(
            issuing,
            [Revocation(serial, NOW - timedelta(hours=1))],
            number=9,
            this_update=NOW + timedelta(days=1),
            next_update=NOW + timedelta(days=8),
        )
    found = examine_bundle(bundle, root, NOW + timedelta(days=2), [crl])
    assert found["reasons"] == ["document_not_passed"]


@pytest.mark.parametrize("garbage", [b"", b"PK\x03\x04", b"PK\x05\x06" + bytes(18), b"nothing"])
def test_garbage_is_unreadable_or_not_whole(root: bytes, garbage: bytes) -> None:
    assert reasons_of(garbage, root)


def hostile(files: Files) -> Iterator[Files]:
    yield files | {"case.json": b"[" * 100_000}
    yield files | {"case.json": b'{"rows":{"permit":[]}}'}
    yield files | {"audit/chain.json": b"7"}
    yield files | {"audit/events.jsonl": b"7\n"}
    yield files | {"log/00000000.proof": b"\xff"}
    yield files | {"log/00000000.leaf": b"[]"}
    yield files | {"certificates/authorities.pem": b"-----BEGIN CERTIFICATE-----\n"}
    yield files | {"revocation/issuing-000001.pem": b""}
    yield files | {"documents/01.pdf": b"%PDF-"}


def test_nothing_in_it_makes_the_examiner_fail(bundle: bytes, root: bytes, lived: Lived) -> None:
    for files in hostile(unpack(bundle)):
        assert reasons_of(pack(sealed_anew(files, lived.archive.keys, NOW)), root)


def test_the_examiners_child_does_the_same_within_its_bounds(
    bundle: bytes, root: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.verification.sandbox.BUNDLE_MEMORY", 64 * 1024 * 1024)
    path = tmp_path / "root.pem"
    path.write_bytes(root)
    sandbox = Sandbox(path)
    try:
        found = sandbox.examine_bundle(bundle, NOW)
        assert found.findings
        assert found.findings["reasons"] == []
        bomb = BytesIO()
        with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("README.md", bytes(80 * 1024 * 1024))
        assert sandbox.examine_bundle(bomb.getvalue(), NOW).stopped == "memory_limit"
    finally:
        sandbox.close()
