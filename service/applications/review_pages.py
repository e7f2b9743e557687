"""The officers' pages: the queue, a case on one page, and a form for each action. Thin doors onto verbs."""

import uuid
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, File, Form, Query, Request, UploadFile
from fastapi.responses import Response
from sqlmodel import Session
from starlette.datastructures import FormData

from service.accounts.access import OFFICERS, SIGNING_ROLE, Actor, allow
from service.applications import review
from service.applications.action_wording import ACTION_ORDER, WORDING, ActionWording
from service.applications.case_view import (
    find_case_file,
    open_corrections_of,
    role_name,
    view_case,
)
from service.applications.continued import Earlier, describe_earlier, held_permits
from service.applications.fields import size_text
from service.applications.models import Upload
from service.applications.queue import (
    MAX_PAGE,
    QueueFilter,
    Scope,
    Taken,
    Urgency,
    read_queue,
    visible_types,
)
from service.applications.remarks import askable
from service.applications.transitions import AlreadyActed, TakenByAnother
from service.applications.uploads import check_file, open_upload, upload_response
from service.applications.workflow import Action
from service.catalogue.display import long_date
from service.catalogue.format import Request as RequestKind
from service.clock import now
from service.config import parse_wrapping_keys
from service.database import SessionDep
from service.errors import Conflict, NotFound, ServiceError
from service.storage import StorageDep
from service.web import SettingsDep, language_of, redirect, render, translate

router = APIRouter(include_in_schema=False)

Officer = Annotated[Actor, allow(OFFICERS)]
URGENCY_TITLES = {
    Urgency.OVERDUE: "Lewat batas waktu",
    Urgency.TODAY: "Harus selesai hari ini",
    Urgency.SOON: "Segera jatuh tempo",
    Urgency.REST: "Masih ada waktu",
}


# The queue --------------------------------------------------------------------------------------


@router.get("/officer")
def queue_page(
    request: Request,
    actor: Officer,
    session: SessionDep,
    q: Annotated[str, Query(max_length=120)] = "",
    type: Annotated[str, Query(max_length=80)] = "",
    due: Annotated[str, Query(max_length=10)] = "",
    show: Annotated[str, Query(max_length=10)] = "",
    page: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 1,
) -> Response:
    """Show what must be done, overdue first."""
    asked = QueueFilter(
        scope=Scope.ALL if show == "all" else Scope.QUEUE,
        text=q,
        slug=type or None,
        urgency=Urgency(due) if due in set(Urgency) else None,
        taken={"mine": Taken.ME, "free": Taken.NOBODY}.get(show),
        page=page,
    )
    chosen = {
        name: value for name, value in {"q": q, "type": type, "due": due, "show": show}.items() if value
    }
    language = language_of(request)
    return render(
        request,
        "applications/review/queue.html",
        queue=read_queue(session, asked, actor=actor, now=now()),
        asked=asked,
        show=show,
        narrowed=bool(chosen),
        types=visible_types(session, actor),
        titles={key: translate(text, language) for key, text in URGENCY_TITLES.items()},
        signing_role=SIGNING_ROLE,
        page_url=f"/officer?{urlencode(chosen | {'page': ''})}",
    )


# A case -----------------------------------------------------------------------------------------


@router.get("/officer/cases/{application_id}")
def case_page(request: Request, application_id: uuid.UUID, actor: Officer, session: SessionDep) -> Response:
    """Show a case: facts and documents, history, and what may be done."""
    return _case_page(request, session, application_id, actor)


def _case_page(
    request: Request,
    session: Session,
    application_id: uuid.UUID,
    actor: Actor,
    upload_error: ServiceError | None = None,
) -> Response:
    language = language_of(request)
    case = review.find_case(session, application_id, actor=actor)
    own = [row for row in review.attachments_here(session, case) if row.uploaded_by == actor.id]
    message = upload_error.message(language) if upload_error else None
    step_items = [item.label.text(language) for item in case.step.attachments] if case.step else []
    return render(
        request,
        "applications/review/case.html",
        upload_error.status if upload_error else 200,
        case=case,
        view=view_case(session, case, language),
        headline=_headline(request, case),
        earlier=describe_earlier(session, case.application, case.permit_type, now()),
        held=_held_besides(session, case),
        labels=labels_of(case, language),
        open_corrections=open_corrections_of(session, case),
        refusal=case.refusal.message(language) if _explains(case, actor) and case.refusal else None,
        actions=_wordings(case, language),
        can_attach=review.may_attach(case),
        attachment_label=translate("Unggah lampiran", language),
        attachment_hint="; ".join(step_items) or None,
        own_files=[_own_file(case, row) for row in own],
        own_ids=[row.id for row in own],
        upload_error=message,
        summary=[{"field": "attachment", "message": message}] if message else [],
        role_name=lambda role: role_name(role, language),
    )


def _explains(case: review.Case, actor: Actor) -> bool:
    """Tell whether to say why nothing may be done: only to those whose role the step is."""
    return case.step is not None and actor.has_role(case.step.role)


def _headline(request: Request, case: review.Case) -> list[dict[str, Any]]:
    language, application = language_of(request), case.application
    labels = [translate(text, language) for text in ("Pemohon", "Jenis permohonan", "Batas layanan")]
    request_label = case.permit_type.request_labels[application.request].text(language)
    due = application.due_on
    if application.paused_on is not None:
        due_text = translate("Berhenti dihitung", language)
    elif due is None:
        due_text = translate("Belum dihitung; mulai saat berkas dinyatakan lengkap", language)
    else:
        due_text = long_date(due, language)
    values = [application.holder_name, request_label, due_text]
    return [{"label": label, "value": value} for label, value in zip(labels, values, strict=True)]


