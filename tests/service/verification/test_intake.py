"""What the doors of verification take and refuse, asked without a server."""

import asyncio
import io
from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest
from fastapi import Request, UploadFile
from sqlalchemy import inspect, text

from service.accounts.limits import Limiter
from service.config import Settings
from service.database import open_engine
from service.errors import FieldProblem, InvalidInput, TooLarge, TooManyRequests
from service.verification import intake
from service.verification.intake import NotAPdf, TypedDay, TypedNumber
from service.verification.verify import Reader

MEBIBYTE = 1024 * 1024


@pytest.fixture
def settings(make_settings: Callable[[Path], Settings], tmp_path: Path) -> Settings:
    limit = {"max_verification_bytes": 2 * MEBIBYTE, "base_url": "https://izin.contoh.invalid"}
    return make_settings(tmp_path).model_copy(update=limit)


@pytest.fixture
def ask(settings: Settings) -> Callable[..., Request]:
    """Give the function that makes a request from an address, with a query."""

    def ask(address: str = "192.0.2.1", query: bytes = b"", **state: object) -> Request:
        app = SimpleNamespace(state=SimpleNamespace(settings=settings, **state))
        scope = {"type": "http", "app": app, "client": (address, 1), "path": "/verify", "headers": []}
        return Request(scope | {"query_string": query})

    return ask


# What a route is given ----------------------------------------------------------------------------


def test_a_route_is_given_the_sandbox_and_its_reader(ask: Callable[..., Request]) -> None:
    request = ask(query=b"lang=en", sandbox="the sandbox")
    assert asyncio.run(intake.request_sandbox(request)) == "the sandbox"
    assert asyncio.run(intake.request_reader(request)) == Reader("en", "https://izin.contoh.invalid")
    assert intake.reader_of(ask()) == Reader("id", "https://izin.contoh.invalid")


def test_whoever_verifies_changes_nothing(ask: Callable[..., Request], tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/register.sqlite3")
    for session in intake.request_reading(ask(engine=engine)):
        session.execute(text("CREATE TABLE permit (id INTEGER)"))
        assert session.connection().get_execution_options()["reads_only"]
    assert inspect(engine).get_table_names() == []
    engine.dispose()


# Floods -------------------------------------------------------------------------------------------


def test_each_door_bears_so_much_of_one_address_and_counts_for_itself(ask: Callable[..., Request]) -> None:
    limiter = Limiter()
    for limit, most in (
        (intake.limit_uploads, 60),
        (intake.limit_look_ups, 20),
        (intake.limit_batches, 6),
        (intake.limit_receipts, 20),
        (intake.limit_comparisons, 20),
    ):
        for _ in range(most):
            limit(ask(), limiter)
        with pytest.raises(TooManyRequests):
            limit(ask(), limiter)
        limit(ask("192.0.2.2"), limiter)


# Files --------------------------------------------------------------------------------------------


def take(content: bytes, settings: Settings) -> bytes:
    return intake.take_document(UploadFile(io.BytesIO(content)), settings)


def test_a_file_is_taken_up_to_the_limit_and_read_no_further(settings: Settings) -> None:
    largest = b"%PDF-".ljust(2 * MEBIBYTE)
    assert take(largest, settings) == largest
    upload = UploadFile(io.BytesIO(largest + b"more"))
    with pytest.raises(TooLarge) as refused:
        intake.take_document(upload, settings)
    assert upload.file.tell() == len(largest) + 1
    assert (refused.value.message_id, refused.value.message_en) == (
        "Berkas lebih besar dari 2 MB. Surat izin dari layanan ini tidak pernah sebesar itu.",
        "The file is larger than 2 MB. No permit of this service is ever that large.",
    )


def test_no_file_is_said_at_its_field(settings: Settings) -> None:
    with pytest.raises(InvalidInput) as refused:
        take(b"", settings)
    sentence = ("Pilih berkas PDF surat izin.", "Choose the permit's PDF file.")
    assert (refused.value.message_id, refused.value.message_en) == sentence
    assert refused.value.problems == (FieldProblem("file", "required", *sentence),)


def test_a_pdf_whose_header_stands_in_its_first_kilobyte_and_a_receipt_are_taken(settings: Settings) -> None:
    for content in (b"%PDF-", b"%PDF-".rjust(1024), b' {"statement": {}}'):
        assert take(content, settings) == content
    for content in (b"%PDF-".rjust(1025), b"%pdf-", b"PK\x03\x04", b"[]"):
        with pytest.raises(NotAPdf):
            take(content, settings)


# Days and numbers ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "day"),
    [
        (("23", "11", "2026"), date(2026, 11, 23)),
        ((" 3 ", " Mei ", " 2026 "), date(2026, 5, 3)),
        (("31", "11", "2026"), None),
        (("23", "11", ""), None),
        (("23", "11", "26"), None),
        (("", "", ""), None),
    ],
)
def test_a_day_is_read_as_it_was_typed_or_is_none(typed: tuple[str, str, str], day: date | None) -> None:
    assert TypedDay(*typed).read() == day


def test_a_day_of_which_anything_was_typed_is_not_empty() -> None:
    assert TypedDay().is_empty
    assert TypedDay(" ", " ", " ").is_empty
    assert not any(TypedDay(**{part: "1"}).is_empty for part in ("day", "month", "year"))


def test_what_is_no_day_is_said_at_its_first_field() -> None:
    sentence = ("Ketik tanggal lengkap, misalnya 23 11 2026.", "Type the whole date, for example 23 11 2026.")
    assert TypedDay("31").problem("on") == FieldProblem("on-day", "date", *sentence)


def test_what_a_form_or_an_address_leaves_out_is_empty() -> None:
    for take_day in (intake.query_day, intake.form_day):
        assert take_day() == TypedDay()
        assert take_day("23", "11", "2026") == TypedDay("23", "11", "2026")
    assert intake.form_number() == TypedNumber("", TypedDay())
    asked = intake.form_number("503/1", "23", "11", "2026")
    assert asked == TypedNumber("503/1", TypedDay("23", "11", "2026"))


def test_a_look_up_by_number_needs_the_number_and_the_day_of_issue() -> None:
    day = TypedDay("23", "11", "2026")
    no_number = FieldProblem(
        "number", "required", "Ketik nomor izin seperti pada surat.", "Type the number as on the paper."
    )
    no_day = FieldProblem(
        "issued_on-day",
        "date",
        "Ketik tanggal terbit lengkap, misalnya 23 11 2026.",
        "Type the whole date of issue, for example 23 11 2026.",
    )
    assert TypedNumber("503/1", day).problems() == []
    assert TypedNumber(" ", day).problems() == [no_number]
    assert TypedNumber("503/1", TypedDay()).problems() == [no_day]
    assert TypedNumber("", TypedDay("31", "11", "2026")).problems() == [no_number, no_day]
