"""The one function that applies the workflow to a stored application.

Whoever acts, whether a page, the API, the signing of permits or a job, comes through `apply_action`:
it locks the row, checks role and four eyes, moves the application, keeps its clock and its visits, queues
the applicant's mail and records the audit event. Nothing else assigns a state.
"""

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from babel.dates import format_datetime
from sqlmodel import Session, col, select

from service import jobs
from service.accounts.access import SERVICE, Actor
from service.accounts.models import Kind, User
from service.applications import deadlines, workflow
from service.applications.calendar import holidays_around
from service.applications.models import Application, StepVisit
from service.applications.workflow import Action, Outcome, Standing, State
from service.audit import record_event
from service.catalogue.format import Bilingual, PermitType
from service.clock import CITY_TIMEZONE, city_date
from service.errors import AccessDenied, Conflict, NotFound
from service.mail import queue_mail

TECHNICAL_AGENCY = "technical_agency"
"""The role whose officers each speak for one agency."""

DEEDS = {
    Action.SUBMIT: Bilingual(id="mengajukan permohonan", en="submitted the application"),
    Action.RESUBMIT: Bilingual(id="mengirim perbaikan", en="sent the corrections"),
    Action.WITHDRAW: Bilingual(id="mencabut permohonan", en="withdrew the application"),
    Action.PAY: Bilingual(id="mengirim bukti pembayaran", en="sent the proof of payment"),
    Action.FORWARD: Bilingual(id="meneruskan permohonan", en="forwarded the application"),
    Action.RETURN_FOR_COMPLETION: Bilingual(
        id="mengembalikan permohonan untuk dilengkapi", en="returned the application for completion"
    ),
    Action.RETURN_TO_PREVIOUS: Bilingual(
        id="mengembalikan permohonan ke tahap sebelumnya", en="sent the application back a step"
    ),
    Action.PROPOSE_REJECTION: Bilingual(id="mengusulkan penolakan", en="proposed a rejection"),
    Action.RECOMMEND: Bilingual(id="merekomendasikan persetujuan", en="recommended approval"),
    Action.RECOMMEND_REJECTION: Bilingual(id="merekomendasikan penolakan", en="recommended rejection"),
    Action.SUBMIT_REPORT: Bilingual(id="mengirim berita acara", en="submitted the inspection report"),
    Action.INITIAL: Bilingual(id="membubuhkan paraf", en="initialled"),
    Action.SIGN: Bilingual(id="menandatangani keputusan", en="signed the decision"),
}
"""What somebody did, in words that follow their name."""


MAILS = {
    Action.SUBMIT: "application_submitted",
    Action.RESUBMIT: "application_submitted",
    Action.RETURN_FOR_COMPLETION: "application_returned",
}
"""What the applicant is mailed. A decision's mail goes out with the signed document (`permits.issue`)."""


class AlreadyActed(Conflict):
    """Somebody else was first at the step the officer saw; the message says who did what, when."""

    code = "already_acted"

    def __init__(self, visit: StepVisit) -> None:
        self.visit = visit
        deed = DEEDS[Action(visit.action)] if visit.action else DEEDS[Action.FORWARD]
        super().__init__(
            f"{visit.actor_name} sudah {deed.id} pada {_moment(visit.left_at, 'id')}. "
            "Tindakan Anda tidak disimpan. Buka permohonan ini lagi untuk melihat keadaannya sekarang.",
            f"{visit.actor_name} already {deed.en} on {_moment(visit.left_at, 'en')}. "
            "What you did was not saved. Open the case again to see where it stands now.",
        )


class TakenByAnother(Conflict):
    """Another officer is working on the case."""

    code = "taken_by_another"

    def __init__(self, name: str, since: datetime | None) -> None:
        super().__init__(
            f"Permohonan ini sedang dikerjakan {name} sejak {_moment(since, 'id')}. "
            "Tindakan Anda tidak disimpan. Hubungi petugas tersebut, atau ambil alih permohonannya dahulu.",
            f"{name} has been working on this case since {_moment(since, 'en')}. "
            "What you did was not saved. Ask that officer, or take the case over first.",
        )


class NotYourStep(AccessDenied):
    """The step belongs to another role or another agency."""

    code = "not_your_step"
    message_id = "Tahap permohonan ini bukan bagian peran Anda. Hanya petugas tahap ini yang dapat bertindak."
    message_en = "The application's step does not belong to your role. Only that step's officers may act."


class FourEyesRequired(AccessDenied):
    """The person may not decide on this application, whatever their role."""

    code = "four_eyes_required"

    def __init__(self, refusal: workflow.Refusal) -> None:
        if refusal == workflow.Refusal.OWN_APPLICATION:
            sentences = (
                "Ini permohonan Anda sendiri. Petugas lain harus menanganinya.",
                "This is your own application. Another officer must handle it.",
            )
        else:
            sentences = (
                "Anda sudah memeriksa permohonan ini pada tahap lain. "
                "Paraf atau tanda tangan harus diberikan orang lain.",
                "You have reviewed this application at another step. Somebody else must initial or sign it.",
            )
        super().__init__(*sentences)


