"""The officers' cases for programmes: the same verbs as the pages, as JSON."""

import uuid
from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Query, Request, UploadFile
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, StrictBool
from sqlmodel import Session

from service.accounts.access import OFFICERS, Actor, allow
from service.applications import review
from service.applications.case_view import CaseFile, Passage, find_case_file, view_case
from service.applications.cleaning import MEDIA_TYPES
from service.applications.models import Application, Upload
from service.applications.queue import (
    MAX_PAGE,
    QueueFilter,
    QueueRow,
    Scope,
    Taken,
    Urgency,
    read_queue,
)
from service.applications.remarks import MAX_NOTE, MAX_REMARK, Remark
from service.applications.uploads import check_file, open_upload, upload_response
from service.applications.workflow import Action, Outcome, State
from service.clock import now
from service.config import parse_wrapping_keys
from service.database import MAX_INTEGER, SessionDep
from service.errors import refusals
from service.storage import StorageDep
from service.web import SettingsDep, language_of

router = APIRouter(prefix="/api/v1/cases", tags=["cases"])

Officer = Annotated[Actor, allow(OFFICERS)]
Note = Annotated[str, Field(max_length=MAX_NOTE, examples=["Berkas lengkap dan benar."])]
Seen = Annotated[
    int | None,
    Field(
        ge=1,
        le=MAX_INTEGER,
        description="`visit` of the case as you read it. If somebody acted since, the answer is 409 and "
        "says who did what.",
        examples=[1],
    ),
]
Key = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,59}$", examples=["practice_address"])]
SimpleAction = Literal[
    "forward", "recommend", "recommend_rejection", "initial", "propose_rejection", "return_to_previous"
]


class CaseSummary(BaseModel):
    """A case as it stands in a queue."""

    id: uuid.UUID
    receipt_number: str = Field(examples=["P-20261123-7K3M9X"])
    type: str = Field(examples=["sip-tenaga-kesehatan"])
    title: str = Field(examples=["Surat Izin Praktik Tenaga Kesehatan"])
    holder_name: str
    state: State
    step: str | None = Field(examples=["completeness"])
    role: str | None = Field(examples=["front_office"])
    outcome: Outcome
    submitted_at: datetime
    step_due_on: date | None
    due_on: date | None
    urgency: Urgency
    taken_by: str | None
    """The officer's name."""


class CaseList(BaseModel):
    cases: list[CaseSummary]
    counts: dict[Urgency, int]
    total: int
    page: int
    page_count: int


class CaseAnswer(BaseModel):
    key: str = Field(examples=["practice_address"])
    label: str
    value: str
    changed: bool
    """Since the submission before."""


class CaseDocument(BaseModel):
    id: uuid.UUID
    requirement: str = Field(examples=["ktp"])
    label: str
    filename: str
    changed: bool


class CaseDeed(BaseModel):
    """Who did what at which step."""

    at: datetime
    step: str
    who: str
    deed: str = Field(examples=["meneruskan permohonan"])
    note: str | None
    report: dict[str, str]


class CaseDetail(BaseModel):
    id: uuid.UUID
    receipt_number: str = Field(examples=["P-20261123-7K3M9X"])
    type: str
    title: str
    holder_name: str
    state: State
    step: str | None
    outcome: Outcome
    visit: int | None = Field(description="The number to send as `seen_visit`.", examples=[1])
    actions: list[Action]
    """What you may do now."""
    refusal: str | None
    """Why you may do nothing here."""
    taken_by: str | None
    step_due_on: date | None
    due_on: date | None
    round: int
    answers: list[CaseAnswer]
    documents: list[CaseDocument]
    attachments: list[CaseDocument]
    history: list[CaseDeed]


class Taking(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"take_over": False}]})

    take_over: StrictBool = False
    """Take it even if another officer works on it."""


class Acting(BaseModel):
    model_config = ConfigDict(extra="forbid")

    action: SimpleAction = Field(examples=["forward"])
    seen_visit: Seen = None
    note: Note = ""
    """Required to propose or recommend a rejection, and to send back a step."""


EXAMPLE_MENDING: dict[str, Any] = {
    "kind": "field",
    "key": "practice_address",
    "remark": "Alamat tidak sama dengan surat keterangan.",
}


