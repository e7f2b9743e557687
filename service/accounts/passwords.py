"""Passwords: what is accepted, how it is kept (Argon2id), and changing it.

The rules follow NIST SP 800-63B §3.1.1: length counts, composition rules do not, and what attackers
try first is refused.
"""

import re
import secrets
import unicodedata
import uuid
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

from pwdlib import PasswordHash
from sqlmodel import Session, select

from service.accounts.access import Actor
from service.accounts.letters import send_letter
from service.accounts.models import User
from service.accounts.sessions import revoke_sessions
from service.audit import record_event
from service.errors import FieldProblem, InvalidInput

SHORTEST_PASSWORD = 10
LONGEST_PASSWORD = 200
HASHER = PasswordHash.recommended()

COMMON_WORDS = frozenset((Path(__file__).parent / "common_passwords.txt").read_text().split())
"""What people choose first, here and elsewhere; digits, signs and repetition around it do not help."""

DISGUISES = str.maketrans("0134578@$!", "oieastbasi")
SEQUENCES = ("01234567890123456789", "abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm")


class WrongPassword(InvalidInput):
    code = "wrong_password"


@dataclass(frozen=True, slots=True)
class PasswordProof:
    """What the typed password showed: whose account it is for (if any), and whether it matches."""

    user_id: uuid.UUID | None
    matches: bool
    renewed_hash: str | None = None
    """The same password under today's parameters, when the stored hash is older."""


def normalise(password: str) -> str:
    """Return the password in the form that is hashed: NFKC, so that every keyboard types the same."""
    return unicodedata.normalize("NFKC", password)


def hash_password(password: str) -> str:
    return HASHER.hash(normalise(password))


@cache
def _dummy_hash() -> str:
    return hash_password(secrets.token_urlsafe(24))


def prove_password(session: Session, email: str, password: str) -> PasswordProof:
    """Compare a typed password, with the same work whether or not the account exists.

    It only reads, so that the slow hash is computed while no transaction writes.
    """
    user = session.exec(select(User).where(User.email == email.strip().lower())).first()
    stored = user.password_hash if user and user.password_hash else _dummy_hash()
    typed = normalise(password[: LONGEST_PASSWORD + 1])
    matches, renewed = HASHER.verify_and_update(typed, stored)
    if user is None:
        return PasswordProof(None, False)
    return PasswordProof(user.id, matches and bool(user.password_hash), renewed)


def check_password(password: str, *, email: str, full_name: str, field: str = "password") -> None:
    """Refuse a password that is short, common, or made of the person's name. Raises InvalidInput."""
    problem = _problem_with(normalise(password), email, full_name)
    if problem:
        raise InvalidInput(problems=[FieldProblem(field, *problem)])


def _problem_with(password: str, email: str, full_name: str) -> tuple[str, str, str] | None:
    if len(password) < SHORTEST_PASSWORD:
        return (
            "too_short",
            f"Kata sandi sedikitnya {SHORTEST_PASSWORD} karakter.",
            f"The password needs at least {SHORTEST_PASSWORD} characters.",
        )
    if len(password) > LONGEST_PASSWORD:
        return (
            "too_long",
            f"Kata sandi paling banyak {LONGEST_PASSWORD} karakter.",
            f"The password may have at most {LONGEST_PASSWORD} characters.",
        )
    if _is_common(password.lower()):
        return (
            "too_common",
            "Kata sandi ini mudah ditebak. Gabungkan beberapa kata yang tidak berkaitan.",
            "This password is easy to guess. Put together several words that have nothing in common.",
        )
    if _contains_personal(password.lower(), email, full_name):
        return (
            "too_personal",
            "Kata sandi tidak boleh memuat nama atau alamat surel Anda.",
            "The password must not contain your name or e-mail address.",
        )
    return None


def _is_common(password: str) -> bool:
    if len(set(password)) < 5:
        return True
    if any(password in sequence * 2 or password in sequence[::-1] * 2 for sequence in SEQUENCES):
        return True
    if not any(char.isalpha() for char in password):
        return True
    ends = "0123456789!@#$%^&*()._-+=? "
    readings = (password, password.translate(DISGUISES), password.strip(ends).translate(DISGUISES))
    return any(_is_one_common_word("".join(filter(str.isalpha, text))) for text in readings)


def _is_one_common_word(letters: str) -> bool:
    """Tell whether the letters are one common word, perhaps repeated (`rahasiarahasia`)."""
    return any(letters.replace(word, "") == "" for word in COMMON_WORDS if letters and word in letters)


def _contains_personal(password: str, email: str, full_name: str) -> bool:
    local_part = email.partition("@")[0].lower()
    parts = [local_part, *re.split(r"[^a-z]+", local_part), *re.split(r"\W+", full_name.lower())]
    long_parts = {part for part in parts if len(part) >= 4}
    rest = password
    for part in sorted(long_parts, key=len, reverse=True):
        rest = rest.replace(part, "")
    return rest != password and len(rest) < SHORTEST_PASSWORD - 2


def change_password(session: Session, actor: Actor, *, current: str, new: str, now: datetime) -> None:
    """Replace the password of the person signed in, and end every other session.

    Raises InvalidInput naming `current_password` or `new_password`.
    """
    user = session.get_one(User, actor.id)
    if not HASHER.verify(normalise(current[: LONGEST_PASSWORD + 1]), user.password_hash):
        raise WrongPassword(
            problems=[
                FieldProblem(
                    "current_password",
                    "wrong_password",
                    "Kata sandi sekarang tidak cocok.",
                    "The current password does not match.",
                )
            ]
        )
    check_password(new, email=user.email, full_name=user.full_name, field="new_password")
    user.password_hash = hash_password(new)
    session.add(user)
    revoked = revoke_sessions(session, user.id, now, keep=actor.session_id)
    send_letter(session, user, "password_changed", now)
    record_event(
        session,
        action="password_changed",
        subject_type="account",
        subject_id=user.id,
        actor_id=user.id,
        actor_name=user.full_name,
        actor_role=actor.role_for_audit,
        now=now,
        data={"sessions_ended": revoked},
    )
