"""What each signature algorithm is, in one table: its keys, its name in DER, its digest and its size.

The digests follow the standards: a curve takes the SHA-2 of its own strength (RFC 5480 §4), Ed25519 and
ML-DSA messages are digested with SHA-512 in CMS (RFC 8419 §3.1, RFC 9882 §3.3). RSA stays with SHA-256 at
either size: every token and reader knows it, and its 128 bits are what 3072 bits of RSA give.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa

from keys.der import object_identifier, sequence
from keys.errors import AlgorithmNotSupported

PrivateKey = (
    ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | mldsa.MLDSA65PrivateKey
)
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey | mldsa.MLDSA65PublicKey


@dataclass(frozen=True)
class Algorithm:
    """A kind of key and the one way to sign with it.

    `matches` tells whether a public key is of this kind.
    `identifier` is the DER AlgorithmIdentifier of its signatures, alike in certificates and in CMS.
    `digest` is hashlib's name of what CMS digests its content with; `signature_size` an upper bound in bytes.
    `arguments` follow the data where cryptography signs and verifies.
    """

    name: str
    matches: Callable[[object], bool]
    identifier: bytes
    digest: str
    signature_size: int
    generate: Callable[[], PrivateKey]
    arguments: tuple[object, ...] = ()
    is_experimental: bool = False


def _ecdsa(name: str, curve: ec.EllipticCurve, oid: str, digest: hashes.HashAlgorithm) -> Algorithm:
    return Algorithm(
        name,
        lambda key: isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == curve.name,
        sequence(object_identifier(oid)),
        digest.name,
        # An ECDSA-Sig-Value (RFC 3279 §2.2.3) over r and s: three headers, and a sign octet before each.
        2 * (curve.key_size // 8) + 8,
        lambda: ec.generate_private_key(curve),
        (ec.ECDSA(digest),),
    )


def _rsa(bits: int) -> Algorithm:
    return Algorithm(
        f"rsa{bits}",
        lambda key: isinstance(key, rsa.RSAPublicKey) and key.key_size == bits,
        # RFC 4055 §5: the parameters of PKCS #1 v1.5 are NULL, not absent.
        sequence(object_identifier("1.2.840.113549.1.1.11"), b"\x05\x00"),
        "sha256",
        bits // 8,
        lambda: rsa.generate_private_key(public_exponent=65537, key_size=bits),
        (padding.PKCS1v15(), hashes.SHA256()),
    )


P256 = _ecdsa("p256", ec.SECP256R1(), "1.2.840.10045.4.3.2", hashes.SHA256())
P384 = _ecdsa("p384", ec.SECP384R1(), "1.2.840.10045.4.3.3", hashes.SHA384())
RSA3072, RSA4096 = _rsa(3072), _rsa(4096)
ED25519 = Algorithm(
    "ed25519",
    lambda key: isinstance(key, ed25519.Ed25519PublicKey),
    sequence(object_identifier("1.3.101.112")),
    "sha512",
    64,
    ed25519.Ed25519PrivateKey.generate,
)
MLDSA65 = Algorithm(
    "mldsa65",
    lambda key: isinstance(key, mldsa.MLDSA65PublicKey),
    sequence(object_identifier("2.16.840.1.101.3.4.3.18")),
    "sha512",
    3309,
    mldsa.MLDSA65PrivateKey.generate,
    is_experimental=True,
)
"""ML-DSA-65 (FIPS 204, RFC 9881), against quantum computers. Our own verification and pyHanko read it;
Poppler, MuPDF and OpenSSL before 3.5 do not, so no permit should rest on it alone."""

ALGORITHMS = {each.name: each for each in (P256, P384, RSA3072, RSA4096, ED25519, MLDSA65)}
_SUPPORTED = f"A key must be one of {', '.join(ALGORITHMS)}."

DIGEST_IDENTIFIERS = {
    # SHA-2 without parameters (RFC 5754 §2).
    "sha256": sequence(object_identifier("2.16.840.1.101.3.4.2.1")),
    "sha384": sequence(object_identifier("2.16.840.1.101.3.4.2.2")),
    "sha512": sequence(object_identifier("2.16.840.1.101.3.4.2.3")),
}


def algorithm_of(public_key: object) -> Algorithm:
    """Return the algorithm that a key signs with. Raises AlgorithmNotSupported for any other kind of key."""
    for algorithm in ALGORITHMS.values():
        if algorithm.matches(public_key):
            return algorithm
    raise AlgorithmNotSupported(_SUPPORTED)


def algorithm_named(name: str) -> Algorithm:
    """Return an algorithm by its name in ALGORITHMS. Raises AlgorithmNotSupported."""
    if name not in ALGORITHMS:
        raise AlgorithmNotSupported(_SUPPORTED)
    return ALGORITHMS[name]


def generate_key(name: str = P256.name) -> PrivateKey:
    """Generate a private key of the algorithm. Raises AlgorithmNotSupported."""
    return algorithm_named(name).generate()


def sign_with(private_key: PrivateKey) -> Callable[[bytes], bytes]:
    """Return the `sign` function of a private key held in memory. Raises AlgorithmNotSupported."""
    arguments = algorithm_of(private_key.public_key()).arguments
    return lambda data: private_key.sign(data, *arguments)  # type: ignore[arg-type]


def verify_signature(public_key: object, signature: bytes, data: bytes) -> None:
    """Raise InvalidSignature unless the key made the signature over the data, or AlgorithmNotSupported."""
    arguments = algorithm_of(public_key).arguments
    public_key.verify(signature, data, *arguments)  # type: ignore[attr-defined]
