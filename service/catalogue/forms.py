"""A permit type's form: what is asked of whom, and whether the answers will do.

Values are one flat mapping from field keys to JSON values: dates as `YYYY-MM-DD`, lists of strings,
numbers, booleans, and strings for everything else.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from service.catalogue.field_checks import PATTERNS, check_value, say, shape_message
from service.catalogue.format import (
    APPLICANT_KIND_LABELS,
    Bilingual,
    Conditions,
    DocumentRequirement,
    Field,
    FieldType,
    PermitType,
    Section,
)
from service.catalogue.rules import rule_holds
from service.errors import FieldProblem

MAX_NUMBER = 2**53
MAX_LENGTH = {FieldType.LONG_TEXT: 2000, FieldType.EMAIL: 254}
"""In characters, where the field itself sets no limit; 200 for all others."""
CIRCUMSTANCES = frozenset({"request", "applicant_kind"})
"""What a condition may name that is no field: fixed from the first page of an application."""


# What is asked -------------------------------------------------------------------------------


def visible_sections(permit_type: PermitType, request: str, applicant_kind: str) -> list[Section]:
    """Return the pages of the form, each with only the fields asked in these circumstances."""
    known = {"request": request, "applicant_kind": applicant_kind}
    sections = []
    for section in permit_type.sections:
        fields = tuple(field for field in section.fields if _may_hold(field.required_if, known))
        if applicant_kind in section.applicant_kinds and fields:
            sections.append(section.model_copy(update={"fields": fields}))
    return sections


def asked_fields(permit_type: PermitType, request: str, applicant_kind: str) -> dict[str, Field]:
    """Return every field asked in these circumstances by its key, in the order of the form."""
    sections = visible_sections(permit_type, request, applicant_kind)
    return {field.key: field for section in sections for field in section.fields}


def keep_asked(
    permit_type: PermitType, values: Mapping[str, Any], *, request: str, applicant_kind: str
) -> dict[str, Any]:
    """Return the values without those no longer asked, as after a change of request or applicant."""
    asked = asked_fields(permit_type, request, applicant_kind)
    return {key: value for key, value in values.items() if key in asked}


def asked_documents(
    permit_type: PermitType, values: Mapping[str, Any], request: str, applicant_kind: str
) -> list[DocumentRequirement]:
    """Return the documents the applicant may upload, required or not, in the order of the type."""
    facts = {**values, "request": request, "applicant_kind": applicant_kind}
    renewed = permit_type.renewal.requires if request == "renewal" else ()
    return [
        document
        for document in permit_type.documents
        if document.key in renewed or conditions_hold(document.required_if, facts)
    ]


def required_documents(
    permit_type: PermitType, values: Mapping[str, Any], request: str, applicant_kind: str
) -> list[DocumentRequirement]:
    """Return the documents without which the application cannot be submitted."""
    renewed = permit_type.renewal.requires if request == "renewal" else ()
    return [
        document
        for document in asked_documents(permit_type, values, request, applicant_kind)
        if document.required or document.required_if is not None or document.key in renewed
    ]


def field_applies(field: Field, values: Mapping[str, Any], request: str, applicant_kind: str) -> bool:
    """Tell whether the field has a meaning beside these values (an old STR's end, not a lifelong one's)."""
    return conditions_hold(
        field.required_if, {**values, "request": request, "applicant_kind": applicant_kind}
    )


def conditions_hold(conditions: Conditions | None, facts: Mapping[str, Any]) -> bool:
    """Tell whether every condition holds; no conditions always do."""
    return all(_is_one_of(facts.get(key), allowed) for key, allowed in (conditions or {}).items())


def _may_hold(conditions: Conditions | None, known: Mapping[str, str]) -> bool:
    return all(_is_one_of(known[key], values) for key, values in (conditions or {}).items() if key in known)


def _is_one_of(value: object, allowed: tuple[bool | int | str, ...]) -> bool:
    # Python calls True and 1 equal; a form does not.
    return any(isinstance(value, bool) == isinstance(other, bool) and value == other for other in allowed)


# The schema ----------------------------------------------------------------------------------


def json_schema(
    permit_type: PermitType, request: str, applicant_kind: str, language: str = "id"
) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the values asked in these circumstances."""
    fields = asked_fields(permit_type, request, applicant_kind)
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": permit_type.title.text(language),
        "type": "object",
        "properties": {key: _field_schema(field, language) for key, field in fields.items()},
        "required": [key for key, field in fields.items() if field.required and _own_conditions(field) == {}],
        "additionalProperties": False,
    }
    conditional = [_conditional_requirement(field) for field in fields.values() if _own_conditions(field)]
    return {**schema, "allOf": conditional} if conditional else schema


def _own_conditions(field: Field) -> Conditions:
    """Return the conditions that depend on other fields; the circumstances are settled already."""
    return {key: values for key, values in (field.required_if or {}).items() if key not in CIRCUMSTANCES}


