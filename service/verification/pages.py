"""Verification for people: one page to ask, one answer that fills the screen."""

import base64
from collections.abc import Callable
from datetime import date, datetime
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, UploadFile
from fastapi.responses import Response

from service.accounts.access import PUBLIC, Actor, allow
from service.clock import city_date, now
from service.database import reading
from service.errors import FieldProblem, InvalidInput, ServiceError
from service.permits.numbering import normalise_code
from service.permits.register import PublicPermit
from service.verification.intake import (
    ReaderDep,
    SandboxDep,
    TypedDay,
    TypedNumber,
    form_day,
    form_number,
    limit_look_ups,
    limit_uploads,
    query_day,
    take_document,
)
from service.verification.receipt_pages import carry_finding
from service.verification.reports import DetailedAnswer, detailed_answer, etsi_report
from service.verification.verify import Verification, look_up_code, look_up_number, verify_file
from service.web import SettingsDep, language_of, render

router = APIRouter(include_in_schema=False)
Anyone = Annotated[Actor, allow(PUBLIC)]
NOTHING_TYPED = TypedNumber("", TypedDay())


@router.get("/verify")
def ask(request: Request, _actor: Anyone) -> Response:
    """Invite to drop a file, to open the QR's address, or to type a number."""
    return render(request, "verification/ask.html", typed=NOTHING_TYPED, problems=())


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
        pdf = take_document(file, settings) if file else _no_file()
    except ServiceError as error:
        return _ask_again(request, error, NOTHING_TYPED, "file")
    with reading(request.app.state.engine) as session:
        verification = verify_file(session, sandbox, pdf, now=now(), reader=reader, detailed=True)
    if verification.receipt:
        return _answer_receipt(request, verification.receipt)
    report = detailed_answer(verification)
    return render(
        request,
        "verification/answer.html",
        verification=verification,
        permit=verification.permit,
        report=report,
        links=_link_reports(verification, report, pdf),
        carried=carry_finding(verification, pdf, settings),
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


def _answer_receipt(request: Request, statement: dict[str, Any]) -> Response:
    """Answer about a receipt of ours: that it is one, and what it states."""
    on = statement["asked"].get("on")
    return render(
        request,
        "verification/receipt_answer.html",
        statement=statement,
        checked_at=datetime.fromisoformat(statement["checked_at"]),
        on=date.fromisoformat(on) if on else None,
    )


def _no_file() -> bytes:
    raise InvalidInput(
        problems=[
            FieldProblem("file", "required", "Pilih berkas PDF surat izin.", "Choose the permit's PDF file.")
        ]
    )


@router.get("/v/{code}")
def answer_code(
    request: Request,
    code: str,
    _actor: Anyone,
    reader: ReaderDep,
    on: Annotated[TypedDay, Depends(query_day)],
) -> Response:
    """Answer the QR: what the register says, now or on a day, to be compared with the paper."""
    normal, moment = normalise_code(code), now()
    find = (
        partial(look_up_code, request.app.state.engine, normal, now=moment, reader=reader)
        if normal
        else _find_nothing
    )
    return answer_from_register(request, find, on, checked_at=moment, address=f"/v/{normal}")


@router.post("/verify/number", dependencies=[Depends(limit_look_ups)])
def answer_number(
    request: Request,
    _actor: Anyone,
    reader: ReaderDep,
    asked: Annotated[TypedNumber, Depends(form_number)],
    on: Annotated[TypedDay, Depends(form_day)],
) -> Response:
    """Answer a number with the day of issue; a wrong day and an unknown number look the same."""
    issued_on, moment = asked.issued_on.read(), now()
    if problems := asked.problems():
        return _ask_again(request, InvalidInput(problems=problems), asked, "number")
    assert issued_on is not None
    with reading(request.app.state.engine) as session:
        find = partial(look_up_number, session, asked.number, issued_on, now=moment, reader=reader)
        return answer_from_register(
            request, find, on, checked_at=moment, address="/verify/number", by_number=asked
        )


def answer_from_register(
    request: Request,
    find: Callable[..., PublicPermit | None],
    on: TypedDay,
    *,
    checked_at: datetime,
    address: str,
    by_number: TypedNumber | None = None,
) -> Response:
    """Show what was found, now and on the day that was asked about.

    `find` looks up as of now, or with `on=` on a day. `address` is where another day is asked about.
    """
    permit, day = find(), on.read()
    problems = [] if on.is_empty or day else [on.problem("on")]
    return render(
        request,
        "verification/register_answer.html",
        404 if permit is None else 422 if problems else 200,
        permit=permit,
        day=day,
        on_day=find(on=day) if permit and day else None,
        is_future=day is not None and day > city_date(checked_at),
        typed_day=on,
        problems=problems if permit else [],
        checked_at=checked_at,
        address=address,
        by_number=by_number,
    )


def _find_nothing(on: date | None = None) -> None:
    return None


def _ask_again(request: Request, error: ServiceError, typed: TypedNumber, place: str) -> Response:
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
