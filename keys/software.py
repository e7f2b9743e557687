"""A key store in a folder: each private key in a file of its own, encrypted under its own passphrase.

`<name>.key.json` holds the PKCS #8 key under AES-256-GCM; the key of that comes from the passphrase by
Argon2id (RFC 9106). `<name>.pem` beside it holds the certificate and its chain, which are public;
`<name>.failures` is there while wrong passphrases are counted.
"""

import json
import secrets
import unicodedata
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from keys.algorithms import PrivateKey, algorithm_named, algorithm_of, generate_key, sign_with
from keys.errors import (
    KeyAlreadyExists,
    KeyFileDamaged,
    KeyNotFound,
    WeakPassphrase,
    WrongPassphrase,
)
from keys.files import write_file
from keys.lockout import counting_failures
from keys.store import AUTHORITY_PREFIX, BareKey, OpenKey, require_key_name, until_closed

ROOT_FILES = "root*.pem"
"""The trust anchors within a key store's folder."""

MINIMUM_PASSPHRASE_LENGTH = 8
_FORMAT = "canting-key-1"
_TAG = 16
"""Octets that AES-GCM adds."""


@dataclass(frozen=True)
class KdfCost:
    """What Argon2id spends on one passphrase: memory in KiB, and passes over it."""

    memory_kib: int
    iterations: int


STRONG = KdfCost(memory_kib=65536, iterations=3)
"""The memory and passes of the second recommended option of RFC 9106 §4: about 0.2 s."""

_LANES = 1
"""OpenSSL gives lanes threads of one pool, and two derivations at once can wait for each other for ever."""


