"""A key store in a hardware token, by PKCS #11: private keys are made in the token and never leave it.

The passphrase is the token's user PIN, which opens every key of the token: an official's key belongs in
a token of its own. A key, its public half and its certificate share a label, the key's name, and a random
CKA_ID; the certificates of its chain are labelled `<name>/1`, `<name>/2` and so on, the issuer's first.

A process has one login at a token, shared by all keys that are open. When the last of them is closed, the
process logs out, and nothing of the token can be used without its PIN.
"""

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pkcs11
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from pkcs11 import Attribute, Mechanism, ObjectClass

from keys.algorithms import PublicKey, algorithm_of
from keys.errors import (
    AlgorithmNotSupported,
    KeyAlreadyExists,
    KeyFileDamaged,
    PinLocked,
    TokenNotFound,
    WeakPassphrase,
    WrongPassphrase,
)
from keys.lockout import require_waited
from keys.store import BareKey, OpenKey, require_key_name, until_closed
from keys.token_objects import (
    GENERATED,
    find_public_key,
    generate_pair,
    only,
    read_certificates,
    write_certificates,
)

_WRONG_PIN = (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange)
_UNSUITABLE = (pkcs11.MechanismInvalid, pkcs11.MechanismParamInvalid, pkcs11.DomainParamsInvalid)
_PAUSES = (0.0, 0.05, 0.2)
"""Seconds before a token that is not found is looked for again by a module that was started anew: some
modules, SoftHSM among them, see only then what came or went, and miss a token while a process logs in."""
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(eq=False)
class _Login:
    """A process's one session at a token, how to know the PIN that opened it again, and who uses it."""

    session: pkcs11.Session
    salt: bytes
    pin_digest: bytes
    is_lasting: bool
    users: int = 0


@dataclass
class _Door:
    """What a process knows of one token: its login while there is one, and the wrong PINs in a row."""

    login: _Login | None = None
    failures: int = 0
    last_failure: datetime = _NEVER


_LOCK = threading.RLock()
"""Held for every call into a module: python-pkcs11 initialises modules for one thread (C_Initialize(NULL)),
so a lock for each token would let two tokens of one module collide."""

_doors: dict[tuple[Path, str], _Door] = {}


