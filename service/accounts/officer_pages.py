"""Officers' accounts, for administrators: the list, a new one, changes."""

import math
import uuid
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import Response

from service.accounts.access import ADMINISTRATORS, ROLES, Actor, allow
from service.accounts.officers import (
    PAGE_SIZE,
    OfficerDetails,
    change_officer,
    create_officer,
    disable_officer,
    enable_officer,
    find_officer,
    invite_again,
    list_officers,
    reset_second_factor,
)
from service.accounts.pages import Text, form_page, say
from service.clock import now
from service.database import SessionDep
from service.errors import Conflict, InvalidInput, ServiceError
from service.web import redirect, render

router = APIRouter(prefix="/admin/officers", include_in_schema=False)

Administrator = Annotated[Actor, allow(ADMINISTRATORS)]


def details_of(
    full_name: Text = "",
    roles: Annotated[list[str], Form()] = [],  # noqa: B006 (read only)
    position: Text = "",
    rank: Text = "",
    nip: Text = "",
    agency: Text = "",
    key_name: Text = "",
) -> OfficerDetails:
    """Read the officer's form."""
    return OfficerDetails(full_name, tuple(roles), position, rank, nip, agency, key_name)


Details = Annotated[OfficerDetails, Depends(details_of)]


@router.get("")
def show_officers(
    request: Request,
    actor: Administrator,
    session: SessionDep,
    q: Annotated[str, Query(max_length=120)] = "",
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> Response:
    officers, total = list_officers(session, search=q, page=page)
    pages = max(1, math.ceil(total / PAGE_SIZE))
    return render(
        request,
        "accounts/officers.html",
        officers=officers,
        total=total,
        search=q,
        page=page,
        page_count=pages,
        role_names=ROLES,
    )


def _form(
    request: Request,
    template: str,
    error: ServiceError | None = None,
    *,
    typed: dict[str, Any],
    **context: Any,
) -> Response:
    return form_page(request, template, error, field="roles", typed=typed, role_names=ROLES, **context)


@router.get("/new")
def show_new_officer(request: Request, actor: Administrator) -> Response:
    return _form(request, "accounts/officer_new.html", typed={"roles": ()})


@router.post("/new")
def add_officer(
    request: Request, actor: Administrator, session: SessionDep, details: Details, email: Text = ""
) -> Response:
    try:
        create_officer(session, actor, email, details, now())
    except InvalidInput as error:
        return _form(request, "accounts/officer_new.html", error, typed=asdict(details) | {"email": email})
    text = "Akun petugas dibuat. Undangan untuk membuat kata sandi sedang dikirim."
    return redirect(request, "/admin/officers", flash=say(request, text))


@router.get("/{officer_id}")
def show_officer(
    request: Request, officer_id: uuid.UUID, actor: Administrator, session: SessionDep
) -> Response:
    officer = find_officer(session, officer_id)
    typed = officer.user.model_dump() | {"roles": officer.roles}
    return _form(request, "accounts/officer.html", typed=typed, officer=officer)


@router.post("/{officer_id}")
def save_officer(
    request: Request,
    officer_id: uuid.UUID,
    actor: Administrator,
    session: SessionDep,
    details: Details,
) -> Response:
    try:
        change_officer(session, actor, officer_id, details, now())
    except (InvalidInput, Conflict) as error:
        officer = find_officer(session, officer_id)
        return _form(request, "accounts/officer.html", error, typed=asdict(details), officer=officer)
    return redirect(request, f"/admin/officers/{officer_id}", flash=say(request, "Perubahan tersimpan."))


@router.post("/{officer_id}/disable")
def disable(request: Request, officer_id: uuid.UUID, actor: Administrator, session: SessionDep) -> Response:
    disable_officer(session, actor, officer_id, now())
    return _back(request, officer_id, "Akun dinonaktifkan. Sesi dan token petugas ini telah berakhir.")


@router.post("/{officer_id}/enable")
def enable(request: Request, officer_id: uuid.UUID, actor: Administrator, session: SessionDep) -> Response:
    enable_officer(session, actor, officer_id, now())
    return _back(request, officer_id, "Akun diaktifkan kembali.")


@router.post("/{officer_id}/reset-second-factor")
def reset_code(
    request: Request, officer_id: uuid.UUID, actor: Administrator, session: SessionDep
) -> Response:
    reset_second_factor(session, actor, officer_id, now())
    text = "Verifikasi dua langkah diatur ulang. Petugas memasangnya lagi saat masuk berikutnya."
    return _back(request, officer_id, text)


@router.post("/{officer_id}/invite")
def invite(request: Request, officer_id: uuid.UUID, actor: Administrator, session: SessionDep) -> Response:
    invite_again(session, actor, officer_id, now())
    return _back(request, officer_id, "Undangan baru sedang dikirim.")


def _back(request: Request, officer_id: uuid.UUID, text: str) -> Response:
    return redirect(request, f"/admin/officers/{officer_id}", flash=say(request, text))
