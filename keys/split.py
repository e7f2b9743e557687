"""One key store out of several: roots in files, the service's own keys in one place, officials' in others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from keys.algorithms import PrivateKey
from keys.errors import AlgorithmNotSupported
from keys.software import SoftwareKeyStore
from keys.store import OFFICIAL_PREFIX, ROOT, BareKey, KeyVault, OpenKey


@dataclass(frozen=True)
class SplitKeyStore:
    """A whole key store whose parts lie apart.

    `files` holds the roots and their revocation lists, which are published from there. `operations` holds
    the service's own keys. `vault_of` gives the vault of an official's key, and `officials` their names.
    """

    files: SoftwareKeyStore
    operations: KeyVault
    vault_of: Callable[[str], KeyVault]
    officials: Callable[[], Sequence[str]]

    def names(self) -> tuple[str, ...]:
        """Return the names of all keys, sorted. Raises what the parts raise."""
        roots = [name for name in self.files.names() if name.startswith(ROOT)]
        own = [name for name in self.operations.names() if self._part(name) is self.operations]
        return tuple(sorted({*roots, *own, *self.officials()}))

    def certificates(self, name: str) -> tuple[x509.Certificate, ...]:
        return self._part(name).certificates(name)

    def generate_key(self, name: str, algorithm: str, passphrase: str, *, now: datetime) -> BareKey:
        return self._part(name).generate_key(name, algorithm, passphrase, now=now)

    def add_certificates(
        self, name: str, certificates: Sequence[x509.Certificate], passphrase: str, *, now: datetime
    ) -> None:
        self._part(name).add_certificates(name, certificates, passphrase, now=now)

    def open_key(self, name: str, passphrase: str, *, now: datetime) -> OpenKey:
        return self._part(name).open_key(name, passphrase, now=now)

    def open_bare_key(self, name: str, passphrase: str, *, now: datetime) -> BareKey:
        return self._part(name).open_bare_key(name, passphrase, now=now)

    def change_passphrase(self, name: str, old: str, new: str, *, now: datetime) -> None:
        self._part(name).change_passphrase(name, old, new, now=now)

    def add_key(
        self, name: str, private_key: PrivateKey, certificates: Sequence[x509.Certificate], passphrase: str
    ) -> None:
        """Keep a root's key. Raises AlgorithmNotSupported for others, which are made where they stay."""
        if self._part(name) is not self.files:
            raise AlgorithmNotSupported("Only a root's key is made outside its place.")
        self.files.add_key(name, private_key, certificates, passphrase)

    def roots(self) -> tuple[str, ...]:
        return self.files.roots()

    def add_revocation_list(self, name: str, der: bytes) -> None:
        self.files.add_revocation_list(name, der)

    def revocation_list(self, name: str) -> bytes | None:
        return self.files.revocation_list(name)

    def _part(self, name: str) -> KeyVault:
        if name.startswith(OFFICIAL_PREFIX):
            return self.vault_of(name)
        return self.files if name.startswith(ROOT) else self.operations
