"""A service with keys of its own, which sign the log's checkpoints."""

from datetime import datetime
from pathlib import Path

import cases
import pytest

from service.config import Settings


@pytest.fixture(scope="session")
def key_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys") / "keys"
    cases.make_keys(folder, datetime.fromisoformat("2026-11-01T00:00:00+00:00"))
    return folder


@pytest.fixture
def settings(settings: Settings, key_folder: Path) -> Settings:
    return settings.model_copy(update={"keys_folder": key_folder})
