"""Sweeping out of the storage what interrupted work left there and no row names.

A document that no row names is no waste as such: after an old backup was restored, such files are what the
lost permits are found by. Only one that a later version of its permit has replaced is swept.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Engine
from sqlmodel import Session, col, select

from service.applications.models import Upload
from service.database import reading
from service.permits.models import DocumentVersion, Permit
from service.storage import (
    DOCUMENTS,
    UNFINISHED,
    ObjectMissing,
    Storage,
    StorageCorrupted,
    Stored,
    delete_stored,
    get_document,
    list_written_before,
)
from signing.provenance import find_clues

SPARED = timedelta(days=1)
"""What was written so lately is left alone: its row may be on its way."""
_OURS = re.compile(rf"[0-9a-f]{{64}}|[0-9a-f]{{32}}|{re.escape(UNFINISHED)}\w+")
"""Names that the service gives; whatever else lies there is somebody's."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Swept:
    """How many files were deleted, and how many documents were left that no row names."""

    deleted: int
    left: int


def sweep_storage(engine: Engine, storage: Storage, now: datetime) -> Swept:
    """Delete what is older than a day and was never finished, or is needed by no row. A daily job.

    Raises StorageUnavailable, and is tried again then.
    """
    deleted = left = 0
    for portion in list_written_before(storage, now - SPARED):
        with reading(engine) as session:
            unnamed = _unnamed(session, portion)
            waste = [each for each in unnamed if _is_waste(session, storage, each)]
        for each in waste:
            delete_stored(storage, each)
        deleted += len(waste)
        left += len(unnamed) - len(waste)
    log.info("storage_swept", deleted=deleted, left=left)
    return Swept(deleted, left)


def _unnamed(session: Session, portion: Sequence[Stored]) -> list[Stored]:
    names = [each.name for each in portion]
    documents = select(DocumentVersion.sha256).where(col(DocumentVersion.sha256).in_(names))
    # A removed upload's row keeps the name, but has no key any more that opens it.
    uploads = select(Upload.object_name).where(col(Upload.object_name).in_(names), Upload.wrapped_key != "")
    named = {*session.exec(documents), *session.exec(uploads)}
    return [each for each in portion if each.name not in named and _OURS.fullmatch(each.name)]


def _is_waste(session: Session, storage: Storage, stored: Stored) -> bool:
    if stored.folder != DOCUMENTS or stored.name.startswith(UNFINISHED):
        return True
    try:
        code = find_clues(get_document(storage, stored.name)).code
    except (ObjectMissing, StorageCorrupted):
        return False
    replaced = (
        select(DocumentVersion.id)
        .join(Permit, col(Permit.id) == col(DocumentVersion.permit_id))
        .where(Permit.code == code, col(DocumentVersion.registered_at) > stored.written_at)
    )
    return session.exec(replaced).first() is not None
