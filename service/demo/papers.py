"""The files that the demonstration's citizens give: small photographs and scans, each for its document."""

import io

from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.pagesizes import A5
from reportlab.pdfgen.canvas import Canvas

from service.applications.cleaning import CleanFile, clean_here

BACKGROUNDS = {"photo": "#b3261e"}
"""A portrait of the form's red background; every other picture is of a place."""


def paper(key: str, label: str, holder: str, *, media_type: str) -> CleanFile:
    """Make a file for a document and clean it as every upload is; our own bytes need no child process."""
    data = _scan(label, holder) if media_type == "application/pdf" else _picture(key, label)
    return clean_here(data)


def _scan(label: str, holder: str) -> bytes:
    """A page that says what it stands for."""
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=A5, invariant=True)
    width, height = A5
    canvas.setStrokeColorRGB(0.12, 0.24, 0.53)
    canvas.roundRect(28, 28, width - 56, height - 56, 8)
    canvas.setFont("Helvetica-Bold", 15)
    for number, line in enumerate(_wrapped(label, 38)):
        canvas.drawString(48, height - 80 - 20 * number, line)
    canvas.setFont("Helvetica", 11)
    canvas.drawString(48, height - 150, holder)
    canvas.setFillColorRGB(0.7, 0.15, 0.12)
    canvas.drawString(48, 48, "CONTOH - bukan dokumen sebenarnya")
    canvas.save()
    return file.getvalue()


def _wrapped(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) + 1 > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines[:3]


def _picture(key: str, label: str) -> bytes:
    """A portrait, or a place with its label."""
    image = Image.new(
        "RGB", (240, 360) if key in BACKGROUNDS else (480, 320), BACKGROUNDS.get(key, "#a9c7d8")
    )
    pen = ImageDraw.Draw(image)
    if key in BACKGROUNDS:
        pen.ellipse((72, 70, 168, 196), fill="#c68863")
        pen.rounded_rectangle((44, 208, 196, 380), 44, fill="#24405c")
    else:
        pen.rectangle((0, 210, 480, 320), fill="#6b705c")
        pen.polygon(((90, 130), (240, 40), (390, 130)), fill="#8a3324")
        pen.rectangle((110, 130, 370, 250), fill="#e9dcc3")
        pen.text((12, 296), label.encode("ascii", "replace").decode(), "#ffffff", ImageFont.load_default(14))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return file.getvalue()
