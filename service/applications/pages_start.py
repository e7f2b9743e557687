"""The citizen's pages of starting: what is asked for, as whom, and which permit it renews or changes."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import Response

from service.applications import draft
from service.applications.continued import Earlier, held_permits
from service.applications.models import Application
from service.applications.pages import Citizen, summary_of
from service.catalogue import forms
from service.catalogue.format import APPLICANT_KIND_LABELS, PermitType
from service.catalogue.format import Request as RequestKind
from service.catalogue.models import find_permit_type
from service.clock import now
from service.database import SessionDep
from service.errors import FieldProblem, InvalidInput
from service.web import language_of, redirect, render, translate

router = APIRouter(include_in_schema=False)

Text = Annotated[str, Form(max_length=200)]
ON_PAPER = "paper"
"""Chosen for an earlier permit that this service does not hold."""
NONE_CHOSEN = FieldProblem(
    "continues",
    "required",
    "Pilih izin yang Anda maksud.",
    "Choose the permit that you mean.",
)


@router.get("/applications/new")
def new_page(
    request: Request,
    actor: Citizen,
    session: SessionDep,
    type: str = "",
    request_kind: Annotated[str, Query(alias="request")] = "",
    applicant_kind: str = "",
) -> Response:
    """Ask what the citizen wants of a permit type, and as whom; once that is known, of which permit."""
    permit_type = find_permit_type(session, type).permit_type
    chosen = _chosen(permit_type, request_kind, applicant_kind)
    if forms.check_circumstances(permit_type, **chosen) or chosen["request"] == RequestKind.NEW:
        return _new_page(request, permit_type, chosen, ())
    choices = held_permits(session, permit_type, chosen["request"], actor.id, now())
    return _choice_page(request, permit_type, chosen, choices, ())


def _chosen(permit_type: PermitType, request_kind: str, applicant_kind: str) -> dict[str, str]:
    """Return what was chosen; what leaves no choice is not asked."""
    if len(permit_type.applicant_kinds) == 1:
        applicant_kind = permit_type.applicant_kinds[0]
    if len(permit_type.requests) == 1:
        request_kind = permit_type.requests[0]
    return {"request": request_kind, "applicant_kind": applicant_kind}


def _new_page(
    request: Request, permit_type: PermitType, chosen: Mapping[str, str], problems: Sequence[FieldProblem]
) -> Response:
    language = language_of(request)
    requests = [(key.value, permit_type.request_labels[key].text(language)) for key in permit_type.requests]
    kinds = [(kind.value, APPLICANT_KIND_LABELS[kind].text(language)) for kind in permit_type.applicant_kinds]
    return render(
        request,
        "applications/new.html",
        InvalidInput.status if problems else 200,
        type=permit_type,
        requests=requests,
        kinds=kinds,
        chosen=chosen,
        summary=summary_of(problems, language),
    )


@router.post("/applications/new")
def start(
    request: Request,
    actor: Citizen,
    session: SessionDep,
    type: Text = "",
    request_kind: Annotated[Text, Form(alias="request")] = "",
    applicant_kind: Text = "",
    continues: Text = "",
    asked: Text = "",
) -> Response:
    """Start a draft and open its list of tasks; whoever holds permits of the type chooses one first."""
    permit_type = find_permit_type(session, type).permit_type
    chosen = _chosen(permit_type, request_kind, applicant_kind)
    if problems := forms.check_circumstances(permit_type, **chosen):
        return _new_page(request, permit_type, chosen, problems)
    if not continues and chosen["request"] != RequestKind.NEW:
        choices = held_permits(session, permit_type, chosen["request"], actor.id, now())
        if choices:
            problems = [NONE_CHOSEN] if asked else []
            return _choice_page(request, permit_type, chosen, choices, problems)
    application = draft.start_draft(
        session,
        type,
        **chosen,
        actor=actor,
        now=now(),
        continues=continues if continues not in ("", ON_PAPER) else None,
    )
    return _started(request, application)


def _started(request: Request, application: Application) -> Response:
    place = f"/applications/{application.id}"
    if application.continues_id is None:
        return redirect(request, place)
    filled = translate(
        "Isian dari izin lama sudah disalin. Periksa setiap bagian dan perbaiki yang sudah berubah.",
        language_of(request),
    )
    return redirect(request, place, flash=("notice", filled))


def _choice_page(
    request: Request,
    permit_type: PermitType,
    chosen: Mapping[str, str],
    choices: Sequence[Earlier],
    problems: Sequence[FieldProblem],
) -> Response:
    language = language_of(request)
    return render(
        request,
        "applications/choose_earlier.html",
        InvalidInput.status if problems else 200,
        type=permit_type,
        chosen=chosen,
        request_label=permit_type.request_labels[chosen["request"]].text(language),
        choices=choices,
        on_paper=ON_PAPER,
        summary=summary_of(problems, language),
    )
