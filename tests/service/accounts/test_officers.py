"""Officers' accounts: who may change what, and that somebody can always administer."""

import uuid
from datetime import datetime, timedelta

import pytest
from factories import PASSWORD, actor_of, make_citizen, make_officer
from sqlmodel import Session, select

from service.accounts.access import Actor, actor_of_user
from service.accounts.models import ApiToken, Kind, LoginSession, OneTimeLink, User
from service.accounts.officers import (
    LastAdministrator,
    OfficerDetails,
    OwnAccount,
    change_officer,
    create_administrator,
    create_officer,
    disable_officer,
    enable_officer,
    find_officer,
    invite_again,
    list_officers,
    reset_second_factor,
)
from service.accounts.sessions import open_session
from service.audit import events_of
from service.config import Settings
from service.errors import InvalidInput, NotFound
from service.mail import MailMessage

DETAILS = OfficerDetails("Budi Contoh, S.H.", ("front_office",), nip="19900101 201501 1 001")
DAY = timedelta(days=1)


@pytest.fixture
def administrator(session: Session) -> Actor:
    return actor_of(session, make_officer(session, ["administrator"], full_name="Admin Contoh"))


def test_a_new_officer_is_invited_for_a_week(session: Session, administrator: Actor, now: datetime) -> None:
    user = create_officer(session, administrator, " Budi@Contoh.invalid ", DETAILS, now)
    assert (user.kind, user.email, user.password_hash) == (Kind.OFFICER, "budi@contoh.invalid", "")
    assert user.nip == "199001012015011001"
    assert session.exec(select(MailMessage)).one().template == "officer_invited"
    assert session.exec(select(OneTimeLink)).one().expires_at == now + 7 * DAY
    event = events_of(session, "account", user.id)[-1]
    assert (event.action, event.data, event.actor_name) == (
        "officer_created",
        {"roles": ["front_office"]},
        "Admin Contoh",
    )


def test_every_wrong_field_is_named(session: Session, administrator: Actor, now: datetime) -> None:
    wrong = OfficerDetails("", ("pejabat",), position="x" * 161, nip="123", key_name="../root")
    with pytest.raises(InvalidInput) as refusal:
        create_officer(session, administrator, "bukan surel", wrong, now)
    assert [problem.field for problem in refusal.value.problems] == [
        "email",
        "full_name",
        "roles",
        "nip",
        "key_name",
        "position",
    ]


def test_an_address_serves_one_account(session: Session, administrator: Actor, now: datetime) -> None:
    citizen = make_citizen(session)
    with pytest.raises(InvalidInput) as refusal:
        create_officer(session, administrator, citizen.email, DETAILS, now)
    assert [problem.code for problem in refusal.value.problems] == ["already_registered"]


def test_changed_roles_hold_at_once(session: Session, administrator: Actor, now: datetime) -> None:
    officer = make_officer(session, ["front_office", "back_office"])
    details = OfficerDetails(officer.full_name, ("secretary", "back_office"))
    change_officer(session, administrator, officer.id, details, now)
    assert actor_of(session, officer).roles == {"secretary", "back_office"}
    assert events_of(session, "account", officer.id)[-1].data == {
        "fields": [],
        "roles_before": ["back_office", "front_office"],
        "roles": ["back_office", "secretary"],
    }


def test_the_audit_names_changed_fields_without_their_values(
    session: Session, administrator: Actor, now: datetime
) -> None:
    officer = make_officer(session)
    details = OfficerDetails(officer.full_name, ("front_office",), nip="199001012015011001")
    change_officer(session, administrator, officer.id, details, now)
    assert events_of(session, "account", officer.id)[-1].data == {"fields": ["nip"]}


def test_a_disabled_officer_loses_sessions_and_tokens_at_once(
    session: Session, administrator: Actor, now: datetime
) -> None:
    officer = make_officer(session)
    open_session(session, officer, lifetime=DAY, device="", now=now)
    token = ApiToken(user_id=officer.id, name="x", token_hash="x", created_at=now, expires_at=now + DAY)
    session.add(token)
    session.flush()
    disable_officer(session, administrator, officer.id, now)
    session.expire_all()
    assert officer.disabled_at == now
    assert token.revoked_at == now
    assert [row.revoked_at for row in session.exec(select(LoginSession))] == [now]
    enable_officer(session, administrator, officer.id, now)
    assert officer.disabled_at is None
    assert token.revoked_at == now


