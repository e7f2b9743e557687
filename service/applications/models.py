"""Applications and everything that happens to them before a decision."""

import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, Column, Index, Integer, UniqueConstraint
from sqlmodel import Field, SQLModel

from service.applications.workflow import State as State
from service.database import UTCDateTime
from service.seals import sealed

VERSION = Column("version", Integer, nullable=False)
"""Optimistic locking: of two writers who read the same row, the second is told (StaleDataError)."""


@sealed()
class Application(SQLModel, table=True):
    """What an applicant asks for, and where it stands.

    While a draft (or returned for correction) `values` may change; each submission freezes them
    with the uploads in a Submission.
    """

    __tablename__ = "application"
    __table_args__ = (Index("ix_application_queue", "state", "step", "due_on"),)

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    receipt_number: str | None = Field(default=None, unique=True, max_length=24)
    """Given at the first submission, e.g. `P-20261123-7K3M9X`; not guessable."""
    applicant_id: uuid.UUID = Field(foreign_key="account_user.id", index=True)
    revision_id: uuid.UUID = Field(foreign_key="permit_type_revision.id", index=True)
    slug: str = Field(index=True, max_length=80)
    """The permit type's slug, repeated for queues and filters."""
    request: str = Field(max_length=20)
    """`new`, `renewal`, `change` or `closure`."""
    applicant_kind: str = Field(max_length=20)
    """`person` or `organisation`."""
    continues_id: uuid.UUID | None = Field(default=None, index=True)
    """The permit that is to be renewed, changed or closed; None for a new one, or one on paper alone.

    No foreign key: two tables that name each other cannot be made one after the other.
    """
    holder_name: str = Field(default="", max_length=160)
    """Repeated from the values at submission, for search."""
    values: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    state: str = Field(default=State.DRAFT, max_length=20)
    step: str | None = Field(default=None, max_length=40)
    """The key of the workflow step it stands at while under review or returned."""
    outcome: str = Field(default="approve", max_length=10)
    """What the signer is asked to sign: `approve` (the permit) or `reject` (the rejection letter)."""
    taken_by: uuid.UUID | None = Field(default=None, foreign_key="account_user.id")
    taken_at: datetime | None = Field(default=None, sa_column=Column(UTCDateTime))
    created_at: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))
    updated_at: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))
    submitted_at: datetime | None = Field(default=None, sa_column=Column(UTCDateTime))
    clock_started_on: date | None = None
    """The day the documents were declared complete; the deadline counts from the next working day."""
    days_paused: int = 0
    """Working days during which the clock stood still."""
    paused_on: date | None = None
    due_on: date | None = None
    """The last day of the whole service; None until the clock starts."""
    step_due_on: date | None = None
    decided_at: datetime | None = Field(default=None, sa_column=Column(UTCDateTime))
    version: int = Field(default=1, sa_column=VERSION)

    __mapper_args__ = {"version_id_col": VERSION}


@sealed()
class Submission(SQLModel, table=True):
    """What was submitted, frozen: the first time and after each correction. Never altered."""

    __tablename__ = "application_submission"
    __table_args__ = (UniqueConstraint("application_id", "round"),)

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    application_id: uuid.UUID = Field(foreign_key="application.id", index=True)
    round: int = Field(ge=1)
    values: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    documents: list[Any] = Field(sa_column=Column(JSON, nullable=False))
    """`[{"requirement", "upload_id", "filename", "sha256"}]`."""
    sha256: str = Field(max_length=64)
    """Of the canonical JSON of values and documents."""
    submitted_at: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))


@sealed()
class Upload(SQLModel, table=True):
    """A file the applicant (or a reviewer, for an attachment) gave; stored encrypted."""

    __tablename__ = "application_upload"

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    application_id: uuid.UUID = Field(foreign_key="application.id", index=True)
    requirement: str = Field(max_length=60)
    """The document requirement's key, or `attachment` for a reviewer's file."""
    filename: str = Field(max_length=160)
    media_type: str = Field(max_length=40)
    size: int
    sha256: str = Field(max_length=64)
    object_name: str = Field(index=True, max_length=120)
    wrapped_key: str
    uploaded_by: uuid.UUID = Field(foreign_key="account_user.id")
    uploaded_at: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))
    removed_at: datetime | None = Field(default=None, sa_column=Column(UTCDateTime))


@sealed()
class StepVisit(SQLModel, table=True):
    """One stay at one step: when it came, who took it, who left it and how. For tracking and four eyes."""

    __tablename__ = "application_step_visit"
    __table_args__ = (Index("ix_step_visit_order", "application_id", "number"),)

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    application_id: uuid.UUID = Field(foreign_key="application.id", index=True)
    number: int
    """1, 2, 3 … in the order of the visits."""
    step: str = Field(max_length=40)
    role: str = Field(max_length=40)
    entered_at: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))
    due_on: date | None = None
    left_at: datetime | None = Field(default=None, sa_column=Column(UTCDateTime))
    action: str | None = Field(default=None, max_length=40)
    actor_id: uuid.UUID | None = Field(default=None, foreign_key="account_user.id", index=True)
    actor_name: str | None = Field(default=None, max_length=120)
    note: str | None = None
    """The reviewer's words: reason, recommendation, remark."""
    data: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    """What the reviewer left besides: `{"report": {item: finding}, "attachments": [upload id]}`."""


@sealed()
class Correction(SQLModel, table=True):
    """One field or document the officer asks to be mended, with the remark the applicant reads."""

    __tablename__ = "application_correction"

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    application_id: uuid.UUID = Field(foreign_key="application.id", index=True)
    round: int
    """The submission round that was returned."""
    kind: str = Field(max_length=10)
    """`field` or `document`."""
    key: str = Field(max_length=60)
    remark: str = Field(max_length=1000)
    asked_by: uuid.UUID = Field(foreign_key="account_user.id")
    asked_at: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))
    resolved_at: datetime | None = Field(default=None, sa_column=Column(UTCDateTime))


@sealed()
class Holiday(SQLModel, table=True):
    """An editable day over the library's holidays: decrees of cuti bersama come year by year."""

    __tablename__ = "holiday"

    on: date = Field(primary_key=True)
    name: str = Field(max_length=120)
    is_working_day: bool = False
    """True takes a holiday of the library back."""
