"""An official who signs through a service outside: connected to it, at a desk of their own."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import cases
import outside
import pytest
from factories import actor_of
from outside_bsre import BsreServer
from outside_csc import CscServer
from sqlalchemy import Engine
from sqlmodel import col, select

from service.accounts.access import Actor
from service.accounts.models import BSRE, CSC, User
from service.applications.models import Application
from service.audit import AuditEvent, verify_chain
from service.config import Settings
from service.database import reading, transaction
from service.errors import ServiceError, translate_foreign
from service.permits.issue import finish_issuance, sign_application
from service.permits.models import DocumentVersion, Permit
from service.permits.register import current_version
from service.permits.sign import Workshop
from service.permits.signer import open_operations_keys, signing_as
from service.permits.workshop import workshop_of
from service.pki.enrol import connect_signer
from service.pki.publish import publish_revocation_lists
from service.pki.store import open_store
from service.storage import get_document, open_storage
from service.verification.sandbox import Sandbox
from service.verification.verify import Reader, Verification, verify_file

SIGN, STATUS = "/api/v2/sign/pdf", "/api/v2/user/check/status"
SIGN_HASH = "/csc/v2/signatures/signHash"
BEGINS = datetime.fromisoformat("2026-11-01T00:00:00+00:00")
SECONDS = 4
LATER = timedelta(minutes=1)
"""After every question to a service must have been answered."""


@dataclass
class Moment:
    """A clock that tests move on."""

    at: datetime

    def __call__(self) -> datetime:
        return self.at


def connected(
    settings: Settings, house: outside.House, now: datetime, server: outside.Server, **changes: Any
) -> Settings:
    """Settings of an installation that is connected to the server, with a short patience."""
    folder = house.write_trust(settings.data_folder.parent / "anchors", now)
    known: dict[str, Any] = {"outside_anchors": folder}
    if isinstance(server, BsreServer):
        known |= {"bsre_url": server.url, "bsre_user": server.user, "bsre_seconds": SECONDS}
        known |= {"bsre_password": type(settings.secret_key)(server.password)}
    if isinstance(server, CscServer):
        known |= {"csc_url": server.url, "csc_client_id": server.client_id, "csc_seconds": SECONDS}
        known |= {"csc_client_secret": type(settings.secret_key)(server.client_secret)}
    return settings.model_copy(update=known | changes)


@dataclass
class Desk:
    """A head of office who signs through a service outside, and a case that waits for it."""

    settings: Settings
    workshop: Workshop
    city: cases.City
    moment: Moment
    server: outside.Server

    @property
    def official(self) -> User:
        with reading(self.workshop.engine) as session:
            return session.get_one(User, self.city.head.id)

    @property
    def head(self) -> Actor:
        with reading(self.workshop.engine) as session:
            return actor_of(session, self.city.head)

    def case(self) -> Application:
        with transaction(self.workshop.engine) as session:
            return cases.bring_to_signature(session, self.city, self.moment())

    def digest(self, case: Application) -> str:
        return cases.digest_shown(self.workshop, self.city, case, self.moment())

    def sign(self, case: Application, passphrase: str = outside.PASSPHRASE) -> Permit:
        digest = self.digest(case)
        with signing_as(self.official, passphrase, settings=self.settings, now=self.moment()) as signer:
            return sign_application(
                self.workshop, case.id, actor=self.head, signer=signer, seen_digest=digest
            )

    def finish(self, permit: Permit, passphrase: str = outside.PASSPHRASE) -> Permit:
        with signing_as(self.official, passphrase, settings=self.settings, now=self.moment()) as signer:
            return finish_issuance(self.workshop, permit.id, actor=self.head, signer=signer)

    def permit(self) -> Permit:
        with reading(self.workshop.engine) as session:
            return session.exec(select(Permit)).one()

    def versions(self) -> list[DocumentVersion]:
        with reading(self.workshop.engine) as session:
            return list(session.exec(select(DocumentVersion)))

    def trail(self) -> list[tuple[str, dict[str, Any]]]:
        """What the audit trail says of signing."""
        with reading(self.workshop.engine) as session:
            assert verify_chain(session) > 0
            events = session.exec(select(AuditEvent).order_by(col(AuditEvent.number))).all()
            return [(each.action, each.data) for each in events if each.action.startswith("sign")]

    def verify(self, pdf: bytes, at: datetime) -> Verification:
        sandbox = Sandbox(self.settings.effective_keys_folder, self.settings.outside_anchors, seconds=30)
        try:
            with reading(self.workshop.engine) as session:
                return verify_file(session, sandbox, pdf, now=at, reader=Reader("id", "https://x.invalid"))
        finally:
            sandbox.close()

    def document(self) -> bytes:
        with reading(self.workshop.engine) as session:
            permit = session.exec(select(Permit)).one()
            return get_document(self.workshop.storage, current_version(session, permit).sha256)


def desk_of(
    server: outside.Server,
    settings: Settings,
    city: cases.City,
    engine: Engine,
    moment: Moment,
    name: str = outside.HOLDER,
) -> Desk:
    service = BSRE if isinstance(server, BsreServer) else CSC
    identity = outside.NIK if service == BSRE else "KREDENSIAL-CONTOH-1"
    with transaction(engine) as session:
        connect_signer(
            session,
            settings,
            city.head.email,
            service=service,
            identity=identity,
            certificate_name=name,
            now=moment(),
        )
    passphrase = settings.operations_passphrase.get_secret_value()
    keys = open_operations_keys(open_store(settings), passphrase, moment)
    storage = open_storage(settings.effective_storage_url)
    workshop = replace(workshop_of(settings, engine, storage, keys, None), clock=moment)
    publish_revocation_lists(engine, open_store(settings), passphrase, moment())
    return Desk(settings, workshop, city, moment, server)


def refusal_of(act: Callable[[], object]) -> str:
    """Do what is refused, and return the code that the official is told, with sentences in both languages."""
    with pytest.raises(Exception) as failure:  # noqa: PT011 - its code is returned
        act()
    return code_of(failure.value)


def code_of(failure: BaseException) -> str:
    """The code that the official's refusal carries, with sentences in both languages."""
    assert isinstance(failure, Exception)
    refusal = failure if isinstance(failure, ServiceError) else translate_foreign(failure)
    assert refusal is not None
    assert refusal.message("id") != refusal.message("en")
    return refusal.code
