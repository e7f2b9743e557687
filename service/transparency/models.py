"""The log's tables: leaves in order, and the hashes of its complete subtrees."""

from datetime import datetime

from sqlalchemy import Column
from sqlmodel import Field, SQLModel

from service.database import UTCDateTime


class LogEntry(SQLModel, table=True):
    """A leaf: the canonical JSON of a fact about a permit document, without personal data."""

    __tablename__ = "log_entry"

    index: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    leaf: str
    leaf_hash: str = Field(index=True, max_length=64)
    logged_at: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))
    nonce: str = Field(max_length=32)
    """Random, and not published: it keeps what the leaf commits to from being guessed."""


class LogNode(SQLModel, table=True):
    """The hash of the complete subtree over leaves [index * 2**level, (index + 1) * 2**level)."""

    __tablename__ = "log_node"

    level: int = Field(primary_key=True)
    index: int = Field(primary_key=True)
    hash: str = Field(max_length=64)


class LogHead(SQLModel, table=True):
    """The one row that every append locks: the log's size."""

    __tablename__ = "log_head"

    id: int = Field(default=1, primary_key=True)
    size: int = 0


class LogWitness(SQLModel, table=True):
    """What a witness of the log was last seen to have cosigned."""

    __tablename__ = "log_witness"

    name: str = Field(primary_key=True, max_length=200)
    size: int
    root: str = Field(max_length=64)
    cosignature: str = Field(max_length=500)
    """The witness's signature line over that checkpoint."""
    seen_at: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))
