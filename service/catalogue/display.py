"""How a value is shown to a reader, in either language; and in Indonesian on paper."""

from datetime import date
from functools import lru_cache
from typing import Any

from babel.dates import format_date
from babel.numbers import format_decimal

from service.catalogue.format import Field, FieldType
from service.catalogue.regions import find_kelurahan
from service.catalogue.rules import read_date


def display_value(field: Field, value: Any, language: str) -> str:
    """Write a value as a reader expects it; what cannot be read as the field's type stays as typed."""
    if value is None:
        return ""
    match field.type:
        case FieldType.BOOLEAN | FieldType.CONSENT if isinstance(value, bool):
            words = {"id": ("Ya", "Tidak"), "en": ("Yes", "No")}[language]
            return words[0] if value else words[1]
        case FieldType.DATE:
            day = read_date(str(value))
            return long_date(day, language) if day else str(value)
        case FieldType.CHOICE:
            return {choice.value: choice.label.text(language) for choice in field.choices}.get(
                value, str(value)
            )
        case FieldType.LIST if isinstance(value, list):
            return "; ".join(str(item) for item in value)
        case FieldType.REGION:
            return region_name(str(value))
        case FieldType.INTEGER | FieldType.NUMBER if isinstance(value, int | float):
            return plain_number(value, language, field) + (f" {field.unit}" if field.unit else "")
        case _:
            return str(value)


@lru_cache(maxsize=1024)
def long_date(day: date, language: str) -> str:
    """Write `27 September 2026`."""
    return format_date(day, "d MMMM y", locale=language)


def region_name(code: str) -> str:
    """Return a kelurahan's name, or the code itself where it is unknown."""
    region = find_kelurahan(code)
    return region.name if region else code


def plain_number(value: float, language: str, field: Field) -> str:
    """Write `1.250,5` (Indonesian) or `1,250.5`; integers, which may be years, are not grouped."""
    return _number(value, "#0.######" if field.type is FieldType.INTEGER else "#,##0.######", language)


@lru_cache(maxsize=1024)
def _number(value: float, pattern: str, language: str) -> str:
    return str(format_decimal(value, pattern, locale=language))
