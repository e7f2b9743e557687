"""Batches for programmes: sign up to 1,000 cases with one passphrase, and follow how far they came."""

import uuid
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from sqlmodel import Session

from service.accounts.access import Actor, allow, roles
from service.accounts.models import User
from service.clock import now
from service.database import SessionDep, reading, transaction
from service.errors import refusals
from service.permits.batch import (
    MAX_FILES,
    BatchState,
    batch_state,
    find_batch,
    select_files,
    stop_batch,
)
from service.permits.batch_progress import BatchFile, FileState, count_files, read_files
from service.permits.batch_run import RunsDep
from service.permits.desk import name_files
from service.permits.signer import signing_as
from service.permits.workshop import WorkshopDep
from service.web import SettingsDep, language_of

router = APIRouter(prefix="/api/v1/sign-batches", tags=["permits"])
Signer = Annotated[Actor, allow(roles("department_head", scope="sign"))]


class OrderedFile(BaseModel):
    """One case, with the digest of the document that the official saw."""

    application_id: uuid.UUID
    digest: str = Field(max_length=64)


class BatchOrder(BaseModel):
    """The passphrase opens the official's key for this batch alone; it is never stored."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "files": [
                        {"application_id": "7f9c24e8-3b1a-4d35-9d4e-0c6f2a6d1b11", "digest": "9f86d0…"}
                    ],
                    "passphrase": "frasa sandi pejabat",
                }
            ]
        }
    )

    files: list[OrderedFile] = Field(min_length=1, max_length=MAX_FILES)
    passphrase: SecretStr = Field(max_length=1024)


class ResumeOrder(BaseModel):
    """The passphrase again: the key is gone with the run that held it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"passphrase": "frasa sandi pejabat"}]})

    passphrase: SecretStr = Field(max_length=1024)


class FileOutcome(BaseModel):
    """What became of one case. `number` is taken for good once it is there, also by a file that failed."""

    application_id: uuid.UUID
    receipt_number: str
    kind: str
    digest: str
    state: FileState
    number: str | None
    signed_at: datetime | None
    failure: str | None
    """A code of the table of errors."""
    failure_detail: str | None


class BatchSummary(BaseModel):
    """A batch: how many files stand where, and each of them, the failed ones first."""

    id: uuid.UUID
    state: BatchState
    list_digest: str
    begun_at: datetime | None
    total: int
    signed: int
    failed: int
    waiting: int
    files: list[FileOutcome]


@router.post("", status_code=201, summary="Sign a batch of cases", responses=refusals(409, 503))
def order_batch(
    request: Request,
    order: BatchOrder,
    actor: Signer,
    workshop: WorkshopDep,
    settings: SettingsDep,
    runs: RunsDep,
) -> BatchSummary:
    """Begins to sign each file on its own, in the background; read the batch to follow it."""
    ordered = [(file.application_id, file.digest) for file in order.files]
    with reading(workshop.engine) as session:
        files = name_files(session, ordered)
        official = session.get_one(User, actor.id)
    # The key first: nothing is written down for a wrong passphrase.
    passphrase = order.passphrase.get_secret_value()
    signer = signing_as(official, passphrase, settings=settings, now=now())
    try:
        with transaction(workshop.engine) as session:
            batch = select_files(session, files, actor=actor, now=now())
    except BaseException:
        signer.close()
        raise
    runs.start(workshop, batch.id, actor=actor, signer=signer, seen_digest=batch.list_digest)
    with reading(workshop.engine) as session:
        return _summary(session, batch.id, actor, language_of(request))


@router.get("/{batch_id}", summary="Read a batch")
def read_batch(request: Request, batch_id: uuid.UUID, actor: Signer, session: SessionDep) -> BatchSummary:
    """How far it has come, and what became of each file."""
    return _summary(session, batch_id, actor, language_of(request))


@router.post("/{batch_id}/run", summary="Resume a batch", responses=refusals(409, 503))
def resume_batch(
    request: Request,
    batch_id: uuid.UUID,
    order: ResumeOrder,
    actor: Signer,
    workshop: WorkshopDep,
    settings: SettingsDep,
    runs: RunsDep,
) -> BatchSummary:
    """Signs what was left when it was stopped or interrupted, and what failed by a fault of the service."""
    with reading(workshop.engine) as session:
        batch = find_batch(session, batch_id, actor=actor)
        official = session.get_one(User, actor.id)
    passphrase = order.passphrase.get_secret_value()
    signer = signing_as(official, passphrase, settings=settings, now=now())
    runs.start(workshop, batch_id, actor=actor, signer=signer, seen_digest=batch.list_digest)
    with reading(workshop.engine) as session:
        return _summary(session, batch_id, actor, language_of(request))


@router.post("/{batch_id}/stop", summary="Stop a batch")
def stop(request: Request, batch_id: uuid.UUID, actor: Signer, session: SessionDep) -> BatchSummary:
    """Finishes the files at hand and signs no more."""
    stop_batch(session, batch_id, actor=actor)
    return _summary(session, batch_id, actor, language_of(request))


def _summary(session: Session, batch_id: uuid.UUID, actor: Actor, language: str) -> BatchSummary:
    batch, count = find_batch(session, batch_id, actor=actor), count_files(session, batch_id)
    return BatchSummary(
        id=batch.id,
        state=batch_state(batch, count, now()),
        list_digest=batch.list_digest,
        begun_at=batch.begun_at,
        total=count.total,
        signed=count.signed,
        failed=count.failed,
        waiting=count.waiting,
        files=[_outcome(file, language) for file in read_files(session, batch_id)],
    )


def _outcome(file: BatchFile, language: str) -> FileOutcome:
    failed = file.state == FileState.FAILED
    return FileOutcome(
        application_id=file.item.application_id,
        receipt_number=file.receipt_number,
        kind=file.item.kind,
        digest=file.item.digest,
        state=file.state,
        number=file.number,
        signed_at=file.signed_at,
        failure=file.item.failure if failed else None,
        failure_detail=file.failure(language) if failed else None,
    )
