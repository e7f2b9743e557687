"""Citizens register; an address is confirmed by a link; a forgotten password is reset by a link.

What appears on the screen is the same whether or not an address has an account: only its mailbox
learns the difference.
"""

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, select

from service.accounts.access import VISITOR, Actor
from service.accounts.letters import send_letter
from service.accounts.links import (
    CONFIRMATION_LIFETIME,
    RESET_LIFETIME,
    create_link,
    read_link,
    void_links,
    was_just_sent,
)
from service.accounts.models import Kind, User
from service.accounts.passwords import check_password, hash_password
from service.accounts.person import clean_email, clean_name, problems_with_email, problems_with_name
from service.accounts.sessions import revoke_sessions
from service.audit import record_event
from service.errors import FieldProblem, InvalidInput

CONSENT_VERSION = "2026-11"
"""The privacy notice agreed to (UU 27/2022 arts. 20-21); recorded in the audit trail."""


@dataclass(frozen=True, slots=True)
class Registration:
    """What a citizen types to register."""

    full_name: str
    email: str
    password: str = field(repr=False)
    consent: bool = False
    language: str = "id"


def register_citizen(session: Session, registration: Registration, now: datetime) -> None:
    """Register a citizen and mail the confirmation link; a registered address gets another mail.

    An account whose address was never confirmed belongs to nobody yet: registering again replaces it.
    Raises InvalidInput naming every field that must be corrected.
    """
    name, email = clean_name(registration.full_name), clean_email(registration.email)
    _check(registration, name, email)
    password_hash = hash_password(registration.password)  # Before the transaction begins: it is slow.
    user = session.exec(select(User).where(User.email == email).with_for_update()).first()
    if user is not None and (user.email_confirmed_at or user.kind != Kind.CITIZEN or user.disabled_at):
        send_letter(session, user, "already_registered", now)
        _record(session, user, "registered_again", now, actor=VISITOR)
        return
    if user is None:
        user = User(kind=Kind.CITIZEN, email=email, full_name=name, password_hash="", created_at=now)
    user.full_name, user.password_hash = name, password_hash
    user.language = registration.language
    try:
        with session.begin_nested():
            session.add(user)
    except IntegrityError:  # The same form was sent twice at once; the first has sent the mail.
        return
    send_confirmation(session, user, now)
    _record(session, user, "registered", now, {"privacy_notice": CONSENT_VERSION})


def _check(registration: Registration, name: str, email: str) -> None:
    problems = problems_with_name(name) + problems_with_email(email)
    try:
        check_password(registration.password, email=email, full_name=name)
    except InvalidInput as error:
        problems += error.problems
    if not registration.consent:
        problems.append(
            FieldProblem(
                "consent",
                "consent_missing",
                "Beri persetujuan pemrosesan data pribadi untuk membuat akun.",
                "Agree to the processing of personal data to open an account.",
            )
        )
    if problems:
        raise InvalidInput(problems=problems)


def send_confirmation(session: Session, user: User, now: datetime) -> None:
    """Mail a fresh confirmation link, unless one has just been sent."""
    if was_just_sent(session, user, "confirm-email", now):
        return
    link = create_link(session, user, "confirm-email", CONFIRMATION_LIFETIME, now)
    send_letter(session, user, "confirm_email", now, link=link)


def resend_confirmation(session: Session, email: str, now: datetime) -> None:
    """Mail the confirmation link again, if the address waits for one. Raises InvalidInput."""
    user = _find(session, email)
    if user is not None and user.email_confirmed_at is None and user.disabled_at is None:
        send_confirmation(session, user, now)


def confirm_email(session: Session, token: str, secret_key: str, now: datetime) -> User:
    """Confirm the address that the link was mailed to. Raises LinkNotValid."""
    link, user = read_link(session, token, "confirm-email", secret_key, now, lock=True)
    link.used_at = now
    session.add(link)
    user.email_confirmed_at = user.email_confirmed_at or now
    session.add(user)
    _record(session, user, "email_confirmed", now)
    return user


def request_password_reset(session: Session, email: str, now: datetime) -> None:
    """Mail a reset link, if the address has an account. Raises InvalidInput."""
    user = _find(session, email)
    if user is None or user.disabled_at is not None or was_just_sent(session, user, "reset-password", now):
        return
    link = create_link(session, user, "reset-password", RESET_LIFETIME, now)
    send_letter(session, user, "reset_password", now, link=link)
    _record(session, user, "password_reset_requested", now, actor=VISITOR)


def reset_password(session: Session, token: str, new_password: str, secret_key: str, now: datetime) -> User:
    """Set a new password through a mailed link, and end every session.

    The link proves the mailbox, so the address counts as confirmed. Second factors stay as they are.
    Raises LinkNotValid, or InvalidInput naming `new_password` (the link then stays usable).
    """
    link, user = read_link(session, token, "reset-password", secret_key, now, lock=True)
    check_password(new_password, email=user.email, full_name=user.full_name, field="new_password")
    link.used_at = now
    session.add(link)
    user.password_hash = hash_password(new_password)
    user.email_confirmed_at = user.email_confirmed_at or now
    user.failed_attempts, user.locked_until = 0, None
    session.add(user)
    void_links(session, user.id, "confirm-email", now)
    ended = revoke_sessions(session, user.id, now)
    send_letter(session, user, "password_changed", now)
    _record(session, user, "password_reset", now, {"sessions_ended": ended})
    return user


def change_profile(session: Session, actor: Actor, *, full_name: str, language: str, now: datetime) -> User:
    """Change the name and the language of one's letters. Raises InvalidInput.

    An officer's name stands on documents, so only an administrator changes it.
    """
    user = session.get_one(User, actor.id)
    name = clean_name(full_name) if user.kind == Kind.CITIZEN else user.full_name
    problems = problems_with_name(name)
    if problems:
        raise InvalidInput(problems=problems)
    changed = [
        field
        for field, old, new in (("full_name", user.full_name, name), ("language", user.language, language))
        if old != new
    ]
    user.full_name, user.language = name, language
    session.add(user)
    if changed:
        _record(session, user, "profile_changed", now, {"fields": changed})
    return user


def _find(session: Session, email: str) -> User | None:
    cleaned = clean_email(email)
    problems = problems_with_email(cleaned)
    if problems:
        raise InvalidInput(problems=problems)
    return session.exec(select(User).where(User.email == cleaned)).first()


def _record(
    session: Session,
    user: User,
    action: str,
    now: datetime,
    data: dict[str, object] | None = None,
    actor: Actor | None = None,
) -> None:
    record_event(
        session,
        action=action,
        subject_type="account",
        subject_id=user.id,
        actor_id=actor.user_id if actor else user.id,
        actor_name=actor.full_name if actor else user.full_name,
        actor_role=actor.role_for_audit if actor else user.kind,
        now=now,
        data=data,
    )
