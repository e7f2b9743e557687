"""The errors of `keys`. Each class states a fact and carries a stable `code`; none carries a secret."""

from typing import ClassVar


class KeysError(Exception):
    """The root of every error this package raises on purpose."""

    code: ClassVar[str] = "keys_error"


class WrongPassphrase(KeysError):
    """The passphrase does not open the key. The message names neither the key nor the passphrase."""

    code = "wrong_passphrase"

    def __init__(self) -> None:
        super().__init__("The passphrase does not open this key.")


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
