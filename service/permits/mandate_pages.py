"""Mandates, for administrators: the list, a new one, the end of one."""

import uuid
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import Response
from sqlmodel import Session

from service.accounts.access import ADMINISTRATORS, Actor, allow
from service.accounts.pages import form_page, say
from service.catalogue.entry import join_date
from service.catalogue.models import active_permit_types
from service.clock import city_date, now
from service.database import SessionDep
from service.errors import Conflict, FieldProblem, InvalidInput, ServiceError
from service.permits.mandates import (
    MandateDetails,
    end_mandate,
    grant_mandate,
    list_mandates,
    mandate_state,
    printed_capacity,
    signing_officials,
)
from service.permits.models import Capacity
from service.web import redirect, render

router = APIRouter(prefix="/admin/mandates", include_in_schema=False)

Administrator = Annotated[Actor, allow(ADMINISTRATORS)]
Text = Annotated[str, Form(max_length=1000)]
DAYS = {
    "valid_from": ("Isi tanggal mulai yang lengkap.", "Enter the whole first day."),
    "valid_until": ("Isi tanggal berakhir yang lengkap.", "Enter the whole last day."),
}


def typed_of(
    official: Text = "",
    capacity: Text = "",
    position: Text = "",
    own_position: Text = "",
    basis: Text = "",
    permit_types: Annotated[list[str], Form()] = [],  # noqa: B006 (read only)
    from_day: Annotated[str, Form(alias="valid_from-day", max_length=20)] = "",
    from_month: Annotated[str, Form(alias="valid_from-month", max_length=20)] = "",
    from_year: Annotated[str, Form(alias="valid_from-year", max_length=20)] = "",
    until_day: Annotated[str, Form(alias="valid_until-day", max_length=20)] = "",
    until_month: Annotated[str, Form(alias="valid_until-month", max_length=20)] = "",
    until_year: Annotated[str, Form(alias="valid_until-year", max_length=20)] = "",
) -> dict[str, Any]:
    """Read the form as it was typed."""
    return {
        "official": official,
        "capacity": capacity,
        "position": position,
        "own_position": own_position,
        "basis": basis,
        "permit_types": permit_types,
        "valid_from": (from_day.strip(), from_month.strip(), from_year.strip()),
        "valid_until": (until_day.strip(), until_month.strip(), until_year.strip()),
    }


Typed = Annotated[dict[str, Any], Depends(typed_of)]


@router.get("")
def show_mandates(request: Request, actor: Administrator, session: SessionDep) -> Response:
    today = city_date(now())
    titles = {row.slug: row.permit_type.title for row in active_permit_types(session)}
    rows = [
        (mandate, official, printed_capacity(mandate), mandate_state(mandate, today))
        for mandate, official in list_mandates(session)
    ]
    return render(request, "permits/mandates.html", rows=rows, titles=titles)


@router.get("/new")
def show_new_mandate(
    request: Request,
    actor: Administrator,
    session: SessionDep,
    official: Annotated[str, Query(max_length=40)] = "",
) -> Response:
    return _form(request, session, typed_of(official=official))


def _form(
    request: Request, session: Session, typed: dict[str, Any], error: ServiceError | None = None
) -> Response:
    return form_page(
        request,
        "permits/mandate_new.html",
        error,
        field="official",
        typed=typed,
        officials=signing_officials(session),
        capacities=list(Capacity),
        permit_types=[row.permit_type for row in active_permit_types(session)],
    )


@router.post("/new")
def add_mandate(request: Request, actor: Administrator, session: SessionDep, typed: Typed) -> Response:
    try:
        grant_mandate(session, _official_id(typed), _details(typed), actor=actor, now=now())
    except (InvalidInput, Conflict) as error:
        return _form(request, session, typed, error)
    return redirect(request, "/admin/mandates", flash=say(request, "Mandat tercatat."))


def _official_id(typed: dict[str, Any]) -> uuid.UUID | None:
    try:
        return uuid.UUID(typed["official"])
    except ValueError:
        return None


def _details(typed: dict[str, Any]) -> MandateDetails:
    """Read what was typed. Raises InvalidInput for days that are none."""
    days, problems = {}, []
    for name, sentences in DAYS.items():
        text = join_date(*typed[name])
        try:
            days[name] = date.fromisoformat(text) if text else None
        except ValueError:
            problems.append(FieldProblem(name, "date", *sentences))
    if problems:
        raise InvalidInput(problems=problems)
    return MandateDetails(
        typed["capacity"],
        typed["position"],
        typed["basis"],
        days["valid_from"],
        days["valid_until"],
        typed["own_position"],
        tuple(typed["permit_types"]),
    )


@router.post("/{mandate_id}/end")
def end(request: Request, mandate_id: uuid.UUID, actor: Administrator, session: SessionDep) -> Response:
    end_mandate(session, mandate_id, actor=actor, now=now())
    text = "Mandat diakhiri. Surat yang sudah ditandatangani tetap berlaku."
    return redirect(request, "/admin/mandates", flash=say(request, text))
