"""What a camera sees: a permit's QR code held before it, slanted, unevenly lit and grainy."""

import random
from pathlib import Path

import pypdfium2
import zxingcpp
from PIL import Image, ImageChops, ImageFilter

SIZE = (1280, 720)
FRAMES = 3
MARGIN = 40
"""Pixels around the code, at 300 dots an inch."""


def hold_up(pdf: bytes) -> Image.Image:
    """Photograph the QR code at the lower left of the first page."""
    page = pypdfium2.PdfDocument(pdf)[0].render(scale=300 / 72).to_pil().convert("L")
    (code,) = zxingcpp.read_barcodes(page, formats=zxingcpp.BarcodeFormat.QRCode)
    first, last = code.position.top_left, code.position.bottom_right
    corner = page.crop((first.x - MARGIN, first.y - MARGIN, last.x + MARGIN, last.y + MARGIN))
    w = h = SIZE[1]
    # A quadrilateral whose edges are not parallel is what a slanted phone sees.
    slant = (0, 0, -12, h - 8, w - 6, h, w, 14)
    slanted = corner.resize((w, h)).transform((w, h), Image.Transform.QUAD, slant, fillcolor=255)
    scene = Image.new("L", SIZE, 90)
    scene.paste(slanted, ((SIZE[0] - w) // 2, (SIZE[1] - h) // 2))
    light = Image.linear_gradient("L").resize(SIZE).point(lambda value: 170 + value // 3)
    return ImageChops.multiply(scene.filter(ImageFilter.GaussianBlur(0.9)), light)


def film(pdf: bytes, path: Path) -> None:
    """Write a YUV4MPEG2 video of it, which Chromium takes for a camera's."""
    still = hold_up(pdf)
    colourless = bytes([128]) * (SIZE[0] * SIZE[1] // 2)
    frames = b"".join(b"FRAME\n" + grainy(still, seed).tobytes() + colourless for seed in range(FRAMES))
    path.write_bytes(f"YUV4MPEG2 W{SIZE[0]} H{SIZE[1]} F10:1 Ip A1:1 C420jpeg\n".encode() + frames)


def grainy(picture: Image.Image, seed: int) -> Image.Image:
    grain = Image.frombytes("L", picture.size, random.Random(seed).randbytes(picture.width * picture.height))
    return ImageChops.add(picture, grain.point(lambda value: value // 9), offset=-14)