@dataclass(frozen=True)
class SoftwareKeyStore:
    """The keys in `folder`. `cost` is what new and re-encrypted keys are given; each file records its own."""

    folder: Path
    cost: KdfCost = STRONG

    def names(self) -> tuple[str, ...]:
        """Return the names of the keys kept here, sorted."""
        return tuple(sorted(path.name.removesuffix(".key.json") for path in self.folder.glob("*.key.json")))

    def token_of(self, name: str) -> None:
        """Return None: keys are files here."""

    def certificates(self, name: str) -> tuple[x509.Certificate, ...]:
        """Return the key's certificate and its chain up to the trust anchor; nothing for a bare key.

        A certificate stands for itself: the root's key belongs offline, away from this folder. Raises
        KeyNotFound (neither key nor certificate), KeyNameNotAllowed or KeyFileDamaged.
        """
        key_path, path = self._key_path(name), self.folder / f"{name}.pem"
        if path.exists():
            return load_certificates(path)
        if not key_path.exists():
            raise KeyNotFound(f"There is no key named {name}.")
        return ()

    def add_key(
        self, name: str, private_key: PrivateKey, certificates: Sequence[x509.Certificate], passphrase: str
    ) -> None:
        """Keep a new key with its certificate and chain (leaf first); none for a bare key.

        Raises KeyAlreadyExists, KeyNameNotAllowed, WeakPassphrase, AlgorithmNotSupported, or KeyFileDamaged
        when the certificate is not the key's.
        """
        path = self._key_path(name)
        algorithm_of(private_key.public_key())
        if certificates and certificates[0].public_key() != private_key.public_key():
            raise KeyFileDamaged("The certificate does not belong to the private key.")
        if path.exists():
            raise KeyAlreadyExists(f"A key named {name} exists already.")
        der = private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        sealed = _encrypt(name, der, new_passphrase(passphrase), self.cost)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if certificates:
            self._write_certificates(name, certificates)
        write_file(path, sealed, mode=0o600, overwrite=False)

    def rehearse_key(self, name: str, algorithm: str, passphrase: str, *, now: datetime) -> None:
        """Raise what `generate_key` would raise, and make nothing."""
        if self._key_path(name).exists():
            raise KeyAlreadyExists(f"A key named {name} exists already.")
        algorithm_named(algorithm)
        new_passphrase(passphrase)

    def generate_key(self, name: str, algorithm: str, passphrase: str, *, now: datetime) -> BareKey:
        """Make a key without a certificate, of an algorithm named in ALGORITHMS.

        Raises KeyAlreadyExists, KeyNameNotAllowed, WeakPassphrase or AlgorithmNotSupported.
        """
        private_key = generate_key(algorithm)
        self.add_key(name, private_key, [], passphrase)
        return BareKey(name, private_key.public_key(), *until_closed(sign_with(private_key)))

    def add_certificates(
        self, name: str, certificates: Sequence[x509.Certificate], passphrase: str, *, now: datetime
    ) -> None:
        """Keep the key's certificate and chain (leaf first) beside it, in place of older ones.

        Raises KeyFileDamaged when the certificate is not the key's, and what `open_bare_key` raises.
        """
        public_key = self.open_bare_key(name, passphrase, now=now).public_key
        if not certificates or certificates[0].public_key() != public_key:
            raise KeyFileDamaged("The certificate does not belong to the private key.")
        self._write_certificates(name, certificates)

    def publish_certificates(self, name: str, certificates: Sequence[x509.Certificate]) -> None:
        """Keep the certificates (leaf first) of an authority whose key lies elsewhere, such as a root's."""
        require_key_name(name)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._write_certificates(name, certificates)

    def open_key(self, name: str, passphrase: str, *, now: datetime) -> OpenKey:
        """Open a key that has a certificate.

        Raises WrongPassphrase, KeyLocked (after too many of those), KeyNotFound, KeyNameNotAllowed or
        KeyFileDamaged.
        """
        private_key = self._open(name, passphrase, now)
        certificates = self.certificates(name)
        if not certificates or certificates[0].public_key() != private_key.public_key():
            raise KeyFileDamaged(f"The certificate of the key {name} is missing or another key's.")
        return OpenKey(name, certificates[0], certificates[1:], *until_closed(sign_with(private_key)))

    def open_bare_key(self, name: str, passphrase: str, *, now: datetime) -> BareKey:
        """Open a key whatever its certificate. Raises as `open_key`."""
        private_key = self._open(name, passphrase, now)
        return BareKey(name, private_key.public_key(), *until_closed(sign_with(private_key)))

    def change_passphrase(self, name: str, old: str, new: str, *, now: datetime) -> None:
        """Encrypt a key anew under another passphrase, with fresh salt and nonce.

        Raises WrongPassphrase, KeyLocked, WeakPassphrase, KeyNotFound, KeyNameNotAllowed or KeyFileDamaged.
        """
        new_passphrase(new)
        path = self._existing(name)
        with self._counting(name, now), _decrypted(name, path.read_bytes(), old) as der:
            write_file(path, _encrypt(name, der, new, self.cost), mode=0o600)

    def roots(self) -> tuple[str, ...]:
        """Return the names of the roots whose certificates lie here, sorted; their keys belong offline."""
        return tuple(sorted(path.stem for path in self.folder.glob(ROOT_FILES)))

    def authorities(self) -> tuple[str, ...]:
        """Return the names of other houses' authorities whose certificates lie here, sorted."""
        return tuple(sorted(path.stem for path in self.folder.glob(f"{AUTHORITY_PREFIX}*.pem")))

    def encrypted_key(self, name: str) -> bytes:
        """Return a key's encrypted file, to compare copies of it. Raises KeyNotFound."""
        return self._existing(name).read_bytes()

    def add_revocation_list(self, name: str, der: bytes) -> None:
        """Keep the revocation list that the authority `name` signed beside its certificate."""
        require_key_name(name)
        write_file(self.folder / f"{name}.crl", der, mode=0o644)

    def revocation_list(self, name: str) -> bytes | None:
        """Return the revocation list kept beside an authority's certificate, DER, if there is one."""
        require_key_name(name)
        path = self.folder / f"{name}.crl"
        return path.read_bytes() if path.exists() else None

    def add_approval(self, name: str, approval: str) -> None:
        """Keep, beside a key's certificate, who approved it."""
        require_key_name(name)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_file(self.folder / f"{name}.approval.json", approval.encode(), mode=0o644)

    def approval(self, name: str) -> str | None:
        """Return what `add_approval` kept, if anything."""
        require_key_name(name)
        path = self.folder / f"{name}.approval.json"
        return path.read_text() if path.exists() else None

    def _open(self, name: str, passphrase: str, now: datetime) -> PrivateKey:
        path = self._existing(name)
        with self._counting(name, now), _decrypted(name, path.read_bytes(), passphrase) as der:
            private_key = load_der_private_key(der, None)
        algorithm_of(private_key.public_key())
        return private_key  # type: ignore[return-value]

    def _counting(self, name: str, now: datetime) -> AbstractContextManager[None]:
        return counting_failures(self._key_path(name), self.folder / f"{name}.failures", now)

    def _write_certificates(self, name: str, certificates: Sequence[x509.Certificate]) -> None:
        pem = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)
        write_file(self.folder / f"{name}.pem", pem, mode=0o644)

    def _existing(self, name: str) -> Path:
        path = self._key_path(name)
        if not path.exists():
            raise KeyNotFound(f"There is no key named {name}.")
        return path

    def _key_path(self, name: str) -> Path:
        require_key_name(name)
        return self.folder / f"{name}.key.json"


