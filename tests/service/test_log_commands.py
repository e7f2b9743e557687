"""`canting log …` as an outsider, a witness and an operator run it."""

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import cases
import pytest
import uvicorn
from logs import restore_log
from sqlalchemy import Engine, update

from service import cli, clock
from service.app import create_app
from service.config import Settings
from service.database import transaction
from service.permits.models import Mandate
from service.permits.signer import open_operations_keys
from service.pki.store import open_store
from service.transparency.api import log_key
from service.transparency.log import AUDIT_TRAIL, append_entry, commit_audit_trail

Canting = Callable[..., int]


@pytest.fixture
def settings(settings: Settings, tmp_path: Path, engine: Engine) -> Settings:
    cases.make_keys(tmp_path / "keys", datetime.fromisoformat("2026-11-01T00:00:00+00:00"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = engine.url.render_as_string(hide_password=False)
    changes = {"keys_folder": tmp_path / "keys", "base_url": f"http://127.0.0.1:{port}", "database_url": url}
    return settings.model_copy(update=changes)


@pytest.fixture
def log_url(settings: Settings, engine: Engine, now: datetime) -> Iterator[str]:
    """The log of a city, served over real HTTP."""
    with transaction(engine) as session:
        cases.make_city(session, now)
        commit_audit_trail(session, now)
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(settings, engine), port=int(settings.base_url.rpartition(":")[2]), log_level="error"
        )
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
    yield f"{settings.base_url}/log"
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def vkey(settings: Settings) -> str:
    keys = open_operations_keys(open_store(settings), cases.OPERATIONS_PASSPHRASE, clock.now)
    return log_key(settings, keys).verifier.vkey


@pytest.fixture
def canting(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Canting:
    monkeypatch.chdir(tmp_path)
    for name in ("environment", "base_url", "data_folder", "database_url", "keys_folder"):
        monkeypatch.setenv(f"CANTING_{name.upper()}", str(getattr(settings, name)))
    for name in ("secret_key", "wrapping_keys", "operations_passphrase"):
        monkeypatch.setenv(f"CANTING_{name.upper()}", getattr(settings, name).get_secret_value())

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["canting", *arguments])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        return int(exit_.value.code or 0)

    return run


def grow(engine: Engine, now: datetime) -> None:
    with transaction(engine) as session:
        append_entry(session, AUDIT_TRAIL, {}, now)


def test_an_outsider_audits_the_log_again_and_again(
    canting: Canting,
    log_url: str,
    vkey: str,
    engine: Engine,
    now: datetime,
    capsys: pytest.CaptureFixture[str],
) -> None:
    audit = ("log", "audit", log_url, "--vkey", vkey, "--state", "seen")
    assert canting("log", "audit", log_url) == 1  # Whose key?
    assert canting(*audit) == 0
    assert "1 entri" in capsys.readouterr().out
    grow(engine, now)
    grow(engine, now)
    assert canting(*audit, "--register") == 0
    assert "3 entri log" in capsys.readouterr().out
    restore_log(engine, 2)
    assert canting(*audit) == 1
    assert "Log mundur" in capsys.readouterr().err
    grow(engine, now)
    assert canting(*audit) == 1
    assert "Log bercabang" in capsys.readouterr().err


def test_a_witness_cosigns_once_and_refuses_a_fork(
    canting: Canting,
    log_url: str,
    vkey: str,
    engine: Engine,
    now: datetime,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = ("--name", "saksi.contoh.invalid", "--key", "witness.pem", "--state", "cosigned")
    witness = ("log", "witness", log_url, f"--vkey={vkey}", *files)
    grow(engine, now)
    assert canting(*witness) == 0
    said = capsys.readouterr().out
    assert "saksi.contoh.invalid+" in said
    assert "2 entri ditandatangani" in said
    restore_log(engine, 1)
    assert canting(*witness) == 1
    grow(engine, now)
    assert canting(*witness) == 1
    assert "bercabang" in capsys.readouterr().err


def test_the_register_is_audited_without_a_log_to_ask(
    canting: Canting, log_url: str, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert canting("log", "audit") == 0
    assert "Register utuh" in capsys.readouterr().out
    with engine.begin() as connection:
        connection.execute(update(Mandate).values(basis="SK lain"))
    assert canting("log", "audit") == 1
    said = capsys.readouterr()
    assert said.out.startswith("mandate\t")
    assert said.out.endswith("\taltered\tbasis\n")
    assert "tidak seperti yang ditulis layanan" in said.err


def test_documents_are_reconciled(canting: Canting, log_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert canting("log", "reconcile") == 0
    assert canting("log", "reconcile", "--no-alarm") == 0
    assert "penyimpanan cocok" in capsys.readouterr().out
