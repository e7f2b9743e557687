"""Sessions: one's own to list and end, nobody else's."""

from datetime import datetime, timedelta

import pytest
from factories import make_citizen
from sqlmodel import Session, select

from service.accounts.access import actor_of_user
from service.accounts.links import create_link
from service.accounts.models import LoginSession, OneTimeLink
from service.accounts.sessions import (
    device_name,
    end_all_sessions,
    end_session,
    forget_expired,
    open_session,
    sessions_of,
)
from service.errors import NotFound

DAY = timedelta(days=1)


def test_open_sessions_are_listed_and_ended(session: Session, now: datetime) -> None:
    user = make_citizen(session)
    opened = [
        open_session(session, user, lifetime=DAY, device="", now=now + timedelta(hours=hour))
        for hour in range(3)
    ]
    actor = actor_of_user(session, user, session_id=opened[2].id)
    assert [row.id for row in sessions_of(session, actor, now)] == [item.id for item in reversed(opened)]
    end_session(session, actor, opened[0].id, now)
    assert [row.id for row in sessions_of(session, actor, now)] == [opened[2].id, opened[1].id]
    assert end_all_sessions(session, actor, now) == 2
    assert sessions_of(session, actor, now) == []


def test_an_expired_session_is_not_listed(session: Session, now: datetime) -> None:
    user = make_citizen(session)
    open_session(session, user, lifetime=DAY, device="", now=now)
    assert sessions_of(session, actor_of_user(session, user), now + DAY) == []


def test_somebody_elses_session_cannot_be_ended(session: Session, now: datetime) -> None:
    theirs = open_session(session, make_citizen(session), lifetime=DAY, device="", now=now)
    actor = actor_of_user(session, make_citizen(session))
    with pytest.raises(NotFound):
        end_session(session, actor, theirs.id, now)
    assert session.get_one(LoginSession, theirs.id).revoked_at is None


def test_what_ended_a_month_ago_is_forgotten(session: Session, now: datetime) -> None:
    user = make_citizen(session)
    old, recent = now - 32 * DAY, now - 30 * DAY
    for moment in (old, recent):
        open_session(session, user, lifetime=DAY, device="", now=moment)
        create_link(session, user, "reset-password", DAY, moment)
    assert forget_expired(session, now) == 2
    assert [row.created_at for row in session.exec(select(LoginSession))] == [recent]
    assert [row.created_at for row in session.exec(select(OneTimeLink))] == [recent]


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/130.0 Safari/537.36 Edg/130.0", "Edge, Windows"),
        ("Mozilla/5.0 (Linux; Android 14) Chrome/130.0 Mobile Safari/537.36", "Chrome, Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Version/17.0 Safari/604", "Safari, iPhone"),
        ("curl/8.5.0", "curl"),
        ("<script>", ""),
        ("", ""),
    ],
)
def test_devices_are_named_in_words(user_agent: str, name: str) -> None:
    assert device_name(user_agent) == name
