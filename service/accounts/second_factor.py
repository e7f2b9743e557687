"""The second factor: TOTP (RFC 6238), with recovery codes for a lost telephone.

A code is accepted once, within one step of the clock. As with passwords, a refused code is returned,
not raised, so that the failed attempt stays written.
"""

import base64
import re
import secrets
from datetime import datetime, timedelta

import pyotp
from pyotp.exceptions import OTPVerificationError
from sqlalchemy import delete
from sqlmodel import Session, col, select

from service.accounts.access import Actor, token_hash
from service.accounts.letters import send_letter
from service.accounts.models import Kind, RecoveryCode, User
from service.accounts.sealing import seal, unseal
from service.accounts.sessions import NewSession, discard_session, open_session, revoke_sessions
from service.accounts.signin import count_failure, is_locked, record_failure, record_own
from service.errors import AccessDenied, Conflict, FieldProblem, InvalidInput, ServiceError

ISSUER = "Canting"
RECOVERY_CODES = 10
RECOVERY_CODE_BYTES = 10
"""80 bits: enough that a plain hash keeps a code secret at rest."""


class WrongCode(InvalidInput):
    code = "wrong_code"
    message_id = "Kode tidak cocok atau sudah dipakai."
    message_en = "The code does not match or has been used."

    def __init__(self) -> None:
        super().__init__(
            problems=[
                FieldProblem(
                    "code",
                    "wrong_code",
                    "Kode tidak cocok atau sudah dipakai. Tunggu kode berikutnya di aplikasi Anda. "
                    "Setelah lima kali gagal, akun dikunci 15 menit.",
                    "The code does not match or has been used. Wait for the next code in your app. "
                    "After five failures the account is locked for 15 minutes.",
                )
            ]
        )


class AlreadyEnrolled(Conflict):
    code = "second_factor_already_enrolled"
    message_id = "Verifikasi dua langkah sudah aktif untuk akun ini."
    message_en = "Two-step verification is already set up for this account."


class NotEnrolled(Conflict):
    code = "second_factor_not_enrolled"
    message_id = "Verifikasi dua langkah belum dimulai. Mulai dari halaman akun Anda."
    message_en = "Two-step verification has not been started. Start from your account page."


class SecondFactorObligatory(AccessDenied):
    code = "second_factor_obligatory"
    message_id = "Petugas wajib memakai verifikasi dua langkah; hanya administrator dapat mengatur ulang."
    message_en = "Officers must use two-step verification; only an administrator can reset it."


def begin_enrolment(session: Session, actor: Actor, wrapping_keys: dict[str, bytes], now: datetime) -> None:
    """Give the account a new TOTP secret, in force once a first code confirms it. Raises AlreadyEnrolled."""
    user = session.get_one(User, actor.id, with_for_update=True)
    if user.totp_confirmed_at is not None:
        raise AlreadyEnrolled
    user.totp_secret = seal(pyotp.random_base32(), wrapping_keys, str(user.id))
    session.add(user)
    record_own(session, user, "second_factor_begun", now)


def enrolment_secret(session: Session, actor: Actor, wrapping_keys: dict[str, bytes]) -> str | None:
    """Return the secret (base32) of an enrolment under way, or None. Raises AlreadyEnrolled."""
    user = session.get_one(User, actor.id)
    if user.totp_confirmed_at is not None:
        raise AlreadyEnrolled
    return unseal(user.totp_secret, wrapping_keys, str(user.id)) if user.totp_secret else None


def enrolment_uri(secret: str, email: str) -> str:
    """Return the `otpauth:` address that a QR code carries to the authenticator app."""
    return str(pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=ISSUER))


def confirm_enrolment(
    session: Session,
    actor: Actor,
    code: str,
    wrapping_keys: dict[str, bytes],
    *,
    lifetime: timedelta,
    now: datetime,
) -> tuple[NewSession, list[str]] | ServiceError:
    """Set TOTP in force; return the stepped-up session and the recovery codes, shown this once.

    Returns WrongCode for a code that does not match. Raises AlreadyEnrolled or NotEnrolled.
    """
    user = session.get_one(User, actor.id, with_for_update=True)
    if user.totp_confirmed_at is not None:
        raise AlreadyEnrolled
    if user.totp_secret is None:
        raise NotEnrolled
    refusal = _check_code(session, user, code, wrapping_keys, now)
    if refusal is not None:
        return refusal
    user.totp_confirmed_at = now
    codes = _new_recovery_codes(session, user, now)
    revoke_sessions(session, user.id, now, keep=actor.session_id)
    opened = _step_up(session, actor, user, lifetime, now)
    send_letter(session, user, "second_factor_enrolled", now)
    record_own(session, user, "second_factor_enrolled", now)
    return opened, codes


def check_second_factor(
    session: Session,
    actor: Actor,
    code: str,
    wrapping_keys: dict[str, bytes],
    *,
    lifetime: timedelta,
    now: datetime,
) -> NewSession | ServiceError:
    """Exchange a half-open session for a full one by a TOTP or a recovery code.

    Returns WrongCode for a code that is refused. Raises NotEnrolled.
    """
    user = session.get_one(User, actor.id, with_for_update=True)
    if user.totp_confirmed_at is None:
        raise NotEnrolled
    refusal = _check_code(session, user, code, wrapping_keys, now, recovery_codes_too=True)
    if refusal is not None:
        return refusal
    opened = _step_up(session, actor, user, lifetime, now)
    record_own(session, user, "signed_in", now)
    return opened


