"""What a permit on paper proves without a network: the token in its QR code, and its place in a status list.

A list is signed anew when a permit's status changes and every hour, and stands as one row for each number.
"""

import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, time, timedelta

import structlog
from sqlalchemy import Engine, bindparam, func
from sqlmodel import Session, col, select

from service.clock import CITY_TIMEZONE
from service.database import reading, transaction
from service.permits.models import Kind, Permit, Status, StatusList
from service.permits.signer import OpenKey
from signing.document import PermitDocument
from signing.errors import SealUnavailable
from signing.seal import LIST_SIZE, ListedStatus, PermitFacts, can_seal, seal_permit, seal_status_list

PUBLISH_LISTS_JOB = "publish_status_lists"
"""The durable job that signs every list anew."""
LISTED = {
    Status.SUSPENDED: ListedStatus.SUSPENDED,
    Status.REVOKED: ListedStatus.INVALID,
    Status.SUPERSEDED: ListedStatus.SUPERSEDED,
}
"""What is told of a permit that does not hold; one whose last day is over says so itself, by its token."""
log = structlog.get_logger()
_TRIES = 32
"""So many draws are all taken once a list is about seven tenths full."""


def seal_document(
    document: PermitDocument,
    permit: Permit,
    *,
    place: str,
    seal: OpenKey | None,
    base_url: str,
    now: datetime,
) -> PermitDocument:
    """Return a permit's document with the signed token in its QR code's address, behind a `#`.

    A rejection letter gets none. A permit whose seal cannot sign now is issued all the same: its paper is
    checked with a network alone.
    """
    if seal is None or permit.status_index is None:
        return document
    number, index = divmod(permit.status_index, LIST_SIZE)
    facts = PermitFacts(
        number=permit.number,
        code=permit.code,
        type=document.title,
        holder=permit.holder_name,
        place=place,
        begins=_midnight(permit.valid_from),
        ends=_midnight(permit.valid_until + timedelta(days=1)) if permit.valid_until else None,
        data=document.data,
        list_address=list_address(base_url, number),
        list_index=index,
    )
    try:
        token = seal_permit(facts, seal, issued_at=now)
    except SealUnavailable as error:
        log.warning("permit_without_token", number=permit.number, reason=str(error))
        return document
    return replace(document, verify_url=f"{document.verify_url}#{token}")


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), CITY_TIMEZONE)


def list_address(base_url: str, number: int) -> str:
    return f"{base_url}/status-lists/{number}"


_LAST_PLACE = select(func.max(Permit.status_index))
_AT_PLACE = select(Permit.id).where(col(Permit.status_index) == bindparam("index"))
"""Kept, because every permit asks them: building them takes longer than the database's answer."""


def take_status_index(session: Session) -> int:
    """Take a random free place in the newest list, so that a place does not tell when a permit was issued.

    Where every place that was tried is taken the list is full enough, and the next one is begun.
    """
    number = _newest_list(session)
    for _ in range(_TRIES):
        index = number * LIST_SIZE + secrets.randbelow(LIST_SIZE)
        if session.execute(_AT_PLACE, {"index": index}).first() is None:
            return index
    return (number + 1) * LIST_SIZE + secrets.randbelow(LIST_SIZE)


def _newest_list(session: Session) -> int:
    newest = session.execute(_LAST_PLACE).scalar_one()
    return (newest or 0) // LIST_SIZE


def publish_status_lists(engine: Engine, seal: OpenKey, base_url: str, now: datetime) -> int:
    """Sign every list anew, and the next one before any permit stands in it; return how many. A job."""
    if not can_seal(seal):
        return 0
    with reading(engine) as session:
        count = _newest_list(session) + 2
    for number in range(count):
        with transaction(engine) as session:
            # Of two that publish at once the second reads what the first wrote, and what came after it.
            row = session.get(StatusList, number, with_for_update=True)
            address = list_address(base_url, number)
            token = seal_status_list(address, _listed(session, number), seal, issued_at=now)
            row = row or StatusList(number=number, issued_at=now, token=token)
            row.issued_at, row.token = now, token
            session.add(row)
    return count


def _listed(session: Session, number: int) -> Iterator[tuple[int, ListedStatus]]:
    begin = number * LIST_SIZE
    statement = select(Permit.status_index, Permit.status).where(
        Permit.kind == Kind.PERMIT,
        col(Permit.status).in_(LISTED),
        col(Permit.status_index).between(begin, begin + LIST_SIZE - 1),
    )
    for index, status in session.exec(statement):
        if index is not None:
            yield index - begin, LISTED[Status(status)]
