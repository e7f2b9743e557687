"""Settings: what is refused, and what is made."""

import stat
from pathlib import Path

import pytest
from pydantic import ValidationError

from service.config import Settings

WRAPPING_KEYS = "uji:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


def with_secret(secret_key: str) -> Settings:
    return Settings(environment="test", secret_key=secret_key, wrapping_keys=WRAPPING_KEYS)


def test_a_secret_key_has_32_characters_at_least() -> None:
    assert with_secret("s" * 32)
    with pytest.raises(ValidationError, match="CANTING_SECRET_KEY needs at least 32 characters"):
        with_secret("s" * 31)


def test_a_new_data_folder_is_its_owners_alone(settings: Settings) -> None:
    settings.make_data_folder()
    settings.make_data_folder()
    assert stat.S_IMODE(settings.data_folder.stat().st_mode) == 0o700


def test_a_data_folder_that_exists_stays_as_it_is(settings: Settings) -> None:
    Path(settings.data_folder).mkdir(mode=0o750)
    settings.make_data_folder()
    assert stat.S_IMODE(settings.data_folder.stat().st_mode) == 0o750
