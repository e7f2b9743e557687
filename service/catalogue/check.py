"""What must agree inside one permit type, beyond the format. Findings only; `load` says where they stand."""

import re
import string
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date

from service.catalogue.check_workflow import Finding, Path, check_workflow, unknown
from service.catalogue.format import (
    City,
    Conditions,
    Field,
    FieldType,
    PermitType,
    Privacy,
    Wording,
)
from service.catalogue.rules import RuleSyntaxError, fields_of_rule
from service.catalogue.wording import (
    FACTS,
    OPTIONAL_PART,
    PLACEHOLDER,
    format_number,
    known_placeholders,
    split_placeholder,
)

NEVER_PUBLIC = frozenset({FieldType.NIK, FieldType.NPWP, FieldType.PHONE, FieldType.EMAIL})
NUMBER_PARTS = {"seq", "permit_code", "roman_month", "month", "year"}
NEEDED_NUMBER_PARTS = {"seq", "permit_code", "year"}
MAX_NUMBER_LENGTH = 80


def check_permit_type(permit_type: PermitType, city: City) -> Iterator[Finding]:
    """Find everything in the type that cannot work."""
    for check in CHECKS:
        yield from check(permit_type)
    if permit_type.category not in {item.key for item in city.categories}:
        yield unknown(("category",), permit_type.category)
    roles = {item.key for item in city.roles}
    for index, step in enumerate(permit_type.steps):
        if step.role not in roles:
            yield unknown(("steps", index, "role"), step.role)


def check_city(city: City) -> Iterator[Finding]:
    """Find everything in the city's settings that cannot work."""
    yield from _duplicates(("roles",), [item.key for item in city.roles], ("key",))
    yield from _duplicates(("categories",), [item.key for item in city.categories], ("key",))
    letter = city.rejection_letter
    yield from _check_number_format(letter.number_format, letter.code, ("rejection_letter", "number_format"))
    yield from _check_wording(letter.wording, FACTS, ("rejection_letter", "wording"))


def _duplicates(path: Path, keys: Iterable[str], inside: Path = ()) -> Iterator[Finding]:
    seen: Counter[str] = Counter()
    for index, key in enumerate(keys):
        seen[key] += 1
        if seen[key] == 2:
            yield (
                (*path, index, *inside),
                f"'{key}' sudah dipakai di atas.",
                f"'{key}' is already used above.",
            )


def _check_keys(permit_type: PermitType) -> Iterator[Finding]:
    yield from _duplicates(("sections",), [section.key for section in permit_type.sections], ("key",))
    yield from _duplicates(("documents",), [document.key for document in permit_type.documents], ("key",))
    yield from _duplicates(("steps",), [step.key for step in permit_type.steps], ("key",))
    yield from _duplicates(
        ("revocation_reasons",), [item.key for item in permit_type.revocation_reasons], ("key",)
    )
    yield from _duplicates(("report_items",), [item.key for item in permit_type.report_items], ("key",))
    yield from _duplicates(("public_fields",), permit_type.public_fields)
    yield from _duplicates(("requests",), permit_type.requests)
    yield from _duplicates(("applicant_kinds",), permit_type.applicant_kinds)
    seen = set(FACTS)
    for path, field in _fields(permit_type):
        if field.key in seen:
            yield (
                (*path, "key"),
                f"'{field.key}' sudah dipakai isian atau fakta lain.",
                f"'{field.key}' is already the name of another field or fact.",
            )
        seen.add(field.key)


def _fields(permit_type: PermitType) -> Iterator[tuple[Path, Field]]:
    for i, section in enumerate(permit_type.sections):
        for j, field in enumerate(section.fields):
            yield ("sections", i, "fields", j), field


def _check_fields(permit_type: PermitType) -> Iterator[Finding]:
    for path, field in _fields(permit_type):
        yield from _check_field(field, path)
        yield from _check_conditions(field.required_if, permit_type, (*path, "required_if"))
        if field.rule:
            yield from _check_rule(field.rule.expression, permit_type, (*path, "rule", "expression"))
    for index, document in enumerate(permit_type.documents):
        yield from _check_conditions(document.required_if, permit_type, ("documents", index, "required_if"))


