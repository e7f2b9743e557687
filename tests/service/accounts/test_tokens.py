"""API tokens: never more than their owner's power, never longer than a year, shown once."""

from datetime import date, datetime, timedelta

import pytest
from factories import actor_of, make_citizen, make_officer
from sqlmodel import Session, select

from service.accounts.access import token_hash
from service.accounts.models import ApiToken
from service.accounts.tokens import MOST_TOKENS, create_token, revoke_token, tokens_of
from service.clock import city_date
from service.errors import InvalidInput, NotFound


def test_a_token_is_stored_as_a_hash(session: Session, now: datetime) -> None:
    actor = actor_of(session, make_citizen(session))
    token, secret = create_token(
        session, actor, name=" Aplikasi  saya ", scopes=["apply", "read"], expires_on=_in(now, 30), now=now
    )
    assert (token.name, token.scopes, token.token_hash) == (
        "Aplikasi saya",
        ["read", "apply"],
        token_hash(secret),
    )
    assert secret.startswith("canting_")
    assert tokens_of(session, actor, now) == [token]
    assert tokens_of(session, actor, token.expires_at) == []
    assert city_date(token.expires_at) == _in(now, 30)


@pytest.mark.parametrize("scopes", [[], ["review"], ["read", "administer"], ["semuanya"]])
def test_a_citizens_token_reaches_no_further_than_a_citizen(
    session: Session, now: datetime, scopes: list[str]
) -> None:
    actor = actor_of(session, make_citizen(session))
    with pytest.raises(InvalidInput) as refusal:
        create_token(session, actor, name="x", scopes=scopes, expires_on=_in(now, 1), now=now)
    assert [problem.field for problem in refusal.value.problems] == ["scopes"]


@pytest.mark.parametrize(
    ("role", "scope", "allowed"),
    [
        ("front_office", "sign", False),
        ("department_head", "sign", True),
        ("department_head", "administer", False),
        ("administrator", "administer", True),
        ("administrator", "apply", False),
    ],
)
def test_an_officers_scopes_follow_the_roles(
    session: Session, now: datetime, role: str, scope: str, allowed: bool
) -> None:
    actor = actor_of(session, make_officer(session, [role]))
    if allowed:
        create_token(session, actor, name="x", scopes=[scope], expires_on=_in(now, 1), now=now)
    else:
        with pytest.raises(InvalidInput):
            create_token(session, actor, name="x", scopes=[scope], expires_on=_in(now, 1), now=now)


@pytest.mark.parametrize(("days", "allowed"), [(0, False), (1, True), (365, True), (366, False)])
def test_a_token_lives_a_year_at_most(session: Session, now: datetime, days: int, allowed: bool) -> None:
    actor = actor_of(session, make_citizen(session))
    if allowed:
        create_token(session, actor, name="x", scopes=["read"], expires_on=_in(now, days), now=now)
    else:
        with pytest.raises(InvalidInput) as refusal:
            create_token(session, actor, name="x", scopes=["read"], expires_on=_in(now, days), now=now)
        assert [problem.field for problem in refusal.value.problems] == ["expires_on"]


def test_tokens_are_limited_in_number(session: Session, now: datetime) -> None:
    actor = actor_of(session, make_citizen(session))
    for _ in range(MOST_TOKENS):
        create_token(session, actor, name="x", scopes=["read"], expires_on=_in(now, 1), now=now)
    with pytest.raises(InvalidInput):
        create_token(session, actor, name="x", scopes=["read"], expires_on=_in(now, 1), now=now)


def test_only_the_owner_revokes_a_token(session: Session, now: datetime) -> None:
    owner, other = (actor_of(session, make_citizen(session)) for _ in range(2))
    token, _ = create_token(session, owner, name="x", scopes=["read"], expires_on=_in(now, 1), now=now)
    with pytest.raises(NotFound):
        revoke_token(session, other, token.id, now)
    revoke_token(session, owner, token.id, now)
    assert session.exec(select(ApiToken)).one().revoked_at == now
    with pytest.raises(NotFound):
        revoke_token(session, owner, token.id, now)


def _in(now: datetime, days: int) -> date:
    return city_date(now) + timedelta(days=days)