class Mending(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [EXAMPLE_MENDING]})

    kind: Literal["field", "document"]
    key: Key
    remark: str = Field(max_length=MAX_REMARK, examples=["Alamat tidak sama dengan surat keterangan."])


class Returning(BaseModel):
    model_config = ConfigDict(extra="forbid")

    asked: list[Mending] = Field(max_length=200, examples=[[EXAMPLE_MENDING]])
    seen_visit: Seen = None
    note: Note = ""
    """For other officers; the applicant does not read it."""


class Reporting(BaseModel):
    model_config = ConfigDict(extra="forbid")

    findings: dict[Key, Annotated[str, Field(max_length=MAX_REMARK)]] = Field(
        max_length=50, examples=[{"presence": "Sesuai permohonan"}]
    )
    seen_visit: Seen = None
    note: Note = ""


@router.get("", summary="List cases")
def list_cases(
    request: Request,
    actor: Officer,
    session: SessionDep,
    scope: Scope = Scope.QUEUE,
    q: Annotated[str, Query(max_length=120)] = "",
    type: Annotated[str | None, Query(max_length=80, examples=["sip-tenaga-kesehatan"])] = None,
    urgency: Urgency | None = None,
    taken: Taken | None = None,
    page: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 1,
) -> CaseList:
    """What waits for your roles, overdue first; with `scope=all` every case your roles may see."""
    asked = QueueFilter(scope, q, type, urgency, taken, page)
    found = read_queue(session, asked, actor=actor, now=now())
    rows = [_summary(row, language_of(request)) for row in found.rows]
    return CaseList(
        cases=rows, counts=found.counts, total=found.total, page=found.page, page_count=found.page_count
    )


@router.get("/{case_id}", summary="Read a case")
def read_case(request: Request, case_id: uuid.UUID, actor: Officer, session: SessionDep) -> CaseDetail:
    """What was submitted, what was done, and what you may do."""
    return _detail(session, case_id, actor, language_of(request))


@router.post("/{case_id}/taking", summary="Take a case")
def take_case(
    request: Request, case_id: uuid.UUID, body: Taking, actor: Officer, session: SessionDep
) -> CaseDetail:
    """Shows other officers who works on it."""
    review.take_case(session, case_id, actor=actor, now=now(), take_over=body.take_over)
    return _detail(session, case_id, actor, language_of(request))


@router.delete("/{case_id}/taking", summary="Release a case")
def release_case(request: Request, case_id: uuid.UUID, actor: Officer, session: SessionDep) -> CaseDetail:
    """Gives it back to the queue."""
    review.release_case(session, case_id, actor=actor, now=now())
    return _detail(session, case_id, actor, language_of(request))


@router.post("/{case_id}/actions", summary="Act on a case")
def act_on_case(
    request: Request, case_id: uuid.UUID, body: Acting, actor: Officer, session: SessionDep
) -> CaseDetail:
    """Forward, recommend for or against, initial, propose a rejection, send back a step."""
    action = Action(body.action)
    review.act_on_case(
        session, case_id, action, actor=actor, now=now(), seen_visit=body.seen_visit, note=body.note
    )
    return _detail(session, case_id, actor, language_of(request))


@router.post("/{case_id}/return", summary="Return a case")
def return_case(
    request: Request, case_id: uuid.UUID, body: Returning, actor: Officer, session: SessionDep
) -> CaseDetail:
    """Asks the applicant to mend the fields and documents named, each with a remark."""
    asked = [Remark(item.kind, item.key, item.remark) for item in body.asked]
    review.return_case(
        session, case_id, asked, actor=actor, now=now(), seen_visit=body.seen_visit, note=body.note
    )
    return _detail(session, case_id, actor, language_of(request))


@router.post("/{case_id}/report", summary="Submit a field report")
def submit_report(
    request: Request, case_id: uuid.UUID, body: Reporting, actor: Officer, session: SessionDep
) -> CaseDetail:
    """A finding for each item of the type; photographs are attached before."""
    review.submit_report(
        session, case_id, body.findings, actor=actor, now=now(), seen_visit=body.seen_visit, note=body.note
    )
    return _detail(session, case_id, actor, language_of(request))


