"""The key ceremony at the command line, held once; custodians, and what they did not approve."""

from pathlib import Path

import pytest
import softhsm
from operating import CUSTODIANS, ENVIRONMENT, ROOT_PASSPHRASE, Canting

from keys.hierarchy import renew_key
from keys.profiles import SEAL
from keys.software import SoftwareKeyStore
from service import clock
from service.pki.plan import EXAMPLE


def test_a_ceremony_makes_the_hierarchy_once(
    canting: Canting, installation: Path, medium: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    secrets = [ROOT_PASSPHRASE, ENVIRONMENT["CANTING_OPERATIONS_PASSPHRASE"], *CUSTODIANS.values()]
    hold = ("keys", "ceremony", str(EXAMPLE), "--root", str(medium))
    assert canting(*hold, secret="\n".join(secrets)) == 0
    keys = SoftwareKeyStore(installation / "keys")
    before = {path.name: path.read_bytes() for path in keys.folder.iterdir()}
    assert set(keys.names()) == {"issuing", "tsa", "ocsp", "seal", "log", *CUSTODIANS}
    SoftwareKeyStore(medium).open_key("root", ROOT_PASSPHRASE, now=clock.now())
    assert before["ceremony.txt"].decode() in capfd.readouterr().out
    assert canting("keys", "ceremony-verify") == 0
    assert "cocok dengan upacaranya" in capfd.readouterr().out

    assert canting(*hold[:-1], f"{medium}-2", secret="\n".join(secrets)) == 1
    assert {path.name: path.read_bytes() for path in keys.folder.iterdir()} == before
    said = capfd.readouterr()
    assert "tidak ada yang ditimpa" in said.err
    assert not [secret for secret in secrets if secret in said.out + said.err]
    (keys.folder / "seal.pem").write_bytes(before["tsa.pem"])
    assert canting("keys", "ceremony-verify") == 1
    assert "seal: another certificate" in capfd.readouterr().err


def test_a_ceremony_that_cannot_be_held_makes_no_key(
    canting: Canting, installation: Path, medium: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def refusal(plan: Path, medium: Path, *secrets: str) -> str:
        assert canting("keys", "ceremony", str(plan), "--root", str(medium), secret="\n".join(secrets)) == 1
        assert not (installation / "keys").exists()
        assert not medium.exists()
        return capfd.readouterr().err

    operations = ENVIRONMENT["CANTING_OPERATIONS_PASSPHRASE"]
    other = [ROOT_PASSPHRASE, f"{operations} lain", *CUSTODIANS.values()]
    assert "berbeda dari CANTING_OPERATIONS_PASSPHRASE" in refusal(EXAMPLE, medium, *other)
    assert "sedikitnya 8 karakter" in refusal(EXAMPLE, medium, "pendek", operations, *CUSTODIANS.values())
    alike = [operations, operations, *CUSTODIANS.values()]
    assert "frasa sandi sendiri" in refusal(EXAMPLE, medium, *alike)
    assert "media lain" in refusal(EXAMPLE, installation / "keys" / "root", *alike)
    plan = tmp_path / "plan.yaml"
    plan.write_text(EXAMPLE.read_text().replace("days: 2920", "days: 9999"))
    line = 1 + plan.read_text().splitlines().index("    days: 9999")
    assert f"plan.yaml:{line}: keys.tsa.days: Isi angka" in refusal(plan, medium)
    assert canting("keys", "ceremony", str(EXAMPLE), "--check") == 0
    assert canting("keys", "ceremony") == 1
    assert canting("keys", "ceremony", str(EXAMPLE)) == 1
    capfd.readouterr()
    assert canting("keys", "ceremony", "--example") == 0
    assert capfd.readouterr().out == EXAMPLE.read_text()


def test_a_ceremony_with_a_wrong_pin_makes_no_key(
    canting: Canting,
    installation: Path,
    medium: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SOFTHSM2_CONF", str(softhsm.configure(tmp_path / "hsm")))
    softhsm.make_token("canting", "pin yang lain sekali")
    softhsm.start_anew()
    monkeypatch.setenv("CANTING_TOKEN_MODULE", str(softhsm.MODULE))
    secrets = [ROOT_PASSPHRASE, ENVIRONMENT["CANTING_OPERATIONS_PASSPHRASE"], *CUSTODIANS.values()]

    hold = ("keys", "ceremony", str(EXAMPLE), "--root", str(medium))
    assert canting(*hold, secret="\n".join(secrets)) == 1
    assert "PIN tidak membuka tokennya" in capfd.readouterr().err
    assert not (installation / "keys").exists()
    assert not medium.exists()


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
    canting: Canting, prepared: Path, keys: SoftwareKeyStore, medium: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    appoint = ("keys", "custodian", "tiga", "--name", "Pemegang Tiga Contoh")
    assert canting(*appoint, secret=f"{ROOT_PASSPHRASE}\nsandi pemegang tiga") == 1
    assert "--root" in capfd.readouterr().err
    assert canting(*appoint, "--root", str(medium), secret=f"{ROOT_PASSPHRASE}\nsandi pemegang tiga") == 0
    assert canting("keys", "audit") == 0
    revoke = ("keys", "root-list", "--root", str(medium), "--revoke")
    assert canting(*revoke, "seal", secret=ROOT_PASSPHRASE) == 1
    assert "tidak diterbitkan oleh root" in capfd.readouterr().err
    assert canting(*revoke, "custodian-tiga", secret=ROOT_PASSPHRASE) == 0
    two = ("--custodian", "custodian-satu", "--custodian", "custodian-tiga")
    secret = f"{CUSTODIANS['custodian-satu']}\nsandi pemegang tiga"
    assert canting("keys", "renew", "tsa", *two, secret=secret) == 1
    assert "dicabut atau tidak berlaku" in capfd.readouterr().err
