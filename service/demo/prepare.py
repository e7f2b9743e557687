"""Preparing a demonstration: its folder and secrets, its keys, its people; then its cases are played.

It looks at none of the installation's own settings for where data lie, so it can never write into a
real database, storage or mail server.
"""

import base64
import hashlib
import json
import os
import secrets
import shutil
from datetime import datetime, time, timedelta
from pathlib import Path

import pyotp
from sqlalchemy import Engine
from sqlmodel import Session, col, select

from keys.hierarchy import sign_root_list
from keys.software import KdfCost, SoftwareKeyStore
from service import clock, jobs
from service.accounts.access import SIGNING_ROLE, Actor, actor_of_user
from service.accounts.links import link_token
from service.accounts.models import Kind, OneTimeLink, User
from service.accounts.officers import OfficerDetails, create_administrator, create_officer
from service.accounts.register import Registration, confirm_email, register_citizen, reset_password
from service.accounts.second_factor import enrol_totp_directly
from service.catalogue.load import load_catalogue, read_catalogue
from service.catalogue.samples import sample_application
from service.clock import CITY_TIMEZONE, city_date
from service.config import DEMONSTRATION_SECRET, Settings, parse_wrapping_keys
from service.database import open_engine, reading, transaction, upgrade_database
from service.demo.play import Stage, play_cases
from service.demo.scene import DemoCitizen, DemoCity, DemoOfficer, demo_city
from service.errors import Conflict
from service.operations import open_settings_storage
from service.permits.mandates import MandateDetails, grant_mandate
from service.permits.models import Capacity, Permit
from service.permits.offline import publish_status_lists
from service.permits.register import start_of_day
from service.permits.revoke import expire_permits
from service.permits.signer import open_operations_keys, open_signer
from service.pki.approve import open_custodians
from service.pki.enrol import enrol_signer, make_hierarchy
from service.pki.publish import publish_revocation_lists
from service.pki.register import record_folder

HERE = Path(__file__).parent.parent
SECRETS = "settings.json"
"""Marks the folder as a demonstration's, and holds its secrets."""
READY = "ready"
"""Stands there once everything was prepared, and says from what; see `made_from`."""
QUICK = KdfCost(memory_kib=8192, iterations=1)
"""The demonstration's passphrases are printed on a page, so guessing them need not be slow."""
ROOT_FOLDER = "root"
"""Where the demonstration keeps its root's key, apart from the others."""
CUSTODIANS = ("custodian-satu", "custodian-dua")
"""Whom the example plan of the ceremony names."""
BEGINNING = timedelta(days=420)
"""The demonstration's past: long enough for a permit of a year to have expired."""


class DemoRefused(Conflict):
    """A demonstration cannot be prepared here."""


def prepare_demo(folder: Path, *, base_url: str, fresh: bool = False) -> Settings:
    """Prepare a demonstration in the folder, unless it is there, and return its settings.

    Raises DemoRefused in production, and for a folder that holds something else.
    """
    if os.environ.get("CANTING_ENVIRONMENT", "").lower() == "production":
        raise DemoRefused(
            "Peragaan tidak dijalankan pada lingkungan produksi (CANTING_ENVIRONMENT=production).",
            "The demonstration does not run in production (CANTING_ENVIRONMENT=production).",
        )
    is_new = fresh or not _is_ready(folder)
    if is_new:
        _clear(folder)
    settings = demo_settings(folder, base_url)
    engine = open_engine(settings.effective_database_url)
    try:
        upgrade_database(engine)
        jobs.prepare_database(settings.effective_database_url)
        if is_new:
            build_city(settings, engine, demo_city(), clock.now())
            (folder / READY).write_text(made_from())
    finally:
        engine.dispose()
    return settings


def made_from() -> str:
    """Return the SHA-256 of what a demonstration's stored data follow: tables, catalogue, people.

    A demonstration made by another release is not migrated but made anew.
    """
    patterns = ("*/models.py", "migrations/versions/*.py", "catalogue/*.py", "catalogue/data/**/*", "demo/*")
    files = {path for pattern in patterns for path in HERE.glob(pattern) if path.is_file()}
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _is_ready(folder: Path) -> bool:
    path = folder / READY
    return path.exists() and path.read_text() == made_from()


def _clear(folder: Path) -> None:
    """Remove what an earlier demonstration left, and nothing else."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / SECRETS).exists():
            raise DemoRefused(
                f"Folder {folder} berisi data lain; peragaan tidak menghapusnya.",
                f"The folder {folder} holds other data; the demonstration does not remove it.",
            )
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)


# Settings -----------------------------------------------------------------------------------------


def demo_settings(folder: Path, base_url: str) -> Settings:
    """Return the demonstration's settings; its secrets are made once and kept in the folder."""
    path = folder / SECRETS
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(_new_secrets(), file)
    kept = read_secrets(folder)
    return Settings(
        environment="demo",
        base_url=base_url,
        data_folder=folder,
        is_sample=True,
        database_url="",
        runs_jobs=True,
        executor_id="demo",
        storage_url="",
        secret_key=kept["secret_key"],
        wrapping_keys=kept["wrapping_keys"],
        keys_folder=None,
        operations_passphrase=kept["operations_passphrase"],
        smtp_host="",
        trusted_proxy_hops=0,
    )


def _new_secrets() -> dict[str, str]:
    return {
        "secret_key": f"{DEMONSTRATION_SECRET}-{secrets.token_urlsafe(32)}",
        "wrapping_keys": f"demo:{base64.b64encode(secrets.token_bytes(32)).decode()}",
        "operations_passphrase": secrets.token_urlsafe(24),
        "totp_secret": pyotp.random_base32(),
    }


