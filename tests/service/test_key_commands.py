"""Keys at the command line: enrolled by two, lost, listed, suspended, revoked, renewed."""

from pathlib import Path

import pytest
from factories import TOTP_SECRET
from operating import (
    APPROVING,
    CUSTODIANS,
    ENVIRONMENT,
    HEAD,
    PASSPHRASE,
    ROOT_PASSPHRASE,
    TWO,
    Canting,
    make_head,
)
from pki import FAST
from sqlmodel import select

from keys.errors import WrongPassphrase
from keys.revocation import read_revocations
from keys.software import SoftwareKeyStore
from service import clock
from service.accounts.models import User
from service.accounts.second_factor import enrol_totp_directly
from service.audit import AuditEvent
from service.config import Settings, parse_wrapping_keys
from service.database import open_engine, reading, transaction
from service.pki.enrol import make_hierarchy
from service.pki.models import IssuedCertificate


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


def test_a_certificate_is_listed_suspended_revoked_and_renewed(
    canting: Canting,
    prepared: Path,
    keys: SoftwareKeyStore,
    medium: Path,
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
        given = ["--root", str(medium)] if secret else []
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
    revoke = ("keys", "root-list", "--root", str(medium), "--revoke", "issuing")
    assert canting(*revoke, secret=ROOT_PASSPHRASE) == 0
    number, revoked = read_revocations(keys.revocation_list("root"))
    assert (number, len(revoked)) == (2, 1)


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
    medium: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_head(prepared)
    enrol = ("keys", "enrol", HEAD, *TWO)
    assert canting(*enrol, secret=f"{APPROVING}\n{PASSPHRASE}") == 1
    assert "`canting keys ceremony`" in capsys.readouterr().err
    keys = make_hierarchy(
        Settings(), medium, {"root": ROOT_PASSPHRASE, **CUSTODIANS}, now=clock.now(), cost=FAST
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
