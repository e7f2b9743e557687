"""Finding a permit type, and what a citizen wants to know of it before starting."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session

from service.catalogue.display import display_value
from service.catalogue.format import APPLICANT_KIND_LABELS, ApplicantKind, DocumentRequirement, PermitType
from service.catalogue.models import PermitTypeRevision, active_permit_types


def search_permit_types(session: Session, words: str = "", category: str = "") -> list[PermitTypeRevision]:
    """Return the offered types of a category in which every word occurs, in either language."""
    wanted = words.casefold().split()
    return [
        row
        for row in active_permit_types(session)
        if (not category or row.permit_type.category == category)
        and all(word in _searched_text(row.permit_type) for word in wanted)
    ]


def _searched_text(permit_type: PermitType) -> str:
    """Return what people may look for: names, summary, and the choices (a midwife looks for `bidan`)."""
    texts = [permit_type.title, permit_type.summary]
    texts += [choice.label for field in permit_type.fields.values() for choice in field.choices]
    joined = " ".join(f"{text.id} {text.en}" for text in texts)
    return f"{joined} {permit_type.code} {permit_type.category}".casefold()


@dataclass(frozen=True, slots=True)
class Requirements:
    """The documents of a type: what everyone brings, and what only some do, with the reason."""

    always: tuple[DocumentRequirement, ...]
    sometimes: tuple[tuple[DocumentRequirement, str], ...]
    """Each with the circumstances in the reader's language, "" for a document that is never required."""


def requirements_of(permit_type: PermitType, language: str) -> Requirements:
    """Sort a type's documents for its page."""
    always = tuple(doc for doc in permit_type.documents if doc.required and doc.required_if is None)
    sometimes = tuple(
        (doc, _circumstances(permit_type, doc, language))
        for doc in permit_type.documents
        if doc not in always
    )
    return Requirements(always, sometimes)


def _circumstances(permit_type: PermitType, document: DocumentRequirement, language: str) -> str:
    parts = []
    for name, values in (document.required_if or {}).items():
        labels = _or([_value_label(permit_type, name, value, language) for value in values], language)
        field = permit_type.fields.get(name)
        parts.append(f"{field.label.text(language)}: {labels}" if field else labels)
    return "; ".join(parts)


def _value_label(permit_type: PermitType, name: str, value: bool | int | str, language: str) -> str:
    if name == "request":
        return permit_type.request_labels[str(value)].text(language)
    if name == "applicant_kind":
        return APPLICANT_KIND_LABELS[ApplicantKind(str(value))].text(language)
    return display_value(permit_type.fields[name], value, language)


def _or(labels: Sequence[str], language: str) -> str:
    return (" or " if language == "en" else " atau ").join(labels)
