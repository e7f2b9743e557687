"""From a type's wording and an application's values to what the permit document says.

The notation: `{{name}}` stands for a field or a fact, with a suffix that says how it is written:
`_long` (date: 27 September 2026), `_words` (terbilang), `_name` (of a region), `_joined` (list with
semicolons), `_list` (list, alone on its line: numbered), `_label` (of a choice). What stands in
`[[…]]` goes when a placeholder in it is empty; otherwise the whole line goes. `Label : value` lines
become rows, `- ` lines a numbered list, all others paragraphs, parted by empty lines.

A value is plain text: it is put in once and never read again as notation.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from num2words import num2words

from service.catalogue.display import display_value, long_date, region_name
from service.catalogue.format import APPLICANT_KIND_LABELS, FieldType, PermitType, Wording
from service.catalogue.forms import CIRCUMSTANCES, asked_fields, conditions_hold
from service.catalogue.rules import add_span, read_date
from service.errors import Conflict
from signing.document import Block, Facts, NumberedList, Paragraph

PLACEHOLDER = re.compile(r"\{\{\s*([a-z][a-z0-9_]*)\s*\}\}")
OPTIONAL_PART = re.compile(r"\[\[(.*?)\]\]")
SUFFIXES = {
    "long": frozenset({FieldType.DATE}),
    "words": frozenset({FieldType.INTEGER, FieldType.NUMBER}),
    "name": frozenset({FieldType.REGION}),
    "joined": frozenset({FieldType.LIST}),
    "list": frozenset({FieldType.LIST}),
    "label": frozenset({FieldType.CHOICE}),
}
"""Each suffix with the types it can follow."""
FACTS = {
    "number": FieldType.TEXT,
    "permit_title": FieldType.TEXT,
    "receipt_number": FieldType.TEXT,
    "holder": FieldType.TEXT,
    "submitted_date": FieldType.DATE,
    "issued_date": FieldType.DATE,
    "valid_from": FieldType.DATE,
    "valid_until": FieldType.DATE,
    "reasons": FieldType.LIST,
    "request": FieldType.CHOICE,
    "applicant_kind": FieldType.CHOICE,
}
"""What a wording may name beside the type's fields; the issuing act gives them."""
ROMAN_MONTHS = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")


class ValidityOver(Conflict):
    code = "validity_over"
    message_id = (
        "Masa berlaku izin ini sudah lewat pada tanggal penerbitan. "
        "Kembalikan permohonan agar pemohon memperbaiki tanggalnya."
    )
    message_en = (
        "This permit's validity would have ended before the day of issue. "
        "Return the application so that the applicant corrects the dates."
    )


@dataclass(frozen=True, slots=True)
class FilledWording:
    title: str
    blocks: tuple[Block, ...]
    validity: str | None
    empty_placeholders: tuple[str, ...]
    """Placeholders that should have had a value; their lines are missing."""


def fill_wording(
    permit_type: PermitType,
    values: Mapping[str, Any],
    facts: Mapping[str, object],
    wording: Wording | None = None,
) -> FilledWording:
    """Fill the type's wording, or another one (a rejection letter's), with values and facts.

    `facts` has the keys of FACTS that are known: dates as dates, `reasons` as strings. `request` and
    `applicant_kind` decide which fields may be empty without being missed.
    """
    wording = wording or permit_type.wording
    missing: dict[str, None] = {}

    def fill(text: str) -> str | None:
        """Fill one line; None when it goes because a placeholder is empty."""
        parts = OPTIONAL_PART.split(text)
        filled = [_fill_part(part, permit_type, values, facts) for part in parts]
        empty = [name for _, names in filled[::2] for name in names]
        missing.update(
            dict.fromkeys(name for name in empty if not _may_be_empty(name, permit_type, values, facts))
        )
        return None if empty else "".join(text for text, names in filled if not names)

    def fill_list(name: str) -> list[str]:
        """Return the items of a `_list` placeholder."""
        items = _raw(name.removesuffix("_list"), values, facts)
        if not items and not _may_be_empty(name, permit_type, values, facts):
            missing[name] = None
        return [_one_line(item) for item in items] if isinstance(items, list | tuple) else []

    title = fill(wording.title) or PLACEHOLDER.sub("", wording.title)
    blocks = tuple(_blocks(wording.body, fill, fill_list))
    validity = fill(wording.validity) if wording.validity else None
    return FilledWording(_one_line(title).upper(), blocks, validity, tuple(missing))


