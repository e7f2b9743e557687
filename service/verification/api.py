"""Verification for programmes: a file, or a public code on a day. No account needed."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, UploadFile
from sqlalchemy import Engine
from starlette.requests import Request
from starlette.responses import Response

from service.accounts.access import PUBLIC, Actor, allow
from service.accounts.limits import LimiterDep
from service.clock import Day, now
from service.database import ask_promptly, reading
from service.errors import NotFound, refusals
from service.permits.numbering import CODE_LENGTH, normalise_code
from service.permits.register import find_by_code, status_at
from service.verification.answers import (
    ComparisonAnswer,
    PaperOrder,
    PermitAnswer,
    ReceiptAnswer,
    VerificationAnswer,
    permit_answer,
    receipt_answer,
    verification_answer,
)
from service.verification.compare import compare_paper, require_something
from service.verification.intake import (
    COMPARISONS_OF_PERMIT,
    ReaderDep,
    ReadingDep,
    SandboxDep,
    limit_comparisons,
    limit_uploads,
    reader_of,
    take_document,
)
from service.verification.reports import DetailedAnswer, Report, detailed_answer, etsi_report
from service.verification.verify import look_up_code, verify_file
from service.web import SettingsDep

XML = "application/xml"
router = APIRouter(prefix="/api/v1", tags=["verification"])
Anyone = Annotated[Actor, allow(PUBLIC)]
Code = Annotated[str, Path(max_length=64, examples=["0" * CODE_LENGTH])]


class PermitUnknown(NotFound):
    code = "permit_unknown"
    message_id = "Tidak ada izin dengan kode ini. Periksa kembali kode pada surat."
    message_en = "There is no permit with this code. Check the code on the paper again."


@router.post(
    "/verifications",
    dependencies=[Depends(limit_uploads)],
    summary="Verify a document",
    response_model=DetailedAnswer | ReceiptAnswer | VerificationAnswer,
    responses=refusals(415, 429) | {200: {"content": {XML: {"schema": {"type": "string"}}}}},
)
def verify(
    request: Request,
    _actor: Anyone,
    settings: SettingsDep,
    sandbox: SandboxDep,
    reader: ReaderDep,
    file: UploadFile,
    report: Annotated[Report, Query(description="How much the answer tells")] = Report.SIMPLE,
) -> DetailedAnswer | ReceiptAnswer | VerificationAnswer | Response:
    """`genuine`, `altered`, `unknown`, `undecided`, or `receipt` of our own receipts; always with 200.

    `report=detailed` adds each check of each signature, with the policy; `report=etsi` gives the signatures'
    validation alone, as XML after ETSI TS 119 102-2.
    """
    pdf = take_document(file, settings)
    detailed = report is not Report.SIMPLE
    with reading(request.app.state.engine) as session:
        found = verify_file(session, sandbox, pdf, now=now(), reader=reader, detailed=detailed)
    if report is Report.ETSI:
        return Response(etsi_report(found), media_type=XML)
    if found.receipt:
        return receipt_answer(found, found.receipt)
    return detailed_answer(found) if detailed else verification_answer(found)


@router.get("/permits/{code}", summary="Look a permit up")
async def permit_by_code(
    request: Request,
    _actor: Anyone,
    code: Code,
    on: Annotated[Day | None, Query(description="The status at the end of this day in the city")] = None,
) -> PermitAnswer:
    """The public facts of a permit and its status, now or on a day."""
    normal = normalise_code(code)
    if normal is None:
        raise PermitUnknown
    engine: Engine = request.app.state.engine
    look_up = partial(look_up_code, engine, normal, now=now(), reader=reader_of(request), on=on)
    permit = await ask_promptly(engine, look_up)
    if permit is None:
        raise PermitUnknown
    return permit_answer(permit)


@router.post(
    "/permits/{code}/comparison",
    dependencies=[Depends(limit_comparisons)],
    summary="Compare a paper with a permit",
    responses=refusals(429),
)
def compare_with_paper(
    _actor: Anyone, session: ReadingDep, limiter: LimiterDep, code: Code, order: PaperOrder
) -> ComparisonAnswer:
    """Tell which of the facts on a paper agree with the register, without telling what the register says."""
    paper = order.as_said()
    require_something(paper)
    normal = normalise_code(code)
    permit = find_by_code(session, normal) if normal else None
    if permit is None:
        raise PermitUnknown
    limiter.count(COMPARISONS_OF_PERMIT, permit.code)
    found = compare_paper(permit, paper)
    status, _ = status_at(session, permit, now())
    return ComparisonAnswer(
        holder=found.holder, valid_until=found.valid_until, facts=found.facts, status=status
    )
