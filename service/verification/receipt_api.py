"""Verification receipts for programmes: of a file, or of a public code on a day. No account needed."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, UploadFile
from fastapi.responses import Response
from sqlmodel import Session

from service.accounts.access import PUBLIC, Actor, allow
from service.clock import Day, now
from service.database import reading
from service.errors import refusals
from service.permits.api import SCHEMA_JSON, schema_answer
from service.permits.numbering import normalise_code
from service.permits.register import find_by_code
from service.permits.workshop import SigningUnavailable, printing_of
from service.transparency.api import log_key
from service.verification.api import Code, PermitUnknown
from service.verification.intake import ReaderDep, ReadingDep, SandboxDep, limit_receipts, take_document
from service.verification.receipt import SCHEMA, Asked, Statement
from service.verification.receipt_issue import (
    Finding,
    Form,
    finding_of_file,
    finding_of_register,
    issue_receipt,
    receipt_id,
    state_finding,
)
from service.verification.verify import verify_file
from service.web import SettingsDep

router = APIRouter(prefix="/api/v1", tags=["verification"], dependencies=[Depends(limit_receipts)])
schemas = APIRouter(prefix="/schemas", tags=["verification"])
Anyone = Annotated[Actor, allow(PUBLIC)]
AskedForm = Annotated[Form, Query(description="A signed PDF, or JSON with the seal's signature")]
MEDIA_TYPES = {"pdf": "application/pdf", "json": "application/json"}
RECEIPT_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            MEDIA_TYPES["pdf"]: {"schema": {"type": "string", "format": "binary"}},
            MEDIA_TYPES["json"]: {"schema": {"type": "object", "required": ["statement", "signature"]}},
        }
    }
}


@router.post(
    "/verifications/receipt",
    summary="Verify a document and get a receipt",
    response_class=Response,
    responses=refusals(409, 415, 429) | RECEIPT_ANSWERS,
)
def receipt_of_file(
    request: Request,
    _actor: Anyone,
    settings: SettingsDep,
    sandbox: SandboxDep,
    reader: ReaderDep,
    file: UploadFile,
    form: AskedForm = "pdf",
) -> Response:
    """The verdict on a file as a receipt under the agency's seal; of what is undecided there is none."""
    pdf = take_document(file, settings)
    with reading(request.app.state.engine) as session:
        verification = verify_file(session, sandbox, pdf, now=now(), reader=reader, detailed=True)
        return give_receipt(request, session, finding_of_file(verification, pdf), form)


@router.post(
    "/permits/{code}/receipt",
    summary="Look a permit up and get a receipt",
    response_class=Response,
    responses=refusals(429) | RECEIPT_ANSWERS,
)
def receipt_of_code(
    request: Request,
    _actor: Anyone,
    session: ReadingDep,
    code: Code,
    on: Annotated[Day | None, Query(description="The status at the end of this day in the city")] = None,
    form: AskedForm = "pdf",
) -> Response:
    """What the register says of a permit, now or on a day, as a receipt under the agency's seal."""
    normal = normalise_code(code)
    permit = find_by_code(session, normal) if normal else None
    if permit is None:
        raise PermitUnknown
    finding = finding_of_register(Asked(code=permit.code, on=on), permit.code, now())
    return give_receipt(request, session, finding, form)


@schemas.get(
    "/receipt-1.json",
    summary="JSON Schema of receipt.json",
    response_class=Response,
    responses={200: {"content": {SCHEMA_JSON: {}}}},
)
def receipt_schema(_actor: Anyone) -> Response:
    """Describes what a verification receipt states; it never changes."""
    return schema_answer(SCHEMA.read_bytes())


def give_receipt(request: Request, session: Session, finding: Finding, form: Form) -> Response:
    """Answer with a receipt of what was found. Raises SigningUnavailable without the service's own keys."""
    settings, keys = request.app.state.settings, request.app.state.operations_keys
    if keys is None:
        raise SigningUnavailable
    statement = state_finding(session, finding, base_url=settings.base_url, key=log_key(settings, keys))
    return send_receipt(request, session, statement, form)


def send_receipt(request: Request, session: Session, statement: Statement, form: Form) -> Response:
    """Answer with a statement under the seal. Raises SigningUnavailable without the service's own keys."""
    settings, keys = request.app.state.settings, request.app.state.operations_keys
    if keys is None:
        raise SigningUnavailable
    receipt = issue_receipt(session, statement, form, keys=keys, printing=printing_of(settings), now=now())
    name = f"bukti-pemeriksaan-{receipt_id(statement)[:12]}.{form}"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(receipt, media_type=MEDIA_TYPES[form], headers=headers)
