"""Batches: an official selects files, sees the list of their digests, and signs them with one passphrase.

A batch is written down before anything is signed; what became of a file follows from its permit. The run
that signs names itself in the batch's row: a run that finds another name there ends after its current
file. So a batch can be stopped, and taken up again after a crash, from any process, and nothing is signed
twice: every file goes the way of `issue.sign_application`.
"""

import hashlib
import hmac
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import delete
from sqlmodel import Session, col, select

from service.accounts.access import Actor
from service.accounts.models import User
from service.audit import record_event
from service.errors import Conflict, FieldProblem, InvalidInput, NotFound, ServiceError
from service.permits.batch_progress import Progress, count_files
from service.permits.desk import DeskFile
from service.permits.models import SignBatch, SignBatchItem

MAX_FILES = 1000
LEASE = timedelta(seconds=30)
"""A run that has given no sign of life for so long is over: its process died."""


class BatchState(StrEnum):
    """Where a batch stands; only a selection can be changed, only an interrupted one resumed."""

    SELECTION = "selection"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    ENDED = "ended"


class BatchNotFound(NotFound):
    code = "batch_not_found"
    message_id = "Kelompok berkas ini tidak ditemukan. Pilih berkasnya lagi dari daftar."
    message_en = "This batch was not found. Select its files from the list again."


class BatchChanged(Conflict):
    code = "batch_changed"
    message_id = (
        "Daftar berkasnya sudah berbeda dari yang Anda lihat. Tidak ada yang ditandatangani; "
        "periksa daftarnya sekali lagi."
    )
    message_en = "The list is no longer the one you saw. Nothing was signed; look at the list once more."


class BatchRunning(Conflict):
    """One batch at a time for each official."""

    code = "batch_running"
    message_id = "Masih ada kelompok berkas Anda yang sedang ditandatangani. Tunggu sampai selesai."
    message_en = "A batch of yours is still being signed. Wait until it is done."


class BatchEnded(Conflict):
    code = "batch_ended"
    message_id = "Tidak ada lagi yang dapat ditandatangani dalam kelompok berkas ini."
    message_en = "Nothing is left to be signed in this batch."


def digest_of_list(files: Sequence[tuple[uuid.UUID, str]]) -> str:
    """SHA-256 (hex) over the list: a line for each file, its application's id, a space and its digest."""
    lines = "".join(f"{application_id} {digest}\n" for application_id, digest in files)
    return hashlib.sha256(lines.encode()).hexdigest()


# Selecting ------------------------------------------------------------------------------------


def select_files(session: Session, files: Sequence[DeskFile], *, actor: Actor, now: datetime) -> SignBatch:
    """Write down the files an official selected, in place of a selection never begun.

    Raises InvalidInput for none, for more than 1,000, or for one named twice.
    """
    if not files:
        raise _not_selectable("Pilih sedikitnya satu berkas.", "Select at least one file.")
    if len(files) > MAX_FILES:
        raise _not_selectable(
            f"Paling banyak {MAX_FILES} berkas sekali jalan.", f"At most {MAX_FILES} files at a time."
        )
    if len({file.application_id for file in files}) < len(files):
        raise _not_selectable("Ada berkas yang disebut dua kali.", "A file is named twice.")
    _forget_selections(session, actor)
    batch = SignBatch(official_id=actor.id, created_at=now)
    session.add(batch)
    session.flush()
    for position, file in enumerate(files, 1):
        session.add(
            SignBatchItem(
                batch_id=batch.id,
                position=position,
                application_id=file.application_id,
                kind=file.kind,
                digest=file.digest,
            )
        )
    batch.list_digest = digest_of_list([(file.application_id, file.digest) for file in files])
    session.flush()
    return batch


def leave_out(session: Session, batch_id: uuid.UUID, position: int, *, actor: Actor) -> SignBatch:
    """Take a file out of a selection. Raises BatchChanged once it was begun."""
    batch = find_batch(session, batch_id, actor=actor, lock=True)
    if batch.begun_at is not None:
        raise BatchChanged
    listed = session.get(SignBatchItem, (batch_id, position))
    if listed is not None:
        session.delete(listed)
    session.flush()
    batch.list_digest = digest_of_list(_list_of(session, batch_id))
    session.add(batch)
    session.flush()
    return batch


def _not_selectable(message_id: str, message_en: str) -> InvalidInput:
    return InvalidInput(problems=[FieldProblem("files", "not_selectable", message_id, message_en)])


def _forget_selections(session: Session, actor: Actor) -> None:
    old = select(SignBatch).where(SignBatch.official_id == actor.id, col(SignBatch.begun_at).is_(None))
    for batch in session.exec(old):
        session.exec(delete(SignBatchItem).where(col(SignBatchItem.batch_id) == batch.id))
        session.delete(batch)
    session.flush()


def _list_of(session: Session, batch_id: uuid.UUID) -> list[tuple[uuid.UUID, str]]:
    statement = select(SignBatchItem.application_id, SignBatchItem.digest)
    found = session.exec(
        statement.where(SignBatchItem.batch_id == batch_id).order_by(col(SignBatchItem.position))
    )
    return list(found)