def _check_field(field: Field, path: Path) -> Iterator[Finding]:
    if (field.type is FieldType.CHOICE) != bool(field.choices):
        yield (
            (*path, "choices"),
            "Pilihan (choices) wajib ada untuk jenis 'choice', dan hanya untuk itu.",
            "A field of type 'choice', and no other, needs choices.",
        )
    yield from _duplicates((*path, "choices"), [choice.value for choice in field.choices], ("value",))
    bounds = (
        ("min_length", field.min_length, field.max_length),
        ("min_items", field.min_items, field.max_items),
        ("minimum", field.minimum, field.maximum),
    )
    for name, low, high in bounds:
        if low is not None and high is not None and low > high:
            yield (
                (*path, name),
                "Batas bawah melebihi batas atas.",
                "The lower bound is above the upper bound.",
            )
    if field.pattern is None:
        return
    try:
        re.compile(field.pattern)
    except re.error as error:
        yield (
            (*path, "pattern"),
            f"Pola tidak dapat dibaca: {error}.",
            f"The pattern is not a regular expression: {error}.",
        )
    if field.pattern_message is None:
        yield (
            path,
            "Pola (pattern) memerlukan pattern_message bagi pemohon.",
            "A pattern needs a pattern_message for the applicant.",
        )


def _check_conditions(
    conditions: Conditions | None, permit_type: PermitType, path: Path
) -> Iterator[Finding]:
    for name, values in (conditions or {}).items():
        possible = _possible_values(name, permit_type)
        if possible is None:
            yield (
                (*path, name),
                f"Syarat hanya dapat memakai isian pilihan, ya/tidak, atau bilangan bulat; '{name}' bukan.",
                f"A condition needs a choice, yes/no or whole number; '{name}' is none.",
            )
            continue
        for value in values:
            if not possible(value):
                yield unknown((*path, name), value)


def _possible_values(name: str, permit_type: PermitType) -> Callable[[object], bool] | None:
    """Return the test of a condition's value, or None where the name cannot be in a condition."""
    if name == "request":
        return lambda value: value in permit_type.requests
    if name == "applicant_kind":
        return lambda value: value in permit_type.applicant_kinds
    field = permit_type.fields.get(name)
    match field.type if field else None:
        case FieldType.CHOICE if field:
            values = {choice.value for choice in field.choices}
            return lambda value: value in values
        case FieldType.BOOLEAN | FieldType.CONSENT:
            return lambda value: isinstance(value, bool)
        case FieldType.INTEGER:
            return lambda value: isinstance(value, int) and not isinstance(value, bool)
        case _:
            return None


def _check_rule(expression: str, permit_type: PermitType, path: Path) -> Iterator[Finding]:
    try:
        names = fields_of_rule(expression)
    except RuleSyntaxError as error:
        yield path, f"Aturan tidak dapat dibaca: '{error}'.", f"The rule cannot be read: '{error}'."
        return
    for name in sorted(names - set(permit_type.fields)):
        yield unknown(path, name)


def _check_references(permit_type: PermitType) -> Iterator[Finding]:
    fields, documents = permit_type.fields, {document.key for document in permit_type.documents}
    for index, key in enumerate(permit_type.public_fields):
        if key not in fields:
            yield unknown(("public_fields", index), key)
        elif fields[key].type in NEVER_PUBLIC or fields[key].privacy is Privacy.SPECIFIC:
            yield (
                ("public_fields", index),
                f"'{key}' adalah data pribadi yang tidak boleh ditampilkan kepada umum.",
                f"'{key}' is personal data that must not be public.",
            )
    for index, key in enumerate(permit_type.holder):
        if key not in fields or fields[key].type is not FieldType.TEXT:
            yield unknown(("holder", index), key)
    for index, key in enumerate(permit_type.place):
        if key not in permit_type.public_fields:
            yield unknown(("place", index), key)
    for index, key in enumerate(permit_type.renewal.requires):
        if key not in documents:
            yield unknown(("renewal", "requires", index), key)
    if permit_type.renewal.allowed != ("renewal" in permit_type.requests):
        yield (
            ("renewal", "allowed"),
            "Perpanjangan harus ada di requests bila diizinkan, dan tidak ada bila tidak.",
            "Renewal must be among the requests when it is allowed, and only then.",
        )
    for section_index, section in enumerate(permit_type.sections):
        if not set(section.applicant_kinds) & set(permit_type.applicant_kinds):
            yield (
                ("sections", section_index),
                "Bagian ini tidak pernah ditanyakan kepada siapa pun.",
                "This section is asked of nobody.",
            )


