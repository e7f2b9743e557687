"""The errors of `keys`. Each class states a fact and carries a stable `code`; none carries a secret."""

from datetime import UTC, datetime


class KeysError(Exception):
    """The root of every error this package raises on purpose."""

    code = "keys_error"


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
    """What was to be signed contradicts its profile, its issuer or a standard; nothing was signed.

    `rule` names the rule of the lint that found it, `clause` the standard's.
    """

    code = "profile_violation"

    def __init__(self, message: str, *, rule: str = "", clause: str = "") -> None:
        super().__init__(f"{message} ({rule}, {clause})" if rule else message)
        self.rule, self.clause = rule, clause


class CertificateNotValid(KeysError):
    """The certificate of the key is not valid at this time."""

    code = "certificate_not_valid"


class TimestampNotGranted(KeysError):
    """A time-stamping authority gave no time stamp, or one over something else."""

    code = "timestamp_not_granted"


class OutsideError(KeysError):
    """A signing service of another house did not sign. Unless the class says otherwise, that is certain."""

    code = "outside_error"


class OutsideUnreachable(OutsideError):
    """The service could not be asked, so it signed nothing."""

    code = "outside_unreachable"


class OutsideBusy(OutsideError):
    """The service turned the request away for now (HTTP 429 or 503), so it signed nothing."""

    code = "outside_busy"


class OutsideAccessDenied(OutsideError):
    """The service does not know this installation: user, password or client secret are wrong."""

    code = "outside_access_denied"


class OutsideRefused(OutsideError):
    """The service refused for a reason that the official can do nothing about. The message holds no more
    than its number or a fixed word, because a service may quote in its text what it was sent."""

    code = "outside_refused"


class OutsidePassphraseWrong(OutsideError):
    """The service refused the passphrase, PIN or one-time code. More attempts may lock the official out."""

    code = "outside_passphrase_wrong"


class OutsideKeyLocked(OutsideError):
    """The service locked the official's key after wrong passphrases."""

    code = "outside_key_locked"


class OutcomeUnknown(OutsideError):
    """The request to sign went out and no whole answer came back: there may be a signature, or none."""

    code = "outcome_unknown"


class SignerNotReady(OutsideError):
    """The service knows the official, or does not, in a state in which nobody signs; `code` names it."""

    def __init__(self, code: str) -> None:
        super().__init__(f"The signing service does not let this official sign: {code}.")
        self.code = code


class ApprovalNotValid(KeysError):
    """What two custodians must have signed is not signed so."""

    code = "approval_not_valid"


class PassphrasesAlike(KeysError):
    """Two holders gave the same passphrase: then one of them opens the other's key."""

    code = "passphrases_alike"
