"""The officers' forms, one for each action, and what follows: the confirmation or the conflict."""

import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from sqlmodel import Session
from starlette.datastructures import FormData

from service.accounts.access import SIGNING_ROLE, Actor
from service.applications import review
from service.applications.action_wording import WORDING
from service.applications.asked import sections_of
from service.applications.case_view import (
    role_name,
    submissions_of,
    view_case,
)
from service.applications.pages import FormDep
from service.applications.queue import (
    QueueFilter,
    QueueRow,
    read_queue,
)
from service.applications.remarks import Remark
from service.applications.review_pages import Officer, answer_conflict, labels_of, wording_of
from service.applications.workflow import Action, ActionNotAllowed
from service.catalogue.display import display_value
from service.clock import now
from service.database import MAX_INTEGER, SessionDep
from service.errors import Conflict, FieldProblem, InvalidInput
from service.web import language_of, redirect, render, translate

router = APIRouter(include_in_schema=False)

Seen = Annotated[int | None, Form(ge=0, le=MAX_INTEGER)]


@router.get("/officer/cases/{application_id}/actions/{action}")
def action_page(
    request: Request, application_id: uuid.UUID, action: Action, actor: Officer, session: SessionDep
) -> Response:
    """Ask for what an action needs, and say what it leads to."""
    case = review.find_case(session, application_id, actor=actor)
    if case.refusal is not None:
        raise case.refusal
    if action not in case.actions or action not in WORDING:
        raise ActionNotAllowed
    if action == Action.SIGN:
        return redirect(request, f"/sign/{application_id}")
    seen = case.open_visit.number if case.open_visit else 0
    return _action_page(request, session, case, action, seen, FormData())


@router.post("/officer/cases/{application_id}/actions/{action}")
def act(
    request: Request,
    application_id: uuid.UUID,
    action: Action,
    actor: Officer,
    session: SessionDep,
    form: FormDep,
    seen_visit: Seen = None,
    note: Annotated[str, Form(max_length=20_000)] = "",
) -> Response:
    """Do what the officer asks, or show the form again, or tell who was first."""
    details: dict[str, Any] = {"actor": actor, "now": now(), "seen_visit": seen_visit, "note": note}
    try:
        if action == Action.RETURN_FOR_COMPLETION:
            review.return_case(session, application_id, _remarks(form), **details)
        elif action == Action.SUBMIT_REPORT:
            review.submit_report(session, application_id, _findings(form), **details)
        else:
            review.act_on_case(session, application_id, action, **details)
    except InvalidInput as error:
        case = review.find_case(session, application_id, actor=actor)
        return _action_page(request, session, case, action, seen_visit or 0, form, error)
    except Conflict as error:
        return answer_conflict(request, application_id, error, form)
    return redirect(request, f"/officer/cases/{application_id}/done")


@router.get("/officer/cases/{application_id}/done")
def done_page(request: Request, application_id: uuid.UUID, actor: Officer, session: SessionDep) -> Response:
    """Confirm what was done, where the case went, and what comes next."""
    language = language_of(request)
    case = review.find_case(session, application_id, actor=actor)
    history = view_case(session, case, language).history
    return render(
        request,
        "applications/review/done.html",
        case=case,
        passage=history[-1] if history else None,
        following=_next_case(session, actor, application_id),
        role_name=lambda role: role_name(role, language),
    )


def _next_case(session: Session, actor: Actor, application_id: uuid.UUID) -> QueueRow | None:
    for row in read_queue(session, QueueFilter(), actor=actor, now=now()).rows:
        if row.id != application_id and row.taken_by in {None, actor.id} and row.role != SIGNING_ROLE:
            return row
    return None


def _remarks(form: FormData) -> list[Remark]:
    remarks = []
    for ticked in form.getlist("ask"):
        kind, _, key = str(ticked).partition(":")
        text = form.get(f"remark:{kind}:{key}")
        if kind in {"field", "document"}:
            remarks.append(Remark("field" if kind == "field" else "document", key, str(text or "")))
    return remarks


def _findings(form: FormData) -> dict[str, str]:
    prefix = "finding:"
    return {name.removeprefix(prefix): str(text) for name, text in form.items() if name.startswith(prefix)}


def _action_page(
    request: Request,
    session: Session,
    case: review.Case,
    action: Action,
    seen: int,
    form: FormData,
    error: InvalidInput | None = None,
) -> Response:
    language = language_of(request)
    problems = error.problems if error else ()
    errors = {problem.field: problem.message(language) for problem in reversed(problems)}
    context: dict[str, Any] = {"note": form.get("note") or "", "errors": errors, "problems": problems}
    template = "act"
    if action == Action.RETURN_FOR_COMPLETION:
        template, context["groups"] = "return", _return_groups(session, case, form, problems, language)
    elif action == Action.SUBMIT_REPORT:
        template = "report"
        context["findings"] = _finding_views(case, form, errors, language)
        context["attached"] = review.attachments_here(session, case)
    return render(
        request,
        f"applications/review/{template}.html",
        error.status if error else 200,
        case=case,
        action=wording_of(action, language),
        seen_visit=seen,
        **context,
    )


def _return_groups(
    session: Session, case: review.Case, form: FormData, problems: Any, language: str
) -> list[dict[str, Any]]:
    """Everything that may be asked to be mended, by the form's sections, with what was typed already."""
    submissions = submissions_of(session, case)
    values = submissions[-1].values if submissions else {}
    given = {row["requirement"]: row["filename"] for row in submissions[-1].documents} if submissions else {}
    labels = labels_of(case, language)
    groups = []
    for section in sections_of(case.permit_type, case.application):
        shown = {field.key: display_value(field, values.get(field.key), language) for field in section.fields}
        entries = [
            _entry("field", key, labels["field", key], value, form, problems, language)
            for key, value in shown.items()
        ]
        groups.append({"title": section.title.text(language), "entries": entries})
    documents = [
        _entry(kind, key, label, given.get(key, ""), form, problems, language)
        for (kind, key), label in labels.items()
        if kind == "document"
    ]
    if documents:
        groups.append({"title": translate("Dokumen persyaratan", language), "entries": documents})
    return groups


def _entry(
    kind: str, key: str, label: str, value: str, form: FormData, problems: Any, language: str
) -> dict[str, Any]:
    errors: list[FieldProblem] = [item for item in problems if item.field == f"remark-{kind}-{key}"]
    return {
        "kind": kind,
        "key": key,
        "label": label,
        "value": value,
        "ticked": f"{kind}:{key}" in form.getlist("ask"),
        "remark": form.get(f"remark:{kind}:{key}") or "",
        "error": errors[0].message(language) if errors else None,
    }


def _finding_views(
    case: review.Case, form: FormData, errors: dict[str, str], language: str
) -> list[dict[str, Any]]:
    return [
        {
            "key": item.key,
            "label": item.label.text(language),
            "value": form.get(f"finding:{item.key}") or "",
            "error": errors.get(f"finding-{item.key}"),
        }
        for item in case.permit_type.report_items
    ]
