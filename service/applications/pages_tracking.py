"""The citizen's pages after submitting: track, correct, pay, withdraw."""

import uuid
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from sqlmodel import Session

from service.applications import correct, draft, fields, submit
from service.applications.asked import (
    PAYMENT_RECEIPT,
    given_documents,
    permit_type_of,
    waits_for_payment,
)
from service.applications.continued import describe_earlier
from service.applications.models import Application
from service.applications.pages import Citizen, FormDep, summary_of_views, typed_values
from service.applications.tracking import Asked, track_application
from service.applications.transitions import standing_of, visits_of
from service.applications.workflow import Action, ActionNotAllowed, State, allowed_actions
from service.catalogue.format import Bilingual, DocumentRequirement, PermitType, Section
from service.catalogue.models import active_city
from service.clock import now
from service.database import SessionDep
from service.errors import FieldProblem, ServiceError
from service.web import language_of, redirect, render, translate

router = APIRouter(include_in_schema=False)

RECEIPT = DocumentRequirement(
    key=PAYMENT_RECEIPT, label=Bilingual(id="Bukti pembayaran", en="Proof of payment")
)


# Tracking ---------------------------------------------------------------------------------------


@router.get("/applications/{application_id}/track")
def track_page(request: Request, application_id: uuid.UUID, actor: Citizen, session: SessionDep) -> Response:
    """Show where an application stands, and first of all what it asks of the citizen."""
    application = draft.own_application(session, application_id, actor)
    if application.state == State.DRAFT:
        return redirect(request, f"/applications/{application.id}")
    permit_type = permit_type_of(session, application)
    return render(
        request,
        "applications/track.html",
        application=application,
        type=permit_type,
        earlier=describe_earlier(session, application, permit_type, now()),
        tracking=track_application(session, application, permit_type, active_city(session)),
        Asked=Asked,
        State=State,
        may_withdraw=_may_withdraw(session, application, permit_type),
    )


def _may_withdraw(session: Session, application: Application, permit_type: PermitType) -> bool:
    standing = standing_of(application, visits_of(session, application.id))
    return Action.WITHDRAW in allowed_actions(standing, permit_type.steps)


# Correcting ---------------------------------------------------------------------------------------


@router.get("/applications/{application_id}/correct")
def correct_page(
    request: Request, application_id: uuid.UUID, actor: Citizen, session: SessionDep
) -> Response:
    """Show exactly what the officer asked to be mended, with the remarks."""
    application = draft.own_application(session, application_id, actor)
    if application.state != State.RETURNED:
        return redirect(request, f"/applications/{application.id}/track")
    return show_corrections(request, session, application)


def show_corrections(
    request: Request,
    session: Session,
    application: Application,
    *,
    refused: str | None = None,
    error: ServiceError | None = None,
) -> Response:
    """Render the correction round; `refused` is the document whose file brought the error."""
    language, moment = language_of(request), now()
    permit_type = permit_type_of(session, application)
    asked = correct.correction_round(session, application, permit_type, moment)
    given = given_documents(session, application)
    problems = error.problems if isinstance(error, submit.NotComplete) else ()
    messages = {problem.field: problem.message(language) for problem in problems}
    if error is not None and refused is not None:
        messages[refused] = error.message(language)
    base = f"/applications/{application.id}"
    to_mend = [
        {
            "row": fields.field_row(item.field, application, language, f"{base}/correct/fields"),
            "remark": item.remark,
            "key": item.field.key,
            "error": messages.get(item.field.key),
        }
        for item in asked.fields
    ]
    documents = [
        fields.document_view(
            application,
            item.document,
            given.get(item.document.key),
            language,
            is_required=True,
            error=messages.get(item.document.key),
            remark=item.remark,
        )
        for item in asked.documents
    ]
    shown = {item.field.key: f"mend-{item.field.key}" for item in asked.fields}
    return render(
        request,
        "applications/correct.html",
        error.status if error else 200,
        application=application,
        type=permit_type,
        to_mend=to_mend,
        documents=documents,
        summary=[{"field": shown.get(key, key), "message": text} for key, text in messages.items()],
    )


def _section_of(asked: list[Any]) -> Section:
    """Put fields of several pages on one."""
    return Section(key="correct", title=Bilingual(id="Perbaikan", en="Corrections"), fields=tuple(asked))


@router.get("/applications/{application_id}/correct/fields")
def correct_fields_page(
    request: Request, application_id: uuid.UUID, actor: Citizen, session: SessionDep
) -> Response:
    """Ask anew for the fields to be mended."""
    application = draft.own_application(session, application_id, actor)
    return _correct_fields_page(request, session, application)


def _correct_fields_page(
    request: Request,
    session: Session,
    application: Application,
    problems: Sequence[FieldProblem] = (),
) -> Response:
    language = language_of(request)
    permit_type = permit_type_of(session, application)
    asked = correct.correction_round(session, application, permit_type, now())
    views = fields.field_views(
        [item.field for item in asked.fields],
        permit_type,
        application.values,
        problems,
        language,
        {item.field.key: item.remark for item in asked.fields if item.remark},
    )
    shown = {view.key for view in views}
    # A change may disagree with an answer that is not on this page: a birth date with the NIK.
    elsewhere = [{"field": None, "message": p.message(language)} for p in problems if p.field not in shown]
    return render(
        request,
        "applications/correct_fields.html",
        422 if problems else 200,
        application=application,
        type=permit_type,
        views=views,
        summary=summary_of_views(views) + elsewhere,
    )


