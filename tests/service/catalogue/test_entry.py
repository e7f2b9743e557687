"""What a browser sends, turned into values and back."""

from typing import Any

import pytest

from service.catalogue.entry import date_parts, parse_form, parse_number, shown_number
from service.catalogue.format import Bilingual, Choice, Field, FieldType, Privacy, Section

LABEL = Bilingual(id="Isian", en="Field")


def parse(kind: FieldType, **form: str) -> Any:
    """Return the value of the one field `x` of a form."""
    choices = (Choice(value="a", label=LABEL),) if kind is FieldType.CHOICE else ()
    field = Field(key="x", type=kind, label=LABEL, privacy=Privacy.NONE, choices=choices)
    section = Section(key="page", title=LABEL, fields=(field,))
    return parse_form(section, {key.replace("_", "-"): [text] for key, text in form.items()}).get("x")


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (FieldType.TEXT, "  Siti \t Contoh ", "Siti Contoh"),
        (FieldType.TEXT, "  ", None),
        (FieldType.TEXT, "Cafe\u0301", "Café"),
        (FieldType.LONG_TEXT, "satu\r\ndua", "satu\ndua"),
        (FieldType.INTEGER, "12", 12),
        (FieldType.INTEGER, "dua belas", "dua belas"),
        (FieldType.NUMBER, "4,5", 4.5),
        (FieldType.BOOLEAN, "yes", True),
        (FieldType.BOOLEAN, "no", False),
        (FieldType.BOOLEAN, "mungkin", "mungkin"),
        (FieldType.CONSENT, "yes", True),
        (FieldType.CHOICE, "z", "z"),
        (FieldType.LIST, "satu\r\n\r\n dua ", ["satu", "dua"]),
        (FieldType.NIK, "3375 0147 0890 0000", "3375014708900000"),
        (FieldType.NPWP, "01.312.166.0-091.000", "013121660091000"),
        (FieldType.PHONE, "0812-3456-7890", "+6281234567890"),
        (FieldType.PHONE, "tidak punya", "tidak punya"),
        (FieldType.COORDINATES, "-6.88861, 109.67528", "-6.88861,109.67528"),
        (FieldType.DATE, "1990-08-07", "1990-08-07"),
    ],
)
def test_one_input(kind: FieldType, text: str, value: Any) -> None:
    assert parse(kind, x=text) == value


@pytest.mark.parametrize(
    ("day", "month", "year", "value"),
    [
        ("7", "8", "1990", "1990-08-07"),
        ("07", "Agustus", "1990", "1990-08-07"),
        ("7", "august", "1990", "1990-08-07"),
        ("31", "2", "1990", "1990-02-31"),
        ("7", "8", "26", "26-08-07"),
        ("7", "", "1990", "1990--7"),
        ("", "", "", None),
    ],
)
def test_three_inputs_of_a_date(day: str, month: str, year: str, value: str | None) -> None:
    assert parse(FieldType.DATE, x_day=day, x_month=month, x_year=year) == value


@pytest.mark.parametrize(
    "parts",
    [
        ("7", "8", "1990"),
        ("31", "2", "1990"),
        ("7", "", "1990"),
        ("", "8", ""),
        ("x", "8", "90"),
        ("7", "8", "26"),
    ],
)
def test_a_wrong_date_is_shown_again_as_typed(parts: tuple[str, str, str]) -> None:
    day, month, year = parts
    assert date_parts(parse(FieldType.DATE, x_day=day, x_month=month, x_year=year)) == parts


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1250", 1250),
        ("1.250", 1250),
        ("1.250,5", 1250.5),
        ("1250,5", 1250.5),
        ("1250.5", 1250.5),
        ("1,250.5", 1250.5),
        ("1,25", 1.25),
        ("-6,5", -6.5),
        ("1e9", "1e9"),
        ("nan", "nan"),
        ("1.2.3", "1.2.3"),
        ("9" * 40, "9" * 40),
        ("", ""),
    ],
)
def test_numbers_are_read_the_indonesian_way(text: str, number: Any) -> None:
    assert parse_number(text) == number


@pytest.mark.parametrize(
    ("value", "text"), [(4.5, "4,5"), (12, "12"), ("dua", "dua"), (None, ""), (2450.0, "2450")]
)
def test_a_number_goes_back_into_its_input(value: Any, text: str) -> None:
    assert shown_number(value) == text
