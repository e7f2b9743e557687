"""What an applicant does before submitting: start, fill in page by page, add files, throw away.

Everything typed is kept exactly, also what will not do: a page is saved first and judged after.
`asked` says what may be changed where the application stands.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, func, select

from service.accounts.access import Actor
from service.accounts.models import User
from service.applications.asked import (
    accepted_media_types,
    editable,
    find_section,
    permit_type_of,
)
from service.applications.cleaning import CleanFile
from service.applications.continued import answers_of, lock_own_permit, refusal_to_continue
from service.applications.models import Application, Upload
from service.applications.uploads import (
    UploadNotFound,
    check_media_type,
    remove_upload,
    store_upload,
    uploads_of,
)
from service.applications.workflow import State
from service.audit import record_event
from service.catalogue import forms
from service.catalogue.format import Field, PermitType, Request, Section
from service.catalogue.models import find_permit_type
from service.clock import city_date
from service.errors import Conflict, FieldProblem, InvalidInput, NotFound
from service.storage import Storage

MAX_DRAFTS = 20
CONTINUES_NOTHING = FieldProblem(
    "continues",
    "not_asked",
    "Permohonan baru tidak melanjutkan izin lain. Pilih perpanjangan atau perubahan.",
    "A new application continues no other permit. Choose a renewal or a change.",
)


class ApplicationNotFound(NotFound):
    code = "application_not_found"
    message_id = "Permohonan ini tidak ditemukan. Buka daftar permohonan Anda."
    message_en = "This application was not found. Open the list of your applications."


class TooManyDrafts(Conflict):
    code = "too_many_drafts"
    message_id = f"Anda sudah memiliki {MAX_DRAFTS} draf. Hapus atau ajukan salah satunya terlebih dahulu."
    message_en = f"You already have {MAX_DRAFTS} drafts. Delete or submit one of them first."


class NotADraft(Conflict):
    code = "not_a_draft"
    message_id = "Permohonan ini sudah diajukan, sehingga bukan draf lagi. Buka halaman lacak permohonan."
    message_en = "This application has been submitted, so it is no longer a draft. Open its tracking page."


class NotEditable(Conflict):
    code = "not_editable"
    message_id = "Isian atau dokumen ini tidak dapat diubah pada tahap permohonan sekarang."
    message_en = "This field or document cannot be changed at the application's present stage."


# Starting and throwing away -----------------------------------------------------------------


def start_draft(
    session: Session,
    slug: str,
    *,
    request: str,
    applicant_kind: str,
    actor: Actor,
    now: datetime,
    continues: str | None = None,
) -> Application:
    """Start an application for a permit type that is offered now, under its present revision.

    `continues` is the public code of the actor's permit that is to be renewed, changed or closed; its answers
    are filled in. Raises PermitTypeNotFound, TooManyDrafts, EarlierPermitNotFound, what
    `refusal_to_continue` tells, or InvalidInput when the type does not offer the request, is not open to
    such applicants, or a new permit is to continue another.
    """
    revision = find_permit_type(session, slug)
    permit_type = revision.permit_type
    _require_offered(permit_type, request, applicant_kind, continues=continues is not None, now=now)
    earlier = lock_own_permit(session, continues, slug, actor) if continues is not None else None
    if earlier is not None and (refusal := refusal_to_continue(session, earlier, permit_type, request, now)):
        raise refusal
    user = _lock_account_with_room(session, actor)
    known = {"full_name": user.full_name, "email": user.email}
    if earlier is not None:
        known |= answers_of(session, earlier)
    application = Application(
        applicant_id=actor.id,
        revision_id=revision.id,
        slug=slug,
        request=request,
        applicant_kind=applicant_kind,
        continues_id=earlier.id if earlier else None,
        values=forms.keep_asked(permit_type, known, request=request, applicant_kind=applicant_kind),
        created_at=now,
        updated_at=now,
    )
    session.add(application)
    session.flush()
    _record(session, application, "application.draft_started", actor, now)
    return application


def _require_offered(
    permit_type: PermitType, request: str, applicant_kind: str, *, continues: bool, now: datetime
) -> None:
    problems = [
        problem
        for problem in forms.validate_values(
            permit_type, {}, request=request, applicant_kind=applicant_kind, today=city_date(now)
        )
        if problem.field in forms.CIRCUMSTANCES
    ]
    if request == Request.NEW and continues:
        problems.append(CONTINUES_NOTHING)
    if problems:
        raise InvalidInput(problems=problems)


def _lock_account_with_room(session: Session, actor: Actor) -> User:
    """Lock the actor's account, so that two starts at once count one another. Raises TooManyDrafts."""
    user = session.exec(select(User).where(User.id == actor.id).with_for_update()).one()
    drafts = session.exec(
        select(func.count())
        .select_from(Application)
        .where(Application.applicant_id == actor.id, Application.state == State.DRAFT)
    ).one()
    if drafts >= MAX_DRAFTS:
        raise TooManyDrafts
    return user


