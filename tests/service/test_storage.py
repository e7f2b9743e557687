"""Storage on a real folder and on a real S3 server on loopback."""

import hashlib
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import obstore
import pytest

from service import storage as storing
from service.storage import ObjectMissing, Storage, StorageCorrupted, StorageUnavailable, WrappingKeyMissing

KEYS = {"2026": bytes(range(32))}
ROTATED = {"2027": bytes(range(1, 33)), **KEYS}
DOCUMENT = b"%PDF-1.7 a permit document"
UPLOAD = b"%PDF-1.7 CANARY of an applicant"


def overwrite(storage: Storage, path: str, data: bytes) -> None:
    obstore.put(storage.store, path, data)


def stored_bytes(storage: Storage, path: str) -> bytes:
    return bytes(obstore.get(storage.store, path).bytes())


# Permit documents -------------------------------------------------------------------------------


def test_a_document_lies_under_its_sha256_and_is_stored_once(storage: Storage) -> None:
    names = {storing.put_document(storage, DOCUMENT) for _ in range(2)}
    assert names == {hashlib.sha256(DOCUMENT).hexdigest()}
    assert storing.get_document(storage, names.pop()) == DOCUMENT


def test_a_document_damaged_in_the_storage_is_not_given_out_nor_counted_as_stored(storage: Storage) -> None:
    sha256 = storing.put_document(storage, DOCUMENT)
    overwrite(storage, f"documents/{sha256}", DOCUMENT + b"\n")
    with pytest.raises(StorageCorrupted):
        storing.get_document(storage, sha256)
    with pytest.raises(StorageCorrupted):
        storing.put_document(storage, DOCUMENT)


@pytest.mark.parametrize("name", ["0" * 64, "../uploads/" + "0" * 32, ""])
def test_a_document_that_is_not_there_is_missing(storage: Storage, name: str) -> None:
    with pytest.raises(ObjectMissing):
        storing.get_document(storage, name)


# Applicants' uploads ----------------------------------------------------------------------------


def test_an_upload_comes_back_and_its_stored_bytes_reveal_nothing(storage: Storage) -> None:
    first, second = (storing.put_upload(storage, UPLOAD, KEYS) for _ in range(2))
    assert storing.get_upload(storage, first.name, first.wrapped_key, KEYS) == UPLOAD
    assert (first.size, first.sha256) == (len(UPLOAD), hashlib.sha256(UPLOAD).hexdigest())
    assert first.name != second.name
    encrypted = [stored_bytes(storage, f"uploads/{upload.name}") for upload in (first, second)]
    assert encrypted[0] != encrypted[1]
    assert not any(b"CANARY" in data for data in encrypted)


def test_uploads_cannot_be_exchanged_or_altered(storage: Storage) -> None:
    mine, other = (storing.put_upload(storage, UPLOAD, KEYS) for _ in range(2))
    with pytest.raises(StorageCorrupted):
        storing.get_upload(storage, mine.name, other.wrapped_key, KEYS)
    encrypted = stored_bytes(storage, f"uploads/{mine.name}")
    overwrite(storage, f"uploads/{mine.name}", stored_bytes(storage, f"uploads/{other.name}"))
    with pytest.raises(StorageCorrupted):
        storing.get_upload(storage, mine.name, mine.wrapped_key, KEYS)
    for altered in (encrypted[:-1] + bytes([encrypted[-1] ^ 1]), b"", encrypted[:20]):
        overwrite(storage, f"uploads/{mine.name}", altered)
        with pytest.raises(StorageCorrupted):
            storing.get_upload(storage, mine.name, mine.wrapped_key, KEYS)


def test_a_deleted_upload_is_missing_and_may_be_deleted_again(storage: Storage) -> None:
    upload = storing.put_upload(storage, UPLOAD, KEYS)
    for _ in range(2):
        storing.delete_upload(storage, upload.name)
    with pytest.raises(ObjectMissing):
        storing.get_upload(storage, upload.name, upload.wrapped_key, KEYS)


