"""The offline token in the QR code, and the list that says which permits no longer hold.

Both are CBOR Web Tokens (RFC 8392) in a COSE_Sign1 message, signed with ES256 by the agency's seal. A token
holds only what stands printed beside it; a list holds no name at all.
"""

import base64
import hashlib
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any

from keys import cose
from keys.errors import KeysError
from keys.purposes import LONGEST_STATUS_LIST, STATUS_LIST
from keys.store import OpenKey
from signing.document import canonical_json
from signing.errors import SealUnavailable

SUBJECT, EXPIRES, NOT_BEFORE, ISSUED_AT, TOKEN_ID = 2, 4, 5, 6, 7
"""Claims of RFC 8392 §3.1. The subject is a permit's number or a list's address, the id the public code."""
STATUS, TIME_TO_LIVE, LISTED = 65535, 65534, 65533
"""Claims of the IETF's Token Status List."""
TYPE, HOLDER, PLACE, DATA_SHA256 = -65537, -65538, -65539, -65540
"""Claims of our own, in the range for private use (RFC 8392 §9.1)."""

LONGEST_TEXT = 60
"""Bytes of a text in a token; what is longer ends in an ellipsis, so that the QR code stays readable."""
STATUS_BITS = 2
LIST_SIZE = 1 << 20
"""Permits that one list has room for: 256 KiB, which compress to almost nothing while few are revoked."""
SECONDS_TO_LIVE = 60
"""After so long a reader with a network asks for the list again."""


class ListedStatus(IntEnum):
    """What two bits of a list say (Token Status List §7.1); the last is for applications to define."""

    VALID = 0
    INVALID = 1
    SUSPENDED = 2
    SUPERSEDED = 3


@dataclass(frozen=True, slots=True)
class PermitFacts:
    """What a token says. `begins` is the first moment of validity, `ends` the first one after it.

    `data` are what the document attaches as `permit.json`; the token commits to the SHA-256 of its bytes.
    """

    number: str
    code: str
    type: str
    holder: str
    place: str
    begins: datetime
    ends: datetime | None
    data: Mapping[str, Any]
    list_address: str
    list_index: int


def can_seal(seal: OpenKey) -> bool:
    """Tell whether the seal's key is one for ES256; another signs neither tokens nor lists."""
    return cose.signs_es256(seal.certificate)


def seal_permit(facts: PermitFacts, seal: OpenKey, *, issued_at: datetime) -> str:
    """Return the token in base64url without padding. Raises SealUnavailable."""
    claims: dict[int, Any] = {
        SUBJECT: facts.number,
        NOT_BEFORE: _seconds(facts.begins),
        ISSUED_AT: _seconds(issued_at),
        TOKEN_ID: facts.code.encode(),
        TYPE: _shortened(facts.type),
        HOLDER: _shortened(facts.holder),
        PLACE: _shortened(facts.place),
        DATA_SHA256: hashlib.sha256(canonical_json(dict(facts.data))).digest(),
        STATUS: {"status_list": {"idx": facts.list_index, "uri": facts.list_address}},
    }
    if facts.ends is not None:
        claims[EXPIRES] = _seconds(facts.ends)
    return base64.urlsafe_b64encode(_sign(seal, claims)).rstrip(b"=").decode()


def seal_status_list(
    address: str, statuses: Iterable[tuple[int, ListedStatus]], seal: OpenKey, *, issued_at: datetime
) -> bytes:
    """Return the list as a signed CWT: every index not named is VALID (Token Status List §4, §5.2).

    Raises SealUnavailable.
    """
    per_byte = 8 // STATUS_BITS
    listed = bytearray(LIST_SIZE // per_byte)
    for index, status in statuses:
        # The lowest bits of a byte belong to the lowest index.
        listed[index // per_byte] |= status << (index % per_byte * STATUS_BITS)
    claims: dict[int, Any] = {
        SUBJECT: address,
        ISSUED_AT: _seconds(issued_at),
        EXPIRES: _seconds(issued_at + LONGEST_STATUS_LIST),
        TIME_TO_LIVE: SECONDS_TO_LIVE,
        LISTED: {"bits": STATUS_BITS, "lst": zlib.compress(bytes(listed))},
    }
    return _sign(seal, claims, STATUS_LIST)


def _sign(seal: OpenKey, claims: dict[int, Any], media_type: str | None = None) -> bytes:
    try:
        return cose.sign1(seal, cose.encode(claims), media_type)
    except KeysError as error:
        raise SealUnavailable(error.code) from error


def _shortened(text: str) -> str:
    data = text.encode()
    if len(data) <= LONGEST_TEXT:
        return text
    return data[: LONGEST_TEXT - len("…".encode())].decode(errors="ignore").rstrip() + "…"


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