def _held_besides(session: Session, case: review.Case) -> list[Earlier]:
    """Return what the applicant holds of the type, where the earlier permit is said to be on paper."""
    application = case.application
    if application.request == RequestKind.NEW or application.continues_id is not None:
        return []
    return held_permits(session, case.permit_type, application.request, application.applicant_id, now())


def labels_of(case: review.Case, language: str) -> dict[tuple[str, str], str]:
    known = askable(case.permit_type, case.application)
    return {place: names[language == "en"] for place, names in known.items()}


def _own_file(case: review.Case, upload: Upload) -> dict[str, Any]:
    base = f"/officer/cases/{case.application.id}"
    return {
        "name": upload.filename,
        "size": size_text(upload.size),
        "href": f"{base}/documents/{upload.id}",
        "thumbnail": None,
        "remove": f"{base}/attachments/{upload.id}/remove",
    }


def _wordings(case: review.Case, language: str) -> list[dict[str, str]]:
    return [wording_of(action, language) for action in ACTION_ORDER if action in case.actions]


def wording_of(action: Action, language: str) -> dict[str, str]:
    wording: ActionWording = WORDING[action]
    texts = {
        "label": wording.label,
        "consequence": wording.consequence,
        "note_label": wording.note_label,
        "note_hint": wording.note_hint,
    }
    translated = {name: translate(text, language) if text else "" for name, text in texts.items()}
    return translated | {"key": action.value, "kind": wording.kind}


@router.post("/officer/cases/{application_id}/take")
def take(
    request: Request,
    application_id: uuid.UUID,
    actor: Officer,
    session: SessionDep,
    take_over: Annotated[str, Form(max_length=3)] = "",
) -> Response:
    """Take a case, or take it over from another officer."""
    try:
        review.take_case(session, application_id, actor=actor, now=now(), take_over=take_over == "yes")
    except Conflict as error:
        return answer_conflict(request, application_id, error)
    return redirect(request, f"/officer/cases/{application_id}")


@router.post("/officer/cases/{application_id}/release")
def release(request: Request, application_id: uuid.UUID, actor: Officer, session: SessionDep) -> Response:
    """Give a case back to the queue."""
    try:
        review.release_case(session, application_id, actor=actor, now=now())
    except Conflict as error:
        return answer_conflict(request, application_id, error)
    text = translate("Permohonan dilepaskan; petugas lain dapat mengerjakannya.", language_of(request))
    return redirect(request, f"/officer/cases/{application_id}", flash=("success", text))


# Files ------------------------------------------------------------------------------------------


@router.get("/officer/cases/{application_id}/documents/{upload_id}")
def document(
    application_id: uuid.UUID,
    upload_id: uuid.UUID,
    actor: Officer,
    session: SessionDep,
    storage: StorageDep,
    settings: SettingsDep,
    inline: bool = False,
) -> Response:
    """Give a file of the case to keep, or to look at in the browser."""
    case = review.find_case(session, application_id, actor=actor)
    upload = find_case_file(session, case, upload_id)
    keys = parse_wrapping_keys(settings.wrapping_keys.get_secret_value())
    return upload_response(upload, open_upload(storage, keys, upload), inline=inline)


@router.post("/officer/cases/{application_id}/attachments")
def attach(
    request: Request,
    application_id: uuid.UUID,
    actor: Officer,
    session: SessionDep,
    storage: StorageDep,
    settings: SettingsDep,
    file: Annotated[UploadFile | None, File()] = None,
) -> Response:
    """Attach a file to the open visit; a refused one is told on the case's page."""
    data = file.file.read(settings.max_upload_bytes + 1) if file else b""
    name = file.filename or "" if file else ""
    keys = parse_wrapping_keys(settings.wrapping_keys.get_secret_value())
    try:
        # Cleaning takes seconds, so it comes before the transaction's first word to the database.
        clean = check_file(data, max_bytes=settings.max_upload_bytes)
        review.attach_file(session, storage, keys, application_id, name, clean, actor=actor, now=now())
    except NotFound:
        raise
    except ServiceError as error:
        return _case_page(request, session, application_id, actor, error)
    return redirect(request, f"/officer/cases/{application_id}#attachments")


@router.post("/officer/cases/{application_id}/attachments/{upload_id}/remove")
def remove_attachment(
    request: Request,
    application_id: uuid.UUID,
    upload_id: uuid.UUID,
    actor: Officer,
    session: SessionDep,
    storage: StorageDep,
) -> Response:
    """Take an own attachment out again."""
    review.remove_attachment(session, storage, application_id, upload_id, actor=actor, now=now())
    return redirect(request, f"/officer/cases/{application_id}#attachments")


# Refusals ---------------------------------------------------------------------------------------


def answer_conflict(
    request: Request, application_id: uuid.UUID, error: Conflict, form: FormData | None = None
) -> Response:
    """Tell who was first, and give back what was typed."""
    typed = [
        str(text)
        for name, text in (form.multi_items() if form else ())
        if name.startswith(("note", "remark:", "finding:")) and str(text).strip()
    ]
    return render(
        request,
        "applications/review/conflict.html",
        error.status,
        message=error.message(language_of(request)),
        application_id=application_id,
        typed=typed,
        can_take_over=isinstance(error, TakenByAnother) and not isinstance(error, AlreadyActed),
    )
