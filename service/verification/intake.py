"""What the doors of verification do first: limit a flood, take a file within its bounds, read a typed day."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Annotated

from fastapi import Depends, Form, Query, Request, UploadFile
from limits import RateLimitItemPerHour, RateLimitItemPerMinute
from sqlmodel import Session

from service.accounts.limits import LimiterDep, client_address
from service.catalogue.entry import join_date
from service.config import Settings
from service.database import reading
from service.errors import FieldProblem, InvalidInput, TooLarge, UnsupportedFile
from service.verification.examiner import is_statement
from service.verification.sandbox import Sandbox
from service.verification.verify import Reader
from service.web import language_of

UPLOADS = RateLimitItemPerMinute(60, namespace="verify-upload")
LOOK_UPS = RateLimitItemPerMinute(20, namespace="verify-number")
CODES = RateLimitItemPerMinute(600, namespace="verify-code")
BATCHES = RateLimitItemPerHour(6, namespace="verify-batch")
RECEIPTS = RateLimitItemPerMinute(20, namespace="verify-receipt")
COMPARISONS_OF_ADDRESS = RateLimitItemPerHour(20, namespace="compare-address")
COMPARISONS_OF_PERMIT = RateLimitItemPerHour(60, namespace="compare-permit")
"""Over all addresses, lest many of them share the guessing."""
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


def request_reading(request: Request) -> Iterator[Session]:
    """Give a route a reading session: whoever verifies changes nothing, by POST neither."""
    with reading(request.app.state.engine) as session:
        yield session


ReadingDep = Annotated[Session, Depends(request_reading, scope="function")]


def limit_uploads(request: Request, limiter: LimiterDep) -> None:
    """Refuse a flood of files. Raises TooManyRequests."""
    limiter.count(UPLOADS, client_address(request))


def limit_look_ups(request: Request, limiter: LimiterDep) -> None:
    """Refuse guessing of numbers. Raises TooManyRequests."""
    limiter.count(LOOK_UPS, client_address(request))


def limit_batches(request: Request, limiter: LimiterDep) -> None:
    """Refuse a flood of batches. Raises TooManyRequests."""
    limiter.count(BATCHES, client_address(request))


def limit_receipts(request: Request, limiter: LimiterDep) -> None:
    """Refuse a flood of receipts, each of which the seal signs. Raises TooManyRequests."""
    limiter.count(RECEIPTS, client_address(request))


def limit_comparisons(request: Request, limiter: LimiterDep) -> None:
    """Refuse one address's guessing at what the register says. Raises TooManyRequests."""
    limiter.count(COMPARISONS_OF_ADDRESS, client_address(request))


def take_document(file: UploadFile, settings: Settings) -> bytes:
    """Read an uploaded PDF, or a receipt as JSON.

    Raises InvalidInput (empty), TooLarge (413) or NotAPdf (415).
    """
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
    if not is_verifiable(data):
        raise NotAPdf
    return data


def is_verifiable(data: bytes) -> bool:
    """Tell whether a file looks like a PDF or a receipt as JSON; whatever else is not examined."""
    return b"%PDF-" in data[:HEADER_WITHIN] or is_statement(data)


@dataclass(frozen=True, slots=True)
class TypedDay:
    """A day as it was typed in three fields, to be read and to be shown again."""

    day: str = ""
    month: str = ""
    year: str = ""

    @property
    def is_empty(self) -> bool:
        return not (self.day.strip() or self.month.strip() or self.year.strip())

    def read(self) -> date | None:
        """Return the day, or None when what was typed is none."""
        try:
            return date.fromisoformat(join_date(self.day.strip(), self.month.strip(), self.year.strip()))
        except ValueError:
            return None

    def problem(self, field: str) -> FieldProblem:
        """Say at its first field that a day was typed that is none."""
        return FieldProblem(
            f"{field}-day",
            "date",
            "Ketik tanggal lengkap, misalnya 23 11 2026.",
            "Type the whole date, for example 23 11 2026.",
        )


def query_day(
    day: Annotated[str, Query(alias="on-day", max_length=4)] = "",
    month: Annotated[str, Query(alias="on-month", max_length=20)] = "",
    year: Annotated[str, Query(alias="on-year", max_length=6)] = "",
) -> TypedDay:
    """Take the day that an address asks about."""
    return TypedDay(day, month, year)


def form_day(
    day: Annotated[str, Form(alias="on-day", max_length=4)] = "",
    month: Annotated[str, Form(alias="on-month", max_length=20)] = "",
    year: Annotated[str, Form(alias="on-year", max_length=6)] = "",
) -> TypedDay:
    """Take the day that a form asks about."""
    return TypedDay(day, month, year)


@dataclass(frozen=True, slots=True)
class TypedNumber:
    """A permit's number and its day of issue as they were typed: the two facts of a look-up by number."""

    number: str
    issued_on: TypedDay

    def problems(self) -> list[FieldProblem]:
        """Say what is missing or wrong of the two."""
        problems = []
        if not self.number.strip():
            problems.append(
                FieldProblem(
                    "number",
                    "required",
                    "Ketik nomor izin seperti pada surat.",
                    "Type the number as on the paper.",
                )
            )
        if self.issued_on.read() is None:
            problems.append(
                FieldProblem(
                    "issued_on-day",
                    "date",
                    "Ketik tanggal terbit lengkap, misalnya 23 11 2026.",
                    "Type the whole date of issue, for example 23 11 2026.",
                )
            )
        return problems


def form_number(
    number: Annotated[str, Form(max_length=100)] = "",
    day: Annotated[str, Form(alias="issued_on-day", max_length=4)] = "",
    month: Annotated[str, Form(alias="issued_on-month", max_length=20)] = "",
    year: Annotated[str, Form(alias="issued_on-year", max_length=6)] = "",
) -> TypedNumber:
    """Take the two facts of a look-up by number."""
    return TypedNumber(number, TypedDay(day, month, year))
