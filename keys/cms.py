"""A CMS SignedData with one signer (RFC 5652 §5), as CAdES signatures and time-stamp tokens share it."""

import hashlib
from collections.abc import Callable, Sequence

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from keys.algorithms import DIGEST_IDENTIFIERS, algorithm_of
from keys.der import explicit, integer, object_identifier, octet_string, sequence, set_of
from keys.store import OpenKey

DATA = "1.2.840.113549.1.7.1"
TST_INFO = "1.2.840.113549.1.9.16.1.4"
SIGNATURE_TIME_STAMP_TOKEN = "1.2.840.113549.1.9.16.2.14"  # noqa: S105 - an attribute's name, no secret

_SIGNED_DATA = "1.2.840.113549.1.7.2"
_CONTENT_TYPE = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
_SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47"

_FIXED_SIZE = 320
"""What is neither signature, name nor certificate: some 260 bytes, and room for longer lengths."""


def sign_content(
    key: OpenKey,
    content_type: str,
    content_digest: bytes,
    *,
    content: bytes | None = None,
    certificates: Sequence[x509.Certificate] = (),
    unsigned_attributes: Callable[[bytes], list[bytes]] | None = None,
) -> bytes:
    """Return the DER of a ContentInfo with SignedData over `content_digest`, made as `digest_of` says.

    The signed attributes are content-type, message-digest and signing-certificate-v2 (RFC 5035 §5.4.1).
    `content` is left out of a detached signature. `unsigned_attributes` is called with the signature's
    value and returns encoded attributes. Raises AlgorithmNotSupported.
    """
    algorithm = algorithm_of(key.certificate.public_key())
    digest_identifier = DIGEST_IDENTIFIERS[algorithm.digest]
    signed = _signed_attributes(key.certificate, content_type, content_digest)
    # RFC 5652 §5.4: the signature is over the SET OF, but the message carries it under the tag [0].
    attributes = set_of(*signed)
    if key.sign_shown and content is not None:
        signature = key.sign_shown(attributes, content)
    else:
        signature = key.sign(attributes)
    unsigned = sorted(unsigned_attributes(signature)) if unsigned_attributes else []
    signer_info = sequence(
        integer(1),
        sequence(key.certificate.issuer.public_bytes(), integer(key.certificate.serial_number)),
        digest_identifier,
        explicit(0, *signed),
        algorithm.identifier,
        octet_string(signature),
        *([explicit(1, *unsigned)] if unsigned else []),
    )
    encoded = sorted(certificate.public_bytes(Encoding.DER) for certificate in certificates)
    signed_data = sequence(
        # RFC 5652 §5.1: version 3 as soon as the content is anything but plain data.
        integer(1 if content_type == DATA else 3),
        set_of(digest_identifier),
        sequence(
            object_identifier(content_type),
            *([explicit(0, octet_string(content))] if content is not None else []),
        ),
        *([explicit(0, *encoded)] if encoded else []),
        set_of(signer_info),
    )
    return sequence(object_identifier(_SIGNED_DATA), explicit(0, signed_data))


def _signed_attributes(signer: x509.Certificate, content_type: str, content_digest: bytes) -> list[bytes]:
    # SHA-256 is the default hash of ESSCertIDv2, and DER leaves defaults out.
    certificate_id = sequence(octet_string(hashlib.sha256(signer.public_bytes(Encoding.DER)).digest()))
    return sorted(
        [
            attribute(_CONTENT_TYPE, object_identifier(content_type)),
            attribute(_MESSAGE_DIGEST, octet_string(content_digest)),
            attribute(_SIGNING_CERTIFICATE_V2, sequence(sequence(certificate_id))),
        ]
    )


def digest_of(key: OpenKey) -> str:
    """Return hashlib's name of the digest in a key's messages. Raises AlgorithmNotSupported."""
    return algorithm_of(key.certificate.public_key()).digest


def sign_content_size(key: OpenKey, certificates: Sequence[x509.Certificate] = ()) -> int:
    """Return an upper bound of what `sign_content` returns for a detached content, in bytes.

    An encapsulated content and unsigned attributes come on top.
    """
    signature = algorithm_of(key.certificate.public_key()).signature_size
    issuer = len(key.certificate.issuer.public_bytes())
    return (
        _FIXED_SIZE + signature + issuer + sum(len(each.public_bytes(Encoding.DER)) for each in certificates)
    )


def attribute(name: str, value: bytes) -> bytes:
    """Encode an attribute with one already encoded value (RFC 5652 §5.3)."""
    return sequence(object_identifier(name), set_of(value))
