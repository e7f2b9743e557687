"""What both doors of verification do first: limit a flood, and take a file within its bounds."""

from typing import Annotated

from fastapi import Depends, Request, UploadFile
from limits import RateLimitItemPerMinute

from service.accounts.limits import LimiterDep, client_address
from service.config import Settings
from service.errors import FieldProblem, InvalidInput, TooLarge, UnsupportedFile
from service.verification.sandbox import Sandbox
from service.verification.verify import Reader
from service.web import language_of

UPLOADS = RateLimitItemPerMinute(60, namespace="verify-upload")
LOOK_UPS = RateLimitItemPerMinute(20, namespace="verify-number")
CODES = RateLimitItemPerMinute(600, namespace="verify-code")
HEADER_WITHIN = 1024
"""A PDF's header stands within its first kilobyte (ISO 32000-1, Annex H, note 13)."""


class NotAPdf(UnsupportedFile):
    code = "not_a_pdf"
    message_id = "Berkas ini bukan PDF. Pilih berkas surat izin yang diunduh, bukan foto atau hasil pindaian."
    message_en = "This is not a PDF. Choose the permit file as it was downloaded, not a photo or a scan."


async def request_sandbox(request: Request) -> Sandbox:
    """Give a route the sandbox in which strangers' files are examined."""
    sandbox: Sandbox = request.app.state.sandbox
    return sandbox


SandboxDep = Annotated[Sandbox, Depends(request_sandbox)]


def reader_of(request: Request) -> Reader:
    """Return the reader's language and the site's address."""
    return Reader(language_of(request), request.app.state.settings.base_url)


async def request_reader(request: Request) -> Reader:
    """Give a route its reader."""
    return reader_of(request)


ReaderDep = Annotated[Reader, Depends(request_reader)]


def limit_uploads(request: Request, limiter: LimiterDep) -> None:
    """Refuse a flood of files. Raises TooManyRequests."""
    limiter.count(UPLOADS, client_address(request))


def limit_look_ups(request: Request, limiter: LimiterDep) -> None:
    """Refuse guessing of numbers. Raises TooManyRequests."""
    limiter.count(LOOK_UPS, client_address(request))


def take_pdf(file: UploadFile, settings: Settings) -> bytes:
    """Read an uploaded PDF. Raises InvalidInput (empty), TooLarge (413) or NotAPdf (415)."""
    limit = settings.max_verification_bytes
    data = file.file.read(limit + 1)
    if len(data) > limit:
        megabytes = limit // (1024 * 1024)
        raise TooLarge(
            f"Berkas lebih besar dari {megabytes} MB. Surat izin dari layanan ini tidak pernah sebesar itu.",
            f"The file is larger than {megabytes} MB. No permit of this service is ever that large.",
        )
    if not data:
        sentence = ("Pilih berkas PDF surat izin.", "Choose the permit's PDF file.")
        raise InvalidInput(*sentence, problems=[FieldProblem("file", "required", *sentence)])
    if b"%PDF-" not in data[:HEADER_WITHIN]:
        raise NotAPdf
    return data
