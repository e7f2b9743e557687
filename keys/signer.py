"""The signer's process: it alone holds the service's own keys, and signs what their purposes allow.

It answers over a Unix socket to the users it was told of, whom the kernel names (SO_PEERCRED). Each
signature is told to `record` by the key, its purpose, the data's digest and a running number.
"""

import hashlib
import socket
import struct
import threading
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keys import store
from keys.errors import KeyNotFound, KeysError, PurposeRefused
from keys.frames import FrameRefused, receive_frame, send_frame
from keys.hierarchy import RESPONDER_RENEWED, generations, renew_responders
from keys.purposes import PURPOSES, Asked, kind_of, require_purpose
from keys.store import BareKey, KeyVault, OpenKey

SECONDS = 10.0
"""How long one question may take to arrive."""
AT_ONCE = 32
"""Questions answered side by side; more wait in the socket's queue."""
_CREDENTIALS = struct.Struct("3i")

Record = Callable[[str, dict[str, Any]], None]
"""Takes an event's name and what is told of it."""


class AnotherSigner(Exception):
    """A signer answers at this socket already."""


@dataclass
class Signer:
    """The keys of `keys` that have a purpose, open while the process lives.

    `users` are the ids of the users who may ask; `origin` is the log's.
    """

    keys: KeyVault
    passphrase: str
    users: frozenset[int]
    origin: str
    now: Callable[[], datetime]
    record: Record
    opened: dict[str, OpenKey | BareKey] = field(default_factory=dict)
    signed: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def open_keys(self) -> None:
        """Certify the OCSP responders anew where that is due, and open every key.

        Raises KeyNotFound without a hierarchy, and what the vault raises: WrongPassphrase, KeyLocked.
        """
        if store.TSA not in self.keys.names():
            raise KeyNotFound("The key store holds no time-stamping authority; run `canting keys ceremony`.")
        self.renew_responders()
        for name in self.names():
            self.find(name)

    def renew_responders(self) -> None:
        """Certify the OCSP responders anew where that is due, a day before anybody asks the signer to."""
        renew_responders(
            self.keys, self.passphrase, now=self.now(), before=RESPONDER_RENEWED + timedelta(days=1)
        )

    def names(self) -> list[str]:
        """Return the names of the keys that may be asked for."""
        return [name for kind in PURPOSES for name in generations(self.keys.names(), kind)]

    def find(self, name: str) -> OpenKey | BareKey:
        """Return an opened key; one whose certificate was renewed meanwhile is opened anew."""
        if kind_of(name) not in PURPOSES:
            raise KeyNotFound("The signer holds no such key.")
        chain = self.keys.certificates(name)
        with self.lock:
            known = self.opened.get(name)
            if known is None or (isinstance(known, OpenKey) and chain[:1] != (known.certificate,)):
                opening = self.keys.open_key if chain else self.keys.open_bare_key
                known = opening(name, self.passphrase, now=self.now())
                self.opened[name] = known
        return known

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """Answer one question. Raises what `keys` raises, and ValueError or its like for a malformed one."""
        match question:
            case {"ask": "names"}:
                return {"names": sorted(self.names())}
            case {"ask": "certificates", "key": str(name)}:
                key = self.find(name)
                chain = (key.certificate, *key.chain) if isinstance(key, OpenKey) else ()
                return {"certificates": [_text(each.public_bytes(Encoding.DER)) for each in chain]}
            case {"ask": "public_key", "key": str(name)}:
                key = self.find(name)
                public = key.certificate.public_key() if isinstance(key, OpenKey) else key.public_key
                der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
                return {"public_key": _text(der)}
            case {
                "ask": "sign",
                "key": str(name),
                "purpose": str(purpose),
                "data": str(data),
                "content": str(content),
            }:
                signature = self.sign(name, purpose, _bytes(data), _bytes(content))
                return {"signature": _text(signature)}
        raise PurposeRefused("The signer does not know this question.")

    def sign(self, name: str, purpose: str, data: bytes, content: bytes) -> bytes:
        """Sign what the key's purpose allows, and record it either way. Raises PurposeRefused."""
        key = self.find(name)
        certificate = key.certificate if isinstance(key, OpenKey) else None
        told = {"key": name, "purpose": purpose, "sha256": hashlib.sha256(data).hexdigest()}
        try:
            require_purpose(name, purpose, Asked(data, content, certificate, self.origin, self.now()))
        except PurposeRefused as refusal:
            self.record("signature_refused", {**told, "reason": str(refusal)})
            raise
        signature = key.sign(data)
        with self.lock:
            self.signed[name] += 1
            number = self.signed[name]
        self.record("signed", {**told, "number": number})
        return signature


def listen(path: Path) -> socket.socket:
    """Make the socket, for its owner and group. Raises AnotherSigner, or OSError."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            # Nobody answers: what lies there was left by a signer that was killed.
            path.unlink(missing_ok=True)
        else:
            raise AnotherSigner(f"A signer answers at {path} already.")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    # Nobody can connect before `listen`, so the moment between the two does not matter.
    path.chmod(0o660)
    listening.listen(128)
    return listening


def serve(signer: Signer, listening: socket.socket) -> None:
    """Answer every connection with a thread of its own, until the socket is shut down."""
    places = threading.BoundedSemaphore(AT_ONCE)
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        places.acquire()
        threading.Thread(target=_attend, args=(signer, connection, places), daemon=True).start()


def _attend(signer: Signer, connection: socket.socket, places: threading.BoundedSemaphore) -> None:
    """Answer one question. What is lost or refused is recorded before its connection ends."""
    try:
        with connection:
            try:
                _attend_question(signer, connection)
            except (OSError, FrameRefused) as error:
                signer.record("question_lost", {"kind": type(error).__name__})
    finally:
        places.release()


def _attend_question(signer: Signer, connection: socket.socket) -> None:
    connection.settimeout(SECONDS)
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, user, _ = _CREDENTIALS.unpack(credentials)
    if user not in signer.users:
        signer.record("user_refused", {"user": user})
        return
    send_frame(connection, _answer(signer, receive_frame(connection)))


def _answer(signer: Signer, question: dict[str, Any]) -> dict[str, Any]:
    """Answer a question, or say by a code why not. A fault of ours is recorded by its kind alone."""
    try:
        return signer.answer(question)
    except KeysError as error:
        return {"error": error.code, "reason": str(error)}
    except Exception as error:
        signer.record("unexpected_error", {"kind": type(error).__name__})
        return {"error": "unexpected_error", "reason": ""}


def _text(value: bytes) -> str:
    return b64encode(value).decode()


def _bytes(text: str) -> bytes:
    return b64decode(text, validate=True)
