"""The key store that the settings name, at its work over HTTP: a whole signing day on SoftHSM tokens."""

import logging
import tempfile
from functools import partial
from pathlib import Path

import cases
import pytest
import signing_day
import softhsm
from factories import make_officer
from fastapi.testclient import TestClient
from pki import FAST
from searching import bytes_of_rows, files_below, found_in
from sqlalchemy import Engine
from sqlmodel import Session

from keys.errors import TokenNotFound
from keys.remote import RemoteKeyVault
from keys.software import SoftwareKeyStore
from keys.split import SplitKeyStore
from keys.store import KeyStore
from service import clock
from service.app import create_app
from service.config import Settings
from service.console import sentences_of
from service.database import transaction
from service.pki.approve import find_unapproved, open_custodians
from service.pki.enrol import enrol_signer, make_hierarchy
from service.pki.register import record_folder
from service.pki.store import open_store
from service.pki.transcript import verify_ceremony

PIN, WRONG_PIN = "kanari7", "kanari8"
"""An official's PIN may be shorter than a passphrase: the token counts wrong ones."""
ROOT_PASSPHRASES = {"root": cases.ROOT_PASSPHRASE, **cases.CUSTODIANS}


@pytest.fixture
def token_settings(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("SOFTHSM2_CONF", str(softhsm.configure(tmp_path / "hsm")))
    softhsm.make_token("canting", settings.operations_passphrase.get_secret_value())
    softhsm.start_anew()
    return settings.model_copy(update={"token_module": softhsm.MODULE})


def enrol_with_custodians(
    session: Session, settings: Settings, keys: KeyStore, email: str, passphrase: str
) -> str:
    now = clock.now()
    record_folder(session, keys, now)
    custodians = open_custodians(session, keys, cases.CUSTODIANS, now)
    return enrol_signer(session, settings, email, passphrase=passphrase, custodians=custodians, now=now)


def test_files_are_one_folder_unless_told_otherwise(settings: Settings, tmp_path: Path) -> None:
    store = open_store(settings, FAST)
    assert store == SoftwareKeyStore(settings.effective_keys_folder, FAST)

    apart = open_store(settings.model_copy(update={"officials_folder": tmp_path / "officials"}), FAST)
    apart.generate_key("official-kadis", "p256", "sandi pejabat", now=clock.now())
    apart.generate_key("tsa", "p256", "sandi operasi", now=clock.now())
    assert apart.names() == ("official-kadis", "tsa")
    assert [path.name for path in (tmp_path / "officials").iterdir()] == ["official-kadis.key.json"]
    assert store.names() == ("tsa",)


def test_a_signers_socket_stands_for_the_services_own_keys(settings: Settings, tmp_path: Path) -> None:
    store = open_store(settings.model_copy(update={"signer_socket": tmp_path / "signer.sock"}))
    assert isinstance(store, SplitKeyStore)
    assert store.operations == RemoteKeyVault(tmp_path / "signer.sock")


def test_a_city_signs_on_tokens(
    token_settings: Settings,
    engine: Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Keys made in tokens, an official enrolled in one of their own, a permit signed with its PIN; what opens
    the tokens is kept nowhere."""
    caplog.set_level(logging.DEBUG)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    settings = token_settings
    keys = make_hierarchy(settings, tmp_path / "root", ROOT_PASSPHRASES, now=clock.now(), cost=FAST)
    text, faults = verify_ceremony(settings.effective_keys_folder, keys)
    assert faults == []
    assert text.count("never leaving, the token: canting") == 5
    with transaction(engine) as session:
        city = cases.make_city(session, clock.now(), head_key=None, settings=settings)
        enrol = partial(enrol_with_custodians, session, settings, keys, city.head.email, PIN)
        with pytest.raises(TokenNotFound) as missing:
            enrol()
        assert all("official-petugas" in sentence for sentence in sentences_of(missing.value))
        label = f"official-{city.head.email.partition('@')[0]}"
        softhsm.make_token(label, PIN)
        softhsm.start_anew()
        assert enrol() == label
        assert find_unapproved(session) == []
    files = {path.name.partition(".")[0] for path in settings.effective_keys_folder.glob("*.key.json")}
    assert files == set(cases.CUSTODIANS)
    assert set(keys.names()) == {*files, "issuing", "log", label, "ocsp", "seal", "tsa"}

    app = create_app(settings, engine)
    with TestClient(app, follow_redirects=False, raise_server_exceptions=False) as client:
        wrong, right = signing_day.sign_a_case(client, engine, settings, city, WRONG_PIN, PIN)
        assert (wrong[0], wrong[1]["code"]) == (422, "wrong_passphrase")
        assert right[0] == 201, right
        report = signing_day.validate_issued(client, settings, right[1]["code"])
        assert (report.indication, report.signature and report.signature.level) == ("TOTAL-PASSED", "B-T")
        signing_day.check_published_pki(client, app, engine, settings, tmp_path)

        (tmp_path / "hsm" / "tokens").rename(tmp_path / "away")
        (tmp_path / "hsm" / "tokens").mkdir()
        ((status, told),) = signing_day.sign_a_case(client, engine, settings, city, PIN)
        assert (status, told["code"]) == (503, "token_not_found")
        (tmp_path / "hsm" / "tokens").rmdir()
        (tmp_path / "away").rename(tmp_path / "hsm" / "tokens")
        ((status, told),) = signing_day.sign_a_case(client, engine, settings, city, PIN)
        assert status == 201, told
    app.state.sandbox.close()
    heard = capfd.readouterr()
    assert_kept_nowhere(engine, settings, tmp_path, heard.out + heard.err + caplog.text + str(wrong))


def assert_kept_nowhere(engine: Engine, settings: Settings, folder: Path, told: str) -> None:
    """Search rows, files (the tokens' own too) and what was told for whatever opens a token or a key."""
    secrets = {
        "PIN": PIN,
        "wrong PIN": WRONG_PIN,
        "PIN of the service's token": settings.operations_passphrase.get_secret_value(),
        "SO-PIN": softhsm.SO_PIN,
        "root's passphrase": cases.ROOT_PASSPHRASE,
        **cases.CUSTODIANS,
    }
    database = Path(engine.url.database or "")
    files = [*files_below(folder), *database.parent.glob(database.name + "*")]
    assert {"hsm", "root", "var"} <= {path.relative_to(folder).parts[0] for path in files_below(folder)}
    kept = [("told", told.encode()), *bytes_of_rows(engine)]
    kept += [(str(path), path.read_bytes()) for path in files]
    for place, data in kept:
        assert not found_in(data, secrets), place


def test_each_official_has_a_token_of_their_own(
    token_settings: Settings, engine: Engine, tmp_path: Path
) -> None:
    """Two officials of one local part: the second key's name, and so its token, is another's."""
    keys = make_hierarchy(token_settings, tmp_path / "root", ROOT_PASSPHRASES, now=clock.now(), cost=FAST)
    for label in ("official-kadis", "official-kadis-2"):
        softhsm.make_token(label, f"{PIN}{label[-1]}")
    softhsm.start_anew()
    with transaction(engine) as session:
        for number, address in enumerate(("kadis@satu.invalid", "kadis@dua.invalid")):
            make_officer(session, [signing_day.HEAD_ROLE], email=address, settings=token_settings)
            name = enrol_with_custodians(session, token_settings, keys, address, f"{PIN}{'s2'[number]}")
            assert name == ("official-kadis", "official-kadis-2")[number]
