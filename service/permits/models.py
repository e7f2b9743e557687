"""Permits and the documents that prove them."""

import uuid
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Column, Index, Integer, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel

from service.database import UTCDateTime
from service.seals import sealed

HERE = "here"
"""Signed in this service, with a key of its own store."""

VERSION = Column("version", Integer, nullable=False)
"""Optimistic locking: of two writers who read the same row, the second is told (StaleDataError)."""


class Kind(StrEnum):
    """A rejection letter goes the same way as a permit: numbered, signed, registered, verifiable."""

    PERMIT = "permit"
    REJECTION_LETTER = "rejection_letter"


class Status(StrEnum):
    """Where a permit stands in the register (DESIGN §3); only `permits` verbs change it.

    `expired` and `not_yet_valid` follow from the dates; see `status_on`.
    """

    ISSUING = "issuing"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    REVOKED = "revoked"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"


class Capacity(StrEnum):
    """In what capacity an official signs (Permendagri 1/2023, PermenPANRB 80/2012)."""

    DEFINITIVE = "definitive"
    PLT = "plt"
    """Pelaksana tugas: fills a vacant position."""
    PLH = "plh"
    """Pelaksana harian: stands in for somebody who is away."""
    AN = "an"
    """Atas nama: signs in the name of who delegated the power, over one's own position."""


@sealed()
class Mandate(SQLModel, table=True):
    """The dated power of an official to sign. It is never changed or deleted, only ended."""

    __tablename__ = "mandate"

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    official_id: uuid.UUID = Field(foreign_key="account_user.id", index=True)
    capacity: str = Field(max_length=20)
    position: str = Field(max_length=160)
    """The position held, filled for a time, or in whose name (a.n.) is signed."""
    own_position: str = Field(default="", max_length=160)
    """For `an` alone: the official's own position, printed below."""
    basis: str = Field(max_length=200)
    """Number and date of the decree."""
    permit_types: list[Any] = Field(sa_column=Column(JSON, nullable=False))
    """The slugs covered; none: all."""
    valid_from: date
    valid_until: date | None = None
    """The last day; only a definitive mandate may go without."""
    created_at: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))
    created_by: uuid.UUID | None = Field(default=None, foreign_key="account_user.id")
    """None: granted at the command line."""
    ended_at: datetime | None = Field(default=None, sa_column=Column(UTCDateTime))
    ended_by: uuid.UUID | None = Field(default=None, foreign_key="account_user.id")


class NumberCounter(SQLModel, table=True):
    """The last number given, for each series (a permit type's code, or the letters') and year."""

    __tablename__ = "number_counter"

    series: str = Field(primary_key=True, max_length=40)
    year: int = Field(primary_key=True)
    last: int = 0


@sealed()
class Permit(SQLModel, table=True):
    """The right granted (or the refusal told): number, public code, validity and status.

    The row is written as `issuing` together with its number and the frozen PermitDocument before
    anything is signed, so that a crash is finished under the same number.
    """

    __tablename__ = "permit"
    __table_args__ = (
        UniqueConstraint("series", "year", "sequence"),
        Index("ix_permit_status_until", "status", "valid_until"),
    )

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    application_id: uuid.UUID = Field(foreign_key="application.id", unique=True)
    kind: str = Field(default=Kind.PERMIT, max_length=20)
    slug: str = Field(index=True, max_length=80)
    revision_id: uuid.UUID = Field(foreign_key="permit_type_revision.id")
    series: str = Field(max_length=40)
    year: int
    sequence: int
    number: str = Field(unique=True, max_length=80)
    code: str = Field(unique=True, max_length=32)
    """The public code: 130 random bits in Crockford's base 32."""
    status: str = Field(default=Status.ISSUING, max_length=20)
    status_since: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))
    status_index: int | None = Field(default=None, unique=True)
    """Its random place in the status lists, counted through all of them; a rejection letter has none."""
    continues_id: uuid.UUID | None = Field(default=None, foreign_key="permit.id", index=True)
    """The permit that this one takes the place of; see `permits.succession`."""
    holder_id: uuid.UUID = Field(foreign_key="account_user.id", index=True)
    holder_name: str = Field(max_length=160)
    document: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    """The frozen PermitDocument (signing.document)."""
    public_facts: list[Any] = Field(sa_column=Column(JSON, nullable=False))
    """`[{"key", "label": {"id", "en"}, "value": {"id", "en"}}]` of the type's public fields."""
    issued_on: date
    valid_from: date
    valid_until: date | None = None
    signer_id: uuid.UUID = Field(foreign_key="account_user.id", index=True)
    signer_name: str = Field(max_length=120)
    signer_position: str = Field(max_length=360)
    """The capacity as printed (`Plt. Kepala Dinas …`), on one line."""
    mandate: str = Field(default=Capacity.DEFINITIVE, max_length=20)
    """A Capacity."""
    mandate_id: uuid.UUID = Field(foreign_key="mandate.id")
    mandate_basis: str = Field(max_length=200)
    signed_by: str = Field(default=HERE, max_length=20)
    """`here`, or the signing service of another house (`bsre`, `csc`) that the document was composed for."""
    asked_at: datetime | None = Field(default=None, sa_column=Column(UTCDateTime))
    """When that service was asked to sign, while its answer is not known: there may be a signature."""
    created_at: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))
    version: int = Field(default=1, sa_column=VERSION)

    __mapper_args__ = {"version_id_col": VERSION}


