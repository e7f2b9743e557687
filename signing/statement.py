"""A statement under a seal, as one JSON file: what is said, and a detached CMS over its canonical bytes.

`{"statement": {…}, "signature": "base64 of the DER"}`. What is signed is the statement's canonical JSON
(RFC 8785: sorted keys, no spaces, UTF-8), so that layout may change on the way and nothing else may.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from keys.store import OpenKey
from keys.timestamp import Timestamper
from signing.detached import sign_detached
from signing.document import canonical_json
from signing.errors import UnreadableDocument

MAX_BYTES = 1024 * 1024
_MEMBERS = {"statement", "signature"}


def seal_statement(
    statement: Mapping[str, Any], seal: OpenKey, *, signed_at: datetime, timestamper: Timestamper | None
) -> bytes:
    """Return the JSON file with the statement and the seal's signature. Raises as `sign_detached`."""
    content = canonical_json(dict(statement))
    signature = sign_detached(content, seal, signed_at=signed_at, timestamper=timestamper)
    sealed = {"statement": dict(statement), "signature": base64.b64encode(signature).decode()}
    return json.dumps(sealed, ensure_ascii=False, indent=1).encode() + b"\n"


def open_statement(file: bytes) -> tuple[dict[str, Any], bytes, bytes]:
    """Return a file's statement, the bytes that were signed and the signature's DER, none of them judged.

    Raises UnreadableDocument for what is not exactly such a file.
    """
    try:
        if len(file) > MAX_BYTES:
            raise ValueError("too large")
        sealed = json.loads(file, object_pairs_hook=_without_duplicates)
        if not isinstance(sealed, dict) or sealed.keys() != _MEMBERS:
            raise ValueError("other members")
        statement = sealed["statement"]
        if not isinstance(statement, dict):
            raise TypeError("no statement")
        signature = base64.b64decode(sealed["signature"], validate=True)
        return statement, canonical_json(statement), signature
    except (ValueError, TypeError, RecursionError, binascii.Error) as error:
        raise UnreadableDocument("The file is not a statement under a seal.") from error


def _without_duplicates(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name given twice, of which two readers would take two values (RFC 8259 §4)."""
    found = dict(members)
    if len(found) != len(members):
        raise ValueError("a name is given twice")
    return found
