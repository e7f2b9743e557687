"""An installation as its operator finds it: settings, holders of keys, and the one who will sign."""

from collections.abc import Callable
from pathlib import Path

from service import clock
from service.accounts.access import SERVICE
from service.accounts.officers import OfficerDetails, create_officer
from service.database import open_engine, transaction

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


def make_head(installation: Path, roles: tuple[str, ...] = ("department_head",)) -> None:
    engine = open_engine(f"sqlite:///{installation / 'canting.sqlite3'}")
    with transaction(engine) as session:
        details = OfficerDetails("Ratna Contoh, S.H.", roles, position="Kepala Dinas")
        create_officer(session, SERVICE, HEAD, details, clock.now())
    engine.dispose()
