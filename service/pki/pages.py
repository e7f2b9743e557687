"""The keys, for administrators."""

from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import Response

from service.accounts.access import ADMINISTRATORS, Actor, allow
from service.clock import now
from service.database import SessionDep
from service.pki.overview import key_overview
from service.pki.store import open_store
from service.web import SettingsDep, render

router = APIRouter(prefix="/admin/keys", include_in_schema=False)


@router.get("")
def show_keys(
    request: Request,
    actor: Annotated[Actor, allow(ADMINISTRATORS)],
    session: SessionDep,
    settings: SettingsDep,
) -> Response:
    """Show every key with its state and what is to be done next."""
    names = open_store(settings).names()
    views = key_overview(session, settings.tsa_addresses, now(), names)
    return render(request, "pki/keys.html", views=views, now=now())
