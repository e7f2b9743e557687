"""Signing in with e-mail and password.

A refusal is returned, not raised, because the failed attempt must stay written. What it says is the
same for an unknown address, a wrong password and a locked account; only who knows the password
learns that the address is unconfirmed or the account disabled.
"""

import uuid
from datetime import datetime, timedelta

from sqlmodel import Session

from service.accounts.access import VISITOR, uses_second_factor
from service.accounts.letters import send_letter
from service.accounts.models import User
from service.accounts.passwords import PasswordProof
from service.accounts.register import send_confirmation
from service.accounts.sessions import NewSession, open_session
from service.audit import record_event
from service.errors import AccessDenied, ServiceError, SignInRequired

ATTEMPTS_BEFORE_LOCK = 5
LOCK_TIME = timedelta(minutes=15)
HALFWAY_LIFETIME = timedelta(hours=1)
"""How long a session may wait for its second factor."""


class WrongCredentials(SignInRequired):
    code = "wrong_credentials"
    message_id = (
        "Alamat surel atau kata sandi tidak cocok. Setelah lima kali gagal, akun dikunci 15 menit; "
        "kata sandi yang terlupa dapat diatur ulang."
    )
    message_en = (
        "The e-mail address or the password does not match. After five failures an account is locked "
        "for 15 minutes; a forgotten password can be reset."
    )


class EmailNotConfirmed(AccessDenied):
    code = "email_not_confirmed"
    message_id = (
        "Alamat surel Anda belum dikonfirmasi. Kami baru saja mengirim tautan konfirmasi yang baru; "
        "periksa kotak masuk dan folder spam."
    )
    message_en = (
        "Your e-mail address has not been confirmed. We have just sent you a new confirmation link; "
        "look in your inbox and your spam folder."
    )


class AccountDisabled(AccessDenied):
    code = "account_disabled"
    message_id = "Akun ini dinonaktifkan. Hubungi administrator."
    message_en = "This account has been disabled. Ask the administrator."


def sign_in(
    session: Session, proof: PasswordProof, *, device: str, lifetime: timedelta, now: datetime
) -> NewSession | ServiceError:
    """Open a session for who has proved the password, or return the refusal.

    An account with a second factor gets a session that opens nothing but the code page.
    """
    user = session.get(User, proof.user_id, with_for_update=True) if proof.user_id else None
    if user is None:
        record_failure(session, None, "unknown_account", now)
        return WrongCredentials()
    if is_locked(user, now):
        record_failure(session, user.id, "locked", now)
        return WrongCredentials()
    if not proof.matches:
        count_failure(session, user, "wrong_password", now)
        return WrongCredentials()
    if user.disabled_at is not None:
        record_failure(session, user.id, "disabled", now)
        return AccountDisabled()
    if user.email_confirmed_at is None:
        send_confirmation(session, user, now)
        record_failure(session, user.id, "email_not_confirmed", now)
        return EmailNotConfirmed()
    return _let_in(session, user, proof, device, lifetime, now)


def _let_in(
    session: Session, user: User, proof: PasswordProof, device: str, lifetime: timedelta, now: datetime
) -> NewSession:
    halfway = uses_second_factor(user)
    if not halfway:  # Otherwise only the code forgives, or guessing codes would never lock.
        user.failed_attempts, user.locked_until = 0, None
    if proof.renewed_hash:
        user.password_hash = proof.renewed_hash
    session.add(user)
    if halfway:
        lifetime = min(lifetime, HALFWAY_LIFETIME)
    opened = open_session(
        session, user, lifetime=lifetime, device=device, now=now, needs_second_factor=halfway
    )
    action = "password_accepted" if halfway else "signed_in"
    record_own(session, user, action, now)
    return opened


def is_locked(user: User, now: datetime) -> bool:
    return user.locked_until is not None and user.locked_until > now


def count_failure(session: Session, user: User, reason: str, now: datetime) -> None:
    """Count a failed attempt; the fifth locks the account for a while and tells its owner."""
    user.failed_attempts += 1
    if user.failed_attempts >= ATTEMPTS_BEFORE_LOCK:
        user.failed_attempts, user.locked_until = 0, now + LOCK_TIME
        send_letter(session, user, "account_locked", now)
    session.add(user)
    record_failure(session, user.id, reason, now)


def record_failure(session: Session, user_id: uuid.UUID | None, reason: str, now: datetime) -> None:
    """Write a failed attempt down: never what was typed, which may be a password in the wrong field."""
    record_event(
        session,
        action="sign_in_failed",
        subject_type="account",
        subject_id=user_id or "unknown",
        actor_id=None,
        actor_name=VISITOR.full_name,
        actor_role=VISITOR.role_for_audit,
        now=now,
        data={"reason": reason},
    )


def record_own(
    session: Session, user: User, action: str, now: datetime, data: dict[str, object] | None = None
) -> None:
    """Write down what a person did to their own account."""
    record_event(
        session,
        action=action,
        subject_type="account",
        subject_id=user.id,
        actor_id=user.id,
        actor_name=user.full_name,
        actor_role=user.kind,
        now=now,
        data=data,
    )
