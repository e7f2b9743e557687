"""Signed-in browsers: a random token in a cookie, its hash in a row that can be revoked at once."""

import re
import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, update
from sqlmodel import Session, col, select

from service.accounts.access import Actor, token_hash
from service.accounts.models import LoginSession, OneTimeLink, User
from service.audit import record_event
from service.errors import NotFound

TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session just opened. `token` goes into the cookie and is kept nowhere else."""

    token: str
    id: uuid.UUID
    user: User
    expires_at: datetime
    needs_second_factor: bool = False


def open_session(
    session: Session,
    user: User,
    *,
    lifetime: timedelta,
    device: str,
    now: datetime,
    second_factor: bool = False,
    needs_second_factor: bool = False,
) -> NewSession:
    """Open a session. Each step up (password, then code) gets a session and a token of its own."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    row = LoginSession(
        token_hash=token_hash(token),
        user_id=user.id,
        created_at=now,
        expires_at=now + lifetime,
        second_factor_at=now if second_factor else None,
        device=device,
    )
    session.add(row)
    session.flush()
    return NewSession(token, row.id, user, row.expires_at, needs_second_factor)


def sessions_of(session: Session, actor: Actor, now: datetime) -> list[LoginSession]:
    """List the person's open sessions, the latest first."""
    statement = (
        select(LoginSession)
        .where(
            LoginSession.user_id == actor.id,
            col(LoginSession.revoked_at).is_(None),
            LoginSession.expires_at > now,
        )
        .order_by(col(LoginSession.created_at).desc())
    )
    return list(session.exec(statement))


def revoke_sessions(
    session: Session, user_id: uuid.UUID, now: datetime, keep: uuid.UUID | None = None
) -> int:
    """End the account's sessions, all but `keep`, and return how many were open."""
    statement = update(LoginSession).where(
        col(LoginSession.user_id) == user_id,
        col(LoginSession.revoked_at).is_(None),
        col(LoginSession.expires_at) > now,
    )
    if keep is not None:
        statement = statement.where(col(LoginSession.id) != keep)
    return session.execute(statement.values(revoked_at=now)).rowcount  # type: ignore[attr-defined,no-any-return]


def discard_session(session: Session, session_id: uuid.UUID, now: datetime) -> LoginSession:
    """Close a session on the way in, because a full one takes its place or the way ends here."""
    row = session.get_one(LoginSession, session_id)
    row.revoked_at = now
    session.add(row)
    return row


def end_session(session: Session, actor: Actor, session_id: uuid.UUID, now: datetime) -> None:
    """End one of the person's own sessions. Raises NotFound for one that is not theirs or not open."""
    row = session.exec(
        select(LoginSession).where(
            LoginSession.id == session_id,
            LoginSession.user_id == actor.id,
            col(LoginSession.revoked_at).is_(None),
        )
    ).first()
    if row is None:
        raise NotFound
    row.revoked_at = now
    session.add(row)
    action = "signed_out" if session_id == actor.session_id else "session_ended"
    _record(session, actor, action, now)


def end_all_sessions(session: Session, actor: Actor, now: datetime) -> int:
    """End all of the person's sessions, this one too, and return how many were open."""
    ended = revoke_sessions(session, actor.id, now)
    _record(session, actor, "signed_out_everywhere", now, {"sessions_ended": ended})
    return ended


def forget_expired(session: Session, now: datetime) -> int:
    """Delete sessions and one-time links that ended 30 days ago; return how many. For a daily job."""
    long_ago = now - timedelta(days=30)
    deleted = 0
    for table in (LoginSession, OneTimeLink):
        result = session.execute(delete(table).where(col(table.expires_at) < long_ago))
        deleted += result.rowcount  # type: ignore[attr-defined]
    return deleted


def _record(
    session: Session, actor: Actor, action: str, now: datetime, data: dict[str, int] | None = None
) -> None:
    record_event(
        session,
        action=action,
        subject_type="account",
        subject_id=actor.id,
        actor_id=actor.id,
        actor_name=actor.full_name,
        actor_role=actor.role_for_audit,
        now=now,
        data=data,
    )


_BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "Mac"),
    ("Linux", "Linux"),
)


def device_name(user_agent: str) -> str:
    """Name the browser and the system in a User-Agent header, or its first product token, or nothing."""
    found = [
        next((name for mark, name in marks if mark in user_agent), "") for marks in (_BROWSERS, _SYSTEMS)
    ]
    named = ", ".join(filter(None, found))
    if named:
        return named
    product = re.match(r"[A-Za-z0-9._-]{1,40}", user_agent)
    return product.group() if product else ""
