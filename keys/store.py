"""What a key store gives: opened keys as values, whatever keeps the private halves (files, an HSM)."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, Self

from cryptography import x509

from keys.algorithms import PublicKey
from keys.errors import KeyClosed, KeyNameNotAllowed

ROOT = "root"
ISSUING = "issuing"
TSA = "tsa"
SEAL = "seal"
LOG = "log"
OCSP = "ocsp"
OFFICIAL_PREFIX = "official-"
CUSTODIAN_PREFIX = "custodian-"
AUTHORITY_PREFIX = "authority-"
"""Before the names of other houses' authorities, which have no key here."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def _nothing_to_close() -> None:
    return


@dataclass(frozen=True)
class OpenKey:
    """A key with a certificate, opened for use: `with` it, or until `close` is called.

    `chain` runs from the issuer of `certificate` to the trust anchor, and is empty for a root.
    `sign` takes the data itself and returns the signature that its algorithm makes (see ALGORITHMS): a DER
    ECDSA-Sig-Value for P-256 and P-384, PKCS #1 v1.5 for RSA. It is the only way to the private half, and
    raises KeyClosed once the key was closed.
    """

    name: str
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    sign: Callable[[bytes], bytes]
    close: Callable[[], None] = _nothing_to_close
    sign_shown: Callable[[bytes, bytes], bytes] | None = None
    """As `sign`, with the content that the data speaks of beside it: for a signer that looks at it first."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


@dataclass(frozen=True)
class BareKey:
    """A key without a certificate, opened for use: the transparency log's Ed25519 key (RFC 8032)."""

    name: str
    public_key: PublicKey
    sign: Callable[[bytes], bytes]
    close: Callable[[], None] = _nothing_to_close

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


class KeyVault(Protocol):
    """Where private keys are kept, by name: files, a token, or the signer's process."""

    def names(self) -> tuple[str, ...]:
        """Return the names of the keys kept here, sorted."""

    def token_of(self, name: str) -> str | None:
        """Return the label of the token in which a key of this name is kept; None for a file."""

    def certificates(self, name: str) -> tuple[x509.Certificate, ...]:
        """Return the key's certificate and its chain up to the trust anchor, without any passphrase."""

    def rehearse_key(self, name: str, algorithm: str, passphrase: str, *, now: datetime) -> None:
        """Raise what `generate_key` would raise, and make nothing."""

    def generate_key(self, name: str, algorithm: str, passphrase: str, *, now: datetime) -> BareKey:
        """Make a key without a certificate. Raises KeyAlreadyExists or AlgorithmNotSupported."""

    def add_certificates(
        self, name: str, certificates: Sequence[x509.Certificate], passphrase: str, *, now: datetime
    ) -> None:
        """Keep the key's certificate and chain (leaf first), in place of older ones."""

    def open_key(self, name: str, passphrase: str, *, now: datetime) -> OpenKey:
        """Open a key that has a certificate.

        Raises KeyNotFound, WrongPassphrase, KeyLocked after too many of those, or KeyFileDamaged.
        """

    def open_bare_key(self, name: str, passphrase: str, *, now: datetime) -> BareKey:
        """Open a key whatever its certificate. Raises as `open_key`."""

    def change_passphrase(self, name: str, old: str, new: str, *, now: datetime) -> None:
        """Protect a key by another passphrase. Raises WeakPassphrase, and as `open_key`."""


class KeyStore(KeyVault, Protocol):
    """All keys of a city, and what is published of them.

    The keys are `issuing`, `tsa`, `ocsp`, `seal`, `log`, `official-<slug>` and `custodian-<slug>`. A root's
    key is in a store of its own, on a medium that is kept apart.
    """

    def publish_certificates(self, name: str, certificates: Sequence[x509.Certificate]) -> None:
        """Keep the certificates (leaf first) of an authority whose key lies elsewhere."""

    def roots(self) -> tuple[str, ...]:
        """Return the names of the roots whose certificates are kept here, sorted."""

    def authorities(self) -> tuple[str, ...]:
        """Return the names of other houses' authorities whose certificates are kept here, sorted."""

    def add_approval(self, name: str, approval: str) -> None:
        """Keep, beside a key's certificate, who approved it (JSON)."""

    def approval(self, name: str) -> str | None:
        """Return what `add_approval` kept, if anything."""

    def add_revocation_list(self, name: str, der: bytes) -> None:
        """Keep the revocation list that a root signed."""

    def revocation_list(self, name: str) -> bytes | None:
        """Return the revocation list of a root, DER, if there is one."""


def require_key_name(name: str) -> None:
    """Raise KeyNameNotAllowed unless the name may be a key's, in a folder and as a token's label."""
    if not _NAME.fullmatch(name):
        raise KeyNameNotAllowed("A key's name is lower-case letters, digits and hyphens, at most 63.")


def until_closed(
    sign: Callable[..., bytes], then: Callable[[], None] = _nothing_to_close
) -> tuple[Callable[..., bytes], Callable[[], None]]:
    """Return the `sign` and the `close` of an opened key.

    Closing lets go of the given function, so that nothing holds the private half any longer, calls `then`,
    once, and makes `sign` raise KeyClosed. A signature under way is finished.
    """
    held = [sign]

    def sign_while_open(*data: bytes) -> bytes:
        try:
            opened = held[0]
        except IndexError:
            raise KeyClosed from None
        return opened(*data)

    def close() -> None:
        try:
            held.pop()
        except IndexError:
            return
        then()

    return sign_while_open, close