@router.post("/applications/{application_id}/correct/fields")
def save_corrections(
    request: Request, application_id: uuid.UUID, actor: Citizen, session: SessionDep, form: FormDep
) -> Response:
    """Keep the corrected answers, then go back to the list, or show what is wrong with them."""
    moment = now()
    application = draft.lock_own_application(session, application_id, actor)
    permit_type = permit_type_of(session, application)
    asked = correct.correction_round(session, application, permit_type, moment)
    keys = {item.field.key for item in asked.fields}
    if keys:
        values = typed_values(_section_of([item.field for item in asked.fields]), form)
        application = correct.save_corrections(session, application_id, values, actor=actor, now=moment)
    problems = [
        problem
        for problem in correct.problems_before_resubmission(session, application, moment)
        if problem.pointer.startswith("/values/")
    ]
    if problems:
        return _correct_fields_page(request, session, application, problems)
    saved = translate("Perbaikan isian tersimpan.", language_of(request))
    return redirect(request, f"/applications/{application.id}/correct", flash=("success", saved))


@router.post("/applications/{application_id}/correct")
def resubmit(request: Request, application_id: uuid.UUID, actor: Citizen, session: SessionDep) -> Response:
    """Send the corrections; a second click finds them sent."""
    application = draft.own_application(session, application_id, actor)
    if application.state != State.RETURNED:
        return redirect(request, f"/applications/{application.id}/track")
    try:
        correct.resubmit_application(session, application_id, actor=actor, now=now())
    except submit.NotComplete as error:
        return show_corrections(request, session, application, error=error)
    sent = translate("Perbaikan terkirim. Petugas akan memeriksanya kembali.", language_of(request))
    return redirect(request, f"/applications/{application.id}/track", flash=("success", sent))


# Paying -------------------------------------------------------------------------------------------


@router.get("/applications/{application_id}/pay")
def pay_page(request: Request, application_id: uuid.UUID, actor: Citizen, session: SessionDep) -> Response:
    """Say what is to be paid and ask for the proof."""
    application = draft.own_application(session, application_id, actor)
    if not waits_for_payment(application, permit_type_of(session, application)):
        return redirect(request, f"/applications/{application.id}/track")
    return show_payment(request, session, application)


def show_payment(
    request: Request, session: Session, application: Application, error: ServiceError | None = None
) -> Response:
    """Render the payment step, with what was wrong with the proof."""
    language = language_of(request)
    permit_type = permit_type_of(session, application)
    receipt = given_documents(session, application).get(PAYMENT_RECEIPT)
    message = None
    if error is not None:
        message = next((item.message(language) for item in error.problems), error.message(language))
    return render(
        request,
        "applications/pay.html",
        error.status if error else 200,
        application=application,
        type=permit_type,
        document=fields.document_view(
            application, RECEIPT, receipt, language, is_required=True, error=message
        ),
        summary=[{"field": PAYMENT_RECEIPT, "message": message}] if message else [],
    )


@router.post("/applications/{application_id}/pay")
def send_payment(
    request: Request, application_id: uuid.UUID, actor: Citizen, session: SessionDep
) -> Response:
    """Hand in the proof of payment."""
    application = draft.own_application(session, application_id, actor)
    try:
        submit.pay(session, application_id, actor=actor, now=now())
    except submit.NotComplete as error:
        return show_payment(request, session, application, error)
    except ActionNotAllowed:
        return redirect(request, f"/applications/{application.id}/track")
    sent = translate("Bukti pembayaran terkirim.", language_of(request))
    return redirect(request, f"/applications/{application.id}/track", flash=("success", sent))


# Withdrawing --------------------------------------------------------------------------------------


@router.get("/applications/{application_id}/withdraw")
def withdraw_page(
    request: Request, application_id: uuid.UUID, actor: Citizen, session: SessionDep
) -> Response:
    """Ask once more before an application is withdrawn for good."""
    application = draft.own_application(session, application_id, actor)
    permit_type = permit_type_of(session, application)
    if application.state == State.DRAFT:
        return redirect(request, f"/applications/{application.id}/delete")
    if not _may_withdraw(session, application, permit_type):
        raise ActionNotAllowed
    return render(request, "applications/withdraw.html", application=application, type=permit_type)


@router.post("/applications/{application_id}/withdraw")
def withdraw(
    request: Request,
    application_id: uuid.UUID,
    actor: Citizen,
    session: SessionDep,
    note: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    """Withdraw an application."""
    submit.withdraw_application(session, application_id, actor=actor, now=now(), note=note.strip() or None)
    done = translate("Permohonan sudah dicabut.", language_of(request))
    return redirect(request, f"/applications/{application_id}/track", flash=("success", done))
