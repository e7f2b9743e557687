"""Accounts: people, their roles, their sessions and tokens. Only hashes of secrets are stored."""

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Column, UniqueConstraint
from sqlmodel import Field, SQLModel

from service.database import UTCDateTime
from service.seals import sealed

BSRE, CSC = "bsre", "csc"
OUTSIDE_SERVICES = (BSRE, CSC)
"""Signing services of other houses, where an account names them in place of a key."""


class Kind(StrEnum):
    CITIZEN = "citizen"
    OFFICER = "officer"


@sealed(leaving_out=("failed_attempts", "locked_until", "totp_last_step"))
class User(SQLModel, table=True):
    """A person with an account. An officer's roles stand in RoleAssignment."""

    __tablename__ = "account_user"

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    kind: str = Field(index=True)
    email: str = Field(unique=True, max_length=254)
    """Lower-cased."""
    full_name: str = Field(max_length=120)
    language: str = Field(default="id", max_length=2)
    password_hash: str
    created_at: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))
    email_confirmed_at: datetime | None = Field(default=None, sa_column=Column(UTCDateTime))
    disabled_at: datetime | None = Field(default=None, sa_column=Column(UTCDateTime))
    failed_attempts: int = 0
    locked_until: datetime | None = Field(default=None, sa_column=Column(UTCDateTime))
    totp_secret: str | None = None
    """Sealed with the wrapping key, never the plain secret."""
    totp_confirmed_at: datetime | None = Field(default=None, sa_column=Column(UTCDateTime))
    totp_last_step: int | None = None
    """The last accepted TOTP time step, so that a code works once (RFC 6238 §5.2)."""
    position: str | None = Field(default=None, max_length=160)
    rank: str | None = Field(default=None, max_length=80)
    nip: str | None = Field(default=None, max_length=18)
    agency: str | None = Field(default=None, max_length=160)
    """For a technical agency's reviewer: the agency spoken for."""
    key_name: str | None = Field(default=None, max_length=80)
    """For a signing official: the name of the key in the key store, or of a signing service outside."""
    outside_identity: str | None = None
    """Who the official is to that service (NIK, e-mail address, credential). Sealed as the TOTP secret is."""
    certificate_name: str | None = Field(default=None, max_length=160)
    """The common name in the certificate that the service signs with; it stands in every document."""


@sealed()
class RoleAssignment(SQLModel, table=True):
    __tablename__ = "account_role"
    __table_args__ = (UniqueConstraint("user_id", "role"),)

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    user_id: uuid.UUID = Field(foreign_key="account_user.id", index=True)
    role: str = Field(index=True, max_length=40)
    """A role key of the catalogue (`front_office` …) or `administrator`."""


class LoginSession(SQLModel, table=True):
    """A signed-in browser. The cookie carries the token; only its SHA-256 is stored."""

    __tablename__ = "account_session"

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    token_hash: str = Field(unique=True, max_length=64)
    user_id: uuid.UUID = Field(foreign_key="account_user.id", index=True)
    created_at: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))
    expires_at: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))
    revoked_at: datetime | None = Field(default=None, sa_column=Column(UTCDateTime))
    second_factor_at: datetime | None = Field(default=None, sa_column=Column(UTCDateTime))
    """When the TOTP code was given; until then an officer's session opens nothing but the code page."""
    device: str = Field(default="", max_length=80)
    """Browser and system in words (`Firefox, Android`), so that the owner knows the session again."""


class RecoveryCode(SQLModel, table=True):
    """Stands in for a TOTP code once, when the telephone is lost. Only its SHA-256 is stored."""

    __tablename__ = "account_recovery_code"

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    user_id: uuid.UUID = Field(foreign_key="account_user.id", index=True)
    code_hash: str = Field(max_length=64)
    created_at: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))
    used_at: datetime | None = Field(default=None, sa_column=Column(UTCDateTime))


class ApiToken(SQLModel, table=True):
    """A programme's access on behalf of its owner: narrowed by scopes, revocable."""

    __tablename__ = "account_api_token"

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    user_id: uuid.UUID = Field(foreign_key="account_user.id", index=True)
    name: str = Field(max_length=80)
    token_hash: str = Field(unique=True, max_length=64)
    scopes: list[Any] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    created_at: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))
    expires_at: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))
    revoked_at: datetime | None = Field(default=None, sa_column=Column(UTCDateTime))


class OneTimeLink(SQLModel, table=True):
    """A link sent by mail, usable once. The token is signed when the mail is written, never stored."""

    __tablename__ = "account_one_time_link"

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    purpose: str = Field(max_length=20)
    """`confirm-email` or `reset-password` (which also serves an invited officer's first password)."""
    user_id: uuid.UUID = Field(foreign_key="account_user.id", index=True)
    created_at: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))
    expires_at: datetime = Field(sa_column=Column(UTCDateTime, nullable=False))
    used_at: datetime | None = Field(default=None, sa_column=Column(UTCDateTime))
