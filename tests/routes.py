"""The application's routes and the policies they declare."""

from collections.abc import Iterator, Sequence

from fastapi.routing import APIRoute, APIRouter
from starlette.routing import BaseRoute, Mount

from service.accounts.access import Policy, PolicyCheck


def api_routes(routes: Sequence[BaseRoute]) -> Iterator[APIRoute]:
    """Walk every route, those of included routers too."""
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        elif not isinstance(route, Mount):
            included = getattr(route, "original_router", None) or getattr(route, "router", None)
            if isinstance(included, APIRouter):
                yield from api_routes(included.routes)


def policy_of(route: APIRoute) -> Policy | None:
    """Return the policy by which a route asks for its actor."""
    waiting = [route.dependant]
    while waiting:
        dependant = waiting.pop()
        if isinstance(dependant.call, PolicyCheck):
            return dependant.call.policy
        waiting += dependant.dependencies
    return None
