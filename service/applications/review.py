"""What officers do to a case: take it, look at it, and act at its step.

A case is a submitted application as an officer sees it. Every verb that moves it comes through
`transitions.apply_action`; this file says what each action needs besides.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, func, select

from service.accounts.access import Actor
from service.accounts.models import Kind, User
from service.applications import workflow
from service.applications.cleaning import CleanFile
from service.applications.models import Application, Correction, StepVisit, Submission, Upload
from service.applications.remarks import Remark, asked_problems, note_problems, report_problems
from service.applications.transitions import (
    TakenByAnother,
    apply_action,
    check_officer,
    lock_application,
    speaks_for,
    standing_of,
    visits_of,
)
from service.applications.uploads import ATTACHMENT, UploadNotFound, remove_upload, store_upload
from service.applications.workflow import Action, State
from service.audit import record_event
from service.catalogue.format import PermitType, Step
from service.catalogue.models import get_revision
from service.errors import Conflict, InvalidInput, NotFound, ServiceError
from service.storage import Storage

NEEDS_NOTE = frozenset({Action.PROPOSE_REJECTION, Action.RECOMMEND_REJECTION, Action.RETURN_TO_PREVIOUS})
SIMPLE_ACTIONS = NEEDS_NOTE | {Action.FORWARD, Action.RECOMMEND, Action.INITIAL}
"""Actions that need nothing but, for some, a note."""


MAX_ATTACHMENTS = 20
"""At one step; a visit's photographs fit, a flood does not."""


class TooManyAttachments(Conflict):
    code = "too_many_attachments"
    message_id = f"Lampiran pada tahap ini sudah {MAX_ATTACHMENTS}. Hapus salah satu, atau satukan dalam PDF."
    message_en = f"This step has {MAX_ATTACHMENTS} attachments already. Remove one, or join them in a PDF."


class CaseNotFound(NotFound):
    code = "case_not_found"
    message_id = "Permohonan ini tidak ditemukan atau tidak ditangani peran Anda."
    message_en = "This case was not found, or your role does not handle it."


@dataclass(frozen=True, slots=True)
class Case:
    """A case as one officer sees it: what may be done here, or why not."""

    application: Application
    permit_type: PermitType
    visits: Sequence[StepVisit]
    step: Step | None
    """Where it stands while under review or returned."""
    actions: frozenset[Action]
    """What this officer may do now."""
    refusal: ServiceError | None
    """Why this officer may do nothing here, when the case stands at a step."""
    holder: User | None
    """Who has taken it."""

    @property
    def open_visit(self) -> StepVisit | None:
        return self.visits[-1] if self.visits and self.visits[-1].left_at is None else None

    @property
    def is_mine(self) -> bool:
        """Whether this officer's role and four eyes allow acting at the step."""
        return self.open_visit is not None and self.refusal is None


def find_case(session: Session, application_id: uuid.UUID, *, actor: Actor) -> Case:
    """Return a case whose type's workflow has a step for one of the officer's roles.

    A technical agency's reviewer sees only the types of that agency; nobody sees drafts. Raises
    CaseNotFound.
    """
    application = session.get(Application, application_id)
    if application is None or application.submitted_at is None or actor.kind != Kind.OFFICER:
        raise CaseNotFound
    permit_type = get_revision(session, application.revision_id).permit_type
    held = {step.role for step in permit_type.steps if not step.automatic} & actor.roles
    if not any(speaks_for(session, actor, role, permit_type) for role in held):
        raise CaseNotFound
    visits = visits_of(session, application.id)
    step = permit_type.step(application.step) if application.step else None
    actions, refusal = _what_may_be_done(session, application, permit_type, step, visits, actor)
    holder = session.get(User, application.taken_by) if application.taken_by else None
    return Case(application, permit_type, visits, step, actions, refusal, holder)


def _what_may_be_done(
    session: Session,
    application: Application,
    permit_type: PermitType,
    step: Step | None,
    visits: Sequence[StepVisit],
    actor: Actor,
) -> tuple[frozenset[Action], ServiceError | None]:
    if step is None or application.state != State.UNDER_REVIEW:
        return frozenset(), None
    try:
        check_officer(session, application, actor=actor, permit_type=permit_type, visits=visits)
    except ServiceError as refusal:
        return frozenset(), refusal
    standing = standing_of(application, visits)
    return workflow.allowed_actions(standing, permit_type.steps) - workflow.APPLICANT_ACTIONS, None