@router.post(
    "/{case_id}/attachments",
    status_code=201,
    summary="Attach a file",
    responses=refusals(415),
)
def attach_file(
    case_id: uuid.UUID,
    file: Annotated[UploadFile, File(description="JPEG, PNG or PDF, at most 10 MiB")],
    actor: Officer,
    session: SessionDep,
    storage: StorageDep,
    settings: SettingsDep,
) -> CaseDocument:
    """Stays with your step: a recommendation, an inspection report, photographs."""
    # Cleaning takes seconds, so it comes before the transaction's first word to the database.
    data = file.file.read(settings.max_upload_bytes + 1)
    clean = check_file(data, max_bytes=settings.max_upload_bytes)
    keys = parse_wrapping_keys(settings.wrapping_keys.get_secret_value())
    name = file.filename or ""
    upload = review.attach_file(session, storage, keys, case_id, name, clean, actor=actor, now=now())
    return _attachment(upload)


@router.delete(
    "/{case_id}/attachments/{upload_id}",
    status_code=204,
    summary="Remove an attachment",
)
def remove_attachment(
    case_id: uuid.UUID, upload_id: uuid.UUID, actor: Officer, session: SessionDep, storage: StorageDep
) -> None:
    """Only your own, and only until you have acted."""
    review.remove_attachment(session, storage, case_id, upload_id, actor=actor, now=now())


@router.get(
    "/{case_id}/documents/{upload_id}",
    summary="Download a file of a case",
    response_class=Response,
    responses={200: {"content": {kind: {} for kind in MEDIA_TYPES}}},
)
def download(
    case_id: uuid.UUID,
    upload_id: uuid.UUID,
    actor: Officer,
    session: SessionDep,
    storage: StorageDep,
    settings: SettingsDep,
) -> Response:
    """A submitted document or a reviewer's attachment."""
    upload = find_case_file(session, review.find_case(session, case_id, actor=actor), upload_id)
    keys = parse_wrapping_keys(settings.wrapping_keys.get_secret_value())
    return upload_response(upload, open_upload(storage, keys, upload))


# As JSON ----------------------------------------------------------------------------------------


def _summary(row: QueueRow, language: str) -> CaseSummary:
    return CaseSummary(
        id=row.id,
        receipt_number=row.receipt_number,
        type=row.slug,
        title=row.title.text(language),
        holder_name=row.holder_name,
        state=State(row.state),
        step=row.step,
        role=row.role,
        outcome=Outcome(row.outcome),
        submitted_at=row.submitted_at,
        step_due_on=row.step_due_on,
        due_on=row.due_on,
        urgency=row.urgency,
        taken_by=row.taken_by_name,
    )


def _detail(session: Session, case_id: uuid.UUID, actor: Actor, language: str) -> CaseDetail:
    case = review.find_case(session, case_id, actor=actor)
    view = view_case(session, case, language)
    application: Application = case.application
    facts: dict[str, Any] = application.model_dump(
        include={"id", "receipt_number", "holder_name", "state", "step", "outcome", "step_due_on", "due_on"}
    )
    return CaseDetail(
        **facts,
        type=application.slug,
        title=case.permit_type.title.text(language),
        visit=case.open_visit.number if case.open_visit else None,
        actions=sorted(case.actions),
        refusal=case.refusal.message(language) if case.refusal else None,
        taken_by=case.holder.full_name if case.holder else None,
        round=view.round,
        answers=[
            CaseAnswer(key=fact.key, label=fact.label, value=fact.value, changed=fact.changed)
            for section in view.sections
            for fact in section.facts
        ],
        documents=[_document(file) for file in view.documents],
        attachments=[_document(file) for file in view.attachments],
        history=[_deed(passage) for passage in view.history],
    )


def _document(file: CaseFile) -> CaseDocument:
    return CaseDocument(
        id=file.upload_id,
        requirement=file.key,
        label=file.label,
        filename=file.filename,
        changed=file.changed,
    )


def _attachment(upload: Upload) -> CaseDocument:
    return CaseDocument(
        id=upload.id,
        requirement=upload.requirement,
        label=upload.filename,
        filename=upload.filename,
        changed=False,
    )


def _deed(passage: Passage) -> CaseDeed:
    return CaseDeed(
        at=passage.at,
        step=passage.step,
        who=passage.who,
        deed=passage.deed,
        note=passage.note,
        report=dict(passage.report),
    )