def delete_draft(
    session: Session, storage: Storage, application_id: uuid.UUID, *, actor: Actor, now: datetime
) -> None:
    """Throw a draft away with all its files. Raises ApplicationNotFound, NotADraft."""
    application = lock_own_application(session, application_id, actor)
    if application.state != State.DRAFT:
        raise NotADraft
    discard_draft(session, storage, application, "application.draft_deleted", actor, now)


def discard_draft(
    session: Session, storage: Storage, application: Application, action: str, actor: Actor, now: datetime
) -> None:
    """Delete a locked draft with all its files, and record it under the action's name."""
    for upload in session.exec(select(Upload).where(Upload.application_id == application.id)):
        remove_upload(session, storage, upload, now)
        session.delete(upload)
    session.flush()
    session.delete(application)
    session.flush()
    _record(session, application, action, actor, now)


def _record(session: Session, application: Application, action: str, actor: Actor, now: datetime) -> None:
    record_event(
        session,
        action=action,
        subject_type="application",
        subject_id=application.id,
        actor_id=actor.user_id,
        actor_name=actor.full_name,
        actor_role=actor.role_for_audit,
        now=now,
        data={"slug": application.slug},
    )


# Finding one's own --------------------------------------------------------------------------


def own_application(session: Session, application_id: uuid.UUID, actor: Actor) -> Application:
    """Return the actor's application. Raises ApplicationNotFound, also for somebody else's."""
    statement = select(Application).where(
        Application.id == application_id, Application.applicant_id == actor.id
    )
    application = session.exec(statement).first()
    if application is None:
        raise ApplicationNotFound
    return application


