"""A key store in a hardware token, by PKCS #11: private keys are made in the token and never leave it.

The passphrase is the token's user PIN, which opens every key of the token: an official's key belongs in
a token of its own. A key, its public half and its certificate share a label, the key's name, and a random
CKA_ID; the certificates of its chain are labelled `<name>/1`, `<name>/2` and so on, the issuer's first.
"""

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pkcs11
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key
from pkcs11 import Attribute, CertificateType, KeyType, Mechanism, MechanismFlag, ObjectClass
from pkcs11.util.ec import encode_ec_public_key, encode_named_curve_parameters
from pkcs11.util.rsa import encode_rsa_public_key

from keys.algorithms import PublicKey, algorithm_of
from keys.errors import (
    AlgorithmNotSupported,
    KeyAlreadyExists,
    KeyFileDamaged,
    KeyNotFound,
    PinLocked,
    TokenNotFound,
    WrongPassphrase,
)
from keys.lockout import require_waited
from keys.store import BareKey, OpenKey, require_key_name

_CURVES = {"p256": "secp256r1", "p384": "secp384r1"}
_RSA_BITS = {"rsa3072": 3072, "rsa4096": 4096}
_WRONG_PIN = (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange)
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass
class _Login:
    """What a process shares of one token: its session, and how to know the PIN that opened it again."""

    session: pkcs11.Session | None = None
    salt: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    pin_digest: bytes = b""
    failures: int = 0
    last_failure: datetime = _NEVER


_LOCK = threading.RLock()
"""Held for every call into a module: python-pkcs11 initialises modules for one thread (C_Initialize(NULL)),
so a lock for each token would let two tokens of one module collide."""

_logins: dict[tuple[Path, str], _Login] = {}


