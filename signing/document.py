"""PermitDocument: a frozen value holding everything a permit document prints.

The service freezes ``to_json()`` into its database before it signs, so that a crash at any
point ends in the same page: the same value always renders to the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

Kind = Literal["permit", "rejection_letter", "verification_receipt"]

SAMPLE_FOOTER = "Ditandatangani dengan sertifikat uji, bukan sertifikat BSrE."
"""The honest sentence while certificates are not the national authority's; ``is_sample`` adds the heading."""

NATIONAL_FOOTER = (
    "Dokumen ini telah ditandatangani secara elektronik menggunakan sertifikat elektronik yang diterbitkan "
    "oleh Balai Sertifikasi Elektronik (BSrE), Badan Siber dan Sandi Negara."
)
"""True only of a document signed with a certificate that BSrE issued."""

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Letterhead:
    """The head of page 1: the government, the office (broken into balanced lines), where it is."""

    line1: str
    line2: str
    address: str
    contact: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text. A line feed is a line break; nothing else in it is markup."""

    text: str


@dataclass(frozen=True, slots=True)
class Heading:
    """A short bold line over what follows it, such as ``Ketentuan``."""

    text: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Rows of (label, value), printed with aligned colons."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class NumberedList:
    """Conditions or reasons, numbered from 1."""

    items: tuple[str, ...]


Block = Paragraph | Heading | Facts | NumberedList


@dataclass(frozen=True, slots=True)
class SignatureBlock:
    """Who signs. ``capacity`` is the position, after ``Plt.``, ``Plh.`` or an ``a.n.`` line and a line feed.

    A seal has no person: ``rank`` and ``nip`` are None and ``name`` is the office.
    """

    capacity: str
    name: str
    rank: str | None = None
    nip: str | None = None
    note: str = "Ditandatangani secara elektronik oleh"


@dataclass(frozen=True, slots=True)
class PermitDocument:
    """All that is printed, and the data attached as ``permit.json`` (a receipt's as ``receipt.json``).

    ``number``, ``code``, ``verify_url`` and ``issued_on`` may be None only in a preview. ``verify_url`` is
    the content of the QR code, ``verify_text`` its address in words. ``footer_legal`` is the sentence true of
    the certificate used. ``data`` holds JSON values only: no infinities, no keys but strings, no tuples.

    Raises ValueError when a sample claims a certificate of the national authority.
    """

    kind: Kind
    title: str
    letterhead: Letterhead
    body: tuple[Block, ...]
    signature: SignatureBlock
    place: str
    verify_text: str
    footer_legal: str
    is_sample: bool
    number: str | None = None
    code: str | None = None
    verify_url: str | None = None
    issued_on: date | None = None
    legal_basis: tuple[str, ...] = ()
    validity: str | None = None
    language: Literal["id"] = "id"
    data: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if self.is_sample and "diterbitkan oleh Balai Sertifikasi Elektronik" in self.footer_legal:
            raise ValueError("a sample document cannot claim a certificate of the national authority")

    def to_json(self) -> dict[str, Any]:
        """The value as JSON types; ``from_json`` gives it back equal."""
        return {
            "format": _FORMAT,
            "kind": self.kind,
            "language": self.language,
            "title": self.title,
            "number": self.number,
            "code": self.code,
            "letterhead": {
                "line1": self.letterhead.line1,
                "line2": self.letterhead.line2,
                "address": self.letterhead.address,
                "contact": self.letterhead.contact,
            },
            "legal_basis": list(self.legal_basis),
            "body": [_block_to_json(block) for block in self.body],
            "validity": self.validity,
            "place": self.place,
            "issued_on": self.issued_on.isoformat() if self.issued_on else None,
            "signature": {
                "capacity": self.signature.capacity,
                "name": self.signature.name,
                "rank": self.signature.rank,
                "nip": self.signature.nip,
                "note": self.signature.note,
            },
            "verify_url": self.verify_url,
            "verify_text": self.verify_text,
            "footer_legal": self.footer_legal,
            "is_sample": self.is_sample,
            "data": dict(self.data),
        }

    @classmethod
    def from_json(cls, frozen: Mapping[str, Any]) -> PermitDocument:
        """The document that ``to_json`` froze.

        Raises ValueError for another format, KeyError or TypeError for a dict that ``to_json`` did not write.
        """
        values = dict(frozen)
        if (found := values.pop("format")) != _FORMAT:
            raise ValueError(f"permit document of format {found}, this release reads format {_FORMAT}")
        issued_on = values.pop("issued_on")
        return cls(
            letterhead=Letterhead(**values.pop("letterhead")),
            legal_basis=tuple(values.pop("legal_basis")),
            body=tuple(_block_from_json(block) for block in values.pop("body")),
            signature=SignatureBlock(**values.pop("signature")),
            issued_on=date.fromisoformat(issued_on) if issued_on else None,
            **values,
        )


def canonical_json(value: Any) -> bytes:
    """``value`` as JSON in UTF-8 with sorted keys and no spaces, so that equal values have equal bytes.

    Raises ValueError for NaN and infinities, TypeError for what JSON cannot hold.
    """
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode()


def _block_to_json(block: Block) -> dict[str, Any]:
    match block:
        case Paragraph(text):
            return {"type": "paragraph", "text": text}
        case Heading(text):
            return {"type": "heading", "text": text}
        case Facts(rows):
            return {"type": "facts", "rows": [list(row) for row in rows]}
        case NumberedList(items):
            return {"type": "numbered_list", "items": list(items)}


def _block_from_json(block: Mapping[str, Any]) -> Block:
    match block["type"]:
        case "paragraph":
            return Paragraph(block["text"])
        case "heading":
            return Heading(block["text"])
        case "facts":
            return Facts(tuple((label, value) for label, value in block["rows"]))
        case "numbered_list":
            return NumberedList(tuple(block["items"]))
        case unknown:
            raise ValueError(f"unknown block {unknown!r} in a permit document")
