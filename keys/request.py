"""Asking another authority for a certificate of a key that is kept here (PKCS #10, RFC 2986)."""

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keys.algorithms import algorithm_of
from keys.authority import Subject
from keys.der import bit_string, explicit, integer, sequence
from keys.store import BareKey


def build_request(key: BareKey, subject: Subject) -> bytes:
    """Return a DER CertificationRequest, signed by the key itself to prove that it is held (§3).

    Raises ProfileViolation for a subject that X.520 does not allow.
    """
    identifier = algorithm_of(key.public_key).identifier
    information = sequence(
        integer(0),
        subject.as_name().public_bytes(),
        key.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        # Attributes are not optional, though there are none (§4.1).
        explicit(0),
    )
    return sequence(information, identifier, bit_string(key.sign(information)))
