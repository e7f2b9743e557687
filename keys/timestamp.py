"""The time-stamping authority (RFC 3161, RFC 5816)."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from asn1crypto import cms, core, tsp
from cryptography import x509

from keys.authority import random_serial_number
from keys.cms import sign_content
from keys.errors import CertificateNotValid
from keys.profiles import TIMESTAMP_POLICY
from keys.store import OpenKey

_DIGEST_SIZES = {"sha256": 32, "sha384": 48, "sha512": 64}


class _Rejected(Exception):
    """The request is refused; the argument is asn1crypto's name of the PKIFailureInfo bit."""


class _Rejection(core.Sequence):  # type: ignore[misc]
    """A TimeStampResp without a token, which asn1crypto's own class cannot express."""

    _fields = [("status", tsp.PKIStatusInfo)]


def respond(
    request_der: bytes, tsa_key: OpenKey, *, now: datetime, serial_number: int | None = None
) -> bytes:
    """Answer a DER TimeStampReq with a DER TimeStampResp: granted, or rejected with its reason (§2.4.2).

    A fault of the request never raises. `serial_number` must be unique among this TSA's tokens; without
    one, 128 random bits are taken.
    """
    try:
        request = _read_request(request_der)
        if not _valid_at(tsa_key.certificate, now):
            raise _Rejected("time_not_available")
    except _Rejected as rejection:
        refusal = {"status": "rejection", "fail_info": {rejection.args[0]}}
        return _dump(_Rejection({"status": refusal}))
    imprint = request["message_imprint"]
    token = create_token(
        imprint["hashed_message"].native,
        tsa_key,
        now=now,
        algorithm=imprint["hash_algorithm"]["algorithm"].native,
        serial_number=serial_number,
        nonce=request["nonce"].native,
        certificates=(tsa_key.certificate, *tsa_key.chain[:-1]) if request["cert_req"].native else (),
    )
    fields = {"status": {"status": "granted"}, "time_stamp_token": cms.ContentInfo.load(token)}
    return _dump(tsp.TimeStampResp(fields))


def create_token(
    digest: bytes,
    tsa_key: OpenKey,
    *,
    now: datetime,
    algorithm: str = "sha256",
    serial_number: int | None = None,
    nonce: int | None = None,
    certificates: Sequence[x509.Certificate] = (),
) -> bytes:
    """Return the DER of a TimeStampToken over `digest` (§2.4.2), in whole seconds, accurate to one.

    `certificates` are embedded. Raises CertificateNotValid when the TSA's certificate is not valid `now`.
    """
    if not _valid_at(tsa_key.certificate, now):
        raise CertificateNotValid("The certificate of the time-stamping authority is not valid at this time.")
    fields = {
        "version": "v1",
        "policy": TIMESTAMP_POLICY.dotted_string,
        "message_imprint": {"hash_algorithm": {"algorithm": algorithm}, "hashed_message": digest},
        "serial_number": serial_number or random_serial_number(),
        "gen_time": now.astimezone(UTC).replace(microsecond=0),
        "accuracy": {"seconds": 1},
    }
    if nonce is not None:
        fields["nonce"] = nonce
    content = tsp.TSTInfo(fields).dump()
    return sign_content(
        tsa_key,
        "tst_info",
        hashlib.sha256(content).digest(),
        content=content,
        certificates=certificates,
    )


def local_timestamper(
    tsa_key: OpenKey,
    now: Callable[[], datetime],
    next_serial_number: Callable[[], int] = random_serial_number,
) -> Callable[[bytes], bytes]:
    """Return a function from a SHA-256 digest to a TimeStampToken, made here without any network.

    The token embeds the TSA's certificate alone: the signature it goes into brings the rest of the chain.
    """
    return lambda digest: create_token(
        digest,
        tsa_key,
        now=now(),
        serial_number=next_serial_number(),
        certificates=(tsa_key.certificate,),
    )


def _read_request(request_der: bytes) -> tsp.TimeStampReq:
    """Parse a request and check it against what this TSA offers."""
    try:
        request = tsp.TimeStampReq.load(request_der, strict=True)
        # Parsing is lazy: reading every value brings its faults to light here.
        values = request.native
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _Rejected("bad_data_format") from error
    if values["version"] != "v1":
        raise _Rejected("bad_request")
    imprint = values["message_imprint"]
    size = _DIGEST_SIZES.get(imprint["hash_algorithm"]["algorithm"])
    if size is None:
        raise _Rejected("bad_alg")
    if len(imprint["hashed_message"]) != size:
        raise _Rejected("bad_data_format")
    if values["req_policy"] not in (None, TIMESTAMP_POLICY.dotted_string):
        raise _Rejected("unaccepted_policy")
    if values["extensions"]:
        raise _Rejected("unaccepted_extensions")
    return request


def _valid_at(certificate: x509.Certificate, moment: datetime) -> bool:
    return certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc


def _dump(value: core.Sequence) -> bytes:
    der: bytes = value.dump()
    return der