def apply_action(
    session: Session,
    application: Application,
    action: Action,
    *,
    actor: Actor,
    now: datetime,
    permit_type: PermitType,
    note: str | None = None,
    data: dict[str, Any] | None = None,
    seen_visit: int | None = None,
) -> Application:
    """Apply an action to an application and return it, locked until the transaction ends.

    `note` and `data` stay with the visit that the action ends (with the audit event when there is
    none, as at a submission). `seen_visit` is the number of the visit the officer saw on the page.

    Raises ActionNotAllowed, AlreadyActed, TakenByAnother (409), NotYourStep, FourEyesRequired (403),
    and NotFound for somebody else's application.
    """
    application = lock_application(session, application.id)
    visits = visits_of(session, application.id)
    open_visit = visits[-1] if visits and visits[-1].left_at is None else None
    _check_seen(visits, open_visit, seen_visit)
    before = standing_of(application, visits)
    if action not in workflow.allowed_actions(before, permit_type.steps):
        raise workflow.ActionNotAllowed
    if action in workflow.APPLICANT_ACTIONS:
        if actor != SERVICE and actor.id != application.applicant_id:
            raise NotFound
    else:
        check_officer(session, application, actor=actor, permit_type=permit_type, visits=visits)
        check_taken(session, application, actor)
    after = workflow.next_standing(before, action, permit_type.steps)

    _keep_time(session, application, before, after, permit_type, now)
    if open_visit is not None:
        _close(open_visit, action, actor, now, note, data)
    _stand(application, after, now)
    if after.state == State.UNDER_REVIEW:
        session.add(_new_visit(application, len(visits) + 1, permit_type, now))
    if action == Action.SUBMIT:
        application.submitted_at = now
    session.add(application)
    session.flush()
    if action in MAILS:
        _notify_applicant(session, application, MAILS[action], permit_type, now)
    _record(session, application, action, before, actor, now, len(visits), data if open_visit is None else {})
    return application


def lock_application(session: Session, application_id: uuid.UUID) -> Application:
    """Lock an application's row until the transaction ends and read it as it stands now."""
    session.flush()
    statement = select(Application).where(Application.id == application_id).with_for_update()
    application = session.exec(statement.execution_options(populate_existing=True)).first()
    if application is None:
        raise NotFound
    return application


def visits_of(session: Session, application_id: uuid.UUID) -> list[StepVisit]:
    """Return an application's visits in their order; the last is open while it is under review."""
    statement = select(StepVisit).where(StepVisit.application_id == application_id)
    return list(session.exec(statement.order_by(col(StepVisit.number))))


def standing_of(application: Application, visits: Sequence[StepVisit]) -> Standing:
    """Return where a stored application stands, as the workflow's value."""
    proposals = [visit.step for visit in visits if visit.action == Action.PROPOSE_REJECTION]
    rejecting = application.outcome == Outcome.REJECT and proposals
    return Standing(
        State(application.state),
        application.step,
        Outcome(application.outcome),
        proposals[-1] if rejecting else None,
        paid=any(visit.action == Action.PAY for visit in visits),
    )


def check_officer(
    session: Session,
    application: Application,
    *,
    actor: Actor,
    permit_type: PermitType,
    visits: Sequence[StepVisit],
) -> None:
    """Check that an officer may act where the application stands: role, agency and four eyes.

    Raises NotYourStep, FourEyesRequired, or ActionNotAllowed when it stands at no step.
    """
    if application.state != State.UNDER_REVIEW:
        raise workflow.ActionNotAllowed
    step = workflow.step_named(permit_type.steps, application.step)
    if actor.kind != Kind.OFFICER or not actor.has_role(step.role):
        raise NotYourStep
    if not speaks_for(session, actor, step.role, permit_type):
        raise NotYourStep
    refusal = workflow.may_act(actor.id, application.applicant_id, visits, step)
    if refusal is not None:
        raise FourEyesRequired(refusal)


def speaks_for(session: Session, actor: Actor, role: str, permit_type: PermitType) -> bool:
    """Tell whether the actor's agency gives the opinion on this type; other roles speak for the office."""
    if role != TECHNICAL_AGENCY or permit_type.agency is None:
        return True
    user = session.get(User, actor.id)
    return user is not None and (not user.agency or is_agency_of(user.agency, permit_type))


