"""Noto Sans in two weights, cut to the characters a permit may print.

HarfBuzz subsets and instantiates the variable font in some ten milliseconds, so it is done once a process
and nothing is cached on disk. ReportLab reads its measures; ``signing.embedding`` puts it into documents.
"""

import io
import unicodedata
from functools import cache, lru_cache

import fontpkg_noto_sans
import uharfbuzz
from reportlab.pdfbase.ttfonts import TTFontFace

REGULAR = "NotoSans-Regular"
BOLD = "NotoSans-Bold"

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

_WEIGHTS = {REGULAR: 400, BOLD: 700}

# Latin with all its marks, Greek and Cyrillic (units, species, foreign names), punctuation, currency,
# letterlike symbols, arrows and mathematics, and the replacement character of previews.
_RANGES = (
    (0x0020, 0x007E), (0x00A0, 0x036F), (0x0370, 0x04FF), (0x1E00, 0x1EFF), (0x2000, 0x2027),
    (0x2030, 0x205F), (0x2070, 0x209F), (0x20A0, 0x20BF), (0x2100, 0x218F), (0x2190, 0x22FF),
    (0xFFFD, 0xFFFD),
)  # fmt: skip

# Zero-width characters slip in with copied text and print nothing, so leaving them out loses nothing.
_ZERO_WIDTH = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff"))

_UNUSED_TABLES = ("GSUB", "GPOS", "GDEF", "STAT")


@cache
def font_bytes(name: str) -> bytes:
    """A static TrueType font of the weight ``name`` (REGULAR or BOLD), without hints and layout tables."""
    blob = uharfbuzz.Blob.from_file_path(str(fontpkg_noto_sans.ROOT / "files" / "NotoSans[wdth,wght].ttf"))
    face = uharfbuzz.Face(blob)
    wanted = uharfbuzz.SubsetInput()
    wanted.unicode_set.update({code for first, last in _RANGES for code in range(first, last + 1)})
    wanted.drop_table_tag_set.update({int.from_bytes(tag.encode(), "big") for tag in _UNUSED_TABLES})
    wanted.flags = uharfbuzz.SubsetFlags.NO_HINTING
    wanted.pin_axis_location(face, "wght", _WEIGHTS[name])
    wanted.pin_axis_location(face, "wdth", 100)
    return bytes(uharfbuzz.subset(face, wanted).blob.data)


@cache
def font_face(name: str) -> TTFontFace:
    """What ReportLab reads of the font ``name``: glyphs and their widths by character, and its measures."""
    return TTFontFace(io.BytesIO(font_bytes(name)))


@lru_cache(maxsize=16_384)
def text_width(text: str, name: str, size: float) -> float:
    """The advance of ``text`` in points, set in font ``name`` at ``size`` points."""
    widths = font_face(name).charWidths
    return float(sum([widths[ord(character)] for character in text]) * size / 1000)


def unprintable_characters(text: str) -> set[str]:
    """The characters of ``text`` that no glyph shows, among them control and bidirectional characters."""
    if text.isascii() and text.isprintable():
        return set()
    glyphs = font_face(REGULAR).charToGlyph
    return {each for each in set(_normal(text)) - {"\n"} if ord(each) not in glyphs or not _visible(each)}


def printable(text: str) -> str:
    """``text`` as it is printed: composed (NFC), and each unprintable character replaced visibly."""
    if text.isascii() and text.isprintable():
        return text
    normal = _normal(text)
    for character in unprintable_characters(normal):
        normal = normal.replace(character, REPLACEMENT)
    return normal


def _normal(text: str) -> str:
    # A tab is a space on paper, and every way to end a line is a line feed.
    lines = unicodedata.normalize("NFC", text.translate(_ZERO_WIDTH)).replace("\r\n", "\n")
    return lines.replace("\r", "\n").replace("\t", " ")


def _visible(character: str) -> bool:
    return unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
