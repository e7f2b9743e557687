"""What an application asks of its applicant, what they gave, and what they may change now."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from service.applications.cleaning import MEDIA_TYPES
from service.applications.models import Application, Correction, Submission, Upload
from service.applications.uploads import ACCEPTED_MEDIA_TYPES, uploads_of
from service.applications.workflow import APPLICANT_ROLE, State
from service.catalogue import forms
from service.catalogue.format import Action, DocumentRequirement, Field, FieldType, PermitType, Section
from service.catalogue.models import get_revision
from service.clock import city_date
from service.errors import FieldProblem, NotFound

PAYMENT_RECEIPT = "payment_receipt"
"""The requirement under which the applicant's proof of payment stands."""


EARLIER_PERMIT = "old_permit"
"""The requirement under which a copy of the permit to be renewed or changed stands."""


class SectionNotFound(NotFound):
    code = "section_not_found"
    message_id = "Bagian formulir ini tidak ada pada permohonan Anda."
    message_en = "Your application has no such section."


class DocumentNotAsked(NotFound):
    code = "document_not_asked"
    message_id = "Dokumen ini tidak diminta pada permohonan Anda."
    message_en = "Your application does not ask for this document."


@dataclass(frozen=True, slots=True)
class Editable:
    """The keys of fields and documents that the applicant may change now."""

    fields: frozenset[str] = frozenset()
    documents: frozenset[str] = frozenset()


# What is asked ----------------------------------------------------------------------------------


def permit_type_of(session: Session, application: Application) -> PermitType:
    """Return the permit type as it stood when the application was started."""
    return get_revision(session, application.revision_id).permit_type


def sections_of(permit_type: PermitType, application: Application) -> list[Section]:
    """Return the pages of the application's form, without its declaration."""
    sections = forms.visible_sections(permit_type, application.request, application.applicant_kind)
    return [section for section in sections if not is_declaration(section)]


def declarations_of(permit_type: PermitType, application: Application) -> list[Field]:
    """Return the boxes to tick right before submitting."""
    sections = forms.visible_sections(permit_type, application.request, application.applicant_kind)
    return [field for section in sections if is_declaration(section) for field in section.fields]


def is_declaration(section: Section) -> bool:
    return all(field.type is FieldType.CONSENT for field in section.fields)


def find_section(permit_type: PermitType, application: Application, key: str) -> Section:
    """Return one page of the form. Raises SectionNotFound."""
    for section in sections_of(permit_type, application):
        if section.key == key:
            return section
    raise SectionNotFound


def documents_of(permit_type: PermitType, application: Application) -> list[DocumentRequirement]:
    """Return the documents the application may bring, given its answers so far.

    A copy of the earlier permit is not among them where the service holds that permit itself.
    """
    return _documents(forms.asked_documents, permit_type, application)


def required_of(permit_type: PermitType, application: Application) -> list[DocumentRequirement]:
    """Return the documents without which the application cannot be submitted, given its answers so far."""
    return _documents(forms.required_documents, permit_type, application)


def _documents(
    select_documents: Callable[..., list[DocumentRequirement]],
    permit_type: PermitType,
    application: Application,
) -> list[DocumentRequirement]:
    found = select_documents(permit_type, application.values, application.request, application.applicant_kind)
    holds_earlier = application.continues_id is not None
    return [document for document in found if not (holds_earlier and document.key == EARLIER_PERMIT)]


def form_problems(
    permit_type: PermitType,
    application: Application,
    now: datetime,
    *,
    values: Mapping[str, Any] | None = None,
    only_section: str | None = None,
) -> list[FieldProblem]:
    """Judge the application's answers, or those given instead."""
    return forms.validate_values(
        permit_type,
        application.values if values is None else values,
        request=application.request,
        applicant_kind=application.applicant_kind,
        today=city_date(now),
        only_section=only_section,
    )


def accepted_media_types(
    permit_type: PermitType, application: Application, requirement_key: str
) -> frozenset[str]:
    """Return the media types a document may come in. Raises DocumentNotAsked."""
    if requirement_key == PAYMENT_RECEIPT and waits_for_payment(application, permit_type):
        return frozenset(MEDIA_TYPES)
    for document in documents_of(permit_type, application):
        if document.key == requirement_key:
            return frozenset(ACCEPTED_MEDIA_TYPES[kind] for kind in document.accept)
    raise DocumentNotAsked


