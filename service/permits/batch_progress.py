"""How far a batch has come: what became of each file, read from its permit, and what is left."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, or_
from sqlmodel import Session, col, select

from service.applications.models import Application
from service.catalogue.format import Bilingual
from service.catalogue.models import get_revision
from service.permits.models import DocumentVersion, Permit, SignBatchItem, Status


class FileState(StrEnum):
    """Where a file of a batch stands."""

    WAITING = "waiting"
    SIGNED = "signed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Progress:
    """How many files of a batch stand where; `resumable` are those that a further run would try."""

    total: int
    signed: int
    failed: int
    waiting: int
    resumable: int

    @property
    def settled(self) -> int:
        return self.signed + self.failed

    @property
    def percent(self) -> int:
        return 100 * self.settled // self.total if self.total else 0


@dataclass(frozen=True, slots=True)
class BatchFile:
    """One file of a batch as it is shown."""

    item: SignBatchItem
    state: FileState
    receipt_number: str
    holder_name: str
    title: Bilingual
    number: str | None
    """The number taken, also when the file failed after that."""
    signed_at: datetime | None

    def failure(self, language: str) -> str:
        return self.item.failure_en if language == "en" else self.item.failure_id


def count_files(session: Session, batch_id: uuid.UUID) -> Progress:
    """Count a batch's files by where they stand."""
    state, resumable = _file_state(), func.sum(case((_is_resumable(), 1), else_=0))
    statement = (
        select(state, func.count(), resumable)
        .select_from(SignBatchItem)
        .outerjoin(Permit, col(Permit.id) == col(SignBatchItem.permit_id))
        .where(SignBatchItem.batch_id == batch_id)
        .group_by(state)
    )
    counts, left = dict.fromkeys(FileState, 0), 0
    for stands, number, again in session.exec(statement):
        counts[FileState(stands)] = number
        left += again
    return Progress(
        sum(counts.values()),
        counts[FileState.SIGNED],
        counts[FileState.FAILED],
        counts[FileState.WAITING],
        left,
    )


def read_files(
    session: Session, batch_id: uuid.UUID, *, offset: int = 0, limit: int | None = None
) -> list[BatchFile]:
    """Return a batch's files: those that failed first, then in the list's order."""
    state = _file_state()
    # Columns, not rows: a permit's document and an applicant's answers are not read for a thousand files.
    statement: Any = (
        select(SignBatchItem, state)
        .add_columns(
            col(Application.receipt_number),
            col(Application.holder_name),
            col(Application.revision_id),
            col(Permit.number),
            col(DocumentVersion.signed_at),
        )
        .join(Application, col(Application.id) == col(SignBatchItem.application_id))
        .outerjoin(Permit, col(Permit.id) == col(SignBatchItem.permit_id))
        .outerjoin(
            DocumentVersion,
            and_(col(DocumentVersion.permit_id) == col(Permit.id), col(DocumentVersion.version) == 1),
        )
        .where(col(SignBatchItem.batch_id) == batch_id)
        .order_by(case((state == FileState.FAILED.value, 0), else_=1), col(SignBatchItem.position))
        .offset(offset)
        .limit(limit)
    )
    return [
        BatchFile(
            item,
            FileState(stands),
            receipt_number or "",
            holder_name,
            get_revision(session, revision_id).permit_type.title,
            number,
            signed_at,
        )
        for item, stands, receipt_number, holder_name, revision_id, number, signed_at in session.exec(
            statement
        )
    ]


def positions_left(session: Session, batch_id: uuid.UUID) -> list[int]:
    """Return the places of the files that a run would try, in the list's order."""
    statement = (
        select(SignBatchItem.position)
        .outerjoin(Permit, col(Permit.id) == col(SignBatchItem.permit_id))
        .where(SignBatchItem.batch_id == batch_id, _is_resumable())
        .order_by(col(SignBatchItem.position))
    )
    return list(session.exec(statement))


def _file_state() -> ColumnElement[str]:
    """Where an item stands, its permit joined: the permit's own status tells what was signed."""
    return case(
        (and_(col(Permit.id).is_not(None), col(Permit.status) != Status.ISSUING), FileState.SIGNED.value),
        (col(SignBatchItem.failure).is_not(None), FileState.FAILED.value),
        else_=FileState.WAITING.value,
    )


def _is_resumable() -> ColumnElement[bool]:
    """Not signed, and waiting, failed by a fault of ours, or holding a number that must be finished."""
    return or_(
        col(Permit.status) == Status.ISSUING,
        and_(
            col(Permit.id).is_(None),
            or_(col(SignBatchItem.failure).is_(None), col(SignBatchItem.is_ours)),
        ),
    )
