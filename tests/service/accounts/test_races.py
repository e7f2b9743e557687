"""Two at once: a code or a link works for one of them, and one administrator always remains."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pyotp
from factories import PASSWORD, TOTP_SECRET, actor_of, make_citizen, make_officer
from sqlalchemy import Engine
from sqlmodel import Session, select

from service.accounts.access import actor_of_user
from service.accounts.links import LinkNotValid, create_link, link_token
from service.accounts.models import RoleAssignment, User
from service.accounts.officers import LastAdministrator, OfficerDetails, change_officer
from service.accounts.register import Registration, register_citizen, reset_password
from service.accounts.second_factor import check_second_factor
from service.accounts.sessions import NewSession, open_session
from service.config import Settings, parse_wrapping_keys
from service.database import transaction
from service.errors import Unavailable

HOUR = timedelta(hours=1)
SECRET = "a-secret-of-the-tests-0123456789abcdef"


def test_one_code_opens_one_session(engine: Engine, settings: Settings, now: datetime) -> None:
    keys = parse_wrapping_keys(settings.wrapping_keys.get_secret_value())
    with transaction(engine) as session:
        user = make_officer(session, settings=settings)
        halves = [open_session(session, user, lifetime=HOUR, device="", now=now) for _ in range(4)]
        actors = [actor_of_user(session, user, session_id=half.id) for half in halves]
    code = pyotp.TOTP(TOTP_SECRET).at(now)
    outcomes = _at_once(
        engine,
        [
            lambda session, actor=actor: check_second_factor(
                session, actor, code, keys, lifetime=HOUR, now=now
            )
            for actor in actors
        ],
    )
    assert [isinstance(outcome, NewSession) for outcome in outcomes].count(True) == 1


def test_one_link_sets_one_password(engine: Engine, now: datetime) -> None:
    with transaction(engine) as session:
        link = create_link(session, make_citizen(session), "reset-password", HOUR, now)
    token = link_token(link.id, "reset-password", SECRET)
    outcomes = _at_once(
        engine,
        [
            lambda session, number=number: reset_password(
                session, token, f"gamelan di alun-alun {number}", SECRET, now
            )
            for number in range(4)
        ],
    )
    assert [type(outcome) for outcome in outcomes if not isinstance(outcome, User)] == [LinkNotValid] * 3


def test_a_form_sent_twice_makes_one_account(engine: Engine, now: datetime) -> None:
    registration = Registration("Siti", "siti@contoh.invalid", PASSWORD, consent=True)
    outcomes = _at_once(engine, [lambda session: register_citizen(session, registration, now)] * 4)
    assert outcomes == [None] * 4
    with transaction(engine) as session:
        assert len(session.exec(select(User)).all()) == 1


def test_two_administrators_cannot_remove_each_other(engine: Engine, now: datetime) -> None:
    with transaction(engine) as session:
        users = [make_officer(session, ["administrator"]) for _ in range(2)]
        actors = [actor_of(session, user) for user in users]
    details = OfficerDetails("Budi Contoh", ("front_office",))
    outcomes = _at_once(
        engine,
        [
            lambda session, actor=actor, other=other: change_officer(session, actor, other.id, details, now)
            for actor, other in zip(actors, reversed(users), strict=True)
        ],
    )
    assert [isinstance(outcome, User) for outcome in outcomes].count(True) == 1
    assert any(isinstance(outcome, LastAdministrator | Unavailable) for outcome in outcomes)
    with transaction(engine) as session:
        held = session.exec(select(RoleAssignment).where(RoleAssignment.role == "administrator")).all()
    assert len(held) == 1


def _at_once(engine: Engine, verbs: list[Callable[[Session], object]]) -> list[object]:
    """Run each verb in a transaction of its own, all at once; return what each gave or raised."""

    def run(verb: Callable[[Session], object]) -> object:
        try:
            with transaction(engine) as session:
                return verb(session)
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(verbs)) as pool:
        return list(pool.map(run, verbs))
