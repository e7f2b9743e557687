"""The tables that keep every revision of the catalogue, and how a revision is found.

Loading checks the YAML files and stores each changed type as a new revision. An application keeps the
revision it was made under, so a later change never touches it.
"""

import uuid
from datetime import datetime
from typing import Any

import sqlmodel
from sqlalchemy import JSON, Column, UniqueConstraint
from sqlmodel import Session, SQLModel, col, select

from service.catalogue.format import City, PermitType
from service.database import UTCDateTime
from service.errors import NotFound
from service.seals import sealed


@sealed()
class PermitTypeRevision(SQLModel, table=True):
    """A permit type as it stood from one load to the next. Only `active` is ever altered."""

    __tablename__ = "permit_type_revision"
    __table_args__ = (UniqueConstraint("slug", "revision"),)

    id: uuid.UUID = sqlmodel.Field(default_factory=uuid.uuid4, primary_key=True)
    slug: str = sqlmodel.Field(index=True, max_length=80)
    revision: int = sqlmodel.Field(ge=1)
    sha256: str = sqlmodel.Field(max_length=64)
    """Of the canonical JSON of `content`."""
    content: dict[str, Any] = sqlmodel.Field(sa_column=Column(JSON, nullable=False))
    active: bool = True
    loaded_at: datetime = sqlmodel.Field(sa_column=Column(UTCDateTime, nullable=False))
    loaded_by: str = sqlmodel.Field(max_length=120)

    @property
    def permit_type(self) -> PermitType:
        if self.sha256 not in _permit_types:
            _permit_types[self.sha256] = PermitType.model_validate(self.content, strict=False)
        return _permit_types[self.sha256]


@sealed()
class CityRevision(SQLModel, table=True):
    """The city's settings as they stood from one load to the next."""

    __tablename__ = "city_revision"

    id: uuid.UUID = sqlmodel.Field(default_factory=uuid.uuid4, primary_key=True)
    revision: int = sqlmodel.Field(ge=1, unique=True)
    sha256: str = sqlmodel.Field(max_length=64)
    content: dict[str, Any] = sqlmodel.Field(sa_column=Column(JSON, nullable=False))
    active: bool = True
    loaded_at: datetime = sqlmodel.Field(sa_column=Column(UTCDateTime, nullable=False))
    loaded_by: str = sqlmodel.Field(max_length=120)

    @property
    def city(self) -> City:
        if self.sha256 not in _cities:
            _cities[self.sha256] = City.model_validate(self.content, strict=False)
        return _cities[self.sha256]


# Parsing a type costs milliseconds and its content never changes: one parsed value for each hash.
_permit_types: dict[str, PermitType] = {}
_types_by_revision: dict[uuid.UUID, PermitType] = {}
_cities: dict[str, City] = {}


class PermitTypeNotFound(NotFound):
    code = "permit_type_not_found"
    message_id = "Jenis izin ini tidak ditemukan atau tidak lagi dilayani. Pilih dari daftar jenis izin."
    message_en = "This permit type was not found or is no longer offered. Choose one from the list."


class CatalogueNotLoaded(NotFound):
    code = "catalogue_not_loaded"
    message_id = "Katalog jenis izin belum dimuat. Hubungi administrator."
    message_en = "The permit catalogue has not been loaded. Ask the administrator."


def active_permit_types(session: Session) -> list[PermitTypeRevision]:
    """Return the types open to applications, in the order of their titles."""
    rows = session.exec(select(PermitTypeRevision).where(col(PermitTypeRevision.active)))
    offered = [row for row in rows if row.permit_type.status == "active"]
    return sorted(offered, key=lambda row: row.permit_type.title.id)


def find_permit_type(session: Session, slug: str) -> PermitTypeRevision:
    """Return the revision a new application is made under. Raises PermitTypeNotFound."""
    row = session.exec(
        select(PermitTypeRevision).where(PermitTypeRevision.slug == slug, col(PermitTypeRevision.active))
    ).first()
    if row is None or row.permit_type.status != "active":
        raise PermitTypeNotFound
    return row


def get_revision(session: Session, revision_id: uuid.UUID) -> PermitTypeRevision:
    """Return the revision an application was made under, however old. Raises PermitTypeNotFound."""
    row = session.get(PermitTypeRevision, revision_id)
    if row is None:
        raise PermitTypeNotFound
    return row


def get_permit_type(session: Session, revision_id: uuid.UUID) -> PermitType:
    """Return the permit type as a revision has it, asking the database once. Raises PermitTypeNotFound."""
    if revision_id not in _types_by_revision:
        _types_by_revision[revision_id] = get_revision(session, revision_id).permit_type
    return _types_by_revision[revision_id]


def active_city(session: Session) -> City:
    """Return the city's settings of today, reading them once for each hash. Raises CatalogueNotLoaded."""
    active = col(CityRevision.active)
    sha256 = session.exec(select(CityRevision.sha256).where(active)).first()
    if sha256 is None:
        raise CatalogueNotLoaded
    return _cities.get(sha256) or session.exec(select(CityRevision).where(active)).one().city