def _fill_part(
    part: str, permit_type: PermitType, values: Mapping[str, Any], facts: Mapping[str, object]
) -> tuple[str, list[str]]:
    """Return the part with every placeholder replaced once, and the names of the empty ones."""
    empty = []

    def replace(match: re.Match[str]) -> str:
        text = _one_line(_written(match[1], permit_type, values, facts))
        if not text:
            empty.append(match[1])
        return text

    return PLACEHOLDER.sub(replace, part), empty


def _blocks(
    body: str, fill: Callable[[str], str | None], fill_list: Callable[[str], list[str]]
) -> list[Block]:
    blocks: list[Block] = []
    for chunk in re.split(r"\n\s*\n", body.strip()):
        rows: list[tuple[str, str]] = []
        items: list[str] = []
        sentences: list[str] = []
        for line in (line.strip() for line in chunk.splitlines()):
            alone = PLACEHOLDER.fullmatch(line)
            if alone and alone[1].endswith("_list"):
                items += fill_list(alone[1])
            elif line.startswith("- "):
                items += [text for text in [fill(line[2:])] if text]
            elif " : " in line:
                label, value = (fill(text.strip()) for text in line.split(" : ", 1))
                rows += [(label, value)] if label and value else []
            else:
                sentences.append(line)
        paragraph = fill(" ".join(sentences)) if sentences else None
        blocks += [Paragraph(paragraph)] if paragraph else []
        blocks += [Facts(tuple(rows))] if rows else []
        blocks += [NumberedList(tuple(items))] if items else []
    return blocks


# Placeholders --------------------------------------------------------------------------------


def split_placeholder(name: str, known: Mapping[str, FieldType]) -> tuple[str, str]:
    """Return (field or fact, suffix); the suffix is "" for a bare name. Raises KeyError when unknown."""
    if name in known:
        return name, ""
    base, _, suffix = name.rpartition("_")
    if base in known and known[base] in SUFFIXES.get(suffix, ()):
        return base, suffix
    raise KeyError(name)


def known_placeholders(permit_type: PermitType) -> dict[str, FieldType]:
    return {**FACTS, **{key: field.type for key, field in permit_type.fields.items()}}


def _raw(base: str, values: Mapping[str, Any], facts: Mapping[str, object]) -> object:
    return facts.get(base) if base in FACTS else values.get(base)


def _written(
    name: str, permit_type: PermitType, values: Mapping[str, Any], facts: Mapping[str, object]
) -> str:
    base, suffix = split_placeholder(name, known_placeholders(permit_type))
    value = _raw(base, values, facts)
    if value in (None, "", [], ()):
        return ""
    match suffix:
        case "words":
            number = int(value) if isinstance(value, float) and value.is_integer() else value
            return str(num2words(number, lang="id"))
        case "name":
            return region_name(str(value))
        case "long":
            day = value if isinstance(value, date) else read_date(str(value))
            return long_date(day, "id") if day else ""
        case "joined" | "list" if isinstance(value, list | tuple):
            return "; ".join(str(item) for item in value)
        case "label" if base == "request":
            return permit_type.request_labels[str(value)].id
        case "label" if base == "applicant_kind":
            return {kind.value: label.id for kind, label in APPLICANT_KIND_LABELS.items()}[str(value)]
    field = permit_type.fields.get(base)
    if field is None:
        return value.isoformat() if isinstance(value, date) else str(value)
    # A wording writes its own units, and a bare choice or date means the stored value.
    if field.type in {FieldType.DATE} or (field.type is FieldType.CHOICE and not suffix):
        return str(value)
    return display_value(field.model_copy(update={"unit": None}), value, "id")