def test_nobody_acts_on_their_own_account(session: Session, administrator: Actor, now: datetime) -> None:
    make_officer(session, ["administrator"])
    own = find_officer(session, administrator.id).user
    for roles in [("front_office",), ("administrator", "department_head")]:
        with pytest.raises(OwnAccount):
            change_officer(session, administrator, own.id, OfficerDetails(own.full_name, roles), now)
    with pytest.raises(OwnAccount):
        disable_officer(session, administrator, own.id, now)
    with pytest.raises(OwnAccount):
        reset_second_factor(session, administrator, own.id, now)
    same_roles = OfficerDetails(own.full_name, ("administrator",), position="Pranata Komputer")
    change_officer(session, administrator, own.id, same_roles, now)
    assert own.position == "Pranata Komputer"


def test_the_last_administrator_stays(session: Session, now: datetime) -> None:
    last = make_officer(session, ["administrator"])
    disabled = make_officer(session, ["administrator"])
    disabled.disabled_at = now
    session.flush()
    somebody = actor_of_user(session, disabled)
    with pytest.raises(LastAdministrator):
        change_officer(session, somebody, last.id, OfficerDetails("Admin", ("front_office",)), now)
    with pytest.raises(LastAdministrator):
        disable_officer(session, somebody, last.id, now)
    another = make_officer(session, ["administrator"])
    disable_officer(session, actor_of(session, another), last.id, now)
    assert last.disabled_at == now


def test_a_reset_second_factor_ends_sessions(
    session: Session, administrator: Actor, settings: Settings, now: datetime
) -> None:
    officer = make_officer(session, settings=settings)
    open_session(session, officer, lifetime=DAY, device="", now=now)
    reset_second_factor(session, administrator, officer.id, now)
    session.expire_all()
    assert (officer.totp_secret, officer.totp_confirmed_at) == (None, None)
    assert [row.revoked_at for row in session.exec(select(LoginSession))] == [now]
    assert session.exec(select(MailMessage)).one().template == "second_factor_reset"


def test_only_who_has_no_password_is_invited_again(
    session: Session, administrator: Actor, now: datetime
) -> None:
    invited = create_officer(session, administrator, "budi@contoh.invalid", DETAILS, now)
    invite_again(session, administrator, invited.id, now)
    assert len(session.exec(select(MailMessage)).all()) == 2
    with pytest.raises(NotFound):
        invite_again(session, administrator, make_officer(session).id, now)


def test_a_citizen_is_no_officer(session: Session, administrator: Actor, now: datetime) -> None:
    citizen = make_citizen(session)
    with pytest.raises(NotFound):
        change_officer(session, administrator, citizen.id, DETAILS, now)
    with pytest.raises(NotFound):
        disable_officer(session, administrator, uuid.uuid4(), now)


def test_the_first_administrator_comes_from_the_command_line(session: Session, now: datetime) -> None:
    user = create_administrator(session, "admin@contoh.invalid", "Admin Contoh", PASSWORD, now)
    assert actor_of(session, user).roles == {"administrator"}
    with pytest.raises(InvalidInput):
        create_administrator(session, "admin@contoh.invalid", "Admin Contoh", PASSWORD, now)
    with pytest.raises(InvalidInput):
        create_administrator(session, "admin2@contoh.invalid", "Admin Contoh", "admin12345", now)


def test_officers_are_found_by_name_and_address(session: Session, administrator: Actor) -> None:
    make_officer(session, email="a%b@contoh.invalid", full_name="Wayan Contoh")
    make_citizen(session, full_name="Wayan Warga")
    assert [found.user.full_name for found in list_officers(session, search="wayan")[0]] == ["Wayan Contoh"]
    assert list_officers(session, search="a%b")[1] == 1
    assert list_officers(session, search="%")[1] == 1
    assert list_officers(session)[1] == 2
    assert list_officers(session, page=9) == ([], 2)


@pytest.fixture(autouse=True)
def _only_own_rows(session: Session) -> None:
    assert session.exec(select(User)).all() == []
