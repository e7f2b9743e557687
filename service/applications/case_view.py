"""How a case is put before an officer: what was submitted, what changed, who did what. Nothing stored."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from service.accounts.access import ROLES
from service.applications.asked import sections_of
from service.applications.fields import size_text
from service.applications.models import Correction, StepVisit, Submission, Upload
from service.applications.review import Case, corrections_of
from service.applications.transitions import DEEDS
from service.applications.uploads import ATTACHMENT, UploadNotFound
from service.applications.workflow import APPLICANT_ROLE, Action
from service.audit import AuditEvent, events_of
from service.catalogue.display import display_value
from service.catalogue.format import Bilingual, PermitType
from service.catalogue.forms import field_applies

APPLICANT = Bilingual(id="Pemohon", en="Applicant")
OTHER_DEEDS = {
    "taken": Bilingual(id="mengambil permohonan", en="took the case"),
    "taken_over": Bilingual(id="mengambil alih permohonan", en="took the case over"),
    "released": Bilingual(id="melepas permohonan", en="released the case"),
    "attached": Bilingual(id="melampirkan berkas", en="attached a file"),
    "attachment_removed": Bilingual(id="menghapus lampiran", en="removed an attachment"),
}


@dataclass(frozen=True, slots=True)
class Fact:
    """One answer as submitted; `changed` since the round before, `remark` as last asked to be mended."""

    key: str
    label: str
    value: str
    changed: bool
    remark: str | None


@dataclass(frozen=True, slots=True)
class FactSection:
    title: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A document or attachment as the officer may open it."""

    upload_id: uuid.UUID
    key: str
    label: str
    filename: str
    size: str
    is_image: bool
    href: str
    changed: bool = False
    remark: str | None = None


@dataclass(frozen=True, slots=True)
class Passage:
    """One deed in a case's history: who did what at which step, when, with which words."""

    at: datetime
    step: str
    deed: str
    who: str
    note: str | None
    report: tuple[tuple[str, str], ...] = ()
    files: tuple[CaseFile, ...] = ()
    is_against: bool = False


@dataclass(frozen=True, slots=True)
class AuditLine:
    number: int
    at: datetime
    who: str
    deed: str


@dataclass(frozen=True, slots=True)
class CaseView:
    sections: tuple[FactSection, ...]
    documents: tuple[CaseFile, ...]
    attachments: tuple[CaseFile, ...]
    """What reviewers left, earlier and now."""
    history: tuple[Passage, ...]
    """Oldest first."""
    opinions: tuple[Passage, ...]
    """Recommendations and reports, which whoever decides must read; the newest last."""
    audit: tuple[AuditLine, ...]
    round: int


def view_case(session: Session, case: Case, language: str) -> CaseView:
    """Put a case together for its page, in the reader's language."""
    submissions = submissions_of(session, case)
    uploads = {upload.id: upload for upload in _uploads(session, case)}
    remarks = {(item.kind, item.key): item.remark for item in corrections_of(session, case.application.id)}
    history = _history(case, submissions, uploads, language)
    return CaseView(
        sections=_sections(case, submissions, remarks, language),
        documents=_documents(case, submissions, uploads, remarks, language),
        attachments=tuple(
            _file(case, upload, upload.filename)
            for upload in uploads.values()
            if upload.uploaded_by != case.application.applicant_id and upload.removed_at is None
        ),
        history=history,
        opinions=tuple(
            passage for passage in history if passage.report or passage.deed in _opinions(language)
        ),
        audit=tuple(_audit_line(event, language) for event in _events(session, case)),
        round=len(submissions),
    )


def submissions_of(session: Session, case: Case) -> list[Submission]:
    """Return what was submitted, round by round."""
    statement = select(Submission).where(Submission.application_id == case.application.id)
    return list(session.exec(statement.order_by(col(Submission.round))))


def find_case_file(session: Session, case: Case, upload_id: uuid.UUID) -> Upload:
    """Return a file of the case that the officer may open: submitted, or kept with a visit.

    What the applicant is still changing is not the officer's to see. Raises UploadNotFound.
    """
    upload = session.get(Upload, upload_id)
    if upload is None or upload.application_id != case.application.id:
        raise UploadNotFound
    submitted = {document["upload_id"] for row in submissions_of(session, case) for document in row.documents}
    kept = {name for visit in case.visits for name in visit.data.get("attachments", ())}
    is_reviewers = upload.requirement == ATTACHMENT and upload.removed_at is None
    if not is_reviewers and str(upload.id) not in submitted | kept:
        raise UploadNotFound
    return upload


# What was submitted -----------------------------------------------------------------------------


