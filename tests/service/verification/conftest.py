"""An issued permit, and the sandbox that examines copies of it."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import cases
import pytest
from fastapi import FastAPI
from sqlalchemy import Engine

from keys.software import SoftwareKeyStore
from service.config import Settings
from service.storage import open_storage
from service.verification.sandbox import Sandbox


@pytest.fixture(scope="session")
def key_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys") / "keys"
    cases.make_keys(folder, datetime.fromisoformat("2026-11-01T00:00:00+00:00"))
    return folder


@pytest.fixture
def settings(settings: Settings, key_folder: Path) -> Settings:
    return settings.model_copy(update={"keys_folder": key_folder})


@pytest.fixture
def app(app: FastAPI) -> FastAPI:
    """A busy test machine must not decide the verdict; the budget has its own tests."""
    app.state.sandbox.seconds = 30
    return app


@pytest.fixture(scope="session")
def sandbox(key_folder: Path) -> Iterator[Sandbox]:
    sandbox = Sandbox(key_folder, seconds=30)
    yield sandbox
    sandbox.close()


@pytest.fixture
def issued(engine: Engine, key_folder: Path, settings: Settings, now: datetime) -> cases.Issued:
    storage = open_storage(settings.effective_storage_url)
    return cases.issue_one(engine, SoftwareKeyStore(key_folder), storage, settings.base_url, now)
