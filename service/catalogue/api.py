"""The catalogue for programmes: the same facts as the pages, and the form as a JSON Schema."""

import uuid
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field

from service.accounts.access import PUBLIC, Actor, allow
from service.catalogue.browse import search_permit_types
from service.catalogue.format import ApplicantKind, City, PermitType
from service.catalogue.format import Request as RequestKind
from service.catalogue.forms import check_circumstances, json_schema
from service.catalogue.models import PermitTypeRevision, active_city, find_permit_type
from service.database import SessionDep
from service.errors import InvalidInput
from service.web import language_of

router = APIRouter(prefix="/api/v1/permit-types", tags=["catalogue"])
Anyone = Annotated[Actor, allow(PUBLIC)]
Slug = Annotated[str, Path(max_length=80, examples=["sip-tenaga-kesehatan"])]


class PermitTypeSummary(BaseModel):
    """A permit type in the list, in the reader's language."""

    slug: str = Field(examples=["sip-tenaga-kesehatan"])
    title: str = Field(examples=["Surat Izin Praktik Tenaga Kesehatan"])
    summary: str
    category: str = Field(examples=["kesehatan"])
    category_label: str = Field(examples=["Kesehatan"])
    deadline_working_days: int = Field(examples=[5])
    url: str = Field(examples=["/api/v1/permit-types/sip-tenaga-kesehatan"])


class PermitTypeList(BaseModel):
    items: list[PermitTypeSummary]


class RequiredDocument(BaseModel):
    key: str = Field(examples=["ktp"])
    label: str = Field(examples=["KTP"])
    hint: str | None
    required: bool
    required_if: dict[str, list[bool | int | str]] | None = Field(examples=[{"request": ["renewal"]}])
    """When it is required, in place of always: each named field has one of its values."""
    accept: list[str] = Field(examples=[["pdf", "jpg", "png"]])


class WorkflowStep(BaseModel):
    key: str = Field(examples=["completeness"])
    label: str = Field(examples=["Pemeriksaan kelengkapan berkas"])
    role: str = Field(examples=["front_office"])
    role_label: str = Field(examples=["Petugas Front Office"])


class PermitFee(BaseModel):
    kind: Literal["free", "fixed", "external"]
    amount: int | None
    """Whole rupiah; null when it is assessed elsewhere."""
    note: str | None


class PermitTypeDetail(PermitTypeSummary):
    """All that is asked for, what it costs and how it goes; `form` checks the values of an application."""

    revision_id: uuid.UUID
    revision: int = Field(examples=[1])
    code: str = Field(examples=["SIP-TK"])
    notice: str | None
    legal_basis: list[str]
    requests: dict[str, str] = Field(examples=[{"new": "Permohonan baru", "renewal": "Perpanjangan"}])
    applicant_kinds: list[ApplicantKind]
    documents: list[RequiredDocument]
    steps: list[WorkflowStep]
    fee: PermitFee
    validity: str = Field(examples=["5 tahun"])
    obligations: list[str]
    public_fields: list[str]
    form: dict[str, Any] = Field(examples=[{"type": "object", "properties": {"nik": {"type": "string"}}}])
    """JSON Schema, draft 2020-12."""


@router.get("", summary="List the permit types")
def list_permit_types(
    request: Request,
    _actor: Anyone,
    session: SessionDep,
    q: Annotated[str, Query(max_length=200, description="Words to find.", examples=["bidan"])] = "",
    category: Annotated[str, Query(max_length=40, examples=["kesehatan"])] = "",
) -> PermitTypeList:
    """Those one can apply for now, by title."""
    language, city = language_of(request), active_city(session)
    rows = search_permit_types(session, q, category)
    return PermitTypeList(
        items=[PermitTypeSummary(**_summary(city, row.permit_type, language)) for row in rows]
    )


@router.get("/{slug}", summary="Read a permit type")
def read_permit_type(
    request: Request,
    slug: Slug,
    _actor: Anyone,
    session: SessionDep,
    request_kind: Annotated[RequestKind | None, Query(alias="request")] = None,
    applicant_kind: Annotated[ApplicantKind | None, Query()] = None,
) -> PermitTypeDetail:
    """With the form for one request and kind of applicant; without either, the type's first."""
    row = find_permit_type(session, slug)
    permit_type = row.permit_type
    wanted = (request_kind or permit_type.requests[0], applicant_kind or permit_type.applicant_kinds[0])
    problems = check_circumstances(permit_type, *wanted)
    if problems:
        raise InvalidInput(problems=problems)
    language = language_of(request)
    return PermitTypeDetail(
        **_detail(active_city(session), row, language), form=json_schema(permit_type, *wanted, language)
    )


def _summary(city: City, permit_type: PermitType, language: str) -> dict[str, Any]:
    return {
        "slug": permit_type.slug,
        "title": permit_type.title.text(language),
        "summary": permit_type.summary.text(language),
        "category": permit_type.category,
        "category_label": city.category_label(permit_type.category).text(language),
        "deadline_working_days": permit_type.deadline_working_days,
        "url": f"/api/v1/permit-types/{permit_type.slug}",
    }


def _detail(city: City, row: PermitTypeRevision, language: str) -> dict[str, Any]:
    permit_type = row.permit_type
    fee = permit_type.fee
    return {
        **_summary(city, permit_type, language),
        "revision_id": row.id,
        "revision": row.revision,
        "code": permit_type.code,
        "notice": permit_type.notice.text(language) if permit_type.notice else None,
        "legal_basis": list(permit_type.legal_basis),
        "requests": {key: permit_type.request_labels[key].text(language) for key in permit_type.requests},
        "applicant_kinds": list(permit_type.applicant_kinds),
        "documents": [
            {
                "key": document.key,
                "label": document.label.text(language),
                "hint": document.hint.text(language) if document.hint else None,
                "required": document.required and document.required_if is None,
                "required_if": document.required_if,
                "accept": list(document.accept),
            }
            for document in permit_type.documents
        ],
        "steps": [
            {
                "key": step.key,
                "label": step.label.text(language),
                "role": step.role,
                "role_label": city.role_label(step.role).text(language),
            }
            for step in permit_type.steps
        ],
        "fee": {
            "kind": fee.kind,
            "amount": fee.amount,
            "note": fee.note.text(language) if fee.note else None,
        },
        "validity": permit_type.validity.note.text(language),
        "obligations": [text.text(language) for text in permit_type.obligations],
        "public_fields": list(permit_type.public_fields),
    }
