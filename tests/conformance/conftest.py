"""Documents of every kind, signed and extended as the service does it."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from pki import NOW, throwaway_pki
from specimens import specimen_documents
from sqlmodel import Session

from keys.revocation import build_crl
from keys.store import OpenKey
from keys.timestamp import local_timestamper
from service.database import open_engine
from signing.document import PermitDocument
from signing.extend import add_archive_timestamp, extend_to_lt
from signing.render import render_document
from signing.sign import sign_document

PKI = throwaway_pki()


@pytest.fixture(scope="session")
def specimens(new_database: Callable[[], str]) -> dict[str, PermitDocument]:
    """A document of each permit type and a rejection letter, by name."""
    engine = open_engine(new_database())
    with Session(engine) as session:
        documents = specimen_documents(session, NOW)
    engine.dispose()
    return documents


@pytest.fixture(scope="session")
def levels() -> Callable[[PermitDocument], dict[str, bytes]]:
    """Give the function that renders a document and brings it to each level of PAdES."""
    return _levels


def _levels(document: PermitDocument) -> dict[str, bytes]:
    signed = sign_document(
        render_document(document),
        PKI.official,
        signed_at=NOW,
        timestamper=local_timestamper(PKI.tsa, lambda: NOW),
        reason=f"{document.title} {document.number}",
        location=document.place,
    )
    certificates = [key.certificate for key in (PKI.official, PKI.tsa, PKI.issuing)]
    crls = [_fresh_list(authority, NOW) for authority in (PKI.issuing, PKI.root)]
    lasting = extend_to_lt(signed, certificates=certificates, crls=crls)
    later = local_timestamper(PKI.tsa, lambda: NOW + timedelta(hours=1))
    return {"B-T": signed, "B-LT": lasting, "B-LTA": add_archive_timestamp(lasting, timestamper=later)}


def _fresh_list(authority: OpenKey, moment: datetime) -> bytes:
    return build_crl(authority, (), number=1, this_update=moment, next_update=moment + timedelta(days=1))