def read_secrets(folder: Path) -> dict[str, str]:
    """Read the demonstration's secrets; `totp_secret` is every officer's."""
    kept: dict[str, str] = json.loads((folder / SECRETS).read_text())
    return kept


# The city -----------------------------------------------------------------------------------------


def build_city(settings: Settings, engine: Engine, city: DemoCity, now: datetime) -> None:
    """Make the keys, the catalogue's revisions, the people and their cases."""
    beginning = datetime.combine(city_date(now - BEGINNING), time(8), CITY_TIMEZONE)
    root_keys = SoftwareKeyStore(settings.data_folder / ROOT_FOLDER, QUICK)
    passphrases = {name: secrets.token_urlsafe(24) for name in ("root", *CUSTODIANS)}
    hierarchy = make_hierarchy(settings, root_keys.folder, passphrases, now=beginning, cost=QUICK)
    sign_root_list(hierarchy, passphrases.pop("root"), now=now, root_keys=root_keys)
    with transaction(engine) as session:
        load_catalogue(session, read_catalogue(), beginning)
    people = _make_people(settings, engine, city, beginning)
    with transaction(engine) as session:
        signing = next(each for each in city.officers if SIGNING_ROLE in each.roles)
        record_folder(session, hierarchy, beginning)
        custodians = open_custodians(session, hierarchy, passphrases, beginning)
        enrol_signer(
            session,
            settings,
            signing.email,
            passphrase=city.passphrase,
            custodians=custodians,
            now=beginning,
            cost=QUICK,
        )
        for custodian in custodians:
            custodian.close()
    with reading(engine) as session:
        official = session.exec(select(User).where(User.email == signing.email)).one()
    passphrase = settings.operations_passphrase.get_secret_value()
    keys = open_operations_keys(hierarchy, passphrase, clock.now)
    storage = open_settings_storage(settings)
    with open_signer(hierarchy, official, city.passphrase, clock.now()) as signer:
        play_cases(Stage(settings, engine, storage, keys, signer, city, people, now))
    _expire(engine, now)
    publish_revocation_lists(engine, hierarchy, passphrase, now)
    publish_status_lists(engine, keys.seal, settings.base_url, now)


def _expire(engine: Engine, now: datetime) -> None:
    """Run the daily job of each day after which a permit had expired."""
    with transaction(engine) as session:
        over = session.exec(select(Permit).where(col(Permit.valid_until) < city_date(now)))
        for day in sorted({permit.valid_until for permit in over if permit.valid_until}):
            expire_permits(session, start_of_day(day + timedelta(days=1)))


def _make_people(settings: Settings, engine: Engine, city: DemoCity, beginning: datetime) -> dict[str, Actor]:
    """Make every account as people do, and return the actors by the local part of their address."""
    first, *others = city.officers
    with transaction(engine) as session:
        create_administrator(session, first.email, first.full_name, city.password, beginning)
        administrator = _actor(session, first.email)
        for officer in others:
            _make_officer(session, settings, officer, administrator, city.password, beginning)
        for citizen in city.citizens:
            _make_citizen(session, settings, citizen, city.password, beginning)
        secret = read_secrets(settings.data_folder)["totp_secret"]
        keys = parse_wrapping_keys(settings.wrapping_keys.get_secret_value())
        for user in session.exec(select(User).where(User.kind == Kind.OFFICER)).all():
            enrol_totp_directly(session, user, secret, keys, beginning)
        everybody = [each.email for each in city.officers] + [each.email for each in city.citizens]
        return {email.partition("@")[0]: _actor(session, email) for email in everybody}


def _make_officer(
    session: Session,
    settings: Settings,
    officer: DemoOfficer,
    administrator: Actor,
    password: str,
    now: datetime,
) -> None:
    details = OfficerDetails(
        officer.full_name, officer.roles, officer.position, officer.rank, officer.nip, officer.agency
    )
    user = create_officer(session, administrator, officer.email, details, now)
    if SIGNING_ROLE in officer.roles:
        mandate = MandateDetails(Capacity.DEFINITIVE, officer.position, officer.basis, city_date(now))
        grant_mandate(session, user.id, mandate, actor=administrator, now=now)
    token = _token(session, settings, user, "reset-password")
    reset_password(session, token, password, settings.secret_key.get_secret_value(), now)


def _make_citizen(
    session: Session, settings: Settings, citizen: DemoCitizen, password: str, now: datetime
) -> None:
    name = str(sample_application(citizen.sample, city_date(now)).values["full_name"])
    register_citizen(session, Registration(name, citizen.email, password, consent=True), now)
    user = session.exec(select(User).where(User.email == citizen.email)).one()
    token = _token(session, settings, user, "confirm-email")
    confirm_email(session, token, settings.secret_key.get_secret_value(), now)


def _token(session: Session, settings: Settings, user: User, purpose: str) -> str:
    """Return the token of the link that the mail carries."""
    link = session.exec(
        select(OneTimeLink)
        .where(OneTimeLink.user_id == user.id, OneTimeLink.purpose == purpose)
        .order_by(col(OneTimeLink.created_at).desc())
    ).one()
    return link_token(link.id, purpose, settings.secret_key.get_secret_value())


def _actor(session: Session, email: str) -> Actor:
    return actor_of_user(session, session.exec(select(User).where(User.email == email)).one())