# What was given -----------------------------------------------------------------------------------


def given_documents(session: Session, application: Application) -> dict[str, Upload]:
    """Return the applicant's files by the document they are for."""
    uploads = uploads_of(session, application.id)
    return {u.requirement: u for u in uploads if u.uploaded_by == application.applicant_id}


def missing_documents(
    session: Session, application: Application, permit_type: PermitType
) -> list[FieldProblem]:
    """Return a problem for each required document that was not given."""
    given = given_documents(session, application)
    required = required_of(permit_type, application)
    return [_missing(document) for document in required if document.key not in given]


def _missing(document: DocumentRequirement) -> FieldProblem:
    return FieldProblem(
        document.key,
        "document_required",
        f"Unggah dokumen: {document.label.id}.",
        f"Upload the document: {document.label.en}.",
        f"/documents/{document.key}",
    )


def open_corrections(session: Session, application: Application) -> list[Correction]:
    """Return what the officer asked to be mended and was not resubmitted yet, in the order asked."""
    statement = (
        select(Correction)
        .where(Correction.application_id == application.id, col(Correction.resolved_at).is_(None))
        .order_by(col(Correction.asked_at), col(Correction.kind).desc(), col(Correction.key))
    )
    return list(session.exec(statement))


def last_submission(session: Session, application: Application) -> Submission | None:
    """Return what was submitted last, or None for a draft."""
    statement = select(Submission).where(Submission.application_id == application.id)
    return session.exec(statement.order_by(col(Submission.round).desc())).first()


def submitted_values(session: Session, application: Application) -> dict[str, Any]:
    """Return the answers submitted last."""
    last = last_submission(session, application)
    return last.values if last else {}


def waits_for_payment(application: Application, permit_type: PermitType) -> bool:
    """Tell whether the application stands at the step where the applicant pays."""
    if application.state != State.UNDER_REVIEW or application.step is None:
        return False
    step = permit_type.step(application.step)
    return step.role == APPLICANT_ROLE and Action.PAY in step.actions


# What may change --------------------------------------------------------------------------------


def editable(session: Session, application: Application, permit_type: PermitType, now: datetime) -> Editable:
    """Return what the applicant may change now.

    In a draft, everything. Returned for correction: what the officer named, and what these changes
    make necessary (a document that only a renewal needs). At the payment step, its receipt.
    """
    documents = frozenset(document.key for document in documents_of(permit_type, application))
    if application.state == State.DRAFT:
        asked = forms.asked_fields(permit_type, application.request, application.applicant_kind)
        return Editable(frozenset(asked), documents)
    if application.state == State.RETURNED:
        return _to_mend(session, application, permit_type, documents, now)
    if waits_for_payment(application, permit_type):
        return Editable(documents=frozenset({PAYMENT_RECEIPT}))
    return Editable()


def _to_mend(
    session: Session,
    application: Application,
    permit_type: PermitType,
    documents: frozenset[str],
    now: datetime,
) -> Editable:
    named = open_corrections(session, application)
    fields = frozenset(item.key for item in named if item.kind == "field")
    before = submitted_values(session, application)
    # Judged without the answers that only follow, so that they stay open once they are filled in.
    without = {key: value for key, value in application.values.items() if key in before or key in fields}
    following = {
        problem.field
        for problem in new_problems(permit_type, application, before, without, now)
        if problem.code == "required"
    }
    asked_before = forms.asked_documents(permit_type, before, application.request, application.applicant_kind)
    return Editable(
        fields | following,
        frozenset(item.key for item in named if item.kind == "document")
        | (documents - {document.key for document in asked_before}),
    )


def new_problems(
    permit_type: PermitType,
    application: Application,
    before: Mapping[str, Any],
    values: Mapping[str, Any],
    now: datetime,
) -> list[FieldProblem]:
    """Return what is wrong with the values and was not before, both judged on the same day."""
    old = {(item.pointer, item.code) for item in form_problems(permit_type, application, now, values=before)}
    judged = form_problems(permit_type, application, now, values=values)
    return [item for item in judged if (item.pointer, item.code) not in old]