@sealed()
class DocumentVersion(SQLModel, table=True):
    """A registered version of a permit document's bytes. Only these are genuine."""

    __tablename__ = "permit_document_version"
    __table_args__ = (UniqueConstraint("permit_id", "version"),)

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    permit_id: uuid.UUID = Field(foreign_key="permit.id", index=True)
    version: int = Field(ge=1)
    sha256: str = Field(unique=True, max_length=64)
    fingerprint: str = Field(index=True, max_length=64)
    """SHA-256 of the signature container: it finds the original of an altered copy."""
    size: int
    level: str = Field(max_length=6)
    """B-B, B-T, B-LT or B-LTA (EN 319 142-1)."""
    signed_at: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))
    registered_at: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))
    verifiable_until: datetime = Field(sa_column=Column(UTCDateTime, nullable=False, index=True))
    """The end of the certificate that the proof rests on: the signer's, or the last archive time stamp's."""
    log_index: int | None = Field(default=None, unique=True)


class ProofRenewal(SQLModel, table=True):
    """A bulk renewal of proofs: every document that was due when it was started, one after another."""

    __tablename__ = "proof_renewal"

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    started_at: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))
    started_by: uuid.UUID | None = Field(default=None, foreign_key="account_user.id")
    """None: started at the command line."""
    finished_at: datetime | None = Field(default=None, sa_column=Column(UTCDateTime))


class ProofRenewalItem(SQLModel, table=True):
    """A document of a bulk renewal and what became of it."""

    __tablename__ = "proof_renewal_item"
    __table_args__ = (Index("ix_proof_renewal_item_outcome", "renewal_id", "outcome"),)

    renewal_id: uuid.UUID = Field(foreign_key="proof_renewal.id", primary_key=True)
    permit_id: uuid.UUID = Field(foreign_key="permit.id", primary_key=True)
    outcome: str = Field(max_length=20)
    """`waiting`, `renewed`, `not_needed` or `failed`."""
    failure: str | None = Field(default=None, max_length=60)
    """An error's stable code or class."""


class ExpiryAlarm(SQLModel, table=True):
    """What administrators were told of something's end, so that they are told once at each stage."""

    __tablename__ = "expiry_alarm"

    subject: str = Field(primary_key=True, max_length=80)
    """What ends and when, such as `certificate:2f… 2034-11-01`."""
    stage: int = Field(primary_key=True)
    """Days before the end."""
    told_at: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))


@sealed()
class StatusChange(SQLModel, table=True):
    """A permit's status from a moment on; the history answers "was it valid on 3 March?"."""

    __tablename__ = "permit_status_change"

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    permit_id: uuid.UUID = Field(foreign_key="permit.id", index=True)
    status: str = Field(max_length=20)
    since: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))
    reason_code: str | None = Field(default=None, max_length=40)
    remark: str | None = Field(default=None, max_length=1000)
    actor_id: uuid.UUID | None = Field(default=None, foreign_key="account_user.id")
    actor_name: str = Field(max_length=120)
    log_index: int | None = Field(default=None, unique=True)


class StatusList(SQLModel, table=True):
    """A signed Token Status List as it is served; see `permits.offline`."""

    __tablename__ = "status_list"

    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    issued_at: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))
    token: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class Reconciliation(SQLModel, table=True):
    """The one row that tells how the last reconciliation ended."""

    __tablename__ = "reconciliation"

    id: int = Field(default=1, primary_key=True)
    finished_at: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))
    documents: int
    count: int
    """Discrepancies in all; the first of them stand in `findings`."""
    findings: list[Any] = Field(sa_column=Column(JSON, nullable=False))


class SignBatch(SQLModel, table=True):
    """Files that an official signs with one passphrase, written down before anything is signed.

    Until it is begun it is a selection that the official looks at. The key is nowhere in it.
    """

    __tablename__ = "sign_batch"

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    official_id: uuid.UUID = Field(foreign_key="account_user.id", index=True)
    created_at: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))
    begun_at: datetime | None = Field(default=None, sa_column=Column(UTCDateTime))
    list_digest: str = Field(default="", max_length=64)
    """SHA-256 over the list as it was ordered; see `batch.digest_of_list`."""
    run_id: uuid.UUID | None = None
    """The run at work. One that finds another's id here, or none, ends after its current file."""
    run_seen_at: datetime | None = Field(default=None, sa_column=Column(UTCDateTime))
    """When that run last gave a sign of life."""


class SignBatchItem(SQLModel, table=True):
    """One file of a batch: signed when its permit is no longer `issuing`, failed, or waiting."""

    __tablename__ = "sign_batch_item"

    batch_id: uuid.UUID = Field(foreign_key="sign_batch.id", primary_key=True)
    position: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    application_id: uuid.UUID = Field(foreign_key="application.id", index=True)
    kind: str = Field(max_length=20)
    """A Kind: what was shown to the official, a permit or a rejection letter."""
    digest: str = Field(max_length=64)
    """Of the preview that was shown; nothing else is signed."""
    permit_id: uuid.UUID | None = Field(default=None, foreign_key="permit.id", unique=True)
    """Written in the transaction that takes the number."""
    failure: str | None = Field(default=None, max_length=60)
    """The refusal's stable code, with its sentences."""
    failure_id: str = Field(default="", max_length=1000)
    failure_en: str = Field(default="", max_length=1000)
    is_ours: bool = False
    """The fault was the service's, not the file's: resuming tries it again."""
