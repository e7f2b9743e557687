"""A city on a real disk whose head can sign: what every benchmark begins with."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import cases
from factories import actor_of

from keys.software import SoftwareKeyStore
from keys.store import OpenKey
from service import jobs
from service.accounts.access import Actor
from service.applications.models import Application
from service.clock import now
from service.config import Settings
from service.database import open_engine, transaction, upgrade_database
from service.permits.compose import Printing
from service.permits.issue import Workshop
from service.permits.signer import open_operations_keys
from service.storage import open_storage


@dataclass(frozen=True)
class Place:
    """A migrated database, the keys, the people, and the settings a server would run with."""

    settings: Settings
    workshop: Workshop
    city: cases.City
    head: Actor
    signer: OpenKey
    key_store: SoftwareKeyStore

    def cases_to_sign(self, count: int) -> list[tuple[Application, str]]:
        """Bring applications to the signature; each with the digest of the preview its signer sees."""
        moment = now()
        with transaction(self.workshop.engine) as session:
            every = [cases.bring_to_signature(session, self.city, moment) for _ in range(count)]
        return [(case, cases.digest_shown(self.workshop, self.city, case, moment)) for case in every]


def settings_in(folder: Path) -> Settings:
    """Return the settings of a server whose data lie in a folder."""
    return Settings(
        _env_file=None,
        environment="test",
        data_folder=folder,
        secret_key="a-secret-of-the-benchmarks-0123456789",
        wrapping_keys="bench:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        operations_passphrase=cases.OPERATIONS_PASSPHRASE,
        runs_jobs=False,
        trusted_proxy_hops=1,
    )


def build(folder: Path) -> Place:
    """Build a city in an empty folder, on SQLite with every write synced, as an installation has it."""
    settings = settings_in(folder)
    began = now() - timedelta(days=1)
    key_store = cases.make_keys(settings.effective_keys_folder, began)
    engine = open_engine(settings.effective_database_url)
    upgrade_database(engine)
    jobs.prepare_database(settings.effective_database_url)
    with transaction(engine) as session:
        city = cases.make_city(session, began)
        head = actor_of(session, city.head)
    operations = open_operations_keys(key_store, cases.OPERATIONS_PASSPHRASE, now)
    storage = open_storage(settings.effective_storage_url)
    printing = Printing(settings.base_url, is_sample=True)
    workshop = Workshop(engine, storage, operations.timestamper, now, printing, seal=operations.seal)
    signer = key_store.open_key("official-head", cases.OFFICIAL_PASSPHRASE, now=now())
    return Place(settings, workshop, city, head, signer, key_store)
