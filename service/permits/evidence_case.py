"""The rows that tell of a permit's case, column by column as they are sealed, and the files given with it."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlmodel import Session, SQLModel, col

from service import seals
from service.applications.models import Application, Correction, StepVisit, Submission, Upload
from service.catalogue.models import PermitTypeRevision
from service.permits.models import DocumentVersion, Mandate, Permit, StatusChange

WITHHELD: dict[str, tuple[str, ...]] = {
    "application": ("taken_by", "taken_at"),
    "application_correction": ("asked_by",),
    "application_step_visit": ("actor_id", "actor_name", "note", "data"),
    "permit_status_change": ("actor_id", "actor_name", "remark"),
    "mandate": ("created_by", "ended_by"),
    "permit_type_revision": ("loaded_by",),
}
"""What stays inside the office, by table: a holder learns roles and grounds told to them, no more."""

Rows = dict[str, list[dict[str, Any]]]
"""Rows by table, each with all its sealed columns, in the order in which they came to be."""


def case_rows(session: Session, permit: Permit, *, whole: bool) -> Rows:
    """Return what was submitted, corrected, decided, issued and changed, under which rules and mandate.

    Unless it is the `whole` case, what is WITHHELD is left out.
    """
    case = permit.application_id
    wanted: list[tuple[type[SQLModel], ColumnElement[bool], Sequence[Any]]] = [
        (Application, col(Application.id) == case, ()),
        (Submission, col(Submission.application_id) == case, [col(Submission.round)]),
        (Correction, col(Correction.application_id) == case, [col(Correction.asked_at), col(Correction.id)]),
        (StepVisit, col(StepVisit.application_id) == case, [col(StepVisit.number)]),
        (Permit, col(Permit.id) == permit.id, ()),
        (DocumentVersion, col(DocumentVersion.permit_id) == permit.id, [col(DocumentVersion.version)]),
        (StatusChange, col(StatusChange.permit_id) == permit.id, [col(StatusChange.since)]),
        (Mandate, col(Mandate.id) == permit.mandate_id, ()),
        (PermitTypeRevision, col(PermitTypeRevision.id) == permit.revision_id, ()),
    ]
    rows: Rows = {}
    for model, condition, order in wanted:
        sealed = seals.SEALED[str(model.__tablename__)]
        statement = select(sealed.table).where(condition).order_by(*order)
        found = session.connection().execute(statement).mappings()
        withheld = () if whole else WITHHELD.get(sealed.table.name, ())
        rows[sealed.table.name] = [
            {
                name: value
                for name, value in seals.as_sealed(sealed, dict(row)).items()
                if name not in withheld
            }
            for row in found
        ]
    return rows


def files_given(session: Session, permit: Permit, *, whole: bool) -> list[dict[str, Any]]:
    """Tell of every file that the applicant gave, and in the `whole` case officers, by name and SHA-256."""
    statement = (
        select(Upload)
        .where(col(Upload.application_id) == permit.application_id)
        .order_by(col(Upload.uploaded_at), col(Upload.id))
    )
    if not whole:
        statement = statement.where(col(Upload.uploaded_by) == permit.holder_id)
    told = {"id", "requirement", "filename", "media_type", "size", "sha256", "uploaded_at", "removed_at"}
    uploads: Iterable[Upload] = session.scalars(statement)
    return [upload.model_dump(mode="json", include=told) for upload in uploads]


def keys_of(rows: Rows, files: Sequence[dict[str, Any]], *, whole: bool) -> dict[str, set[str]]:
    """Return the keys of the rows whose seals may be shown.

    A seal would confirm a guess at what is withheld of its row.
    """
    keys = {
        name: {seals.SEALED[name].key_of(row) for row in listed}
        for name, listed in rows.items()
        if whole or name not in WITHHELD
    }
    return keys | {str(Upload.__tablename__): {str(file["id"]) for file in files}}