def _conditional_requirement(field: Field) -> dict[str, Any]:
    conditions = _own_conditions(field)
    return {
        "if": {
            "properties": {key: {"enum": list(values)} for key, values in conditions.items()},
            "required": list(conditions),
        },
        "then": {"required": [field.key]},
    }


def _field_schema(field: Field, language: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"title": field.label.text(language)}
    if field.hint:
        schema["description"] = field.hint.text(language)
    match field.type:
        case FieldType.INTEGER | FieldType.NUMBER:
            schema |= {"type": field.type.value, **_number_bounds(field)}
        case FieldType.BOOLEAN:
            schema["type"] = "boolean"
        case FieldType.CONSENT:
            schema |= {"type": "boolean", "const": True}
        case FieldType.CHOICE:
            schema["oneOf"] = [
                {"const": choice.value, "title": choice.label.text(language)} for choice in field.choices
            ]
        case FieldType.LIST:
            schema |= {"type": "array", "items": _string_schema(field), "minItems": field.min_items or 1}
            schema["maxItems"] = field.max_items or 100
        case _:
            schema |= _string_schema(field)
    return schema


def _number_bounds(field: Field) -> dict[str, float]:
    bounds = {"minimum": field.minimum, "maximum": field.maximum, "exclusiveMinimum": field.more_than}
    given = {name: bound for name, bound in bounds.items() if bound is not None}
    return {"minimum": -MAX_NUMBER, "maximum": MAX_NUMBER, **given}


def _string_schema(field: Field) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string", "minLength": field.min_length or 1}
    schema["maxLength"] = field.max_length or MAX_LENGTH.get(field.type, 200)
    pattern = field.pattern or PATTERNS.get(field.type)
    if pattern:
        schema["pattern"] = pattern
    if field.type in {FieldType.DATE, FieldType.EMAIL}:
        schema["format"] = field.type.value
    return schema


# The check -----------------------------------------------------------------------------------


def validate_values(
    permit_type: PermitType,
    values: Mapping[str, Any],
    *,
    request: str,
    applicant_kind: str,
    today: date,
    only_section: str | None = None,
) -> list[FieldProblem]:
    """Check the answers, all of them or one page's, and return what to mend in the form's order.

    Each problem names its field and points into the values (`/values/plate`, RFC 6901).
    """
    circumstances = check_circumstances(permit_type, request, applicant_kind)
    if circumstances:
        return circumstances
    sections = visible_sections(permit_type, request, applicant_kind)
    fields = {field.key: field for section in sections for field in section.fields}
    given = {key: value for key, value in values.items() if not _is_blank(value)}

    problems: dict[str, FieldProblem] = {}
    for problem in _schema_problems(permit_type, fields, given, request, applicant_kind):
        problems.setdefault(problem.pointer, problem)
    faulty = {problem.field for problem in problems.values()}
    for problem in _value_problems(fields, given, today, faulty):
        problems.setdefault(problem.pointer, problem)

    order = list(fields)
    wanted = {field.key for section in sections if section.key == only_section for field in section.fields}
    return sorted(
        (p for p in problems.values() if only_section is None or p.field in wanted),
        key=lambda p: order.index(p.field) if p.field in fields else len(order),
    )


def _is_blank(value: object) -> bool:
    return value is None or value == [] or (isinstance(value, str) and not value.strip())


def check_circumstances(permit_type: PermitType, request: str, applicant_kind: str) -> list[FieldProblem]:
    """Tell whether the type offers this request to this kind of applicant."""
    problems = []
    if request not in permit_type.requests:
        offered = permit_type.request_labels.values()
        listed = [", ".join(label.text(language) for label in offered) for language in ("id", "en")]
        problems.append(
            FieldProblem(
                "request",
                "not_offered",
                f"Permohonan ini tidak dilayani untuk jenis izin ini. Pilih salah satu: {listed[0]}.",
                f"This permit type does not offer this request. Choose one of: {listed[1]}.",
                "/request",
            )
        )
    if applicant_kind not in permit_type.applicant_kinds:
        kinds = [APPLICANT_KIND_LABELS[kind] for kind in permit_type.applicant_kinds]
        listed = [", ".join(label.text(language) for label in kinds) for language in ("id", "en")]
        problems.append(
            FieldProblem(
                "applicant_kind",
                "not_offered",
                f"Jenis izin ini hanya dapat diajukan oleh: {listed[0]}.",
                f"This permit type is open only to: {listed[1]}.",
                "/applicant_kind",
            )
        )
    return problems


