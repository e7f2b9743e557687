"""Replaces slow functions of libraries by quicker ones that answer the same, where nothing else is done.

pyHanko reads names and hexadecimal strings byte by byte, and signatures are long hexadecimal strings.
asn1crypto prepares the strings of names anew whenever two are compared (RFC 5280 §7.1), and who judges chains
compares the same few names hundreds of times.
"""

import binascii
import re
from collections.abc import Callable
from functools import lru_cache
from io import BytesIO
from typing import Any

from asn1crypto import x509
from pyhanko.pdf_utils import generic

_HEX_STRING = re.compile(rb"<([0-9A-Fa-f]*)>")
_NAME = re.compile(rb"(/[!\"$&'*-.0-;=?-Z\\^-z|~]*)(?=[\0\t\n\f\r ()<>\[\]{}/%])")
"""A name without escapes, up to the character that ends it (ISO 32000-2 §7.3.5)."""
_NAMES = 1024
"""How many different names are remembered."""

_read_any_hex_string: Callable[[Any], generic.PdfObject] = generic.read_hex_string_from_stream
_read_any_name: Callable[[Any], generic.NameObject] = generic.NameObject.read_from_stream
_prepare: Callable[[x509.Name], str] = x509.Name.hashable.fget
_compare: Callable[[x509.Name, object], bool] = x509.Name.__eq__


def read_hex_string(stream: Any) -> generic.PdfObject:
    """Read digits alone at once, and anything else as pyHanko does."""
    plain = _match(_HEX_STRING, stream)
    if plain is None:
        return _read_any_hex_string(stream)
    return generic.pdf_string(binascii.unhexlify(plain + b"0" * (len(plain) % 2)))


def read_name(stream: Any) -> generic.NameObject:
    """Read a name without escapes at once, and any other as pyHanko does."""
    plain = _match(_NAME, stream)
    return _read_any_name(stream) if plain is None else generic.NameObject(plain.decode("ascii"))


def _match(pattern: re.Pattern[bytes], stream: Any) -> bytes | None:
    """Match a file in memory where it is being read, and go on behind what was found."""
    if not isinstance(stream, BytesIO):
        return None
    with stream.getbuffer() as content:
        found = pattern.match(content, stream.tell())
        if found is None:
            return None
        plain, end = found[1], found.end()
    stream.seek(end)
    return plain


def prepare_name(name: x509.Name) -> str:
    """Prepare a name for comparison, once for the same bytes."""
    return _prepare_der(_untagged(name))


def equal_names(name: x509.Name, other: object) -> bool:
    """Compare two names, once for the same bytes."""
    return isinstance(other, x509.Name) and _compare_der(_untagged(name), _untagged(other))


def _untagged(name: x509.Name) -> bytes:
    """Write a name without the tag under which a structure around it may hold it (RFC 5280 §4.2.1.6)."""
    return bytes(name.chosen.dump())


@lru_cache(_NAMES)
def _prepare_der(name: bytes) -> str:
    return _prepare(_parse(name))


@lru_cache(_NAMES)
def _compare_der(name: bytes, other: bytes) -> bool:
    return _compare(_parse(name), _parse(other))


@lru_cache(_NAMES)
def _parse(name: bytes) -> x509.Name:
    """Parse a name that is kept, with what asn1crypto remembers of its strings."""
    return x509.Name.load(name)


QUICKER: tuple[tuple[Any, str, Any], ...] = (
    (generic, "read_hex_string_from_stream", read_hex_string),
    (generic.NameObject, "read_from_stream", staticmethod(read_name)),
    (x509.Name, "hashable", property(prepare_name)),
    (x509.Name, "__eq__", equal_names),
)
"""What each quicker function takes the place of."""


def quicken_libraries() -> None:
    """Put the quicker functions in their places, in this process."""
    for owner, name, quicker in QUICKER:
        setattr(owner, name, quicker)
