"""What a camera sees: a permit's page held before it, as a video that Chromium takes for a camera's."""

from pathlib import Path

import pypdfium2
from PIL import Image, ImageFilter

SIZE = (1280, 720)
FRAMES = 2


def film(pdf: bytes, path: Path) -> None:
    """Write a YUV4MPEG2 video of the lower left of the first page, as sharp as a hand holds it."""
    page = pypdfium2.PdfDocument(pdf)[0].render(scale=200 / 72).to_pil().convert("L")
    width, height = page.size
    corner = page.crop((0, height // 2, width // 2, height))
    corner.thumbnail(SIZE)
    scene = Image.new("L", SIZE, 110)
    scene.paste(corner, ((SIZE[0] - corner.width) // 2, (SIZE[1] - corner.height) // 2))
    grey = scene.filter(ImageFilter.GaussianBlur(0.6)).tobytes()
    colourless = bytes([128]) * (SIZE[0] * SIZE[1] // 2)
    header = f"YUV4MPEG2 W{SIZE[0]} H{SIZE[1]} F10:1 Ip A1:1 C420jpeg\n"
    path.write_bytes(header.encode() + (b"FRAME\n" + grey + colourless) * FRAMES)
