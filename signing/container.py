"""What must hold of a signature's container: the bytes of the file that the signature itself cannot cover.

Readers overlook changes there, pyHanko among them. Nothing that is checked here could make a forged
document pass; it makes an altered file show as altered.
"""

import re

from asn1crypto import cms, core, parser
from pyhanko.sign.general import extract_certificate_info
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature

_OBJECT = re.compile(rb"\d+ \d+ obj\n.*?\nendobj\n", re.DOTALL)
_TABLE = re.compile(
    rb"xref\n((?:\d+ \d+\n(?:\d{10} \d{5} [nf] \n)+)+)trailer\n<<[^%]*?>>\nstartxref\n(\d+)\n%%EOF\n"
)
_ENTRY = re.compile(rb"(\d{10}) \d{5} n ")


def container_intact(pdf: bytes, signature: EmbeddedPdfSignature) -> bool:
    """Tell whether the gap holds one hexadecimal string: consistent CMS, and then zeros.

    Raises whatever the parsers raise for malformed structures.
    """
    if len(signature.byte_range) != 4 or signature.byte_range[0] != 0:
        return False
    _, before, after, _ = signature.byte_range
    contents = signature.pkcs7_content
    size = parser.peek(contents)
    digits = contents.hex().encode()
    if pdf[before:after] not in (b"<%b>" % digits, b"<%b>" % digits.upper()) or any(contents[size:]):
        return False
    if not _only_timestamps(signature.signer_info):
        return False
    timestamps = [
        token for attribute in signature.signer_info["unsigned_attrs"] or () for token in attribute["values"]
    ]
    return _consistent(cms.ContentInfo.load(contents), signature.signed_data) and all(
        _consistent(each, each["content"]) for each in timestamps
    )


def _only_timestamps(signer_info: cms.SignerInfo) -> bool:
    """Tell whether no other unsigned attribute is there: PAdES knows none (EN 319 142-1 §6.3)."""
    return all(
        attribute["type"].native == "signature_time_stamp_token"
        for attribute in signer_info["unsigned_attrs"] or ()
    )


def _consistent(message: cms.ContentInfo, signed_data: cms.SignedData) -> bool:
    """Tell whether nothing is hidden in a message, and what it states twice agrees (RFC 5652 §5.1, §5.3)."""
    (signer_info,) = signed_data["signer_infos"]
    sid = signer_info["sid"]
    by_issuer = sid.name == "issuer_and_serial_number"
    plain = signed_data["encap_content_info"]["content_type"].native == "data" and by_issuer
    issuer = extract_certificate_info(signed_data).signer_cert.issuer
    return bool(
        all(_complete(each) for each in (message, signed_data, signer_info))
        and signed_data["version"].native == ("v1" if plain else "v3")
        and signer_info["version"].native == ("v1" if by_issuer else "v3")
        and [each.dump() for each in signed_data["digest_algorithms"]]
        == [signer_info["digest_algorithm"].dump()]
        and (not by_issuer or sid.chosen["issuer"].dump() == issuer.dump())
        # A certificate's signature is whole octets, yet parsers do not look at the count of unused bits.
        and all(each.chosen["signature_value"].contents[:1] == b"\0" for each in signed_data["certificates"])
    )


def _complete(value: core.Sequence) -> bool:
    """Tell whether a value has no part but its known fields: parsers skip whatever follows them."""
    return len(value) <= len(type(value)._fields)


def updates_intact(pdf: bytes, start: int) -> bool:
    """Tell whether the bytes from `start` on are incremental updates, without a byte beside their objects.

    Each update is objects, all of them in its table, the table and its trailer (ISO 32000-2 §7.5.6). What the
    objects mean is for the comparison of the revisions to judge.
    """
    position, objects = start, set()
    while position < len(pdf):
        if found := _OBJECT.match(pdf, position):
            objects.add(position)
        elif found := _TABLE.match(pdf, position):
            listed = {int(offset) for offset in _ENTRY.findall(found[1])}
            if not objects or listed != objects or int(found[2]) != position:
                return False
            objects = set()
        else:
            return False
        position = found.end()
    return not objects
