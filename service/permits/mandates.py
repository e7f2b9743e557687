"""Mandates: who may sign what, from when to when, and in what capacity; granted, ended, and looked up.

A mandate holds on whole days in the city, its first and its last included, until it is ended. Where
several hold for a permit type, one that names the type goes before one for all types, and the one
that began last before older ones.
"""

import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime

from sqlalchemy import bindparam
from sqlmodel import Session, col, or_, select

from service.accounts.access import SIGNING_ROLE, Actor
from service.accounts.models import Kind, RoleAssignment, User
from service.accounts.officers import OwnAccount
from service.accounts.person import clean_name
from service.audit import record_event
from service.catalogue.models import active_permit_types
from service.clock import city_date
from service.errors import Conflict, FieldProblem, InvalidInput, NotFound
from service.permits.models import Capacity, Mandate
from signing.fonts import unprintable_characters

LONGEST = {"position": 160, "own_position": 160, "basis": 200}
PREFIXES = {Capacity.PLT: "Plt. ", Capacity.PLH: "Plh. ", Capacity.AN: "a.n. "}
"""How letters of the government write a capacity before the position."""


class NoMandate(Conflict):
    code = "no_mandate"
    message_id = (
        "Anda tidak memegang mandat yang berlaku hari ini untuk menandatangani jenis izin ini. "
        "Minta administrator mencatat mandat Anda."
    )
    message_en = (
        "You hold no mandate that allows you to sign this permit type today. "
        "Ask the administrator to record your mandate."
    )


@dataclass(frozen=True, slots=True)
class MandateDetails:
    """What an administrator enters of a mandate. The position is written without Plt., Plh. or a.n."""

    capacity: str
    position: str
    basis: str
    valid_from: date | None
    valid_until: date | None = None
    own_position: str = ""
    """The official's own position, for a.n. alone."""
    permit_types: tuple[str, ...] = ()
    """Slugs; none: all types."""


def mandate_for(session: Session, official_id: uuid.UUID, slug: str, day: date) -> Mandate:
    """Return the mandate under which the official signs a permit type on a day. Raises NoMandate."""
    mandate = choose_mandate(mandates_on(session, official_id, day), slug)
    if mandate is None:
        raise NoMandate
    return mandate


_HELD_ON = select(Mandate).where(
    col(Mandate.official_id) == bindparam("official_id"),
    col(Mandate.ended_at).is_(None),
    col(Mandate.valid_from) <= bindparam("day"),
    or_(col(Mandate.valid_until).is_(None), col(Mandate.valid_until) >= bindparam("day")),
)
"""Kept, because every signature asks it."""


def mandates_on(session: Session, official_id: uuid.UUID, day: date) -> list[Mandate]:
    """Return the official's mandates that hold on a day and have not been ended."""
    return list(session.exec(_HELD_ON, params={"official_id": official_id, "day": day}))


def choose_mandate(mandates: Iterable[Mandate], slug: str) -> Mandate | None:
    """Choose the mandate for a permit type: the one that names it, then the latest begun."""
    covering = [each for each in mandates if not each.permit_types or slug in each.permit_types]
    return max(
        covering,
        key=lambda each: (bool(each.permit_types), each.valid_from, each.created_at, each.id),
        default=None,
    )


def mandate_state(mandate: Mandate, day: date) -> str:
    """Tell how a mandate stands on a day: `ended`, `upcoming`, `over` or `in_force`."""
    if mandate.ended_at is not None:
        return "ended"
    if day < mandate.valid_from:
        return "upcoming"
    is_over = mandate.valid_until is not None and day > mandate.valid_until
    return "over" if is_over else "in_force"


def printed_capacity(mandate: Mandate) -> str:
    """Return what the signature block prints over the name; for a.n. two lines."""
    capacity = Capacity(mandate.capacity)
    printed = PREFIXES.get(capacity, "") + mandate.position
    return f"{printed}\n{mandate.own_position}" if capacity == Capacity.AN else printed


def grant_mandate(
    session: Session, official_id: uuid.UUID | None, details: MandateDetails, *, actor: Actor, now: datetime
) -> Mandate:
    """Grant an official a mandate; a definitive one without a position takes the account's.

    Raises InvalidInput, or OwnAccount when administrators would grant one to themselves.
    """
    official = _find_official(session, official_id)
    details = _clean(details, official)
    problems = _problems(session, details, city_date(now))
    if official is None:
        problems.insert(0, _missing("official", "Pilih penanda tangan.", "Choose the signing official."))
    if problems or official is None or details.valid_from is None:
        raise InvalidInput(problems=problems)
    if official.id == actor.user_id:
        raise OwnAccount(
            "Anda tidak dapat memberi mandat kepada diri sendiri. Minta administrator lain.",
            "You cannot grant yourself a mandate. Ask another administrator.",
        )
    mandate = Mandate(
        official_id=official.id,
        capacity=details.capacity,
        position=details.position,
        own_position=details.own_position,
        basis=details.basis,
        permit_types=list(details.permit_types),
        valid_from=details.valid_from,
        valid_until=details.valid_until,
        created_at=now,
        created_by=actor.user_id,
    )
    session.add(mandate)
    session.flush()
    granted = mandate.model_dump(
        mode="json", include={"capacity", "basis", "permit_types", "valid_from", "valid_until"}
    )
    _record(session, mandate, "mandate_granted", actor, now, printed=printed_capacity(mandate), **granted)
    return mandate


