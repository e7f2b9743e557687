"""The time-stamping authority (RFC 3161, RFC 5816)."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from asn1crypto import tsp
from cryptography import x509

from keys.algorithms import DIGEST_IDENTIFIERS
from keys.authority import random_serial_number
from keys.cms import TST_INFO, digest_of, sign_content, sign_content_size
from keys.der import generalized_time, integer, object_identifier, octet_string, sequence, tlv
from keys.errors import CertificateNotValid
from keys.profiles import TIMESTAMP_POLICY
from keys.store import OpenKey

_DIGEST_SIZES = {"sha256": 32, "sha384": 48, "sha512": 64}
_GRANTED, _REJECTION = 0, 2

_TST_INFO_SIZE = 192
"""Bytes that a TSTInfo with a SHA-256 digest and a serial number of 20 octets stays below."""


@dataclass(frozen=True)
class Timestamper:
    """Where signatures get their time stamps.

    `stamp` takes a SHA-256 digest (32 bytes) and returns the DER of a TimeStampToken over it, of at most
    `token_size` bytes; a public authority with an RSA chain needs about 6 KiB. The size is what a signature
    keeps free, and every byte of it costs those who read the document time.
    """

    stamp: Callable[[bytes], bytes]
    token_size: int


class _Failure(IntEnum):
    """PKIFailureInfo: the number of the bit that says why (§2.4.2)."""

    BAD_ALG = 0
    BAD_REQUEST = 2
    BAD_DATA_FORMAT = 5
    TIME_NOT_AVAILABLE = 14
    UNACCEPTED_POLICY = 15
    UNACCEPTED_EXTENSION = 16


class _Rejected(Exception):
    def __init__(self, failure: _Failure) -> None:
        self.failure = failure


def respond(
    request_der: bytes, tsa_key: OpenKey, *, now: datetime, serial_number: int | None = None
) -> bytes:
    """Answer a DER TimeStampReq with a DER TimeStampResp: granted, or rejected with its reason (§2.4.2).

    A fault of the request never raises. `serial_number` must be unique among this TSA's tokens; without
    one, 128 random bits are taken.
    """
    try:
        request = _read_request(request_der)
        token = create_token(
            request["message_imprint"].dump(),
            tsa_key,
            now=now,
            serial_number=serial_number,
            nonce=request["nonce"].native,
            certificates=(tsa_key.certificate, *tsa_key.chain[:-1]) if request["cert_req"].native else (),
        )
    except _Rejected as rejection:
        return _rejection(rejection.failure)
    except CertificateNotValid:
        return _rejection(_Failure.TIME_NOT_AVAILABLE)
    return sequence(sequence(integer(_GRANTED)), token)


def create_token(
    message_imprint: bytes,
    tsa_key: OpenKey,
    *,
    now: datetime,
    serial_number: int | None = None,
    nonce: int | None = None,
    certificates: Sequence[x509.Certificate] = (),
) -> bytes:
    """Return the DER of a TimeStampToken over a DER MessageImprint, in whole seconds, accurate to one.

    `certificates` are embedded. Raises CertificateNotValid when the TSA's certificate is not valid `now`.
    """
    certificate = tsa_key.certificate
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise CertificateNotValid("The certificate of the time-stamping authority is not valid at this time.")
    content = sequence(
        integer(1),
        object_identifier(TIMESTAMP_POLICY.dotted_string),
        message_imprint,
        integer(serial_number or random_serial_number()),
        generalized_time(now),
        sequence(integer(1)),
        *([integer(nonce)] if nonce is not None else []),
    )
    digest = hashlib.new(digest_of(tsa_key), content).digest()
    return sign_content(tsa_key, TST_INFO, digest, content=content, certificates=certificates)


def local_timestamper(
    tsa_key: OpenKey,
    now: Callable[[], datetime],
    next_serial_number: Callable[[], int] = random_serial_number,
) -> Timestamper:
    """Return a timestamper that stamps here, without any network.

    Its tokens embed the TSA's certificate alone: the signature they go into brings the rest of the chain.
    """
    certificates = (tsa_key.certificate,)

    def stamp(digest: bytes) -> bytes:
        return create_token(
            sequence(DIGEST_IDENTIFIERS["sha256"], octet_string(digest)),
            tsa_key,
            now=now(),
            serial_number=next_serial_number(),
            certificates=certificates,
        )

    return Timestamper(stamp, sign_content_size(tsa_key, certificates) + _TST_INFO_SIZE)


def _read_request(request_der: bytes) -> tsp.TimeStampReq:
    """Parse a request and check it against what this TSA offers."""
    try:
        request = tsp.TimeStampReq.load(request_der, strict=True)
        # Parsing is lazy: reading every value brings its faults to light here.
        values = request.native
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _Rejected(_Failure.BAD_DATA_FORMAT) from error
    if values["version"] != "v1":
        raise _Rejected(_Failure.BAD_REQUEST)
    imprint = values["message_imprint"]
    size = _DIGEST_SIZES.get(imprint["hash_algorithm"]["algorithm"])
    if size is None:
        raise _Rejected(_Failure.BAD_ALG)
    if len(imprint["hashed_message"]) != size:
        raise _Rejected(_Failure.BAD_DATA_FORMAT)
    if values["req_policy"] not in (None, TIMESTAMP_POLICY.dotted_string):
        raise _Rejected(_Failure.UNACCEPTED_POLICY)
    if values["extensions"]:
        raise _Rejected(_Failure.UNACCEPTED_EXTENSION)
    return request


def _rejection(failure: _Failure) -> bytes:
    """Encode a TimeStampResp whose failInfo has the one bit set; DER drops the zero bits after it."""
    octet, bit = divmod(failure, 8)
    fail_info = tlv(0x03, bytes([7 - bit]), bytes(octet), bytes([0x80 >> bit]))
    return sequence(sequence(integer(_REJECTION), fail_info))
