"""Passwords: what is refused, and that comparing takes the same work for everybody."""

from datetime import datetime

import pytest
from factories import PASSWORD, actor_of, make_citizen
from sqlmodel import Session

from service.accounts import passwords
from service.accounts.passwords import (
    WrongPassword,
    change_password,
    check_password,
    hash_password,
    prove_password,
)
from service.errors import InvalidInput

REFUSED = [
    ("pendek", "too_short"),
    ("a" * 201, "too_long"),
    ("aaaaaaaaaaaa", "too_common"),
    ("1234567890", "too_common"),
    ("0812-3456-7890", "too_common"),
    ("qwertyuiop", "too_common"),
    ("poiuytrewq", "too_common"),
    ("password123", "too_common"),
    ("P@ssw0rd2026!", "too_common"),
    ("rahasiarahasia", "too_common"),
    ("Pekalongan2026", "too_common"),
    ("bismillah99", "too_common"),
    ("sitirahayu1990", "too_personal"),
    ("siti.rahayu90", "too_personal"),
    ("Rahayu12345", "too_personal"),
]


@pytest.mark.parametrize(("password", "code"), REFUSED)
def test_weak_passwords_are_refused(password: str, code: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        check_password(password, email="siti.rahayu90@contoh.invalid", full_name="Siti Rahayu")
    assert [problem.code for problem in refusal.value.problems] == [code]


@pytest.mark.parametrize(
    "password", [PASSWORD, "9Tg-x2 Lq8#w", "rahayu pergi membeli kain", "कठपुतली नाचती है"]
)
def test_long_or_unpredictable_passwords_are_accepted(password: str) -> None:
    check_password(password, email="siti.rahayu90@contoh.invalid", full_name="Siti Rahayu")


def test_the_same_password_typed_on_another_keyboard_matches(session: Session) -> None:
    user = make_citizen(session)
    user.password_hash = hash_password("cafe\u0301 di tepi kali")
    session.flush()
    assert prove_password(session, user.email, "caf\u00e9 di tepi kali").matches


def test_an_unknown_account_costs_a_hash_as_well(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    user = make_citizen(session)
    compared: list[str] = []
    real = passwords.HASHER.verify_and_update

    def compare(password: str, stored: str) -> tuple[bool, str | None]:
        compared.append(stored)
        return real(password, stored)

    monkeypatch.setattr(passwords.HASHER, "verify_and_update", compare)
    known = prove_password(session, user.email.upper(), "bukan kata sandinya")
    unknown = prove_password(session, "tak.dikenal@contoh.invalid", "bukan kata sandinya")
    assert (known.user_id, known.matches) == (user.id, False)
    assert (unknown.user_id, unknown.matches) == (None, False)
    assert [stored.split("$")[1:4] for stored in compared] == [compared[0].split("$")[1:4]] * 2


def test_an_invited_officer_without_password_cannot_be_proved(session: Session) -> None:
    user = make_citizen(session)
    user.password_hash = ""
    session.flush()
    assert not prove_password(session, user.email, "").matches


def test_changing_the_password_needs_the_current_one(session: Session, now: datetime) -> None:
    user = make_citizen(session)
    before = user.password_hash
    with pytest.raises(WrongPassword) as refusal:
        change_password(
            session, actor_of(session, user), current="salah", new="gamelan di alun-alun", now=now
        )
    assert refusal.value.problems[0].field == "current_password"
    assert user.password_hash == before


def test_a_changed_password_replaces_the_old(session: Session, now: datetime) -> None:
    user = make_citizen(session)
    change_password(session, actor_of(session, user), current=PASSWORD, new="gamelan di alun-alun", now=now)
    assert prove_password(session, user.email, "gamelan di alun-alun").matches
    assert not prove_password(session, user.email, PASSWORD).matches
