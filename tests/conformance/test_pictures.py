"""Rendered pages against approved pictures of them.

The pictures in `tests/data/pages/` are our own pages, small and in few greys. After a deliberate change of
the layout look at the pages in `var/pages/`, then approve them with `make approve`.
"""

import os
from dataclasses import replace
from pathlib import Path

import pypdfium2
import pytest
from extremes import EXTREMES
from PIL import Image, ImageChops, ImageFilter
from specimens import LETTER

from signing import composition, render
from signing.render import render_document

ROOT = Path(__file__).parent.parent.parent
APPROVED = ROOT / "tests" / "data" / "pages"
FAILED = ROOT / "var" / "pages"
DPI = 20
GREYS = 32
TOLERANCE = 7
"""Of 255: the greatest difference that a spot of two by two pixels may show. Rounding to GREYS makes 4."""
SHOWN = ("reklame-insidentil", "sip-tenaga-kesehatan", LETTER, "long_words", "acting", "preview")


def pictures(name, documents, scale=DPI / 72):
    """The pages of a document in grey; the preview is that of the letter."""
    document = (documents | EXTREMES).get(name, documents[LETTER])
    with pypdfium2.PdfDocument(render_document(document, preview=name == "preview")) as pdf:
        return [pdf[page].render(scale=scale, grayscale=True).to_pil() for page in range(len(pdf))]


def in_few_greys(picture):
    step = 255 / (GREYS - 1)
    return picture.point([round(round(value / step) * step) for value in range(256)])


def difference(picture, approved):
    """The difference picture, and its greatest value over spots of two by two pixels."""
    soft = [each.filter(ImageFilter.BoxBlur(1)) for each in (picture, approved)]
    found = ImageChops.difference(*soft)
    return found, found.reduce(2).getextrema()[1]


def unlike_approved(name, documents):
    """The pages that do not look as approved; they and the differences are left in `var/pages`."""
    approved = [Image.open(path).convert("L") for path in sorted(APPROVED.glob(f"{name}-*.png"))]
    found = pictures(name, documents)
    if len(approved) != len(found):
        return [f"{name} has {len(found)} pages, approved are {len(approved)}"]
    unlike = []
    for number, (picture, expected) in enumerate(zip(found, approved, strict=True), start=1):
        shown, worst = difference(picture, expected)
        if worst > TOLERANCE:
            unlike.append(f"{name}-{number}")
            FAILED.mkdir(parents=True, exist_ok=True)
            large = pictures(name, documents, scale=100 / 72)[number - 1]
            large.save(FAILED / f"{unlike[-1]}.png")
            stark = shown.point([max(0, 255 - 4 * value) for value in range(256)])
            stark.resize(large.size).save(FAILED / f"{unlike[-1]}-difference.png")
    return unlike


def approve(name, documents):
    for path in APPROVED.glob(f"{name}-*.png"):
        path.unlink()
    for number, picture in enumerate(pictures(name, documents), start=1):
        in_few_greys(picture).save(APPROVED / f"{name}-{number}.png", optimize=True)


@pytest.mark.parametrize("name", SHOWN)
def test_pages_look_as_approved(name, specimens):
    if os.environ.get("APPROVE"):
        approve(name, specimens)
    assert unlike_approved(name, specimens) == []


NAME = "sip-tenaga-kesehatan"


def moved_line(monkeypatch):
    monkeypatch.setattr(composition, "_GAP", composition._GAP + 1)


def missing_stamp(monkeypatch):
    monkeypatch.setattr(render, "background", lambda width, height, stamp: _background(width, height, None))


def larger_text(monkeypatch):
    monkeypatch.setattr(composition, "BODY", replace(composition.BODY, size=composition.BODY.size + 0.3))


def moved_rosette(monkeypatch):
    monkeypatch.setattr(
        render, "background", lambda width, height, stamp: _background(width, height * 0.98, stamp)
    )


_background = render.background


@pytest.mark.parametrize("change", [moved_line, missing_stamp, larger_text, moved_rosette])
def test_a_small_change_is_seen(monkeypatch, tmp_path, specimens, change):
    monkeypatch.setitem(globals(), "FAILED", tmp_path)
    change(monkeypatch)
    assert unlike_approved(NAME, specimens) == [f"{NAME}-1"]
    assert {path.name for path in tmp_path.iterdir()} == {f"{NAME}-1.png", f"{NAME}-1-difference.png"}
