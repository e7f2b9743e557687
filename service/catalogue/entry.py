"""What a browser sends, turned into values. What cannot be read is kept as typed, to be shown again."""

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from service.catalogue.field_checks import normalise_phone
from service.catalogue.format import Field, FieldType, Section

MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "januari jan january",
            "februari feb february",
            "maret mar march",
            "april apr",
            "mei may",
            "juni jun june",
            "juli jul july",
            "agustus agu ags aug august",
            "september sep sept",
            "oktober okt oct october",
            "november nov",
            "desember des dec december",
        ),
        start=1,
    )
    for name in names.split()
}
YES, NO = frozenset({"yes", "true", "1", "on"}), frozenset({"no", "false", "0"})


def parse_form(section: Section, form: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Turn one page's form into values, with only that page's fields and without the empty ones.

    A date comes as `key-day`, `key-month`, `key-year` or as one ISO `key`; a list one item a line; a
    boolean as `yes` or `no`. Numbers are read the Indonesian way: `1.250,5`.
    """
    values = {}
    for field in section.fields:
        value = _parse_field(field, form)
        if value not in (None, "", []):
            values[field.key] = value
    return values


def _parse_field(field: Field, form: Mapping[str, Sequence[str]]) -> Any:
    typed = [_tidy(text) for text in form.get(field.key, ())]
    text = typed[0] if typed else ""
    match field.type:
        case FieldType.DATE if not text:
            return join_date(*(_first(form, f"{field.key}-{part}") for part in ("day", "month", "year")))
        case FieldType.INTEGER | FieldType.NUMBER:
            return parse_number(text)
        case FieldType.BOOLEAN | FieldType.CONSENT:
            return True if text in YES else False if text in NO else text
        case FieldType.LIST:
            return [line.strip() for item in typed for line in item.splitlines() if line.strip()]
        case FieldType.NIK | FieldType.NPWP | FieldType.NIB:
            return re.sub(r"[\s.-]", "", text)
        case FieldType.PHONE:
            return normalise_phone(text) or text
        case FieldType.COORDINATES:
            return re.sub(r"\s", "", text)
        case FieldType.LONG_TEXT:
            return text
        case _:
            return " ".join(text.split())


def _tidy(text: str) -> str:
    return unicodedata.normalize("NFC", text).replace("\r\n", "\n").strip()


def _first(form: Mapping[str, Sequence[str]], key: str) -> str:
    return next(iter(form.get(key, ())), "").strip()


def join_date(day: str, month: str, year: str) -> str:
    """Write `YYYY-MM-DD` when the parts are numbers or a month's name; else the parts as typed.

    A year stays as it is: who types 26 does not mean the year 26, and is asked again.
    """
    if not (day or month or year):
        return ""
    month = str(MONTHS.get(month.lower(), month))
    if all(re.fullmatch(r"[0-9]+", part) for part in (day, month, year)):
        return f"{year}-{month.zfill(2)}-{day.zfill(2)}"
    return f"{year}-{month}-{day}"


def date_parts(value: object) -> tuple[str, str, str]:
    """Take a date value apart into (day, month, year) to show in the three inputs, also a wrong one."""
    if isinstance(value, date):
        value = value.isoformat()
    year, month, day = [*str(value or "").split("-", 2), "", ""][:3]
    return day.lstrip("0"), month.lstrip("0"), year


def parse_number(text: str) -> int | float | str:
    """Read `1.250,5`, `1250.5`, `1,250.5` or `1250`; anything else stays as typed.

    One comma is the decimal sign, so `1,250` is one and a quarter; dots that part groups of three
    digits are not, so `1.250` is a thousand and more.
    """
    compact = text.replace(" ", "").replace("\u00a0", "")
    if re.fullmatch(r"-?[0-9]{1,3}(\.[0-9]{3})+(,[0-9]+)?", compact):
        compact = compact.replace(".", "")
    elif re.fullmatch(r"-?[0-9]{1,3}(,[0-9]{3})+\.[0-9]+|-?[0-9]{1,3}(,[0-9]{3}){2,}", compact):
        compact = compact.replace(",", "")
    compact = compact.replace(",", ".")
    if re.fullmatch(r"-?[0-9]{1,16}", compact):
        return int(compact)
    if re.fullmatch(r"-?[0-9]{1,16}\.[0-9]{1,16}", compact):
        number = float(compact)
        return number if math.isfinite(number) else text
    return text


def shown_number(value: object) -> str:
    """Write a number back into its input: `4,5`; what is not one stays as typed."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:.15g}".replace(".", ",")
    return str(value or "")
