"""A permit's part of the audit trail, shown so that a stranger can follow it to the public log.

Of the events that tell of the permit and its application the bodies are shown, and the seals of their rows;
of every other event between them and the next leaf of the log, the digest alone, which tells nothing. The
holder is not shown what officers did inside the office: of that, too, the digests alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session

from service import seals
from service.audit import AuditEvent, event_body, events_of, read_stretch
from service.canonical import text_hash
from service.permits.models import Permit
from service.transparency.log import Commitment, find_commitment

SIGNING = ("application.sign", "permit_reserved", "permit_issued")
"""What the official did whose name is on the document."""
Keys = Mapping[str, set[str]]
"""The keys of the rows that may be spoken of, by table."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A whole stretch of the chain, up to the event that a leaf of the log commits to."""

    first: int
    """The first event's number; the others follow without a gap."""
    previous_hash: str
    digests: tuple[str, ...]
    """Each event's body digest, in order."""
    bodies: tuple[str, ...]
    """The bodies that may be shown."""
    commitment: Commitment | None
    """None: no leaf commits to the last event yet."""

    def as_json(self) -> dict[str, Any]:
        """Return what is needed to walk the stretch, without the bodies."""
        leaf = {"leaf": self.commitment.index, "nonce": self.commitment.nonce} if self.commitment else {}
        return {"first": self.first, "previous_hash": self.previous_hash, "digests": self.digests, **leaf}


def show_trail(session: Session, permit: Permit, rows: Keys, *, whole: bool) -> list[Stretch]:
    """Show the events of the permit and its application, each within the stretch to the log's next leaf.

    `rows` are those whose seals may be shown: an event that seals others too stays a digest.
    """
    groups: dict[Commitment | None, list[int]] = {}
    commitment: Commitment | None = None
    for event in events_of(session, "application", permit.application_id):
        if not whole and not _is_holders(event, permit):
            continue
        if commitment is None or commitment.audit_event < event.number:
            commitment = find_commitment(session, event.number)
        groups.setdefault(commitment, []).append(event.number)
    return [_show(session, numbers, commitment, rows) for commitment, numbers in groups.items()]


def _is_holders(event: AuditEvent, permit: Permit) -> bool:
    """Tell whether the holder knows of an event: their own, the service's, and the signature on the paper."""
    return event.actor_id in (None, permit.holder_id) or event.action in SIGNING


def _show(session: Session, numbers: list[int], commitment: Commitment | None, rows: Keys) -> Stretch:
    # The event after the last may hold the seals of its transaction.
    last = commitment.audit_event if commitment else numbers[-1] + 1
    digests, bodies, previous_hash = list[str](), list[str](), ""
    for event in read_stretch(session, numbers[0], last):
        body = event_body(event.model_dump())
        previous_hash = previous_hash or event.previous_hash
        digests.append(text_hash(body))
        if event.number in numbers or _seals_only(event, rows):
            bodies.append(body)
    return Stretch(numbers[0], previous_hash, tuple(digests), tuple(bodies), commitment)


def _seals_only(event: AuditEvent, rows: Keys) -> bool:
    """Tell whether an event seals rows, and none but these."""
    return event.action == seals.ACTION and all(
        rows.get(table, set()).issuperset(keys) for table, keys in event.data["rows"].items()
    )


def leaves_of(stretches: list[Stretch]) -> Iterator[int]:
    """Yield the index of each leaf that a stretch leads to."""
    for stretch in stretches:
        if stretch.commitment is not None:
            yield stretch.commitment.index