@dataclass(frozen=True)
class TokenKeyStore:
    """The keys in the token labelled `token` that the PKCS #11 library `module` reaches.

    The keys of a lasting store log in again by themselves after their token was away: their PIN stays in
    memory while they are open. That is for the service's own keys, never for an official's.
    """

    module: Path
    token: str
    is_lasting: bool = False

    def names(self) -> tuple[str, ...]:
        """Return the names of the keys kept here, sorted. Raises TokenNotFound."""
        with self._any_session() as session:
            public_keys = session.get_objects({Attribute.CLASS: ObjectClass.PUBLIC_KEY})
            return tuple(sorted(each[Attribute.LABEL] for each in public_keys))

    def token_of(self, name: str) -> str:
        """Return the token's label."""
        return self.token

    def certificates(self, name: str) -> tuple[x509.Certificate, ...]:
        """Return the key's certificate and its chain up to the trust anchor; nothing for a bare key.

        Raises KeyNotFound, KeyNameNotAllowed, KeyFileDamaged or TokenNotFound.
        """
        require_key_name(name)
        with self._any_session() as session:
            certificates = read_certificates(session, name)
            if not certificates:
                find_public_key(session, name)
            return certificates

    def rehearse_key(self, name: str, algorithm: str, passphrase: str, *, now: datetime) -> None:
        """Raise what `generate_key` would raise, and make nothing."""
        with self._ready_to_make(name, algorithm, passphrase, now):
            pass

    def generate_key(self, name: str, algorithm: str, passphrase: str, *, now: datetime) -> BareKey:
        """Make a key in the token, of an algorithm named in GENERATED that the token has too.

        Raises KeyAlreadyExists, KeyNameNotAllowed, AlgorithmNotSupported, WrongPassphrase, KeyLocked,
        PinLocked or TokenNotFound.
        """
        with self._ready_to_make(name, algorithm, passphrase, now) as session:
            generate_pair(session, name, algorithm)
            return self.open_bare_key(name, passphrase, now=now)

    @contextmanager
    def _ready_to_make(self, name: str, algorithm: str, pin: str, now: datetime) -> Iterator[pkcs11.Session]:
        require_key_name(name)
        if algorithm not in GENERATED:
            raise AlgorithmNotSupported(f"A token's key must be one of {', '.join(GENERATED)}.")
        with self._logged_in(pin, now) as session:
            if list(session.get_objects({Attribute.LABEL: name})):
                raise KeyAlreadyExists(f"A key named {name} exists already.")
            yield session

    def add_certificates(
        self, name: str, certificates: Sequence[x509.Certificate], passphrase: str, *, now: datetime
    ) -> None:
        """Keep the key's certificate and chain (leaf first) beside it, in place of older ones.

        Raises KeyFileDamaged when the certificate is not the key's, and what `open_bare_key` raises.
        """
        self._require_key(name)
        with self._logged_in(passphrase, now) as session:
            if not certificates or certificates[0].public_key() != find_public_key(session, name):
                raise KeyFileDamaged("The certificate does not belong to the private key.")
            write_certificates(session, name, certificates)

    def open_key(self, name: str, passphrase: str, *, now: datetime) -> OpenKey:
        """Open a key that has a certificate. It signs until it is closed, or its token is removed.

        Raises WrongPassphrase, KeyLocked (wait), PinLocked (the token takes no PIN any more), KeyNotFound,
        KeyNameNotAllowed, KeyFileDamaged or TokenNotFound.
        """
        with _LOCK:
            key = self.open_bare_key(name, passphrase, now=now)
            certificates = self.certificates(name)
        if not certificates or certificates[0].public_key() != key.public_key:
            key.close()
            raise KeyFileDamaged(f"The certificate of the key {name} is missing or another key's.")
        return OpenKey(name, certificates[0], certificates[1:], key.sign, key.close)

    def open_bare_key(self, name: str, passphrase: str, *, now: datetime) -> BareKey:
        """Open a key whatever its certificate. Raises as `open_key`."""
        public_key = self._require_key(name)
        sign, close = self._signing(name, public_key, passphrase, now)
        return BareKey(name, public_key, *until_closed(sign, close))

    def change_passphrase(self, name: str, old: str, new: str, *, now: datetime) -> None:
        """Give the token another PIN, for every key in it.

        Raises WrongPassphrase, KeyLocked, PinLocked, WeakPassphrase (the token does not take the new PIN),
        KeyNotFound, KeyNameNotAllowed or TokenNotFound.
        """
        self._require_key(name)
        with self._logged_in(old, now) as session:
            try:
                session.set_pin(old, new)
            except (pkcs11.PinInvalid, pkcs11.PinLenRange, pkcs11.PinTooWeak):
                raise WeakPassphrase("The token does not take this PIN.") from None
            login = self._door.login
            assert login is not None
            login.pin_digest = _digest(new, login.salt)

    # Logging in -----------------------------------------------------------------------------------

    @property
    def _door(self) -> _Door:
        return _doors.setdefault((self.module, self.token), _Door())

    @contextmanager
    def _logged_in(self, pin: str, now: datetime) -> Iterator[pkcs11.Session]:
        with _LOCK:
            login = self._log_in(pin, now)
            try:
                with self._told(login):
                    yield login.session
            finally:
                self._let_go(login)

    def _log_in(self, pin: str, now: datetime) -> _Login:
        """Return the process's one login, made with the PIN or compared with the PIN that made it.

        PKCS #11 asks for the PIN once for a whole process, so later ones are checked here; wrong ones wait
        as those of a file do, beside what the token itself counts. Whoever takes it lets it go.
        """
        door = self._door
        require_waited(door.failures, door.last_failure, now)
        try:
            if door.login is None:
                with self._told():
                    session = self._find_token().open(rw=True, user_pin=pin)
                salt = secrets.token_bytes(16)
                door.login = _Login(session, salt, _digest(pin, salt), self.is_lasting)
            elif not hmac.compare_digest(door.login.pin_digest, _digest(pin, door.login.salt)):
                raise WrongPassphrase
        except WrongPassphrase:
            door.failures, door.last_failure = door.failures + 1, now
            raise
        door.failures = 0
        door.login.users += 1
        return door.login

    def _let_go(self, login: _Login) -> None:
        """Log out when nobody uses the login any more."""
        with _LOCK:
            login.users -= 1
            if login.users == 0:
                self._forget(login)

    def _forget(self, login: _Login) -> None:
        if self._door.login is login:
            self._door.login = None
            _close(login.session)

    @contextmanager
    def _any_session(self) -> Iterator[pkcs11.Session]:
        """Give the login's session, or one without a PIN, which reads what is public, for this once."""
        with _LOCK:
            login = self._door.login
            if login:
                with self._told(login):
                    yield login.session
                return
            with self._told():
                session = self._find_token().open()
                try:
                    yield session
                finally:
                    _close(session)

    def _require_key(self, name: str) -> PublicKey:
        """Return the public half, before a PIN is tried for a key that is not there. Raises KeyNotFound."""
        require_key_name(name)
        with self._any_session() as session:
            return find_public_key(session, name)

    def _find_token(self) -> pkcs11.Token:
        for pause in (*_PAUSES, None):
            library = pkcs11.lib(str(self.module))
            try:
                return library.get_token(token_label=self.token)
            except pkcs11.PKCS11Error:
                if pause is None or self._would_disturb():
                    raise
                _start_anew(self.module)
                time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _would_disturb(self) -> bool:
        """Tell whether starting the module anew would end a session that cannot log in again by itself."""
        doors = [door for (module, _), door in _doors.items() if module == self.module]
        return any(door.login and not door.login.is_lasting for door in doors)

    @contextmanager
    def _told(self, login: _Login | None = None) -> Iterator[None]:
        """Tell the module's errors in our words. Causes are cut off: their frames may hold the PIN."""
        if login and self._door.login is not login:
            # A module may give its number to another session meanwhile, so it is not even tried.
            raise TokenNotFound(self.token, "it was away")
        try:
            yield
        except _WRONG_PIN:
            raise WrongPassphrase from None
        except pkcs11.PinLocked:
            raise PinLocked from None
        except _UNSUITABLE:
            raise AlgorithmNotSupported("The token has no keys of this kind.") from None
        except pkcs11.PKCS11Error as error:
            # Whatever else fails, a session that may be dead is not used again: the next act logs in anew.
            if login:
                self._forget(login)
            raise TokenNotFound(self.token, type(error).__name__) from None

    # Signing --------------------------------------------------------------------------------------

    def _signing(
        self, name: str, public_key: PublicKey, pin: str, now: datetime
    ) -> tuple[Callable[[bytes], bytes], Callable[[], None]]:
        """Log in; return how a key signs, and how it lets go of the login."""
        held = self._hold(name, pin, now)
        kept_pin = pin if self.is_lasting else None

        def sign(data: bytes) -> bytes:
            nonlocal held
            with _LOCK:
                try:
                    with self._told(held[0]):
                        return _sign(held[1], public_key, data)
                except TokenNotFound:
                    if kept_pin is None:
                        raise
                    held = self._hold(name, kept_pin, now)
                with self._told(held[0]):
                    return _sign(held[1], public_key, data)

        return sign, lambda: self._let_go(held[0])

    def _hold(self, name: str, pin: str, now: datetime) -> tuple[_Login, pkcs11.Object]:
        """Log in and find a private key, for as long as the login is not let go."""
        with _LOCK:
            login = self._log_in(pin, now)
            try:
                with self._told(login):
                    return login, only(login.session, ObjectClass.PRIVATE_KEY, name)
            except BaseException:
                self._let_go(login)
                raise


