"""Opening signers: the only door from the application to private keys.

An official's passphrase is typed for one act. It is an argument here and nowhere else: never a
setting, a row, a job, a log line or an exception's text.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from keys import store
from keys.errors import KeyNotFound
from keys.hierarchy import latest
from keys.store import BareKey, KeyStore, OpenKey
from keys.timestamp import Timestamper, local_timestamper
from service.accounts.models import User
from service.errors import ServiceError

__all__ = ["NoSigningKey", "OpenKey", "OperationsKeys", "Timestamper", "open_operations_keys", "open_signer"]


class NoSigningKey(ServiceError):
    status = 409
    code = "no_signing_key"
    message_id = (
        "Akun Anda belum memiliki kunci penanda tangan. Hubungi administrator untuk pendaftaran kunci."
    )
    message_en = "Your account has no signing key yet. Ask the administrator to enrol one."


@dataclass(frozen=True, slots=True)
class OperationsKeys:
    """The service's own keys, opened once at start: the time-stamping authority, the seal and the log."""

    timestamper: Timestamper
    """From a SHA-256 digest to an RFC 3161 token."""
    tsa: OpenKey
    seal: OpenKey
    """The agency's own signature, for what no person signs."""
    log: BareKey


def open_signer(keys: KeyStore, official: User, passphrase: str, now: datetime) -> OpenKey:
    """Open an official's key for one act or one batch: `with open_signer(…) as signer`, then it is closed.

    Raises NoSigningKey when the account has none, and what the key store raises: WrongPassphrase,
    KeyLocked, KeyNotFound.
    """
    if not official.key_name:
        raise NoSigningKey
    return keys.open_key(official.key_name, passphrase, now=now)


def open_operations_keys(keys: KeyStore, passphrase: str, now: Callable[[], datetime]) -> OperationsKeys:
    """Open the service's own keys. Raises WrongPassphrase, KeyLocked or KeyNotFound."""
    if store.TSA not in keys.names():
        raise KeyNotFound("The key store holds no time-stamping authority; run `canting keys init`.")
    tsa = keys.open_key(latest(keys, store.TSA), passphrase, now=now())
    seal = keys.open_key(latest(keys, store.SEAL), passphrase, now=now())
    log = keys.open_bare_key(store.LOG, passphrase, now=now())
    return OperationsKeys(local_timestamper(tsa, now), tsa, seal, log)
