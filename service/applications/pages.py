"""The citizen's pages of a draft: fill in, check, hand in. Thin doors onto the verbs."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from starlette.datastructures import FormData

from service.accounts.access import CITIZENS, Actor, allow
from service.applications import draft, fields, submit
from service.applications.asked import (
    declarations_of,
    documents_of,
    find_section,
    form_problems,
    given_documents,
    permit_type_of,
    required_of,
    sections_of,
)
from service.applications.continued import describe_earlier
from service.applications.models import Application
from service.applications.tracking import Asked, asked_of_applicant
from service.applications.workflow import ENDED, State
from service.catalogue.entry import parse_form
from service.catalogue.format import PermitType, Section
from service.clock import now
from service.database import SessionDep
from service.errors import FieldProblem, InvalidInput
from service.storage import StorageDep
from service.web import language_of, redirect, render, translate

router = APIRouter(include_in_schema=False)

Citizen = Annotated[Actor, allow(CITIZENS)]


async def form_of(request: Request) -> FormData:
    """Read a form whose fields depend on the permit type."""
    return await request.form()


FormDep = Annotated[FormData, Depends(form_of)]


def summary_of(problems: Sequence[FieldProblem], language: str) -> list[dict[str, Any]]:
    """Return problems as the error summary shows them."""
    return [{"field": item.field, "message": item.message(language)} for item in problems]


def summary_of_views(views: Sequence[fields.FieldView]) -> list[dict[str, Any]]:
    """Return the errors of fields on this page, each leading to its first input."""
    return [{"field": view.anchor, "message": view.error} for view in views if view.error]


def typed_values(section: Section, form: FormData) -> dict[str, Any]:
    """Return every field of a page as typed; None for what was left empty."""
    texts = {key: [text for text in form.getlist(key) if isinstance(text, str)] for key in form}
    parsed = parse_form(section, texts)
    return {field.key: parsed.get(field.key) for field in section.fields}


# My applications -----------------------------------------------------------------------------


@router.get("/applications")
def list_page(request: Request, actor: Citizen, session: SessionDep) -> Response:
    """Show the citizen's applications, what waits on them first."""
    groups: dict[str, list[dict[str, Any]]] = {"waiting": [], "going": [], "ended": []}
    for application in draft.own_applications(session, actor):
        permit_type = permit_type_of(session, application)
        asked = asked_of_applicant(application, permit_type)
        group = "waiting" if asked else "ended" if application.state in ENDED else "going"
        step = permit_type.step(application.step) if application.step else None
        groups[group].append({"application": application, "type": permit_type, "asked": asked, "step": step})
    return render(request, "applications/list.html", groups=groups, Asked=Asked)


# The draft ------------------------------------------------------------------------------------


@router.get("/applications/{application_id}")
def task_page(request: Request, application_id: uuid.UUID, actor: Citizen, session: SessionDep) -> Response:
    """Show what is still to do in a draft; anything else is tracked."""
    application = draft.own_application(session, application_id, actor)
    if application.state != State.DRAFT:
        return redirect(request, f"/applications/{application.id}/track")
    permit_type = permit_type_of(session, application)
    required = required_of(permit_type, application)
    given = given_documents(session, application)
    problems = form_problems(permit_type, application, now())
    states = fields.section_states(permit_type, application, problems)
    missing = [document for document in required if document.key not in given]
    return render(
        request,
        "applications/tasks.html",
        application=application,
        type=permit_type,
        earlier=describe_earlier(session, application, permit_type, now()),
        sections=states,
        documents=documents_of(permit_type, application),
        missing_documents=missing,
        ready=not missing and all(state == "done" for _, state in states),
    )


@router.get("/applications/{application_id}/sections/{key}")
def section_page(
    request: Request,
    application_id: uuid.UUID,
    key: str,
    actor: Citizen,
    session: SessionDep,
    errors: bool = False,
    prefill: bool = False,
) -> Response:
    """Ask for one topic. `prefill` shows the answers of an earlier application, not yet saved."""
    application = _draft_of(session, application_id, actor)
    permit_type = permit_type_of(session, application)
    section = find_section(permit_type, application, key)
    offered = draft.values_to_offer(session, application, section, actor)
    values = {**application.values, **offered} if prefill else application.values
    problems = form_problems(permit_type, application, now(), only_section=section.key) if errors else []
    return _section_page(request, application, permit_type, section, values, problems, bool(offered))


def _draft_of(session: SessionDep, application_id: uuid.UUID, actor: Actor) -> Application:
    application = draft.own_application(session, application_id, actor)
    if application.state != State.DRAFT:
        raise draft.NotADraft
    return application


def _section_page(
    request: Request,
    application: Application,
    permit_type: PermitType,
    section: Section,
    values: Mapping[str, Any],
    problems: Sequence[FieldProblem],
    has_offer: bool = False,
) -> Response:
    sections = sections_of(permit_type, application)
    views = fields.field_views(section.fields, permit_type, values, problems, language_of(request))
    return render(
        request,
        "applications/section.html",
        422 if problems and request.method == "POST" else 200,
        application=application,
        type=permit_type,
        section=section,
        number=[each.key for each in sections].index(section.key) + 1,
        count=len(sections),
        views=views,
        summary=summary_of_views(views),
        has_offer=has_offer,
        saved=fields.saved_text(application.updated_at, language_of(request)),
    )