@dataclass(frozen=True)
class TokenKeyStore:
    """The keys in the token labelled `token` that the PKCS #11 library `module` reaches."""

    module: Path
    token: str

    def names(self) -> tuple[str, ...]:
        """Return the names of the keys kept here, sorted. Raises TokenNotFound."""
        with self._any_session() as session:
            public_keys = session.get_objects({Attribute.CLASS: ObjectClass.PUBLIC_KEY})
            return tuple(sorted(each[Attribute.LABEL] for each in public_keys))

    def certificates(self, name: str) -> tuple[x509.Certificate, ...]:
        """Return the key's certificate and its chain up to the trust anchor; nothing for a bare key.

        Raises KeyNotFound, KeyNameNotAllowed, KeyFileDamaged or TokenNotFound.
        """
        require_key_name(name)
        with self._any_session() as session:
            certificates = _read_certificates(session, name)
            if not certificates:
                _public_key(session, name)
            return certificates

    def generate_key(self, name: str, algorithm: str, passphrase: str, *, now: datetime) -> BareKey:
        """Make a key in the token, of P-256, P-384 or RSA. It signs, and nothing reads it out.

        Raises KeyAlreadyExists, KeyNameNotAllowed, AlgorithmNotSupported, WrongPassphrase, KeyLocked,
        PinLocked or TokenNotFound.
        """
        require_key_name(name)
        if algorithm not in (*_CURVES, *_RSA_BITS):
            raise AlgorithmNotSupported("A token's key must be p256, p384, rsa3072 or rsa4096.")
        with _LOCK:
            session = self._log_in(passphrase, now)
            with self._told(session):
                if list(session.get_objects({Attribute.LABEL: name})):
                    raise KeyAlreadyExists(f"A key named {name} exists already.")
                _generate(session, name, algorithm)
                return self._bare_key(session, name)

    def add_certificates(
        self, name: str, certificates: Sequence[x509.Certificate], passphrase: str, *, now: datetime
    ) -> None:
        """Keep the key's certificate and chain (leaf first) beside it, in place of older ones.

        Raises KeyFileDamaged when the certificate is not the key's, and what `open_bare_key` raises.
        """
        with _LOCK:
            session = self._session_for(name, passphrase, now)
            with self._told(session):
                if not certificates or certificates[0].public_key() != _public_key(session, name):
                    raise KeyFileDamaged("The certificate does not belong to the private key.")
                _write_certificates(session, name, certificates)

    def open_key(self, name: str, passphrase: str, *, now: datetime) -> OpenKey:
        """Open a key that has a certificate. It signs until the token is removed.

        Raises WrongPassphrase, KeyLocked (wait), PinLocked (the token takes no PIN any more), KeyNotFound,
        KeyNameNotAllowed, KeyFileDamaged or TokenNotFound.
        """
        with _LOCK:
            session = self._session_for(name, passphrase, now)
            with self._told(session):
                key = self._bare_key(session, name)
                certificates = _read_certificates(session, name)
        if not certificates or certificates[0].public_key() != key.public_key:
            raise KeyFileDamaged(f"The certificate of the key {name} is missing or another key's.")
        return OpenKey(name, certificates[0], certificates[1:], key.sign)

    def open_bare_key(self, name: str, passphrase: str, *, now: datetime) -> BareKey:
        """Open a key whatever its certificate. Raises as `open_key`."""
        with _LOCK:
            session = self._session_for(name, passphrase, now)
            with self._told(session):
                return self._bare_key(session, name)

    def _session_for(self, name: str, passphrase: str, now: datetime) -> pkcs11.Session:
        require_key_name(name)
        with self._any_session() as session:
            _public_key(session, name)
        return self._log_in(passphrase, now)

    def _log_in(self, pin: str, now: datetime) -> pkcs11.Session:
        """Return the token's one session, opened by the PIN or compared with the PIN that opened it.

        PKCS #11 asks for the PIN once for a whole process, so later ones are checked here; wrong ones wait
        as those of a file do, beside what the token itself counts.
        """
        login = _logins.setdefault((self.module, self.token), _Login())
        require_waited(login.failures, login.last_failure, now)
        digest = hashlib.scrypt(pin.encode(), salt=login.salt, n=2**14, r=8, p=1)
        try:
            if login.session is None:
                with self._told():
                    login.session = self._find_token().open(rw=True, user_pin=pin)
                login.pin_digest = digest
            elif not hmac.compare_digest(login.pin_digest, digest):
                raise WrongPassphrase
        except WrongPassphrase:
            login.failures, login.last_failure = login.failures + 1, now
            raise
        login.failures = 0
        return login.session

    @contextmanager
    def _any_session(self) -> Iterator[pkcs11.Session]:
        """Give the token's session, or one without a PIN, which reads what is public, for this once."""
        with _LOCK:
            login = _logins.get((self.module, self.token))
            if login and login.session:
                with self._told(login.session):
                    yield login.session
                return
            with self._told():
                session = self._find_token().open()
                try:
                    yield session
                finally:
                    session.close()

    def _find_token(self) -> pkcs11.Token:
        return pkcs11.lib(str(self.module)).get_token(token_label=self.token)

    @contextmanager
    def _told(self, session: pkcs11.Session | None = None) -> Iterator[None]:
        """Tell the module's errors in our words. Causes are cut off: their frames may hold the PIN."""
        try:
            yield
        except _WRONG_PIN:
            raise WrongPassphrase from None
        except pkcs11.PinLocked:
            raise PinLocked from None
        except pkcs11.PKCS11Error as error:
            # Whatever else fails, a session that may be dead is not used again: the next act logs in anew.
            login = _logins.get((self.module, self.token))
            if login and session is not None and login.session is session:
                login.session = None
                _close(session)
            raise TokenNotFound(
                f"The token {self.token} is missing or does not answer ({type(error).__name__})."
            ) from None

    def _bare_key(self, session: pkcs11.Session, name: str) -> BareKey:
        public_key = _public_key(session, name)
        private_key = _only(session, ObjectClass.PRIVATE_KEY, name)
        return BareKey(name, public_key, self._sign_with(session, private_key, public_key))

    def _sign_with(
        self, session: pkcs11.Session, private_key: pkcs11.Object, public_key: PublicKey
    ) -> Callable[[bytes], bytes]:
        assert isinstance(private_key, pkcs11.SignMixin)

        def sign_rsa(data: bytes) -> bytes:
            with _LOCK, self._told(session):
                return private_key.sign(data, mechanism=Mechanism.SHA256_RSA_PKCS)

        def sign_ecdsa(data: bytes) -> bytes:
            # SoftHSM 2.6 has the raw mechanism alone: it signs a digest and gives r and s side by side.
            digest = hashlib.new(algorithm_of(public_key).digest, data).digest()
            with _LOCK, self._told(session):
                raw = private_key.sign(digest, mechanism=Mechanism.ECDSA)
            half = len(raw) // 2
            return encode_dss_signature(int.from_bytes(raw[:half]), int.from_bytes(raw[half:]))

        return sign_rsa if isinstance(public_key, rsa.RSAPublicKey) else sign_ecdsa


