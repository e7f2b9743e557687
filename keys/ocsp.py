"""The OCSP responder (RFC 6960), with nonces (RFC 9654): from a query's bytes to an answer's."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from asn1crypto import ocsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from keys.algorithms import algorithm_of
from keys.der import (
    bit_string,
    explicit,
    generalized_time,
    integer,
    object_identifier,
    octet_string,
    sequence,
    tlv,
)
from keys.lint import key_identifier
from keys.lint_revocation import LONGEST_NONCE, lint_ocsp_response
from keys.store import OpenKey

MOST_REQUESTS = 10
"""Certificates that one query may ask about."""
_BASIC = "1.3.6.1.5.5.7.48.1.1"
_NONCE = "1.3.6.1.5.5.7.48.1.2"
_OIDS = {"sha1": "1.3.14.3.2.26", "sha256": "2.16.840.1.101.3.4.2.1"}
ALGORITHMS = ("sha1", "sha256")
"""The hashes by which queries name issuers."""
_HASHES = {"sha1": hashlib.sha1, "sha256": hashlib.sha256}


class _ResponseStatus(IntEnum):
    """RFC 6960 §4.2.1."""

    SUCCESSFUL = 0
    MALFORMED_REQUEST = 1
    UNAUTHORIZED = 6


@dataclass(frozen=True)
class CertId:
    """Which certificate a query asks about: hashes of its issuer's name and key, and its serial number."""

    algorithm: str
    name_hash: bytes
    key_hash: bytes
    serial_number: int

    def encode(self) -> bytes:
        """Encode the CertID (§4.1.1) anew: a stranger's bytes are never signed as they came."""
        return sequence(
            sequence(object_identifier(_OIDS[self.algorithm]), b"\x05\x00"),
            octet_string(self.name_hash),
            octet_string(self.key_hash),
            integer(self.serial_number),
        )

    @classmethod
    def of(cls, issuer: x509.Certificate, serial_number: int, algorithm: str) -> "CertId":
        """Return how a query names a certificate of an issuer (RFC 6960 §4.1.1)."""
        digest = _HASHES[algorithm]
        parsed = asn1_x509.Certificate.load(issuer.public_bytes(Encoding.DER))
        key = bytes(parsed.public_key["public_key"])
        name = issuer.subject.public_bytes()
        return cls(algorithm, digest(name).digest(), digest(key).digest(), serial_number)

    def is_issued_by(self, issuer: x509.Certificate) -> bool:
        """Tell whether the hashes are those of an issuer's certificate."""
        return self == CertId.of(issuer, self.serial_number, self.algorithm)


@dataclass(frozen=True)
class CertStatus:
    """What the issuer says of a certificate: unknown, revoked (or suspended) since a time, or good."""

    is_known: bool
    revoked_at: datetime | None = None
    reason: x509.ReasonFlags = x509.ReasonFlags.unspecified


class _Malformed(Exception):
    """The query cannot be read, or asks for too much."""


def respond(
    query: bytes,
    find_responder: Callable[[CertId], OpenKey | None],
    status_of: Callable[[CertId], CertStatus],
    *,
    now: datetime,
    next_update: datetime,
) -> bytes:
    """Answer a DER OCSPRequest with a DER OCSPResponse; a fault of the query never raises.

    `find_responder` gives the key whose certificate the issuer of the certificate asked about has
    delegated (§4.2.2.2), nothing for a stranger's: then the answer is `unauthorized`. All certificates of
    one query must have one issuer.
    """
    try:
        wanted, nonce = _read_query(query)
    except _Malformed:
        return _refusal(_ResponseStatus.MALFORMED_REQUEST)
    responders = [find_responder(each) for each in wanted]
    responder = responders[0]
    if responder is None or any(each is not responder for each in responders):
        return _refusal(_ResponseStatus.UNAUTHORIZED)
    answers = [_single(each, status_of(each), now, next_update) for each in wanted]
    return _sign(responder, answers, nonce, now)


