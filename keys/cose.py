"""Small signed messages: COSE_Sign1 with ES256 (RFC 9052 §4.2, RFC 9053 §2.1) in deterministic CBOR.

The protected header names the algorithm and the key; where the content has a media type of its own, that
too (RFC 9596). Nothing stands in the unprotected header.
"""

import base64
import hashlib
from collections.abc import Sequence
from typing import Any

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keys.errors import AlgorithmNotSupported
from keys.store import OpenKey

SIGN1 = 18
"""The CBOR tag of a COSE_Sign1 message (RFC 9052 §2)."""
ALGORITHM, KEY_ID, TYPE = 1, 4, 16
"""Header parameters."""
ES256 = -7
KEY_ID_SIZE = 8
SIGNED_BEGINS = b"\x84\x6aSignature1"
"""How every Sig_structure begins: no DER does."""
LARGEST = 512 * 1024
"""Bytes of a message that is read."""
_COORDINATE = 32


def signs_es256(certificate: x509.Certificate) -> bool:
    """Tell whether the certificate's key is one on P-256, as ES256 wants it."""
    public_key = certificate.public_key()
    return isinstance(public_key, ec.EllipticCurvePublicKey) and isinstance(public_key.curve, ec.SECP256R1)


def key_id(certificate: x509.Certificate) -> bytes:
    """Return the first 8 bytes of the SHA-256 of the key's SubjectPublicKeyInfo, DER."""
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).digest()[:KEY_ID_SIZE]


def header(certificate: x509.Certificate) -> dict[int, Any]:
    """Return the protected header of what the certificate's key signs."""
    return {ALGORITHM: ES256, KEY_ID: key_id(certificate)}


def public_jwk(chain: Sequence[x509.Certificate]) -> dict[str, Any]:
    """Return the key of the chain's first certificate, on P-256, as a JWK (RFC 7517 §4) with the chain."""
    public_key = chain[0].public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    point = public_key.public_numbers()
    return {
        "kty": "EC",
        "crv": "P-256",
        "x": _base64url(point.x.to_bytes(_COORDINATE, "big")),
        "y": _base64url(point.y.to_bytes(_COORDINATE, "big")),
        "alg": "ES256",
        "use": "sig",
        "kid": _base64url(key_id(chain[0])),
        # RFC 7517 §4.7: certificates are in base 64 with padding, keys and key ids are not.
        "x5c": [base64.b64encode(each.public_bytes(Encoding.DER)).decode() for each in chain],
    }


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def encode(value: Any) -> bytes:
    """Encode a value in deterministic CBOR (RFC 8949 §4.2.1): shortest lengths, sorted keys.

    Keys of one map are all numbers or all texts; for those the older order of RFC 7049 is the same.
    """
    return cbor2.dumps(value, canonical=True)


def decode(data: bytes) -> Any:
    """Read deterministic CBOR, all of it. Raises ValueError for anything `encode` would write otherwise."""
    if len(data) > LARGEST:
        raise ValueError("the CBOR is too large")
    try:
        value = cbor2.loads(data)
        if encode(value) != data:
            raise ValueError("the CBOR is not deterministic")
    except (cbor2.CBORError, RecursionError, TypeError, OverflowError) as error:
        raise ValueError("this is not CBOR") from error
    return value


def sign1(key: OpenKey, payload: bytes, media_type: str | None = None) -> bytes:
    """Return the tagged COSE_Sign1 message of a payload. Raises AlgorithmNotSupported but for P-256."""
    if not signs_es256(key.certificate):
        raise AlgorithmNotSupported("ES256 wants a key on P-256.")
    protected = encode(header(key.certificate) | ({TYPE: media_type} if media_type else {}))
    # `sign` gives the DER of r and s; COSE wants them one after the other (RFC 9053 §2.1).
    r, s = decode_dss_signature(key.sign(_signed(protected, payload)))
    signature = r.to_bytes(_COORDINATE, "big") + s.to_bytes(_COORDINATE, "big")
    return encode(cbor2.CBORTag(SIGN1, [protected, {}, payload, signature]))


def _signed(protected: bytes, payload: bytes) -> bytes:
    """The Sig_structure (RFC 9052 §4.4): what the signature is over."""
    return encode(["Signature1", protected, b"", payload])


def read_signed(data: bytes) -> tuple[dict[int, Any], bytes]:
    """Return header and payload of a Sig_structure, to look at before it is signed. Raises ValueError."""
    match decode(data):
        case ["Signature1", bytes(protected), b"", bytes(payload)]:
            return decode(protected), payload
    raise ValueError("this is not the Sig_structure of a COSE_Sign1 message")
