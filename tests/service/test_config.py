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


def outside(**changes: object) -> Settings:
    values = {"environment": "test", "secret_key": "s" * 32, "wrapping_keys": WRAPPING_KEYS}
    return Settings(**values | {"outside_anchors": "anchors"} | changes)


@pytest.mark.parametrize(
    "url",
    [
        "https://tte.contoh.invalid/",
        "http://127.0.0.1:8080",
        "http://10.20.30.40",
        "http://[fd00::1]:8080",
        "http://esign",
        "http://esign.kota.internal",
    ],
)
def test_passphrases_may_go_where_they_stay_secret(url: str) -> None:
    assert outside(bsre_url=url).bsre_url == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    ["http://tte.contoh.invalid", "http://203.0.114.7", "ftp://10.0.0.1", "tte.contoh.invalid", "http://"],
)
def test_passphrases_never_cross_a_public_network_in_the_clear(url: str) -> None:
    for name in ("bsre_url", "csc_url"):
        with pytest.raises(ValidationError, match="passphrases go there"):
            outside(**{name: url})


def test_a_signer_outside_needs_trust_anchors() -> None:
    with pytest.raises(ValidationError, match="CANTING_OUTSIDE_ANCHORS"):
        outside(bsre_url="http://esign", outside_anchors=None)


def test_without_a_signer_outside_every_document_is_a_sample() -> None:
    assert not outside(is_sample=False, bsre_url="http://esign").is_sample
    assert not outside(is_sample=False, csc_url="https://csc.invalid", csc_issuer="Penyedia").is_sample
    for missing in ({}, {"csc_url": "https://csc.invalid"}):
        with pytest.raises(ValidationError, match="every document is a sample"):
            outside(is_sample=False, **missing)
