"""The service's own keys where a signer's process holds them: a key vault that asks over a Unix socket.

Each question opens a connection of its own, so that a signer which was started again is found at once.
"""

import socket
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_public_key

from keys.errors import KeyFileDamaged, KeyNotFound, PurposeRefused, SignerNotFound
from keys.frames import FrameRefused, receive_frame, send_frame
from keys.purposes import purpose_of
from keys.store import BareKey, OpenKey, require_key_name, until_closed

SECONDS = 10.0
"""How long one answer may take."""
_ERRORS = {each.code: each for each in (KeyNotFound, KeyFileDamaged, PurposeRefused)}


@dataclass(frozen=True)
class RemoteKeyVault:
    """The keys that the signer listening at `path` holds. It asks for no passphrase: it knows its users."""

    path: Path

    def names(self) -> tuple[str, ...]:
        """Return the names of the keys kept there, sorted. Raises SignerNotFound."""
        return tuple(self._ask({"ask": "names"})["names"])

    def token_of(self, name: str) -> None:
        """Return None: where the signer keeps its keys is not told."""

    def certificates(self, name: str) -> tuple[x509.Certificate, ...]:
        """Return the key's certificate and its chain up to the trust anchor; nothing for a bare key.

        Raises KeyNotFound, KeyNameNotAllowed or SignerNotFound.
        """
        require_key_name(name)
        chain = self._ask({"ask": "certificates", "key": name})["certificates"]
        return tuple(x509.load_der_x509_certificate(b64decode(each)) for each in chain)

    def open_key(self, name: str, passphrase: str, *, now: datetime) -> OpenKey:
        """Give a key with a certificate, which signs what its purpose allows.

        Raises KeyNotFound, KeyFileDamaged or SignerNotFound; its `sign` raises PurposeRefused too.
        """
        certificates = self.certificates(name)
        if not certificates:
            raise KeyFileDamaged(f"The key {name} has no certificate.")
        sign, close = until_closed(partial(self._sign, name))
        return OpenKey(name, certificates[0], certificates[1:], sign, close, sign_shown=sign)

    def open_bare_key(self, name: str, passphrase: str, *, now: datetime) -> BareKey:
        """Give a key whatever its certificate. Raises as `open_key`."""
        require_key_name(name)
        public_key = load_der_public_key(
            b64decode(self._ask({"ask": "public_key", "key": name})["public_key"])
        )
        sign, close = until_closed(partial(self._sign, name))
        return BareKey(name, public_key, sign, close)  # type: ignore[arg-type]

    def rehearse_key(self, name: str, algorithm: str, passphrase: str, *, now: datetime) -> None:
        """Refuse, as `generate_key`."""
        self.generate_key(name, algorithm, passphrase, now=now)

    def generate_key(self, name: str, algorithm: str, passphrase: str, *, now: datetime) -> BareKey:
        """Refuse: keys are made where they are kept. Raises PurposeRefused."""
        raise PurposeRefused("Keys are made where the signer keeps them, not through it.")

    def add_certificates(
        self, name: str, certificates: Sequence[x509.Certificate], passphrase: str, *, now: datetime
    ) -> None:
        """Refuse, as `generate_key`."""
        raise PurposeRefused("Certificates are kept where the signer keeps them, not through it.")

    def change_passphrase(self, name: str, old: str, new: str, *, now: datetime) -> None:
        """Refuse, as `generate_key`."""
        raise PurposeRefused("Passphrases are changed where the signer keeps the keys, not through it.")

    def _sign(self, name: str, data: bytes, content: bytes = b"") -> bytes:
        question = {
            "ask": "sign",
            "key": name,
            "purpose": purpose_of(name, data),
            "data": _text(data),
            "content": _text(content),
        }
        return b64decode(self._ask(question)["signature"])

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(SECONDS)
                connection.connect(str(self.path))
                send_frame(connection, question)
                answer = receive_frame(connection)
        except (OSError, FrameRefused):
            raise SignerNotFound from None
        if "error" in answer:
            known = _ERRORS.get(answer["error"])
            raise known(answer["reason"]) if known else SignerNotFound
        return answer


def _text(value: bytes) -> str:
    return b64encode(value).decode()
