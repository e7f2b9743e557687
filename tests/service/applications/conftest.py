"""An applicant, by verbs or in a browser, and where their files go."""

from pathlib import Path

import pytest
from applying import permit_ending_soon
from factories import load_city, make_citizen, sign_in
from fastapi.testclient import TestClient
from sqlalchemy import Engine
from sqlmodel import Session

from service import clock
from service.accounts.models import User
from service.database import transaction
from service.permits.models import Permit
from service.storage import Storage, open_storage


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return open_storage((tmp_path / "storage").as_uri())


@pytest.fixture
def citizen(session: Session) -> User:
    return make_citizen(session)


@pytest.fixture
def applicant(engine: Engine, client: TestClient) -> User:
    """A citizen who is signed in, in a city whose permit types are loaded."""
    with transaction(engine) as session:
        load_city(session)
        user = make_citizen(session)
    sign_in(client, user)
    return user


@pytest.fixture
def held(engine: Engine, applicant: User) -> Permit:
    """The applicant's permit, whose renewal is open."""
    with transaction(engine) as session:
        return permit_ending_soon(session, applicant, clock.now())
