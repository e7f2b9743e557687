"""Permits on poor printers and in photographs by phones: what must survive is the text and the QR code."""

import io
import random
from dataclasses import replace

import pikepdf
import pypdfium2
import pytest
import zxingcpp
from documents import PERMIT
from extremes import LONG_URL
from PIL import Image, ImageChops, ImageFilter

from signing.render import render_document

PRINTER_DPI = 150
PHONE_DPI = 220
"""A phone of 12 megapixels sees a whole sheet at over 300."""
URLS = [PERMIT.verify_url, LONG_URL]


def rendered(pdf, dpi):
    with pypdfium2.PdfDocument(pdf) as opened:
        return opened[0].render(scale=dpi / 72, grayscale=True).to_pil()


def without_background(pdf):
    """The same page with nothing behind its text."""
    with pikepdf.open(io.BytesIO(pdf)) as opened:
        opened.pages[0].Resources.XObject.Background.write(b"")
        output = io.BytesIO()
        opened.save(output)
    return output.getvalue()


def noisy(picture, sigma):
    """With even noise of that standard deviation, the same in each run."""
    dice = random.Random(7).randbytes(picture.width * picture.height)
    flat = Image.frombytes("L", picture.size, dice)
    noise = flat.point([round(128 + (value - 127.5) * sigma / 73.6) for value in range(256)])
    return ImageChops.add(picture, noise, offset=-128)


def printed(picture):
    """As a poor black-and-white printer lays it down: smeared, speckled, and ink or no ink."""
    return ImageChops.invert(ink_of(noisy(picture, 12)))


def halftone(picture):
    """As a laser printer shows greys: dots of one size, spread."""
    return picture.convert("1").convert("L")


def photographed(paper, tilt=0.08):
    """As a phone sees a sheet on a table: from the side, unevenly lit, blurred, noisy, compressed."""
    width, height = paper.size
    margin = width // 8
    table = Image.new("L", (width + 2 * margin, height + 2 * margin), 90)
    table.paste(paper, (margin, margin))
    w, h = table.size
    shift = tilt * w
    corners = (-shift, -shift / 2, -shift / 3, h + shift, w + shift, h, w + shift / 3, -shift)
    seen = table.transform((w, h), Image.Transform.QUAD, corners, Image.Resampling.BICUBIC, fillcolor=90)
    light = (
        Image.linear_gradient("L")
        .rotate(35)
        .resize((w, h))
        .point([150 + value * 105 // 255 for value in range(256)])
    )
    seen = noisy(ImageChops.multiply(seen, light).filter(ImageFilter.GaussianBlur(1.0)), 10)
    file = io.BytesIO()
    seen.save(file, "JPEG", quality=55)
    return Image.open(file).convert("L")


def ink_of(picture):
    """Where a poor printer lays ink, in white."""
    smeared = picture.filter(ImageFilter.GaussianBlur(0.8))
    return smeared.point([255 if value < 150 else 0 for value in range(256)])


def lower_half(page):
    """What people hold the phone over: the closing block."""
    return page.crop((0, page.height // 2, page.width, page.height))


def read(picture):
    return [code.text for code in zxingcpp.read_barcodes(picture, formats=zxingcpp.BarcodeFormat.QRCode)]


@pytest.mark.parametrize("url", URLS, ids=["today", "with a token"])
def test_the_qr_code_survives_printer_and_phone(url):
    pdf = render_document(replace(PERMIT, verify_url=url))
    page = rendered(pdf, PRINTER_DPI)
    assert read(printed(page)) == [url]
    assert read(halftone(page)) == [url]
    page = rendered(pdf, PHONE_DPI)
    for paper in (page, printed(page), halftone(page)):
        assert read(photographed(lower_half(paper))) == [url]


def test_a_qr_code_of_half_the_size_does_not_survive():
    """The tests above can fail."""
    page = rendered(render_document(replace(PERMIT, verify_url=LONG_URL)), PRINTER_DPI)
    assert read(printed(page.reduce(2))) == []


def test_nothing_behind_the_text_is_printed_over_it_or_instead_of_it():
    pdf = render_document(PERMIT)
    page, plain = (rendered(each, PRINTER_DPI) for each in (pdf, without_background(pdf)))
    assert ImageChops.difference(page, plain).getextrema()[1] > 0
    ink, expected = (ink_of(picture) for picture in (page, plain))
    assert ImageChops.subtract(expected, ink).getbbox() is None
    # The microtext alone, a grey line at this resolution, may gain a few dots.
    gained = ImageChops.subtract(ink, expected.filter(ImageFilter.MaxFilter(3)))
    assert gained.histogram()[255] < expected.histogram()[255] / 1000
