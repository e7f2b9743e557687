"""A city whose head can sign, and cases that wait for the signature."""

from datetime import datetime, timedelta
from pathlib import Path

import cases
import pytest
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
