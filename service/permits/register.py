"""Reading the register: permits by code, by number, by document; what the public may see; status on a day."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, Row, Subquery, bindparam
from sqlalchemy.orm import defer
from sqlmodel import Session, col, extract, func, select

from service.accounts.access import Actor
from service.catalogue.models import get_permit_type
from service.clock import CITY_TIMEZONE, city_date
from service.permits.models import DocumentVersion, Kind, Permit, Status, StatusChange

NOT_YET_VALID = "not_yet_valid"
PermitRow = Permit | Row[Any]
"""A permit as an entity, or its columns as they were read."""


@dataclass(frozen=True, slots=True)
class PublicPermit:
    """What anyone may read of a permit: the register's public fields, in one language."""

    code: str
    number: str
    kind: str
    type: str
    holder: str
    """Masked unless the reader holds the whole document."""
    issued_on: date
    valid_from: date
    valid_until: date | None
    status: str
    """A Status, or `not_yet_valid`."""
    status_since: datetime
    reason: str | None
    superseded_by: str | None
    """The number of the permit that took its place; its code is for its holder to show."""
    signer: str
    position: str
    mandate: str
    mandate_basis: str
    """The decree that gave the power to sign."""
    facts: tuple[tuple[str, str], ...]
    fact_keys: tuple[str, ...]
    """The key of the permit type's field that each of the facts is of."""
    url: str


def find_by_code(session: Session, code: str) -> Permit | None:
    """Find an issued permit by its public code; one still being issued is not there yet."""
    statement = select(Permit).where(Permit.code == code, Permit.status != Status.ISSUING)
    # The frozen document is most of the row, and no public answer shows it.
    return session.exec(statement.options(defer(Permit.document))).first()  # type: ignore[arg-type]


_REGISTER = Permit.__table__  # type: ignore[attr-defined]
_BY_CODE = sqlalchemy.select(*(column for column in _REGISTER.c if column.key != "document")).where(
    _REGISTER.c.code == bindparam("code"), _REGISTER.c.status != Status.ISSUING
)
"""Kept, because strangers ask nothing more often: building it takes longer than the database's answer."""


def find_row_by_code(connection: Connection, code: str) -> PermitRow | None:
    """Find the row of an issued permit by its public code, for `public_permit`; no entity is loaded."""
    return connection.execute(_BY_CODE, {"code": code}).first()


def find_by_number(session: Session, number: str, issued_on: date) -> Permit | None:
    """Find an issued permit by its number and, as the second fact, the day it was issued.

    Spaces and case do not matter. Unknown and mismatched look the same.
    """
    wanted = "".join(number.split()).upper()
    statement = select(Permit).where(
        Permit.number == wanted, Permit.issued_on == issued_on, Permit.status != Status.ISSUING
    )
    return session.exec(statement).first()


def find_by_document(session: Session, sha256: str) -> tuple[Permit, DocumentVersion] | None:
    """Find the permit of which these bytes are a registered version."""
    statement = (
        select(Permit, DocumentVersion)
        .join(DocumentVersion, col(DocumentVersion.permit_id) == col(Permit.id))
        .where(DocumentVersion.sha256 == sha256)
    )
    return session.exec(statement).first()


def find_versions(
    session: Session, hashes: Sequence[str], fingerprints: Sequence[str]
) -> list[DocumentVersion]:
    """Find registered versions by their SHA-256 or their signature container's, the newest first."""
    statement = select(DocumentVersion).where(
        col(DocumentVersion.sha256).in_(hashes) | col(DocumentVersion.fingerprint).in_(fingerprints)
    )
    return list(session.exec(statement.order_by(col(DocumentVersion.registered_at).desc())))


PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class RegisterPage:
    """One page of the register, the newest first."""

    permits: tuple[Permit, ...]
    page: int
    has_next: bool


def search_register(session: Session, text: str, *, page: int) -> RegisterPage:
    """Search the register by part of a number, of a holder's name or of a type's slug."""
    statement = select(Permit).where(Permit.status != Status.ISSUING)
    if text.strip():
        words = text.strip()
        statement = statement.where(
            col(Permit.number).icontains(words, autoescape=True)
            | col(Permit.holder_name).icontains(words, autoescape=True)
            | col(Permit.slug).icontains(words, autoescape=True)
        )
    statement = statement.order_by(col(Permit.created_at).desc(), col(Permit.id))
    found = session.exec(statement.offset((page - 1) * PAGE_SIZE).limit(PAGE_SIZE + 1)).all()
    return RegisterPage(tuple(found[:PAGE_SIZE]), page, len(found) > PAGE_SIZE)


def permits_held_by(session: Session, actor: Actor) -> list[Permit]:
    """Return an account's own permits and letters, the newest first."""
    statement = select(Permit).where(Permit.holder_id == actor.id, Permit.status != Status.ISSUING)
    return list(session.exec(statement.order_by(col(Permit.created_at).desc())))


def status_history(session: Session, permit: Permit) -> list[StatusChange]:
    """Return a permit's statuses, oldest first."""
    statement = select(StatusChange).where(StatusChange.permit_id == permit.id)
    return list(session.exec(statement.order_by(col(StatusChange.since))))


def current_version(session: Session, permit: Permit) -> DocumentVersion:
    """Return the newest registered version of a permit's document."""
    statement = (
        select(DocumentVersion)
        .where(DocumentVersion.permit_id == permit.id)
        .order_by(col(DocumentVersion.version).desc())
    )
    return session.exec(statement.limit(1)).one()


