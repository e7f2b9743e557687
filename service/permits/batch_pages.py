"""Pages of the signing desk: what waits, the list of a batch with its passphrase, its progress and result."""

import csv
import io
import uuid
from collections import Counter
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import Response
from sqlmodel import Session

from service.accounts.access import Actor, allow, roles
from service.accounts.models import User
from service.applications.queue import MAX_PAGE, QueueFilter, Urgency, visible_types
from service.applications.review_pages import URGENCY_TITLES
from service.clock import CITY_TIMEZONE, city_date, now
from service.database import SessionDep, reading, transaction
from service.errors import InvalidInput, ServiceError
from service.permits.batch import (
    MAX_FILES,
    BatchState,
    batch_state,
    batches_of,
    find_batch,
    leave_out,
    select_files,
    stop_batch,
)
from service.permits.batch_progress import BatchFile, count_files, read_files
from service.permits.batch_run import RunsDep
from service.permits.desk import DeskFile, examine_all, examine_files, read_desk
from service.permits.issue import unfinished_issuances
from service.permits.mandates import mandates_on, printed_capacity
from service.permits.models import Kind
from service.permits.pages import Passphrase, Text, as_refusal, passphrase_problems
from service.permits.signer import service_of, signing_as
from service.permits.workshop import WorkshopDep
from service.web import SettingsDep, language_of, redirect, render, translate

router = APIRouter(include_in_schema=False)

Signer = Annotated[Actor, allow(roles("department_head", scope="sign"))]
PAGE_SIZE = 50
Page = Annotated[int, Query(ge=1, le=MAX_PAGE)]
Search = Annotated[str, Query(max_length=120)]
Slug = Annotated[str, Query(max_length=80)]
Due = Annotated[str, Query(max_length=10)]


# The desk -------------------------------------------------------------------------------------


@router.get("/sign")
def signing_desk(
    request: Request,
    actor: Signer,
    session: SessionDep,
    settings: SettingsDep,
    q: Search = "",
    type: Slug = "",
    due: Due = "",
    page: Page = 1,
) -> Response:
    """List what waits for this official's signature, and what was left unfinished."""
    moment, language = now(), language_of(request)
    asked = _filter(q, type, due, page)
    chosen = {name: value for name, value in {"q": q, "type": type, "due": due}.items() if value}
    batches = [(batch, count_files(session, batch.id)) for batch in batches_of(session, actor)]
    mandates = mandates_on(session, actor.id, city_date(moment))
    return render(
        request,
        "permits/sign_queue.html",
        desk=read_desk(session, asked, actor=actor, now=moment, settings=settings),
        asked=asked,
        chosen=chosen,
        types=visible_types(session, actor),
        titles={key: translate(text, language) for key, text in URGENCY_TITLES.items()},
        page_url=f"/sign?{urlencode(chosen | {'page': ''})}",
        max_files=MAX_FILES,
        capacities=[(printed_capacity(each).replace("\n", ", "), each) for each in mandates],
        batches=[(batch, count, batch_state(batch, count, moment)) for batch, count in batches],
        unfinished=unfinished_issuances(session, actor),
        service=service_of(session.get_one(User, actor.id)),
    )


def _filter(q: str, slug: str, due: str, page: int = 1) -> QueueFilter:
    urgency = Urgency(due) if due in set(Urgency) else None
    return QueueFilter(text=q, slug=slug or None, urgency=urgency, page=page)


@router.post("/sign/batches")
def select_for_batch(
    request: Request,
    actor: Signer,
    settings: SettingsDep,
    files: Annotated[list[str], Form(max_length=PAGE_SIZE)] = [],  # noqa: B006 (FastAPI copies it)
    everything: Text = "",
    q: Annotated[str, Form(max_length=120)] = "",
    type: Annotated[str, Form(max_length=80)] = "",
    due: Annotated[str, Form(max_length=10)] = "",
) -> Response:
    """Select the ticked files, or all of the filter, and lead on to their list."""
    engine, moment = request.app.state.engine, now()
    good: list[DeskFile] = []
    refused = 0
    # Examining a thousand files takes seconds: it must not hold SQLite's one write lock.
    with reading(engine) as session:
        examined = (
            examine_all(session, _filter(q, type, due), actor=actor, now=moment, settings=settings)
            if everything
            else examine_files(session, _ticked(files), actor=actor, settings=settings)
        )
        for file in examined:
            if file.refusal is not None:
                refused += 1
            elif len(good) < MAX_FILES:
                good.append(file)
    language = language_of(request)
    said = translate("Berkas yang tidak dapat ditandatangani atau sudah berubah, jadi tidak ikut:", language)
    left_out = f"{said} {refused}." if refused else ""
    if not good:
        nothing = translate("Pilih sedikitnya satu berkas yang dapat ditandatangani.", language)
        return redirect(request, "/sign", flash=("notice", f"{nothing} {left_out}".strip()))
    # A refusal of the application must not hide among permits.
    good.sort(key=lambda file: file.kind != Kind.REJECTION_LETTER)
    with transaction(engine) as session:
        batch = select_files(session, good, actor=actor, now=moment)
    return redirect(request, f"/sign/batches/{batch.id}", flash=("notice", left_out) if left_out else None)


def _ticked(files: list[str]) -> list[tuple[uuid.UUID, str]]:
    """Read what the list's boxes carry: an application's id and the digest shown beside it."""
    try:
        return [(uuid.UUID(file.partition(".")[0]), file.partition(".")[2]) for file in files]
    except ValueError:
        raise InvalidInput from None


