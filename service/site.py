"""The pages that belong to nobody else: the front page, personal data, accessibility."""

from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import Response

from service.accounts.access import PUBLIC, Actor, allow
from service.catalogue.models import active_permit_types
from service.database import SessionDep
from service.web import render

router = APIRouter(include_in_schema=False)
Anyone = Annotated[Actor, allow(PUBLIC)]


@router.get("/")
def front_page(request: Request, _actor: Anyone, session: SessionDep) -> Response:
    """Say what this is, and lead to the three things people come for: apply, track, verify."""
    types = [revision.permit_type for revision in active_permit_types(session)]
    return render(request, "site/front.html", permit_types=types)


@router.get("/privacy")
def privacy(request: Request, _actor: Anyone) -> Response:
    """Tell which personal data are kept, why, and what their owner may ask."""
    return render(request, "site/privacy.html")


@router.get("/accessibility")
def accessibility(request: Request, _actor: Anyone) -> Response:
    """Tell how far the site can be used by everyone, and where to turn when it cannot."""
    return render(request, "site/accessibility.html")