@dataclass(frozen=True, slots=True)
class DocumentHealth:
    """How well the newest versions of all documents are preserved."""

    by_level: dict[str, int]
    """Documents by PAdES level, of the levels that there are."""
    by_year: dict[int, int]
    """Documents by the year in which their present proof ends."""

    @property
    def total(self) -> int:
        return sum(self.by_level.values())


def newest_versions() -> Subquery:
    """Select the newest version of every document."""
    numbers = (
        select(DocumentVersion.permit_id, func.max(DocumentVersion.version).label("version"))
        .group_by(col(DocumentVersion.permit_id))
        .subquery()
    )
    is_newest = (numbers.c.permit_id == col(DocumentVersion.permit_id)) & (
        numbers.c.version == col(DocumentVersion.version)
    )
    return select(DocumentVersion).join(numbers, is_newest).subquery()


def document_health(session: Session) -> DocumentHealth:
    """Count the newest version of every document by its level and by the year its proof ends."""
    newest = newest_versions()
    year = extract("year", newest.c.verifiable_until)
    statement = select(newest.c.level, year, func.count()).group_by(newest.c.level, year)
    levels: Counter[str] = Counter()
    years: Counter[int] = Counter()
    for level, ends_in, count in session.exec(statement):
        levels[level] += count
        years[int(ends_in)] += count
    return DocumentHealth(dict(sorted(levels.items())), dict(sorted(years.items())))


def status_at(session: Session, permit: PermitRow, moment: datetime) -> tuple[str, datetime]:
    """Return a permit's status at a moment and since when, from its history and its dates."""
    if moment >= permit.status_since:
        status, since = permit.status, permit.status_since
    else:
        change = _status_change(session, permit, moment)
        if change is None:
            return NOT_YET_VALID, permit.created_at
        status, since = change.status, change.since
    if status != Status.ACTIVE:
        return status, since
    day = city_date(moment)
    if day < permit.valid_from:
        return NOT_YET_VALID, since
    if permit.valid_until is not None and day > permit.valid_until:
        return Status.EXPIRED.value, start_of_day(permit.valid_until + timedelta(days=1))
    return status, since


def _status_change(session: Session, permit: PermitRow, moment: datetime) -> StatusChange | None:
    """Return the change that gave the permit its status at a moment, or None before the first."""
    statement = (
        select(StatusChange)
        .where(StatusChange.permit_id == permit.id, StatusChange.since <= moment)
        .order_by(col(StatusChange.since).desc())
    )
    return session.exec(statement).first()


def start_of_day(day: date) -> datetime:
    """Return midnight in the city."""
    return datetime.combine(day, time(), CITY_TIMEZONE)


def end_of_day(day: date) -> datetime:
    """Return the last moment of a day in the city, at which "on that day" is judged."""
    return start_of_day(day + timedelta(days=1)) - timedelta(microseconds=1)


def public_permit(
    session: Session, permit: PermitRow, *, moment: datetime, language: str, base_url: str, masked: bool
) -> PublicPermit:
    """Show the public part of a permit with its status at a moment."""
    status, since = status_at(session, permit, moment)
    permit_type = get_permit_type(session, permit.revision_id)
    letter = permit.kind == Kind.REJECTION_LETTER
    successor = find_successor(session, permit) if status == Status.SUPERSEDED else None
    letters = "Rejection letter: " if language == "en" else "Surat penolakan: "
    return PublicPermit(
        code=permit.code,
        number=permit.number,
        kind=permit.kind,
        type=(letters if letter else "") + permit_type.title.text(language),
        holder=mask_name(permit.holder_name) if masked else permit.holder_name,
        issued_on=permit.issued_on,
        valid_from=permit.valid_from,
        valid_until=permit.valid_until,
        status=status,
        status_since=since,
        reason=_reason(session, permit, permit_type.revocation_reasons, language, moment)
        if status in (Status.REVOKED, Status.SUSPENDED)
        else None,
        superseded_by=successor.number if successor else None,
        signer=permit.signer_name,
        position=permit.signer_position,
        mandate=permit.mandate,
        mandate_basis=permit.mandate_basis,
        facts=tuple(_facts(permit, language, masked)),
        fact_keys=tuple(str(fact["key"]) for fact in permit.public_facts),
        url=f"{base_url}/v/{permit.code}",
    )


def find_successor(session: Session, permit: PermitRow) -> Permit | None:
    """Find the permit that takes, or took, the place of this one, if it was issued."""
    statement = select(Permit).where(Permit.continues_id == permit.id, Permit.status != Status.ISSUING)
    return session.exec(statement.options(defer(Permit.document))).first()  # type: ignore[arg-type]


def _facts(permit: PermitRow, language: str, masked: bool) -> list[tuple[str, str]]:
    facts = []
    for fact in permit.public_facts:
        value = str(fact["value"][language])
        if masked and value == permit.holder_name:
            value = mask_name(value)
        facts.append((str(fact["label"][language]), value))
    return facts


def _reason(session: Session, permit: PermitRow, reasons: Any, language: str, moment: datetime) -> str | None:
    change = _status_change(session, permit, moment)
    labels = {item.key: item.label for item in reasons}
    label = labels.get(change.reason_code or "") if change else None
    return label.text(language) if label else None


def mask_name(name: str) -> str:
    """Mask a name so that who knows it recognises it and nobody learns it: `Siti Aminah` → `S*** A*****`."""
    return " ".join(word[0] + "*" * (len(word) - 1) if word[0].isalnum() else word for word in name.split())
