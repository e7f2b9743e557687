"""Where bytes are kept: a local folder, or a bucket of an S3 server.

Permit documents lie under their SHA-256 and are checked against it whenever they are read. Applicants'
uploads lie under random names, each encrypted (AES-256-GCM) with a data key of its own; the data key,
sealed with an installation's wrapping key, stands in the caller's row. Losing the row loses the file,
and reading the folder or the bucket alone reveals nothing.
"""

import base64
import contextlib
import hashlib
import os
import re
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, ClassVar
from urllib.parse import unquote, urlsplit

import obstore
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fastapi import Depends, Request
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, S3Store

from service.errors import NotFound, Unavailable

NONCE_BYTES = 12
DOCUMENTS, UPLOADS = "documents", "uploads"
LISTED_AT_ONCE = 1000
SHA256_HEX = re.compile(r"[0-9a-f]{64}")
UPLOAD_NAME = re.compile(r"[0-9a-f]{32}")
UNFINISHED = ".new-"
"""Names begin so while a local file is being written; a killed process leaves one behind."""


class ObjectMissing(NotFound):
    code = "object_missing"
    message_id = "Berkas ini tidak ada di penyimpanan. Hubungi petugas layanan."
    message_en = "This file is not in the storage. Contact the service desk."


class StorageUnavailable(Unavailable):
    code = "storage_unavailable"
    message_id = "Penyimpanan berkas sedang terganggu. Coba lagi beberapa menit lagi."
    message_en = "The file storage is disturbed. Try again in a few minutes."


class StorageCorrupted(Unavailable):
    """The stored bytes are not those that were put there."""

    code: ClassVar[str] = "storage_corrupted"
    message_id = "Berkas ini rusak di penyimpanan sehingga tidak diberikan. Hubungi petugas layanan."
    message_en = "This file is damaged in the storage and is not given out. Contact the service desk."


class WrappingKeyMissing(Unavailable):
    """The settings no longer hold the key that sealed this."""

    code = "wrapping_key_missing"
    message_id = "Berkas ini belum dapat dibuka. Hubungi petugas layanan."
    message_en = "This file cannot be opened at present. Contact the service desk."


class StorageUnsuitable(Exception):
    """The server lets an object be overwritten although it was asked only to create it."""


@dataclass(frozen=True, slots=True)
class Storage:
    """An open storage; `folder` is set when it is local."""

    store: LocalStore | S3Store
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class StoredUpload:
    """What the caller keeps of an upload: `size` in bytes and `sha256` are those of the plain file."""

    name: str
    wrapped_key: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Stored:
    """What lies in the storage, in `documents` or `uploads`, under which name, and when it was written."""

    folder: str
    name: str
    written_at: datetime


# Opening --------------------------------------------------------------------------------------


def open_storage(
    url: str, *, endpoint: str = "", region: str = "us-east-1", access_key: str = "", secret_key: str = ""
) -> Storage:
    """Open `file:///folder` (made if missing, for its owner only) or `s3://bucket/prefix`.

    Without an access key S3 credentials come from the environment. Nothing is sent yet: see
    `probe_storage`. Raises ValueError for another kind of URL.
    """
    parts = urlsplit(url)
    if parts.scheme == "file":
        folder = Path(unquote(parts.path))
        for name in (DOCUMENTS, UPLOADS):
            (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
            _sync_folder(folder / name)
        _sync_folder(folder)
        _sync_folder(folder.parent)
        return Storage(LocalStore(folder), folder)
    if parts.scheme != "s3" or not parts.netloc:
        raise ValueError("CANTING_STORAGE_URL must be file:///folder or s3://bucket/prefix")
    config = {"region": region}
    if endpoint:
        config["endpoint"] = endpoint
    if access_key:
        config |= {"access_key_id": access_key, "secret_access_key": secret_key}
    store = S3Store(
        parts.netloc,
        prefix=parts.path.strip("/") or None,
        config=config,  # type: ignore[arg-type]
        client_options={
            "allow_http": endpoint.startswith("http://"),
            "timeout": timedelta(seconds=30),
            "connect_timeout": timedelta(seconds=5),
        },
        retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=20)},
    )
    return Storage(store)


