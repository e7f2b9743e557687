"""The one function that moves an application: order, roles, clock, visits, mail, audit, and two at once."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from factories import actor_of, make_case, make_citizen, make_officer
from sqlalchemy import Engine
from sqlmodel import Session, select

from service.accounts.access import SERVICE, Actor
from service.applications.models import Application, StepVisit
from service.applications.transitions import (
    AlreadyActed,
    FourEyesRequired,
    NotYourStep,
    TakenByAnother,
    apply_action,
    visits_of,
)
from service.applications.workflow import Action, ActionNotAllowed, Outcome, State
from service.audit import events_of
from service.catalogue.models import get_revision
from service.database import transaction
from service.errors import Conflict, NotFound
from service.mail import MailMessage

WAY = [
    ("front_office", Action.FORWARD),
    ("back_office", Action.FORWARD),
    ("technical_agency", Action.RECOMMEND),
    ("back_office", Action.FORWARD),
    ("licensing_analyst", Action.INITIAL),
    ("division_head", Action.INITIAL),
    ("department_head", Action.SIGN),
]


class Office:
    """A case and one officer of each role, to act in one line."""

    def __init__(self, session: Session, now: datetime, slug: str = "sip-tenaga-kesehatan") -> None:
        self.session, self.now = session, now
        self.case = make_case(session, slug, now=now)
        self.permit_type = get_revision(session, self.case.revision_id).permit_type
        roles = {step.role for step in self.permit_type.steps} - {"applicant"}
        self.officers = {
            role: actor_of(session, make_officer(session, [role], full_name=f"Petugas {role}"))
            for role in sorted(roles)
        }
        applicant = session.get_one(type(make_citizen(session)), self.case.applicant_id)
        self.applicant = actor_of(session, applicant)

    def act(self, who: str | Actor, action: Action, days: int = 0, **details: Any) -> Application:
        self.now += timedelta(days=days)
        actor = who if isinstance(who, Actor) else self.officers[who]
        return apply_action(
            self.session,
            self.case,
            action,
            actor=actor,
            now=self.now,
            permit_type=self.permit_type,
            **details,
        )


@pytest.fixture
def office(session: Session, now: datetime) -> Iterator[Office]:
    return Office(session, now)


def test_a_case_goes_all_the_way_and_every_visit_is_kept(office: Office) -> None:
    for role, action in WAY:
        office.act(role, action, note=f"catatan {role}")
    assert (office.case.state, office.case.step) == (State.APPROVED, None)
    assert office.case.decided_at == office.now
    visits = visits_of(office.session, office.case.id)
    assert [(visit.role, visit.action) for visit in visits] == WAY
    assert [visit.number for visit in visits] == list(range(1, 8))
    assert all(visit.left_at and visit.actor_name and visit.note for visit in visits)
    deeds = [event.action for event in events_of(office.session, "application", office.case.id)]
    assert deeds == ["application.submit", *(f"application.{action}" for _, action in WAY)]


def test_the_clock_starts_when_the_documents_are_declared_complete(office: Office) -> None:
    assert (office.case.clock_started_on, office.case.due_on) == (None, None)
    assert office.case.step_due_on == date(2026, 11, 24)
    office.act("front_office", Action.FORWARD)
    assert office.case.clock_started_on == date(2026, 11, 23)
    assert office.case.due_on == date(2026, 11, 30)
    assert office.case.step_due_on == date(2026, 11, 25)


def test_the_clock_stands_still_while_the_applicant_corrects(office: Office) -> None:
    office.act("front_office", Action.FORWARD)
    office.act("back_office", Action.RETURN_FOR_COMPLETION, days=1)
    assert (office.case.state, office.case.paused_on) == (State.RETURNED, date(2026, 11, 24))
    assert office.case.step_due_on is None
    office.act(office.applicant, Action.RESUBMIT, days=7)
    assert (office.case.days_paused, office.case.paused_on) == (5, None)
    assert office.case.due_on == date(2026, 12, 7)
    assert office.case.step == "review"


def test_a_return_by_the_front_office_stops_no_clock_because_none_runs(office: Office) -> None:
    office.act("front_office", Action.RETURN_FOR_COMPLETION)
    office.act(office.applicant, Action.RESUBMIT, days=10)
    assert (office.case.days_paused, office.case.clock_started_on) == (0, None)
    assert office.case.step_due_on == date(2026, 12, 4)


def test_waiting_for_payment_stops_the_clock(session: Session, now: datetime) -> None:
    office = Office(session, now, "reklame-tetap")
    office.act("front_office", Action.FORWARD)
    office.act("back_office", Action.FORWARD)
    office.act("technical_team", Action.SUBMIT_REPORT)
    office.act("technical_agency", Action.RECOMMEND)
    assert (office.case.step, office.case.paused_on) == ("payment", date(2026, 11, 23))
    office.act(office.applicant, Action.PAY, days=2)
    assert (office.case.step, office.case.days_paused, office.case.due_on) == ("draft", 2, date(2026, 12, 2))


def test_a_proposed_rejection_is_signed_or_sent_back_to_its_proposer(office: Office) -> None:
    office.act("front_office", Action.FORWARD)
    office.act("back_office", Action.PROPOSE_REJECTION, note="STR tidak berlaku")
    assert (office.case.step, office.case.outcome) == ("initial_analyst", Outcome.REJECT)
    office.act("licensing_analyst", Action.RETURN_TO_PREVIOUS, note="STR berlaku seumur hidup")
    assert (office.case.step, office.case.outcome) == ("review", Outcome.APPROVE)
    office.act("back_office", Action.PROPOSE_REJECTION, note="Tetap ditolak")
    for role, action in WAY[4:]:
        office.act(role, action)
    assert office.case.state == State.REJECTED


def test_the_second_of_two_officers_is_told_who_did_what(office: Office) -> None:
    other = actor_of(office.session, make_officer(office.session, ["front_office"]))
    office.act("front_office", Action.FORWARD, seen_visit=1)
    with pytest.raises(AlreadyActed) as told:
        office.act(other, Action.RETURN_FOR_COMPLETION, seen_visit=1)
    assert "Petugas front_office sudah meneruskan permohonan pada 23 November 2026 pukul 10.00 WIB" in (
        told.value.message("id")
    )
    assert "already forwarded" in told.value.message("en")
    assert office.case.step == "review"


def test_an_unknown_visit_is_a_conflict(office: Office) -> None:
    with pytest.raises(Conflict):
        office.act("front_office", Action.FORWARD, seen_visit=7)


def test_a_case_another_officer_works_on_is_left_alone(office: Office) -> None:
    holder = make_officer(office.session, ["front_office"], full_name="Rina Contoh")
    office.case.taken_by, office.case.taken_at = holder.id, office.now
    with pytest.raises(TakenByAnother) as told:
        office.act("front_office", Action.FORWARD)
    assert "Rina Contoh" in told.value.message("id")
    office.act(actor_of(office.session, holder), Action.FORWARD)
    assert office.case.taken_by is None


@pytest.mark.parametrize("role", ["back_office", "division_head", "department_head"])
def test_another_role_may_not_act_at_the_step(office: Office, role: str) -> None:
    with pytest.raises(NotYourStep):
        office.act(role, Action.FORWARD)


def test_an_agency_speaks_only_for_its_own_types(office: Office) -> None:
    office.act("front_office", Action.FORWARD)
    office.act("back_office", Action.FORWARD)
    transport = make_officer(office.session, ["technical_agency"], agency="Dinas Perhubungan")
    with pytest.raises(NotYourStep):
        office.act(actor_of(office.session, transport), Action.RECOMMEND)
    health = make_officer(office.session, ["technical_agency"], agency="dinas kesehatan")
    office.act(actor_of(office.session, health), Action.RECOMMEND)
    assert office.case.step == "draft"


def test_who_reviewed_may_not_initial_or_sign(office: Office) -> None:
    both = actor_of(office.session, make_officer(office.session, ["back_office", "division_head"]))
    office.officers["back_office"] = both
    for role, action in WAY[:5]:
        office.act(role, action)
    with pytest.raises(FourEyesRequired):
        office.act(both, Action.INITIAL)


def test_an_officer_never_handles_an_own_application(office: Office) -> None:
    own = replace(office.applicant, kind="officer", roles=frozenset({"front_office"}))
    with pytest.raises(FourEyesRequired):
        office.act(own, Action.FORWARD)


def test_only_the_applicant_withdraws(office: Office) -> None:
    with pytest.raises(NotFound):
        office.act("front_office", Action.WITHDRAW)
    office.act(office.applicant, Action.WITHDRAW)
    assert office.case.state == State.WITHDRAWN
    with pytest.raises(ActionNotAllowed):
        office.act("front_office", Action.FORWARD)


def test_the_service_itself_may_withdraw_what_has_lapsed(office: Office) -> None:
    office.act(SERVICE, Action.WITHDRAW)
    event = events_of(office.session, "application", office.case.id)[-1]
    assert (event.actor_id, event.actor_name) == (None, "Sistem")


def test_the_applicant_is_mailed_on_submission_and_return(office: Office) -> None:
    office.act("front_office", Action.RETURN_FOR_COMPLETION)
    mails = office.session.exec(select(MailMessage).order_by("created_at")).all()
    own = [mail for mail in mails if mail.context.get("receipt_number") == office.case.receipt_number]
    assert {mail.template for mail in own} == {"application_submitted", "application_returned"}


def test_of_many_officers_at_once_one_wins_and_the_others_are_told(engine: Engine) -> None:
    moment = datetime(2026, 11, 23, 3, tzinfo=UTC)
    with transaction(engine) as session:
        case_id = make_case(session, now=moment).id
        actors = [actor_of(session, make_officer(session, ["front_office"])) for _ in range(8)]
    outcomes: list[str] = []

    def forward(actor: Actor) -> None:
        try:
            with transaction(engine) as session:
                case = session.get_one(Application, case_id)
                permit_type = get_revision(session, case.revision_id).permit_type
                apply_action(
                    session,
                    case,
                    Action.FORWARD,
                    actor=actor,
                    now=moment,
                    permit_type=permit_type,
                    seen_visit=1,
                )
            outcomes.append("won")
        except AlreadyActed:
            outcomes.append("told")

    threads = [threading.Thread(target=forward, args=(actor,)) for actor in actors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["told"] * 7 + ["won"]
    with transaction(engine) as session:
        assert len(session.exec(select(StepVisit).where(StepVisit.application_id == case_id)).all()) == 2
