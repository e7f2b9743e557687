"""The operator's commands: what they do, and how they refuse. Secrets go in by a file descriptor."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import obstore
import outside
import pytest
import softhsm
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from factories import PASSWORD, TOTP_SECRET
from outside_bsre import BsreServer
from pki import FAST, throwaway_pki
from sqlmodel import select

from keys.algorithms import generate_key
from keys.authority import Subject, create_root, issue_certificate
from keys.errors import WrongPassphrase
from keys.hierarchy import renew_key
from keys.profiles import OFFICIAL, SEAL
from keys.revocation import build_crl, read_revocations
from keys.software import SoftwareKeyStore
from service import cli, clock, jobs, storage
from service.accounts.access import ADMINISTRATOR, SERVICE
from service.accounts.models import RoleAssignment, User
from service.accounts.officers import OfficerDetails, create_officer
from service.accounts.second_factor import enrol_totp_directly
from service.audit import AuditEvent
from service.catalogue.load import DATA_FOLDER
from service.catalogue.models import active_permit_types
from service.config import Settings, parse_wrapping_keys
from service.database import open_engine, reading, transaction
from service.mail import MailMessage, queue_mail
from service.pki.enrol import make_hierarchy
from service.pki.models import IssuedCertificate
from service.pki.plan import EXAMPLE

ENVIRONMENT = {
    "CANTING_ENVIRONMENT": "test",
    "CANTING_SECRET_KEY": "rahasia-untuk-uji-0123456789abcdef",
    "CANTING_WRAPPING_KEYS": "uji:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    "CANTING_OPERATIONS_PASSPHRASE": "sandi operasional uji",
    "CANTING_SMTP_HOST": "",
}
ROOT_PASSPHRASE = "akar tunggang beringin"
CUSTODIANS = {"custodian-satu": "sandi pemegang satu", "custodian-dua": "sandi pemegang dua"}
TWO = [part for name in CUSTODIANS for part in ("--custodian", name)]
APPROVING = "\n".join(CUSTODIANS.values())
PASSPHRASE = "tujuh canting tembaga"
HEAD = "kadis@contoh.invalid"

Canting = Callable[..., int]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation's folder, with its settings in the environment."""
    for name in [name for name in os.environ if name.startswith("CANTING_")]:
        monkeypatch.delenv(name)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CANTING_DATA_FOLDER", str(tmp_path / "var"))
    return tmp_path / "var"