def new_passphrase(passphrase: str) -> str:
    """Return the passphrase if it may protect a new key, else raise WeakPassphrase."""
    if len(passphrase) < MINIMUM_PASSPHRASE_LENGTH:
        raise WeakPassphrase(f"A passphrase needs at least {MINIMUM_PASSPHRASE_LENGTH} characters.")
    return passphrase


def load_certificates(path: Path) -> tuple[x509.Certificate, ...]:
    """Read a PEM file of certificates. Raises KeyFileDamaged when it is none."""
    try:
        return tuple(x509.load_pem_x509_certificates(path.read_bytes()))
    except ValueError as error:
        raise KeyFileDamaged(f"{path.name} does not hold certificates in PEM.") from error


def _encrypt(name: str, der: bytes | bytearray, passphrase: str, cost: KdfCost) -> bytes:
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    header = {
        "format": _FORMAT,
        "name": name,
        "kdf": "argon2id",
        **asdict(cost),
        "lanes": _LANES,
        "salt": _text(salt),
    }
    ciphertext = AESGCM(_derive(passphrase, salt, cost)).encrypt(nonce, der, _associated(header))
    file = header | {"cipher": "aes-256-gcm", "nonce": _text(nonce), "ciphertext": _text(ciphertext)}
    return json.dumps(file, indent=2).encode() + b"\n"


@contextmanager
def _decrypted(name: str, file: bytes, passphrase: str) -> Iterator[bytearray]:
    """Give a key's PKCS #8, and wipe it from memory afterwards."""
    der = _decrypt(name, file, passphrase)
    try:
        yield der
    finally:
        der[:] = bytes(len(der))


def _decrypt(name: str, file: bytes, passphrase: str) -> bytearray:
    try:
        header = json.loads(file)
        ciphertext, nonce = b64decode(header.pop("ciphertext")), b64decode(header.pop("nonce"))
        salt, cipher = b64decode(header["salt"]), header.pop("cipher")
        cost = KdfCost(header["memory_kib"], header["iterations"])
        stated = (header["format"], header["name"], header["kdf"], header["lanes"], cipher)
        if stated != (_FORMAT, name, "argon2id", _LANES, "aes-256-gcm"):
            raise ValueError
        key = AESGCM(_derive(passphrase, salt, cost))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise KeyFileDamaged(f"The file of the key {name} cannot be read.") from error
    try:
        der = bytearray(len(ciphertext) - _TAG)
        key.decrypt_into(nonce, ciphertext, _associated(header), der)
        return der
    except InvalidTag:
        # The cause is cut off so that no frame with the passphrase hangs on the error.
        raise WrongPassphrase from None


def _derive(passphrase: str, salt: bytes, cost: KdfCost) -> bytes:
    """Derive 32 bytes. The same characters typed on two keyboards may differ in code points: NFC."""
    kdf = Argon2id(
        salt=salt,
        length=32,
        iterations=cost.iterations,
        lanes=_LANES,
        memory_cost=cost.memory_kib,
    )
    return kdf.derive(unicodedata.normalize("NFC", passphrase).encode())


def _associated(header: dict[str, object]) -> bytes:
    """Bind the name and the parameters to the ciphertext, so that neither can be exchanged."""
    return json.dumps(header, sort_keys=True).encode()


def _text(value: bytes) -> str:
    return b64encode(value).decode()
