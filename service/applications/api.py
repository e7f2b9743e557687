"""The citizen's applications for programmes: the same verbs as the pages, as JSON."""

import uuid
from typing import Annotated

from fastapi import APIRouter, File, Form, Path, Query, Request, UploadFile
from fastapi.responses import Response

from service.accounts.access import CITIZENS, Actor, allow
from service.applications import correct, draft, submit
from service.applications.asked import permit_type_of
from service.applications.cleaning import MEDIA_TYPES
from service.applications.representations import (
    ApplicationDetail,
    ApplicationList,
    ApplicationSummary,
    Corrections,
    Declaration,
    Document,
    NewApplication,
    SectionValues,
    TrackingDetail,
    Withdrawal,
    detail,
    document,
    summary,
    tracking_of,
)
from service.applications.tracking import track_application
from service.applications.uploads import check_file, open_upload, upload_response
from service.catalogue.models import active_city
from service.clock import now
from service.config import parse_wrapping_keys
from service.database import SessionDep
from service.errors import refusals
from service.storage import StorageDep
from service.web import SettingsDep, language_of

router = APIRouter(prefix="/api/v1/applications", tags=["applications"])

Citizen = Annotated[Actor, allow(CITIZENS)]
Key = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]{0,59}$", examples=["person"])]


# The list and one of it ---------------------------------------------------------------------------


