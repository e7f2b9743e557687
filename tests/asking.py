"""A whole small city and every kind of person who asks the API, by session or by token."""

import itertools
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import cases
from factories import give_documents, make_draft, make_officer, sign_in
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine
from sqlmodel import Session, select

from keys.software import SoftwareKeyStore
from service import clock
from service.accounts.access import (
    SERVICE,
    SESSION_COOKIE,
    VISITOR,
    Policy,
    actor_of_user,
    authorise,
    scopes_within_reach,
)
from service.accounts.models import ApiToken, User
from service.accounts.tokens import create_token, tokens_of
from service.app import create_app
from service.applications.draft import discard_draft
from service.applications.models import Application
from service.applications.uploads import uploads_of
from service.applications.workflow import State
from service.config import Settings
from service.database import transaction
from service.errors import AccessDenied, SignInRequired
from service.openapi import api_routes, policy_of
from service.permits.batch import select_files
from service.permits.compose import Printing
from service.permits.desk import name_files
from service.permits.issue import Workshop
from service.permits.offline import publish_status_lists
from service.permits.signer import open_operations_keys
from service.pki.store import open_store
from service.verification.batch import Batches, Verifying
from service.verification.batch_intake import Question
from service.verification.verify import Reader
from service.web import CSRF_COOKIE, CSRF_HEADER

REVIEWING = (
    "front_office",
    "back_office",
    "technical_agency",
    "technical_team",
    "tax_agency",
    "licensing_analyst",
    "division_head",
    "secretary",
    "complaint_officer",
)
PEOPLE = ("visitor", "citizen", "reviewer", "head", "administrator")
JSON = "application/json"
UNKNOWN = str(uuid.UUID(int=1))


@dataclass
class House:
    """The service over a city with one issued permit, and the people who ask."""

    app: FastAPI
    engine: Engine
    city: cases.City
    people: dict[str, User]
    code: str
    workshop: Workshop


@contextmanager
def open_house(engine: Engine, settings: Settings) -> Iterator[House]:
    """Build the app over a city with keys, officers of every kind and one permit; close it afterwards.

    It stands behind a proxy: each request may come from another address, so none is one too many.
    """
    moment = clock.now() - timedelta(days=1)
    cases.make_keys(settings.effective_keys_folder, moment)
    app = create_app(settings.model_copy(update={"trusted_proxy_hops": 1}), engine)
    keys = open_operations_keys(open_store(settings), cases.OPERATIONS_PASSPHRASE, clock.now)
    printing = Printing(settings.base_url, is_sample=True)
    workshop = Workshop(engine, app.state.storage, keys.timestamper, clock.now, printing, seal=keys.seal)
    publish_status_lists(engine, keys.seal, settings.base_url, moment)
    with transaction(engine) as session:
        city = cases.make_city(session, moment, settings=settings)
        people = {
            "citizen": city.citizen,
            "reviewer": make_officer(session, REVIEWING, settings=settings),
            "head": city.head,
            "administrator": make_officer(session, ["administrator"], settings=settings),
        }
        case = cases.bring_to_signature(session, city, moment)
    signer = SoftwareKeyStore(settings.effective_keys_folder).open_key(
        "official-head", cases.OFFICIAL_PASSPHRASE, now=moment
    )
    issued = cases.issue_case(workshop, city, case, signer, clock.now())
    yield House(app, engine, city, people, issued.permit.code, workshop)
    app.state.verification_batches.close()
    app.state.batch_runs.close()
    app.state.sandbox.close()