def names_of_own_tokens(module: Path, prefix: str) -> list[str]:
    """Return the names of the keys that begin so and are in a token labelled with their name.

    Raises TokenNotFound.
    """
    with _LOCK:
        try:
            labels = {each.label for each in pkcs11.lib(str(module)).get_tokens()}
        except pkcs11.PKCS11Error as error:
            raise TokenNotFound(f"{prefix}…", type(error).__name__) from None
        found = [label for label in labels if label.startswith(prefix)]
        return [label for label in found if label in TokenKeyStore(module, label).names()]


def _sign(private_key: pkcs11.Object, public_key: PublicKey, data: bytes) -> bytes:
    assert isinstance(private_key, pkcs11.SignMixin)
    if isinstance(public_key, rsa.RSAPublicKey):
        return private_key.sign(data, mechanism=Mechanism.SHA256_RSA_PKCS)
    if isinstance(public_key, ed25519.Ed25519PublicKey):
        return private_key.sign(data, mechanism=Mechanism.EDDSA)
    # SoftHSM 2.6 has the raw mechanism alone: it signs a digest and gives r and s side by side.
    digest = hashlib.new(algorithm_of(public_key).digest, data).digest()
    raw = private_key.sign(digest, mechanism=Mechanism.ECDSA)
    half = len(raw) // 2
    return encode_dss_signature(int.from_bytes(raw[:half]), int.from_bytes(raw[half:]))


def _digest(pin: str, salt: bytes) -> bytes:
    return hashlib.scrypt(pin.encode(), salt=salt, n=2**14, r=8, p=1)


def _start_anew(module: Path) -> None:
    """End every session at a module's tokens, and have its next use initialise it again."""
    for (of, _), door in _doors.items():
        if of == module:
            door.login = None
    with suppress(pkcs11.PKCS11Error):
        pkcs11.lib(str(module)).finalize()


def _close(session: pkcs11.Session) -> None:
    with suppress(pkcs11.PKCS11Error):
        session.close()