def test_wrapping_keys_rotate_without_touching_the_stored_file(storage: Storage) -> None:
    upload = storing.put_upload(storage, UPLOAD, KEYS)
    assert storing.get_upload(storage, upload.name, upload.wrapped_key, ROTATED) == UPLOAD
    rewrapped = storing.rewrap(upload.wrapped_key, upload.name, ROTATED)
    only_new = {"2027": ROTATED["2027"]}
    assert storing.get_upload(storage, upload.name, rewrapped, only_new) == UPLOAD
    with pytest.raises(WrappingKeyMissing):
        storing.get_upload(storage, upload.name, upload.wrapped_key, only_new)


@pytest.mark.parametrize("sealed", ["2026.", "2026.????", "2026.AAAA", "2026." + "A" * 80])
def test_a_sealed_secret_that_was_altered_does_not_open(sealed: str) -> None:
    with pytest.raises(StorageCorrupted):
        storing.unseal(sealed, "totp:1", KEYS)


def test_a_sealed_secret_opens_only_for_its_purpose() -> None:
    sealed = storing.seal(b"secret", "totp:1", KEYS)
    assert storing.unseal(sealed, "totp:1", KEYS) == b"secret"
    with pytest.raises(StorageCorrupted):
        storing.unseal(sealed, "totp:2", KEYS)


# Sweeping -----------------------------------------------------------------------------------------


def test_what_was_written_is_listed_by_its_age_and_deleted(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "LISTED_AT_ONCE", 2)
    sha256 = storing.put_document(storage, DOCUMENT)
    names = {storing.put_upload(storage, UPLOAD, KEYS).name for _ in range(3)}
    overwrite(storage, "documents/.new-broken", b"%PDF")
    now = datetime.now(UTC)
    assert not any(storing.list_written_before(storage, now - timedelta(hours=1)))
    found = [each for some in storing.list_written_before(storage, now + timedelta(hours=1)) for each in some]
    assert {(each.folder, each.name) for each in found} == {
        ("documents", sha256),
        ("documents", ".new-broken"),
        *(("uploads", name) for name in names),
    }
    assert all(abs(each.written_at - now) < timedelta(minutes=1) for each in found)
    for each in 2 * found:
        storing.delete_stored(storage, each)
    assert not any(storing.list_written_before(storage, now + timedelta(hours=1)))


# The storage itself -----------------------------------------------------------------------------


def test_a_storage_that_creates_only_once_passes_the_probe_and_keeps_nothing_of_it(storage: Storage) -> None:
    storing.probe_storage(storage)
    assert [item["path"] for batch in obstore.list(storage.store) for item in batch] == []


def test_a_storage_that_overwrites_is_found_out(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    def overwriting_create(storage: Storage, path: str, data: bytes) -> bool:
        overwrite(storage, path, data)
        return True

    monkeypatch.setattr(storing, "_create", overwriting_create)
    with pytest.raises(storing.StorageUnsuitable):
        storing.probe_storage(storage)


def test_local_files_are_for_their_owner_only(tmp_path: Path) -> None:
    storage = storing.open_storage((tmp_path / "storage").as_uri())
    storing.put_document(storage, DOCUMENT)
    storing.put_upload(storage, UPLOAD, KEYS)
    for path in (tmp_path / "storage").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
        assert not path.name.startswith(storing.UNFINISHED)


def test_a_storage_out_of_reach_says_so_without_details(tmp_path: Path) -> None:
    local = storing.open_storage((tmp_path / "storage").as_uri())
    (tmp_path / "storage" / "documents").rmdir()
    remote = storing.open_storage(
        "s3://no-such-bucket", endpoint="http://127.0.0.1:9", access_key="canting", secret_key="CANARY"
    )
    for storage in (local, remote):
        with pytest.raises(StorageUnavailable) as raised:
            storing.put_document(storage, DOCUMENT)
        assert "CANARY" not in str(raised.value) + str(raised.value.__cause__)


@pytest.mark.parametrize("url", ["ftp://server/folder", "s3:///prefix", "var/storage", ""])
def test_another_kind_of_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="CANTING_STORAGE_URL"):
        storing.open_storage(url)
