"""The pages before an application: the list of permit types, and all about one of them."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from service.accounts.access import PUBLIC, Actor, allow
from service.catalogue.browse import requirements_of, search_permit_types
from service.catalogue.format import APPLICANT_KIND_LABELS
from service.catalogue.models import active_city, find_permit_type
from service.database import SessionDep
from service.web import language_of, render

router = APIRouter(include_in_schema=False)
Anyone = Annotated[Actor, allow(PUBLIC)]


@router.get("/permit-types")
def list_page(
    request: Request,
    _actor: Anyone,
    session: SessionDep,
    q: Annotated[str, Query(max_length=200)] = "",
    category: Annotated[str, Query(max_length=40)] = "",
) -> Response:
    """List the permit types by category, searched by words."""
    categories = active_city(session).categories
    found = [row.permit_type for row in search_permit_types(session, q, category)]
    offered = {row.permit_type.category for row in search_permit_types(session)}
    return render(
        request,
        "catalogue/list.html",
        q=q,
        category=category,
        categories=[item for item in categories if item.key in offered],
        groups=[(item.label, [t for t in found if t.category == item.key]) for item in categories],
        count=len(found),
    )


@router.get("/permit-types/{slug}")
def type_page(request: Request, slug: str, _actor: Anyone, session: SessionDep) -> Response:
    """Say what a permit is for, what it needs, costs and takes, before anyone starts."""
    permit_type = find_permit_type(session, slug).permit_type
    city = active_city(session)
    language = language_of(request)
    kinds = [APPLICANT_KIND_LABELS[kind].text(language) for kind in permit_type.applicant_kinds]
    return render(
        request,
        "catalogue/type.html",
        type=permit_type,
        category=city.category_label(permit_type.category).text(language),
        requirements=requirements_of(permit_type, language),
        kinds=kinds,
        steps=[(step, city.role_label(step.role)) for step in permit_type.steps if not step.automatic],
    )
