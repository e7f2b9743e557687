"""The errors of `keys`. Each class states a fact and carries a stable `code`; none carries a secret."""

from datetime import UTC, datetime
from typing import ClassVar


class KeysError(Exception):
    """The root of every error this package raises on purpose."""

    code: ClassVar[str] = "keys_error"


class WrongPassphrase(KeysError):
    """The passphrase does not open the key. The message names neither the key nor the passphrase."""

    code = "wrong_passphrase"

    def __init__(self) -> None:
        super().__init__("The passphrase does not open this key.")


class KeyLocked(KeysError):
    """Too many wrong passphrases in a row; not even the right one is tried before `until`."""

    code = "key_locked"

    def __init__(self, until: datetime) -> None:
        super().__init__(f"Too many wrong passphrases. Try again after {until.astimezone(UTC):%H:%M} UTC.")
        self.until = until


class PinLocked(KeysError):
    """The token itself takes no PIN any more, until its security officer sets a new one."""

    code = "pin_locked"

    def __init__(self) -> None:
        super().__init__("The token's PIN is locked. Its security officer must set a new one.")


class TokenNotFound(KeysError):
    """The hardware token `token`, or the library that reaches it, is missing or does not answer."""

    code = "token_not_found"

    def __init__(self, token: str, reason: str) -> None:
        super().__init__(f"The token {token} is missing or does not answer ({reason}).")
        self.token = token


class SignerNotFound(KeysError):
    """The signer's process does not answer at its socket, or not to this user."""

    code = "signer_not_found"

    def __init__(self) -> None:
        super().__init__("The signer's process does not answer.")


class PurposeRefused(KeysError):
    """The signer's process does not sign this with that key."""

    code = "purpose_refused"


class KeyClosed(KeysError):
    """The key was opened for one act or one batch, which is over."""

    code = "key_closed"

    def __init__(self) -> None:
        super().__init__("The key has been closed; it must be opened anew.")


class WeakPassphrase(KeysError):
    """A new passphrase is shorter than the minimum."""

    code = "weak_passphrase"


class KeyNotFound(KeysError):
    """There is no key of this name in the store."""

    code = "key_not_found"


class KeyAlreadyExists(KeysError):
    """A key of this name exists already and is never overwritten."""

    code = "key_already_exists"


class KeyNameNotAllowed(KeysError):
    """A key's name is lower-case letters, digits and hyphens, at most 63 of them."""

    code = "key_name_not_allowed"


class KeyFileDamaged(KeysError):
    """The stored key or its certificates cannot be read, or do not belong together."""

    code = "key_file_damaged"


class AlgorithmNotSupported(KeysError):
    """The key is of a kind or size that Canting does not sign with."""

    code = "algorithm_not_supported"


class ProfileViolation(KeysError):
    """The certificate asked for contradicts its profile or its issuer."""

    code = "profile_violation"


class CertificateNotValid(KeysError):
    """The certificate of the key is not valid at this time."""

    code = "certificate_not_valid"


class TimestampNotGranted(KeysError):
    """A time-stamping authority gave no time stamp, or one over something else."""

    code = "timestamp_not_granted"
