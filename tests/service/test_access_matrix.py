"""Every route against every role: what the policies say is what is approved, and what the service does.

`tests/data/access_matrix.txt` is the approved matrix, for a reviewer to read. After a deliberate change,
write it anew with `APPROVE=1 pytest tests/service/test_access_matrix.py`.
"""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from factories import actor_of, let_forms_pass, make_citizen, make_officer, sign_in
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from service.accounts.access import VISITOR, Actor, authorise
from service.accounts.models import User
from service.config import Settings
from service.database import transaction
from service.errors import AccessDenied, SignInRequired
from service.openapi import api_routes, policy_of

APPROVED = Path(__file__).parent.parent / "data" / "access_matrix.txt"
OFFICERS = (
    "front_office",
    "back_office",
    "technical_agency",
    "technical_team",
    "tax_agency",
    "licensing_analyst",
    "division_head",
    "secretary",
    "department_head",
    "complaint_officer",
    "administrator",
)
ROLES = ("visitor", "citizen", *OFFICERS)
GROUPS = (("everyone", ROLES), ("every-officer", OFFICERS))
ANSWER_ALIKE = {
    "/sign-in",  # A wrong password is a 401 for everyone.
    "/api/v1/sessions",
    "/sign-in/code",  # Whoever needs no code is led on, or back to the start.
    "/sign-out",  # These lead to the sign-in page because they did what was asked.
    "/account/sessions/end-all",
    "/account/second-factor/remove",  # An officer may not go without one.
    "/metrics",  # Its own rule: on the machine itself, or with the metrics token.
}
"""Routes whose answer to those who are allowed looks like a refusal."""


@pytest.fixture
def people(engine: Engine, settings: Settings) -> dict[str, User]:
    with transaction(engine) as session:
        people = {role: make_officer(session, [role], settings=settings) for role in OFFICERS}
        people["citizen"] = make_citizen(session)
    return people


def allows(actor: Actor, route: APIRoute) -> bool:
    policy = policy_of(route)
    assert policy is not None
    try:
        authorise(actor, policy)
    except (SignInRequired, AccessDenied):
        return False
    return True


def lines(app: FastAPI, actors: dict[str, Actor]) -> Iterator[str]:
    for route in sorted(api_routes(app.routes), key=lambda route: (route.path, sorted(route.methods))):
        allowed = [role for role in ROLES if allows(actors[role], route)]
        shown = " ".join(allowed)
        for name, whole in GROUPS:
            shown = shown.replace(" ".join(whole), name)
        yield f"{','.join(sorted(route.methods))} {route.path}: {shown}"


def test_the_matrix_is_the_approved_one(app: FastAPI, engine: Engine, people: dict[str, User]) -> None:
    with transaction(engine) as session:
        actors = {role: actor_of(session, user) for role, user in people.items()} | {"visitor": VISITOR}
    matrix = "\n".join(lines(app, actors)) + "\n"
    if os.environ.get("APPROVE"):
        APPROVED.write_text(matrix)
    assert matrix == APPROVED.read_text()


def address(route: APIRoute) -> str:
    path = route.path
    for name, parameter in route.param_convertors.items():
        value = parameter.to_string(parameter.convert(str(uuid.UUID(int=1)))) if name else ""
        path = path.replace("{" + name + "}", value)
    return path


@pytest.mark.parametrize("role", ROLES)
def test_the_service_does_what_the_matrix_says(
    client: TestClient, app: FastAPI, engine: Engine, people: dict[str, User], role: str
) -> None:
    actor = VISITOR
    with transaction(engine) as session:
        actor = actor_of(session, people[role]) if role != "visitor" else VISITOR
    let_forms_pass(client)
    wrong = []
    for route in api_routes(app.routes):
        if role != "visitor":
            sign_in(client, people[role])
        for method in sorted(route.methods - {"HEAD"}):
            answer = client.request(method, address(route))
            refused = answer.status_code in {401, 403} or answer.headers.get("location", "").startswith(
                "/sign-in?"
            )
            refused |= answer.headers.get("location") == "/sign-in"
            if answer.status_code >= 500 and answer.status_code != 503:
                wrong.append(f"{method} {route.path}: {answer.status_code}")
            elif not allows(actor, route) and not refused:
                wrong.append(f"{method} {route.path}: {answer.status_code} though denied")
            elif allows(actor, route) and refused and route.path not in ANSWER_ALIKE:
                wrong.append(f"{method} {route.path}: {answer.status_code} though allowed")
    assert wrong == []
