"""The files of a journey: photographs and scans as a citizen would send them, and a forger's work."""

import io

from PIL import Image, ImageDraw
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas


def photograph(background: str = "#b3261e") -> bytes:
    """A portrait photograph, 4 by 6, with the camera's metadata."""
    image = Image.new("RGB", (600, 900), background)
    pen = ImageDraw.Draw(image)
    pen.ellipse((180, 180, 420, 500), fill="#c68863")
    pen.rounded_rectangle((110, 520, 490, 900), 110, fill="#24405c")
    exif = Image.Exif()
    exif[0x010F] = "Kamera Contoh"
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90, exif=exif)
    return file.getvalue()


def scan(title: str) -> bytes:
    """A one-page PDF that says what it stands for."""
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=A4)
    canvas.setFont("Helvetica-Bold", 20)
    canvas.drawString(72, 740, title[:60])
    canvas.setFont("Helvetica", 12)
    canvas.drawString(72, 700, "CONTOH - bukan dokumen sebenarnya")
    canvas.save()
    return file.getvalue()


def alter(permit: bytes) -> bytes:
    """Write over a signed permit in an incremental update, as a forger would: the signature stays in it."""
    font = generic.DictionaryObject(
        {
            pdf_name("/Type"): pdf_name("/Font"),
            pdf_name("/Subtype"): pdf_name("/Type1"),
            pdf_name("/BaseFont"): pdf_name("/Helvetica"),
        }
    )
    content = b"1 g 150 480 300 20 re f 0 g BT /Palsu 12 Tf 152 485 Td (Nama Lain, S.Palsu) Tj ET"
    writer = IncrementalPdfFileWriter(io.BytesIO(permit))
    resources = generic.DictionaryObject(
        {pdf_name("/Font"): generic.DictionaryObject({pdf_name("/Palsu"): writer.add_object(font)})}
    )
    stream = writer.add_object(generic.StreamObject(stream_data=content))
    writer.add_stream_to_page(0, stream, resources=resources)
    altered = io.BytesIO()
    writer.write(altered)
    return altered.getvalue()