async def request_storage(request: Request) -> Storage:
    """Give a route the storage the app opened at start."""
    storage: Storage = request.app.state.storage
    return storage


StorageDep = Annotated[Storage, Depends(request_storage)]


def probe_storage(storage: Storage) -> None:
    """Write, create again, read and delete a small object, to find out at start what fails.

    Raises StorageUnavailable, or StorageUnsuitable if the server ignores create-only writes.
    """
    name = f"{UPLOADS}/{secrets.token_hex(16)}"
    _create(storage, name, b"probe")
    try:
        if _create(storage, name, b"overwritten") or _read(storage, name) != b"probe":
            raise StorageUnsuitable("the storage overwrites objects it was asked only to create")
    finally:
        _delete(storage, name)


# Permit documents -------------------------------------------------------------------------------


def put_document(storage: Storage, data: bytes) -> str:
    """Keep a permit document durably and return its SHA-256 (hex); a second time changes nothing.

    Raises StorageUnavailable; StorageCorrupted if other bytes lie under that name already.
    """
    sha256 = hashlib.sha256(data).hexdigest()
    if not _create(storage, f"{DOCUMENTS}/{sha256}", data):
        get_document(storage, sha256)
    return sha256


def get_document(storage: Storage, sha256: str) -> bytes:
    """Return the document of that SHA-256. Raises ObjectMissing, StorageCorrupted, StorageUnavailable."""
    if not SHA256_HEX.fullmatch(sha256):
        raise ObjectMissing
    data = _read(storage, f"{DOCUMENTS}/{sha256}")
    if hashlib.sha256(data).hexdigest() != sha256:
        raise StorageCorrupted
    return data


# Applicants' uploads ----------------------------------------------------------------------------


def put_upload(storage: Storage, data: bytes, wrapping_keys: Mapping[str, bytes]) -> StoredUpload:
    """Encrypt a file under a new data key and keep it under a new random name.

    The first of `wrapping_keys` (key id to 32 bytes) seals the data key. The name is bound into the
    encryption of both, so files cannot be exchanged. Raises StorageUnavailable.
    """
    name = secrets.token_hex(16)
    data_key = secrets.token_bytes(32)
    if not _create(storage, f"{UPLOADS}/{name}", _encrypt(data_key, data, name)):
        raise StorageUnavailable
    wrapped_key = seal(data_key, name, wrapping_keys)
    return StoredUpload(name, wrapped_key, len(data), hashlib.sha256(data).hexdigest())


def get_upload(storage: Storage, name: str, wrapped_key: str, wrapping_keys: Mapping[str, bytes]) -> bytes:
    """Return an upload's plain bytes.

    Raises ObjectMissing, StorageCorrupted, StorageUnavailable, WrappingKeyMissing.
    """
    data_key = unseal(wrapped_key, name, wrapping_keys)
    return _decrypt(data_key, _read(storage, _upload_path(name)), name)


def delete_upload(storage: Storage, name: str) -> None:
    """Delete an upload; one that is gone already is no error. Raises StorageUnavailable."""
    _delete(storage, _upload_path(name))


def rewrap(wrapped_key: str, name: str, wrapping_keys: Mapping[str, bytes]) -> str:
    """Seal an upload's data key again with the current wrapping key; the stored file stays as it is."""
    return seal(unseal(wrapped_key, name, wrapping_keys), name, wrapping_keys)


def _upload_path(name: str) -> str:
    if not UPLOAD_NAME.fullmatch(name):
        raise ObjectMissing
    return f"{UPLOADS}/{name}"


