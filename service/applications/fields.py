"""How fields and documents are put before a reader: values for the pages' templates, nothing stored."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service.applications.asked import sections_of
from service.applications.models import Application, Upload
from service.applications.uploads import ACCEPTED_MEDIA_TYPES, KIND_NAMES
from service.catalogue.display import display_value
from service.catalogue.entry import date_parts, shown_number
from service.catalogue.format import (
    Bilingual,
    DocumentRequirement,
    Field,
    FieldType,
    PermitType,
    Section,
)
from service.catalogue.forms import CIRCUMSTANCES, field_applies
from service.catalogue.regions import kelurahan_by_kecamatan
from service.clock import CITY_TIMEZONE
from service.errors import FieldProblem

OPTIONAL = Bilingual(id="(tidak wajib)", en="(optional)")
ONLY_IF = Bilingual(id="Isi hanya bila {}.", en="Fill in only if {}.")
ONE_A_LINE = Bilingual(id="Tulis satu butir pada satu baris.", en="Write one item a line.")
DATE_HINT = Bilingual(id="Misalnya 27 9 2026.", en="For example 27 9 2026.")
YES_NO = (("yes", Bilingual(id="Ya", en="Yes")), ("no", Bilingual(id="Tidak", en="No")))
INPUT_MODES = {
    FieldType.NIK: "numeric",
    FieldType.NPWP: "numeric",
    FieldType.NIB: "numeric",
    FieldType.INTEGER: "numeric",
    FieldType.NUMBER: "decimal",
    FieldType.PHONE: "tel",
    FieldType.EMAIL: "email",
}
AUTOCOMPLETE = {
    "full_name": "name", "email": "email", "phone": "tel", "address": "street-address",
    "birth_date": "bday", "org_name": "organization",
}  # fmt: skip
"""Fields about the person who types (WCAG 2.2, criterion 1.3.5)."""


@dataclass(frozen=True, slots=True)
class FieldView:
    """One field as a page asks for it, with what was typed before and what is wrong with it."""

    key: str
    kind: str
    """`text`, `lines`, `radios`, `select`, `date` or `tick`: the control that asks."""
    label: str
    hint: str | None
    error: str | None
    value: str
    options: tuple[tuple[str, str, bool], ...] = ()
    """(value, label, chosen) of radios, and of a select without groups."""
    groups: tuple[tuple[str, tuple[tuple[str, str, bool], ...]], ...] = ()
    parts: tuple[str, str, str] = ("", "", "")
    """Day, month and year of a date."""
    input_mode: str | None = None
    autocomplete: str | None = None
    width: str = ""
    remark: str | None = None
    """What the officer said about it."""

    @property
    def anchor(self) -> str:
        """The id an error summary leads to."""
        return f"{self.key}-day" if self.kind == "date" else self.key


@dataclass(frozen=True, slots=True)
class FileView:
    """A given file, as the upload component shows it."""

    name: str
    size: str
    href: str
    thumbnail: str | None
    remove: str | None


@dataclass(frozen=True, slots=True)
class DocumentView:
    key: str
    label: str
    hint: str | None
    accept: str
    is_required: bool
    files: tuple[FileView, ...]
    error: str | None = None
    remark: str | None = None


def field_views(
    fields: Iterable[Field],
    permit_type: PermitType,
    values: Mapping[str, Any],
    problems: Sequence[FieldProblem],
    language: str,
    remarks: Mapping[str, str] | None = None,
) -> list[FieldView]:
    """Return the fields as a page asks for them, in the reader's language."""
    errors = {problem.field: problem.message(language) for problem in reversed(problems)}
    return [
        _view(
            field,
            permit_type,
            values.get(field.key),
            errors.get(field.key),
            language,
            (remarks or {}).get(field.key),
        )
        for field in fields
    ]


def _view(
    field: Field,
    permit_type: PermitType,
    value: Any,
    error: str | None,
    language: str,
    remark: str | None,
) -> FieldView:
    kind = _control(field)
    options: tuple[tuple[str, str, bool], ...] = ()
    if field.type is FieldType.BOOLEAN:
        options = tuple((key, label.text(language), value is (key == "yes")) for key, label in YES_NO)
    elif field.type is FieldType.CHOICE:
        options = tuple(
            (choice.value, choice.label.text(language), choice.value == value) for choice in field.choices
        )
    return FieldView(
        key=field.key,
        kind=kind,
        label=_label(field, language),
        hint=_hint(field, permit_type, language),
        error=error,
        value=_shown(field, value),
        options=options,
        groups=_kelurahan(value) if field.type is FieldType.REGION else (),
        parts=date_parts(value) if field.type is FieldType.DATE else ("", "", ""),
        input_mode=INPUT_MODES.get(field.type),
        autocomplete=AUTOCOMPLETE.get(field.key),
        width=_width(field),
        remark=remark,
    )


def _control(field: Field) -> str:
    match field.type:
        case FieldType.BOOLEAN:
            return "radios"
        case FieldType.CHOICE:
            return "radios" if len(field.choices) <= 6 else "select"
        case FieldType.REGION:
            return "select"
        case FieldType.DATE:
            return "date"
        case FieldType.CONSENT:
            return "tick"
        case FieldType.LONG_TEXT | FieldType.LIST:
            return "lines"
        case _:
            return "text"


