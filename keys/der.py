"""The few DER encoders (X.690 §8, §10) that signatures need, far quicker than building objects."""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache

from asn1crypto import core
from cryptography import x509

_TRUE = b"\x01\x01\xff"


def tlv(tag: int, *parts: bytes) -> bytes:
    """Encode a tag byte, the length of the parts together, and the parts."""
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def sequence(*parts: bytes) -> bytes:
    """Encode a SEQUENCE or SEQUENCE OF already encoded parts."""
    return tlv(0x30, *parts)


def set_of(*parts: bytes) -> bytes:
    """Encode a SET OF, its parts in DER's ascending order (X.690 §11.6)."""
    return tlv(0x31, *sorted(parts))


def octet_string(value: bytes) -> bytes:
    """Encode an OCTET STRING."""
    return tlv(0x04, value)


def integer(value: int) -> bytes:
    """Encode an INTEGER in the fewest octets, negative ones too."""
    magnitude = value if value >= 0 else ~value
    return tlv(0x02, value.to_bytes(magnitude.bit_length() // 8 + 1, "big", signed=True))


def explicit(number: int, *parts: bytes) -> bytes:
    """Encode a constructed context-specific tag around the parts: [number] EXPLICIT, or IMPLICIT of a
    constructed type whose content the parts are."""
    return tlv(0xA0 | number, *parts)


@cache
def object_identifier(dotted: str) -> bytes:
    """Encode an OBJECT IDENTIFIER."""
    der: bytes = core.ObjectIdentifier(dotted).dump()
    return der


def bit_string(value: bytes) -> bytes:
    """Encode a BIT STRING of whole octets."""
    return tlv(0x03, b"\0", value)


def generalized_time(moment: datetime) -> bytes:
    """Encode a GeneralizedTime in whole seconds (RFC 5280 §4.1.2.5.2)."""
    return tlv(0x18, moment.astimezone(UTC).strftime("%Y%m%d%H%M%SZ").encode())


def time(moment: datetime) -> bytes:
    """Encode a Time in whole seconds: UTCTime through 2049, GeneralizedTime after (RFC 5280 §4.1.2.5)."""
    moment = moment.astimezone(UTC)
    if moment.year < 2050:
        return tlv(0x17, moment.strftime("%y%m%d%H%M%SZ").encode())
    return generalized_time(moment)


def extensions(listed: Iterable[tuple[x509.ExtensionType, bool]]) -> bytes:
    """Encode Extensions, each given with its criticality; DER leaves `critical` out when it is false."""
    return sequence(
        *(
            sequence(
                object_identifier(extension.oid.dotted_string),
                *([_TRUE] if critical else []),
                octet_string(extension.public_bytes()),
            )
            for extension, critical in listed
        )
    )
