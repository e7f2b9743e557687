"""A city whose head can sign, here or through a service outside, and cases that wait for the signature."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import cases
import outside
import pytest
from batching import Office
from outside_bsre import BsreServer
from outside_csc import CscServer
from outside_desk import BEGINS, Desk, Moment, connected, desk_of
from sqlalchemy import Engine

from keys.software import SoftwareKeyStore
from service.config import Settings
from service.database import transaction
from service.permits.compose import Printing
from service.permits.issue import Workshop
from service.permits.signer import open_operations_keys
from service.storage import open_storage


@pytest.fixture(scope="session")
def key_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys") / "keys"
    cases.make_keys(folder, datetime.fromisoformat("2026-11-01T00:00:00+00:00"))
    return folder


@pytest.fixture
def settings(settings: Settings, key_folder: Path) -> Settings:
    return settings.model_copy(update={"keys_folder": key_folder})


@pytest.fixture
def key_store(key_folder: Path) -> SoftwareKeyStore:
    return SoftwareKeyStore(key_folder)


@pytest.fixture
def city(engine: Engine, now: datetime) -> cases.City:
    with transaction(engine) as session:
        return cases.make_city(session, now - timedelta(days=3))


@pytest.fixture
def workshop(engine: Engine, key_folder: Path, tmp_path: Path, now: datetime) -> Workshop:
    keys = open_operations_keys(SoftwareKeyStore(key_folder), cases.OPERATIONS_PASSPHRASE, lambda: now)
    storage = open_storage((tmp_path / "storage").as_uri())
    printing = Printing("https://izin.contoh.invalid", is_sample=True)
    return Workshop(engine, storage, keys.timestamper, lambda: now, printing, seal=keys.seal)


@pytest.fixture
def office(workshop: Workshop, city: cases.City, key_store: SoftwareKeyStore, now: datetime) -> Office:
    key = key_store.open_key("official-head", cases.OFFICIAL_PASSPHRASE, now=now)
    return Office(workshop, city, replace(key, close=lambda: None), now)


# Services outside ------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def house() -> outside.House:
    return outside.make_house(BEGINS)


@pytest.fixture
def staffed_city(engine: Engine, settings: Settings, now: datetime) -> cases.City:
    """A city whose officers can sign in."""
    with transaction(engine) as session:
        return cases.make_city(session, now - timedelta(days=3), settings=settings)


@pytest.fixture
def moment(now: datetime) -> Moment:
    return Moment(now)


@pytest.fixture
def bsre(house: outside.House, moment: Moment) -> Iterator[BsreServer]:
    server = BsreServer(house, moment)
    with outside.serving(server):
        yield server


@pytest.fixture
def csc(house: outside.House, moment: Moment) -> Iterator[CscServer]:
    server = CscServer(house, moment)
    with outside.serving(server):
        yield server


@pytest.fixture
def at_bsre(
    settings: Settings,
    house: outside.House,
    bsre: BsreServer,
    staffed_city: cases.City,
    engine: Engine,
    moment: Moment,
) -> Desk:
    return desk_of(bsre, connected(settings, house, moment(), bsre), staffed_city, engine, moment)


@pytest.fixture
def at_csc(
    settings: Settings,
    house: outside.House,
    csc: CscServer,
    staffed_city: cases.City,
    engine: Engine,
    moment: Moment,
) -> Desk:
    return desk_of(csc, connected(settings, house, moment(), csc), staffed_city, engine, moment)