def _sections(
    case: Case,
    submissions: Sequence[Submission],
    remarks: Mapping[tuple[str, str], str],
    language: str,
) -> tuple[FactSection, ...]:
    values = submissions[-1].values if submissions else case.application.values
    before = submissions[-2].values if len(submissions) > 1 else values
    application = case.application
    sections = []
    for section in sections_of(case.permit_type, application):
        facts = tuple(
            Fact(
                field.key,
                field.label.text(language),
                display_value(field, values.get(field.key), language),
                values.get(field.key) != before.get(field.key),
                remarks.get(("field", field.key)),
            )
            for field in section.fields
            if field_applies(field, values, application.request, application.applicant_kind)
        )
        if facts:
            sections.append(FactSection(section.title.text(language), facts))
    return tuple(sections)


def _documents(
    case: Case,
    submissions: Sequence[Submission],
    uploads: Mapping[uuid.UUID, Upload],
    remarks: Mapping[tuple[str, str], str],
    language: str,
) -> tuple[CaseFile, ...]:
    labels = {document.key: document.label.text(language) for document in case.permit_type.documents}
    before = {row["upload_id"] for row in submissions[-2].documents} if len(submissions) > 1 else None
    files = []
    for row in submissions[-1].documents if submissions else ():
        key, upload = row["requirement"], uploads.get(uuid.UUID(row["upload_id"]))
        if upload is not None:
            changed = before is not None and row["upload_id"] not in before
            remark = remarks.get(("document", key))
            files.append(_file(case, upload, labels.get(key, key), changed=changed, remark=remark))
    return tuple(files)


def _uploads(session: Session, case: Case) -> list[Upload]:
    statement = select(Upload).where(Upload.application_id == case.application.id)
    return list(session.exec(statement.order_by(col(Upload.uploaded_at), col(Upload.id))))


def _file(
    case: Case, upload: Upload, label: str, *, changed: bool = False, remark: str | None = None
) -> CaseFile:
    return CaseFile(
        upload.id,
        upload.requirement,
        label,
        upload.filename,
        size_text(upload.size),
        upload.media_type.startswith("image/"),
        f"/officer/cases/{case.application.id}/documents/{upload.id}",
        changed,
        remark,
    )


# What was done ----------------------------------------------------------------------------------


def role_name(role: str, language: str) -> str:
    """Return a role's name in the reader's language."""
    if role == APPLICANT_ROLE:
        return APPLICANT.text(language)
    names = ROLES.get(role, (role, role))
    return names[language == "en"]


def _history(
    case: Case,
    submissions: Sequence[Submission],
    uploads: Mapping[uuid.UUID, Upload],
    language: str,
) -> tuple[Passage, ...]:
    passages = [
        Passage(
            row.submitted_at,
            APPLICANT.text(language),
            DEEDS[Action.SUBMIT if row.round == 1 else Action.RESUBMIT].text(language),
            case.application.holder_name,
            None,
        )
        for row in submissions
    ]
    passages += [_passage(case, visit, uploads, language) for visit in case.visits if visit.left_at]
    return tuple(sorted(passages, key=lambda passage: passage.at))


def _passage(case: Case, visit: StepVisit, uploads: Mapping[uuid.UUID, Upload], language: str) -> Passage:
    assert visit.left_at is not None
    assert visit.action is not None
    action = Action(visit.action)
    names = [uuid.UUID(name) for name in visit.data.get("attachments", ())]
    role = APPLICANT_ROLE if action == Action.WITHDRAW else visit.role
    return Passage(
        visit.left_at,
        case.permit_type.step(visit.step).label.text(language),
        DEEDS[action].text(language),
        f"{visit.actor_name} ({role_name(role, language)})",
        visit.note,
        _report(case.permit_type, visit.data, language),
        tuple(_file(case, uploads[name], uploads[name].filename) for name in names if name in uploads),
        action == Action.RECOMMEND_REJECTION,
    )


def _report(permit_type: PermitType, data: Mapping[str, Any], language: str) -> tuple[tuple[str, str], ...]:
    labels = {item.key: item.label.text(language) for item in permit_type.report_items}
    return tuple((labels.get(key, key), str(text)) for key, text in data.get("report", {}).items())


def _opinions(language: str) -> set[str]:
    opinions = (Action.RECOMMEND, Action.RECOMMEND_REJECTION, Action.SUBMIT_REPORT, Action.PROPOSE_REJECTION)
    return {DEEDS[action].text(language) for action in opinions}


def _events(session: Session, case: Case) -> list[AuditEvent]:
    return events_of(session, "application", case.application.id)


def _audit_line(event: AuditEvent, language: str) -> AuditLine:
    name = event.action.removeprefix("application.")
    deed = DEEDS[Action(name)] if name in set(Action) else OTHER_DEEDS.get(name)
    return AuditLine(
        event.number, event.at, event.actor_name, deed.text(language) if deed else name.replace("_", " ")
    )


def open_corrections_of(session: Session, case: Case) -> list[Correction]:
    """Return what the applicant was asked to mend and has not resubmitted yet."""
    return [item for item in corrections_of(session, case.application.id) if item.resolved_at is None]
