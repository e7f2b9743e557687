"""Witnessing a log from another machine: cosigning what continues what was cosigned before, nothing else.

The witness keeps one file for a log: the last checkpoint with its own signature on it. The same file is what
it publishes, and what the log's service asks for before it signs a document.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from service.errors import Conflict
from service.transparency.notes import (
    COSIGNATURE,
    Checkpoint,
    Verifier,
    cosign_checkpoint,
    open_checkpoint,
)
from service.transparency.remote import Fetch, fetch_checkpoint, remote_reader, require_growth


class NoWitnessKey(Conflict):
    """The file holds no Ed25519 key, or others may read it."""

    code = "no_witness_key"
    message_id = (
        "Berkas kunci saksi bukan kunci Ed25519 (PEM), atau terbaca oleh pengguna lain. Tidak diganti."
    )
    message_en = "The witness's key file is no Ed25519 key (PEM), or others may read it. It was not replaced."


@dataclass(frozen=True, slots=True)
class WitnessKey:
    """A witness's key under its name."""

    verifier: Verifier
    key: Ed25519PrivateKey


def open_witness_key(path: Path, name: str) -> WitnessKey:
    """Open the witness's key, or make it if there is none. Raises NoWitnessKey.

    It lies unencrypted, for the witness runs without a person: the file is its owner's alone.
    """
    if not path.exists():
        pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        replace_file(path, pem)
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise NoWitnessKey from error
    if not isinstance(key, Ed25519PrivateKey) or path.stat().st_mode & 0o077:
        raise NoWitnessKey
    return WitnessKey(Verifier(name, COSIGNATURE, key.public_key().public_bytes_raw()), key)


def witness_log(fetch: Fetch, log: Verifier, witness: WitnessKey, state: Path, now: datetime) -> str:
    """Cosign the log's checkpoint if it continues the last one cosigned; return the note as kept in `state`.

    The first checkpoint ever seen is taken as it is. Raises NoteInvalid, LogUnreachable, LogRewound or
    LogForked, and then signs and keeps nothing.
    """
    with _alone_with(state):
        note, checkpoint = fetch_checkpoint(fetch, log)
        last = last_cosigned(state, witness.verifier)
        if last is not None:
            require_growth(last, checkpoint, remote_reader(fetch, checkpoint.size))
        body, _, signatures = note.rpartition("\n\n")
        own_lines = [line for line in signatures.splitlines() if f" {log.name} " in line]
        line = cosign_checkpoint(checkpoint, witness.verifier, witness.key.sign, now)
        cosigned = f"{body}\n\n" + "".join(f"{each}\n" for each in own_lines) + line
        replace_file(state, cosigned.encode())
        return cosigned


def last_cosigned(state: Path, witness: Verifier) -> Checkpoint | None:
    """Return what the witness cosigned last, or None before the first time. Raises NoteInvalid."""
    return open_checkpoint(state.read_text(), witness) if state.exists() else None


@contextmanager
def _alone_with(state: Path) -> Iterator[None]:
    """Keep other processes out from reading the state to writing it (the race of C2SP tlog-witness)."""
    with Path(f"{state}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def replace_file(path: Path, data: bytes) -> None:
    """Replace a file at once and for good, readable to its owner alone: a crash leaves the old or the new."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