# Running --------------------------------------------------------------------------------------


def begin_run(
    session: Session, batch_id: uuid.UUID, *, actor: Actor, now: datetime, seen_digest: str
) -> uuid.UUID:
    """Begin a batch or take up an interrupted one; return the id of the run that signs it.

    Raises BatchNotFound, BatchChanged when the list is not the one with `seen_digest`, BatchRunning while
    a batch of this official is being signed, and BatchEnded when nothing is left.
    """
    # Locks out a second batch of the same official that begins at the same time, but no file being signed:
    # its permit refers to the account, which a full lock would keep it from.
    session.exec(select(User.id).where(User.id == actor.id).with_for_update(key_share=True)).one()
    batch = find_batch(session, batch_id, actor=actor, lock=True)
    mine = session.exec(select(SignBatch).where(SignBatch.official_id == actor.id))
    if any(is_running(other, now) for other in mine):
        raise BatchRunning
    listed = digest_of_list(_list_of(session, batch_id))
    if not hmac.compare_digest(listed.encode(), seen_digest.encode()):
        raise BatchChanged
    left = count_files(session, batch_id).resumable
    if not left:
        raise BatchEnded
    resumed = batch.begun_at is not None
    batch.begun_at = batch.begun_at or now
    batch.run_id, batch.run_seen_at = uuid.uuid4(), now
    session.add(batch)
    session.flush()
    _record(session, batch, "sign_batch_begun", actor, now, files=left, digest=listed, resumed=resumed)
    return batch.run_id


def stop_batch(session: Session, batch_id: uuid.UUID, *, actor: Actor) -> SignBatch:
    """Let no further file of a batch be signed; the current one is finished. Raises BatchNotFound."""
    batch = find_batch(session, batch_id, actor=actor, lock=True)
    batch.run_id = None
    session.add(batch)
    session.flush()
    return batch


def keep_alive(session: Session, batch_id: uuid.UUID, run_id: uuid.UUID, *, now: datetime) -> None:
    """Give a sign of life of a run that is still the batch's."""
    batch = session.exec(select(SignBatch).where(SignBatch.id == batch_id).with_for_update()).one()
    if batch.run_id == run_id:
        batch.run_seen_at = now
        session.add(batch)


def end_run(session: Session, batch_id: uuid.UUID, run_id: uuid.UUID, *, actor: Actor, now: datetime) -> None:
    """Let the batch go and record how far it came; also that of a run which was stopped."""
    batch = session.exec(select(SignBatch).where(SignBatch.id == batch_id).with_for_update()).one()
    if batch.run_id == run_id:
        batch.run_id = None
        session.add(batch)
    count = count_files(session, batch_id)
    _record(
        session,
        batch,
        "sign_batch_ended",
        actor,
        now,
        signed=count.signed,
        failed=count.failed,
        waiting=count.waiting,
    )


def note_failure(session: Session, batch_id: uuid.UUID, position: int, refusal: ServiceError) -> None:
    """Write down why a file was not signed, for the official to read."""
    item = session.get_one(SignBatchItem, (batch_id, position))
    item.failure = refusal.code
    item.failure_id, item.failure_en = refusal.message("id")[:1000], refusal.message("en")[:1000]
    item.is_ours = refusal.status >= 500 or refusal.code == Conflict.code
    session.add(item)


# Reading --------------------------------------------------------------------------------------


def find_batch(session: Session, batch_id: uuid.UUID, *, actor: Actor, lock: bool = False) -> SignBatch:
    """Return one of the official's own batches. Raises BatchNotFound for anybody else's too."""
    statement = select(SignBatch).where(SignBatch.id == batch_id, SignBatch.official_id == actor.id)
    batch = session.exec(statement.with_for_update() if lock else statement).first()
    if batch is None:
        raise BatchNotFound
    return batch


def batches_of(session: Session, actor: Actor, limit: int = 5) -> list[SignBatch]:
    """Return the batches that the official began, the latest first."""
    statement = select(SignBatch).where(
        SignBatch.official_id == actor.id, col(SignBatch.begun_at).is_not(None)
    )
    return list(session.exec(statement.order_by(col(SignBatch.begun_at).desc()).limit(limit)))


def is_running(batch: SignBatch, now: datetime) -> bool:
    """Tell whether a run is at work, as far as its signs of life say."""
    return batch.run_id is not None and batch.run_seen_at is not None and now - batch.run_seen_at < LEASE


def batch_state(batch: SignBatch, count: Progress, now: datetime) -> BatchState:
    """Tell where a batch stands."""
    if batch.begun_at is None:
        return BatchState.SELECTION
    if is_running(batch, now):
        return BatchState.RUNNING
    return BatchState.INTERRUPTED if count.resumable else BatchState.ENDED


def _record(
    session: Session, batch: SignBatch, action: str, actor: Actor, now: datetime, **data: object
) -> None:
    record_event(
        session,
        action=action,
        subject_type="sign_batch",
        subject_id=batch.id,
        actor_id=actor.user_id,
        actor_name=actor.full_name,
        actor_role=actor.role_for_audit,
        now=now,
        data=data,
    )
