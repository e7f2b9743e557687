"""Alarms of what nears its end: administrators get one mail a day at most, and of each thing once a stage."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, col, func, select

from service import jobs
from service.accounts.access import ADMINISTRATOR
from service.accounts.models import Kind, RoleAssignment, User
from service.clock import city_date
from service.config import TsaAddress
from service.mail import queue_mail
from service.permits.mandates import printed_capacity
from service.permits.models import ExpiryAlarm, Mandate
from service.permits.register import end_of_day, newest_versions, start_of_day
from service.pki.overview import key_overview

ALARM = "expiry_alarm"
STAGES = (180, 90, 30, 7, 1, 0)
"""Days before the end at which administrators are told; at 0 it is over."""
PROOF_DUE = timedelta(days=180)
"""The daily job renews proofs in the year before their end: this near to it something is amiss."""
LONGEST_NOTICE = timedelta(days=30)
"""A mandate's end is told of in its last third, but no earlier than this."""
LONGEST_DIGEST = 50


@dataclass(frozen=True, slots=True)
class Ending:
    """Something that nears its end and waits for somebody. `kind`: `key`, `mandate` or `proofs`."""

    kind: str
    name: str
    action: str
    due_from: datetime
    ends_at: datetime

    @property
    def subject(self) -> str:
        """What the alarm is remembered by: with the end, so that its successor is told of anew."""
        return f"{self.kind}:{self.name[:48]}:{self.action[:14]}:{city_date(self.ends_at)}"

    def stage(self, now: datetime) -> int | None:
        """Return the last stage that was reached, if any."""
        left = self.ends_at - now
        reached = [days for days in STAGES if left <= timedelta(days=days)]
        return reached[-1] if reached and now >= self.due_from else None


def send_expiry_alarms(session: Session, addresses: Sequence[TsaAddress], now: datetime) -> int:
    """Mail each administrator what has reached a stage since the last alarm; return how many were mailed.

    A daily job. Without an administrator nothing counts as told.
    """
    administrators = _administrators(session)
    due = [each for each in endings(session, addresses, now) if _is_news(session, each, now)]
    if not due or not administrators:
        return 0
    for ending in due:
        _remember(session, ending, now)
    for user in administrators:
        mail = queue_mail(
            session,
            to=user.email,
            language=user.language,
            template=ALARM,
            context={"full_name": user.full_name, "endings": _told(due), "path": "/admin/keys"},
            now=now,
        )
        jobs.enqueue(session, "send_mail", str(mail.id))
    return len(administrators)


def endings(session: Session, addresses: Sequence[TsaAddress], now: datetime) -> list[Ending]:
    """List what has an end and somebody who must act before it, the nearest end first."""
    keys = [
        Ending("key", view.name, view.action, view.act_from, view.act_by)
        for view in key_overview(session, addresses, now)
        if view.act_from is not None and view.act_by is not None
    ]
    found = [*keys, *_mandates(session, now), *_proofs(session)]
    return sorted(found, key=lambda ending: ending.ends_at)


def _mandates(session: Session, now: datetime) -> list[Ending]:
    """List the mandates in force that end without the same official holding a later one."""
    statement = (
        select(Mandate, User)
        .join(User, col(User.id) == col(Mandate.official_id))
        .where(col(Mandate.ended_at).is_(None), col(User.disabled_at).is_(None))
        .where(Mandate.valid_from <= city_date(now))
    )
    rows = session.exec(statement).all()
    found = []
    for mandate, official in rows:
        if mandate.valid_until is None or mandate.valid_until < city_date(now):
            continue
        if any(_outlasts(other, mandate) for other, _ in rows):
            continue
        begin, end = start_of_day(mandate.valid_from), end_of_day(mandate.valid_until)
        name = f"{official.full_name}, {printed_capacity(mandate).partition(chr(10))[0]}"
        found.append(Ending("mandate", name, "grant", end - min((end - begin) / 3, LONGEST_NOTICE), end))
    return found


def _outlasts(other: Mandate, mandate: Mandate) -> bool:
    if other.id == mandate.id or other.official_id != mandate.official_id or mandate.valid_until is None:
        return False
    return other.valid_until is None or other.valid_until > mandate.valid_until


def _proofs(session: Session) -> list[Ending]:
    """Tell of the documents whose proof ends first, as one."""
    newest = newest_versions()
    first = session.exec(select(func.min(newest.c.verifiable_until))).one()
    if first is None:
        return []
    return [Ending("proofs", "", "look_into", first - PROOF_DUE, first)]


def _is_news(session: Session, ending: Ending, now: datetime) -> bool:
    stage = ending.stage(now)
    return stage is not None and session.get(ExpiryAlarm, (ending.subject, stage)) is None


def _remember(session: Session, ending: Ending, now: datetime) -> None:
    """Remember the stage as told, and those before it, which were passed over."""
    stage = ending.stage(now)
    assert stage is not None
    for days in STAGES:
        if days >= stage:
            session.merge(ExpiryAlarm(subject=ending.subject, stage=days, told_at=now))


def _told(due: Sequence[Ending]) -> list[dict[str, str]]:
    return [
        {
            "kind": each.kind,
            "name": each.name,
            "action": each.action,
            "ends_on": city_date(each.ends_at).isoformat(),
        }
        for each in due[:LONGEST_DIGEST]
    ]


def _administrators(session: Session) -> list[User]:
    statement = (
        select(User)
        .join(RoleAssignment, col(RoleAssignment.user_id) == col(User.id))
        .where(RoleAssignment.role == ADMINISTRATOR, User.kind == Kind.OFFICER)
        .where(col(User.disabled_at).is_(None))
        .order_by(col(User.email))
    )
    return list(session.exec(statement))
