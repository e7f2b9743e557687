"""Finding secrets where none may be: passphrases as programmes write them, keys in any encoding."""

import base64
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from sqlalchemy import Engine, inspect, text

from keys.algorithms import PrivateKey
from keys.software import _decrypt

_BREAKS = re.compile(rb"\\r|\\n|\s")


def spellings(canary: str) -> set[bytes]:
    """The canary as it may stand in JSON, HTML, an address or a file, in small letters."""
    written = {
        canary,
        quote(canary),
        quote_plus(canary),
        json.dumps(canary)[1:-1],
        canary.replace("+", "&#43;"),
    }
    return {spelling.encode().lower() for spelling in written}


def found_in(data: bytes | str, canaries: dict[str, str]) -> set[str]:
    """Return the names of the canaries that the data quote."""
    searched = (data.encode(errors="replace") if isinstance(data, str) else data).lower()
    return {
        name
        for name, canary in canaries.items()
        if any(spelling in searched for spelling in spellings(canary))
    }


def key_spellings(key: PrivateKey) -> set[bytes]:
    """The private half of a key as it may stand in memory dumps, JWKs, PEM files or a debugger's output.

    Each secret part (a scalar, a seed, the primes and exponents of RSA) as bytes of either order, in
    hexadecimal and decimal digits, and in both alphabets of base 64 at each offset into longer data. A
    PKCS #8 or PEM file contains the parts, so it is found by them. In small letters.
    """
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.private_numbers()
        whole = (numbers.p, numbers.q, numbers.d, numbers.dmp1, numbers.dmq1, numbers.iqmp)
        parts = [each.to_bytes((each.bit_length() + 7) // 8, "big") for each in whole]
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        parts = [key.private_numbers().private_value.to_bytes((key.key_size + 7) // 8, "big")]
    else:
        parts = [key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())]
    return {spelling.lower() for part in parts for spelling in _part_spellings(part)}


def _part_spellings(part: bytes) -> Iterable[bytes]:
    yield part
    yield part[::-1]
    yield part.hex().encode()
    yield str(int.from_bytes(part, "big")).encode()
    for shift in range(3):
        # What stands at the edges depends on the neighbours: only whole groups of four letters are sought.
        inner = part[shift : shift + (len(part) - shift) // 3 * 3]
        yield base64.b64encode(inner)
        yield base64.urlsafe_b64encode(inner)


def keys_found_in(data: bytes | str, keys: dict[str, set[bytes]]) -> set[str]:
    """Return the names of the keys whose private half the data show, be it broken into lines."""
    searched = (data.encode(errors="replace") if isinstance(data, str) else data).lower()
    unbroken = _BREAKS.sub(b"", searched)
    return {
        name
        for name, known in keys.items()
        if any(spelling in searched or spelling in unbroken for spelling in known)
    }


def kept_keys(folder: Path, passphrases: Iterable[str]) -> dict[str, set[bytes]]:
    """Open every key in a store's folder with whichever passphrase opens it; return how each would look."""
    found = {}
    for path in folder.glob("*.key.json"):
        name = path.name.removesuffix(".key.json")
        found[name] = key_spellings(_open(name, path.read_bytes(), passphrases))
    return found


def _open(name: str, file: bytes, passphrases: Iterable[str]) -> PrivateKey:
    for passphrase in passphrases:
        try:
            return load_der_private_key(_decrypt(name, file, passphrase), None)  # type: ignore[return-value]
        except Exception:
            continue
    raise AssertionError(f"no passphrase opens {name}")


def bytes_of_rows(engine: Engine) -> Iterator[tuple[str, bytes]]:
    """Every value of every table of every schema, those of the job queue too."""
    with engine.connect() as connection:
        inspector = inspect(connection)
        quoted = connection.dialect.identifier_preparer.quote
        for schema in inspector.get_schema_names():
            if schema in {"information_schema", "pg_catalog"}:
                continue
            for table in inspector.get_table_names(schema):
                for row in connection.execute(text(f"SELECT * FROM {quoted(schema)}.{quoted(table)}")):
                    for value in row:
                        is_bytes = isinstance(value, bytes | memoryview)
                        yield f"{schema}.{table}", bytes(value) if is_bytes else str(value).encode()


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
