"""An operator's command writes a permit's evidence, for its owner alone."""

import os
import sys
from pathlib import Path

import cases
import pytest
from bundles import Lived, unpack

from service import cli


@pytest.fixture(autouse=True)
def settings(lived: Lived, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of an installation with one permit, in the environment."""
    for name in [name for name in os.environ if name.startswith("CANTING_")]:
        monkeypatch.delenv(name)
    folder = lived.archive.storage.folder
    assert folder
    values = {
        "ENVIRONMENT": "test",
        "BASE_URL": "https://izin.contoh.invalid",
        "SECRET_KEY": "rahasia-untuk-uji-0123456789abcdef",
        "WRAPPING_KEYS": "uji:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "OPERATIONS_PASSPHRASE": cases.OPERATIONS_PASSPHRASE,
        "DATABASE_URL": lived.archive.engine.url.render_as_string(hide_password=False),
        "STORAGE_URL": folder.as_uri(),
        "KEYS_FOLDER": str(lived.keys.folder),
        "SMTP_HOST": "",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"CANTING_{name}", value)


def canting(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["canting", *arguments])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    return int(exit_.value.code or 0)


def test_the_evidence_of_a_permit_is_written_once(
    lived: Lived, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bukti.zip"
    command = ("permits", "evidence", lived.permit.number.lower(), "--out", str(out))
    assert canting(monkeypatch, *command) == 0
    assert out.stat().st_mode & 0o077 == 0
    assert lived.permit.number in unpack(out.read_bytes())["README.md"].decode()
    assert canting(monkeypatch, *command) == 1
    assert "exists already" in capsys.readouterr().err


def test_an_unknown_number_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bukti.zip"
    assert canting(monkeypatch, "permits", "evidence", "1/2/3", "--out", str(out)) == 1
    assert "No permit has that number." in capsys.readouterr().err
    assert not out.exists()