# Taking ---------------------------------------------------------------------------------------


def take_case(
    session: Session, application_id: uuid.UUID, *, actor: Actor, now: datetime, take_over: bool = False
) -> Application:
    """Take a case, so that others see who works on it; with `take_over` also from somebody else.

    Raises TakenByAnother, and what `check_officer` raises.
    """
    application = _locked_for(session, application_id, actor)
    before = application.taken_by
    if before == actor.id:
        return application
    if before is not None and not take_over:
        holder = session.get(User, before)
        raise TakenByAnother(holder.full_name if holder else "petugas lain", application.taken_at)
    application.taken_by, application.taken_at = actor.id, now
    _record_deed(session, application, "taken_over" if before else "taken", actor, now)
    return application


def release_case(session: Session, application_id: uuid.UUID, *, actor: Actor, now: datetime) -> Application:
    """Give a case back to the queue; a case somebody else holds stays theirs."""
    application = _locked_for(session, application_id, actor)
    if application.taken_by == actor.id:
        application.taken_by = application.taken_at = None
        _record_deed(session, application, "released", actor, now)
    return application


def _locked_for(session: Session, application_id: uuid.UUID, actor: Actor) -> Application:
    case = find_case(session, application_id, actor=actor)
    application = lock_application(session, application_id)
    visits = visits_of(session, application_id)
    check_officer(session, application, actor=actor, permit_type=case.permit_type, visits=visits)
    return application


def _record_deed(session: Session, application: Application, deed: str, actor: Actor, now: datetime) -> None:
    session.add(application)
    session.flush()
    record_event(
        session,
        action=f"application.{deed}",
        subject_type="application",
        subject_id=application.id,
        actor_id=actor.id,
        actor_name=actor.full_name,
        actor_role=actor.role_for_audit,
        now=now,
        data={"step": application.step},
    )


# Acting ---------------------------------------------------------------------------------------


def act_on_case(
    session: Session,
    application_id: uuid.UUID,
    action: Action,
    *,
    actor: Actor,
    now: datetime,
    seen_visit: int | None,
    note: str = "",
) -> Application:
    """Forward, recommend, initial, propose a rejection or send back a step, with a note where needed.

    Raises InvalidInput for a missing or too long note, ActionNotAllowed for another kind of action,
    and what `apply_action` raises.
    """
    if action not in SIMPLE_ACTIONS:
        raise workflow.ActionNotAllowed
    problems = note_problems(note, required=action in NEEDS_NOTE)
    if problems:
        raise InvalidInput(problems=problems)
    return _apply(session, application_id, action, actor=actor, now=now, seen_visit=seen_visit, note=note)


def return_case(
    session: Session,
    application_id: uuid.UUID,
    asked: Sequence[Remark],
    *,
    actor: Actor,
    now: datetime,
    seen_visit: int | None,
    note: str = "",
) -> Application:
    """Return a case to the applicant, naming each field and document to mend with a remark.

    Raises InvalidInput when nothing is named, something is unknown to the type, or a remark is missing;
    and what `apply_action` raises.
    """
    case = find_case(session, application_id, actor=actor)
    problems = asked_problems(case.permit_type, case.application, asked) + note_problems(note, required=False)
    if problems:
        raise InvalidInput(problems=problems)
    action = Action.RETURN_FOR_COMPLETION
    application = _apply(
        session, application_id, action, actor=actor, now=now, seen_visit=seen_visit, note=note
    )
    _write_corrections(session, application_id, asked, actor, now)
    return application


def submit_report(
    session: Session,
    application_id: uuid.UUID,
    findings: Mapping[str, str],
    *,
    actor: Actor,
    now: datetime,
    seen_visit: int | None,
    note: str = "",
) -> Application:
    """Submit a field visit's report: a finding for each item of the type, photos attached before.

    A type without items needs the note instead. Raises InvalidInput, and what `apply_action` raises.
    """
    case = find_case(session, application_id, actor=actor)
    problems = report_problems(case.permit_type, findings)
    problems += note_problems(note, required=not case.permit_type.report_items)
    if problems:
        raise InvalidInput(problems=problems)
    return _apply(
        session,
        application_id,
        Action.SUBMIT_REPORT,
        actor=actor,
        now=now,
        seen_visit=seen_visit,
        note=note,
        data={"report": {key: text.strip() for key, text in findings.items()}},
    )