@router.post("/applications/{application_id}/sections/{key}")
def save_section(
    request: Request,
    application_id: uuid.UUID,
    key: str,
    actor: Citizen,
    session: SessionDep,
    form: FormDep,
) -> Response:
    """Keep what was typed, then go on, or show what is wrong with it."""
    moment = now()
    application = draft.lock_own_application(session, application_id, actor)
    permit_type = permit_type_of(session, application)
    section = find_section(permit_type, application, key)
    values = typed_values(section, form)
    application = draft.save_section(session, application_id, key, values, actor=actor, now=moment)
    if form.get("then") == "list":
        saved = translate("Isian Anda tersimpan.", language_of(request))
        return redirect(request, f"/applications/{application.id}", flash=("success", saved))
    problems = form_problems(permit_type, application, moment, only_section=key)
    if problems:
        return _section_page(request, application, permit_type, section, application.values, problems)
    return redirect(request, _next_path(application, permit_type, key))


def _next_path(application: Application, permit_type: PermitType, key: str) -> str:
    keys = [section.key for section in sections_of(permit_type, application)]
    following = keys[keys.index(key) + 1 :]
    base = f"/applications/{application.id}"
    if following:
        return f"{base}/sections/{following[0]}"
    return f"{base}/documents" if documents_of(permit_type, application) else f"{base}/check"


@router.get("/applications/{application_id}/delete")
def delete_page(request: Request, application_id: uuid.UUID, actor: Citizen, session: SessionDep) -> Response:
    """Ask once more before a draft is thrown away."""
    application = _draft_of(session, application_id, actor)
    permit_type = permit_type_of(session, application)
    return render(request, "applications/delete.html", application=application, type=permit_type)


@router.post("/applications/{application_id}/delete")
def delete(
    request: Request, application_id: uuid.UUID, actor: Citizen, session: SessionDep, storage: StorageDep
) -> Response:
    """Throw a draft away."""
    draft.delete_draft(session, storage, application_id, actor=actor, now=now())
    gone = translate("Draf dan berkasnya sudah dihapus.", language_of(request))
    return redirect(request, "/applications", flash=("success", gone))


# Check and submit --------------------------------------------------------------------------------


@router.get("/applications/{application_id}/check")
def check_page(request: Request, application_id: uuid.UUID, actor: Citizen, session: SessionDep) -> Response:
    """Show all answers to be checked, and the declaration."""
    return _check_page(request, session, _draft_of(session, application_id, actor))


def _check_page(
    request: Request, session: SessionDep, application: Application, error: InvalidInput | None = None
) -> Response:
    language = language_of(request)
    permit_type = permit_type_of(session, application)
    declarations = declarations_of(permit_type, application)
    problems = submit.problems_before_submission(session, application, now(), declared=True)
    given = given_documents(session, application)
    unticked = error.problems if error else ()
    views = fields.field_views(
        declarations, permit_type, {}, [p for p in unticked if p not in problems], language
    )
    sections = [
        (section, fields.section_rows(section, application, language))
        for section in sections_of(permit_type, application)
    ]
    documents = [
        fields.Row(
            document.label.text(language),
            given[document.key].filename if document.key in given else "",
        )
        for document in documents_of(permit_type, application)
    ]
    return render(
        request,
        "applications/check.html",
        error.status if error else 200,
        application=application,
        type=permit_type,
        earlier=describe_earlier(session, application, permit_type, now()),
        sections=sections,
        documents=documents,
        open_problems=open_problems(permit_type, application, problems, language),
        declarations=views,
        summary=summary_of_views(views),
    )


def open_problems(
    permit_type: PermitType, application: Application, problems: Sequence[FieldProblem], language: str
) -> list[dict[str, str]]:
    """Return what is still to be mended, each with the address of the page where it is."""
    base = f"/applications/{application.id}"
    place = {
        field.key: f"{base}/sections/{section.key}?errors=1#{field.key}"
        for section in sections_of(permit_type, application)
        for field in section.fields
    }
    return [
        {
            "href": place.get(item.field, f"{base}/documents#field-{item.field}"),
            "text": item.message(language),
        }
        for item in problems
    ]


@router.post("/applications/{application_id}/check")
def submit_page(
    request: Request, application_id: uuid.UUID, actor: Citizen, session: SessionDep, form: FormDep
) -> Response:
    """Submit the application; a second click finds it submitted."""
    application = draft.own_application(session, application_id, actor)
    if application.state != State.DRAFT:
        return redirect(request, f"/applications/{application.id}/submitted")
    boxes = declarations_of(permit_type_of(session, application), application)
    declared = all(form.get(field.key) == "yes" for field in boxes)
    try:
        submit.submit_application(session, application_id, declared=declared, actor=actor, now=now())
    except submit.NotComplete as error:
        return _check_page(request, session, application, error)
    except draft.NotADraft:
        return redirect(request, f"/applications/{application.id}/submitted")
    return redirect(request, f"/applications/{application.id}/submitted")


@router.get("/applications/{application_id}/submitted")
def submitted_page(
    request: Request, application_id: uuid.UUID, actor: Citizen, session: SessionDep
) -> Response:
    """Show the receipt number and what happens next."""
    application = draft.own_application(session, application_id, actor)
    if application.receipt_number is None:
        return redirect(request, f"/applications/{application.id}")
    permit_type = permit_type_of(session, application)
    return render(request, "applications/submitted.html", application=application, type=permit_type)