# A batch --------------------------------------------------------------------------------------


@router.get("/sign/batches/{batch_id}")
def batch_page(
    request: Request, batch_id: uuid.UUID, actor: Signer, session: SessionDep, page: Page = 1
) -> Response:
    """Show a batch: its whole list before it is begun, then how far it has come."""
    return _batch_page(request, session, batch_id, actor, page)


def _batch_page(
    request: Request,
    session: Session,
    batch_id: uuid.UUID,
    actor: Actor,
    page: int = 1,
    error: ServiceError | None = None,
) -> Response:
    batch, count = find_batch(session, batch_id, actor=actor), count_files(session, batch_id)
    state = batch_state(batch, count, now())
    page_count = max(1, -(-count.total // PAGE_SIZE))
    page = min(page, page_count)
    if state == BatchState.SELECTION:
        rows = read_files(session, batch_id)
    else:
        rows = read_files(session, batch_id, offset=(page - 1) * PAGE_SIZE, limit=PAGE_SIZE)
    return render(
        request,
        "permits/sign_batch.html",
        error.status if error else 200,
        batch=batch,
        state=state,
        count=count,
        rows=rows,
        kinds=Counter(row.item.kind for row in rows),
        by_type=_by_type(rows, language_of(request)),
        page=page,
        page_count=page_count,
        problems=passphrase_problems(error),
        service=service_of(session.get_one(User, actor.id)),
    )


def _by_type(rows: list[BatchFile], language: str) -> list[tuple[str, Counter[str]]]:
    """Count a selection's permits and rejection letters, type by type."""
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        counts.setdefault(row.title.text(language), Counter())[row.item.kind] += 1
    return sorted(counts.items())


@router.post("/sign/batches/{batch_id}/without")
def take_out(
    request: Request,
    batch_id: uuid.UUID,
    actor: Signer,
    session: SessionDep,
    position: Annotated[int, Form(ge=1, le=MAX_FILES)] = 1,
) -> Response:
    """Take one file out of the selection."""
    leave_out(session, batch_id, position, actor=actor)
    left = count_files(session, batch_id).total
    return redirect(request, f"/sign/batches/{batch_id}" if left else "/sign")


@router.post("/sign/batches/{batch_id}/run")
def run_batch(
    request: Request,
    batch_id: uuid.UUID,
    actor: Signer,
    workshop: WorkshopDep,
    settings: SettingsDep,
    runs: RunsDep,
    passphrase: Passphrase = "",
    digest: Text = "",
) -> Response:
    """Sign: the passphrase opens the key for this batch, in this process's memory, and is forgotten."""
    try:
        with reading(workshop.engine) as session:
            find_batch(session, batch_id, actor=actor)
            official = session.get_one(User, actor.id)
        signer = signing_as(official, passphrase, settings=settings, now=now())
        runs.start(workshop, batch_id, actor=actor, signer=signer, seen_digest=digest)
    except Exception as failure:
        error = as_refusal(failure)
        with reading(workshop.engine) as session:
            return _batch_page(request, session, batch_id, actor, error=error)
    return redirect(request, f"/sign/batches/{batch_id}")


@router.post("/sign/batches/{batch_id}/stop")
def stop(request: Request, batch_id: uuid.UUID, actor: Signer, session: SessionDep) -> Response:
    """Finish the current files and sign no more."""
    stop_batch(session, batch_id, actor=actor)
    return redirect(request, f"/sign/batches/{batch_id}")


@router.get("/sign/batches/{batch_id}/result.csv")
def result(request: Request, batch_id: uuid.UUID, actor: Signer, session: SessionDep) -> Response:
    """Give what became of each file, as a table for a spreadsheet."""
    find_batch(session, batch_id, actor=actor)
    language = language_of(request)
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow([translate(heading, language) for heading in RESULT_COLUMNS])
    for row in read_files(session, batch_id):
        table.writerow([harmless_cell(cell) for cell in _result_row(row, language)])
    headers = {"content-disposition": f'attachment; filename="penandatanganan-{batch_id}.csv"'}
    # Spreadsheets take a file without this mark for an older encoding.
    return Response("\ufeff" + text.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


RESULT_COLUMNS = (
    "Urutan",
    "Nomor registrasi",
    "Pemohon",
    "Jenis izin",
    "Dokumen",
    "Sidik dokumen",
    "Keadaan",
    "Nomor surat",
    "Ditandatangani pada",
    "Keterangan",
)
STATE_WORDS = {"waiting": "Belum ditandatangani", "signed": "Sudah ditandatangani", "failed": "Gagal"}
KIND_WORDS = {Kind.PERMIT.value: "Surat izin", Kind.REJECTION_LETTER.value: "Surat penolakan"}


def _result_row(row: BatchFile, language: str) -> list[Any]:
    return [
        row.item.position,
        row.receipt_number,
        row.holder_name,
        row.title.text(language),
        translate(KIND_WORDS[row.item.kind], language),
        row.item.digest,
        translate(STATE_WORDS[row.state], language),
        row.number or "",
        row.signed_at.astimezone(CITY_TIMEZONE).isoformat(timespec="seconds") if row.signed_at else "",
        row.failure(language) if row.state == "failed" else "",
    ]


def harmless_cell(cell: Any) -> Any:
    """Keep a spreadsheet from taking what an applicant wrote for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in tuple("=+-@\t\r") else cell