@pytest.fixture
def canting(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Canting:
    """Run a `canting` command and return its exit status; a secret comes from a pipe."""

    def run(*arguments: str, secret: str | None = None) -> int:
        fd = []
        if secret is not None:
            reader, writer = os.pipe()
            os.write(writer, f"{secret}\n".encode())
            os.close(writer)
            fd = ["--secret-fd", str(reader)]
        monkeypatch.setattr(sys, "argv", ["canting", *arguments, *fd])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        return int(exit_.value.code or 0)

    return run


@pytest.fixture
def prepared(canting: Canting, folder: Path, new_sqlite: str) -> Path:
    """An installation whose database is ready."""
    folder.mkdir()
    shutil.copy(new_sqlite, folder / "canting.sqlite3")
    return folder


@pytest.fixture(scope="session")
def new_sqlite(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A prepared SQLite file, made once by the command itself."""
    folder = tmp_path_factory.mktemp("cli")
    subprocess.run(
        [sys.executable, "-m", "service.cli", "database", "upgrade"],
        env={**os.environ, **ENVIRONMENT, "CANTING_DATA_FOLDER": str(folder)},
        check=True,
        capture_output=True,
    )
    return str(folder / "canting.sqlite3")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the root's key is carried away to."""
    return tmp_path / "medium"


@pytest.fixture
def keys(folder: Path, root: Path) -> SoftwareKeyStore:
    """The keys of the example's ceremony, their passphrases cheap to check."""
    return make_hierarchy(
        Settings(), root, {"root": ROOT_PASSPHRASE, **CUSTODIANS}, now=clock.now(), cost=FAST
    )


def make_head(folder: Path, roles: tuple[str, ...] = ("department_head",)) -> None:
    engine = open_engine(f"sqlite:///{folder / 'canting.sqlite3'}")
    with transaction(engine) as session:
        details = OfficerDetails("Ratna Contoh, S.H.", roles, position="Kepala Dinas")
        create_officer(session, SERVICE, HEAD, details, clock.now())
    engine.dispose()


# Settings -----------------------------------------------------------------------------------------


def test_a_missing_setting_is_named_in_both_languages(
    canting: Canting, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CANTING_SECRET_KEY")
    assert canting("database", "upgrade") == 1
    said = capsys.readouterr().err
    assert "CANTING_SECRET_KEY belum diisi." in said
    assert "CANTING_SECRET_KEY is not set." in said
    assert "Traceback" not in said


def test_an_unfit_setting_is_named_without_its_value(
    canting: Canting, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CANTING_SECRET_KEY", "kenari-pendek")
    monkeypatch.setenv("CANTING_SMTP_PORT", "banyak")
    assert canting("database", "upgrade") == 1
    said = capsys.readouterr().err
    assert "CANTING_SECRET_KEY" in said
    assert "CANTING_SMTP_PORT" in said
    assert "kenari-pendek" not in said


# The database and the catalogue -------------------------------------------------------------------


def test_the_database_is_prepared_and_the_catalogue_loaded(canting: Canting, folder: Path) -> None:
    assert canting("catalogue", "load") == 1
    assert canting("database", "upgrade") == 0
    assert canting("database", "upgrade") == 0
    assert canting("catalogue", "load") == 0
    engine = open_engine(f"sqlite:///{folder / 'canting.sqlite3'}")
    with reading(engine) as session:
        assert len(active_permit_types(session)) > 0
        assert jobs.count_waiting_jobs(engine) == 0
    engine.dispose()


def test_an_unprepared_database_is_refused(canting: Canting, capsys: pytest.CaptureFixture[str]) -> None:
    assert canting("serve", "--port", str(free_port())) == 1
    assert "Jalankan `canting database upgrade`" in capsys.readouterr().err


def test_a_database_out_of_reach_is_refused(
    canting: Canting, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CANTING_DATABASE_URL", f"postgresql://kenari:rahasia@127.0.0.1:{free_port()}/canting")
    assert canting("audit", "verify") == 1
    said = capsys.readouterr().err
    assert "CANTING_DATABASE_URL" in said
    assert "rahasia" not in said


def test_a_broken_catalogue_is_refused_with_its_file_and_line(
    canting: Canting, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = shutil.copytree(DATA_FOLDER, tmp_path / "catalogue")
    path = broken / "permit_types" / "reklame-tetap.yaml"
    path.write_text(path.read_text().replace("deadline_working_days: 5", "deadline_working_days: lima"))
    line = 1 + path.read_text().splitlines().index(
        next(text for text in path.read_text().splitlines() if "lima" in text)
    )
    assert canting("catalogue", "check", str(broken)) == 1
    assert f"reklame-tetap.yaml:{line}: deadline_working_days" in capsys.readouterr().err
    assert canting("catalogue", "check") == 0


# Keys and accounts ----------------------------------------------------------------------------------


def test_a_ceremony_makes_the_hierarchy_once(
    canting: Canting, folder: Path, root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    secrets = [ROOT_PASSPHRASE, ENVIRONMENT["CANTING_OPERATIONS_PASSPHRASE"], *CUSTODIANS.values()]
    hold = ("keys", "ceremony", str(EXAMPLE), "--root", str(root))
    assert canting(*hold, secret="\n".join(secrets)) == 0
    keys = SoftwareKeyStore(folder / "keys")
    before = {path.name: path.read_bytes() for path in keys.folder.iterdir()}
    assert set(keys.names()) == {"issuing", "tsa", "ocsp", "seal", "log", *CUSTODIANS}
    SoftwareKeyStore(root).open_key("root", ROOT_PASSPHRASE, now=clock.now())
    assert before["ceremony.txt"].decode() in capfd.readouterr().out
    assert canting("keys", "ceremony-verify") == 0
    assert "cocok dengan upacaranya" in capfd.readouterr().out

    assert canting(*hold[:-1], f"{root}-2", secret="\n".join(secrets)) == 1
    assert {path.name: path.read_bytes() for path in keys.folder.iterdir()} == before
    said = capfd.readouterr()
    assert "tidak ada yang ditimpa" in said.err
    assert not [secret for secret in secrets if secret in said.out + said.err]
    (keys.folder / "seal.pem").write_bytes(before["tsa.pem"])
    assert canting("keys", "ceremony-verify") == 1
    assert "seal: another certificate" in capfd.readouterr().err


def test_a_ceremony_that_cannot_be_held_makes_no_key(
    canting: Canting, folder: Path, root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def refusal(plan: Path, root: Path, *secrets: str) -> str:
        assert canting("keys", "ceremony", str(plan), "--root", str(root), secret="\n".join(secrets)) == 1
        assert not (folder / "keys").exists()
        assert not root.exists()
        return capfd.readouterr().err

    operations = ENVIRONMENT["CANTING_OPERATIONS_PASSPHRASE"]
    other = [ROOT_PASSPHRASE, f"{operations} lain", *CUSTODIANS.values()]
    assert "berbeda dari CANTING_OPERATIONS_PASSPHRASE" in refusal(EXAMPLE, root, *other)
    assert "sedikitnya 8 karakter" in refusal(EXAMPLE, root, "pendek", operations, *CUSTODIANS.values())
    alike = [operations, operations, *CUSTODIANS.values()]
    assert "frasa sandi sendiri" in refusal(EXAMPLE, root, *alike)
    assert "media lain" in refusal(EXAMPLE, folder / "keys" / "root", *alike)
    plan = tmp_path / "plan.yaml"
    plan.write_text(EXAMPLE.read_text().replace("days: 2920", "days: 9999"))
    line = 1 + plan.read_text().splitlines().index("    days: 9999")
    assert f"plan.yaml:{line}: keys.tsa.days: Isi angka" in refusal(plan, root)
    assert canting("keys", "ceremony", str(EXAMPLE), "--check") == 0
    assert canting("keys", "ceremony") == 1
    assert canting("keys", "ceremony", str(EXAMPLE)) == 1
    capfd.readouterr()
    assert canting("keys", "ceremony", "--example") == 0
    assert capfd.readouterr().out == EXAMPLE.read_text()


def test_a_ceremony_with_a_wrong_pin_makes_no_key(
    canting: Canting,
    folder: Path,
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SOFTHSM2_CONF", str(softhsm.configure(tmp_path / "hsm")))
    softhsm.make_token("canting", "pin yang lain sekali")
    softhsm.start_anew()
    monkeypatch.setenv("CANTING_TOKEN_MODULE", str(softhsm.MODULE))
    secrets = [ROOT_PASSPHRASE, ENVIRONMENT["CANTING_OPERATIONS_PASSPHRASE"], *CUSTODIANS.values()]

    hold = ("keys", "ceremony", str(EXAMPLE), "--root", str(root))
    assert canting(*hold, secret="\n".join(secrets)) == 1
    assert "PIN tidak membuka tokennya" in capfd.readouterr().err
    assert not (folder / "keys").exists()
    assert not root.exists()


def test_a_signing_official_is_enrolled(canting: Canting, prepared: Path, keys: SoftwareKeyStore) -> None:
    make_head(prepared)
    enrol = ("keys", "enrol", HEAD, *TWO)
    assert canting(*enrol, secret=f"{APPROVING}\n{PASSPHRASE}") == 0
    engine = open_engine(f"sqlite:///{prepared / 'canting.sqlite3'}")
    with reading(engine) as session:
        user = session.exec(select(User).where(User.email == HEAD)).one()
        changed = session.exec(select(AuditEvent).where(AuditEvent.action == "officer_changed")).one()
    engine.dispose()
    assert user.key_name == "official-kadis"
    assert changed.data == {"fields": ["key_name"]}
    opened = keys.open_key("official-kadis", PASSPHRASE, now=clock.now())
    names = opened.certificate.subject.rfc4514_string()
    assert "Ratna Contoh" in names
    assert "Pemerintah Kota Pekalongan" in names
    with pytest.raises(WrongPassphrase):
        keys.open_key("official-kadis", ENVIRONMENT["CANTING_OPERATIONS_PASSPHRASE"], now=clock.now())

    assert canting(*enrol, secret=f"{APPROVING}\n{PASSPHRASE}") == 0
    assert "official-kadis-2" in keys.names()
    assert canting("keys", "audit") == 0


def test_nobody_is_enrolled_by_one_person(
    canting: Canting, prepared: Path, keys: SoftwareKeyStore, capfd: pytest.CaptureFixture[str]
) -> None:
    make_head(prepared)

    def refusal(*custodians: str, secret: str) -> str:
        given = [part for name in custodians for part in ("--custodian", name)]
        assert canting("keys", "enrol", HEAD, *given, secret=secret) == 1
        assert not [name for name in keys.names() if name.startswith("official")]
        return capfd.readouterr().err

    one = f"{CUSTODIANS['custodian-satu']}\n{PASSPHRASE}"
    assert "dua pemegang kunci yang berbeda" in refusal(secret=one)
    assert "dua pemegang kunci yang berbeda" in refusal("custodian-satu", secret=one)
    assert "dua pemegang kunci yang berbeda" in refusal(
        "custodian-satu", "custodian-satu", secret=f"{one}\n{one}"
    )
    assert "dua pemegang kunci yang berbeda" in refusal("custodian-satu", "seal", secret=one)
    assert "pemegang kunci salah" in refusal(*CUSTODIANS, secret=f"{one}\n{PASSPHRASE}")
    assert "Tidak ada pemegang kunci" in refusal("custodian-satu", "custodian-tiga", secret=f"{one}\n{one}")


def test_a_lost_key_is_revoked_and_another_enrolled_in_one_act(
    canting: Canting, prepared: Path, keys: SoftwareKeyStore, capfd: pytest.CaptureFixture[str]
) -> None:
    make_head(prepared)
    reissue = ("keys", "reissue", HEAD, "--reason", "keyCompromise", "--compromised-on", "2026-01-02", *TWO)
    secret = f"{APPROVING}\n{PASSPHRASE}"
    assert canting(*reissue, secret=secret) == 1
    assert "Tidak ada sertifikat" in capfd.readouterr().err
    assert canting("keys", "enrol", HEAD, *TWO, secret=secret) == 0
    assert canting(*reissue, secret=f"{APPROVING}\npendek") == 1
    assert keys.names().count("official-kadis-2") == 0
    engine = open_engine(f"sqlite:///{prepared / 'canting.sqlite3'}")
    with reading(engine) as session:
        statement = select(IssuedCertificate).where(IssuedCertificate.key_name == "official-kadis")
        assert session.exec(statement).one().revoked_at is None, "all of it, or nothing"
    assert canting(*reissue, secret=secret) == 0
    with reading(engine) as session:
        old = session.exec(statement).one()
        user = session.exec(select(User).where(User.email == HEAD)).one()
    engine.dispose()
    assert old.revocation_reason == "keyCompromise"
    assert old.compromised_at is not None
    assert (old.compromised_at < old.revoked_at, user.key_name) == (True, "official-kadis-2")
    assert canting("keys", "audit") == 0


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


def test_a_certificate_that_nobody_approved_is_found(
    canting: Canting, prepared: Path, keys: SoftwareKeyStore, capfd: pytest.CaptureFixture[str]
) -> None:
    passphrase = ENVIRONMENT["CANTING_OPERATIONS_PASSPHRASE"]
    renew_key(keys, SEAL, passphrase=passphrase, issuer_passphrase=passphrase, now=clock.now())
    assert canting("keys", "audit") == 1
    said = capfd.readouterr()
    assert said.out.startswith("seal-2\t")
    assert "tidak disetujui dua pemegang kunci" in said.err


def test_a_custodian_is_appointed_with_the_roots_key(
    canting: Canting, prepared: Path, keys: SoftwareKeyStore, root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    appoint = ("keys", "custodian", "tiga", "--name", "Pemegang Tiga Contoh")
    assert canting(*appoint, secret=f"{ROOT_PASSPHRASE}\nsandi pemegang tiga") == 1
    assert "--root" in capfd.readouterr().err
    assert canting(*appoint, "--root", str(root), secret=f"{ROOT_PASSPHRASE}\nsandi pemegang tiga") == 0
    assert canting("keys", "audit") == 0
    revoke = ("keys", "root-list", "--root", str(root), "--revoke")
    assert canting(*revoke, "seal", secret=ROOT_PASSPHRASE) == 1
    assert "tidak diterbitkan oleh root" in capfd.readouterr().err
    assert canting(*revoke, "custodian-tiga", secret=ROOT_PASSPHRASE) == 0
    two = ("--custodian", "custodian-satu", "--custodian", "custodian-tiga")
    secret = f"{CUSTODIANS['custodian-satu']}\nsandi pemegang tiga"
    assert canting("keys", "renew", "tsa", *two, secret=secret) == 1
    assert "dicabut atau tidak berlaku" in capfd.readouterr().err


def test_a_keys_passphrase_is_changed(
    canting: Canting, keys: SoftwareKeyStore, capfd: pytest.CaptureFixture[str]
) -> None:
    old, new = CUSTODIANS["custodian-satu"], "akar tunjang bakau"

    def refusal(name: str, secret: str) -> str:
        assert canting("keys", "passphrase", name, secret=secret) == 1
        return capfd.readouterr().err

    assert "Tidak ada kunci bernama official-x" in refusal("official-x", f"{old}\n{new}")
    assert "lama salah" in refusal("custodian-satu", f"bukan frasanya\n{new}")
    assert "sedikitnya 8 karakter" in refusal("custodian-satu", f"{old}\npendek")
    assert canting("keys", "passphrase", "custodian-satu", secret=f"{old}\n{new}") == 0
    said = capfd.readouterr()
    assert "diganti" in said.out
    assert new not in said.out + said.err
    keys.open_key("custodian-satu", new, now=clock.now())
    for _ in range(5):
        refusal("custodian-satu", f"{old}\n{new}")
    assert "terkunci" in refusal("custodian-satu", f"{new}\n{old}")


def test_a_mandate_is_granted(canting: Canting, prepared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_head(prepared)
    grant = ["mandate", "grant", HEAD, "--from", "2026-01-01", "--basis", "SK Nomor 1 Tahun 2026"]
    assert canting(*grant, "--capacity", "definitive") == 0
    assert "Kepala Dinas." in capsys.readouterr().out
    assert canting(*grant, "--capacity", "plt", "--position", "Kepala Dinas") == 1
    assert "Isi tanggal berakhir" in capsys.readouterr().err
    assert canting("mandate", "grant", "bukan@contoh.invalid", *grant[3:], "--capacity", "plt") == 1


def test_a_certificate_is_listed_suspended_revoked_and_renewed(
    canting: Canting,
    prepared: Path,
    keys: SoftwareKeyStore,
    root: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def states() -> dict[str, str]:
        capfd.readouterr()
        assert canting("keys", "list") == 0
        rows = (line.split("\t") for line in capfd.readouterr().out.splitlines())
        return {name: state for name, _subject, _issuer, _last_day, state, *_next in rows}

    assert set(states()) == {"root", "issuing", "tsa", "ocsp", "seal", "log", *CUSTODIANS}
    assert canting("keys", "suspend", "seal") == 0
    assert states()["seal"] == "suspended"
    assert canting("keys", "reinstate", "seal") == 1
    assert "dua pemegang kunci" in capfd.readouterr().err
    assert canting("keys", "reinstate", "seal", *TWO, secret=APPROVING) == 0
    assert states()["seal"] == "in_force"
    revoke = ("keys", "revoke", "seal", "--reason", "keyCompromise", "--compromised-on", "2026-01-02")
    assert canting(*revoke) == 0
    assert states()["seal"] == "revoked"
    assert canting(*revoke) == 1
    assert "sudah dicabut" in capfd.readouterr().err
    assert canting("keys", "revoke", "issuing", "--reason", "superseded") == 1
    assert "root-list" in capfd.readouterr().err

    def renew(name: str, secret: str = "") -> int:
        given = ["--root", str(root)] if secret else []
        return canting("keys", "renew", name, *TWO, *given, secret=f"{APPROVING}\n{secret}")

    assert renew("issuing", "bukan frasanya") == 1
    assert renew("issuing") == 1
    assert "--root" in capfd.readouterr().err
    assert renew("issuing", ROOT_PASSPHRASE) == 0
    assert renew("tsa") == 0
    assert {"issuing-2", "tsa-2"} <= set(states())
    assert keys.certificates("tsa-2")[1] == keys.certificates("issuing-2")[0]
    assert read_revocations(keys.revocation_list("root")) == (1, [])
    assert canting("keys", "audit") == 0
    revoke = ("keys", "root-list", "--root", str(root), "--revoke", "issuing")
    assert canting(*revoke, secret=ROOT_PASSPHRASE) == 0
    number, revoked = read_revocations(keys.revocation_list("root"))
    assert (number, len(revoked)) == (2, 1)


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


def test_enrolling_is_refused_without_account_or_role(
    canting: Canting, prepared: Path, keys: SoftwareKeyStore, capsys: pytest.CaptureFixture[str]
) -> None:
    def refusal() -> str:
        assert canting("keys", "enrol", HEAD, *TWO, secret=f"{APPROVING}\n{PASSPHRASE}") == 1
        return capsys.readouterr().err

    assert "Tidak ada akun petugas" in refusal()
    make_head(prepared, roles=("front_office",))
    assert "tidak memegang peran penanda tangan" in refusal()


def test_enrolling_needs_the_operations_passphrase(
    canting: Canting,
    prepared: Path,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_head(prepared)
    enrol = ("keys", "enrol", HEAD, *TWO)
    assert canting(*enrol, secret=f"{APPROVING}\n{PASSPHRASE}") == 1
    assert "`canting keys ceremony`" in capsys.readouterr().err
    keys = make_hierarchy(
        Settings(), root, {"root": ROOT_PASSPHRASE, **CUSTODIANS}, now=clock.now(), cost=FAST
    )
    monkeypatch.setenv("CANTING_OPERATIONS_PASSPHRASE", "bukan frasa operasional")
    assert canting(*enrol, secret=f"{APPROVING}\n{PASSPHRASE}") == 1
    assert "tidak membuka kunci layanan" in capsys.readouterr().err
    assert not [name for name in keys.names() if name.startswith("official")]


def test_what_an_older_wrapping_key_sealed_is_sealed_anew(
    canting: Canting, prepared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_head(prepared)
    engine = open_engine(f"sqlite:///{prepared / 'canting.sqlite3'}")
    old = ENVIRONMENT["CANTING_WRAPPING_KEYS"]
    with transaction(engine) as session:
        user = session.exec(select(User).where(User.email == HEAD)).one()
        enrol_totp_directly(session, user, TOTP_SECRET, parse_wrapping_keys(old), clock.now())
    engine.dispose()
    new = "baru:" + old.partition(":")[2][::-1].replace("=", "") + "="

    monkeypatch.setenv("CANTING_WRAPPING_KEYS", new)
    assert canting("keys", "rewrap") == 1
    assert "Tambahkan kunci lama" in capsys.readouterr().err
    monkeypatch.setenv("CANTING_WRAPPING_KEYS", f"{new},{old}")
    assert canting("keys", "rewrap") == 0
    assert "1 secrets were sealed anew." in capsys.readouterr().out
    monkeypatch.setenv("CANTING_WRAPPING_KEYS", new)
    assert canting("keys", "rewrap") == 0


def test_an_administrator_is_created(
    canting: Canting, prepared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert canting("admin", "create", "Admin@contoh.invalid", "--name", "Admin Contoh", secret=PASSWORD) == 0
    engine = open_engine(f"sqlite:///{prepared / 'canting.sqlite3'}")
    with reading(engine) as session:
        user = session.exec(select(User).where(User.email == "admin@contoh.invalid")).one()
        roles = session.exec(select(RoleAssignment.role).where(RoleAssignment.user_id == user.id)).all()
    engine.dispose()
    assert roles == [ADMINISTRATOR]
    assert canting("admin", "create", "admin@contoh.invalid", "--name", "Lain", secret=PASSWORD) == 1
    assert canting("admin", "create", "lain@contoh.invalid", "--name", "Lain", secret="pendek") == 1
    said = capsys.readouterr().err
    assert "sudah dipakai akun lain" in said
    assert "sedikitnya 10 karakter" in said


def test_a_secret_is_not_read_from_a_pipe_unasked(
    canting: Canting, keys: SoftwareKeyStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert canting("keys", "passphrase", "seal") == 1
    assert "--secret-fd 0" in capsys.readouterr().err


# The audit trail, serving, working ------------------------------------------------------------------


def test_a_changed_audit_event_is_named(
    canting: Canting, prepared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_head(prepared)
    assert canting("audit", "verify") == 0
    assert "utuh: 2 peristiwa" in capsys.readouterr().out
    engine = open_engine(f"sqlite:///{prepared / 'canting.sqlite3'}")
    with transaction(engine) as session:
        session.get_one(AuditEvent, 1).actor_name = "Orang lain"
    engine.dispose()
    assert canting("audit", "verify") == 1
    assert "rusak pada peristiwa 1" in capsys.readouterr().err


def test_a_port_in_use_is_refused(
    canting: Canting, prepared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert canting("serve", "--port", str(server.getsockname()[1])) == 1
    assert "Pilih porta lain" in capsys.readouterr().err


def test_a_wrong_operations_passphrase_keeps_it_from_serving(
    canting: Canting,
    prepared: Path,
    keys: SoftwareKeyStore,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CANTING_OPERATIONS_PASSPHRASE", "bukan frasa operasional")
    for command in (("serve", "--port", str(free_port())), ("worker",)):
        assert canting(*command) == 1
        said = capsys.readouterr().err
        assert "tidak membuka kunci layanan" in said
        assert "Traceback" not in said


def test_a_storage_that_fails_keeps_it_from_serving_and_working(
    canting: Canting, prepared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refusals() -> list[str]:
        return [refusal("serve", "--port", str(free_port())), refusal("worker")]

    def refusal(*command: str) -> str:
        assert canting(*command) == 1
        return capsys.readouterr().err

    monkeypatch.setenv("CANTING_STORAGE_URL", "ftp://server/folder")
    assert all("CANTING_STORAGE_URL harus berbentuk" in said for said in refusals())
    (prepared / "file").touch()
    monkeypatch.setenv("CANTING_STORAGE_URL", (prepared / "file" / "storage").as_uri())
    assert all("Penyimpanan berkas tidak dapat ditulis dan dibaca." in said for said in refusals())
    monkeypatch.setenv("CANTING_STORAGE_URL", "s3://canting")
    monkeypatch.setenv("CANTING_STORAGE_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("CANTING_STORAGE_ACCESS_KEY", "canting")
    monkeypatch.setenv("CANTING_STORAGE_SECRET_KEY", "CANARY")
    said = refusal("worker")
    assert "The file storage cannot be written and read." in said
    assert "CANARY" not in said


def test_a_storage_that_overwrites_keeps_it_from_serving(
    canting: Canting, prepared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def overwriting_create(opened: storage.Storage, path: str, data: bytes) -> bool:
        obstore.put(opened.store, path, data)
        return True

    monkeypatch.setattr(storage, "_create", overwriting_create)
    assert canting("serve", "--port", str(free_port())) == 1
    assert "Penyimpanan menimpa berkas yang sudah ada." in capsys.readouterr().err


def test_failed_work_is_listed_and_enqueued_again(
    canting: Canting, prepared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{prepared / 'canting.sqlite3'}"
    engine = open_engine(url)
    assert canting("jobs", "failed") == 0
    assert "No job has failed." in capsys.readouterr().out

    with transaction(engine) as session:
        job_id = jobs.enqueue(session, "no_such_job", "permit-1")
    with capsys.disabled():  # The queue's logger keeps the standard error that it finds first.
        jobs.launch(url, [jobs.Job("note", print)], polling_seconds=0.05)
        try:
            deadline = time.monotonic() + 20
            while not jobs.failed_jobs(engine) and time.monotonic() < deadline:
                time.sleep(0.05)
        finally:
            jobs.shutdown(grace_seconds=0)
    assert canting("jobs", "failed") == 0
    [line] = capsys.readouterr().out.splitlines()
    assert line.split("\t")[0] == job_id
    assert line.split("\t")[2:] == ["no_such_job", "permit-1", "unknown_job"]

    assert canting("jobs", "retry", job_id) == 0
    assert jobs.failed_jobs(engine) == []
    assert jobs.count_waiting_jobs(engine) == 1
    assert canting("jobs", "retry", job_id) == 1
    assert "Tidak ada pekerjaan gagal dengan ID itu." in capsys.readouterr().err
    engine.dispose()


@pytest.mark.slow
def test_a_worker_executes_jobs_and_stops_when_told(canting: Canting, prepared: Path) -> None:
    engine = open_engine(f"sqlite:///{prepared / 'canting.sqlite3'}")
    with transaction(engine) as session:
        mail = queue_mail(
            session,
            to="siti@contoh.invalid",
            language="id",
            template="password_changed",
            context={"full_name": "Siti"},
            now=clock.now(),
        )
        jobs.enqueue(session, "send_mail", str(mail.id))
    process = subprocess.Popen([sys.executable, "-m", "service.cli", "worker"])
    try:
        deadline = time.monotonic() + 60
        sent = None
        while sent is None and time.monotonic() < deadline:
            time.sleep(0.2)
            with reading(engine) as session:
                sent = session.get_one(MailMessage, mail.id).sent_at
        limits = Path(f"/proc/{process.pid}/limits").read_text()
    finally:
        process.send_signal(signal.SIGTERM)
        status = process.wait(timeout=30)
        engine.dispose()
    assert sent is not None
    assert status == 0
    # A core file would hold its memory, and that opened keys.
    assert re.search(r"Max core file size +0 +0 ", limits)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
