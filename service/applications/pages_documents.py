"""The citizen's pages of files: give, look at, take out.

They work alike in a draft, in a correction round and at the payment step: a file that was refused is
told on the page that asked for it.
"""

import uuid
from typing import Annotated

from fastapi import APIRouter, File, Request, UploadFile
from fastapi.responses import Response
from sqlmodel import Session

from service.accounts.access import Actor
from service.applications import draft, fields
from service.applications.asked import (
    documents_of,
    given_documents,
    permit_type_of,
    required_of,
    waits_for_payment,
)
from service.applications.models import Application
from service.applications.pages import Citizen
from service.applications.pages_tracking import show_corrections, show_payment
from service.applications.uploads import check_file, open_upload, upload_response
from service.applications.workflow import State
from service.clock import now
from service.config import parse_wrapping_keys
from service.database import SessionDep
from service.errors import InvalidInput, ServiceError, TooLarge, Unavailable, UnsupportedFile
from service.storage import StorageDep
from service.web import SettingsDep, language_of, redirect, render

router = APIRouter(include_in_schema=False)


@router.get("/applications/{application_id}/documents")
def documents_page(
    request: Request, application_id: uuid.UUID, actor: Citizen, session: SessionDep
) -> Response:
    """Ask for each document of a draft."""
    application = draft.own_application(session, application_id, actor)
    if application.state != State.DRAFT:
        return redirect(request, _home_of(session, application))
    return _documents_page(request, session, application)


def _documents_page(
    request: Request,
    session: Session,
    application: Application,
    refused: str | None = None,
    error: ServiceError | None = None,
) -> Response:
    language = language_of(request)
    permit_type = permit_type_of(session, application)
    required = required_of(permit_type, application)
    given = given_documents(session, application)
    message = error.message(language) if error else None
    views = [
        fields.document_view(
            application,
            document,
            given.get(document.key),
            language,
            is_required=document in required,
            error=message if document.key == refused else None,
        )
        for document in documents_of(permit_type, application)
    ]
    return render(
        request,
        "applications/documents.html",
        error.status if error else 200,
        application=application,
        type=permit_type,
        documents=views,
        saved=fields.saved_text(application.updated_at, language),
        summary=[{"field": refused, "message": message}] if error else [],
    )


def _home_of(session: Session, application: Application) -> str:
    """Return the page that shows the files which may be given where the application stands."""
    base = f"/applications/{application.id}"
    if application.state == State.DRAFT:
        return f"{base}/documents"
    if application.state == State.RETURNED:
        return f"{base}/correct"
    return f"{base}/pay" if waits_for_payment(application, permit_type_of(session, application)) else base


@router.post("/applications/{application_id}/documents/{requirement}")
def give_document(
    request: Request,
    application_id: uuid.UUID,
    requirement: str,
    actor: Citizen,
    session: SessionDep,
    storage: StorageDep,
    settings: SettingsDep,
    file: Annotated[UploadFile | None, File()] = None,
) -> Response:
    """Take a file for a document; a refused one is told beside that document."""
    data = file.file.read(settings.max_upload_bytes + 1) if file else b""
    name = file.filename or "" if file else ""
    keys = parse_wrapping_keys(settings.wrapping_keys.get_secret_value())
    try:
        # Cleaning takes seconds, so it comes before the transaction's first word to the database.
        clean = check_file(data, max_bytes=settings.max_upload_bytes)
        draft.add_document(
            session, storage, keys, application_id, requirement, name, clean, actor=actor, now=now()
        )
    except (InvalidInput, TooLarge, UnsupportedFile, Unavailable) as error:
        return _refused_page(request, session, application_id, actor, requirement, error)
    application = draft.own_application(session, application_id, actor)
    return redirect(request, f"{_home_of(session, application)}#field-{requirement}")


def _refused_page(
    request: Request,
    session: Session,
    application_id: uuid.UUID,
    actor: Actor,
    requirement: str,
    error: ServiceError,
) -> Response:
    application = draft.own_application(session, application_id, actor)
    if application.state == State.RETURNED:
        return show_corrections(request, session, application, refused=requirement, error=error)
    if application.state == State.DRAFT:
        return _documents_page(request, session, application, requirement, error)
    return show_payment(request, session, application, error)


@router.get("/applications/{application_id}/files/{upload_id}")
def show_file(
    request: Request,
    application_id: uuid.UUID,
    upload_id: uuid.UUID,
    actor: Citizen,
    session: SessionDep,
    storage: StorageDep,
    settings: SettingsDep,
    download: bool = False,
) -> Response:
    """Show a file the citizen gave, as the office will see it."""
    application = draft.own_application(session, application_id, actor)
    upload = draft.own_upload(session, application, upload_id)
    keys = parse_wrapping_keys(settings.wrapping_keys.get_secret_value())
    return upload_response(upload, open_upload(storage, keys, upload), inline=not download)


@router.post("/applications/{application_id}/files/{upload_id}/remove")
def remove_file(
    request: Request,
    application_id: uuid.UUID,
    upload_id: uuid.UUID,
    actor: Citizen,
    session: SessionDep,
    storage: StorageDep,
) -> Response:
    """Take a file out again."""
    draft.remove_document(session, storage, application_id, upload_id, actor=actor, now=now())
    application = draft.own_application(session, application_id, actor)
    return redirect(request, _home_of(session, application))
