"""Other houses at the command line: their certificates for our keys, their services for our officials."""

from datetime import timedelta
from pathlib import Path

import outside
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from operating import APPROVING, ENVIRONMENT, HEAD, PASSPHRASE, TWO, Canting, make_head
from outside_bsre import BsreServer
from pki import throwaway_pki
from sqlmodel import select

from keys.algorithms import generate_key
from keys.authority import Subject, create_root, issue_certificate
from keys.profiles import OFFICIAL
from keys.revocation import build_crl
from keys.software import SoftwareKeyStore
from service import clock
from service.accounts.models import User
from service.audit import AuditEvent
from service.database import open_engine, reading


def test_another_authoritys_certificate_is_asked_for_and_imported(
    canting: Canting,
    prepared: Path,
    keys: SoftwareKeyStore,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    make_head(prepared)
    assert canting("keys", "enrol", HEAD, *TWO, secret=f"{APPROVING}\n{PASSPHRASE}") == 0
    capfd.readouterr()
    assert canting("keys", "request", "official-kadis", secret=PASSPHRASE) == 0
    request = x509.load_pem_x509_csr(capfd.readouterr().out.encode())
    now = clock.now()
    root = create_root(Subject("Akar Nasional Contoh"), generate_key(), now=now)
    leaf = issue_certificate(OFFICIAL, Subject("Ratna Contoh"), request.public_key(), root, now=now)  # type: ignore[arg-type]
    (tmp_path / "chain.pem").write_bytes(leaf.public_bytes(Encoding.PEM))
    bring = ("keys", "import", "official-kadis", str(tmp_path / "chain.pem"), *TWO)
    assert canting(*bring, secret=f"{APPROVING}\n{PASSPHRASE}") == 1
    assert "jangkar kepercayaan" in capfd.readouterr().err
    (keys.folder / "root-national.pem").write_bytes(root.certificate.public_bytes(Encoding.PEM))
    assert canting(*bring, secret=f"{APPROVING}\n{PASSPHRASE}") == 0
    assert "kini menandatangani izin sebagai" in capfd.readouterr().out
    crl = build_crl(root, [], number=1, this_update=now, next_update=now + timedelta(days=1))
    (tmp_path / "list.crl").write_bytes(crl)
    assert canting("keys", "import-lists", str(tmp_path / "list.crl")) == 0
    assert "root-national" in capfd.readouterr().out
    (tmp_path / "list.crl").write_bytes(b"-----BEGIN X509 CRL-----")
    assert canting("keys", "import-lists", str(tmp_path / "list.crl")) == 1
    assert canting("keys", "audit") == 0
    assert canting("keys", "request", "log", secret=ENVIRONMENT["CANTING_OPERATIONS_PASSPHRASE"]) == 1


def test_an_official_is_connected_to_a_signing_service(
    canting: Canting,
    prepared: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_head(prepared)
    anchors = tmp_path / "anchors"
    anchors.mkdir()
    root = throwaway_pki().root.certificate
    (anchors / "akar.pem").write_bytes(root.public_bytes(Encoding.PEM))
    server = BsreServer(house=None, clock=clock.now)  # type: ignore[arg-type]
    with outside.serving(server):
        for name, value in {
            "URL": server.url,
            "USER": server.user,
            "PASSWORD": server.password,
        }.items():
            monkeypatch.setenv(f"CANTING_BSRE_{name}", value)
        monkeypatch.setenv("CANTING_OUTSIDE_ANCHORS", str(anchors))
        connect = ("keys", "connect", HEAD, "--service", "bsre", "--name", outside.HOLDER)
        assert canting(*connect, secret=outside.NIK) == 0
        assert "siap menandatangani" in capsys.readouterr().out
        server.status = "NEW"
        assert canting(*connect, secret=outside.NIK) == 1
        assert "belum diaktifkan" in capsys.readouterr().err
    engine = open_engine(f"sqlite:///{prepared / 'canting.sqlite3'}")
    with reading(engine) as session:
        head = session.exec(select(User).where(User.email == HEAD)).one()
        told = [event.data for event in session.exec(select(AuditEvent))]
    engine.dispose()
    assert (head.key_name, head.certificate_name) == ("bsre", outside.HOLDER)
    assert outside.NIK not in f"{head}{told}"
