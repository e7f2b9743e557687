"""One key store out of several: the service's own keys in one place, officials' elsewhere, the rest files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from keys.software import SoftwareKeyStore
from keys.store import AUTHORITY_PREFIX, CUSTODIAN_PREFIX, OFFICIAL_PREFIX, ROOT, BareKey, KeyVault, OpenKey

_IN_FILES = (ROOT, CUSTODIAN_PREFIX, AUTHORITY_PREFIX)


@dataclass(frozen=True)
class SplitKeyStore:
    """A whole key store whose parts lie apart.

    `files` holds custodians' keys, and what is published: the certificates of authorities, the roots' lists,
    and who approved what. `operations` holds the service's own keys. `vault_of` gives the vault of an
    official's key, and `officials` their names.
    """

    files: SoftwareKeyStore
    operations: KeyVault
    vault_of: Callable[[str], KeyVault]
    officials: Callable[[], Sequence[str]]

    def names(self) -> tuple[str, ...]:
        """Return the names of all keys, sorted. Raises what the parts raise."""
        in_files = [name for name in self.files.names() if self._part(name) is self.files]
        own = [name for name in self.operations.names() if self._part(name) is self.operations]
        return tuple(sorted({*in_files, *own, *self.officials()}))

    def token_of(self, name: str) -> str | None:
        return self._part(name).token_of(name)

    def certificates(self, name: str) -> tuple[x509.Certificate, ...]:
        return self._part(name).certificates(name)

    def rehearse_key(self, name: str, algorithm: str, passphrase: str, *, now: datetime) -> None:
        self._part(name).rehearse_key(name, algorithm, passphrase, now=now)

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

    def publish_certificates(self, name: str, certificates: Sequence[x509.Certificate]) -> None:
        self.files.publish_certificates(name, certificates)

    def roots(self) -> tuple[str, ...]:
        return self.files.roots()

    def authorities(self) -> tuple[str, ...]:
        return self.files.authorities()

    def add_approval(self, name: str, approval: str) -> None:
        self.files.add_approval(name, approval)

    def approval(self, name: str) -> str | None:
        return self.files.approval(name)

    def add_revocation_list(self, name: str, der: bytes) -> None:
        self.files.add_revocation_list(name, der)

    def revocation_list(self, name: str) -> bytes | None:
        return self.files.revocation_list(name)

    def _part(self, name: str) -> KeyVault:
        if name.startswith(OFFICIAL_PREFIX):
            return self.vault_of(name)
        return self.files if name.startswith(_IN_FILES) else self.operations
