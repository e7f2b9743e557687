"""Signed notes, checkpoints, cosignatures (C2SP signed-note, tlog-checkpoint, tlog-cosignature), on values.

A verifier key (vkey) is `<name>+<key id>+<base 64 of type and Ed25519 key>`.
"""

import base64
import binascii
import hashlib
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from service.errors import ServiceError

ED25519 = 0x01
"""The signature type of a log's key (C2SP signed-note)."""
COSIGNATURE = 0x04
"""The signature type of a witness's key (C2SP tlog-cosignature)."""
MOST_SIGNATURES = 64
LARGEST_NOTE = 64 * 1024
"""Characters of a note that are read; a usual one has some hundreds."""

Sign = Callable[[bytes], bytes]


class NoteInvalid(ServiceError):
    """A note that is malformed, or not signed by the key that was expected."""

    status = 422
    code = "note_invalid"
    message_id = (
        "Checkpoint log tidak sah: bentuknya salah, atau tidak ditandatangani dengan kunci yang diharapkan."
    )
    message_en = "The log's checkpoint is not valid: malformed, or not signed by the expected key."


class KeyMalformed(ServiceError):
    """A text that is not a verifier key."""

    status = 422
    code = "verifier_key_malformed"
    message_id = "Kunci pemeriksa harus berbentuk nama+id+kunci (C2SP signed-note)."
    message_en = "A verifier key has the form name+id+key (C2SP signed-note)."


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key by its name, as it checks notes. `kind` is ED25519 or COSIGNATURE."""

    name: str
    kind: int
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public_key).digest()[:4]

    @property
    def vkey(self) -> str:
        key = base64.b64encode(bytes([self.kind]) + self.public_key).decode()
        return f"{self.name}+{self.key_id.hex()}+{key}"


def parse_vkey(text: str) -> Verifier:
    """Read a verifier key of Ed25519, plain or for cosignatures. Raises KeyMalformed."""
    name, _, rest = text.strip().partition("+")
    key_id, _, encoded = rest.partition("+")
    try:
        key = base64.b64decode(encoded, validate=True)
        verifier = Verifier(name, key[0], key[1:])
    except (binascii.Error, IndexError, ValueError) as error:
        raise KeyMalformed from error
    is_known = verifier.kind in (ED25519, COSIGNATURE) and len(verifier.public_key) == 32
    if not is_known or not _is_name(name) or verifier.key_id.hex() != key_id:
        raise KeyMalformed
    return verifier


def _is_name(name: str) -> bool:
    return bool(name) and not re.search(r"[\s+]", name)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's state: its origin, the number of its leaves, and their root hash."""

    origin: str
    size: int
    root: bytes

    @property
    def body(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


@dataclass(frozen=True, slots=True)
class LogKey:
    """A log's own key: its verifier, which bears the log's origin as its name, and how it signs."""

    verifier: Verifier
    sign: Sign


def sign_checkpoint(checkpoint: Checkpoint, key: LogKey) -> str:
    """Return the checkpoint as a note signed by its log."""
    return f"{checkpoint.body}\n{_signature_line(key.verifier, key.sign(checkpoint.body.encode()))}"


def cosign_checkpoint(checkpoint: Checkpoint, verifier: Verifier, sign: Sign, at: datetime) -> str:
    """Return a witness's signature line over the checkpoint at a moment (C2SP tlog-cosignature)."""
    timestamp = int(at.timestamp())
    signature = sign(_cosigned(checkpoint, timestamp))
    return _signature_line(verifier, struct.pack(">Q", timestamp) + signature)


def _cosigned(checkpoint: Checkpoint, timestamp: int) -> bytes:
    return f"cosignature/v1\ntime {timestamp}\n{checkpoint.body}".encode()


def _signature_line(verifier: Verifier, signature: bytes) -> str:
    return f"\u2014 {verifier.name} {base64.b64encode(verifier.key_id + signature).decode()}\n"


def open_checkpoint(note: str, verifier: Verifier) -> Checkpoint:
    """Read a checkpoint that the verifier's key signed, or cosigned. Raises NoteInvalid.

    What other keys signed is passed over; a signature of this key that fails refuses the whole note.
    """
    checkpoint, lines = _parse(note)
    signatures = [found for line in lines if (found := _signature_by(verifier, line)) is not None]
    if not signatures:
        raise NoteInvalid
    key = Ed25519PublicKey.from_public_bytes(verifier.public_key)
    for signature in signatures:
        signed = checkpoint.body.encode()
        if verifier.kind == COSIGNATURE:
            if len(signature) != 72:
                raise NoteInvalid
            signed = _cosigned(checkpoint, struct.unpack(">Q", signature[:8])[0])
            signature = signature[8:]
        try:
            key.verify(signature, signed)
        except InvalidSignature as error:
            raise NoteInvalid from error
    return checkpoint


def line_of(note: str, verifier: Verifier) -> str:
    """Return the note's first signature line by this key. Raises NoteInvalid without one."""
    _, lines = _parse(note)
    found = next((line for line in lines if _signature_by(verifier, line) is not None), None)
    if found is None:
        raise NoteInvalid
    return f"{found}\n"


def _parse(note: str) -> tuple[Checkpoint, list[str]]:
    text, separator, signatures = note.rpartition("\n\n")
    lines = signatures.split("\n")
    if not separator or len(note) > LARGEST_NOTE or lines[-1] or len(lines) > MOST_SIGNATURES:
        raise NoteInvalid
    parts = text.split("\n")
    # A checkpoint with lines of extension is not ours, and would be signed over more than we keep.
    if len(parts) != 3 or not parts[0] or not re.fullmatch(r"0|[1-9][0-9]{0,15}", parts[1]):
        raise NoteInvalid
    try:
        root = base64.b64decode(parts[2], validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteInvalid from error
    checkpoint = Checkpoint(parts[0], int(parts[1]), root)
    if len(root) != 32 or checkpoint.body != f"{text}\n":
        raise NoteInvalid
    return checkpoint, lines[:-1]


def _signature_by(verifier: Verifier, line: str) -> bytes | None:
    """Return the signature of a line if name and key id are the verifier's."""
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    try:
        value = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
    is_ours = dash == "\u2014" and name == verifier.name and value[:4] == verifier.key_id
    return value[4:] if is_ours else None
