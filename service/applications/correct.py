"""The correction round: the applicant mends exactly what the officer named, and resubmits."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from service.accounts.access import Actor
from service.applications.asked import (
    documents_of,
    editable,
    form_problems,
    missing_documents,
    new_problems,
    open_corrections,
    permit_type_of,
    submitted_values,
)
from service.applications.draft import lock_own_application, write_values
from service.applications.models import Application
from service.applications.submit import NotComplete, freeze_submission
from service.applications.transitions import apply_action
from service.applications.workflow import Action, ActionNotAllowed, State
from service.catalogue import forms
from service.catalogue.format import DocumentRequirement, Field, PermitType
from service.errors import FieldProblem


@dataclass(frozen=True, slots=True)
class FieldToMend:
    """A field the applicant may change, with the officer's remark; None where it only follows."""

    field: Field
    remark: str | None


@dataclass(frozen=True, slots=True)
class DocumentToMend:
    document: DocumentRequirement
    remark: str | None


@dataclass(frozen=True, slots=True)
class CorrectionRound:
    """All that the applicant is asked to mend, in the order of the form."""

    fields: tuple[FieldToMend, ...]
    documents: tuple[DocumentToMend, ...]


def correction_round(
    session: Session, application: Application, permit_type: PermitType, now: datetime
) -> CorrectionRound:
    """Return what a returned application asks to be mended. Raises ActionNotAllowed otherwise."""
    if application.state != State.RETURNED:
        raise ActionNotAllowed
    may_change = editable(session, application, permit_type, now)
    remarks = {(item.kind, item.key): item.remark for item in open_corrections(session, application)}
    asked = forms.asked_fields(permit_type, application.request, application.applicant_kind)
    return CorrectionRound(
        tuple(
            FieldToMend(field, remarks.get(("field", key)))
            for key, field in asked.items()
            if key in may_change.fields
        ),
        tuple(
            DocumentToMend(document, remarks.get(("document", document.key)))
            for document in documents_of(permit_type, application)
            if document.key in may_change.documents
        ),
    )


def save_corrections(
    session: Session, application_id: uuid.UUID, values: Mapping[str, Any], *, actor: Actor, now: datetime
) -> Application:
    """Keep what was typed into the named fields, right or wrong.

    Raises ApplicationNotFound, ActionNotAllowed when nothing is to be mended, NotEditable for a field
    that was not named, InvalidInput for one that does not exist.
    """
    application = lock_own_application(session, application_id, actor)
    if application.state != State.RETURNED:
        raise ActionNotAllowed
    permit_type = permit_type_of(session, application)
    asked = forms.asked_fields(permit_type, application.request, application.applicant_kind)
    return write_values(session, application, permit_type, list(asked.values()), values, now)


def problems_before_resubmission(
    session: Session, application: Application, now: datetime
) -> list[FieldProblem]:
    """Return what keeps the corrections from being sent.

    A field that was not named is not judged again unless a change made it wrong: a date that was in
    time when it was first submitted stays good.
    """
    permit_type = permit_type_of(session, application)
    before = submitted_values(session, application)
    named = {item.key for item in open_corrections(session, application) if item.kind == "field"}
    new = new_problems(permit_type, application, before, application.values, now)
    judged = [
        problem
        for problem in form_problems(permit_type, application, now)
        if problem.field in named or problem in new
    ]
    return judged + missing_documents(session, application, permit_type)


def resubmit_application(
    session: Session, application_id: uuid.UUID, *, actor: Actor, now: datetime
) -> Application:
    """Send the corrections as a new submission round to the step that asked for them.

    Raises ApplicationNotFound, ActionNotAllowed, NotComplete with every problem.
    """
    application = lock_own_application(session, application_id, actor)
    if application.state != State.RETURNED:
        raise ActionNotAllowed
    problems = problems_before_resubmission(session, application, now)
    if problems:
        raise NotComplete(problems=problems)
    permit_type = permit_type_of(session, application)
    for correction in open_corrections(session, application):
        correction.resolved_at = now
        session.add(correction)
    submission = freeze_submission(session, application, permit_type, now)
    return apply_action(
        session,
        application,
        Action.RESUBMIT,
        actor=actor,
        now=now,
        permit_type=permit_type,
        data={"round": submission.round, "sha256": submission.sha256},
    )
