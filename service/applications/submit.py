"""Submitting, paying and withdrawing: where an application leaves the applicant's hands."""

import hashlib
import json
import secrets
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlmodel import Session, select

from service.accounts.access import Actor
from service.applications.asked import (
    PAYMENT_RECEIPT,
    declarations_of,
    documents_of,
    form_problems,
    given_documents,
    last_submission,
    missing_documents,
    permit_type_of,
    waits_for_payment,
)
from service.applications.continued import require_continuable
from service.applications.draft import NotADraft, lock_own_application
from service.applications.models import Application, Submission, Upload
from service.applications.transitions import apply_action
from service.applications.workflow import Action, ActionNotAllowed, State
from service.catalogue import forms
from service.catalogue.format import PermitType
from service.catalogue.models import find_permit_type
from service.clock import city_date
from service.errors import FieldProblem, InvalidInput

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no letter that is mistaken for another or for a digit."""


class NotComplete(InvalidInput):
    code = "application_not_complete"
    message_id = "Permohonan belum lengkap. Lengkapi bagian yang disebut, lalu ajukan lagi."
    message_en = "The application is not complete. Complete the parts named, then submit it again."


# Checking -------------------------------------------------------------------------------------


def problems_before_submission(
    session: Session, application: Application, now: datetime, *, declared: bool
) -> list[FieldProblem]:
    """Return everything that keeps the application from being submitted, in the order of the form.

    A missing document's problem has its key as field and points to `/documents/key`.
    """
    permit_type = permit_type_of(session, application)
    values = _with_declaration(permit_type, application, declared)
    problems = form_problems(permit_type, application, now, values=values)
    return problems + missing_documents(session, application, permit_type)


def _with_declaration(permit_type: PermitType, application: Application, declared: bool) -> dict[str, Any]:
    ticked = {field.key: declared for field in declarations_of(permit_type, application)}
    return {**application.values, **ticked}


# Submitting -----------------------------------------------------------------------------------


def submit_application(
    session: Session, application_id: uuid.UUID, *, declared: bool, actor: Actor, now: datetime
) -> Application:
    """Submit a draft: check it whole, number it, freeze what was submitted, start the workflow.

    Raises ApplicationNotFound, NotADraft (also for the second of two submissions at once),
    PermitTypeNotFound when the type is no longer offered, NotComplete with every problem, and what
    `require_continuable` raises when the permit to be renewed or changed moved on.
    """
    application = lock_own_application(session, application_id, actor)
    if application.state != State.DRAFT:
        raise NotADraft
    find_permit_type(session, application.slug)
    problems = problems_before_submission(session, application, now, declared=declared)
    if problems:
        raise NotComplete(problems=problems)
    permit_type = permit_type_of(session, application)
    require_continuable(session, application, permit_type, now)
    application.values = _with_declaration(permit_type, application, declared)
    application.receipt_number = _new_receipt_number(session, now)
    submission = freeze_submission(session, application, permit_type, now)
    return apply_action(
        session,
        application,
        Action.SUBMIT,
        actor=actor,
        now=now,
        permit_type=permit_type,
        data={"round": submission.round, "sha256": submission.sha256},
    )


def freeze_submission(
    session: Session, application: Application, permit_type: PermitType, now: datetime
) -> Submission:
    """Keep what is submitted now, as the next round, with its SHA-256."""
    last = last_submission(session, application)
    asked = documents_of(permit_type, application)
    given = given_documents(session, application)
    documents = [_reference(given[document.key]) for document in asked if document.key in given]
    submission = Submission(
        application_id=application.id,
        round=last.round + 1 if last else 1,
        values=dict(application.values),
        documents=documents,
        sha256=submission_sha256(application.values, documents),
        submitted_at=now,
    )
    application.holder_name = _holder_name(permit_type, application)
    session.add(submission)
    session.add(application)
    session.flush()
    return submission


def submission_sha256(values: Mapping[str, Any], documents: list[dict[str, str]]) -> str:
    """Return the SHA-256 (hex) of the canonical JSON of what is submitted."""
    canonical = json.dumps(
        {"documents": documents, "values": values}, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    return hashlib.sha256(canonical.encode()).hexdigest()


def _reference(upload: Upload) -> dict[str, str]:
    return {
        "requirement": upload.requirement,
        "upload_id": str(upload.id),
        "filename": upload.filename,
        "sha256": upload.sha256,
    }


def _holder_name(permit_type: PermitType, application: Application) -> str:
    asked = forms.asked_fields(permit_type, application.request, application.applicant_kind)
    names = (application.values.get(key) for key in permit_type.holder if key in asked)
    return str(next((name for name in names if name), ""))[:160]


def _new_receipt_number(session: Session, now: datetime) -> str:
    while True:
        tail = "".join(secrets.choice(CROCKFORD) for _ in range(6))
        number = f"P-{city_date(now):%Y%m%d}-{tail}"
        taken = select(Application.id).where(Application.receipt_number == number)
        if session.exec(taken).first() is None:
            return number


# Paying and withdrawing --------------------------------------------------------------------------


def pay(session: Session, application_id: uuid.UUID, *, actor: Actor, now: datetime) -> Application:
    """Hand in the proof of payment that was uploaded.

    Raises ApplicationNotFound, ActionNotAllowed when nothing is to be paid now, and NotComplete
    without a receipt.
    """
    application = lock_own_application(session, application_id, actor)
    permit_type = permit_type_of(session, application)
    if not waits_for_payment(application, permit_type):
        raise ActionNotAllowed
    receipt = given_documents(session, application).get(PAYMENT_RECEIPT)
    if receipt is None:
        raise NotComplete(
            problems=[
                FieldProblem(
                    PAYMENT_RECEIPT,
                    "document_required",
                    "Unggah bukti pembayaran terlebih dahulu.",
                    "Upload the proof of payment first.",
                    f"/documents/{PAYMENT_RECEIPT}",
                )
            ]
        )
    return apply_action(
        session,
        application,
        Action.PAY,
        actor=actor,
        now=now,
        permit_type=permit_type,
        data={"attachments": [str(receipt.id)]},
    )


def withdraw_application(
    session: Session, application_id: uuid.UUID, *, actor: Actor, now: datetime, note: str | None = None
) -> Application:
    """Withdraw a submitted application for good; a draft is deleted instead.

    Raises ApplicationNotFound, and ActionNotAllowed for a draft, before the signature or once decided.
    """
    application = lock_own_application(session, application_id, actor)
    if application.state == State.DRAFT:
        raise ActionNotAllowed
    return apply_action(
        session,
        application,
        Action.WITHDRAW,
        actor=actor,
        now=now,
        permit_type=permit_type_of(session, application),
        note=note,
    )