def _label(field: Field, language: str) -> str:
    label = field.label.text(language)
    if field.unit:
        label = f"{label} ({field.unit})"
    is_optional = not field.required and field.required_if is None
    return f"{label} {OPTIONAL.text(language)}" if is_optional else label


def _hint(field: Field, permit_type: PermitType, language: str) -> str | None:
    """Return the field's own hint, or else what it depends on and how it is written."""
    if field.hint is not None:
        return field.hint.text(language)
    hints = []
    conditions = []
    for key, allowed in (field.required_if or {}).items():
        other = permit_type.fields.get(key)
        if other is not None and key not in CIRCUMSTANCES:
            shown = " / ".join(display_value(other, value, language) for value in allowed)
            conditions.append(f"{other.label.text(language)}: {shown}")
    if conditions:
        hints.append(ONLY_IF.text(language).format("; ".join(conditions)))
    if field.type is FieldType.LIST:
        hints.append(ONE_A_LINE.text(language))
    elif field.type is FieldType.DATE:
        hints.append(DATE_HINT.text(language))
    return " ".join(hints) or None


def _shown(field: Field, value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, list):
        return "\n".join(str(item) for item in value)
    if field.type in {FieldType.INTEGER, FieldType.NUMBER}:
        return shown_number(value)
    return str(value)


def _width(field: Field) -> str:
    match field.type:
        case FieldType.INTEGER | FieldType.NUMBER:
            return "govuk-input--width-5"
        case FieldType.NIK | FieldType.NPWP | FieldType.NIB | FieldType.PHONE:
            return "govuk-input--width-20"
        case _:
            return ""


def _kelurahan(value: Any) -> tuple[tuple[str, tuple[tuple[str, str, bool], ...]], ...]:
    return tuple(
        (parent.name, tuple((region.code, region.name, region.code == value) for region in children))
        for parent, children in kelurahan_by_kecamatan()
    )


# Documents --------------------------------------------------------------------------------------


def document_view(
    application: Application,
    document: DocumentRequirement,
    upload: Upload | None,
    language: str,
    *,
    is_required: bool,
    error: str | None = None,
    remark: str | None = None,
) -> DocumentView:
    """Return a document as the upload component asks for it."""
    label = document.label.text(language)
    media_types = [ACCEPTED_MEDIA_TYPES[kind] for kind in document.accept]
    kinds = ", ".join(KIND_NAMES[media_type] for media_type in media_types)
    hint = f"{document.hint.text(language)} {kinds}." if document.hint else f"{kinds}."
    return DocumentView(
        document.key,
        label if is_required else f"{label} {OPTIONAL.text(language)}",
        hint,
        ",".join(media_types),
        is_required,
        (file_view(application, upload, removable=True),) if upload else (),
        error,
        remark,
    )


def file_view(application: Application, upload: Upload, *, removable: bool) -> FileView:
    """Return a given file with the addresses to look at it and to take it out."""
    href = f"/applications/{application.id}/files/{upload.id}"
    return FileView(
        upload.filename,
        size_text(upload.size),
        href,
        href if upload.media_type.startswith("image/") else None,
        f"{href}/remove" if removable else None,
    )


def size_text(size: int) -> str:
    """Write a file's size: `843 KB`, `2,4 MB`."""
    kilobytes = max(1, round(size / 1024))
    return f"{kilobytes} KB" if kilobytes < 1000 else f"{size / 1024 / 1024:.1f} MB".replace(".", ",")


def saved_text(moment: datetime, language: str) -> str:
    """Write when something was saved, in the city: `10.42` or `10:42`."""
    return f"{moment.astimezone(CITY_TIMEZONE):%H{'.' if language == 'id' else ':'}%M}"


# Answers, read back -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """A fact as label and value; `href` leads to where it is changed."""

    label: str
    value: str
    href: str | None = None


def section_rows(section: Section, application: Application, language: str) -> list[Row]:
    """Return a page's answers to read back; a field that has no meaning beside them is left out."""
    return [
        field_row(field, application, language)
        for field in section.fields
        if application.values.get(field.key) is not None
        or field_applies(field, application.values, application.request, application.applicant_kind)
    ]


def field_row(field: Field, application: Application, language: str, href: str | None = None) -> Row:
    """Return one answer to read back."""
    value = display_value(field, application.values.get(field.key), language)
    return Row(field.label.text(language), value, href)


def section_states(
    permit_type: PermitType, application: Application, problems: Sequence[FieldProblem]
) -> list[tuple[Section, str]]:
    """Return each page of the form with `done`, `unfinished` or `faulty`."""
    states = []
    for section in sections_of(permit_type, application):
        keys = {field.key for field in section.fields}
        codes = {problem.code for problem in problems if problem.field in keys}
        state = "done" if not codes else "unfinished" if codes == {"required"} else "faulty"
        states.append((section, state))
    return states
