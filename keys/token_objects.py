"""What a token holds, by PKCS #11: pairs of keys and certificates, found by their labels in a session."""

import secrets
from collections.abc import Sequence

import pkcs11
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key
from pkcs11 import Attribute, CertificateType, KeyType, Mechanism, MechanismFlag, ObjectClass
from pkcs11.util.ec import encode_ec_public_key, encode_named_curve_parameters
from pkcs11.util.rsa import encode_rsa_public_key

from keys.algorithms import PublicKey, algorithm_of
from keys.errors import KeyFileDamaged, KeyNotFound

_CURVES = {
    "p256": (KeyType.EC, "secp256r1", Mechanism.EC_KEY_PAIR_GEN),
    "p384": (KeyType.EC, "secp384r1", Mechanism.EC_KEY_PAIR_GEN),
    # RFC 8410 §3: the curve's own object identifier, since older tokens know no name of it.
    "ed25519": (KeyType.EC_EDWARDS, "1.3.101.112", Mechanism.EC_EDWARDS_KEY_PAIR_GEN),
}
_RSA_BITS = {"rsa3072": 3072, "rsa4096": 4096}
GENERATED = (*_CURVES, *_RSA_BITS)
"""The algorithms of which a token can make keys."""


def generate_pair(session: pkcs11.Session, name: str, algorithm: str) -> None:
    """Make a pair of keys in the token. The private half signs, and nothing reads it out."""
    identifier = secrets.token_bytes(16)
    private = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False, Attribute.PRIVATE: True}
    public = {Attribute.PRIVATE: False}
    usage = MechanismFlag.SIGN | MechanismFlag.VERIFY
    if algorithm in _CURVES:
        kind, curve, mechanism = _CURVES[algorithm]
        parameters = {Attribute.EC_PARAMS: encode_named_curve_parameters(curve)}
        session.create_domain_parameters(kind, parameters, local=True).generate_keypair(
            id=identifier,
            label=name,
            store=True,
            capabilities=usage,
            mechanism=mechanism,
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


def only(session: pkcs11.Session, object_class: ObjectClass, label: str) -> pkcs11.Object:
    """Return the one object of this class and label. Raises KeyNotFound, or KeyFileDamaged for several."""
    found = list(session.get_objects({Attribute.CLASS: object_class, Attribute.LABEL: label}))
    if not found:
        raise KeyNotFound(f"There is no key named {label}.")
    if len(found) > 1:
        raise KeyFileDamaged(f"The token holds several keys named {label}.")
    return found[0]


def find_public_key(session: pkcs11.Session, name: str) -> PublicKey:
    """Return a key's public half. Raises KeyNotFound, KeyFileDamaged or AlgorithmNotSupported."""
    found = only(session, ObjectClass.PUBLIC_KEY, name)
    assert isinstance(found, pkcs11.PublicKey)
    if found.key_type == KeyType.EC_EDWARDS:
        # The point is an OCTET STRING of 32 bytes in DER, which some tokens leave bare.
        return ed25519.Ed25519PublicKey.from_public_bytes(found[Attribute.EC_POINT][-32:])
    encode = encode_rsa_public_key if found.key_type == KeyType.RSA else encode_ec_public_key
    public_key = load_der_public_key(encode(found))
    algorithm_of(public_key)
    return public_key  # type: ignore[return-value]


def read_certificates(session: pkcs11.Session, name: str) -> tuple[x509.Certificate, ...]:
    """Return a key's certificate and its chain; nothing for a bare key. Raises KeyFileDamaged."""
    try:
        return tuple(
            x509.load_der_x509_certificate(each[Attribute.VALUE])
            for each in _certificate_objects(session, name)
        )
    except ValueError as error:
        raise KeyFileDamaged(f"The token's certificate of the key {name} cannot be read.") from error


def write_certificates(session: pkcs11.Session, name: str, certificates: Sequence[x509.Certificate]) -> None:
    """Keep a key's certificate and chain (leaf first) in place of older ones."""
    for old in _certificate_objects(session, name):
        old.destroy()
    identifier = only(session, ObjectClass.PUBLIC_KEY, name)[Attribute.ID]
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
