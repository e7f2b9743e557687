"""What the service asks of its own witnesses: that its log is not behind what they cosigned.

A database that was restored from a backup has forgotten leaves which others have seen. If it signed on, the
log would fork. So before anything is signed each witness is asked for its last checkpoint.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import httpx2
import structlog
from sqlalchemy import Engine
from sqlmodel import Session, col, func, select

from service.database import reading, transaction
from service.errors import ServiceError, Unavailable
from service.transparency.log import log_size, root_at
from service.transparency.models import LogWitness
from service.transparency.notes import COSIGNATURE, Checkpoint, KeyMalformed, Verifier, line_of, parse_vkey
from service.transparency.remote import fetch_checkpoint, fetch_from

FRESH = timedelta(seconds=60)
"""So long an answer is believed without asking again."""
log = structlog.get_logger()


class BehindWitness(Unavailable):
    """The log is not what a witness cosigned: the database was restored, or tampered with."""

    code = "behind_witness"
    message_id = (
        "Penandatanganan dihentikan: log layanan ini tertinggal dari catatan saksi, "
        "seperti setelah pemulihan cadangan. Hubungi administrator."
    )
    message_en = (
        "Signing is stopped: this service's log is behind what its witness has recorded, "
        "as after a backup was restored. Ask the administrator."
    )


class WitnessSilent(Unavailable):
    """A witness was not heard for longer than the settings allow."""

    code = "witness_silent"
    message_id = (
        "Penandatanganan dihentikan: saksi log sudah terlalu lama tidak menjawab. Hubungi administrator."
    )
    message_en = "Signing is stopped: the log's witness has not answered for too long. Ask the administrator."


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness by its key, and the address of its last cosigned checkpoint."""

    verifier: Verifier
    url: str


@dataclass(frozen=True, slots=True)
class Witnesses:
    """The log's witnesses, the log's origin, and for how long a witness may be silent."""

    every: tuple[Witness, ...]
    origin: str
    grace: timedelta


def parse_witnesses(text: str) -> tuple[Witness, ...]:
    """Read `vkey address`, comma-separated. Raises KeyMalformed."""
    found = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        vkey, _, url = item.partition(" ")
        verifier = parse_vkey(vkey)
        if verifier.kind != COSIGNATURE or not url.strip().startswith(("https://", "http://")):
            raise KeyMalformed
        found.append(Witness(verifier, url.strip()))
    return tuple(found)


def require_not_behind(engine: Engine, witnesses: Witnesses | None, now: datetime) -> None:
    """Check that the log continues what every witness cosigned last.

    A witness that does not answer is borne with for the grace, counted from when it was last heard, with a
    warning in the service's log and its silence in the metrics; one that was never heard must answer first.
    Raises BehindWitness or WitnessSilent.
    """
    if witnesses is None:
        return
    for witness in witnesses.every:
        with reading(engine) as session:
            known = session.get(LogWitness, witness.verifier.name)
        if known is not None and now - FRESH <= known.seen_at <= now:
            continue
        try:
            note, seen = _ask(witness)
        except ServiceError as error:
            log.warning("witness_silent", witness=witness.verifier.name, failure=error.code)
            _require_heard(engine, known, witnesses.grace, now)
            continue
        with reading(engine) as session:
            if seen.origin != witnesses.origin or not _continues(session, seen):
                log.error("behind_witness", witness=witness.verifier.name, size=seen.size)
                raise BehindWitness
        with transaction(engine) as session:
            session.merge(
                LogWitness(
                    name=witness.verifier.name,
                    size=seen.size,
                    root=seen.root.hex(),
                    cosignature=line_of(note, witness.verifier),
                    seen_at=now,
                )
            )


def _ask(witness: Witness) -> tuple[str, Checkpoint]:
    with httpx2.Client() as client:
        base, _, name = witness.url.rpartition("/")
        return fetch_checkpoint(fetch_from(base, client), witness.verifier, name)


def _continues(session: Session, seen: Checkpoint) -> bool:
    return seen.size <= log_size(session) and root_at(session, seen.size) == seen.root


def _require_heard(engine: Engine, known: LogWitness | None, grace: timedelta, now: datetime) -> None:
    if known is None or now - known.seen_at > grace:
        raise WitnessSilent


def longest_silence(session: Session, names: Iterable[str], now: datetime) -> float:
    """Return the seconds since the witness that is silent longest was heard; infinite if one never was."""
    wanted = set(names)
    statement = select(func.count(), func.min(LogWitness.seen_at)).where(col(LogWitness.name).in_(wanted))
    count, oldest = session.exec(statement).one()
    if count < len(wanted):
        return float("inf")
    return (now - oldest).total_seconds() if oldest else 0.0