def lock_own_application(session: Session, application_id: uuid.UUID, actor: Actor) -> Application:
    """Return the actor's application as it stands now, locked. Raises ApplicationNotFound."""
    statement = (
        select(Application)
        .where(Application.id == application_id, Application.applicant_id == actor.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    application = session.exec(statement).first()
    if application is None:
        raise ApplicationNotFound
    return application


def own_applications(
    session: Session, actor: Actor, *, limit: int = 100, offset: int = 0
) -> list[Application]:
    """Return the actor's applications, the last changed first."""
    statement = (
        select(Application)
        .where(Application.applicant_id == actor.id)
        .order_by(col(Application.updated_at).desc(), col(Application.id))
        .limit(limit)
        .offset(offset)
    )
    return list(session.exec(statement))


def values_to_offer(
    session: Session, application: Application, section: Section, actor: Actor
) -> dict[str, Any]:
    """Return answers of the actor's latest other application to fields of a page that are still empty."""
    wanted = {field.key for field in section.fields} - set(application.values)
    for other in own_applications(session, actor, limit=10):
        if other.id != application.id and other.submitted_at is not None:
            return {key: value for key, value in other.values.items() if key in wanted}
    return {}


def own_upload(session: Session, application: Application, upload_id: uuid.UUID) -> Upload:
    """Return a file that the applicant gave and did not remove. Raises UploadNotFound."""
    upload = session.exec(
        select(Upload).where(
            Upload.id == upload_id,
            Upload.application_id == application.id,
            Upload.uploaded_by == application.applicant_id,
            col(Upload.removed_at).is_(None),
        )
    ).first()
    if upload is None:
        raise UploadNotFound
    return upload


# Filling in -------------------------------------------------------------------------------------


def save_section(
    session: Session,
    application_id: uuid.UUID,
    section_key: str,
    values: Mapping[str, Any],
    *,
    actor: Actor,
    now: datetime,
) -> Application:
    """Keep what was typed on one page, right or wrong; an empty value (None) is taken out.

    Fields of the page that `values` does not name stay as they are. Raises ApplicationNotFound,
    SectionNotFound, NotEditable, and InvalidInput for a field the page does not have.
    """
    application = lock_own_application(session, application_id, actor)
    permit_type = permit_type_of(session, application)
    section = find_section(permit_type, application, section_key)
    return write_values(session, application, permit_type, section.fields, values, now)


def write_values(
    session: Session,
    application: Application,
    permit_type: PermitType,
    fields: Sequence[Field],
    values: Mapping[str, Any],
    now: datetime,
) -> Application:
    """Keep values of the given fields of a locked application. Raises InvalidInput, NotEditable."""
    unknown = sorted(set(values) - {field.key for field in fields})
    if unknown:
        raise InvalidInput(problems=[_not_asked(key) for key in unknown])
    if not set(values) <= editable(session, application, permit_type, now).fields:
        raise NotEditable
    kept = {**application.values, **values}
    application.values = {key: value for key, value in kept.items() if value is not None}
    application.updated_at = now
    session.add(application)
    session.flush()
    return application


def _not_asked(key: str) -> FieldProblem:
    pointer = "/values/" + key.replace("~", "~0").replace("/", "~1")
    return FieldProblem(
        key, "not_asked", "Isian ini tidak diminta di sini.", "This is not asked for here.", pointer
    )


def add_document(
    session: Session,
    storage: Storage,
    wrapping_keys: Mapping[str, bytes],
    application_id: uuid.UUID,
    requirement_key: str,
    filename: str,
    clean: CleanFile,
    *,
    actor: Actor,
    now: datetime,
) -> Upload:
    """Keep a file that `uploads.check_file` passed, in place of one given for the same document before.

    Raises ApplicationNotFound, DocumentNotAsked, NotEditable, UploadTypeRefused.
    """
    application = lock_own_application(session, application_id, actor)
    permit_type = permit_type_of(session, application)
    accepted = accepted_media_types(permit_type, application, requirement_key)
    if requirement_key not in editable(session, application, permit_type, now).documents:
        raise NotEditable
    check_media_type(clean, accepted)
    for earlier in uploads_of(session, application.id):
        if earlier.requirement == requirement_key and earlier.uploaded_by == actor.id:
            remove_upload(session, storage, earlier, now)
    application.updated_at = now
    session.add(application)
    return store_upload(
        session, storage, wrapping_keys, application, requirement_key, filename, clean, actor, now
    )


def remove_document(
    session: Session,
    storage: Storage,
    application_id: uuid.UUID,
    upload_id: uuid.UUID,
    *,
    actor: Actor,
    now: datetime,
) -> None:
    """Take a file out again. Raises ApplicationNotFound, UploadNotFound, NotEditable."""
    application = lock_own_application(session, application_id, actor)
    upload = own_upload(session, application, upload_id)
    permit_type = permit_type_of(session, application)
    kept_back = application.state != State.DRAFT
    if kept_back and upload.requirement not in editable(session, application, permit_type, now).documents:
        raise NotEditable
    application.updated_at = now
    session.add(application)
    remove_upload(session, storage, upload, now)
