"""What a key store gives: opened keys as values, whatever keeps the private halves (files, an HSM)."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cryptography import x509

from keys.algorithms import PublicKey
from keys.errors import KeyNameNotAllowed

ROOT = "root"
ISSUING = "issuing"
TSA = "tsa"
SEAL = "seal"
LOG = "log"
OCSP = "ocsp"
OFFICIAL_PREFIX = "official-"
CUSTODIAN_PREFIX = "custodian-"

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True)
class OpenKey:
    """A key with a certificate, opened for use.

    `chain` runs from the issuer of `certificate` to the trust anchor, and is empty for a root.
    `sign` takes the data itself and returns the signature that its algorithm makes (see ALGORITHMS): a DER
    ECDSA-Sig-Value for P-256 and P-384, PKCS #1 v1.5 for RSA. It is the only way to the private half.
    """

    name: str
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    sign: Callable[[bytes], bytes]


@dataclass(frozen=True)
class BareKey:
    """A key without a certificate, opened for use: the transparency log's Ed25519 key (RFC 8032)."""

    name: str
    public_key: PublicKey
    sign: Callable[[bytes], bytes]


class KeyStore(Protocol):
    """Where keys are kept, by name: `issuing`, `tsa`, `ocsp`, `seal`, `log`,
    `official-<slug>` and `custodian-<slug>`; `root` in a store of its own."""

    def names(self) -> tuple[str, ...]:
        """Return the names of the keys kept here, sorted."""

    def certificates(self, name: str) -> tuple[x509.Certificate, ...]:
        """Return the key's certificate and its chain up to the trust anchor, without any passphrase."""

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


def require_key_name(name: str) -> None:
    """Raise KeyNameNotAllowed unless the name may be a key's, in a folder and as a token's label."""
    if not _NAME.fullmatch(name):
        raise KeyNameNotAllowed("A key's name is lower-case letters, digits and hyphens, at most 63.")