@router.get("", summary="List my applications")
def list_applications(
    request: Request,
    actor: Citizen,
    session: SessionDep,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> ApplicationList:
    """The last changed first."""
    language = language_of(request)
    rows = draft.own_applications(session, actor, limit=limit + 1, offset=offset)
    items = [ApplicationSummary(**summary(session, row, language)) for row in rows[:limit]]
    return ApplicationList(items=items, next_offset=offset + limit if len(rows) > limit else None)


@router.post("", status_code=201, summary="Start a draft", responses=refusals(404))
def start(
    request: Request, response: Response, body: NewApplication, actor: Citizen, session: SessionDep
) -> ApplicationDetail:
    """Start an application for a type that is offered now. Its name and address are filled in already.

    With `continues`, all answers of that permit are, as far as they are asked again.
    """
    moment = now()
    application = draft.start_draft(
        session,
        body.type,
        request=body.request,
        applicant_kind=body.applicant_kind,
        actor=actor,
        now=moment,
        continues=body.continues,
    )
    response.headers["location"] = f"/api/v1/applications/{application.id}"
    return detail(session, application, language_of(request), moment)


@router.get("/{application_id}", summary="Read an application")
def read(
    request: Request, application_id: uuid.UUID, actor: Citizen, session: SessionDep
) -> ApplicationDetail:
    """With its answers, its files, and what is still wrong with them."""
    application = draft.own_application(session, application_id, actor)
    return detail(session, application, language_of(request), now())


@router.delete("/{application_id}", status_code=204, summary="Delete a draft")
def delete(application_id: uuid.UUID, actor: Citizen, session: SessionDep, storage: StorageDep) -> None:
    """A submitted application is withdrawn instead."""
    draft.delete_draft(session, storage, application_id, actor=actor, now=now())


@router.patch("/{application_id}/sections/{section}", summary="Fill in a page")
def fill_in(
    request: Request,
    application_id: uuid.UUID,
    section: Key,
    body: SectionValues,
    actor: Citizen,
    session: SessionDep,
) -> ApplicationDetail:
    """Keeps what is given, right or wrong; `problems` of the answer says what will not do."""
    moment = now()
    application = draft.save_section(session, application_id, section, body.values, actor=actor, now=moment)
    return detail(session, application, language_of(request), moment)


# Files ----------------------------------------------------------------------------------------------


@router.post(
    "/{application_id}/documents",
    status_code=201,
    summary="Give a document",
    responses=refusals(415),
)
def give_document(
    application_id: uuid.UUID,
    requirement: Annotated[str, Form(pattern=r"^[a-z][a-z0-9_]{0,59}$", examples=["ktp"])],
    file: Annotated[UploadFile, File(description="JPEG, PNG or PDF, at most 10 MiB")],
    actor: Citizen,
    session: SessionDep,
    storage: StorageDep,
    settings: SettingsDep,
) -> Document:
    """The file is proven by its content and built anew; it takes the place of an earlier one."""
    # Cleaning takes seconds, so it comes before the transaction's first word to the database.
    data = file.file.read(settings.max_upload_bytes + 1)
    clean = check_file(data, max_bytes=settings.max_upload_bytes)
    keys = parse_wrapping_keys(settings.wrapping_keys.get_secret_value())
    name = file.filename or ""
    upload = draft.add_document(
        session, storage, keys, application_id, requirement, name, clean, actor=actor, now=now()
    )
    return document(upload)


@router.get(
    "/{application_id}/documents/{document_id}",
    summary="Download a document",
    response_class=Response,
    responses={200: {"content": {media_type: {} for media_type in MEDIA_TYPES}}},
)
def download(
    application_id: uuid.UUID,
    document_id: uuid.UUID,
    actor: Citizen,
    session: SessionDep,
    storage: StorageDep,
    settings: SettingsDep,
) -> Response:
    """The cleaned file, as the office sees it."""
    application = draft.own_application(session, application_id, actor)
    upload = draft.own_upload(session, application, document_id)
    keys = parse_wrapping_keys(settings.wrapping_keys.get_secret_value())
    return upload_response(upload, open_upload(storage, keys, upload))


@router.delete(
    "/{application_id}/documents/{document_id}",
    status_code=204,
    summary="Take a document out",
)
def remove_document(
    application_id: uuid.UUID,
    document_id: uuid.UUID,
    actor: Citizen,
    session: SessionDep,
    storage: StorageDep,
) -> None:
    draft.remove_document(session, storage, application_id, document_id, actor=actor, now=now())


# What moves it --------------------------------------------------------------------------------------


@router.post("/{application_id}/submission", status_code=201, summary="Submit")
def submit_application(
    request: Request, application_id: uuid.UUID, body: Declaration, actor: Citizen, session: SessionDep
) -> ApplicationDetail:
    """Checks the whole application and gives it its receipt number."""
    moment = now()
    application = submit.submit_application(
        session, application_id, declared=body.declared, actor=actor, now=moment
    )
    return detail(session, application, language_of(request), moment)


@router.post(
    "/{application_id}/corrections",
    status_code=201,
    summary="Send corrections",
)
def send_corrections(
    request: Request, application_id: uuid.UUID, body: Corrections, actor: Citizen, session: SessionDep
) -> ApplicationDetail:
    """Changes the fields the officer named, and resubmits; files are given before. All or nothing."""
    moment = now()
    if body.values:
        correct.save_corrections(session, application_id, body.values, actor=actor, now=moment)
    application = correct.resubmit_application(session, application_id, actor=actor, now=moment)
    return detail(session, application, language_of(request), moment)


@router.post("/{application_id}/payment", status_code=201, summary="Hand in the payment")
def hand_in_payment(
    request: Request, application_id: uuid.UUID, actor: Citizen, session: SessionDep
) -> ApplicationDetail:
    """The proof is given before, as document `payment_receipt`."""
    moment = now()
    application = submit.pay(session, application_id, actor=actor, now=moment)
    return detail(session, application, language_of(request), moment)


@router.post("/{application_id}/withdrawal", status_code=201, summary="Withdraw")
def withdraw(
    request: Request, application_id: uuid.UUID, body: Withdrawal, actor: Citizen, session: SessionDep
) -> ApplicationDetail:
    """Ends a submitted application for good."""
    moment = now()
    application = submit.withdraw_application(
        session, application_id, actor=actor, now=moment, note=body.note
    )
    return detail(session, application, language_of(request), moment)


@router.get("/{application_id}/tracking", summary="Track an application")
def track(request: Request, application_id: uuid.UUID, actor: Citizen, session: SessionDep) -> TrackingDetail:
    """Its steps, which role holds it, when it is due, and what is asked of the applicant."""
    application = draft.own_application(session, application_id, actor)
    tracking = track_application(
        session, application, permit_type_of(session, application), active_city(session)
    )
    return tracking_of(application, tracking, language_of(request))
