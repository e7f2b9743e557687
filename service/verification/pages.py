"""Verification for people: one page to ask, one answer that fills the screen."""

import base64
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, UploadFile
from fastapi.responses import Response

from service.accounts.access import PUBLIC, Actor, allow
from service.catalogue.entry import join_date
from service.clock import now
from service.database import reading
from service.errors import FieldProblem, InvalidInput, ServiceError
from service.permits.numbering import normalise_code
from service.verification.intake import (
    ReaderDep,
    SandboxDep,
    limit_look_ups,
    limit_uploads,
    take_pdf,
)
from service.verification.reports import DetailedAnswer, detailed_answer, etsi_report
from service.verification.verify import Verification, look_up_code, look_up_number, verify_file
from service.web import SettingsDep, language_of, render

router = APIRouter(include_in_schema=False)
Anyone = Annotated[Actor, allow(PUBLIC)]
Short = Annotated[str, Form(max_length=100)]


@router.get("/verify")
def ask(request: Request, _actor: Anyone) -> Response:
    """Invite to drop a file, to open the QR's address, or to type a number."""
    return render(request, "verification/ask.html", typed={}, problems=())


@router.post("/verify", dependencies=[Depends(limit_uploads)])
def answer_file(
    request: Request,
    _actor: Anyone,
    settings: SettingsDep,
    sandbox: SandboxDep,
    reader: ReaderDep,
    file: UploadFile | None = None,
) -> Response:
    """Answer about an uploaded file."""
    try:
        pdf = take_pdf(file, settings) if file else _no_file()
    except ServiceError as error:
        return _ask_again(request, error, {}, "file")
    with reading(request.app.state.engine) as session:
        verification = verify_file(session, sandbox, pdf, now=now(), reader=reader, detailed=True)
    report = detailed_answer(verification)
    return render(
        request,
        "verification/answer.html",
        verification=verification,
        permit=verification.permit,
        report=report,
        links=_link_reports(verification, report, pdf),
    )


def _link_reports(verification: Verification, report: DetailedAnswer, pdf: bytes) -> dict[str, str]:
    """Give what can be downloaded as part of the page: an upload and its reports are kept nowhere.

    The original of an altered copy is cut from the upload itself, so that nobody is given what they had not.
    """
    links = {
        "detailed": _as_link("application/json", report.model_dump_json(indent=2).encode()),
        "etsi": _as_link("application/xml", etsi_report(verification).encode()),
    }
    origin = verification.origin
    if origin and origin.found_by == "revision":
        links["original"] = _as_link("application/pdf", pdf[: origin.size])
    return links


def _as_link(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def _no_file() -> bytes:
    raise InvalidInput(
        problems=[
            FieldProblem("file", "required", "Pilih berkas PDF surat izin.", "Choose the permit's PDF file.")
        ]
    )


@router.get("/v/{code}")
def answer_code(request: Request, code: str, _actor: Anyone, reader: ReaderDep) -> Response:
    """Answer the QR: what the register says, to be compared with the paper."""
    normal = normalise_code(code)
    engine = request.app.state.engine
    permit = look_up_code(engine, normal, now=now(), reader=reader) if normal else None
    status = 200 if permit else 404
    return render(request, "verification/register_answer.html", status, permit=permit, checked_at=now())


@router.post("/verify/number", dependencies=[Depends(limit_look_ups)])
def answer_number(
    request: Request,
    _actor: Anyone,
    reader: ReaderDep,
    number: Short = "",
    day: Annotated[str, Form(alias="issued_on-day", max_length=4)] = "",
    month: Annotated[str, Form(alias="issued_on-month", max_length=20)] = "",
    year: Annotated[str, Form(alias="issued_on-year", max_length=6)] = "",
) -> Response:
    """Answer a number with the day of issue; a wrong day and an unknown number look the same."""
    typed = {"number": number, "day": day, "month": month, "year": year}
    problems = []
    if not number.strip():
        problems.append(
            FieldProblem(
                "number",
                "required",
                "Ketik nomor izin seperti pada surat.",
                "Type the number as on the paper.",
            )
        )
    issued_on = _read_day(day, month, year)
    if issued_on is None:
        problems.append(
            FieldProblem(
                "issued_on-day",
                "date",
                "Ketik tanggal terbit lengkap, misalnya 23 11 2026.",
                "Type the whole date of issue, for example 23 11 2026.",
            )
        )
    if problems or issued_on is None:
        return _ask_again(request, InvalidInput(problems=problems), typed, "number")
    with reading(request.app.state.engine) as session:
        permit = look_up_number(session, number, issued_on, now=now(), reader=reader)
    status = 200 if permit else 404
    return render(
        request, "verification/register_answer.html", status, permit=permit, checked_at=now(), by_number=True
    )


def _read_day(day: str, month: str, year: str) -> date | None:
    try:
        return date.fromisoformat(join_date(day, month, year))
    except ValueError:
        return None


def _ask_again(request: Request, error: ServiceError, typed: dict[str, str], place: str) -> Response:
    language = language_of(request)
    problems = error.problems or (FieldProblem(place, error.code, error.message_id, error.message_en),)
    return render(
        request,
        "verification/ask.html",
        error.status,
        typed=typed,
        problems=problems,
        errors={problem.field: problem.message(language) for problem in problems},
    )
