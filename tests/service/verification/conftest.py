"""An issued permit, and the sandbox that examines copies of it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import cases
import pytest
from examining import READER, Examiner, Verify
from fastapi import FastAPI
from pki import NOW
from sqlalchemy import Engine
from sqlmodel import Session

from keys.software import SoftwareKeyStore
from service.config import Settings
from service.database import open_engine, transaction
from service.pki.publish import publish_list
from service.pki.register import record_folder
from service.storage import open_storage
from service.verification.sandbox import Sandbox
from service.verification.verify import Verification, verify_file


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


# One permit for many tests ------------------------------------------------------------------------


@pytest.fixture(scope="session")
def keys(key_folder: Path) -> SoftwareKeyStore:
    return SoftwareKeyStore(key_folder)


@pytest.fixture(scope="session")
def shared_engine(new_database: Callable[[], str], keys: SoftwareKeyStore) -> Iterator[Engine]:
    """A register that knows its certificates and has published its revocation lists."""
    engine = open_engine(new_database())
    with transaction(engine) as session:
        record_folder(session, keys, NOW)
        issuing = keys.open_key("issuing", cases.OPERATIONS_PASSPHRASE, now=NOW)
        publish_list(session, "issuing", issuing, NOW)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def issued_once(
    shared_engine: Engine, keys: SoftwareKeyStore, tmp_path_factory: pytest.TempPathFactory
) -> cases.Issued:
    """For tests that only read it, or whose changes are rolled back (`session`)."""
    storage = open_storage(tmp_path_factory.mktemp("storage").as_uri())
    return cases.issue_one(shared_engine, keys, storage, READER.base_url, NOW)


@pytest.fixture
def examiner(key_folder: Path) -> Examiner:
    return Examiner(key_folder)


@pytest.fixture
def verify(session: Session, examiner: Examiner, issued_once: cases.Issued) -> Verify:
    """Verify by the register with one permit in it, and leave out the signatures one by one."""

    def verify(pdf: bytes, sandbox: Sandbox = examiner, at: datetime = NOW) -> Verification:
        return replace(verify_file(session, sandbox, pdf, now=at, reader=READER), signatures=())

    return verify