def _check_validity(permit_type: PermitType) -> Iterator[Finding]:
    validity = permit_type.validity
    needs_length = validity.kind in {"years", "months"}
    if needs_length != (validity.length is not None):
        yield (
            ("validity", "length"),
            "Lama (length) wajib untuk years dan months, dan hanya untuk itu.",
            "years and months, and only they, need a length.",
        )
    dates = {"from_field": validity.from_field, "until_field": validity.until_field}
    for name, key in {**dates, "cap_field": validity.cap_field}.items():
        if key is not None and (
            key not in permit_type.fields or permit_type.fields[key].type is not FieldType.DATE
        ):
            yield (
                ("validity", name),
                f"'{key}' bukan isian tanggal.",
                f"'{key}' is not a date field.",
            )
    if any((validity.kind == "field_dates") != (key is not None) for key in dates.values()):
        yield (
            ("validity", "kind"),
            "from_field dan until_field wajib untuk field_dates, dan hanya untuk itu.",
            "field_dates, and only it, needs from_field and until_field.",
        )
    if (permit_type.fee.kind == "fixed") != (permit_type.fee.amount is not None):
        yield (
            ("fee", "amount"),
            "Besarnya biaya (amount) wajib untuk fixed, dan hanya untuk itu.",
            "A fixed fee, and only it, needs an amount.",
        )


def _check_texts(permit_type: PermitType) -> Iterator[Finding]:
    yield from _check_number_format(permit_type.number_format, permit_type.code, ("number_format",))
    yield from _check_wording(permit_type.wording, known_placeholders(permit_type), ("wording",))


def _check_number_format(pattern: str, code: str, path: Path) -> Iterator[Finding]:
    try:
        parts = [part for part in string.Formatter().parse(pattern) if part[1] is not None]
        names = [name for _, name, _, _ in parts]
        simple = all(name in NUMBER_PARTS and not conversion for _, name, _, conversion in parts)
        fixed = all(re.fullmatch(r"(0[1-9]d)?", spec or "") for _, _, spec, _ in parts)
        if not simple or not fixed:
            raise ValueError
        number = format_number(pattern, 9_999_999, code, date(2026, 8, 1))
    except (ValueError, IndexError, KeyError):
        yield (
            path,
            f"Format nomor hanya memakai {', '.join(sorted(NUMBER_PARTS))} dalam kurung kurawal.",
            f"A number format has only {', '.join(sorted(NUMBER_PARTS))} in braces.",
        )
        return
    if not set(names) >= NEEDED_NUMBER_PARTS:
        yield (
            path,
            "Format nomor wajib memuat seq, permit_code, dan year agar tidak ada nomor kembar.",
            "A number format needs seq, permit_code and year, or two permits would share a number.",
        )
    if len(number) > MAX_NUMBER_LENGTH:
        yield path, "Nomor terlalu panjang (paling banyak 80).", "The number is too long (at most 80)."


def _check_wording(wording: Wording, known: Mapping[str, FieldType], path: Path) -> Iterator[Finding]:
    texts = {"title": wording.title, "body": wording.body, "validity": wording.validity or ""}
    for part, text in texts.items():
        for name in PLACEHOLDER.findall(text):
            try:
                split_placeholder(name, known)
            except KeyError:
                yield unknown((*path, part), "{{" + name + "}}")
        rest = OPTIONAL_PART.sub(r"\1", PLACEHOLDER.sub("", text))
        if any(mark in rest for mark in ("{{", "}}", "[[", "]]")):
            yield (
                (*path, part),
                "Ada {{…}} atau [[…]] yang tidak lengkap.",
                "There is an incomplete {{…}} or [[…]].",
            )
        for line in text.splitlines():
            if re.search(r"\{\{\s*\w+_list\s*\}\}", line) and not PLACEHOLDER.fullmatch(line.strip()):
                yield (
                    (*path, part),
                    "Tempat isian _list harus sendirian di barisnya.",
                    "A placeholder with _list must stand alone on its line.",
                )
            if re.match(r"\s*(Ditetapkan di|pada tanggal)\b", line):
                yield (
                    (*path, part),
                    "Tempat dan tanggal penetapan dicetak oleh blok tanda tangan; hapus baris ini.",
                    "The signature block prints place and date; remove this line.",
                )


CHECKS: tuple[Callable[[PermitType], Iterator[Finding]], ...] = (
    _check_keys,
    _check_fields,
    _check_references,
    _check_validity,
    check_workflow,
    _check_texts,
)