def _apply(
    session: Session,
    application_id: uuid.UUID,
    action: Action,
    *,
    actor: Actor,
    now: datetime,
    seen_visit: int | None,
    note: str,
    data: dict[str, Any] | None = None,
) -> Application:
    case = find_case(session, application_id, actor=actor)
    attachments = [str(upload.id) for upload in attachments_here(session, case)]
    return apply_action(
        session,
        case.application,
        action,
        actor=actor,
        now=now,
        permit_type=case.permit_type,
        note=note.strip() or None,
        data=(data or {}) | ({"attachments": attachments} if attachments else {}),
        seen_visit=seen_visit,
    )


def attachments_here(session: Session, case: Case) -> list[Upload]:
    """Return the files that reviewers attached during the open visit, which its action will keep."""
    if case.open_visit is None:
        return []
    statement = select(Upload).where(
        Upload.application_id == case.application.id,
        Upload.requirement == ATTACHMENT,
        col(Upload.removed_at).is_(None),
        Upload.uploaded_at >= case.open_visit.entered_at,
    )
    return list(session.exec(statement.order_by(col(Upload.uploaded_at))))


def may_attach(case: Case) -> bool:
    """Tell whether this officer may attach a file now: at a step of theirs that knows attachments."""
    gives_opinion = not case.actions.isdisjoint({Action.RECOMMEND, Action.SUBMIT_REPORT})
    return case.is_mine and case.step is not None and (gives_opinion or bool(case.step.attachments))


def check_may_attach(case: Case) -> None:
    """Raise the case's refusal, or ActionNotAllowed, when the officer may not attach a file here."""
    if case.refusal is not None:
        raise case.refusal
    if not may_attach(case):
        raise workflow.ActionNotAllowed


def attach_file(
    session: Session,
    storage: Storage,
    wrapping_keys: Mapping[str, bytes],
    application_id: uuid.UUID,
    filename: str,
    clean: CleanFile,
    *,
    actor: Actor,
    now: datetime,
) -> Upload:
    """Keep a reviewer's file with the open visit. `clean` has passed `uploads.check_file`.

    Raises CaseNotFound, ActionNotAllowed, NotYourStep, FourEyesRequired, TooManyAttachments.
    """
    case = find_case(session, application_id, actor=actor)
    check_may_attach(case)
    if len(attachments_here(session, case)) >= MAX_ATTACHMENTS:
        raise TooManyAttachments
    upload = store_upload(
        session, storage, wrapping_keys, case.application, ATTACHMENT, filename, clean, actor, now
    )
    _record_deed(session, case.application, "attached", actor, now)
    return upload


def remove_attachment(
    session: Session,
    storage: Storage,
    application_id: uuid.UUID,
    upload_id: uuid.UUID,
    *,
    actor: Actor,
    now: datetime,
) -> None:
    """Take an own file out again while the visit is open. Raises UploadNotFound, and as `attach_file`."""
    case = find_case(session, application_id, actor=actor)
    check_may_attach(case)
    for upload in attachments_here(session, case):
        if upload.id == upload_id and upload.uploaded_by == actor.id:
            remove_upload(session, storage, upload, now)
            _record_deed(session, case.application, "attachment_removed", actor, now)
            return
    raise UploadNotFound


def corrections_of(session: Session, application_id: uuid.UUID) -> list[Correction]:
    """Return everything that was ever asked to be mended, in the order it was asked."""
    statement = select(Correction).where(Correction.application_id == application_id)
    return list(session.exec(statement.order_by(col(Correction.round), col(Correction.asked_at))))


def _write_corrections(
    session: Session, application_id: uuid.UUID, asked: Sequence[Remark], actor: Actor, now: datetime
) -> None:
    rounds = select(func.max(Submission.round)).where(Submission.application_id == application_id)
    this_round = session.exec(rounds).one() or 1
    for item in asked:
        session.add(
            Correction(
                application_id=application_id,
                round=this_round,
                kind=item.kind,
                key=item.key,
                remark=item.remark.strip(),
                asked_by=actor.id,
                asked_at=now,
            )
        )
    session.flush()
