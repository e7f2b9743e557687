"""The signing desk: what waits for an official, each file with its digest or why it cannot be signed."""

import hmac
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlmodel import Session, col, select

from service.accounts.access import SIGNING_ROLE, Actor
from service.applications.models import Application
from service.applications.queue import QueueFilter, QueuePage, QueueRow, read_queue
from service.applications.transitions import check_taken
from service.applications.workflow import ActionNotAllowed, Outcome
from service.config import Settings
from service.errors import FieldProblem, InvalidInput, ServiceError
from service.permits.issue import DocumentChanged, require_complete
from service.permits.models import Kind
from service.permits.workshop import show_document


@dataclass(frozen=True, slots=True)
class DeskFile:
    """One file as an official would sign it: by the digest of its preview, unless it is refused."""

    application_id: uuid.UUID
    kind: str = ""
    """A Kind: whether a permit or a rejection letter would be signed."""
    digest: str = ""
    refusal: ServiceError | None = None


@dataclass(frozen=True, slots=True)
class Desk:
    """One page of what waits, and each row's file."""

    queue: QueuePage
    files: Sequence[tuple[QueueRow, DeskFile]]


def read_desk(
    session: Session, wanted: QueueFilter, *, actor: Actor, now: datetime, settings: Settings
) -> Desk:
    """Return one page of the files that wait for a signature, the most urgent first."""
    queue = read_queue(session, wanted, actor=_as_signer(actor), now=now)
    return Desk(
        queue, [(row, examine_file(session, row.id, actor=actor, settings=settings)) for row in queue.rows]
    )


def examine_file(
    session: Session, application_id: uuid.UUID, *, actor: Actor, settings: Settings, seen: str | None = None
) -> DeskFile:
    """Compose what an official would sign, and tell what speaks against it, such as a missing mandate.

    With `seen`, the digest shown before, a document that says something else by now is refused too.
    """
    try:
        shown = show_document(session, application_id, actor=actor, settings=settings)
    except ServiceError as refusal:
        return DeskFile(application_id, refusal=refusal)
    file = DeskFile(application_id, shown.composed.document.kind, shown.composed.digest)
    try:
        if not shown.may_sign:
            raise shown.refusal or ActionNotAllowed()
        check_taken(session, shown.case.application, actor)
        require_complete(shown.composed)
        if seen is not None and not hmac.compare_digest(file.digest.encode(), seen.encode()):
            raise DocumentChanged
    except ServiceError as refusal:
        return replace(file, refusal=refusal)
    return file


def examine_files(
    session: Session, seen: Iterable[tuple[uuid.UUID, str]], *, actor: Actor, settings: Settings
) -> Iterator[DeskFile]:
    """Examine files that an official ticked, each with the digest that stood beside it."""
    for application_id, digest in seen:
        yield examine_file(session, application_id, actor=actor, settings=settings, seen=digest)


def examine_all(
    session: Session, wanted: QueueFilter, *, actor: Actor, now: datetime, settings: Settings
) -> Iterator[DeskFile]:
    """Examine every file of a filter, page after page; only digests are kept of the documents."""
    page_count, page, done = 1, 1, set[uuid.UUID]()
    while page <= page_count:
        desk = read_desk(session, replace(wanted, page=page), actor=actor, now=now, settings=settings)
        for _, file in desk.files:
            if file.application_id not in done:
                yield file
            done.add(file.application_id)
        page_count, page = desk.queue.page_count, page + 1


def _as_signer(actor: Actor) -> Actor:
    """Narrow an official who also reviews to what waits for the signature."""
    return replace(actor, roles=actor.roles & {SIGNING_ROLE})


def name_files(session: Session, ordered: Sequence[tuple[uuid.UUID, str]]) -> list[DeskFile]:
    """Return files that a programme orders, by application and digest; each is judged when it is signed.

    Raises InvalidInput for an application that was never submitted.
    """
    wanted = [application_id for application_id, _ in ordered]
    statement = select(Application.id, Application.outcome).where(
        col(Application.id).in_(wanted), col(Application.submitted_at).is_not(None)
    )
    outcomes = dict(session.exec(statement).all())
    unknown = [
        FieldProblem(
            "application_id",
            "unknown",
            "Permohonan ini tidak ditemukan.",
            "This application was not found.",
            pointer=f"/files/{place}/application_id",
        )
        for place, application_id in enumerate(wanted)
        if application_id not in outcomes
    ]
    if unknown:
        raise InvalidInput(problems=unknown)
    kinds = {Outcome.REJECT: Kind.REJECTION_LETTER}
    return [
        DeskFile(application_id, kinds.get(Outcome(outcomes[application_id]), Kind.PERMIT), digest)
        for application_id, digest in ordered
    ]
