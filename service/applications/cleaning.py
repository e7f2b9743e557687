"""Bytes a stranger sent in, harmless bytes out: JPEG, PNG and PDF alone.

Runs as a programme of its own (`clean_file` starts it): in a child process without the service's
environment and under limits of memory and time, because the libraries that read images and PDFs are
where hostile files strike. So this file imports nothing of the service.

The child reads the file from standard input and answers on standard output with one line of JSON
(`{"media_type": …}` or `{"refused": code}`) followed by the cleaned bytes.
"""

import io
import json
import resource
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import filetype
import pikepdf
from PIL import Image, ImageOps, UnidentifiedImageError

MAX_PIXELS = 60_000_000
"""More than any phone's usual picture; as RGB it takes 180 MB of memory."""
MAX_PAGES = 200
JPEG_QUALITY = 88
MEMORY_LIMIT = 1536 * 1024 * 1024
CPU_SECONDS = 20
WALL_SECONDS = 40
AT_A_TIME = threading.BoundedSemaphore(2)
"""Each child may take MEMORY_LIMIT, so a flood of files waits instead of filling the machine."""
LONGEST_WAIT_SECONDS = 30
IMAGE_FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG"}
MEDIA_TYPES = (*IMAGE_FORMATS, "application/pdf")

KEPT_PAGE_KEYS = frozenset(
    ("/Type", "/Parent", "/MediaBox", "/CropBox", "/Rotate", "/UserUnit", "/Resources", "/Contents", "/Group")
)
"""What a page needs to look the same (ISO 32000-2, table 31); actions, annotations and files go."""
DROPPED_STREAM_KEYS = frozenset(
    ("/F", "/FFilter", "/FDecodeParms", "/Ref", "/OPI", "/AF", "/Metadata", "/PieceInfo", "/Alternates")
)
"""Entries of a stream that point out of the file or carry more than its picture."""


@dataclass(frozen=True, slots=True)
class CleanFile:
    """What is left of a file: its proven media type and its harmless bytes."""

    media_type: str
    data: bytes


class FileRefused(Exception):
    """The file cannot be taken; `code` says why (`type_unknown`, `damaged`, `encrypted` …)."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


def clean_file(data: bytes) -> CleanFile:
    """Prove a file's type by opening it and rebuild it, in a limited child process.

    Raises FileRefused with `type_unknown`, `damaged`, `encrypted`, `too_many_pages`, `no_pages`,
    `too_many_pixels`, `too_complex` when a limit was reached, or `busy` when too many files wait.
    """
    if not AT_A_TIME.acquire(timeout=LONGEST_WAIT_SECONDS):
        raise FileRefused("busy")
    try:
        child = subprocess.run(  # noqa: S603 (our own interpreter and this very file)
            [sys.executable, "-I", str(Path(__file__).resolve())],
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=WALL_SECONDS,
            env={"LANG": "C.UTF-8"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise FileRefused("too_complex") from None
    finally:
        AT_A_TIME.release()
    header, separator, cleaned = child.stdout.partition(b"\n")
    if child.returncode != 0 or not separator:
        raise FileRefused("too_complex")
    answer = json.loads(header)
    if "refused" in answer:
        raise FileRefused(str(answer["refused"]))
    return CleanFile(str(answer["media_type"]), cleaned)


def clean_here(data: bytes) -> CleanFile:
    """Do what `clean_file` does within this process. Raises FileRefused, or anything on odd files."""
    media_type = filetype.guess_mime(data)
    if media_type in IMAGE_FORMATS:
        return CleanFile(media_type, clean_image(data, IMAGE_FORMATS[media_type]))
    if media_type == "application/pdf":
        return CleanFile(media_type, clean_pdf(data))
    raise FileRefused("type_unknown")


def clean_image(data: bytes, image_format: str) -> bytes:
    """Encode a picture anew: upright, without metadata, without anything behind its last byte."""
    try:
        image = Image.open(io.BytesIO(data), formats=[image_format])
        if image.width * image.height > MAX_PIXELS:
            raise FileRefused("too_many_pixels")
        image.load()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise FileRefused("damaged") from error
    upright = _plain_pixels(ImageOps.exif_transpose(image), image_format)
    upright.info.clear()
    output = io.BytesIO()
    if image_format == "JPEG":
        upright.save(output, "JPEG", quality=JPEG_QUALITY, progressive=False, optimize=True)
    else:
        upright.save(output, "PNG", optimize=False)
    return output.getvalue()


def _plain_pixels(image: Image.Image, image_format: str) -> Image.Image:
    """Bring every kind of pixel to grey or RGB, with transparency where PNG has it."""
    if image.mode.startswith("I"):
        image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if image_format == "JPEG":
        return image if image.mode in {"L", "RGB"} else image.convert("RGB")
    if image.mode in {"1", "L", "RGB", "RGBA", "LA"}:
        return image if "transparency" not in image.info else image.convert("RGBA")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def clean_pdf(data: bytes) -> bytes:
    """Rebuild a PDF from its pages' looks alone.

    Forms and notes are first drawn into the page, so that what was filled in stays readable; then
    only the pages move to a new file: no script, action, link, attachment, form, layer or metadata
    has anywhere to stand.
    """
    try:
        with pikepdf.open(io.BytesIO(data)) as source, pikepdf.new() as rebuilt:
            if source.is_encrypted:
                raise FileRefused("encrypted")
            count = len(source.pages)
            if count == 0:
                raise FileRefused("no_pages")
            if count > MAX_PAGES:
                raise FileRefused("too_many_pages")
            source.generate_appearance_streams()
            source.flatten_annotations()
            rebuilt.pages.extend(source.pages)
            for page in rebuilt.pages:
                _drop_keys(page.obj, lambda key: key not in KEPT_PAGE_KEYS)
            _drop_hidden_content(rebuilt)
            rebuilt.remove_unreferenced_resources()
            output = io.BytesIO()
            rebuilt.save(output, object_stream_mode=pikepdf.ObjectStreamMode.generate)
    except pikepdf.PasswordError as error:
        raise FileRefused("encrypted") from error
    except (pikepdf.PdfError, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise FileRefused("damaged") from error
    return output.getvalue()


def _drop_hidden_content(pdf: pikepdf.Pdf) -> None:
    """Remove what pages' resources may hide: external streams, embedded files, layers."""
    for thing in pdf.objects:
        if isinstance(thing, pikepdf.Stream):
            _drop_keys(thing, lambda key: key in DROPPED_STREAM_KEYS)
            if thing.get("/Type") == pikepdf.Name.EmbeddedFile:
                thing.write(b"")
        if isinstance(thing, pikepdf.Dictionary | pikepdf.Stream):
            resources = thing.get("/Resources")
            if isinstance(resources, pikepdf.Dictionary) and "/Properties" in resources:
                del resources["/Properties"]


def _drop_keys(thing: pikepdf.Object, is_dropped: Callable[[str], bool]) -> None:
    for key in [key for key in thing.keys() if is_dropped(key)]:  # noqa: SIM118 (not a dict)
        del thing[key]


def main() -> None:
    """Clean standard input onto standard output, under this process's own limits."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    Image.MAX_IMAGE_PIXELS = None  # `clean_image` checks our own limit before anything is decoded.
    try:
        clean = clean_here(sys.stdin.buffer.read())
    except FileRefused as refusal:
        sys.stdout.buffer.write(json.dumps({"refused": refusal.code}).encode() + b"\n")
    else:
        sys.stdout.buffer.write(json.dumps({"media_type": clean.media_type}).encode() + b"\n" + clean.data)


if __name__ == "__main__":
    main()
