"""Verifying many documents at once, for programmes. No account needed: a batch's id is its secret."""

import hashlib
from datetime import date, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Request, UploadFile
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict

from service.accounts.access import PUBLIC, Actor, allow
from service.clock import city_date, now
from service.errors import FieldProblem, InvalidInput, refusals
from service.verification.answers import EXAMPLE_PERMIT, PermitAnswer, permit_answer
from service.verification.batch import Batch, Batches, Line, Verifying
from service.verification.batch_intake import is_zip, list_entries, read_table
from service.verification.intake import ReaderDep, ReadingDep, SandboxDep, limit_batches, limit_receipts
from service.verification.receipt_api import RECEIPT_ANSWERS, AskedForm, send_receipt
from service.verification.receipt_issue import state_batch
from service.web import SettingsDep

router = APIRouter(prefix="/api/v1/verification-batches", tags=["verification"])
Anyone = Annotated[Actor, allow(PUBLIC)]
Secret = Annotated[str, Path(max_length=64, examples=["3nJ0aWbT0Ff2cYQe5vB1kLxZ7uPqRs8d"])]


class LineAnswer(BaseModel):
    """What was found about one file, code or number.

    `verdict` is that of a file, `registered` or `not_registered`; `undecided` with its reason also for a line
    that could not be read.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "position": 1,
                    "name": "bidan-1.pdf",
                    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                    "on": None,
                    "verdict": "genuine",
                    "reasons": ["registered", "signature_passed", "in_log"],
                    "permit": EXAMPLE_PERMIT,
                    "checked_at": "2026-11-23T03:00:00Z",
                }
            ]
        }
    )

    position: int
    name: str
    sha256: str | None
    on: date | None
    verdict: str
    reasons: list[str]
    permit: PermitAnswer | None
    checked_at: datetime


class BatchAnswer(BaseModel):
    """How far a batch has come, and what was found so far."""

    id: str
    state: Literal["running", "ended"]
    total: int
    done: int
    lines: list[LineAnswer]


async def request_batches(request: Request) -> Batches:
    """Give a route the batches of this process."""
    batches: Batches = request.app.state.verification_batches
    return batches


BatchesDep = Annotated[Batches, Depends(request_batches)]


async def request_verifying(
    request: Request, settings: SettingsDep, sandbox: SandboxDep, reader: ReaderDep
) -> Verifying:
    """Give a route what a batch is verified with."""
    return Verifying(request.app.state.engine, sandbox, reader, now, settings.max_verification_bytes)


VerifyingDep = Annotated[Verifying, Depends(request_verifying)]


@router.post(
    "",
    status_code=201,
    dependencies=[Depends(limit_batches)],
    summary="Verify many documents",
    responses=refusals(429),
)
def start(_actor: Anyone, batches: BatchesDep, verifying: VerifyingDep, file: UploadFile) -> BatchAnswer:
    """Takes a ZIP of PDFs, or a CSV of codes or numbers, and verifies them in the background."""
    secret = start_batch(batches, verifying, file)
    return batch_answer(secret, batches.find(secret, now()))


@router.get("/{batch_secret}", summary="Follow a batch")
def follow(_actor: Anyone, batches: BatchesDep, batch_secret: Secret) -> BatchAnswer:
    """How far it has come, and what was found so far; for an hour after it was sent."""
    return batch_answer(batch_secret, batches.find(batch_secret, now()))


@router.post(
    "/{batch_secret}/receipt",
    dependencies=[Depends(limit_receipts)],
    summary="Get a batch's receipt",
    response_class=Response,
    responses=refusals(409, 429) | RECEIPT_ANSWERS,
)
def receipt(
    request: Request,
    _actor: Anyone,
    batches: BatchesDep,
    session: ReadingDep,
    settings: SettingsDep,
    batch_secret: Secret,
    form: AskedForm = "pdf",
) -> Response:
    """What was found about each document, as one receipt under the agency's seal, once all are checked."""
    batch = batches.find(batch_secret, now())
    statement = state_batch(batch, base_url=settings.base_url, now=now())
    return send_receipt(request, session, statement, form)


def start_batch(batches: Batches, verifying: Verifying, file: UploadFile) -> str:
    """Take a ZIP or a table and begin; return the batch's secret.

    Raises InvalidInput for what cannot be read or has too many lines, and VerificationBusy.
    """
    head = file.file.read(2)
    if not head:
        sentence = ("Pilih berkas ZIP atau CSV.", "Choose a ZIP or CSV file.")
        raise InvalidInput(*sentence, problems=[FieldProblem("file", "required", *sentence)])
    if is_zip(head):
        return batches.start_zip(file.file, list_entries(file.file), verifying)
    data = head + file.file.read()
    return batches.start_table(
        hashlib.sha256(data).hexdigest(), read_table(data, city_date(now())), verifying
    )


def batch_answer(secret: str, batch: Batch) -> BatchAnswer:
    """Write a batch for the wire."""
    is_ended, lines = batch.is_ended, list(batch.lines)
    return BatchAnswer(
        id=secret,
        state="ended" if is_ended else "running",
        total=batch.total,
        done=len(lines),
        lines=[_line_answer(line) for line in lines],
    )


def _line_answer(line: Line) -> LineAnswer:
    return LineAnswer(
        position=line.position,
        name=line.name,
        sha256=line.sha256,
        on=line.on,
        verdict=line.verdict,
        reasons=list(line.reasons),
        permit=permit_answer(line.permit) if line.permit else None,
        checked_at=line.checked_at,
    )
