"""What the API says and hears of an application: its shapes, and how rows fill them."""

import uuid
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr
from sqlmodel import Session

from service.applications.asked import given_documents, permit_type_of
from service.applications.continued import describe_earlier
from service.applications.correct import correction_round, problems_before_resubmission
from service.applications.models import Application, Upload
from service.applications.submit import problems_before_submission
from service.applications.tracking import Asked, StepState, Tracking, asked_of_applicant
from service.applications.workflow import State
from service.catalogue.format import ApplicantKind
from service.catalogue.format import Request as RequestKind
from service.database import MAX_INTEGER
from service.errors import FieldProblem

FieldKey = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
Line = Annotated[StrictStr, Field(max_length=5000)]
Value = (
    Line
    | StrictBool
    | Annotated[StrictInt, Field(ge=-MAX_INTEGER, le=MAX_INTEGER)]
    | Annotated[StrictFloat, Field(ge=-MAX_INTEGER, le=MAX_INTEGER, allow_inf_nan=False)]
    | Annotated[list[Line], Field(max_length=200)]
    | None
)
Values = Annotated[dict[FieldKey, Value], Field(max_length=200)]


class Problem(BaseModel):
    """What is wrong with one answer or document, and where (RFC 6901)."""

    pointer: str = Field(examples=["/values/nik"])
    code: str = Field(examples=["required"])
    detail: str = Field(examples=["NIK wajib diisi."])


class Document(BaseModel):
    """A file that was given: its proven type and the SHA-256 of its cleaned bytes."""

    id: uuid.UUID
    requirement: str = Field(examples=["ktp"])
    filename: str = Field(examples=["ktp.jpg"])
    media_type: str = Field(examples=["image/jpeg"])
    size: int = Field(examples=[348211])
    sha256: str
    uploaded_at: datetime


class Asking(BaseModel):
    """A field or document that the officer asks to be mended; without a remark it only follows."""

    kind: str = Field(examples=["field"])
    key: str = Field(examples=["practice_address"])
    remark: str | None = Field(examples=["Alamat praktik tidak sama dengan surat keterangan."])


class ApplicationSummary(BaseModel):
    id: uuid.UUID
    receipt_number: str | None = Field(examples=["P-20261123-7K3M9X"])
    type: str = Field(examples=["sip-tenaga-kesehatan"])
    title: str = Field(examples=["Surat Izin Praktik Tenaga Kesehatan"])
    request: str = Field(examples=["new"])
    applicant_kind: str = Field(examples=["person"])
    state: State
    step: str | None = Field(examples=["fo_check"])
    asked: Asked | None
    """What it waits for from the applicant."""
    due_on: date | None
    created_at: datetime
    updated_at: datetime
    submitted_at: datetime | None


class EarlierPermit(BaseModel):
    """The permit that is to be renewed, changed or closed, as it stands now."""

    code: str = Field(examples=["0123456789ABCDEFGHJKMNPQRS"])
    number: str = Field(examples=["500.16.7.2/0001/SIP-TK/XI/2026"])
    status: str = Field(examples=["active"])


class ApplicationDetail(ApplicationSummary):
    """An application with its answers, its files and what is still wrong with them."""

    continues: EarlierPermit | None
    values: dict[str, Any]
    documents: list[Document]
    problems: list[Problem]
    corrections: list[Asking]


class ApplicationList(BaseModel):
    items: list[ApplicationSummary]
    next_offset: int | None


class NewApplication(BaseModel):
    """What is asked of which permit type, as whom, and of which permit, where it is a renewal or a change.

    A permit that the service does not hold is not named.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"type": "sip-tenaga-kesehatan", "request": "new", "applicant_kind": "person"}]
        },
    )

    type: str = Field(max_length=80)
    request: RequestKind
    applicant_kind: ApplicantKind
    continues: str | None = Field(default=None, max_length=32, examples=[None])
    """The public code of the applicant's own permit; its answers are filled in."""