def asked_alone(query: bytes) -> CertId | None:
    """Return what a query asks about when it asks about one certificate and without a nonce.

    Its answer can be made beforehand (RFC 5019 §2.1).
    """
    try:
        wanted, nonce = _read_query(query)
    except _Malformed:
        return None
    return wanted[0] if len(wanted) == 1 and nonce is None else None


def answer_beforehand(
    responder: OpenKey, cert_id: CertId, status: CertStatus, *, now: datetime, next_update: datetime
) -> bytes:
    """Return the DER OCSPResponse to a query about one certificate without a nonce (RFC 5019 §2.2)."""
    return _sign(responder, [_single(cert_id, status, now, next_update)], None, now)


def _read_query(query: bytes) -> tuple[list[CertId], bytes | None]:
    try:
        request = ocsp.OCSPRequest.load(query, strict=True)["tbs_request"]
        wanted = [_cert_id(each["req_cert"]) for each in request["request_list"]]
        extensions = {each["extn_id"].dotted: each["extn_value"] for each in request["request_extensions"]}
        nonce = extensions[_NONCE].parsed.native if _NONCE in extensions else None
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _Malformed from error
    if not 1 <= len(wanted) <= MOST_REQUESTS:
        raise _Malformed
    if nonce is not None and not 1 <= len(nonce) <= LONGEST_NONCE:
        raise _Malformed
    return wanted, nonce


def _cert_id(parsed: ocsp.CertId) -> CertId:
    algorithm = parsed["hash_algorithm"]["algorithm"].native
    if algorithm not in _HASHES:
        raise _Malformed
    return CertId(
        algorithm,
        bytes(parsed["issuer_name_hash"]),
        bytes(parsed["issuer_key_hash"]),
        parsed["serial_number"].native,
    )


def _single(cert_id: CertId, status: CertStatus, now: datetime, next_update: datetime) -> bytes:
    """Encode a SingleResponse (§4.2.1)."""
    if not status.is_known:
        said = tlv(0x82)
    elif status.revoked_at is None:
        said = tlv(0x80)
    else:
        # `unspecified` is left out, as in revocation lists (RFC 5280 §5.3.1).
        is_told = status.reason is not x509.ReasonFlags.unspecified
        reason = [explicit(0, tlv(0x0A, bytes([_number_of(status.reason)])))] if is_told else []
        said = explicit(1, generalized_time(status.revoked_at), *reason)
    return sequence(cert_id.encode(), said, generalized_time(now), explicit(0, generalized_time(next_update)))


def _number_of(reason: x509.ReasonFlags) -> int:
    """Return the CRLReason's number, which `public_bytes` encodes as an ENUMERATED (RFC 5280 §5.3.1)."""
    return x509.CRLReason(reason).public_bytes()[-1]


def _sign(responder: OpenKey, answers: Sequence[bytes], nonce: bytes | None, now: datetime) -> bytes:
    extensions = []
    if nonce is not None:
        extension = sequence(object_identifier(_NONCE), octet_string(octet_string(nonce)))
        extensions.append(explicit(1, sequence(extension)))
    data = sequence(
        # byKey is the SHA-1 of the responder's key (§4.2.1), which is also how the key's identifier is made.
        explicit(2, octet_string(key_identifier(responder.certificate) or b"")),
        generalized_time(now),
        sequence(*answers),
        *extensions,
    )
    identifier = algorithm_of(responder.certificate.public_key()).identifier
    lint_ocsp_response(data, identifier, responder.certificate, responder.chain[0])
    basic = sequence(
        data,
        identifier,
        bit_string(responder.sign(data)),
        explicit(0, sequence(responder.certificate.public_bytes(Encoding.DER))),
    )
    return sequence(
        _status(_ResponseStatus.SUCCESSFUL),
        explicit(0, sequence(object_identifier(_BASIC), octet_string(basic))),
    )


def _refusal(status: _ResponseStatus) -> bytes:
    return sequence(_status(status))


def _status(status: _ResponseStatus) -> bytes:
    return tlv(0x0A, integer(status)[2:])