def _generate(session: pkcs11.Session, name: str, algorithm: str) -> None:
    identifier = secrets.token_bytes(16)
    private = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False, Attribute.PRIVATE: True}
    public = {Attribute.PRIVATE: False}
    usage = MechanismFlag.SIGN | MechanismFlag.VERIFY
    if algorithm in _CURVES:
        curve = {Attribute.EC_PARAMS: encode_named_curve_parameters(_CURVES[algorithm])}
        session.create_domain_parameters(KeyType.EC, curve, local=True).generate_keypair(
            id=identifier,
            label=name,
            store=True,
            capabilities=usage,
            mechanism=Mechanism.EC_KEY_PAIR_GEN,
            public_template=public,
            private_template=private,
        )
    else:
        session.generate_keypair(
            KeyType.RSA,
            _RSA_BITS[algorithm],
            id=identifier,
            label=name,
            store=True,
            capabilities=usage,
            public_template=public,
            private_template=private,
        )


def _only(session: pkcs11.Session, object_class: ObjectClass, label: str) -> pkcs11.Object:
    found = list(session.get_objects({Attribute.CLASS: object_class, Attribute.LABEL: label}))
    if not found:
        raise KeyNotFound(f"There is no key named {label}.")
    if len(found) > 1:
        raise KeyFileDamaged(f"The token holds several keys named {label}.")
    return found[0]


def _public_key(session: pkcs11.Session, name: str) -> PublicKey:
    found = _only(session, ObjectClass.PUBLIC_KEY, name)
    assert isinstance(found, pkcs11.PublicKey)
    encode = encode_rsa_public_key if found.key_type == KeyType.RSA else encode_ec_public_key
    public_key = load_der_public_key(encode(found))
    algorithm_of(public_key)
    assert isinstance(public_key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey)
    return public_key


def _read_certificates(session: pkcs11.Session, name: str) -> tuple[x509.Certificate, ...]:
    try:
        return tuple(
            x509.load_der_x509_certificate(each[Attribute.VALUE])
            for each in _certificate_objects(session, name)
        )
    except ValueError as error:
        raise KeyFileDamaged(f"The token's certificate of the key {name} cannot be read.") from error


def _write_certificates(session: pkcs11.Session, name: str, certificates: Sequence[x509.Certificate]) -> None:
    for old in _certificate_objects(session, name):
        old.destroy()
    identifier = _only(session, ObjectClass.PUBLIC_KEY, name)[Attribute.ID]
    # The leaf comes last: after a crash the key is without a certificate, never with half a chain.
    for position, certificate in reversed(list(enumerate(certificates))):
        session.create_object(
            {
                Attribute.CLASS: ObjectClass.CERTIFICATE,
                Attribute.CERTIFICATE_TYPE: CertificateType.X_509,
                Attribute.TOKEN: True,
                Attribute.PRIVATE: False,
                Attribute.LABEL: _certificate_label(name, position),
                Attribute.ID: b"" if position else identifier,
                Attribute.SUBJECT: certificate.subject.public_bytes(),
                Attribute.ISSUER: certificate.issuer.public_bytes(),
                Attribute.VALUE: certificate.public_bytes(Encoding.DER),
            }
        )


def _certificate_objects(session: pkcs11.Session, name: str) -> list[pkcs11.Object]:
    """List the leaf's object and those of its chain, in order."""
    found: list[pkcs11.Object] = []
    while True:
        label = _certificate_label(name, len(found))
        wanted = {Attribute.CLASS: ObjectClass.CERTIFICATE, Attribute.LABEL: label}
        objects = list(session.get_objects(wanted))
        if not objects:
            return found
        found.append(objects[0])


def _certificate_label(name: str, position: int) -> str:
    return f"{name}/{position}" if position else name


def _close(session: pkcs11.Session) -> None:
    try:
        session.close()
    except pkcs11.PKCS11Error:
        return