def _schema_problems(
    permit_type: PermitType,
    fields: Mapping[str, Field],
    given: Mapping[str, Any],
    request: str,
    applicant_kind: str,
) -> Iterator[FieldProblem]:
    validator = Draft202012Validator(json_schema(permit_type, request, applicant_kind))
    for error in validator.iter_errors(dict(given)):
        if error.validator == "required":
            for key in error.validator_value:
                if key not in given:
                    yield _problem(key, "required", _required_message(fields[key]))
        elif error.validator == "additionalProperties":
            for key in sorted(set(given) - set(fields)):
                yield _problem(
                    key,
                    "not_asked",
                    say("Isian ini tidak diminta; hapus.", "This is not asked for; remove it."),
                )
        else:
            path = list(error.absolute_path)
            field = fields[str(path[0])]
            yield _problem(field.key, _code(error), _schema_message(field, error), path[1:])


def _value_problems(
    fields: Mapping[str, Field], given: Mapping[str, Any], today: date, faulty: set[str]
) -> Iterator[FieldProblem]:
    for key, field in fields.items():
        if key not in given or key in faulty:
            continue
        refusal = check_value(field, given[key], given)
        if refusal is None and field.rule and not rule_holds(field.rule.expression, given, today):
            refusal = ("rule", field.rule.message)
        if refusal is not None:
            yield _problem(key, refusal[0], refusal[1])


def _problem(key: str, code: str, message: Bilingual, rest: list[str | int] | None = None) -> FieldProblem:
    parts = [str(part).replace("~", "~0").replace("/", "~1") for part in ["values", key, *(rest or [])]]
    return FieldProblem(key, code, message.id, message.en, "/" + "/".join(parts))


def _required_message(field: Field) -> Bilingual:
    label_id, label_en = field.label.id, field.label.en
    if field.type is FieldType.CONSENT:
        return say(
            "Centang kotak pernyataan untuk melanjutkan.", "Tick the box of the declaration to continue."
        )
    if field.type in {FieldType.CHOICE, FieldType.BOOLEAN, FieldType.REGION}:
        return say(f"{label_id} wajib dipilih.", f"Choose an answer for {label_en}.")
    return say(f"{label_id} wajib diisi.", f"{label_en} is required.")


SCHEMA_CODES = {
    "type": "wrong_type",
    "minLength": "too_short",
    "maxLength": "too_long",
    "pattern": "wrong_form",
    "minimum": "too_small",
    "exclusiveMinimum": "too_small",
    "maximum": "too_large",
    "minItems": "too_few",
    "maxItems": "too_many",
    "oneOf": "not_a_choice",
    "const": "required",
}


def _code(error: ValidationError) -> str:
    return SCHEMA_CODES[str(error.validator)]


def _schema_message(field: Field, error: ValidationError) -> Bilingual:
    label_id, label_en = field.label.id, field.label.en
    limit = error.validator_value
    if isinstance(limit, float | int):
        limit = f"{limit:.15g}"
    match error.validator:
        case "type":
            return _type_message(field)
        case "pattern":
            return shape_message(field)
        case "const":
            return _required_message(field)
        case "oneOf":
            return say(f"{label_id}: pilih salah satu dari daftar.", f"{label_en}: choose one from the list.")
        case "minLength":
            return say(
                f"{label_id} paling sedikit {limit} karakter.", f"{label_en} needs {limit} characters."
            )
        case "maxLength":
            length = len(str(error.instance))
            return say(
                f"{label_id} paling banyak {limit} karakter; sekarang {length}.",
                f"{label_en} may have {limit} characters; it has {length}.",
            )
        case "minimum":
            return say(f"{label_id} paling kecil {limit}.", f"{label_en} must be at least {limit}.")
        case "exclusiveMinimum":
            return say(f"{label_id} harus lebih dari {limit}.", f"{label_en} must be more than {limit}.")
        case "maximum":
            return say(f"{label_id} paling besar {limit}.", f"{label_en} may be at most {limit}.")
        case "minItems":
            return say(f"{label_id} paling sedikit {limit} baris.", f"{label_en} needs {limit} lines.")
        case _:
            return say(f"{label_id} paling banyak {limit} baris.", f"{label_en} may have {limit} lines.")


def _type_message(field: Field) -> Bilingual:
    label_id, label_en = field.label.id, field.label.en
    match field.type:
        case FieldType.INTEGER:
            return say(
                f"{label_id} harus bilangan bulat, misalnya 2.",
                f"{label_en} must be a whole number, for example 2.",
            )
        case FieldType.NUMBER:
            return say(
                f"{label_id} harus angka, misalnya 4,5.", f"{label_en} must be a number, for example 4.5."
            )
        case FieldType.BOOLEAN | FieldType.CONSENT:
            return say(f"Jawab Ya atau Tidak untuk {label_id}.", f"Answer Yes or No for {label_en}.")
        case FieldType.LIST:
            return say(
                f"{label_id} harus berupa daftar, satu butir satu baris.",
                f"{label_en} must be a list, one item a line.",
            )
        case _:
            return say(f"{label_id} harus berupa teks.", f"{label_en} must be text.")
