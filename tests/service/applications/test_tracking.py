"""What the applicant sees of the way: steps, roles, due dates, what is asked, history."""

from datetime import date, datetime, timedelta

from factories import actor_of, make_draft, make_officer, make_submitted
from sqlmodel import Session

from service.accounts.models import User
from service.applications.asked import permit_type_of
from service.applications.models import Application
from service.applications.remarks import Remark
from service.applications.review import act_on_case, return_case
from service.applications.submit import withdraw_application
from service.applications.tracking import Asked, StepState, Tracking, asked_of_applicant, track_application
from service.applications.workflow import Action
from service.catalogue.models import active_city
from service.storage import Storage


def track(session: Session, application: Application) -> Tracking:
    return track_application(session, application, permit_type_of(session, application), active_city(session))


def states(tracking: Tracking) -> dict[str, StepState]:
    return {step.key: step.state for step in tracking.steps}


def act(session: Session, application: Application, role: str, action: Action, now: datetime) -> None:
    officer = make_officer(session, [role], agency="Dinas Kesehatan" if role == "technical_agency" else None)
    act_on_case(
        session,
        application.id,
        action,
        actor=actor_of(session, officer),
        now=now,
        seen_visit=None,
        note="Catatan dalam kantor.",
    )


def test_the_line_shows_what_is_done_who_holds_it_and_what_is_to_come(
    session: Session, storage: Storage, citizen: User, now: datetime
) -> None:
    application = make_submitted(session, storage, citizen, now=now)
    act(session, application, "front_office", Action.FORWARD, now + timedelta(hours=2))
    tracking = track(session, application)
    assert states(tracking) == {
        "submitted": StepState.DONE,
        "completeness": StepState.DONE,
        "review": StepState.CURRENT,
        "agency_opinion": StepState.TODO,
        "draft": StepState.TODO,
        "initial_analyst": StepState.TODO,
        "initial_division": StepState.TODO,
        "sign": StepState.TODO,
    }
    holders = {step.key: step.holder.id for step in tracking.steps}
    assert holders["agency_opinion"] == "Dinas Kesehatan"
    assert holders["review"] == active_city(session).role_label("back_office").id
    review = next(step for step in tracking.steps if step.key == "review")
    assert review.due_on == application.step_due_on is not None
    # Five working days after Monday 23 November 2026.
    assert tracking.due_on == date(2026, 11, 30)
    assert (tracking.asked, tracking.clock_stands_still) == (None, False)


def test_neither_officers_nor_their_notes_are_told(
    session: Session, storage: Storage, citizen: User, now: datetime
) -> None:
    application = make_submitted(session, storage, citizen, now=now)
    act(session, application, "front_office", Action.FORWARD, now)
    told = repr(track(session, application))
    assert "Budi Contoh" not in told
    assert "Catatan dalam kantor" not in told


def test_a_returned_application_waits_on_its_applicant(
    session: Session, storage: Storage, citizen: User, now: datetime
) -> None:
    application = make_submitted(session, storage, citizen, now=now)
    act(session, application, "front_office", Action.FORWARD, now)
    officer = actor_of(session, make_officer(session, ["back_office"]))
    return_case(
        session,
        application.id,
        [Remark("field", "phone", "Tidak aktif.")],
        actor=officer,
        now=now,
        seen_visit=None,
    )
    tracking = track(session, application)
    assert tracking.asked is Asked.CORRECT
    assert states(tracking)["review"] is StepState.WAITING
    assert tracking.clock_stands_still
    assert tracking.history[0].text.id == "Dikembalikan kepada Anda untuk dilengkapi"


def test_a_proposed_rejection_leaves_out_the_steps_it_skipped(
    session: Session, storage: Storage, citizen: User, now: datetime
) -> None:
    application = make_submitted(session, storage, citizen, now=now)
    act(session, application, "front_office", Action.FORWARD, now)
    act(session, application, "back_office", Action.PROPOSE_REJECTION, now)
    shown = states(track(session, application))
    assert "agency_opinion" not in shown
    assert shown["initial_analyst"] is StepState.CURRENT


def test_a_withdrawn_application_has_nothing_to_come(
    session: Session, storage: Storage, citizen: User, now: datetime
) -> None:
    application = make_submitted(session, storage, citizen, now=now)
    withdraw_application(session, application.id, actor=actor_of(session, citizen), now=now)
    tracking = track(session, application)
    assert list(states(tracking)) == ["submitted", "completeness"]
    assert tracking.asked is None
    assert [entry.text.id for entry in tracking.history].count("Anda mencabut permohonan") == 1


def test_what_is_asked_follows_from_where_it_stands(session: Session, citizen: User, now: datetime) -> None:
    application = make_draft(session, citizen)
    assert asked_of_applicant(application, permit_type_of(session, application)) is Asked.COMPLETE
