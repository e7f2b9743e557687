"""An official at work in a process of their own, for the tests that let such a process come to grief."""

import os
from dataclasses import dataclass
from pathlib import Path

import cases
from factories import actor_of
from sqlmodel import select

from keys.software import SoftwareKeyStore
from keys.store import OpenKey
from service import clock
from service.accounts.access import Actor
from service.accounts.models import User
from service.applications.models import Application
from service.database import open_engine, reading
from service.permits.compose import Printing
from service.permits.issue import Workshop, finish_issuance, sign_application, unfinished_issuances
from service.permits.signer import open_operations_keys
from service.storage import open_storage

PRINTING = Printing("https://izin.contoh.invalid", is_sample=True)


@dataclass
class Desk:
    """What the official needs: opened keys, and the way to register and storage."""

    workshop: Workshop
    city: cases.City
    head: Actor
    signer: OpenKey


def open_desk(database: str, storage: str, keys: Path) -> Desk:
    """Open a desk for the head of office on addresses of a database and a storage."""
    engine = open_engine(database)
    operations = open_operations_keys(SoftwareKeyStore(keys), cases.OPERATIONS_PASSPHRASE, clock.now)
    workshop = Workshop(engine, open_storage(storage), operations.timestamper, clock.now, PRINTING)
    signer = SoftwareKeyStore(keys).open_key("official-head", cases.OFFICIAL_PASSPHRASE, now=clock.now())
    with reading(engine) as session:
        user = session.exec(select(User).where(User.key_name == "official-head")).one()
        city = cases.City(user, {}, user, cases.find_permit_type(session, cases.SLUG).permit_type)
        return Desk(workshop, city, actor_of(session, user), signer)


def issue(desk: Desk, at_most: int) -> None:
    """Finish what is `issuing`, telling so, then sign cases that wait, up to a number."""
    with reading(desk.workshop.engine) as session:
        unfinished = [permit.id for permit in unfinished_issuances(session, desk.head)]
        waiting = session.exec(
            select(Application).where(Application.state == "under_review").limit(at_most)
        ).all()
    if unfinished:
        os.write(1, b"resumed\n")
    for permit_id in unfinished:
        finish_issuance(desk.workshop, permit_id, actor=desk.head, signer=desk.signer)
    for case in waiting:
        digest = cases.digest_shown(desk.workshop, desk.city, case, clock.now())
        sign_application(desk.workshop, case.id, actor=desk.head, signer=desk.signer, seen_digest=digest)