def _may_be_empty(
    name: str, permit_type: PermitType, values: Mapping[str, Any], facts: Mapping[str, object]
) -> bool:
    base, _ = split_placeholder(name, known_placeholders(permit_type))
    if base in FACTS:
        return False
    request, kind = str(facts.get("request", "new")), str(facts.get("applicant_kind", "person"))
    field = asked_fields(permit_type, request, kind).get(base)
    if field is None:
        return True
    known = {**values, "request": request, "applicant_kind": kind}
    return not field.required if field.required_if is None else not conditions_hold(field.required_if, known)


def _one_line(text: str) -> str:
    return " ".join(text.split())


# Facts of the permit -------------------------------------------------------------------------


def holder_name(permit_type: PermitType, values: Mapping[str, Any]) -> str:
    """Return the name of who holds the permit: the first of the type's `holder` fields that is filled."""
    return next((str(values[key]) for key in permit_type.holder if values.get(key)), "")


def place_of_use(permit_type: PermitType, values: Mapping[str, Any]) -> str:
    """Return where the permit is used, as the type's `place` fields say it; "" where a type has none."""
    filled = [key for key in permit_type.place if values.get(key) not in (None, "", [])]
    return ", ".join(display_value(permit_type.fields[key], values[key], "id") for key in filled)


def validity_period(
    permit_type: PermitType,
    values: Mapping[str, Any],
    issued_on: date,
    *,
    counted_from: date | None = None,
    no_later_than: date | None = None,
) -> tuple[date, date | None]:
    """Return the first and the last day of validity; None for the last means until revoked.

    Five years from 29 February end on 28 February. A `cap_field` ends it earlier where that field
    applies (the end of an old STR, not of a lifelong one). A length counts from the day of issue, or
    `counted_from` a later one. Raises ValidityOver.
    """
    rule = permit_type.validity
    start: date | None = issued_on
    end: date | None = None
    if rule.kind == "field_dates":
        start, end = (read_date(str(values.get(key or ""))) for key in (rule.from_field, rule.until_field))
    elif rule.kind != "open_ended" and rule.length:
        end = add_span(counted_from or issued_on, rule.length, rule.kind.removesuffix("s"))
    for cap in (_cap(permit_type, values), no_later_than):
        if cap is not None:
            end = cap if end is None else min(end, cap)
    if start is None or (rule.kind != "open_ended" and end is None) or (end is not None and end < issued_on):
        raise ValidityOver
    return start, end


def _cap(permit_type: PermitType, values: Mapping[str, Any]) -> date | None:
    key = permit_type.validity.cap_field
    if key is None:
        return None
    conditions = permit_type.fields[key].required_if or {}
    settled = {name: allowed for name, allowed in conditions.items() if name not in CIRCUMSTANCES}
    return read_date(str(values.get(key))) if conditions_hold(settled, values) else None


def format_number(pattern: str, sequence: int, code: str, day: date) -> str:
    """Write a document number from a pattern such as `503/{seq:04d}/{permit_code}/{roman_month}/{year}`."""
    return pattern.format(
        seq=sequence,
        permit_code=code,
        roman_month=ROMAN_MONTHS[day.month - 1],
        month=day.month,
        year=day.year,
    )


def machine_readable(permit_type: PermitType, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the public fields as JSON values, for the data attached to the document."""
    return {key: values[key] for key in permit_type.public_fields if values.get(key) not in (None, "", [])}


def public_facts(permit_type: PermitType, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what anyone may read: `[{"key", "label": {"id", "en"}, "value": {"id", "en"}}]`."""
    fields, public = permit_type.fields, machine_readable(permit_type, values)
    return [
        {
            "key": key,
            "label": {"id": fields[key].label.id, "en": fields[key].label.en},
            "value": {lang: display_value(fields[key], value, lang) for lang in ("id", "en")},
        }
        for key, value in public.items()
    ]