def fresh_rows(house: House, kind: str) -> dict[str, list[str]]:
    """Make rows that operations may use up; return them by the names that the API gives them."""
    moment = clock.now() - timedelta(hours=1)
    asking = house.people.get(kind, house.city.citizen)
    with transaction(house.engine) as session:
        for left in session.exec(select(Application).where(Application.state == State.DRAFT)):
            discard_draft(session, house.app.state.storage, left, "draft_deleted", SERVICE, moment)
        draft = make_draft(session, house.city.citizen, now=moment)
        give_documents(session, house.app.state.storage, draft, house.city.citizen, moment)
        empty = make_draft(session, house.city.citizen, values={}, now=moment)
        begun = cases.submit_case(session, house.city, moment)
        waiting = cases.bring_to_signature(session, house.city, moment)
        applications = [str(row.id) for row in (draft, empty, begun, waiting)]
        uploads = [str(row.id) for row in uploads_of(session, draft.id)]
        spare = make_officer(session, ["front_office"], full_name="Cadangan Contoh")
        for old in tokens_of(session, actor_of_user(session, asking), moment)[:-1]:
            old.revoked_at = moment
        token, _ = new_token(session, asking, ["read"])
        listed = name_files(session, [(case.id, "0" * 64) for case in (begun, waiting)])
        batch = select_files(session, listed, actor=actor_of_user(session, asking), now=moment)
    digest = cases.digest_shown(house.workshop, house.city, waiting, clock.now())
    return {
        "application_id": [*applications, UNKNOWN],
        "case_id": [*applications[2:], UNKNOWN],
        "batch_secret": [verification_batch(house), "x" * 32],
        "batch_id": [str(batch.id), UNKNOWN],
        "document_id": [*uploads[:2], UNKNOWN],
        "upload_id": [*uploads[:1], UNKNOWN],
        "officer_id": [str(spare.id), str(asking.id), UNKNOWN],
        "token_id": [str(token.id), UNKNOWN],
        "code": [house.code, "0" * 26],
        "continues": [house.code, "0" * 26],
        "slug": [cases.SLUG, "tidak-ada"],
        "section": ["person", "practice", "tidak_ada"],
        "requirement": ["ktp", "tidak_ada"],
        "name": ["root", "tsa"],
        "query": ["MAA=", "M" + "0" * 7],
        "level": ["0", "64"],
        "list_number": ["0", "64"],
        "place": ["000.p/1", "x001/000"],
        "digest": [digest, "0" * 64],
        "passphrase": [cases.OFFICIAL_PASSPHRASE, "bukan frasanya"],
    }


def verification_batch(house: House) -> str:
    """Verify a table of one code, and wait for its end; return the batch's secret."""
    batches: Batches = house.app.state.verification_batches
    reader = Reader("id", house.app.state.settings.base_url)
    verifying = Verifying(house.engine, house.app.state.sandbox, reader, clock.now, 1024)
    secret = batches.start_table("0" * 64, [Question(code=house.code)], verifying)
    while not batches.find(secret, clock.now()).is_ended:
        time.sleep(0.01)
    return secret


def example_of(document: dict[str, Any], operation: dict[str, Any]) -> Any:
    """The example of an operation's JSON body, or None."""
    schema = operation.get("requestBody", {}).get("content", {}).get(JSON, {}).get("schema", {})
    model = document["components"]["schemas"].get(schema.get("$ref", "").rpartition("/")[2], {})
    by_field = {
        name: field["examples"][0]
        for name, field in model.get("properties", {}).items()
        if field.get("examples")
    }
    return (model.get("examples") or [by_field or None])[0]


# Asking ---------------------------------------------------------------------------------------


Headers = Callable[[], dict[str, str]]


def new_token(session: Session, user: User, scopes: Sequence[str]) -> tuple[ApiToken, str]:
    moment = clock.now()
    until = clock.city_date(moment) + timedelta(days=30)
    actor = actor_of_user(session, user)
    return create_token(session, actor, name="Uji", scopes=list(scopes), expires_on=until, now=moment)


def token_headers(house: House, user: User) -> Headers:
    """Headers with an API token that holds every scope the user may give it."""
    with transaction(house.engine) as session:
        _, token = new_token(session, user, scopes_within_reach(actor_of_user(session, user)))
    return lambda: {"Authorization": f"Bearer {token}"}


def session_headers(house: House, user: User) -> Headers:
    """Headers of a browser session, opened anew for each request: one of them may end it."""

    def headers() -> dict[str, str]:
        client = TestClient(house.app)
        sign_in(client, user)
        csrf = client.headers[CSRF_HEADER]
        cookies = "; ".join(f"{name}={client.cookies[name]}" for name in (SESSION_COOKIE, CSRF_COOKIE))
        return {"Cookie": cookies, "X-CSRF-Token": csrf}

    return headers


class Asking:
    """Sends each case as one person, every time from another address."""

    def __init__(self, house: House, kind: str) -> None:
        self._addresses = (f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}" for n in itertools.count())
        user = house.people.get(kind)
        self._by_token = token_headers(house, user) if user else dict
        self._by_session = session_headers(house, user) if user else dict
        with transaction(house.engine) as session:
            self.actor = actor_of_user(session, user) if user else VISITOR

    def headers(self, policy: Policy) -> dict[str, str]:
        identified = self._by_session if policy.scope is None and policy.needs_sign_in else self._by_token
        return {**identified(), "X-Forwarded-For": next(self._addresses)}

    def is_allowed(self, policy: Policy) -> bool:
        try:
            authorise(self.actor, policy)
        except (SignInRequired, AccessDenied):
            return False
        return True


def policies(app: FastAPI) -> dict[str, Policy]:
    """The policy of each operation, by the label that Schemathesis gives it."""
    found = {}
    for route in api_routes(app.routes):
        policy = policy_of(route)
        assert policy is not None
        if route.include_in_schema:
            found |= {f"{method} {route.path_format}": policy for method in route.methods or ()}
    return found
