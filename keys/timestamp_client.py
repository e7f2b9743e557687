"""Asking a time-stamping authority of another house (RFC 3161 §2.4): the query, and what its answer must be.

Whether the authority is to be trusted is judged where documents are: see `signing.time_stamps`.
"""

from datetime import datetime, timedelta
from typing import Any

from asn1crypto import cms, tsp
from cryptography import x509

from keys.algorithms import DIGEST_IDENTIFIERS
from keys.der import integer, object_identifier, octet_string, sequence, tlv
from keys.errors import TimestampNotGranted

CLOCK_SKEW = timedelta(minutes=1)
"""How far the authority's clock may differ from ours."""


def build_query(digest: bytes, *, nonce: int, policy: str | None = None) -> bytes:
    """Return the DER of a TimeStampReq over a SHA-256 digest that asks for the authority's certificate."""
    return sequence(
        integer(1),
        sequence(DIGEST_IDENTIFIERS["sha256"], octet_string(digest)),
        *([object_identifier(policy)] if policy else []),
        integer(nonce),
        tlv(0x01, b"\xff"),
    )


def read_answer(answer: bytes, digest: bytes, *, nonce: int, policy: str | None, now: datetime) -> bytes:
    """Return the DER of the TimeStampToken in a TimeStampResp that grants what was asked (§2.4.2).

    Raises TimestampNotGranted when the answer cannot be read, is a rejection, or is about another digest,
    nonce or policy, or about another time than `now`.
    """
    try:
        token = _granted_token(answer)
        stated = token["content"]["encap_content_info"]["content"].parsed
        imprint = stated["message_imprint"]
        wrong = {
            "imprint": imprint["hash_algorithm"]["algorithm"].native != "sha256"
            or imprint["hashed_message"].native != digest,
            "nonce": stated["nonce"].native != nonce,
            "policy": policy is not None and stated["policy"].dotted != policy,
            "time": abs(stated["gen_time"].native - now) > CLOCK_SKEW,
        }
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise TimestampNotGranted("The answer is no time stamp.") from error
    for part, is_wrong in wrong.items():
        if is_wrong:
            raise TimestampNotGranted(f"The time stamp states another {part} than was asked for.")
    der: bytes = token.dump()
    return der


def token_certificates(token: bytes) -> list[x509.Certificate]:
    """Return the certificates in a DER TimeStampToken, the authority's own first.

    Raises TimestampNotGranted when the authority's is not among them.
    """
    try:
        content = cms.ContentInfo.load(token, strict=True)["content"]
        certificates = [
            x509.load_der_x509_certificate(each.chosen.dump()) for each in content["certificates"]
        ]
        signer = content["signer_infos"][0]["sid"].chosen["serial_number"].native
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        raise TimestampNotGranted("The time stamp's certificates cannot be read.") from error
    if signer not in {each.serial_number for each in certificates}:
        raise TimestampNotGranted("The time stamp lacks the authority's certificate.")
    return sorted(certificates, key=lambda each: each.serial_number != signer)


def _granted_token(answer: bytes) -> Any:
    response = tsp.TimeStampResp.load(answer, strict=True)
    if response["status"]["status"].native not in ("granted", "granted_with_mods"):
        raise TimestampNotGranted("The time-stamping authority rejected the query.")
    return response["time_stamp_token"]