class SectionValues(BaseModel):
    """Answers of one page; null takes one out, those not named stay."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"values": {"nik": "3375014708900000", "full_name": "Siti Contoh"}}]},
    )

    values: Values


class Declaration(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"declared": True}]})

    declared: StrictBool = False
    """Whether the applicant declares what the type asks to be declared."""


class Corrections(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"values": {"practice_address": "Jalan Contoh 12"}}]},
    )

    values: Values = Field(default_factory=dict)


class Withdrawal(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"note": "Batal praktik."}]})

    note: str | None = Field(default=None, max_length=1000)


class TrackedStep(BaseModel):
    key: str
    label: str = Field(examples=["Pemeriksaan kelengkapan berkas"])
    holder: str = Field(examples=["Petugas Front Office (FO)"])
    state: StepState
    entered_at: datetime | None
    left_at: datetime | None
    due_on: date | None


class HistoryLine(BaseModel):
    at: datetime
    text: str


class TrackingDetail(BaseModel):
    state: State
    asked: Asked | None
    due_on: date | None
    clock_stands_still: bool
    steps: list[TrackedStep]
    history: list[HistoryLine]


# From rows -------------------------------------------------------------------------------------


def summary(session: Session, application: Application, language: str) -> dict[str, Any]:
    """Return what a list shows of an application."""
    permit_type = permit_type_of(session, application)
    return {
        "id": application.id,
        "receipt_number": application.receipt_number,
        "type": application.slug,
        "title": permit_type.title.text(language),
        "request": application.request,
        "applicant_kind": application.applicant_kind,
        "state": application.state,
        "step": application.step,
        "asked": asked_of_applicant(application, permit_type),
        "due_on": application.due_on,
        "created_at": application.created_at,
        "updated_at": application.updated_at,
        "submitted_at": application.submitted_at,
    }


def detail(session: Session, application: Application, language: str, now: datetime) -> ApplicationDetail:
    """Return an application whole, as its applicant sees it."""
    return ApplicationDetail(
        **summary(session, application, language),
        continues=_earlier(session, application, now),
        values=application.values,
        documents=[document(upload) for upload in given_documents(session, application).values()],
        problems=[Problem(**problem.as_json(language)) for problem in _problems(session, application, now)],
        corrections=_corrections(session, application, now),
    )


def _earlier(session: Session, application: Application, now: datetime) -> EarlierPermit | None:
    earlier = describe_earlier(session, application, permit_type_of(session, application), now)
    if earlier is None:
        return None
    return EarlierPermit(code=earlier.permit.code, number=earlier.permit.number, status=earlier.status)


def _problems(session: Session, application: Application, now: datetime) -> list[FieldProblem]:
    if application.state == State.DRAFT:
        return problems_before_submission(session, application, now, declared=True)
    if application.state == State.RETURNED:
        return problems_before_resubmission(session, application, now)
    return []


def _corrections(session: Session, application: Application, now: datetime) -> list[Asking]:
    if application.state != State.RETURNED:
        return []
    asked = correction_round(session, application, permit_type_of(session, application), now)
    fields = [Asking(kind="field", key=item.field.key, remark=item.remark) for item in asked.fields]
    return fields + [
        Asking(kind="document", key=item.document.key, remark=item.remark) for item in asked.documents
    ]


def document(upload: Upload) -> Document:
    """Return what is told of a file."""
    return Document.model_validate(upload, from_attributes=True)


def tracking_of(application: Application, tracking: Tracking, language: str) -> TrackingDetail:
    """Return the way of an application in the reader's language."""
    return TrackingDetail(
        state=State(application.state),
        asked=tracking.asked,
        due_on=tracking.due_on,
        clock_stands_still=tracking.clock_stands_still,
        steps=[
            TrackedStep(
                key=step.key,
                label=step.label.text(language),
                holder=step.holder.text(language),
                state=step.state,
                entered_at=step.entered_at,
                left_at=step.left_at,
                due_on=step.due_on,
            )
            for step in tracking.steps
        ],
        history=[HistoryLine(at=line.at, text=line.text.text(language)) for line in tracking.history],
    )
