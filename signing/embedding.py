"""Embeds a font's glyphs into a document, as a composite font whose codes are the characters themselves.

A code is a character's UTF-16 (ISO 32000-1 §9.7.4), so each character is copied and read aloud as what it
is, also where two look the same. The fonts hold no character that would take two such codes.
"""

import string
import zlib
from dataclasses import dataclass
from functools import lru_cache

import uharfbuzz
from pikepdf import Array, Dictionary, Name, Object, Pdf, Stream, String

from signing.fonts import font_bytes, font_face

_USUAL = frozenset(string.ascii_letters + string.digits + " !&'()+,-./:;@–·")
"""Embedded into every document, so that nearly all of them share their fonts' programs."""
_NEEDED_BY_NONE = ("OS/2", "cmap", "name", "post")
"""Tables of a font file that no reader asks for where the codes' glyphs are given beside it."""
_MOST_AT_ONCE = 100
"""Characters that one section of a ToUnicode CMap may hold (ISO 32000-1 §9.10.3)."""


def codes(text: str) -> str:
    """Return the text as an embedded font reads it: four hexadecimal digits for each character."""
    return text.encode("utf-16-be").hex()


def embed_font(pdf: Pdf, name: str, characters: set[str]) -> Object:
    """Embed what of the font `name` (REGULAR or BOLD) shows these characters, and return its dictionary."""
    face, program = font_face(name), _program(name, _USUAL.union(characters))
    base = Name(f"/AAAAAA+{name}")
    descriptor = Dictionary(
        Type=Name.FontDescriptor,
        FontName=base,
        Flags=face.flags,
        FontBBox=Array([round(each) for each in face.bbox]),
        ItalicAngle=0,
        Ascent=round(face.ascent),
        Descent=round(face.descent),
        CapHeight=round(face.capHeight),
        StemV=round(face.stemV),
        FontFile2=_deflated_stream(pdf, program.file, Length1=program.file_size),
    )
    descendant = Dictionary(
        Type=Name.Font,
        Subtype=Name.CIDFontType2,
        BaseFont=base,
        CIDSystemInfo=Dictionary(Registry=String("Adobe"), Ordering=String("Identity"), Supplement=0),
        FontDescriptor=pdf.make_indirect(descriptor),
        W=Object.parse(program.widths),
        CIDToGIDMap=_deflated_stream(pdf, program.glyphs),
    )
    composite = Dictionary(
        Type=Name.Font,
        Subtype=Name.Type0,
        BaseFont=base,
        Encoding=Name("/Identity-H"),
        DescendantFonts=Array([pdf.make_indirect(descendant)]),
        ToUnicode=_deflated_stream(pdf, program.to_unicode),
    )
    return pdf.make_indirect(composite)


def _deflated_stream(pdf: Pdf, deflated: bytes, **entries: int) -> Stream:
    return Stream(pdf, deflated, Filter=Name.FlateDecode, **entries)


@dataclass(frozen=True, slots=True)
class _Program:
    """What is embedded of a font: all but the widths (an array as PDF writes it) is deflated."""

    file: bytes
    file_size: int
    glyphs: bytes
    to_unicode: bytes
    widths: bytes


@lru_cache(maxsize=64)
def _program(name: str, characters: frozenset[str]) -> _Program:
    shown = sorted(characters)
    file = _cut(name, shown)
    return _Program(
        zlib.compress(file),
        len(file),
        zlib.compress(_glyphs_by_code(name, shown)),
        zlib.compress(_to_unicode(shown)),
        _widths(name, shown).encode(),
    )


def _cut(name: str, characters: list[str]) -> bytes:
    """The font file with the glyphs of these characters alone, under their old numbers."""
    wanted = uharfbuzz.SubsetInput()
    wanted.unicode_set.update(map(ord, characters))
    wanted.drop_table_tag_set.update({int.from_bytes(tag.encode(), "big") for tag in _NEEDED_BY_NONE})
    wanted.flags = uharfbuzz.SubsetFlags.RETAIN_GIDS
    return bytes(uharfbuzz.subset(uharfbuzz.Face(font_bytes(name)), wanted).blob.data)


def _widths(name: str, characters: list[str]) -> str:
    """The array of widths in thousandths of the size, by runs of codes (ISO 32000-1 §9.7.4.3)."""
    widths, written, next_code = font_face(name).charWidths, [], None
    for code in map(ord, characters):
        written.append(f"{widths[code]:g}" if code == next_code else f"] {code} [{widths[code]:g}")
        next_code = code + 1
    return f"[{' '.join(written).removeprefix('] ')}]]"


def _glyphs_by_code(name: str, characters: list[str]) -> bytes:
    """Two bytes for each code from 0 on: the number of its glyph (ISO 32000-1 §9.7.4.3)."""
    glyphs = font_face(name).charToGlyph
    table = bytearray(2 * (ord(characters[-1]) + 1))
    for each in characters:
        at = 2 * ord(each)
        table[at : at + 2] = glyphs[ord(each)].to_bytes(2, "big")
    return bytes(table)


def _to_unicode(characters: list[str]) -> bytes:
    """A CMap that says of each code which character it is: the same."""
    sections = []
    for start in range(0, len(characters), _MOST_AT_ONCE):
        part = [codes(each) for each in characters[start : start + _MOST_AT_ONCE]]
        lines = "\n".join(f"<{code}> <{code}>" for code in part)
        sections.append(f"{len(part)} beginbfchar\n{lines}\nendbfchar")
    return _CMAP.format(sections="\n".join(sections)).encode()


_CMAP = """/CIDInit /ProcSet findresource begin
12 dict begin
begincmap
/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def
/CMapName /Adobe-Identity-UCS def
/CMapType 2 def
1 begincodespacerange
<0000> <FFFF>
endcodespacerange
{sections}
endcmap
CMapName currentdict /CMap defineresource pop
end
end
"""
