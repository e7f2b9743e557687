"""Pages that verify many documents at once: the upload, its progress, and the result as page and table."""

import csv
import io
from collections import Counter
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, UploadFile
from fastapi import Form as FormField
from fastapi.responses import Response

from service.accounts.access import PUBLIC, Actor, allow
from service.clock import CITY_TIMEZONE, now
from service.errors import FieldProblem, ServiceError
from service.permits.batch_pages import harmless_cell
from service.permits.models import Kind
from service.permits.register import PublicPermit
from service.verification.batch import Line
from service.verification.batch_api import BatchesDep, VerifyingDep, start_batch
from service.verification.batch_intake import MAX_LINES, MAX_NUMBERS
from service.verification.intake import ReadingDep, limit_batches, limit_receipts
from service.verification.receipt_api import send_receipt
from service.verification.receipt_issue import LINE_VERDICTS, STATUSES, Form, state_batch
from service.web import SettingsDep, language_of, redirect, render, translate

router = APIRouter(include_in_schema=False)
Anyone = Annotated[Actor, allow(PUBLIC)]
COLUMNS = (
    "Urutan",
    "Berkas, kode, atau nomor",
    "Hasil",
    "Kode alasan",
    "Nomor izin",
    "Jenis izin",
    "Pemegang",
    "Untuk hari",
    "Status",
    "Sejak",
    "Berlaku sampai dengan",
    "SHA-256",
    "Diperiksa",
)


@router.get("/verify/batch")
def ask(request: Request, _actor: Anyone) -> Response:
    """Invite to send a ZIP or a table."""
    return render(
        request, "verification/batch_ask.html", problems=(), max_lines=MAX_LINES, max_numbers=MAX_NUMBERS
    )


@router.post("/verify/batch", dependencies=[Depends(limit_batches)])
def start(
    request: Request, _actor: Anyone, batches: BatchesDep, verifying: VerifyingDep, file: UploadFile
) -> Response:
    """Begin, and lead to the page that shows the progress."""
    try:
        secret = start_batch(batches, verifying, file)
    except ServiceError as error:
        problems = error.problems or (FieldProblem("file", error.code, error.message_id, error.message_en),)
        return render(
            request,
            "verification/batch_ask.html",
            error.status,
            problems=problems,
            max_lines=MAX_LINES,
            max_numbers=MAX_NUMBERS,
        )
    return redirect(request, f"/verify/batches/{secret}")


@router.get("/verify/batches/{batch_secret}")
def follow(request: Request, _actor: Anyone, batches: BatchesDep, batch_secret: str) -> Response:
    """Show what was found so far; the page asks again until the batch has ended."""
    batch = batches.find(batch_secret, now())
    # Read before the lines: a batch that ended has them all.
    is_ended = batch.is_ended
    lines = list(batch.lines)
    return render(
        request,
        "verification/batch.html",
        batch=batch,
        is_ended=is_ended,
        lines=lines,
        counts=Counter(line.verdict for line in lines).most_common(),
        verdicts={key: translate(text, language_of(request)) for key, text in LINE_VERDICTS.items()},
        address=f"/verify/batches/{batch_secret}",
    )


@router.get("/verify/batches/{batch_secret}/report.csv")
def table(request: Request, _actor: Anyone, batches: BatchesDep, batch_secret: str) -> Response:
    """Give what was found as a table for a spreadsheet."""
    batch, language = batches.find(batch_secret, now()), language_of(request)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([translate(heading, language) for heading in COLUMNS])
    for line in list(batch.lines):
        writer.writerow([harmless_cell(cell) for cell in _row(line, language)])
    headers = {"content-disposition": f'attachment; filename="pemeriksaan-{batch.sha256[:12]}.csv"'}
    # Spreadsheets take a file without this mark for an older encoding.
    return Response("\ufeff" + text.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


def _row(line: Line, language: str) -> list[Any]:
    permit = line.permit
    return [
        line.position,
        line.name,
        translate(LINE_VERDICTS[line.verdict], language),
        " ".join(line.reasons),
        permit.number if permit else "",
        permit.type if permit else "",
        permit.holder if permit else "",
        line.on or "",
        _status(permit, language) if permit else "",
        permit.status_since.astimezone(CITY_TIMEZONE).date() if permit else "",
        (permit.valid_until or "") if permit else "",
        line.sha256 or "",
        line.checked_at.astimezone(CITY_TIMEZONE).isoformat(timespec="seconds"),
    ]


def _status(permit: PublicPermit, language: str) -> str:
    is_permit = permit.kind == Kind.PERMIT
    return translate(STATUSES[permit.status] if is_permit else "Surat penolakan", language)


@router.post("/verify/batches/{batch_secret}/receipt", dependencies=[Depends(limit_receipts)])
def receipt(
    request: Request,
    _actor: Anyone,
    batches: BatchesDep,
    session: ReadingDep,
    settings: SettingsDep,
    batch_secret: str,
    form: Annotated[Form, FormField()] = "pdf",
) -> Response:
    """Give the report of a batch that has ended, under the agency's seal."""
    batch = batches.find(batch_secret, now())
    statement = state_batch(batch, base_url=settings.base_url, now=now())
    return send_receipt(request, session, statement, form)
