"""What interrupted work left in the storage is swept; whatever may still be needed is not."""

from dataclasses import replace
from datetime import datetime, timedelta

import cases
import obstore
import pytest
from sqlalchemy import update
from sqlmodel import delete, select

from keys.software import SoftwareKeyStore
from service import clock
from service.applications.models import Upload
from service.database import reading, transaction
from service.permits.issue import Workshop
from service.permits.models import DocumentVersion, Permit, StatusChange
from service.permits.sweep import SPARED, Swept, sweep_storage
from service.storage import UNFINISHED, Storage, list_written_before, put_document, put_upload

KEYS = {"2026": bytes(range(32))}


def later() -> datetime:
    """When nothing is spared any more of what a test has just written."""
    return clock.now() + SPARED + timedelta(minutes=1)


def names_in(storage: Storage) -> set[str]:
    return {each.name for portion in list_written_before(storage, later()) for each in portion}


@pytest.fixture
def workshop(workshop: Workshop, storage: Storage) -> Workshop:
    return replace(workshop, storage=storage)


@pytest.fixture
def issued(workshop: Workshop, city: cases.City, key_store: SoftwareKeyStore, now: datetime) -> cases.Issued:
    with transaction(workshop.engine) as session:
        case = cases.bring_to_signature(session, city, now)
    signer = key_store.open_key("official-head", cases.OFFICIAL_PASSPHRASE, now=now)
    return cases.issue_case(workshop, city, case, signer, now)


def sweep(workshop: Workshop, *, registered_at: datetime | None = None) -> Swept:
    if registered_at:
        with transaction(workshop.engine) as session:
            session.execute(update(DocumentVersion).values(registered_at=registered_at))
    return sweep_storage(workshop.engine, workshop.storage, later())


def test_a_document_that_no_row_names_is_swept_once_a_later_one_is_registered(
    workshop: Workshop, issued: cases.Issued
) -> None:
    leftover = put_document(workshop.storage, issued.pdf + b"\n")
    hour = timedelta(hours=1)
    assert sweep(workshop, registered_at=clock.now() - hour) == Swept(deleted=0, left=1)
    assert sweep(workshop, registered_at=clock.now() + hour) == Swept(deleted=1, left=0)
    with reading(workshop.engine) as session:
        registered = session.exec(select(DocumentVersion.sha256)).one()
    assert names_in(workshop.storage) == {registered} != {leftover}


def test_documents_that_an_old_backup_does_not_know_are_left(
    workshop: Workshop, issued: cases.Issued
) -> None:
    put_document(workshop.storage, b"%PDF-1.7 of nobody")
    with transaction(workshop.engine) as session:
        for table in (StatusChange, DocumentVersion, Permit):
            session.execute(delete(table))
    before = names_in(workshop.storage)
    assert sweep(workshop) == Swept(deleted=0, left=2)
    assert names_in(workshop.storage) == before


def test_uploads_that_no_row_can_open_are_swept(workshop: Workshop, city: cases.City, now: datetime) -> None:
    kept, removed, _unnamed = (put_upload(workshop.storage, b"berkas", KEYS) for _ in range(3))
    with transaction(workshop.engine) as session:
        application = cases.draft_case(session, city, now)
        for stored, key in ((kept, kept.wrapped_key), (removed, "")):
            row = Upload(
                application_id=application.id,
                requirement="photo",
                filename="foto.jpg",
                media_type="image/jpeg",
                size=stored.size,
                sha256=stored.sha256,
                object_name=stored.name,
                wrapped_key=key,
                uploaded_by=city.citizen.id,
                uploaded_at=now,
            )
            session.add(row)
    assert sweep(workshop) == Swept(deleted=2, left=0)
    assert names_in(workshop.storage) == {kept.name}


def test_files_that_were_never_finished_are_swept_and_names_of_others_are_not(workshop: Workshop) -> None:
    for folder in ("documents", "uploads"):
        for name in (f"{UNFINISHED}a_1", "catatan.txt"):
            obstore.put(workshop.storage.store, f"{folder}/{name}", b"%PDF")
    assert sweep(workshop) == Swept(deleted=2, left=0)
    assert names_in(workshop.storage) == {"catatan.txt"}


def test_what_is_younger_than_a_day_is_left(workshop: Workshop) -> None:
    upload = put_upload(workshop.storage, b"berkas", KEYS)
    moment = clock.now() + SPARED - timedelta(minutes=1)
    assert sweep_storage(workshop.engine, workshop.storage, moment) == Swept(deleted=0, left=0)
    assert names_in(workshop.storage) == {upload.name}
