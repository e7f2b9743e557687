"""A register filled with permits that look like the one really issued."""

import hashlib
import uuid
from typing import Any

import cases
from place import Place
from sqlalchemy import insert
from sqlmodel import select

from service.applications.models import Application
from service.clock import now
from service.database import reading, transaction
from service.permits.extend import extend_document
from service.permits.issue import sign_application
from service.permits.models import DocumentVersion, Permit, StatusChange
from service.permits.numbering import new_public_code
from service.pki.publish import publish_revocation_lists
from service.storage import get_document

AT_ONCE = 5000


def issue_one(place: Place) -> bytes:
    """Issue a permit, archive it, and return its document (B-LTA)."""
    ((case, digest),) = place.cases_to_sign(1)
    permit = sign_application(
        place.workshop, case.id, actor=place.head, signer=place.signer, seen_digest=digest
    )
    publish_revocation_lists(place.workshop.engine, place.key_store, cases.OPERATIONS_PASSPHRASE, now())
    tsa = place.key_store.open_key("tsa", cases.OPERATIONS_PASSPHRASE, now=now())
    archived = extend_document(place.workshop, permit.id, tsa=tsa)
    assert archived is not None
    return get_document(place.workshop.storage, archived.sha256)


def fill(place: Place, count: int, *, already: int = 0) -> list[str]:
    """Add copies of a permit of the register until there are `count`, and return the codes of the new ones.

    They have no frozen document, which no look-up reads: a million would take gigabytes.
    """
    with reading(place.workshop.engine) as session:
        permit = session.exec(select(Permit)).first()
        assert permit is not None
        versions = select(DocumentVersion).where(DocumentVersion.permit_id == permit.id)
        version = session.exec(versions.where(DocumentVersion.version == 1)).one()
        change = session.exec(select(StatusChange).where(StatusChange.permit_id == permit.id)).one()
        application = session.get_one(Application, permit.application_id)
    originals = (application, permit, version, change)
    values = [original.model_dump() for original in originals]
    codes: list[str] = []
    for start in range(already, count, AT_ONCE):
        copies = [_copy(values, number) for number in range(start, min(start + AT_ONCE, count))]
        with transaction(place.workshop.engine) as session:
            for original, rows in zip(originals, zip(*copies, strict=True), strict=True):
                session.connection().execute(insert(type(original)), list(rows))
        codes += [rows[1]["code"] for rows in copies]
    return codes


def _copy(originals: list[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    application, permit, version, change = map(dict, originals)
    application |= {"id": uuid.uuid4(), "receipt_number": f"B-{number}"}
    sequence = 1_000_000 + number
    permit |= {
        "id": uuid.uuid4(),
        "application_id": application["id"],
        "sequence": sequence,
        "number": f"500.16.7.2/{sequence}/SIP-TK/XI/2026",
        "code": new_public_code(),
        "status_index": None,
        "document": {},
    }
    version |= {
        "id": uuid.uuid4(),
        "permit_id": permit["id"],
        "sha256": hashlib.sha256(b"%d" % number).hexdigest(),
        "fingerprint": hashlib.sha256(b"signature %d" % number).hexdigest(),
        "log_index": None,
    }
    change |= {"id": uuid.uuid4(), "permit_id": permit["id"], "log_index": None}
    return [application, permit, version, change]
