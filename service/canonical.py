"""Values written in one way only, and their hashes: what audit trail, seals and evidence agree on."""

import hashlib
import json
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any


def canonical(value: Any, default: Callable[[Any], str] | None = None) -> str:
    """Write a value as JSON with sorted keys, no spaces, and every character as it is."""
    return _encoder(default).encode(value)


@lru_cache(maxsize=8)
def _encoder(default: Callable[[Any], str] | None) -> json.JSONEncoder:
    return json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=default)


def canonical_list(written: Iterable[str]) -> str:
    """Write a list of which each member is written already."""
    return f"[{','.join(written)}]"


def text_hash(text: str) -> str:
    """Return the SHA-256 (hex) of a text in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def chained_hash(previous_hash: str, digest: str) -> str:
    """Return the hash (hex) of an audit event by the hash before it and its body's digest, both in hex."""
    return text_hash(f"{previous_hash}{digest}")


def committed_hash(nonce: str, event_hash: str) -> str:
    """Return the commitment (hex) of a leaf of the log to the audit event with this hash."""
    return text_hash(f"{nonce}{event_hash}")


def row_hash(
    table: str, key: str, columns: dict[str, Any], default: Callable[[Any], str] | None = None
) -> str:
    """Return the hash (hex) of a whole sealed row, its columns in the order of their names."""
    return text_hash(canonical([table, key, [columns[name] for name in sorted(columns)]], default))
