"""From which permit document do these bytes derive? Clues that survive many alterations, never a verdict.

A copy that was appended to still begins with the original; a copy with changed text still carries the
original's signature; a copy saved anew may still carry the attached `permit.json`.
"""

import hashlib
import io
import json
import re
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pyhanko.pdf_utils.reader import PdfFileReader

from signing.pdfa import PERMIT_DATA, RECEIPT_DATA

MAX_REVISIONS = 32
MAX_SIGNATURES = 32
MAX_ATTACHMENT_BYTES = 512 * 1024
_END_OF_REVISION = re.compile(rb"%%EOF(?:\r\n|\r|\n)?")
_CONTENTS = re.compile(rb"/Contents\s*<([0-9A-Fa-f\s]{64,})")
_WHITESPACE = b" \t\n\r\f\v"
_CODE = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")


@dataclass(frozen=True)
class Clues:
    """`revisions`: SHA-256 (hex) of the bytes up to each end-of-file mark; `signatures`: the fingerprint of
    each signature container; `code`: the public code that a permit's attached data claim; `receipt`: the
    statement that a verification receipt carries, unjudged."""

    revisions: tuple[str, ...]
    signatures: tuple[str, ...]
    code: str | None
    receipt: dict[str, Any] | None


def find_clues(pdf: bytes) -> Clues:
    """Gather every clue. Raises MemoryError and nothing else: what cannot be read gives no clue."""
    attached = _attached_data(pdf)
    return Clues(
        _revision_hashes(pdf),
        signature_fingerprints(pdf),
        _claimed_code(attached.get(PERMIT_DATA, {})),
        attached.get(RECEIPT_DATA),
    )


def signature_fingerprints(pdf: bytes) -> tuple[str, ...]:
    """Return the SHA-256 (hex) of each signature container's DER, without the zeros that fill its room."""
    found = []
    for match in _CONTENTS.finditer(pdf):
        digits = match.group(1).translate(None, _WHITESPACE)
        printed = fingerprint(bytes.fromhex(digits[: len(digits) // 2 * 2].decode("ascii")))
        if printed:
            found.append(printed)
        if len(found) == MAX_SIGNATURES:
            break
    return tuple(dict.fromkeys(found))


def fingerprint(container: bytes) -> str | None:
    """Return the SHA-256 (hex) of a container, cut to the length that its DER states (X.690 §8.1.3)."""
    der = _der(container)
    return hashlib.sha256(der).hexdigest() if der else None


def _der(raw: bytes) -> bytes | None:
    if len(raw) < 4 or raw[0] != 0x30:
        return None
    if raw[1] < 0x80:
        return raw[: 2 + raw[1]]
    size = raw[1] & 0x7F
    length = int.from_bytes(raw[2 : 2 + size], "big")
    return raw[: 2 + size + length] if 0 < size <= 4 and 2 + size + length <= len(raw) else None


def _revision_hashes(pdf: bytes) -> tuple[str, ...]:
    hashes, running, done = [], hashlib.sha256(), 0
    for match in islice(_END_OF_REVISION.finditer(pdf), MAX_REVISIONS):
        for end in dict.fromkeys((match.start() + len(b"%%EOF"), match.end())):
            running.update(pdf[done:end])
            done = end
            hashes.append(running.hexdigest())
    return tuple(hashes)


def _claimed_code(permit: dict[str, Any]) -> str | None:
    code = permit.get("code")
    return code if isinstance(code, str) and _CODE.fullmatch(code) else None


def _attached_data(pdf: bytes) -> dict[str, dict[str, Any]]:
    """Read the JSON objects attached under our names, the first of each name."""
    attached: dict[str, dict[str, Any]] = {}
    try:
        reader = PdfFileReader(io.BytesIO(pdf), strict=False)
        names = reader.root["/Names"]["/EmbeddedFiles"]["/Names"]
        for position in range(0, min(len(names), 20), 2):
            name = str(names[position])
            if name in (PERMIT_DATA, RECEIPT_DATA) and name not in attached:
                data = json.loads(names[position + 1]["/EF"]["/F"].data[:MAX_ATTACHMENT_BYTES])
                attached[name] = data if isinstance(data, dict) else {}
    except MemoryError:
        raise
    except Exception:  # Parsers leak whatever a hostile file provokes; what was read before remains.
        return attached
    return attached