def renew_recovery_codes(
    session: Session, actor: Actor, code: str, wrapping_keys: dict[str, bytes], now: datetime
) -> list[str] | ServiceError:
    """Replace the recovery codes and return the new ones; returns WrongCode, raises NotEnrolled."""
    user = session.get_one(User, actor.id, with_for_update=True)
    if user.totp_confirmed_at is None:
        raise NotEnrolled
    refusal = _check_code(session, user, code, wrapping_keys, now)
    if refusal is not None:
        return refusal
    codes = _new_recovery_codes(session, user, now)
    record_own(session, user, "recovery_codes_renewed", now)
    return codes


def remove_second_factor(
    session: Session, actor: Actor, code: str, wrapping_keys: dict[str, bytes], now: datetime
) -> ServiceError | None:
    """Take a citizen's second factor away; returns WrongCode, raises SecondFactorObligatory for officers."""
    user = session.get_one(User, actor.id, with_for_update=True)
    if user.kind == Kind.OFFICER:
        raise SecondFactorObligatory
    if user.totp_confirmed_at is None:
        raise NotEnrolled
    refusal = _check_code(session, user, code, wrapping_keys, now, recovery_codes_too=True)
    if refusal is None:
        forget_second_factor(session, user)
        send_letter(session, user, "second_factor_removed", now)
        record_own(session, user, "second_factor_removed", now)
    return refusal


def forget_second_factor(session: Session, user: User) -> None:
    """Remove secret and recovery codes."""
    user.totp_secret = user.totp_confirmed_at = user.totp_last_step = None
    session.add(user)
    session.execute(delete(RecoveryCode).where(col(RecoveryCode.user_id) == user.id))


def enrol_totp_directly(
    session: Session, user: User, secret: str, wrapping_keys: dict[str, bytes], now: datetime
) -> None:
    """Enrol a known base32 secret, as demonstrations and tests need. Never offered to a person."""
    user.totp_secret = seal(secret, wrapping_keys, str(user.id))
    user.totp_confirmed_at, user.totp_last_step = now, None
    session.add(user)
    session.flush()


def unused_recovery_codes(session: Session, actor: Actor) -> int:
    """Count the recovery codes that still work."""
    statement = select(RecoveryCode.id).where(
        RecoveryCode.user_id == actor.id, col(RecoveryCode.used_at).is_(None)
    )
    return len(session.exec(statement).all())


def _check_code(
    session: Session,
    user: User,
    code: str,
    wrapping_keys: dict[str, bytes],
    now: datetime,
    *,
    recovery_codes_too: bool = False,
) -> ServiceError | None:
    """Use a code up, or count the failure and return the refusal. The user's row is locked."""
    if is_locked(user, now):
        record_failure(session, user.id, "locked", now)
        return WrongCode()
    typed = re.sub(r"[\s-]", "", code).upper()[:64]
    accepted = _use_totp(user, typed, wrapping_keys, now) or (
        recovery_codes_too and _use_recovery_code(session, user, typed, now)
    )
    if not accepted:
        count_failure(session, user, "wrong_code", now)
        return WrongCode()
    user.failed_attempts, user.locked_until = 0, None
    session.add(user)
    return None


def _use_totp(user: User, code: str, wrapping_keys: dict[str, bytes], now: datetime) -> bool:
    if not re.fullmatch(r"[0-9]{6}", code) or not user.totp_secret:
        return False
    totp = pyotp.TOTP(unseal(user.totp_secret, wrapping_keys, str(user.id)))
    try:
        step = totp.verify_and_get_timecode(code, for_time=now, valid_window=1)
    except OTPVerificationError:
        return False
    if user.totp_last_step is not None and step <= user.totp_last_step:
        return False
    user.totp_last_step = step
    return True


def _use_recovery_code(session: Session, user: User, code: str, now: datetime) -> bool:
    row = session.exec(
        select(RecoveryCode).where(
            RecoveryCode.user_id == user.id,
            RecoveryCode.code_hash == token_hash(code),
            col(RecoveryCode.used_at).is_(None),
        )
    ).first()
    if row is None:
        return False
    row.used_at = now
    session.add(row)
    send_letter(session, user, "recovery_code_used", now)
    return True


def _new_recovery_codes(session: Session, user: User, now: datetime) -> list[str]:
    session.execute(delete(RecoveryCode).where(col(RecoveryCode.user_id) == user.id))
    codes = []
    for _ in range(RECOVERY_CODES):
        code = base64.b32encode(secrets.token_bytes(RECOVERY_CODE_BYTES)).decode()
        session.add(RecoveryCode(user_id=user.id, code_hash=token_hash(code), created_at=now))
        codes.append("-".join(code[start : start + 4] for start in range(0, len(code), 4)))
    return codes


def _step_up(session: Session, actor: Actor, user: User, lifetime: timedelta, now: datetime) -> NewSession:
    """End the half-open session and open a full one with a token of its own."""
    device = ""
    if actor.session_id is not None:
        device = discard_session(session, actor.session_id, now).device
    return open_session(session, user, lifetime=lifetime, device=device, now=now, second_factor=True)