def is_agency_of(agency: str, permit_type: PermitType) -> bool:
    """Tell whether the agency is one of those named by the type (`DPUPR / Dinas Perhubungan`)."""
    named = permit_type.agency.id.split("/") if permit_type.agency else []
    return agency.strip().casefold() in {name.strip().casefold() for name in named}


def _check_seen(visits: Sequence[StepVisit], open_visit: StepVisit | None, seen: int | None) -> None:
    if seen is None or (open_visit is not None and open_visit.number == seen):
        return
    for visit in visits:
        if visit.number == seen and visit.left_at is not None:
            raise AlreadyActed(visit)
    raise Conflict


def check_taken(session: Session, application: Application, actor: Actor) -> None:
    """Raise TakenByAnother when somebody else works on the case."""
    if application.taken_by is None or application.taken_by == actor.id:
        return
    holder = session.get(User, application.taken_by)
    raise TakenByAnother(holder.full_name if holder else "petugas lain", application.taken_at)


def _keep_time(
    session: Session,
    application: Application,
    before: Standing,
    after: Standing,
    permit_type: PermitType,
    now: datetime,
) -> None:
    """Start, stop or go on with the clock, and set the due dates of the whole and of the step."""
    if after.state in workflow.ENDED:
        return
    today, steps = city_date(now), [step for step in permit_type.steps if not step.automatic]
    clock = deadlines.Clock(application.clock_started_on, application.days_paused, application.paused_on)
    off_days = holidays_around(session, clock.started_on or today, today)
    leaves_first = before.state == State.UNDER_REVIEW and before.step == steps[0].key != after.step
    if clock.started_on is None and leaves_first:
        clock = replace(clock, started_on=today)
    runs = (
        after.state == State.UNDER_REVIEW
        and not workflow.step_named(permit_type.steps, after.step).pauses_clock
    )
    clock = deadlines.run_clock(clock, today, off_days, runs=runs)
    application.clock_started_on, application.days_paused = clock.started_on, clock.days_paused
    application.paused_on = clock.paused_on

    total = permit_type.deadline_working_days
    if clock.started_on is None:
        planned = deadlines.due_dates(today, total, steps, off_days)
    else:
        planned = deadlines.due_dates(clock.started_on, total, steps[1:], off_days, paused=clock.days_paused)
        application.due_on = deadlines.last_day(clock.started_on, total, off_days, paused=clock.days_paused)
    application.step_due_on = planned.get(after.step or "") if runs else None


def _stand(application: Application, standing: Standing, now: datetime) -> None:
    application.state = standing.state
    application.step = standing.step
    application.outcome = standing.outcome
    application.taken_by = application.taken_at = None
    application.updated_at = now
    if standing.state in workflow.DECIDED:
        application.decided_at = now


def _close(
    visit: StepVisit,
    action: Action,
    actor: Actor,
    now: datetime,
    note: str | None,
    data: dict[str, Any] | None,
) -> None:
    visit.left_at = now
    visit.action = action
    visit.actor_id = actor.user_id
    visit.actor_name = actor.full_name
    visit.note = note
    visit.data = data or {}


def _new_visit(application: Application, number: int, permit_type: PermitType, now: datetime) -> StepVisit:
    step = workflow.step_named(permit_type.steps, application.step)
    return StepVisit(
        application_id=application.id,
        number=number,
        step=step.key,
        role=step.role,
        entered_at=now,
        due_on=application.step_due_on,
    )


def _notify_applicant(
    session: Session, application: Application, template: str, permit_type: PermitType, now: datetime
) -> None:
    applicant = session.get_one(User, application.applicant_id)
    mail = queue_mail(
        session,
        to=applicant.email,
        language=applicant.language,
        template=template,
        context={
            "full_name": applicant.full_name,
            "receipt_number": application.receipt_number or "",
            "permit_title": permit_type.title.text(applicant.language),
            "path": f"/applications/{application.id}",
        },
        now=now,
    )
    jobs.enqueue(session, "send_mail", str(mail.id))


def _record(
    session: Session,
    application: Application,
    action: Action,
    before: Standing,
    actor: Actor,
    now: datetime,
    visit: int,
    data: dict[str, Any] | None,
) -> None:
    facts = {"visit": visit, "from": before.step, "to": application.step, "state": str(application.state)}
    record_event(
        session,
        action=f"application.{action}",
        subject_type="application",
        subject_id=application.id,
        actor_id=actor.user_id,
        actor_name=actor.full_name,
        actor_role=actor.role_for_audit,
        now=now,
        data=facts | (data or {}),
    )


def _moment(moment: datetime | None, language: str) -> str:
    if moment is None:
        return "–"
    pattern = "d MMMM y 'pukul' HH.mm 'WIB'" if language == "id" else "d MMMM y 'at' HH:mm 'WIB'"
    return format_datetime(moment.astimezone(CITY_TIMEZONE), pattern, locale=language)