# Sweeping -----------------------------------------------------------------------------------------


def list_written_before(storage: Storage, moment: datetime) -> Iterator[list[Stored]]:
    """Yield in portions what was written before a moment, unfinished or not. Raises StorageUnavailable."""
    for folder in (DOCUMENTS, UPLOADS):
        with _storage_errors():
            for portion in obstore.list(storage.store, prefix=folder, chunk_size=LISTED_AT_ONCE):
                yield [
                    Stored(folder, each["path"].removeprefix(f"{folder}/"), each["last_modified"])
                    for each in portion
                    if each["last_modified"] < moment
                ]


def delete_stored(storage: Storage, stored: Stored) -> None:
    """Delete it; what is gone already is no error. Raises StorageUnavailable."""
    _delete(storage, f"{stored.folder}/{stored.name}")


# Sealing ----------------------------------------------------------------------------------------


def seal(secret: bytes, purpose: str, wrapping_keys: Mapping[str, bytes]) -> str:
    """Encrypt a small secret for a database column: `key id.base64url`, with the current key.

    `purpose` is bound in: it names what the secret belongs to, and must be given again to open it.
    """
    key_id, key = next(iter(wrapping_keys.items()))
    return f"{key_id}.{base64.urlsafe_b64encode(_encrypt(key, secret, 'seal:' + purpose)).decode()}"


def unseal(sealed: str, purpose: str, wrapping_keys: Mapping[str, bytes]) -> bytes:
    """Open what `seal` made. Raises WrappingKeyMissing, or StorageCorrupted if it was altered."""
    key_id, _, encoded = sealed.rpartition(".")
    if key_id not in wrapping_keys:
        raise WrappingKeyMissing
    try:
        encrypted = base64.urlsafe_b64decode(encoded)
    except ValueError:
        raise StorageCorrupted from None
    return _decrypt(wrapping_keys[key_id], encrypted, "seal:" + purpose)


def _encrypt(key: bytes, data: bytes, bound: str) -> bytes:
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, data, bound.encode())


def _decrypt(key: bytes, encrypted: bytes, bound: str) -> bytes:
    nonce, ciphertext = encrypted[:NONCE_BYTES], encrypted[NONCE_BYTES:]
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, bound.encode())
    except (InvalidTag, ValueError):
        raise StorageCorrupted from None


# Objects ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def _storage_errors() -> Iterator[None]:
    """Tell the reader that the storage is disturbed, without the server's own words."""
    try:
        yield
    except (BaseError, OSError) as error:
        raise StorageUnavailable from error


def _create(storage: Storage, path: str, data: bytes) -> bool:
    """Write an object durably unless its name is taken; tell whether it was written."""
    with _storage_errors():
        if storage.folder is not None:
            return _create_file(storage.folder / path, data)
        try:
            obstore.put(storage.store, path, data, mode="create", use_multipart=False)
        except AlreadyExistsError:
            return False
        return True


def _create_file(path: Path, data: bytes) -> bool:
    """Write a whole file, bytes and name synced to the disk, unless the name is taken.

    The library's local store syncs nothing. A crash leaves either the whole file or none under its name.
    """
    descriptor, temporary = tempfile.mkstemp(prefix=UNFINISHED, dir=path.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    except FileExistsError:
        created = False
    else:
        created = True
    finally:
        Path(temporary).unlink()
    _sync_folder(path.parent)  # Even when taken: whoever took the name may have died before this.
    return created


def _read(storage: Storage, path: str) -> bytes:
    with _storage_errors():
        try:
            return bytes(obstore.get(storage.store, path).bytes())
        except FileNotFoundError:
            raise ObjectMissing from None


def _delete(storage: Storage, path: str) -> None:
    with _storage_errors(), contextlib.suppress(FileNotFoundError):
        obstore.delete(storage.store, path)
        if storage.folder is not None:
            _sync_folder((storage.folder / path).parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
