"""What the applicant sees of an application's way: its steps, who holds it, and what is asked of them.

Roles are named, never officers; reviewers' notes stay inside the office.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from sqlmodel import Session, col, select

from service.applications.asked import waits_for_payment
from service.applications.models import Application, StepVisit, Submission
from service.applications.transitions import visits_of
from service.applications.workflow import APPLICANT_ROLE, DECIDED, Action, Outcome, State
from service.catalogue.format import Bilingual, City, PermitType, Step


class Asked(StrEnum):
    """What the applicant has to do now."""

    COMPLETE = "complete"
    CORRECT = "correct"
    PAY = "pay"


class StepState(StrEnum):
    DONE = "done"
    CURRENT = "current"
    """An office has it."""
    WAITING = "waiting"
    """It waits on the applicant."""
    TODO = "todo"


@dataclass(frozen=True, slots=True)
class TrackedStep:
    key: str
    label: Bilingual
    holder: Bilingual
    """The role, and for a technical agency its name."""
    state: StepState
    entered_at: datetime | None = None
    left_at: datetime | None = None
    due_on: date | None = None


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    at: datetime
    text: Bilingual


@dataclass(frozen=True, slots=True)
class Tracking:
    asked: Asked | None
    steps: tuple[TrackedStep, ...]
    history: tuple[HistoryEntry, ...]
    """The latest first."""
    due_on: date | None
    """The last day of the whole service, once its clock has started."""
    clock_stands_still: bool


SUBMITTED = Bilingual(id="Permohonan diajukan", en="Application submitted")
APPLICANT = Bilingual(id="Anda", en="You")
ACTION_TEXTS = {
    Action.PAY: Bilingual(id="Anda mengirim bukti pembayaran", en="You sent the proof of payment"),
    Action.RETURN_FOR_COMPLETION: Bilingual(
        id="Dikembalikan kepada Anda untuk dilengkapi", en="Returned to you for completion"
    ),
    Action.RETURN_TO_PREVIOUS: Bilingual(
        id="Dikembalikan ke tahap sebelumnya", en="Sent back to the previous step"
    ),
    Action.WITHDRAW: Bilingual(id="Anda mencabut permohonan", en="You withdrew the application"),
}
DECISION_TEXTS = {
    Outcome.APPROVE: Bilingual(
        id="Izin disetujui dan ditandatangani", en="The permit was granted and signed"
    ),
    Outcome.REJECT: Bilingual(id="Surat penolakan ditandatangani", en="The rejection letter was signed"),
}


def asked_of_applicant(application: Application, permit_type: PermitType) -> Asked | None:
    """Return what the application waits for from its applicant, or None."""
    if application.state == State.DRAFT:
        return Asked.COMPLETE
    if application.state == State.RETURNED:
        return Asked.CORRECT
    return Asked.PAY if waits_for_payment(application, permit_type) else None


def track_application(
    session: Session, application: Application, permit_type: PermitType, city: City
) -> Tracking:
    """Put together what the applicant sees of a submitted application."""
    visits = visits_of(session, application.id)
    return Tracking(
        asked_of_applicant(application, permit_type),
        _steps(application, permit_type, city, visits),
        _history(session, application, permit_type, visits),
        application.due_on,
        application.paused_on is not None and application.state in {State.RETURNED, State.UNDER_REVIEW},
    )


def _steps(
    application: Application, permit_type: PermitType, city: City, visits: Sequence[StepVisit]
) -> tuple[TrackedStep, ...]:
    """Return the way as a line: what was passed, where it stands, what is still to come.

    A proposed rejection skips steps; those that were skipped are left out. After a decision or a
    withdrawal nothing is to come.
    """
    last_visits = {visit.step: visit for visit in visits}
    order = [step for step in permit_type.steps if not step.automatic or application.state == State.APPROVED]
    here = next((n for n, step in enumerate(order) if step.key == application.step), None)
    ended = application.state in DECIDED | {State.WITHDRAWN}
    lines = []
    if application.submitted_at is not None:
        submitted = application.submitted_at
        lines.append(TrackedStep("submitted", SUBMITTED, APPLICANT, StepState.DONE, submitted, submitted))
    for number, step in enumerate(order):
        visit = last_visits.get(step.key)
        before = here is not None and number < here
        if visit is None and (before or ended) and not (step.automatic and ended):
            continue
        lines.append(
            TrackedStep(
                step.key,
                step.label,
                holder_of(step, permit_type, city),
                _step_state(application, permit_type, number, here),
                visit.entered_at if visit else None,
                visit.left_at if visit else None,
                application.step_due_on if number == here else None,
            )
        )
    return tuple(lines)


def _step_state(
    application: Application, permit_type: PermitType, number: int, here: int | None
) -> StepState:
    if here is None:
        return StepState.TODO if application.submitted_at is None else StepState.DONE
    if number != here:
        return StepState.DONE if number < here else StepState.TODO
    waits = application.state == State.RETURNED or waits_for_payment(application, permit_type)
    return StepState.WAITING if waits else StepState.CURRENT


def holder_of(step: Step, permit_type: PermitType, city: City) -> Bilingual:
    """Return who works at a step, as the applicant knows them."""
    if step.role == APPLICANT_ROLE:
        return APPLICANT
    if step.role == "technical_agency" and permit_type.agency is not None:
        return permit_type.agency
    return city.role_label(step.role)


def _history(
    session: Session, application: Application, permit_type: PermitType, visits: Sequence[StepVisit]
) -> tuple[HistoryEntry, ...]:
    rounds = session.exec(
        select(Submission).where(Submission.application_id == application.id).order_by(col(Submission.round))
    )
    entries = [
        HistoryEntry(
            row.submitted_at,
            SUBMITTED
            if row.round == 1
            else Bilingual(id="Anda mengirim perbaikan", en="You sent the corrections"),
        )
        for row in rounds
    ]
    entries += [
        HistoryEntry(visit.left_at, _text_of(visit, application, permit_type))
        for visit in visits
        if visit.left_at is not None
    ]
    withdrawn_while_returned = application.state == State.WITHDRAWN and not any(
        visit.action == Action.WITHDRAW for visit in visits
    )
    if withdrawn_while_returned:
        entries.append(HistoryEntry(application.updated_at, ACTION_TEXTS[Action.WITHDRAW]))
    entries.sort(key=lambda entry: entry.at)
    return tuple(reversed(entries))


def _text_of(visit: StepVisit, application: Application, permit_type: PermitType) -> Bilingual:
    action = Action(visit.action or Action.FORWARD)
    if action == Action.SIGN:
        return DECISION_TEXTS[Outcome(application.outcome)]
    if action in ACTION_TEXTS:
        return ACTION_TEXTS[action]
    label = permit_type.step(visit.step).label
    return Bilingual(id=f"Selesai: {label.id}", en=f"Done: {label.en}")
