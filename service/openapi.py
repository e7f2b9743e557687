"""The API's description: FastAPI's, completed from what the app itself enforces.

Whom a route lets in, what every refusal looks like and which refusals any route may give are said
once, here, from the routes' own policies. A route names only the refusals of its own (`refusals`).
"""

from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import BaseRoute

from service.accounts.access import SESSION_COOKIE, Policy, PolicyCheck
from service.errors import PROBLEM_CONTENT, PROBLEM_SCHEMA
from service.web import CSRF_HEADER, SAFE_METHODS

DESCRIPTION = """\
Everything the pages do, for programmes. A browser carries a session cookie and sends `X-CSRF-Token` with
whatever changes something; a programme sends an API token (`Authorization: Bearer …`), which holds
scopes and can be revoked. Refusals are problem details (RFC 9457) with a stable `code`, a sentence in
Indonesian (or English, by `Accept-Language`) and `errors[]` with a JSON pointer for each field.
"""
TAGS = {
    "verification": "Is this permit genuine, and does it hold? Without an account.",
    "catalogue": "The permit types one can apply for, and their forms as JSON Schema.",
    "applications": "The citizen's applications, from draft to decision.",
    "cases": "The officers' cases, from the queue to the decision.",
    "permits": "Signing, reading and revoking permits.",
    "accounts": "Sessions, API tokens and officers.",
    "log": "The log of all issued documents, for those who watch it.",
    "pki": "The published certificates.",
    "operations": "Is the service well?",
}
SECURITY_SCHEMES = {
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": SESSION_COOKIE,
        "description": "Set by `POST /api/v1/sessions`.",
    },
    "csrf": {
        "type": "apiKey",
        "in": "header",
        "name": CSRF_HEADER,
        "description": "The session's `csrf_token`; whatever changes something needs it beside the cookie.",
    },
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API token made with `POST /api/v1/tokens`. It needs the scope named: `read`, "
        "`apply`, `review`, `sign` or `administer`.",
    },
}
EXAMPLE_ID = "6f1c9a52-7d0e-4b39-9c57-2a4be0d81f36"


def describe_api(app: FastAPI) -> dict[str, Any]:
    """Build the OpenAPI document once, completed from the routes' policies."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            openapi_version=app.openapi_version,
            summary=app.summary,
            description=DESCRIPTION,
            routes=app.routes,
            tags=[{"name": name, "description": text} for name, text in TAGS.items()],
        )
        components = document.setdefault("components", {})
        components["securitySchemes"] = SECURITY_SCHEMES
        components["schemas"]["ProblemDetails"] = PROBLEM_SCHEMA
        for unused in ("HTTPValidationError", "ValidationError"):
            components["schemas"].pop(unused, None)
        for route in api_routes(app.routes):
            policy = policy_of(route)
            for method in (route.methods or ()) if route.include_in_schema else ():
                _complete(document["paths"][route.path_format][method.lower()], method, policy)
        app.openapi_schema = document
    return app.openapi_schema


def api_routes(routes: Sequence[BaseRoute]) -> Iterator[APIRoute]:
    """Walk every route that answers with a function of ours, those of included routers too."""
    for context in iter_route_contexts(routes):
        if isinstance(context.original_route, APIRoute):
            yield context.original_route


def policy_of(route: APIRoute) -> Policy | None:
    """Return the policy by which a route asks for its actor."""
    waiting = [route.dependant]
    while waiting:
        dependant = waiting.pop()
        if isinstance(dependant.call, PolicyCheck):
            return dependant.call.policy
        waiting += dependant.dependencies
    return None


def _complete(operation: dict[str, Any], method: str, policy: Policy | None) -> None:
    parameters = operation.get("parameters", [])
    for parameter in parameters:
        if parameter["schema"].get("format") == "uuid":
            parameter.setdefault("example", EXAMPLE_ID)
    if policy is not None:
        operation["security"] = _security(method, policy)
        operation["description"] = f"{operation.get('description', '')}\n\nFor: {policy.name}.".strip()
    responses = operation["responses"]
    for status in _statuses(operation, method):
        responses.setdefault(str(status), {})
    for status, response in responses.items():
        if int(status) >= 400:
            response["content"] = PROBLEM_CONTENT
            given = response.get("description")
            if given in {None, "Validation Error"}:
                response["description"] = HTTPStatus(int(status)).phrase
    operation["responses"] = dict(sorted(responses.items()))


def _security(method: str, policy: Policy) -> list[dict[str, list[str]]]:
    """Name the ways in; a token's requirement lists the scope it needs (OpenAPI 3.1 §4.8.30)."""
    if not policy.needs_sign_in:
        return []
    ways: list[dict[str, list[str]]] = [
        {"session": []} if method in SAFE_METHODS else {"session": [], "csrf": []}
    ]
    return ways + ([{"token": [policy.scope]}] if policy.scope else [])


def _statuses(operation: dict[str, Any], method: str) -> Iterator[int]:
    """Name the refusals that the app itself may give on any such route, whatever the route does."""
    yield from (HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE)
    yield HTTPStatus.UNAUTHORIZED  # A token that does not hold is refused on public routes too.
    if operation.get("security"):
        yield HTTPStatus.FORBIDDEN
    if any(parameter["in"] == "path" for parameter in operation.get("parameters", [])):
        yield HTTPStatus.NOT_FOUND
    if method not in SAFE_METHODS:
        yield from (HTTPStatus.FORBIDDEN, HTTPStatus.CONFLICT)
    if "requestBody" in operation:
        yield HTTPStatus.REQUEST_ENTITY_TOO_LARGE
