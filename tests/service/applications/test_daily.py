"""What runs by itself: one reminder a day to each officer, and the end of forgotten drafts."""

from datetime import datetime, timedelta
from pathlib import Path

from factories import actor_of, give_documents, make_case, make_citizen, make_draft, make_officer
from sqlalchemy import Engine
from sqlmodel import Session, select

from service.applications.daily import (
    DRAFT_LIFETIME,
    cases_to_alarm,
    expire_drafts,
    send_overdue_alarms,
)
from service.applications.models import Application, Upload
from service.applications.review import act_on_case
from service.applications.workflow import Action
from service.audit import events_of
from service.database import reading, transaction
from service.mail import MailMessage
from service.storage import open_storage

LATER = timedelta(days=3)


def digests(session: Session, email: str) -> list[MailMessage]:
    statement = select(MailMessage).where(
        MailMessage.template == "overdue_alarm", MailMessage.to_address == email
    )
    return list(session.exec(statement))


def test_each_officer_of_the_role_gets_one_digest_a_day(session: Session, now: datetime) -> None:
    first, second = make_case(session, now=now), make_case(session, now=now)
    front, back = (make_officer(session, [role]) for role in ("front_office", "back_office"))
    assert first.receipt_number not in {case.receipt_number for case in cases_to_alarm(session, now)}
    send_overdue_alarms(session, now + LATER)
    send_overdue_alarms(session, now + LATER + timedelta(hours=2))
    (digest,) = digests(session, front.email)
    assert {first.receipt_number, second.receipt_number} <= {
        case["receipt_number"] for case in digest.context["cases"]
    }
    assert digests(session, back.email) == []
    send_overdue_alarms(session, now + LATER + timedelta(days=1))
    assert len(digests(session, front.email)) == 2


def test_an_agency_is_reminded_of_its_own_types_and_a_disabled_officer_of_nothing(
    session: Session, now: datetime
) -> None:
    case = make_case(session, now=now)
    for role in ("front_office", "back_office"):
        actor = actor_of(session, make_officer(session, [role]))
        act_on_case(session, case.id, Action.FORWARD, actor=actor, now=now, seen_visit=None)
    health = make_officer(session, ["technical_agency"], agency="Dinas Kesehatan")
    transport = make_officer(session, ["technical_agency"], agency="Dinas Perhubungan")
    gone = make_officer(session, ["technical_agency"])
    gone.disabled_at = now
    session.add(gone)
    send_overdue_alarms(session, now + timedelta(days=14))
    assert [len(digests(session, user.email)) for user in (health, transport, gone)] == [1, 0, 0]


def test_a_draft_that_nobody_touched_is_deleted_with_its_files(
    engine: Engine, tmp_path: Path, now: datetime
) -> None:
    storage = open_storage(tmp_path.as_uri())
    with transaction(engine) as session:
        user = make_citizen(session)
        old = make_draft(session, user, now=now - DRAFT_LIFETIME - timedelta(days=1))
        give_documents(session, storage, old, user, now - DRAFT_LIFETIME - timedelta(days=1))
        fresh = make_draft(session, user, now=now - timedelta(days=1))
        case = make_case(session, now=now - DRAFT_LIFETIME * 2)
    assert any((tmp_path / "uploads").iterdir())
    assert (expire_drafts(engine, storage, now), expire_drafts(engine, storage, now)) == (1, 0)
    with reading(engine) as session:
        assert set(session.exec(select(Application.id))) == {fresh.id, case.id}
        assert session.exec(select(Upload)).first() is None
        assert events_of(session, "application", old.id)[-1].action == "application.draft_expired"
    assert not any((tmp_path / "uploads").iterdir())