def end_mandate(session: Session, mandate_id: uuid.UUID, *, actor: Actor, now: datetime) -> Mandate:
    """End a mandate at once: nothing more is signed under it. What was signed stays. Raises NotFound."""
    mandate = session.exec(select(Mandate).where(Mandate.id == mandate_id).with_for_update()).first()
    if mandate is None:
        raise NotFound
    if mandate.ended_at is None:
        mandate.ended_at, mandate.ended_by = now, actor.user_id
        session.add(mandate)
        session.flush()
        _record(session, mandate, "mandate_ended", actor, now)
    return mandate


def list_mandates(session: Session) -> list[tuple[Mandate, User]]:
    """Return every mandate with its official, the latest granted first."""
    statement = select(Mandate, User).join(User, col(User.id) == col(Mandate.official_id))
    return list(session.exec(statement.order_by(col(Mandate.created_at).desc(), col(Mandate.id))))


def signing_officials(session: Session) -> list[User]:
    """Return the officers who hold the signing role and are not disabled, by name."""
    statement = (
        select(User)
        .join(RoleAssignment, col(RoleAssignment.user_id) == col(User.id))
        .where(RoleAssignment.role == SIGNING_ROLE, User.kind == Kind.OFFICER)
        .where(col(User.disabled_at).is_(None))
        .order_by(col(User.full_name), col(User.id))
    )
    return list(session.exec(statement))


def _find_official(session: Session, official_id: uuid.UUID | None) -> User | None:
    return next((user for user in signing_officials(session) if user.id == official_id), None)


def _clean(details: MandateDetails, official: User | None) -> MandateDetails:
    """Put the texts' spaces in order, and leave out what the capacity does not need."""
    position = clean_name(details.position)
    if details.capacity == Capacity.DEFINITIVE and official is not None:
        position = position or official.position or ""
    return replace(
        details,
        position=position,
        own_position=clean_name(details.own_position) if details.capacity == Capacity.AN else "",
        basis=clean_name(details.basis),
        permit_types=tuple(sorted(set(details.permit_types))),
    )


def _problems(session: Session, details: MandateDetails, today: date) -> list[FieldProblem]:
    """List what must be corrected, in the order of the form."""
    problems = []
    if details.capacity not in list(Capacity):
        problems.append(_missing("capacity", "Pilih kedudukan penanda tangan.", "Choose the capacity."))
    needed = {
        "position": ("Isi jabatan yang dicetak.", "Enter the position to be printed."),
        "own_position": ("Isi jabatan penanda tangan sendiri.", "Enter the signer's own position."),
        "basis": ("Isi nomor dan tanggal surat keputusan.", "Enter the decree's number and date."),
    }
    for name, sentences in needed.items():
        text = getattr(details, name)
        if not text and (name != "own_position" or details.capacity == Capacity.AN):
            problems.append(_missing(name, *sentences))
        elif refusal := _text_problem(name, text):
            problems.append(refusal)
    known = {row.slug for row in active_permit_types(session)}
    if unknown := [slug for slug in details.permit_types if slug not in known]:
        names = ", ".join(unknown)[:200]
        problems.append(
            FieldProblem(
                "permit_types",
                "unknown",
                f"Jenis izin ini tidak ada: {names}.",
                f"There is no such permit type: {names}.",
            )
        )
    return problems + _date_problems(details, today)


def _text_problem(name: str, text: str) -> FieldProblem | None:
    longest = LONGEST[name]
    if len(text) > longest:
        return FieldProblem(
            name, "too_long", f"Paling banyak {longest} karakter.", f"At most {longest} characters."
        )
    if strange := "".join(sorted(unprintable_characters(text))):
        return FieldProblem(
            name,
            "not_printable",
            f"Karakter ini tidak dapat dicetak: {strange}",
            f"These characters cannot be printed: {strange}",
        )
    if name == "position" and re.match(r"(plt|plh|a\.?\s?n)\b\.?\s", text, re.IGNORECASE):
        return FieldProblem(
            name,
            "has_prefix",
            "Tulis jabatannya saja; Plt., Plh., atau a.n. dicetak oleh sistem.",
            "Write the position alone; Plt., Plh. or a.n. is printed by the system.",
        )
    return None


def _date_problems(details: MandateDetails, today: date) -> list[FieldProblem]:
    if details.valid_from is None:
        return [_missing("valid_from", "Isi tanggal mulai berlaku.", "Enter the first day.")]
    if details.valid_until is None:
        if details.capacity == Capacity.DEFINITIVE:
            return []
        sentence = "Isi tanggal berakhir: selain mandat definitif, mandat selalu dibatasi waktunya."
        return [
            _missing(
                "valid_until",
                sentence,
                "Enter the last day: any mandate but the definitive one ends on a day.",
            )
        ]
    if details.valid_until < max(details.valid_from, today):
        return [
            FieldProblem(
                "valid_until",
                "too_early",
                "Tanggal berakhir tidak boleh sebelum tanggal mulai atau sebelum hari ini.",
                "The last day cannot be before the first day or before today.",
            )
        ]
    return []


def _missing(field: str, message_id: str, message_en: str) -> FieldProblem:
    return FieldProblem(field, "missing", message_id, message_en)


def _record(
    session: Session, mandate: Mandate, action: str, actor: Actor, now: datetime, **data: object
) -> None:
    record_event(
        session,
        action=action,
        subject_type="account",
        subject_id=mandate.official_id,
        actor_id=actor.user_id,
        actor_name=actor.full_name,
        actor_role=actor.role_for_audit,
        now=now,
        data={"mandate": str(mandate.id), **data},
    )
